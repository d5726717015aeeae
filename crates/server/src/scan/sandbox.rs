//! What a scan's worker cannot do, whatever an image makes of it: gain privileges, start programs or processes, read files but the
//! database, what reaching a registry needs and the cached layers of its namespace, write any but new ones of those, delete any,
//! or use the parts of the kernel that no scan needs.
//!
//! The container confines it too. This is for what the container shares: its own files, the scanner, other scans.

mod calls;

use calls::Sockets;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::thread::set_no_new_privs;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use tidewaiter_scan::cache::SharedCache;

/// What is handled where the kernel has it (Linux 6.12); an older one enforces what it knows. Connections to registries are
/// not: their ports are theirs to choose.
const KNOWN: ABI = ABI::V6;

/// Read to reach a registry: names of hosts (`resolv.conf(5)`, `nsswitch.conf(5)`, `hosts(5)`, `gai.conf(5)`), and
/// certificate authorities where distributions have them (as `openssl-probe` looks for them).
const NETWORK_FILES: [&str; 15] = [
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/var/lib/ca-certificates",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/lib/ssl",
    "/usr/share/pki",
    "/dev/urandom",
];
/// Where these variables name authorities, the system's are not read: a file, and folders as in `PATH`.
const AUTHORITIES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// How much of the sandbox the kernel enforces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confinement {
    /// Files: all that is handled, a part of it, or nothing.
    files: Enforced,
    /// System calls.
    calls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enforced {
    Fully,
    Partly,
    Not,
}

impl From<RulesetStatus> for Enforced {
    fn from(status: RulesetStatus) -> Self {
        match status {
            RulesetStatus::FullyEnforced => Enforced::Fully,
            RulesetStatus::PartiallyEnforced => Enforced::Partly,
            RulesetStatus::NotEnforced => Enforced::Not,
        }
    }
}

impl std::fmt::Display for Confinement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("scan processes are confined by ")?;
        f.write_str(match self.files {
            Enforced::Fully => "Landlock",
            Enforced::Partly => "a part of Landlock (this kernel is older than 6.12)",
            Enforced::Not => "no Landlock (this kernel has none, or it is not enabled)",
        })?;
        f.write_str(if self.calls { " and seccomp" } else { " and no seccomp (this kernel has none)" })
    }
}

/// Confines the calling thread and the threads that it starts. What the kernel lacks is left out.
///
/// # Errors
/// When the kernel has a part and refuses it.
pub(super) fn enter(database: &Path, layers: Option<&SharedCache>) -> io::Result<Confinement> {
    // By itself, since both parts below may be missing.
    set_no_new_privs(true)?;
    // Files first: what they are restricted by is a system call.
    let files = restrict_files(database, layers).map_err(io::Error::other)?.into();
    let calls = calls::restrict(Sockets::OfRegistries)?;
    Ok(Confinement { files, calls })
}

/// Confines the calling thread and the threads that it starts to what is open: no file is opened, nobody is reached. What the
/// kernel lacks is left out.
///
/// # Errors
/// When the kernel has a part and refuses it.
pub(super) fn enter_closed() -> io::Result<Confinement> {
    set_no_new_privs(true)?;
    let files = close_files().map_err(io::Error::other)?.into();
    let calls = calls::restrict(Sockets::None)?;
    Ok(Confinement { files, calls })
}

fn close_files() -> Result<RulesetStatus, RulesetError> {
    let handled =
        Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.handle_access(AccessNet::from_all(KNOWN))?;
    Ok(handled.scope(Scope::from_all(KNOWN))?.create()?.restrict_self()?.ruleset)
}

/// What this kernel enforces, for one line of the log: a thread that does nothing else finds out.
pub(crate) fn support() -> String {
    let tried = std::thread::spawn(|| enter(Path::new("/dev/null"), None)).join();
    match tried {
        Ok(Ok(confinement)) => confinement.to_string(),
        Ok(Err(error)) => format!("scan processes do not start: the sandbox cannot be entered: {error}"),
        Err(_) => "it is unknown what confines scan processes".to_owned(),
    }
}

/// Whether this kernel keeps a worker from changing any file but those that it is allowed to: truncating is handled since
/// Linux 6.2. Without that no cache is kept, since all workers are one user.
pub(super) fn separates_files() -> bool {
    let ruleset = Ruleset::default();
    ruleset.set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(ABI::V3)).is_ok()
}

