//! The server that everything is put to.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use cbor4ii::core::dec::Decode;
use cbor4ii::core::utils::SliceReader;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use kinesis_testkit::{FakeKinesis, Server};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Cbor,
}

impl Format {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Cbor => "cbor",
        }
    }
}

/// Status and error code of an answer.
pub(crate) type Answer = (u16, Option<String>);

/// A server with a stream, and one connection to it.
pub(crate) struct Service {
    pub(crate) fake: FakeKinesis,
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let fake = FakeKinesis::builder().journal(false).stream("orders", 2).build();
        let server = Server::bind(&fake, "127.0.0.1:0").await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.run(std::future::pending()));
        Self { fake, address, sender: connect(address).await }
    }

    /// Sends a body; an error where the answer is none of the service's.
    pub(crate) async fn send(&mut self, operation: &str, format: Format, body: Vec<u8>) -> Result<Answer, String> {
        let content_type = format!("application/x-amz-{}-1.1", format.name());
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0";
        let request = Request::post("/")
            .header("host", "kinesis")
            .header("content-type", &content_type)
            .header("x-amz-target", format!("Kinesis_20131202.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            .header("authorization", signed)
            .body(Full::from(body))
            .unwrap();
        let exchange = async {
            self.sender.ready().await?;
            let response = self.sender.send_request(request).await?;
            let (parts, mut body) = response.into_parts();
            let is_stream = parts.headers["content-type"] == "application/vnd.amazon.eventstream";
            // A subscription goes on for five minutes: its first frame will do.
            let body = if is_stream {
                body.frame().await.transpose()?.and_then(|frame| frame.into_data().ok()).unwrap_or_default()
            } else {
                body.collect().await?.to_bytes()
            };
            Ok::<_, hyper::Error>((parts, body, is_stream))
        };
        let answer = timeout(PATIENCE, exchange).await.map_err(|_| "no answer within 30 s".to_owned())?;
        let (parts, body, is_stream) = answer.map_err(|error| format!("the connection broke: {error}"))?;
        if is_stream {
            // The rest of it would stand in the way of the next call.
            self.sender = connect(self.address).await;
            return Ok((200, None));
        }
        let status = parts.status.as_u16();
        let code = code(format, &body)?;
        // A starting number of the service's first layout is one that it fails inside at (recorded in kinesalite).
        let is_of_first_layout = status == 500 && ["GetShardIterator", "SubscribeToShard"].contains(&operation);
        if !(status == 200 || (400..500).contains(&status) || is_of_first_layout) {
            return Err(format!("status {status}: {}", String::from_utf8_lossy(&body)));
        }
        if (status == 200) != code.is_none() {
            return Err(format!("status {status}, and the code is {code:?}"));
        }
        Ok((status, code))
    }
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// The error's code; an error where the body is not in the format.
fn code(format: Format, body: &[u8]) -> Result<Option<String>, String> {
    if body.is_empty() {
        return Ok(None);
    }
    if format == Format::Json {
        let tree: Value = serde_json::from_slice(body).map_err(|error| format!("the answer is no JSON: {error}"))?;
        return Ok(tree["__type"].as_str().map(str::to_owned));
    }
    let tree = cbor4ii::core::Value::decode(&mut SliceReader::new(body));
    let cbor4ii::core::Value::Map(members) = tree.map_err(|error| format!("the answer is no CBOR: {error:?}"))? else {
        return Err("the answer is no map".to_owned());
    };
    let is_type = |name: &cbor4ii::core::Value| *name == cbor4ii::core::Value::Text("__type".to_owned());
    let found = members.into_iter().find(|(name, _)| is_type(name));
    Ok(found.and_then(|(_, value)| if let cbor4ii::core::Value::Text(code) = value { Some(code) } else { None }))
}
