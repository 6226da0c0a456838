//! The credentials of a configuration: the rule by which it names a provider, and what may be said of each.

use crate::config::Problems;
use crate::config::aws_config_constants::{
    AWS_ACCESS_KEY_ID, AWS_CREDENTIALS_PROVIDER, AWS_PROFILE_NAME, AWS_PROFILE_PATH, AWS_ROLE_ARN,
    AWS_ROLE_CREDENTIALS_PROVIDER, AWS_ROLE_EXTERNAL_ID, AWS_ROLE_SESSION_NAME, AWS_ROLE_STS_ENDPOINT,
    AWS_SECRET_ACCESS_KEY, AWS_WEB_IDENTITY_TOKEN_FILE, CUSTOM_CREDENTIALS_PROVIDER_CLASS,
};
use crate::config::location::{ENDPOINT_SHAPE, is_endpoint};
use crate::credentials::{AssumeRole, CredentialsSource, CustomCredentials, WebIdentityToken};
use crate::properties::Properties;
use crate::redaction::printable_url;

const ALLOWED: &str = "BASIC, ENV_VAR, SYS_PROP, PROFILE, ASSUME_ROLE, WEB_IDENTITY_TOKEN, CUSTOM, AUTO";
const ROLE_SHAPE: &str = "a role's ARN such as arn:aws:iam::123456789012:role/reader";
const SESSION_SHAPE: &str = "2 to 64 letters, digits and _+=,.@-";
const EXTERNAL_ID_SHAPE: &str = "2 to 1224 letters, digits and _+=,.@:/-";
const TEXT: &str = "a text that is not empty";
/// More roles one behind the other are a slip, and a load would take too long.
const MOST_ROLES: usize = 8;

/// The keys of one provider: those of the configuration, or those that begin with a role's `.role.provider`.
#[derive(Clone, Copy)]
struct Level<'a> {
    properties: &'a Properties,
    prefix: &'a str,
}

impl<'a> Level<'a> {
    /// The key that stands here for a key of the outermost level.
    fn key(self, outermost: &str) -> String {
        let suffix = outermost.strip_prefix(AWS_CREDENTIALS_PROVIDER).unwrap_or(outermost);
        format!("{}{suffix}", self.prefix)
    }

    fn get(self, outermost: &str) -> Option<&'a str> {
        self.properties.get(&self.key(outermost))
    }

    fn text(self, outermost: &str) -> Option<String> {
        self.get(outermost).map(str::to_owned)
    }

    /// The level's own endpoint, else the outermost one, which is the only one that the reference reads.
    fn sts_endpoint(self) -> Option<String> {
        self.get(AWS_ROLE_STS_ENDPOINT).or_else(|| self.properties.get(AWS_ROLE_STS_ENDPOINT)).map(str::to_owned)
    }
}

/// Reads the source as Flink's `AWSGeneralUtil` does: the named one, else BASIC if both keys are there, else AUTO.
pub(super) fn read(properties: &Properties, problems: &mut Problems) -> CredentialsSource {
    read_level(Level { properties, prefix: AWS_CREDENTIALS_PROVIDER }, 0, problems)
}

fn read_level(level: Level<'_>, roles: usize, problems: &mut Problems) -> CredentialsSource {
    match level.get(AWS_CREDENTIALS_PROVIDER) {
        None => read_unnamed(level, problems),
        Some("BASIC") => read_basic(level, problems),
        Some("ENV_VAR") => CredentialsSource::EnvVar,
        Some("SYS_PROP") => CredentialsSource::SysProp,
        Some("PROFILE") => {
            CredentialsSource::Profile { name: level.text(AWS_PROFILE_NAME), path: level.text(AWS_PROFILE_PATH) }
        }
        Some("ASSUME_ROLE") => read_role(level, roles, problems),
        Some("WEB_IDENTITY_TOKEN") => CredentialsSource::WebIdentityToken(WebIdentityToken {
            role_arn: level.text(AWS_ROLE_ARN),
            session_name: level.text(AWS_ROLE_SESSION_NAME),
            token_file: level.text(AWS_WEB_IDENTITY_TOKEN_FILE),
            sts_endpoint: level.sts_endpoint(),
        }),
        Some("CUSTOM") => read_custom(level, problems),
        Some("AUTO") => CredentialsSource::Auto,
        Some(name) => {
            problems.invalid(&level.key(AWS_CREDENTIALS_PROVIDER), name, ALLOWED);
            CredentialsSource::Auto
        }
    }
}

