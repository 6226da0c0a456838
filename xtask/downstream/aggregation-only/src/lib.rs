//! A Lambda function's needs: unpack what it is handed, without a client of the service.

use bytes::Bytes;
use kinesis_aggregation::{DecodeError, decode};

/// The user records in a Kinesis record; the record itself where it is no aggregate.
///
/// # Errors
/// [`DecodeError`] where it is a broken aggregate.
pub fn user_records(data: &Bytes) -> Result<Vec<Bytes>, DecodeError> {
    let aggregate = decode(data)?;
    Ok(aggregate
        .map_or_else(|| vec![data.clone()], |aggregate| aggregate.members().map(|member| member.data()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_aggregation::AggregateBuilder;

    #[test]
    fn aggregates_are_unpacked_and_other_records_handed_on() {
        let mut builder = AggregateBuilder::new();
        builder.add("key", None, b"one");
        builder.add("key", None, b"two");
        assert_eq!(user_records(&builder.finish()).unwrap(), ["one", "two"]);
        assert_eq!(user_records(&Bytes::from_static(b"plain")).unwrap(), ["plain"]);
    }
}
