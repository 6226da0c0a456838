//! Where requests go: the shapes of a region and of an endpoint.

/// What a region may look like, for messages.
pub(super) const REGION_SHAPE: &str = "a region such as us-east-1, us-gov-west-1 or aws-global";

/// What an endpoint may look like, for messages.
pub(super) const ENDPOINT_SHAPE: &str =
    "a URL such as https://kinesis.eu-west-1.amazonaws.com or http://127.0.0.1:4567, without user, query and fragment";

/// Whether a text has a region's shape; unknown regions of that shape pass.
///
/// The same language as Flink's `^[a-z]+-([a-z]+[-]{0,1}[a-z]+-([0-9]|global)|global)$` (`AWSGeneralUtil`).
pub(super) fn is_region(text: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let ending = |part: &str| part == "global" || matches!(part.as_bytes(), [digit] if digit.is_ascii_digit());
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [partition, "global"] => word(partition),
        [partition, area, number] => word(partition) && word(area) && area.len() > 1 && ending(number),
        [partition, part, area, number] => word(partition) && word(part) && word(area) && ending(number),
        _ => false,
    }
}

/// Whether a text is a URL that requests can be sent to.
pub(super) fn is_endpoint(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return false;
    };
    // The last three are no part of a URI (RFC 3986), and the client refuses them at the first call.
    if rest.contains(['?', '#', '@', '<', '>', '`']) || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, after)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (address, after.strip_prefix(':')),
        Some(_) => return false,
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let bracketed = authority.starts_with('[');
    let is_host = bracketed || is_host_name(host);
    let is_port = port.is_none_or(|port| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    let is_complete = !bracketed || port.is_some() || authority.ends_with(']');
    is_host && is_port && is_complete
}

fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_those_of_the_reference() {
        for region in [
            "us-east-1",
            "us-gov-west-1",
            "us-isob-east-1",
            "us-iso-east-1",
            "aws-global",
            "aws-iso-global",
            "aws-iso-b-global",
            "cn-north-1",
            "mx-central-1",
            "eu-west-2",
        ] {
            assert!(is_region(region), "{region}");
        }
        for region in [
            "invalid-region",
            "unstructured-string",
            "wrongRegionId",
            "some-bad-region",
            "us-east-10",
            "local",
            "",
            "global",
            "-global",
            "us--1",
            "us-e-1",
            "us-east-1 ",
            "US-EAST-1",
            "a-b-c-d-1",
        ] {
            assert!(!is_region(region), "{region}");
        }
    }

    #[test]
    fn endpoints_are_urls_with_a_host() {
        for endpoint in [
            "https://kinesis.us-east-1.amazonaws.com",
            "http://localhost:4566",
            "http://127.0.0.1:4567/",
            "http://[::1]:4567",
            "http://[::1]",
            "https://proxy.example/kinesis/v1",
            "http://kinesis_fake:80",
        ] {
            assert!(is_endpoint(endpoint), "{endpoint}");
        }
        for endpoint in [
            "fake",
            "",
            "localhost:4567",
            "ftp://host",
            "http://",
            "https:///path",
            "http://host:",
            "http://host:70000",
            "http://host:0",
            "http://host:+80",
            "http://user:pass@host",
            "http://a b",
            "http://..",
            "http://[::1",
            "http://[::1]x",
            "http://[nothing]",
            "http://host?x=1",
            "http://host/<a>",
            "http://host/`",
            " http://host",
        ] {
            assert!(!is_endpoint(endpoint), "{endpoint}");
        }
    }
}
