//! Resident memory.

use std::error::Error;

/// The memory of this process that is resident now.
pub(crate) fn resident_bytes() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split_whitespace().nth(1).ok_or("/proc/self/statm is empty")?.parse()?;
    Ok(pages * page_bytes()?)
}

/// The size of a page, as the kernel tells it of this process's first mapping.
fn page_bytes() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    let line = text.lines().find_map(|line| line.strip_prefix("KernelPageSize:")).ok_or("no page size in smaps")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}
