//! When credentials are used, renewed, waited for, or given up: the rules, without the loading itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use tokio::time::Instant;

use crate::client::Backoff;
use crate::credentials::error::{CredentialsError, CredentialsErrorKind};
use crate::random::RandomStream;

/// Credentials are renewed this long before they expire, and up to half as long again, at random.
const LEAD: Duration = Duration::from_secs(300);
/// A request that is signed so shortly before the expiry may arrive after it; a call has ten seconds.
const URGENT: Duration = Duration::from_secs(15);
/// So long after its start such a request waits for a load; after that it is better signed with what still holds.
const URGENT_WAIT: Duration = Duration::from_millis(2500);
/// Credentials that replace refused ones and are refused at this age or below are not the ones that can help.
const PROBATION: Duration = Duration::from_secs(60);
/// Credentials that do not expire are looked at again after this time, as the AWS SDK does; up to a tenth earlier.
const REREAD: Duration = Duration::from_secs(15 * 60);
/// A provider that hands out what is about to expire is not asked more often.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Between tries: half of it is certain, the other half at random.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 2.0);

/// A reading of both clocks: the date may be set, the ticks only go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) date: SystemTime,
    pub(super) ticks: Instant,
}

/// What a request that needs credentials does.
#[derive(Debug)]
pub(super) enum Step {
    /// Sign with these.
    Use(Credentials),
    /// Start a load, and sign with these meanwhile.
    UseAndLoad(Credentials),
    /// Start a load, and wait for it, up to that moment where there is one; then ask again.
    Load(Option<Instant>),
    /// Wait for the load that is under way, up to that moment where there is one; then ask again.
    Join(Option<Instant>),
    /// Wait until then: the provider fails, but may recover.
    Pause(Instant, CredentialsError),
    /// Give up.
    Fail(CredentialsError),
}

/// How a load ended, for the log.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) error: CredentialsError,
    pub(super) failures: u32,
    pub(super) retry_in: Duration,
    /// How long the credentials at hand can still be used; zero where there are none, nothing where they do not expire.
    pub(super) valid_for: Option<Duration>,
    /// Whether those at hand are about to expire, or have.
    pub(super) is_urgent: bool,
}

#[derive(Debug)]
struct Held {
    credentials: Credentials,
    loaded: Instant,
    /// From the load to the expiry, by the clock of that time.
    lifetime: Option<Duration>,
    refresh_after: Duration,
    urgent: Duration,
    /// Whether the service had refused those before.
    replaces_refused: bool,
}

impl Held {
    /// Nothing where they have expired already.
    fn new(credentials: Credentials, now: Moment, random: &mut RandomStream) -> Option<Self> {
        let lifetime = credentials.expiry().map(|expiry| expiry.duration_since(now.date).unwrap_or_default());
        let refresh_after = match lifetime {
            Some(Duration::ZERO) => return None,
            Some(lifetime) => {
                let lead = LEAD.min(lifetime / 3);
                lifetime.saturating_sub(lead.mul_f64(1.0 + random.fraction() / 2.0)).max(SHORTEST_INTERVAL)
            }
            None => REREAD.mul_f64(1.0 - random.fraction() / 10.0),
        };
        let urgent = lifetime.map_or(Duration::ZERO, |lifetime| URGENT.min(lifetime / 6));
        Some(Self { credentials, loaded: now.ticks, lifetime, refresh_after, urgent, replaces_refused: false })
    }

    /// By the clock that says less: a date that is set back must not prolong a life. Nothing where there is no expiry.
    fn valid_for(&self, now: Moment) -> Option<Duration> {
        let by_date = self.credentials.expiry()?.duration_since(now.date).unwrap_or_default();
        Some(by_date.min(self.lifetime?.saturating_sub(self.age(now))))
    }

    fn age(&self, now: Moment) -> Duration {
        now.ticks.duration_since(self.loaded)
    }

    fn is_valid(&self, now: Moment) -> bool {
        self.valid_for(now) != Some(Duration::ZERO)
    }

    /// Whether it is time to renew; by the date too, which may have been set ahead.
    fn is_due(&self, now: Moment) -> bool {
        let left_when_due =
            self.lifetime.map_or(Duration::ZERO, |lifetime| lifetime.saturating_sub(self.refresh_after));
        self.age(now) >= self.refresh_after || self.valid_for(now).is_some_and(|left| left <= left_when_due)
    }

    fn is_urgent(&self, now: Moment) -> bool {
        self.valid_for(now).is_some_and(|left| left <= self.urgent)
    }

