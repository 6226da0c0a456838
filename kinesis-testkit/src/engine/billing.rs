//! What an account has committed itself to pay.

use std::time::SystemTime;

use kinesis_core::unix_millis;
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::error::ServiceError;

/// How long a commitment binds: a day; the service says that there is a window, not how long it is.
const COMMITMENT_MILLIS: u64 = 24 * 3_600_000;

/// The minimum throughput billing commitment of an account.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Billing {
    started_millis: Option<u64>,
    ends_millis: Option<u64>,
}

/// The commitment as it is at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commitment {
    pub(crate) status: &'static str,
    pub(crate) started_millis: Option<u64>,
    pub(crate) earliest_end_millis: Option<u64>,
    pub(crate) ended_millis: Option<u64>,
}

impl Billing {
    /// Whether it holds: until its end, where one was asked for.
    fn is_enabled(&self, now_millis: u64) -> bool {
        self.started_millis.is_some() && self.ends_millis.is_none_or(|ends| ends > now_millis)
    }

    fn at(&self, now_millis: u64) -> Commitment {
        let earliest = self.started_millis.map(|started| started + COMMITMENT_MILLIS);
        let (status, ended_millis) = match (self.started_millis, self.ends_millis) {
            (None, _) => ("DISABLED", None),
            (Some(_), None) => ("ENABLED", None),
            (Some(_), Some(ends)) if ends > now_millis => ("ENABLED_UNTIL_EARLIEST_ALLOWED_END", None),
            (Some(_), Some(ends)) => ("DISABLED", Some(ends)),
        };
        let earliest_end_millis = if ended_millis.is_some() { None } else { earliest };
        Commitment { status, started_millis: self.started_millis, earliest_end_millis, ended_millis }
    }

    fn set(&mut self, enabled: bool, now_millis: u64) {
        if enabled && self.ends_millis.is_some_and(|ends| ends > now_millis) {
            self.ends_millis = None;
        } else if enabled && !self.is_enabled(now_millis) {
            *self = Self { started_millis: Some(now_millis), ends_millis: None };
        } else if !enabled && self.ends_millis.is_none() {
            self.ends_millis = self.started_millis.map(|started| now_millis.max(started + COMMITMENT_MILLIS));
        }
    }
}

impl Account {
    pub(crate) fn commitment(&self, now: SystemTime) -> Commitment {
        self.billing.at(unix_millis(now))
    }

    pub(crate) fn commit(&mut self, now: SystemTime, enabled: bool) -> Commitment {
        self.billing.set(enabled, unix_millis(now));
        self.commitment(now)
    }

    /// Whether the account may use what is for those with a commitment (on-demand advantage).
    pub(super) fn has_advantage(&self, now: SystemTime) -> bool {
        self.billing.is_enabled(unix_millis(now))
    }

    pub(super) fn require_commitment(&self, now: SystemTime) -> Result<(), ServiceError> {
        if self.has_advantage(now) {
            return Ok(());
        }
        let account = &self.place.account;
        Err(ServiceError::validation(format!(
            "Warm throughput needs MinimumThroughputBillingCommitment to be enabled for account {account}."
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_binds_for_its_window() {
        let mut billing = Billing::default();
        assert_eq!(billing.at(5).status, "DISABLED");
        billing.set(true, 10);
        assert_eq!(billing.at(20).status, "ENABLED");
        billing.set(false, 30);
        assert_eq!(billing.at(40).status, "ENABLED_UNTIL_EARLIEST_ALLOWED_END");
        let ended = billing.at(10 + COMMITMENT_MILLIS);
        assert_eq!((ended.status, ended.ended_millis), ("DISABLED", Some(10 + COMMITMENT_MILLIS)));
        billing.set(true, 20 + COMMITMENT_MILLIS);
        assert_eq!(billing.at(30 + COMMITMENT_MILLIS).started_millis, Some(20 + COMMITMENT_MILLIS));
    }

    #[test]
    fn an_end_that_has_not_come_is_taken_back() {
        let mut billing = Billing::default();
        billing.set(true, 10);
        billing.set(false, 20);
        billing.set(true, 30);
        assert_eq!((billing.at(40).status, billing.at(40).started_millis), ("ENABLED", Some(10)));
    }
}
