//! What a producer may attach to a member.

/// A name and a text attached to a member of an aggregate.
///
/// The format has a place for tags; the KPL never writes one, and the KCL does not read them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tag {
    /// The name.
    pub key: String,
    /// The text, where there is one.
    pub value: Option<String>,
}

impl Tag {
    /// Makes a tag without a text.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), value: None }
    }

    /// Gives the tag a text.
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = Some(value.into());
        self
    }
}
