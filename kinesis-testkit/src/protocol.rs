//! The protocols JSON 1.1 and CBOR 1.1: bytes in, an engine call, bytes out.

mod apply;
mod authentication;
mod cbor;
mod constraints;
mod errors;
mod event_stream;
mod format;
mod input;
mod json;
mod model;
mod request;
mod sigv4;
mod text;
mod types;

pub(crate) use apply::{Reply, apply};
pub(crate) use authentication::Signature;
pub(crate) use event_stream::{
    EVENT_STREAM, event as event_frame, exception as exception_frame, initial_response as initial_response_frame,
};
pub(crate) use format::Format;
pub(crate) use request::{Call, Request};
pub(crate) use sigv4::{AccessKeys, Wire};
