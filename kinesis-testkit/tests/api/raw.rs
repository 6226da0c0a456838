//! Calls as they stand on the wire.

use kinesis_testkit::{Fault, FaultRule, Operation};

use crate::support::{STREAM, fake};

#[tokio::test(start_paused = true)]
async fn a_call_needs_no_sdk() {
    let (fake, _) = fake(1);
    let put = r#"{"StreamName":"orders","PartitionKey":"k","Data":"eA=="}"#;
    let reply = fake.call("PutRecord", put).await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.body.contains("\"ShardId\":\"shardId-000000000000\""), "{}", reply.body);
    let refused = fake.call("PutRecord", "{").await.unwrap();
    assert_eq!((refused.status, refused.body.as_str()), (400, r#"{"__type":"SerializationException"}"#));
    fake.inject(FaultRule::on(Operation::PutRecord).fault(Fault::LoseReply));
    let broken = fake.call("PutRecord", put).await.unwrap_err();
    assert!(broken.to_string().starts_with("the connection broke during PutRecord"), "{broken}");
    assert_eq!(fake.stored(STREAM).unwrap().records, 2);
}
