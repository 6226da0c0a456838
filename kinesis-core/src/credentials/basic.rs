//! Static keys, kept out of every message.

use std::fmt;

use aws_credential_types::Credentials;

/// An access key id and its secret key.
///
/// `Debug` shows the last four characters of the id, where it is long enough not to give it away, and nothing of the
/// secret or the token.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

impl BasicCredentials {
    /// Keeps a pair of keys; they are not checked.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self { access_key_id: access_key_id.into(), secret_access_key: secret_access_key.into(), session_token: None }
    }

    /// Adds the token of temporary keys, for which the reference connector has no key.
    pub fn session_token(mut self, token: impl Into<String>) -> Self {
        self.session_token = Some(token.into());
        self
    }

    pub(crate) const fn is_incomplete(&self) -> bool {
        self.access_key_id.is_empty() || self.secret_access_key.is_empty()
    }

    pub(super) fn to_sdk(&self) -> Credentials {
        Credentials::new(&self.access_key_id, &self.secret_access_key, self.session_token.clone(), None, "BASIC")
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCredentials")
            .field("access_key_id", &shortened(&self.access_key_id))
            .field("secret_access_key", &"<redacted>")
            .field("session_token", &self.session_token.as_ref().map(|_| "<redacted>"))
            .finish()
    }
}

/// The last four characters of a text of at least 16, which is the shortest that AWS issues (IAM API reference).
fn shortened(id: &str) -> String {
    const SHORTEST_ID: usize = 16;
    let count = id.chars().count();
    let hidden = if count < SHORTEST_ID { count } else { count - 4 };
    format!("…{}", id.chars().skip(hidden).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_id_is_shown() {
        assert_eq!(shortened("AKIAIOSFODNN7EXAMPLE"), "…MPLE");
        assert_eq!(shortened("short"), "…");
        assert_eq!(shortened("ééééééééééééééééab"), "…ééab");
    }
}
