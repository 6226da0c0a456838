//! What a configuration says that is understood, but does nothing: told, never dropped without a word.

use std::borrow::Cow;

/// Keys, and why each has no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(Vec<(String, Cow<'static, str>)>);

impl Notes {
    pub(super) fn add(&mut self, key: &str, text: impl Into<Cow<'static, str>>) {
        self.0.push((key.to_owned(), text.into()));
    }

    /// Writes each as a warning; no values, which may be secret.
    pub(super) fn log(&self) {
        for (key, text) in &self.0 {
            tracing::warn!(key, "configuration: {text}");
        }
    }

    #[cfg(test)]
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(noted, _)| noted == key).map(|(_, text)| text.as_ref())
    }
}
