//! The cache under a provider that rotates, fails, dawdles and dies.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use kinesis_core::{
    AssumeRole, AwsConfig, Clock, CredentialsErrorKind, CredentialsSource, KinesisClient, Randomness, RequestErrorKind,
    SdkTimeSource, SharedClock,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, advance, sleep};

use crate::fakes::{Answer, FakeProvider, FakeSts, Log, SEED, client, clock, key, nobody, seconds};

const NOW: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn a_hundred_concurrent_requests_make_one_load_at_a_time() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| (seconds(3), Answer::keys(&format!("key-{load}"), 3600)));
    let provider = fake.cached(SEED).await;
    // Through the first load, and through two renewals.
    for (round, at_most) in [(0, 1), (1, 2), (2, 3)] {
        let mut requests = JoinSet::new();
        for number in 0..100 {
            let provider = provider.clone();
            requests.spawn(async move {
                sleep(Duration::from_millis(number * 10)).await;
                key(&provider).await.unwrap()
            });
        }
        let given: Vec<_> = requests.join_all().await;
        assert_eq!(given.len(), 100);
        sleep(seconds(5)).await;
        assert_eq!((fake.loads(), fake.most_in_flight()), (at_most, 1), "round {round}");
        sleep(seconds(3600 - 200)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_config_share_one_cache_and_other_configs_do_not() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| (NOW, Answer::keys(&format!("key-{load}"), 3600)));
    let build = || {
        let source = CredentialsSource::custom("fake", fake.clone());
        AwsConfig::builder().region("us-east-1").credentials(source).build().unwrap()
    };
    let config = build();
    let one = config.clone().credentials_provider(nobody(), Arc::clone(&clock)).await;
    let other = config.credentials_provider(nobody(), Arc::clone(&clock)).await;
    assert_eq!((key(&one).await.unwrap(), key(&other).await.unwrap()), ("key-0".into(), "key-0".into()));
    let stranger = build().credentials_provider(nobody(), Arc::clone(&clock)).await;
    assert_eq!(key(&stranger).await.unwrap(), "key-1");
    let reseeded = config.with_randomness(Randomness::from_seed(SEED)).credentials_provider(nobody(), clock).await;
    assert_eq!(key(&reseeded).await.unwrap(), "key-2");
}

#[tokio::test(start_paused = true)]
async fn configs_of_one_builder_have_their_own_credentials() {
    let clock = clock();
    let sts = FakeSts::granting(&clock);
    let role =
        AssumeRole::new("arn:aws:iam::111111111111:role/reader").source(CredentialsSource::basic("id", "secret"));
    let builder = AwsConfig::builder().credentials(role.into());
    for region in ["us-east-1", "eu-west-1"] {
        let config = builder.clone().region(region).build().unwrap();
        let provider = config.credentials_provider(sts.client(), Arc::clone(&clock)).await;
        provider.provide_credentials().await.unwrap();
    }
    let regions: Vec<_> = sts.calls().into_iter().map(|call| call.signed_region.unwrap()).collect();
    assert_eq!(regions, ["us-east-1", "eu-west-1"]);
}

#[tokio::test(start_paused = true)]
async fn renewal_is_early_and_nobody_waits_for_it() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| {
        (if load == 0 { NOW } else { seconds(15) }, Answer::keys(&format!("key-{load}"), 3600))
    });
    let provider = fake.cached(SEED).await;
    assert_eq!(key(&provider).await.unwrap(), "key-0");
    sleep(seconds(3600 - 300)).await;
    let asked = Instant::now();
    assert_eq!(key(&provider).await.unwrap(), "key-0");
    assert_eq!(asked.elapsed(), NOW, "the request that starts a renewal does not wait for it");
    sleep(seconds(16)).await;
    assert_eq!(key(&provider).await.unwrap(), "key-1");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_reaches_every_request_after_it() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| (NOW, Answer::Keys(format!("key-{load}"), None)));
    let provider = fake.cached(SEED).await;
    assert_eq!(key(&provider).await.unwrap(), "key-0");
    sleep(seconds(15 * 60)).await;
    key(&provider).await.unwrap();
    tokio::task::yield_now().await;
    assert_eq!(key(&provider).await.unwrap(), "key-1", "also where keys have no expiry");
}

