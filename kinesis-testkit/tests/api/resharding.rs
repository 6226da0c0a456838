//! Splits and merges.

use aws_sdk_kinesis::types::{ChildShard, ShardIteratorType};
use kinesis_core::{HashKey, HashKeyRange, Shard};

use crate::support::{SHARD_0, SHARD_1, SHARD_2, STREAM, code, fake, iterator, put_at, read, refusal, texts};

fn tiles(shards: &[Shard]) -> bool {
    let mut open: Vec<HashKeyRange> = shards.iter().filter(|it| it.is_open()).map(|it| it.hash_key_range).collect();
    open.sort();
    open[0].start() == HashKey::MIN
        && open[open.len() - 1].end() == HashKey::MAX
        && open.windows(2).all(|pair| pair[0].is_adjacent(&pair[1]))
}

#[tokio::test(start_paused = true)]
async fn a_split_closes_the_parent_and_opens_two_halves() {
    let (fake, client) = fake(2);
    client
        .split_shard()
        .stream_name(STREAM)
        .shard_to_split(SHARD_0)
        .new_starting_hash_key("1000")
        .send()
        .await
        .unwrap();
    let shards = fake.shards(STREAM).unwrap();
    assert_eq!(shards.len(), 4);
    assert!(tiles(&shards));
    let (parent, low, high) = (&shards[0], &shards[2], &shards[3]);
    assert!(!parent.is_open() && low.is_open() && high.is_open());
    assert_eq!((low.hash_key_range.end().value(), high.hash_key_range.start().value()), (999, 1000));
    for child in [low, high] {
        assert_eq!((child.parent.as_ref(), &child.adjacent_parent), (Some(&parent.id), &None));
        assert!(child.starting_sequence_number > parent.ending_sequence_number.unwrap());
    }
    assert_eq!(parent.ending_sequence_number.unwrap().to_string().len(), 56);
}

#[tokio::test(start_paused = true)]
async fn a_merge_closes_both_parents_and_opens_one() {
    let (fake, client) = fake(2);
    let merge = |shard: &str, adjacent: &str| {
        client.merge_shards().stream_name(STREAM).shard_to_merge(shard).adjacent_shard_to_merge(adjacent).send()
    };
    assert_eq!(code(merge(SHARD_1, SHARD_0).await), "InvalidArgumentException", "the lower shard is named first");
    merge(SHARD_0, SHARD_1).await.unwrap();
    let shards = fake.shards(STREAM).unwrap();
    assert!(tiles(&shards));
    let child = &shards[2];
    assert_eq!(child.hash_key_range, HashKeyRange::FULL);
    assert_eq!(child.parent.as_ref().unwrap().as_str(), SHARD_0);
    assert_eq!(child.adjacent_parent.as_ref().unwrap().as_str(), SHARD_1);
    assert!(shards[..2].iter().all(|it| it.ending_sequence_number.unwrap() < child.starting_sequence_number));
}