/// BASIC where both keys are there, AUTO where none is.
fn read_unnamed(level: Level<'_>, problems: &mut Problems) -> CredentialsSource {
    let absent = match (level.get(AWS_ACCESS_KEY_ID), level.get(AWS_SECRET_ACCESS_KEY)) {
        (Some(_), Some(_)) => return read_basic(level, problems),
        (None, None) => return CredentialsSource::Auto,
        (Some(_), None) => AWS_SECRET_ACCESS_KEY,
        (None, Some(_)) => AWS_ACCESS_KEY_ID,
    };
    problems.missing(&level.key(absent), "its counterpart is set; set both, or neither for AUTO");
    CredentialsSource::Auto
}

fn read_basic(level: Level<'_>, problems: &mut Problems) -> CredentialsSource {
    let keys = [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY].map(|key| (key, level.get(key)));
    for (key, value) in keys {
        match value {
            None => problems.missing(&level.key(key), "the credentials provider BASIC needs both keys"),
            Some("") => problems.invalid(&level.key(key), "", TEXT),
            Some(_) => {}
        }
    }
    match keys.map(|(_, value)| value) {
        [Some(id), Some(secret)] => CredentialsSource::basic(id, secret),
        _ => CredentialsSource::Auto,
    }
}

fn read_role(level: Level<'_>, roles: usize, problems: &mut Problems) -> CredentialsSource {
    let Some(role_arn) = level.text(AWS_ROLE_ARN) else {
        problems.missing(&level.key(AWS_ROLE_ARN), format!("ASSUME_ROLE needs it; allowed: {ROLE_SHAPE}"));
        return CredentialsSource::Auto;
    };
    if roles == MOST_ROLES {
        too_many_roles(level.prefix, problems);
        return CredentialsSource::Auto;
    }
    let caller = Level { properties: level.properties, prefix: &level.key(AWS_ROLE_CREDENTIALS_PROVIDER) };
    CredentialsSource::AssumeRole(AssumeRole {
        role_arn,
        session_name: level.text(AWS_ROLE_SESSION_NAME),
        external_id: level.text(AWS_ROLE_EXTERNAL_ID),
        sts_endpoint: level.sts_endpoint(),
        source: Box::new(read_level(caller, roles + 1, problems)),
    })
}

fn read_custom(level: Level<'_>, problems: &mut Problems) -> CredentialsSource {
    match level.get(CUSTOM_CREDENTIALS_PROVIDER_CLASS).filter(|name| !name.is_empty()) {
        Some(name) => CredentialsSource::Custom(CustomCredentials::registered(name)),
        None => {
            let advice = "CUSTOM needs the name that AwsConfig::register_credentials_provider is given";
            problems.missing(&level.key(CUSTOM_CREDENTIALS_PROVIDER_CLASS), advice);
            CredentialsSource::Auto
        }
    }
}

fn too_many_roles(prefix: &str, problems: &mut Problems) {
    problems.invalid(prefix, "ASSUME_ROLE", format!("at most {MOST_ROLES} roles one behind the other"));
}

/// Checks what properties and builders may both say; problems stand under the keys of the properties.
pub(super) fn check(source: &CredentialsSource, problems: &mut Problems) {
    let none = Properties::new();
    let mut prefix = AWS_CREDENTIALS_PROVIDER.to_owned();
    let mut source = source;
    let mut roles = 0;
    loop {
        let level = Level { properties: &none, prefix: &prefix };
        match source {
            CredentialsSource::AssumeRole(role) => {
                check_role(level, role, problems);
                roles += 1;
                if roles > MOST_ROLES {
                    return too_many_roles(&prefix, problems);
                }
                source = &role.source;
                prefix = level.key(AWS_ROLE_CREDENTIALS_PROVIDER);
            }
            CredentialsSource::WebIdentityToken(role) => return check_web_identity(level, role, problems),
            CredentialsSource::Basic(keys) if keys.is_incomplete() => {
                return problems.invalid(&level.key(AWS_SECRET_ACCESS_KEY), "", "an id and a key that are not empty");
            }
            _ => return,
        }
    }
}

