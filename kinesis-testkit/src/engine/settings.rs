//! What can be changed about a stream besides its shards.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ServiceError;
use super::limits::Limits;
use super::streams::{Change, Stream};

/// Retention of a new stream (API reference, CreateStream).
const DEFAULT_RETENTION_HOURS: u64 = 24;
const MIN_RETENTION_HOURS: u64 = 24;
/// A year of 365 days (API reference, IncreaseStreamRetentionPeriod).
const MAX_RETENTION_HOURS: u64 = 8760;
/// The size limit of a record where the stream says nothing else.
pub(crate) const DEFAULT_MAX_RECORD_KIB: u32 = 1024;
/// 10 GiB/s (API reference, UpdateStreamWarmThroughput).
const MAX_WARM_MIBPS: u32 = 10 * 1024;
const DAY_MILLIS: u64 = 24 * 3_600_000;

/// How capacity is managed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum StreamMode {
    Provisioned,
    OnDemand,
}

impl StreamMode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "PROVISIONED",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

/// How records find their shards.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Distribution {
    /// Evenly, whatever keys they have.
    Auto,
    UserPartitionKey,
}

impl Distribution {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "AUTO",
            Self::UserPartitionKey => "USER_PARTITION_KEY",
        }
    }
}

/// A metric of enhanced monitoring; nothing is measured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Metric {
    IncomingBytes,
    IncomingRecords,
    OutgoingBytes,
    OutgoingRecords,
    WriteProvisionedThroughputExceeded,
    ReadProvisionedThroughputExceeded,
    IteratorAgeMilliseconds,
}

impl Metric {
    pub(crate) const ALL: [Self; 7] = [
        Self::IncomingBytes,
        Self::IncomingRecords,
        Self::OutgoingBytes,
        Self::OutgoingRecords,
        Self::WriteProvisionedThroughputExceeded,
        Self::ReadProvisionedThroughputExceeded,
        Self::IteratorAgeMilliseconds,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::IncomingBytes => "IncomingBytes",
            Self::IncomingRecords => "IncomingRecords",
            Self::OutgoingBytes => "OutgoingBytes",
            Self::OutgoingRecords => "OutgoingRecords",
            Self::WriteProvisionedThroughputExceeded => "WriteProvisionedThroughputExceeded",
            Self::ReadProvisionedThroughputExceeded => "ReadProvisionedThroughputExceeded",
            Self::IteratorAgeMilliseconds => "IteratorAgeMilliseconds",
        }
    }

    /// The metrics that names stand for; `ALL` is all of them.
    pub(crate) fn of_names(names: &[String]) -> BTreeSet<Self> {
        if names.iter().any(|name| name == "ALL") {
            return Self::ALL.into();
        }
        Self::ALL.into_iter().filter(|metric| names.iter().any(|name| name == metric.as_str())).collect()
    }
}

/// A stream's settings.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StreamSettings {
    pub(crate) mode: StreamMode,
    pub(crate) distribution: Distribution,
    pub(crate) retention_hours: u64,
    pub(crate) max_record_kib: u32,
    /// The key that encrypts new records, where there is one.
    pub(crate) encryption_key: Option<String>,
    pub(crate) metrics: BTreeSet<Metric>,
    pub(crate) warm: Option<WarmThroughput>,
}

/// The writes that an on-demand stream is kept ready for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct WarmThroughput {
    pub(crate) target_mibps: u32,
    pub(crate) current_mibps: u32,
}

impl WarmThroughput {
    /// One that has been reached.
    pub(super) const fn reached(mibps: u32) -> Self {
        Self { target_mibps: mibps, current_mibps: mibps }
    }
}

impl StreamSettings {
    pub(super) const fn new(
        mode: StreamMode,
        distribution: Distribution,
        max_record_kib: u32,
        warm: Option<WarmThroughput>,
    ) -> Self {
        Self {
            mode,
            distribution,
            retention_hours: DEFAULT_RETENTION_HOURS,
            max_record_kib,
            encryption_key: None,
            metrics: BTreeSet::new(),
            warm,
        }
    }
}

/// A change that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettingChange {
    /// `longer` says which of the two operations asks.
    Retention {
        hours: i64,
        longer: bool,
    },
    MaxRecordKib(u32),
    Mode {
        mode: StreamMode,
        warm_mibps: Option<u32>,
    },
    WarmThroughput(u32),
    Distribution(Distribution),
    StartEncryption {
        key: String,
    },
    StopEncryption,
    Monitor(BTreeSet<Metric>),
    StopMonitoring(BTreeSet<Metric>),
}

