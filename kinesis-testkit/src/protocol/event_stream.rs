//! The frames of an event stream (`application/vnd.amazon.eventstream`).

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;

use super::format::Format;
use crate::engine::{PushedEvent, ServiceError};

/// The media type of a reply that is an event stream.
pub(crate) const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

/// The frame that comes first; botocore refuses a stream without it.
pub(crate) fn initial_response(format: Format) -> Bytes {
    let headers = [(":message-type", "event".to_owned()), (":event-type", "initial-response".to_owned())];
    frame(headers, format, format.nothing())
}

/// The frame of an event.
pub(crate) fn event(format: Format, event: &PushedEvent) -> Bytes {
    let headers = [(":message-type", "event".to_owned()), (":event-type", "SubscribeToShardEvent".to_owned())];
    frame(headers, format, format.event(event))
}

/// The frame of an error, which is the last one.
pub(crate) fn exception(format: Format, error: &ServiceError) -> Bytes {
    let headers = [(":message-type", "exception".to_owned()), (":exception-type", error.code().to_owned())];
    frame(headers, format, format.error(error))
}

fn frame(headers: [(&'static str, String); 2], format: Format, payload: Bytes) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 160);
    let message = headers.into_iter().fold(Message::new(payload), |message, (name, value)| {
        message.add_header(Header::new(name, HeaderValue::String(value.into())))
    });
    let message = message.add_header(Header::new(":content-type", HeaderValue::String(format.content_type().into())));
    let written = write_message_to(&message, &mut frame);
    // Only lengths that do not fit their fields are refused: a header of 64 KiB, a payload of 4 GiB.
    debug_assert!(written.is_ok(), "{written:?}");
    frame.into()
}

#[cfg(test)]
mod tests {
    use aws_smithy_eventstream::frame::read_message_from;

    use super::*;

    fn read(frame: Bytes) -> (Vec<(String, String)>, String) {
        let message = read_message_from(frame).unwrap();
        let text = |header: &Header| header.value().as_string().unwrap().as_str().to_owned();
        let headers = message.headers().iter().map(|header| (header.name().as_str().to_owned(), text(header)));
        (headers.collect(), String::from_utf8(message.payload().to_vec()).unwrap())
    }

    fn headers(kind: [&str; 3]) -> Vec<(String, String)> {
        let [message_type, name, value] = kind;
        let all = [(":message-type", message_type), (name, value), (":content-type", "application/x-amz-json-1.1")];
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    #[test]
    fn frames_have_the_headers_that_clients_look_for() {
        let (initial, payload) = read(initial_response(Format::Json));
        assert_eq!((initial, payload.as_str()), (headers(["event", ":event-type", "initial-response"]), "{}"));
        let pushed =
            PushedEvent { records: Vec::new(), continuation: None, millis_behind_latest: 7, child_shards: Vec::new() };
        let (event, payload) = read(event(Format::Json, &pushed));
        assert_eq!(event, headers(["event", ":event-type", "SubscribeToShardEvent"]));
        assert_eq!(payload, r#"{"Records":[],"MillisBehindLatest":7}"#);
        let (error, payload) = read(exception(Format::Json, &ServiceError::in_use("Taken.")));
        assert_eq!(error, headers(["exception", ":exception-type", "ResourceInUseException"]));
        assert_eq!(payload, r#"{"__type":"ResourceInUseException","message":"Taken."}"#);
    }
}
