//! What calls are measured by, through the `metrics` facade; [`KinesisClient`](super::KinesisClient) has the list.

use std::time::Duration;

use super::error::RequestError;

/// An attempt of a call is over, however it ended.
pub(super) fn called(operation: &'static str, error: Option<&RequestError>, elapsed: Duration) {
    let outcome = error.map_or_else(|| "Ok".to_owned(), |error| format!("{:?}", error.kind()));
    metrics::counter!("kinesis_client_requests", "operation" => operation, "outcome" => outcome).increment(1);
    metrics::histogram!("kinesis_client_request_time_ms", "operation" => operation)
        .record(elapsed.as_secs_f64() * 1000.0);
}

/// A call is about to be made again.
pub(super) fn retried(error: &RequestError) {
    metrics::counter!("kinesis_client_retries", "operation" => error.operation()).increment(1);
}
