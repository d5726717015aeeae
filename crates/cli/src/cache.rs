//! `kubectl scan cache`: what earlier scans on this machine read, so that a layer is read once.

use crate::args::CacheCommand;
use crate::dirs;
use crate::exit::Exit;
use anyhow::{Context as _, Result};
use std::io::{self, Write as _};
use tidewaiter_scan::cache::{Cache, CacheUsage, MAX_BYTES};

/// The user's cache; `None` where it cannot be used: a scan is only slower without.
pub(crate) fn open() -> Option<Cache> {
    Cache::open(&dirs::scans().ok()?, MAX_BYTES).ok()
}

/// Shows or empties the cache.
pub(crate) fn run(command: &CacheCommand) -> Result<Exit> {
    let dir = dirs::scans()?;
    let cache = Cache::open(&dir, MAX_BYTES).with_context(|| dir.display().to_string())?;
    let (usage, word) = match command {
        CacheCommand::Status => (cache.usage(), "in use"),
        CacheCommand::Clear => (cache.clear(), "removed"),
    };
    let CacheUsage { entries, bytes } = usage.with_context(|| dir.display().to_string())?;
    let limit = MAX_BYTES >> 20;
    writeln!(io::stdout(), "{}: {entries} entries, {} {word}, limit {limit} MiB", dir.display(), size(bytes))?;
    Ok(Exit::Clean)
}

/// Rounded up, so that a cache with anything in it is never "0".
fn size(bytes: u64) -> String {
    if bytes < 1 << 20 {
        format!("{} KiB", bytes.div_ceil(1 << 10))
    } else {
        format!("{} MiB", bytes.div_ceil(1 << 20))
    }
}
