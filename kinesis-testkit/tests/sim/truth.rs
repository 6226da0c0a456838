//! What there was to read, by the fake's journal.

use std::collections::BTreeMap;
use std::time::SystemTime;

use kinesis_aggregation::decode;
use kinesis_core::{RecordPosition, Shard, ShardId};
use kinesis_testkit::Journal;

use crate::account::Place;
use crate::job::text_of;

/// A user record that was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) key: String,
    pub(crate) text: String,
    pub(crate) arrived_at: SystemTime,
}

/// The user records of a journal, as the default policy delivers them: an aggregate with a member of another shard is
/// dropped as a whole, one that is broken is one raw record.
pub(crate) fn items(journal: &Journal, shards: &BTreeMap<ShardId, Shard>) -> Vec<Item> {
    let mut items = Vec::new();
    for record in &journal.records {
        let (shard, data) = (record.shard(), record.data());
        let mut push = |sub, key: String, data: &[u8]| {
            let place = (shard.clone(), RecordPosition::new(record.sequence_number(), sub));
            items.push(Item { place, key, text: text_of(data), arrived_at: record.arrived_at() });
        };
        match decode(&data) {
            Ok(Some(aggregate)) if aggregate.is_within(&shards[shard].hash_key_range) => {
                for member in aggregate.members() {
                    let key = String::from_utf8_lossy(&member.partition_key_bytes()).into_owned();
                    push(member.index(), key, &member.data());
                }
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => push(0, record.partition_key().to_owned(), &data),
        }
    }
    items
}
