//! The same service over HTTP/1.1 and HTTP/2, with TLS and without.

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::SdkError;
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation, Server};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::serving::{Serving, any_key, client, exchange, https, parts, post, until_closed};
use crate::support::{SHARD_0, STREAM, code, drain, entry};

async fn put_and_read(client: &Client) {
    let entries = (0..500).map(|n| entry(format!("key-{n}"), vec![n as u8; 1000])).collect();
    let put = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
    assert_eq!(put.failed_record_count(), Some(0));
    assert_eq!(drain(client, SHARD_0).await.len(), 500);
    assert_eq!(code(client.list_shards().stream_name("none").send().await), "ResourceNotFoundException");
}

fn fake() -> FakeKinesis {
    FakeKinesis::builder().stream(STREAM, 1).build()
}

#[tokio::test]
async fn http2_needs_no_tls() {
    let fake = fake();
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    put_and_read(&serving.http2(any_key())).await;
    assert_eq!(serving.certificate, None);
    serving.stop().await;
}

/// The SDK's client offers both, and takes HTTP/2; what it took is checked beside it.
#[tokio::test]
async fn a_client_that_trusts_the_certificate_is_served_over_tls() {
    let fake = fake();
    let serving = Serving::start(Server::builder(&fake).tls().bind("127.0.0.1:0").await.unwrap());
    assert!(serving.url.starts_with("https://127.0.0.1:"), "{}", serving.url);
    put_and_read(&serving.https(any_key())).await;
    let port = serving.address.port();
    let by_name =
        client(&format!("https://localhost:{port}"), any_key(), https(serving.certificate.as_deref().unwrap()));
    by_name.list_streams().send().await.unwrap();
    serving.stop().await;
}

#[tokio::test]
async fn both_versions_of_http_are_negotiated() {
    let fake = fake();
    let serving = Serving::start(Server::builder(&fake).tls().bind("127.0.0.1:0").await.unwrap());
    let cases = [("http/1.1 h2", "h2"), ("h2", "h2"), ("http/1.1", "http/1.1"), ("", "")];
    for (offered, taken) in cases {
        let stream = handshake(&serving, offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol().unwrap_or_default(), taken.as_bytes(), "{offered}");
    }
    serving.stop().await;
}

async fn handshake(serving: &Serving, offered: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    use rustls::pki_types::pem::PemObject;
    let pem = serving.certificate.as_deref().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offered.split_whitespace().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(serving.address).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn a_client_that_trusts_another_certificate_is_not_served() {
    let fake = fake();
    let serving = Serving::start(Server::builder(&fake).tls().bind("127.0.0.1:0").await.unwrap());
    let other = Server::builder(&fake).tls().bind("127.0.0.1:0").await.unwrap();
    let stranger = client(&serving.url, any_key(), https(other.certificate_pem().unwrap()));
    let refused = stranger.list_streams().send().await;
    assert!(matches!(refused, Err(SdkError::DispatchFailure(_))), "{refused:?}");
    // Nor is one that speaks no TLS.
    assert!(!exchange(serving.address, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.starts_with(b"HTTP"));
    serving.https(any_key()).list_streams().send().await.unwrap();
    serving.stop().await;
}

#[tokio::test]
async fn a_host_that_no_certificate_can_name_is_refused() {
    let error = Server::builder(&fake()).tls().bind("ä.test:0").await.unwrap_err();
    assert_eq!(error.source.kind(), std::io::ErrorKind::InvalidInput, "{error:?}");
}

/// A connection of HTTP/2 is shared, so that a fault ends one call of it.
#[tokio::test]
async fn faults_strike_over_http2() {
    let fake = fake();
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::LoseReply));
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    let client = serving.http2(any_key());
    let put = || client.put_records().stream_name(STREAM).records(entry("k", "x")).send();
    let lost = put().await;
    assert!(matches!(lost, Err(SdkError::DispatchFailure(_))), "{lost:?}");
    put().await.unwrap();
    assert_eq!(fake.stored(STREAM).unwrap().records, 2);
    fake.inject(FaultRule::on(Operation::ListShards).fault(Fault::CutBody { after_bytes: 5 }));
    assert!(client.list_shards().stream_name(STREAM).send().await.is_err());
    serving.stop().await;
}

#[tokio::test]
async fn the_server_stops_although_a_call_over_http2_hangs() {
    let fake = fake();
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Hang));
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    let put = serving.http2(any_key()).put_records().stream_name(STREAM).records(entry("k", "x"));
    let hanging = tokio::spawn(put.send());
    while !fake.call_counts().contains_key(&Operation::PutRecords) {
        tokio::task::yield_now().await;
    }
    serving.stop().await;
    assert!(hanging.await.unwrap().is_err(), "the connection is closed");
}

/// Of every reply: which call it was, when it was made, and how to read it.
#[tokio::test]
async fn replies_and_refusals_have_the_services_headers() {
    let fake = fake();
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    for content_type in ["application/x-amz-json-1.1", "application/x-amz-cbor-1.1"] {
        let empty = if content_type.contains("cbor") { b"\xa0".as_slice() } else { b"{}" };
        for (operation, body, status) in [
            ("ListStreams", empty, "200"),
            ("ListShards", empty, "400"),
            ("Pizza", empty, "400"),
            ("ListStreams", b"", "400"),
        ] {
            let (head, _) = parts(&exchange(serving.address, &post(operation, content_type, body)).await);
            let header = |name: &str| {
                let mut lines = head.lines().filter_map(|line| line.split_once(": "));
                lines.find(|(it, _)| *it == name).unwrap_or_else(|| panic!("{name}: {head}")).1.to_owned()
            };
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{operation}: {head}");
            assert_eq!(header("content-type"), content_type);
            assert_eq!(header("x-amzn-requestid").len(), 36);
            assert_eq!(header("x-amz-id-2").len(), 88);
            assert!(header("date").ends_with(" GMT"), "{head}");
            header("content-length");
        }
    }
    // So has what is no call.
    let (head, _) = parts(&exchange(serving.address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await);
    assert!(head.contains("x-amzn-requestid: ") && head.contains("x-amz-id-2: "), "{head}");
    serving.stop().await;
}

/// Fewer bytes than it takes to tell the versions of HTTP apart, and then the rest.
#[tokio::test]
async fn a_request_that_comes_in_pieces_is_served() {
    let fake = fake();
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    let mut stream = TcpStream::connect(serving.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in post("ListStreams", "application/x-amz-json-1.1", b"{}").chunks(1) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(until_closed(&mut stream).await.starts_with(b"HTTP/1.1 200 OK"));
    // It begins like HTTP/2, and is none.
    let answer = exchange(serving.address, b"PRI / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 403"), "{answer:?}");
    serving.stop().await;
}
