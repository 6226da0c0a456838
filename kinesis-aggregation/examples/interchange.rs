//! Aggregates for other programs: `interchange encode` and `interchange decode`, from standard input to standard output.
//!
//! A line is a user record: partition key, explicit hash key (`-` where there is none) and data in hexadecimal, with tabs
//! between. Encoding makes one line of all of them, an aggregate in hexadecimal; decoding reads such lines.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _, stdin, stdout};

use bytes::Bytes;
use kinesis_aggregation::{AggregateBuilder, decode};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let mut input = String::new();
    stdin().read_to_string(&mut input)?;
    let output = match std::env::args().nth(1).as_deref() {
        Some("encode") => encode(&input)?,
        Some("decode") => decode_all(&input)?,
        _ => return Err("write `interchange encode` or `interchange decode`".into()),
    };
    Ok(stdout().write_all(output.as_bytes())?)
}

fn encode(input: &str) -> Result<String, Failure> {
    let mut builder = AggregateBuilder::new();
    for line in input.lines() {
        let mut parts = line.split('\t');
        let (Some(key), Some(hash_key), Some(data)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(format!("`{line}` has no three parts").into());
        };
        let hash_key = if hash_key == "-" { None } else { Some(hash_key.parse()?) };
        builder.add(key, hash_key, &from_hex(data)?);
    }
    Ok(to_hex(&builder.finish()) + "\n")
}

fn decode_all(input: &str) -> Result<String, Failure> {
    let mut output = String::new();
    for line in input.lines() {
        let aggregate = decode(&Bytes::from(from_hex(line)?))?.ok_or("this is no aggregate")?;
        for member in aggregate.members() {
            let hash_key = member.explicit_hash_key().map_or_else(|| "-".to_owned(), |key| key.to_string());
            writeln!(output, "{}\t{hash_key}\t{}", member.partition_key(), to_hex(&member.data()))?;
        }
    }
    Ok(output)
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Result<Vec<u8>, Failure> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}
