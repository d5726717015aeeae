//! How names of hosts are resolved.
#![allow(unsafe_code, reason = "glibc has no other way to say which resolvers a program may load")]

/// Resolves names by `/etc/hosts` and DNS alone, as `kubectl` does; for programs that are linked statically with glibc, before other
/// threads start. `/etc/nsswitch.conf` may name more (mDNS, systemd): glibc would load them as shared libraries, made for
/// the machine's glibc and not for the one in the program, and end in undefined behaviour where the two differ (ADR 0024).
///
/// Does nothing with another C library.
pub fn resolve_by_files_and_dns() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::{CStr, c_char, c_int};
        unsafe extern "C" {
            /// `nss.h`.
            fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
        }
        const DATABASE: &CStr = c"hosts";
        const SERVICES: &CStr = c"files dns";
        // SAFETY: both texts end with a zero byte and live as long as the program, and no other thread resolves names yet. It
        // can fail for want of memory only, and then leaves everything as it was.
        unsafe { __nss_configure_lookup(DATABASE.as_ptr(), SERVICES.as_ptr()) };
    }
}
