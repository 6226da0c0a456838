//! Signatures that botocore 1.43.11 made, and what becomes of them when anything is changed.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const DATE: &str = "20260101T000000Z";
const PLAIN: &str = "6c78bf4621d8e313fbb00846107539b88a425aa698fc4eca1dc9a5603b7dfbde";
const WITH_TOKEN: &str = "96f380795dfa7b6a4b3dd1b24082a52ca74b9275d0de4eee46b49f2fae52150b";
const SIGNED: &str = "content-type;host;x-amz-date;x-amz-target";
const SCOPE: &str = "AKIDEXAMPLE/20260101/eu-west-1/kinesis/aws4_request";

fn keys(token: Option<&str>) -> AccessKeys {
    let mut keys = AccessKeys::default();
    keys.add(Credentials::new("AKIDEXAMPLE", SECRET, token.map(str::to_owned), None, "test"));
    keys
}

fn now() -> SystemTime {
    parse_amazon_date(DATE).unwrap()
}

fn authorization(scope: &str, signed: &str, signature: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}")
}

fn headers(authorization: &str) -> HeaderMap {
    let headers = [
        ("host", "127.0.0.1:4567"),
        ("x-amz-target", "Kinesis_20131202.ListStreams"),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-date", DATE),
        ("user-agent", "not signed"),
        ("authorization", authorization),
    ];
    let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
    headers.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn wire(headers: &HeaderMap) -> Wire<'_> {
    Wire { method: "POST", path: "/", query: "", authority: None, headers, body: b"{}" }
}

fn refused(result: Result<(), ServiceError>) -> (String, String) {
    let error = result.unwrap_err();
    assert_eq!(error.status(), 400);
    (error.code().to_owned(), error.message().to_owned())
}

/// Verifies a request whose `Authorization` has these parts.
fn verify(scope: &str, signed: &str, signature: &str) -> Result<(), ServiceError> {
    keys(None).verify(&wire(&headers(&authorization(scope, signed, signature))), now())
}

#[test]
fn a_signature_of_a_known_key_is_accepted() {
    assert_eq!(verify(SCOPE, SIGNED, PLAIN), Ok(()));
    let signed = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target";
    let mut headers = headers(&authorization(SCOPE, signed, WITH_TOKEN));
    headers.insert("x-amz-security-token", HeaderValue::from_static("token-1"));
    assert_eq!(keys(Some("token-1")).verify(&wire(&headers), now()), Ok(()));
}

#[test]
fn path_query_and_values_are_signed_in_their_canonical_form() {
    let signed = "content-type;host;x-amz-date;x-amz-note;x-amz-target";
    let signature = "82c4cb0c03eca6f1cfcc9ea5f7bc24b4d2434a6b51fdf73b9674936ae421f0dc";
    let mut headers = headers(&authorization(SCOPE, signed, signature));
    headers.insert("x-amz-note", HeaderValue::from_static("  two   words "));
    let wire = Wire { path: "/a%20b/./c/", query: "b=2&a=x%2Fy", ..wire(&headers) };
    assert_eq!(keys(None).verify(&wire, now()), Ok(()));
}

/// botocore presigns no body.
#[test]
fn a_presigned_request_is_accepted() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Feu-west-1%2Fkinesis%2F\
                 aws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=\
                 a64df859d943c14e41f8dd536dbf3a7ea702743ffb0e89d0d70500ed1c39938f";
    let headers = headers("");
    assert_eq!(keys(None).verify(&Wire { query, body: b"", ..wire(&headers) }, now()), Ok(()));
    let other =
        refused(keys(None).verify(&Wire { query: &query.replace("=60", "=61"), body: b"", ..wire(&headers) }, now()));
    assert_eq!(other.0, "InvalidSignatureException");
}

/// HTTP/2 has its host in the URL.
#[test]
fn the_host_may_be_the_urls() {
    let mut headers = headers(&authorization(SCOPE, SIGNED, PLAIN));
    headers.remove("host");
    let over_http2 = Wire { authority: Some("127.0.0.1:4567"), ..wire(&headers) };
    assert_eq!(keys(None).verify(&over_http2, now()), Ok(()));
}

