//! Where a configuration comes from: maps, files, variables.

use std::collections::{BTreeMap, HashMap};

use kinesis_core::{ConsumerConfig, Properties, StartingPosition};

#[test]
fn maps_files_and_variables_make_the_same_properties() {
    let pairs = [("aws.region", "eu-west-1"), ("flink.stream.initpos", "TRIM_HORIZON")];
    let expected = Properties::from(pairs);
    let owned = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(Properties::from(BTreeMap::from(owned.clone())), expected);
    assert_eq!(Properties::from(HashMap::from(owned)), expected);
    let file = b"# where\r\naws.region = eu-west-1\r\nflink.stream.initpos: TRIM_\\\r\n  HORIZON\r\n";
    assert_eq!(Properties::from_file_bytes(file).unwrap(), expected);
    let variables = [("KINESIS_AWS_REGION", "eu-west-1"), ("KINESIS_FLINK_STREAM_INITPOS", "TRIM_HORIZON")];
    assert_eq!(Properties::from_variables("KINESIS_", variables).unwrap(), expected);
    assert_eq!(ConsumerConfig::from_properties(&expected).unwrap().starting_position(), StartingPosition::TrimHorizon);
}

#[test]
fn a_file_on_disk_is_read_and_variables_win_over_it() {
    let path = std::env::temp_dir().join(format!("kinesis-core-configuration-{}.properties", std::process::id()));
    std::fs::write(&path, b"aws.region=eu-west-1\nflink.stream.efo.consumername=caf\\u00e9\n").unwrap();
    let read = Properties::read_file(&path);
    std::fs::remove_file(&path).unwrap();
    let mut properties = read.unwrap();
    assert_eq!(properties.get("flink.stream.efo.consumername"), Some("café"));
    let variables = Properties::from_variables("KINESIS_", [("KINESIS_AWS_REGION", "eu-west-2")]).unwrap();
    properties.extend(variables.iter());
    assert_eq!(properties.get("aws.region"), Some("eu-west-2"));
    assert_eq!(properties.len(), 2);
}

#[test]
fn a_misspelt_variable_is_refused_as_the_key_that_it_means() {
    let variables = [("KINESIS_AWS_REGION", "eu-west-1"), ("KINESIS_FLINK_STREAM_INITPSO", "LATEST")];
    let properties = Properties::from_variables("KINESIS_", variables).unwrap();
    let errors = ConsumerConfig::from_properties(&properties).unwrap_err();
    assert!(errors.to_string().contains("did you mean `flink.stream.initpos`?"), "{errors}");
}
