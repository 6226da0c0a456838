//! A Rust file in which code can be told from text, and tests from the rest.

use std::ops::Range;
use std::path::PathBuf;

/// A file with its comments and literals blanked out, so that what is left is code.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// The text with every byte of a comment, string or character literal replaced by a blank; newlines stay.
    pub(super) code: String,
    /// The byte ranges of items that are compiled for tests only.
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(super) fn new(path: PathBuf, text: String) -> Self {
        let code = blanked(&text);
        let is_test_file =
            path.components().any(|part| ["tests", "benches"].iter().any(|name| part.as_os_str() == *name))
                || path.file_name().is_some_and(|name| name == "tests.rs");
        let tests = if is_test_file { std::iter::once(0..text.len()).collect() } else { test_items(&code) };
        Self { path, text, code, tests }
    }

    /// The modules that are declared for tests only and have a file of their own: its path, without `.rs`.
    pub(super) fn test_modules(&self) -> Vec<PathBuf> {
        let is_root = self.path.file_stem().is_some_and(|stem| ["lib", "main"].iter().any(|root| stem == *root));
        let folder = match self.path.parent() {
            Some(folder) if is_root => folder.to_owned(),
            _ => self.path.with_extension(""),
        };
        let declared = self.tests.iter().filter_map(|range| {
            let item = self.code[range.clone()].trim_end().strip_suffix(';')?;
            item.rsplit_once("mod ").map(|(_, name)| name.trim())
        });
        declared.map(|name| folder.join(name)).collect()
    }

    /// Takes the whole file for tests if one of these modules is it, or holds it.
    pub(super) fn belongs_to(&mut self, test_modules: &[PathBuf]) {
        let own = self.path.with_extension("");
        if test_modules.iter().any(|module| own.starts_with(module)) {
            self.tests = std::iter::once(0..self.text.len()).collect();
        }
    }

    /// Whether the byte at `at` is compiled for tests only.
    pub(super) fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        1 + count_lines(&self.text[..at])
    }

    /// How many lines are not compiled for tests only.
    pub(super) fn production_lines(&self) -> usize {
        let in_tests: usize = self.tests.iter().map(|range| 1 + count_lines(&self.text[range.clone()])).sum();
        self.text.lines().count().saturating_sub(in_tests)
    }

    /// Where a piece of code stands as words of its own, not as part of a longer name.
    pub(super) fn find<'a>(&'a self, piece: &'a str) -> impl Iterator<Item = usize> + 'a {
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let first_is_name = piece.starts_with(is_name);
        let last_is_name = piece.ends_with(is_name);
        self.code.match_indices(piece).map(|(at, _)| at).filter(move |at| {
            let before = self.code[..*at].chars().next_back().is_some_and(is_name);
            let after = self.code[at + piece.len()..].chars().next().is_some_and(is_name);
            !(first_is_name && before || last_is_name && after)
        })
    }

    /// The code from `at` on, without leading blanks.
    pub(super) fn code_after(&self, at: usize) -> &str {
        self.code[at..].trim_start()
    }
}

fn count_lines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

/// The end of the item that starts at `start`: behind its closing brace, or behind its semicolon.
pub(super) fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && byte == b'}' {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The items under `#[cfg(test)]`, `#[cfg(all(test, …))]` or `#[test]`.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (start, _) in code.match_indices("#[") {
        let inside = items.last().is_some_and(|last| last.contains(&start));
        let Some(attribute) = code[start..].split_once(']').map(|(attribute, _)| attribute) else {
            break;
        };
        if !inside && is_test_attribute(attribute) {
            items.push(start..item_end(code, start + attribute.len() + 1));
        }
    }
    items
}

fn is_test_attribute(attribute: &str) -> bool {
    let plain: String = attribute.chars().filter(|letter| !letter.is_whitespace()).collect();
    plain == "#[test" || plain.starts_with("#[cfg(test)") || plain.starts_with("#[cfg(all(test,")
}

