//! The client of a configuration, against endpoints that are no help.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as ProvideCredentialsFuture;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_kinesis::config::{BehaviorVersion, Region};
use kinesis_core::{AwsConfig, ClientOptions, CredentialsSource, KinesisClient, RequestError, RequestErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn describe(address: SocketAddr) -> RequestError {
    describe_at(format!("http://{address}")).await
}

async fn describe_at(endpoint: String) -> RequestError {
    let config = AwsConfig::builder()
        .endpoint(endpoint)
        .credentials(CredentialsSource::basic("id", "key"))
        .connect_timeout(Duration::from_secs(1))
        .read_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let client = KinesisClient::connect(&config).await;
    client.describe_stream_summary(&"orders".parse().unwrap()).await.unwrap_err()
}

#[tokio::test]
async fn an_endpoint_where_nobody_listens_is_unreachable_and_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = describe(address).await;
    assert_eq!(error.kind(), RequestErrorKind::Unreachable, "{error:?}");
    assert!(error.is_retryable() && !error.may_have_been_applied());
    assert!(error.to_string().contains("DescribeStreamSummary on orders"), "{error}");
}

/// The request never left: nothing was received, and another try does no harm.
fn assert_unreachable(error: &RequestError) {
    assert_eq!(error.kind(), RequestErrorKind::Unreachable, "{error:?}");
    assert!(error.is_retryable() && !error.may_have_been_applied());
}

#[tokio::test]
async fn a_connection_that_cannot_be_made_in_time_carried_nothing() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The queue of the listener is full: the kernel answers no further connection.
    let mut queued = Vec::new();
    for _ in 0..4 {
        queued.push(tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(address)).await);
    }
    assert!(queued.last().unwrap().is_err(), "the queue is not full");
    assert_unreachable(&describe_at(format!("http://{address}")).await);
}

#[tokio::test]
async fn a_failed_handshake_of_tls_carried_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    };
    let ((), error) = tokio::join!(server, describe_at(format!("https://{address}")));
    assert_unreachable(&error);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_never_answers_is_given_up_after_the_time_limit() {
    // The kernel completes the connection; nobody ever takes it from the listener.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = describe(listener.local_addr().unwrap()).await;
    assert_eq!(error.kind(), RequestErrorKind::Timeout, "{error:?}");
    assert!(error.to_string().contains("check the endpoint"), "{error}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_may_have_been_served() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        // All of the request, so that the connection is closed and not reset: its JSON ends with a brace.
        let mut request = Vec::new();
        while request.last() != Some(&b'}') {
            assert_ne!(connection.read_buf(&mut request).await.unwrap(), 0, "the request has no end");
        }
    };
    let ((), error) = tokio::join!(served, describe(address));
    assert_eq!(error.kind(), RequestErrorKind::ConnectionLost, "{error:?}");
    assert!(error.is_retryable() && error.may_have_been_applied());
}

#[tokio::test]
async fn a_request_without_credentials_is_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let nobody = SharedCredentialsProvider::new(Nobody);
    let sdk = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(nobody)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = KinesisClient::new(aws_sdk_kinesis::Client::from_conf(sdk), ClientOptions::default());
    let error = client.describe_stream_summary(&"orders".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), RequestErrorKind::NotSent, "{error:?}");
    assert!(!error.may_have_been_applied());
    assert!(error.to_string().contains("check credentials"), "{error}");
}

/// A provider that has none.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> ProvideCredentialsFuture<'a>
    where
        Self: 'a,
    {
        ProvideCredentialsFuture::ready(Err(CredentialsError::not_loaded("nobody is logged in")))
    }
}
