//! The whole job, as a user runs it.

use std::fs;
use std::path::Path;

use clap::Parser;
use tempfile::TempDir;

use crate::arguments::Arguments;
use crate::run::run;
use crate::verdict::parts;

async fn demo(arguments: &[&str]) -> Result<bool, crate::failure::Failure> {
    run(Arguments::parse_from([&["demo", "--json"], arguments].concat())).await
}

fn sorted_lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.sort();
    lines
}

fn output(directory: &Path) -> Vec<u8> {
    parts(directory).unwrap().iter().flat_map(|part| fs::read(part).unwrap()).collect()
}

/// Lines as real logs have them: few keys, repetitions, carriage returns, bytes that are no text, none at the end.
fn log() -> Vec<u8> {
    let mut log = Vec::new();
    for number in 0..400 {
        log.extend(match number % 5 {
            0 => format!("host-{} event {number}\r\n", number % 3).into_bytes(),
            1 => b"host-0 the same again\n".to_vec(),
            2 => b"\n".to_vec(),
            3 => b"\xff\xfe no text\n".to_vec(),
            _ => format!("\tindented {number}\n").into_bytes(),
        });
    }
    log.extend(b"last line, cut short");
    log
}

#[tokio::test(start_paused = true)]
async fn every_line_arrives_exactly_once_through_resharding_kills_and_a_lost_reply() {
    let directory = TempDir::new().unwrap();
    let (input, out) = (directory.path().join("log"), directory.path().join("out"));
    fs::write(&input, log()).unwrap();
    for ordered in [false, true] {
        let out = format!("{}-{ordered}", out.display());
        let mut arguments = vec!["--input", input.to_str().unwrap(), "--output", &out];
        if ordered {
            arguments.push("--ordered");
        }
        assert!(demo(&arguments).await.unwrap(), "ordered: {ordered}");
        assert_eq!(sorted_lines(&output(Path::new(&out))), sorted_lines(&log()), "ordered: {ordered}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_input_of_one_line_goes_through_every_fault_too() {
    let directory = TempDir::new().unwrap();
    let (input, out) = (directory.path().join("log"), directory.path().join("out"));
    fs::write(&input, "only").unwrap();
    assert!(demo(&["--input", input.to_str().unwrap(), "--output", out.to_str().unwrap()]).await.unwrap());
    assert_eq!(output(&out), b"only\n");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_no_record_can_hold_is_found_before_anything_is_written() {
    let directory = TempDir::new().unwrap();
    let (input, out) = (directory.path().join("log"), directory.path().join("out"));
    fs::write(&input, [b"a\n".to_vec(), vec![b'x'; 1_100_000], b"\nb\n".to_vec()].concat()).unwrap();
    let failure = demo(&["--input", input.to_str().unwrap(), "--output", out.to_str().unwrap()]).await.unwrap_err();
    assert_eq!(failure.code(), 2);
    assert!(failure.to_string().contains("line 2 "), "{failure}");
    assert!(!out.exists());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_used_is_named_in_one_line() {
    for (arguments, named) in [
        (["--region", "Nowhere"], "--region"),
        (["--stream", "a b"], "--stream"),
        (["--endpoint", "nonsense"], "aws.endpoint"),
        (["--input", "/does/not/exist"], "/does/not/exist"),
    ] {
        let failure = demo(&arguments).await.unwrap_err();
        let text = failure.to_string();
        assert!(failure.code() == 2 && text.contains(named) && !text.contains('\n'), "{text}");
    }
}
