//! P6: no request and no record is over its limits, and the sizes that are counted are exact.

use crate::account::{Account, Verdict, Violation};
use crate::seeds::{check_all, sound};
use crate::workload::RECORD_LIMIT;

/// The most entries of a request (API reference, PutRecords).
const MOST_ENTRIES: usize = 500;

pub(crate) fn check(account: &Account) -> Verdict {
    let (collection, aggregation) = (account.setup.collection, account.setup.aggregation);
    for request in &account.wire {
        let (count, size) = (request.entries.len(), request.size_bytes());
        if count == 0 || count > collection.0.min(MOST_ENTRIES) {
            return Err(Violation::of_run(format!("a request of {count} entries")));
        }
        // A larger record goes alone.
        if count > 1 && size > collection.1 {
            return Err(Violation::of_run(format!("a request of {count} entries and {size} bytes")));
        }
        for entry in &request.entries {
            let id = entry.ids[0];
            if entry.size_bytes > RECORD_LIMIT {
                return Err(Violation::of(id, format!("an entry of {} bytes", entry.size_bytes)));
            }
            // The partition key of an aggregate is one byte.
            let is_over = entry.ids.len() > aggregation.0 || entry.size_bytes > aggregation.1 + 1;
            if entry.is_aggregate && is_over {
                return Err(Violation::of(id, format!("{} members, {} bytes", entry.ids.len(), entry.size_bytes)));
            }
        }
    }
    if !account.invalid.is_empty() {
        return Err(Violation::of_run(format!("the service refused what it was sent: {:?}", account.invalid)));
    }
    check_counters(account)
}

fn check_counters(account: &Account) -> Verdict {
    let Some(stats) = account.stats else { return Ok(()) };
    let entries = account.wire.iter().map(|request| request.entries.len() as u64).sum::<u64>();
    let bytes = account.wire.iter().map(|request| request.size_bytes() as u64).sum::<u64>();
    let counted = (stats.put_records_calls, stats.kinesis_record_attempts, stats.kinesis_record_attempt_bytes);
    let found = (account.wire.len() as u64, entries, bytes);
    if counted != found {
        return Err(Violation::of_run(format!("counted {counted:?}, on the wire {found:?}")));
    }
    let is_watched = account.puts.iter().all(|put| put.outcome().is_some() || !put.was_accepted());
    let stored = account.resolved().filter(|(_, _, outcome)| outcome.is_stored());
    let stored_bytes: u64 = stored.map(|(_, put, _)| put.data_bytes as u64).sum();
    if is_watched && stats.user_records_data_put_bytes != stored_bytes {
        return Err(Violation::of_run(format!("{stored_bytes} bytes are stored: {stats:?}")));
    }
    Ok(())
}

#[test]
fn p6_limits_hold_and_sizes_are_exact() {
    check_all("P6", check);
}

#[test]
fn p6_sees_a_request_of_too_many_entries() {
    let mut account = sound(false);
    let entry = account.wire[0].entries[0].clone();
    account.wire[0].entries = vec![entry; 501];
    assert!(check(&account).unwrap_err().what.contains("501 entries"));
}

#[test]
fn p6_sees_an_entry_that_is_too_large() {
    let mut account = sound(false);
    account.wire[0].entries.truncate(1);
    account.wire[0].entries[0].size_bytes = RECORD_LIMIT + 1;
    assert!(check(&account).unwrap_err().what.contains("1048577 bytes"));
}

#[test]
fn p6_sees_a_size_that_is_a_byte_off() {
    let mut account = sound(false);
    account.stats.as_mut().unwrap().kinesis_record_attempt_bytes += 1;
    assert!(check(&account).unwrap_err().what.contains("on the wire"));
}

#[test]
fn p6_sees_a_request_that_the_service_refused() {
    let mut account = sound(false);
    account.invalid.push("InvalidArgumentException".to_owned());
    assert!(check(&account).unwrap_err().what.contains("refused"));
}
