//! Who calls: the presence and form of a signature, in the service's words.
//!
//! Order and words as kinesalite recorded them (`index.js`).

use std::borrow::Cow;

use super::sigv4::Wire;
use crate::engine::{Place, ServiceError};

/// A request in what its signature needs of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Signature<'a> {
    /// The header `Authorization`.
    pub(crate) authorization: Option<&'a str>,
    /// Whether there is a header `X-Amz-Date` or `Date`.
    pub(crate) dated: bool,
    /// What stands behind the question mark of the URL.
    pub(crate) query: Option<&'a str>,
    /// What was signed, where it came over a network.
    pub(crate) wire: Option<Wire<'a>>,
}

const QUERY_PARAMETERS: [&str; 5] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"];

impl Signature<'_> {
    /// The account and region that a request was signed for.
    ///
    /// The region is the credential scope's. An access key of twelve digits is an account; any other key is one of
    /// `home`'s account.
    pub(crate) fn caller(&self, home: &Place) -> Result<Place, ServiceError> {
        let query = self.query.filter(|query| parameter(query, QUERY_PARAMETERS[0]).is_some());
        match (self.authorization, query) {
            (Some(_), Some(_)) => Err(refusal(
                "InvalidSignatureException",
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
            )),
            (None, None) => Err(refusal("MissingAuthenticationTokenException", "Missing Authentication Token")),
            (Some(header), None) => self.of_header(header, home),
            (None, Some(query)) => of_query(query, home),
        }
    }

    fn of_header(&self, header: &str, home: &Place) -> Result<Place, ServiceError> {
        let mut problems = String::new();
        for name in ["Credential", "Signature", "SignedHeaders"] {
            if authorization_part(header, name).is_none() {
                problems += &format!("Authorization header requires '{name}' parameter. ");
            }
        }
        if !self.dated {
            problems += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
        }
        if !problems.is_empty() {
            return Err(refusal("IncompleteSignatureException", format!("{problems}Authorization={header}")));
        }
        Ok(place(authorization_part(header, "Credential").unwrap_or_default(), home))
    }
}

fn of_query(query: &str, home: &Place) -> Result<Place, ServiceError> {
    let missing = QUERY_PARAMETERS.iter().filter(|name| parameter(query, name).is_none());
    let problems: String = missing.map(|name| format!("AWS query-string parameters must include '{name}'. ")).collect();
    if !problems.is_empty() {
        let message = format!("{problems}Re-examine the query-string parameters.");
        return Err(refusal("IncompleteSignatureException", message));
    }
    let credential = parameter(query, "X-Amz-Credential").unwrap_or_default();
    Ok(place(&credential, home))
}

pub(super) fn refusal(code: &'static str, message: impl Into<String>) -> ServiceError {
    ServiceError::new(code, message, 400)
}

/// The value of `name=value` behind the algorithm of an `Authorization` header.
pub(super) fn authorization_part<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, parts) = header.split_once(' ')?;
    let parts = parts.split([',', ' ']).filter_map(|part| part.trim().split_once('='));
    parts.filter(|(_, value)| !value.is_empty()).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The value of a parameter that is there and not empty.
fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let parameters = query.split('&').filter_map(|part| part.split_once('='));
    let value = parameters.filter(|(_, value)| !value.is_empty()).find(|(key, _)| *key == name)?.1;
    // Only the slashes of a credential scope matter here.
    Some(if value.contains('%') { value.replace("%2F", "/").replace("%2f", "/").into() } else { value.into() })
}

/// The place that a credential such as `AKID/20260101/us-east-1/kinesis/aws4_request` stands for.
fn place(credential: &str, home: &Place) -> Place {
    let mut parts = credential.split('/');
    let key = parts.next().unwrap_or_default();
    let region = parts.nth(1).filter(|region| !region.is_empty());
    let is_account = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
    home.at(is_account.then_some(key), region)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "AWS4-HMAC-SHA256 Credential=000000000007/20260101/eu-west-1/kinesis/aws4_request, \
                          SignedHeaders=host;x-amz-date, Signature=abc";

    fn home() -> Place {
        Place::new("123456789012", "us-east-1")
    }

    fn refused(signature: Signature<'_>) -> (String, String) {
        let error = signature.caller(&home()).unwrap_err();
        (error.code().to_owned(), error.message().to_owned())
    }

    #[test]
    fn a_signature_names_account_and_region() {
        let signed =
            |authorization| Signature { authorization: Some(authorization), dated: true, query: None, wire: None };
        assert_eq!(signed(HEADER).caller(&home()), Ok(Place::new("000000000007", "eu-west-1")));
        let other_key = HEADER.replace("000000000007", "AKIDEXAMPLE");
        assert_eq!(signed(&other_key).caller(&home()), Ok(Place::new("123456789012", "eu-west-1")));
        let query = "X-Amz-Algorithm=A&X-Amz-Credential=AKID%2F20260101%2Fap-south-1%2Fkinesis%2Faws4_request&\
                     X-Amz-Signature=s&X-Amz-SignedHeaders=host&X-Amz-Date=20260101T000000Z";
        let presigned = Signature { query: Some(query), ..Signature::default() };
        assert_eq!(presigned.caller(&home()), Ok(Place::new("123456789012", "ap-south-1")));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            refused(Signature::default()),
            ("MissingAuthenticationTokenException".to_owned(), "Missing Authentication Token".to_owned())
        );
        let bare = Signature { authorization: Some("AWS4-HMAC-SHA256 Credential=a"), ..Signature::default() };
        assert_eq!(
            refused(bare).1,
            "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' \
             parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. \
             Authorization=AWS4-HMAC-SHA256 Credential=a"
        );
        let query = Some("X-Amz-Algorithm=A&X-Amz-Credential=&X-Amz-Signature=s&X-Amz-Date=d");
        assert_eq!(
            refused(Signature { query, ..Signature::default() }).1,
            "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters must include \
             'X-Amz-SignedHeaders'. Re-examine the query-string parameters."
        );
        let both = Signature { authorization: Some(HEADER), dated: true, query, wire: None };
        assert_eq!(refused(both).0, "InvalidSignatureException");
    }
}
