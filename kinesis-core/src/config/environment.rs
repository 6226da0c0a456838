//! Configuration out of the environment.

use std::ffi::OsString;

use crate::config::aws_config_constants::AWS_CREDENTIALS_PROVIDER;
use crate::config::consumer_config_constants::EFO_CONSUMER_ARN_PREFIX;
use crate::config::error::{ConfigErrors, Problems};
use crate::config::keys;
use crate::properties::Properties;

/// What a variable's name may hold, for messages.
const NAME_SHAPE: &str = "upper-case letters, digits, `_` for a dot and `__` for a hyphen, none of them at an end";
/// Keys with capital letters that no table lists, since whatever starts as they do is accepted.
const OPEN_KEYS: [&str; 4] = [
    "aws.clientconfig.socketTimeout",
    "aws.clientconfig.requestTimeout",
    "aws.clientconfig.connectionTimeout",
    "aws.clientconfig.connectionMaxIdleMillis",
];
const NESTED_PROVIDER: &str = ".role.provider";

impl Properties {
    /// Reads the variables of the process's environment whose names start with a prefix, such as `KINESIS_`.
    ///
    /// Behind the prefix, `_` is a dot, `__` is a hyphen, and letters are lower-case, but for keys of the reference
    /// connector that have capitals: `KINESIS_FLINK_STREAM_INITPOS` is `flink.stream.initpos`,
    /// `KINESIS_SOURCE_SHARD_GET__RECORDS_MAX__RECORD__COUNT` is `source.shard.get-records.max-record-count`, and
    /// `KINESIS_AWS_CREDENTIALS_PROVIDER_ROLE_SESSIONNAME` is `aws.credentials.provider.role.sessionName`. Whether a key
    /// is known is judged by the config that is made of it. To let variables win over a file, extend the file's
    /// properties with them.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every variable whose name may mean several keys (three or more `_` in a row, lower-case
    /// letters, the ARN of a stream's fan-out consumer) or whose value is not UTF-8; a retry is pointless.
    pub fn from_env(prefix: &str) -> Result<Self, ConfigErrors> {
        Self::from_variables(prefix, std::env::vars_os())
    }

    /// Reads variables by the rules of [`Properties::from_env`].
    ///
    /// ```
    /// use kinesis_core::Properties;
    ///
    /// let properties = Properties::from_variables("APP_", [("APP_AWS_REGION", "eu-west-1"), ("HOME", "/root")])?;
    /// assert_eq!(properties.iter().collect::<Vec<_>>(), [("aws.region", "eu-west-1")]);
    /// # Ok::<(), kinesis_core::ConfigErrors>(())
    /// ```
    ///
    /// # Errors
    /// As [`Properties::from_env`].
    pub fn from_variables<N, V>(prefix: &str, variables: impl IntoIterator<Item = (N, V)>) -> Result<Self, ConfigErrors>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut problems = Problems::default();
        let mut properties = Self::new();
        for (name, value) in variables {
            let (name, value): (OsString, OsString) = (name.into(), value.into());
            let shown = name.to_string_lossy();
            let Some(rest) = shown.strip_prefix(prefix) else {
                continue;
            };
            match (key(rest), value.to_str()) {
                (Err(allowed), _) => problems.unreadable(&shown, allowed),
                (Ok(_), None) => problems.unreadable(&shown, "a value in UTF-8"),
                (Ok(key), Some(value)) => _ = properties.insert(key, value),
            }
        }
        problems.finish(properties)
    }
}

/// The key that a variable's name means; else what is allowed.
fn key(name: &str) -> Result<String, &'static str> {
    let is_allowed = |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == b'_';
    let is_plain = name.bytes().all(is_allowed) && !name.contains("___");
    if name.is_empty() || !is_plain || name.starts_with('_') || name.ends_with('_') {
        return Err(NAME_SHAPE);
    }
    let key = name.replace("__", "-").replace('_', ".").to_ascii_lowercase();
    if key.strip_prefix(EFO_CONSUMER_ARN_PREFIX).is_some_and(|stream| stream.starts_with('.')) {
        return Err("a properties file for this key, since a variable's name cannot tell a stream's");
    }
    Ok(with_capitals(key))
}