#[tokio::test(start_paused = true)]
async fn numbers_rise_along_the_lineage_however_fast_it_grows() {
    let (fake, client) = fake(1);
    let mut last = put_at(&client, 0, "x").await;
    for _ in 0..40 {
        let open = fake
            .shards(STREAM)
            .unwrap()
            .into_iter()
            .find(|it| it.is_open() && it.hash_key_range.contains(HashKey::MIN));
        fake.split(STREAM, open.unwrap().id.as_str()).unwrap();
        let next = put_at(&client, 0, "x").await;
        assert!(next > last, "{next} is not above {last}");
        last = next;
    }
    assert!(tiles(&fake.shards(STREAM).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn the_reply_that_ends_a_closed_shard_names_its_children() {
    let (fake, client) = fake(1);
    let before = iterator(&client, SHARD_0, ShardIteratorType::TrimHorizon).await;
    let empty = iterator(&client, SHARD_0, ShardIteratorType::Latest).await;
    put_at(&client, 0, "one").await;
    put_at(&client, 0, "two").await;
    let at_the_end = iterator(&client, SHARD_0, ShardIteratorType::Latest).await;
    let children = fake.split(STREAM, SHARD_0).unwrap();
    put_at(&client, 0, "three").await;

    let first = client.get_records().shard_iterator(before).limit(1).send().await.unwrap();
    assert_eq!((texts(&first), first.child_shards().len()), (vec!["one"], 0));
    let last = read(&client, first.next_shard_iterator.unwrap()).await;
    assert_eq!((texts(&last), last.next_shard_iterator()), (vec!["two"], None));
    let ids = |children: &[ChildShard]| children.iter().map(|it| it.shard_id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(last.child_shards()), children.each_ref().map(ToString::to_string));
    assert_eq!(last.child_shards()[0].parent_shards(), [SHARD_0]);
    assert_eq!(last.child_shards()[0].hash_key_range().unwrap().starting_hash_key(), "0");
    assert_eq!(last.millis_behind_latest(), Some(0));

    assert_eq!(texts(&read(&client, empty).await), ["one", "two"]);
    let nothing = read(&client, at_the_end).await;
    assert_eq!((texts(&nothing).len(), nothing.next_shard_iterator(), nothing.child_shards().len()), (0, None, 2));
    let child = iterator(&client, children[0].as_str(), ShardIteratorType::TrimHorizon).await;
    assert_eq!(texts(&read(&client, child).await), ["three"]);
}

#[tokio::test(start_paused = true)]
async fn the_child_of_a_merge_has_two_parents_in_the_reply() {
    let (fake, client) = fake(2);
    let iterator = iterator(&client, SHARD_1, ShardIteratorType::TrimHorizon).await;
    let child = fake.merge(STREAM, SHARD_0, SHARD_1).unwrap();
    let end = read(&client, iterator).await;
    assert_eq!(end.child_shards()[0].shard_id(), child.as_str());
    assert_eq!(end.child_shards()[0].parent_shards(), [SHARD_0, SHARD_1]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_resharded_is_refused_in_the_services_words() {
    let (fake, client) = fake(4);
    let split = |shard: &str, key: &str| {
        client.split_shard().stream_name(STREAM).shard_to_split(shard).new_starting_hash_key(key).send()
    };
    let merge = |a: &str, b: &str| {
        client.merge_shards().stream_name(STREAM).shard_to_merge(a).adjacent_shard_to_merge(b).send()
    };
    fake.split(STREAM, SHARD_0).unwrap();
    let closed = "Shard shardId-000000000000 in stream orders under account 123456789012 has already been merged or \
                  split, and thus is not eligible for merging or splitting.";
    for (code, message) in [refusal(split(SHARD_0, "1000").await), refusal(merge(SHARD_0, SHARD_1).await)] {
        assert_eq!((code.as_str(), message.as_str()), ("InvalidArgumentException", closed));
    }
    let range = fake.shards(STREAM).unwrap()[1].hash_key_range;
    let outside = [range.start().value(), range.start().value() + 1, range.end().value(), 5];
    for key in outside {
        let (code, message) = refusal(split(SHARD_1, &key.to_string()).await);
        assert_eq!(code, "InvalidArgumentException");
        assert!(message.contains("is not both greater than one plus the shard's StartingHashKey"), "{message}");
    }
    let (code_, message) = refusal(merge(SHARD_1, "shardId-000000000003").await);
    assert_eq!(code_, "InvalidArgumentException");
    assert!(message.ends_with("are not an adjacent pair of shards eligible for merging"), "{message}");
    let (code_, message) = refusal(split("shardId-000000000099", "1").await);
    assert_eq!(code_, "ResourceNotFoundException");
    assert_eq!(message, "Could not find shard shardId-000000000099 in stream orders under account 123456789012.");
    assert_eq!(code(split(SHARD_2, "x").await), "ValidationException");
    assert_eq!(code(merge("a b", SHARD_2).await), "ValidationException");
    assert_eq!(fake.split("none", SHARD_0).unwrap_err().code(), "ResourceNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn a_shard_too_narrow_to_split_says_so() {
    let (fake, _) = fake(1);
    let [low, _] = fake.split_at(STREAM, SHARD_0, HashKey::new(4)).unwrap();
    let [lowest, _] = fake.split(STREAM, low.as_str()).unwrap();
    assert_eq!(fake.split(STREAM, lowest.as_str()).unwrap_err().code(), "InvalidArgumentException");
}

#[tokio::test(start_paused = true)]
async fn the_ending_number_of_a_shard_has_nothing_after_it() {
    let (fake, client) = fake(1);
    put_at(&client, 0, "x").await;
    fake.split(STREAM, SHARD_0).unwrap();
    let ending = fake.shards(STREAM).unwrap()[0].ending_sequence_number.unwrap().to_string();
    let request = |kind| client.get_shard_iterator().stream_name(STREAM).shard_id(SHARD_0).shard_iterator_type(kind);
    let after = request(ShardIteratorType::AfterSequenceNumber).starting_sequence_number(&ending).send().await;
    let (code, message) = refusal(after);
    assert_eq!(code, "InvalidArgumentException");
    assert!(message.contains("SequenceNumber has reached max possible value for the shard."), "{message}");
    let at = request(ShardIteratorType::AtSequenceNumber).starting_sequence_number(&ending).send().await.unwrap();
    let end = read(&client, at.shard_iterator.unwrap()).await;
    assert_eq!((end.records().len(), end.next_shard_iterator()), (0, None));
}
