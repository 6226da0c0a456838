//! What is sent, and what must hold.

use std::path::Path;

use kinesis_core::Randomness;

use crate::cbor;
use crate::corpus::{Sample, regressions, samples};
use crate::mutate;
use crate::service::{Format, Service};

const RUNS: u64 = 4000;
/// Less than either format refuses, and those differ (128 levels in JSON, 256 in CBOR).
const DEEPEST: usize = 120;

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Keeps what broke, and fails.
fn fail(target: &str, seed: u64, run: u64, operation: &str, format: Format, body: &[u8], problem: &str) -> ! {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{operation}.{target}-{seed}-{run}.{}", format.name()));
    std::fs::write(&path, body).unwrap();
    panic!("{target}: seed {seed}, run {run}, {operation}: {problem}; the body is in {}", path.display());
}

/// A stream as it was must still take records.
async fn check(service: &Service) {
    let put =
        service.fake.call("PutRecord", r#"{"StreamName":"after","PartitionKey":"k","Data":"eA=="}"#).await.unwrap();
    assert_eq!(put.status, 200, "{}", put.body);
}

async fn ready() -> Service {
    let service = Service::start().await;
    service.fake.call("CreateStream", r#"{"StreamName":"after","ShardCount":1}"#).await.unwrap();
    service
}

/// Spoiled bytes, in either format.
async fn spoiled_bytes(format: Format) {
    let (seed, runs) = (setting("FUZZ_SEED", 1), setting("FUZZ_RUNS", RUNS));
    let mut random = Randomness::from_seed(seed).stream(format.name());
    let written = |sample: &Sample| match format {
        Format::Json => Some(sample.body.to_string().into_bytes()),
        Format::Cbor => cbor::written(&sample.body),
    };
    let corpus: Vec<(String, Vec<u8>)> =
        samples().iter().filter_map(|sample| Some((sample.operation.clone(), written(sample)?))).collect();
    let mut service = ready().await;
    for (operation, body) in regressions(format.name()) {
        let sent = service.send(&operation, format, body.clone()).await;
        sent.unwrap_or_else(|problem| fail("regression", 0, 0, &operation, format, &body, &problem));
    }
    let mut refused = 0;
    for run in 0..runs {
        let (operation, body) = &corpus[random.below(corpus.len() as u64) as usize];
        let (mut body, other) = (body.clone(), &corpus[random.below(corpus.len() as u64) as usize].1);
        mutate::bytes(&mut random, &mut body, other);
        match service.send(operation, format, body.clone()).await {
            Ok((status, _)) => refused += u64::from(status != 200),
            Err(problem) => fail("bytes", seed, run, operation, format, &body, &problem),
        }
    }
    assert!(refused > runs / 2 && refused < runs, "{refused} of {runs} were refused: this says nothing");
    check(&service).await;
}

#[tokio::test]
async fn spoiled_json_is_answered() {
    spoiled_bytes(Format::Json).await;
}

#[tokio::test]
async fn spoiled_cbor_is_answered() {
    spoiled_bytes(Format::Cbor).await;
}

/// The same tree in both formats, put to two servers with the same past, has the same answer.
#[tokio::test]
async fn a_spoiled_tree_means_the_same_in_both_formats() {
    let (seed, runs) = (setting("FUZZ_SEED", 1), setting("FUZZ_RUNS", RUNS));
    let mut random = Randomness::from_seed(seed).stream("trees");
    let samples = samples();
    let (mut one, mut other) = (ready().await, ready().await);
    let mut compared = 0;
    for run in 0..runs {
        let Sample { operation, body } = &samples[random.below(samples.len() as u64) as usize];
        let mut tree = body.clone();
        mutate::tree(&mut random, &mut tree);
        if mutate::depth(&tree) > DEEPEST {
            continue;
        }
        let json = tree.to_string().into_bytes();
        let Some(cbor) = cbor::written(&tree) else { continue };
        let by_json = one.send(operation, Format::Json, json.clone()).await;
        let by_cbor = other.send(operation, Format::Cbor, cbor).await;
        let (by_json, by_cbor) = match (by_json, by_cbor) {
            (Ok(by_json), Ok(by_cbor)) => (by_json, by_cbor),
            (by_json, by_cbor) => {
                let problem = format!("JSON {by_json:?}, CBOR {by_cbor:?}");
                fail("trees", seed, run, operation, Format::Json, &json, &problem)
            }
        };
        compared += 1;
        if by_json != by_cbor {
            let problem = format!("JSON {by_json:?}, CBOR {by_cbor:?}");
            fail("trees", seed, run, operation, Format::Json, &json, &problem);
        }
    }
    assert!(compared > runs / 2, "{compared} of {runs} trees can be written as CBOR");
    check(&one).await;
    check(&other).await;
}
