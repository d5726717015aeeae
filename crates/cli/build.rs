//! Has the linker keep one of several functions with the same code: generic code of libraries, a sixtieth of the program.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).as_deref() == Ok(value);
    // The linker that the toolchain brings for this target can do it; flags of one's own may choose another.
    if is("TARGET", "x86_64-unknown-linux-gnu") && is("PROFILE", "release") && is("CARGO_ENCODED_RUSTFLAGS", "") {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}
