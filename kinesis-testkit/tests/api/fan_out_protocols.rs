//! Subscriptions over HTTP/2, TLS and CBOR.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::ShardIteratorType;
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};
use cbor4ii::core::Value;
use cbor4ii::core::dec::Decode;
use cbor4ii::core::enc::Encode;
use cbor4ii::core::utils::{BufWriter, SliceReader};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kinesis_testkit::{EventFault, FakeKinesis, Fault, FaultRule, Operation, Server};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::serving::{PATIENCE, Serving, any_key, exchange, parts, post};
use crate::support::{SHARD_0, STREAM, entry, from, pushed_texts, register, subscribe};

const CBOR: &str = "application/x-amz-cbor-1.1";

fn fake() -> FakeKinesis {
    FakeKinesis::builder().stream(STREAM, 1).build()
}

async fn plain(fake: &FakeKinesis) -> Serving {
    Serving::start(Server::bind(fake, "127.0.0.1:0").await.unwrap())
}

async fn over_tls(fake: &FakeKinesis) -> Serving {
    Serving::start(Server::builder(fake).tls().bind("127.0.0.1:0").await.unwrap())
}

async fn put(client: &Client, data: &str) {
    let put = client.put_record().stream_name(STREAM).partition_key("k").data(Blob::new(data));
    put.send().await.unwrap();
}

async fn pushes_events(client: &Client) {
    let consumer = register(client, "app").await;
    let mut events = subscribe(client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
    for data in ["a", "b"] {
        put(client, data).await;
        assert_eq!(pushed_texts(&timeout(PATIENCE, events.event()).await.unwrap()), [data]);
    }
}

#[tokio::test]
async fn events_are_pushed_over_http2() {
    let fake = fake();
    let serving = plain(&fake).await;
    pushes_events(&serving.http2(any_key())).await;
    serving.stop().await;
}

#[tokio::test]
async fn events_are_pushed_over_tls() {
    let fake = fake();
    let serving = over_tls(&fake).await;
    pushes_events(&serving.https(any_key())).await;
    serving.stop().await;
}

/// A subscription never ends by itself within the second that calls have.
#[tokio::test]
async fn the_server_stops_although_subscriptions_go_on() {
    let fake = fake();
    let (clear, tls) = (plain(&fake).await, over_tls(&fake).await);
    let clients = [clear.http1(any_key()), clear.http2(any_key()), tls.https(any_key())];
    let mut readers = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        let consumer = register(&client, &format!("app-{index}")).await;
        let mut events = subscribe(&client, &consumer, SHARD_0, from(ShardIteratorType::Latest)).await;
        readers.spawn(async move { while let Ok(Some(_)) = events.next().await {} });
    }
    clear.stop().await;
    tls.stop().await;
    timeout(PATIENCE, readers.join_all()).await.expect("a reader was left without an end");
}

/// A connection of HTTP/2.
async fn connect(serving: &Serving) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(serving.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(operation: &str, body: String) -> Request<Full<Bytes>> {
    let signed =
        "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0";
    Request::post("http://kinesis/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", signed)
        .body(Full::from(body))
        .unwrap()
}

fn subscription(consumer: &str) -> Request<Full<Bytes>> {
    let start = r#"{"Type":"TRIM_HORIZON"}"#;
    let body = format!(r#"{{"ConsumerARN":"{consumer}","ShardId":"{SHARD_0}","StartingPosition":{start}}}"#);
    request("SubscribeToShard", body)
}

/// Parked subscriptions hold their own window alone, and a server makes no more than fits.
#[tokio::test]
async fn subscriptions_that_are_not_read_hold_little_and_keep_no_call_of_their_connection() {
    const RECORDS: usize = 32;
    let fake = fake();
    let serving = plain(&fake).await;
    let mut connection = connect(&serving).await;
    let mut parked = Vec::new();
    for index in 0..3 {
        let consumer = register(&fake.client(), &format!("app-{index}")).await;
        let response = timeout(PATIENCE, connection.send_request(subscription(&consumer))).await.unwrap().unwrap();
        assert_eq!(response.headers()["content-type"], "application/vnd.amazon.eventstream");
        parked.push(response.into_body());
    }
    for _ in 0..RECORDS {
        let record = entry("k", vec![0; 1024 * 1024 - 1]);
        fake.client().put_records().stream_name(STREAM).records(record).send().await.unwrap();
        // Another call is answered meanwhile, which also gives the server every chance to make more.
        let call = connection.send_request(request("ListStreams", "{}".to_owned()));
        let reply = timeout(PATIENCE, call).await.expect("a parked subscription keeps a call").unwrap();
        assert_eq!(reply.status(), 200);
    }
    // What was not made by now is gone.
    fake.trim(STREAM, fake.clock().now() + PATIENCE).unwrap();
    put(&fake.client(), "the last").await;
    for mut body in parked {
        let mut received = Vec::new();
        while !received.windows(12).any(|it| it == b"dGhlIGxhc3Q=") {
            let frame = timeout(PATIENCE, body.frame()).await.unwrap().expect("the stream ended").unwrap();
            received.extend_from_slice(&frame.into_data().unwrap());
        }
        let all = RECORDS * 1024 * 1024 / 3 * 4;
        assert!(received.len() < all / 3, "{} of {all} bytes were made", received.len());
    }
    serving.stop().await;
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn map(entries: &[(&str, Value)]) -> Value {
    Value::Map(entries.iter().map(|(key, value)| (text(key), value.clone())).collect())
}

fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    let Value::Map(entries) = value else { panic!("no map: {value:?}") };
    let found = entries.iter().find(|(key, _)| *key == text(name));
    &found.unwrap_or_else(|| panic!("no {name}: {value:?}")).1
}

/// The bytes of a body in chunks.
fn dechunked(mut body: &[u8]) -> BytesMut {
    let mut bytes = BytesMut::new();
    while let Some(line) = body.windows(2).position(|it| it == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&body[..line]).unwrap(), 16).unwrap();
        bytes.extend_from_slice(&body[line + 2..line + 2 + size]);
        body = &body[line + 2 + size + 2..];
    }
    bytes
}

