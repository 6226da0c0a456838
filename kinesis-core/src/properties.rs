//! Configuration as the ordered string map that the reference connector's users write.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

mod java;

pub use java::PropertiesFileError;

use crate::redaction::{REDACTED, holds_password};

/// An ordered map of configuration keys and values, all strings.
///
/// Its `Debug` output hides the values of keys that look secret.
///
/// ```
/// use kinesis_core::{Properties, aws_config_constants::AWS_REGION};
///
/// let properties = Properties::from([(AWS_REGION, "eu-west-1"), ("flink.stream.initpos", "TRIM_HORIZON")]);
/// assert_eq!(properties.get(AWS_REGION), Some("eu-west-1"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Makes an empty map.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether the key is there, also with an empty value.
    pub fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Sets a key and returns the value that it had.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<String>) -> Option<String> {
        self.0.insert(key.into(), value.into())
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// The pairs, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Properties {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(key, value)| (key.into(), value.into())));
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Properties {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<BTreeMap<String, String>> for Properties {
    fn from(map: BTreeMap<String, String>) -> Self {
        Self(map)
    }
}

impl From<HashMap<String, String>> for Properties {
    fn from(map: HashMap<String, String>) -> Self {
        map.into_iter().collect()
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (key, printable(key, value)))).finish()
    }
}

/// The value of a key as it may appear in a message.
pub(crate) fn printable<'a>(key: &str, value: &'a str) -> &'a str {
    if is_secret(key) || holds_password(value) { REDACTED } else { value }
}

/// Whether a key's value must never be shown; errs on the side of hiding.
fn is_secret(key: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        "secretkey",
        "secretaccesskey",
        "accesskeyid",
        "externalid",
        "token",
        "password",
        "passwd",
        "credential",
        "apikey",
    ];
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    plain.contains("secret") || ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_password_is_not_shown() {
        let properties =
            Properties::from([("aws.endpoint", "http://me:pw@localhost:4567/x"), ("b", "me:pw@host"), ("a", "b@c")]);
        let shown = r#"{"a": "b@c", "aws.endpoint": "<redacted>", "b": "<redacted>"}"#;
        assert_eq!(format!("{properties:?}"), shown);
    }

    #[test]
    fn keys_come_in_order() {
        let properties = Properties::from([("b", "2"), ("a", "1")]);
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(properties.get("c"), None);
    }

    #[test]
    fn debug_hides_what_looks_secret_and_shows_the_rest() {
        const CANARY: &str = "canary-4f1e";
        let hidden = [
            "aws.credentials.provider.basic.secretkey",
            "aws.credentials.provider.role.provider.basic.secretkey",
            "aws.secretAccessKey",
            "aws.sessionToken",
            "AWS_SESSION_TOKEN",
            "my.db.password",
            "proxy-passwd",
            "my.client_secret.value",
            "aws.credentials.provider.basic.accesskeyid",
            "aws.credentials.provider.role.externalId",
        ];
        let properties: Properties = hidden.into_iter().map(|key| (key, CANARY)).collect();
        let shown = format!("{properties:?} {properties:#?}");
        assert!(!shown.contains(CANARY), "{shown}");
        assert!(shown.contains("aws.sessionToken"), "{shown}");
        assert_eq!(format!("{:?}", Properties::from([("aws.region", "us-east-1")])), r#"{"aws.region": "us-east-1"}"#);
    }
}
