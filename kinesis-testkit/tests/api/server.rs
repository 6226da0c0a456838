//! The fake over HTTP on loopback.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::error::SdkError;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{EncryptionType, ShardIteratorType, StreamMode, StreamStatus};
use aws_smithy_types::retry::RetryConfig;
use kinesis_testkit::{FakeKinesis, Fault, FaultPlan, FaultRule, Operation, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::serving;
use crate::support::{SHARD_0, SHARD_1, STREAM, code, drain, entry, iterator, put_at, read};

fn client(url: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// Runs a test against a server, which must then stop by itself.
async fn serving<F: Future<Output = ()>>(fake: &FakeKinesis, test: impl FnOnce(SocketAddr, Client) -> F) {
    let server = Server::bind(fake, "127.0.0.1:0").await.unwrap();
    let (address, url) = (server.local_addr(), server.url());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    test(address, client(&url)).await;
    stop.send(()).unwrap();
    running.await.unwrap();
}

#[tokio::test]
async fn what_is_put_over_http_is_read_over_http() {
    let fake = FakeKinesis::builder().stream(STREAM, 2).build();
    serving(&fake, async |_, client| {
        let entries = (0..500).map(|n| entry(format!("key-{n}"), vec![n as u8; 1000])).collect();
        let output = client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
        assert_eq!(output.failed_record_count(), Some(0));
        let read = drain(&client, SHARD_0).await.len() + drain(&client, SHARD_1).await.len();
        assert_eq!(read, 500);
        assert_eq!(code(client.list_shards().stream_name("none").send().await), "ResourceNotFoundException");
    })
    .await;
    assert_eq!(fake.stored(STREAM).unwrap().records, 500);
}

#[tokio::test]
async fn a_large_reply_and_a_large_request_pass() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    serving(&fake, async |_, client| {
        let entries = (0..10).map(|_| entry("k", vec![9; 1024 * 1024 - 1])).collect();
        client.put_records().stream_name(STREAM).set_records(Some(entries)).send().await.unwrap();
        let start = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
        assert_eq!(read(&client, start).await.records().len(), 10);
    })
    .await;
}

#[tokio::test]
async fn a_lost_reply_breaks_the_connection_after_the_write() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::LoseReply));
    serving(&fake, async |_, client| {
        let put = || client.put_records().stream_name(STREAM).records(entry("k", "x")).send();
        let lost = put().await;
        assert!(matches!(lost, Err(SdkError::DispatchFailure(_))), "{lost:?}");
        put().await.unwrap();
    })
    .await;
    assert_eq!(fake.stored(STREAM).unwrap().records, 2);
}