fn check_role(level: Level<'_>, role: &AssumeRole, problems: &mut Problems) {
    check_shared(level, Some(&role.role_arn), role.session_name.as_ref(), role.sts_endpoint.as_ref(), problems);
    if role.external_id.as_ref().is_some_and(|id| !is_text_of(id, 2..=1224, "_+=,.@:/-")) {
        problems.invalid(&level.key(AWS_ROLE_EXTERNAL_ID), "<redacted>", EXTERNAL_ID_SHAPE);
    }
}

fn check_web_identity(level: Level<'_>, role: &WebIdentityToken, problems: &mut Problems) {
    let WebIdentityToken { role_arn, session_name, token_file, sts_endpoint } = role;
    check_shared(level, role_arn.as_ref(), session_name.as_ref(), sts_endpoint.as_ref(), problems);
    if token_file.as_ref().is_some_and(String::is_empty) {
        problems.invalid(&level.key(AWS_WEB_IDENTITY_TOKEN_FILE), "", TEXT);
    }
}

fn check_shared(
    level: Level<'_>,
    role_arn: Option<&String>,
    session_name: Option<&String>,
    sts_endpoint: Option<&String>,
    problems: &mut Problems,
) {
    let mut check =
        |outermost: &str, value: Option<&String>, is_allowed: &dyn Fn(&str) -> bool, allowed: &'static str| {
            if let Some(value) = value.filter(|value| !is_allowed(value)) {
                problems.invalid(&level.key(outermost), printable_url(value), allowed);
            }
        };
    check(AWS_ROLE_ARN, role_arn, &is_role, ROLE_SHAPE);
    check(AWS_ROLE_SESSION_NAME, session_name, &|name| is_text_of(name, 2..=64, "_+=,.@-"), SESSION_SHAPE);
    check(AWS_ROLE_STS_ENDPOINT, sts_endpoint, &is_endpoint, ENDPOINT_SHAPE);
}

/// Whether a text is `arn:partition:iam::account:role/…`, of any partition.
fn is_role(arn: &str) -> bool {
    match arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, role] => {
            !partition.is_empty()
                && account.len() == 12
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && role.strip_prefix("role/").is_some_and(|name| !name.is_empty())
        }
        _ => false,
    }
}

