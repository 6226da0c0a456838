//! The service over HTTP, for programs in other processes and languages.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::connection::connection;
use super::respond::Responder;
use super::tls::Tls;
use crate::fake::FakeKinesis;

/// How long calls in flight may take to end when the server stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);
/// How long the server waits after a connection could not be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const MAX_CONNECTIONS: usize = 1000;
/// Longer than clients keep an idle connection of theirs for the next call, as a rule.
const READ_TIMEOUT: Duration = Duration::from_secs(120);

/// A fake that listens on a socket.
///
/// It speaks the protocols JSON 1.1 and CBOR 1.1 over HTTP/1.1 and HTTP/2, over TLS where that was asked for; HTTP/2
/// without TLS needs no upgrade (prior knowledge), with TLS it is negotiated (ALPN). It wants requests to be signed, and
/// verifies signatures where keys were [given](crate::FakeKinesisBuilder::verify_signatures). `GET /health` answers
/// when it is up. A body has at most 24 MiB, and the bodies of all calls together have at most 512 MiB.
#[derive(Debug)]
pub struct Server {
    responder: Arc<Responder>,
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<Tls>,
    max_connections: usize,
    read_timeout: Duration,
}

/// What a server is to be.
#[derive(Clone, Debug)]
pub struct ServerBuilder {
    fake: FakeKinesis,
    tls: bool,
    max_connections: usize,
    read_timeout: Duration,
}

/// An address that the server cannot listen on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
#[non_exhaustive]
pub struct BindError {
    /// The address that was asked for.
    pub address: String,
    /// What the operating system says, or why there is no certificate for the host.
    #[source]
    pub source: io::Error,
}

impl ServerBuilder {
    /// Serves over TLS alone, with a certificate that is made now; by default there is no TLS.
    ///
    /// The certificate is for `localhost`, `127.0.0.1`, `::1` and the host that the server is bound to. Clients that
    /// trust [`Server::certificate_pem`] accept it.
    pub const fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// How many connections there may be at once, 1000 by default; further ones are closed as soon as they are accepted.
    pub const fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long the server waits for a request: 120 seconds by default.
    ///
    /// So much time has the handshake of TLS, then what begins a connection, then the headers of each request, from the
    /// end of the call before on: a connection over HTTP/1.1 that idles for longer is closed. So much time more has a
    /// body to arrive as a whole; then the answer is status 408. Over HTTP/2 it is a client that answers no ping which is
    /// closed.
    pub const fn read_timeout(mut self, timeout: Duration) -> Self {
        self.read_timeout = timeout;
        self
    }

    /// Listens on an address; port 0 takes any that is free.
    ///
    /// Cancel safety: a cancelled call listens on nothing.
    ///
    /// # Errors
    /// [`BindError`] where the address is in use, is not this machine's or may not be used, or where no certificate can
    /// be made for its host; a retry can succeed once the address is free.
    pub async fn bind(self, address: impl ToSocketAddrs + ToString) -> Result<Server, BindError> {
        let text = address.to_string();
        let listen = async {
            let tls = self.tls.then(|| Tls::generate(host(&text))).transpose()?;
            let listener = TcpListener::bind(address).await?;
            let local_addr = listener.local_addr()?;
            Ok((listener, local_addr, tls))
        };
        let (listener, local_addr, tls) = match listen.await {
            Ok(listening) => listening,
            Err(source) => return Err(BindError { address: text, source }),
        };
        Ok(Server {
            responder: Arc::new(Responder::new(Arc::clone(&self.fake.service), self.read_timeout)),
            listener,
            local_addr,
            tls,
            max_connections: self.max_connections,
            read_timeout: self.read_timeout,
        })
    }
}

/// The host of an address such as `[::1]:4567`.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Server {
    /// Begins a server of a fake; without more it has no TLS.
    pub fn builder(fake: &FakeKinesis) -> ServerBuilder {
        ServerBuilder { fake: fake.clone(), tls: false, max_connections: MAX_CONNECTIONS, read_timeout: READ_TIMEOUT }
    }

    /// Listens on an address without TLS, with the builder's other defaults; port 0 takes any that is free.
    ///
    /// Cancel safety: a cancelled call listens on nothing.
    ///
    /// # Errors
    /// [`BindError`] where the address is in use, is not this machine's or may not be used; a retry can succeed once
    /// the address is free.
    pub async fn bind(fake: &FakeKinesis, address: impl ToSocketAddrs + ToString) -> Result<Self, BindError> {
        Self::builder(fake).bind(address).await
    }

    /// The address that the server listens on.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The endpoint URL for a client's configuration.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.local_addr)
    }

    /// The certificate that clients have to trust, as PEM; none where there is no TLS.
    ///
    /// It is that of an authority which was made for this server and has signed nothing else; its key is gone.
    pub fn certificate_pem(&self) -> Option<&str> {
        self.tls.as_ref().map(Tls::certificate_pem)
    }

    /// Serves until `shutdown` is done; then calls in flight have one second to end.
    ///
    /// Cancel safety: a cancelled call drops all connections at once.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        let mut full = false;
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok(_) if connections.len() >= self.max_connections => {
                        // Said once, until there is room again: clients try again at once.
                        if !full {
                            tracing::warn!(connections = connections.len(), "too many connections: further ones are closed");
                        }
                        full = true;
                    }
                    Ok((stream, _)) => {
                        full = false;
                        let acceptor = self.tls.as_ref().map(Tls::acceptor);
                        let responder = Arc::clone(&self.responder);
                        connections.spawn(connection(responder, stream, acceptor, self.read_timeout, stopped.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        drop(stop);
        let drained = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, drained).await.is_err() {
            connections.shutdown().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_what_stands_before_the_port() {
        for (address, expected) in [("127.0.0.1:0", "127.0.0.1"), ("[::1]:4567", "::1"), ("fake.test:1", "fake.test")] {
            assert_eq!(host(address), expected);
        }
    }
}
