//! The fake as a server: `kinesis-testkit serve`.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use aws_credential_types::Credentials;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use kinesis_testkit::{FakeKinesis, FakeKinesisBuilder, FaultPlan, Limits, Server};
use tracing::level_filters::LevelFilter;

/// The exit code for what the caller got wrong.
const USAGE: u8 = 2;

/// A faithful Amazon Kinesis Data Streams for tests.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers the Kinesis API over HTTP until it is interrupted.
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes any that is free.
    #[arg(long, default_value_t = 4567)]
    port: u16,
    /// A stream that is there from the start; may be repeated.
    #[arg(long = "stream", value_name = "NAME:SHARDS", value_parser = parse_stream)]
    streams: Vec<(String, u32)>,
    /// What the service allows: rates of shards and of the control plane, and quotas.
    #[arg(long, value_enum, default_value_t = LimitsChoice::Off)]
    limits: LimitsChoice,
    /// An on-demand stream that is there from the start; may be repeated.
    #[arg(long = "on-demand-stream", value_name = "NAME")]
    on_demand_streams: Vec<String>,
    /// Where to keep the state, so that it outlives this process, a crash of it too; by default it ends with it.
    #[arg(long, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// Faults to inject, as the JSON of a FaultPlan.
    #[arg(long, value_name = "PATH")]
    faults: Option<PathBuf>,
    /// Seeds what is random: request ids, and the faults that strike with a probability.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How long a new stream stays in the state CREATING, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    creating_ms: u64,
    /// How long a stream stays in the state UPDATING, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    updating_ms: u64,
    /// How long a stream stays in the state DELETING, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    deleting_ms: u64,
    /// How long every call takes, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=3_600_000))]
    latency_ms: u64,
    /// The region that ARNs name.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The account that ARNs name.
    #[arg(long, default_value = "123456789012")]
    account: String,
    /// Serves over TLS, with a certificate for localhost, 127.0.0.1, ::1 and the host, made at the start.
    #[arg(long)]
    tls: bool,
    /// Where to write the certificate that clients have to trust, as PEM.
    #[arg(long, value_name = "PATH", requires = "tls")]
    certificate_file: Option<PathBuf>,
    /// A key that requests have to be signed with; may be repeated. Without one any signature will do.
    #[arg(long = "verify", value_name = "ACCESS_KEY_ID:SECRET[:SESSION_TOKEN]")]
    keys: Vec<String>,
    /// How many connections there may be at once; further ones are closed.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_connections: u32,
    /// What is logged to stderr; at info there is a line per call.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = LogLevel::Warn)]
    log: LogLevel,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LimitsChoice {
    /// No limits.
    Off,
    /// Those of an AWS account that asked for no more.
    Aws,
}

fn parse_stream(text: &str) -> Result<(String, u32), String> {
    let (name, shards) = text.rsplit_once(':').ok_or("write NAME:SHARDS, such as orders:4")?;
    match shards.parse() {
        Ok(shards) if (1..=10_000).contains(&shards) => Ok((name.to_owned(), shards)),
        _ => Err(format!("`{shards}` is no number of shards: write 1 to 10000")),
    }
}

/// Reads a key; not while the arguments are parsed, since what is wrong with those is shown, and this is a secret.
fn parse_key(text: &str) -> Result<Credentials, &'static str> {
    let mut parts = text.splitn(3, ':');
    let (id, secret, token) = (parts.next(), parts.next(), parts.next());
    match (id, secret) {
        (Some(id), Some(secret)) if !id.is_empty() && !secret.is_empty() && token != Some("") => {
            Ok(Credentials::new(id, secret, token.map(str::to_owned), None, "command line"))
        }
        _ => Err("--verify takes ACCESS_KEY_ID:SECRET or ACCESS_KEY_ID:SECRET:SESSION_TOKEN"),
    }
}

impl Serve {
    fn address(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') && !host.starts_with('[') {
            return format!("[{host}]:{port}");
        }
        format!("{host}:{port}")
    }

    fn builder(&self) -> Result<FakeKinesisBuilder, &'static str> {
        let limits = match self.limits {
            LimitsChoice::Off => Limits::off(),
            LimitsChoice::Aws => Limits::aws(),
        };
        let builder = FakeKinesis::builder()
            .journal(false)
            .limits(limits)
            .latency(Duration::from_millis(self.latency_ms))
            .creating(Duration::from_millis(self.creating_ms))
            .updating(Duration::from_millis(self.updating_ms))
            .deleting(Duration::from_millis(self.deleting_ms))
            .seed(self.seed)
            .region(&self.region)
            .account(&self.account);
        let builder = self.streams.iter().fold(builder, |builder, (name, shards)| builder.stream(name, *shards));
        let builder = self.on_demand_streams.iter().fold(builder, FakeKinesisBuilder::on_demand_stream);
        let builder = match &self.directory {
            Some(path) => builder.directory(path),
            None => builder,
        };
        self.keys.iter().try_fold(builder, |builder, key| Ok(builder.verify_signatures(parse_key(key)?)))
    }

    /// Injects the faults of the file.
    fn inject(&self, fake: &FakeKinesis) -> Result<(), Box<dyn Error>> {
        let Some(path) = &self.faults else { return Ok(()) };
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the faults of {}: {error}", path.display()))?;
        let plan =
            FaultPlan::from_json(&text).map_err(|error| format!("{} is no plan of faults: {error}", path.display()))?;
        fake.inject_plan(&plan);
        Ok(())
    }

    async fn bind(&self, fake: &FakeKinesis) -> Result<Server, Box<dyn Error>> {
        let builder = Server::builder(fake).max_connections(self.max_connections as usize);
        let builder = if self.tls { builder.tls() } else { builder };
        let server = builder.bind(self.address()).await?;
        if let (Some(path), Some(pem)) = (&self.certificate_file, server.certificate_pem()) {
            write_certificate(path, pem)?;
        }
        Ok(server)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Serve(arguments) = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return fail("error: a command is missing; write `kinesis-testkit serve`, or see --help");
        }
        Err(error) if error.use_stderr() => return fail(&first_paragraph(&error.to_string())),
        Err(help) => {
            print!("{help}");
            return ExitCode::SUCCESS;
        }
    };
    match serve(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("error: {}", chain(error.as_ref()))),
    }
}

fn write_certificate(path: &Path, pem: &str) -> Result<(), String> {
    std::fs::write(path, pem).map_err(|error| format!("cannot write the certificate to {}: {error}", path.display()))
}

async fn serve(arguments: &Serve) -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_max_level(arguments.log).with_writer(std::io::stderr).with_ansi(false).init();
    // The handlers stand before the address is printed: whoever reads it may send a signal at once.
    let stop = stop_signal()?;
    let fake = arguments.builder()?.try_build()?;
    arguments.inject(&fake)?;
    let server = arguments.bind(&fake).await?;
    writeln!(std::io::stdout(), "listening on {}", server.url())?;
    server.run(stop).await;
    Ok(())
}

#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>, std::io::Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            biased;
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>, std::io::Error> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// What stands before the first empty line, on one line.
fn first_paragraph(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ")
}

/// An error with its causes, on one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(USAGE)
}
