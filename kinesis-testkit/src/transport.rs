//! The ways to the service.

mod body;
pub(crate) mod in_process;
mod server;

pub use server::{BindError, Server};
