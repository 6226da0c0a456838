//! A producer whose metrics go to CloudWatch.

use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Region};
use kinesis_core::{AwsConfig, ClientOptions, CredentialsSource, KinesisClient, Randomness};
use kinesis_producer::{
    CloudWatchUploader, KinesisProducer, MetricsConfig, MetricsGranularity, MetricsLevel, Outcome, ProducerConfig,
};
use kinesis_testkit::{Entries, FakeKinesis, Fault, FaultRule, Operation};
use tokio::time::Instant;

use crate::endpoint::{Endpoint, Received, Reply};
use crate::support::{STREAM, builder, kinesis, millis, record};

fn find<'a>(data: &'a [Received], what: &str) -> &'a Received {
    let found = data.iter().find(|datum| datum.what == what);
    found.unwrap_or_else(|| panic!("{what} is not in {:?}", data.iter().map(|datum| &datum.what).collect::<Vec<_>>()))
}

fn all(endpoint: &mut Endpoint) -> Vec<Received> {
    endpoint.rest().iter().flat_map(|request| request.data()).collect()
}

async fn put(producer: &KinesisProducer, count: usize) {
    for index in 0..count {
        drop(producer.put(record(&format!("key-{index}"))).await.unwrap());
    }
}

/// Over a real connection, with the connections and the TLS of a Kinesis client.
#[tokio::test]
async fn a_close_uploads_what_is_left() {
    let config = AwsConfig::builder().region("us-west-1").credentials(CredentialsSource::basic("id", "key"));
    let shared = KinesisClient::connect(&config.build().unwrap()).await;
    let http_client = shared.sdk().config().http_client().unwrap();
    let mut endpoint = Endpoint::on_loopback(&[], http_client).await;
    let kinesis = FakeKinesis::builder().stream(STREAM, 1).build();
    let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
    let producer = KinesisProducer::builder()
        .client(client)
        .randomness(Randomness::from_seed(1))
        .cloudwatch(CloudWatchUploader::new(endpoint.client()))
        .build()
        .await
        .unwrap();
    put(&producer, 50).await;
    producer.close().await.unwrap();
    let requests = endpoint.rest();
    assert!(requests.iter().all(|request| request.namespace() == "KinesisProducerLibrary"));
    assert!(requests.iter().all(|request| request.data().len() <= 20));
    for request in &requests {
        assert!(request.path.ends_with("/operation/PutMetricData"), "{}", request.path);
        assert!(request.headers["authorization"].starts_with("AWS4-HMAC-SHA256"), "{:?}", request.headers);
    }
    let data: Vec<_> = requests.iter().flat_map(|request| request.data()).collect();
    let shard = "StreamName=orders ShardId=shardId-000000000000";
    for what in ["UserRecordsPut", "UserRecordsPut StreamName=orders", &format!("UserRecordsPut {shard}")] {
        let put = find(&data, what);
        assert_eq!((put.count, put.sum, put.min, put.max, put.unit.as_str()), (50.0, 50.0, 1.0, 1.0, "Count"));
    }
    let bytes = find(&data, &format!("UserRecordsDataPut {shard}"));
    assert_eq!((bytes.count, bytes.sum, bytes.unit.as_str()), (50.0, 500.0, "Bytes"));
    assert_eq!(find(&data, &format!("BufferingTime {shard}")).unit, "Milliseconds");
    let dimensions: Vec<_> = data.iter().map(|datum| datum.what.split(' ').count()).collect();
    assert!(dimensions.is_sorted(), "fewer dimensions first");
}

