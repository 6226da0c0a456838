//! What a seed puts, and through what kind of producer.

use std::time::Duration;

use kinesis_core::{HashKey, RandomStream, Randomness};
use kinesis_producer::{ProducerConfig, UserRecord};

use crate::account::End;

pub(crate) const STREAMS: [&str; 2] = ["orders", "payments"];
/// The keys of each stream, so that most of them come back often.
const KEYS: u64 = 12;
/// The stream's limit of a record, data and partition key together.
pub(crate) const RECORD_LIMIT: usize = 1024 * 1024;
/// Where a record's id stands in its data; a shorter one has it in its key.
const ID_BYTES: usize = 8;

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a run is like.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) config: ProducerConfig,
    pub(crate) ordered: bool,
    pub(crate) ttl: Duration,
    pub(crate) queue_limit: (usize, usize),
    pub(crate) collection: (usize, usize),
    pub(crate) aggregation: (usize, usize),
    pub(crate) data_timeout: Duration,
    pub(crate) shards: [u32; 2],
    pub(crate) latency: Duration,
    /// How long a reshard takes.
    pub(crate) updating: Duration,
    /// Whether shards are limited as those of AWS are.
    pub(crate) limited: bool,
    /// Whether the credentials come from a provider that has its troubles (F13).
    pub(crate) provided: bool,
    pub(crate) steps: usize,
    /// Of steady load after that, with a reshard in each.
    pub(crate) minutes: usize,
    pub(crate) end: End,
}

impl Setup {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Randomness::from_seed(seed).stream("setup");
        let mut one_in = |n: u64| random.below(n) == 0;
        let (ordered, small_queue, small_requests, small_aggregates) = (one_in(3), one_in(3), one_in(4), one_in(4));
        let (limited, provided, plain, fails) = (one_in(4), one_in(3), one_in(4), one_in(8));
        let end = match random.below(6) {
            0 => End::DropProducer,
            1 => End::DropRuntime,
            _ => End::Close,
        };
        let queue_limit = if small_queue {
            (5 + random.below(40) as usize, 2000 + random.below(60_000) as usize)
        } else {
            (100_000, 64 << 20)
        };
        let collection = if small_requests {
            (1 + random.below(20) as usize, 52_224 + random.below(50_000) as usize)
        } else {
            (500, 5 << 20)
        };
        let aggregation = if small_aggregates {
            (1 + random.below(12) as usize, 64 + random.below(3000) as usize)
        } else {
            (u32::MAX as usize, 51_200)
        };
        let ttl = millis(500 + random.below(25_000));
        let buffered = millis(random.below(250));
        let config = ProducerConfig::default()
            .aggregation(!plain)
            .aggregation_max_count(aggregation.0)
            .aggregation_max_size_bytes(aggregation.1)
            .collection_max_count(collection.0)
            .collection_max_size_bytes(collection.1)
            .record_max_buffered_time(buffered)
            .record_ttl(ttl)
            .max_requests_in_flight(1 + random.below(10) as usize)
            .queue_limit_records(queue_limit.0)
            .queue_limit_bytes(queue_limit.1)
            .fail_on_error(fails)
            .ordered(ordered);
        Self {
            seed,
            config,
            ordered,
            ttl,
            queue_limit,
            collection,
            aggregation: if plain { (1, aggregation.1) } else { aggregation },
            data_timeout: millis(500 + random.below(6000)),
            shards: [1 + random.below(4) as u32, 1 + random.below(4) as u32],
            latency: millis(random.below(60)),
            updating: if random.below(2) == 0 { Duration::ZERO } else { millis(random.below(2000)) },
            limited,
            provided,
            steps: 40 + random.below(60) as usize,
            minutes: 0,
            end,
        }
    }
}

/// A record as it will be put.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) stream: &'static str,
    pub(crate) key: String,
    pub(crate) hash_key: HashKey,
    pub(crate) record: UserRecord,
    pub(crate) data_bytes: usize,
}

/// Draws the record with that id.
pub(crate) fn draw(random: &mut RandomStream, setup: &Setup, id: u64) -> Drawn {
    let stream = STREAMS[usize::from(random.below(4) == 0)];
    let data_bytes = size(random);
    let number = random.below(KEYS);
    let key = match (data_bytes < ID_BYTES, number) {
        (true, _) => format!("tiny-{id}"),
        (_, 0) => "é".repeat(256),
        (_, number) => format!("key-{number}"),
    };
    // In ordered mode all records of a key have the same, or none.
    let explicit = if setup.ordered {
        (data_bytes >= ID_BYTES && number.is_multiple_of(4)).then(|| HashKey::new(u128::from(number) << 124))
    } else {
        (random.below(5) == 0).then(|| match random.below(8) {
            0 => HashKey::new(0),
            1 => HashKey::new(u128::MAX),
            _ => HashKey::new(u128::from(random.next_u64()) << 64 | u128::from(random.next_u64())),
        })
    };
    // Data and key together stay within the stream's limit, to the byte.
    let data_bytes = data_bytes.min(RECORD_LIMIT - key.len());
    let mut record = UserRecord::new(stream, key.as_str(), data_of(id, data_bytes));
    if let Some(explicit) = explicit {
        record = record.explicit_hash_key(explicit);
    }
    let hash_key = explicit.unwrap_or_else(|| HashKey::of_partition_key(&key));
    Drawn { stream, key, hash_key, record, data_bytes }
}

fn size(random: &mut RandomStream) -> usize {
    match random.below(1000) {
        0..60 => random.below(ID_BYTES as u64) as usize,
        60..850 => ID_BYTES + random.below(300) as usize,
        850..970 => ID_BYTES + random.below(12_000) as usize,
        // About the size of an aggregate, on both sides.
        970..998 => 50_000 + random.below(4000) as usize,
        998 => 200_000 + random.below(300_000) as usize,
        _ => RECORD_LIMIT,
    }
}

fn data_of(id: u64, size: usize) -> Vec<u8> {
    let mut data = vec![b'x'; size];
    if let Some(place) = data.get_mut(..ID_BYTES) {
        place.copy_from_slice(&id.to_be_bytes());
    }
    data
}

/// The id of the record that has that key and that data.
pub(crate) fn id_of(key: &str, data: &[u8]) -> u64 {
    match data.first_chunk::<ID_BYTES>() {
        Some(id) => u64::from_be_bytes(*id),
        None => key.strip_prefix("tiny-").and_then(|id| id.parse().ok()).unwrap_or(u64::MAX),
    }
}
