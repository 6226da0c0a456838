//! Files of lines, each visible only with its checkpoint.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kinesis_core::{CheckpointParticipant, CommitHandle, Epoch, ParticipantError, Randomness};
use parking_lot::Mutex;

use super::Sink;
use crate::files::{create_directory, in_background, sync_directory};
use crate::mutants::Mutant;
use crate::record::StreamShard;

/// Unseen until it is renamed: most tools pass over names that begin with a dot.
const PENDING_PREFIX: &str = ".pending-";
const PART_PREFIX: &str = "part-";

/// Writes each output, and a newline, to a file of its epoch and shard.
///
/// Files are written as `.pending-…`, synced in the pre-commit, and renamed to `part-<epoch>-<stream>-<shard>-<run>` by the
/// commit, so that a reader of `part-*` sees committed output alone, and sees it in commit order when it sorts the names.
/// The directory needs a file system whose rename is atomic. One consumer at a time may write to a directory; the
/// checkpoint store's lock sees to that.
#[derive(Debug)]
pub struct FileSink {
    directory: Arc<Path>,
    /// In every name, so that a writer that outlives its job cannot touch its successor's files, nor a commit replace
    /// what was committed before.
    token: u32,
    open: Mutex<BTreeMap<(Epoch, StreamShard), PendingFile>>,
    mutant: Option<Mutant>,
}

#[derive(Debug)]
struct PendingFile {
    pending: String,
    part: String,
    writer: BufWriter<File>,
}

impl FileSink {
    /// Opens a directory, which is made where it is missing.
    ///
    /// # Errors
    /// The operating system's error; a retry is safe.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        create_directory(&directory)?;
        let token = Randomness::from_entropy().stream("file-sink").next_u64() as u32;
        Ok(Self { directory: directory.into(), token, open: Mutex::default(), mutant: None })
    }

    /// Misbehaves on purpose, for a test that must notice.
    #[cfg(feature = "mutants")]
    pub fn mutant(mut self, mutant: Mutant) -> Self {
        self.mutant = Some(mutant);
        self
    }

    fn create(&self, epoch: Epoch, shard: &StreamShard) -> io::Result<PendingFile> {
        // Ten digits keep names and epochs in the same order for centuries of checkpoints a second.
        let name = format!("{:010}-{}-{}-{:08x}", epoch.0, shard.stream, shard.shard, self.token);
        let pending = format!("{PENDING_PREFIX}{name}");
        let file = OpenOptions::new().write(true).create_new(true).open(self.directory.join(&pending))?;
        Ok(PendingFile { pending, part: format!("{PART_PREFIX}{name}"), writer: BufWriter::new(file) })
    }

    fn append<T: AsRef<[u8]>>(&self, epoch: Epoch, shard: &StreamShard, items: &[T]) -> io::Result<()> {
        let mut open = self.open.lock();
        let key = (epoch, shard.clone());
        if !open.contains_key(&key) {
            open.insert(key.clone(), self.create(epoch, shard)?);
        }
        let Some(file) = open.get_mut(&key) else { return Ok(()) };
        items.iter().try_for_each(|item| {
            file.writer.write_all(item.as_ref())?;
            file.writer.write_all(b"\n")
        })
    }

    fn error(&self, action: &'static str, epoch: Epoch) -> impl FnOnce(io::Error) -> ParticipantError + use<> {
        let subject = self.directory.display().to_string();
        move |source| ParticipantError { action, epoch, subject, source: Box::new(source) }
    }
}

#[async_trait]
impl<T: AsRef<[u8]> + Send + 'static> Sink<T> for FileSink {
    async fn write(&self, epoch: Epoch, shard: &StreamShard, items: Vec<T>) -> Result<(), ParticipantError> {
        if items.is_empty() {
            return Ok(());
        }
        self.append(epoch, shard, &items).map_err(self.error("write", epoch))
    }
}

#[async_trait]
impl CheckpointParticipant for FileSink {
    async fn pre_commit(&self, epoch: Epoch) -> Result<Option<CommitHandle>, ParticipantError> {
        let finished: Vec<PendingFile> = {
            let mut open = self.open.lock();
            let keys: Vec<_> = open.keys().filter(|(of, _)| *of <= epoch).cloned().collect();
            keys.iter().filter_map(|key| open.remove(key)).collect()
        };
        if finished.is_empty() {
            return Ok(None);
        }
        let directory = Arc::clone(&self.directory);
        let payload =
            in_background(move || finish(&directory, finished)).await.map_err(self.error("pre-commit", epoch))?;
        Ok(Some(CommitHandle { epoch, payload }))
    }

    async fn commit(&self, handle: &CommitHandle) -> Result<(), ParticipantError> {
        let (directory, payload) = (Arc::clone(&self.directory), handle.payload.clone());
        in_background(move || publish(&directory, &payload)).await.map_err(self.error("commit", handle.epoch))
    }

    async fn recover(&self, last: Epoch, committed: &[CommitHandle]) -> Result<(), ParticipantError> {
        // What an earlier run of this sink left open is about to be removed, and must not be written to again.
        self.open.lock().clear();
        for handle in committed {
            self.commit(handle).await?;
        }
        let directory = Arc::clone(&self.directory);
        if self.mutant == Some(Mutant::PublishOrphans) {
            return in_background(move || publish_pending(&directory)).await.map_err(self.error("abort", last));
        }
        in_background(move || remove_pending(&directory)).await.map_err(self.error("abort", last))
    }
}

