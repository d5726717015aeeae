//! Go's order: module versions (Go Modules Reference, "Versions") and releases of the toolchain.
//!
//! Module versions are Semantic Versioning with a `v`; a pseudo-version is a pre-release, and
//! `+incompatible` and `+dirty` are build metadata. The toolchain writes `go1.21rc2`, which advisories
//! write `1.21.0-rc.2`, and adds what the build was made with, or by whom: `go1.22.4 X:boringcrypto`, `go1.22.4-fips`.
//! To `go/version`, `go1.21` is the language and older than its toolchains; here it is `1.21.0`.

use super::letters;
use super::semver::{Version, identifiers, numbers};
use std::cmp::Ordering;
use std::iter;

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parse(a), parse(b));
    numbers(a.numbers, b.numbers)
        .then_with(|| a.pre.is_empty().cmp(&b.pre.is_empty()))
        .then_with(|| identifiers(pre_release(&a), pre_release(&b), str::cmp))
}

pub(super) fn is_valid(version: &str) -> bool {
    let version = parse(version);
    Version { glued: false, ..version }.is_valid(3)
}

fn parse(text: &str) -> Version<'_> {
    let text = text.trim();
    let toolchain = text.strip_prefix("go").filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let end = |c: char| c == ' ' || (toolchain.is_some() && c == '-');
    Version::parse(toolchain.unwrap_or(text).split(end).next().unwrap_or_default())
}

/// The identifiers of a pre-release; the toolchain's `rc2` is two of them.
fn pre_release<'a>(version: &Version<'a>) -> impl Iterator<Item = &'a str> {
    let (head, tail) =
        if version.glued { letters(version.pre) } else { version.pre.split_once('.').unwrap_or((version.pre, "")) };
    iter::once(head).chain(tail.split_terminator('.'))
}
