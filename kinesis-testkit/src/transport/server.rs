//! The service over HTTP/1.1, for programs in other processes and languages.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE as CONTENT_TYPE_HEADER, DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::body::ReplyBody;
use super::in_process::{CONTENT_TYPE, cut_before_body, http_date, stalls_before_body};
use crate::fake::FakeKinesis;
use crate::faults::parse_amazon_date;
use crate::protocol::Signature;
use crate::service::{Answer, HttpReply, Service};

/// The largest body that is read: 10 MiB of records are 14 MB of base64, and keys and JSON come on top.
const MAX_BODY_BYTES: usize = 24 * 1024 * 1024;
/// How long calls in flight may take to end when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// How long the server waits after a connection could not be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A fake that listens on a socket.
///
/// It speaks the JSON 1.1 protocol over plain HTTP/1.1 and wants requests to be signed, but verifies no signature. `GET /health` answers when it is up.
#[derive(Debug)]
pub struct Server {
    service: Arc<Service>,
    listener: TcpListener,
    local_addr: SocketAddr,
}

/// An address that the server cannot listen on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
#[non_exhaustive]
pub struct BindError {
    /// The address that was asked for.
    pub address: String,
    /// What the operating system says.
    #[source]
    pub source: io::Error,
}

impl Server {
    /// Listens on an address; port 0 takes any that is free.
    ///
    /// Cancel safety: a cancelled call listens on nothing.
    ///
    /// # Errors
    /// [`BindError`] where the address is in use, is not this machine's or may not be used; a retry can succeed once
    /// the address is free.
    pub async fn bind(fake: &FakeKinesis, address: impl ToSocketAddrs + ToString) -> Result<Self, BindError> {
        let text = address.to_string();
        let listen = async {
            let listener = TcpListener::bind(address).await?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr))
        };
        let (listener, local_addr) = listen.await.map_err(|source| BindError { address: text, source })?;
        Ok(Self { service: Arc::clone(&fake.service), listener, local_addr })
    }

    /// The address that the server listens on.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The endpoint URL for a client's configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// Serves until `shutdown` is done; then calls in flight have one second to end.
    ///
    /// Cancel safety: a cancelled call drops all connections at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(Arc::clone(&self.service), stream, stopped.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        drop(stop);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, drained).await.is_err() {
            connections.shutdown().await;
        }
    }
}

async fn connection(service: Arc<Service>, stream: TcpStream, mut stopped: watch::Receiver<()>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let handler = service_fn(|request| respond(Arc::clone(&service), request));
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), handler));
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        // The sender only ever goes away.
        _ = stopped.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Answers a request; an error breaks the connection.
async fn respond(service: Arc<Service>, request: Request<Incoming>) -> Result<Response<ReplyBody>, io::Error> {
    if request.method() == Method::GET && request.uri().path() == "/health" {
        return Ok(plain(StatusCode::OK, "application/json", "{\"status\":\"ok\"}"));
    }
    if let Some(refusal) = refuse_early(&request) {
        return Ok(refusal);
    }
    let head = Head::of(&request);
    let signed_at = parse_amazon_date(header(&request, "x-amz-date"));
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, CONTENT_TYPE, ""));
    };
    let signature =
        Signature { authorization: head.authorization.as_deref(), dated: head.dated, query: head.query.as_deref() };
    let call = service.read(&head.target, &body.to_bytes(), signature);
    match service.answer_signed(call, signed_at).await {
        Answer::Reply(reply) if cut_before_body(&reply) => {
            Err(io::Error::new(io::ErrorKind::ConnectionReset, "no byte of the body to cut off"))
        }
        Answer::Reply(reply) if stalls_before_body(&reply) => std::future::pending().await,
        Answer::Reply(reply) => Ok(response(reply)),
        Answer::Broken(reason) => Err(io::Error::new(io::ErrorKind::ConnectionReset, reason)),
        Answer::Silence => std::future::pending().await,
    }
}

/// What is needed of a request once its body is read.
struct Head {
    target: String,
    authorization: Option<String>,
    dated: bool,
    query: Option<String>,
}

impl Head {
    fn of(request: &Request<Incoming>) -> Self {
        let is_there = |name| request.headers().contains_key(name);
        Self {
            target: header(request, "x-amz-target").to_owned(),
            authorization: is_there("authorization").then(|| header(request, "authorization").to_owned()),
            dated: is_there("x-amz-date") || is_there("date"),
            query: request.uri().query().map(str::to_owned),
        }
    }
}

fn header<'a>(request: &'a Request<Incoming>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What is no call of this protocol, answered as the service does (recorded in kinesalite, `index.js`).
fn refuse_early(request: &Request<Incoming>) -> Option<Response<ReplyBody>> {
    if request.method() != Method::POST || header(request, "x-amz-target").is_empty() {
        let body = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
                    authorized</Message>\n</AccessDeniedException>\n";
        return Some(plain(StatusCode::FORBIDDEN, "text/xml", body));
    }
    let content_type = header(request, "content-type").split(';').next().unwrap_or_default().trim();
    if content_type != CONTENT_TYPE {
        return Some(plain(StatusCode::NOT_FOUND, "text/xml", "<UnknownOperationException/>\n"));
    }
    None
}

fn plain(status: StatusCode, content_type: &'static str, body: &'static str) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(content_type));
    response
}

fn response(reply: HttpReply) -> Response<ReplyBody> {
    let date = http_date(&reply);
    let mut response = Response::new(ReplyBody::new(reply.body, reply.shape));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(CONTENT_TYPE));
    if let Ok(id) = HeaderValue::try_from(reply.request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Ok(date) = HeaderValue::try_from(date) {
        headers.insert(DATE, date);
    }
    response
}
