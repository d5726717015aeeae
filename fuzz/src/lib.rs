//! One function for every parser of hostile bytes: it may refuse its input, and must neither panic nor hang.
//!
//! `cargo xtask fuzz` runs them under libFuzzer, led by coverage. `cargo test` runs them over plain mutations of the
//! same seeds and of `corpus/TARGET`, with `FUZZ_EXECUTIONS=N` for more than the default number of executions, and
//! `FUZZ_TARGETS=a,b` for some of them.

mod attestations;
mod cached;
mod feeds;
mod images;
mod names;
mod oracles;
mod sboms;
mod seeds;

/// A target: its name, a sound input to begin with, and what is done with an input.
pub type Target = (&'static str, fn() -> Vec<u8>, fn(&[u8]));

/// All targets.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    let texts = names::TARGETS.iter().chain(sboms::TARGETS).chain(attestations::TARGETS);
    images::TARGETS.iter().chain(feeds::TARGETS).chain(texts)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
