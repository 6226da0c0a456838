//! Subscriptions over real connections of HTTP/2.

use std::time::Duration;

use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use kinesis_core::{
    ClientOptions, FanOutConsumerStatus, HashKeyRange, IteratorStart, KinesisClient, ShardId, ShardSubscription,
};
use kinesis_testkit::{FakeKinesis, Server};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::support::STREAM;

const SHARDS: u32 = 8;
/// So many subscriptions begin, and nobody takes their events.
const PARKED: usize = 3;
/// More than the window of a stream that HTTP clients have by default, 2 MiB, so that three of them are more than that of
/// a connection, 5 MiB; and the others' take longer, at 2 MB/s of each shard, than that is filled.
const PARKED_MIB: usize = 4;
const OTHER_MIB: usize = 8;
const LONG: Duration = Duration::from_secs(60);

async fn fill(fake: &FakeKinesis) {
    let data = Blob::new(vec![b'x'; 64 * 1024]);
    for (index, range) in HashKeyRange::uniform(SHARDS).into_iter().enumerate() {
        let mib = if index < PARKED { PARKED_MIB } else { OTHER_MIB };
        for _ in 0..mib {
            let entry = PutRecordsRequestEntry::builder().partition_key("key").data(data.clone());
            let entry = entry.explicit_hash_key(range.start().to_string()).build().unwrap();
            let request = fake.client().put_records().stream_name(STREAM).set_records(Some(vec![entry; 16]));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.failed_record_count, Some(0));
        }
    }
}

/// A client whose own connections are none of HTTP/2, so that what subscriptions need is shown by itself.
fn client(url: &str) -> KinesisClient {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .endpoint_url(url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = KinesisClient::new(aws_sdk_kinesis::Client::from_conf(config), ClientOptions::default());
    client.with_subscription_connections(Duration::from_secs(5))
}

async fn read(mut subscription: ShardSubscription, bytes: usize) -> usize {
    let mut seen = 0;
    while seen < bytes {
        let event = subscription.next_event().await.unwrap().expect("five minutes are not over");
        seen += event.records().iter().map(|record| record.data().as_ref().len()).sum::<usize>();
    }
    seen
}

#[tokio::test]
async fn three_parked_subscriptions_keep_nothing_from_the_others_of_their_connection() {
    let fake = FakeKinesis::builder().stream(STREAM, SHARDS).build();
    fill(&fake).await;
    let server = Server::bind(&fake, "127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", server.local_addr());
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    let client = client(&url);
    let stream = STREAM.parse().unwrap();
    let arn = client.describe_stream_summary(&stream).await.unwrap().arn;
    let consumer = client.register_stream_consumer(&arn, "app").await.unwrap();
    while client.describe_stream_consumer(&arn, "app").await.unwrap().status != FanOutConsumerStatus::Active {
        tokio::task::yield_now().await;
    }
    let mut subscriptions = Vec::new();
    for index in 0..u64::from(SHARDS) {
        let (shard, start) = (ShardId::from_index(index), IteratorStart::TrimHorizon);
        let subscription = client.subscribe_to_shard(&consumer.arn, &stream, &shard, start, LONG).await.unwrap();
        subscriptions.push(subscription);
    }
    let others = subscriptions.split_off(PARKED);
    let mut reading: JoinSet<usize> = others.into_iter().map(|one| read(one, OTHER_MIB << 20)).collect();
    let read_all = async { while reading.join_next().await.is_some_and(|seen| seen.unwrap() == OTHER_MIB << 20) {} };
    tokio::time::timeout(LONG, read_all).await.expect("the parked ones stop nobody");
    let parked: JoinSet<usize> = subscriptions.into_iter().map(|one| read(one, PARKED_MIB << 20)).collect();
    assert_eq!(parked.join_all().await, [PARKED_MIB << 20; PARKED], "and their own events were kept for them");
    drop(stop);
    serving.await.unwrap();
}
