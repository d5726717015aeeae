//! Archives that a text file next to them names, as Red Hat publishes its CSAF documents: `…/vex-feed/archive_latest.txt` holds
//! `csaf_vex_2026-11-28.tar.zst`, and another name the next day.

use super::Archive;
use super::url::{DownloadError, Get};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the text file.
const NAME: &str = "archive_latest.txt";
/// Most bytes of the text file that are shown when it cannot be used.
const SHOWN: usize = 80;

/// Downloads the archive that an address with this name (`archive_latest.txt`) leads to, or the file at any other address.
///
/// # Errors
/// When a download fails, or the text does not name an archive next to itself.
pub fn follow(address: &str, get: Get<'_>) -> Result<PathBuf, DownloadError> {
    let Some(folder) = address.strip_suffix(NAME).filter(|folder| folder.ends_with('/')) else { return get(address) };
    let file = get(address)?;
    let text = fs::read(&file).map_err(|e| DownloadError::disk(&file, e))?;
    let text = String::from_utf8_lossy(&text);
    let name = text.trim();
    if !is_archive(name) {
        let shown: String = name.chars().take(SHOWN).collect();
        return Err(DownloadError::Contradicted(format!("it names no archive next to it: {shown:?}")));
    }
    let archive = get(&format!("{folder}{name}"))?;
    remove_others(&archive);
    Ok(archive)
}

/// Whether it is the name of an archive, and no path: what a server writes must not lead to other places.
fn is_archive(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
    !name.starts_with('.') && name.bytes().all(plain) && Archive::named(name).is_some()
}

/// Removes archives of other days and what belongs to them, which would fill the disk. One that stays does no harm.
fn remove_others(archive: &Path) {
    let own = archive.file_stem().unwrap_or_default();
    for entry in archive.parent().and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten() {
        let path = entry.path();
        let of_an_archive = path.file_name().and_then(|name| name.to_str()).is_some_and(is_archive)
            || path.file_stem().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(".tar"));
        if of_an_archive && path.file_stem() != Some(own) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// With a text file of this content: the addresses that are asked for, and the cause of a failure.
    fn check(address: &str, text: &str, asked: &[&str], cause: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        for old in ["vex-1.tar.zst", "vex-1.tar.validator", "records.sorted"] {
            fs::write(folder.path().join(old), "").unwrap();
        }
        let seen = RefCell::new(Vec::new());
        let get = |url: &str| {
            seen.borrow_mut().push(url.to_owned());
            let file = folder.path().join(url.rsplit('/').next().unwrap());
            fs::write(file.with_extension("validator"), "").unwrap();
            fs::write(&file, text).map(|()| file).map_err(|e| DownloadError::disk(folder.path(), e))
        };
        let result = follow(address, &get).map_err(|error| error.to_string());
        assert_eq!(seen.borrow().as_slice(), asked);
        match cause {
            Some(cause) => assert!(result.unwrap_err().contains(cause)),
            None => assert!(result.unwrap().ends_with(asked.last().unwrap().rsplit('/').next().unwrap())),
        }
        let left = |name: &str| folder.path().join(name).is_file();
        assert!(left("records.sorted"));
        let followed = asked.len() == 2;
        assert_eq!((left("vex-1.tar.zst"), left("vex-1.tar.validator")), (!followed, !followed), "{address}");
        assert_eq!(left("vex-2.tar.validator"), followed);
    }

    #[test]
    fn the_text_names_the_archive_next_to_it() {
        let latest = "https://a/vex-feed/archive_latest.txt";
        check(latest, "vex-2.tar.zst\n", &[latest, "https://a/vex-feed/vex-2.tar.zst"], None);
        check("https://a/all.zip", "", &["https://a/all.zip"], None);
        check("https://a/my_archive_latest.txt", "", &["https://a/my_archive_latest.txt"], None);
        for wrong in ["", "../x.tar.zst", "https://b/x.tar.zst", "x.json", "x.tar.zst\ny.tar.zst", ".tar", "<html>"] {
            check(latest, wrong, &[latest], Some("names no archive next to it"));
        }
    }
}
