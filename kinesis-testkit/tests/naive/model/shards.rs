//! Shards: listing, splitting, merging.

use serde_json::{Value, json};

use super::{Answer, Answered, Change, Learn, Model, Mutant, Page, Refusal, Shard, State, Token, millis, refuse};

impl Shard {
    pub(super) fn new(start: u128, end: u128, parents: Vec<usize>, created: u64) -> Self {
        let (children, closed, gone, first, last) = (Vec::new(), None, false, None, None);
        Self { start, end, parents, children, created, closed, gone, first, last }
    }

    pub(super) fn range(&self) -> Value {
        json!({ "StartingHashKey": self.start.to_string(), "EndingHashKey": self.end.to_string() })
    }
}

pub(crate) fn shard_id(index: usize) -> String {
    format!("shardId-{index:012}")
}

/// Whether a filter has what its type needs. Decided: this is checked before the stream is looked for.
fn is_whole(filter: &Value) -> Result<(), Refusal> {
    let kind = filter["Type"].as_str().unwrap_or_default();
    let lacks_time = kind.ends_with("_TIMESTAMP") && filter["Timestamp"].is_null();
    let lacks_shard = kind == "AFTER_SHARD_ID" && filter["ShardId"].is_null();
    if lacks_time || lacks_shard { refuse("InvalidArgumentException") } else { Ok(()) }
}

impl Model {
    /// The shards that have not vanished.
    pub(crate) fn listed(&self, stream: usize) -> Vec<usize> {
        let shards = &self.streams[stream].shards;
        (0..shards.len()).filter(|shard| !shards[*shard].gone).collect()
    }

    /// The index of a shard by its id.
    pub(super) fn shard(&self, stream: usize, id: &Value) -> Result<usize, Refusal> {
        let listed = self.listed(stream);
        let found = listed.into_iter().find(|shard| id.as_str() == Some(&shard_id(*shard)));
        found.map_or_else(|| refuse("ResourceNotFoundException"), Ok)
    }

    pub(super) fn describe_shard(&self, stream: usize, shard: usize, learn: &mut Vec<Learn>) -> Value {
        let it = &self.streams[stream].shards[shard];
        let mut number = |known: &Option<String>, unknown: Learn| {
            known.clone().unwrap_or_else(|| {
                learn.push(unknown);
                format!("${}", learn.len() - 1)
            })
        };
        let mut numbers = json!({ "StartingSequenceNumber": number(&it.first, Learn::First(stream, shard)) });
        if it.closed.is_some() {
            numbers["EndingSequenceNumber"] = json!(number(&it.last, Learn::Last(stream, shard)));
        }
        let mut body =
            json!({ "ShardId": shard_id(shard), "HashKeyRange": it.range(), "SequenceNumberRange": numbers });
        for (field, parent) in ["ParentShardId", "AdjacentParentShardId"].into_iter().zip(&it.parents) {
            body[field] = json!(shard_id(*parent));
        }
        body
    }

    pub(super) fn list_shards(&mut self, input: &Value) -> Answered {
        let limit = input["MaxResults"].as_u64().unwrap_or(1000).min(1000) as usize;
        let exclusive = ["StreamName", "StreamARN", "ExclusiveStartShardId", "StreamCreationTimestamp", "ShardFilter"];
        let (stream, after, mut filter) = match input["NextToken"].as_str() {
            Some(_) if exclusive.iter().any(|field| !input[field].is_null()) => {
                return refuse("InvalidArgumentException");
            }
            Some(token) => match self.redeem(token, |page| matches!(page, Page::Shards { .. }))? {
                Page::Shards { stream, after, filter } => (stream, Some(shard_id(after)), filter),
                other => unreachable!("{other:?}"),
            },
            None => {
                is_whole(&input["ShardFilter"])?;
                let after = input["ExclusiveStartShardId"].as_str().map(str::to_owned);
                (self.resolve(input)?, after, input["ShardFilter"].clone())
            }
        };
        self.can_be_listed(stream, input)?;
        let mut shards = self.filtered(stream, &mut filter)?;
        shards.retain(|shard| after.as_ref().is_none_or(|after| shard_id(*shard) > *after));
        let (page, more) = (&shards[..shards.len().min(limit)], shards.len() > limit);
        let mut learn = Vec::new();
        let page_body: Vec<Value> = page.iter().map(|shard| self.describe_shard(stream, *shard, &mut learn)).collect();
        let mut body = json!({ "Shards": page_body });
        if more {
            body["NextToken"] = json!(format!("${}", learn.len()));
            let page = Page::Shards { stream, after: page[page.len() - 1], filter };
            learn.push(Learn::Token(Token { page, issued: self.now }));
            self.count("shard pages");
        }
        Ok(Answer::Body(body, learn))
    }

