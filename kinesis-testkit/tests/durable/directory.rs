//! Directories that cannot be used.

use std::error::Error;

use kinesis_testkit::{BuildError, FakeKinesis, OpenStoreError};
use redb::{Database, TableDefinition};
use tempfile::TempDir;

fn refused(directory: &TempDir) -> OpenStoreError {
    match FakeKinesis::builder().directory(directory.path()).try_build() {
        Err(BuildError::Directory(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn one_process_at_a_time_uses_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let first = FakeKinesis::builder().directory(directory.path()).build();
    let error = refused(&directory);
    assert!(matches!(error, OpenStoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");
    drop(first);
}

#[tokio::test]
async fn what_another_version_wrote_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(directory.path().join("kinesis.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<&str, u64>::new("about")).unwrap().insert("format", 99).unwrap();
    transaction.commit().unwrap();
    drop(database);
    for _ in 0..2 {
        let error = refused(&directory);
        assert!(matches!(error, OpenStoreError::OtherFormat { found: 99, .. }), "{error}");
        assert!(error.to_string().contains("format 99, and this version reads 1"), "{error}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("kinesis.redb"), b"something else altogether").unwrap();
    let error = refused(&directory);
    assert!(matches!(error, OpenStoreError::Io { .. }) && error.source().is_some(), "{error:?}");

    let directory = tempfile::tempdir().unwrap();
    let database = Database::create(directory.path().join("kinesis.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<&str, u64>::new("about")).unwrap().insert("format", 1).unwrap();
    let streams = TableDefinition::<&str, (u64, &[u8])>::new("streams");
    transaction.open_table(streams).unwrap().insert("123456789012/us-east-1/orders", (1, b"{}".as_slice())).unwrap();
    transaction.open_table(TableDefinition::<&str, &[u8]>::new("accounts")).unwrap();
    transaction.open_table(TableDefinition::<u64, (u64, u64)>::new("cursors")).unwrap();
    transaction.open_table(TableDefinition::<(u64, u32, u64), (u64, bool, u16, &[u8])>::new("records")).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = refused(&directory);
    assert!(matches!(error, OpenStoreError::Damaged { .. }), "{error:?}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let built = FakeKinesis::builder().directory(&file).try_build();
    assert!(matches!(built, Err(BuildError::Directory(OpenStoreError::Io { .. }))), "{built:?}");
}

#[tokio::test(start_paused = true)]
async fn a_directory_and_virtual_time_do_not_go_together() {
    let directory = tempfile::tempdir().unwrap();
    let built = FakeKinesis::builder().virtual_time().directory(directory.path()).try_build();
    assert!(matches!(built, Err(BuildError::VirtualDirectory)), "{built:?}");
}