/// Makes files durable under their pending names; returns which are to be renamed to what, a line each.
fn finish(directory: &Path, files: Vec<PendingFile>) -> io::Result<Bytes> {
    let mut renames = String::new();
    for mut file in files {
        file.writer.flush()?;
        file.writer.get_ref().sync_all()?;
        renames += &format!("{}\t{}\n", file.pending, file.part);
    }
    sync_directory(directory)?;
    Ok(renames.into())
}

/// Renames pending files; those that were renamed before are left.
fn publish(directory: &Path, renames: &[u8]) -> io::Result<()> {
    for (pending, part) in parse_renames(renames)? {
        match fs::rename(directory.join(pending), directory.join(part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && directory.join(part).exists() => {}
            result => result?,
        }
    }
    sync_directory(directory)
}

fn parse_renames(renames: &[u8]) -> io::Result<Vec<(&str, &str)>> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the commit handle is not one of this sink's");
    let text = std::str::from_utf8(renames).map_err(|_| damaged())?;
    let plain = |name: &str, prefix: &str| name.starts_with(prefix) && !name.contains('/');
    text.lines()
        .map(|line| {
            let names =
                line.split_once('\t').filter(|(from, to)| plain(from, PENDING_PREFIX) && plain(to, PART_PREFIX));
            names.ok_or_else(damaged)
        })
        .collect()
}

/// Removes what was written for checkpoints that never became durable.
fn remove_pending(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PENDING_PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    sync_directory(directory)
}

/// The fault of [`Mutant::PublishOrphans`].
fn publish_pending(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_string_lossy().strip_prefix(PENDING_PREFIX) {
            fs::rename(entry.path(), directory.join(format!("{PART_PREFIX}{name}")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(index: u64) -> StreamShard {
        StreamShard { stream: "orders".parse().unwrap(), shard: kinesis_core::ShardId::from_index(index) }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    const PART: &str = "part-0000000001-orders-shardId-000000000000-";

    #[tokio::test]
    async fn output_is_visible_only_after_the_commit() {
        let directory = tempfile::tempdir().unwrap();
        let sink = FileSink::open(directory.path()).unwrap();
        sink.write(Epoch(1), &shard(0), vec!["a\r", "", "\u{fc}"]).await.unwrap();
        sink.write(Epoch(2), &shard(0), vec!["later"]).await.unwrap();
        let handle = sink.pre_commit(Epoch(1)).await.unwrap().unwrap();
        assert!(names(directory.path()).iter().all(|name| name.starts_with('.')));
        for _ in 0..2 {
            sink.commit(&handle).await.unwrap();
            let parts: Vec<_> = names(directory.path()).into_iter().filter(|name| name.starts_with(PART)).collect();
            assert_eq!(parts.len(), 1);
            assert_eq!(fs::read(directory.path().join(&parts[0])).unwrap(), "a\r\n\n\u{fc}\n".as_bytes());
        }
    }

    #[tokio::test]
    async fn recovery_commits_what_was_saved_and_removes_the_rest() {
        let directory = tempfile::tempdir().unwrap();
        let crashed = FileSink::open(directory.path()).unwrap();
        crashed.write(Epoch(1), &shard(0), vec!["saved"]).await.unwrap();
        let handle = crashed.pre_commit(Epoch(1)).await.unwrap().unwrap();
        crashed.write(Epoch(2), &shard(1), vec!["orphan"]).await.unwrap();
        crashed.pre_commit(Epoch(2)).await.unwrap().unwrap();

        let sink = FileSink::open(directory.path()).unwrap();
        sink.recover(Epoch(1), &[handle]).await.unwrap();
        let names = names(directory.path());
        assert!(names.len() == 1 && names[0].starts_with(PART), "{names:?}");
    }

    #[tokio::test]
    async fn a_sink_can_be_used_for_the_next_run() {
        let directory = tempfile::tempdir().unwrap();
        let sink = FileSink::open(directory.path()).unwrap();
        sink.write(Epoch(1), &shard(0), vec!["never committed"]).await.unwrap();
        CheckpointParticipant::recover(&sink, Epoch(0), &[]).await.unwrap();
        sink.write(Epoch(1), &shard(0), vec!["once"]).await.unwrap();
        let handle = sink.pre_commit(Epoch(1)).await.unwrap().unwrap();
        sink.commit(&handle).await.unwrap();
        let names = names(directory.path());
        assert_eq!(names.len(), 1);
        assert_eq!(fs::read(directory.path().join(&names[0])).unwrap(), b"once\n");
    }

    #[tokio::test]
    async fn a_handle_that_is_not_the_sinks_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let sink = FileSink::open(directory.path()).unwrap();
        for payload in ["nonsense", ".pending-1\t/etc/part-1", ".pending-1/../../x\tpart-1"] {
            let handle = CommitHandle { epoch: Epoch(1), payload: Bytes::from_static(payload.as_bytes()) };
            assert!(sink.commit(&handle).await.is_err(), "{payload} was accepted");
        }
    }
}
