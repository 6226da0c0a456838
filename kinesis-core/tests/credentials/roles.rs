//! ASSUME_ROLE and WEB_IDENTITY_TOKEN against an STS in the process.

use std::path::PathBuf;
use std::sync::Arc;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use kinesis_core::{
    AssumeRole, AwsConfig, CredentialsErrorKind, CredentialsSource, Properties, Randomness, SharedClock,
    WebIdentityToken,
};
use tokio::time::{Instant, sleep};

use crate::fakes::{FakeSts, SEED, StsReply, clock, key, seconds};

const READER: &str = "arn:aws:iam::222222222222:role/reader";

async fn provider(config: AwsConfig, sts: &FakeSts, clock: &SharedClock) -> SharedCredentialsProvider {
    config.with_randomness(Randomness::from_seed(SEED)).credentials_provider(sts.client(), Arc::clone(clock)).await
}

async fn provider_of(
    source: impl Into<CredentialsSource>,
    sts: &FakeSts,
    clock: &SharedClock,
) -> SharedCredentialsProvider {
    let config = AwsConfig::builder().region("eu-west-2").credentials(source.into()).build().unwrap();
    provider(config, sts, clock).await
}

fn reader() -> AssumeRole {
    AssumeRole::new(READER).source(CredentialsSource::basic("BASE", "canary-base-secret"))
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_as_configured() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let role = reader().session_name("nightly@orders").external_id("partner/7");
    let provider = provider_of(role, &sts, &clock).await;
    let keys = provider.provide_credentials().await.unwrap();
    assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("reader-0", "canary-issued-secret"));
    assert_eq!(keys.session_token(), Some("canary-token-reader"));
    assert_eq!(keys.expiry(), Some(clock.now() + seconds(3600)));
    let [call] = sts.calls().try_into().unwrap();
    assert_eq!(call.uri, "https://sts.eu-west-2.amazonaws.com/");
    assert_eq!(call.field("Action"), Some("AssumeRole"));
    assert_eq!(call.field("RoleArn"), Some(READER));
    assert_eq!(call.field("RoleSessionName"), Some("nightly@orders"));
    assert_eq!(call.field("ExternalId"), Some("partner/7"));
    assert_eq!(call.field("DurationSeconds"), None, "the service's default of an hour");
    assert_eq!(call.signed_by.as_deref(), Some("BASE"));
    assert_eq!(call.signed_region.as_deref(), Some("eu-west-2"));
    assert_eq!(call.session_token, None);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_configured_has_a_default_or_is_not_sent() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    key(&provider_of(reader(), &sts, &clock).await).await.unwrap();
    let call = &sts.calls()[0];
    assert_eq!(call.field("RoleSessionName"), Some("kinesis-1700000000000"));
    assert_eq!(call.field("ExternalId"), None);
}

