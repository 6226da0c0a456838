//! The workspace's commands: `cargo xtask ci | tidy | demo | crash | downstream | interop | model | package-check | sim`.

mod cargo;
mod ci;
mod console;
mod crash;
mod demo;
mod downstream;
mod interop;
mod model;
mod package_check;
mod sim;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
The workspace's commands.

Usage: cargo xtask COMMAND

Commands:
  demo [OPTIONS]  Builds the demo with optimisation and runs it; `cargo xtask demo --help` lists its options
  ci              Everything that must hold before a change lands, with a table of times at the end
  tidy            Layers, lengths and house rules alone, in a second
  crash           Kills the consuming demo ten times (SIGKILL) and sees another process finish its job
  downstream      Builds and tests three packages outside of the workspace that use its crates
  interop [--peers] [--write]
                  Serves boto3, the SDK for JavaScript and aws_kinesis_agg (needs Python 3, Node and the package indices);
                  --peers compares other implementations, too, and --write keeps what was found in docs/interop.md
  model [--write] Says whether the constraints of the service model are what their script makes of botocore (needs
                  Python 3 and the package index); --write makes them anew
  sim [--seeds A..B[+N] | --plan FILE | --shrink FILE | --mutants]
                  Plays seeds of the whole stack under simulation, N of them at random (0..200+50 without options), a
                  plan that a broken seed left behind, makes such a plan smaller, or looks for deliberate faults
  package-check   Packs every crate in publish order and builds it from its package, without upload
  help            This text

Paths are relative to the current directory. Exit codes: 0 all is well, 1 a check failed, 2 wrong usage;
`demo` hands on the demo's own.";

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<_> = args.collect();
    match (command.to_str(), rest.as_slice()) {
        (Some("demo"), options) => demo::run(options),
        (Some("ci"), []) => ci::run(),
        (Some("tidy"), []) => tidy::run(),
        (Some("crash"), []) => crash::run(),
        (Some("downstream"), []) => downstream::run(),
        (Some("interop"), words) => match interop::Options::parse(words) {
            Some(options) => interop::run(options),
            None => usage("this command takes --peers, --write, both or nothing"),
        },
        (Some("model"), []) => model::run(false),
        (Some("model"), [option]) if option == "--write" => model::run(true),
        (Some("sim"), words) => match sim::Options::parse(words) {
            Some(options) => sim::run(&options),
            None => usage(
                "this command takes --seeds A..B, --seeds A..B+N, --plan FILE, --shrink FILE, --mutants or nothing",
            ),
        },
        (Some("package-check"), []) => package_check::run(),
        (Some("help" | "--help" | "-h"), _) => {
            console::say(HELP);
            ExitCode::SUCCESS
        }
        (Some(""), []) => usage("a command is missing"),
        (Some("ci" | "tidy" | "crash" | "downstream" | "package-check"), _) => usage("this command takes no options"),
        (Some("model"), _) => usage("this command takes --write or nothing"),
        _ => usage(&format!("no such command: {}", command.display())),
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("error: {problem}\n\n{HELP}");
    ExitCode::from(2)
}
