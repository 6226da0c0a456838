//! Subscriptions over HTTP/1.1.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use kinesis_testkit::{EventFault, FakeKinesis, Fault, FaultRule, Operation, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::{SHARD_0, STREAM, entry, from, pushed_texts, register, subscribe};

const LONG: Duration = Duration::from_secs(60);

fn client_of(url: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

async fn serve<T>(test: impl AsyncFnOnce(FakeKinesis, String) -> T) -> T {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    let server = Server::bind(&fake, "127.0.0.1:0").await.unwrap();
    let address = server.local_addr().to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let result = timeout(LONG, test(fake, address)).await.expect("the test takes too long");
    drop(stop);
    running.await.unwrap();
    result
}

async fn put(client: &Client, data: &str) {
    let put = client.put_record().stream_name(STREAM).partition_key("k").data(Blob::new(data));
    put.send().await.unwrap();
}

#[tokio::test]
async fn the_sdk_reads_events_from_the_server() {
    serve(async |fake, address| {
        let client = client_of(&format!("http://{address}"));
        let consumer = register(&client, "app").await;
        let rule = FaultRule::on(Operation::SubscribeToShard);
        let end = Fault::AtEvent { nth: 3, fault: EventFault::exception("ResourceInUseException") };
        fake.inject(rule.fault(end));
        let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
        for data in ["a", "b"] {
            // It is pushed: nobody has to ask, and no heartbeat has to come.
            put(&client, data).await;
            assert_eq!(pushed_texts(&events.event().await), [data]);
        }
        put(&client, "c").await;
        assert_eq!(crate::support::code(events.next().await), "ResourceInUseException");
    })
    .await;
}

/// A subscription as it stands on the wire: reads the head, and then chunks.
struct Raw {
    stream: TcpStream,
    buffered: Vec<u8>,
    received: usize,
}

impl Raw {
    async fn subscribe(address: &str, consumer: &str) -> (String, Self) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = format!(
            r#"{{"ConsumerARN":"{consumer}","ShardId":"{SHARD_0}","StartingPosition":{{"Type":"TRIM_HORIZON"}}}}"#
        );
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.1\r\nX-Amz-Target: \
             Kinesis_20131202.SubscribeToShard\r\nX-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=id/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=00\r\nContent-Length: \
             {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        let mut raw = Self { stream, buffered: Vec::new(), received: 0 };
        let head = loop {
            if let Some(end) = raw.buffered.windows(4).position(|it| it == b"\r\n\r\n") {
                break raw.buffered.drain(..end + 4).collect::<Vec<u8>>();
            }
            assert!(raw.fill().await, "the connection ended within the head");
        };
        (String::from_utf8(head).unwrap().to_lowercase(), raw)
    }

    async fn fill(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        let count = self.stream.read(&mut bytes).await.unwrap();
        self.buffered.extend_from_slice(&bytes[..count]);
        count > 0
    }

    /// The next chunk of the body; nothing at its end.
    async fn chunk(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(line) = self.buffered.windows(2).position(|it| it == b"\r\n") {
                let size = usize::from_str_radix(std::str::from_utf8(&self.buffered[..line]).unwrap(), 16).unwrap();
                if self.buffered.len() >= line + 2 + size + 2 {
                    let chunk = self.buffered[line + 2..line + 2 + size].to_vec();
                    self.buffered.drain(..line + 2 + size + 2);
                    self.received += size;
                    return (size > 0).then_some(chunk);
                }
            }
            assert!(self.fill().await, "the connection ended within the body");
        }
    }

    /// The next frame.
    async fn frame(&mut self, decoder: &mut MessageFrameDecoder, rest: &mut bytes::BytesMut) -> Message {
        loop {
            if let DecodedFrame::Complete(message) = decoder.decode_frame(&mut *rest).unwrap() {
                return message;
            }
            let chunk = self.chunk().await.expect("the body ended");
            rest.extend_from_slice(&chunk);
        }
    }
}

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    let found = message.headers().iter().find(|header| header.name().as_str() == name);
    found.map_or("", |header| header.value().as_string().unwrap().as_str())
}

#[tokio::test]
async fn the_body_is_chunked_and_its_first_frame_is_the_initial_response() {
    serve(async |fake, address| {
        let client = fake.client();
        let consumer = register(&client, "app").await;
        put(&client, "x").await;
        let (head, mut raw) = Raw::subscribe(&address, &consumer).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: application/vnd.amazon.eventstream\r\n"), "{head}");
        assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
        let (mut decoder, mut rest) = (MessageFrameDecoder::new(), bytes::BytesMut::new());
        let first = raw.frame(&mut decoder, &mut rest).await;
        assert_eq!((header(&first, ":event-type"), &first.payload()[..]), ("initial-response", &b"{}"[..]));
        let second = raw.frame(&mut decoder, &mut rest).await;
        assert_eq!(header(&second, ":event-type"), "SubscribeToShardEvent");
        assert_eq!(header(&second, ":content-type"), "application/x-amz-json-1.1");
        let payload: serde_json::Value = serde_json::from_slice(second.payload()).unwrap();
        assert_eq!(payload["Records"][0]["Data"], "eA==");
        assert_eq!(payload["ContinuationSequenceNumber"], payload["Records"][0]["SequenceNumber"]);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_does_not_read_makes_the_server_hold_little() {
    const RECORDS: usize = 32;
    serve(async |fake, address| {
        let client = fake.client();
        let consumer = register(&client, "app").await;
        let (_, mut raw) = Raw::subscribe(&address, &consumer).await;
        for _ in 0..RECORDS {
            let record = entry("k", vec![0; 1024 * 1024 - 1]);
            client.put_records().stream_name(STREAM).records(record).send().await.unwrap();
            // The server may make as much of it as it wants to.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        fake.trim(STREAM, fake.clock().now() + LONG).unwrap();
        put(&client, "the last").await;
        let (mut decoder, mut rest) = (MessageFrameDecoder::new(), bytes::BytesMut::new());
        loop {
            let frame = raw.frame(&mut decoder, &mut rest).await;
            if frame.payload().windows(12).any(|it| it == b"dGhlIGxhc3Q=") {
                break;
            }
        }
        let all = RECORDS * 1024 * 1024 / 3 * 4;
        assert!(raw.received < all / 3, "{} of {all} bytes were made", raw.received);
    })
    .await;
}
