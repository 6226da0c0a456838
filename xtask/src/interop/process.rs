//! Other processes: what they print, and when they answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take until it answers, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_micros(500);

/// Runs a command and returns what it printed; its stderr is passed through.
pub(super) fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start `{program}`: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(format!("`{program}` failed: {}\n{text}", output.status)) }
}

/// A port on loopback that nobody uses now.
pub(super) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

/// A server in a process of its own; ended with the value.
pub(super) struct Server {
    process: Child,
    pub(super) endpoint: String,
}

impl Server {
    /// Starts the testkit's server; with a file for its certificate it speaks TLS.
    pub(super) fn start(program: &Path, certificate: Option<&Path>) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(["serve", "--port", "0"]);
        if let Some(path) = certificate {
            command.arg("--tls").arg("--certificate-file").arg(path);
        }
        let mut server = Self { process: spawn(command.stdout(Stdio::piped()))?, endpoint: String::new() };
        let mut ready = String::new();
        if let Some(output) = server.process.stdout.as_mut() {
            BufReader::new(output)
                .read_line(&mut ready)
                .map_err(|error| format!("the server says nothing: {error}"))?;
        }
        let endpoint = ready.trim().strip_prefix("listening on ");
        server.endpoint = endpoint.ok_or_else(|| format!("the server says `{}`", ready.trim()))?.to_owned();
        Ok(server)
    }

    /// Starts any other server, and waits until it answers on its port.
    pub(super) fn start_other(command: &mut Command, port: u16) -> Result<Self, String> {
        let process = spawn(command.stdout(Stdio::null()).stderr(Stdio::null()))?;
        let mut server = Self { process, endpoint: format!("http://127.0.0.1:{port}") };
        let begin = now();
        while !answers(port) {
            if now().duration_since(begin) > PATIENCE {
                return Err(format!("nothing answers on port {port}"));
            }
            if let Ok(Some(status)) = server.process.try_wait() {
                return Err(format!("the server on port {port} ended: {status}"));
            }
            pause();
        }
        Ok(server)
    }

    /// The memory that it has, in KiB.
    pub(super) fn resident_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How long it takes until a server that is started now answers a call.
pub(super) fn startup(command: &mut Command, port: u16) -> Result<(Duration, u64), String> {
    let begin = now();
    let server = Server::start_other(command, port)?;
    let elapsed = now().duration_since(begin);
    Ok((elapsed, server.resident_kib().unwrap_or_default()))
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).spawn().map_err(|error| format!("cannot start `{program}`: {error}"))
}

/// Whether a call is answered, with whatever it is.
fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = b"GET / HTTP/1.1\r\nhost: kinesis\r\nconnection: close\r\n\r\n";
    let mut first = [0];
    stream.set_read_timeout(Some(PATIENCE)).is_ok()
        && stream.write_all(request).is_ok()
        && stream.read_exact(&mut first).is_ok()
}

#[expect(clippy::disallowed_methods, reason = "another process is measured; there is no clock to turn")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for; there is no clock to turn")]
fn pause() {
    std::thread::sleep(POLL);
}
