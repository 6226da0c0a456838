//! Refusals: of the service, and of what stands before it.

use kinesis_core::{RequestError, RequestErrorKind, retry};

use crate::fixed;
use crate::kinesis::{Kinesis, POLICY, SEED, clock, jitter};

async fn put(status: u16, body: &str) -> RequestError {
    let body = body.to_owned();
    let kinesis = Kinesis::new(move |_, _| (status, body.clone()));
    kinesis.client(fixed(), &clock()).put_records(&"orders".parse().unwrap(), Vec::new()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn refusals_for_load_are_tried_again_whatever_their_name() {
    for (status, body, kind) in [
        (429, "Too Many Requests", RequestErrorKind::Throttled),
        (429, r#"{"__type":"TooManyRequestsException","message":"x"}"#, RequestErrorKind::Throttled),
        (400, r#"{"__type":"Throttling","message":"x"}"#, RequestErrorKind::Throttled),
        (400, r#"{"__type":"RequestLimitExceeded","message":"x"}"#, RequestErrorKind::Throttled),
        (408, "", RequestErrorKind::NotReceived),
    ] {
        let error = put(status, body).await;
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        assert!(error.is_retryable() && !error.may_have_been_applied(), "{status} {body}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_of_the_service_is_told_by_its_status() {
    use RequestErrorKind as Kind;
    for (status, kind, is_retryable, applied) in [
        (200, Kind::InvalidResponse, true, true),
        (401, Kind::AccessDenied, false, false),
        (403, Kind::AccessDenied, false, false),
        (404, Kind::Other, false, false),
        (407, Kind::AccessDenied, false, false),
        (408, Kind::NotReceived, true, false),
        (413, Kind::InvalidArgument, false, false),
        (429, Kind::Throttled, true, false),
        (500, Kind::Internal, true, true),
        (502, Kind::Internal, true, true),
        (504, Kind::Internal, true, true),
    ] {
        let error = put(status, "<html>the proxy refuses</html>").await;
        let given = (error.kind(), error.is_retryable(), error.may_have_been_applied());
        assert_eq!(given, (kind, is_retryable, applied), "{status}: {error}");
        assert!(status == 200 || error.to_string().contains(&status.to_string()), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_the_clock_says_so() {
    for (code, message) in [
        ("InvalidSignatureException", "Signature expired: 20231114T221320Z is now earlier than 20231114T222820Z"),
        ("InvalidSignatureException", "Signature not yet current: 20231114T221320Z is still later than"),
        ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
        ("RequestExpired", "Request has expired."),
    ] {
        let kinesis = Kinesis::new(move |_, _| (403, format!(r#"{{"__type":"{code}","message":"{message}"}}"#)));
        let (client, stream) = (kinesis.client(fixed(), &clock()), "orders".parse().unwrap());
        let error = retry(POLICY, &mut jitter(), || client.describe_stream_summary(&stream)).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (RequestErrorKind::ClockSkew, 6), "seed {SEED}: {error}");
        assert!(error.to_string().contains("set the clock") && !error.may_have_been_applied(), "{error}");
    }
}
