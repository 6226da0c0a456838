//! kinesis-consumer
