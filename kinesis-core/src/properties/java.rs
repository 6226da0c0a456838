//! Java's `.properties` files, as `java.util.Properties.load` reads them.
//!
//! Written here because the crate for it, java-properties 2.0, drops an entry without a word where the file ends in a
//! backslash, and refuses surrogate pairs (both are cases below).

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::properties::Properties;

/// Why a `.properties` file is refused; the text of the file, which may be secret, is not shown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PropertiesFileError {
    /// The file cannot be read.
    #[error("properties file {}: cannot be read; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A `\u` without four hexadecimal digits, or half of a surrogate pair.
    #[error("properties line {line}: `\\u` needs four hexadecimal digits, and surrogates come in pairs")]
    Escape {
        /// Where the entry starts, from 1.
        line: usize,
    },
}

impl Properties {
    /// Reads a Java `.properties` file; blocks until it is read.
    ///
    /// As `java.util.Properties.load` has it: ISO-8859-1, `\uXXXX`, `=`, `:` or white space after the key, a backslash at
    /// the end of a line continues it, lines that start with `#` or `!` are comments, the last of equal keys holds.
    ///
    /// # Errors
    /// [`PropertiesFileError`]; a retry helps only where the file itself could not be read.
    pub fn read_file(path: impl AsRef<Path>) -> Result<Self, PropertiesFileError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|source| PropertiesFileError::Read { path: path.to_owned(), source })?;
        Self::from_file_bytes(&bytes)
    }

    /// Reads what a Java `.properties` file holds, by the rules of [`Properties::read_file`].
    ///
    /// ```
    /// use kinesis_core::Properties;
    ///
    /// let properties = Properties::from_file_bytes(b"# where\naws.region: eu-\\\n    west-1\n")?;
    /// assert_eq!(properties.get("aws.region"), Some("eu-west-1"));
    /// # Ok::<(), kinesis_core::PropertiesFileError>(())
    /// ```
    ///
    /// # Errors
    /// [`PropertiesFileError::Escape`]; a retry is pointless.
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Self, PropertiesFileError> {
        let text: String = bytes.iter().copied().map(char::from).collect();
        logical_lines(&text)
            .into_iter()
            .map(|(line, entry)| {
                let (key, value) = split_entry(&entry);
                let text = |part| unescaped(part).ok_or(PropertiesFileError::Escape { line });
                Ok((text(key)?, text(value)?))
            })
            .collect()
    }
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// The entries with their continuations joined and the number of their first line, without comments and blank lines.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut entries = Vec::new();
    let mut entry: Option<(usize, String)> = None;
    let lines: Vec<_> = natural_lines(text).collect();
    // The line that ends the file; Java does not see that another, empty one follows it.
    let last = lines.len() - if text.ends_with("\\\n") { 2 } else { 1 };
    for (index, line) in lines.into_iter().enumerate() {
        let line = line.trim_start_matches(BLANKS);
        if entry.is_none() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let continues = (line.len() - line.trim_end_matches('\\').len()) % 2 == 1;
        let (_, joined) = entry.get_or_insert_with(|| (index + 1, String::new()));
        joined.push_str(if continues { &line[..line.len() - 1] } else { line });
        // A backslash alone begins no entry: a comment may follow. At the end of the file it is one of empty texts.
        let is_nothing = continues && joined.is_empty() && index < last;
        if is_nothing {
            entry = None;
        } else if !continues {
            entries.extend(entry.take());
        }
    }
    entries.extend(entry);
    entries
}

/// The lines, which end with `\n`, `\r` or both.
fn natural_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// The key up to its separator, and what is behind it.
fn split_entry(entry: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = entry
        .find(|letter: char| {
            let ends = !is_escaped && (matches!(letter, '=' | ':') || BLANKS.contains(&letter));
            is_escaped = letter == '\\' && !is_escaped;
            ends
        })
        .unwrap_or(entry.len());
    let (key, rest) = entry.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANKS))
}