    fn can_be_listed(&self, stream: usize, input: &Value) -> Result<(), Refusal> {
        let it = &self.streams[stream];
        let other = millis(&input["StreamCreationTimestamp"]).is_some_and(|created| created != it.created);
        match it.state {
            // Decided: a token of a stream that was created again since is no token, once the new one can be listed.
            State::Gone => match self.named(&it.name).map(|stream| &self.streams[stream]) {
                None => refuse("ResourceNotFoundException"),
                Some(other) if other.takes_data() => refuse("InvalidArgumentException"),
                Some(_) => refuse("ResourceInUseException"),
            },
            _ if other => refuse("ResourceNotFoundException"),
            // Decided: a stream that is DELETING cannot be listed either.
            State::Creating(_) | State::Deleting(_) => refuse("ResourceInUseException"),
            _ => Ok(()),
        }
    }

    /// The shards that a filter chooses. Decided: it means the same instant on all pages, that of the first one.
    fn filtered(&mut self, stream: usize, filter: &mut Value) -> Result<Vec<usize>, Refusal> {
        let mut shards = self.listed(stream);
        let Some(kind) = filter["Type"].as_str().map(str::to_owned) else { return Ok(shards) };
        let it = &self.streams[stream];
        let time = millis(&filter["Timestamp"]);
        if time.is_some_and(|time| time > self.now) {
            return refuse("InvalidArgumentException");
        }
        // A time before the horizon counts as the horizon.
        let time = filter["Instant"].as_u64().unwrap_or_else(|| time.unwrap_or_default().max(it.horizon));
        // A page token keeps the filter with it.
        filter["Instant"] = json!(time);
        let ended_before = |shard: &usize| it.shards[*shard].closed.is_some_and(|closed| closed < time);
        let began_by_then = |shard: &usize| it.shards[*shard].created <= time;
        match kind.as_str() {
            "AFTER_SHARD_ID" => {
                let after = filter["ShardId"].as_str().unwrap();
                shards.retain(|shard| *shard_id(*shard) > *after);
            }
            "AT_LATEST" => shards.retain(|shard| it.is_open(*shard)),
            "AT_TRIM_HORIZON" | "AT_TIMESTAMP" => {
                shards.retain(|shard| began_by_then(shard) && !ended_before(shard));
            }
            "FROM_TRIM_HORIZON" => {}
            _ => shards.retain(|shard| !ended_before(shard)),
        }
        self.count("filtered listings");
        Ok(shards)
    }

    /// What a page token stands for, if it is of the right kind and not too old.
    pub(super) fn redeem(&mut self, token: &str, of: fn(&Page) -> bool) -> Result<Page, Refusal> {
        let Some((_, found)) = self.tokens.iter().rev().find(|(text, found)| text == token && of(&found.page)) else {
            return refuse("InvalidArgumentException");
        };
        let found = found.clone();
        if self.now - found.issued > super::LIFE {
            self.count("expired page tokens");
            return refuse("ExpiredNextTokenException");
        }
        self.count("page tokens redeemed");
        Ok(found.page)
    }

    pub(super) fn must_be_provisioned(&self, stream: usize) -> Result<(), Refusal> {
        if self.streams[stream].mode == "PROVISIONED" { Ok(()) } else { refuse("ValidationException") }
    }