#[test]
fn whatever_is_changed_breaks_the_signature() {
    let good = headers(&authorization(SCOPE, SIGNED, PLAIN));
    let mut other_target = good.clone();
    other_target.insert("x-amz-target", HeaderValue::from_static("Kinesis_20131202.DeleteStream"));
    let mut other_host = good.clone();
    other_host.insert("host", HeaderValue::from_static("127.0.0.1:4568"));
    let changed = [
        Wire { body: b"{ }", ..wire(&good) },
        Wire { method: "PUT", ..wire(&good) },
        Wire { path: "/x", ..wire(&good) },
        Wire { query: "a", ..wire(&good) },
        wire(&other_target),
        wire(&other_host),
    ];
    for wire in changed {
        let (code, message) = refused(keys(None).verify(&wire, now()));
        assert_eq!(code, "InvalidSignatureException", "{wire:?}");
        assert!(message.starts_with("The request signature we calculated does not match the signature"), "{message}");
    }
    for signature in ["", "0", "zz", &PLAIN[2..], &PLAIN.to_uppercase().replace('6', "7")] {
        assert_eq!(refused(verify(SCOPE, SIGNED, signature)).0, "InvalidSignatureException", "{signature}");
    }
    let mut unsigned = good;
    unsigned.insert("user-agent", HeaderValue::from_static("another"));
    assert_eq!(keys(None).verify(&wire(&unsigned), now()), Ok(()));
}

#[test]
fn the_refusal_of_a_wrong_secret_shows_what_should_have_been_signed() {
    let mut keys = AccessKeys::default();
    keys.add(Credentials::new("AKIDEXAMPLE", "another", None, None, "test"));
    let (_, message) = refused(keys.verify(&wire(&headers(&authorization(SCOPE, SIGNED, PLAIN))), now()));
    for line in ["'POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:127.0.0.1:4567\n", "'AWS4-HMAC-SHA256\n"] {
        assert!(message.contains(line), "{message}");
    }
    assert!(!message.contains("another") && !format!("{keys:?}").contains("another"));
}

#[test]
fn keys_tokens_and_dates_have_to_be_good() {
    let unknown = SCOPE.replace("AKIDEXAMPLE", "AKIDOTHER");
    let invalid = ("UnrecognizedClientException", "The security token included in the request is invalid.");
    let as_texts = |(code, message): (&str, &str)| (code.to_owned(), message.to_owned());
    assert_eq!(refused(verify(&unknown, SIGNED, PLAIN)), as_texts(invalid));
    let good = headers(&authorization(SCOPE, SIGNED, PLAIN));
    assert_eq!(refused(keys(Some("token-1")).verify(&wire(&good), now())), as_texts(invalid), "a token is missing");
    let mut with_token = good.clone();
    with_token.insert("x-amz-security-token", HeaderValue::from_static("token-2"));
    assert_eq!(refused(keys(Some("token-1")).verify(&wire(&with_token), now())), as_texts(invalid));
    assert_eq!(refused(keys(None).verify(&wire(&with_token), now())), as_texts(invalid), "none was given out");
    let mut expired = AccessKeys::default();
    expired.add(Credentials::new("AKIDEXAMPLE", SECRET, None, Some(now()), "test"));
    assert_eq!(refused(expired.verify(&wire(&good), now())).0, "ExpiredTokenException");
    for (seconds, expected) in [(300, None), (301, Some("Signature expired: 20260101T000000Z is now earlier than"))] {
        let result = keys(None).verify(&wire(&good), now() + Duration::from_secs(seconds));
        assert_eq!(
            result.as_ref().err().map(|error| error.message().starts_with(expected.unwrap_or("?"))),
            expected.map(|_| true)
        );
    }
    let early = refused(keys(None).verify(&wire(&good), now() - Duration::from_secs(301)));
    assert!(early.1.starts_with("Signature not yet current: "), "{early:?}");
}

#[test]
fn the_parts_of_a_signature_have_to_be_well_formed() {
    let cases = [
        (SCOPE.replace("/kinesis/", "/s3/"), SIGNED, "Credential should be scoped to correct service: 'kinesis'. "),
        (
            SCOPE.replace("aws4_request", "aws4"),
            SIGNED,
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4'. ",
        ),
        (
            SCOPE.replace("20260101", "20260102"),
            SIGNED,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260102' != \
             '20260101', from '20260101T000000Z'. ",
        ),
        (SCOPE.to_owned(), "x-amz-date", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."),
    ];
    for (scope, signed, message) in cases {
        let refusal = refused(verify(&scope, signed, PLAIN));
        assert_eq!(refusal, ("InvalidSignatureException".to_owned(), message.to_owned()));
    }
    for scope in ["AKIDEXAMPLE", "AKIDEXAMPLE/20260101/eu-west-1/kinesis", "AKIDEXAMPLE/a/b/c/d/e"] {
        assert_eq!(refused(verify(scope, SIGNED, PLAIN)).0, "IncompleteSignatureException", "{scope}");
    }
    let mut undated = headers(&authorization(SCOPE, SIGNED, PLAIN));
    undated.insert("x-amz-date", HeaderValue::from_static("yesterday"));
    assert_eq!(refused(keys(None).verify(&wire(&undated), now())).0, "IncompleteSignatureException");
    let algorithm = authorization(SCOPE, SIGNED, PLAIN).replace("SHA256", "SHA1");
    assert_eq!(refused(keys(None).verify(&wire(&headers(&algorithm)), now())).0, "IncompleteSignatureException");
}
