//! Directories in which workers write: no link is followed, and nothing but a regular file is opened.

use super::limits::{FRESH_NAMES, VolumeSpace};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `st_blocks` counts in these (stat(2)).
const BLOCK: u64 = 512;
/// Names of a directory that one sweep looks at, eight times as many as [`super::limits::FRESH_NAMES`] lets be; the next sweep finds
/// those that are left.
const MOST_NAMES: usize = 8 * FRESH_NAMES;

/// What a file takes on its volume.
pub(super) fn bytes(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or_default() * BLOCK
}

/// Since it was used. Workers may set that time: one that lies ahead counts as long ago, so that it keeps nothing for ever.
pub(super) fn age(stat: &Stat, now: SystemTime) -> Duration {
    since(stat.st_mtime, now).unwrap_or(Duration::MAX)
}

/// Since its content or its times were changed, which nobody can set.
pub(super) fn rest(stat: &Stat, now: SystemTime) -> Duration {
    since(stat.st_ctime, now).unwrap_or_default()
}

/// `None` for a time that is more than a minute ahead.
fn since(seconds: i64, now: SystemTime) -> Option<Duration> {
    let then = UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    match now.duration_since(then) {
        Ok(since) => Some(since),
        Err(ahead) => (ahead.duration() < Duration::from_secs(60)).then_some(Duration::ZERO),
    }
}

/// A directory that is open: what it holds is found in it, whatever its path leads to by then.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// The directory at a path that no worker can change.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Folder(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// A directory in it.
    pub(super) fn folder(&self, name: impl rustix::path::Arg) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        found(rustix::fs::openat(&self.0, name, flags, Mode::empty()).map(Folder))
    }

    /// The directories in it.
    pub(super) fn folders(&self) -> io::Result<Vec<(OsString, Folder)>> {
        let mut all = Vec::new();
        for name in self.names()? {
            if let Some(folder) = self.folder(&name)? {
                all.push((name, folder));
            }
        }
        Ok(all)
    }

    /// The regular files in it.
    pub(super) fn files(&self) -> io::Result<Vec<(OsString, Stat)>> {
        self.files_of(self.names()?)
    }

    /// As many of the regular files as one sweep looks at where a worker may make names without end.
    pub(super) fn some_files(&self) -> io::Result<Vec<(OsString, Stat)>> {
        self.files_of(self.some_names(MOST_NAMES)?)
    }

    fn files_of(&self, names: Vec<OsString>) -> io::Result<Vec<(OsString, Stat)>> {
        let mut all = Vec::new();
        for name in names {
            let stat = found(rustix::fs::statat(&self.0, &name, AtFlags::SYMLINK_NOFOLLOW))?;
            all.extend(stat.filter(is_file).map(|stat| (name, stat)));
        }
        Ok(all)
    }

    /// Everything in it.
    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        self.some_names(usize::MAX)
    }

    fn some_names(&self, most: usize) -> io::Result<Vec<OsString>> {
        let mut all = Vec::new();
        // With `.` and `..`.
        for entry in Dir::read_from(&self.0)?.take(most.saturating_add(2)) {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                all.push(name);
            }
        }
        Ok(all)
    }

    /// A regular file, for reading and writing.
    pub(super) fn open(&self, name: &OsString) -> io::Result<Option<File>> {
        // Not waiting: something else may have this name by now.
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Some(file) = found(rustix::fs::openat(&self.0, name, flags, Mode::empty()))? else { return Ok(None) };
        Ok(is_file(&rustix::fs::fstat(file.as_fd())?).then(|| File::from(file)))
    }

    /// What a file takes now.
    pub(super) fn bytes_of(&self, name: &OsString) -> u64 {
        rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map_or(0, |stat| bytes(&stat))
    }

    /// Deletes a file.
    pub(super) fn delete(&self, name: &OsString) -> io::Result<()> {
        found(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())).map(|_| ())
    }

    /// Since its own entries changed.
    pub(super) fn age(&self, now: SystemTime) -> io::Result<Duration> {
        Ok(age(&rustix::fs::fstat(&self.0)?, now))
    }

    /// The volume that it is on.
    pub(super) fn volume(&self) -> io::Result<VolumeSpace> {
        let stat = rustix::fs::fstatvfs(&self.0)?;
        Ok(VolumeSpace { size: stat.f_blocks * stat.f_frsize, free: stat.f_bavail * stat.f_frsize })
    }
}

/// What is not there, or is something else than was asked for, is nothing.
fn found<T>(result: rustix::io::Result<T>) -> io::Result<Option<T>> {
    use rustix::io::Errno;
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ISDIR | Errno::NXIO) => Ok(None),
        Err(other) => Err(other.into()),
    }
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
