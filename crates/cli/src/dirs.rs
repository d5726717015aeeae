//! Where this user's files are: the database, downloads, the cache of scans.

use crate::exit::UsageError;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// `$XDG_CACHE_HOME/tidewaiter`, else `~/.cache/tidewaiter`.
pub(crate) fn cache() -> Result<PathBuf> {
    // The XDG base directory specification: a relative path is invalid and to be ignored.
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let base = base.ok_or_else(|| UsageError("no home directory: name a file with --db".to_owned()))?;
    Ok(base.join("tidewaiter"))
}

/// The cache of local scans.
pub(crate) fn scans() -> Result<PathBuf> {
    Ok(cache()?.join("scans"))
}

/// The downloads of `db build`: the directory on the command line, else the user's own.
pub(crate) fn downloads(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(named) => Ok(named.to_owned()),
        None => Ok(cache()?.join("feeds")),
    }
}

/// The database named on the command line, else the user's own.
pub(crate) fn database(given: Option<&Path>) -> Result<PathBuf> {
    match given {
        Some(named) => Ok(named.to_owned()),
        None => Ok(cache()?.join("tidewaiter.db")),
    }
}

/// As [`database`], of a file that must exist.
pub(crate) fn existing_database(given: Option<&Path>) -> Result<PathBuf> {
    let path = database(given)?;
    if !path.exists() {
        let path = path.display();
        bail!(
            "there is no vulnerability database at {path} yet; make one with: kubectl scan db build (or, without a \
             network, import one with: kubectl scan db import FILE)"
        );
    }
    Ok(path)
}
