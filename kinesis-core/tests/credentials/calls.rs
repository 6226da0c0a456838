//! Calls whose credentials come late, expire, or are refused.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_kinesis::config::IdentityCache;
use kinesis_core::{CredentialsErrorKind, KinesisClient, RequestError, RequestErrorKind, retry};
use tokio::time::{Instant, sleep};

use crate::fakes::{Answer, FakeProvider, SEED, clock, own, seconds};
use crate::kinesis::{Kinesis, POLICY, jitter, refusal};

const NOW: Duration = Duration::ZERO;

/// The error of a call that is tried again by the policy.
async fn describe(client: &KinesisClient) -> RequestError {
    let stream = "orders".parse().unwrap();
    retry(POLICY, &mut jitter(), || client.describe_stream_summary(&stream)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_credentials_was_not_sent() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (NOW, Answer::Never));
    let kinesis = Kinesis::empty();
    let client = kinesis.client(fake.cached(SEED).await, &clock);
    let asked = Instant::now();
    let error = client.put_records(&"orders".parse().unwrap(), Vec::new()).await.unwrap_err();
    assert_eq!((error.kind(), kinesis.calls()), (RequestErrorKind::CredentialsUnavailable, 0), "{error}");
    assert!(error.is_retryable() && !error.may_have_been_applied(), "{error}");
    assert_eq!(own(&error).kind(), CredentialsErrorKind::TimedOut);
    assert_eq!(asked.elapsed(), seconds(25), "the patience of the cache");
}

#[tokio::test(start_paused = true)]
async fn a_provider_without_our_cache_is_not_waited_for_for_ever() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (NOW, Answer::Never));
    let kinesis = Kinesis::empty();
    let client = kinesis.client(SharedCredentialsProvider::new(fake), &clock);
    let asked = Instant::now();
    let error = client.put_records(&"orders".parse().unwrap(), Vec::new()).await.unwrap_err();
    assert_eq!((error.kind(), kinesis.calls()), (RequestErrorKind::CredentialsUnavailable, 0), "{error}");
    assert!(!error.may_have_been_applied(), "{error}");
    assert_eq!(asked.elapsed(), seconds(30));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_cache_of_the_sdk_gives_up_was_not_sent() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (NOW, Answer::Never));
    let cache = IdentityCache::lazy().load_timeout(seconds(5)).build();
    let kinesis = Kinesis::empty();
    let client = kinesis.client_with(fake.cached(SEED).await, &clock, |sdk| sdk.identity_cache(cache));
    let asked = Instant::now();
    let error = client.put_records(&"orders".parse().unwrap(), Vec::new()).await.unwrap_err();
    assert_eq!((error.kind(), kinesis.calls()), (RequestErrorKind::CredentialsUnavailable, 0), "{error:?}");
    assert_eq!(asked.elapsed(), seconds(5));
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_load_within_the_patience_does_not_fail_a_call() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (seconds(12), Answer::keys("slow", 3600)));
    let client = Kinesis::empty().client(fake.cached(SEED).await, &clock);
    let error = client.describe_stream_summary(&"orders".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NotFound, "{error}");
}

/// The ids of the keys that signed the calls.
#[derive(Clone, Default)]
struct Signers(Arc<Mutex<Vec<String>>>);

