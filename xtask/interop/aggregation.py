"""aws_kinesis_agg and kinesis-aggregation, both ways: PROGRAM (the example `interchange` of kinesis-aggregation)."""

import base64
import importlib.metadata
import random
import subprocess
import sys

import aws_kinesis_agg.aggregator
import aws_kinesis_agg.deaggregator

PROGRAM = sys.argv[1]
RUNS = 200


def ours(mode, text):
    done = subprocess.run([PROGRAM, mode], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"failed: {mode}: {done.stderr}")
    return done.stdout


def line(key, hash_key, data):
    return f"{key}\t{hash_key or '-'}\t{data.hex()}\n"


def users(random):
    keys = ["key", "ключ", "a b", "k" * 256] + [f"k{n}" for n in range(random.randrange(1, 20))]
    for _ in range(random.randrange(1, 60)):
        hash_key = str(random.randrange(2**128)) if random.random() < 0.3 else None
        yield random.choice(keys), hash_key, random.randbytes(random.choice([0, 1, 10, 300]))


def lambda_record(blob):
    """A record as AWS Lambda hands it out."""
    kinesis = {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": "p",
        "explicitHashKey": None,
        "sequenceNumber": "1",
        "approximateArrivalTimestamp": 0.0,
        "data": base64.b64encode(blob),
    }
    names = ["eventSource", "eventVersion", "eventID", "eventName", "invokeIdentityArn", "awsRegion", "eventSourceARN"]
    return {"kinesis": kinesis, **{name: name for name in names}}


def differences(wanted, got):
    unlike = [pair for pair in zip(wanted, got) if pair[0] != pair[1]]
    first = f", first {unlike[0][0][:300]!r} read as {unlike[0][1][:300]!r}" if unlike else ""
    return f"{len(wanted)} written, {len(got)} read, {len(unlike)} differ{first}"


def one_run(seed):
    rng = random.Random(seed)
    records = list(users(rng))
    # Theirs, read by ours.
    aggregator = aws_kinesis_agg.aggregator.RecordAggregator()
    for key, hash_key, data in records:
        full = aggregator.add_user_record(key, data, hash_key)
        if full:
            raise SystemExit(f"failed: seed {seed}: it was full too early")
    _, _, blob = aggregator.clear_and_get().get_contents()
    read = ours("decode", blob.hex() + "\n")
    wanted = "".join(line(*record) for record in records)
    if read != wanted:
        raise SystemExit(f"failed: seed {seed}: {differences(wanted.splitlines(), read.splitlines())}")
    # Ours, read by theirs.
    blob = bytes.fromhex(ours("encode", "".join(line(*record) for record in records)).strip())
    read = aws_kinesis_agg.deaggregator.deaggregate_records([lambda_record(blob)])
    # Theirs takes the first explicit hash key of the table where a record has none: compared where one was written.
    got = [
        line(it["partitionKey"], hash_key and it["explicitHashKey"], base64.b64decode(it["data"]))
        for it, (_, hash_key, _) in zip((it["kinesis"] for it in read), records)
    ]
    wanted = [line(*record) for record in records]
    if got != wanted or len(read) != len(records):
        raise SystemExit(f"failed: seed {seed}: {differences(wanted, got)}")
    return len(records)


total = sum(one_run(seed) for seed in range(RUNS))
version = importlib.metadata.version("aws_kinesis_agg")
print(f"aws_kinesis_agg {version}: {RUNS} aggregates of {total} user records, written by each and read by the other")
