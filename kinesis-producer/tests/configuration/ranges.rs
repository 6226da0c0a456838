//! One row for each key: what is allowed, what is not, and the default.

use std::collections::BTreeSet;
use std::time::Duration;

use kinesis_producer::{ProducerConfig, producer_config_constants as keys};

use self::Allowed::{Flags, Texts, Whole};
use crate::documentation::constants;
use crate::{LARGEST, millis, problem, producer};

/// What a key allows.
enum Allowed {
    /// Whole numbers between these two.
    Whole(u64, u64),
    /// Flags, and which of the two.
    Flags(&'static [&'static str]),
    /// Some texts that are allowed, and some that are not.
    Texts(&'static [&'static str], &'static [&'static str]),
}

const BOTH: Allowed = Flags(&["true", "false", "TRUE", "False"]);
const ANY_COUNT: Allowed = Whole(1, LARGEST);
const PORT: Allowed = Whole(1, 65_535);
const HOST: Allowed =
    Texts(&["", "localhost", "10.0.0.1", "a-b.Example"], &["http://a", "a:443", "a/b", "a b", "ä", "a_b"]);
const ANY: Allowed = Texts(&["", "/any text"], &[]);
const NOTHING: Allowed = Texts(&[""], &["/any text", " "]);

const CASES: [(&str, Allowed); 47] = [
    (keys::AGGREGATION_ENABLED, BOTH),
    (keys::AGGREGATION_MAX_COUNT, ANY_COUNT),
    (keys::AGGREGATION_MAX_SIZE, Whole(64, 10_485_760)),
    (keys::COLLECTION_MAX_COUNT, Whole(1, 500)),
    (keys::COLLECTION_MAX_SIZE, Whole(52_224, LARGEST)),
    (keys::RATE_LIMIT, ANY_COUNT),
    (keys::RECORD_MAX_BUFFERED_TIME, Whole(0, LARGEST)),
    (keys::RECORD_TTL, Whole(100, LARGEST)),
    (keys::FAIL_IF_THROTTLED, BOTH),
    (keys::MAX_USER_RECORD_SIZE, Whole(64, 10_485_760)),
    (keys::USER_RECORD_TIMEOUT_IN_MILLIS, Whole(0, LARGEST)),
    (keys::MAX_CONNECTIONS, Whole(1, 256)),
    (keys::THREADING_MODEL, Texts(&["POOLED", "PER_REQUEST"], &["pooled", "", "THREADS"])),
    (keys::THREAD_POOL_SIZE, Whole(0, i32::MAX as u64)),
    (
        keys::REGION,
        Texts(&["", "us-east-1", "us-gov-west-1"], &["us-east-10", "Ireland", "aws-global", "us-east-1 ", "local"]),
    ),
    (keys::KINESIS_ENDPOINT, HOST),
    (keys::KINESIS_PORT, PORT),
    (keys::CONNECT_TIMEOUT, Whole(100, 300_000)),
    (keys::REQUEST_TIMEOUT, Whole(100, 600_000)),
    (keys::VERIFY_CERTIFICATE, Flags(&["true", "True"])),
    (keys::CA_CERT_PATH, ANY),
    (keys::CA_CERT_FILE, ANY),
    (keys::PROXY_HOST, NOTHING),
    (keys::PROXY_PORT, PORT),
    (keys::PROXY_USER_NAME, ANY),
    (keys::PROXY_PASSWORD, ANY),
    (keys::METRICS_LEVEL, Texts(&["none", "summary", "detailed"], &["all", "None", ""])),
    (keys::METRICS_GRANULARITY, Texts(&["global", "stream", "shard"], &["host", "SHARD", ""])),
    (keys::METRICS_NAMESPACE, Texts(&["KinesisProducerLibrary", "AWS", "my AWS/x"], &["", "AWS/", "AWS/Kinesis"])),
    (keys::METRICS_UPLOAD_DELAY, Whole(1, 60_000)),
    (keys::CLOUDWATCH_ENDPOINT, HOST),
    (keys::CLOUDWATCH_PORT, PORT),
    (keys::GLUE_SCHEMA_REGISTRY_PROPERTIES_FILE_PATH, NOTHING),
    (keys::RETURN_USER_RECORD_ON_FAILURE, BOTH),
    (keys::ENABLE_OLDEST_FUTURE_TRACKER, BOTH),
    (keys::CREDENTIALS_REFRESH_DELAY, Whole(1, 300_000)),
    (keys::MIN_CONNECTIONS, Whole(1, 16)),
    (keys::STS_ENDPOINT, HOST),
    (keys::STS_PORT, PORT),
    (keys::LOG_LEVEL, Texts(&["trace", "debug", "info", "warning", "error"], &["warn", "INFO", ""])),
    (keys::NATIVE_EXECUTABLE, ANY),
    (keys::TEMP_DIRECTORY, ANY),
    (keys::ENABLE_CORE_DUMPS, BOTH),
    (keys::ENABLE_DAEMON_HEALTH_CHECK, BOTH),
    (keys::DAEMON_HEALTH_CHECK_TIMEOUT_MS, Whole(5_000, LARGEST)),
    (keys::DEPRECATED_COLLECTION_MAX_COUNT, Whole(1, 500)),
    (keys::DEPRECATED_AGGREGATION_MAX_COUNT, ANY_COUNT),
];

