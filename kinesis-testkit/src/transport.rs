//! The ways to the service.

mod body;
mod connection;
mod events;
mod headers;
pub(crate) mod in_process;
mod respond;
mod server;
mod tls;

pub use server::{BindError, Server, ServerBuilder};
