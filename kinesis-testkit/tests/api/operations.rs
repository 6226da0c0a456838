//! No operation is forgotten.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use kinesis_testkit::Operation;
use serde_json::Value;

use crate::support::fake;

/// The source of the SDK that this workspace builds with.
fn sdk_source() -> PathBuf {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let sdk = packages.iter().find(|package| package["name"] == "aws-sdk-kinesis").unwrap();
    Path::new(sdk["manifest_path"].as_str().unwrap()).parent().unwrap().join("src")
}

/// `PutRecords` for `put_records`.
fn pascal_case(snake: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    snake.split('_').map(word).collect()
}

fn operations_of_the_sdk() -> BTreeSet<String> {
    let files = std::fs::read_dir(sdk_source().join("operation")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(".rs").map(pascal_case)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_operation_of_the_sdk_is_answered() {
    let operations = operations_of_the_sdk();
    assert!(operations.len() >= 45 && operations.contains("PutRecords"), "{operations:?}");
    let (fake, _) = fake(1);
    for name in operations {
        assert!(Operation::ALL.iter().any(|operation| operation.as_str() == name), "{name} is missing");
        let reply = fake.call(&name, "{}").await.unwrap();
        assert!(!reply.body.contains("UnknownOperation") && reply.status < 500, "{name}: {}", reply.body);
    }
}

#[tokio::test(start_paused = true)]
async fn every_operation_checks_its_input_by_the_model() {
    let (fake, _) = fake(1);
    for operation in Operation::ALL {
        let name = operation.as_str();
        let broken = fake.call(name, "[").await.unwrap();
        assert_eq!(broken.body, r#"{"__type":"SerializationException"}"#, "{name}");
        let takes_a_stream = r#"{"StreamName":"not a name","StreamARN":"no arn"}"#;
        let reply = fake.call(name, takes_a_stream).await.unwrap();
        let code = ["ValidationException", "LimitExceededException", "ResourceNotFoundException"];
        let is_refused = reply.status == 400 && code.iter().any(|code| reply.body.contains(code));
        let takes_no_stream =
            ["DescribeAccountSettings", "DescribeLimits", "ListStreams", "ListChannels", "ListQueues"].contains(&name);
        assert!(is_refused || takes_no_stream, "{name}: {}", reply.body);
    }
}
