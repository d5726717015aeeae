//! Analyzers: which files are wanted, and what their bytes say. Pure functions from (path, bytes) to packages.

mod alpm;
mod apk;
mod chisel;
mod classify;
mod composer;
mod conda;
pub(crate) mod content;
mod cran;
mod dart;
mod dotnet;
mod dpkg;
mod erlang;
mod foreign;
mod gem;
mod headers;
mod julia;
mod listing;
mod luarocks;
mod npm;
mod os_release;
pub(crate) mod owned;
mod parsed;
mod python;
pub mod readers;
mod rpm;
mod sbom;
mod swift;
mod yarn;

pub use parsed::ParsedFile;
use parsed::{MAX_GAPS, is_text, package, unreadable};
use std::io::{self, Read};
use tidewaiter_core::package::{Package, PackageType};

/// Raised whenever an analyzer finds more or other things in the same bytes: caches are keyed by it.
pub const VERSION: u32 = 8;

/// Where an os-release lies, the one that counts first.
pub(crate) const OS_RELEASE: [&str; 2] = os_release::PATHS;

/// What SQLite adds to a database's name for its write-ahead log.
pub(crate) const WAL_SUFFIX: &str = rpm::WAL_SUFFIX;

/// Paths at which a file is looked for even where links lead elsewhere.
pub(crate) fn exact_paths() -> impl Iterator<Item = &'static str> {
    os_release::PATHS
        .into_iter()
        .chain([dpkg::STATUS])
        .chain(apk::PATHS)
        .chain(rpm::PATHS)
        .chain(foreign::PATHS)
        .chain([chisel::PATH])
}

/// One wanted path for each directory that is wanted as a whole or by a fixed path.
pub(crate) fn samples() -> Vec<&'static str> {
    exact_paths().chain(dpkg::SAMPLES).chain([alpm::SAMPLE, foreign::SAMPLE]).collect()
}

pub(crate) fn probes() -> Vec<String> {
    PROBES.iter().map(|p| (*p).to_owned()).collect()
}

/// Ends of wanted paths: below which directories they are wanted differs.
pub(crate) const PROBES: &[&str] = &[
    "package.json",
    "x/package.json",
    "@x/x/package.json",
    "METADATA",
    "PKG-INFO",
    "EGG-INFO/PKG-INFO",
    "x",
    "x.gemspec",
    "installed.json",
    "composer/installed.json",
    "A/1/A.deps.json",
    "x/DESCRIPTION",
    "ebin/x.app",
    "x/1-1/rock_manifest",
    "1-1/rock_manifest",
    "rock_manifest",
    "x.json",
    "A/x/Project.toml",
];

fn analyzer(path: &str) -> Option<&'static readers::Reader> {
    readers::READERS.iter().find(|reader| (reader.wants)(path))
}

/// The last part of a path. Every file of an image is asked for it by most analyzers, and names are short: a plain loop
/// finds the slash sooner than searches made for long texts.
fn file_name(path: &str) -> &str {
    let slash = path.bytes().rposition(|byte| byte == b'/');
    slash.and_then(|at| path.get(at + 1..)).unwrap_or(path)
}

/// Whether a file at this (cleaned) path is worth reading.
pub fn wants(path: &str) -> bool {
    analyzer(path).is_some() || classify::wants(path)
}

/// Reads a file that is wanted by its path, or told by its content. Never fails: what cannot be understood is a gap.
pub fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    // A package manager's file may tell of a program too.
    let program = classify::wants(path).then(|| classify::parse(path, bytes));
    if let Some(reader) = analyzer(path) {
        let mut parsed = (reader.parse)(path, bytes);
        parsed.add(program.unwrap_or_default());
        return parsed;
    }
    if let Some(program) = program {
        return program;
    }
    content::detect(path, bytes).map_or_else(ParsedFile::default, |format| content::parse(format, path, bytes))
}

/// Reads a program or an archive as it passes by, as those are read that are too large to hold. `None` when its first
/// bytes tell neither.
///
/// # Errors
/// When the stream fails.
pub fn parse_stream(path: &str, head: &[u8], content: &mut impl Read) -> io::Result<Option<ParsedFile>> {
    content::detect(path, head).map(|format| content::parse_stream(format, path, content)).transpose()
}

/// Reads a database together with the write-ahead log beside it.
pub(crate) fn with_wal(path: &str, database: &[u8], log: &[u8]) -> ParsedFile {
    rpm::with_wal(path, database, log)
}

/// Whether this file holds all packages of an image in one, and may be larger than others.
pub(crate) fn is_database(path: &str) -> bool {
    rpm::wants(path)
}

/// The package as found at a path: whether a Python distribution is vendored depends on it alone.
pub(crate) fn at(package: &Package, path: &str) -> Package {
    let vendored = if package.kind == PackageType::Pypi { python::vendored(path) } else { package.vendored };
    Package { vendored, locations: Vec::new(), ..package.clone() }
}

/// Where a package of the file at `path` is: inside an archive, each path in it follows `!/`.
pub(crate) fn places(package: &Package, path: &str) -> Vec<String> {
    match package.locations.as_slice() {
        [] => vec![path.to_owned()],
        inside => inside.iter().map(|inner| format!("{path}{}", inner.path)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_tell_of_packages_and_of_a_program() {
        let check = |path: &str, text: &str, expected: &[&str]| {
            assert!(wants(path), "{path}");
            let parsed = parse(path, text.as_bytes());
            let found: Vec<String> =
                parsed.packages.iter().map(|p| format!("{} {} {}", p.kind.purl_type(), p.name, p.version)).collect();
            assert_eq!(found, expected, "{path}");
        };
        let rabbit = "{application,rabbit,[{vsn,\"3.12.1\"}]}.";
        check("opt/plugins/rabbit-3.12.1/ebin/rabbit.app", rabbit, &["hex rabbit 3.12.1", "generic rabbitmq 3.12.1"]);
        let elixir = "{application,elixir,\n [{description,\"elixir\"},\n  {vsn,\"1.14.0\"},";
        check("usr/lib/elixir/lib/elixir/ebin/elixir.app", elixir, &["generic elixir 1.14.0"]);
        let dotnet = "usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/Microsoft.NETCore.App.deps.json";
        let parsed = parse(dotnet, br#"{"libraries":{}}"#);
        assert!(parsed.packages.iter().any(|p| p.kind == PackageType::Generic && p.version == "8.0.1"));
    }
}