/// The problem of one value, where the other of the two times leaves it room.
fn problem_of(key: &str, value: &str) -> String {
    match key {
        keys::RECORD_TTL => problem(&[(key, value), (keys::RECORD_MAX_BUFFERED_TIME, "0")]),
        keys::RECORD_MAX_BUFFERED_TIME => problem(&[(key, value), (keys::RECORD_TTL, &LARGEST.to_string())]),
        _ => problem(&[(key, value)]),
    }
}

fn assert_allowed(key: &str, value: &str) {
    assert_eq!(problem_of(key, value), "", "{key} = {value:?}");
}

/// The message names the key and the value, unless that is a secret.
fn assert_refused(key: &str, value: &str) {
    let text = problem_of(key, value);
    assert!(text.starts_with(&format!("configuration: `{key}` = {value:?}: is not ")), "{key} = {value:?}: {text}");
    assert!(text.contains("; allowed: "), "{text}");
}

#[test]
fn every_key_has_a_case() {
    let cases: BTreeSet<_> = CASES.iter().map(|(key, _)| *key).collect();
    assert_eq!(cases, constants().into_iter().collect());
}

#[test]
fn whole_numbers_end_where_the_table_says() {
    for (key, allowed) in CASES {
        let Whole(least, most) = allowed else { continue };
        for value in [least, most] {
            assert_allowed(key, &value.to_string());
        }
        for value in [i128::from(least) - 1, i128::from(most) + 1] {
            assert_refused(key, &value.to_string());
        }
        for value in ["unparsableLong", "", "1.5", "0x10", " 200", "200 ", "200 ms", "PT1S", "18446744073709551616"] {
            assert_refused(key, value);
        }
        let text = problem_of(key, "-1");
        assert!(text.ends_with(&format!("from {least} to {most}")), "{text}");
    }
}

#[test]
fn flags_are_true_or_false_in_any_case() {
    for (key, allowed) in CASES {
        let Flags(allowed) = allowed else { continue };
        allowed.iter().for_each(|value| assert_allowed(key, value));
        for value in ["", "yes", "1", "on", "true ", "truee"] {
            assert_refused(key, value);
        }
    }
}

#[test]
fn flags_that_rely_on_what_is_not_here_are_refused() {
    assert_refused(keys::VERIFY_CERTIFICATE, "false");
    assert!(problem_of(keys::VERIFY_CERTIFICATE, "false").contains("is not supported by this version"));
}

#[test]
fn texts_follow_their_patterns() {
    for (key, allowed) in CASES {
        let Texts(allowed, refused) = allowed else { continue };
        allowed.iter().for_each(|value| assert_allowed(key, value));
        refused.iter().for_each(|value| assert_refused(key, value));
    }
    assert_allowed(keys::METRICS_NAMESPACE, &"n".repeat(255));
    assert_refused(keys::METRICS_NAMESPACE, &"n".repeat(256));
}

