//! Where reports and inventories live: never in etcd.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidewaiter_core::image::Digest;
use tidewaiter_scan::analyze;

/// Keeps reports by their unguessable key, and inventories by the digest of their image.
pub(crate) trait Store: Send + Sync {
    /// Keeps a report; gives its key.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_report(&self, report: &[u8]) -> io::Result<String>;
    /// A report, if the key is one.
    fn report(&self, key: &str) -> Option<Vec<u8>>;
    /// Forgets a report.
    fn remove_report(&self, key: &str);
    /// Keeps what was seen in an image.
    ///
    /// # Errors
    /// When it cannot be written.
    fn put_inventory(&self, image: &Digest, inventory: &[u8]) -> io::Result<()>;
    /// The folder of inventories, for the process that reads them.
    fn inventories(&self) -> PathBuf;
    /// Forgets what is older than `age` and not in use; gives how many files.
    ///
    /// # Errors
    /// When the store cannot be listed.
    fn sweep(&self, used: &Used, age: Duration) -> io::Result<usize>;
}

/// What objects of the cluster refer to.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Keys of reports.
    pub(crate) reports: HashSet<String>,
    /// Hexadecimal digests of images.
    pub(crate) images: HashSet<String>,
}

/// Files on a volume, written atomically.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    /// Opens or makes the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir.join("reports"))?;
        fs::create_dir_all(dir.join("inventories"))?;
        Ok(Files { dir: dir.to_owned() })
    }

    fn report_file(&self, key: &str) -> Option<PathBuf> {
        let good = key.len() == KEY_BYTES * 2 && key.bytes().all(|b| b.is_ascii_hexdigit());
        good.then(|| self.dir.join("reports").join(key))
    }
}

/// Random bytes of a report key.
const KEY_BYTES: usize = 16;

impl Store for Files {
    fn put_report(&self, report: &[u8]) -> io::Result<String> {
        let mut random = [0u8; KEY_BYTES];
        rustls::crypto::aws_lc_rs::default_provider()
            .secure_random
            .fill(&mut random)
            .map_err(|_| io::Error::other("no randomness"))?;
        let key: String = random.iter().map(|b| format!("{b:02x}")).collect();
        write(&self.dir.join("reports").join(&key), report)?;
        Ok(key)
    }

    fn report(&self, key: &str) -> Option<Vec<u8>> {
        fs::read(self.report_file(key)?).ok()
    }

    fn remove_report(&self, key: &str) {
        // Gone already is as good.
        let _ = self.report_file(key).map(fs::remove_file);
    }

    fn put_inventory(&self, image: &Digest, inventory: &[u8]) -> io::Result<()> {
        write(&inventory_file(&self.inventories(), image), inventory)
    }

    fn inventories(&self) -> PathBuf {
        self.dir.join("inventories")
    }

    fn sweep(&self, used: &Used, age: Duration) -> io::Result<usize> {
        let reports = remove_old(&self.dir.join("reports"), age, |name| used.reports.contains(name))?;
        let image = |name: &str| name.split('-').next().is_some_and(|hex| used.images.contains(hex));
        // What analyzers of another version saw is of no use to this one.
        let current = |name: &str| name.ends_with(&format!("-{}", analyze::VERSION));
        let inventories = remove_old(&self.inventories(), age, |name| image(name) && current(name))?;
        Ok(reports + inventories)
    }
}

fn remove_old(dir: &Path, age: Duration, used: impl Fn(&str) -> bool) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        // A file that is written now, or whose object is, is young.
        let old = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
        let name = entry.file_name();
        if old.is_some_and(|old| old >= age) && !name.to_str().is_some_and(&used) {
            removed += usize::from(fs::remove_file(entry.path()).is_ok());
        }
    }
    Ok(removed)
}

/// Where an image's inventory is: by its digest and by what the analyzers of this version can see.
pub(crate) fn inventory_file(dir: &Path, image: &Digest) -> PathBuf {
    dir.join(format!("{}-{}", image.hex(), analyze::VERSION))
}

/// Writes beside, then renames: a reader sees all or nothing.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = fs::File::create(&beside)?;
    file.write_all(bytes)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_found_by_their_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Files::open(dir.path()).unwrap();
        let key = store.put_report(b"r").unwrap();
        assert_ne!(key, store.put_report(b"r").unwrap());
        assert_eq!(store.report(&key).as_deref(), Some(&b"r"[..]));
        for bad in ["", "../inventories/x", "/etc/passwd", &"0".repeat(32), &key[1..]] {
            assert_eq!(store.report(bad), None, "{bad}");
        }
        store.remove_report(&key);
        assert_eq!(store.report(&key), None);
    }

    #[test]
    fn what_nothing_refers_to_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Files::open(dir.path()).unwrap();
        let (kept, lost) = (store.put_report(b"r").unwrap(), store.put_report(b"r").unwrap());
        let images = [Digest::from_sha256([1; 32]), Digest::from_sha256([2; 32])];
        images.iter().for_each(|image| store.put_inventory(image, b"i").unwrap());
        fs::write(store.inventories().join(format!("{}-0", images[0].hex())), b"of an older version").unwrap();
        let used = Used { reports: [kept.clone()].into(), images: [images[0].hex().to_owned()].into() };
        assert_eq!(store.sweep(&used, Duration::from_secs(3600)).unwrap(), 0);
        assert_eq!(store.sweep(&used, Duration::ZERO).unwrap(), 3);
        assert!(store.report(&kept).is_some() && store.report(&lost).is_none());
        assert!(inventory_file(&store.inventories(), &images[0]).exists());
    }
}