impl Signers {
    fn ids(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Takes no keys but those of one id for current.
fn expecting(current: &'static str) -> (Kinesis, Signers) {
    let signers = Signers::default();
    let noted = signers.clone();
    let kinesis = Kinesis::new(move |_, request| {
        let header = request.headers().get("authorization").unwrap();
        let signer = header.split("Credential=").nth(1).unwrap().split('/').next().unwrap();
        noted.0.lock().unwrap().push(signer.to_owned());
        if signer == current {
            return refusal("ResourceNotFoundException", "no");
        }
        refusal("ExpiredTokenException", "The security token included in the request is expired")
    });
    (kinesis, signers)
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_service_calls_expired_are_renewed() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| (NOW, Answer::Keys(format!("key-{load}"), None)));
    let (kinesis, signers) = expecting("key-1");
    let client = kinesis.client(fake.cached(SEED).await, &clock);
    let stream = "orders".parse().unwrap();
    let first = client.put_records(&stream, Vec::new()).await.unwrap_err();
    assert_eq!(first.kind(), RequestErrorKind::ExpiredCredentials, "{first}");
    assert!(first.is_retryable() && !first.may_have_been_applied(), "{first}");
    let error = describe(&client).await;
    assert_eq!((error.kind(), error.attempts()), (RequestErrorKind::NotFound, 1), "{error}");
    assert_eq!(signers.ids(), ["key-0", "key-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_that_are_refused_at_once_renew_once() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| (seconds(1), Answer::keys(&format!("key-{load}"), 3600)));
    let client = expecting("key-1").0.client(fake.cached(SEED).await, &clock);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let client = client.clone();
        calls.spawn(async move { describe(&client).await.kind() });
    }
    assert!(calls.join_all().await.iter().all(|kind| *kind == RequestErrorKind::NotFound));
    assert_eq!(fake.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn when_new_keys_are_refused_too_the_call_fails() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| (NOW, Answer::keys(&format!("key-{load}"), 3600)));
    let (kinesis, signers) = expecting("none");
    let client = kinesis.client(fake.cached(SEED).await, &clock);
    let error = describe(&client).await;
    assert_eq!((error.kind(), error.attempts()), (RequestErrorKind::AccessDenied, 2), "{error}");
    assert_eq!(error.code(), Some("ExpiredTokenException"));
    assert_eq!(signers.ids(), ["key-0", "key-1"]);
}

#[tokio::test(start_paused = true)]
async fn refused_keys_that_a_provider_hands_out_again_are_not_used() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| match load {
        0..=3 => (NOW, Answer::keys("old", 3600)),
        _ => (NOW, Answer::keys("new", 3600)),
    });
    let (kinesis, signers) = expecting("new");
    let client = kinesis.client(fake.cached(SEED).await, &clock);
    let error = describe(&client).await;
    assert_eq!((error.kind(), signers.ids()), (RequestErrorKind::NotFound, vec!["old".into(), "new".into()]));
    assert_eq!(fake.loads(), 5);
}

#[tokio::test(start_paused = true)]
async fn expired_keys_that_nobody_renews_are_refused_once() {
    let keys = Credentials::new("id", "secret", Some("token".into()), None, "test");
    let (kinesis, _) = expecting("none");
    let error = describe(&kinesis.client(SharedCredentialsProvider::new(keys), &clock())).await;
    assert_eq!((error.kind(), kinesis.calls()), (RequestErrorKind::AccessDenied, 1), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_keeps_its_last_keys_is_waited_for_when_they_expire() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| match load {
        0 => (NOW, Answer::Stale("last".into(), seconds(1))),
        _ => (NOW, Answer::keys("next", 3600)),
    });
    let client = Kinesis::empty().client(fake.cached(SEED).await, &clock);
    let error = describe(&client).await;
    assert_eq!((error.kind(), error.attempts()), (RequestErrorKind::NotFound, 1), "{error}");
}

#[tokio::test(start_paused = true)]
async fn valid_keys_are_used_while_their_renewal_hangs() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| match load {
        0 => (NOW, Answer::keys("first", 3600)),
        _ => (NOW, Answer::Never),
    });
    let client = Kinesis::empty().client(fake.cached(SEED).await, &clock);
    assert_eq!(describe(&client).await.kind(), RequestErrorKind::NotFound);
    sleep(seconds(3600 - 14)).await;
    for wait in [Duration::from_millis(2500), NOW] {
        let asked = Instant::now();
        let error = describe(&client).await;
        assert_eq!((error.kind(), asked.elapsed()), (RequestErrorKind::NotFound, wait), "{error}");
    }
}
