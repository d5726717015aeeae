//! Has the linker keep one of several functions with the same code: generic code of libraries, a sixtieth of the program.

const BY_RUSTUP: &str = "RUSTUP_TOOLCHAIN";
const OTHER_LINKER: &str = "RUSTC_LINKER";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={BY_RUSTUP}");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    let has = |name: &str| std::env::var_os(name).is_some();
    // lld, which rustup's toolchain has for this target, can do it. A linker of one's own may be another, as may be that of a
    // distribution's toolchain.
    let is_release = is("TARGET", "x86_64-unknown-linux-gnu") && is("PROFILE", "release");
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let has_own = flags.split('\x1f').any(|flag| !flag.is_empty() && !flag.starts_with("--remap-path-prefix="));
    if is_release && has(BY_RUSTUP) && !has(OTHER_LINKER) && !has_own {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
