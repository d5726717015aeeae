//! One look at the cache: fresh entries are sealed, and what is over the limits goes.
//!
//! Workers write here, and an image may have taken one over: of no file is more read than an entry may have, and a file that
//! cannot be swept keeps no other one from it.

use super::folder::{Folder, age, bytes, rest};
use super::limits::{FreshFile, FreshStep, FreshSum, SealedFile, VolumeSpace, allowed, evicted, fresh_step};
use rustix::fs::Stat;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use tidewaiter_scan::cache::{SHARED_ENTRY_BYTES, is_layer_entry, is_whole_entry};

/// How often the times of use are looked at when there is room.
const HOUR: Duration = Duration::from_secs(3600);
/// How long the directory of a namespace without an entry stays.
const EMPTY: Duration = Duration::from_secs(24 * 3600);

/// Looks at the cache again and again.
#[derive(Debug)]
pub(super) struct LayerSweeper {
    root: PathBuf,
    limit: u64,
    /// When all of `sealed` was listed, and what it has taken since.
    listed: Option<(Instant, u64)>,
}

/// What the cache takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SweptCache {
    pub(super) used: u64,
    /// What it may take now; less than its limit while the volume is nearly full.
    pub(super) allowed: u64,
}

impl LayerSweeper {
    /// For a cache of at most so many bytes; the directory exists.
    pub(super) fn new(root: &Path, limit: u64) -> Self {
        LayerSweeper { root: root.to_owned(), limit, listed: None }
    }

    /// Looks once.
    ///
    /// # Errors
    /// When something cannot be read or removed; everything else was.
    pub(super) fn sweep(&mut self, now: SystemTime) -> io::Result<SweptCache> {
        let root = Folder::at(&self.root)?;
        let mut problems = SweepProblems::default();
        let owners = root.folders()?;
        let (mut fresh, mut sealed) = (0, 0);
        for (name, owner) in &owners {
            let (left, added) = self.sweep_fresh(name, owner, now, &mut problems);
            fresh += left;
            sealed += added;
        }
        let known = self.listed.map(|(at, bytes)| (at, bytes + sealed));
        let room = allowed(self.limit, known.map_or(0, |(_, bytes)| bytes) + fresh, root.volume()?);
        self.listed = match known {
            Some((at, bytes)) if at.elapsed() < HOUR && bytes + fresh <= room => known,
            _ => Some((Instant::now(), self.sweep_sealed(&owners, fresh, root.volume()?, now, &mut problems))),
        };
        let used = self.listed.map_or(0, |(_, bytes)| bytes) + fresh;
        problems.0.map_or(Ok(()), Err)?;
        Ok(SweptCache { used, allowed: allowed(self.limit, used, root.volume()?) })
    }

    /// Bytes that are left in `fresh` of one namespace, and those that were sealed.
    fn sweep_fresh(
        &self,
        name: &OsString,
        owner: &Folder,
        now: SystemTime,
        problems: &mut SweepProblems,
    ) -> (u64, u64) {
        // A worker makes the directories one after the other.
        let Some(fresh) = problems.note(owner.folder("fresh")) else { return (0, 0) };
        let sealed = problems.note(owner.folder("sealed"));
        let files = problems.note(fresh.some_files());
        let sum = FreshSum { bytes: files.iter().map(|(_, stat)| bytes(stat)).sum(), names: files.len() };
        let target = self.root.join(name).join("sealed");
        let (mut left, mut added) = (0, 0);
        for (name, stat) in &files {
            if let Some(file) = problems.note(sweep_file(&fresh, name, stat, sum, now)) {
                added += problems.note(seal(file, name, sealed.as_ref(), &target));
            }
            left += fresh.bytes_of(name);
        }
        (left, added)
    }

    /// Deletes what is over the limits, and returns the bytes that are left.
    fn sweep_sealed(
        &self,
        owners: &[(OsString, Folder)],
        fresh: u64,
        volume: VolumeSpace,
        now: SystemTime,
        problems: &mut SweepProblems,
    ) -> u64 {
        let mut files = Vec::new();
        for (number, (name, owner)) in owners.iter().enumerate() {
            let Some(sealed) = problems.note(owner.folder("sealed")) else { continue };
            for (file, stat) in problems.note(sealed.files()) {
                if file.to_str().is_some_and(is_layer_entry) {
                    files.push((SealedFile { owner: number, bytes: bytes(&stat), age: age(&stat, now) }, file));
                } else {
                    // Of a sweep that ended halfway.
                    problems.note(sealed.delete(&file));
                }
            }
            problems.note(remove_if_unused(&self.root.join(name), owner, now));
        }
        let entries: Vec<SealedFile> = files.iter().map(|(entry, _)| *entry).collect();
        let mut left: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let room = allowed(self.limit, left + fresh, volume).saturating_sub(fresh);
        for (entry, name) in evicted(&entries, room).into_iter().filter_map(|index| files.get(index)) {
            let Some((_, owner)) = owners.get(entry.owner) else { continue };
            problems.note(evict(owner, name));
            left -= entry.bytes;
        }
        left
    }
}

