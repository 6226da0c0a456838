//! Checkpoints in a directory: atomic replacement, a lock, a rising incarnation.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use kinesis_core::Epoch;
use parking_lot::Mutex;

use super::{CheckpointStore, Incarnation, OpenedJob, StoreError};
use crate::files::{create_directory, in_background, sync_directory};
use crate::state::Checkpoint;

/// Keeps each job's last checkpoint in a directory of its own.
///
/// A checkpoint replaces the one before by a rename, after its bytes were synced, so that a crash leaves the one or the
/// other. While a job is open its directory holds a lock of the operating system: a second process gets
/// [`StoreError::InUse`]. The incarnation is saved before the job is handed out; an older run of the same process is
/// fenced. Locks of network file systems vary: use a local directory. Clones share the lock.
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: Arc<Path>,
    jobs: Arc<Mutex<BTreeMap<String, OpenJob>>>,
}

#[derive(Debug)]
struct OpenJob {
    incarnation: Incarnation,
    /// Held open for its lock.
    lock: File,
}

impl FileStore {
    /// Opens a directory, which is made where it is missing.
    ///
    /// # Errors
    /// The operating system's error; a retry is safe.
    pub fn open(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        create_directory(&directory)?;
        Ok(Self { directory: directory.into(), jobs: Arc::default() })
    }

    async fn run<T, F>(&self, job: &str, action: &'static str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&JobFiles, &mut BTreeMap<String, OpenJob>) -> Result<T, StoreError> + Send + 'static,
    {
        let files = JobFiles::new(&self.directory, job);
        let jobs = Arc::clone(&self.jobs);
        let failed = files.failed(action);
        // The lock is held throughout: a write of a run that was aborted ends before the next run opens the job.
        let done = in_background(move || Ok(work(&files, &mut jobs.lock()))).await;
        done.unwrap_or_else(|error| Err(failed(error)))
    }
}

#[async_trait]
impl CheckpointStore for FileStore {
    async fn open(&self, job: &str) -> Result<OpenedJob, StoreError> {
        self.run(job, "opening", |files, jobs| {
            let lock = match jobs.remove(&files.job) {
                Some(open) => open.lock,
                None => files.lock()?,
            };
            let incarnation = files.next_incarnation()?;
            jobs.insert(files.job.clone(), OpenJob { incarnation, lock });
            Ok(OpenedJob { incarnation, latest: files.read()? })
        })
        .await
    }

    async fn put(&self, incarnation: Incarnation, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let bytes = checkpoint.encode();
        self.run(&checkpoint.job, "a checkpoint", move |files, jobs| {
            let held = jobs.get(&files.job).map(|job| job.incarnation);
            // The file, too: a lock that was removed by hand, or did not work, must not let two runs write.
            if held != Some(incarnation) || files.incarnation()? != incarnation {
                return Err(StoreError::Fenced { job: files.job.clone() });
            }
            files.replace("checkpoint", &bytes).map_err(files.failed("a checkpoint"))
        })
        .await
    }

    async fn latest_epoch(&self, job: &str) -> Result<Option<Epoch>, StoreError> {
        let latest = self.run(job, "reading", |files, _| files.read()).await?;
        Ok(latest.map(|checkpoint| checkpoint.epoch))
    }
}

/// The files of one job.
#[derive(Debug)]
struct JobFiles {
    job: String,
    directory: PathBuf,
}

impl JobFiles {
    fn new(root: &Path, job: &str) -> Self {
        Self { job: job.to_owned(), directory: root.join(job) }
    }

    fn failed<E: StdError + Send + Sync + 'static>(
        &self,
        action: &'static str,
    ) -> impl FnOnce(E) -> StoreError + use<E> {
        let (job, location) = (self.job.clone(), self.directory.display().to_string());
        move |source| StoreError::Failed { action, job, location, source: Box::new(source) }
    }

