//! What is wrong with a configuration: all of it at once.

use std::borrow::Cow;
use std::fmt;

use thiserror::Error;

use crate::config::nearest::nearest;
use crate::properties::printable;

/// One problem of a configuration: the key, its value, and what is allowed.
///
/// The values of keys that look secret, and of unknown keys, are not shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{key}`{}: {problem}", Shown(.value.as_deref()))]
#[non_exhaustive]
pub struct ConfigError {
    /// The configuration key.
    pub key: String,
    /// The value that was given, where there is one that may be shown.
    pub value: Option<String>,
    /// What is wrong with it.
    pub problem: ConfigProblem,
}

/// The ways in which a key can be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// The key is needed and absent; the text says when it is needed and what is allowed.
    Missing(Cow<'static, str>),
    /// The value is not allowed; the text says what is.
    Invalid(Cow<'static, str>),
    /// The value is the reference connector's, but this version cannot do it; the text says what is allowed.
    Unsupported(Cow<'static, str>),
    /// No such key; with the nearest known one, where there is one.
    Unknown(Option<String>),
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(allowed) => write!(f, "is missing; {allowed}"),
            Self::Invalid(allowed) => write!(f, "is not valid; allowed: {allowed}"),
            Self::Unsupported(allowed) => write!(f, "is not supported by this version; allowed: {allowed}"),
            Self::Unknown(Some(nearest)) => write!(f, "is not a known key; did you mean `{nearest}`?"),
            Self::Unknown(None) => write!(f, "is not a known key; remove it"),
        }
    }
}

struct Shown<'a>(Option<&'a str>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |value| write!(f, " = {value:?}"))
    }
}

/// Every key of a configuration that is wrong, in order; never empty.
///
/// A retry with the same configuration fails in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The problems, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "configuration: {only}");
        }
        write!(f, "{} problems in the configuration:", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Collects the problems of a configuration until the whole of it has been looked at.
///
/// For a part of a program that has keys of its own and reports them as this crate does.
#[derive(Debug, Default)]
pub struct ConfigProblems(Vec<ConfigError>);

// Short, since every reader of keys has one.
pub(crate) use self::ConfigProblems as Problems;

impl ConfigProblems {
    /// Adds a key that is needed and absent; the text says when it is needed and what is allowed.
    pub fn missing(&mut self, key: &str, allowed: impl Into<Cow<'static, str>>) {
        self.add(key, None, ConfigProblem::Missing(allowed.into()));
    }

    /// Adds a key whose value is not allowed; the text says what is.
    ///
    /// The value is not kept where the key looks secret.
    pub fn invalid(&mut self, key: &str, value: &str, allowed: impl Into<Cow<'static, str>>) {
        self.add(key, Some(value), ConfigProblem::Invalid(allowed.into()));
    }

    /// A key whose value cannot be shown, or that is no key.
    pub(crate) fn unreadable(&mut self, key: &str, allowed: &'static str) {
        self.add(key, None, ConfigProblem::Invalid(Cow::Borrowed(allowed)));
    }

    /// Adds a key whose value is the reference's, but cannot be done here; the text says what is allowed.
    pub fn unsupported(&mut self, key: &str, value: &str, allowed: impl Into<Cow<'static, str>>) {
        self.add(key, Some(value), ConfigProblem::Unsupported(allowed.into()));
    }

    /// Adds a key that is none of the known ones; the nearest of these is told where it is three edits away at most.
    pub fn unknown<N: Into<String>>(&mut self, key: &str, known: impl IntoIterator<Item = N>) {
        self.add(key, None, ConfigProblem::Unknown(nearest(key, known)));
    }

    /// Keeps the first problem of a key: later ones follow from it.
    fn add(&mut self, key: &str, value: Option<&str>, problem: ConfigProblem) {
        if self.0.iter().any(|error| error.key == key) {
            return;
        }
        self.0.push(ConfigError {
            key: key.to_owned(),
            value: value.map(|value| printable(key, value).to_owned()),
            problem,
        });
    }

    /// Takes in the problems of a part.
    pub(crate) fn append<T>(&mut self, part: Result<T, ConfigErrors>) -> Option<T> {
        part.map_err(|errors| self.0.extend(errors.0)).ok()
    }

    /// The value, if nothing is wrong.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem that was added, the first of each key; a retry is pointless.
    pub fn finish<T>(mut self, value: T) -> Result<T, ConfigErrors> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort_by(|one, other| one.key.cmp(&other.key));
        Err(ConfigErrors(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_reported_in_the_order_of_their_keys() {
        let mut problems = Problems::default();
        problems.unknown("flink.shrad", ["flink.shard"]);
        problems.invalid("aws.region", "nowhere", "a region");
        problems.invalid("aws.credentials.provider.basic.secretkey", "canary", "a key");
        let errors = problems.finish(()).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "3 problems in the configuration:\
             \n  `aws.credentials.provider.basic.secretkey` = \"<redacted>\": is not valid; allowed: a key\
             \n  `aws.region` = \"nowhere\": is not valid; allowed: a region\
             \n  `flink.shrad`: is not a known key; did you mean `flink.shard`?"
        );
        assert!(!format!("{errors:?}").contains("canary"));
    }

    #[test]
    fn a_configuration_without_problems_is_returned() {
        assert_eq!(Problems::default().finish(7), Ok(7));
    }
}
