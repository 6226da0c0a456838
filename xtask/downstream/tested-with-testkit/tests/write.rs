//! Lines arrive once, although the service throttles.

use kinesis_testkit::testing::assert_stored_once;
use kinesis_testkit::{FakeKinesis, Fault, FaultRule, Operation};
use tested_with_testkit::write;

#[tokio::test(start_paused = true)]
async fn throttled_lines_are_written_again() {
    let kinesis = FakeKinesis::builder().stream("orders", 2).virtual_time().build();
    let throttled = kinesis.inject(FaultRule::on(Operation::PutRecord).nth(2).fault(Fault::throttle()).times(3));
    for line in ["one", "two", "three"] {
        write(&kinesis.client(), "orders", line).await.unwrap();
    }
    assert_stored_once(&kinesis, "orders", ["one", "two", "three"]);
    assert_eq!(throttled.fired(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_missing_stream_is_an_error() {
    let kinesis = FakeKinesis::builder().virtual_time().build();
    assert!(write(&kinesis.client(), "orders", "one").await.is_err());
}