/// What went wrong first.
#[derive(Debug, Default)]
struct SweepProblems(Option<io::Error>);

impl SweepProblems {
    fn note<T: Default>(&mut self, result: io::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.0.get_or_insert(error);
            T::default()
        })
    }
}

/// Does with a file that workers write what is to be done, and returns it where that is sealing.
fn sweep_file(
    fresh: &Folder,
    name: &OsString,
    stat: &Stat,
    all: FreshSum,
    now: SystemTime,
) -> io::Result<Option<File>> {
    let Some(file) = fresh.open(name)? else { return Ok(None) };
    // Those of a file system without locks are read as they are: the checksum tells whether they are whole.
    let is_locked = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
    let is_named = name.to_str().is_some_and(is_layer_entry);
    match fresh_step(FreshFile { bytes: bytes(stat), is_locked, is_named, age: rest(stat, now) }, all) {
        FreshStep::Keep => {}
        FreshStep::Seal => return Ok(Some(file)),
        FreshStep::Empty => file.set_len(0)?,
        FreshStep::Delete => fresh.delete(name)?,
    }
    Ok(None)
}

/// Deletes an entry. A worker that reads it keeps the file, and not its bytes.
fn evict(owner: &Folder, name: &OsString) -> io::Result<()> {
    let Some(sealed) = owner.folder("sealed")? else { return Ok(()) };
    sealed.open(name)?.map_or(Ok(()), |file| file.set_len(0))?;
    sealed.delete(name)
}

/// Copies a whole entry to where no worker writes, empties it, and returns what the copy takes. One that is there and whole stays:
/// what a worker says of a layer that is known is not used.
fn seal(mut file: File, name: &OsString, sealed: Option<&Folder>, target: &Path) -> io::Result<u64> {
    let content = read(&mut file)?;
    file.set_len(0)?;
    let Some(sealed) = sealed.filter(|_| is_whole_entry(&content)) else { return Ok(0) };
    if let Some(mut there) = sealed.open(name)?
        && is_whole_entry(&read(&mut there)?)
    {
        return Ok(0);
    }
    match tidewaiter_io::replace(&target.join(name), |new| new.write_all(&content)) {
        Ok(()) => Ok(content.len() as u64),
        // The volume is full, which is told by how little the cache may take.
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Ok(0),
        Err(error) => Err(error),
    }
}

fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(SHARED_ENTRY_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

/// Deletes the directories of a namespace that has no entry, and was made more than a day ago. A scan that begins now makes them
/// again, or goes without.
fn remove_if_unused(path: &Path, owner: &Folder, now: SystemTime) -> io::Result<()> {
    if owner.age(now)? < EMPTY || owner.folders()?.iter().any(|(_, folder)| folder.names().is_ok_and(|n| !n.is_empty()))
    {
        return Ok(());
    }
    // The point last: no entry may be left without it. Workers write nothing next to it.
    for name in ["sealed", "fresh"] {
        match std::fs::remove_dir(path.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::remove_dir_all(path)
}

#[cfg(test)]
mod tests {
    use super::super::limits::UNUSED;
    use super::*;
    use rustix::fs::{FileType, Mode};
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const LIMIT: u64 = 1 << 30;
    /// Long after anything that a test does.
    const LATER: Duration = Duration::from_secs(2 * 24 * 3600);

    /// A cache with the directories of one namespace, as a worker makes them.
    fn cache() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let owner = dir.path().join("a");
        ["fresh", "sealed"].iter().for_each(|name| fs::create_dir_all(owner.join(name)).unwrap());
        fs::write(owner.join("point"), "1\n").unwrap();
        (dir, owner)
    }

    fn name(number: u8) -> String {
        format!("layer-{}-{}", format!("{number:02x}").repeat(32), "0".repeat(16))
    }

    /// An entry as a worker writes it: this text behind its checksum.
    fn entry(text: &str) -> Vec<u8> {
        use sha2::Digest as _;
        [&sha2::Sha256::digest(text)[..], text.as_bytes()].concat()
    }

    fn sweep(dir: &TempDir, limit: u64, now: SystemTime) -> SweptCache {
        LayerSweeper::new(dir.path(), limit).sweep(now).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    #[test]
    fn whole_entries_are_sealed_and_what_is_sealed_stays() {
        let check = |before: Option<&[u8]>, fresh: &[u8], expected: Option<&[u8]>| {
            let (dir, owner) = cache();
            let [fresh_file, sealed] = ["fresh", "sealed"].map(|place| owner.join(place).join(name(1)));
            if let Some(before) = before {
                fs::write(&sealed, before).unwrap();
            }
            fs::write(&fresh_file, fresh).unwrap();
            let swept = sweep(&dir, LIMIT, SystemTime::now());
            assert_eq!(fs::read(&sealed).ok().as_deref(), expected, "{before:?} {fresh:?}");
            assert_eq!(fs::metadata(&fresh_file).unwrap().len(), 0);
            assert!(swept.used <= 4096 && swept.allowed > 0, "{swept:?}");
        };
        let (good, other, broken) = (entry("good"), entry("other"), b"broken".to_vec());
        check(None, &good, Some(&good));
        check(None, &broken, None);
        check(Some(&good), &other, Some(&good));
        check(Some(&broken), &good, Some(&good));
    }

    #[test]
    fn what_a_worker_writes_is_left_to_it() {
        let (dir, owner) = cache();
        let path = owner.join("fresh").join(name(1));
        fs::write(&path, entry("half")).unwrap();
        let file = File::open(&path).unwrap();
        file.lock().unwrap();
        assert!(sweep(&dir, LIMIT, SystemTime::now()).used > 0);
        assert_eq!(fs::read(&path).unwrap(), entry("half"));
        assert!(names(&owner.join("sealed")).is_empty());
    }

    #[test]
    fn links_are_not_followed_and_other_files_are_not_opened() {
        let (dir, owner) = cache();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs::write(&victim, entry("victim")).unwrap();
        let fresh = owner.join("fresh");
        symlink(&victim, fresh.join(name(1))).unwrap();
        fs::create_dir(fresh.join(name(2))).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, fresh.join(name(3)), FileType::Fifo, Mode::RWXU, 0).unwrap();
        // A namespace that is a link, and one whose directories are.
        symlink(outside.path(), dir.path().join("b")).unwrap();
        fs::create_dir(dir.path().join("c")).unwrap();
        ["fresh", "sealed"].iter().for_each(|name| symlink(outside.path(), dir.path().join("c").join(name)).unwrap());
        sweep(&dir, 0, SystemTime::now() + UNUSED * 2);
        assert_eq!(fs::read(&victim).unwrap(), entry("victim"));
        assert!(names(&owner.join("sealed")).is_empty());
    }

    #[test]
    fn what_is_over_the_limit_goes() {
        let (dir, owner) = cache();
        for number in 0..10 {
            fs::write(owner.join("sealed").join(name(number)), vec![0; 8192]).unwrap();
        }
        let mut sweeper = LayerSweeper::new(dir.path(), 6 * 8192);
        let swept = sweeper.sweep(SystemTime::now()).unwrap();
        assert_eq!((names(&owner.join("sealed")).len(), swept.used), (5, 5 * 8192));
        // What is sealed later counts, too.
        for number in 10..13 {
            fs::write(owner.join("fresh").join(name(number)), entry(&"x".repeat(8000))).unwrap();
            sweeper.sweep(SystemTime::now()).unwrap();
        }
        assert!(names(&owner.join("sealed")).len() <= 6);
        assert!(owner.join("sealed").join(name(12)).exists());
    }

    #[test]
    fn a_namespace_that_is_gone_leaves_nothing() {
        let (dir, owner) = cache();
        fs::write(owner.join("sealed").join(name(1)), entry("x")).unwrap();
        fs::write(owner.join("fresh").join(name(1)), "").unwrap();
        fs::write(owner.join("sealed/half.new"), "x").unwrap();
        sweep(&dir, LIMIT, SystemTime::now());
        assert_eq!(names(&owner.join("sealed")), [name(1)]);
        let mut sweeper = LayerSweeper::new(dir.path(), LIMIT);
        sweeper.sweep(SystemTime::now() + UNUSED * 2).unwrap();
        // The first look deletes the entries, a later one the directories.
        assert!(names(&owner.join("sealed")).is_empty());
        LayerSweeper::new(dir.path(), LIMIT).sweep(SystemTime::now() + LATER).unwrap();
        assert!(!owner.exists());
    }

    #[test]
    fn a_file_that_cannot_be_swept_keeps_nothing_else_from_it() {
        let (dir, owner) = cache();
        fs::write(owner.join("fresh").join(name(1)), entry("x")).unwrap();
        // It cannot be sealed: a directory has its name.
        fs::create_dir_all(owner.join("sealed").join(name(1)).join("x")).unwrap();
        fs::write(owner.join("fresh").join(name(2)), entry("y")).unwrap();
        LayerSweeper::new(dir.path(), LIMIT).sweep(SystemTime::now()).unwrap_err();
        assert_eq!(fs::read(owner.join("sealed").join(name(2))).unwrap(), entry("y"));
    }
}
