//! Whether a request was signed with a key that is known, by Signature Version 4.
//!
//! The steps are those of the IAM user guide ("Create a signed AWS API request"). The words are those of refusals that
//! users of Kinesis and of other services with the same protocol have shown.

mod canonical;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
pub(crate) use canonical::Wire;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::authentication::{authorization_part, refusal};
use crate::engine::ServiceError;
use crate::faults::{amazon_date, parse_amazon_date, refuse_signature};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "kinesis";
const TERMINATOR: &str = "aws4_request";

/// The keys that callers may sign with, by their ids.
#[derive(Clone, Default)]
pub(crate) struct AccessKeys(BTreeMap<String, Credentials>);

impl fmt::Debug for AccessKeys {
    /// Shows no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What a signature says of itself, in a header or in the query.
#[derive(Debug)]
struct Claim<'a> {
    algorithm: Cow<'a, str>,
    credential: Cow<'a, str>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    date: Cow<'a, str>,
    token: Option<Cow<'a, str>>,
    /// Whether it stands in the query, which then is signed without it.
    presigned: bool,
}

/// A credential's parts: `AKID/20260101/us-east-1/kinesis/aws4_request`.
struct Scope<'a> {
    key: &'a str,
    /// Behind the key: date, region, service, terminator.
    text: &'a str,
    day: &'a str,
    region: &'a str,
}

impl AccessKeys {
    pub(crate) fn add(&mut self, credentials: Credentials) {
        self.0.insert(credentials.access_key_id().to_owned(), credentials);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses a request that none of the keys signed, or that was signed too long ago.
    ///
    /// The form of the signature was checked before.
    pub(crate) fn verify(&self, wire: &Wire<'_>, now: SystemTime) -> Result<(), ServiceError> {
        let claim = Claim::of(wire)?;
        if claim.algorithm != ALGORITHM {
            let problem = format!("Unsupported AWS 'algorithm': '{}'. ", claim.algorithm);
            return Err(refusal("IncompleteSignatureException", problem));
        }
        let signed_headers: Vec<&str> = claim.signed_headers.split(';').collect();
        if !signed_headers.iter().any(|name| matches!(*name, "host" | ":authority")) {
            return Err(invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
        }
        let signed_at = parse_date(&claim.date)?;
        let date = amazon_date(signed_at);
        let scope = Scope::of(&claim.credential, &date)?;
        refuse_signature(signed_at, now).map_or(Ok(()), Err)?;
        let key = self.key(scope.key, claim.token.as_deref(), now)?;
        let request = canonical::request(wire, &signed_headers, claim.presigned);
        let to_sign =
            format!("{ALGORITHM}\n{date}\n{}\n{}", scope.text, canonical::hex(&Sha256::digest(request.as_bytes())));
        let signed = canonical::from_hex(&claim.signature).is_some_and(|signature| {
            signing_mac(key.secret_access_key(), &scope, &to_sign).verify_slice(&signature).is_ok()
        });
        if signed { Ok(()) } else { Err(invalid(mismatch(&request, &to_sign))) }
    }

    fn key(&self, id: &str, token: Option<&str>, now: SystemTime) -> Result<&Credentials, ServiceError> {
        let known = self.0.get(id).filter(|key| key.session_token() == token).ok_or_else(|| {
            refusal("UnrecognizedClientException", "The security token included in the request is invalid.")
        })?;
        if known.expiry().is_some_and(|expiry| expiry <= now) {
            return Err(refusal("ExpiredTokenException", "The security token included in the request is expired"));
        }
        Ok(known)
    }
}

impl<'a> Claim<'a> {
    fn of(wire: &Wire<'a>) -> Result<Self, ServiceError> {
        if let Some(header) = wire.header("authorization") {
            let part = |name| Cow::Borrowed(authorization_part(header, name).unwrap_or_default());
            let date = wire.header("x-amz-date").or_else(|| wire.header("date")).unwrap_or_default();
            return Ok(Self {
                algorithm: header.split(' ').next().unwrap_or_default().into(),
                credential: part("Credential"),
                signed_headers: part("SignedHeaders"),
                signature: part("Signature"),
                date: date.into(),
                token: wire.header("x-amz-security-token").map(Cow::Borrowed),
                presigned: false,
            });
        }
        let parameter = |name| wire.parameter(name);
        let given = |name| parameter(name).unwrap_or_default();
        Ok(Self {
            algorithm: given("X-Amz-Algorithm"),
            credential: given("X-Amz-Credential"),
            signed_headers: given("X-Amz-SignedHeaders"),
            signature: given("X-Amz-Signature"),
            date: given("X-Amz-Date"),
            token: parameter("X-Amz-Security-Token"),
            presigned: true,
        })
    }
}

impl<'a> Scope<'a> {
    fn of(credential: &'a str, date: &str) -> Result<Self, ServiceError> {
        let (key, text) = credential.split_once('/').unwrap_or_default();
        let parts: Vec<&str> = text.split('/').collect();
        let &[day, region, service, terminator] = parts.as_slice() else {
            return Err(refusal(
                "IncompleteSignatureException",
                format!(
                    "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, \
                     got '{credential}'"
                ),
            ));
        };
        let mut problems = String::new();
        if service != SERVICE {
            problems += &format!("Credential should be scoped to correct service: '{SERVICE}'. ");
        }
        if terminator != TERMINATOR {
            problems +=
                &format!("Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{terminator}'. ");
        }
        if !date.starts_with(day) || day.len() != 8 {
            problems += &format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != \
                 '{}', from '{date}'. ",
                date.get(..8).unwrap_or_default()
            );
        }
        if problems.is_empty() { Ok(Self { key, text, day, region }) } else { Err(invalid(problems)) }
    }
}

fn invalid(message: impl Into<String>) -> ServiceError {
    refusal("InvalidSignatureException", message)
}

fn mismatch(request: &str, to_sign: &str) -> String {
    format!(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this \
         request should have been\n'{request}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
    )
}

/// The date of `X-Amz-Date`, or of a `Date` in HTTP's form.
fn parse_date(text: &str) -> Result<SystemTime, ServiceError> {
    let http = || DateTime::from_str(text, Format::HttpDate).ok().and_then(|date| SystemTime::try_from(date).ok());
    parse_amazon_date(text).or_else(http).ok_or_else(|| {
        let message = format!(
            "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601 "
        );
        refusal("IncompleteSignatureException", message)
    })
}

type HmacSha256 = Hmac<Sha256>;

/// What signs a text for a scope: the secret never signs by itself.
fn signing_mac(secret: &str, scope: &Scope<'_>, to_sign: &str) -> HmacSha256 {
    let parts = [scope.day, scope.region, SERVICE, TERMINATOR];
    let secret = format!("AWS4{secret}").into_bytes();
    let key = parts.iter().fold(secret, |key, part| mac(&key, part).finalize().into_bytes().to_vec());
    mac(&key, to_sign)
}

fn mac(key: &[u8], text: &str) -> HmacSha256 {
    let mut mac = HmacSha256::new_from_slice(key).expect("invariant: HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests;
