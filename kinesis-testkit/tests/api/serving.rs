//! A server on loopback, and clients of it in every protocol.

use std::net::SocketAddr;
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, SharedHttpClient, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::RetryConfig;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kinesis_testkit::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// More than anything here takes, so that a test that hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server that runs until it is stopped.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    pub(crate) certificate: Option<String>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Serving {
    pub(crate) fn start(server: Server) -> Self {
        let (address, url) = (server.local_addr(), server.url());
        let certificate = server.certificate_pem().map(str::to_owned);
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, url, certificate, stop, running }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }

    /// A client over HTTP/1.1.
    pub(crate) fn http1(&self, key: Credentials) -> Client {
        client(&self.url, key, aws_smithy_http_client::Builder::new().build_http())
    }

    /// A client over HTTP/2 without TLS.
    pub(crate) fn http2(&self, key: Credentials) -> Client {
        client(&self.url, key, SharedHttpClient::new(PriorKnowledge(self.address)))
    }

    /// A client over TLS that trusts the server's certificate; it speaks HTTP/2 where the server does.
    pub(crate) fn https(&self, key: Credentials) -> Client {
        let pem = self.certificate.as_deref().unwrap();
        client(&self.url, key, https(pem))
    }
}

/// The SDK's own HTTP client, which trusts one certificate.
pub(crate) fn https(pem: &str) -> SharedHttpClient {
    let trust = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    builder.tls_context(context).build_https()
}

pub(crate) fn any_key() -> Credentials {
    Credentials::new("AKID", "secret", None, None, "test")
}

pub(crate) fn client(url: &str, key: Credentials, http: SharedHttpClient) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(key)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .endpoint_url(url)
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// HTTP/2 from the first byte on, with a connection per call: the SDK's own client only negotiates it by TLS.
#[derive(Clone, Debug)]
struct PriorKnowledge(SocketAddr);

impl HttpClient for PriorKnowledge {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for PriorKnowledge {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let address = self.0;
        HttpConnectorFuture::new(async move {
            let failed = |error: hyper::Error| ConnectorError::io(error.into());
            let stream = TcpStream::connect(address).await.map_err(|error| ConnectorError::io(error.into()))?;
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                    .await
                    .map_err(failed)?;
            tokio::spawn(connection);
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = sender.send_request(request).await.map_err(failed)?;
            assert_eq!(response.version(), hyper::Version::HTTP_2);
            let response = response.map(SdkBody::from_body_1_x);
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Sends bytes, and reads all that comes until the connection is closed.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    until_closed(&mut stream).await
}

/// All that comes until the connection is closed, even if it is not closed well.
pub(crate) async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().ok();
    answer
}

/// A request over HTTP/1.1 that asks for the connection to be closed, signed by nobody.
pub(crate) fn post(operation: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\ncontent-type: {content_type}\r\n\
         x-amz-target: Kinesis_20131202.{operation}\r\nx-amz-date: 20260101T000000Z\r\nauthorization: \
         AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, \
         Signature=0\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Status line and headers as text, in front of the body.
pub(crate) fn parts(answer: &[u8]) -> (String, Vec<u8>) {
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..at].to_vec()).unwrap(), answer[at + 4..].to_vec())
}