/// The Kinesis client's HTTP client is the endpoint's, so that the request arrives there whatever its address is.
#[tokio::test(start_paused = true)]
async fn a_connected_uploader_shares_http_client_region_and_credentials() {
    let mut endpoint = Endpoint::in_process(&[]);
    let config = AwsConfig::builder().region("eu-west-3").credentials(CredentialsSource::basic("AKIDOWN", "key"));
    let sdk = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-3"))
        .endpoint_url("http://kinesis.invalid")
        .http_client(endpoint.client().config().http_client().unwrap());
    let shared = KinesisClient::new(aws_sdk_kinesis::Client::from_conf(sdk.build()), ClientOptions::default());
    let uploader = CloudWatchUploader::connect(&config.build().unwrap(), &shared).await;
    let kinesis = kinesis(1);
    let metrics = MetricsConfig::default().level(MetricsLevel::Summary).granularity(MetricsGranularity::Global);
    let producer =
        builder(&kinesis, ProducerConfig::default()).metrics(metrics).cloudwatch(uploader).build().await.unwrap();
    put(&producer, 1).await;
    producer.close().await.unwrap();
    let request = endpoint.next().await;
    assert!(request.path.starts_with("https://monitoring.eu-west-3.amazonaws.com/"), "{}", request.path);
    let authorization = &request.headers["authorization"];
    assert!(authorization.contains("Credential=AKIDOWN/"), "{authorization}");
    assert!(authorization.contains("/eu-west-3/monitoring/aws4_request"), "{authorization}");
    assert_eq!(find(&request.data(), "UserRecordsPut").sum, 1.0);
}

/// What a counter cannot show: the samples of 0.
#[tokio::test(start_paused = true)]
async fn failures_are_samples_of_zero() {
    let mut endpoint = Endpoint::in_process(&[]);
    let kinesis = kinesis(1);
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::FailEntries(Entries::At(vec![0, 1]))));
    let config = ProducerConfig::default().aggregation(false);
    let producer =
        builder(&kinesis, config).cloudwatch(CloudWatchUploader::new(endpoint.client())).build().await.unwrap();
    put(&producer, 10).await;
    producer.close().await.unwrap();
    let data = all(&mut endpoint);
    let of = |what: &str| {
        let datum = find(&data, what);
        (datum.count, datum.sum, datum.min, datum.max)
    };
    let shard = "StreamName=orders ShardId=shardId-000000000000";
    assert_eq!(of(&format!("KinesisRecordsPut {shard}")), (12.0, 10.0, 0.0, 1.0));
    assert_eq!(of(&format!("AllErrors {shard}")), (12.0, 2.0, 0.0, 1.0));
    assert_eq!(of(&format!("ErrorsByCode ErrorCode=InternalFailure {shard}")), (2.0, 2.0, 1.0, 1.0));
    assert_eq!(of("ErrorsByCode"), (2.0, 2.0, 1.0, 1.0), "over all codes");
    assert_eq!(of(&format!("RetriesPerRecord {shard}")), (10.0, 2.0, 0.0, 1.0));
    assert_eq!(of(&format!("BufferingTime {shard}")).0, 12.0);
    assert_eq!(of("UserRecordsReceived StreamName=orders"), (10.0, 10.0, 1.0, 1.0));
}

#[tokio::test(start_paused = true)]
async fn records_given_up_are_samples_of_zero_too() {
    let mut endpoint = Endpoint::in_process(&[]);
    let kinesis = kinesis(1);
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).always());
    let config = ProducerConfig::default().record_ttl(millis(1500));
    let uploader = CloudWatchUploader::new(endpoint.client());
    let metrics = MetricsConfig::default().level(MetricsLevel::Summary).granularity(MetricsGranularity::Stream);
    let producer = builder(&kinesis, config).metrics(metrics).cloudwatch(uploader).build().await.unwrap();
    put(&producer, 4).await;
    producer.close().await.unwrap();
    let data = all(&mut endpoint);
    let put = find(&data, "UserRecordsPut StreamName=orders");
    assert_eq!((put.count, put.sum), (4.0, 0.0));
    assert_eq!(find(&data, "UserRecordExpired StreamName=orders").sum, 4.0);
    assert!(data.iter().all(|datum| !datum.what.contains("ShardId")), "finer than asked for: {data:?}");
    assert!(data.iter().all(|datum| !datum.what.starts_with("RequestTime")), "more than asked for: {data:?}");
}