/// The text behind the escapes; nothing where one is malformed.
fn unescaped(text: &str) -> Option<String> {
    let mut units = Vec::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let letter = match letter {
            '\\' => match letters.next() {
                Some('u') => {
                    let digits =
                        letters.as_str().get(..4).filter(|hex| hex.bytes().all(|hex| hex.is_ascii_hexdigit()))?;
                    units.push(u16::from_str_radix(digits, 16).ok()?);
                    letters = letters.as_str()[4..].chars();
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            },
            plain => plain,
        };
        units.extend_from_slice(letter.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case<'a> = (&'a [u8], &'a [(&'a str, &'a str)]);

    /// Each expected map is what OpenJDK 17 loads from the same bytes.
    #[test]
    fn files_are_read_as_java_reads_them() {
        let cases: [Case<'_>; 39] = [
            (b"a=1\nb:2\nc 3\nd\ne=\n", &[("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e", "")]),
            (b"  a  =  1  \n\tb\t:\t2\n\x0cc\x0c=\x0c3\n", &[("a", "1  "), ("b", "2"), ("c", "3")]),
            (b"# comment\n! also\n   # indented\na=1 # not a comment\n", &[("a", "1 # not a comment")]),
            (b"a=1\\\n   2\\\n\t3\nb=4\n", &[("a", "123"), ("b", "4")]),
            (b"a=1\\\\\nb=2\n", &[("a", "1\\"), ("b", "2")]),
            (b"a=1\\\\\\\n2\n", &[("a", "1\\2")]),
            (b"a=1\\\n\nb=2\n", &[("a", "1"), ("b", "2")]),
            (b"a=1\\\n# 2\nb=3\n", &[("a", "1# 2"), ("b", "3")]),
            (b"# comment \\\na=1\n", &[("a", "1")]),
            (b"a\\=b=1\na\\:c:2\na\\ d 3\n", &[("a d", "3"), ("a:c", "2"), ("a=b", "1")]),
            (b"a==1\nb:=2\nc = = 3\nd :: 4\n", &[("a", "=1"), ("b", "=2"), ("c", "= 3"), ("d", ": 4")]),
            (b"a=\\t\\n\\r\\f\\q\\\\\\\"\n", &[("a", "\t\n\r\u{c}q\\\"")]),
            (b"a=\\u00e9\\u20AC\\uD83D\\uDE00\n", &[("a", "\u{e9}\u{20ac}\u{1f600}")]),
            (b"a=caf\xe9\n", &[("a", "caf\u{e9}")]),
            (b"a=1\r\nb=2\rc=3", &[("a", "1"), ("b", "2"), ("c", "3")]),
            (b"a=1\\\r\n 2\n", &[("a", "12")]),
            (b"a=1\na=2\n", &[("a", "2")]),
            (b"=1\n", &[("", "1")]),
            (b":\n", &[("", "")]),
            (b"a=1\\", &[("a", "1")]),
            (b"a\\\n b=1\n", &[("ab", "1")]),
            (b"\\\n\na=1\n", &[("a", "1")]),
            (b"\\\na=1\n", &[("a", "1")]),
            (b"\\\n# comment\na=1\n", &[("a", "1")]),
            (b"a=1\n\\", &[("", ""), ("a", "1")]),
            (b"a=1\n\\\n", &[("", ""), ("a", "1")]),
            (b"a=1\n\\\r", &[("", ""), ("a", "1")]),
            (b"a=1\n\\\r\n", &[("a", "1")]),
            (b"\\", &[("", "")]),
            (b"\\\r", &[("", "")]),
            (b"\\\n  \\\n", &[("", "")]),
            (b"\\\n   ", &[]),
            (b"a=1\n\\\n\n", &[("a", "1")]),
            (b"\n\n  \n\t\na=1\n\n", &[("a", "1")]),
            (b"a = \\ 1\n", &[("a", " 1")]),
            (b"a\\u003db=1\n", &[("a=b", "1")]),
            (b"a=x\\\n\\\n y\n", &[("a", "xy")]),
            (b"#\\\n\\#a=1\n", &[("#a", "1")]),
            (b"", &[]),
        ];
        for (bytes, expected) in cases {
            let found = Properties::from_file_bytes(bytes).unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_malformed_escape_is_refused_with_its_line_and_without_its_text() {
        for bytes in [&b"x=1\ncanary=\\u00g9\n"[..], b"x=1\ncanary=\\u12", b"\ncanary=\\uD83D\n", b"\n\\u+123=canary"] {
            let error = Properties::from_file_bytes(bytes).unwrap_err();
            assert!(error.to_string().starts_with("properties line 2:"), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Properties::read_file("/nonexistent/kinesis.properties").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/kinesis.properties"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }
}