impl SettingChange {
    /// Whether it is for accounts with a billing commitment alone.
    pub(super) const fn needs_commitment(&self) -> bool {
        matches!(self, Self::WarmThroughput(_) | Self::Mode { warm_mibps: Some(_), .. })
    }
}

/// What was done in a rolling day.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct RollingDay(VecDeque<u64>);

impl RollingDay {
    /// Counts one more, or refuses it.
    pub(super) fn admit(&mut self, most: Option<u32>, now_millis: u64) -> bool {
        while self.0.front().is_some_and(|at| at + DAY_MILLIS <= now_millis) {
            self.0.pop_front();
        }
        let admitted = most.is_none_or(|most| (self.0.len() as u64) < u64::from(most));
        if admitted {
            self.0.push_back(now_millis);
        }
        admitted
    }
}

/// What the service counts per stream and day.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Histories {
    pub(super) scalings: RollingDay,
    modes: RollingDay,
    encryptions: RollingDay,
    decryptions: RollingDay,
}

impl Stream {
    /// Changes a setting, if the stream's state and settings allow it.
    pub(super) fn change(
        &mut self,
        change: SettingChange,
        limits: &Limits,
        now_millis: u64,
        updating: Duration,
    ) -> Result<(), ServiceError> {
        self.check_change(&change)?;
        self.require_active()?;
        self.admit_change(&change, limits, now_millis)?;
        let mut next = self.settings.clone();
        let mut shards = None;
        match change {
            // These hold at once; the stream is UPDATING all the same.
            SettingChange::Retention { hours, .. } => {
                // What has expired does not come back (API reference, IncreaseStreamRetentionPeriod).
                self.keep_horizon(now_millis);
                self.settings.retention_hours = u64::try_from(hours).unwrap_or_default();
                next.retention_hours = self.settings.retention_hours;
            }
            SettingChange::MaxRecordKib(kib) => {
                self.settings.max_record_kib = kib;
                next.max_record_kib = kib;
            }
            SettingChange::Distribution(distribution) => {
                self.settings.distribution = distribution;
                return Ok(());
            }
            SettingChange::Monitor(metrics) => next.metrics.extend(metrics),
            SettingChange::StopMonitoring(metrics) => next.metrics.retain(|metric| !metrics.contains(metric)),
            SettingChange::StartEncryption { key } => next.encryption_key = Some(key),
            SettingChange::StopEncryption => next.encryption_key = None,
            SettingChange::Mode { mode, warm_mibps } => {
                next.mode = mode;
                next.warm = warm_mibps.map(WarmThroughput::reached);
                shards = warm_mibps;
                if mode == StreamMode::Provisioned {
                    next.distribution = Distribution::UserPartitionKey;
                }
            }
            SettingChange::WarmThroughput(mibps) => {
                let current_mibps = self.settings.warm.map_or(0, |warm| warm.current_mibps);
                self.settings.warm = Some(WarmThroughput { target_mibps: mibps, current_mibps });
                next.warm = Some(WarmThroughput::reached(mibps));
                shards = Some(mibps);
            }
        }
        // A shard takes 1 MiB/s; a stream is never made smaller for less.
        let shards = shards.filter(|shards| *shards as usize > self.open_shard_count());
        self.begin_update(Change::Settings { settings: Box::new(next), shards }, now_millis, updating);
        Ok(())
    }

    fn check_change(&self, change: &SettingChange) -> Result<(), ServiceError> {
        let (name, account, mode) = (self.name(), self.arn.account(), self.settings.mode);
        let unsupported = |what: &str| {
            Err(ServiceError::validation(format!(
                "{what} is not supported for stream {name} under account {account}, which is in {} mode.",
                mode.as_str()
            )))
        };
        match change {
            SettingChange::Retention { hours, longer } => self.check_retention(*hours, *longer),
            SettingChange::WarmThroughput(_) if mode == StreamMode::Provisioned => unsupported("Warm throughput"),
            SettingChange::Mode { mode: StreamMode::Provisioned, warm_mibps: Some(_) } => {
                Err(ServiceError::invalid_argument("WarmThroughputMiBps is valid for ON_DEMAND mode only."))
            }
            SettingChange::WarmThroughput(mibps) | SettingChange::Mode { warm_mibps: Some(mibps), .. } => {
                check_warm_throughput(*mibps)?;
                self.check_mode(change)
            }
            SettingChange::Distribution(Distribution::Auto) if mode == StreamMode::Provisioned => {
                Err(ServiceError::invalid_argument(format!(
                    "RecordDistributionStrategy AUTO is not supported for stream {name} under account {account}, which \
                     is in PROVISIONED mode."
                )))
            }
            _ => self.check_mode(change),
        }
    }

