//! K3: no secret in any `Debug`, `Display`, log or error.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError as SdkCredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_kinesis::config::{BehaviorVersion, Config, IdentityCache, Region};
use kinesis_core::{
    AssumeRole, AwsConfig, BasicCredentials, ClientOptions, ConsumerConfig, CredentialsSource, CustomCredentials,
    KinesisClient, Properties, Randomness, SdkTimeSource, SharedClock, WebIdentityToken, system_properties,
};

use crate::fakes::{FakeSts, Log, SEED, StsReply, clock, own};
use crate::kinesis::{Kinesis, refusal};

/// In every secret of this file, and of the fake STS.
const CANARY: &str = "canary";
const SECRET: &str = "canary-secret-0123456789";
/// An id is no secret, but only its end is shown.
const ID: &str = "AKIACANARYCANARY4F1E";
const READER: &str = "arn:aws:iam::222222222222:role/reader";

/// A provider that shows its secret to whoever asks.
#[derive(Debug)]
struct Careless {
    #[expect(dead_code, reason = "shown by Debug alone")]
    password: &'static str,
    fails: bool,
}

impl ProvideCredentials for Careless {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::ready(if self.fails {
            Err(SdkCredentialsError::provider_error("the vault is sealed"))
        } else {
            Ok(Credentials::new(ID, SECRET, Some(SECRET.to_owned()), None, "careless"))
        })
    }
}

fn careless(fails: bool) -> Careless {
    Careless { password: SECRET, fails }
}

/// Every source that is configured with a secret, or whose provider comes to know one.
fn sources(token_file: &str) -> Vec<CredentialsSource> {
    let basic = BasicCredentials::new(ID, SECRET).session_token(SECRET);
    let role = |source| AssumeRole::new(READER).external_id(SECRET).source(source);
    vec![
        CredentialsSource::Basic(basic.clone()),
        CredentialsSource::EnvVar,
        CredentialsSource::SysProp,
        CredentialsSource::Profile { name: Some("no-such-profile".into()), path: Some(token_file.into()) },
        role(CredentialsSource::Basic(basic.clone())).into(),
        role(role(CredentialsSource::Basic(basic)).into()).into(),
        WebIdentityToken::new().role_arn(READER).token_file(token_file).into(),
        WebIdentityToken::new().role_arn(READER).token_file("/nonexistent/token").into(),
        CredentialsSource::custom("careless", careless(false)),
        CredentialsSource::custom("careless", careless(true)),
        CredentialsSource::Custom(CustomCredentials::registered("nobody")),
    ]
}

/// What is shown of something in every way.
fn shown(thing: &impl Debug) -> String {
    format!("{thing:?}\n{thing:#?}\n")
}

fn shown_with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    causes.map(|cause| format!("{cause}\n{cause:?}\n{cause:#?}\n")).collect()
}

fn assert_no_secret<'a>(lines: impl IntoIterator<Item = &'a str>) {
    for line in lines {
        assert!(!line.contains(CANARY), "{line}");
    }
}

/// Neither a secret nor the whole of an id.
fn assert_shortened(text: &str) {
    assert_no_secret(text.lines());
    assert!(!text.contains(ID), "{text}");
}

#[test]
fn what_is_configured_shows_no_secret() {
    let good = Properties::from([
        ("aws.region", "us-east-1"),
        ("aws.credentials.provider.basic.accesskeyid", ID),
        ("aws.credentials.provider.basic.secretkey", SECRET),
    ]);
    let mut nested = Properties::from([
        ("aws.region", "us-east-1"),
        ("aws.credentials.provider", "ASSUME_ROLE"),
        ("aws.credentials.provider.role.arn", READER),
        ("aws.credentials.provider.role.provider.basic.accesskeyid", ID),
        ("aws.credentials.provider.role.provider.basic.secretkey", SECRET),
    ]);
    let mut bad = good.clone();
    bad.extend([
        ("aws.region", "nowhere"),
        ("aws.credentials.provider.basic.secretkeyy", SECRET),
        ("aws.credentials.provider.role.provider.basic.secretkey", SECRET),
        ("flink.secret", SECRET),
    ]);
    let mut text = shown(&good) + &shown(&nested) + &shown(&bad);
    bad.extend([("aws.endpoint", "http://me:canary@host")]);
    for properties in [&good, &nested] {
        let (aws, consumer) =
            (AwsConfig::from_properties(properties).unwrap(), ConsumerConfig::from_properties(properties).unwrap());
        text += &(shown(&aws) + &shown(aws.credentials()) + &shown(&consumer));
        text += &shown(&ConsumerConfig::builder().aws(aws));
    }
    nested.extend([("aws.credentials.provider.role.externalId", "canary\u{e9}")]);
    nested.extend([("aws.credentials.provider.role.stsEndpoint", "https://me:canary@sts")]);
    for properties in [&bad, &nested] {
        text += &shown_with_causes(&AwsConfig::from_properties(properties).unwrap_err());
        text += &shown_with_causes(&ConsumerConfig::from_properties(properties).unwrap_err());
    }
    for source in sources("/tmp/token") {
        let builder = AwsConfig::builder().region("us-east-1").credentials(source.clone());
        let refused = AwsConfig::builder().region("nowhere").credentials(source.clone()).build().unwrap_err();
        text += &(shown(&source) + &shown(&builder) + &shown(&builder.build().unwrap()) + &shown_with_causes(&refused));
    }
    assert_shortened(&text);
    assert!(text.contains("…4F1E") && text.contains("<redacted>"), "{text}");
}

