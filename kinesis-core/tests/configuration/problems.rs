//! What is said of mistakes: all of them, each with its key, its value and what is allowed.

use kinesis_core::{ConfigProblem, consumer_config_constants as keys, source_config_constants as source};

use crate::{consumer, refused};

#[test]
fn all_problems_come_at_once_with_key_value_and_what_is_allowed() {
    let errors = consumer(&[
        (keys::AWS_REGION, "wrongRegionId"),
        (keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"),
        (keys::STREAM_INITIAL_TIMESTAMP, "yesterday"),
        (keys::SHARD_GETRECORDS_MAX, "10001"),
        (keys::RECORD_PUBLISHER_TYPE, "EFO"),
        (source::SHARD_DISCOVERY_INTERVAL, "soon"),
        ("flink.shard.getrecords.backof.base", "1"),
        ("flink.colour", "blue"),
    ])
    .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "7 problems in the configuration:\
         \n  `aws.region` = \"wrongRegionId\": is not valid; allowed: a region such as us-east-1, us-gov-west-1 or \
         aws-global\
         \n  `flink.colour`: is not a known key; remove it\
         \n  `flink.shard.getrecords.backof.base`: is not a known key; did you mean \
         `flink.shard.getrecords.backoff.base`?\
         \n  `flink.shard.getrecords.maxrecordcount` = \"10001\": is not valid; allowed: a whole number from 1 to 10000\
         \n  `flink.stream.efo.consumername`: is missing; EFO needs the consumer's name, unless the registration is \
         NONE\
         \n  `flink.stream.initpos.timestamp` = \"yesterday\": is not valid; allowed: a date of the pattern \
         yyyy-MM-dd'T'HH:mm:ss.SSSXXX that is not before 1970, or seconds since 1970 as a decimal number\
         \n  `source.shard.discovery.interval` = \"soon\": is not valid; allowed: a whole number and a unit, such as \
         250 ms, 10 s, 5 min, 1 h or 2 d"
    );
}

#[test]
fn a_refused_pattern_names_its_letters_and_why() {
    let pairs = [
        (keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"),
        (keys::STREAM_INITIAL_TIMESTAMP, "20-08-13"),
        (keys::STREAM_TIMESTAMP_DATE_FORMAT, "yy-MM-dd"),
    ];
    let errors = consumer(&pairs).unwrap_err();
    let text = errors.to_string();
    assert!(text.contains("\"yy-MM-dd\"") && text.contains("\"yy\": the century depends"), "{text}");
}

#[test]
fn a_zero_with_a_sign_is_refused_since_it_would_not_be_read() {
    for (key, value) in [(keys::SHARD_DISCOVERY_INTERVAL_MILLIS, "-0"), (keys::SHARD_GETRECORDS_RETRIES, "-00")] {
        assert_eq!(refused(&[(key, value)]), [key]);
    }
}

#[test]
fn a_date_of_digits_alone_is_not_told_to_be_seconds() {
    let pairs = [
        (keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"),
        (keys::STREAM_INITIAL_TIMESTAMP, "2020083"),
        (keys::STREAM_TIMESTAMP_DATE_FORMAT, "yyyyMMdd"),
    ];
    let text = consumer(&pairs).unwrap_err().to_string();
    assert!(text.contains("a date of the pattern yyyyMMdd") && !text.contains("seconds"), "{text}");
}

#[test]
fn a_problem_can_be_told_by_its_kind() {
    let errors =
        consumer(&[(keys::STREAM_INITIAL_POSITION, "AT_TIMESTAMP"), ("flink.stream.initPos", "x")]).unwrap_err();
    let found: Vec<_> = errors.iter().map(|error| &error.problem).collect();
    assert!(matches!(
        found.as_slice(),
        [ConfigProblem::Unknown(Some(nearest)), ConfigProblem::Missing(_)] if nearest == "flink.stream.initpos"
    ));
}

#[test]
fn keys_of_others_are_not_looked_at() {
    assert!(consumer(&[("RateLimit", "100"), ("scan.stream.initpos", "x"), ("sink.fail-on-error", "x")]).is_ok());
}
