//! Signatures that are verified, with the SDK as the client that signs.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::Credentials;
use kinesis_testkit::{FakeKinesis, Server};

use crate::serving::{Serving, exchange, parts, post};
use crate::support::{STREAM, entry, refusal};

fn key(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials::new(id, secret, token.map(str::to_owned), None, "test")
}

fn fake() -> FakeKinesis {
    let builder = FakeKinesis::builder().stream(STREAM, 1);
    let builder = builder.verify_signatures(key("AKIDLASTING", "one secret", None));
    builder.verify_signatures(key("ASIASESSION", "another secret", Some("token/+="))).build()
}

async fn accepted(client: Client) {
    let put = client.put_records().stream_name(STREAM).records(entry("ä key", vec![0; 10_000]));
    put.send().await.unwrap();
    client.describe_limits().send().await.unwrap();
}

async fn refused(client: Client) -> (String, String) {
    refusal(client.put_records().stream_name(STREAM).records(entry("k", "x")).send().await)
}

#[tokio::test]
async fn known_keys_are_served_over_every_protocol() {
    let fake = fake();
    let plain = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    let tls = Serving::start(Server::builder(&fake).tls().bind("127.0.0.1:0").await.unwrap());
    for key in [key("AKIDLASTING", "one secret", None), key("ASIASESSION", "another secret", Some("token/+="))] {
        accepted(plain.http1(key.clone())).await;
        accepted(plain.http2(key.clone())).await;
        accepted(tls.https(key)).await;
    }
    plain.stop().await;
    tls.stop().await;
    assert_eq!(fake.stored(STREAM).unwrap().records, 6);
}

#[tokio::test]
async fn others_are_refused_in_the_services_words() {
    let fake = fake();
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    let (code, message) = refused(serving.http1(key("AKIDLASTING", "a guess", None))).await;
    assert_eq!(code, "InvalidSignatureException");
    assert!(message.starts_with("The request signature we calculated does not match the signature you provided."));
    let invalid = "The security token included in the request is invalid.";
    let strangers = [
        key("AKIDNOBODY", "one secret", None),
        key("AKIDLASTING", "one secret", Some("token/+=")),
        key("ASIASESSION", "another secret", None),
        key("ASIASESSION", "another secret", Some("token")),
    ];
    for stranger in strangers {
        let refusals = [refused(serving.http1(stranger.clone())).await, refused(serving.http2(stranger.clone())).await];
        for (code, message) in refusals {
            assert_eq!((code.as_str(), message.as_str()), ("UnrecognizedClientException", invalid), "{stranger:?}");
        }
    }
    serving.stop().await;
    assert_eq!(fake.stored(STREAM).unwrap().records, 0);
}

#[tokio::test]
async fn a_clock_that_is_more_than_five_minutes_off_is_refused() {
    let fake = fake();
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    let client = || serving.http1(key("AKIDLASTING", "one secret", None));
    fake.advance(Duration::from_secs(4 * 60));
    accepted(client()).await;
    fake.advance(Duration::from_secs(2 * 60));
    let (code, message) = refused(client()).await;
    assert_eq!(code, "InvalidSignatureException");
    assert!(message.starts_with("Signature expired: ") && message.ends_with(" - 5 min.)"), "{message}");
    serving.stop().await;
}

/// A signature that would do where none is verified, in both formats.
#[tokio::test]
async fn a_made_up_signature_is_refused() {
    let fake = fake();
    let serving = Serving::start(Server::bind(&fake, "127.0.0.1:0").await.unwrap());
    for (content_type, body) in
        [("application/x-amz-json-1.1", b"{}".as_slice()), ("application/x-amz-cbor-1.1", b"\xa0")]
    {
        let (head, body) = parts(&exchange(serving.address, &post("ListStreams", content_type, body)).await);
        let text = String::from_utf8_lossy(&body);
        assert!(head.starts_with("HTTP/1.1 400") && text.contains("Signature expired: 20260101T000000Z"), "{text}");
    }
    serving.stop().await;
    // In the same process there is nothing to sign.
    fake.client().list_streams().send().await.unwrap();
}
