//! The system calls that a worker cannot make (seccomp).

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::io;

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

/// The sockets that a worker may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sockets {
    /// Of [`FAMILIES`].
    OfRegistries,
    /// None.
    None,
}

/// Refuses them to the calling thread and those that it starts. False where the kernel has no filters.
///
/// # Errors
/// When the kernel has them and refuses this one.
pub(super) fn restrict(sockets: Sockets) -> io::Result<bool> {
    for filter in [denied(libc::EPERM, rules(sockets).map_err(io::Error::other)?), denied(libc::ENOSYS, unreadable())] {
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

fn rules(sockets: Sockets) -> Result<BTreeMap<c_long, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut all: BTreeMap<c_long, Vec<SeccompRule>> = DENIED.iter().map(|call| (*call, vec![])).collect();
    let other = |family: &libc::c_int| argument(SeccompCmpOp::Ne, family.unsigned_abs().into());
    let families = FAMILIES.iter().map(other).collect::<Result<_, _>>()?;
    // Without a condition a call is refused whatever its arguments are.
    let sockets = if sockets == Sockets::None { vec![] } else { vec![SeccompRule::new(families)?] };
    all.insert(libc::SYS_socket, sockets);
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

    #[test]
    fn nothing_is_gained_by_another_interface() {
        let all = rules(Sockets::OfRegistries).unwrap();
        for call in [libc::SYS_execve, libc::SYS_ptrace, libc::SYS_fchmod, libc::SYS_bpf, libc::SYS_io_uring_setup] {
            assert!(all[&call].is_empty(), "{call}");
            #[cfg(target_arch = "x86_64")]
            assert!(all[&(call | X32)].is_empty(), "{call}");
        }
        assert!(!all[&libc::SYS_socket].is_empty());
        assert!(rules(Sockets::None).unwrap()[&libc::SYS_socket].is_empty());
    }
}
