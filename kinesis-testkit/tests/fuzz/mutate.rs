//! How bodies are spoiled.

use kinesis_core::RandomStream;
use serde_json::{Map, Value, json};

/// Bytes that mean something in one of the formats: quotes, brackets, signs, and the heads of CBOR's items.
const TELLING: &[u8] = b"\"\\{}[]:,-+.eE0919tfn\x00\x0a\x1f\x20\x7f\x18\x19\x1a\x1b\x3b\x40\x5b\x5f\x60\x7b\x7f\x9b\x9f\xa0\xbb\xbf\xc1\xdb\xe0\xf4\xf6\xf9\xfa\xfb\xff";

fn index(random: &mut RandomStream, length: usize) -> usize {
    random.below(length.max(1) as u64) as usize
}

/// Spoils bytes, one to four times.
pub(crate) fn bytes(random: &mut RandomStream, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let at = index(random, bytes.len() + 1);
        let end = (at + 1 + index(random, 16)).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = TELLING[index(random, TELLING.len())],
            2 => bytes.insert(at, TELLING[index(random, TELLING.len())]),
            3 if at < end => drop(bytes.drain(at..end)),
            4 => bytes.truncate(at),
            5 if at < end => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                let from = index(random, other.len() + 1);
                let part = other[from..(from + 1 + index(random, 32)).min(other.len())].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                // A length or a number that is far too large.
                let huge = [u64::MAX, u64::from(u32::MAX), 1 << 62, 0x0001_0000_0000_0000][index(random, 4)];
                let head = [0x1b, 0x3b, 0x5b, 0x7b, 0x9b, 0xbb][index(random, 6)];
                bytes.splice(at..at, [vec![head], huge.to_be_bytes().to_vec()].concat());
            }
        }
    }
}

/// Spoils a tree of JSON, one to three times.
pub(crate) fn tree(random: &mut RandomStream, tree: &mut Value) {
    for _ in 0..=random.below(3) {
        let nodes = count(tree);
        let mut at = index(random, nodes);
        if let Some(node) = node(tree, &mut at) {
            spoil(random, node);
        }
    }
    if !tree.is_object() {
        *tree = json!({ "StreamName": tree.clone() });
    }
}

/// How deep a tree is nested.
pub(crate) fn depth(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(items) => items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn count(tree: &Value) -> usize {
    1 + match tree {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

/// The node of that number, the root first.
fn node<'a>(tree: &'a mut Value, at: &mut usize) -> Option<&'a mut Value> {
    if *at == 0 {
        return Some(tree);
    }
    *at -= 1;
    match tree {
        Value::Array(items) => items.iter_mut().find_map(|item| node(item, at)),
        Value::Object(members) => members.values_mut().find_map(|member| node(member, at)),
        _ => None,
    }
}

fn spoil(random: &mut RandomStream, node: &mut Value) {
    match (random.below(4), node) {
        (0, Value::Object(members)) => {
            let name = ["StreamName", "ShardId", "Limit", "Extra", ""][index(random, 5)];
            members.insert(name.to_owned(), value(random));
        }
        (1, Value::Object(members)) => {
            let names: Vec<String> = members.keys().cloned().collect();
            members.remove(names.get(index(random, names.len())).map_or("", String::as_str));
        }
        (2, Value::Array(items)) => items.extend(items.first().cloned().into_iter().cycle().take(index(random, 600))),
        (_, node) => *node = value(random),
    }
}

fn value(random: &mut RandomStream) -> Value {
    match random.below(14) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(-1),
        3 => json!(i64::MAX),
        4 => json!(u64::MAX),
        5 => json!(1e300),
        6 => json!(0.5),
        7 => json!(""),
        8 => json!("x".repeat(index(random, 3000))),
        9 => json!("\u{1f980}\u{0}\"\\"),
        10 => json!("340282366920938463463374607431768211456"),
        11 => json!([]),
        12 => Value::Object(Map::new()),
        _ => {
            let mut deep = json!(1);
            for _ in 0..random.below(300) {
                deep = json!([deep]);
            }
            deep
        }
    }
}
