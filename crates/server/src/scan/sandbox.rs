//! What a worker cannot do, whatever an image makes of it: gain privileges, start programs or processes, read files but the
//! database, what reaching a registry needs and the cached layers of its namespace, write any but new ones of those, delete any,
//! or use the parts of the kernel that no scan needs.
//!
//! The container confines it too. This is for what the container shares: its own files, the scanner, other scans.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use libc::c_long;
use rustix::thread::set_no_new_privs;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
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

/// `fchmodat2(2)`, which not every C library knows; new calls have one number everywhere.
const FCHMODAT2: c_long = 452;

/// Calls that no scan makes, and that a program which took the worker over would.
const DENIED: &[c_long] = &[
    // Other programs and processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_kcmp,
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    // Parts of the kernel in which most local privilege escalations were found.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_fanotify_init,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    // What Landlock does not handle: other attributes of files than their content. All workers are one user.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    // A worker connects, and serves nobody.
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];
/// Those that only x86-64 has, under its own numbers and under those of its x32 interface, which the kernel tells apart by
/// this bit alone (`arch/x86/entry/syscalls/syscall_64.tbl`).
#[cfg(target_arch = "x86_64")]
const X32: c_long = 0x4000_0000;
#[cfg(target_arch = "x86_64")]
const X32_DENIED: [c_long; 6] = [520, 521, 528, 539, 540, 545];

/// The same with paths as their arguments, which newer interfaces lack.
#[cfg(target_arch = "x86_64")]
const PATHS_DENIED: [c_long; 6] =
    [libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown, libc::SYS_utime, libc::SYS_utimes, libc::SYS_futimesat];

/// Families of the sockets that are needed: to registries, to a resolver or its cache, and to the kernel's routes, which
/// `getaddrinfo` asks for.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

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
    let calls = restrict_calls()?;
    Ok(Confinement { files, calls })
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

/// False where the kernel has no filters.
fn restrict_calls() -> io::Result<bool> {
    for filter in [denied(libc::EPERM, rules().map_err(io::Error::other)?), denied(libc::ENOSYS, unreadable())] {
        match seccompiler::apply_filter(&filter.map_err(io::Error::other)?) {
            Ok(()) => {}
            Err(seccompiler::Error::Seccomp(error)) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    Ok(true)
}

/// `seccomp(2)`: without filters the call is not there, or its operation is not.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
}

/// A filter that answers some calls with an error and lets all others through.
fn denied(error: i32, calls: BTreeMap<c_long, Vec<SeccompRule>>) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let action = SeccompAction::Errno(error.unsigned_abs());
    SeccompFilter::new(calls, SeccompAction::Allow, action, architecture)?.try_into()
}

fn rules() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut all: BTreeMap<c_long, Vec<SeccompRule>> = DENIED.iter().map(|call| (*call, vec![])).collect();
    let other = |family: &libc::c_int| argument(SeccompCmpOp::Ne, family.unsigned_abs().into());
    let families = FAMILIES.iter().map(other).collect::<Result<_, _>>()?;
    all.insert(libc::SYS_socket, vec![SeccompRule::new(families)?]);
    // Threads, and no processes.
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    // Times of files that are open, and of no others.
    let is_path = SeccompCondition::new(1, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    all.insert(libc::SYS_utimensat, vec![SeccompRule::new(vec![is_path])?]);
    // Landlock lets whoever may write make such a file.
    all.insert(libc::SYS_openat, vec![SeccompRule::new(vec![nameless(2)?])?]);
    all.insert(libc::SYS_clone, vec![SeccompRule::new(vec![argument(SeccompCmpOp::MaskedEq(thread), 0)?])?]);
    #[cfg(target_arch = "x86_64")]
    {
        all.insert(libc::SYS_open, vec![SeccompRule::new(vec![nameless(1)?])?]);
        all.extend([libc::SYS_fork, libc::SYS_vfork].into_iter().chain(PATHS_DENIED).map(|call| (call, vec![])));
        let x32: Vec<c_long> = all.keys().copied().chain(X32_DENIED).map(|call| call | X32).collect();
        // No program here uses that interface: every one of its calls on the list is denied, whatever its arguments.
        all.extend(x32.into_iter().map(|call| (call, vec![])));
    }
    Ok(all)
}

/// The first argument of a call, which is an `int` or fits in one.
fn argument(op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(0, SeccompCmpArgLen::Dword, op, value)
}

/// Flags that open a file without a name (`O_TMPFILE` of open(2) without its other part, `O_DIRECTORY`), in an argument.
fn nameless(argument: u8) -> Result<SeccompCondition, seccompiler::BackendError> {
    const FLAG: u64 = 0o20_000_000;
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(FLAG), FLAG)
}

/// `clone3(2)` and `openat2(2)` have their flags in memory, where no filter looks. Without them, C libraries start threads with
/// `clone`, and open files with `openat`.
fn unreadable() -> BTreeMap<c_long, Vec<SeccompRule>> {
    BTreeMap::from([(libc::SYS_clone3, vec![]), (libc::SYS_openat2, vec![])])
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

    #[test]
    fn nothing_is_gained_by_another_interface() {
        let all = rules().unwrap();
        for call in [libc::SYS_execve, libc::SYS_ptrace, libc::SYS_fchmod, libc::SYS_bpf, libc::SYS_io_uring_setup] {
            assert!(all[&call].is_empty(), "{call}");
            #[cfg(target_arch = "x86_64")]
            assert!(all[&(call | X32)].is_empty(), "{call}");
        }
        assert!(!all[&libc::SYS_socket].is_empty());
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
