//! A request as the tree that the constraints are checked on.
//!
//! The tree is that of the same request in JSON: a blob is its base64, and a time is in seconds. The model says which
//! members are which, so that no other is taken for one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::decode::{Decoder, Kind, Unreadable};
use crate::engine::ServiceError;
use crate::protocol::model::{Model, Shape, ShapeType};
use crate::protocol::types;

/// Below this a fraction counts seconds, from it on milliseconds: the year 5138, or March 1973.
const LARGEST_SECONDS: f64 = 1e11;
/// Tags of integers that are wider than 64 bits.
const BIG_INTEGERS: [u64; 2] = [2, 3];

impl From<Unreadable> for ServiceError {
    fn from(_: Unreadable) -> Self {
        Self::serialization("")
    }
}

/// Whether a body is one map; what it holds is passed over.
pub(in crate::protocol) fn is_map(body: &[u8]) -> Result<bool, ServiceError> {
    let mut decoder = Decoder::new(body);
    let is_map = decoder.kind()? == Kind::Map;
    decoder.skip()?;
    decoder.end()?;
    Ok(is_map)
}

/// Reads the input of an operation.
pub(in crate::protocol) fn tree(model: &Model, shape: &Shape, body: &[u8]) -> Result<Value, ServiceError> {
    let mut decoder = Decoder::new(body);
    let tree = value(model, shape, &mut decoder)?;
    decoder.end()?;
    Ok(tree)
}

fn value(model: &Model, shape: &Shape, decoder: &mut Decoder<'_>) -> Result<Value, ServiceError> {
    match decoder.kind()? {
        Kind::Null => Ok(decoder.null().map(|()| Value::Null)?),
        Kind::Boolean => Ok(Value::Bool(decoder.boolean()?)),
        Kind::Integer | Kind::Float | Kind::Tag => tagged(model, shape, decoder),
        Kind::Text if shape.r#type == ShapeType::Blob => Err(ServiceError::serialization(types::text_mismatch())),
        Kind::Text => Ok(Value::String(decoder.text()?.into_owned())),
        Kind::Bytes if shape.r#type == ShapeType::Blob => Ok(Value::String(STANDARD.encode(decoder.bytes()?))),
        Kind::Bytes => Err(ServiceError::serialization(types::bytes_mismatch(shape.r#type))),
        Kind::List => list(model, shape, decoder),
        Kind::Map => map(model, shape, decoder),
    }
}

/// A number, or what follows tags: none of them means anything but those of times and of wide integers.
fn tagged(model: &Model, shape: &Shape, decoder: &mut Decoder<'_>) -> Result<Value, ServiceError> {
    let mut kind = decoder.kind()?;
    let mut wide = None;
    while kind == Kind::Tag {
        let tag = decoder.tag()?;
        kind = decoder.kind()?;
        if BIG_INTEGERS.contains(&tag) {
            wide = Some(decoder.big_integer(tag)?);
            break;
        }
    }
    let is_time = shape.r#type == ShapeType::Timestamp;
    let number = match (wide, kind) {
        (Some(number), _) => integer(number, is_time),
        (None, Kind::Integer) => integer(decoder.integer()?, is_time),
        (None, Kind::Float) => {
            let number = decoder.float()?;
            Number::from_f64(if is_time && number.abs() >= LARGEST_SECONDS { number / 1000.0 } else { number })
        }
        (None, _) => return value(model, shape, decoder),
    };
    number.map(Value::Number).ok_or_else(|| ServiceError::serialization(""))
}

fn integer(number: i128, is_time: bool) -> Option<Number> {
    if is_time {
        return Number::from_f64(number as f64 / 1000.0);
    }
    let narrow = i64::try_from(number).map(Number::from);
    narrow.or_else(|_| u64::try_from(number).map(Number::from)).ok().or_else(|| Number::from_f64(number as f64))
}

/// What a list holds is of no interest where none is wanted: that it is one refuses the request.
fn list(model: &Model, shape: &Shape, decoder: &mut Decoder<'_>) -> Result<Value, ServiceError> {
    let of_item = model.of_list(shape).map(|(_, of_item)| of_item);
    let mut items = Vec::new();
    decoder.list(|decoder| match of_item {
        Some(of_item) => {
            items.push(value(model, of_item, decoder)?);
            Ok(())
        }
        None => Ok::<_, ServiceError>(decoder.skip()?),
    })?;
    Ok(Value::Array(items))
}

fn map(model: &Model, shape: &Shape, decoder: &mut Decoder<'_>) -> Result<Value, ServiceError> {
    let of_entry = model.of_map(shape).map(|(_, of_value)| of_value);
    let mut entries = Map::new();
    decoder.map(|decoder, key| {
        let member = || shape.members.iter().find(|member| member.name == *key);
        match of_entry.or_else(|| member().map(|member| model.of_member(member))) {
            Some(of_entry) => {
                entries.insert(key.into_owned(), value(model, of_entry, decoder)?);
                Ok(())
            }
            None => Ok::<_, ServiceError>(decoder.skip()?),
        }
    })?;
    Ok(Value::Object(entries))
}
