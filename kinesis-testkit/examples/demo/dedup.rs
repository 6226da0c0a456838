//! The consumer's processor: it lets each line through once.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kinesis_consumer::{Batch, BoxError, Processor, Record, SavedState, ShardContext};
use kinesis_core::{HashKeyRange, RecordPosition, SequenceNumber};
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

/// The numbers of the lines seen, how many were seen again, and how far the shard was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    lines: RoaringTreemap,
    pub(crate) duplicates: u64,
    last: RecordPosition,
}

/// A record was delivered that this state holds already: the consumer's fault, which counting it would hide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DeliveredAgain(RecordPosition);

impl fmt::Display for DeliveredAgain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} was delivered again to a state that holds it", self.0)
    }
}

impl Error for DeliveredAgain {}

/// Duplicates, sequence number, sub-sequence number.
const HEADER_BYTES: usize = 8 + 32 + 8;

impl Seen {
    /// Moves on to a record; a producer's repetition has a position of its own, a consumer's has not.
    fn advance(&mut self, to: RecordPosition) -> Result<(), DeliveredAgain> {
        if to <= self.last {
            return Err(DeliveredAgain(to));
        }
        self.last = to;
        Ok(())
    }

    /// Whether a line is new.
    fn insert(&mut self, line: u64) -> bool {
        let new = self.lines.insert(line);
        self.duplicates += u64::from(!new);
        new
    }

    pub(crate) fn encode(&self) -> io::Result<Bytes> {
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + self.lines.serialized_size()).writer();
        let (high, low) = self.last.sequence_number.halves();
        bytes.get_mut().put_u64(self.duplicates);
        bytes.get_mut().put_u128(high);
        bytes.get_mut().put_u128(low);
        bytes.get_mut().put_u64(self.last.sub_sequence_number);
        self.lines.serialize_into(&mut bytes)?;
        Ok(bytes.into_inner().freeze())
    }

    pub(crate) fn decode(mut bytes: Bytes) -> io::Result<Self> {
        if bytes.len() < HEADER_BYTES {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let duplicates = bytes.get_u64();
        let sequence_number = SequenceNumber::from_halves(bytes.get_u128(), bytes.get_u128());
        let last = RecordPosition::new(sequence_number, bytes.get_u64());
        Ok(Self { lines: RoaringTreemap::deserialize_from(bytes.reader())?, duplicates, last })
    }

    /// Takes in a saved state: one's own, or that of a parent.
    ///
    /// Which lines of a parent belong to which child is not known from their numbers, so that each child takes all; the
    /// count of duplicates goes to the child that holds the parent's first key.
    ///
    /// A position is of its shard: that of a parent means nothing to a child.
    fn take_in(&mut self, from: Self, of: &HashKeyRange, own: &HashKeyRange, same_shard: bool) {
        if same_shard {
            self.last = from.last;
        }
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
            self.seen.advance(record.position)?;
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
            let same_shard = state.shard == self.context.shard;
            self.seen.take_in(saved, &state.hash_key_range, &self.context.hash_key_range, same_shard);
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
    fn a_record_that_the_state_holds_is_not_taken_for_a_producers_repetition() {
        let at = |sequence: u128, sub| RecordPosition::new(sequence.into(), sub);
        let mut state = Seen::default();
        assert_eq!([at(7, 0), at(7, 1), at(9, 0)].map(|to| state.advance(to)), [Ok(()); 3]);
        let mut restored = Seen::decode(state.encode().unwrap()).unwrap();
        assert_eq!(restored.advance(at(7, 1)), Err(DeliveredAgain(at(7, 1))));
        assert_eq!(restored.advance(at(9, 1)), Ok(()));
    }

    #[test]
    fn children_know_what_their_parents_saw_and_duplicates_are_counted_once() {
        let halves = HashKeyRange::uniform(2);
        let parent = seen(&[1, 2, 2]);
        let mut children = halves.iter().map(|half| {
            let mut child = Seen::default();
            child.take_in(parent.clone(), &HashKeyRange::FULL, half, false);
            child
        });
        let (mut low, high) = (children.next().unwrap(), children.next().unwrap());
        assert_eq!((low.duplicates, high.duplicates), (1, 0));
        assert!(!low.insert(1));
        let mut merged = Seen::default();
        merged.take_in(low, &halves[0], &HashKeyRange::FULL, false);
        merged.take_in(high, &halves[1], &HashKeyRange::FULL, false);
        assert_eq!((merged.duplicates, merged.lines.len()), (2, 2));
    }
}