#[test]
fn what_is_not_checked_yet_shows_no_secret() {
    let properties = Properties::from([
        ("aws.credentials.provider.role.externalId", CANARY),
        ("aws.credentials.provider.role.stsEndpoint", "me:canary@sts.example"),
    ]);
    let builder = AwsConfig::builder().endpoint("http://me:canary@host");
    let role = AssumeRole::new(READER).sts_endpoint("https://me:canary@sts");
    let identity = WebIdentityToken::new().sts_endpoint("https://me:canary@sts");
    for text in [shown(&properties), shown(&builder), shown(&role), shown(&identity)] {
        assert!(text.contains("<redacted>"), "{text}");
        assert_no_secret([text.as_str()]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_token_in_a_refused_signature_is_not_shown() {
    let kinesis = Kinesis::new(|_, request| {
        let token = request.headers().get("x-amz-security-token").unwrap();
        let quoted = format!("should have been 'POST / host:x x-amz-security-token:{token}', not {token}");
        refusal("InvalidSignatureException", &quoted)
    });
    let keys = Credentials::new("id", "secret", Some(SECRET.to_owned()), None, "test");
    let client = kinesis.client(SharedCredentialsProvider::new(keys), &clock());
    let error = client.describe_stream_summary(&"orders".parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("x-amz-security-token:<redacted>', not <redacted>"), "{error}");
    assert_no_secret([shown_with_causes(&error).as_str()]);
}

#[tokio::test(start_paused = true)]
async fn the_token_in_a_signature_that_sts_refuses_is_not_shown() {
    let clock = clock();
    let sts = FakeSts::new(&clock, |_, _| {
        StsReply::Refused(403, "SignatureDoesNotMatch", "should have been host:x x-amz-security-token:canary-quoted")
    });
    let keys = BasicCredentials::new(ID, SECRET).session_token(SECRET);
    let role = AssumeRole::new(READER).source(CredentialsSource::Basic(keys));
    let config = AwsConfig::builder().region("us-east-1").credentials(role.into()).build().unwrap();
    let provider = config.credentials_provider(sts.client(), Arc::clone(&clock)).await;
    let error = provider.provide_credentials().await.unwrap_err();
    assert!(own(&error).to_string().contains("x-amz-security-token:<redacted>"), "{error:?}");
    assert_no_secret([shown_with_causes(&error).as_str()]);
}

async fn client(provider: SharedCredentialsProvider, sts: &FakeSts, clock: &SharedClock) -> KinesisClient {
    let sdk = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .http_client(sts.client())
        .time_source(SdkTimeSource(Arc::clone(clock)))
        .identity_cache(IdentityCache::no_cache())
        .credentials_provider(provider)
        .build();
    KinesisClient::new(aws_sdk_kinesis::Client::from_conf(sdk), ClientOptions::default())
}

/// What the SDK writes at TRACE of the fake's answer, whose body is in memory; that of a real one is a stream, and not shown.
fn is_of_a_body_in_memory(line: &str) -> bool {
    line.starts_with("TRACE aws_smithy_runtime::client::orchestrator")
        && line.contains("received response from service")
}

#[tokio::test]
async fn a_run_shows_no_secret_whatever_the_provider_does() {
    let log = Log::start();
    let file = std::env::temp_dir().join(format!("kinesis-core-identity-{}", std::process::id()));
    std::fs::write(&file, "canary-jwt").unwrap();
    system_properties::set("test.password", SECRET);
    let mut text = String::new();
    for reply in
        [StsReply::Granted, StsReply::Refused(403, "AccessDenied", "not you"), StsReply::Refused(400, "x", "y")]
    {
        for source in sources(file.to_str().unwrap()) {
            let clock = clock();
            let answer = reply.clone();
            let sts = FakeSts::new(&clock, move |_, _| answer.clone());
            let config = AwsConfig::builder().region("us-east-1").credentials(source).build().unwrap();
            let config = config.with_randomness(Randomness::from_seed(SEED));
            config.register_credentials_provider("another", careless(false));
            let provider = config.credentials_provider(sts.client(), Arc::clone(&clock)).await;
            // One that stays away is asked once: the wait for it is another test's.
            let first = tokio::time::timeout(std::time::Duration::from_millis(1), provider.provide_credentials()).await;
            text += &(shown(&provider) + &shown(&config));
            let Ok(first) = first else { continue };
            if let Err(error) = first {
                text += &shown_with_causes(&error);
                text += &shown_with_causes(&own(&error));
                let client = client(provider, &sts, &clock).await;
                let failed = client.describe_stream_summary(&"orders".parse().unwrap()).await.unwrap_err();
                text += &(shown(&client) + &shown_with_causes(&failed));
            }
        }
    }
    system_properties::remove("test.password");
    std::fs::remove_file(file).unwrap();
    assert_shortened(&text);
    let lines = log.lines();
    assert!(lines.iter().any(|line| line.contains("AccessDenied")), "the log of {} lines is empty", lines.len());
    assert_no_secret(lines.iter().map(String::as_str).filter(|line| !is_of_a_body_in_memory(line)));
}
