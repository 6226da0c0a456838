//! What the service has, by the fake's journal.

use std::collections::BTreeMap;

use kinesis_aggregation::decode;
use kinesis_core::{HashKey, HashKeyRange, ShardId};
use kinesis_testkit::{Delivery, FakeKinesis};

use crate::account::Copy;
use crate::workload::{STREAMS, id_of};

/// Every copy of every record, in the order in which it was stored.
///
/// A reader by the KCL's rule takes every record that is no aggregate, and an aggregate only where all members belong
/// to the shard.
pub(crate) fn copies(fake: &FakeKinesis) -> Vec<Copy> {
    let mut ranges = BTreeMap::<(&str, ShardId), HashKeyRange>::new();
    for stream in STREAMS {
        let shards = fake.shards(stream).unwrap_or_default();
        ranges.extend(shards.into_iter().map(|shard| ((stream, shard.id), shard.hash_key_range)));
    }
    let journal = fake.journal();
    let deliveries: BTreeMap<u64, Delivery> = journal.calls.iter().map(|call| (call.id, call.delivery)).collect();
    let mut copies = Vec::new();
    for stored in &journal.records {
        let stream = STREAMS.into_iter().find(|name| *name == stored.stream().as_str()).unwrap();
        let copy = |key: &str, hash_key: HashKey, data: &[u8], sub: u64, is_visible: bool| Copy {
            id: id_of(key, data),
            stream: stream.to_owned(),
            key: key.to_owned(),
            hash_key,
            data_bytes: data.len(),
            shard: stored.shard().clone(),
            sequence_number: stored.sequence_number(),
            sub_sequence_number: sub,
            is_visible,
            call: stored.call(),
            delivery: deliveries[&stored.call()],
        };
        let Some(aggregate) = decode(&stored.data()).unwrap() else {
            let key = stored.partition_key();
            let hash_key = stored.explicit_hash_key().unwrap_or_else(|| HashKey::of_partition_key(key));
            copies.push(copy(key, hash_key, &stored.data(), 0, true));
            continue;
        };
        let range = &ranges[&(stream, stored.shard().clone())];
        let is_visible = aggregate.members().all(|member| range.contains(member.hash_key()));
        copies.extend(aggregate.members().map(|member| {
            copy(member.partition_key(), member.hash_key(), member.data_bytes(), member.index(), is_visible)
        }));
    }
    copies
}
