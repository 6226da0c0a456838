//! The guide names every key, and no others.

use std::collections::BTreeSet;

const GUIDE: &str = include_str!("../../docs/configuration.md");
const CONSTANTS: [&str; 3] = [
    include_str!("../../src/config/aws_config_constants.rs"),
    include_str!("../../src/config/consumer_config_constants.rs"),
    include_str!("../../src/config/source_config_constants.rs"),
];
const NAMESPACES: [&str; 4] = ["aws.", "flink.", "source.", "retry-strategy."];

/// The keys in the sources of the constants: the strings of the namespaces.
fn constants() -> BTreeSet<&'static str> {
    CONSTANTS.iter().flat_map(|text| text.split('"').skip(1).step_by(2)).filter(|text| is_key(text)).collect()
}

fn is_key(text: &str) -> bool {
    NAMESPACES.iter().any(|namespace| text.starts_with(namespace)) && !text.contains([' ', '*'])
}

/// The code spans at the start of the guide's table rows.
fn rows() -> BTreeSet<&'static str> {
    GUIDE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).filter(|key| is_key(key)).collect()
}

#[test]
fn every_key_has_a_row_and_every_row_a_key() {
    // Families of keys have an open end: an index, a stream's name, a setting's name.
    let (keys, rows) = (constants(), rows());
    assert!(keys.len() > 80, "{keys:?}");
    let is_open = |row: &str| row.contains(['<', '[']);
    let is_listed = |key: &str| rows.contains(key) || rows.iter().any(|row| is_open(row) && row.starts_with(key));
    let missing: Vec<_> = keys.iter().filter(|key| !is_listed(key)).collect();
    assert_eq!(missing, [&""; 0], "keys without a row");
    let unknown: Vec<_> = rows.iter().filter(|row| !is_open(row) && !keys.contains(*row)).collect();
    assert_eq!(
        unknown,
        [
            &"aws.kinesis.client.user-agent-prefix",
            &"aws.producer.aggregationMaxCount",
            &"aws.producer.collectionMaxCount"
        ],
        "rows without a constant"
    );
}
