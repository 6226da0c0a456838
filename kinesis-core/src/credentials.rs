//! Credentials: which provider the configuration names, and the provider itself.

mod basic;
mod chain;
mod source;

pub use basic::BasicCredentials;
pub use source::CredentialsSource;