/// The known key of these letters, whatever their case.
fn with_capitals(key: String) -> String {
    if let Some((provider, suffix)) = split_nested(&key) {
        let top = format!("{AWS_CREDENTIALS_PROVIDER}{suffix}");
        let known = keys::known().find(|known| known.eq_ignore_ascii_case(&top)).unwrap_or(top);
        return format!("{provider}{}", &known[AWS_CREDENTIALS_PROVIDER.len()..]);
    }
    let open = OPEN_KEYS.into_iter().map(str::to_owned);
    keys::known().chain(open).find(|known| known.eq_ignore_ascii_case(&key)).unwrap_or(key)
}

/// A credentials key as its provider, nested or not, and the rest.
fn split_nested(key: &str) -> Option<(&str, &str)> {
    let mut rest = key.strip_prefix(AWS_CREDENTIALS_PROVIDER)?;
    while let Some(nested) = rest.strip_prefix(NESTED_PROVIDER) {
        rest = nested;
    }
    Some((&key[..key.len() - rest.len()], rest))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The variable that means a key.
    fn variable(key: &str) -> String {
        format!("KINESIS_{}", key.to_ascii_uppercase().replace('.', "_").replace('-', "__"))
    }

    fn keys_of(names: &[&str]) -> Result<Vec<String>, ConfigErrors> {
        let properties = Properties::from_variables("KINESIS_", names.iter().map(|name| (*name, "1")))?;
        Ok(properties.iter().map(|(key, _)| key.to_owned()).collect())
    }

    #[test]
    fn every_key_has_one_variable_and_every_variable_one_key() {
        let known: Vec<_> = keys::known().chain(OPEN_KEYS.map(str::to_owned)).collect();
        let variables: BTreeSet<_> = known.iter().map(|key| variable(key)).collect();
        assert_eq!(variables.len(), known.len());
        for key in known {
            assert_eq!(keys_of(&[&variable(&key)]), Ok(vec![key.clone()]), "{key}");
        }
    }

    #[test]
    fn keys_without_a_table_follow_the_rule() {
        for key in [
            "aws.credentials.provider.role.provider.role.sessionName",
            "aws.credentials.provider.role.provider.role.provider.webIdentityToken.file",
            "aws.clientconfig.gzip",
            "flink.nonsense.with-hyphen",
            "another.key-7",
        ] {
            assert_eq!(keys_of(&[&variable(key)]), Ok(vec![key.to_owned()]));
        }
    }

    #[test]
    fn names_that_may_mean_several_keys_are_refused_all_at_once() {
        let names = [
            "KINESIS_",
            "KINESIS_AWS_REGION_",
            "KINESIS_FLINK_A___B",
            "KINESIS_FLINK_STREAM_EFO_CONSUMERARN_ORDERS",
            "KINESIS__AWS_REGION",
            "KINESIS_aws_region",
        ];
        let errors = keys_of(&names).unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
        assert_eq!(found, names);
        assert_eq!(keys_of(&["AWS_REGION", "OTHER_AWS_REGION_", "kinesis_aws_region"]), Ok(Vec::new()), "not ours");
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_not_utf8_is_refused_and_not_shown() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let value = OsStr::from_bytes(b"canary\xff");
        let errors = Properties::from_variables("KINESIS_", [("KINESIS_AWS_REGION", value)]).unwrap_err();
        assert_eq!(errors.to_string(), "configuration: `KINESIS_AWS_REGION`: is not valid; allowed: a value in UTF-8");
    }

    #[test]
    fn the_environment_of_the_process_is_read() {
        let all = Properties::from_env("CARGO_PKG_").unwrap();
        assert_eq!(all.get("name"), Some("kinesis-core"));
    }
}