#[tokio::test(start_paused = true)]
async fn while_renewal_fails_valid_keys_are_used_and_the_failure_is_logged() {
    let log = Log::start();
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| match load {
        0 => (NOW, Answer::keys("first", 3600)),
        _ => (NOW, Answer::Unreachable),
    });
    let provider = fake.cached(SEED).await;
    for second in 0..3600 {
        assert_eq!(key(&provider).await.as_deref().unwrap(), "first", "second {second}");
        advance(seconds(1)).await;
    }
    let tries = fake.loads();
    assert!((8..=25).contains(&tries), "{tries} tries, with a back-off up to a minute");
    let asked = Instant::now();
    let error = key(&provider).await.unwrap_err();
    assert_eq!(error.kind(), CredentialsErrorKind::Unavailable);
    assert!(asked.elapsed() <= seconds(25), "{:?}", asked.elapsed());
    let warnings: Vec<_> = log.lines().into_iter().filter(|line| line.starts_with("WARN kinesis_core")).collect();
    assert!(warnings[0].contains("the vault is sealed") && warnings[0].contains("valid_for"), "{warnings:#?}");
    assert!(warnings.iter().any(|line| line.contains("there are no credentials")), "{warnings:#?}");
    assert!(warnings.iter().all(|line| !line.contains("fake-secret")), "{warnings:#?}");
}

#[tokio::test(start_paused = true)]
async fn without_keys_a_passing_failure_is_waited_out() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| match load {
        0..=2 => (NOW, Answer::Unreachable),
        _ => (NOW, Answer::keys("late", 3600)),
    });
    let provider = fake.cached(SEED).await;
    let asked = Instant::now();
    let (one, other) = tokio::join!(key(&provider), key(&provider));
    assert_eq!((one.unwrap(), other.unwrap()), ("late".into(), "late".into()));
    assert!(asked.elapsed() <= seconds(7), "{:?}: back-offs of 1, 2 and 4 s at most", asked.elapsed());
    assert_eq!((fake.loads(), fake.most_in_flight()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lasting_failure_is_returned_at_once_and_does_not_make_a_storm() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (NOW, Answer::NothingThere));
    let provider = fake.cached(SEED).await;
    for _ in 0..100 {
        let asked = Instant::now();
        let error = key(&provider).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (CredentialsErrorKind::NotConfigured, "the vault is empty"));
        assert_eq!((error.provider(), asked.elapsed()), ("CUSTOM fake", NOW));
    }
    assert_eq!(fake.loads(), 1);
    sleep(seconds(1)).await;
    key(&provider).await.unwrap_err();
    assert_eq!(fake.loads(), 2, "but it is looked at again");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_never_answers_is_given_up_after_a_bounded_wait() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (NOW, Answer::Never));
    let provider = fake.cached(SEED).await;
    let asked = Instant::now();
    let error = key(&provider).await.unwrap_err();
    assert_eq!(error.kind(), CredentialsErrorKind::TimedOut);
    assert!(error.is_retryable());
    assert_eq!(asked.elapsed(), seconds(25));
    assert_eq!(fake.most_in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_is_replaced_within_the_same_wait() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| match load {
        0 => (NOW, Answer::Never),
        _ => (NOW, Answer::keys("second", 3600)),
    });
    let provider = fake.cached(SEED).await;
    let asked = Instant::now();
    assert_eq!(key(&provider).await.unwrap(), "second");
    assert!(asked.elapsed() >= seconds(20) && asked.elapsed() <= seconds(21), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_request_does_not_cancel_the_load() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (seconds(12), Answer::keys("slow", 3600)));
    let provider = fake.cached(SEED).await;
    // As a call with a time limit of ten seconds does it.
    tokio::time::timeout(seconds(10), key(&provider)).await.unwrap_err();
    let asked = Instant::now();
    assert_eq!(key(&provider).await.unwrap(), "slow");
    assert_eq!((asked.elapsed(), fake.loads()), (seconds(2), 1));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_panics_is_a_failure_and_not_the_end() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |load| match load {
        0 => (NOW, Answer::Panic),
        _ => (NOW, Answer::keys("second", 3600)),
    });
    let provider = fake.cached(SEED).await;
    assert_eq!(key(&provider).await.unwrap(), "second");
    assert_eq!(fake.loads(), 2);
}

