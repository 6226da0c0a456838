//! The ways to the service.

pub(crate) mod in_process;
mod server;

pub use server::{BindError, Server};