/// The patterns of STS (API reference, AssumeRole): letters, digits and some others.
fn is_text_of(text: &str, lengths: std::ops::RangeInclusive<usize>, others: &str) -> bool {
    lengths.contains(&text.len())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || others.contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AwsConfig, ConfigErrors};

    const P: &str = AWS_CREDENTIALS_PROVIDER;
    const ROLE: &str = "arn:aws:iam::111111111111:role/reader";

    fn read(pairs: &[(&str, &str)]) -> Result<CredentialsSource, ConfigErrors> {
        let region = [("aws.region", "us-east-1")];
        let properties = pairs.iter().copied().chain(region).collect();
        AwsConfig::from_properties(&properties).map(|config| config.credentials().clone())
    }

    fn keys(pairs: &[(&str, &str)]) -> Vec<String> {
        read(pairs).unwrap_err().iter().map(|error| error.key.clone()).collect()
    }

    #[test]
    fn the_source_follows_the_rule() {
        let (id, secret) = ((AWS_ACCESS_KEY_ID, "ak"), (AWS_SECRET_ACCESS_KEY, "sk"));
        let provider = |name| (P, name);
        let basic = CredentialsSource::basic("ak", "sk");
        assert_eq!(read(&[]), Ok(CredentialsSource::Auto));
        assert_eq!(read(&[id, secret]), Ok(basic.clone()));
        assert_eq!(read(&[id, secret, provider("BASIC")]), Ok(basic));
        assert_eq!(read(&[id, secret, provider("AUTO")]), Ok(CredentialsSource::Auto));
        assert_eq!(read(&[provider("ENV_VAR")]), Ok(CredentialsSource::EnvVar));
        assert_eq!(read(&[provider("SYS_PROP")]), Ok(CredentialsSource::SysProp));
        let profile = CredentialsSource::Profile { name: Some("foo".into()), path: None };
        assert_eq!(read(&[provider("PROFILE"), (AWS_PROFILE_NAME, "foo")]), Ok(profile));
        let class = (CUSTOM_CREDENTIALS_PROVIDER_CLASS, "com.example.Vault");
        let custom = CredentialsSource::Custom(CustomCredentials::registered("com.example.Vault"));
        assert_eq!(read(&[provider("CUSTOM"), class]), Ok(custom));
    }

    #[test]
    fn a_role_carries_its_settings() {
        let source = read(&[
            (P, "ASSUME_ROLE"),
            (AWS_ROLE_ARN, ROLE),
            (AWS_ROLE_SESSION_NAME, "session"),
            (AWS_ROLE_EXTERNAL_ID, "external"),
            (AWS_ROLE_STS_ENDPOINT, "https://sts.us-east-1.amazonaws.com"),
        ]);
        let role = AssumeRole::new(ROLE)
            .session_name("session")
            .external_id("external")
            .sts_endpoint("https://sts.us-east-1.amazonaws.com");
        assert_eq!(source, Ok(role.into()));
        let plain = read(&[(P, "ASSUME_ROLE"), (AWS_ROLE_ARN, ROLE)]);
        assert_eq!(plain, Ok(AssumeRole::new(ROLE).into()), "AUTO calls STS, at the region's endpoint");
    }

    #[test]
    fn every_part_of_a_web_identity_may_be_left_to_the_environment() {
        assert_eq!(read(&[(P, "WEB_IDENTITY_TOKEN")]), Ok(WebIdentityToken::new().into()));
        let source = read(&[
            (P, "WEB_IDENTITY_TOKEN"),
            (AWS_ROLE_ARN, ROLE),
            (AWS_ROLE_SESSION_NAME, "session"),
            (AWS_WEB_IDENTITY_TOKEN_FILE, "/token"),
        ]);
        assert_eq!(
            source,
            Ok(WebIdentityToken::new().role_arn(ROLE).session_name("session").token_file("/token").into())
        );
    }

    #[test]
    fn roles_nest_and_follow_the_rule_at_every_level() {
        let nested = "aws.credentials.provider.role.provider";
        let innermost = "aws.credentials.provider.role.provider.role.provider";
        let arn = |prefix: &str| format!("{prefix}.role.arn");
        let source = read(&[
            (P, "ASSUME_ROLE"),
            (AWS_ROLE_ARN, ROLE),
            (AWS_ROLE_STS_ENDPOINT, "https://outer.example"),
            (nested, "ASSUME_ROLE"),
            (&arn(nested), "arn:aws-cn:iam::222222222222:role/team/gate"),
            (&format!("{nested}.role.stsEndpoint"), "https://inner.example"),
            (innermost, "ASSUME_ROLE"),
            (&arn(innermost), ROLE),
            // No type of its own: both basic keys make it BASIC.
            (&format!("{innermost}.role.provider.basic.accesskeyid"), "ak"),
            (&format!("{innermost}.role.provider.basic.secretkey"), "sk"),
        ]);
        let third =
            AssumeRole::new(ROLE).sts_endpoint("https://outer.example").source(CredentialsSource::basic("ak", "sk"));
        let second = AssumeRole::new("arn:aws-cn:iam::222222222222:role/team/gate")
            .sts_endpoint("https://inner.example")
            .source(third.into());
        let first = AssumeRole::new(ROLE).sts_endpoint("https://outer.example").source(second.into());
        assert_eq!(source, Ok(first.into()));
        assert_eq!(keys(&[(P, "ASSUME_ROLE"), (AWS_ROLE_ARN, ROLE), (nested, "BASIC")]).len(), 2);
    }

    #[test]
    fn the_depth_of_roles_is_bounded_for_properties_and_builders() {
        let chain = |roles: usize| {
            (0..roles).fold(CredentialsSource::EnvVar, |source, _| AssumeRole::new(ROLE).source(source).into())
        };
        let build = |roles| AwsConfig::builder().region("us-east-1").credentials(chain(roles)).build();
        assert!(build(8).is_ok());
        let error = build(9).unwrap_err().to_string();
        assert!(error.contains("at most 8 roles"), "{error}");
        let properties = |roles: usize| {
            let prefixes: Vec<_> = (0..roles).map(|depth| format!("{P}{}", ".role.provider".repeat(depth))).collect();
            let mut pairs = vec![("aws.region".to_owned(), "us-east-1".to_owned())];
            for prefix in prefixes {
                pairs.extend([(format!("{prefix}.role.arn"), ROLE.to_owned()), (prefix, "ASSUME_ROLE".to_owned())]);
            }
            pairs.into_iter().collect::<Properties>()
        };
        assert!(AwsConfig::from_properties(&properties(8)).is_ok());
        let mut deeper = properties(9);
        deeper.insert(format!("{P}{}", ".role.provider".repeat(9)), "not looked at any more");
        let errors = AwsConfig::from_properties(&deeper).unwrap_err();
        let deepest = format!("{P}{}", ".role.provider".repeat(8));
        assert_eq!(errors.iter().map(|error| error.key.clone()).collect::<Vec<_>>(), [deepest]);
    }

    #[test]
    fn what_cannot_be_served_is_refused_by_name() {
        for name in ["wrongProviderType", "basic", ""] {
            let error = read(&[(P, name)]).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(ALLOWED), "{error}");
        }
        assert_eq!(keys(&[(P, "BASIC")]), [AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY]);
        assert_eq!(keys(&[(AWS_ACCESS_KEY_ID, "ak")]), [AWS_SECRET_ACCESS_KEY]);
        assert_eq!(keys(&[(AWS_SECRET_ACCESS_KEY, "sk")]), [AWS_ACCESS_KEY_ID]);
        assert_eq!(keys(&[(AWS_ACCESS_KEY_ID, ""), (AWS_SECRET_ACCESS_KEY, "")]).len(), 2);
        assert_eq!(keys(&[(P, "CUSTOM")]), [CUSTOM_CREDENTIALS_PROVIDER_CLASS]);
        assert_eq!(keys(&[(P, "ASSUME_ROLE")]), [AWS_ROLE_ARN]);
    }

    #[test]
    fn malformed_settings_of_a_role_are_each_named_with_what_is_allowed() {
        let errors = read(&[
            (P, "ASSUME_ROLE"),
            (AWS_ROLE_ARN, "reader"),
            (AWS_ROLE_SESSION_NAME, "a b"),
            (AWS_ROLE_EXTERNAL_ID, "canary\u{e9}"),
            (AWS_ROLE_STS_ENDPOINT, "https://me:canary@sts.example"),
            (&format!("{AWS_ROLE_CREDENTIALS_PROVIDER}.role.arn"), "not read for AUTO"),
        ])
        .unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
        assert_eq!(found, [AWS_ROLE_ARN, AWS_ROLE_EXTERNAL_ID, AWS_ROLE_SESSION_NAME, AWS_ROLE_STS_ENDPOINT]);
        let text = errors.to_string();
        assert!(!text.contains("canary") && text.contains("arn:aws:iam::123456789012:role/reader"), "{text}");
    }

    #[test]
    fn roles_are_arns_of_any_partition() {
        for role in [ROLE, "arn:aws-us-gov:iam::123456789012:role/a/b/c"] {
            assert!(is_role(role), "{role}");
        }
        for role in [
            "",
            "role/reader",
            "arn:aws:iam::123456789012:user/reader",
            "arn:aws:iam::12345:role/reader",
            "arn:aws:iam:us-east-1:123456789012:role/reader",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:sts::123456789012:role/reader",
        ] {
            assert!(!is_role(role), "{role}");
        }
    }
}
