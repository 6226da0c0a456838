//! Clients that take too much, or too long: each is turned away, and the server goes on.

use std::net::SocketAddr;
use std::time::Duration;

use kinesis_testkit::{FakeKinesis, Server, ServerBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::serving::{PATIENCE, Serving, any_key, exchange, parts, post, until_closed};
use crate::support::STREAM;

const JSON: &str = "application/x-amz-json-1.1";
const CBOR: &str = "application/x-amz-cbor-1.1";
/// What a client gets to say something.
const READ_TIMEOUT: Duration = Duration::from_millis(200);
/// A body of the largest size, and what lies in the buffers of a connection besides.
const MOST_SENT: usize = 40 * 1024 * 1024;

fn builder() -> ServerBuilder {
    Server::builder(&FakeKinesis::builder().stream(STREAM, 1).build())
}

async fn serving(builder: ServerBuilder) -> Serving {
    Serving::start(builder.bind("127.0.0.1:0").await.unwrap())
}

async fn goes_on(serving: Serving) {
    serving.http1(any_key()).list_streams().send().await.unwrap();
    serving.stop().await;
}

fn status(answer: &[u8]) -> String {
    let line = answer.split(|byte| *byte == b'\r').next().unwrap();
    String::from_utf8_lossy(line).split(' ').nth(1).unwrap_or_default().to_owned()
}

/// Connects, and has a call answered: the server knows of the connection then.
async fn connected(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be closed at any moment.
    let _ = stream.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = [0; 15];
    let read = timeout(PATIENCE, stream.read_exact(&mut answer)).await.unwrap();
    read.is_ok_and(|_| answer == *b"HTTP/1.1 200 OK").then_some(stream)
}

#[tokio::test]
async fn connections_beyond_the_maximum_are_closed() {
    let serving = serving(builder().max_connections(2)).await;
    let first = connected(serving.address).await.unwrap();
    let second = connected(serving.address).await.unwrap();
    for _ in 0..20 {
        assert!(connected(serving.address).await.is_none());
    }
    drop((first, second));
    let begin = Instant::now();
    while connected(serving.address).await.is_none() {
        assert!(begin.elapsed() < PATIENCE, "no place becomes free");
    }
    serving.stop().await;
}

/// Whoever says nothing, or stops in the middle of the headers, is closed.
#[tokio::test]
async fn a_client_that_does_not_go_on_is_closed() {
    let serving = serving(builder().read_timeout(READ_TIMEOUT)).await;
    let whole = String::from_utf8(post("ListStreams", JSON, b"{}")).unwrap();
    let beginnings: [&[u8]; 5] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\nx-am",
        whole.split("\r\n\r\n").next().unwrap().as_bytes(),
    ];
    for beginning in beginnings {
        let answer = exchange(serving.address, beginning).await;
        assert!(answer.is_empty() || status(&answer) == "408", "{answer:?}");
    }
    goes_on(serving).await;
}

/// Over HTTP/2 with headers that never end, and pings that are not answered.
#[tokio::test]
async fn a_client_of_http2_that_does_not_go_on_is_closed() {
    let serving = serving(builder().read_timeout(READ_TIMEOUT)).await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS without END_HEADERS, of stream 1: `:method: POST` by the static table.
    let headers = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x83];
    let answer =
        exchange(serving.address, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings, &headers].concat())
            .await;
    assert!(!answer.is_empty(), "the settings of the server");
    goes_on(serving).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_closed() {
    let serving = serving(builder().tls().read_timeout(READ_TIMEOUT)).await;
    for beginning in [b"".as_slice(), b"\x16\x03\x01\x02"] {
        exchange(serving.address, beginning).await;
    }
    serving.https(any_key()).list_streams().send().await.unwrap();
    serving.stop().await;
}

/// Byte by byte, so that something always comes.
#[tokio::test]
async fn headers_and_bodies_that_trickle_are_given_up() {
    let serving = serving(builder().read_timeout(READ_TIMEOUT)).await;
    for head in ["POST / HTTP/1.1\r\nx-slow: ".to_owned(), format!("{}\r\n\r\n", head(JSON, "content-length: 1000"))] {
        let mut stream = TcpStream::connect(serving.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut answer = Vec::new();
        let trickle = async {
            let mut ticks = tokio::time::interval(READ_TIMEOUT / 10);
            loop {
                ticks.tick().await;
                if writer.write_all(b" ").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let read = async {
            tokio::select! {
                biased;
                _ = reader.read_to_end(&mut answer) => {}
                () = trickle => {}
            }
        };
        timeout(PATIENCE, read).await.expect("the server gives up");
        assert!(answer.is_empty() || status(&answer) == "408", "{answer:?}");
    }
    goes_on(serving).await;
}

fn head(content_type: &str, length: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nhost: x\r\n{length}\r\ncontent-type: {content_type}\r\nx-amz-target: \
         Kinesis_20131202.PutRecords"
    )
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_read() {
    let serving = serving(builder()).await;
    for length in ["25165825", "9000000000000000000"] {
        let head = head(JSON, &format!("content-length: {length}"));
        let answer = exchange(serving.address, format!("{head}\r\n\r\n").as_bytes()).await;
        assert_eq!(status(&answer), "413", "{length}");
    }
    goes_on(serving).await;
}

/// Sends chunks until nobody takes them; returns how much was sent, and the answer.
async fn send_without_end(address: SocketAddr, content_type: &str) -> (usize, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = head(content_type, "transfer-encoding: chunked");
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 10 * MOST_SENT
        && timeout(PATIENCE, stream.write_all(&chunk)).await.is_ok_and(|written| written.is_ok())
    {
        sent += 0x10000;
    }
    (sent, until_closed(&mut stream).await)
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let serving = serving(builder()).await;
    for content_type in [JSON, CBOR] {
        let (sent, answer) = send_without_end(serving.address, content_type).await;
        assert!(sent < MOST_SENT, "{sent}");
        // The answer is lost where the client was still sending.
        assert!(answer.is_empty() || status(&answer) == "413", "{answer:?}");
    }
    goes_on(serving).await;
}

#[tokio::test]
async fn headers_without_end_are_cut_off() {
    let serving = serving(builder()).await;
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
    let line = format!("x-long: {}\r\n", "x".repeat(8000));
    let mut sent = 0;
    while sent < MOST_SENT && stream.write_all(line.as_bytes()).await.is_ok() {
        sent += line.len();
    }
    assert!(sent < MOST_SENT, "{sent}");
    until_closed(&mut stream).await;
    goes_on(serving).await;
}

/// Nesting that would overflow the stack of a parser that follows it.
#[tokio::test]
async fn bodies_that_are_nested_too_deep_are_refused() {
    let serving = serving(builder()).await;
    let json = [b"{\"Records\":".as_slice(), &[b'['; 1_000_000]].concat();
    let unknown = [b"{\"Pizza\":".as_slice(), &[b'['; 1_000_000]].concat();
    let cbor = [b"\xa1\x67Records".as_slice(), &[0x81; 1_000_000]].concat();
    let endless = [b"\xa1\x65Pizza".as_slice(), &[0x9f; 1_000_000]].concat();
    for operation in ["PutRecords", "ListShards", "PutPizza"] {
        for (content_type, body) in [(JSON, &json), (JSON, &unknown), (CBOR, &cbor), (CBOR, &endless)] {
            let (head, body) = parts(&exchange(serving.address, &post(operation, content_type, body)).await);
            let text = String::from_utf8_lossy(&body);
            assert!(head.starts_with("HTTP/1.1 400") && text.contains("SerializationException"), "{operation} {text}");
        }
    }
    goes_on(serving).await;
}
