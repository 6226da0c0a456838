//! What an answer of the service means for the records that it is about.

use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::PutRecordsResultEntry;
use kinesis_core::{RequestError, RequestErrorKind, SequenceNumber, ShardId};

use crate::outcome::AttemptResult;

/// What becomes of the entries of a request that failed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestVerdict {
    /// The entries are sent again after a pause.
    Retry,
    /// One entry may be what the service refuses: each half is sent alone.
    Halve,
    /// The entries are given up.
    GiveUp,
}

impl RequestVerdict {
    pub(crate) fn of(error: &RequestError, entries: usize) -> Self {
        if error.is_retryable() {
            Self::Retry
        } else if error.kind() == RequestErrorKind::InvalidArgument && entries > 1 {
            Self::Halve
        } else {
            Self::GiveUp
        }
    }
}

/// What a failed request was for each of its entries.
pub(crate) fn attempt_of_error(error: &RequestError) -> AttemptResult {
    let code = error.code().map_or_else(|| format!("{:?}", error.kind()), str::to_owned).into();
    let message = error.message().into();
    if error.may_have_been_applied() {
        AttemptResult::Ambiguous { code, message }
    } else {
        AttemptResult::Refused { code, message }
    }
}

/// What becomes of one entry of a request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryVerdict {
    /// The entry is stored, there.
    Landed(ShardId, SequenceNumber),
    /// The shard takes no more for now.
    Throttled(AttemptResult),
    /// The entry may be stored; it is sent again.
    Ambiguous(AttemptResult),
    /// The entry will never be taken.
    GiveUp(AttemptResult),
}

impl EntryVerdict {
    /// Judges an entry; a code that is not known counts as ambiguous, as `InternalFailure` does.
    pub(crate) fn of(entry: &PutRecordsResultEntry) -> Self {
        let Some(code) = entry.error_code() else {
            return Self::of_success(entry);
        };
        let message = entry.error_message().unwrap_or_default().into();
        let refused = |message| AttemptResult::Refused { code: code.into(), message };
        match RequestErrorKind::of_code(code) {
            RequestErrorKind::Throttled | RequestErrorKind::LimitExceeded => Self::Throttled(refused(message)),
            RequestErrorKind::AccessDenied
            | RequestErrorKind::InvalidArgument
            | RequestErrorKind::NotFound
            | RequestErrorKind::Kms => Self::GiveUp(refused(message)),
            _ => Self::Ambiguous(AttemptResult::Ambiguous { code: code.into(), message }),
        }
    }

    fn of_success(entry: &PutRecordsResultEntry) -> Self {
        let place = entry.shard_id().zip(entry.sequence_number());
        match place.map(|(shard, number)| (shard.parse(), number.parse())) {
            Some((Ok(shard), Ok(number))) => Self::Landed(shard, number),
            _ => Self::Ambiguous(unreadable("an entry of the answer names no shard and sequence number")),
        }
    }
}

/// The verdicts on a request's entries, in their order; an answer of another length says nothing about any.
pub(crate) fn judge_entries(output: &PutRecordsOutput, entries: usize) -> Result<Vec<EntryVerdict>, AttemptResult> {
    let results = output.records();
    if results.len() != entries {
        return Err(unreadable(&format!("{} results for {entries} entries", results.len())));
    }
    Ok(results.iter().map(EntryVerdict::of).collect())
}

fn unreadable(what: &str) -> AttemptResult {
    AttemptResult::Ambiguous { code: "InvalidResponse".into(), message: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(code: &str) -> PutRecordsResultEntry {
        PutRecordsResultEntry::builder().error_code(code).error_message("no").build()
    }

    fn stored() -> PutRecordsResultEntry {
        PutRecordsResultEntry::builder().shard_id("shardId-000000000001").sequence_number("42").build()
    }

    fn error(kind: RequestErrorKind) -> RequestError {
        RequestError::new("PutRecords", "orders", kind, None, "no")
    }

    #[test]
    fn requests_are_retried_halved_or_given_up() {
        use RequestErrorKind as Kind;
        for (kind, verdict, ambiguous) in [
            (Kind::Throttled, RequestVerdict::Retry, false),
            (Kind::LimitExceeded, RequestVerdict::Retry, false),
            (Kind::Internal, RequestVerdict::Retry, true),
            (Kind::Timeout, RequestVerdict::Retry, true),
            (Kind::ConnectionLost, RequestVerdict::Retry, true),
            (Kind::InvalidResponse, RequestVerdict::Retry, true),
            (Kind::Unreachable, RequestVerdict::Retry, false),
            (Kind::NotReceived, RequestVerdict::Retry, false),
            (Kind::CredentialsUnavailable, RequestVerdict::Retry, false),
            (Kind::ExpiredCredentials, RequestVerdict::Retry, false),
            (Kind::ClockSkew, RequestVerdict::Retry, false),
            (Kind::InvalidArgument, RequestVerdict::Halve, false),
            (Kind::AccessDenied, RequestVerdict::GiveUp, false),
            (Kind::NotFound, RequestVerdict::GiveUp, false),
            (Kind::Kms, RequestVerdict::GiveUp, false),
            (Kind::NotSent, RequestVerdict::GiveUp, false),
        ] {
            assert_eq!(RequestVerdict::of(&error(kind), 2), verdict, "{kind:?}");
            assert_eq!(attempt_of_error(&error(kind)).may_be_stored(), ambiguous, "{kind:?}");
        }
        let single = RequestVerdict::of(&error(Kind::InvalidArgument), 1);
        assert_eq!(single, RequestVerdict::GiveUp, "what is refused alone is refused");
    }

    #[test]
    fn entries_are_judged_one_by_one() {
        let number = 42u128.into();
        assert_eq!(EntryVerdict::of(&stored()), EntryVerdict::Landed(ShardId::from_index(1), number));
        for code in ["ProvisionedThroughputExceededException", "KMSThrottlingException"] {
            assert!(matches!(EntryVerdict::of(&entry(code)), EntryVerdict::Throttled(_)), "{code}");
        }
        for code in ["InternalFailure", "ServiceUnavailable", "xx"] {
            assert!(matches!(EntryVerdict::of(&entry(code)), EntryVerdict::Ambiguous(_)), "{code}");
        }
        for code in [
            "AccessDeniedException",
            "InvalidArgumentException",
            "ValidationException",
            "ResourceNotFoundException",
            "KMSDisabledException",
            "KMSInvalidStateException",
            "KMSAccessDeniedException",
            "KMSNotFoundException",
            "KMSOptInRequired",
        ] {
            assert!(matches!(EntryVerdict::of(&entry(code)), EntryVerdict::GiveUp(_)), "{code}");
        }
        let nowhere = PutRecordsResultEntry::builder().sequence_number("42").build();
        assert!(matches!(EntryVerdict::of(&nowhere), EntryVerdict::Ambiguous(_)));
    }

    #[test]
    fn an_answer_of_another_length_leaves_every_entry_ambiguous() {
        let output = PutRecordsOutput::builder().records(stored()).build().unwrap();
        assert_eq!(judge_entries(&output, 1).unwrap().len(), 1);
        assert!(judge_entries(&output, 2).unwrap_err().may_be_stored());
    }
}
