"""Every operation of Kinesis through boto3: ENDPOINT [CERTIFICATE].

Prints a line per operation, and fails where an answer is not what a program written for AWS relies on, or where an
operation of the model was forgotten.
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
VERIFY = sys.argv[2] if len(sys.argv) > 2 else None
ACCOUNT = "123456789012"
ARN = f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/orders"

client = boto3.client(
    "kinesis",
    endpoint_url=ENDPOINT,
    region_name="us-east-1",
    aws_access_key_id="AKIDEXAMPLE",
    aws_secret_access_key="secret",
    verify=VERIFY,
    config=Config(retries={"max_attempts": 1}, read_timeout=20),
)
called = set()
refused = set()


def call(operation, **parameters):
    called.add(operation)
    method = "".join("_" + c.lower() if c.isupper() else c for c in operation).lstrip("_")
    return getattr(client, method)(**parameters)


def check(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")


def expect(code, operation, **parameters):
    try:
        call(operation, **parameters)
    except ClientError as error:
        check(error.response["Error"]["Code"] == code, f"{operation}: {error}")
        return error.response["Error"]["Message"]
    raise SystemExit(f"failed: {operation} was not refused with {code}")


def drain(shard):
    iterator = call("GetShardIterator", StreamName="orders", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    iterator, records = iterator["ShardIterator"], []
    while iterator:
        reply = call("GetRecords", ShardIterator=iterator, Limit=1000)
        records += reply["Records"]
        iterator = None if reply["MillisBehindLatest"] == 0 else reply.get("NextShardIterator")
    return records


def streams():
    call("CreateStream", StreamName="orders", ShardCount=2, Tags={"team": "a"})
    client.get_waiter("stream_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 10})
    described = call("DescribeStream", StreamName="orders")["StreamDescription"]
    check(described["StreamARN"] == ARN and len(described["Shards"]) == 2, f"DescribeStream: {described}")
    summary = call("DescribeStreamSummary", StreamARN=ARN)["StreamDescriptionSummary"]
    check(summary["OpenShardCount"] == 2 and summary["StreamStatus"] == "ACTIVE", f"DescribeStreamSummary: {summary}")
    check("orders" in call("ListStreams")["StreamNames"], "ListStreams")
    check(len(client.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1}).build_full_result()["StreamNames"]) == 1, "pages of ListStreams")
    expect("ResourceInUseException", "CreateStream", StreamName="orders", ShardCount=2)
    expect("ResourceNotFoundException", "DescribeStream", StreamName="absent")
    limits = call("DescribeLimits")
    check(limits["OpenShardCount"] == 2, f"DescribeLimits: {limits}")


def records():
    put = call("PutRecord", StreamName="orders", Data=b"\x00\xff", PartitionKey="k", ExplicitHashKey="0")
    check(put["ShardId"] == "shardId-000000000000", f"PutRecord: {put}")
    batch = [{"Data": b"x" * n, "PartitionKey": str(n)} for n in range(1, 401)]
    check(call("PutRecords", StreamName="orders", Records=batch)["FailedRecordCount"] == 0, "PutRecords")
    shards = call("ListShards", StreamName="orders")["Shards"]
    read = [record for shard in shards for record in drain(shard["ShardId"])]
    check(len(read) == 401 and sum(len(it["Data"]) for it in read) == 2 + 400 * 401 // 2, "GetRecords")
    first = drain("shardId-000000000000")[0]
    check(first["Data"] == b"\x00\xff" and first["SequenceNumber"] == put["SequenceNumber"], f"GetRecords: {first}")
    check(first["ApproximateArrivalTimestamp"].timestamp() > 0, "a time")
    expect("InvalidArgumentException", "GetRecords", ShardIterator="nonsense")
    expect("ValidationException", "PutRecord", StreamName="orders", Data=b"", PartitionKey="k" * 257)


def fan_out():
    consumer = call("RegisterStreamConsumer", StreamARN=ARN, ConsumerName="app", Tags={"of": "app"})["Consumer"]
    described = call("DescribeStreamConsumer", ConsumerARN=consumer["ConsumerARN"])["ConsumerDescription"]
    check(described["ConsumerStatus"] == "ACTIVE", f"DescribeStreamConsumer: {described}")
    check(len(call("ListStreamConsumers", StreamARN=ARN)["Consumers"]) == 1, "ListStreamConsumers")
    start = {"Type": "TRIM_HORIZON"}
    for shard in ["shardId-000000000000", "shardId-000000000001"]:
        wanted = [record["SequenceNumber"] for record in drain(shard)]
        events = call("SubscribeToShard", ConsumerARN=consumer["ConsumerARN"], ShardId=shard, StartingPosition=start)
        got = []
        for event in events["EventStream"]:
            event = event["SubscribeToShardEvent"]
            got += [record["SequenceNumber"] for record in event["Records"]]
            if len(got) >= len(wanted):
                check(event["ContinuationSequenceNumber"] >= got[-1], "ContinuationSequenceNumber")
                break
        events["EventStream"].close()
        check(got == wanted, f"SubscribeToShard of {shard}: {len(got)} records, not {len(wanted)}")
    expect("ResourceInUseException", "SubscribeToShard", ConsumerARN=consumer["ConsumerARN"], ShardId="shardId-000000000001", StartingPosition=start)
    call("TagResource", ResourceARN=consumer["ConsumerARN"], Tags={"stage": "test"})
    tags = call("ListTagsForResource", ResourceARN=consumer["ConsumerARN"])["Tags"]
    check({tag["Key"] for tag in tags} == {"of", "stage"}, f"ListTagsForResource: {tags}")
    call("UntagResource", ResourceARN=consumer["ConsumerARN"], TagKeys=["of"])
    call("DeregisterStreamConsumer", StreamARN=ARN, ConsumerName="app")


def settings():
    call("AddTagsToStream", StreamName="orders", Tags={"stage": "test"})
    call("RemoveTagsFromStream", StreamName="orders", TagKeys=["team"])
    tags = call("ListTagsForStream", StreamName="orders")["Tags"]
    check(tags == [{"Key": "stage", "Value": "test"}], f"ListTagsForStream: {tags}")
    call("IncreaseStreamRetentionPeriod", StreamName="orders", RetentionPeriodHours=48)
    call("DecreaseStreamRetentionPeriod", StreamName="orders", RetentionPeriodHours=24)
    metrics = call("EnableEnhancedMonitoring", StreamName="orders", ShardLevelMetrics=["IncomingBytes"])
    check(metrics["DesiredShardLevelMetrics"] == ["IncomingBytes"], f"EnableEnhancedMonitoring: {metrics}")
    call("DisableEnhancedMonitoring", StreamName="orders", ShardLevelMetrics=["ALL"])
    key = {"StreamName": "orders", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    call("StartStreamEncryption", **key)
    call("PutRecord", StreamName="orders", Data=b"", PartitionKey="k", ExplicitHashKey="0")
    check(drain("shardId-000000000000")[-1].get("EncryptionType") == "KMS", "EncryptionType of a record")
    call("StopStreamEncryption", **key)
    call("UpdateMaxRecordSize", StreamARN=ARN, MaxRecordSizeInKiB=2048)
    call("UpdateStreamRecordDistributionStrategy", StreamARN=ARN, RecordDistributionStrategy="USER_PARTITION_KEY")
    policy = '{"Version":"2012-10-17","Statement":[]}'
    call("PutResourcePolicy", ResourceARN=ARN, Policy=policy)
    check(call("GetResourcePolicy", ResourceARN=ARN)["Policy"] == policy, "GetResourcePolicy")
    call("DeleteResourcePolicy", ResourceARN=ARN)
    status = "MinimumThroughputBillingCommitment"
    call("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    check(call("DescribeAccountSettings")[status]["Status"] == "ENABLED", "DescribeAccountSettings")


def reshards():
    call("SplitShard", StreamName="orders", ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
    call("MergeShards", StreamName="orders", ShardToMerge="shardId-000000000002", AdjacentShardToMerge="shardId-000000000003")
    iterator = call("GetShardIterator", StreamName="orders", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON")
    reply = call("GetRecords", ShardIterator=iterator["ShardIterator"])
    children = [child["ShardId"] for child in reply["ChildShards"]]
    check("NextShardIterator" not in reply and children == ["shardId-000000000002", "shardId-000000000003"], f"the end of a shard: {children}")
    scaled = call("UpdateShardCount", StreamName="orders", TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    check(scaled["TargetShardCount"] == 4, f"UpdateShardCount: {scaled}")
    shards = call("ListShards", StreamName="orders", ShardFilter={"Type": "AT_LATEST"})["Shards"]
    check(len(shards) == 4, f"ListShards: {shards}")
    call("UpdateStreamMode", StreamARN=ARN, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    warm = call("UpdateStreamWarmThroughput", StreamARN=ARN, WarmThroughputMiBps=5)
    check(warm["WarmThroughput"]["TargetMiBps"] == 5, f"UpdateStreamWarmThroughput: {warm}")
    call("DeleteStream", StreamName="orders", EnforceConsumerDeletion=True)
    client.get_waiter("stream_not_exists").wait(StreamName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 10})


for part in [streams, records, fan_out, settings, reshards]:
    part()
operations = set(client.meta.service_model.operation_names)
absent = {name for name in operations if "Channel" in name or "Queue" in name}
missed = operations - absent - called
check(not missed, f"these operations were not called: {sorted(missed)}")
print(f"boto3 {boto3.__version__}: {len(called)} operations, {len(absent)} of channels and queues left out")
