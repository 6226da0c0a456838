// The AWS SDK for JavaScript: ENDPOINT [CERTIFICATE]. It reads SubscribeToShard over HTTP/2, which the server speaks in
// clear, too.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const kinesis = require("@aws-sdk/client-kinesis");
const { NodeHttp2Handler, NodeHttpHandler } = require("@smithy/node-http-handler");
const { Agent } = await import("node:https");

const [endpoint, certificate] = process.argv.slice(2);
const ca = certificate ? readFileSync(certificate) : undefined;
if (ca) {
  // Sessions of HTTP/2 take it from the environment of the process alone.
  if (process.env.NODE_EXTRA_CA_CERTS !== certificate) throw new Error("set NODE_EXTRA_CA_CERTS, too");
}

function client(requestHandler) {
  const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" };
  return new kinesis.KinesisClient({ endpoint, region: "us-east-1", credentials, requestHandler, maxAttempts: 1 });
}

function check(condition, what) {
  if (!condition) throw new Error(what);
}

async function run(name, requestHandler) {
  const sdk = client(requestHandler);
  const send = (command, input) => sdk.send(new kinesis[command + "Command"](input));
  const StreamName = "js-" + name;
  await send("CreateStream", { StreamName, ShardCount: 1 });
  await kinesis.waitUntilStreamExists({ client: sdk, minDelay: 1, maxDelay: 2, maxWaitTime: 10 }, { StreamName });
  const Records = Array.from({ length: 100 }, (_, n) => ({ Data: Buffer.from([n, 255]), PartitionKey: "k" + n }));
  const put = await send("PutRecords", { StreamName, Records });
  check(put.FailedRecordCount === 0, "PutRecords");
  const ShardId = "shardId-000000000000";
  const { ShardIterator } = await send("GetShardIterator", { StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
  const read = await send("GetRecords", { ShardIterator });
  check(read.Records.length === 100 && read.Records.every((it, n) => it.Data[0] === n && it.Data[1] === 255), "GetRecords");
  check(read.Records[0].ApproximateArrivalTimestamp instanceof Date, "a time");
  try {
    await send("DescribeStream", { StreamName: "absent" });
    check(false, "DescribeStream of an absent stream");
  } catch (error) {
    check(error.name === "ResourceNotFoundException" && error.$metadata.requestId?.length === 36, `DescribeStream: ${error}`);
  }
  let pushed = 0;
  const { StreamDescription } = await send("DescribeStream", { StreamName });
  const { Consumer } = await send("RegisterStreamConsumer", { StreamARN: StreamDescription.StreamARN, ConsumerName: "app" });
  const StartingPosition = { Type: "TRIM_HORIZON" };
  const { EventStream } = await send("SubscribeToShard", { ConsumerARN: Consumer.ConsumerARN, ShardId, StartingPosition });
  for await (const { SubscribeToShardEvent: event } of EventStream) {
    pushed += event.Records.length;
    check(BigInt(event.ContinuationSequenceNumber) > 0n, "ContinuationSequenceNumber");
    if (pushed >= 100) break;
  }
  check(pushed === 100, `SubscribeToShard: ${pushed} records`);
  await send("DeleteStream", { StreamName, EnforceConsumerDeletion: true });
  sdk.destroy();
}

const handlers = {
  http1: () => new NodeHttpHandler(ca ? { httpsAgent: new Agent({ ca }) } : {}),
  http2: () => new NodeHttp2Handler({ requestTimeout: 20000 }),
};
for (const [name, handler] of Object.entries(handlers)) await run(name, handler());
const { version } = require("@aws-sdk/client-kinesis/package.json");
console.log(`@aws-sdk/client-kinesis ${version}: over HTTP/1.1 and HTTP/2, SubscribeToShard included`);
