//! Which shards a listing holds, and its pages.

use kinesis_core::Shard as ShardDescription;

use super::error::ServiceError;
use super::shards::Shard;
use super::streams::Stream;
use super::token::{Purpose, Token};

/// How long a page token lives (API reference, ListShards).
const TOKEN_LIFE_MILLIS: u64 = 300_000;

/// The filter of a listing, as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShardFilter {
    AfterShardId(String),
    AtTrimHorizon,
    FromTrimHorizon,
    AtLatest,
    AtTimestamp { millis: u64 },
    FromTimestamp { millis: u64 },
}

/// A filter with everything in it resolved, so that all pages of a listing use the same.
#[derive(Clone, Copy, Debug)]
enum Selection {
    All,
    Open,
    /// Created at the time or before, and not closed before it.
    OpenAt(u64),
    /// Not closed before the time.
    OpenSince(u64),
}

impl Selection {
    fn holds(self, shard: &Shard) -> bool {
        match self {
            Self::All => true,
            Self::Open => shard.is_open(),
            Self::OpenAt(millis) => shard.created_millis <= millis && shard.lasted_until(millis),
            Self::OpenSince(millis) => shard.lasted_until(millis),
        }
    }

    const fn parts(self) -> (u8, u64) {
        match self {
            Self::All => (0, 0),
            Self::Open => (1, 0),
            Self::OpenAt(millis) => (2, millis),
            Self::OpenSince(millis) => (3, millis),
        }
    }

    const fn from_parts(detail: u8, value: u64) -> Option<Self> {
        match detail {
            0 => Some(Self::All),
            1 => Some(Self::Open),
            2 => Some(Self::OpenAt(value)),
            3 => Some(Self::OpenSince(value)),
            _ => None,
        }
    }
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardPage {
    pub(crate) shards: Vec<ShardDescription>,
    pub(crate) next_token: Option<String>,
}

/// The first page of a listing.
///
/// A time before the trim horizon counts as the horizon, and the horizon of a stream that is younger than its
/// retention is its creation.
pub(super) fn first_page(
    stream: &Stream,
    filter: Option<&ShardFilter>,
    exclusive_start: Option<&str>,
    max_results: usize,
    now_millis: u64,
) -> Result<ShardPage, ServiceError> {
    let horizon = stream.kept_from_millis(now_millis).saturating_sub(1).max(stream.created_millis);
    let not_in_future = |millis: u64| {
        if millis > now_millis {
            return Err(ServiceError::invalid_argument(format!(
                "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
                 timestampInMillis: {millis}, currentTimestampInMillis: {now_millis}"
            )));
        }
        Ok(millis.max(horizon))
    };
    let mut after = exclusive_start.map(parse_index).transpose()?;
    let selection = match filter {
        None => Selection::All,
        Some(ShardFilter::AfterShardId(id)) => {
            after = after.max(Some(parse_index(id)?));
            Selection::All
        }
        Some(ShardFilter::AtTrimHorizon) => Selection::OpenAt(horizon),
        Some(ShardFilter::FromTrimHorizon) => Selection::OpenSince(horizon),
        Some(ShardFilter::AtLatest) => Selection::Open,
        Some(ShardFilter::AtTimestamp { millis }) => Selection::OpenAt(not_in_future(*millis)?),
        Some(ShardFilter::FromTimestamp { millis }) => Selection::OpenSince(not_in_future(*millis)?),
    };
    Ok(page(stream, selection, after, max_results, now_millis))
}

/// Reads a page token: the stream that it is about comes with it.
pub(super) fn read_token(text: &str, purpose: Purpose, secret: &str, now_millis: u64) -> Result<Token, ServiceError> {
    let token =
        Token::decode(text, purpose, secret).ok_or_else(|| ServiceError::invalid_argument("Invalid NextToken."))?;
    if now_millis.saturating_sub(token.issued_millis) > TOKEN_LIFE_MILLIS {
        return Err(ServiceError::new(
            "ExpiredNextTokenException",
            "The pagination token passed to the operation is expired.",
            400,
        ));
    }
    Ok(token)
}

/// The page that a token asks for.
pub(super) fn next_page(
    stream: &Stream,
    token: &Token,
    max_results: usize,
    now_millis: u64,
) -> Result<ShardPage, ServiceError> {
    let selection = Selection::from_parts(token.detail, token.value)
        .filter(|_| token.stream_created_millis == stream.created_millis)
        .ok_or_else(|| ServiceError::invalid_argument("Invalid NextToken."))?;
    Ok(page(stream, selection, Some(token.shard_index), max_results, now_millis))
}

fn page(stream: &Stream, selection: Selection, after: Option<u32>, max_results: usize, now_millis: u64) -> ShardPage {
    let mut selected = stream.shards_after(after).filter(|shard| selection.holds(shard)).peekable();
    let mut shards = Vec::new();
    let mut last = 0;
    while let Some(shard) = (shards.len() < max_results).then(|| selected.next()).flatten() {
        shards.push(shard.describe());
        last = shard.index;
    }
    let next_token = selected.peek().map(|_| {
        let (detail, value) = selection.parts();
        let token = Token {
            issued_millis: now_millis,
            stream_created_millis: stream.created_millis,
            shard_index: last,
            detail,
            value,
            stream: stream.name().clone(),
        };
        token.encode(Purpose::ShardPage, &stream.secret)
    });
    ShardPage { shards, next_token }
}

/// The index in a shard id that need not exist.
fn parse_index(id: &str) -> Result<u32, ServiceError> {
    let index = id.strip_prefix("shardId-").and_then(|digits| digits.parse().ok());
    index.ok_or_else(|| ServiceError::invalid_argument(format!("Invalid ShardId {id}.")))
}
