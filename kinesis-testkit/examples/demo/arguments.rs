//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Writes lines to a stream, reads them back exactly once while the stream is resharded and the consumer is killed,
/// and proves it by comparing input and output.
#[derive(Clone, Debug, Parser)]
#[command(name = "demo")]
pub(crate) struct Arguments {
    /// The lines to write, `-` for standard input; generated events without it.
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Where the lines arrive, as `part-*`; a temporary directory without it.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// The shards that the stream begins with.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) shards: u32,
    /// The consumer's subtasks at first; each restore takes another number.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) parallelism: u16,
    /// How many events are generated where there is no input.
    #[arg(long, default_value_t = 100_000, conflicts_with = "input")]
    pub(crate) records: u64,
    /// The length of a generated event.
    #[arg(long, default_value_t = 100, conflicts_with = "input", value_parser = clap::value_parser!(u32).range(32..=65536))]
    pub(crate) record_bytes: u32,
    /// The seed of generated events and of all jitter.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Works against this endpoint instead of the embedded fake.
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The region that requests are signed for.
    #[arg(long, default_value = "us-east-1")]
    pub(crate) region: String,
    /// The stream; made where it is missing.
    #[arg(long, default_value = "demo")]
    pub(crate) stream: String,
    /// Keeps the order of lines with the same key, and fails where it is broken.
    #[arg(long)]
    pub(crate) ordered: bool,
    /// Writes nothing: resumes from what the output directory holds, and ends when it has caught up.
    #[arg(long, requires = "endpoint", requires = "output", conflicts_with = "faults")]
    pub(crate) consume_only: bool,
    /// No resharding, no lost replies, no kills; so it is on an endpoint, unless `--faults` asks for them.
    #[arg(long, conflicts_with = "faults")]
    pub(crate) no_faults: bool,
    /// Reshards and kills on an endpoint too; the reply to a write can be lost on the embedded fake alone.
    #[arg(long)]
    pub(crate) faults: bool,
    /// The limits of the embedded fake.
    #[arg(long, value_enum, default_value_t = LimitsChoice::Off)]
    pub(crate) limits: LimitsChoice,
    /// The producer's share of a shard's limits in percent; 100 under limits, else far beyond them.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate_limit: Option<u32>,
    /// One JSON object a line on standard output, the result last.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The limits that the embedded fake applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitsChoice {
    /// None.
    Off,
    /// Those of the service.
    Aws,
}

/// Far more than any shard takes here: the limiter never waits.
const UNLIMITED_PERCENT: u32 = 1_000_000;

impl Arguments {
    pub(crate) fn with_faults(&self) -> bool {
        self.faults || (!self.no_faults && self.endpoint.is_none())
    }

    pub(crate) fn rate_limit_percent(&self) -> u32 {
        let default = match self.limits {
            LimitsChoice::Off if self.endpoint.is_none() => UNLIMITED_PERCENT,
            LimitsChoice::Off | LimitsChoice::Aws => 100,
        };
        self.rate_limit.unwrap_or(default)
    }
}
