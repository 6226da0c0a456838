//! P5: in ordered mode a reader meets the records of a key in the order of their puts, and a duplicate only as a replay
//! of a run that it has met before.

use std::collections::BTreeMap;

use kinesis_core::Randomness;
use kinesis_producer::{FailureCause, KinesisProducer, Outcome, ProducerConfig, UserRecord};
use kinesis_testkit::{Delivery, FakeKinesis, Fault, FaultRule, Operation, Unanswered};
use tokio::time::{Instant, sleep};

use crate::account::{Account, Copy, Fate, Put, Verdict, Violation};
use crate::run::client;
use crate::seeds::{check_all, sound};
use crate::wire::Wire;
use crate::workload::{STREAMS, millis};

pub(crate) fn check(account: &Account) -> Verdict {
    if !account.setup.ordered {
        return Ok(());
    }
    check_broken(account)?;
    let mut by_key = BTreeMap::<(&str, &str), Vec<&Copy>>::new();
    for copy in account.copies.iter().filter(|copy| copy.is_visible) {
        by_key.entry((&copy.stream, &copy.key)).or_default().push(copy);
    }
    by_key.values().try_for_each(|copies| check_key(account, copies))
}

/// What is known of a key while its copies are read.
#[derive(Default)]
struct Reading {
    /// First copies, in the order of the reader.
    first: Vec<u64>,
    /// The place in it of what the producer's own requests stored last.
    previous: usize,
    /// The same for the latest delivery of another's making, with its call.
    replayed: Option<(u64, usize)>,
}

/// The journal's order is a reader's: a shard is closed before its children take anything.
fn check_key(account: &Account, copies: &[&Copy]) -> Verdict {
    let mut reading = Reading::default();
    for copy in copies {
        let Some(place) = reading.first.iter().position(|id| *id == copy.id) else {
            let overtaken = reading.first.iter().find(|id| **id > copy.id && !is_excused(account, copy.id, **id));
            if let Some(later) = overtaken {
                return Err(Violation::of(copy.id, format!("its first copy comes after that of {later}")));
            }
            reading.first.push(copy.id);
            reading.previous = reading.first.len() - 1;
            reading.replayed = (copy.delivery != Delivery::First).then_some((copy.call, reading.previous));
            continue;
        };
        let is_run = if copy.delivery == Delivery::First {
            let previous = std::mem::replace(&mut reading.previous, place);
            // A replay begins anywhere, goes on with the next, and ends where it likes.
            previous + 1 == reading.first.len() || place <= previous + 1
        } else {
            let before = reading.replayed.replace((copy.call, place));
            before.is_none_or(|(call, before)| call != copy.call || place == before + 1)
        };
        if !is_run {
            return Err(Violation::of(copy.id, format!("a replay leaves out a record: {:?}", reading.first)));
        }
    }
    Ok(())
}

/// Whether the caller took note that `early` may come late before it put `late`.
fn is_excused(account: &Account, early: u64, late: u64) -> bool {
    let put = &account.puts[early as usize];
    let Fate::Resolved(Outcome::Unknown { .. }, at) = &put.fate else { return false };
    is_acknowledged(account, put, *at, late)
}

fn is_acknowledged(account: &Account, put: &Put, resolved_at: Option<Instant>, late: u64) -> bool {
    account.acknowledged.iter().any(|note| {
        let is_of_key = (&note.stream, &note.key) == (&put.stream, &put.key);
        is_of_key && resolved_at.is_none_or(|at| note.at >= at) && note.before as u64 <= late
    })
}

/// After an unknown outcome nothing more of its key is stored, until that is acknowledged.
fn check_broken(account: &Account) -> Verdict {
    for (id, put) in account.puts.iter().enumerate() {
        let Fate::Resolved(Outcome::Unknown { .. }, Some(at)) = &put.fate else { continue };
        for (late, other) in account.puts.iter().enumerate().skip(id + 1) {
            let is_after = (&other.stream, &other.key) == (&put.stream, &put.key) && other.accepted_at > *at;
            let may_come = other.outcome().is_none_or(|outcome| !matches!(outcome, Outcome::Failed { .. }));
            let is_open = is_after && other.was_accepted() && may_come && !matches!(other.fate, Fate::Unwatched);
            if is_open && !is_acknowledged(account, put, Some(*at), late as u64) && !is_abandoned(other) {
                return Err(Violation::of(late as u64, format!("it went on after record {id}, which is unknown")));
            }
        }
    }
    Ok(())
}

fn is_abandoned(put: &Put) -> bool {
    matches!(put.outcome(), Some(Outcome::Unknown { cause: FailureCause::Abandoned, .. }))
}

#[test]
fn p5_the_records_of_a_key_keep_their_order() {
    check_all("P5", check);
}

/// The places of copies of two records of a key, both reported as stored.
fn two_of_a_key(account: &Account) -> (usize, usize) {
    let is_stored = |id: u64| account.puts[id as usize].outcome().is_some_and(Outcome::is_stored);
    let copies = || account.copies.iter().enumerate().filter(|(_, copy)| copy.is_visible && is_stored(copy.id));
    let is_pair = |(one, first): (usize, &Copy), (two, second): (usize, &Copy)| {
        one < two && (&first.stream, &first.key) == (&second.stream, &second.key) && first.id != second.id
    };
    copies()
        .find_map(|one| copies().find(|two| is_pair(one, *two)).map(|two| (one.0, two.0)))
        .expect("keys come back often")
}

