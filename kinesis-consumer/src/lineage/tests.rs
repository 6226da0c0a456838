//! The lineage of one stream, step by step.

use super::*;
use kinesis_core::{HashKeyRange, RecordPosition, SequenceNumber, from_unix_millis};

const T0: ShardPosition = ShardPosition::at_timestamp(SystemTime::UNIX_EPOCH);

fn id(index: u64) -> ShardId {
    ShardId::from_index(index)
}

fn shard(index: u64, range: HashKeyRange, parents: &[u64]) -> Shard {
    Shard {
        id: id(index),
        hash_key_range: range,
        parent: parents.first().copied().map(id),
        adjacent_parent: parents.get(1).copied().map(id),
        starting_sequence_number: SequenceNumber::ZERO,
        ending_sequence_number: None,
    }
}

fn halves() -> (HashKeyRange, HashKeyRange) {
    let halves = HashKeyRange::uniform(2);
    (halves[0], halves[1])
}

fn restore(graph: &mut ShardGraph, shard: Shard, start: ShardPosition, progress: Option<ShardProgress>) {
    let owed_since = SystemTime::UNIX_EPOCH;
    graph.restore(&Entry { shard: &shard, start, owed_since, is_skipped: false, progress });
}

fn progress(ended: bool, state: &'static str) -> ShardProgress {
    let position = ShardPosition::from_parts(Some(RecordPosition::new(9.into(), 0)), None, ended);
    ShardProgress { position, user_state: Bytes::from_static(state.as_bytes()), watermark: None }
}

fn begun(graph: &ShardGraph) -> Vec<u64> {
    graph.startable().iter().filter_map(|startable| startable.shard.id.index()).collect()
}

/// Shard 0, split into 1 and 2.
fn split_graph() -> ShardGraph {
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], SystemTime::UNIX_EPOCH);
    graph.advance(&id(0), progress(false, "mid"));
    graph.observe(
        vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])],
        SystemTime::UNIX_EPOCH,
    );
    graph
}

#[test]
fn children_wait_for_their_parent_and_start_at_the_horizon_with_its_state() {
    let mut graph = split_graph();
    assert!(begun(&graph).is_empty());
    graph.advance(&id(0), progress(true, "final"));
    let startable = graph.startable();
    assert_eq!(begun(&graph), [1, 2]);
    assert!(startable.iter().all(|child| child.position == ShardPosition::TRIM_HORIZON));
    assert!(startable.iter().all(|child| child.states[0].1 == "final"));
}

#[test]
fn a_merged_shard_waits_for_both_parents_and_gets_both_states_in_range_order() {
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.observe(vec![shard(0, high, &[]), shard(1, low, &[])], SystemTime::UNIX_EPOCH);
    graph.advance(&id(0), progress(true, "upper"));
    graph.advance(&id(1), progress(false, "lower"));
    graph.observe(
        vec![shard(0, high, &[]), shard(1, low, &[]), shard(2, HashKeyRange::FULL, &[0, 1])],
        SystemTime::UNIX_EPOCH,
    );
    assert!(begun(&graph).is_empty());
    graph.advance(&id(1), progress(true, "lower"));
    let states: Vec<_> = graph.startable()[0].states.iter().map(|(_, state)| state.clone()).collect();
    assert_eq!(states, ["lower", "upper"]);
}

#[test]
fn at_first_every_shard_starts_where_configured_also_the_children() {
    // A child that was there before T0 must not be read from its beginning.
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.observe(
        vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])],
        SystemTime::UNIX_EPOCH,
    );
    graph.advance(&id(0), progress(true, ""));
    assert!(graph.startable().iter().all(|child| child.position == T0));
}

#[test]
fn an_unknown_parent_counts_as_finished() {
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.observe(vec![shard(7, HashKeyRange::FULL, &[3])], SystemTime::UNIX_EPOCH);
    assert_eq!(begun(&graph), [7]);
}

#[test]
fn an_ancestor_of_a_known_shard_is_never_started() {
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    restore(&mut graph, shard(1, low, &[0]), ShardPosition::TRIM_HORIZON, Some(progress(false, "")));
    let changes = graph.observe(
        vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])],
        SystemTime::UNIX_EPOCH,
    );
    assert_eq!(changes.discovered, [id(2)]);
    assert!(!graph.nodes.contains_key(&id(0)));
}