    /// Refuses a change to the mode that there is.
    fn check_mode(&self, change: &SettingChange) -> Result<(), ServiceError> {
        let (name, account, mode) = (self.name(), self.arn.account(), self.settings.mode);
        match change {
            SettingChange::Mode { mode: asked, .. } if *asked == mode && self.require_active().is_ok() => {
                Err(ServiceError::invalid_argument(format!(
                    "Stream {name} under account {account} is already in {} mode.",
                    mode.as_str()
                )))
            }
            _ => Ok(()),
        }
    }

    fn check_retention(&self, hours: i64, longer: bool) -> Result<(), ServiceError> {
        let (name, existing) = (self.name(), self.settings.retention_hours);
        let asked = u64::try_from(hours).unwrap_or_default();
        let refusal = if asked < MIN_RETENTION_HOURS {
            format!(
                "Minimum allowed retention period is {MIN_RETENTION_HOURS} hours. Requested retention period ({hours} \
                 hours) is too short."
            )
        } else if asked > MAX_RETENTION_HOURS {
            format!(
                "Maximum allowed retention period is {MAX_RETENTION_HOURS} hours. Requested retention period ({hours} \
                 hours) is too long."
            )
        } else if longer && asked < existing {
            format!(
                "Requested retention period ({hours} hours) for stream {name} can not be shorter than existing \
                 retention period ({existing} hours). Use DecreaseRetentionPeriod API."
            )
        } else if !longer && asked > existing {
            format!(
                "Requested retention period ({hours} hours) for stream {name} can not be longer than existing \
                 retention period ({existing} hours). Use IncreaseRetentionPeriod API."
            )
        } else {
            return Ok(());
        };
        Err(ServiceError::invalid_argument(refusal))
    }

    fn admit_change(&mut self, change: &SettingChange, limits: &Limits, now_millis: u64) -> Result<(), ServiceError> {
        let (admitted, what) = match change {
            SettingChange::Mode { .. } => {
                (self.histories.modes.admit(limits.mode_changes, now_millis), "changes of the capacity mode")
            }
            SettingChange::StartEncryption { .. } => {
                (self.histories.encryptions.admit(limits.key_changes, now_millis), "starts of encryption")
            }
            SettingChange::StopEncryption => {
                (self.histories.decryptions.admit(limits.key_changes, now_millis), "stops of encryption")
            }
            _ => return Ok(()),
        };
        if admitted { Ok(()) } else { Err(self.daily_limit(what)) }
    }

    /// The refusal of what was done too often within a day.
    pub(super) fn daily_limit(&self, what: &str) -> ServiceError {
        let (name, account) = (self.name(), self.arn.account());
        ServiceError::limit_exceeded(format!(
            "Limit exceeded for stream {name} under account {account}: no more {what} in a rolling 24-hour period."
        ))
    }
}

/// Refuses more than the service keeps a stream ready for.
pub(super) fn check_warm_throughput(mibps: u32) -> Result<(), ServiceError> {
    if mibps <= MAX_WARM_MIBPS {
        return Ok(());
    }
    Err(ServiceError::invalid_argument(format!("WarmThroughputMiBps {mibps} exceeds the maximum of {MAX_WARM_MIBPS}.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_rolls() {
        let mut day = RollingDay::default();
        assert!(day.admit(Some(2), 0) && day.admit(Some(2), 1));
        assert!(!day.admit(Some(2), DAY_MILLIS - 1), "the first is a day old a millisecond later");
        assert!(day.admit(Some(2), DAY_MILLIS));
        assert!(!day.admit(Some(2), DAY_MILLIS));
        assert!(day.admit(None, DAY_MILLIS));
    }

    #[test]
    fn all_is_every_metric() {
        assert_eq!(Metric::of_names(&["IncomingBytes".to_owned(), "ALL".to_owned()]).len(), 7);
        assert_eq!(Metric::of_names(&["OutgoingBytes".to_owned()]), [Metric::OutgoingBytes].into());
    }
}
