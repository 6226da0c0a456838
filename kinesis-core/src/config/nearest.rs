//! The known name that a misspelt one most likely stands for.

/// Slips beyond this many edits are no slips.
const MOST_EDITS: usize = 3;

/// The known name that is fewest edits away, whatever the case; nothing where none is near.
pub(super) fn nearest<N: Into<String>>(name: &str, known: impl IntoIterator<Item = N>) -> Option<String> {
    let name = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(Into::into)
        .map(|known| (edits(&name, &known.to_ascii_lowercase()), known))
        .min()
        .filter(|(edits, _)| *edits <= MOST_EDITS)
        .map(|(_, known)| known)
}

/// The number of insertions, deletions and replacements from one text to the other (Levenshtein), by bytes.
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (one, other, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)] {
            assert_eq!(edits(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn three_edits_are_near_and_four_are_not() {
        assert_eq!(nearest("ratelmt", ["RateLimit", "Region"]).as_deref(), Some("RateLimit"));
        assert_eq!(nearest("xxxeLimit", ["RateLimit"]).as_deref(), Some("RateLimit"));
        assert_eq!(nearest("xxxxLimit", ["RateLimit"]), None);
        assert_eq!(nearest("RateLimit", Vec::<String>::new()), None);
    }
}
