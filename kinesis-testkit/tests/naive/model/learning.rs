//! Opaque values: what they must look like, and what they stand for from then on.

use super::{Model, Position, Token, shard_id};

/// What an opaque value of a reply is.
#[derive(Clone, Debug)]
pub(crate) enum Learn {
    /// The sequence number of a record.
    Number(usize, usize),
    /// The StartingSequenceNumber of a shard.
    First(usize, usize),
    /// The EndingSequenceNumber of a shard.
    Last(usize, usize),
    Iterator(Position),
    Token(Token),
    /// The ARN of the newest consumer.
    ConsumerArn(usize),
}

impl Model {
    /// Takes an opaque value in, or says why it cannot be what it should be.
    pub(crate) fn learn(&mut self, what: Learn, value: &str) -> Result<(), String> {
        match what {
            Learn::Number(stream, record) => {
                digits(value)?;
                let known = self.streams[stream].records.iter().any(|it| it.number == value);
                value.clone_into(&mut self.streams[stream].records[record].number);
                if known {
                    return Err(format!("the sequence number {value} was given out twice"));
                }
                self.check_number(stream, record)
            }
            Learn::First(stream, shard) => {
                digits(value)?;
                self.streams[stream].shards[shard].first = Some(value.to_owned());
                self.check_bounds(stream, shard)
            }
            Learn::Last(stream, shard) => {
                digits(value)?;
                self.streams[stream].shards[shard].last = Some(value.to_owned());
                self.check_bounds(stream, shard)
            }
            Learn::Iterator(position) => {
                length("a shard iterator", value, 512)?;
                self.iterators.push((value.to_owned(), position));
                Ok(())
            }
            Learn::Token(token) => {
                length("a page token", value, 1_048_576)?;
                self.tokens.push((value.to_owned(), token));
                Ok(())
            }
            Learn::ConsumerArn(stream) => self.learn_consumer_arn(stream, value),
        }
    }

    /// A record's number is above all earlier ones of its shard and of its parents, and within its shard's.
    fn check_number(&self, stream: usize, record: usize) -> Result<(), String> {
        let it = &self.streams[stream];
        let (number, shard) = (&it.records[record].number, it.records[record].shard);
        let earlier = &it.records[..record];
        let family = |other: usize| other == shard || it.shards[shard].parents.contains(&other);
        if let Some(above) = earlier.iter().find(|other| family(other.shard) && other.number >= *number) {
            return Err(format!("{number} does not rise above {}", above.number));
        }
        self.check_bounds(stream, shard)
    }

    /// What is known of a shard's numbers rises: the ends of its parents, its start, records, end, children's starts.
    fn check_bounds(&self, stream: usize, shard: usize) -> Result<(), String> {
        let shards = &self.streams[stream].shards;
        let it = &shards[shard];
        let before = it.parents.iter().filter_map(|parent| shards[*parent].last.as_ref()).max();
        let after = it.children.iter().filter_map(|child| shards[*child].first.as_ref()).min();
        let records = self.streams[stream].records.iter().filter(|record| record.shard == shard);
        let numbers = records.map(|record| &record.number).filter(|number| !number.is_empty());
        let known: Vec<&String> =
            before.into_iter().chain(&it.first).chain(numbers).chain(&it.last).chain(after).collect();
        let fault = known.windows(2).find(|pair| pair[0] >= pair[1]);
        fault.map_or(Ok(()), |pair| {
            Err(format!("around {}, {} does not rise above {}", shard_id(shard), pair[1], pair[0]))
        })
    }
}

fn digits(number: &str) -> Result<(), String> {
    let sound = number.len() == 56 && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
    if sound { Ok(()) } else { Err(format!("{number} is no sequence number of 56 digits")) }
}

fn length(what: &str, text: &str, most: usize) -> Result<(), String> {
    if (1..=most).contains(&text.len()) { Ok(()) } else { Err(format!("{what} has {} characters", text.len())) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Answer, Call, Delays};

    fn number(n: u64) -> String {
        format!("4{n:055}")
    }

    /// A model with a shard of two records that was split, and the numbers that it asks for.
    fn split() -> (Model, Vec<Learn>) {
        let mut model = Model::new(Delays::default(), None);
        let split = json!({ "StreamName": "a", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "9" });
        let record = json!({ "PartitionKey": "k", "Data": "" });
        let calls = [
            ("CreateStream", json!({ "StreamName": "a", "ShardCount": 1 })),
            ("PutRecords", json!({ "StreamName": "a", "Records": [record, record] })),
            ("SplitShard", split),
        ];
        for (operation, input) in calls {
            model.answer(&Call { operation, input });
        }
        let listing = Call { operation: "ListShards", input: json!({ "StreamName": "a" }) };
        let Answer::Body(_, shards) = model.answer(&listing) else { panic!("not listed") };
        let records = [Learn::Number(0, 0), Learn::Number(0, 1)];
        (model, records.into_iter().chain(shards).collect())
    }

    /// Numbers for the two records, the parent's start and end, and the starts of its children.
    fn taken_in(numbers: [u64; 6]) -> Result<(), String> {
        let (mut model, learn) = split();
        assert_eq!(learn.len(), numbers.len());
        learn.into_iter().zip(numbers).try_for_each(|(what, n)| model.learn(what, &number(n)))
    }

    #[test]
    fn numbers_must_rise_along_the_lineage() {
        assert_eq!(taken_in([2, 3, 1, 4, 5, 6]), Ok(()));
        for (numbers, text) in [
            ([2, 2, 1, 4, 5, 6], "twice"),
            ([3, 2, 1, 4, 5, 6], "does not rise"),
            ([2, 3, 2, 4, 5, 6], "does not rise"),
            ([2, 3, 1, 3, 5, 6], "does not rise"),
            ([2, 3, 1, 4, 4, 6], "does not rise"),
            ([2, 3, 1, 4, 5, 3], "does not rise"),
        ] {
            let refused = taken_in(numbers).unwrap_err();
            assert!(refused.contains(text), "{numbers:?}: {refused}");
        }
    }

    #[test]
    fn a_number_has_56_digits() {
        for text in [&number(1)[1..], &number(1).replace('1', "x"), &format!("0{}", &number(1)[1..]), ""] {
            assert!(split().0.learn(Learn::Number(0, 0), text).is_err(), "{text}");
        }
    }
}
