//! The JSON 1.1 protocol: bytes in, an engine call, bytes out.

mod apply;
mod errors;
mod input;
mod json;
mod operations;
mod request;
mod validation;

pub(crate) use apply::{Reply, apply};
pub(crate) use errors::error_body;
pub use operations::Operation;
pub(crate) use operations::TARGET_PREFIX;
pub(crate) use request::{Call, Request};