#[tokio::test(start_paused = true)]
async fn pending_records_are_sampled_five_times_a_second() {
    let mut endpoint = Endpoint::in_process(&[]);
    let kinesis = kinesis(1);
    kinesis.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Delay(millis(5000))));
    let started = Instant::now();
    let uploader = CloudWatchUploader::new(endpoint.client());
    let producer = builder(&kinesis, ProducerConfig::default()).cloudwatch(uploader).build().await.unwrap();
    let outcome = producer.put(record("key")).await.unwrap();
    let Outcome::Stored { .. } = outcome.await else {
        panic!("it is stored");
    };
    let pending_time = started.elapsed().as_millis() as u64;
    let request = endpoint.next().await;
    assert_eq!(request.at - started, millis(60_000));
    let mut data = request.data();
    while !data.iter().any(|datum| datum.what.starts_with("UserRecordsPending StreamName")) {
        data.extend(endpoint.next().await.data());
    }
    let pending = find(&data, "UserRecordsPending StreamName=orders");
    assert_eq!((pending.count, pending.sum), (300.0, (pending_time / 200) as f64));
    assert_eq!((pending.min, pending.max), (0.0, 1.0));
    producer.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_fails_fails_no_record_and_no_close() {
    let failed = Reply::Failed { status: 403, code: "AccessDenied" };
    let mut endpoint = Endpoint::in_process(&[failed; 100]);
    let kinesis = kinesis(2);
    let uploader = CloudWatchUploader::new(endpoint.client());
    let producer = builder(&kinesis, ProducerConfig::default()).cloudwatch(uploader).build().await.unwrap();
    put(&producer, 100).await;
    assert_eq!(producer.close().await.unwrap().user_records_put, 100);
    assert!(!endpoint.rest().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_close_waits_no_longer_than_it_may() {
    for (limit, waited) in [(None, 5000), (Some(millis(700)), 700)] {
        let endpoint = Endpoint::in_process(&[Reply::Never]);
        let kinesis = kinesis(1);
        let mut uploader = CloudWatchUploader::new(endpoint.client());
        if let Some(limit) = limit {
            uploader = uploader.close_timeout(limit);
        }
        let producer = builder(&kinesis, ProducerConfig::default()).cloudwatch(uploader).build().await.unwrap();
        producer.put(record("key")).await.unwrap().await;
        let started = Instant::now();
        producer.close().await.unwrap();
        assert_eq!(started.elapsed(), millis(waited));
        let again = Instant::now();
        producer.close().await.unwrap();
        assert_eq!(again.elapsed(), millis(0), "once");
    }
}

#[tokio::test(start_paused = true)]
async fn at_level_none_nothing_is_uploaded() {
    let mut endpoint = Endpoint::in_process(&[]);
    let kinesis = kinesis(1);
    let uploader = CloudWatchUploader::new(endpoint.client());
    let metrics = MetricsConfig::default().level(MetricsLevel::None);
    let producer =
        builder(&kinesis, ProducerConfig::default()).metrics(metrics).cloudwatch(uploader).build().await.unwrap();
    put(&producer, 10).await;
    tokio::time::sleep(millis(200_000)).await;
    producer.close().await.unwrap();
    assert!(endpoint.rest().is_empty());
}

#[test]
fn a_producer_with_a_thread_of_its_own_uploads_what_is_left() {
    let measured = |endpoint: &Endpoint| {
        let kinesis = FakeKinesis::builder().stream(STREAM, 1).build();
        let client = KinesisClient::new(kinesis.client(), ClientOptions::default());
        KinesisProducer::builder().client(client).cloudwatch(CloudWatchUploader::new(endpoint.client()))
    };
    let uploaded = |mut endpoint: Endpoint| endpoint.rest().iter().map(|request| request.data().len()).sum::<usize>();
    let there = Endpoint::in_process(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let producer = measured(&there).build().await.unwrap();
        producer.put(record("k")).await.unwrap();
        producer.close().await.unwrap();
    });
    let here = Endpoint::in_process(&[]);
    let producer = measured(&here).build_blocking().unwrap();
    producer.put(record("k")).unwrap();
    producer.close().unwrap();
    assert_eq!(uploaded(here), uploaded(there));
}

#[tokio::test(start_paused = true)]
async fn a_close_may_wait_for_ever_for_the_last_upload() {
    let mut endpoint = Endpoint::in_process(&[]);
    let kinesis = kinesis(1);
    let uploader = CloudWatchUploader::new(endpoint.client()).close_timeout(Duration::MAX);
    let producer = builder(&kinesis, ProducerConfig::default()).cloudwatch(uploader).build().await.unwrap();
    producer.put(record("k")).await.unwrap().await;
    producer.close().await.unwrap();
    assert!(!endpoint.rest().is_empty(), "nothing is uploaded");
}
