//! Refusals that belong to the protocol, and how any refusal looks on the wire.

use serde_json::{Value, json};

use crate::engine::ServiceError;

impl ServiceError {
    pub(super) fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", "", 400)
    }

    pub(super) fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", message, 400)
    }
}

/// The members of an error reply; it has no message where the service gives none.
pub(super) fn error_tree(error: &ServiceError) -> Value {
    if error.message().is_empty() {
        return json!({ "__type": error.code() });
    }
    // Of what cannot be read the service writes the member with a capital (recorded in kinesalite).
    let member = if error.code() == "SerializationException" { "Message" } else { "message" };
    json!({ "__type": error.code(), member: error.message() })
}
