//! Files of the store that this program cannot use, and keeps: damaged ones, and those of other versions.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What SQLite has next to a file: its log, and the index of that, which it makes again.
const LOG: &str = "-wal";
const LOG_INDEX: &str = "-shm";

/// Renames a damaged file to `store.db.damaged`, and replaces one of that name, so that they do not pile up.
pub(super) fn put_damaged_aside(path: &Path) -> io::Result<()> {
    remove(&with_suffix(path, LOG))?;
    remove(&with_suffix(path, LOG_INDEX))?;
    fs::rename(path, with_suffix(path, ".damaged"))
}

/// Renames the file of another version to `store.db.vVERSION`, where that version finds it again when it comes back; returns that
/// place.
pub(super) fn put_version_aside(path: &Path, version: i32) -> io::Result<PathBuf> {
    let aside = of_version(path, version);
    remove(&with_suffix(path, LOG_INDEX))?;
    // What is committed and not in the file yet. It is there only where another process has the file open.
    rename_if_there(&with_suffix(path, LOG), &with_suffix(&aside, LOG))?;
    fs::rename(path, &aside)?;
    Ok(aside)
}

/// Takes back what another version put aside of this one, where there is no store; true if there was something.
pub(super) fn take_back(path: &Path, version: i32) -> io::Result<bool> {
    let aside = of_version(path, version);
    if path.exists() || !aside.exists() {
        return Ok(false);
    }
    rename_if_there(&with_suffix(&aside, LOG), &with_suffix(path, LOG))?;
    fs::rename(aside, path)?;
    Ok(true)
}

fn of_version(path: &Path, version: i32) -> PathBuf {
    with_suffix(path, &format!(".v{version}"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    passed_over_if_absent(fs::remove_file(path))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    passed_over_if_absent(fs::rename(from, to))
}

fn passed_over_if_absent(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
