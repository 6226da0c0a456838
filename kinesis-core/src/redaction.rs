//! What must not be shown, and what is shown instead.

#[cfg(feature = "sdk")]
use std::borrow::Cow;
#[cfg(feature = "sdk")]
use std::fmt::Debug;

pub(crate) const REDACTED: &str = "<redacted>";

/// Whether a value is an address that names a user, and with it perhaps a password; the scheme may be absent.
pub(crate) fn holds_password(value: &str) -> bool {
    let (has_scheme, rest) = value.split_once("://").map_or((false, value), |(_, rest)| (true, rest));
    rest.split_once('@').is_some_and(|(user, _)| has_scheme || user.contains(':'))
}

/// A URL without what may be a password: none that requests can be sent to has an `@`.
#[cfg(feature = "sdk")]
pub(crate) fn printable_url(url: &str) -> &str {
    if url.contains('@') { REDACTED } else { url }
}

/// A text without session tokens: the given one, and whatever stands behind the name of the header that carries one.
///
/// A service that refuses a signature quotes the request that it was asked to check, with that header.
#[cfg(feature = "sdk")]
pub(crate) fn without_token<'a>(text: &'a str, token: Option<&str>) -> Cow<'a, str> {
    let text = match token.filter(|token| !token.is_empty() && text.contains(token)) {
        Some(token) => Cow::Owned(text.replace(token, REDACTED)),
        None => Cow::Borrowed(text),
    };
    match without_header(&text) {
        Some(redacted) => Cow::Owned(redacted),
        None => text,
    }
}

/// Whether the `Debug` form of a thing has a token in it.
#[cfg(feature = "sdk")]
pub(crate) fn shows_token(thing: &impl Debug, token: Option<&str>) -> bool {
    let shown = format!("{thing:?}");
    without_token(&shown, token) != shown
}

/// The text with the values behind the header's name replaced; nothing where there are none.
#[cfg(feature = "sdk")]
fn without_header(text: &str) -> Option<String> {
    const NAME: &str = "security-token";
    const QUOTES: [char; 4] = ['"', '\'', '\\', ' '];
    let lower = text.to_ascii_lowercase();
    let (mut redacted, mut shown) = (String::new(), 0);
    for (start, name) in lower.match_indices(NAME) {
        let behind = text[start + name.len()..].trim_start_matches(QUOTES);
        // Without a value, as in a list of the headers that are signed.
        let Some(value) = behind.strip_prefix([':', '=']).map(|value| value.trim_start_matches(QUOTES)) else {
            continue;
        };
        let start = text.len() - value.len();
        let ends = |letter: char| letter.is_whitespace() || "\"'\\,;&<>(){}".contains(letter);
        let length = value.find(ends).unwrap_or(value.len());
        if length > 0 && start >= shown {
            redacted.push_str(&text[shown..start]);
            redacted.push_str(REDACTED);
            shown = start + length;
        }
    }
    (shown > 0).then(|| redacted + &text[shown..])
}

#[cfg(all(test, feature = "sdk"))]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_masked_wherever_it_is_quoted() {
        for (text, shown) in [
            (
                "host:x\nx-amz-security-token:canary/+=\nx-amz-target:y",
                "host:x\nx-amz-security-token:<redacted>\nx-amz-target:y",
            ),
            (r#"{"X-Amz-Security-Token": "canary"}"#, r#"{"X-Amz-Security-Token": "<redacted>"}"#),
            (r#"\"x-amz-security-token\":\"canary\""#, r#"\"x-amz-security-token\":\"<redacted>\""#),
            ("?X-Amz-Security-Token=canary%2F&a=b", "?X-Amz-Security-Token=<redacted>&a=b"),
            ("host;x-amz-security-token, Signature=1", "host;x-amz-security-token, Signature=1"),
            (
                "The security token included in the request is expired",
                "The security token included in the request is expired",
            ),
            ("é x-amz-security-token:é1 é", "é x-amz-security-token:<redacted> é"),
            ("x-amz-security-token:", "x-amz-security-token:"),
            (
                "x-amz-security-token:a x-amz-security-token:b",
                "x-amz-security-token:<redacted> x-amz-security-token:<redacted>",
            ),
        ] {
            assert_eq!(without_token(text, None), shown, "{text}");
        }
        assert_eq!(without_token("token canary is bad", Some("canary")), "token <redacted> is bad");
        assert_eq!(without_token("nothing", Some("")), "nothing");
    }

    #[test]
    fn a_user_before_a_host_is_taken_for_a_password() {
        for value in ["http://me:pw@host", "http://me@host/x", "me:pw@host", "http://me:p/w@host"] {
            assert!(holds_password(value), "{value}");
        }
        for value in ["b@c", "http://host", "a:b", "user@example.com"] {
            assert!(!holds_password(value), "{value}");
        }
    }
}
