//! SYS_PROP, PROFILE and CUSTOM through the public interface.

use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use kinesis_core::{AwsConfig, ConsumerConfig, CredentialsErrorKind, CredentialsSource, Properties, system_properties};

use crate::fakes::{clock, key, nobody};

#[tokio::test]
async fn sys_prop_reads_the_table_at_every_request() {
    let properties = Properties::from([("aws.region", "us-east-1"), ("aws.credentials.provider", "SYS_PROP")]);
    let config = AwsConfig::from_properties(&properties).unwrap();
    let provider = config.credentials_provider(nobody(), clock()).await;
    let error = key(&provider).await.unwrap_err();
    assert_eq!(error.kind(), CredentialsErrorKind::NotConfigured);
    assert!(error.to_string().contains("aws.accessKeyId"), "{error}");

    let arguments = ["-Daws.accessKeyId=first", "run", "-Daws.secretKey=old", "-Daws.sessionToken=t"].map(String::from);
    assert_eq!(system_properties::take_arguments(arguments), ["run"]);
    let keys = provider.provide_credentials().await.unwrap();
    assert_eq!((keys.access_key_id(), keys.secret_access_key(), keys.session_token()), ("first", "old", Some("t")));

    system_properties::set(system_properties::ACCESS_KEY_ID, "second");
    system_properties::set(system_properties::SECRET_ACCESS_KEY, "new");
    let keys = provider.provide_credentials().await.unwrap();
    assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("second", "new"));

    for key in ["aws.accessKeyId", "aws.secretAccessKey", "aws.secretKey", "aws.sessionToken"] {
        assert!(system_properties::remove(key).is_some());
    }
    assert_eq!(key(&provider).await.unwrap_err().kind(), CredentialsErrorKind::NotConfigured);
}

/// A profile of a file of one text.
async fn profile(name: Option<&str>, text: &str) -> Result<String, CredentialsErrorKind> {
    // One file for each text, since tests run at the same time.
    let path = std::env::temp_dir().join(format!("kinesis-core-profile-{}-{}", std::process::id(), text.len()));
    std::fs::write(&path, text).unwrap();
    let source = CredentialsSource::Profile { name: name.map(str::to_owned), path: path.to_str().map(str::to_owned) };
    let config = AwsConfig::builder().region("us-east-1").credentials(source).build().unwrap();
    let found = key(&config.credentials_provider(nobody(), clock()).await).await;
    std::fs::remove_file(path).unwrap();
    found.map_err(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_is_wanted_and_has_no_keys_is_a_mistake() {
    let keys = "[default]\naws_access_key_id = 11\naws_secret_access_key = 12\n";
    let itself = "[default]\nrole_arn = arn:aws:iam::111111111111:role/a\nsource_profile = default\n";
    let nowhere = "[default]\nrole_arn = arn:aws:iam::111111111111:role/a\nsource_profile = nowhere\n";
    let without_role = "[default]\nsource_profile = nowhere\n";
    assert_eq!(profile(Some("default"), keys).await.unwrap(), "11");
    assert_eq!(profile(None, "[default]\nregion = eu-west-1\n").await, Err(CredentialsErrorKind::NotConfigured));
    assert_eq!(profile(None, "").await, Err(CredentialsErrorKind::NotConfigured));
    for (name, text) in [
        (Some("typo"), keys),
        (Some("default"), "[other]\n"),
        (Some("default"), itself),
        (None, itself),
        (None, nowhere),
        (None, without_role),
    ] {
        assert_eq!(profile(name, text).await, Err(CredentialsErrorKind::Invalid), "{name:?} of {text}");
    }
}

fn custom(name: &str) -> Properties {
    Properties::from([
        ("aws.region", "us-east-1"),
        ("aws.credentials.provider", "CUSTOM"),
        ("aws.credentials.provider.custom.class", name),
    ])
}

#[tokio::test(start_paused = true)]
async fn a_custom_provider_is_found_by_its_registered_name_also_through_a_consumers_config() {
    let consumer = ConsumerConfig::from_properties(&custom("com.example.Vault")).unwrap();
    let config = consumer.aws().unwrap();
    config.register_credentials_provider("com.example.Vault", Credentials::new("vault", "secret", None, None, "vault"));
    let provider = config.clone().credentials_provider(nobody(), clock()).await;
    assert_eq!(key(&provider).await.unwrap(), "vault");
}

#[tokio::test(start_paused = true)]
async fn a_custom_provider_that_nobody_registered_is_named_with_those_that_are() {
    let config = AwsConfig::from_properties(&custom("com.example.Vualt")).unwrap();
    let keys = || Credentials::new("vault", "secret", None, None, "vault");
    config.register_credentials_provider("com.example.Vault", keys());
    let provider = config.credentials_provider(nobody(), clock()).await;
    let error = key(&provider).await.unwrap_err();
    assert_eq!(error.kind(), CredentialsErrorKind::Invalid);
    let text = error.to_string();
    assert!(text.contains("`com.example.Vualt` (registered: com.example.Vault)"), "{text}");
    config.register_credentials_provider("com.example.Vualt", keys());
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(key(&provider).await.unwrap(), "vault", "late, but not too late");
}

#[tokio::test(start_paused = true)]
async fn registered_providers_belong_to_their_config() {
    let (one, other) = (custom("mine"), custom("mine"));
    let (one, other) = (AwsConfig::from_properties(&one).unwrap(), AwsConfig::from_properties(&other).unwrap());
    one.register_credentials_provider("mine", Credentials::new("one", "secret", None, None, "one"));
    let clock = clock();
    let provider = other.credentials_provider(nobody(), Arc::clone(&clock)).await;
    assert_eq!(key(&provider).await.unwrap_err().kind(), CredentialsErrorKind::Invalid);
    assert_eq!(key(&one.credentials_provider(nobody(), clock).await).await.unwrap(), "one");
}
