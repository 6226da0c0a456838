#!/usr/bin/env python3
"""Makes kinesis-2013-12-02.json, the constraints of the service model, from the package botocore.

    python3 generate.py > kinesis-2013-12-02.json

What the file holds: every operation with its input shape and the errors that it may answer with, and every shape that
an input reaches, with its constraints; no documentation. `cargo xtask model` installs botocore in the version below
and says whether the file has drifted from what this script makes; `cargo xtask model --write` writes it.

The model does not say in which order the service checks the members of a request, and its patterns and some words
have changed since the messages were recorded. The overlay below holds what kinesalite's author recorded from the
service (kinesalite 3.3.3, validations/*.js); members that were not known then follow in the model's order.
"""

import json
import sys

BOTOCORE = "1.44.8"

# The order in which problems with members are reported.
RECORDED_ORDER = {
    "AddTagsToStreamInput": ["Tags", "StreamName"],
    "CreateStreamInput": ["ShardCount", "StreamName"],
    "DecreaseStreamRetentionPeriodInput": ["RetentionPeriodHours", "StreamName"],
    "DescribeStreamInput": ["Limit", "ExclusiveStartShardId", "StreamName"],
    "GetRecordsInput": ["Limit", "ShardIterator"],
    "GetShardIteratorInput": ["ShardId", "ShardIteratorType", "StartingSequenceNumber", "StreamName", "Timestamp"],
    "IncreaseStreamRetentionPeriodInput": ["RetentionPeriodHours", "StreamName"],
    "ListShardsInput": ["ExclusiveStartShardId", "MaxResults", "NextToken", "StreamCreationTimestamp", "StreamName"],
    "ListStreamsInput": ["Limit", "ExclusiveStartStreamName"],
    "ListTagsForStreamInput": ["Limit", "ExclusiveStartTagKey", "StreamName"],
    "MergeShardsInput": ["ShardToMerge", "AdjacentShardToMerge", "StreamName"],
    "PutRecordInput": ["SequenceNumberForOrdering", "PartitionKey", "ExplicitHashKey", "Data", "StreamName"],
    "PutRecordsInput": ["Records", "StreamName"],
    "PutRecordsRequestEntry": ["PartitionKey", "ExplicitHashKey", "Data"],
    "RemoveTagsFromStreamInput": ["TagKeys", "StreamName"],
    "SplitShardInput": ["NewStartingHashKey", "StreamName", "ShardToSplit"],
}

# Words and patterns as messages show them.
RECORDED_TEXT = {
    "HashKey": {"pattern": r"0|([1-9]\d{0,38})"},
    "SequenceNumber": {"pattern": r"0|([1-9]\d{0,128})"},
    "ShardIteratorType": {
        "enum": ["AFTER_SEQUENCE_NUMBER", "LATEST", "AT_TIMESTAMP", "AT_SEQUENCE_NUMBER", "TRIM_HORIZON"]
    },
}

CONSTRAINTS = ["min", "max", "pattern", "enum"]


def load():
    import botocore
    import botocore.loaders

    if botocore.__version__ != BOTOCORE:
        sys.exit(f"botocore is {botocore.__version__}, the file is made from {BOTOCORE}")
    return botocore.loaders.Loader().load_service_model("kinesis", "service-2")


def shape_of(model, name):
    source = model["shapes"][name]
    shape = {"type": source["type"]}
    shape.update({key: source[key] for key in CONSTRAINTS if key in source})
    shape.update(RECORDED_TEXT.get(name, {}))
    if source["type"] == "structure":
        shape["members"] = members_of(name, source)
    if source["type"] == "list":
        shape["member"] = source["member"]["shape"]
    if source["type"] == "map":
        shape["key"] = source["key"]["shape"]
        shape["value"] = source["value"]["shape"]
    return shape


def members_of(name, source):
    recorded = RECORDED_ORDER.get(name, [])
    unknown = [member for member in recorded if member not in source["members"]]
    if unknown:
        sys.exit(f"{name} has no members {unknown}")
    order = recorded + [member for member in source["members"] if member not in recorded]
    members = []
    for member in order:
        entry = {"name": member, "shape": source["members"][member]["shape"]}
        if member in source.get("required", []):
            entry["required"] = True
        members.append(entry)
    return members


def reached(shape):
    yield from (member["shape"] for member in shape.get("members", []))
    yield from (shape[key] for key in ("member", "key", "value") if key in shape)


def main():
    model = load()
    operations, shapes, waiting = {}, {}, []
    for name, operation in sorted(model["operations"].items()):
        operations[name] = {
            "input": operation["input"]["shape"],
            "errors": [error["shape"] for error in operation.get("errors", [])],
        }
        waiting.append(operation["input"]["shape"])
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = shape_of(model, name)
            waiting.extend(reached(shapes[name]))
    lines = ['{', f'"botocore": "{BOTOCORE}",', '"operations": {']
    lines += [",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in operations.items())]
    lines += ['},', '"shapes": {']
    lines += [",\n".join(f"{json.dumps(name)}: {json.dumps(shapes[name])}" for name in sorted(shapes))]
    lines += ['}', '}']
    print("\n".join(lines))


if __name__ == "__main__":
    main()
