//! One connection, from its first byte on: TLS, which HTTP it is, and its calls.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::respond::Responder;

/// What a connection over HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How many calls there may be at once over one connection with HTTP/2.
const MAX_STREAMS: u32 = 100;
/// How much a client may send ahead over HTTP/2, of one call and of a connection.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Serves a connection until it ends; an error of it is of no interest to others.
///
/// For each step of the client's the server waits that long.
pub(super) async fn connection(
    responder: Arc<Responder>,
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    read_timeout: Duration,
    stopped: watch::Receiver<()>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let ended = match acceptor {
        None => serve(responder, stream, read_timeout, stopped).await,
        Some(acceptor) => match within(read_timeout, &stopped, acceptor.accept(stream)).await {
            Ok(stream) => serve(responder, stream, read_timeout, stopped).await,
            Err(error) => Err(error.into()),
        },
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// Waits for a client, but neither for ever nor past the end of the server.
async fn within<T>(
    limit: Duration,
    stopped: &watch::Receiver<()>,
    step: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let mut stopped = stopped.clone();
    tokio::select! {
        biased;
        _ = stopped.changed() => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the server stops")),
        done = timeout(limit, step) => done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    }
}

async fn serve<S>(
    responder: Arc<Responder>,
    mut stream: S,
    read_timeout: Duration,
    mut stopped: watch::Receiver<()>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begin = within(read_timeout, &stopped, beginning(&mut stream)).await?;
    let is_http2 = begin == PREFACE;
    let stream = TokioIo::new(Rewound { begin, given: 0, stream });
    let handler = service_fn(move |request| Arc::clone(&responder).respond(request));
    if is_http2 {
        let mut connection = pin!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .keep_alive_interval(read_timeout)
                .keep_alive_timeout(read_timeout)
                .serve_connection(stream, handler)
        );
        tokio::select! {
            biased;
            ended = &mut connection => Ok(ended?),
            // The sender only ever goes away.
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                Ok(connection.await?)
            }
        }
    } else {
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(read_timeout)
                .serve_connection(stream, handler)
        );
        tokio::select! {
            biased;
            ended = &mut connection => Ok(ended?),
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                Ok(connection.await?)
            }
        }
    }
}

/// Reads as far as it takes to tell HTTP/2 from HTTP/1.1.
async fn beginning(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut begin = Vec::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&begin) && begin.len() < PREFACE.len() {
        let rest = (PREFACE.len() - begin.len()) as u64;
        if (&mut *stream).take(rest).read_buf(&mut begin).await? == 0 {
            break;
        }
    }
    Ok(begin)
}

/// A stream whose first bytes were read before.
struct Rewound<S> {
    begin: Vec<u8>,
    given: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.begin[self.given..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.given += length;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
