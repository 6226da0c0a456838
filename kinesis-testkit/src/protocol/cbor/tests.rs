//! The same request in either format is the same request, and so is its reply.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::engine::Place;
use crate::operation::{Operation, TARGET_PREFIX};
use crate::protocol::format::Format;
use crate::protocol::input;
use crate::protocol::model::{Model, Shape, ShapeType};
use crate::protocol::{Call, errors};

/// How lengths are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Lengths {
    Definite,
    /// As the SDKs for Java write maps and lists; strings in pieces besides.
    Indefinite,
}

/// Writes JSON as CBOR, as the model has it; `None` where JSON has what CBOR has not, such as base64 that is none.
fn cbor(model: &Model, shape: Option<&Shape>, value: &Value, lengths: Lengths) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put(&mut out, model, shape, value, lengths)?;
    Some(out)
}

fn put(out: &mut Vec<u8>, model: &Model, shape: Option<&Shape>, value: &Value, lengths: Lengths) -> Option<()> {
    let kind = shape.map(|shape| shape.r#type);
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(0xf4 + u8::from(*flag)),
        Value::Number(number) if kind == Some(ShapeType::Timestamp) => {
            out.push(0xc1);
            put_integer(out, (number.as_f64()? * 1000.0).round() as i64);
        }
        Value::Number(number) => match number.as_i64() {
            Some(number) => put_integer(out, number),
            None => {
                out.push(0xfb);
                out.extend(number.as_f64()?.to_be_bytes());
            }
        },
        Value::String(text) if kind == Some(ShapeType::Blob) => {
            put_string(out, 0x40, &STANDARD.decode(text).ok()?, lengths)
        }
        Value::String(text) => put_string(out, 0x60, text.as_bytes(), lengths),
        Value::Array(items) => {
            begin(out, 0x80, items.len(), lengths);
            let of_item = shape.and_then(|shape| model.of_list(shape)).map(|(_, of_item)| of_item);
            items.iter().try_for_each(|item| put(out, model, of_item, item, lengths))?;
            end(out, lengths);
        }
        Value::Object(entries) => {
            begin(out, 0xa0, entries.len(), lengths);
            let of_value = shape.and_then(|shape| model.of_map(shape)).map(|(_, of_value)| of_value);
            for (key, value) in entries {
                put_string(out, 0x60, key.as_bytes(), lengths);
                let member = shape.and_then(|shape| shape.members.iter().find(|member| member.name == *key));
                let of_value = of_value.or_else(|| member.map(|member| model.of_member(member)));
                put(out, model, of_value, value, lengths)?;
            }
            end(out, lengths);
        }
    }
    Some(())
}

fn put_head(out: &mut Vec<u8>, major: u8, number: u64) {
    let bytes = number.to_be_bytes();
    match number {
        0..=23 => out.push(major | bytes[7]),
        24..=0xff => out.extend([major | 24, bytes[7]]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | 26);
            out.extend(&bytes[4..]);
        }
        _ => {
            out.push(major | 27);
            out.extend(bytes);
        }
    }
}

fn put_integer(out: &mut Vec<u8>, number: i64) {
    let (major, magnitude) = if number < 0 { (0x20, !number) } else { (0, number) };
    put_head(out, major, magnitude as u64);
}

fn put_string(out: &mut Vec<u8>, major: u8, bytes: &[u8], lengths: Lengths) {
    if lengths == Lengths::Definite {
        put_head(out, major, bytes.len() as u64);
        out.extend(bytes);
        return;
    }
    out.push(major | 0x1f);
    for piece in bytes.chunks(7) {
        put_head(out, major, piece.len() as u64);
        out.extend(piece);
    }
    out.push(0xff);
}

fn begin(out: &mut Vec<u8>, major: u8, length: usize, lengths: Lengths) {
    match lengths {
        Lengths::Definite => put_head(out, major, length as u64),
        Lengths::Indefinite => out.push(major | 0x1f),
    }
}

fn end(out: &mut Vec<u8>, lengths: Lengths) {
    if lengths == Lengths::Indefinite {
        out.push(0xff);
    }
}

fn home() -> Place {
    Place::new("123456789012", "us-east-1")
}

/// The request that a body stands for, or its refusal.
fn parsed(operation: Operation, format: Format, body: &[u8]) -> String {
    let call = Call::parse(&format!("{TARGET_PREFIX}{operation}"), format, body, Ok(home()), &home());
    format!("{:?}", call.request)
}

