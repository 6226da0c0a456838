//! What an account may ask of the control plane, and how much it may own.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kinesis_core::{StreamName, unix_millis};

use super::account::Account;
use super::error::ServiceError;
use super::limits::{Bucket, admit_call, default_shard_quota};
use super::settings::StreamMode;
use crate::operation::Operation;

/// On-demand streams of an account (AWS quota page).
pub(super) const DEFAULT_ON_DEMAND_STREAMS: u32 = 50;

/// What DescribeLimits says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountLimits {
    pub(crate) shard_limit: u32,
    pub(crate) open_shards: u64,
    pub(crate) on_demand_streams: usize,
    pub(crate) on_demand_limit: u32,
}

/// Whose calls count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Account,
    Stream,
}

/// The rate of an operation of the control plane; the data plane has its limits per shard.
///
/// From the operations' own documentation; five a second and account where it says nothing.
pub(super) const fn default_rate(operation: Operation) -> Option<(u64, Scope)> {
    match operation {
        Operation::GetRecords
        | Operation::GetShardIterator
        | Operation::PutRecord
        | Operation::PutRecords
        | Operation::SubscribeToShard => None,
        Operation::DescribeLimits => Some((1, Scope::Account)),
        Operation::DescribeStream | Operation::UpdateShardCount => Some((10, Scope::Account)),
        Operation::DescribeStreamSummary => Some((20, Scope::Account)),
        Operation::DescribeStreamConsumer => Some((20, Scope::Stream)),
        Operation::ListShards => Some((1000, Scope::Stream)),
        Operation::DeregisterStreamConsumer | Operation::ListStreamConsumers => Some((5, Scope::Stream)),
        _ => Some((5, Scope::Account)),
    }
}

/// The buckets of an account's control plane.
#[derive(Debug, Default)]
pub(super) struct ControlMeters(BTreeMap<(Operation, Option<StreamName>), Bucket>);

impl Account {
    /// Counts a call of the control plane, or refuses it.
    pub(crate) fn admit_control(
        &mut self,
        now: SystemTime,
        operation: Operation,
        stream: Option<&StreamName>,
    ) -> Result<(), ServiceError> {
        let Some((rate, scope)) = self.settings.limits.control_rate(operation) else { return Ok(()) };
        let of_stream = stream.filter(|_| scope == Scope::Stream).cloned();
        let bucket = self.control.0.entry((operation, of_stream)).or_insert(Bucket::FULL);
        if admit_call(bucket, Some(rate), unix_millis(now)) {
            return Ok(());
        }
        let account = &self.place.account;
        Err(ServiceError::limit_exceeded(match stream {
            Some(stream) => format!("Rate exceeded for stream {stream} under account {account}."),
            None => format!("Rate exceeded for account {account}."),
        }))
    }

    pub(crate) fn limits(&mut self, now: SystemTime) -> AccountLimits {
        let now_millis = unix_millis(now);
        let on_demand = self.streams(now_millis).filter(|it| it.settings.mode == StreamMode::OnDemand).count();
        let limits = &self.settings.limits;
        AccountLimits {
            shard_limit: limits
                .shard_quota(&self.place.region)
                .unwrap_or_else(|| default_shard_quota(&self.place.region)),
            on_demand_limit: limits.on_demand_streams.unwrap_or(DEFAULT_ON_DEMAND_STREAMS),
            open_shards: self.open_shards(now_millis),
            on_demand_streams: on_demand,
        }
    }
}

/// The refusal of one more stream while too many are being created.
pub(super) fn too_many_streams(account: &str) -> String {
    format!("Too many streams of account {account} are in the state CREATING.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_data_plane_has_no_rate() {
        let without: Vec<_> = Operation::ALL.iter().filter(|operation| default_rate(**operation).is_none()).collect();
        assert_eq!(without.len(), 5, "{without:?}");
    }
}
