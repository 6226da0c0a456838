//! Runs cases against the fake.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use kinesis_testkit::{FakeKinesis, Limits};
use serde_json::{Value, json};

use crate::case::{Case, CaseFile, LimitsSetup, Setup, Step};
use crate::events::Subscriptions;
use crate::expand::Scope;
use crate::matching::{cut, difference, lookup, short};
use crate::target::Target;

/// Runs all cases of a file, and fails with all that failed.
pub(crate) async fn check(operation: &str, text: &str) {
    let file = CaseFile::parse(text);
    assert_eq!(file.operation, operation, "the file is named after its operation");
    let mut failures = Vec::new();
    let mut failed = 0;
    for case in &file.cases {
        let found = run(case, &Target::InProcess(build(&case.fake))).await;
        failed += usize::from(!found.is_empty());
        failures.extend(found.iter().map(|failure| describe(operation, case, failure)));
    }
    let all = file.cases.len();
    assert!(failures.is_empty(), "{failed} of {all} cases of {operation} failed\n\n{}", failures.join("\n"));
}

/// What a service made of a case.
pub(crate) enum Outcome {
    Holds,
    /// With each step that differs, in words.
    Differs(Vec<String>),
}

/// Puts a case to a service that holds nothing.
pub(crate) async fn put_to(target: &Target, operation: &str, case: &Case) -> Outcome {
    let found = run(case, target).await;
    if found.is_empty() {
        return Outcome::Holds;
    }
    Outcome::Differs(found.iter().map(|failure| describe(operation, case, failure)).collect())
}

/// A step that failed, and how.
struct Failure {
    step: usize,
    sent: String,
    received: String,
    difference: String,
}

fn describe(operation: &str, case: &Case, failure: &Failure) -> String {
    let Failure { step, sent, received, difference } = failure;
    let expectation = case.steps.get(*step).and_then(|it| it.error.as_ref().or(it.reply.as_ref()));
    let events = case.steps.get(*step).map(|it| json!(it.events)).filter(|events| *events != json!([]));
    let expected = expectation.or(events.as_ref()).map_or_else(|| "status 200".to_owned(), short);
    format!(
        "cases/{operation}.json: {}\n  step {}: {}\n  expected: {expected}\n  got: {}\n  {difference}\n  source: {}\n",
        case.name,
        step + 1,
        cut(sent),
        cut(received),
        case.source,
    )
}

fn build(setup: &Setup) -> FakeKinesis {
    let mut builder = FakeKinesis::builder().virtual_time();
    if let Some(LimitsSetup::Aws) = setup.limits {
        builder = builder.limits(Limits::aws());
    }
    let duration = |millis: Option<u64>| Duration::from_millis(millis.unwrap_or_default());
    let builder = builder.creating(duration(setup.creating_ms)).updating(duration(setup.updating_ms));
    builder.deleting(duration(setup.deleting_ms)).build()
}

/// Runs the steps until one fails that others may need; a refusal that did not come is none of those.
async fn run(case: &Case, target: &Target) -> Vec<Failure> {
    let (mut progress, mut failures) = (Progress::default(), Vec::new());
    for (number, step) in case.steps.iter().enumerate() {
        if let Err(failure) = take(target, number, step, &mut progress).await {
            failures.push(failure);
            if step.error.is_none() {
                break;
            }
        }
    }
    failures
}

/// What a step leaves for later ones.
#[derive(Default)]
struct Progress {
    saved: BTreeMap<String, Value>,
    subscriptions: Subscriptions,
}

async fn take(target: &Target, number: usize, step: &Step, progress: &mut Progress) -> Result<(), Failure> {
    let Progress { saved, subscriptions } = progress;
    let fail = |sent: &str, received: &str, difference: String| Failure {
        step: number,
        sent: sent.to_owned(),
        received: received.to_owned(),
        difference,
    };
    if let Some(fault) = step.fault() {
        return Err(fail("", "", format!("the case is wrong: {fault}")));
    }
    if let Some(millis) = step.advance_ms {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }
    if let Some(name) = &step.receive {
        let scope = Scope { saved, now: seconds(target.now()) };
        let expected: Vec<Value> = step.events.iter().map(|event| scope.expand(event)).collect();
        let received = subscriptions.receive(name, &expected).await;
        let received = received.map_err(|error| fail(name, "", error))?;
        let differs = difference(&Value::Array(expected), &received, step.exact);
        if let Some(difference) = differs.or_else(|| present(step, &received)) {
            return Err(fail(name, &received.to_string(), difference));
        }
        let found = found(step, &received);
        saved.extend(found.map_err(|path| fail(name, &received.to_string(), format!("nothing at {path}")))?);
        return Ok(());
    }
    let Some(operation) = &step.call else { return Ok(()) };
    if let (Some(name), Some(input), Target::InProcess(fake)) = (&step.subscription, &step.input, target) {
        let input = Scope { saved, now: seconds(target.now()) }.expand(input);
        let begun = subscriptions.begin(fake, name, &input).await;
        return begun.map_err(|error| fail(&format!("{operation} {input}"), "", error));
    }
    for turn in 1..=step.repeat.unwrap_or(1) {
        let scope = Scope { saved, now: seconds(target.now()) };
        let body = body(step, &scope).replace("${i}", &turn.to_string());
        let sent = format!("{operation} {body}");
        let (status, reply) = target.call(operation, &body).await.map_err(|broken| fail(&sent, "", broken))?;
        target.settle().await;
        let received = format!("{status} {reply}");
        let value = parse(&reply).map_err(|error| fail(&sent, &received, error))?;
        if let Some(difference) = judge(step, &scope, status, &value) {
            return Err(fail(&sent, &received, difference));
        }
        let found = found(step, &value).map_err(|path| fail(&sent, &received, format!("nothing at {path}")))?;
        saved.extend(found);
    }
    Ok(())
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn body(step: &Step, scope: &Scope<'_>) -> String {
    let input = step.input.as_ref().map(|input| scope.expand(input).to_string());
    input.or_else(|| step.raw_body.clone()).unwrap_or_default()
}

/// A body as JSON; an empty one is the empty string.
fn parse(body: &str) -> Result<Value, String> {
    if body.is_empty() {
        return Ok(json!(""));
    }
    serde_json::from_str(body).map_err(|error| format!("the reply is no JSON: {error}"))
}

fn judge(step: &Step, scope: &Scope<'_>, status: u16, body: &Value) -> Option<String> {
    let expected_status = step.status.unwrap_or(200);
    if status != expected_status {
        return Some(format!("status {status}, expected {expected_status}"));
    }
    let expected = step.error.as_ref().or(step.reply.as_ref()).map(|expected| scope.expand(expected));
    let differs = expected.and_then(|expected| difference(&expected, body, step.exact));
    differs.or_else(|| present(step, body))
}

/// A member that should not be there.
fn present(step: &Step, body: &Value) -> Option<String> {
    let found = step.absent.iter().find(|path| lookup(body, path).is_some_and(|value| !value.is_null()));
    found.map(|path| format!("{path}: present"))
}

fn found(step: &Step, body: &Value) -> Result<Vec<(String, Value)>, String> {
    let saves = step.save.iter();
    saves.map(|(name, path)| Ok((name.clone(), lookup(body, path).cloned().ok_or_else(|| path.clone())?))).collect()
}
