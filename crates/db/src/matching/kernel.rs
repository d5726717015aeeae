//! Kernel headers: built from the kernel's sources, they hold none of its code, so its vulnerabilities are not theirs.

use tidewaiter_core::package::Package;

/// Whether a package holds a kernel's headers only: `linux-libc-dev`, `linux-headers-6.8.0-31-generic`, `kernel-headers`,
/// `kernel-devel`. Images with a compiler have them.
pub(super) fn is_headers(package: &Package) -> bool {
    let (name, source) = (package.name.as_str(), package.advisory_name());
    let of_kernel = is_of(source, "linux") || is_of(source, "kernel");
    let devel = is_of(name, "kernel") && name.ends_with("-devel");
    let headers = devel || name.contains("headers") || name.starts_with("linux-libc-dev");
    package.kind.is_os() && of_kernel && headers
}

/// Whether a name is a kernel's, or one of its flavours' or versions': `linux-aws`, `kernel6.12`; not `kernelshark`.
fn is_of(name: &str, kernel: &str) -> bool {
    let rest = name.strip_prefix(kernel);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::package::PackageType;

    #[test]
    fn headers_are_told_from_kernels() {
        let check = |kind: PackageType, name: &str, source: &str, expected: bool| {
            let package = Package { source_name: source.to_owned(), ..Package::new(kind, name, "6.1-1") };
            assert_eq!(is_headers(&package), expected, "{name} of {source}");
        };
        use PackageType::{Apk, Deb, Npm, Rpm};
        check(Deb, "linux-libc-dev", "linux", true);
        check(Deb, "linux-libc-dev-arm64-cross", "linux", true);
        check(Deb, "linux-headers-6.8.0-31-generic", "linux", true);
        check(Deb, "linux-aws-headers-6.8.0-1008", "linux-aws", true);
        check(Rpm, "kernel-headers", "kernel", true);
        check(Rpm, "kernel-uek-devel", "kernel-uek", true);
        check(Rpm, "kernel6.12-headers", "kernel6.12", true);
        check(Apk, "linux-headers", "linux-headers", true);
        check(Deb, "linux-image-6.1.0-21-amd64", "linux-signed-amd64", false);
        check(Deb, "linux-perf", "linux", false);
        check(Rpm, "kernel-core", "kernel", false);
        check(Rpm, "bpftool", "kernel", false);
        check(Deb, "libxcb-headers", "libxcb", false);
        check(Rpm, "linux-pam-devel", "linux-pam", false);
        check(Rpm, "kernelshark-devel", "kernelshark", false);
        check(Npm, "linux-headers", "", false);
    }
}
