//! The rule by which the configuration names a provider.

use crate::config::Problems;
use crate::config::aws_config_constants::{
    AWS_ACCESS_KEY_ID, AWS_CREDENTIALS_PROVIDER, AWS_PROFILE_NAME, AWS_PROFILE_PATH, AWS_SECRET_ACCESS_KEY,
};
use crate::credentials::basic::BasicCredentials;
use crate::properties::Properties;

const ALLOWED: &str = "BASIC, ENV_VAR, PROFILE, AUTO";
/// Names of the reference connector that this version cannot serve.
const NOT_YET: [&str; 4] = ["SYS_PROP", "ASSUME_ROLE", "WEB_IDENTITY_TOKEN", "CUSTOM"];

/// Where credentials come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialsSource {
    /// Static keys.
    Basic(BasicCredentials),
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` of the environment.
    EnvVar,
    /// A profile of the shared files, also one that assumes a role; not one that signs on through a browser (SSO).
    Profile {
        /// The profile; by default `AWS_PROFILE` of the environment, else `default`.
        name: Option<String>,
        /// The credentials file; by default the shared config and credentials files.
        path: Option<String>,
    },
    /// The SDK's default chain without SSO: environment, profile, web identity, ECS, EC2.
    #[default]
    Auto,
}

impl CredentialsSource {
    /// Static keys, as [`CredentialsSource::Basic`].
    pub fn basic(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Self::Basic(BasicCredentials::new(access_key_id, secret_access_key))
    }

    /// Reads the source as Flink's `AWSGeneralUtil` does: the named one, else BASIC if both keys are there, else AUTO.
    pub(crate) fn read(properties: &Properties, problems: &mut Problems) -> Self {
        let id = properties.get(AWS_ACCESS_KEY_ID);
        let secret = properties.get(AWS_SECRET_ACCESS_KEY);
        match (properties.get(AWS_CREDENTIALS_PROVIDER), id, secret) {
            (None | Some("BASIC"), Some(id), Some(secret)) => {
                check_not_empty(properties, problems);
                Self::basic(id, secret)
            }
            (Some("BASIC"), id, secret) => {
                for (key, value) in [(AWS_ACCESS_KEY_ID, id), (AWS_SECRET_ACCESS_KEY, secret)] {
                    if value.is_none() {
                        problems.missing(key, "the credentials provider BASIC needs both keys");
                    }
                }
                Self::Auto
            }
            (None, None, None) | (Some("AUTO"), ..) => Self::Auto,
            (None, id, _) => {
                let absent = if id.is_some() { AWS_SECRET_ACCESS_KEY } else { AWS_ACCESS_KEY_ID };
                problems.missing(absent, "its counterpart is set; set both, or neither for AUTO");
                Self::Auto
            }
            (Some("ENV_VAR"), ..) => Self::EnvVar,
            (Some("PROFILE"), ..) => Self::Profile {
                name: properties.get(AWS_PROFILE_NAME).map(str::to_owned),
                path: properties.get(AWS_PROFILE_PATH).map(str::to_owned),
            },
            (Some(name), ..) if NOT_YET.contains(&name) => {
                problems.unsupported(AWS_CREDENTIALS_PROVIDER, name, ALLOWED);
                Self::Auto
            }
            (Some(name), ..) => {
                problems.invalid(AWS_CREDENTIALS_PROVIDER, name, ALLOWED);
                Self::Auto
            }
        }
    }
}

fn check_not_empty(properties: &Properties, problems: &mut Problems) {
    for key in [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY] {
        if properties.get(key).is_some_and(str::is_empty) {
            problems.invalid(key, "", "a text that is not empty");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AwsConfig, ConfigErrors, ConsumerConfig};

    const SECRET: &str = "canary-secret-0123456789";
    const ID: &str = "AKIACANARYCANARY4F1E";

    fn read(pairs: &[(&str, &str)]) -> Result<CredentialsSource, ConfigErrors> {
        let mut problems = Problems::default();
        let source = CredentialsSource::read(&pairs.iter().copied().collect(), &mut problems);
        problems.finish(source)
    }

    #[test]
    fn the_source_follows_the_rule() {
        let (id, secret) = ((AWS_ACCESS_KEY_ID, "ak"), (AWS_SECRET_ACCESS_KEY, "sk"));
        let provider = |name| (AWS_CREDENTIALS_PROVIDER, name);
        let basic = CredentialsSource::basic("ak", "sk");
        assert_eq!(read(&[]), Ok(CredentialsSource::Auto));
        assert_eq!(read(&[id, secret]), Ok(basic.clone()));
        assert_eq!(read(&[id, secret, provider("BASIC")]), Ok(basic));
        assert_eq!(read(&[id, secret, provider("AUTO")]), Ok(CredentialsSource::Auto));
        assert_eq!(read(&[provider("ENV_VAR")]), Ok(CredentialsSource::EnvVar));
        let profile = CredentialsSource::Profile { name: Some("foo".into()), path: None };
        assert_eq!(read(&[provider("PROFILE"), (AWS_PROFILE_NAME, "foo")]), Ok(profile));
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        for name in ["wrongProviderType", "basic", "SYS_PROP", "ASSUME_ROLE", "WEB_IDENTITY_TOKEN", "CUSTOM"] {
            let error = read(&[(AWS_CREDENTIALS_PROVIDER, name)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(ALLOWED), "{error}");
        }
        let missing = |pairs: &[(&str, &str)]| read(pairs).unwrap_err().iter().count();
        assert_eq!(missing(&[(AWS_CREDENTIALS_PROVIDER, "BASIC")]), 2);
        assert_eq!(missing(&[(AWS_ACCESS_KEY_ID, "ak")]), 1);
        assert_eq!(missing(&[(AWS_SECRET_ACCESS_KEY, "sk")]), 1);
        assert_eq!(missing(&[(AWS_ACCESS_KEY_ID, ""), (AWS_SECRET_ACCESS_KEY, "")]), 2);
    }

    #[test]
    fn no_secret_is_in_any_message() {
        let good =
            Properties::from([("aws.region", "us-east-1"), (AWS_ACCESS_KEY_ID, ID), (AWS_SECRET_ACCESS_KEY, SECRET)]);
        let mut bad = good.clone();
        bad.insert("aws.region", "nowhere");
        bad.insert("aws.credentials.provider.basic.secretkeyy", SECRET);
        bad.insert("flink.secret", SECRET);
        let source = CredentialsSource::basic(ID, SECRET);
        let aws = AwsConfig::from_properties(&good).unwrap();
        let consumer = ConsumerConfig::from_properties(&good).unwrap();
        let aws_errors = AwsConfig::from_properties(&bad).unwrap_err();
        let errors = ConsumerConfig::from_properties(&bad).unwrap_err();
        let builders = (AwsConfig::builder().credentials(source.clone()), ConsumerConfig::builder().aws(aws.clone()));
        let shown = [
            format!("{good:?} {bad:#?}"),
            format!("{source:?} {aws:?} {consumer:#?} {builders:?}"),
            format!("{aws_errors:?} {aws_errors} {errors:?} {errors}"),
        ]
        .join("\n");
        assert!(!shown.contains("canary-secret") && !shown.contains("CANARY"), "{shown}");
        assert!(shown.contains("…4F1E"), "{shown}");
    }
}
