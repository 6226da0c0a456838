use std::sync::Arc;
use std::time::Duration;

use kinesis_core::{
    AwsConfig, CredentialsSource, KinesisClient, Randomness, SharedClock, TokioClock, from_unix_millis,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::endpoint::{Endpoint, Reply};
use super::plan::ENVELOPE_BYTES;
use super::registry::Registry;
use super::task::UploadTask;
use super::uploader::CloudWatchUploader;
use crate::metrics::config::{MetricsConfig, MetricsGranularity};
use crate::metrics::dimensions::Origin;
use crate::metrics::metric::Metric;

const EPOCH_MILLIS: u64 = 1_767_225_600_000;

/// An upload task, and what ends it when it is dropped.
struct Upload {
    task: UploadTask,
    guard: oneshot::Sender<()>,
    registry: Arc<Registry>,
}

impl Upload {
    fn start(endpoint: &Endpoint, config: MetricsConfig) -> Self {
        let clock: SharedClock = Arc::new(TokioClock::starting_at(from_unix_millis(EPOCH_MILLIS)));
        let uploader = CloudWatchUploader::new(endpoint.client()).clock(clock);
        let registry = Arc::new(Registry::new(config));
        let (guard, ended) = oneshot::channel();
        let random = Randomness::from_seed(1).stream("metrics");
        let task = UploadTask::start(uploader, Arc::clone(&registry), random, ended);
        Self { task, guard, registry }
    }

    fn add(&self, stream: &str, shard: Option<&str>, value: f64) {
        let origin = Origin { error_code: None, stream: Some(stream), shard };
        self.registry.leaf(Metric::AllErrors, origin).lock().add_many(value, 1);
    }

    async fn end(self) {
        drop(self.guard);
        self.task.over().await;
    }
}

/// The HTTP client of a Kinesis client.
async fn shared_http_client() -> aws_sdk_cloudwatch::config::SharedHttpClient {
    let config = AwsConfig::builder().region("us-west-1").credentials(CredentialsSource::basic("id", "key"));
    let kinesis = KinesisClient::connect(&config.build().unwrap()).await;
    kinesis.sdk().config().http_client().unwrap()
}

/// KPL, metrics_manager_test.cc: request generation.
#[tokio::test]
async fn three_leaves_make_one_request_of_five_data() {
    let mut endpoint = Endpoint::on_loopback(&[], shared_http_client().await).await;
    let upload = Upload::start(&endpoint, MetricsConfig::default().namespace("TestNamespace"));
    for value in 0..100 {
        let value = f64::from(value);
        upload.add("MyStream", None, value);
        upload.add("MyStream2", Some("shard-0"), value);
        upload.add("MyStream2", Some("shard-1"), value);
    }
    upload.end().await;
    let request = endpoint.next().await;
    assert!(request.path.ends_with("/operation/PutMetricData"), "{}", request.path);
    assert!(request.headers["authorization"].starts_with("AWS4-HMAC-SHA256"), "{:?}", request.headers);
    assert_eq!(request.headers["smithy-protocol"], "rpc-v2-cbor");
    assert_eq!(request.namespace(), "TestNamespace");
    let data = request.data();
    let rows: Vec<_> = data.iter().map(|datum| (datum.what.as_str(), datum.count, datum.sum)).collect();
    assert_eq!(
        rows,
        [
            ("AllErrors", 300.0, 14850.0),
            ("AllErrors StreamName=MyStream", 100.0, 4950.0),
            ("AllErrors StreamName=MyStream2", 200.0, 9900.0),
            ("AllErrors StreamName=MyStream2 ShardId=shard-0", 100.0, 4950.0),
            ("AllErrors StreamName=MyStream2 ShardId=shard-1", 100.0, 4950.0),
        ]
    );
    for datum in &data {
        assert_eq!((datum.min, datum.max, datum.unit.as_str()), (0.0, 99.0, "Count"));
        let early = datum.at_seconds - EPOCH_MILLIS as f64 / 1000.0;
        assert!((0.0..60.0).contains(&early), "{early} s after the clock began");
    }
    assert!(endpoint.rest().is_empty(), "one request");
}

/// KPL, metrics_manager_test.cc: upload frequency, which is exact here.
#[tokio::test(start_paused = true)]
async fn every_period_has_its_upload() {
    let started = Instant::now();
    let mut endpoint = Endpoint::in_process(&[]);
    let upload = Upload::start(&endpoint, MetricsConfig::default().upload_delay(Duration::from_secs(50)));
    for period in 1..=4 {
        upload.add("s", None, 1.0);
        let request = endpoint.next().await;
        assert_eq!(request.at - started, Duration::from_secs(50) * period);
        let seconds = (EPOCH_MILLIS / 1000) as f64 + f64::from(50 * period);
        assert_eq!(request.data()[0].at_seconds, seconds);
    }
    tokio::time::sleep(Duration::from_secs(500)).await;
    upload.end().await;
    assert!(endpoint.rest().is_empty(), "without samples there is no upload");
}

/// KPL, metrics_manager_test.cc: retry.
#[tokio::test(start_paused = true)]
async fn a_failed_upload_is_sent_again() {
    for (reply, sent) in [
        (Reply::Failed { status: 500, code: "InternalServiceError" }, 2),
        (Reply::Failed { status: 400, code: "Throttling" }, 2),
        (Reply::Never, 2),
        (Reply::Failed { status: 400, code: "InvalidParameterValue" }, 1),
        (Reply::Failed { status: 403, code: "AccessDenied" }, 1),
    ] {
        let mut endpoint = Endpoint::in_process(&[reply]);
        let upload = Upload::start(&endpoint, MetricsConfig::default());
        upload.add("s", None, 7.0);
        tokio::time::sleep(Duration::from_secs(90)).await;
        upload.end().await;
        let requests = endpoint.rest();
        assert_eq!(requests.len(), sent, "{reply:?}");
        assert!(requests.iter().all(|request| request.data() == requests[0].data()), "the same, at the same time");
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_three_times_is_dropped_and_the_next_period_goes_on() {
    let failed = Reply::Failed { status: 503, code: "ServiceUnavailable" };
    let mut endpoint = Endpoint::in_process(&[failed, failed, failed]);
    let upload = Upload::start(&endpoint, MetricsConfig::default());
    upload.add("s", None, 1.0);
    tokio::time::sleep(Duration::from_secs(70)).await;
    upload.add("s", None, 2.0);
    upload.end().await;
    let sums: Vec<_> = endpoint.rest().iter().map(|request| request.data()[0].sum).collect();
    assert_eq!(sums, [1.0, 1.0, 1.0, 2.0]);
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_the_last_upload_and_not_for_ever() {
    let mut endpoint = Endpoint::in_process(&[Reply::Never]);
    let upload = Upload::start(&endpoint, MetricsConfig::default());
    upload.add("s", None, 1.0);
    let started = Instant::now();
    upload.end().await;
    assert_eq!(started.elapsed(), Duration::from_secs(5));
    assert_eq!(endpoint.rest().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_within_an_upload_sends_what_came_meanwhile() {
    let mut endpoint = Endpoint::in_process(&[]);
    let upload = Upload::start(&endpoint, MetricsConfig::default());
    upload.add("s", None, 1.0);
    endpoint.next().await;
    // The first request takes 10 ms.
    upload.add("s", None, 2.0);
    let started = Instant::now();
    upload.end().await;
    assert_eq!(started.elapsed(), Duration::from_millis(20));
    assert_eq!(endpoint.next().await.data()[0].sum, 2.0);
}

#[tokio::test(start_paused = true)]
async fn requests_stay_within_the_limits() {
    let mut endpoint = Endpoint::in_process(&[]);
    let config = (0..27).fold(MetricsConfig::default(), |config, index| {
        config.dimension(format!("{index:0>255}"), "x".repeat(700), MetricsGranularity::Shard)
    });
    let namespace_bytes = config.namespace.len();
    let upload = Upload::start(&endpoint, config);
    for shard in 0..30 {
        upload.add("s", Some(&format!("shard-{shard}")), 1.0);
    }
    let expected = upload.registry.take(Instant::now());
    for shard in 0..30 {
        upload.add("s", Some(&format!("shard-{shard}")), 1.0);
    }
    upload.end().await;
    let requests = endpoint.rest();
    let mut expected_bytes = expected.iter().map(super::datum::Datum::size_bytes);
    let mut count = 0;
    for request in &requests {
        let data = request.data();
        assert!(data.len() <= 20 && request.body.len() <= 38 * 1024, "{} bytes", request.body.len());
        let estimate = expected_bytes.by_ref().take(data.len()).sum::<usize>() + ENVELOPE_BYTES + namespace_bytes;
        let actual = request.body.len();
        assert!(actual <= estimate && actual * 100 >= estimate * 90, "{actual} bytes, {estimate} reckoned");
        count += data.len();
    }
    assert_eq!(count, 2 + 30 * 28, "every dimension is a node");
    assert!(requests.iter().any(|request| request.data().len() == 20), "the number is a limit");
    assert!(requests.iter().any(|request| request.body.len() > 30 * 1024), "the size is a limit");
}
