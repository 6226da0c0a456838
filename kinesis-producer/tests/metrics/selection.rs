//! Which metrics there are, by level and granularity.

use kinesis_core::{ClientOptions, KinesisClient};
use kinesis_producer::{BuildError, KinesisProducer, MetricsConfig, MetricsGranularity, MetricsLevel, ProducerConfig};
use kinesis_testkit::{Entries, Fault, FaultRule, Operation};
use metrics::Unit;

use crate::recorder::Kept;
use crate::support::{builder, kinesis, measured, record};

/// Two shards, one failed entry.
async fn run(metrics: MetricsConfig) -> Kept {
    let kinesis = kinesis(2);
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::FailEntries(Entries::At(vec![0]))));
    measured(&kinesis, ProducerConfig::default().aggregation(false), metrics, async |producer| {
        for index in 0..20 {
            drop(producer.put(record(&format!("key-{index}"))).await.unwrap());
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn without_metrics_nothing_is_registered_or_described() {
    let kept = run(MetricsConfig::default().level(MetricsLevel::None)).await;
    assert!(kept.all().is_empty() && kept.described().is_empty(), "{kept:?}");

    let kept = Kept::default();
    let _guard = metrics::set_default_local_recorder(&kept);
    let kinesis = kinesis(1);
    let producer = builder(&kinesis, ProducerConfig::default()).build().await.unwrap();
    assert!(producer.put(record("key")).await.unwrap().await.is_stored());
    producer.close().await.unwrap();
    assert!(kept.all().is_empty() && kept.described().is_empty(), "nor where nobody asked for metrics");
}

#[tokio::test(start_paused = true)]
async fn the_summary_is_what_tells_whether_all_is_well() {
    let kept = run(MetricsConfig::default().level(MetricsLevel::Summary)).await;
    let names = ["all_errors", "buffering_time_ms", "errors_by_code", "kinesis_records_put", "user_records_put"];
    assert_eq!(kept.names(), names, "no record expired");
    let described: Vec<_> = kept.described().into_keys().collect();
    assert_eq!(
        described,
        [
            "all_errors",
            "buffering_time_ms",
            "errors_by_code",
            "kinesis_records_put",
            "user_record_expired",
            "user_records_put"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn units_are_described() {
    let described = run(MetricsConfig::default()).await.described();
    assert_eq!(described.len(), 15);
    for (name, unit) in described {
        let expected = match name.rsplit('_').next() {
            Some("ms") => Unit::Milliseconds,
            Some("bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        assert_eq!(unit, Some(expected), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn labels_are_as_fine_as_asked_for() {
    let with = |granularity| {
        MetricsConfig::default()
            .granularity(granularity)
            .dimension("host", "a", MetricsGranularity::Global)
            .dimension("team", "b", MetricsGranularity::Stream)
            .dimension("rack", "c", MetricsGranularity::Shard)
    };
    for (granularity, labels, shards) in [
        (MetricsGranularity::Global, "host=a", 1),
        (MetricsGranularity::Stream, "host=a stream=orders team=b", 1),
        (MetricsGranularity::Shard, "host=a stream=orders team=b shard=shardId-000000000001 rack=c", 2),
    ] {
        let kept = run(with(granularity)).await;
        assert!(kept.counter(&format!("user_records_put {labels}")).is_some_and(|count| count > 0), "{kept:?}");
        let series = kept.all().into_keys().filter(|name| name.starts_with("user_records_put ")).count();
        assert_eq!((series, kept.total("user_records_put")), (shards, 20), "{granularity:?}");
        let by_code = kept.all().into_keys().find(|name| name.starts_with("errors_by_code ")).unwrap();
        assert!(by_code.starts_with("errors_by_code host=a error_code=InternalFailure"), "{by_code}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_not_allowed_fail_the_build() {
    let client = KinesisClient::new(kinesis(1).client(), ClientOptions::default());
    let config = MetricsConfig::default().namespace("AWS/Kinesis");
    let built = KinesisProducer::builder().client(client).metrics(config).build().await;
    let Err(error @ BuildError::Invalid { setting: "metrics namespace", .. }) = built else {
        panic!("{built:?}");
    };
    assert!(error.to_string().contains("AWS/Kinesis"), "{error}");
}