/// The values that stand for what holds without the key.
const DEFAULTS: [(&str, &str); 11] = [
    (keys::AGGREGATION_ENABLED, "true"),
    (keys::AGGREGATION_MAX_COUNT, "4294967295"),
    (keys::AGGREGATION_MAX_SIZE, "51200"),
    (keys::COLLECTION_MAX_COUNT, "500"),
    (keys::COLLECTION_MAX_SIZE, "5242880"),
    (keys::RATE_LIMIT, "100"),
    (keys::RECORD_MAX_BUFFERED_TIME, "100"),
    (keys::RECORD_TTL, "30000"),
    (keys::MAX_CONNECTIONS, "24"),
    (keys::THREADING_MODEL, "POOLED"),
    (keys::THREAD_POOL_SIZE, "10"),
];

#[test]
fn defaults_are_those_of_the_connector_where_it_has_any() {
    assert_eq!(producer(&[]).unwrap(), ProducerConfig::default());
    assert_eq!(producer(&DEFAULTS).unwrap(), ProducerConfig::default());
    for default in DEFAULTS {
        assert_eq!(producer(&[default]).unwrap(), ProducerConfig::default(), "{default:?}");
    }
    for (key, value) in
        [(keys::RATE_LIMIT, "150"), (keys::THREAD_POOL_SIZE, "0"), (keys::THREADING_MODEL, "PER_REQUEST")]
    {
        assert_ne!(producer(&[(key, value)]).unwrap(), ProducerConfig::default(), "the KPL's default of {key}");
    }
}

#[test]
fn setters_have_the_ranges_of_the_properties() {
    type Setter = fn(ProducerConfig, u64) -> ProducerConfig;
    let cases: [(&str, Setter, u64, u64); 7] = [
        (keys::AGGREGATION_MAX_COUNT, |config, value| config.aggregation_max_count(value as usize), 1, LARGEST),
        (keys::AGGREGATION_MAX_SIZE, |config, value| config.aggregation_max_size_bytes(value as usize), 64, 10_485_760),
        (keys::COLLECTION_MAX_COUNT, |config, value| config.collection_max_count(value as usize), 1, 500),
        (keys::COLLECTION_MAX_SIZE, |config, value| config.collection_max_size_bytes(value as usize), 52_224, LARGEST),
        (keys::RATE_LIMIT, ProducerConfig::rate_limit, 1, LARGEST),
        (keys::RECORD_TTL, |config, value| config.record_ttl(millis(value)), 100, LARGEST),
        (keys::RECORD_MAX_BUFFERED_TIME, |config, value| config.record_max_buffered_time(millis(value)), 0, LARGEST),
    ];
    let room = |key| match key {
        keys::RECORD_TTL => {
            (keys::RECORD_MAX_BUFFERED_TIME, "0", ProducerConfig::default().record_max_buffered_time(millis(0)))
        }
        _ => (keys::RECORD_TTL, "9223372036854775807", ProducerConfig::default().record_ttl(Duration::MAX)),
    };
    for (key, set, least, most) in cases {
        let (other, text, config) = room(key);
        for value in [least, most] {
            let set = set(config.clone(), value);
            assert_eq!(set.check(), Ok(()), "{key} = {value}");
            // The largest time to live is for ever, which the setter says with the longest duration.
            if (key, value) != (keys::RECORD_TTL, LARGEST) {
                assert_eq!(producer(&[(key, &value.to_string()), (other, text)]).unwrap(), set, "{key} = {value}");
            }
        }
        let beyond: Vec<_> = least.checked_sub(1).into_iter().chain([most + 1]).collect();
        for value in beyond {
            let is_time = [keys::RECORD_TTL, keys::RECORD_MAX_BUFFERED_TIME].contains(&key);
            if is_time && value > most {
                continue; // A longer duration is for ever.
            }
            let errors = set(config.clone(), value).check().unwrap_err();
            assert_eq!(errors.iter().map(|error| error.key.as_str()).collect::<Vec<_>>(), [key], "{value}");
        }
    }
}
