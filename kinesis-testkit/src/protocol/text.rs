//! Small changes to texts.

/// A member's name as messages write it: `streamARN` for `StreamARN`.
pub(super) fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_lowercase().chain(characters).collect())
}
