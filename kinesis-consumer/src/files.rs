//! Blocking file work, off the runtime's threads.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Runs `work` where blocking does no harm.
///
/// Cancel safety: a cancelled call leaves the work running to its end.
pub(crate) async fn in_background<T, F>(work: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Makes a directory where it is missing, and its name durable.
pub(crate) fn create_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

/// Makes renames and new names in a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