#[tokio::test(start_paused = true)]
async fn three_roles_are_assumed_from_the_innermost_out_each_with_the_keys_of_the_last() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let nested = "aws.credentials.provider.role.provider";
    let innermost = "aws.credentials.provider.role.provider.role.provider";
    let keys = [
        ("aws.region", "eu-west-2".to_owned()),
        ("aws.credentials.provider", "ASSUME_ROLE".to_owned()),
        ("aws.credentials.provider.role.arn", READER.to_owned()),
        ("aws.credentials.provider.role.stsEndpoint", "https://sts.outer.example".to_owned()),
        (nested, "ASSUME_ROLE".to_owned()),
    ];
    let more = [
        (format!("{nested}.role.arn"), "arn:aws:iam::111111111111:role/middle"),
        (format!("{nested}.role.externalId"), "middle-id"),
        (format!("{nested}.role.stsEndpoint"), "https://sts.middle.example"),
        (innermost.to_owned(), "ASSUME_ROLE"),
        (format!("{innermost}.role.arn"), "arn:aws:iam::111111111111:role/gate"),
        (format!("{innermost}.role.provider.basic.accesskeyid"), "BASE"),
        (format!("{innermost}.role.provider.basic.secretkey"), "canary-base-secret"),
    ];
    let mut properties: Properties = keys.into_iter().collect();
    properties.extend(more);
    let provider = provider(AwsConfig::from_properties(&properties).unwrap(), &sts, &clock).await;
    assert_eq!(key(&provider).await.unwrap(), "reader-2");
    let calls = sts.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| {
            let role = call.field("RoleArn").unwrap().rsplit('/').next().unwrap();
            (role, call.signed_by.as_deref().unwrap(), call.session_token.as_deref(), call.uri.as_str())
        })
        .collect();
    assert_eq!(
        seen,
        [
            // No endpoint of its own: the outermost one, as the reference has it for every level.
            ("gate", "BASE", None, "https://sts.outer.example/"),
            ("middle", "gate-0", Some("canary-token-gate"), "https://sts.middle.example/"),
            ("reader", "middle-1", Some("canary-token-middle"), "https://sts.outer.example/"),
        ]
    );
    assert_eq!(calls[1].field("ExternalId"), Some("middle-id"));
    assert_eq!(calls[2].field("ExternalId"), None);
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_anew_before_it_expires() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let provider = provider_of(reader(), &sts, &clock).await;
    let mut seen = Vec::new();
    for _ in 0..(3 * 60) {
        let keys = provider.provide_credentials().await.unwrap();
        assert!(keys.expiry().unwrap() > clock.now());
        seen.push(keys.access_key_id().to_owned());
        sleep(seconds(60)).await;
    }
    seen.dedup();
    assert_eq!(seen, ["reader-0", "reader-1", "reader-2", "reader-3"]);
    assert_eq!(sts.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_returned_with_its_code_and_the_role() {
    let clock = clock();
    let message = "User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole";
    let sts = FakeSts::new(&clock, move |_, _| StsReply::Refused(403, "AccessDenied", message));
    let error = key(&provider_of(reader(), &sts, &clock).await).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.message()),
        (CredentialsErrorKind::Refused, Some("AccessDenied"), message)
    );
    assert!(!error.is_retryable());
    assert_eq!(
        error.to_string(),
        format!(
            "credentials from ASSUME_ROLE {READER}: AccessDenied: {message}; \
             check the role, its trust policy, and the permissions of the caller"
        )
    );
    assert_eq!(sts.calls().len(), 1, "a refusal is not tried again");
}

#[tokio::test(start_paused = true)]
async fn a_modelled_error_of_sts_has_its_code_too() {
    let clock = clock();
    let sts = FakeSts::new(&clock, |_, _| StsReply::Refused(403, "RegionDisabledException", "STS is not activated"));
    let error = key(&provider_of(reader(), &sts, &clock).await).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (CredentialsErrorKind::Refused, Some("RegionDisabledException")));
}

