//! Replies that end, stall or trickle within their body (F4, F5), over both transports.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::operation::put_records::{PutRecordsError, PutRecordsOutput};
use aws_smithy_types::retry::RetryConfig;
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::support::{STREAM, entry, fake};

type Put = Result<PutRecordsOutput, SdkError<PutRecordsError>>;

async fn put(client: &Client) -> Put {
    client.put_records().stream_name(STREAM).records(entry("key", "x")).send().await
}

fn once(fault: Fault) -> FaultRule {
    FaultRule::on(Operation::PutRecords).fault(fault)
}

/// The headers came with status 200, and the body did not come as a whole.
fn is_incomplete(result: &Put) -> bool {
    let Err(SdkError::ResponseError(context)) = result else { return false };
    context.raw().status().as_u16() == 200
}

#[tokio::test(start_paused = true)]
async fn f4_a_body_that_is_cut_is_no_reply_but_the_record_is_stored() {
    for after_bytes in [0, 1, 40, u64::MAX] {
        let (fake, client) = fake(1);
        fake.inject(once(Fault::CutBody { after_bytes }));
        let result = put(&client).await;
        assert!(is_incomplete(&result), "{after_bytes}: {result:?}");
        assert_eq!(fake.stored(STREAM).unwrap().records, 1);
        let call = &fake.journal().calls[0];
        assert!(call.reply_lost && call.fault.is_some_and(|mark| mark.kind() == "cut_body"), "{call:?}");
        put(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn f4_a_reply_without_body_is_lost_as_a_whole() {
    let (fake, client) = fake(1);
    fake.inject(FaultRule::on(Operation::CreateStream).fault(Fault::CutBody { after_bytes: 5 }));
    let result = client.create_stream().stream_name("payments").shard_count(1).send().await;
    assert!(matches!(&result, Err(SdkError::DispatchFailure(failure)) if failure.is_io()), "{result:?}");
    assert_eq!(fake.shards("payments").unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn f5_headers_and_then_silence() {
    for after_bytes in [0, 10] {
        let (fake, client) = fake(1);
        fake.inject(once(Fault::StallBody { after_bytes }));
        assert!(timeout(Duration::from_secs(3600), put(&client)).await.is_err());
        assert_eq!(fake.stored(STREAM).unwrap().records, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn f5_one_byte_after_every_interval() {
    let (fake, client) = fake(1);
    fake.inject(once(Fault::TrickleBody { interval: Duration::from_secs(10) }));
    let begin = Instant::now();
    put(&client).await.unwrap();
    let elapsed = begin.elapsed();
    // A put of the same record has a reply of the same length.
    let body = r#"{"StreamName":"orders","Records":[{"PartitionKey":"key","Data":"eA=="}]}"#;
    let bytes = fake.call("PutRecords", body).await.unwrap().body.len() as u64;
    assert_eq!(elapsed, Duration::from_secs(10 * bytes));
    assert!(!fake.journal().calls[0].reply_lost, "it arrives in the end");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_the_sdk_takes_bodies_as_a_whole() {
    let (fake, _) = fake(1);
    let body = r#"{"StreamName":"orders","Records":[{"PartitionKey":"k","Data":"eA=="}]}"#;
    fake.inject(once(Fault::CutBody { after_bytes: 3 }));
    fake.inject(once(Fault::StallBody { after_bytes: 3 }).nth(2));
    fake.inject(once(Fault::TrickleBody { interval: Duration::from_secs(1) }).nth(3));
    fake.call("PutRecords", body).await.unwrap_err();
    assert!(timeout(Duration::from_secs(3600), fake.call("PutRecords", body)).await.is_err());
    let begin = Instant::now();
    let reply = fake.call("PutRecords", body).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(reply.body.len() as u64));
}

/// Runs a test against a server on loopback.
async fn serving<F: Future<Output = ()>>(fake: &FakeKinesis, test: impl FnOnce(Server, Client) -> F) {
    let server = Server::bind(fake, "127.0.0.1:0").await.unwrap();
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(server.url())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    test(server, Client::from_conf(config)).await;
}

async fn while_running<F: Future>(server: Server, test: F) -> F::Output {
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let output = test.await;
    drop(stop);
    running.await.unwrap();
    output
}

#[tokio::test]
async fn f4_a_body_is_cut_on_the_wire() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    fake.inject(once(Fault::CutBody { after_bytes: 40 }));
    serving(&fake, async |server, client| {
        while_running(server, async {
            let result = put(&client).await;
            assert!(is_incomplete(&result), "{result:?}");
            put(&client).await.unwrap();
        })
        .await;
    })
    .await;
    assert_eq!(fake.stored(STREAM).unwrap().records, 2);
}

/// Sends one request, and returns its connection.
async fn send(address: std::net::SocketAddr) -> TcpStream {
    let body = r#"{"StreamName":"orders","Records":[{"PartitionKey":"k","Data":"eA=="}]}"#;
    let length = body.len();
    let signature = "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, \
                     Signature=0";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-amz-json-1.1\r\nx-amz-target: \
         Kinesis_20131202.PutRecords\r\nx-amz-date: 20260101T000000Z\r\nauthorization: {signature}\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until the headers and `body_bytes` of the body are there; returns the announced length and the body so far.
async fn read_some(stream: &mut TcpStream, body_bytes: usize) -> (usize, String) {
    let mut text = String::new();
    loop {
        if let Some((headers, body)) = text.split_once("\r\n\r\n").filter(|(_, body)| body.len() >= body_bytes) {
            let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
            return (length.unwrap().parse().unwrap(), body.to_owned());
        }
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
    }
}

#[tokio::test]
async fn f4_what_arrives_on_the_wire_is_shorter_than_announced() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    fake.inject(once(Fault::CutBody { after_bytes: 20 }));
    serving(&fake, async |server, _| {
        let address = server.local_addr();
        while_running(server, async {
            let mut stream = send(address).await;
            let (length, mut body) = read_some(&mut stream, 20).await;
            stream.read_to_string(&mut body).await.unwrap();
            assert_eq!(body.len(), 20, "{body}");
            assert!(length > 100, "{length}");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn f5_the_wire_falls_silent_after_the_headers() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    fake.inject(once(Fault::StallBody { after_bytes: 3 }));
    serving(&fake, async |server, client| {
        let address = server.local_addr();
        while_running(server, async {
            let mut stream = send(address).await;
            let (length, body) = read_some(&mut stream, 3).await;
            assert!(length > 100 && body == "{\"F", "{length}: {body}");
            // The server goes on with others, and has nothing more for this one.
            put(&client).await.unwrap();
            let more = stream.try_read(&mut [0]).map_err(|error| error.kind());
            assert_eq!(more, Err(std::io::ErrorKind::WouldBlock));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn f5_the_wire_trickles() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    fake.inject(once(Fault::TrickleBody { interval: Duration::from_millis(1) }));
    serving(&fake, async |server, _| {
        let address = server.local_addr();
        while_running(server, async {
            let begin = Instant::now();
            let mut stream = send(address).await;
            let (length, body) = read_some(&mut stream, 0).await;
            let mut rest = vec![0; length];
            stream.read_exact(&mut rest[body.len()..]).await.unwrap();
            assert!(begin.elapsed() >= Duration::from_millis(length as u64 - 1), "{:?}", begin.elapsed());
        })
        .await;
    })
    .await;
}
