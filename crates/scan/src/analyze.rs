//! Analyzers: which files are wanted, and what is in them. Pure functions from (path, bytes) to packages.
//!
//! `parsed` is what they return, `analyzers` the table of those that a path chooses, `pattern` the look-up in it,
//! `content` what the first bytes choose, `classify` a table of programs.

mod alpm;
mod analyzer;
mod analyzers;
mod apk;
mod apk_repositories;
mod cached;
mod cargo;
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
mod gem;
mod headers;
mod julia;
mod listing;
mod luarocks;
mod npm;
mod os_release;
pub(crate) mod own;
pub(crate) mod owned;
mod parsed;
mod pattern;
mod python;
mod rpm;
mod sbom;
mod swift;
mod unsupported;
mod yarn;
pub(crate) mod yumdb;

pub use analyzer::Analyzer;
pub use analyzers::{ANALYZERS, DETECTED_BY_CONTENT};
pub(crate) use cached::is_never_run;
pub use classify::programs;
pub use npm::virtual_store::VirtualStore;
pub use own::OwnFolder;
pub use parsed::ParsedFile;

use parsed::{MAX_GAPS, is_text, unreadable};
use pattern::PathIndex;
use std::io::{self, Read};
use std::sync::LazyLock;
use tidewaiter_core::package::{Package, PackageType};

/// Another number whenever an analyzer finds more or other things in the same bytes: caches are keyed by it.
pub const VERSION: u32 = analyzers::versions(ANALYZERS, content::VERSION);

/// The paths of an os-release, the one that counts first.
pub(crate) const OS_RELEASE: &[&str] = os_release::PATHS;

/// What SQLite adds to a database's name for its write-ahead log.
pub(crate) const WAL_SUFFIX: &str = rpm::WAL_SUFFIX;

static INDEX: LazyLock<PathIndex> = LazyLock::new(|| PathIndex::new(ANALYZERS));
static SAMPLES: LazyLock<Vec<String>> = LazyLock::new(|| pattern::samples(ANALYZERS));
static PROBES: LazyLock<Vec<String>> = LazyLock::new(|| pattern::probes(ANALYZERS));

fn analyzer_of(path: &str) -> Option<&'static Analyzer> {
    INDEX.find(path).filter(|_| !cached::is_cached(path))
}

/// Paths at which a file is looked for even where links lead elsewhere.
pub(crate) fn exact_paths() -> impl Iterator<Item = &'static str> {
    pattern::exact_paths(ANALYZERS)
}

/// A wanted path in each directory that patterns name from the root.
pub(crate) fn samples() -> impl Iterator<Item = &'static str> {
    SAMPLES.iter().map(String::as_str)
}

/// Ends of wanted paths: below which directories they are wanted differs.
pub(crate) fn probes() -> impl Iterator<Item = &'static str> {
    PROBES.iter().map(String::as_str)
}

/// Whether a file at this (cleaned) path is worth reading.
pub fn wants(path: &str) -> bool {
    analyzer_of(path).is_some() || wants_as_program(path)
}

fn wants_as_program(path: &str) -> bool {
    classify::wants(path) && !cached::is_cached(path)
}

/// Reads a file that is wanted by its path, or detected by its content. Never fails: what cannot be understood is a gap.
pub fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    // A package manager's file may identify a program too.
    let program = wants_as_program(path).then(|| classify::parse(path, bytes));
    if let Some(analyzer) = analyzer_of(path) {
        let mut parsed = (analyzer.read)(path, bytes);
        parsed.add(program.unwrap_or_default());
        return parsed;
    }
    if let Some(program) = program {
        return program;
    }
    content::detect(path, bytes).map_or_else(ParsedFile::default, |format| content::parse(format, path, bytes))
}

/// Reads a program or an archive as a stream, as those are read that are too large to buffer. `None` when its first bytes
/// are neither's.
///
/// # Errors
/// When the stream fails.
pub fn parse_stream(path: &str, head: &[u8], content: &mut impl Read) -> io::Result<Option<ParsedFile>> {
    content::detect(path, head).map(|format| content::parse_stream(format, path, content)).transpose()
}

/// Reads a database together with its write-ahead log.
pub(crate) fn with_wal(path: &str, database: &[u8], log: &[u8]) -> ParsedFile {
    rpm::with_wal(path, database, log)
}

/// Whether this file has all packages of an image, and may be larger than other files.
pub(crate) fn is_database(path: &str) -> bool {
    rpm::is_database(path)
}

/// Whether a path is that of the `package.json` of a package of Node.js.
pub(crate) fn is_npm_package(path: &str) -> bool {
    npm::is_installed(path)
}

/// Whether a path is that of an SBOM.
pub(crate) fn is_sbom(path: &str) -> bool {
    analyzer_of(path).is_some_and(|analyzer| analyzer.name == sbom::ANALYZER.name)
}

/// The package as found at a path: whether a Python distribution is vendored depends on it alone.
pub(crate) fn at(package: &Package, path: &str) -> Package {
    let vendored = package.vendored || package.kind == PackageType::Pypi && python::vendored(path);
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
    fn a_file_may_have_packages_and_be_a_program() {
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

    #[test]
    fn the_version_changes_with_any_part() {
        let content = content::VERSION;
        assert_ne!(analyzers::versions(ANALYZERS, content), analyzers::versions(ANALYZERS, content + 1));
        assert_ne!(analyzers::versions(ANALYZERS, content), analyzers::versions(&ANALYZERS[1..], content));
    }
}
