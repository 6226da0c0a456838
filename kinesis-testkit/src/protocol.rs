//! The JSON 1.1 protocol: bytes in, an engine call, bytes out.

mod apply;
mod authentication;
mod constraints;
mod errors;
mod input;
mod json;
mod model;
mod request;
mod text;
mod types;

pub(crate) use apply::{Reply, apply};
pub(crate) use authentication::Signature;
pub(crate) use errors::error_body;
pub(crate) use request::{Call, Request};
