//! One sequence: the fake and the model side by side.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use kinesis_core::from_unix_millis;
use kinesis_testkit::{FakeKinesis, RawReply};
use serde_json::json;

use crate::compare::compare;
use crate::generate::{Generator, Step};
use crate::model::{Answer, Call, Delays, EPOCH, Model, Mutant};

const STEPS: usize = 50;
/// How many operations before a difference are shown.
const SHOWN: usize = 5;
const LONGEST_LINE: usize = 2_000;

type Coverage = BTreeMap<&'static str, u64>;

/// Runs the sequence of a seed; a difference is returned as text.
pub(crate) async fn run(seed: u64, mutant: Option<Mutant>) -> Result<Coverage, String> {
    let mut generator = Generator::new(seed);
    let delays = generator.delays();
    let fake = fake(delays);
    let mut model = Model::new(delays, mutant);
    let mut steps: Vec<Step> = Vec::new();
    for number in 0..STEPS {
        let step = generator.next(&model);
        steps.push(step.clone());
        let done = match step {
            Step::Advance(millis) => {
                tokio::time::advance(Duration::from_millis(millis)).await;
                model.advance(millis);
                Ok(())
            }
            Step::Call(call) => both(&fake, &mut model, &call).await,
        };
        let done = match done {
            Ok(()) => take_over(&fake, &mut model).await,
            refused => refused,
        };
        done.map_err(|difference| report(seed, number, &steps, &difference, delays))?;
    }
    Ok(model.coverage)
}

fn fake(delays: Delays) -> FakeKinesis {
    FakeKinesis::builder()
        .virtual_time_from(from_unix_millis(EPOCH))
        .journal(false)
        .creating(Duration::from_millis(delays.creating))
        .updating(Duration::from_millis(delays.updating))
        .deleting(Duration::from_millis(delays.deleting))
        .build()
}

async fn ask(fake: &FakeKinesis, call: &Call) -> Result<RawReply, String> {
    fake.call(call.operation, &call.input.to_string()).await.map_err(|error| error.to_string())
}

async fn both(fake: &FakeKinesis, model: &mut Model, call: &Call) -> Result<(), String> {
    let reply = ask(fake, call).await?;
    check(model, call, &reply)
}

fn check(model: &mut Model, call: &Call, reply: &RawReply) -> Result<(), String> {
    let answer = model.answer(call);
    let compared = compare(&answer, reply)
        .and_then(|found| found.into_iter().try_for_each(|(what, value)| model.learn(what, &value)));
    compared.map_err(|why| {
        let expected = match &answer {
            Answer::Body(body, _) => body.to_string(),
            other => format!("{other:?}"),
        };
        format!("{why}\nexpected: {}\ngot:      {} {}", clipped(&expected), reply.status, clipped(&reply.body))
    })
}

/// What UpdateShardCount has made of the shards is read from a listing before anything else happens.
async fn take_over(fake: &FakeKinesis, model: &mut Model) -> Result<(), String> {
    for stream in 0..model.streams.len() {
        let it = &model.streams[stream];
        if it.rescaled.is_none() || !it.takes_data() {
            continue;
        }
        let call = Call { operation: "ListShards", input: json!({ "StreamName": it.name }) };
        let reply = ask(fake, &call).await?;
        let listing = serde_json::from_str(&reply.body).map_err(|error| error.to_string())?;
        model.take_over(stream, &listing).map_err(|why| format!("{why}\ngot: {}", clipped(&reply.body)))?;
        check(model, &call, &reply)?;
    }
    Ok(())
}

fn report(seed: u64, number: usize, steps: &[Step], difference: &str, delays: Delays) -> String {
    let mut text = format!("seed {seed}, step {number}, {delays:?}: fake and model differ\n");
    let first = steps.len().saturating_sub(SHOWN + 1);
    for (index, step) in steps.iter().enumerate().skip(first) {
        let line = match step {
            Step::Advance(millis) => format!("{millis} ms pass"),
            Step::Call(call) => format!("{} {}", call.operation, call.input),
        };
        let _ = writeln!(text, "{index:>3}: {}", clipped(&line));
    }
    let _ = writeln!(text, "{difference}");
    let _ = write!(text, "repeat it with: NAIVE_SEED={seed} cargo test -p kinesis-testkit --test naive");
    text
}

fn clipped(text: &str) -> String {
    text.chars().take(LONGEST_LINE).collect()
}
