//! What is said of mistakes: all of them, each with its key, its value and what is allowed.

use kinesis_core::{ClientOptions, ConfigErrors, ConfigProblem, KinesisClient};
use kinesis_producer::{BuildError, KinesisProducer, ProducerConfig, producer_config_constants as keys};
use kinesis_testkit::FakeKinesis;

use crate::{millis, problem, producer};

#[test]
fn all_problems_come_at_once_with_key_value_and_what_is_allowed() {
    let text = problem(&[
        (keys::RATE_LIMIT, "unparsableLong"),
        (keys::COLLECTION_MAX_COUNT, "501"),
        (keys::RECORD_TTL, "99"),
        (keys::THREADING_MODEL, "pooled"),
        (keys::AGGREGATION_ENABLED, "yes"),
        (keys::LOG_LEVEL, "loud"),
        (keys::VERIFY_CERTIFICATE, "false"),
        ("AggregationEnable", "true"),
        ("aws.producer.collectionMaxCounts", "1"),
        ("Colour", "blue"),
    ]);
    assert_eq!(
        text,
        "10 problems in the configuration:\
         \n  `AggregationEnable`: is not a known key; did you mean `AggregationEnabled`?\
         \n  `AggregationEnabled` = \"yes\": is not valid; allowed: true, false\
         \n  `CollectionMaxCount` = \"501\": is not valid; allowed: a whole number from 1 to 500\
         \n  `Colour`: is not a known key; remove it\
         \n  `LogLevel` = \"loud\": is not valid; allowed: trace, debug, info, warning, error\
         \n  `RateLimit` = \"unparsableLong\": is not valid; allowed: a whole number from 1 to 9223372036854775807\
         \n  `RecordTtl` = \"99\": is not valid; allowed: a whole number of milliseconds from 100 to 9223372036854775807\
         \n  `ThreadingModel` = \"pooled\": is not valid; allowed: POOLED, PER_REQUEST\
         \n  `VerifyCertificate` = \"false\": is not supported by this version; allowed: true; add a private authority to \
         the system's, or use an http endpoint\
         \n  `aws.producer.collectionMaxCounts`: is not a known key; did you mean `aws.producer.collectionMaxCount`?"
    );
}

#[test]
fn an_unknown_key_names_its_neighbour() {
    for (key, nearest) in [
        ("ratelimit", Some(keys::RATE_LIMIT)),
        ("RecordTTL", Some(keys::RECORD_TTL)),
        ("RecordMaxBufferTime", Some(keys::RECORD_MAX_BUFFERED_TIME)),
        ("setRateLimit", Some(keys::RATE_LIMIT)),
        ("MaxConnection", Some(keys::MAX_CONNECTIONS)),
        ("aws.producer.aggregationMaxcount", Some(keys::DEPRECATED_AGGREGATION_MAX_COUNT)),
        ("aws.producer.rateLimit", None),
        ("queueLimit", None),
        ("", None),
    ] {
        let errors = producer(&[(key, "1")]).unwrap_err();
        let found: Vec<_> = errors.iter().collect();
        let [error] = found.as_slice() else { panic!("{errors}") };
        let ConfigProblem::Unknown(found) = &error.problem else { panic!("{error}") };
        assert_eq!((error.key.as_str(), found.as_deref()), (key, nearest), "{key}");
        assert_eq!(error.value, None, "an unknown key's value may be a secret");
    }
}

#[test]
fn the_trap_in_the_kpls_own_sample_is_named() {
    let text = problem(&[(keys::MAX_USER_RECORD_SIZE, "1048576;")]);
    assert!(text.contains("`MaxUserRecordSize` = \"1048576;\": is not valid"), "{text}");
}

#[test]
fn a_record_that_would_expire_in_its_buffer_is_refused() {
    let pairs = |buffered, ttl| [(keys::RECORD_MAX_BUFFERED_TIME, buffered), (keys::RECORD_TTL, ttl)];
    assert_eq!(
        problem(&pairs("100", "100")),
        "configuration: `RecordTtl` = \"100\": is not valid; allowed: more than record_max_buffered_time, or every \
         record expires in its buffer"
    );
    assert_eq!(problem(&pairs("99", "100")), "");
    assert!(problem(&pairs("60000", "60000")).contains("expires in its buffer"));
    assert!(!problem(&[(keys::RECORD_MAX_BUFFERED_TIME, "30000")]).is_empty(), "against the default, too");
    let both = problem(&pairs("soon", "1"));
    assert!(both.starts_with("2 problems") && !both.contains("expires in its buffer"), "{both}");
}

#[test]
fn a_password_is_not_shown() {
    let errors = producer(&[(keys::PROXY_HOST, "http://me:canary@proxy"), (keys::PROXY_PORT, "0")]).unwrap_err();
    assert!(!format!("{errors} {errors:?}").contains("canary"), "{errors}");
}

#[test]
fn keys_of_others_are_not_looked_at() {
    let others = [
        ("aws.region", "Ireland"),
        ("aws.nonsense", "1"),
        ("flink.nonsense", "1"),
        ("source.nonsense", "1"),
        ("retry-strategy.nonsense", "1"),
        ("sink.fail-on-error", "maybe"),
    ];
    assert_eq!(producer(&others).unwrap(), ProducerConfig::default());
}

#[test]
fn setters_are_checked_all_at_once_too() {
    let config = ProducerConfig::default()
        .rate_limit(0)
        .collection_max_count(501)
        .max_requests_in_flight(0)
        .queue_limit_bytes(0)
        .record_ttl(millis(50));
    let errors: ConfigErrors = config.check().unwrap_err();
    assert_eq!(
        errors.to_string(),
        "5 problems in the configuration:\
         \n  `CollectionMaxCount` = \"501\": is not valid; allowed: 1 to 500\
         \n  `RateLimit` = \"0\": is not valid; allowed: 1 to 9223372036854775807 percent\
         \n  `RecordTtl` = \"50\": is not valid; allowed: at least 100 ms\
         \n  `max_requests_in_flight` = \"0\": is not valid; allowed: at least 1\
         \n  `queue_limit_bytes` = \"0\": is not valid; allowed: at least 1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_producer_is_not_built_with_a_setting_out_of_range() {
    let client = KinesisClient::new(FakeKinesis::builder().build().client(), ClientOptions::default());
    let builder = KinesisProducer::builder().client(client).config(ProducerConfig::default().rate_limit(1 << 63));
    let error = builder.build().await.unwrap_err();
    assert!(matches!(error, BuildError::OutOfRange { setting: "rate_limit", .. }), "{error}");
    assert!(error.to_string().ends_with("allowed: 1 to 9223372036854775807 percent"), "{error}");
}
