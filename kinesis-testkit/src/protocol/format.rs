//! The two forms that the protocol has on the wire.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::apply::Reply;
use super::model::{Model, Shape};
use super::{cbor, errors, input, json};
use crate::engine::{PushedEvent, ServiceError};

/// How the members of a request and its reply are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON 1.1: blobs as base64, times in seconds.
    #[default]
    Json,
    /// CBOR 1.1, as the SDKs for Java speak it: blobs as bytes, times in milliseconds.
    Cbor,
}

impl Format {
    /// The format of a media type, whatever parameters it has.
    pub(crate) fn of_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        [Self::Json, Self::Cbor].into_iter().find(|format| format.content_type() == media_type)
    }

    /// The media type, of requests and of their replies.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/x-amz-cbor-1.1",
        }
    }

    /// Refuses what is no object.
    pub(super) fn readable(self, body: &[u8]) -> Result<(), ServiceError> {
        let is_object = match self {
            Self::Json => input::parse(body)?.is_object(),
            Self::Cbor => cbor::is_map(body)?,
        };
        if is_object { Ok(()) } else { Err(ServiceError::serialization("")) }
    }

    /// The tree that the constraints are checked on: the same for the same request, whatever form it has.
    pub(super) fn tree(self, model: &Model, shape: &Shape, body: &[u8]) -> Result<Value, ServiceError> {
        match self {
            Self::Json => {
                let mut tree = input::parse(body)?;
                // What the operation does not know is passed over, also where another one has a member of the name.
                if let Value::Object(members) = &mut tree {
                    members.retain(|name, _| shape.members.iter().any(|member| member.name == *name));
                }
                Ok(tree)
            }
            Self::Cbor => cbor::tree(model, shape, body),
        }
    }

    /// Writes a reply.
    pub(crate) fn reply(self, reply: &Reply) -> Bytes {
        match self {
            Self::Json => reply.to_json().into(),
            Self::Cbor => cbor::reply(reply).into(),
        }
    }

    /// Writes the payload of an event of SubscribeToShard.
    pub(super) fn event(self, event: &PushedEvent) -> Bytes {
        match self {
            Self::Json => json::pushed_event(event).into(),
            Self::Cbor => cbor::pushed_event(event).into(),
        }
    }

    /// Writes a reply without members.
    pub(super) fn nothing(self) -> Bytes {
        match self {
            Self::Json => Bytes::from_static(b"{}"),
            Self::Cbor => cbor::value(&Value::Object(Map::new())).into(),
        }
    }

    /// Writes a refusal.
    pub(crate) fn error(self, error: &ServiceError) -> Bytes {
        let tree = errors::error_tree(error);
        match self {
            Self::Json => tree.to_string().into(),
            Self::Cbor => cbor::value(&tree).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_names_a_format_whatever_follows() {
        assert_eq!(Format::of_content_type("application/x-amz-json-1.1"), Some(Format::Json));
        assert_eq!(Format::of_content_type("application/x-amz-cbor-1.1; charset=utf-8"), Some(Format::Cbor));
        for other in ["", "application/json", "application/cbor", "application/x-amz-json-1.0"] {
            assert_eq!(Format::of_content_type(other), None, "{other}");
        }
    }
}
