//! Replacing a file so that every reader sees the old content or the new one, never a part.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers temporary files: two threads of one process may replace the same file at the same time.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Writes a new file next to `path` and renames it to `path` (POSIX `rename` is atomic within a file system). Sync the
/// file inside `write` where the content must survive a loss of power.
///
/// # Errors
/// When the file cannot be created, written or renamed. Then `path` is as it was and the new file is deleted.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    replace_if(path, write, |_| Ok(()))
}

/// As [`replace`]; the new file, whole and under its temporary name, must please `check` before it replaces the old one.
///
/// # Errors
/// As for [`replace`], and those of `check`.
pub fn replace_if<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
    check: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = File::create(&new).map_err(E::from).and_then(|mut file| write(&mut file));
    let checked = written.and_then(|()| check(&new));
    let renamed = checked.and_then(|()| fs::rename(&new, path).map_err(E::from));
    renamed.inspect_err(|_| drop(fs::remove_file(&new)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, |file| file.write_all(b"old")).unwrap();
        let failing = |file: &mut File| file.write_all(b"ne").and_then(|()| Err(io::Error::other("disk full")));
        assert_eq!(replace(&path, failing).unwrap_err().to_string(), "disk full");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let refused = replace_if(
            &path,
            |file| file.write_all(b"bad"),
            |new| {
                assert_eq!(fs::read(new).unwrap(), b"bad");
                Err(io::Error::other("refused"))
            },
        );
        assert_eq!(refused.unwrap_err().to_string(), "refused");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        replace(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file remains");
    }
}
