//! The reference's numbers (its tests of watermarks, emitter and tracker), and where ours differ.

use super::*;
use crate::event_time::shard::tests::{ms, shard};

struct Job {
    watermark: JobWatermark,
    shards: Vec<(StreamShard, ShardTime)>,
    now: Instant,
}

fn event_time(bound: u64) -> EventTime {
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(bound));
    EventTime { strategy, config: EventTimeConfig::default(), is_aligned: false }
}

fn job(event_time: EventTime, shards: u64) -> Job {
    let now = Instant::now();
    let mut watermark = JobWatermark::new(event_time, std::iter::empty());
    let shards = (0..shards).map(|index| (shard(index), watermark.begin(&shard(index), None, now))).collect();
    Job { watermark, shards, now }
}

fn hold(shard: &StreamShard) -> Hold {
    Hold::Reading { shard: shard.clone(), watermark: None, has_begun: true, has_children: false }
}

impl Job {
    /// Reads records of a shard as far as it may be, and takes them in; returns the time of the first that has to wait.
    fn read(&self, index: usize, times: &[i64]) -> Option<i64> {
        let (id, time) = &self.shards[index];
        let mut reader = time.reader(id);
        for millis in times {
            let watermark = reader.on_record(Some(ms(*millis)));
            time.advance(watermark);
            if !reader.limit().allows(watermark) {
                return Some(*millis);
            }
        }
        None
    }

    fn update(&self) -> Option<SystemTime> {
        self.watermark.update(self.shards.iter().map(|(id, _)| hold(id)), self.now)
    }
}

#[tokio::test(start_paused = true)]
async fn the_watermark_is_the_smallest_of_all_shards_and_is_told_once() {
    let job = job(event_time(5), 2);
    job.read(0, &[1, 2]);
    job.read(1, &[10]);
    assert_eq!(job.update(), Some(ms(-3)));
    assert_eq!(job.update(), None);
    job.read(0, &[10]);
    assert_eq!(job.update(), Some(ms(5)));
    assert_eq!(job.update(), None);
}