fn restrict_files(database: &Path, layers: Option<&SharedCache>) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Deleting is not allowed: the scanner sees whatever a worker wrote.
    let write = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg;
    let [file, folders] = AUTHORITIES.map(std::env::var_os);
    let named = authorities(file.as_deref(), folders.as_deref());
    let readable = NETWORK_FILES.iter().map(PathBuf::from).chain(named).chain([database.to_owned()]);
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::BindTcp)?
        // Signals, and sockets that are in no file system, to processes outside: the scanner is of the same user.
        .scope(Scope::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(layers.map(SharedCache::sealed), AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(layers.map(SharedCache::fresh), write))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

fn authorities(file: Option<&OsStr>, folders: Option<&OsStr>) -> Vec<PathBuf> {
    let folders = folders.into_iter().flat_map(std::env::split_paths);
    file.map(PathBuf::from).into_iter().chain(folders).filter(|path| !path.as_os_str().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::OpenOptionsExt as _;
    use std::process::Command;
    use std::time::Duration;

    /// Runs something in a thread of its own that is confined; the others are not.
    fn confined<T: Send + 'static>(database: &Path, work: impl FnOnce(Confinement) -> T + Send + 'static) -> T {
        let database = database.to_owned();
        std::thread::spawn(move || work(enter(&database, None).unwrap())).join().unwrap()
    }

    #[test]
    fn the_layers_of_one_namespace() {
        if !separates_files() {
            tidewaiter_testkit::skip::skipped("the_layers_of_one_namespace", "needs Landlock of Linux 6.2");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let cache = SharedCache::open(&dir.path().join(name), Duration::ZERO).unwrap();
            [cache.sealed(), cache.fresh()].iter().for_each(|folder| fs::write(folder.join("known"), "text").unwrap());
            cache
        };
        let (own, other) = (open("own"), open("other"));
        let root = dir.path().to_owned();
        let work = move || {
            enter(Path::new("/dev/null"), Some(&own)).unwrap();
            let (sealed, fresh) = (own.sealed(), own.fresh());
            // What is sealed is read, and what is fresh written; nothing is deleted, or made out of anything else.
            assert_eq!(fs::read_to_string(sealed.join("known")).unwrap(), "text");
            assert!(refused(&fs::write(sealed.join("known"), "other").unwrap_err()));
            assert!(refused(&fs::write(sealed.join("new"), "text").unwrap_err()));
            fs::write(fresh.join("known"), "other").unwrap();
            fs::write(fresh.join("new"), "text").unwrap();
            assert_eq!(fs::read_to_string(fresh.join("new")).unwrap(), "text");
            assert!(refused(&fs::remove_file(fresh.join("new")).unwrap_err()));
            assert!(fs::rename(fresh.join("new"), fresh.join("renamed")).is_err());
            assert!(fs::hard_link(sealed.join("known"), fresh.join("link")).is_err());
            assert!(refused(&std::os::unix::fs::symlink("/", fresh.join("link")).unwrap_err()));
            assert!(refused(&fs::create_dir(fresh.join("folder")).unwrap_err()));
            let nameless = fs::File::options().write(true).custom_flags(libc::O_TMPFILE).open(fresh);
            assert!(refused(&nameless.unwrap_err()));
            assert!(refused(&fs::write(root.join("own/point"), "1").unwrap_err()));
            assert!(refused(&fs::read_dir(&root).unwrap_err()));
            // The time of use is that of an open file alone, and modes and owners stay.
            let file = fs::File::open(sealed.join("known")).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
            assert!(refused(&fs::set_permissions(fresh.join("new"), mode).unwrap_err()));
            let times = rustix::fs::Timestamps {
                last_access: rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 },
                last_modification: rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 },
            };
            let path = fresh.join("new");
            let touched = rustix::fs::utimensat(rustix::fs::CWD, &path, &times, rustix::fs::AtFlags::empty());
            assert!(refused(&touched.unwrap_err().into()));
            // Nothing of another namespace.
            for place in [other.sealed(), other.fresh()] {
                assert!(refused(&fs::read(place.join("known")).unwrap_err()));
                assert!(refused(&fs::write(place.join("known"), "other").unwrap_err()));
                assert!(refused(&fs::write(place.join("new"), "text").unwrap_err()));
            }
        };
        std::thread::spawn(work).join().unwrap();
    }

    fn refused(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::PermissionDenied
    }

    #[test]
    fn no_file_but_the_database() {
        let dir = tempfile::tempdir().unwrap();
        let paths = ["database", "other"].map(|name| dir.path().join(name));
        paths.iter().for_each(|path| fs::write(path, "text").unwrap());
        let [database, other] = paths;
        confined(&database.clone(), move |confinement| {
            if confinement.files == Enforced::Not {
                tidewaiter_testkit::skip::skipped("no_file_but_the_database", "needs Landlock");
                return;
            }
            assert_eq!(fs::read_to_string(&database).unwrap(), "text");
            for path in [&other, Path::new("/etc/passwd"), Path::new("/proc/self/environ"), Path::new("/proc/1/status")]
            {
                assert!(refused(&fs::File::open(path).unwrap_err()), "{}", path.display());
            }
            assert!(refused(&fs::read_dir(other.parent().unwrap()).unwrap_err()));
            assert!(refused(&fs::write(&database, "other").unwrap_err()));
            assert!(refused(&fs::remove_file(&database).unwrap_err()));
            assert!(fs::File::open("/etc/hosts").is_ok());
            assert!(refused(&fs::write(other.with_file_name("new"), "text").unwrap_err()));
        });
    }

    #[test]
    fn authorities_are_a_file_and_a_list_of_folders() {
        let check = |file: Option<&str>, folders: Option<&str>, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(authorities(file.map(OsStr::new), folders.map(OsStr::new)), expected, "{file:?} {folders:?}");
        };
        check(None, None, &[]);
        check(Some("/ca.pem"), None, &["/ca.pem"]);
        // A colon in the name of a file separates nothing.
        check(Some("/a:b.pem"), Some("/c"), &["/a:b.pem", "/c"]);
        check(None, Some("/c:/d"), &["/c", "/d"]);
        check(None, Some("/c::/d:"), &["/c", "/d"]);
        check(Some(""), Some(""), &[]);
    }

    #[test]
    fn no_program_no_process_no_other_kind_of_socket() {
        confined(Path::new("/dev/null"), |confinement| {
            assert!(confinement.calls, "every kernel that runs containers has seccomp");
            assert!(refused(&Command::new("/bin/true").spawn().unwrap_err()));
            use rustix::net::{AddressFamily, SocketType, socket};
            let check = |family: AddressFamily, expected: bool| {
                assert_eq!(socket(family, SocketType::DGRAM, None).is_ok(), expected, "{family:?}");
            };
            check(AddressFamily::INET, true);
            check(AddressFamily::INET6, true);
            check(AddressFamily::UNIX, true);
            check(AddressFamily::PACKET, false);
            check(AddressFamily::VSOCK, false);
            // AF_ALG: the kernel's ciphers.
            check(AddressFamily::from_raw(38), false);
            assert!(refused(&std::net::TcpListener::bind("127.0.0.1:0").unwrap_err()));
            // What it is for still works: threads, names, connections.
            assert_eq!(std::thread::spawn(|| 1).join().unwrap(), 1);
            assert!(std::net::ToSocketAddrs::to_socket_addrs("localhost:80").unwrap().next().is_some());
        });
        // The other threads of this process are not confined.
        assert!(Command::new("/bin/true").status().unwrap().success());
    }

    /// As the process of a re-match, which is of the server's user, in its container.
    #[test]
    fn nothing_but_what_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let work = move || {
            let mut open = fs::File::open(&file).unwrap();
            let confinement = enter_closed().unwrap();
            assert!(confinement.calls, "every kernel that runs containers has seccomp");
            let mut text = String::new();
            std::io::Read::read_to_string(&mut open, &mut text).unwrap();
            assert_eq!(text, "text");
            assert!(refused(&std::net::TcpStream::connect(address).unwrap_err()));
            assert!(refused(&std::net::UdpSocket::bind("127.0.0.1:0").unwrap_err()));
            assert!(refused(&std::os::unix::net::UnixDatagram::unbound().unwrap_err()));
            assert!(refused(&Command::new("/bin/true").spawn().unwrap_err()));
            if confinement.files == Enforced::Not {
                tidewaiter_testkit::skip::skipped("nothing_but_what_is_open", "needs Landlock");
                return;
            }
            for path in [&file, Path::new("/etc/hosts"), Path::new("/proc/self/environ"), Path::new("/proc/1/status")] {
                assert!(refused(&fs::File::open(path).unwrap_err()), "{}", path.display());
            }
            assert!(refused(&fs::write(dir.path().join("new"), "text").unwrap_err()));
        };
        std::thread::spawn(work).join().unwrap();
    }

    #[test]
    fn one_line_says_what_is_enforced() {
        let check = |files: Enforced, calls: bool, expected: &str| {
            let text = Confinement { files, calls }.to_string();
            assert_eq!(text, format!("scan processes are confined by {expected}"));
        };
        check(Enforced::Fully, true, "Landlock and seccomp");
        check(Enforced::Partly, true, "a part of Landlock (this kernel is older than 6.12) and seccomp");
        let none = "no Landlock (this kernel has none, or it is not enabled) and no seccomp (this kernel has none)";
        check(Enforced::Not, false, none);
        assert!(support().starts_with("scan processes are confined by "), "{}", support());
    }
}