#[tokio::test(start_paused = true)]
async fn passing_failures_of_sts_are_tried_again() {
    for failure in [
        StsReply::Refused(503, "ServiceUnavailable", "later"),
        StsReply::Refused(400, "Throttling", "Rate exceeded"),
        StsReply::Offline,
    ] {
        let clock = clock();
        let reply = failure.clone();
        let sts = FakeSts::new(&clock, move |number, _| if number < 2 { reply.clone() } else { StsReply::Granted });
        let provider = provider_of(reader(), &sts, &clock).await;
        assert_eq!(key(&provider).await.unwrap(), "reader-2", "{failure:?}");
        assert_eq!(sts.calls().len(), 3, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_sts_that_stays_away_is_an_error_after_a_bounded_wait() {
    for (reply, kind) in
        [(StsReply::Offline, CredentialsErrorKind::Unavailable), (StsReply::Silent, CredentialsErrorKind::TimedOut)]
    {
        let clock = clock();
        let sts = FakeSts::new(&clock, move |_, _| reply.clone());
        let provider = provider_of(reader(), &sts, &clock).await;
        let asked = Instant::now();
        let error = key(&provider).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(asked.elapsed() <= seconds(25), "{:?}", asked.elapsed());
        assert!(error.is_retryable());
        assert!(
            sts.calls().len() <= 6,
            "{} calls: back-offs of 1, 2, 4, 8 and 16 s, and none of the SDK's",
            sts.calls().len()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn when_an_inner_role_is_refused_the_error_names_both() {
    let clock = clock();
    let sts = FakeSts::new(&clock, |_, call| {
        if call.field("RoleArn").unwrap().ends_with("gate") {
            StsReply::Refused(403, "AccessDenied", "not you")
        } else {
            StsReply::Granted
        }
    });
    let gate = AssumeRole::new("arn:aws:iam::111111111111:role/gate").source(CredentialsSource::basic("BASE", "x"));
    let provider = provider_of(AssumeRole::new(READER).source(gate.into()), &sts, &clock).await;
    let error = key(&provider).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (CredentialsErrorKind::Refused, Some("AccessDenied")));
    assert!(error.provider().contains("role/reader"), "{error}");
    assert!(error.message().contains("role/gate") && error.message().contains("not you"), "{error}");
}

/// A token file that is removed with its guard.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(name: &str, token: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("kinesis-core-token-{name}-{}", std::process::id())));
        file.write(token);
        file
    }

    fn write(&self, token: &str) {
        std::fs::write(&self.0, token).unwrap();
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_web_identity_sends_its_token_unsigned_and_reads_it_again() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let file = TokenFile::new("again", "canary-jwt-1");
    let role = WebIdentityToken::new().role_arn(READER).session_name("pod").token_file(file.path());
    let one = provider_of(role.clone(), &sts, &clock).await;
    assert_eq!(key(&one).await.unwrap(), "reader-0");
    file.write("canary-jwt-2");
    let other = provider_of(role, &sts, &clock).await;
    assert_eq!(key(&other).await.unwrap(), "reader-1");
    let calls = sts.calls();
    assert_eq!(calls[0].uri, "https://sts.eu-west-2.amazonaws.com/");
    assert_eq!(calls[0].field("Action"), Some("AssumeRoleWithWebIdentity"));
    assert_eq!(calls[0].field("RoleArn"), Some(READER));
    assert_eq!(calls[0].field("RoleSessionName"), Some("pod"));
    assert_eq!(calls[0].signed_by, None);
    let tokens: Vec<_> = calls.iter().map(|call| call.field("WebIdentityToken").unwrap()).collect();
    assert_eq!(tokens, ["canary-jwt-1", "canary-jwt-2"]);
}

#[tokio::test]
async fn a_web_identity_honours_the_sts_endpoint() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let file = TokenFile::new("endpoint", "canary-jwt");
    let properties = Properties::from([
        ("aws.region", "eu-west-2"),
        ("aws.credentials.provider", "WEB_IDENTITY_TOKEN"),
        ("aws.credentials.provider.role.arn", READER),
        ("aws.credentials.provider.webIdentityToken.file", file.path()),
        ("aws.credentials.provider.role.stsEndpoint", "https://vpce-1.sts.example"),
    ]);
    let provider = provider(AwsConfig::from_properties(&properties).unwrap(), &sts, &clock).await;
    key(&provider).await.unwrap();
    let calls = sts.calls();
    assert_eq!(calls[0].uri, "https://vpce-1.sts.example");
    assert_eq!(calls[0].field("RoleSessionName"), Some("kinesis-1700000000000"));
}

#[tokio::test]
async fn a_token_file_that_is_not_there_is_named() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let role = WebIdentityToken::new().role_arn(READER).token_file("/nonexistent/token");
    let error = key(&provider_of(role, &sts, &clock).await).await.unwrap_err();
    assert_eq!(error.kind(), CredentialsErrorKind::Invalid);
    assert!(error.to_string().contains("`/nonexistent/token` cannot be read"), "{error}");
    assert!(sts.calls().is_empty());
}

#[tokio::test]
async fn a_web_identity_can_call_sts_for_another_role() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let file = TokenFile::new("nested", "canary-jwt");
    let pod = WebIdentityToken::new().role_arn("arn:aws:iam::111111111111:role/pod").token_file(file.path());
    let provider = provider_of(AssumeRole::new(READER).source(pod.into()), &sts, &clock).await;
    assert_eq!(key(&provider).await.unwrap(), "reader-1");
    let calls = sts.calls();
    assert_eq!((calls[0].signed_by.as_deref(), calls[1].signed_by.as_deref()), (None, Some("pod-0")));
}
