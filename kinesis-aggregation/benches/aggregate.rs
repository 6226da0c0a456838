//! What packing and unpacking cost beside the MD5 that nobody can avoid.
//!
//! Records of 100 bytes are packed as a producer does it: each key is hashed to find the shard, and what is full is
//! framed with the digest of its body. The floor is the MD5 of the same keys and of the same bodies. Unpacking reads
//! every key and every data of an aggregate; its floor is the MD5 of the body. Both run in turns, on one thread, by CPU
//! time. Fails where one takes more than 1.4 times its floor; a build without optimisation is a quick look.

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use kinesis_aggregation::{AggregateBuilder, FRAME_OVERHEAD_BYTES, MAGIC, PackingLimits, RangeAggregator, decode};
use kinesis_core::{HashKey, HashKeyRange};
use md5::{Digest, Md5};

const DATA_BYTES: usize = 100;
/// The KPL's `AggregationMaxSize`.
const AGGREGATE_BYTES: usize = 51_200;
/// Records in a round, over all shards.
const RECORDS: usize = 20_000;
const SHARDS: u32 = 4;
const ROUNDS: usize = if cfg!(debug_assertions) { 3 } else { 60 };
/// How many times the CPU time of its floor a side may take.
const BUDGET: f64 = 1.4;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("aggregate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    println!("{RECORDS} records of {DATA_BYTES} bytes a round, {ROUNDS} rounds, aggregates of {AGGREGATE_BYTES} bytes");
    let mut is_within = true;
    for (what, keys) in [("a key per record", RECORDS), ("100 keys", 100)] {
        let keys: Vec<_> = (0..RECORDS).map(|index| format!("customer-{:06}", index % keys)).collect();
        let mut bodies = Vec::new();
        pack_by_range(&keys, |body| bodies.push(body))?;
        let floor = || hash_keys(&keys) + hash_bodies(&bodies);
        let encode = ratio(|| Ok(floor()), || Ok(pack(&keys)))?;
        let by_range = ratio(|| Ok(floor()), || pack_by_range(&keys, drop))?;
        let decode = ratio(|| Ok(hash_bodies(&bodies)), || unpack(&bodies))?;
        println!("{what}, {} aggregates:", bodies.len());
        let verdicts = [
            verdict("  encode to MD5 of keys and bodies", &encode),
            verdict("  encode by range to the same", &by_range),
            verdict("  decode to MD5 of bodies", &decode),
        ];
        is_within &= !verdicts.contains(&false);
    }
    Ok(is_within)
}

type Side = Result<usize, Box<dyn Error>>;

/// The CPU time of a side and of its floor.
struct Figures {
    floor: Duration,
    side: Duration,
}

/// Runs both in turns, after a round that is not measured.
fn ratio(mut floor: impl FnMut() -> Side, mut side: impl FnMut() -> Side) -> Result<Figures, Box<dyn Error>> {
    black_box(floor()? + side()?);
    let mut figures = Figures { floor: Duration::ZERO, side: Duration::ZERO };
    for round in 0..ROUNDS {
        // Whoever comes second may find warmer caches: take turns.
        if round % 2 == 0 {
            figures.floor += time(&mut floor)?;
            figures.side += time(&mut side)?;
        } else {
            figures.side += time(&mut side)?;
            figures.floor += time(&mut floor)?;
        }
    }
    Ok(figures)
}

fn time(side: &mut impl FnMut() -> Side) -> Result<Duration, Box<dyn Error>> {
    let before = cpu_time()?;
    black_box(side()?);
    Ok(cpu_time()?.saturating_sub(before))
}

/// The CPU time that this process, which has one thread, has had.
fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    // The kernel brings the figure up to date at its ticks, milliseconds apart, and whenever it may switch tasks.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("/proc/self/schedstat is empty")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// Prints a figure and returns whether it keeps the budget, to which a build without optimisation is not held.
fn verdict(what: &str, figures: &Figures) -> bool {
    let figure = figures.side.as_secs_f64() / figures.floor.as_secs_f64();
    let per_record = |time: Duration| time.as_secs_f64() * 1e9 / (RECORDS * ROUNDS) as f64;
    let is_within = figure <= BUDGET;
    let note = match (is_within, cfg!(debug_assertions)) {
        (true, _) => "within",
        (false, true) => "without optimisation not held to",
        (false, false) => "OVER",
    };
    let (side, floor) = (per_record(figures.side), per_record(figures.floor));
    println!("{what}: {figure:.3} ({side:.0} ns to {floor:.0} ns a record), {note} the budget of {BUDGET}");
    is_within || cfg!(debug_assertions)
}

fn hash_keys(keys: &[String]) -> usize {
    keys.iter().map(|key| HashKey::of_partition_key(black_box(key)).value() as usize & 1).sum()
}

fn hash_bodies(aggregates: &[Bytes]) -> usize {
    let bodies = aggregates.iter().map(|data| &data[MAGIC.len()..data.len() - (FRAME_OVERHEAD_BYTES - MAGIC.len())]);
    bodies.map(|body| usize::from(Md5::digest(black_box(body))[0])).sum()
}

/// Packs as the producer does: a builder per shard, and the hash key is computed to choose it.
fn pack(keys: &[String]) -> usize {
    let data = black_box([b'x'; DATA_BYTES]);
    let mut builders: Vec<_> = (0..SHARDS).map(|_| AggregateBuilder::new()).collect();
    let mut packed_bytes = 0;
    for key in keys {
        let shard = HashKey::of_partition_key(key).value() >> 126;
        let builder = &mut builders[shard as usize];
        if builder.size_with(key, None, data.len()) > AGGREGATE_BYTES {
            packed_bytes += black_box(builder.finish()).len();
        }
        builder.add(key, None, &data);
    }
    packed_bytes + builders.iter_mut().map(|builder| black_box(builder.finish()).len()).sum::<usize>()
}

/// Packs as whoever puts the records himself.
fn pack_by_range(keys: &[String], mut take: impl FnMut(Bytes)) -> Side {
    let data = black_box([b'x'; DATA_BYTES]);
    let limits = PackingLimits::default().max_bytes(AGGREGATE_BYTES);
    let mut aggregator = RangeAggregator::new(HashKeyRange::uniform(SHARDS), limits)?;
    let mut count = 0;
    for key in keys {
        if let Some(record) = aggregator.add(key, None, &data)? {
            count += record.members;
            take(record.data);
        }
    }
    for record in aggregator.flush() {
        count += record.members;
        take(record.data);
    }
    Ok(count)
}

/// Reads all that a consumer hands on: the key and the data of each member, as slices.
fn unpack(aggregates: &[Bytes]) -> Side {
    let mut read_bytes = 0;
    for data in aggregates {
        let aggregate = decode(black_box(data))?.ok_or("not an aggregate")?;
        for member in aggregate.members() {
            read_bytes += black_box(member.partition_key_bytes()).len() + black_box(member.data()).len();
        }
    }
    Ok(read_bytes)
}
