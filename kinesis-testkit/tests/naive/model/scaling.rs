//! UpdateShardCount, whose ways are the service's own choice.

use serde_json::{Value, json};

use super::{Answer, Answered, Change, HOUR, Model, Shard, refuse, shard_id};

impl Model {
    pub(super) fn update_shard_count(&mut self, input: &Value) -> Answered {
        let stream = self.resolve(input)?;
        self.must_be_provisioned(stream)?;
        let target = input["TargetShardCount"].as_u64().unwrap();
        let open = self.streams[stream].open_shards().len() as u64;
        if target > open * 2 || target * 2 < open {
            return Err(vec!["InvalidArgumentException", "LimitExceededException"]);
        }
        self.must_be_active(stream)?;
        let (now, scalings) = (self.now, &mut self.streams[stream].rescalings);
        scalings.retain(|at| at + 24 * HOUR > now);
        if scalings.len() >= 10 {
            return refuse("LimitExceededException");
        }
        scalings.push(now);
        self.count("shard counts updated");
        let it = &self.streams[stream];
        let body = json!({
            "StreamName": it.name,
            "StreamARN": it.arn(),
            "CurrentShardCount": open,
            "TargetShardCount": target,
        });
        self.begin(stream, Change::Rescale(target));
        Ok(Answer::Body(body, Vec::new()))
    }

    /// Takes over the shards that UpdateShardCount has made, and checks that they are what it promises.
    ///
    /// Which splits and merges lead to the target is the service's choice. What must hold: every new shard covers
    /// exactly what its parents covered together with its siblings, and in the end the open shards are equal in size.
    pub(crate) fn take_over(&mut self, stream: usize, listing: &Value) -> Result<(), String> {
        let Some((target, at)) = self.streams[stream].rescaled.take() else { return Ok(()) };
        let listed = listing["Shards"].as_array().ok_or("no Shards")?;
        for body in listed {
            let id = body["ShardId"].as_str().ok_or("no ShardId")?;
            let known = self.streams[stream].shards.len();
            if *id < *shard_id(known) {
                continue;
            }
            let parents = self.parents_of(stream, body)?;
            let bound = |field: &str| body["HashKeyRange"][field].as_str().and_then(|text| text.parse().ok());
            let (Some(start), Some(end)) = (bound("StartingHashKey"), bound("EndingHashKey")) else {
                return Err(format!("{id} has no range"));
            };
            if *id != *shard_id(known) {
                return Err(format!("{id} leaves a gap after {known} shards"));
            }
            self.add_child(stream, Shard::new(start, end, parents, at));
        }
        for shard in 0..self.streams[stream].shards.len() {
            if !self.streams[stream].shards[shard].children.is_empty() && self.streams[stream].is_open(shard) {
                self.close(stream, at, shard);
            }
        }
        self.check_lineage(stream)?;
        self.check_uniform(stream, target)
    }

    fn parents_of(&self, stream: usize, body: &Value) -> Result<Vec<usize>, String> {
        let ids = ["ParentShardId", "AdjacentParentShardId"].into_iter().filter_map(|field| body[field].as_str());
        let known = 0..self.streams[stream].shards.len();
        let parents: Option<Vec<usize>> = ids.map(|id| known.clone().find(|shard| shard_id(*shard) == id)).collect();
        parents.filter(|parents| !parents.is_empty()).ok_or_else(|| format!("{body} has no known parents"))
    }

    fn check_lineage(&self, stream: usize) -> Result<(), String> {
        let shards = &self.streams[stream].shards;
        for (index, shard) in shards.iter().enumerate().filter(|(_, shard)| !shard.children.is_empty()) {
            let mut family: Vec<usize> =
                shard.children.iter().flat_map(|child| shards[*child].parents.clone()).collect();
            family.sort_unstable();
            family.dedup();
            let of = |members: &[usize]| {
                let mut ranges: Vec<_> =
                    members.iter().map(|member| (shards[*member].start, shards[*member].end)).collect();
                ranges.sort_unstable();
                let whole = ranges.windows(2).all(|pair| pair[0].1.checked_add(1) == Some(pair[1].0));
                (whole, ranges[0].0, ranges[ranges.len() - 1].1)
            };
            if of(&family) != of(&shard.children) || !of(&family).0 {
                return Err(format!("the children of {} do not cover what it covered", shard_id(index)));
            }
        }
        Ok(())
    }

    fn check_uniform(&self, stream: usize, target: u64) -> Result<(), String> {
        let it = &self.streams[stream];
        let mut ranges: Vec<_> =
            it.open_shards().into_iter().map(|shard| (it.shards[shard].start, it.shards[shard].end)).collect();
        ranges.sort_unstable();
        let sizes = ranges.iter().map(|(start, end)| end - start);
        let (smallest, largest) = (sizes.clone().min().unwrap_or_default(), sizes.max().unwrap_or_default());
        // 2^128 divided by the target leaves less than the target over, and one shard has to hold the rest.
        if ranges.len() as u64 != target || largest - smallest > u128::from(target) {
            return Err(format!("{target} shards of equal size were asked for, got {ranges:?}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Call, Delays};

    const MIDDLE: u128 = 1 << 127;

    /// A model whose stream of one shard is to have two.
    fn scaled() -> Model {
        let mut model = Model::new(Delays::default(), None);
        model.answer(&Call { operation: "CreateStream", input: json!({ "StreamName": "a", "ShardCount": 1 }) });
        let input = json!({ "StreamName": "a", "TargetShardCount": 2, "ScalingType": "UNIFORM_SCALING" });
        model.answer(&Call { operation: "UpdateShardCount", input });
        model
    }

    fn listing(ranges: &[(u128, u128)]) -> Value {
        let shard = |(index, (start, end)): (usize, &(u128, u128))| {
            let range = json!({ "StartingHashKey": start.to_string(), "EndingHashKey": end.to_string() });
            json!({ "ShardId": shard_id(index + 1), "ParentShardId": shard_id(0), "HashKeyRange": range })
        };
        json!({ "Shards": ranges.iter().enumerate().map(shard).collect::<Vec<_>>() })
    }

    #[test]
    fn halves_of_what_was_one_are_taken_over() {
        let mut model = scaled();
        model.take_over(0, &listing(&[(0, MIDDLE - 1), (MIDDLE, u128::MAX)])).unwrap();
        assert_eq!(model.streams[0].open_shards(), [1, 2]);
    }

    #[test]
    fn gaps_overlaps_and_unequal_parts_are_refused() {
        let third = u128::MAX / 3;
        for (ranges, text) in [
            ([(0, MIDDLE - 2), (MIDDLE, u128::MAX)], "do not cover"),
            ([(0, MIDDLE), (MIDDLE, u128::MAX)], "do not cover"),
            ([(0, MIDDLE - 1), (MIDDLE, u128::MAX - 1)], "do not cover"),
            ([(0, third), (third + 1, u128::MAX)], "equal size"),
        ] {
            let refused = scaled().take_over(0, &listing(&ranges)).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
        assert!(scaled().take_over(0, &listing(&[])).unwrap_err().contains("equal size"));
    }
}