    /// Recorded by kinesalite (test/splitShard.js): what can be no shard's id is refused before the stream is looked for.
    fn resolve_with_shards(&self, input: &Value, members: &[&str]) -> Result<usize, Refusal> {
        let found = self.resolve(input);
        let is_named = found != refuse("InvalidArgumentException");
        let digits = |member: &&str| input[*member].as_str().unwrap().strip_prefix("shardId-").unwrap_or_default();
        if is_named && members.iter().any(|member| digits(member).is_empty()) {
            return refuse("ResourceNotFoundException");
        }
        found
    }

    /// In kinesalite's order: the stream's state, the shard, the range, whether the shard is closed.
    pub(super) fn split_shard(&mut self, input: &Value) -> Answered {
        let key = input["NewStartingHashKey"].as_str().unwrap().parse::<u128>();
        let stream = self.resolve_with_shards(input, &["ShardToSplit"])?;
        self.must_be_provisioned(stream)?;
        self.must_be_active(stream)?;
        let shard = self.shard(stream, &input["ShardToSplit"])?;
        let it = &self.streams[stream].shards[shard];
        let key = match key {
            Ok(key) if key > it.start.saturating_add(1) && key < it.end => key,
            _ => return refuse("InvalidArgumentException"),
        };
        if it.closed.is_some() {
            self.count("splits of closed shards");
            return refuse("InvalidArgumentException");
        }
        self.count("splits");
        self.begin(stream, Change::Split(shard, key));
        Ok(Answer::Nothing)
    }

    pub(super) fn apply_split(&mut self, stream: usize, at: u64, shard: usize, key: u128) {
        let key = if self.mutant == Some(Mutant::SplitOffByOne) { key + 1 } else { key };
        let it = self.streams[stream].shards[shard].clone();
        self.close(stream, at, shard);
        self.add_child(stream, Shard::new(it.start, key - 1, vec![shard], at));
        self.add_child(stream, Shard::new(key, it.end, vec![shard], at));
    }

    pub(super) fn merge_shards(&mut self, input: &Value) -> Answered {
        let stream = self.resolve_with_shards(input, &["ShardToMerge", "AdjacentShardToMerge"])?;
        self.must_be_provisioned(stream)?;
        self.must_be_active(stream)?;
        let first = self.shard(stream, &input["ShardToMerge"])?;
        let second = self.shard(stream, &input["AdjacentShardToMerge"])?;
        let (one, other) = (&self.streams[stream].shards[first], &self.streams[stream].shards[second]);
        let touch = |low: &Shard, high: &Shard| low.end.checked_add(1) == Some(high.start);
        // Recorded by kinesalite (test/mergeShards.js): the lower shard is named first.
        if !touch(one, other) {
            self.count("merges of shards apart");
            return refuse("InvalidArgumentException");
        }
        if one.closed.is_some() || other.closed.is_some() {
            return refuse("InvalidArgumentException");
        }
        self.count("merges");
        self.begin(stream, Change::Merge(first, second));
        Ok(Answer::Nothing)
    }

    pub(super) fn apply_merge(&mut self, stream: usize, at: u64, first: usize, second: usize) {
        let shards = &self.streams[stream].shards;
        let (start, end) = (shards[first].start, shards[second].end);
        self.close(stream, at, first);
        self.close(stream, at, second);
        self.add_child(stream, Shard::new(start, end, vec![first, second], at));
    }

    pub(super) fn close(&mut self, stream: usize, at: u64, shard: usize) {
        let late = u64::from(self.mutant == Some(Mutant::ChildBeforeParentEnds));
        self.streams[stream].shards[shard].closed = Some(at + late);
    }

    pub(super) fn add_child(&mut self, stream: usize, child: Shard) {
        let shards = &mut self.streams[stream].shards;
        for parent in &child.parents {
            let index = shards.len();
            shards[*parent].children.push(index);
        }
        shards.push(child);
    }
}