#[test]
fn a_finished_parent_stays_until_it_is_unlisted_twice_and_its_children_have_begun() {
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], SystemTime::UNIX_EPOCH);
    graph.advance(&id(0), progress(true, "final"));
    for _ in 0..3 {
        assert_eq!(
            graph.observe(vec![shard(1, low, &[0])], SystemTime::UNIX_EPOCH).pruned,
            [],
            "the other child is not known yet"
        );
    }
    let both = || vec![shard(1, low, &[0]), shard(2, high, &[0])];
    graph.advance(&id(1), progress(false, "one"));
    assert_eq!(
        graph.observe(both(), SystemTime::UNIX_EPOCH).pruned,
        [],
        "the second child has still to inherit the final state"
    );
    graph.advance(&id(2), progress(false, "two"));
    assert_eq!(graph.observe(both(), SystemTime::UNIX_EPOCH).pruned, [id(0)]);
}

#[test]
fn an_unfinished_shard_that_is_no_longer_listed_is_reported_once() {
    let mut graph = split_graph();
    let (low, high) = halves();
    let children = || vec![shard(1, low, &[0]), shard(2, high, &[0])];
    assert_eq!(graph.observe(children(), SystemTime::UNIX_EPOCH).lost, [id(0)]);
    assert_eq!(graph.observe(children(), SystemTime::UNIX_EPOCH).lost, []);
    assert!(begun(&graph).is_empty(), "until the loss is accepted");
    graph.give_up(&id(0));
    assert_eq!(begun(&graph), [1, 2]);
    assert_eq!(graph.startable()[0].states[0].1, "mid", "what was saved of the parent");
    assert_eq!(graph.unfinished().count(), 2);
}

/// Shard 0 is split into 1 and 2, and those into 3 to 6; then all but the last four are gone, 0 at "mid".
fn lost_generations() -> ShardGraph {
    let quarters = HashKeyRange::uniform(4);
    let mut graph = split_graph();
    let (low, high) = halves();
    let last: Vec<Shard> = (3..7).map(|index| shard(index, quarters[index as usize - 3], &[(index - 1) / 2])).collect();
    let parents = [shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])];
    graph.observe([&parents[..], &last].concat(), SystemTime::UNIX_EPOCH);
    assert_eq!(graph.observe(last, SystemTime::UNIX_EPOCH).lost, [id(0), id(1), id(2)]);
    graph
}

#[test]
fn children_of_a_skipped_shard_wait_for_its_parents_and_inherit_what_it_would_have() {
    let mut graph = lost_generations();
    graph.give_up(&id(1));
    graph.give_up(&id(2));
    assert!(begun(&graph).is_empty(), "what was fetched of shard 0 is not processed yet");
    graph.advance(&id(0), progress(true, "final"));
    assert_eq!(begun(&graph), [3, 4, 5, 6]);
    for child in graph.startable() {
        let states: Vec<_> = child.states.iter().map(|(shard, state)| (shard.id.index(), state.clone())).collect();
        assert_eq!(states, [(Some(0), Bytes::from_static(b"final"))]);
    }
}

#[test]
fn what_a_skipped_shard_left_to_its_children_is_kept_until_they_have_begun() {
    let mut graph = lost_generations();
    graph.take_up(&id(0));
    [0, 1, 2].into_iter().for_each(|index| graph.give_up(&id(index)));
    let listing: Vec<Shard> = graph.startable().into_iter().map(|startable| startable.shard).collect();
    for index in 3..7 {
        assert_eq!(graph.observe(listing.clone(), SystemTime::UNIX_EPOCH).pruned, []);
        // It is saved with it, and a restored job goes on from there.
        let mut restored = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        graph.entries().for_each(|entry| restored.restore(&entry));
        assert_eq!(restored.observe(listing.clone(), SystemTime::UNIX_EPOCH).lost, [], "it was reported");
        assert!(restored.startable().iter().all(|child| child.states.len() == 1 && child.states[0].1 == "mid"));
        graph = restored;
        graph.advance(&id(index), progress(false, "own"));
    }
    graph.observe(listing, SystemTime::UNIX_EPOCH);
    assert_eq!(graph.nodes.keys().cloned().collect::<Vec<_>>(), (3..7).map(id).collect::<Vec<_>>());
}

#[test]
fn an_heir_is_given_just_the_states_of_its_own_keys() {
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    restore(&mut graph, shard(0, low, &[]), T0, Some(progress(true, "low")));
    restore(&mut graph, shard(1, high, &[]), T0, Some(progress(true, "high")));
    restore(&mut graph, shard(2, HashKeyRange::FULL, &[0, 1]), T0, None);
    graph.give_up(&id(2));
    graph.observe(vec![shard(3, low, &[2]), shard(4, high, &[2])], SystemTime::UNIX_EPOCH);
    let states: Vec<_> = graph.startable().into_iter().map(|child| child.states).collect();
    let names: Vec<Vec<_>> =
        states.iter().map(|states| states.iter().map(|(_, state)| state.clone()).collect()).collect();
    assert_eq!(names, [["low"], ["high"]]);
}