fn same_in_both(operation: Operation, input: &Value) -> bool {
    let model = Model::get();
    let json = parsed(operation, Format::Json, input.to_string().as_bytes());
    for lengths in [Lengths::Definite, Lengths::Indefinite] {
        let Some(body) = cbor(model, Some(model.input(operation)), input, lengths) else { return false };
        let read = parsed(operation, Format::Cbor, &body);
        // A text that should be a blob is base64 in JSON alone.
        if json != read && !read.contains("java.lang.String can not be converted to a Blob") {
            assert_eq!(json, read, "{operation} {lengths:?}: {input}");
        }
    }
    true
}

/// Every request of the conformance cases, good and bad.
#[test]
fn what_json_is_taken_for_cbor_is_taken_for() {
    let mut compared = 0;
    for operation in Operation::ALL.iter().copied() {
        let path = format!("{}/tests/conformance/cases/{operation}.json", env!("CARGO_MANIFEST_DIR"));
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let steps = file["cases"].as_array().unwrap().iter().flat_map(|case| case["steps"].as_array().unwrap());
        for step in steps {
            let called = step["call"].as_str().and_then(|name| Operation::of_target(&format!("{TARGET_PREFIX}{name}")));
            let input = &step["input"];
            if input.is_object() && same_in_both(called.unwrap_or(operation), input) {
                compared += 1;
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn members_of_every_type_are_the_same_in_both() {
    let long = "x".repeat(300);
    let inputs = [
        (
            Operation::PutRecords,
            json!({"StreamName": "s", "Records": [{"Data": "eHl6", "PartitionKey": "k"}, {"Data": "", "PartitionKey": "ä", "ExplicitHashKey": "7"}]}),
        ),
        (
            Operation::PutRecords,
            json!({"StreamName": "s", "DryRun": true, "Other": [1, {"a": 2.5}], "Records": [{"Data": "eHl6", "PartitionKey": null}]}),
        ),
        (
            Operation::PutRecords,
            json!({"StreamName": "s", "Records": [{"Data": "eA==", "PartitionKey": long}, {}, {"Data": null}]}),
        ),
        (
            Operation::PutRecords,
            json!({"StreamName": "s", "Records": vec![json!({"Data": "eA==", "PartitionKey": "k"}); 501]}),
        ),
        (Operation::PutRecords, json!({"StreamName": "s", "Records": "x"})),
        (Operation::PutRecords, json!({"StreamName": "s", "Records": ["x", 3, null, []]})),
        (
            Operation::PutRecord,
            json!({"StreamName": "s", "Data": "eHl6", "PartitionKey": "k", "SequenceNumberForOrdering": "0"}),
        ),
        (Operation::PutRecord, json!({"StreamName": 7, "Data": true, "PartitionKey": {}})),
        (
            Operation::GetShardIterator,
            json!({"StreamName": "s", "ShardId": "shardId-0", "ShardIteratorType": "AT_TIMESTAMP", "Timestamp": 1_767_225_600.123}),
        ),
        (Operation::GetRecords, json!({"ShardIterator": "i", "Limit": 1.9})),
        (Operation::GetRecords, json!({"ShardIterator": "i", "Limit": -70_000})),
        (Operation::GetRecords, json!({"ShardIterator": "i", "Limit": 5_000_000_000_000_000_000u64})),
        (Operation::AddTagsToStream, json!({"StreamName": "s", "Tags": {"a": "b", "c": "d"}})),
        (Operation::AddTagsToStream, json!({"StreamName": "s", "Tags": {"a": 7}})),
        (Operation::RemoveTagsFromStream, json!({"StreamName": "s", "TagKeys": ["a", "", null]})),
        (
            Operation::CreateStream,
            json!({"StreamName": "s", "ShardCount": "two", "StreamModeDetails": {"StreamMode": "PROVISIONED"}}),
        ),
    ];
    for (operation, input) in inputs {
        assert!(same_in_both(operation, &input), "{operation}: {input}");
    }
}

fn millis_of(bytes: &[u8]) -> Option<u64> {
    let head = b"\xa4\x6aStreamName\x61s\x67ShardId\x69shardId-0\x71ShardIteratorType\x6cAT_TIMESTAMP\x69Timestamp";
    let parsed = parsed(Operation::GetShardIterator, Format::Cbor, &[head.as_slice(), bytes].concat());
    let millis = parsed.split("millis: ").nth(1)?;
    millis.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The first is what version 2 of the SDK for Java sends; version 1 does the same (`SdkCborGenerator.writeValue`).
#[test]
fn a_whole_time_counts_milliseconds_and_a_fraction_may_count_seconds() {
    assert_eq!(millis_of(b"\xc1\x1b\x00\x00\x01\xa0\x13\xac\xcc\x38"), Some(1_787_036_486_712));
    assert_eq!(millis_of(b"\x1b\x00\x00\x01\xa0\x13\xac\xcc\x38"), Some(1_787_036_486_712), "without a tag");
    assert_eq!(millis_of(b"\xc1\x18\x64"), Some(100), "soon after the epoch");
    let float = |number: f64| [b"\xc1\xfb".as_slice(), &number.to_be_bytes()].concat();
    assert_eq!(millis_of(&float(1_787_036_486_712.0)), Some(1_787_036_486_712));
    assert_eq!(millis_of(&float(1_787_036_486.712)), Some(1_787_036_486_712), "as RFC 8949 has it");
    assert_eq!(millis_of(b"\xc1\xfa\x3f\xc0\x00\x00"), Some(1500), "a narrow one");
    assert_eq!(millis_of(&float(f64::NAN)), None);
}

#[test]
fn bytes_are_blobs_and_texts_are_none() {
    let refused = |body: &[u8]| parsed(Operation::PutRecord, Format::Cbor, body);
    let text = refused(b"\xa1\x64Data\x64eA==");
    assert!(text.contains("class java.lang.String can not be converted to a Blob"), "{text}");
    let bytes = refused(b"\xa1\x6aStreamName\x42ab");
    assert!(bytes.contains("class java.nio.HeapByteBuffer can not be converted to an String"), "{bytes}");
}

#[test]
fn what_cannot_be_read_is_refused_and_never_more() {
    let nested = |depth: usize| {
        let unknown = [vec![0x81; depth], vec![0xf6]].concat();
        [b"\xa1\x65Pizza".as_slice(), &unknown].concat()
    };
    let refusal = "Err(ServiceError { code: \"SerializationException\", message: \"\", status: 400 })";
    for operation in [Operation::ListShards, Operation::PutRecord, Operation::PutRecords, Operation::DescribeLimits] {
        for bad in [
            &b""[..],
            b"\xa1",
            b"\x80",
            b"{}",
            b"\xa0\xa0",
            b"\xa1\x01\x02",
            b"\xbf\x61a",
            b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff\x61a\x01",
        ] {
            assert_eq!(parsed(operation, Format::Cbor, bad), refusal, "{operation} {bad:x?}");
        }
        for depth in [300, 100_000] {
            assert_eq!(parsed(operation, Format::Cbor, &nested(depth)), refusal, "{operation} {depth}");
        }
        assert_ne!(parsed(operation, Format::Cbor, &nested(100)), refusal, "{operation}");
    }
    // Within a member that is read, and around everything by tags.
    let deep = [b"\xa1\x67Records".as_slice(), &[0x81; 100_000]].concat();
    assert_eq!(parsed(Operation::PutRecords, Format::Cbor, &deep), refusal);
    let tagged = [[0xc1; 100_000].as_slice(), b"\xa0"].concat();
    assert!(parsed(Operation::DescribeLimits, Format::Cbor, &tagged).contains("Ok"), "tags mean nothing");
}

/// A call that is refused before its input is read is refused in the same words.
#[test]
fn the_syntax_is_looked_at_before_operation_and_signature() {
    let refused = || Err(errors_of_nobody());
    let call = |target: &str, body: &[u8], caller| {
        Call::parse(target, Format::Cbor, body, caller, &home()).request.unwrap_err()
    };
    let list = format!("{TARGET_PREFIX}ListShards");
    assert_eq!(call(&list, b"\xbf\xff", refused()).code(), "MissingAuthenticationTokenException");
    assert_eq!(call(&list, b"{", refused()).code(), "SerializationException");
    assert_eq!(call("x.PutPizza", b"\xa0", Ok(home())).code(), "UnknownOperationException");
    assert_eq!(call("x.PutPizza", b"\x01", Ok(home())).code(), "SerializationException");
}

fn errors_of_nobody() -> crate::engine::ServiceError {
    crate::engine::ServiceError::new("MissingAuthenticationTokenException", "", 400)
}

/// A tree is written so that it reads back; times become whole milliseconds under tag 1.
#[test]
fn replies_are_written_as_java_reads_them() {
    let tree = json!({"a": 1_767_225_600.25, "b": [true, null, "x", -5, 70_000]});
    let expected = b"\xa2\x61a\xc1\x1b\x00\x00\x01\x9b\x76\xda\xa8\xfa\x61b\x85\xf5\xf6\x61x\x24\x1a\x00\x01\x11\x70";
    assert_eq!(super::value(&tree), expected);
    let refusal = crate::engine::ServiceError::new("ResourceNotFoundException", "Stream s", 400);
    let written = Format::Cbor.error(&refusal);
    assert_eq!(written, super::value(&errors::error_tree(&refusal)));
    assert!(input::parse(&written).is_err(), "no JSON");
}
