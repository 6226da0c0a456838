//! CPU time.

use std::error::Error;
use std::time::Duration;

/// The CPU time that this process, which has one thread, has had.
pub(crate) fn cpu_time() -> Result<Duration, Box<dyn Error>> {
    // The kernel brings the figure up to date at its ticks, milliseconds apart, and whenever it may switch tasks.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("/proc/self/schedstat is empty")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}