    fn lock(&self) -> Result<File, StoreError> {
        let failed = || self.failed("locking");
        create_directory(&self.directory).map_err(failed())?;
        let file = File::create(self.directory.join("lock")).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let location = self.directory.display().to_string();
                Err(StoreError::InUse { job: self.job.clone(), location })
            }
            Err(TryLockError::Error(error)) => Err(failed()(error)),
        }
    }

    /// The incarnation of the run that opened the job last; 0 before the first.
    fn incarnation(&self) -> Result<Incarnation, StoreError> {
        let action = "reading the incarnation";
        match fs::read_to_string(self.directory.join("incarnation")) {
            Ok(text) => text.trim().parse().map(Incarnation).map_err(self.failed(action)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Incarnation(0)),
            Err(error) => Err(self.failed(action)(error)),
        }
    }

    fn next_incarnation(&self) -> Result<Incarnation, StoreError> {
        let next = Incarnation(self.incarnation()?.0 + 1);
        let written = self.replace("incarnation", format!("{}\n", next.0).as_bytes());
        written.map_err(self.failed("raising the incarnation"))?;
        Ok(next)
    }

    fn read(&self) -> Result<Option<Checkpoint>, StoreError> {
        let bytes = match fs::read(self.directory.join("checkpoint")) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed("reading")(error)),
        };
        Checkpoint::decode(bytes.into()).map(Some).map_err(|source| StoreError::Unreadable {
            job: self.job.clone(),
            location: self.directory.display().to_string(),
            source,
        })
    }

    /// Writes a file so that a crash leaves the old content or the new.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.directory.join(format!("{name}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, self.directory.join(name))?;
        sync_directory(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kinesis_core::from_unix_millis;

    fn checkpoint(epoch: u64) -> Checkpoint {
        Checkpoint {
            job: "orders".into(),
            epoch: Epoch(epoch),
            taken_at: from_unix_millis(1),
            streams: Vec::new(),
            pending: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_checkpoint_is_there_after_the_store_was_closed() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let job = store.open("orders").await.unwrap();
        assert_eq!(job, OpenedJob::new(Incarnation(1), None));
        store.put(job.incarnation, &checkpoint(1)).await.unwrap();
        store.put(job.incarnation, &checkpoint(2)).await.unwrap();
        drop(store);
        let again = FileStore::open(directory.path()).unwrap();
        assert_eq!(again.open("orders").await.unwrap(), OpenedJob::new(Incarnation(2), Some(checkpoint(2))));
    }

    #[tokio::test]
    async fn a_second_opener_is_told_so_and_jobs_do_not_disturb_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let first = FileStore::open(directory.path()).unwrap();
        first.open("orders").await.unwrap();
        let second = FileStore::open(directory.path()).unwrap();
        let error = second.open("orders").await.unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
        second.open("payments").await.unwrap();
    }

    #[tokio::test]
    async fn a_stale_run_cannot_write() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let stale = store.open("orders").await.unwrap();
        let current = store.open("orders").await.unwrap();
        let error = store.put(stale.incarnation, &checkpoint(5)).await.unwrap_err();
        assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
        store.put(current.incarnation, &checkpoint(6)).await.unwrap();
        assert_eq!(store.latest_epoch("orders").await.unwrap(), Some(Epoch(6)));
    }

    #[tokio::test]
    async fn a_run_whose_lock_was_removed_is_fenced_by_the_incarnation() {
        let directory = tempfile::tempdir().unwrap();
        let first = FileStore::open(directory.path()).unwrap();
        let stale = first.open("orders").await.unwrap();
        fs::remove_file(directory.path().join("orders/lock")).unwrap();
        let second = FileStore::open(directory.path()).unwrap();
        second.open("orders").await.unwrap();
        let error = first.put(stale.incarnation, &checkpoint(5)).await.unwrap_err();
        assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_torn_write_leaves_the_checkpoint_before() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let job = store.open("orders").await.unwrap();
        store.put(job.incarnation, &checkpoint(1)).await.unwrap();
        fs::write(directory.path().join("orders/checkpoint.new"), b"KCKP torn").unwrap();
        assert_eq!(store.open("orders").await.unwrap().latest, Some(checkpoint(1)));
    }

    #[tokio::test]
    async fn a_damaged_checkpoint_is_an_error_and_not_a_fresh_start() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path()).unwrap();
        let job = store.open("orders").await.unwrap();
        store.put(job.incarnation, &checkpoint(1)).await.unwrap();
        fs::write(directory.path().join("orders/checkpoint"), b"nonsense").unwrap();
        let error = store.open("orders").await.unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error}");
    }
}
