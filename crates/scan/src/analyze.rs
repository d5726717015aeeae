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
mod python;
pub mod readers;
mod rpm;
mod sbom;
mod swift;
mod yarn;

use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

/// Raised whenever an analyzer finds more or other things in the same bytes: caches are keyed by it.
pub const VERSION: u32 = 8;

/// What one file says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Parsed {
    /// Packages. Their locations are paths inside the file when it is an archive, and none otherwise.
    pub packages: Vec<Package>,
    /// The operating system.
    pub os: Option<Os>,
    /// The package manager whose database this is, even when it lists nothing.
    pub database: Option<PackageType>,
    /// What could not be understood.
    pub gaps: Vec<Gap>,
    /// A write-ahead log with content: the database beside it is to be read together with it, by [`with_log`].
    pub log: bool,
    /// The file itself, when it was read as [`KEEP`].
    pub kept: Option<Vec<u8>>,
    /// Whether the file was told by its content: it counts wherever it lies.
    pub by_content: bool,
    /// Files of OS packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owned: Vec<owned::Owned>,
}

impl Parsed {
    /// Whether it says nothing that a report needs.
    pub(crate) fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.gaps.is_empty()
    }

    /// Takes over what another part of the same file says.
    fn add(&mut self, other: Parsed) {
        self.packages.extend(other.packages);
        self.gaps.extend(other.gaps);
    }
}

/// Where an os-release lies, the one that counts first.
pub(crate) const OS_RELEASE: [&str; 2] = os_release::PATHS;

/// What SQLite adds to a database's name for its write-ahead log.
pub(crate) const LOG: &str = rpm::LOG;

/// Files read as this are kept as they are. No file of an image has this name: cleaned paths hold no empty part.
pub(crate) const KEEP: &str = "//keep";

/// Paths at which a file is looked for even where links lead elsewhere.
pub(crate) fn fixed() -> impl Iterator<Item = &'static str> {
    os_release::PATHS
        .into_iter()
        .chain([dpkg::STATUS])
        .chain(apk::PATHS)
        .chain(rpm::PATHS)
        .chain(foreign::PATHS)
        .chain([chisel::PATH])
}

/// One wanted path for each directory that is wanted as a whole or by a fixed path.
pub(crate) fn samples() -> impl Iterator<Item = &'static str> {
    fixed().chain(dpkg::SAMPLES).chain([alpm::SAMPLE, foreign::SAMPLE])
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

/// Unreadable parts of one file that are reported one by one; more say nothing new.
const MAX_GAPS: usize = 8;

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
pub fn parse(path: &str, bytes: &[u8]) -> Parsed {
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
    content::sniff(path, bytes).map_or_else(Parsed::default, |format| content::parse(format, path, bytes))
}

/// Reads a program or an archive as it passes by, as those are read that are too large to hold. `None` when its first
/// bytes tell neither.
///
/// # Errors
/// When the stream fails.
pub fn parse_passing(path: &str, head: &[u8], content: &mut impl Read) -> io::Result<Option<Parsed>> {
    content::sniff(path, head).map(|format| content::search(format, path, content)).transpose()
}

/// Reads a database together with the write-ahead log beside it.
pub(crate) fn with_log(path: &str, database: &[u8], log: &[u8]) -> Parsed {
    rpm::with_log(path, database, log)
}

/// Whether this file holds all packages of an image in one, and may be larger than others.
pub(crate) fn is_database(path: &str) -> bool {
    path == KEEP || rpm::wants(path)
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

fn unreadable(path: &str, cause: &str) -> Gap {
    let message = format!("{cause}; its packages are not judged");
    Gap { kind: GapKind::UnreadableFile, subject: path.to_owned(), message }
}

/// Text of which nothing was lost: a name or version that is not UTF-8 could match nothing and look clean.
fn is_text(fields: &[&str]) -> bool {
    !fields.iter().any(|field| field.contains(char::REPLACEMENT_CHARACTER))
}

fn package(kind: PackageType, name: &str, version: &str) -> Package {
    Package {
        kind,
        name: name.to_owned(),
        version: version.to_owned(),
        arch: String::new(),
        source_name: String::new(),
        source_version: String::new(),
        vendored: false,
        vendor: String::new(),
        module: String::new(),
        owner: String::new(),
        locations: Vec::new(),
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
