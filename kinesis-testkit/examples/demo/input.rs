//! Where lines come from; they can be read again, for the verdict.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use kinesis_core::{HashKey, Randomness};

use crate::line::{partition_key, record_bytes};

/// How many hash keys of the input are kept, to see where its records will go.
const SAMPLE: usize = 4096;

/// The lines of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A file, also one that standard input was written to.
    File(PathBuf),
    /// Events made of a seed.
    Generated { records: u64, bytes: u32, seed: u64 },
}

/// What a look at the whole input found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// How many lines there are.
    pub(crate) lines: u64,
    /// The numbers of lines that no record can hold, from 0.
    pub(crate) too_large: Vec<u64>,
    /// Hash keys of lines, evenly taken.
    pub(crate) sample: Vec<HashKey>,
}

impl Input {
    /// Calls `each` with the number and the bytes of every line, without its newline.
    pub(crate) fn for_each(&self, mut each: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut lines = self.lines()?;
        let mut number = 0;
        while let Some(line) = lines.next_line()? {
            each(number, line)?;
            number += 1;
        }
        Ok(())
    }

    /// The lines, one by one.
    pub(crate) fn lines(&self) -> io::Result<Lines> {
        let source = match self {
            Self::File(path) => Source::File(BufReader::with_capacity(1 << 16, File::open(path)?)),
            Self::Generated { records, bytes, seed } => {
                Source::Generated { left: *records, number: 0, bytes: *bytes as usize, seed: *seed }
            }
        };
        Ok(Lines { source, line: Vec::new() })
    }

    /// Looks at every line: how many there are, which are too large, and where they will go.
    pub(crate) fn scan(&self, max_record_bytes: usize) -> io::Result<Scan> {
        let mut scan = Scan::default();
        let mut stride = 1;
        self.for_each(|number, line| {
            scan.lines += 1;
            if record_bytes(line, number) > max_record_bytes {
                scan.too_large.push(number);
            }
            if number % stride == 0 {
                scan.sample.push(HashKey::of_partition_key(&partition_key(line, number)));
            }
            if scan.sample.len() == 2 * SAMPLE {
                let mut keep = false;
                scan.sample.retain(|_| {
                    keep = !keep;
                    keep
                });
                stride *= 2;
            }
            Ok(())
        })?;
        Ok(scan)
    }
}

/// Reads lines of an [`Input`].
#[derive(Debug)]
pub(crate) struct Lines {
    source: Source,
    line: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    File(BufReader<File>),
    Generated { left: u64, number: u64, bytes: usize, seed: u64 },
}

impl Lines {
    /// The next line, without its newline; a last line need not have one.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        match &mut self.source {
            Source::File(file) => {
                if file.read_until(b'\n', &mut self.line)? == 0 {
                    return Ok(None);
                }
                if self.line.last() == Some(&b'\n') {
                    self.line.pop();
                }
            }
            Source::Generated { left: 0, .. } => return Ok(None),
            Source::Generated { left, number, bytes, seed } => {
                generate(&mut self.line, *number, *bytes, *seed)?;
                *number += 1;
                *left -= 1;
            }
        }
        Ok(Some(&self.line))
    }
}

/// An event of a customer: a key, a number, and letters up to the wanted length.
fn generate(line: &mut Vec<u8>, number: u64, bytes: usize, seed: u64) -> io::Result<()> {
    let mut random = Randomness::from_seed(seed.wrapping_add(number)).stream("event");
    write!(line, "customer-{:05} {number:010} ", random.below(10_000))?;
    while line.len() < bytes {
        let word = random.next_u64().to_be_bytes();
        line.extend(word.iter().map(|byte| b'a' + byte % 26).take(bytes - line.len()));
    }
    line.truncate(bytes);
    Ok(())
}

/// Writes standard input to a file, so that the verdict can read it again.
pub(crate) fn spool(from: &mut impl BufRead, to: &Path) -> io::Result<()> {
    let mut file = File::create(to)?;
    io::copy(from, &mut file)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(input: &Input) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        input
            .for_each(|_, line| {
                lines.push(line.to_vec());
                Ok(())
            })
            .unwrap();
        lines
    }

    #[test]
    fn a_file_is_cut_at_newlines_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"a\r\n\n\xff\nlast").unwrap();
        let lines = collect(&Input::File(file.path().into()));
        assert_eq!(lines, [&b"a\r"[..], b"", b"\xff", b"last"]);
    }

    #[test]
    fn generated_events_repeat_and_have_their_length() {
        let input = Input::Generated { records: 50, bytes: 100, seed: 7 };
        let lines = collect(&input);
        assert_eq!(lines, collect(&input));
        assert!(lines.iter().all(|line| line.len() == 100 && line.starts_with(b"customer-")));
    }

    #[test]
    fn a_scan_finds_lines_that_no_record_can_hold() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"short\nmuch longer than that\nok").unwrap();
        let scan = Input::File(file.path().into()).scan(30).unwrap();
        assert_eq!((scan.lines, scan.too_large, scan.sample.len()), (3, vec![1], 3));
    }
}
