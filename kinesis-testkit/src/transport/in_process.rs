//! The SDK's HTTP client without HTTP: a call goes straight to the service.

use std::io;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::body::ReplyBody;
use super::headers::{extended_request_id, http_date};
use crate::faults::{BodyShape, parse_amazon_date};
use crate::protocol::{EVENT_STREAM, Format, Signature};
use crate::service::{Answer, HttpReply, Service};

/// Connects an SDK client with the service in the same process.
#[derive(Clone, Debug)]
pub(crate) struct InProcess(pub(crate) Arc<Service>);

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let service = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let header = |name| request.headers().get(name);
            let Some(body) = request.body().bytes() else {
                return Err(ConnectorError::user("the body of the request is a stream, not bytes".into()));
            };
            let signature = Signature {
                authorization: header("authorization"),
                dated: header("x-amz-date").or_else(|| header("date")).is_some(),
                query: request.uri().split_once('?').map(|(_, query)| query),
                wire: None,
            };
            let format = header("content-type").and_then(Format::of_content_type).unwrap_or_default();
            let call = service.read(header("x-amz-target").unwrap_or_default(), format, body, signature);
            let signed_at = header("x-amz-date").and_then(parse_amazon_date);
            drop(request);
            match service.answer_signed(call, signed_at).await {
                Answer::Reply(reply) if cut_before_body(&reply) => Err(broken("no byte of the body to cut off")),
                Answer::Reply(reply) if stalls_before_body(&reply) => std::future::pending().await,
                Answer::Reply(reply) => response(reply),
                Answer::Broken(reason) => Err(broken(reason)),
                Answer::Silence => std::future::pending().await,
            }
        })
    }
}

fn broken(reason: &'static str) -> ConnectorError {
    ConnectorError::io(io::Error::new(io::ErrorKind::ConnectionReset, reason).into())
}

/// Whether the connection is to break within a body that is empty, which leaves only the headers to lose.
pub(crate) fn cut_before_body(reply: &HttpReply) -> bool {
    reply.events.is_none() && reply.body.is_empty() && matches!(reply.shape, BodyShape::Cut { .. })
}

/// Whether a body that is empty is to stall, which leaves only the headers to keep back.
pub(crate) fn stalls_before_body(reply: &HttpReply) -> bool {
    reply.events.is_none() && reply.body.is_empty() && matches!(reply.shape, BodyShape::Stall { .. })
}

/// The media type of a reply.
pub(crate) const fn content_type(reply: &HttpReply) -> &'static str {
    if reply.events.is_some() { EVENT_STREAM } else { reply.format.content_type() }
}

fn response(mut reply: HttpReply) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(reply.status).map_err(|error| ConnectorError::user(error.into()))?;
    let (date, content_type) = (http_date(reply.served_at), content_type(&reply));
    let body = match (&reply.events, reply.shape) {
        // In memory, so that the SDK does not collect it once more.
        (None, BodyShape::Whole) => SdkBody::from(reply.body),
        _ => SdkBody::from_body_1_x(ReplyBody::from(&mut reply)),
    };
    let mut response = HttpResponse::new(status, body);
    let headers = response.headers_mut();
    headers.insert("content-type", content_type);
    headers.insert("x-amz-id-2", extended_request_id(&reply.request_id));
    headers.insert("x-amzn-requestid", reply.request_id);
    headers.insert("date", date);
    Ok(response)
}
