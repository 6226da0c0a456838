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
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::date_time::Format;
use kinesis_core::unix_millis;

use super::body::ReplyBody;
use crate::faults::{BodyShape, parse_amazon_date};
use crate::protocol::Signature;
use crate::service::{Answer, HttpReply, Service};

/// The media type of the protocol.
pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

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
            };
            let call = service.read(header("x-amz-target").unwrap_or_default(), body, signature);
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
    reply.body.is_empty() && matches!(reply.shape, BodyShape::Cut { .. })
}

/// Whether a body that is empty is to stall, which leaves only the headers to keep back.
pub(crate) fn stalls_before_body(reply: &HttpReply) -> bool {
    reply.body.is_empty() && matches!(reply.shape, BodyShape::Stall { .. })
}

fn response(reply: HttpReply) -> Result<HttpResponse, ConnectorError> {
    let status = StatusCode::try_from(reply.status).map_err(|error| ConnectorError::user(error.into()))?;
    let date = http_date(&reply);
    let body = match reply.shape {
        // In memory, so that the SDK does not collect it once more.
        BodyShape::Whole => SdkBody::from(reply.body),
        shape => SdkBody::from_body_1_x(ReplyBody::new(reply.body, shape)),
    };
    let mut response = HttpResponse::new(status, body);
    let headers = response.headers_mut();
    headers.insert("content-type", CONTENT_TYPE);
    headers.insert("x-amzn-requestid", reply.request_id);
    headers.insert("date", date);
    Ok(response)
}

/// When the reply was made, in whole seconds, as HTTP's `Date` has it.
pub(crate) fn http_date(reply: &HttpReply) -> String {
    let secs = i64::try_from(unix_millis(reply.served_at) / 1000).unwrap_or(i64::MAX);
    DateTime::from_secs(secs).fmt(Format::HttpDate).unwrap_or_default()
}