    /// Whether a load has brought nothing new; keys without expiry are not expected to change.
    fn is_the_same_as(&self, other: &Credentials) -> bool {
        self.credentials.expiry().is_some() && self.credentials == *other
    }
}

/// Whether they are the same keys, whatever their expiry: a provider may prolong what it cannot renew.
fn are_same_keys(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id() == other.access_key_id()
        && one.secret_access_key() == other.secret_access_key()
        && one.session_token() == other.session_token()
}

/// The credentials at hand, and the load that renews them; at most one is under way.
#[derive(Debug)]
pub(super) struct Refresh {
    label: Arc<str>,
    held: Option<Held>,
    /// When the load under way began.
    loading_since: Option<Instant>,
    /// What the service has called expired last, and whether nothing has replaced it yet.
    refused: Option<(Credentials, bool)>,
    /// The failures since the last success, the last of them, and when the next try may start.
    failure: Option<(u32, CredentialsError, Instant)>,
    random: RandomStream,
}

impl Refresh {
    /// Starts without credentials; the label names the provider.
    pub(super) const fn new(label: Arc<str>, random: RandomStream) -> Self {
        Self { label, held: None, loading_since: None, refused: None, failure: None, random }
    }

    /// Decides for one request. Whoever is told to load must do so: nobody else will be.
    pub(super) fn step(&mut self, now: Moment) -> Step {
        let backing_off = self.failure.as_ref().filter(|(_, _, retry_at)| *retry_at > now.ticks);
        let step = match (self.held.as_ref().filter(|held| held.is_valid(now)), backing_off) {
            (Some(held), _) if !held.is_due(now) => Step::Use(held.credentials.clone()),
            (Some(held), backing_off) => match self.loading_since.map(|since| since + URGENT_WAIT) {
                Some(until) if held.is_urgent(now) && now.ticks < until => Step::Join(Some(until)),
                Some(_) => Step::Use(held.credentials.clone()),
                None if backing_off.is_some() => Step::Use(held.credentials.clone()),
                None if held.is_urgent(now) => Step::Load(Some(now.ticks + URGENT_WAIT)),
                None => Step::UseAndLoad(held.credentials.clone()),
            },
            (None, _) if self.loading_since.is_some() => Step::Join(None),
            (None, Some((_, error, retry_at))) if error.is_retryable() => Step::Pause(*retry_at, error.clone()),
            (None, Some((_, error, _))) => Step::Fail(error.clone()),
            (None, None) => Step::Load(None),
        };
        if matches!(step, Step::Load(_) | Step::UseAndLoad(_)) {
            self.loading_since = Some(now.ticks);
        }
        step
    }

    /// Takes in that the service has called credentials expired, and says whether a repetition can be signed with others.
    ///
    /// Those at hand are dropped, unless they are others already. What has just replaced refused ones is kept: the next
    /// would be refused too.
    pub(super) fn refused(&mut self, now: Moment, credentials: &Credentials) -> bool {
        let Some(held) = self.held.as_ref().filter(|held| are_same_keys(&held.credentials, credentials)) else {
            return true;
        };
        if held.replaces_refused && held.age(now) <= PROBATION {
            return false;
        }
        (self.held, self.refused) = (None, Some((credentials.clone(), true)));
        // As when they expire by themselves, a try is due whatever the back-off says.
        if let Some((_, _, retry_at)) = &mut self.failure {
            *retry_at = now.ticks.min(*retry_at);
        }
        true
    }

    /// Takes in what a load has brought, and says how long it lives.
    ///
    /// A failure are credentials that have expired, the same again when they were to be renewed, and those that the
    /// service has refused.
    pub(super) fn loaded(
        &mut self,
        now: Moment,
        credentials: Credentials,
    ) -> Result<Option<Duration>, CredentialsError> {
        let expired = |message: &str| CredentialsError::new(&self.label, CredentialsErrorKind::Expired, message);
        if self.refused.as_ref().is_some_and(|(refused, _)| are_same_keys(refused, &credentials)) {
            return Err(expired("the provider handed out again the credentials that the service calls expired"));
        }
        if self.held.as_ref().is_some_and(|held| held.is_valid(now) && held.is_the_same_as(&credentials)) {
            return Err(expired("the provider handed out again the credentials that are about to expire"));
        }
        let mut held = Held::new(credentials, now, &mut self.random)
            .ok_or_else(|| expired("the provider handed out credentials that have expired already"))?;
        if let Some((_, is_open)) = &mut self.refused {
            held.replaces_refused = std::mem::take(is_open);
        }
        let lifetime = held.lifetime;
        (self.held, self.loading_since, self.failure) = (Some(held), None, None);
        Ok(lifetime)
    }