#[test]
fn p5_sees_two_records_of_a_key_that_changed_places() {
    let mut account = sound(true);
    let (one, two) = two_of_a_key(&account);
    account.copies.swap(one, two);
    assert!(check(&account).unwrap_err().what.contains("comes after"));
}

#[test]
fn p5_sees_a_replay_that_leaves_a_record_out() {
    let mut account = sound(true);
    let mut by_key = BTreeMap::<_, Vec<Copy>>::new();
    for copy in account.copies.iter().filter(|copy| copy.is_visible) {
        by_key.entry((copy.stream.clone(), copy.key.clone())).or_default().push(copy.clone());
    }
    let mut run = by_key.into_values().find(|copies| copies.len() > 4).unwrap();
    run.iter_mut().for_each(|copy| copy.delivery = Delivery::First);
    let replay = |places: [usize; 2]| [run.clone(), places.map(|place| run[place].clone()).to_vec()].concat();
    account.copies = replay([1, 2]);
    check(&account).unwrap();
    account.copies = replay([0, 2]);
    assert!(check(&account).unwrap_err().what.contains("leaves out"));
}

#[test]
fn p5_sees_a_key_that_goes_on_after_an_unknown_record() {
    let mut account = sound(true);
    let (one, two) = two_of_a_key(&account);
    let (early, late) = (account.copies[one].id as usize, account.copies[two].id as usize);
    let attempts = account.puts[early].outcome().unwrap().attempts().clone();
    let at = account.puts[early].accepted_at;
    account.puts[late].accepted_at = at + millis(1);
    account.acknowledged.clear();
    account.puts[early].fate =
        Fate::Resolved(Outcome::Unknown { cause: FailureCause::OrderBroken, attempts }, Some(at));
    assert!(check(&account).unwrap_err().what.contains("went on"));
}

/// A producer in ordered mode whose records live for a second, on one shard.
async fn short_lived(fake: &FakeKinesis) -> KinesisProducer {
    let config = ProducerConfig::default().ordered(true).record_ttl(millis(1000)).record_max_buffered_time(millis(10));
    let builder = KinesisProducer::builder().client(client(fake, &Wire::default(), millis(800))).config(config);
    builder.randomness(Randomness::from_seed(5)).build().await.unwrap()
}

fn data(fake: &FakeKinesis) -> Vec<String> {
    let text = |record: &kinesis_testkit::JournalRecord| String::from_utf8(record.data().to_vec()).unwrap();
    fake.journal().records.iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn p5_a_request_that_is_applied_after_its_record_was_given_up_breaks_the_key_until_that_is_acknowledged() {
    let fake = FakeKinesis::builder().stream(STREAMS[0], 1).latency(millis(20)).virtual_time().build();
    let late = Fault::ApplyLate { after: millis(10_000), answer: Unanswered::Silence };
    fake.inject(FaultRule::on(Operation::PutRecords).fault(late).times(1));
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::throttle()).nth(2).until(millis(2000)).always());
    let producer = short_lived(&fake).await;
    let put = async |text: &str| producer.put(UserRecord::new(STREAMS[0], "key", text.to_owned())).await.unwrap();

    let first = put("1").await;
    sleep(millis(100)).await;
    // Put while the first is on its way: it waits behind it, and must not overtake it.
    let second = put("2").await;
    assert!(matches!(first.await, Outcome::Unknown { cause: FailureCause::Expired { .. }, .. }));
    assert!(matches!(second.await, Outcome::Failed { cause: FailureCause::OrderBroken, .. }));
    let third = put("3").await.await;
    assert!(matches!(third, Outcome::Failed { cause: FailureCause::OrderBroken, .. }), "{third:?}");

    sleep(millis(2000)).await;
    producer.acknowledge_unknown(&STREAMS[0].parse().unwrap(), "key");
    assert!(put("4").await.await.is_stored());
    assert_eq!(data(&fake), ["4"]);
    sleep(millis(10_000)).await;
    // The late copy of the first is what the caller has acknowledged.
    assert_eq!(data(&fake), ["4", "1"]);
}

#[tokio::test(start_paused = true)]
async fn p5_a_request_that_is_applied_late_while_its_record_is_tried_again_is_a_replay() {
    let fake = FakeKinesis::builder().stream(STREAMS[0], 1).latency(millis(20)).virtual_time().build();
    let late = Fault::ApplyLate { after: millis(10_000), answer: Unanswered::Reset };
    fake.inject(FaultRule::on(Operation::PutRecords).fault(late).times(1));
    let producer = short_lived(&fake).await;
    let put = async |text: &str| producer.put(UserRecord::new(STREAMS[0], "key", text.to_owned())).await.unwrap();
    assert!(put("1").await.await.is_stored());
    assert!(put("2").await.await.is_stored());
    sleep(millis(10_000)).await;
    assert_eq!(data(&fake), ["1", "2", "1"], "the late copy repeats what a reader has met");
}
