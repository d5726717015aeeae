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

/// The source of updates where none is given: of whoever built this program, at build time.
const DEFAULT_SOURCE: Option<&str> = option_env!("TIDEWAITER_DEFAULT_DB_SOURCE");

/// The source of updates: the one given (by the command line or `TIDEWAITER_DB_SOURCE`), else the default.
pub(crate) fn database_source(given: Option<&str>) -> Option<String> {
    given.filter(|given| !given.is_empty()).or(DEFAULT_SOURCE).map(str::to_owned)
}

/// As [`database_source`], where the command line gives none.
pub(crate) fn default_source() -> Option<String> {
    database_source(std::env::var(SOURCE_VARIABLE).ok().as_deref())
}

/// The variable with the source of updates.
pub(crate) const SOURCE_VARIABLE: &str = "TIDEWAITER_DB_SOURCE";

/// As [`database`], of a file that must exist.
pub(crate) fn existing_database(given: Option<&Path>) -> Result<PathBuf> {
    let path = database(given)?;
    if !path.exists() {
        bail!("{}", missing(&path));
    }
    Ok(path)
}

/// One line for whoever has no database yet: what to run.
pub(crate) fn missing(path: &Path) -> String {
    let next = match default_source() {
        Some(_) => "download it with: kubectl scan db update",
        None => {
            "make one with: kubectl scan db build (or take one that others built: kubectl scan db update \
             oci://REGISTRY/REPOSITORY:TAG, or without a network: kubectl scan db import FILE)"
        }
    };
    format!("there is no vulnerability database at {} yet; {next}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_given_is_used_before_the_default() {
        let check = |given: Option<&str>, expected: Option<&str>| {
            assert_eq!(database_source(given).as_deref(), expected, "{given:?}");
        };
        check(Some("oci://r.example/db"), Some("oci://r.example/db"));
        check(None, DEFAULT_SOURCE);
        check(Some(""), DEFAULT_SOURCE);
    }
}
