//! The main job, end to end: lines are written to a stream and read back exactly once, while the stream is resharded,
//! a write is acknowledged into the void, and the consumer is killed and restored. Run it by `cargo xtask demo`.

mod arguments;
mod dedup;
mod failure;
#[cfg(test)]
mod faults;
mod feed;
mod input;
mod line;
#[cfg(test)]
mod main_job;
mod observer;
mod plan;
mod run;
mod verdict;
mod view;
mod workspace;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

/// Exit codes: 0 if every line arrived once, 1 if not, 2 if the arguments cannot be used.
#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run::run(arguments).await {
        Ok(good) => ExitCode::from(u8::from(!good)),
        Err(failure) => {
            eprintln!("demo: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