#[test]
fn ends_that_nobody_may_have_kept_yet_stay_until_a_restore() {
    let (low, high) = halves();
    let mut graph = split_graph();
    graph.keep_ends();
    graph.advance(&id(0), progress(true, ""));
    graph.advance(&id(1), progress(false, ""));
    graph.advance(&id(2), progress(false, ""));
    let children = || vec![shard(1, low, &[0]), shard(2, high, &[0])];
    for _ in 0..3 {
        assert_eq!(graph.observe(children(), SystemTime::UNIX_EPOCH).pruned, []);
    }
    let mut restored = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    restored.keep_ends();
    graph.entries().for_each(|entry| restored.restore(&entry));
    assert_eq!(restored.observe(children(), SystemTime::UNIX_EPOCH).pruned, []);
    assert_eq!(restored.observe(children(), SystemTime::UNIX_EPOCH).pruned, [id(0)]);
}

#[test]
fn splits_and_merges_in_turn_are_walked_once_and_not_along_every_path() {
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    let mut listing = vec![shard(0, HashKeyRange::FULL, &[])];
    for round in 0..60 {
        let [top, one, two, bottom] = [3 * round, 3 * round + 1, 3 * round + 2, 3 * round + 3];
        listing.push(shard(one, low, &[top]));
        listing.push(shard(two, high, &[top]));
        listing.push(shard(bottom, HashKeyRange::FULL, &[one, two]));
    }
    let last = listing.pop().unwrap();
    graph.observe([&listing[..], std::slice::from_ref(&last)].concat(), SystemTime::UNIX_EPOCH);
    graph.advance(&id(0), progress(false, "first"));
    for lost in graph.observe(vec![last.clone()], SystemTime::UNIX_EPOCH).lost {
        graph.give_up(&lost);
    }
    assert_eq!(begun(&graph), [180]);
    assert_eq!(graph.startable()[0].states.len(), 1);
    graph.advance(&id(180), progress(false, "last"));
    graph.observe(vec![last], SystemTime::UNIX_EPOCH);
    assert_eq!(graph.nodes.len(), 1);
}

#[test]
fn a_final_state_is_saved_until_all_children_have_begun() {
    let mut graph = split_graph();
    graph.advance(&id(0), progress(true, "final"));
    let saved = |graph: &ShardGraph| {
        graph.entries().find(|entry| entry.shard.id == id(0)).and_then(|entry| entry.progress).unwrap().user_state
    };
    graph.advance(&id(1), progress(false, "one"));
    assert_eq!(saved(&graph), "final", "the second child has still to inherit it");
    graph.advance(&id(2), progress(false, "two"));
    assert_eq!(saved(&graph), "");
}

/// As in a table's stream, of which no ranges are known: a second child may turn up after the first has begun.
#[test]
fn the_state_of_a_shard_whose_children_may_not_all_be_known_is_kept_while_it_is_listed() {
    let whole = |index, parents: &[u64]| shard(index, HashKeyRange::FULL, parents);
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.observe(vec![whole(0, &[])], SystemTime::UNIX_EPOCH);
    graph.advance(&id(0), progress(true, "final"));
    graph.observe(vec![whole(0, &[]), whole(1, &[0])], SystemTime::UNIX_EPOCH);
    graph.advance(&id(1), progress(false, "first child"));
    let mut restored = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.entries().for_each(|entry| restored.restore(&entry));
    restored.observe(vec![whole(0, &[]), whole(1, &[0]), whole(2, &[0])], SystemTime::UNIX_EPOCH);
    let second = restored.startable().into_iter().next().unwrap();
    assert_eq!((second.shard.id, second.states[0].1.clone()), (id(2), Bytes::from("final")));
    for _ in 0..2 {
        restored.observe(vec![whole(1, &[0]), whole(2, &[0])], SystemTime::UNIX_EPOCH);
    }
    assert!(restored.entries().all(|entry| entry.shard.id != id(0)), "kept for good");
}

