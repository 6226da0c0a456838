//! Credentials: which provider the configuration names, the provider itself, and the cache in front of it.

mod auto;
mod basic;
mod cache;
mod chain;
mod configured;
mod custom;
mod error;
mod keys;
mod lookup;
mod profile;
mod refresh;
mod role;
mod signing;
mod source;
mod sts;

pub use basic::BasicCredentials;
pub(crate) use configured::ConfiguredCredentials;
pub use custom::CustomCredentials;
pub use error::{CredentialsError, CredentialsErrorKind, TriedProvider};
pub use role::{AssumeRole, WebIdentityToken};
pub(crate) use signing::Signer;
pub use source::CredentialsSource;
