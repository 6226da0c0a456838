//! The output directory: whose it is, and what it remembers.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, usage};

/// What the demo keeps beside the output begins with a dot.
const PRIVATE: &str = ".demo";

/// What a directory remembers of its run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// In the envelope of every record.
    pub(crate) run: u64,
    /// What makes the run the same: everything that decides on its lines and on where they are.
    pub(crate) arguments: String,
    /// Numbers of lines that no record can hold, from 0.
    pub(crate) left_out: Vec<u64>,
}

/// An output directory that this process alone works in.
#[derive(Debug)]
pub(crate) struct Workspace {
    directory: PathBuf,
    _lock: File,
}

impl Workspace {
    /// Takes a directory for a new run; it must be empty or missing.
    pub(crate) fn create(directory: &Path) -> Result<Self, Failure> {
        let strangers = foreign_entries(directory)?;
        if let Some(stranger) = strangers.first() {
            return Err(usage(format!("{} holds {stranger}, which is not the demo's", directory.display())));
        }
        // A run that ended before it was remembered wrote nothing that could be gone on with.
        if directory.join(PRIVATE).join("run.json").exists() || !parts_of(directory)?.is_empty() {
            // A second process must be told of the first, not that the directory is used.
            let _lock = Self::lock(directory)?;
            let what = "holds another run: finish that with --consume-only, or name another directory";
            return Err(usage(format!("{} {what}", directory.display())));
        }
        fs::create_dir_all(directory.join(PRIVATE)).map_err(|error| unusable(directory, &error))?;
        let lock = Self::lock(directory)?;
        Ok(Self { directory: directory.to_owned(), _lock: lock })
    }

    /// Opens the directory of an earlier run.
    pub(crate) fn reopen(directory: &Path) -> Result<(Self, Manifest), Failure> {
        let path = directory.join(PRIVATE).join("run.json");
        let text = fs::read(&path)
            .map_err(|error| usage(format!("{} holds no run to go on with ({error})", directory.display())))?;
        let lock = Self::lock(directory)?;
        let manifest = serde_json::from_slice(&text)
            .map_err(|error| usage(format!("{} cannot be read: {error}", path.display())))?;
        Ok((Self { directory: directory.to_owned(), _lock: lock }, manifest))
    }

    fn lock(directory: &Path) -> Result<File, Failure> {
        let path = directory.join(PRIVATE).join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| unusable(directory, &error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                Err(usage(format!("{} is in use by another process", directory.display())))
            }
            Err(TryLockError::Error(error)) => Err(unusable(directory, &error)),
        }
    }

    /// Remembers the run; from now on it can be gone on with.
    pub(crate) fn remember(&self, manifest: &Manifest) -> Result<(), Failure> {
        let write = || -> io::Result<()> {
            let temporary = self.private("run.json.new");
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(manifest)?)?;
            file.sync_all()?;
            fs::rename(temporary, self.private("run.json"))
        };
        write().map_err(|error| unusable(&self.directory, &error))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A path among the demo's own files.
    pub(crate) fn private(&self, name: &str) -> PathBuf {
        self.directory.join(PRIVATE).join(name)
    }
}

fn unusable(directory: &Path, error: &io::Error) -> Failure {
    usage(format!("{} cannot be used as output: {error}", directory.display()))
}

fn entries(directory: &Path) -> Result<Vec<String>, Failure> {
    let read = || -> io::Result<Vec<String>> {
        let names = fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result.map_err(|error| unusable(directory, &error)),
    }
}

fn parts_of(directory: &Path) -> Result<Vec<String>, Failure> {
    Ok(entries(directory)?.into_iter().filter(|name| name.starts_with("part-")).collect())
}

/// Names in the directory that no demo wrote.
fn foreign_entries(directory: &Path) -> Result<Vec<String>, Failure> {
    let own = directory.join(PRIVATE).is_dir();
    let ours = |name: &str| name == PRIVATE || own && (name.starts_with("part-") || name.starts_with(".pending-"));
    let mut names: Vec<_> = entries(directory)?.into_iter().filter(|name| !ours(name)).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_foreign_files_is_refused_and_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("part-of-something"), "x").unwrap();
        let failure = Workspace::create(directory.path()).unwrap_err();
        assert!(failure.to_string().contains("part-of-something"), "{failure}");
        assert_eq!(entries(directory.path()).unwrap(), ["part-of-something"]);
    }

    #[test]
    fn a_second_process_is_refused_and_a_used_directory_needs_consume_only() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("out");
        let first = Workspace::create(&output).unwrap();
        let failure = Workspace::create(&output).unwrap_err();
        assert!(failure.to_string().contains("in use by another process"), "{failure}");
        drop(first);
        let again = Workspace::create(&output).unwrap();
        again.remember(&Manifest { run: 7, arguments: "x".into(), left_out: Vec::new() }).unwrap();
        drop(again);
        assert!(Workspace::create(&output).unwrap_err().to_string().contains("--consume-only"));
    }

    #[test]
    fn a_run_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let output = directory.path().join("out");
        assert!(Workspace::reopen(&output).is_err());
        let manifest = Manifest { run: 7, arguments: "x".into(), left_out: vec![3] };
        Workspace::create(&output).unwrap().remember(&manifest).unwrap();
        assert_eq!(Workspace::reopen(&output).unwrap().1, manifest);
    }
}