#[tokio::test]
async fn the_server_stops_although_a_call_hangs() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    fake.inject(FaultRule::on(Operation::PutRecords).fault(Fault::Hang));
    let mut hanging = None;
    serving(&fake, async |_, client| {
        let put = client.put_records().stream_name(STREAM).records(entry("k", "x"));
        hanging = Some(tokio::spawn(put.send()));
        // The call is counted as soon as it has come in.
        let came_in = async {
            while !fake.call_counts().contains_key(&Operation::PutRecords) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), came_in).await.unwrap();
    })
    .await;
    assert!(hanging.unwrap().await.unwrap().is_err(), "the connection is closed");
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn post(headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

#[tokio::test]
async fn nonsense_is_answered_as_the_service_answers_it() {
    let fake = FakeKinesis::builder().stream(STREAM, 1).build();
    let target = |operation: &str| {
        format!("x-amz-target: Kinesis_20131202.{operation}\r\ncontent-type: application/x-amz-json-1.1\r\n")
    };
    let signed = |operation: &str| {
        let credential = "AKID/20260101/us-east-1/kinesis/aws4_request";
        let signature = format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
        format!("{}x-amz-date: 20260101T000000Z\r\nauthorization: {signature}\r\n", target(operation))
    };
    let cases = [
        ("GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "200 OK", "{\"status\":\"ok\"}"),
        ("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "403 Forbidden", "AccessDenied"),
        (post("", "{}"), "403 Forbidden", "Unable to determine service/operation name to be authorized"),
        (
            post("x-amz-target: Kinesis_20131202.PutRecord\r\ncontent-type: application/cbor\r\n", "{}"),
            "404 Not Found",
            "UnknownOperation",
        ),
        (post(&target("PutPizza"), "{}"), "400 Bad Request", "{\"__type\":\"UnknownOperationException\"}"),
        (post(&target("ListShards"), "{"), "400 Bad Request", "{\"__type\":\"SerializationException\"}"),
        (post(&target("ListShards"), ""), "400 Bad Request", "{\"__type\":\"SerializationException\"}"),
        (post(&target("ListShards"), "{}"), "400 Bad Request", "\"MissingAuthenticationTokenException\""),
        (
            post(&format!("{}authorization: AWS4 Credential=x\r\n", target("ListShards")), "{}"),
            "400 Bad Request",
            "{\"__type\":\"IncompleteSignatureException\",\"message\":\"Authorization header requires 'Signature'",
        ),
        (
            post(&signed("ListShards"), "{\"MaxResults\":\"many\"}"),
            "400 Bad Request",
            "{\"Message\":\"class java.lang.String can not be converted to an Integer\",\"__type\":\"Serialization",
        ),
        (post(&signed("ListShards"), "{\"StreamName\":\"orders\"}"), "200 OK", "shardId-000000000000"),
    ];
    serving(&fake, async |address, _| {
        for (request, status, text) in cases {
            let answer = exchange(address, &request).await;
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.contains(text),
                "{request}\n{answer}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let fake = FakeKinesis::builder().build();
    let first = Server::bind(&fake, "127.0.0.1:0").await.unwrap();
    let second = Server::bind(&fake, first.local_addr()).await.unwrap_err();
    assert_eq!(second.to_string(), format!("cannot listen on {}", first.local_addr()));
    assert_eq!(second.source.kind(), std::io::ErrorKind::AddrInUse);
}

/// A server process, killed when the test ends early.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis-testkit"));
        let mut child =
            command.arg("serve").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        (Self(child), url)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn the_command_serves_until_it_is_told_to_stop() {
    let (mut process, url) = Process::start(&["--port", "0", "--stream", "orders:3"]);
    let client = client(&url);
    put_at(&client, 0, "x").await;
    let shards = client.list_shards().stream_name(STREAM).send().await.unwrap();
    assert_eq!(shards.shards().len(), 3);
    let terminated = Command::new("kill").arg(process.0.id().to_string()).status().unwrap();
    assert!(terminated.success());
    let ended = tokio::task::spawn_blocking(move || process.0.wait().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap();
    assert!(ended.success(), "{ended:?}");
}

#[test]
fn the_command_refuses_nonsense_in_one_line_with_exit_code_2() {
    let (process, url) = Process::start(&["--port", "0"]);
    let port = url.rsplit(':').next().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&[], "kinesis-testkit serve"),
        (&["bogus"], "bogus"),
        (&["serve", "--port", "x"], "--port"),
        (&["serve", "--stream", "orders"], "NAME:SHARDS"),
        (&["serve", "--stream", "orders:0"], "1 to 10000"),
        (&["serve", "--stream", "a b:1"], "`a b`"),
        (&["serve", "--limits", "some"], "off, aws"),
        (&["serve", "--port", port], "in use"),
        (&["serve", "--certificate-file", "x.pem"], "--tls"),
        (
            &["serve", "--tls", "--certificate-file", "/no/such/directory/x.pem", "--port", "0"],
            "/no/such/directory/x.pem",
        ),
        (&["serve", "--verify", "AKID"], "ACCESS_KEY_ID:SECRET"),
        (&["serve", "--verify", ":the-secret"], "ACCESS_KEY_ID:SECRET"),
        (&["serve", "--verify", "AKID:the-secret:"], "ACCESS_KEY_ID:SECRET"),
        (&["serve", "--max-connections", "0"], "--max-connections"),
        (&["serve", "--port", "0", "--faults", "/no/such/plan.json"], "/no/such/plan.json"),
        (&["serve", "--port", "0", "--faults", "Cargo.toml"], "Cargo.toml is no plan of faults"),
        (&["serve", "--port", "0", "--directory", "Cargo.toml"], "Cargo.toml cannot be used"),
        (&["serve", "--updating-ms", "9999999999"], "--updating-ms"),
        (&["serve", "--log", "loud"], "off, error, warn, info, debug, trace"),
    ];
    for (arguments, text) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_kinesis-testkit")).args(*arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.lines().count() == 1 && error.contains(text), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
        assert!(!error.contains("the-secret"), "{error}");
    }
    drop(process);
}

/// A plan of faults, a stream that takes its time, and streams without provisioned shards.
#[tokio::test]
async fn the_command_injects_the_faults_of_a_file_and_takes_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("plan.json");
    let plan = FaultPlan::new([FaultRule::on(Operation::PutRecord).fault(Fault::throttle())]);
    std::fs::write(&file, plan.to_json()).unwrap();
    let faults = ["--faults", file.to_str().unwrap()];
    let options = ["--port", "0", "--on-demand-stream", "orders", "--creating-ms", "0", "--updating-ms", "3600000"];
    let (process, url) = Process::start(&[options.as_slice(), &faults].concat());
    let client = client(&url);
    let put = client.put_record().stream_name(STREAM).partition_key("k").data(Blob::new("x"));
    assert_eq!(code(put.clone().send().await), "ProvisionedThroughputExceededException");
    put.send().await.unwrap();
    let encrypt = client.start_stream_encryption().stream_name(STREAM).encryption_type(EncryptionType::Kms);
    encrypt.key_id("alias/aws/kinesis").send().await.unwrap();
    let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    let summary = summary.stream_description_summary().unwrap();
    assert_eq!(summary.stream_status(), &StreamStatus::Updating);
    assert_eq!(summary.stream_mode_details().unwrap().stream_mode(), &StreamMode::OnDemand);
    drop(process);
}

/// Everything at once: TLS, a certificate in a file, a key, and a line per call.
#[tokio::test]
async fn the_command_serves_over_tls_to_who_has_the_key_and_logs_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("certificate.pem");
    let options =
        ["--port", "0", "--stream", "orders:1", "--verify", "AKIDONE:one secret", "--verify", "ASIA:two:token"];
    let tls = ["--tls", "--certificate-file", file.to_str().unwrap(), "--log", "info", "--max-connections", "10"];
    let (mut process, url) = Process::start(&[options.as_slice(), &tls].concat());
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let http = serving::https(&std::fs::read_to_string(file).unwrap());
    let client = |id: &str, secret: &str, token: Option<&str>| {
        serving::client(&url, Credentials::new(id, secret, token.map(str::to_owned), None, "test"), http.clone())
    };
    put_at(&client("AKIDONE", "one secret", None), 0, "x").await;
    put_at(&client("ASIA", "two", Some("token")), 0, "x").await;
    let stranger = client("AKIDONE", "a guess", None).list_shards().stream_name(STREAM).send().await;
    assert_eq!(code(stranger), "InvalidSignatureException");
    process.0.kill().unwrap();
    let mut log = String::new();
    process.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let calls: Vec<&str> = log.lines().filter(|line| line.contains("request_id=")).collect();
    assert_eq!(calls.len(), 3, "{log}");
    for part in ["INFO", "operation=\"PutRecord\"", "stream=\"orders\"", "status=200", "duration_ms="] {
        assert!(calls[0].contains(part) && calls[1].contains(part), "{part}: {log}");
    }
    for part in ["operation=\"ListShards\"", "status=400", "code=\"InvalidSignatureException\""] {
        assert!(calls[2].contains(part), "{part}: {log}");
    }
    assert!(!log.contains("secret"), "{log}");
}
