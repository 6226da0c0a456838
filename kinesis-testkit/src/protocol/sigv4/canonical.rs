//! A request in the form in which it is signed.

use std::borrow::Cow;
use std::fmt::Write;

use hyper::HeaderMap;
use sha2::{Digest, Sha256};

/// A request as it came over the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire<'a> {
    pub(crate) method: &'a str,
    /// The path as it was sent.
    pub(crate) path: &'a str,
    /// What stands behind the question mark.
    pub(crate) query: &'a str,
    /// The host of the URL: HTTP/2 has no header for it.
    pub(crate) authority: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl<'a> Wire<'a> {
    /// The first value of a header, if it is text.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let parameters = self.query.split('&').filter_map(|part| part.split_once('='));
        parameters.filter(|(key, _)| *key == name).map(|(_, value)| decoded(value)).next()
    }

    /// The values of a header as they are signed.
    fn canonical_values(&self, name: &str) -> String {
        let host = || self.header("host").or(self.authority).unwrap_or_default();
        if matches!(name, "host" | ":authority") {
            return host().to_owned();
        }
        let values = self.headers.get_all(name).iter().map(|value| trimmed(&String::from_utf8_lossy(value.as_bytes())));
        values.collect::<Vec<_>>().join(",")
    }
}

/// Writes the canonical request; what is presigned has its signature in the query, which is left out.
pub(super) fn request(wire: &Wire<'_>, signed_headers: &[&str], presigned: bool) -> String {
    let mut text = format!("{}\n{}\n{}\n", wire.method, path(wire.path), query(wire.query, presigned));
    for name in signed_headers {
        let written = writeln!(text, "{name}:{}", wire.canonical_values(name));
        debug_assert!(written.is_ok(), "text only grows");
    }
    format!("{text}\n{}\n{}", signed_headers.join(";"), hex(&Sha256::digest(wire.body)))
}

/// The path, normalised and encoded once more than it was sent.
fn path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let slash = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    let encoded: Vec<String> = segments.into_iter().map(|segment| encoded(segment.as_bytes())).collect();
    format!("/{}{slash}", encoded.join("/"))
}

fn query(query: &str, presigned: bool) -> String {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let mut parameters: Vec<(String, String)> = parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .filter(|(name, _)| !(presigned && *name == "X-Amz-Signature"))
        .map(|(name, value)| (encoded(decoded(name).as_bytes()), encoded(decoded(value).as_bytes())))
        .collect();
    parameters.sort();
    let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parameters.join("&")
}

/// Without space around, and with one space where there were several.
fn trimmed(value: &str) -> String {
    value.split(' ').filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Percent-encodes everything but what RFC 3986 leaves unreserved.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let written = write!(text, "%{byte:02X}");
            debug_assert!(written.is_ok(), "text only grows");
        }
    }
    text
}

/// Undoes percent-encoding; what is none is left as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escape = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let escaped = escape.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(from_hex);
        decoded.push(escaped.as_deref().and_then(|bytes| bytes.first().copied()).unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "text only grows");
        text
    })
}

/// The bytes of hexadecimal digits.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    text.len().is_multiple_of(2).then_some(())?;
    pairs.map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}
