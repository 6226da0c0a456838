//! ListShards over many pages.

use kinesis_core::{ListShardsScope, RequestError, RequestErrorKind, Shard};

use crate::fixed;
use crate::kinesis::{Kinesis, clock, refusal};

async fn list(kinesis: &Kinesis) -> Result<Vec<Shard>, RequestError> {
    let client = kinesis.client(fixed(), &clock());
    client.list_shards(&"orders".parse().unwrap(), ListShardsScope::All).await
}

fn page(token: &str) -> (u16, String) {
    (200, format!(r#"{{"NextToken":"{token}","Shards":[]}}"#))
}

#[tokio::test(start_paused = true)]
async fn a_listing_whose_token_repeats_ends() {
    let kinesis = Kinesis::new(|_, _| page("same"));
    let error = list(&kinesis).await.unwrap_err();
    assert_eq!((error.kind(), kinesis.calls()), (RequestErrorKind::InvalidResponse, 2), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_a_last_page_ends() {
    let kinesis = Kinesis::new(|number, _| page(&number.to_string()));
    let error = list(&kinesis).await.unwrap_err();
    assert_eq!((error.kind(), kinesis.calls()), (RequestErrorKind::InvalidResponse, 1000), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_whose_token_expires_is_started_over() {
    let kinesis = Kinesis::new(|number, request| match number {
        0 => page("next"),
        1 => refusal("ExpiredNextTokenException", "expired"),
        _ => {
            let body = std::str::from_utf8(request.body().bytes().unwrap()).unwrap();
            assert!(body.contains("orders") && !body.contains("next"), "{body}");
            (200, r#"{"Shards":[]}"#.into())
        }
    });
    assert_eq!(list(&kinesis).await.map_err(|error| error.to_string()), Ok(Vec::new()));
    assert_eq!(kinesis.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_listing_whose_token_always_expires_ends() {
    let kinesis = Kinesis::new(|number, _| match number % 2 {
        0 => page("next"),
        _ => refusal("ExpiredNextTokenException", "expired"),
    });
    let error = list(&kinesis).await.unwrap_err();
    assert_eq!((error.kind(), kinesis.calls()), (RequestErrorKind::ExpiredNextToken, 6), "{error}");
}
