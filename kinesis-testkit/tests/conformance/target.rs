//! What cases are put to: the fake in this process, or a service behind HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinesis_testkit::FakeKinesis;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

/// More than any call takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a stream is waited for, and how often it is looked at.
const SETTLING: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

/// What answers calls.
pub(crate) enum Target {
    InProcess(FakeKinesis),
    Remote(Remote),
}

/// A service behind HTTP/1.1.
pub(crate) struct Remote {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    /// Whether streams take their time there.
    settles: bool,
}

impl Target {
    /// Status and body of an answer.
    pub(crate) async fn call(&self, operation: &str, body: &str) -> Result<(u16, String), String> {
        match self {
            Self::InProcess(fake) => {
                let reply = fake.call(operation, body).await.map_err(|broken| broken.to_string())?;
                Ok((reply.status, reply.body))
            }
            Self::Remote(remote) => remote.call(operation, body).await,
        }
    }

    /// The service's time.
    pub(crate) fn now(&self) -> SystemTime {
        match self {
            Self::InProcess(fake) => fake.clock().now(),
            Self::Remote(_) => kinesis_core::Clock::now(&kinesis_core::SystemClock),
        }
    }

    /// Waits until no stream changes, where that takes time.
    pub(crate) async fn settle(&self) {
        if let Self::Remote(remote) = self
            && remote.settles
        {
            remote.settle().await;
        }
    }
}

impl Remote {
    pub(crate) const fn new(address: SocketAddr) -> Self {
        Self { address, tls: None, settles: false }
    }

    /// Waits after each call until every stream is ACTIVE.
    pub(crate) const fn settling(mut self) -> Self {
        self.settles = true;
        self
    }

    /// Speaks TLS, and trusts one certificate.
    pub(crate) fn tls(mut self, pem: &str) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM");
        roots.add(certificate).expect("a certificate that can be trusted");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_root_certificates(roots)
            .with_no_client_auth();
        self.tls = Some(TlsConnector::from(Arc::new(config)));
        self
    }

    async fn call(&self, operation: &str, body: &str) -> Result<(u16, String), String> {
        let called = timeout(PATIENCE, self.exchange(operation, body)).await;
        called.map_err(|_| "no answer".to_owned())?
    }

    async fn exchange(&self, operation: &str, body: &str) -> Result<(u16, String), String> {
        let stream = TcpStream::connect(self.address).await.map_err(|error| error.to_string())?;
        let request = request(operation, body);
        let answer = match &self.tls {
            None => exchange(stream, &request).await,
            Some(tls) => {
                let name = ServerName::from(self.address.ip());
                let stream = tls.connect(name, stream).await.map_err(|error| error.to_string())?;
                exchange(stream, &request).await
            }
        };
        read(&answer.map_err(|error| error.to_string())?)
    }

    async fn settle(&self) {
        let active = async {
            for name in self.streams().await {
                let body = json!({ "StreamName": name }).to_string();
                loop {
                    let Ok((200, reply)) = self.call("DescribeStream", &body).await else { break };
                    if !["CREATING", "UPDATING", "DELETING"].iter().any(|state| reply.contains(state)) {
                        break;
                    }
                    sleep(POLL).await;
                }
            }
        };
        // What does not settle shows in what comes next.
        let _ = timeout(SETTLING, active).await;
    }

    async fn streams(&self) -> Vec<String> {
        let reply = self.call("ListStreams", "{}").await.map(|(_, body)| body).unwrap_or_default();
        let reply: Value = serde_json::from_str(&reply).unwrap_or_default();
        let names = reply["StreamNames"].as_array().cloned().unwrap_or_default();
        names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
    }

    /// Deletes all streams; an error where some stay.
    pub(crate) async fn empty(&self) -> Result<(), String> {
        let emptied = async {
            loop {
                let streams = self.streams().await;
                if streams.is_empty() {
                    return;
                }
                for name in streams {
                    let body = json!({ "StreamName": name, "EnforceConsumerDeletion": true });
                    // One that is being deleted is refused.
                    let _ = self.call("DeleteStream", &body.to_string()).await;
                }
                sleep(POLL).await;
            }
        };
        timeout(SETTLING, emptied).await.map_err(|_| "it keeps streams that were deleted".to_owned())
    }
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        // A connection under TLS that is closed without ceremony.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(answer),
    }
}

fn request(operation: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST / HTTP/1.1\r\nhost: kinesis\r\nconnection: close\r\ncontent-length: {length}\r\ncontent-type: \
         application/x-amz-json-1.1\r\nx-amz-target: Kinesis_20131202.{operation}\r\nx-amz-date: \
         20260101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{body}"
    )
    .into_bytes()
}

fn read(answer: &[u8]) -> Result<(u16, String), String> {
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or("no head")?;
    let head = String::from_utf8_lossy(&answer[..at]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    let body = &answer[at + 4..];
    let body = if head.contains("transfer-encoding: chunked") { dechunked(body)? } else { body.to_vec() };
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn dechunked(mut body: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        let line = body.windows(2).position(|it| it == b"\r\n").ok_or("a chunk without a length")?;
        let size = std::str::from_utf8(&body[..line]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let chunk = body.get(line + 2..line + 2 + size.ok_or("a length that is none")?).ok_or("a chunk that is cut")?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes.extend_from_slice(chunk);
        body = &body[line + 2 + chunk.len() + 2..];
    }
}