fn frames(mut bytes: BytesMut) -> Vec<Message> {
    let mut decoder = MessageFrameDecoder::new();
    let mut frames = Vec::new();
    while let DecodedFrame::Complete(message) = decoder.decode_frame(&mut bytes).unwrap() {
        frames.push(message);
    }
    assert!(bytes.is_empty(), "bytes of no frame");
    frames
}

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    let found = message.headers().iter().find(|header| header.name().as_str() == name);
    found.map_or("", |header| header.value().as_string().unwrap().as_str())
}

#[tokio::test]
async fn events_in_cbor_have_bytes_and_times_as_the_sdks_for_java_read_them() {
    let fake = fake();
    let serving = plain(&fake).await;
    let consumer = register(&fake.client(), "app").await;
    let stored = fake.client().put_record().stream_name(STREAM).partition_key("k").data(Blob::new([0, 255]));
    let stored = stored.send().await.unwrap();
    let end = Fault::AtEvent { nth: 2, fault: EventFault::exception("ResourceInUseException") };
    fake.inject(FaultRule::on(Operation::SubscribeToShard).fault(end));
    let start = map(&[("Type", text("TRIM_HORIZON"))]);
    let subscribe = map(&[("ConsumerARN", text(&consumer)), ("ShardId", text(SHARD_0)), ("StartingPosition", start)]);
    let mut body = BufWriter::new(Vec::new());
    subscribe.encode(&mut body).unwrap();
    let request = post("SubscribeToShard", CBOR, body.buffer());
    let reading = exchange(serving.address, &request);
    let pushing = async {
        // The second event is the one that ends the stream; whatever is put first makes it.
        while !fake.call_counts().contains_key(&Operation::SubscribeToShard) {
            tokio::task::yield_now().await;
        }
        put(&fake.client(), "another").await;
    };
    let (answer, ()) = tokio::join!(reading, pushing);
    let (head, body) = parts(&answer);
    assert!(head.contains("content-type: application/vnd.amazon.eventstream"), "{head}");
    let frames = frames(dechunked(&body));
    let kinds: Vec<_> =
        frames.iter().map(|frame| (header(frame, ":event-type"), header(frame, ":exception-type"))).collect();
    assert_eq!(kinds, [("initial-response", ""), ("SubscribeToShardEvent", ""), ("", "ResourceInUseException")]);
    let trees: Vec<Value> = frames
        .iter()
        .map(|frame| {
            assert_eq!(header(frame, ":content-type"), CBOR);
            Value::decode(&mut SliceReader::new(frame.payload())).unwrap()
        })
        .collect();
    assert_eq!(trees[0], map(&[]));
    let Value::Array(records) = member(&trees[1], "Records") else { panic!("{:?}", trees[1]) };
    assert_eq!(member(&records[0], "Data"), &Value::Bytes(vec![0, 255]));
    assert!(matches!(member(&records[0], "ApproximateArrivalTimestamp"), Value::Tag(1, _)), "{records:?}");
    assert_eq!(member(&records[0], "SequenceNumber"), &text(stored.sequence_number()));
    let Value::Text(continuation) = member(&trees[1], "ContinuationSequenceNumber") else { panic!("{:?}", trees[1]) };
    assert!(continuation.as_str() >= stored.sequence_number());
    assert_eq!(member(&trees[2], "__type"), &text("ResourceInUseException"));
    serving.stop().await;
}