#[test]
fn a_load_that_dies_with_its_runtime_does_not_hold_up_another() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let first = runtime();
    let (fake, provider) = first.block_on(async {
        let fake = FakeProvider::new(&clock(), |load| match load {
            0 => (NOW, Answer::Never),
            _ => (NOW, Answer::keys("second", 3600)),
        });
        let provider = fake.cached(SEED).await;
        tokio::time::timeout(seconds(1), key(&provider)).await.unwrap_err();
        (fake, provider)
    });
    drop(first);
    assert_eq!(runtime().block_on(key(&provider)).unwrap(), "second");
    assert_eq!(fake.loads(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_keys_again_are_asked_for_as_after_a_failure_and_without_a_warning() {
    let log = Log::start();
    let clock = clock();
    let expiry = clock.now() + seconds(3600);
    // As the service of an instance does: new ones come five minutes before the old ones expire.
    let fake = FakeProvider::new(&clock, {
        let clock = Arc::clone(&clock);
        move |_| {
            let left = expiry.duration_since(clock.now()).unwrap();
            let id = if left > seconds(270) { "first" } else { "next" };
            (NOW, Answer::Keys(id.into(), Some(if id == "first" { left } else { seconds(3600) })))
        }
    });
    let provider = fake.cached(SEED).await;
    let mut last = String::new();
    for _ in 0..3600 {
        last = key(&provider).await.unwrap();
        sleep(seconds(1)).await;
    }
    assert_eq!(last, "next");
    assert!((4..=12).contains(&fake.loads()), "{} loads", fake.loads());
    let warnings: Vec<_> = log.lines().into_iter().filter(|line| line.starts_with("WARN")).collect();
    assert_eq!(warnings, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn keys_that_have_expired_already_are_an_error_that_speaks_of_the_clock() {
    let clock = clock();
    let fake = FakeProvider::new(&clock, |_| (NOW, Answer::Stale("stale".into(), seconds(1))));
    let error = key(&fake.cached(SEED).await).await.unwrap_err();
    assert_eq!(error.kind(), CredentialsErrorKind::Expired);
    assert!(error.is_retryable() && error.to_string().contains("check the clock"), "{error}");
}

/// A clock that a test sets.
#[derive(Debug)]
struct SetClock {
    inner: SharedClock,
    ahead: std::sync::atomic::AtomicI64,
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        let ahead = self.ahead.load(std::sync::atomic::Ordering::SeqCst);
        let by = seconds(ahead.unsigned_abs());
        if ahead < 0 { self.inner.now() - by } else { self.inner.now() + by }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_or_ahead_does_not_keep_keys_too_long() {
    for ahead in [-7200, 7200] {
        let set = Arc::new(SetClock { inner: clock(), ahead: 0.into() });
        // The provider lives on another machine, whose clock is right.
        let fake = FakeProvider::new(&set.inner, |load| (NOW, Answer::keys(&format!("key-{load}"), 3 * 3600)));
        let provider = AwsConfig::builder()
            .region("us-east-1")
            .credentials(CredentialsSource::custom("fake", fake.clone()))
            .build()
            .unwrap()
            .with_randomness(Randomness::from_seed(SEED))
            .credentials_provider(nobody(), Arc::clone(&set) as SharedClock)
            .await;
        assert_eq!(key(&provider).await.unwrap(), "key-0");
        sleep(seconds(1)).await;
        set.ahead.store(ahead, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(key(&provider).await.unwrap(), "key-0", "two of three hours ahead, an hour is left");
        sleep(seconds(if ahead < 0 { 3 * 3600 } else { 3600 })).await;
        assert_eq!(key(&provider).await.unwrap(), "key-1", "{ahead}");
    }
}

/// K2 at random: no request gets expired keys, and none fails while valid ones are at hand.
#[tokio::test(start_paused = true)]
async fn over_many_histories_no_request_gets_expired_keys_or_fails_needlessly() {
    for seed in 0..40 {
        let clock = clock();
        let mut random = Randomness::from_seed(seed).stream("provider");
        let fake = FakeProvider::new(&clock, move |load| {
            let delay = Duration::from_millis(random.below(30_000));
            let answer = match random.below(10) {
                0..=4 => Answer::Unreachable,
                5 => Answer::Never,
                6 => Answer::Stale(format!("stale-{load}"), seconds(random.below(100) + 1)),
                _ => Answer::keys(&format!("key-{load}"), 60 + random.below(1800)),
            };
            (if random.below(2) == 0 { NOW } else { delay }, answer)
        });
        let provider = fake.cached(seed).await;
        let (mut last_expiry, mut successes) = (None, 0);
        let end = Instant::now() + seconds(4 * 3600);
        while Instant::now() < end {
            match provider.provide_credentials().await {
                Ok(keys) => {
                    let expiry = keys.expiry().unwrap();
                    assert!(expiry > clock.now(), "seed {seed}: {keys:?}");
                    assert!(!keys.access_key_id().starts_with("stale"), "seed {seed}");
                    last_expiry = Some(expiry);
                    successes += 1;
                }
                Err(error) => {
                    let had_valid = last_expiry.is_some_and(|expiry| expiry > clock.now());
                    assert!(!had_valid, "seed {seed}: {error} although valid keys were at hand");
                }
            }
            sleep(seconds(3)).await;
        }
        assert!(successes > 1000 && fake.most_in_flight() == 1, "seed {seed}: {successes}");
    }
}

/// Answers every call of Kinesis with 400, and keeps who signed it.
#[derive(Clone, Debug, Default)]
struct Kinesis(Arc<std::sync::Mutex<Vec<String>>>);

impl HttpConnector for Kinesis {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let header = request.headers().get("authorization").unwrap();
        let signer = header.split("Credential=").nth(1).unwrap().split('/').next().unwrap().to_owned();
        self.0.lock().unwrap().push(signer);
        let body = SdkBody::from(r#"{"__type":"ResourceNotFoundException","message":"no"}"#);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(400.try_into().unwrap(), body)))
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_client_are_signed_with_valid_keys_whatever_the_sdk_caches() {
    use aws_sdk_kinesis::config::{BehaviorVersion, Config, IdentityCache, Region};
    let caches =
        [IdentityCache::no_cache(), IdentityCache::lazy().load_timeout(seconds(30)).buffer_time(seconds(300)).build()];
    for cache in caches {
        let clock = clock();
        let fake = FakeProvider::new(&clock, |load| match load % 3 {
            0 => (NOW, Answer::keys(&format!("key-{load}"), 900)),
            _ => (NOW, Answer::Unreachable),
        });
        let kinesis = Kinesis::default();
        let sdk = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .http_client(client(kinesis.clone()))
            .time_source(SdkTimeSource(Arc::clone(&clock)))
            .credentials_provider(fake.cached(SEED).await)
            .identity_cache(cache)
            .build();
        let calls = KinesisClient::new(aws_sdk_kinesis::Client::from_conf(sdk), kinesis_core::ClientOptions::default());
        let start = clock.now();
        for _ in 0..1000 {
            let error = calls.describe_stream_summary(&"orders".parse().unwrap()).await.unwrap_err();
            assert_eq!(error.kind(), RequestErrorKind::NotFound, "{error:?}");
            let signer = kinesis.0.lock().unwrap().last().unwrap().clone();
            assert!(signer.starts_with("key-"), "{signer}");
            advance(seconds(7)).await;
        }
        let signers = kinesis.0.lock().unwrap().clone();
        // A key of 900 s is used for less than 900 s.
        for key in signers.iter().collect::<std::collections::BTreeSet<_>>() {
            let uses = signers.iter().filter(|signer| *signer == key).count() as u64;
            assert!(uses * 7 < 900 + 7, "{key} was used for {} s", uses * 7);
        }
        assert!(clock.now().duration_since(start).unwrap() >= seconds(7000));
    }
}