/// Replaces comments and literals by blanks, byte for byte.
fn blanked(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let follows_name = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let length = token_length(&bytes[at..], follows_name);
        match length {
            Some(length) => {
                let end = (at + length).min(bytes.len());
                code.extend(bytes[at..end].iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
                at = end;
            }
            None => {
                code.push(if bytes[at].is_ascii() { bytes[at] } else { b'_' });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// The length of the comment or literal that the bytes start with.
fn token_length(bytes: &[u8], follows_name: bool) -> Option<usize> {
    match bytes {
        [b'/', b'/', ..] => Some(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len())),
        [b'/', b'*', ..] => Some(block_comment(bytes)),
        [b'"', ..] => Some(1 + string(&bytes[1..])),
        [b'\'', ..] => character(bytes),
        [b'b' | b'c', b'"', ..] if !follows_name => Some(2 + string(&bytes[2..])),
        [b'b', b'\'', ..] if !follows_name => character(&bytes[1..]).map(|length| length + 1),
        [b'b' | b'c', b'r', ..] if !follows_name => raw_string(&bytes[1..]).map(|length| length + 1),
        [b'r', ..] if !follows_name => raw_string(bytes),
        _ => None,
    }
}

fn block_comment(bytes: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// The length of a string behind its opening quote.
fn string(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The length of `r"…"` with any number of `#`; nothing for a raw name.
fn raw_string(bytes: &[u8]) -> Option<usize> {
    let hashes = bytes[1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.extend(std::iter::repeat_n(b'#', hashes));
    let body = 2 + hashes;
    let length = bytes[body..].windows(end.len()).position(|window| window == end);
    Some(length.map_or(bytes.len(), |length| body + length + end.len()))
}

/// The length of a character literal; nothing for a lifetime.
fn character(bytes: &[u8]) -> Option<usize> {
    if bytes.get(1) == Some(&b'\\') {
        let end = bytes.iter().skip(3).position(|byte| *byte == b'\'')?;
        return Some(3 + end + 1);
    }
    // A character takes up to four bytes; a lifetime has no quote behind its first.
    let text = std::str::from_utf8(&bytes[1..bytes.len().min(5)]);
    let valid = text.map_or_else(|error| error.valid_up_to(), str::len);
    let first = std::str::from_utf8(&bytes[1..=valid]).ok()?.chars().next()?;
    (bytes.get(1 + first.len_utf8()) == Some(&b'\'')).then_some(2 + first.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(PathBuf::from("crate/src/lib.rs"), text.to_owned())
    }

    #[test]
    fn comments_and_literals_are_blank_and_code_stays() {
        for (text, expected) in [
            ("a // fn b\nc", "a c"),
            ("a /* x /* y */ z */ b", "a b"),
            (r#"f("a\"b{", x)"#, "f( , x)"),
            (r###"f(r#"a"b{"#, x)"###, "f( , x)"),
            (r"let c = '{'; let d = '\''; let l: &'a str;", "let c = ; let d = ; let l: &'a str;"),
            ("b\"x\" b'y' br\"z\" r#type c\"w\"", "r#type"),
            ("'é' 'static", "'static"),
            ("\"a\nb\"", ""),
            ("for_b\"x\"", "for_b"),
        ] {
            let code = blanked(text);
            assert_eq!(code.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text}");
            assert_eq!((code.len(), count_lines(&code)), (text.len(), count_lines(text)), "{text}");
        }
    }

    #[test]
    fn tests_are_told_from_the_rest() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {}\n}\nfn c() {}\n";
        let source = source(text);
        let at = |piece: &str| text.find(piece).unwrap();
        assert!(!source.is_test(at("fn a")) && source.is_test(at("fn b")) && !source.is_test(at("fn c")));
        assert_eq!((source.line(at("fn c")), source.production_lines()), (7, 2));
        let whole = Source::new(PathBuf::from("crate/tests/it.rs"), text.to_owned());
        assert!(whole.is_test(at("fn a")));
    }

    #[test]
    fn a_test_only_declaration_ends_at_its_semicolon() {
        let source = source("#[cfg(all(test, feature = \"x\"))]\nmod helpers;\nfn a() {}\n");
        assert!(source.is_test(40) && !source.is_test(source.text.find("fn a").unwrap()));
    }

    #[test]
    fn files_of_test_modules_are_tests() {
        let parent = source("#[cfg(test)]\nmod faults;\nmod engine;\n");
        let modules = parent.test_modules();
        assert_eq!(modules, [PathBuf::from("crate/src/faults")]);
        for (path, expected) in [
            ("crate/src/faults.rs", true),
            ("crate/src/faults/late.rs", true),
            ("crate/src/engine.rs", false),
            ("crate/src/faults_found.rs", false),
        ] {
            let mut child = Source::new(PathBuf::from(path), "fn a() {}".to_owned());
            child.belongs_to(&modules);
            assert_eq!(child.is_test(0), expected, "{path}");
        }
        let inner = Source::new(PathBuf::from("crate/src/engine.rs"), parent.text);
        assert_eq!(inner.test_modules(), [PathBuf::from("crate/src/engine/faults")]);
    }

    #[test]
    fn pieces_are_found_as_whole_words() {
        let source = source("reselect!(); select! { x } // select!");
        assert_eq!(source.find("select!").collect::<Vec<_>>(), [13]);
    }
}
