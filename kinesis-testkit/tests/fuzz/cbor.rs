//! A tree of JSON as CBOR: blobs as bytes where base64 stands in the JSON, all else as it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The members that are blobs.
const BLOBS: [&str; 1] = ["Data"];

/// Writes a tree; nothing where a blob is no base64, which CBOR cannot express.
pub(crate) fn written(tree: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put(&mut out, tree, false)?;
    Some(out)
}

fn head(out: &mut Vec<u8>, major: u8, value: u64) {
    let major = major << 5;
    match value {
        0..=23 => out.push(major | value as u8),
        24..=0xff => out.extend([major | 24, value as u8]),
        0x100..=0xffff => {
            out.push(major | 25);
            out.extend((value as u16).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend(value.to_be_bytes());
        }
    }
}

fn put(out: &mut Vec<u8>, tree: &Value, is_blob: bool) -> Option<()> {
    match tree {
        Value::Null => out.push(0xf6),
        Value::Bool(value) => out.push(0xf4 + u8::from(*value)),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(value), _) => head(out, 0, value),
            (None, Some(value)) => head(out, 1, (-1 - value) as u64),
            (None, None) => {
                out.push(0xfb);
                out.extend(number.as_f64()?.to_be_bytes());
            }
        },
        Value::String(text) if is_blob => {
            let data = STANDARD.decode(text).ok()?;
            head(out, 2, data.len() as u64);
            out.extend(data);
        }
        Value::String(text) => {
            head(out, 3, text.len() as u64);
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            head(out, 4, items.len() as u64);
            items.iter().try_for_each(|item| put(out, item, false))?;
        }
        Value::Object(members) => {
            head(out, 5, members.len() as u64);
            for (name, member) in members {
                head(out, 3, name.len() as u64);
                out.extend(name.as_bytes());
                put(out, member, BLOBS.contains(&name.as_str()))?;
            }
        }
    }
    Some(())
}
