//! The consumer's processor: it lets each line through once.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kinesis_consumer::{Batch, BoxError, Processor, Record, SavedState, ShardContext};
use kinesis_core::HashKeyRange;
use roaring::RoaringTreemap;

use crate::line::{Content, open};
use crate::observer::Observer;

/// Drops what a shard, or a shard that it was made of, has seen before.
///
/// The producer is at-least-once; this state, handed over at resharding, is what makes the output exactly-once.
pub(crate) struct Dedup {
    observer: Arc<Observer>,
    context: ShardContext,
    seen: Seen,
}

/// The numbers of the lines seen, and how many were seen again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    lines: RoaringTreemap,
    pub(crate) duplicates: u64,
}

impl Seen {
    /// Whether a line is new.
    fn insert(&mut self, line: u64) -> bool {
        let new = self.lines.insert(line);
        self.duplicates += u64::from(!new);
        new
    }

    pub(crate) fn encode(&self) -> io::Result<Bytes> {
        let mut bytes = BytesMut::with_capacity(8 + self.lines.serialized_size()).writer();
        bytes.get_mut().put_u64(self.duplicates);
        self.lines.serialize_into(&mut bytes)?;
        Ok(bytes.into_inner().freeze())
    }

    pub(crate) fn decode(mut bytes: Bytes) -> io::Result<Self> {
        if bytes.len() < 8 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let duplicates = bytes.get_u64();
        Ok(Self { lines: RoaringTreemap::deserialize_from(bytes.reader())?, duplicates })
    }

    /// Takes in a saved state: one's own, or that of a parent.
    ///
    /// Which lines of a parent belong to which child is not known from their numbers, so that each child takes all; the
    /// count of duplicates goes to the child that holds the parent's first key.
    fn take_in(&mut self, from: Self, of: &HashKeyRange, own: &HashKeyRange) {
        self.lines |= from.lines;
        if own.contains(of.start()) {
            self.duplicates += from.duplicates;
        }
    }
}

impl Dedup {
    pub(crate) fn new(observer: Arc<Observer>, context: &ShardContext) -> Self {
        Self { observer, context: context.clone(), seen: Seen::default() }
    }
}

#[async_trait]
impl Processor<Record> for Dedup {
    type Output = Bytes;

    async fn process(&mut self, batch: Batch<Record>, output: &mut Vec<Bytes>) -> Result<(), BoxError> {
        let last = batch.items.last().map(|record| record.position);
        let mut lines = 0;
        let replayed = self.observer.count_replayed(&batch.shard, batch.items.iter().map(|record| record.position));
        for record in batch.items {
            match open(self.observer.run(), &record.data) {
                Some(Content::Line { number, text }) => {
                    lines += 1;
                    if self.seen.insert(number) {
                        output.push(text);
                    }
                }
                Some(Content::Probe) => {}
                None => continue,
            }
            self.observer.child_got_record(&batch.shard);
        }
        self.observer.delivered(&batch.shard, last, lines, replayed).await;
        Ok(())
    }

    fn snapshot(&self) -> Result<Bytes, BoxError> {
        Ok(self.seen.encode()?)
    }

    fn restore(&mut self, states: &[SavedState]) -> Result<(), BoxError> {
        for state in states {
            let saved = Seen::decode(state.bytes.clone())?;
            self.seen.take_in(saved, &state.hash_key_range, &self.context.hash_key_range);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(lines: &[u64]) -> Seen {
        let mut seen = Seen::default();
        lines.iter().for_each(|line| {
            seen.insert(*line);
        });
        seen
    }

    #[test]
    fn a_state_survives_its_bytes() {
        let state = seen(&[1, 5, 5, 1 << 40]);
        assert_eq!(state.duplicates, 1);
        assert_eq!(Seen::decode(state.encode().unwrap()).unwrap(), state);
        assert!(Seen::decode(Bytes::from_static(b"short")).is_err());
    }

    #[test]
    fn children_know_what_their_parents_saw_and_duplicates_are_counted_once() {
        let halves = HashKeyRange::uniform(2);
        let parent = seen(&[1, 2, 2]);
        let mut children = halves.iter().map(|half| {
            let mut child = Seen::default();
            child.take_in(parent.clone(), &HashKeyRange::FULL, half);
            child
        });
        let (mut low, high) = (children.next().unwrap(), children.next().unwrap());
        assert_eq!((low.duplicates, high.duplicates), (1, 0));
        assert!(!low.insert(1));
        let mut merged = Seen::default();
        merged.take_in(low, &halves[0], &HashKeyRange::FULL);
        merged.take_in(high, &halves[1], &HashKeyRange::FULL);
        assert_eq!((merged.duplicates, merged.lines.len()), (2, 2));
    }
}
