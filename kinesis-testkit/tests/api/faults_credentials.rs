//! Credentials that rotate, expire, are slow and fail (F13), below the SDK's own cache.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::IdentityCache;
use aws_sdk_kinesis::error::SdkError;
use kinesis_testkit::{FakeCredentials, FakeKinesis};
use tokio::time::advance;

use crate::support::{STREAM, fake};

const MINUTE: Duration = Duration::from_secs(60);

/// A client with those credentials, which keeps them as the SDK does.
fn client(fake: &FakeKinesis, credentials: &FakeCredentials) -> Client {
    let config = fake.client().config().to_builder();
    let config = config.credentials_provider(credentials.clone()).identity_cache(IdentityCache::lazy().build());
    Client::from_conf(config.build())
}

#[tokio::test(start_paused = true)]
async fn f13_keys_are_kept_until_they_are_about_to_expire() {
    let (fake, _) = fake(1);
    let credentials = FakeCredentials::new(fake.clock()).valid_for(15 * MINUTE);
    let client = client(&fake, &credentials);
    let list = || client.list_shards().stream_name(STREAM).send();
    for _ in 0..3 {
        list().await.unwrap();
    }
    assert_eq!((credentials.calls(), credentials.issued()), (1, 1));
    advance(16 * MINUTE).await;
    list().await.unwrap();
    assert_eq!((credentials.calls(), credentials.issued()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn f13_a_provider_that_is_down_fails_the_call() {
    let (fake, _) = fake(1);
    let credentials = FakeCredentials::new(fake.clock());
    credentials.fail(1);
    let client = client(&fake, &credentials);
    let list = || client.list_shards().stream_name(STREAM).send();
    let failed = list().await;
    assert!(matches!(&failed, Err(SdkError::DispatchFailure(_))), "{failed:?}");
    list().await.unwrap();
    assert_eq!((credentials.calls(), credentials.failed()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn f13_a_slow_provider_is_asked_once_for_many_calls() {
    let (fake, _) = fake(1);
    let credentials = FakeCredentials::new(fake.clock()).delay(Duration::from_secs(2));
    let client = client(&fake, &credentials);
    let list = || client.list_shards().stream_name(STREAM).send();
    let (first, second, third) = tokio::join!(list(), list(), list());
    assert!([first, second, third].iter().all(Result::is_ok));
    assert_eq!((credentials.calls(), credentials.most_in_flight()), (1, 1));
}
