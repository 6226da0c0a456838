//! The tags of a stream or a consumer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::ServiceError;

/// The most tags of a resource (API reference, AddTagsToStream, TagResource).
const MAX_TAGS: usize = 50;

/// Keys and values, by key.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct Tags(BTreeMap<String, String>);

/// Some of the tags, and whether there are more.
#[derive(Clone, Debug)]
pub(crate) struct TagPage {
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) more: bool,
}

impl Tags {
    pub(super) const fn new(tags: BTreeMap<String, String>) -> Self {
        Self(tags)
    }

    /// Adds tags or replaces their values; `owner` says whose they are.
    pub(super) fn add(&mut self, tags: &BTreeMap<String, String>, owner: &str) -> Result<(), ServiceError> {
        check(tags.iter().flat_map(|(key, value)| [key, value]), "add tags to", owner)?;
        let new = tags.keys().filter(|key| !self.0.contains_key(*key)).count();
        if self.0.len() + new > MAX_TAGS {
            return Err(ServiceError::invalid_argument(format!(
                "Failed to add tags to {owner} because a given stream cannot have more than {MAX_TAGS} tags associated \
                 with it."
            )));
        }
        self.0.extend(tags.iter().map(|(key, value)| (key.clone(), value.clone())));
        Ok(())
    }

    /// Removes tags; a key that is not there is passed over.
    pub(super) fn remove(&mut self, keys: &[String], owner: &str) -> Result<(), ServiceError> {
        check(keys.iter(), "remove tags from", owner)?;
        self.0.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    pub(super) fn page(&self, after: Option<&str>, limit: usize) -> TagPage {
        let later = self.0.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let mut tags: Vec<_> = later.take(limit + 1).map(|(key, value)| (key.clone(), value.clone())).collect();
        let more = tags.len() > limit;
        tags.truncate(limit);
        TagPage { tags, more }
    }
}

/// Refuses tags of a new resource.
pub(super) fn check_new(tags: &BTreeMap<String, String>, owner: &str) -> Result<(), ServiceError> {
    Tags::default().add(tags, owner)
}

/// Refuses texts with characters that tags may not have (recorded in kinesalite, `actions/addTagsToStream.js`).
fn check<'a>(mut texts: impl Iterator<Item = &'a String> + Clone, what: &str, owner: &str) -> Result<(), ServiceError> {
    let mut copy = texts.clone();
    if texts.any(|text| !text.chars().all(|character| is_valid(character) || character == '%')) {
        return Err(ServiceError::invalid_argument(
            "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - \
             % @.",
        ));
    }
    if copy.any(|text| text.contains('%')) {
        return Err(ServiceError::invalid_argument(format!(
            "Failed to {what} {owner} because some tags contained illegal characters. The allowed characters are \
             Unicode letters, white-spaces, '_',',','/','=','+','-','@'."
        )));
    }
    Ok(())
}

fn is_valid(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '_' | '.' | '/' | '-' | '=' | '+' | ' ' | '@' | ':')
        || matches!(character, '\u{c0}'..='\u{1fff}' | '\u{2c00}'..='\u{d7ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(keys: impl IntoIterator<Item = usize>) -> BTreeMap<String, String> {
        keys.into_iter().map(|key| (format!("{key:03}"), "v".to_owned())).collect()
    }

    #[test]
    fn fifty_tags_and_no_more() {
        let mut all = Tags::default();
        all.add(&tags(0..50), "stream orders").unwrap();
        all.add(&tags(0..50), "stream orders").unwrap();
        let refusal = all.add(&tags([50]), "stream orders").unwrap_err();
        assert_eq!(refusal.code(), "InvalidArgumentException");
        all.remove(&["000".to_owned(), "none".to_owned()], "stream orders").unwrap();
        all.add(&tags([50]), "stream orders").unwrap();
        let page = all.page(Some("047"), 2);
        assert_eq!((page.tags.len(), page.tags[0].0.as_str(), page.more), (2, "048", true));
        assert!(!all.page(Some("048"), 2).more);
    }

    #[test]
    fn characters_are_checked() {
        let add = |key: &str| {
            let tags = [(key.to_owned(), String::new())].into();
            Tags::default().add(&tags, "stream orders under account 1").map_err(|error| error.message().to_owned())
        };
        for fine in ["team", "a b", "ünï", "x_.:/=+-@"] {
            assert_eq!(add(fine), Ok(()), "{fine}");
        }
        assert!(add("a;b").unwrap_err().starts_with("Some tags contain invalid characters."));
        assert!(add("100%").unwrap_err().starts_with("Failed to add tags to stream orders under account 1 because"));
    }
}
