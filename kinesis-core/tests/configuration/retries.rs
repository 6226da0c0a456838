//! How calls are tried again: every key of every call, and which of them wins.

use std::time::Duration;

use kinesis_core::{
    Backoff, ConsumerConfig, Randomness, RetryPolicy, aws_config_constants as aws, consumer_config_constants as keys,
};

use crate::{consumer, refused};

type Policy = fn(&ConsumerConfig) -> RetryPolicy;

/// What the keys of a call start with, its policy, and the reference's default.
const CALLS: [(&str, Policy, (u32, u64, u64)); 8] = [
    ("flink.shard.getrecords", ConsumerConfig::get_records_retry, (3, 300, 1000)),
    ("flink.shard.getiterator", ConsumerConfig::get_iterator_retry, (3, 300, 1000)),
    ("flink.list.shards", ConsumerConfig::list_shards_retry, (10, 1000, 5000)),
    ("flink.stream.describe", ConsumerConfig::describe_stream_retry, (50, 2000, 5000)),
    ("flink.stream.describestreamconsumer", |config| config.fan_out().describe_consumer_retry, (50, 2000, 5000)),
    ("flink.stream.registerstreamconsumer", |config| config.fan_out().register_retry, (10, 500, 2000)),
    ("flink.stream.deregisterstreamconsumer", |config| config.fan_out().deregister_retry, (10, 500, 2000)),
    ("flink.shard.subscribetoshard", |config| config.fan_out().subscribe_retry, (10, 1000, 2000)),
];

fn policy(max_retries: u32, base: u64, max: u64, exponent: f64) -> RetryPolicy {
    let backoff = Backoff::new(Duration::from_millis(base), Duration::from_millis(max), exponent);
    RetryPolicy { max_retries, backoff }
}

#[test]
fn every_call_has_the_references_defaults_and_reads_its_four_keys() {
    for (prefix, read, (retries, base, max)) in CALLS {
        assert_eq!(read(&consumer(&[]).unwrap()), policy(retries, base, max, 1.5), "{prefix}");
        let keys =
            ["maxretries", "backoff.base", "backoff.max", "backoff.expconst"].map(|key| format!("{prefix}.{key}"));
        let pairs: Vec<_> = keys.iter().map(String::as_str).zip(["71", "72", "73", "7.4"]).collect();
        assert_eq!(read(&consumer(&pairs).unwrap()), policy(71, 72, 73, 7.4), "{prefix}");
        for (index, expected) in [
            policy(71, base, max, 1.5),
            policy(retries, 72, max, 1.5),
            policy(retries, base, 73, 1.5),
            policy(retries, base, max, 7.4),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(read(&consumer(&pairs[index..=index]).unwrap()), expected, "{}", pairs[index].0);
        }
    }
}

#[test]
fn delays_have_full_jitter_below_the_bound() {
    let policy = policy(3, 300, 1000, 1.5);
    let mut random = Randomness::from_seed(7).stream("retries");
    for (attempt, bound) in [(0, 300), (1, 450), (2, 675), (3, 1000), (9, 1000)] {
        assert_eq!(policy.backoff.bound(attempt), Duration::from_millis(bound));
        let delays: Vec<_> = (0..500).map(|_| policy.backoff.delay(attempt, &mut random)).collect();
        assert!(delays.iter().all(|delay| *delay < Duration::from_millis(bound)), "seed 7: {delays:?}");
        let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(*least < Duration::from_millis(bound / 20) && *most > Duration::from_millis(bound / 20 * 19), "seed 7");
    }
}

#[test]
fn the_older_delays_of_describing_win_over_those_of_listings() {
    let older = (keys::STREAM_DESCRIBE_BACKOFF_BASE, "11");
    let newer = (keys::LIST_SHARDS_BACKOFF_BASE, "12");
    let listing = |pairs: &[_]| consumer(pairs).unwrap().list_shards_retry();
    assert_eq!(listing(&[older]), policy(10, 11, 5000, 1.5));
    assert_eq!(listing(&[older, newer]), policy(10, 11, 5000, 1.5));
    let others = [(keys::LIST_SHARDS_BACKOFF_MAX, "13"), (keys::LIST_SHARDS_RETRIES, "14")];
    assert_eq!(listing(&[&[older, newer], others.as_slice()].concat()), policy(14, 11, 13, 1.5), "key by key");
    let retries = (keys::STREAM_DESCRIBE_RETRIES, "7");
    assert_eq!(listing(&[retries]), policy(10, 1000, 5000, 1.5), "their number does not");
}

#[test]
fn the_newer_retry_strategy_holds_for_polling_calls_and_loses_to_their_own_keys() {
    let strategy = [
        (aws::RETRY_STRATEGY_MIN_DELAY_OPTION, "400 ms"),
        (aws::RETRY_STRATEGY_MAX_DELAY_OPTION, "2 s"),
        (aws::RETRY_STRATEGY_MAX_ATTEMPTS_OPTION, "50"),
    ];
    let config = consumer(&strategy).unwrap();
    for (prefix, read, (retries, base, max)) in CALLS {
        let is_polling = !prefix.contains("consumer") && !prefix.contains("subscribe");
        let expected = if is_polling { policy(49, 400, 2000, 2.0) } else { policy(retries, base, max, 1.5) };
        assert_eq!(read(&config), expected, "{prefix}");
    }
    let own = (keys::SHARD_GETRECORDS_RETRIES, "7");
    let config = consumer(&[strategy.as_slice(), &[own]].concat()).unwrap();
    assert_eq!(config.get_records_retry(), policy(7, 400, 2000, 2.0));
    let once = (aws::RETRY_STRATEGY_MAX_ATTEMPTS_OPTION, "1");
    assert_eq!(consumer(&[once]).unwrap().get_records_retry().max_retries, 0, "attempts, not retries");
    for (key, value) in [
        (aws::RETRY_STRATEGY_MAX_ATTEMPTS_OPTION, "0"),
        (aws::RETRY_STRATEGY_MIN_DELAY_OPTION, "-1 s"),
        (aws::RETRY_STRATEGY_MAX_DELAY_OPTION, "soon"),
        ("retry-strategy.delay.least", "1 s"),
    ] {
        assert_eq!(refused(&[(key, value)]), [key]);
    }
}
