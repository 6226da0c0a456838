//! From a request in HTTP's terms to its answer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, DATE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::timeout;

use super::body::ReplyBody;
use super::headers::{extended_request_id, http_date};
use super::in_process::{content_type, cut_before_body, stalls_before_body};
use crate::faults::{BodyShape, parse_amazon_date};
use crate::protocol::{Format, Signature, Wire};
use crate::service::{Answer, Service};

/// The largest body that is read: 10 MiB of records are 14 MB of base64, and keys and JSON come on top.
const MAX_BODY_BYTES: usize = 24 * 1024 * 1024;
/// The most bytes of bodies that are read at once, of all connections together.
const MAX_BUFFERED_BYTES: usize = 512 * 1024 * 1024;
/// The most of a body that room is made for before it is there.
const FIRST_CAPACITY: usize = 64 * 1024;

/// What answers the requests of all connections.
#[derive(Debug)]
pub(super) struct Responder {
    service: Arc<Service>,
    body_timeout: Duration,
    buffered: AtomicUsize,
}

/// Why a body was not read.
enum Unread {
    TooLarge,
    TooSlow,
    /// The bodies of other calls take up all there is.
    NoRoom,
    Broken,
}

/// The bytes of a body that count as buffered, for as long as this lives.
struct Room<'a> {
    buffered: &'a AtomicUsize,
    bytes: usize,
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), Unread> {
        self.bytes += bytes;
        let before = self.buffered.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > MAX_BUFFERED_BYTES { Err(Unread::NoRoom) } else { Ok(()) }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.buffered.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Responder {
    pub(super) fn new(service: Arc<Service>, body_timeout: Duration) -> Self {
        Self { service, body_timeout, buffered: AtomicUsize::new(0) }
    }

    /// Answers a request; an error breaks the connection.
    pub(super) async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<ReplyBody>, io::Error> {
        if request.method() == Method::GET && request.uri().path() == "/health" {
            return Ok(health());
        }
        let format = match readable(&request) {
            Ok(format) => format,
            Err((status, body)) => return Ok(self.plain(status, "text/xml", body)),
        };
        let (parts, body) = request.into_parts();
        let mut room = Room { buffered: &self.buffered, bytes: 0 };
        let body = match timeout(self.body_timeout, read(body, &mut room)).await {
            Ok(Ok(body)) => body,
            Ok(Err(Unread::Broken)) => return Err(io::ErrorKind::ConnectionReset.into()),
            Ok(Err(unread)) => return Ok(self.unread(&unread, format)),
            Err(_) => return Ok(self.unread(&Unread::TooSlow, format)),
        };
        let signed_at = parse_amazon_date(header(&parts.headers, "x-amz-date"));
        let call = self.service.read(header(&parts.headers, "x-amz-target"), format, &body, signature(&parts, &body));
        drop(body);
        drop(room);
        match self.service.answer_signed(call, signed_at).await {
            Answer::Reply(reply) if cut_before_body(&reply) => {
                Err(io::Error::new(io::ErrorKind::ConnectionReset, "no byte of the body to cut off"))
            }
            Answer::Reply(reply) if stalls_before_body(&reply) => std::future::pending().await,
            Answer::Reply(mut reply) => {
                let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let (content_type, body) = (content_type(&reply), ReplyBody::from(&mut reply));
                Ok(response(status, content_type, body, &reply.request_id, reply.served_at))
            }
            Answer::Broken(reason) => Err(io::Error::new(io::ErrorKind::ConnectionReset, reason)),
            Answer::Silence => std::future::pending().await,
        }
    }

    fn unread(&self, unread: &Unread, format: Format) -> Response<ReplyBody> {
        let status = match unread {
            Unread::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Unread::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Unread::NoRoom | Unread::Broken => StatusCode::SERVICE_UNAVAILABLE,
        };
        self.plain(status, format.content_type(), "")
    }

    /// An answer to what is no call of the API.
    fn plain(&self, status: StatusCode, content_type: &'static str, body: &'static str) -> Response<ReplyBody> {
        let request_id = self.service.request_id().to_string();
        tracing::info!(status = status.as_u16(), %request_id, "no call");
        let body = ReplyBody::new(body, BodyShape::Whole);
        response(status, content_type, body, &request_id, self.service.clock.now())
    }
}

/// An answer of the server's own: it draws no request id, so that asking changes nothing for others.
fn health() -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::new("{\"status\":\"ok\"}", BodyShape::Whole));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The format of a call; or the answer to what is none, which is the service's (recorded in kinesalite, `index.js`).
fn readable(request: &Request<Incoming>) -> Result<Format, (StatusCode, &'static str)> {
    if request.method() != Method::POST || header(request.headers(), "x-amz-target").is_empty() {
        let body = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be \
                    authorized</Message>\n</AccessDeniedException>\n";
        return Err((StatusCode::FORBIDDEN, body));
    }
    Format::of_content_type(header(request.headers(), "content-type"))
        .ok_or((StatusCode::NOT_FOUND, "<UnknownOperationException/>\n"))
}

async fn read(mut body: Incoming, room: &mut Room<'_>) -> Result<Bytes, Unread> {
    let announced = body.size_hint().lower();
    if announced > MAX_BODY_BYTES as u64 {
        return Err(Unread::TooLarge);
    }
    let mut bytes = BytesMut::with_capacity(FIRST_CAPACITY.min(announced as usize));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_BODY_BYTES {
            return Err(Unread::TooLarge);
        }
        room.take(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn signature<'a>(parts: &'a Parts, body: &'a [u8]) -> Signature<'a> {
    let is_there = |name| parts.headers.contains_key(name);
    Signature {
        authorization: is_there("authorization").then(|| header(&parts.headers, "authorization")),
        dated: is_there("x-amz-date") || is_there("date"),
        query: parts.uri.query(),
        wire: Some(Wire {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            authority: parts.uri.authority().map(hyper::http::uri::Authority::as_str),
            headers: &parts.headers,
            body,
        }),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn response(
    status: StatusCode,
    content_type: &'static str,
    body: ReplyBody,
    request_id: &str,
    served_at: SystemTime,
) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let made = [
        ("x-amzn-requestid", HeaderValue::try_from(request_id)),
        ("x-amz-id-2", HeaderValue::try_from(extended_request_id(request_id))),
        (DATE.as_str(), HeaderValue::try_from(http_date(served_at))),
    ];
    for (name, value) in made {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_what_room_there_is() {
        let buffered = AtomicUsize::new(0);
        let mut first = Room { buffered: &buffered, bytes: 0 };
        assert!(first.take(MAX_BUFFERED_BYTES - 10).is_ok());
        let mut second = Room { buffered: &buffered, bytes: 0 };
        assert!(second.take(10).is_ok());
        assert!(matches!(second.take(1), Err(Unread::NoRoom)));
        drop(first);
        assert!(second.take(1).is_ok());
        drop(second);
        assert_eq!(buffered.load(Ordering::Relaxed), 0);
    }
}
