//! PutRecords over HTTP/1.1: records per second, in JSON and in CBOR.
//!
//! A server and its clients share this process and its cores. Each of eight connections sends a request of 500 records
//! of 100 bytes, which was written before, as soon as the answer to the last one is there. The formats take turns.
//! Prints calls and records per second, and how long a call takes. Fails where a record is missing, or where CBOR is
//! slower than JSON by more than a tenth. `--seconds` sets how long each format has in all.

#[path = "shared/measure.rs"]
mod measure;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use kinesis_testkit::{FakeKinesis, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::measure::{exit_code, verdict};

const STREAM: &str = "orders";
const CONNECTIONS: usize = 8;
const ENTRIES: usize = 500;
const DATA: [u8; 100] = [0xa5; 100];
const TURNS: u32 = 4;

#[derive(Debug, Parser)]
struct Arguments {
    /// How long each format is measured.
    #[arg(long, default_value_t = if cfg!(debug_assertions) { 1 } else { 4 })]
    seconds: u64,
    /// Passed by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("put_over_http", run(&Arguments::parse()).await)
}

/// What was measured of a format.
#[derive(Debug, Default)]
struct Figures {
    calls: Vec<Duration>,
    elapsed: Duration,
}

async fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let fake = FakeKinesis::builder().stream(STREAM, 4).journal(false).build();
    let server = Server::bind(&fake, "127.0.0.1:0").await?;
    let address = server.local_addr();
    let running = tokio::spawn(server.run(std::future::pending()));
    let formats = [("JSON", request("json", &json())), ("CBOR", request("cbor", &cbor()))];
    let mut figures = [Figures::default(), Figures::default()];
    let turn = Duration::from_secs(arguments.seconds) / TURNS;
    for round in 0..=TURNS {
        for ((_, request), figures) in formats.iter().zip(&mut figures) {
            let measured = put(address, request, turn).await?;
            let stored = fake.stored(STREAM)?.records;
            let expected = measured.calls.len() * ENTRIES;
            if stored != expected as u64 {
                return Err(format!("{stored} records are stored, not {expected}").into());
            }
            fake.trim(STREAM, fake.clock().now() + Duration::from_secs(1))?;
            // The first round warms up.
            if round > 0 {
                figures.calls.extend(measured.calls);
                figures.elapsed += measured.elapsed;
            }
        }
    }
    running.abort();
    let seconds =
        formats.iter().zip(&mut figures).map(|((name, request), figures)| report(name, request.len(), figures));
    let seconds: Vec<f64> = seconds.collect();
    Ok(verdict("time of CBOR by that of JSON", seconds[1] / seconds[0], 1.1))
}

/// Prints the figures of a format; returns how long a record takes.
fn report(name: &str, request_bytes: usize, figures: &mut Figures) -> f64 {
    figures.calls.sort();
    let calls = figures.calls.len();
    let per_second = calls as f64 / figures.elapsed.as_secs_f64();
    let millis = |part: usize| figures.calls[(calls * part / 100).min(calls - 1)].as_secs_f64() * 1000.0;
    println!(
        "{name}, {request_bytes} bytes a call: {per_second:.0} calls/s, {:.0} records/s, p50 {:.2} ms, p99 {:.2} ms",
        per_second * ENTRIES as f64,
        millis(50),
        millis(99)
    );
    1.0 / per_second
}

/// Puts over all connections for some time.
async fn put(address: SocketAddr, request: &[u8], turn: Duration) -> Result<Figures, Box<dyn Error>> {
    let begin = Instant::now();
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(put_over_one(address, request.to_vec(), begin + turn));
    }
    let mut figures = Figures::default();
    while let Some(calls) = connections.join_next().await {
        figures.calls.extend(calls?.map_err(|error| -> Box<dyn Error> { error })?);
    }
    figures.elapsed = begin.elapsed();
    Ok(figures)
}

async fn put_over_one(
    address: SocketAddr,
    request: Vec<u8>,
    end: Instant,
) -> Result<Vec<Duration>, Box<dyn Error + Send + Sync>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut calls, mut answer) = (Vec::new(), Vec::with_capacity(128 * 1024));
    while Instant::now() < end {
        let begin = Instant::now();
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut answer).await?;
        calls.push(begin.elapsed());
    }
    Ok(calls)
}

async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<(), Box<dyn Error + Send + Sync>> {
    answer.clear();
    let mut length = None;
    while length.is_none_or(|length| answer.len() < length) {
        if stream.read_buf(answer).await? == 0 {
            return Err("the connection was closed".into());
        }
        if length.is_none()
            && let Some(at) = answer.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let head = std::str::from_utf8(&answer[..at])?;
            if !head.starts_with("HTTP/1.1 200") {
                return Err(head.to_owned().into());
            }
            let body = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            length = Some(at + 4 + body.ok_or("no length")?.parse::<usize>()?);
        }
    }
    Ok(())
}

fn request(format: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\ncontent-type: application/x-amz-{format}-1.1\r\n\
         x-amz-target: Kinesis_20131202.PutRecords\r\nx-amz-date: 20260101T000000Z\r\nauthorization: \
         AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, \
         Signature=0\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn json() -> Vec<u8> {
    let data = STANDARD.encode(DATA);
    let entry = |n: usize| format!("{{\"Data\":\"{data}\",\"PartitionKey\":\"key-{n:08}\"}}");
    let entries: Vec<String> = (0..ENTRIES).map(entry).collect();
    format!("{{\"StreamName\":\"{STREAM}\",\"Records\":[{}]}}", entries.join(",")).into_bytes()
}

/// As the SDKs for Java write it: maps and lists without lengths.
fn cbor() -> Vec<u8> {
    let mut body = b"\xbf\x6aStreamName\x66orders\x67Records\x9f".to_vec();
    for n in 0..ENTRIES {
        body.extend(b"\xbf\x64Data\x58\x64");
        body.extend(DATA);
        body.extend(b"\x6cPartitionKey\x6c");
        body.extend(format!("key-{n:08}").as_bytes());
        body.push(0xff);
    }
    body.extend(b"\xff\xff");
    body
}
