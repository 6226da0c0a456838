//! What is accepted without effect is told, and nothing else is.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use kinesis_producer::producer_config_constants as keys;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::producer;

type Warnings = BTreeMap<String, String>;

/// Keeps the warnings of one thread by their keys.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Warnings>>);

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut warning = Warning::default();
        event.record(&mut warning);
        self.0.lock().unwrap().insert(warning.key, warning.message);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Warning {
    key: String,
    message: String,
}

impl Visit for Warning {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "key" {
            self.key = value.to_owned();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}

/// The warnings of a configuration that is accepted.
fn warnings(pairs: &[(&str, &str)]) -> Warnings {
    let recorder = Recorder::default();
    tracing::subscriber::with_default(recorder.clone(), || producer(pairs).unwrap());
    std::mem::take(&mut recorder.0.lock().unwrap())
}

fn warning(pairs: &[(&str, &str)], key: &str) -> Option<String> {
    warnings(pairs).remove(key)
}

#[test]
fn dead_settings_are_noted_whatever_their_value() {
    for (key, value) in [
        (keys::NATIVE_EXECUTABLE, "/opt/kpl"),
        (keys::TEMP_DIRECTORY, ""),
        (keys::LOG_LEVEL, "info"),
        (keys::ENABLE_CORE_DUMPS, "false"),
        (keys::ENABLE_DAEMON_HEALTH_CHECK, "true"),
        (keys::DAEMON_HEALTH_CHECK_TIMEOUT_MS, "5000"),
        (keys::MIN_CONNECTIONS, "1"),
        (keys::STS_ENDPOINT, "localhost"),
        (keys::STS_PORT, "443"),
        (keys::CREDENTIALS_REFRESH_DELAY, "100"),
    ] {
        let text = warning(&[(key, value)], key).unwrap_or_default();
        assert!(text.starts_with("configuration: the key has no effect: "), "{key}: {text:?}");
    }
}

#[test]
fn what_this_version_does_not_do_is_noted_unless_it_is_not_wanted() {
    for (key, noted, silent) in [
        (keys::USER_RECORD_TIMEOUT_IN_MILLIS, "1", Some("0")),
        (keys::CA_CERT_PATH, "/etc/ssl", Some("")),
        (keys::CA_CERT_FILE, "/etc/ca.pem", Some("")),
        (keys::PROXY_PORT, "443", None),
        (keys::PROXY_USER_NAME, "me", Some("")),
        (keys::PROXY_PASSWORD, "canary", Some("")),
        (keys::CLOUDWATCH_ENDPOINT, "localhost", Some("")),
        (keys::CLOUDWATCH_PORT, "443", None),
        (keys::RETURN_USER_RECORD_ON_FAILURE, "true", Some("FALSE")),
        (keys::ENABLE_OLDEST_FUTURE_TRACKER, "false", Some("true")),
    ] {
        let text = warning(&[(key, noted)], key).unwrap_or_default();
        assert!(text.contains("the key has no effect: ") && !text.contains("canary"), "{key}: {text:?}");
        if let Some(silent) = silent {
            assert_eq!(warning(&[(key, silent)], key), None, "{key} = {silent:?}");
        }
    }
}

#[test]
fn keys_of_the_metrics_say_how_they_are_read() {
    for (key, value) in [
        (keys::METRICS_LEVEL, "detailed"),
        (keys::METRICS_GRANULARITY, "shard"),
        (keys::METRICS_NAMESPACE, "mine"),
        (keys::METRICS_UPLOAD_DELAY, "60000"),
    ] {
        let text = warning(&[(key, value)], key).unwrap_or_default();
        assert!(text.contains("only by way of `MetricsConfig::from_properties`"), "{key}: {text:?}");
    }
    assert_eq!(warning(&[(keys::METRICS_LEVEL, "none")], keys::METRICS_LEVEL), None);
}

#[test]
fn what_is_read_is_not_noted() {
    let pairs = [
        (keys::AGGREGATION_ENABLED, "true"),
        (keys::AGGREGATION_MAX_COUNT, "500"),
        (keys::AGGREGATION_MAX_SIZE, "51200"),
        (keys::COLLECTION_MAX_COUNT, "500"),
        (keys::COLLECTION_MAX_SIZE, "5242880"),
        (keys::RATE_LIMIT, "100"),
        (keys::RECORD_MAX_BUFFERED_TIME, "100"),
        (keys::RECORD_TTL, "30000"),
        (keys::FAIL_IF_THROTTLED, "true"),
        (keys::MAX_USER_RECORD_SIZE, "1048576"),
        (keys::VERIFY_CERTIFICATE, "true"),
        (keys::PROXY_HOST, ""),
        (keys::GLUE_SCHEMA_REGISTRY_PROPERTIES_FILE_PATH, ""),
        (keys::MAX_CONNECTIONS, "24"),
        (keys::THREADING_MODEL, "POOLED"),
        (keys::THREAD_POOL_SIZE, "24"),
        ("aws.region", "us-east-1"),
        ("flink.nonsense", "1"),
    ];
    assert_eq!(warnings(&pairs), Warnings::new());
}

#[test]
fn deprecated_keys_are_noted_and_so_is_the_newer_one_that_loses() {
    let older = (keys::DEPRECATED_COLLECTION_MAX_COUNT, "50");
    assert_eq!(
        warnings(&[older]),
        Warnings::from([(
            older.0.to_owned(),
            "configuration: the key is deprecated, and read as `CollectionMaxCount`".to_owned()
        )])
    );
    let both = warnings(&[older, (keys::COLLECTION_MAX_COUNT, "100")]);
    assert_eq!(
        both[keys::COLLECTION_MAX_COUNT],
        "configuration: the key has no effect, because `aws.producer.collectionMaxCount` is set and wins"
    );
}

#[test]
fn keys_of_the_client_say_how_they_reach_it() {
    let region = warning(&[(keys::REGION, "us-east-1")], keys::REGION).unwrap();
    assert!(region.contains("by way of `client_properties`, as `aws.region`"), "{region}");
    let both = [(keys::REGION, "us-east-1"), ("aws.region", "us-east-1")];
    assert!(warning(&both, keys::REGION).unwrap().contains("because `aws.region` is set and wins"));
    let port = warning(&[(keys::KINESIS_PORT, "4567")], keys::KINESIS_PORT).unwrap();
    assert!(port.contains("no effect without `KinesisEndpoint`"), "{port}");
}

#[test]
fn a_pool_that_is_held_back_is_noted() {
    let size = (keys::THREAD_POOL_SIZE, "128");
    let text = warning(&[size], keys::THREAD_POOL_SIZE).unwrap();
    assert!(text.ends_with("`MaxConnections` allows no more than 24 requests at a time"), "{text}");
    assert_eq!(warning(&[size, (keys::MAX_CONNECTIONS, "128")], keys::THREAD_POOL_SIZE), None);
    let text = warning(&[size, (keys::THREADING_MODEL, "PER_REQUEST")], keys::THREAD_POOL_SIZE).unwrap();
    assert!(text.contains("no effect with `ThreadingModel` = PER_REQUEST"), "{text}");
}
