//! Files that hold what memory should not, and that nobody else sees.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers the files of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A new empty file in `folder` for reading and writing. It has no name, so that it is gone when it is closed, however the
/// process ends.
///
/// # Errors
/// When the folder cannot be written.
pub fn scratch(folder: &Path) -> io::Result<File> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".scratch-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _, Write as _};

    #[test]
    fn content_is_kept_and_no_name_remains() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = scratch(dir.path()).unwrap();
        file.write_all(b"content").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), fs::read_dir(dir.path()).unwrap().count()), ("content", 0));
        assert!(scratch(&dir.path().join("gone")).is_err());
    }
}
