//! Requests that carry records, read without a tree between.
//!
//! What is not as clients write it is left to the tree, whose constraints word the refusal.

use super::decode::{Decoder, Kind, Unreadable};
use crate::protocol::request::{Data, Entries, Entry, PutRecord, PutRecords, Text};

/// Reads the request of PutRecords, if it is as clients write it.
pub(in crate::protocol) fn put_records(body: &[u8]) -> Option<PutRecords<'_>> {
    let mut decoder = Decoder::new(body);
    let mut request = PutRecords::default();
    let read = decoder.map(|decoder, name| {
        match &*name {
            "Records" => request.records = present(decoder, entries)?,
            "StreamName" => request.stream_name = present(decoder, owned)?,
            "StreamARN" => request.stream_arn = present(decoder, owned)?,
            "StreamId" => request.stream_id = present(decoder, owned)?,
            "DryRun" => request.dry_run = present(decoder, Decoder::boolean)?,
            _ => decoder.skip()?,
        }
        Ok::<_, Unreadable>(())
    });
    read.and_then(|()| decoder.end()).ok().map(|()| request)
}

/// Reads the request of PutRecord, if it is as clients write it.
pub(in crate::protocol) fn put_record(body: &[u8]) -> Option<PutRecord<'_>> {
    let mut decoder = Decoder::new(body);
    let mut request = PutRecord::default();
    let read = decoder.map(|decoder, name| {
        match &*name {
            "Data" => request.data = present(decoder, data)?,
            "PartitionKey" => request.partition_key = present(decoder, text)?,
            "ExplicitHashKey" => request.explicit_hash_key = present(decoder, text)?,
            "SequenceNumberForOrdering" => request.sequence_number_for_ordering = present(decoder, owned)?,
            "StreamName" => request.stream_name = present(decoder, owned)?,
            "StreamARN" => request.stream_arn = present(decoder, owned)?,
            "StreamId" => request.stream_id = present(decoder, owned)?,
            "DryRun" => request.dry_run = present(decoder, Decoder::boolean)?,
            _ => decoder.skip()?,
        }
        Ok::<_, Unreadable>(())
    });
    read.and_then(|()| decoder.end()).ok().map(|()| request)
}

/// A member that may be null.
fn present<'a, T>(
    decoder: &mut Decoder<'a>,
    read: impl FnOnce(&mut Decoder<'a>) -> Result<T, Unreadable>,
) -> Result<Option<T>, Unreadable> {
    if decoder.kind()? == Kind::Null {
        return decoder.null().map(|()| None);
    }
    read(decoder).map(Some)
}

fn text<'a>(decoder: &mut Decoder<'a>) -> Result<Text<'a>, Unreadable> {
    decoder.text().map(Text)
}

fn owned(decoder: &mut Decoder<'_>) -> Result<String, Unreadable> {
    decoder.text().map(String::from)
}

fn data<'a>(decoder: &mut Decoder<'a>) -> Result<Data<'a>, Unreadable> {
    decoder.bytes().map(Data::Bytes)
}

/// No more entries are read than a request may have, whatever it claims.
fn entries<'a>(decoder: &mut Decoder<'a>) -> Result<Entries<'a>, Unreadable> {
    let mut entries = Entries::default();
    decoder.list(|decoder| if entries.add(entry(decoder)?) { Ok(()) } else { Err(Unreadable) })?;
    Ok(entries)
}

fn entry<'a>(decoder: &mut Decoder<'a>) -> Result<Entry<'a>, Unreadable> {
    let mut entry = Entry::default();
    decoder.map(|decoder, name| {
        match &*name {
            "Data" => entry.data = present(decoder, data)?,
            "PartitionKey" => entry.partition_key = present(decoder, text)?,
            "ExplicitHashKey" => entry.explicit_hash_key = present(decoder, text)?,
            _ => decoder.skip()?,
        }
        Ok::<_, Unreadable>(())
    })?;
    Ok(entry)
}