/// The reference goes on without it: a slow shard does not hold its watermark.
#[tokio::test(start_paused = true)]
async fn a_shard_without_a_record_yet_is_waited_for() {
    let job = job(event_time(0), 2);
    assert_eq!(job.update(), None, "the reference's first record at MIN");
    job.read(0, &[1]);
    assert_eq!(job.update(), None);
    job.read(1, &[7]);
    assert_eq!(job.update(), Some(ms(1)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_shard_is_waited_for_until_it_is_idle() {
    let mut slow = job(event_time(0), 2);
    slow.read(0, &[1]);
    slow.read(1, &[9]);
    assert_eq!(slow.update(), Some(ms(1)));
    slow.now += Duration::from_millis(11);
    slow.shards[0].1.at_tip(slow.now);
    slow.shards[1].1.advance(Some(ms(9)));
    assert_eq!(slow.update(), None, "idleness is off");
    slow.watermark.event_time.config.idle_interval = Some(Duration::from_millis(10));
    assert_eq!(slow.update(), Some(ms(9)));
    slow.read(0, &[2]);
    assert_eq!(slow.update(), None, "back, and late: the watermark stays");
    slow.read(0, &[12]);
    slow.read(1, &[11]);
    assert_eq!(slow.update(), Some(ms(11)));
}

#[tokio::test(start_paused = true)]
async fn a_job_of_idle_shards_stays_where_it_is() {
    let mut job = job(event_time(0), 1);
    job.read(0, &[1]);
    assert_eq!(job.update(), Some(ms(1)));
    job.watermark.event_time.config.idle_interval = Some(Duration::from_millis(10));
    job.shards[0].1.at_tip(job.now);
    job.now += Duration::from_millis(11);
    assert_eq!(job.update(), None);
}

fn aligned(bound: u64, sync: u64, lookahead: u64) -> EventTime {
    let mut config = EventTimeConfig::default();
    config.sync_interval = Duration::from_millis(sync);
    config.lookahead = Duration::from_millis(lookahead);
    EventTime { config, is_aligned: true, ..event_time(bound) }
}

#[tokio::test(start_paused = true)]
async fn a_record_beyond_the_lookahead_waits_and_its_own_watermark_lets_it_through() {
    let job = job(aligned(5, 1001, 5), 1);
    assert_eq!(job.read(0, &[1]), Some(1), "before the first exchange nobody knows who is to be waited for");
    assert_eq!(job.update(), Some(ms(-4)));
    let limit = |job: &Job| job.watermark.published.borrow().limit;
    assert_eq!(limit(&job), Limit::Until(ms(-4 + 3003)), "three intervals of exchange");
    assert_eq!(job.read(0, &[1, 3005]), Some(3005));
    assert_eq!(job.update(), Some(ms(3000)), "what waits counts, else it would wait for ever");
    assert!(limit(&job).allows(Some(ms(3000))));
}

/// The reference's emitter lets one record past the limit: 10 as well.
#[tokio::test(start_paused = true)]
async fn no_record_is_past_the_lookahead() {
    let job = job(aligned(0, 0, 1), 2);
    job.read(0, &[5]);
    job.read(1, &[5]);
    assert_eq!(job.update(), Some(ms(5)));
    assert_eq!(job.read(0, &[1, 2, 3, 10, 11]), Some(10));
    assert_eq!(job.read(1, &[20, 30]), Some(20));
    assert_eq!(job.update(), Some(ms(10)), "the shards go on in the order of their times");
    assert_eq!(job.read(0, &[10, 11, 13]), Some(13));
    assert_eq!(job.read(1, &[20, 30]), Some(20));
}

/// Also where records are later than shards may run ahead, which would stop both if their times were compared.
#[tokio::test(start_paused = true)]
async fn shards_that_wait_do_not_wait_for_each_other() {
    let job = job(aligned(60_000, 0, 1), 2);
    let mut next = [0_i64, 5_000_000];
    for _ in 0..3000 {
        for index in [0, 1] {
            if job.read(index, &[next[index]]).is_none() {
                next[index] += 10_000;
            }
        }
        job.update();
    }
    assert!(next.iter().all(|time| *time > 5_000_000), "{next:?}");
    assert!(next[0].abs_diff(next[1]) <= 20_000, "{next:?}");
}

/// The tracker of the reference: update(998) is 998, update(999) is 999, 0 and then -1 is 0.
#[tokio::test(start_paused = true)]
async fn the_watermark_never_goes_back() {
    let job = job(event_time(0), 1);
    for (time, told) in [(0, Some(0)), (-1, None), (998, Some(998)), (999, Some(999))] {
        job.read(0, &[time]);
        assert_eq!(job.update(), told.map(ms));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restored_job_goes_on_from_the_smallest_of_what_was_saved() {
    let begun = |index, watermark: Option<i64>| Hold::Reading {
        shard: shard(index),
        watermark: watermark.map(ms),
        has_begun: true,
        has_children: false,
    };
    let new = Hold::Reading { shard: shard(9), watermark: None, has_begun: false, has_children: false };
    let current = |holds: Vec<Hold>| JobWatermark::new(event_time(0), holds.into_iter()).current();
    let ended = Hold::Final { watermark: Some(ms(6)), waits_for_others: false };
    assert_eq!(current(vec![begun(0, Some(7)), ended, new.clone()]), Some(ms(6)));
    assert_eq!(current(vec![begun(0, Some(7)), begun(1, None)]), None);
    assert_eq!(current(vec![new]), None);
}

/// Found by random runs: the other parent of a merged shard waited for the child that waits for it.
#[tokio::test(start_paused = true)]
async fn the_parents_of_a_merged_shard_do_not_wait_for_their_child() {
    let job = job(aligned(0, 0, 1), 1);
    let end = Hold::Final { watermark: Some(ms(5)), waits_for_others: true };
    let holds = |job: &Job| vec![end.clone(), hold(&job.shards[0].0)];
    assert_eq!(job.read(0, &[900]), Some(900));
    job.watermark.update(holds(&job).into_iter(), job.now);
    assert_eq!(job.read(0, &[900]), None);
    assert_eq!(job.watermark.current(), Some(ms(5)), "its records may be that old");
}
