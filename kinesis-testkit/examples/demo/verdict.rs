//! Compares what went in with what came out, both read again from their files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};

use crate::input::Input;
use crate::line::{own_key, partition_key};

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Lines of the input that were to arrive.
    pub(crate) records_in: u64,
    /// Lines in the output.
    pub(crate) records_out: u64,
    /// Lines of the input that did not arrive.
    pub(crate) lost: u64,
    /// Lines that arrived more often than they are in the input, or are not in it.
    pub(crate) duplicated: u64,
    /// Lines that stand behind a later line of the same key.
    pub(crate) out_of_order: u64,
}

impl Verdict {
    /// Whether every line arrived once, and in order where that was asked for.
    pub(crate) const fn is_good(&self, ordered: bool) -> bool {
        self.lost == 0 && self.duplicated == 0 && (!ordered || self.out_of_order == 0)
    }
}

/// The input's lines by digest, each with its numbers in ascending order.
struct Expected {
    /// Digest and number, sorted.
    lines: Vec<(u128, u64)>,
    /// How many lines of the group that begins here were seen.
    seen: Vec<u32>,
}

impl Expected {
    fn read(input: &Input, left_out: &[u64]) -> io::Result<Self> {
        let mut lines = Vec::new();
        input.for_each(|number, line| {
            if left_out.binary_search(&number).is_err() {
                lines.push((digest(line), number));
            }
            Ok(())
        })?;
        lines.sort_unstable();
        let seen = vec![0; lines.len()];
        Ok(Self { lines, seen })
    }

    /// The number of an output line: of equal lines the first that was not seen yet; nothing where there is none left.
    fn take(&mut self, line: &[u8]) -> Option<Taken> {
        let digest = digest(line);
        let group = self.lines.partition_point(|(other, _)| *other < digest);
        let index = group + *self.seen.get(group)? as usize;
        let (found, number) = *self.lines.get(index)?;
        if found != digest {
            return None;
        }
        self.seen[group] += 1;
        let is_equal = |index: usize| self.lines.get(index).is_some_and(|(other, _)| *other == digest);
        Some(Taken { number, key_is_certain: own_key(line).is_some() || !is_equal(group + 1) })
    }
}

/// An output line that is one of the input.
struct Taken {
    number: u64,
    /// Not so for equal lines that got different keys by their numbers: which of them it is cannot be told.
    key_is_certain: bool,
}

fn digest(line: &[u8]) -> u128 {
    u128::from_be_bytes(Md5::digest(line).into())
}

/// Compares the input, but for the lines `left_out` (sorted), with the files `part-*` of a directory.
pub(crate) fn compare(input: &Input, left_out: &[u64], directory: &Path) -> io::Result<Verdict> {
    let mut expected = Expected::read(input, left_out)?;
    let mut verdict = Verdict { records_in: expected.lines.len() as u64, ..Verdict::default() };
    let mut last_of_key: BTreeMap<u128, u64> = BTreeMap::new();
    for part in parts(directory)? {
        for_each_line(&part, |line| {
            verdict.records_out += 1;
            let Some(Taken { number, key_is_certain }) = expected.take(line) else {
                verdict.duplicated += 1;
                return;
            };
            if !key_is_certain {
                return;
            }
            let last = last_of_key.entry(digest(partition_key(line, number).as_bytes())).or_default();
            if number < *last {
                verdict.out_of_order += 1;
            }
            *last = number.max(*last);
        })?;
    }
    let arrived = verdict.records_out - verdict.duplicated;
    verdict.lost = verdict.records_in - arrived;
    Ok(verdict)
}

/// The output's files, in the order of their commits.
pub(crate) fn parts(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("part-") {
            parts.push(entry.path());
        }
    }
    parts.sort();
    Ok(parts)
}

fn for_each_line(path: &Path, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut file = BufReader::with_capacity(1 << 16, File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if file.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(line.strip_suffix(b"\n").unwrap_or(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(input: &[u8], left_out: &[u64], parts: &[&[u8]]) -> Verdict {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("input");
        fs::write(&file, input).unwrap();
        for (epoch, part) in parts.iter().enumerate() {
            fs::write(directory.path().join(format!("part-{epoch:010}-s-0")), part).unwrap();
        }
        compare(&Input::File(file), left_out, directory.path()).unwrap()
    }

    #[test]
    fn equal_lines_count_as_often_as_they_are_there() {
        let good = verdict(b"k a\nk b\nk a\n\n", &[], &[b"k a\nk b\n", b"k a\n\n"]);
        assert!(good.is_good(true), "{good:?}");
        let lost = verdict(b"k a\nk a\n", &[], &[b"k a\n"]);
        assert_eq!((lost.lost, lost.duplicated), (1, 0));
        let repeated = verdict(b"k a\nk b\n", &[], &[b"k a\nk b\n", b"k a\n"]);
        assert_eq!((repeated.lost, repeated.duplicated), (0, 1));
    }

    #[test]
    fn a_lost_line_is_not_made_good_by_a_foreign_one() {
        let both = verdict(b"k a\nk b\n", &[], &[b"k a\nk x\n"]);
        assert_eq!((both.lost, both.duplicated), (1, 1));
    }

    #[test]
    fn order_counts_within_a_key_alone() {
        let swapped = verdict(b"k 1\nl 2\nk 3\n", &[], &[b"k 3\nk 1\n", b"l 2\n"]);
        assert_eq!((swapped.out_of_order, swapped.lost), (1, 0));
        assert!(swapped.is_good(false) && !swapped.is_good(true));
        assert_eq!(verdict(b"k 1\nl 2\nk 3\n", &[], &[b"l 2\nk 1\nk 3\n"]).out_of_order, 0);
    }

    #[test]
    fn equal_lines_with_keys_of_their_numbers_have_no_order() {
        // Lines 1 and 3 are equal but of different keys: the third may well come first, before line 2.
        assert_eq!(verdict(b" x\n y\n x\n", &[], &[b" x\n x\n y\n"]).out_of_order, 0);
        assert_eq!(verdict(b"k x\nk y\nk x\n", &[], &[b"k x\nk x\nk y\n"]).out_of_order, 1);
    }

    #[test]
    fn lines_that_were_refused_are_not_missed() {
        assert!(verdict(b"k 1\nk 2\nk 3", &[1], &[b"k 1\nk 3\n"]).is_good(true));
    }
}
