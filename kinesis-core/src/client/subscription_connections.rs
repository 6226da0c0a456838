//! The connections that subscriptions are read over.
//!
//! An HTTP/2 connection is shared by all that goes over it, and so is its window: with the windows that HTTP clients come
//! with, three subscriptions whose events nobody takes stop every other one of the connection (hyper issue 2899). Here
//! the window of a connection is the sum of those of the subscriptions that it may carry, so that none can use up
//! another's.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector as TcpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;

/// What may be on its way in one subscription; as Flink and the KCL have it (`AWSGeneralUtil`, `KinesisClientUtil`).
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// The subscriptions of one connection; below what servers allow by default (RFC 9113, at least 100).
const STREAMS: u32 = 64;
/// How often a connection with open subscriptions is probed, and how long the answer may take: a connection whose other
/// end is gone fails all of them, and the pool does not use it again.
const PROBE_INTERVAL: Duration = Duration::from_secs(10);
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

type Http = Client<HttpsConnector<TcpConnector>, SdkBody>;

/// One connection, made when it is first needed, and again when it broke.
#[derive(Clone)]
struct Lane {
    http: Http,
    /// As many clones as bodies that are being read, and this one.
    readers: Arc<()>,
}

impl Lane {
    fn is_full(&self) -> bool {
        Arc::strong_count(&self.readers) > STREAMS as usize
    }
}

/// An HTTP client that has as many connections as its subscriptions need.
#[derive(Clone)]
pub(super) struct SubscriptionConnections {
    lanes: Arc<Mutex<Vec<Lane>>>,
    connect_timeout: Duration,
    tls: Arc<rustls::ClientConfig>,
}

impl SubscriptionConnections {
    /// Trusts the operating system's certificates; where there are none, no connection by TLS comes about.
    pub(super) fn new(connect_timeout: Duration) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(crypto_provider()))
            .with_safe_default_protocol_versions()
            .expect("invariant: both providers have suites for the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { lanes: Arc::default(), connect_timeout, tls: Arc::new(tls) }
    }

    /// The first connection that has room, so that few are open.
    fn lane(&self) -> Lane {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.iter().find(|lane| !lane.is_full()) {
            return lane.clone();
        }
        let lane = Lane { http: self.http(), readers: Arc::new(()) };
        lanes.push(lane.clone());
        lane
    }

    fn http(&self) -> Http {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        let tls = rustls::ClientConfig::clone(&self.tls);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http2();
        Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_only(true)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(STREAM_WINDOW_BYTES * STREAMS)
            .http2_keep_alive_interval(PROBE_INTERVAL)
            .http2_keep_alive_timeout(PROBE_TIMEOUT)
            .build(connector.wrap_connector(tcp))
    }
}

impl fmt::Debug for SubscriptionConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriptionConnections").field("connections", &self.lanes.lock().len()).finish()
    }
}

impl HttpClient for SubscriptionConnections {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for SubscriptionConnections {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Lane { http, readers } = self.lane();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = http.request(request).await.map_err(|error| connector_error(error.into()))?;
            // The body has its place on the connection until it is dropped.
            let response = response.map(|body| {
                SdkBody::from_body_1_x(body.map_frame(move |frame| {
                    let _ = &readers;
                    frame
                }))
            });
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Every failure is one of the connection: what came before was checked by the SDK.
fn connector_error(error: Box<dyn StdError + Send + Sync>) -> ConnectorError {
    ConnectorError::io(error)
}

/// The provider that the features chose; ring where both are in the tree.
fn crypto_provider() -> CryptoProvider {
    #[cfg(feature = "tls-ring")]
    return rustls::crypto::ring::default_provider();
    #[cfg(all(feature = "tls-aws-lc", not(feature = "tls-ring")))]
    return rustls::crypto::aws_lc_rs::default_provider();
}
