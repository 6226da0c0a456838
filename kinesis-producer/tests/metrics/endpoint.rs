//! A CloudWatch that keeps what it is sent: on loopback, or in the same process for paused time.
//!
//! The unit tests of the uploader use it too.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::{BehaviorVersion, Config, Credentials, IdentityCache, Region, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use ciborium::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// What the service answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Done,
    Failed { status: u16, code: &'static str },
    Never,
}

/// A request as it came in.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What a request says of a metric.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    /// The name, then each dimension as `name=value`.
    pub(crate) what: String,
    pub(crate) unit: String,
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) at_seconds: f64,
}

impl Request {
    pub(crate) fn namespace(&self) -> String {
        text(&self.field("Namespace"))
    }

    pub(crate) fn data(&self) -> Vec<Received> {
        let data = self.field("MetricData");
        data.as_array().unwrap().iter().map(received).collect()
    }

    fn field(&self, name: &str) -> Value {
        field(&ciborium::from_reader(&self.body[..]).unwrap(), name)
    }
}

fn field(map: &Value, name: &str) -> Value {
    let found = map.as_map().unwrap().iter().find(|(key, _)| key.as_text() == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {map:?}")).1.clone()
}

fn text(value: &Value) -> String {
    value.as_text().unwrap().to_owned()
}

fn received(datum: &Value) -> Received {
    let statistics = field(datum, "StatisticValues");
    let number = |name| field(&statistics, name).as_float().unwrap();
    let mut what = text(&field(datum, "MetricName"));
    for dimension in field(datum, "Dimensions").as_array().unwrap() {
        what += &format!(" {}={}", text(&field(dimension, "Name")), text(&field(dimension, "Value")));
    }
    let Value::Tag(1, seconds) = field(datum, "Timestamp") else {
        panic!("no time: {datum:?}");
    };
    Received {
        what,
        unit: text(&field(datum, "Unit")),
        count: number("SampleCount"),
        sum: number("Sum"),
        min: number("Minimum"),
        max: number("Maximum"),
        at_seconds: seconds.as_float().unwrap(),
    }
}

/// The service: its replies in their order, then all well.
#[derive(Clone, Debug)]
struct Service {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: mpsc::UnboundedSender<Request>,
}

impl Service {
    fn take(&self, request: Request) -> Reply {
        // The test may have seen enough.
        let _ = self.requests.send(request);
        self.replies.lock().unwrap().pop_front().unwrap_or(Reply::Done)
    }
}

/// Status, headers and body.
fn answer(reply: Reply) -> (u16, Vec<(&'static str, String)>, Vec<u8>) {
    let mut headers =
        vec![("content-type", "application/cbor".to_owned()), ("smithy-protocol", "rpc-v2-cbor".to_owned())];
    let Reply::Failed { status, code } = reply else {
        return (200, headers, vec![0xa0]);
    };
    headers.push(("x-amzn-query-error", format!("{code};Sender")));
    let error = Value::Map(vec![("__type".into(), code.into()), ("message".into(), "no".into())]);
    let mut body = Vec::new();
    ciborium::into_writer(&error, &mut body).unwrap();
    (status, headers, body)
}

/// The requests that came in, and a client that sends them.
#[derive(Debug)]
pub(crate) struct Endpoint {
    requests: mpsc::UnboundedReceiver<Request>,
    config: aws_sdk_cloudwatch::config::Builder,
}

impl Endpoint {
    /// In the same process.
    pub(crate) fn in_process(replies: &[Reply]) -> Self {
        let (service, requests) = service(replies);
        Self { requests, config: config().http_client(SharedHttpClient::new(InProcess(service))) }
    }

    /// On loopback, through that HTTP client.
    pub(crate) async fn on_loopback(replies: &[Reply], http_client: SharedHttpClient) -> Self {
        let (service, requests) = service(replies);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, service.clone()));
            }
        });
        Self { requests, config: config().endpoint_url(url).http_client(http_client) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::from_conf(self.config.clone().build())
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> Request {
        self.requests.recv().await.unwrap()
    }

    /// The requests that came in and nobody took.
    pub(crate) fn rest(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

fn service(replies: &[Reply]) -> (Service, mpsc::UnboundedReceiver<Request>) {
    let (sender, requests) = mpsc::unbounded_channel();
    (Service { replies: Arc::new(Mutex::new(replies.to_vec().into())), requests: sender }, requests)
}

fn config() -> aws_sdk_cloudwatch::config::Builder {
    Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-west-1"))
        .credentials_provider(Credentials::new("AKIDTEST", "secret", None, None, "test"))
        .identity_cache(IdentityCache::no_cache())
        .disable_request_compression(true)
}

#[derive(Clone, Debug)]
struct InProcess(Service);

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = self.0.clone();
        HttpConnectorFuture::new(async move {
            let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let body = request.body().bytes().unwrap().to_vec();
            let path = request.uri().to_owned();
            let reply = service.take(Request { at: Instant::now(), path, headers, body });
            tokio::time::sleep(Duration::from_millis(10)).await;
            if matches!(reply, Reply::Never) {
                return std::future::pending().await;
            }
            let (status, headers, body) = answer(reply);
            let status = status.try_into().map_err(|_| ConnectorError::user("no status".into()))?;
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            headers.into_iter().for_each(|(name, value)| drop(response.headers_mut().insert(name, value)));
            Ok(response)
        })
    }
}

/// Answers the requests of a connection, one after the other.
async fn serve(mut connection: TcpStream, service: Service) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        let (head, body) = loop {
            if let Some(whole) = split(&bytes) {
                break whole;
            }
            if connection.read_buf(&mut bytes).await? == 0 {
                return Ok(());
            }
        };
        bytes.drain(..head.len() + body.len());
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        let reply = service.take(Request { at: Instant::now(), path, headers, body });
        if matches!(reply, Reply::Never) {
            return std::future::pending().await;
        }
        let (status, headers, body) = answer(reply);
        let mut text = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
        headers.iter().for_each(|(name, value)| text += &format!("{name}: {value}\r\n"));
        connection.write_all(&[text.as_bytes(), b"\r\n", &body].concat()).await?;
    }
}

/// The head, with its empty line, and the body of the first request, once all of it is there.
fn split(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse::<usize>().ok()?;
    let body = bytes.get(end..end + length)?;
    Some((bytes[..end].to_vec(), body.to_vec()))
}