#[test]
fn a_restored_shard_resumes_with_its_own_state() {
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    restore(&mut graph, shard(0, HashKeyRange::FULL, &[]), T0, Some(progress(false, "own")));
    restore(&mut graph, shard(1, HashKeyRange::FULL, &[]), T0, Some(progress(true, "old")));
    let resumable = graph.resumable();
    assert_eq!(resumable.len(), 1);
    assert_eq!(resumable[0].states[0].1, "own");
    assert!(begun(&graph).is_empty());
    let later = from_unix_millis(5);
    assert_ne!(ShardPosition::at_timestamp(later), resumable[0].position);
}

#[test]
fn it_is_known_since_when_records_may_be_unread() {
    let hour = |hours: u64| from_unix_millis(hours * 3_600_000);
    let (horizon, at) = (ShardPosition::TRIM_HORIZON, |hours| ShardPosition::at_timestamp(hour(hours)));
    let read = |not_before| ShardPosition::from_parts(Some(RecordPosition::new(7u128.into(), 0)), not_before, false);
    let cases = [
        (at(1), Some(at(9)), Some(hour(9)), "idle, and nothing was ever read"),
        (horizon, Some(read(Some(hour(9)))), Some(hour(9)), "idle"),
        (horizon, Some(read(None)), None, "its last record will tell"),
        (horizon, Some(horizon), Some(hour(5)), "begun, and nothing is read yet"),
        (horizon, None, Some(hour(5)), "it waits for its parents"),
        (at(3), None, Some(hour(5)), "what was older than the job was never owed"),
        (at(6), None, Some(hour(6)), "nothing before its start is owed"),
    ];
    for (start, position, expected, why) in cases {
        let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
        let progress = position.map(|position| ShardProgress { position, ..progress(false, "") });
        let shard = shard(0, HashKeyRange::FULL, &[]);
        graph.restore(&Entry { shard: &shard, start, owed_since: hour(5), is_skipped: false, progress });
        let [taken_up] = [graph.resumable(), graph.startable()].concat().try_into().unwrap();
        let Startable { unread_since, .. } = taken_up;
        assert_eq!(unread_since, expected, "{why}");
    }
}

#[test]
fn a_shard_is_owed_from_the_last_listing_on_that_lacked_it() {
    let hour = |hours: u64| from_unix_millis(hours * 3_600_000);
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, hour(1));
    let owed = |graph: &ShardGraph| -> Vec<_> { graph.entries().map(|entry| entry.owed_since).collect() };
    graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], hour(1));
    graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], hour(2));
    let all = || vec![shard(0, HashKeyRange::FULL, &[]), shard(1, low, &[0]), shard(2, high, &[0])];
    graph.observe(all(), hour(3));
    graph.observe(all(), hour(4));
    assert_eq!(owed(&graph), [hour(1), hour(2), hour(2)]);
}

#[test]
fn descendants_of_a_known_shard_start_at_the_horizon_in_any_generation() {
    let parts = HashKeyRange::uniform(3);
    let (low, high) = halves();
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    restore(&mut graph, shard(5, HashKeyRange::FULL, &[]), T0, Some(progress(false, "")));
    // The ids tell nothing of the order, and shard 9 is of another family.
    let listing = vec![
        shard(5, HashKeyRange::FULL, &[]),
        shard(1, low, &[7]),
        shard(2, high, &[7]),
        shard(7, HashKeyRange::FULL, &[5]),
        shard(9, parts[0], &[]),
    ];
    graph.observe(listing, SystemTime::UNIX_EPOCH);
    let starts: Vec<_> = graph.entries().map(|entry| (entry.shard.id.index(), entry.start)).collect();
    let horizon = ShardPosition::TRIM_HORIZON;
    let expected = [(1, horizon), (2, horizon), (5, T0), (7, horizon), (9, T0)];
    assert_eq!(starts, expected.map(|(index, start)| (Some(index), start)));
}

#[test]
fn children_cover_only_without_a_hole() {
    let parts = HashKeyRange::uniform(3);
    let mut graph = ShardGraph::new(T0, SystemTime::UNIX_EPOCH);
    graph.observe(vec![shard(0, HashKeyRange::FULL, &[])], SystemTime::UNIX_EPOCH);
    graph.observe(
        vec![shard(0, HashKeyRange::FULL, &[]), shard(1, parts[0], &[0]), shard(2, parts[2], &[0])],
        SystemTime::UNIX_EPOCH,
    );
    assert!(!graph.children_cover(&id(0), |_| true));
    graph.observe(vec![shard(0, HashKeyRange::FULL, &[]), shard(3, parts[1], &[0])], SystemTime::UNIX_EPOCH);
    assert!(graph.children_cover(&id(0), |_| true));
}
