//! The table of analyzers that are chosen by a file's path.

use super::analyzer::Analyzer;
use super::{
    alpm, apk, apk_repositories, cargo, chisel, composer, conda, cran, dart, dotnet, dpkg, erlang, gem, julia,
    luarocks, npm, os_release, python, rpm, sbom, swift, unsupported, yarn, yumdb,
};
use tidewaiter_core::package::PackageType::{self, Cargo, Generic, Golang, Maven, Nuget, Pypi};

/// All analyzers; the first that wants a path reads it.
pub const ANALYZERS: &[Analyzer] = &[
    os_release::ANALYZER,
    dpkg::ANALYZER,
    dpkg::FILE_LISTS,
    chisel::ANALYZER,
    apk::ANALYZER,
    apk_repositories::ANALYZER,
    rpm::ANALYZER,
    yumdb::ANALYZER,
    alpm::ANALYZER,
    alpm::FILE_LISTS,
    npm::ANALYZER,
    npm::hidden_lock::ANALYZER,
    npm::virtual_store::ANALYZER,
    npm::bun::ANALYZER,
    npm::asar::ANALYZER,
    yarn::ANALYZER,
    python::ANALYZER,
    python::origin::ANALYZER,
    python::zipapp::ANALYZER,
    conda::ANALYZER,
    gem::ANALYZER,
    gem::bundler::CHECKOUTS,
    gem::bundler::LOCK,
    composer::ANALYZER,
    dotnet::ANALYZER,
    cran::ANALYZER,
    dart::ANALYZER,
    erlang::ANALYZER,
    erlang::lock::ANALYZER,
    erlang::project::ANALYZER,
    julia::ANALYZER,
    luarocks::ANALYZER,
    swift::ANALYZER,
    cargo::ANALYZER,
    sbom::ANALYZER,
    unsupported::ANALYZER,
    unsupported::PORTAGE,
    unsupported::CPAN,
];

/// Formats that are detected by a file's first bytes, wherever it is.
pub const DETECTED_BY_CONTENT: &[(&str, &[PackageType])] = &[
    ("Go programs (ELF, PE, Mach-O): build info", &[Golang]),
    ("Rust programs: the list of cargo-auditable", &[Cargo]),
    ("Java programs that GraalVM compiled: the SBOM in them; without one, a gap", &[Maven]),
    ("Python applications in one file, without a suffix", &[Pypi]),
    ("Python programs of PyInstaller: not read, always a gap", &[]),
    (".NET applications in a single file: the deps.json in it", &[Nuget]),
    ("programs of the table below", &[Generic]),
    (
        "Java archives (jar, war, ear and others), nested: pom.properties, manifest, file name, SBOM of the application",
        &[Maven],
    ),
];

/// One number for the versions of all analyzers: another version of any of them makes another number.
pub(super) const fn versions(analyzers: &[Analyzer], content: u32) -> u32 {
    let (mut number, mut index) = (content, 0);
    // A loop by index: iterators do not work in constants. 31 is larger than the steps between versions.
    while index < analyzers.len() {
        number = number.wrapping_mul(31).wrapping_add(analyzers[index].version);
        index += 1;
    }
    number
}

/// For tests: whether a path's analyzer is this one.
#[cfg(test)]
pub(super) fn is_for(analyzer: &Analyzer, path: &str) -> bool {
    super::analyzer_of(path).is_some_and(|found| found.name == analyzer.name)
}

#[cfg(test)]
mod tests {
    use super::super::pattern::{PathIndex, sample};
    use super::*;

    #[test]
    fn every_pattern_has_its_analyzer() {
        let index = PathIndex::new(ANALYZERS);
        for analyzer in ANALYZERS {
            for pattern in analyzer.files {
                for dir in ["", "opt/app/"] {
                    let dir = if pattern.starts_with("**/") { dir } else { "" };
                    let path = format!("{dir}{}", sample(pattern));
                    assert_eq!(index.find(&path).map(|found| found.name), Some(analyzer.name), "{path}");
                }
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ANALYZERS.iter().map(|analyzer| analyzer.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ANALYZERS.len());
    }
}
