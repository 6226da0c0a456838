//! P9: after a close nothing reaches the wire any more, nor after the producer or its runtime is gone (F22).

use crate::account::{Account, End, Verdict, Violation};
use crate::seeds::{check_all, sound};

pub(crate) fn check(account: &Account) -> Verdict {
    let late = account.wire.iter().find(|request| request.at > account.ended_at);
    if let Some(late) = late {
        let after = late.at - account.ended_at;
        return Err(Violation::of(late.entries[0].ids[0], format!("sent {after:?} after the end")));
    }
    // A close waits for the answers too.
    let open = account.wire.iter().flat_map(|request| (0..request.entries.len()).map(move |entry| (request, entry)));
    let is_open = |(request, entry): &(&crate::wire::Request, usize)| {
        matches!(request.seen(*entry), crate::wire::Seen::Ambiguous(code) if code == "no answer")
            && request.at + account.setup.data_timeout > account.ended_at
    };
    match open.filter(|_| account.setup.end == End::Close).find(is_open) {
        Some((request, entry)) => {
            Err(Violation::of(request.entries[entry].ids[0], "its request was under way when the close returned"))
        }
        None => Ok(()),
    }
}

#[test]
fn p9_after_the_end_nothing_is_sent() {
    check_all("P9", check);
}

#[test]
fn p9_sees_a_request_after_the_end() {
    let mut account = sound(false);
    account.wire[0].at = account.ended_at + crate::workload::millis(1);
    assert!(check(&account).unwrap_err().what.contains("after the end"));
}
