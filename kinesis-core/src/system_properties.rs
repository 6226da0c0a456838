//! Properties of the process, where a program on the JVM has system properties.
//!
//! Rust has no such table, so this is one: process-wide, empty at the start, filled by the program. The credentials
//! provider `SYS_PROP` reads [`ACCESS_KEY_ID`], [`SECRET_ACCESS_KEY`] and [`SESSION_TOKEN`] from it, and
//! `WEB_IDENTITY_TOKEN` reads [`ROLE_ARN`], [`ROLE_SESSION_NAME`] and [`WEB_IDENTITY_TOKEN_FILE`].
//!
//! A program that should take `-Dkey=value` as `java` does gives its arguments to [`take_arguments`] first. Arguments are
//! visible to every user of the machine; a secret is better set with [`set`].
//!
//! ```
//! use kinesis_core::system_properties;
//!
//! let rest = system_properties::take_arguments(["-Daws.accessKeyId=id", "orders"].map(String::from));
//! assert_eq!(rest, ["orders"]);
//! assert_eq!(system_properties::get(system_properties::ACCESS_KEY_ID).as_deref(), Some("id"));
//! # system_properties::remove(system_properties::ACCESS_KEY_ID);
//! ```
//!
//! There is no listing, and so nothing that could print the whole table.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// The access key id.
pub const ACCESS_KEY_ID: &str = "aws.accessKeyId";

/// The secret access key.
pub const SECRET_ACCESS_KEY: &str = "aws.secretAccessKey";

/// The secret access key as version 1 of the AWS SDK for Java called it; read where [`SECRET_ACCESS_KEY`] is not set.
pub const SECRET_KEY: &str = "aws.secretKey";

/// The session token of temporary keys.
pub const SESSION_TOKEN: &str = "aws.sessionToken";

/// The role of `WEB_IDENTITY_TOKEN`.
pub const ROLE_ARN: &str = "aws.roleArn";

/// The session name of `WEB_IDENTITY_TOKEN`.
pub const ROLE_SESSION_NAME: &str = "aws.roleSessionName";

/// The token file of `WEB_IDENTITY_TOKEN`.
pub const WEB_IDENTITY_TOKEN_FILE: &str = "aws.webIdentityTokenFile";

static TABLE: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Sets a property for the whole process and returns the value that it had.
pub fn set(key: impl Into<String>, value: impl Into<String>) -> Option<String> {
    let (key, value) = (key.into(), value.into());
    TABLE.lock().insert(key, value)
}

/// The value of a property.
pub fn get(key: &str) -> Option<String> {
    TABLE.lock().get(key).cloned()
}

/// Removes a property and returns its value.
pub fn remove(key: &str) -> Option<String> {
    TABLE.lock().remove(key)
}

/// Sets a property for each `-Dkey=value` and returns the other arguments, in their order.
///
/// `-Dkey` alone sets an empty value, and the last of several wins, both as `java` does. `-D` and `-D=value` have no key
/// and stay; so does everything from `--` on.
pub fn take_arguments(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut rest = Vec::new();
    let mut is_open = true;
    for argument in arguments {
        is_open &= argument != "--";
        match property(&argument).filter(|_| is_open) {
            Some((key, value)) => drop(set(key, value)),
            None => rest.push(argument),
        }
    }
    rest
}

fn property(argument: &str) -> Option<(&str, &str)> {
    let text = argument.strip_prefix("-D")?;
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (!key.is_empty()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_is_set_read_and_removed() {
        assert_eq!(get("test.once"), None);
        assert_eq!(set("test.once", "1"), None);
        assert_eq!(set("test.once", "2"), Some("1".into()));
        assert_eq!(get("test.once"), Some("2".into()));
        assert_eq!(remove("test.once"), Some("2".into()));
        assert_eq!((remove("test.once"), get("test.once")), (None, None));
    }

    #[test]
    fn arguments_are_taken_as_java_takes_them() {
        let arguments = [
            "run",
            "-Dtest.a=1",
            "--verbose",
            "-Dtest.a=2",
            "-Dtest.b=x=y",
            "-Dtest.c",
            "-D",
            "-D=z",
            "--",
            "-Dtest.d=1",
        ];
        let rest = take_arguments(arguments.map(String::from));
        assert_eq!(rest, ["run", "--verbose", "-D", "-D=z", "--", "-Dtest.d=1"]);
        let values = ["test.a", "test.b", "test.c", "test.d"].map(get);
        assert_eq!(values, [Some("2".into()), Some("x=y".into()), Some(String::new()), None]);
    }
}