    /// Takes in that a load has failed; what is at hand stays until it expires.
    pub(super) fn failed(&mut self, now: Moment, error: CredentialsError) -> Failed {
        self.loading_since = None;
        let failures = self.failure.as_ref().map_or(0, |(failures, ..)| *failures).saturating_add(1);
        let bound = BACKOFF.bound(failures - 1);
        let delay = bound.mul_f64(0.5 + self.random.fraction() / 2.0);
        let valid_for = self.held.as_ref().map_or(Some(Duration::ZERO), |held| held.valid_for(now));
        // When the credentials at hand expire, a try is due whatever the back-off says.
        let retry_in = valid_for.filter(|left| !left.is_zero()).map_or(delay, |left| delay.min(left));
        self.failure = Some((failures, error.clone(), now.ticks + retry_in));
        let is_urgent = self.held.as_ref().is_none_or(|held| held.is_urgent(now));
        Failed { error, failures, retry_in, valid_for, is_urgent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Randomness;
    use crate::time::from_unix_millis;

    const HOUR: u64 = 3600;
    const SEED: u64 = 11;

    /// Both clocks, moved by hand.
    #[derive(Clone, Copy)]
    struct Clocks(Moment);

    impl Clocks {
        fn new() -> Self {
            Self(Moment { date: from_unix_millis(1_700_000_000_000), ticks: Instant::now() })
        }

        fn after(self, seconds: u64) -> Moment {
            let time = Duration::from_secs(seconds);
            Moment { date: self.0.date + time, ticks: self.0.ticks + time }
        }

        fn keys(self, name: &str, seconds: u64) -> Credentials {
            Credentials::new(name, "secret", None, Some(self.0.date + Duration::from_secs(seconds)), "test")
        }
    }

    fn refresh() -> Refresh {
        Refresh::new("TEST".into(), Randomness::from_seed(SEED).stream("credentials"))
    }

    fn holding(clocks: Clocks, lifetime: u64) -> Refresh {
        let mut refresh = refresh();
        assert!(matches!(refresh.step(clocks.after(0)), Step::Load(_)));
        refresh.loaded(clocks.after(0), clocks.keys("first", lifetime)).unwrap();
        refresh
    }

    fn failure(kind: CredentialsErrorKind) -> CredentialsError {
        CredentialsError::new("TEST", kind, "no")
    }

    #[test]
    fn an_hours_credentials_are_renewed_between_five_and_seven_and_a_half_minutes_before_their_end() {
        let clocks = Clocks::new();
        let mut due = Vec::new();
        for seed in 0..200 {
            let mut refresh = Refresh::new("TEST".into(), Randomness::from_seed(seed).stream("credentials"));
            refresh.step(clocks.after(0));
            refresh.loaded(clocks.after(0), clocks.keys("first", HOUR)).unwrap();
            let is_use = |step: &Step| matches!(step, Step::Use(_));
            let first = (0..HOUR).find(|second| !is_use(&refresh.step(clocks.after(*second)))).unwrap();
            due.push(HOUR - first);
        }
        let (least, most) = (*due.iter().min().unwrap(), *due.iter().max().unwrap());
        assert!((299..=310).contains(&least) && (440..=450).contains(&most), "{least} {most}");
    }

    #[test]
    fn one_request_loads_and_the_others_go_on_or_wait() {
        let clocks = Clocks::new();
        let mut refresh = refresh();
        assert!(matches!(refresh.step(clocks.after(0)), Step::Load(_)));
        assert!(matches!(refresh.step(clocks.after(0)), Step::Join(None)));
        refresh.loaded(clocks.after(1), clocks.keys("first", HOUR)).unwrap();
        assert!(matches!(refresh.step(clocks.after(1)), Step::Use(_)));
        assert!(matches!(refresh.step(clocks.after(HOUR - 290)), Step::UseAndLoad(_)));
        assert!(matches!(refresh.step(clocks.after(HOUR - 290)), Step::Use(_)));
    }

    #[test]
    fn in_the_last_seconds_a_load_is_waited_for_but_not_for_long() {
        let clocks = Clocks::new();
        let mut refresh = holding(clocks, HOUR);
        let until = |second| Some(clocks.after(second).ticks + URGENT_WAIT);
        assert!(matches!(refresh.step(clocks.after(HOUR - 14)), Step::Load(at) if at == until(HOUR - 14)));
        assert!(matches!(refresh.step(clocks.after(HOUR - 13)), Step::Join(at) if at == until(HOUR - 14)));
        assert!(matches!(refresh.step(clocks.after(HOUR - 11)), Step::Use(_)), "the load hangs, and they still hold");
        assert!(matches!(refresh.step(clocks.after(HOUR)), Step::Join(None)));
    }

    #[test]
    fn what_the_service_calls_expired_is_dropped_and_not_taken_again() {
        let clocks = Clocks::new();
        let mut refresh = holding(clocks, HOUR);
        let (first, second) = (clocks.keys("first", HOUR), clocks.keys("second", HOUR));
        assert!(refresh.refused(clocks.after(1), &first));
        assert!(matches!(refresh.step(clocks.after(1)), Step::Load(None)));
        assert!(refresh.refused(clocks.after(1), &first), "of a request that was under way");
        // With a later expiry, as a provider prolongs what it cannot renew.
        let error = refresh.loaded(clocks.after(1), clocks.keys("first", 2 * HOUR)).unwrap_err();
        assert!(error.is_retryable() && error.kind() == CredentialsErrorKind::Expired, "{error}");
        refresh.failed(clocks.after(1), error);
        assert!(matches!(refresh.step(clocks.after(1)), Step::Pause(..)));
        refresh.loaded(clocks.after(2), second.clone()).unwrap();
        assert!(refresh.refused(clocks.after(3), &first), "others are at hand");
        assert!(!refresh.refused(clocks.after(3), &second), "the new ones are refused too");
        assert!(matches!(refresh.step(clocks.after(3)), Step::Use(_)));
        assert!(refresh.refused(clocks.after(2 + 61), &second), "but not for ever");
    }

    #[test]
    fn what_is_refused_while_renewal_fails_is_renewed_at_once() {
        let clocks = Clocks::new();
        let mut refresh = holding(clocks, HOUR);
        let late = clocks.after(HOUR - 290);
        refresh.step(late);
        refresh.failed(late, failure(CredentialsErrorKind::Unavailable));
        assert!(matches!(refresh.step(late), Step::Use(_)));
        assert!(refresh.refused(late, &clocks.keys("first", HOUR)));
        assert!(matches!(refresh.step(late), Step::Load(None)));
    }

    #[test]
    fn the_same_again_is_a_failed_renewal_and_the_same_with_a_later_expiry_is_not() {
        let clocks = Clocks::new();
        let mut refresh = holding(clocks, HOUR);
        let late = clocks.after(HOUR - 100);
        assert!(matches!(refresh.step(late), Step::UseAndLoad(_)));
        let error = refresh.loaded(late, clocks.keys("first", HOUR)).unwrap_err();
        let failed = refresh.failed(late, error);
        assert!(!failed.is_urgent && failed.retry_in > Duration::ZERO);
        assert!(matches!(refresh.step(late), Step::Use(_)));
        refresh.loaded(late, clocks.keys("first", 2 * HOUR)).unwrap();
        assert!(matches!(refresh.step(clocks.after(HOUR + 1)), Step::Use(_)));
    }

    #[test]
    fn while_a_refresh_fails_the_valid_ones_are_used_up_to_their_last_second() {
        let clocks = Clocks::new();
        let mut refresh = holding(clocks, HOUR);
        let mut loads = 0;
        for second in 0..HOUR {
            match refresh.step(clocks.after(second)) {
                Step::Use(keys) => assert_eq!(keys.access_key_id(), "first"),
                Step::UseAndLoad(_) | Step::Load(_) => {
                    loads += 1;
                    let failed = refresh.failed(clocks.after(second), failure(CredentialsErrorKind::Refused));
                    assert!(failed.valid_for > Some(Duration::ZERO));
                    assert!(matches!(refresh.step(clocks.after(second)), Step::Use(_)), "{second}");
                }
                step => panic!("{second}: {step:?}"),
            }
        }
        // Back-offs of 1, 2, 4 … 60 s over at most 450 s.
        assert!((8..=25).contains(&loads), "{loads}");
        assert!(matches!(refresh.step(clocks.after(HOUR)), Step::Load(_)), "the back-off ends with the credentials");
    }

    #[test]
    fn without_credentials_a_passing_failure_is_waited_out_and_a_lasting_one_is_returned() {
        let clocks = Clocks::new();
        let mut refresh = refresh();
        refresh.step(clocks.after(0));
        let failed = refresh.failed(clocks.after(0), failure(CredentialsErrorKind::Unavailable));
        assert!(failed.retry_in >= Duration::from_millis(500) && failed.retry_in <= Duration::from_secs(1));
        let retry_at = clocks.0.ticks + failed.retry_in;
        assert!(matches!(refresh.step(clocks.after(0)), Step::Pause(at, _) if at == retry_at));
        assert!(matches!(refresh.step(clocks.after(1)), Step::Load(_)));
        refresh.failed(clocks.after(1), failure(CredentialsErrorKind::Refused));
        assert!(matches!(refresh.step(clocks.after(1)), Step::Fail(_)));
        assert!(matches!(refresh.step(clocks.after(3)), Step::Load(_)), "a trust policy may be corrected meanwhile");
    }

    #[test]
    fn the_back_off_grows_to_a_minute_and_a_success_resets_it() {
        let clocks = Clocks::new();
        let mut refresh = refresh();
        let mut delays = Vec::new();
        for _ in 0..9 {
            delays.push(refresh.failed(clocks.after(0), failure(CredentialsErrorKind::Unavailable)).retry_in);
        }
        for (index, delay) in delays.iter().enumerate() {
            let bound = Duration::from_secs(60.min(1 << index));
            assert!(*delay >= bound / 2 && *delay <= bound, "{index}: {delay:?}");
        }
        refresh.loaded(clocks.after(0), clocks.keys("first", HOUR)).unwrap();
        let failed = refresh.failed(clocks.after(0), failure(CredentialsErrorKind::Unavailable));
        assert_eq!(failed.failures, 1);
    }

    #[test]
    fn expired_credentials_are_not_taken_and_do_not_displace_valid_ones() {
        let clocks = Clocks::new();
        let mut refresh = holding(clocks, HOUR);
        let late = clocks.after(HOUR - 100);
        let error = refresh.loaded(late, clocks.keys("stale", HOUR - 200)).unwrap_err();
        assert_eq!(error.kind(), CredentialsErrorKind::Expired);
        refresh.failed(late, error);
        assert!(matches!(refresh.step(late), Step::Use(keys) if keys.access_key_id() == "first"));
    }

    #[test]
    fn a_date_that_is_set_back_does_not_prolong_credentials() {
        let clocks = Clocks::new();
        let mut refresh = holding(clocks, HOUR);
        let set_back = Moment { date: clocks.0.date, ..clocks.after(HOUR) };
        assert!(matches!(refresh.step(set_back), Step::Load(_)));
    }

    #[test]
    fn a_date_that_is_set_ahead_ends_them_and_renews_them() {
        let clocks = Clocks::new();
        let ahead = |seconds| Moment { date: clocks.after(seconds).date, ..clocks.after(1) };
        assert!(matches!(holding(clocks, HOUR).step(ahead(HOUR - 290)), Step::UseAndLoad(_)));
        assert!(matches!(holding(clocks, HOUR).step(ahead(HOUR)), Step::Load(_)));
    }

    #[test]
    fn credentials_without_expiry_are_read_again_within_a_quarter_of_an_hour() {
        let clocks = Clocks::new();
        let mut refresh = refresh();
        refresh.step(clocks.after(0));
        let keys = Credentials::new("first", "secret", None, None, "test");
        assert_eq!(refresh.loaded(clocks.after(0), keys).unwrap(), None);
        assert!(matches!(refresh.step(clocks.after(13 * 60)), Step::Use(_)));
        assert!(matches!(refresh.step(clocks.after(15 * 60)), Step::UseAndLoad(_)));
        let failed = refresh.failed(clocks.after(15 * 60), failure(CredentialsErrorKind::NotConfigured));
        assert_eq!(failed.valid_for, None);
        assert!(matches!(refresh.step(clocks.after(30 * 60)), Step::UseAndLoad(_)), "they are used for ever");
    }

    #[test]
    fn short_lives_are_renewed_in_proportion_and_not_in_a_storm() {
        let clocks = Clocks::new();
        for (lifetime, earliest, latest) in [(900, 450, 600), (60, 30, 40), (2, 1, 1), (1, 1, 1)] {
            let held = Held::new(clocks.keys("k", lifetime), clocks.0, &mut Randomness::from_seed(SEED).stream("c"));
            let after = held.unwrap().refresh_after;
            let range = Duration::from_secs(earliest)..=Duration::from_millis(latest * 1000 + 400);
            assert!(range.contains(&after), "{lifetime}: {after:?}");
        }
    }
}
