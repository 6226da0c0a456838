//! What the service says to which call, operation by operation.
//!
//! The expectations are data (`cases/*.json`), so that a runner in any language can put them to any implementation. None
//! of them is derived from this crate: each names its source.
//!
//! A file holds `operation` and `cases`. A case is put to a service that holds nothing; it has
//! - `name`, and `source`: `recorded: FILE` (a text or a fact that kinesalite's author recorded from the service, or what
//!   another project did, which is then named), `model: …` (service model of API 2013-12-02), `documentation: …` (the
//!   model's texts, or the developer guide), or `unverified` (nobody says; our decision);
//! - `fake`, where more than an empty service is needed: `limits` (`aws`: quotas and throughput are enforced), `creating_ms`,
//!   `updating_ms`, `deleting_ms` (how long these states last; without, changes are done at once, and a runner for another
//!   service waits after each step until the stream is ACTIVE);
//! - `steps`, each a call or, with `"only": "in_process"`, time that passes (`advance_ms`).
//!
//! A call has `call` (the operation), `input` or `raw_body`, `repeat` (how often; `${i}` in the input counts from 1), and
//! what is expected: `status` (200), and `reply` or `error` (`""` is an empty body). Members that are not listed may be
//! there, unless `exact`; `absent` lists paths of members that may not. `save` keeps values for `${name}` in later steps. The
//! account is 123456789012 and the region us-east-1.
//!
//! A call of SubscribeToShard that has `subscription` keeps the event stream under that name; without, nobody reads it. A
//! step with `receive` (that name) and `events` reads as many events as are listed, each `{"event": {…}}` (the payload),
//! `{"exception": {"type": …, "message": …}}` (an error frame), or `"end"` (the end of the stream). Where another one is
//! listed, events without records and child shards are passed over: the service sends them when it likes to. What is to be
//! saved or absent is looked for in the list of the events, such as `$[0].event.ContinuationSequenceNumber`.
//!
//! In inputs and expectations: `{"$fill": ["a", 3]}` a repeated text, `{"$base64_zeros": 3}` a blob, `{"$times": [3, item]}` a
//! list (`${i}` in it counts from 1), `{"$map": [3, "k${i}", value]}` a map, `{"$join": […]}` one text of several,
//! `{"$seconds_from_now": -1}` a timestamp. In expectations: `$any`, `$type`, `$regex`, `$number_between`, `$greater_than`,
//! `$length`, `$each`, `$contains`, `$unordered`, `$one_of`.

#[cfg(test)]
mod case;
#[cfg(test)]
mod events;
#[cfg(test)]
mod expand;
#[cfg(test)]
mod matching;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod run;
#[cfg(test)]
mod sources;
#[cfg(test)]
#[expect(dead_code, reason = "other services keep what they were given, and take their time")]
mod target;

/// A test for each operation of the service model, and the list of all.
macro_rules! operations {
    ($($test:ident $operation:literal,)*) => {
        $(
            #[cfg(test)]
            #[tokio::test(start_paused = true)]
            async fn $test() {
                crate::run::check($operation, include_str!(concat!("cases/", $operation, ".json"))).await;
            }
        )*

        /// All operations of the service model, each with the text of its file.
        #[cfg(test)]
        const FILES: &[(&str, &str)] = &[$(($operation, include_str!(concat!("cases/", $operation, ".json")))),*];
    };
}

operations! {
    acknowledge_dead_letter_queue_records "AcknowledgeDeadLetterQueueRecords",
    acknowledge_queue_records "AcknowledgeQueueRecords",
    add_tags_to_stream "AddTagsToStream",
    create_channel "CreateChannel",
    create_queue "CreateQueue",
    create_stream "CreateStream",
    decrease_stream_retention_period "DecreaseStreamRetentionPeriod",
    delete_channel "DeleteChannel",
    delete_queue "DeleteQueue",
    delete_resource_policy "DeleteResourcePolicy",
    delete_stream "DeleteStream",
    deregister_stream_consumer "DeregisterStreamConsumer",
    describe_account_settings "DescribeAccountSettings",
    describe_channel "DescribeChannel",
    describe_limits "DescribeLimits",
    describe_queue "DescribeQueue",
    describe_stream "DescribeStream",
    describe_stream_consumer "DescribeStreamConsumer",
    describe_stream_summary "DescribeStreamSummary",
    disable_enhanced_monitoring "DisableEnhancedMonitoring",
    enable_enhanced_monitoring "EnableEnhancedMonitoring",
    get_records "GetRecords",
    get_resource_policy "GetResourcePolicy",
    get_shard_iterator "GetShardIterator",
    increase_stream_retention_period "IncreaseStreamRetentionPeriod",
    list_channels "ListChannels",
    list_queues "ListQueues",
    list_shards "ListShards",
    list_stream_consumers "ListStreamConsumers",
    list_streams "ListStreams",
    list_tags_for_resource "ListTagsForResource",
    list_tags_for_stream "ListTagsForStream",
    merge_shards "MergeShards",
    put_record "PutRecord",
    put_records "PutRecords",
    put_resource_policy "PutResourcePolicy",
    receive_dead_letter_queue_records "ReceiveDeadLetterQueueRecords",
    receive_queue_records "ReceiveQueueRecords",
    register_stream_consumer "RegisterStreamConsumer",
    remove_tags_from_stream "RemoveTagsFromStream",
    restore_dead_letter_queue_records "RestoreDeadLetterQueueRecords",
    split_shard "SplitShard",
    start_stream_encryption "StartStreamEncryption",
    stop_stream_encryption "StopStreamEncryption",
    subscribe_to_shard "SubscribeToShard",
    tag_resource "TagResource",
    untag_resource "UntagResource",
    update_account_settings "UpdateAccountSettings",
    update_channel "UpdateChannel",
    update_dead_letter_queue_records_visibility "UpdateDeadLetterQueueRecordsVisibility",
    update_max_record_size "UpdateMaxRecordSize",
    update_queue "UpdateQueue",
    update_queue_records_visibility "UpdateQueueRecordsVisibility",
    update_shard_count "UpdateShardCount",
    update_stream_mode "UpdateStreamMode",
    update_stream_record_distribution_strategy "UpdateStreamRecordDistributionStrategy",
    update_stream_warm_throughput "UpdateStreamWarmThroughput",
}
