//! A new shard map: lanes come and go, and what waited moves.

use std::collections::BTreeMap;
use std::sync::Arc;

use kinesis_core::RequestError;

use super::{Context, MOST_UNEXPLAINED, OpenStream};
use crate::outcome::FailureCause;
use crate::pipeline::opening::StreamInfo;
use crate::pipeline::shard_map::ShardMap;
use crate::pipeline::unit::Unit;

impl OpenStream {
    /// Takes a reading of the shard map; until here the old one served.
    pub(crate) fn on_map(&mut self, reading: Result<StreamInfo, RequestError>, ctx: &mut Context<'_>) {
        self.refresh.finish(ctx.now);
        let map = match reading {
            Ok(info) => self.take_info(&info),
            Err(error) if error.is_retryable() => {
                tracing::debug!(stream = %self.name, %error, "reading the shard map again");
                None
            }
            Err(error) => {
                tracing::warn!(stream = %self.name, %error, "the shard map is not readable; the old one serves");
                self.map_pause.fail(ctx.now, ctx.now, &self.config.backoff, ctx.random);
                self.give_up_landed(&FailureCause::Request(Arc::new(error)), ctx);
                return;
            }
        };
        let Some(map) = map else {
            self.map_pause.fail(ctx.now, ctx.now, &self.config.backoff, ctx.random);
            self.refresh.request_again();
            return;
        };
        ctx.ledger.stats.shard_map_reads += 1;
        self.map_pause.succeed();
        self.refresh.settle();
        self.meter.keep_shards(|shard| map.range_of(shard).is_some());
        let has_changed = map.routes() != self.map.routes();
        if has_changed {
            self.change_map(map, ctx);
        } else {
            self.map = map;
        }
        let misplaced = self.judge_landed(ctx);
        self.take_note_of_misplaced(misplaced, has_changed);
    }

    /// Stops packing where readings do not explain where aggregates land, until the shards change.
    fn take_note_of_misplaced(&mut self, misplaced: usize, has_changed: bool) {
        let before = self.unexplained;
        if has_changed {
            self.unexplained = 0;
        } else if misplaced > 0 {
            self.unexplained = before.saturating_add(1);
        }
        if (before < MOST_UNEXPLAINED) != (self.unexplained < MOST_UNEXPLAINED) {
            let packs = self.unexplained < MOST_UNEXPLAINED;
            tracing::warn!(stream = %self.name, packs, "aggregates land where no shard of theirs is, or do so no more");
            let limits = self.aggregation_limits();
            self.lanes.iter_mut().for_each(|lane| lane.set_limits(limits));
        }
    }

    /// Takes note of the stream's limit and mode, and makes its map.
    fn take_info(&mut self, info: &StreamInfo) -> Option<ShardMap> {
        let map = ShardMap::new(&info.shards, info.settings.by_partition_key)?;
        let before = std::mem::replace(&mut self.settings, info.settings);
        if before.by_partition_key != info.settings.by_partition_key {
            let by_partition_key = info.settings.by_partition_key;
            tracing::info!(stream = %self.name, by_partition_key, "the stream's mode has changed");
        }
        if before.record_limit_bytes != info.settings.record_limit_bytes {
            let limits = self.aggregation_limits();
            self.lanes.iter_mut().for_each(|lane| lane.set_limits(limits));
        }
        Some(map)
    }

    /// Keeps the lanes of the shards that stay, and moves what waits in the others.
    fn change_map(&mut self, map: ShardMap, ctx: &mut Context<'_>) {
        tracing::info!(stream = %self.name, shards = map.routes().len(), "the shard map has changed");
        let leaves = |unit: &Unit| !unit.origin.as_ref().is_some_and(|origin| map.routes().contains(&origin.route));
        let mut moved = Vec::new();
        for unit in self.collector.extract(ctx.now, leaves) {
            self.release(&unit);
            moved.extend(unit.dissolve());
        }
        let old = std::mem::take(&mut self.lanes);
        // A split and a merge may bring a range back under another shard: only the whole route tells a lane.
        let mut old: BTreeMap<_, _> = old.into_iter().map(|lane| (lane.route().clone(), lane)).collect();
        let mut lanes = Vec::with_capacity(map.routes().len());
        for route in map.routes() {
            let lane = old.remove(route);
            lanes.push(lane.unwrap_or_else(|| self.new_lane(route.clone(), ctx.now)));
        }
        for mut lane in old.into_values() {
            moved.extend(lane.drain());
            if self.config.ordered {
                self.order.add_foreign(lane.route().range, lane.out);
            }
        }
        (self.map, self.lanes) = (map, lanes);
        self.wakes.clear();
        self.stalled.clear();
        self.lanes.iter_mut().for_each(|lane| (lane.wake, lane.is_stalled) = (None, false));
        moved.sort_by_key(|record| record.tracker.sequence);
        let alive = self.settle_records(moved, ctx);
        self.redistribute(alive, ctx);
        self.advance_all(ctx);
    }
}
