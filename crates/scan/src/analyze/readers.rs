//! The table of analyzers that are chosen by a file's path.

use super::{
    ParsedFile, alpm, apk, chisel, classify, composer, conda, cran, dart, dotnet, dpkg, erlang, foreign, gem, julia,
    luarocks, npm, os_release, python, rpm, sbom, swift, yarn,
};
use tidewaiter_core::package::PackageType::{self, *};

/// An analyzer: what it reads, and what it finds there.
#[derive(Debug)]
pub struct Reader {
    /// What it reads, for people.
    pub name: &'static str,
    /// Its files: `…/` is any folder, `NAME` and `VERSION` are what they say. Each is an example of what it wants.
    pub files: &'static [&'static str],
    /// The packages it finds; none when it finds something else.
    pub types: &'static [PackageType],
    pub(super) wants: fn(&str) -> bool,
    pub(super) parse: fn(&str, &[u8]) -> ParsedFile,
}

macro_rules! reader {
    ($name:literal, $files:expr, $types:expr, $wants:expr, $parse:expr) => {
        Reader { name: $name, files: $files, types: $types, wants: $wants, parse: $parse }
    };
}

/// All of them; the first that wants a path reads it.
pub const READERS: &[Reader] = &[
    reader!("operating system", &os_release::PATHS, &[], os_release::wants, os_release::parse),
    reader!("dpkg", &["var/lib/dpkg/status", "var/lib/dpkg/status.d/NAME"], &[Deb], dpkg::wants, dpkg::parse),
    reader!(
        "dpkg, files of packages",
        &["var/lib/dpkg/info/NAME.list", "var/lib/dpkg/status.d/NAME.md5sums"],
        &[],
        dpkg::lists_files,
        dpkg::files
    ),
    reader!("chisel manifest", &[chisel::PATH], &[Deb], chisel::wants, chisel::parse),
    reader!("apk", &apk::PATHS, &[Apk], apk::wants, apk::parse),
    reader!(
        "rpm (SQLite with its log, NDB, Berkeley DB, distroless list)",
        &rpm::PATHS,
        &[Rpm],
        rpm::wants,
        rpm::parse
    ),
    reader!("pacman", &["var/lib/pacman/local/NAME-VERSION/desc"], &[Alpm], alpm::wants, alpm::parse),
    reader!(
        "pacman, files of packages",
        &["var/lib/pacman/local/NAME-VERSION/files"],
        &[],
        alpm::lists_files,
        alpm::files
    ),
    reader!(
        "Node.js packages",
        &["…/node_modules/NAME/package.json", "…/node_modules/@SCOPE/NAME/package.json"],
        &[Npm],
        npm::wants,
        npm::parse
    ),
    reader!("Yarn Plug'n'Play", &["…/.pnp.cjs", "…/.pnp.js", "…/.pnp.data.json"], &[Npm], yarn::wants, yarn::parse),
    reader!(
        "Python distributions",
        &[
            "…/NAME-VERSION.dist-info/METADATA",
            "…/NAME-VERSION.egg-info/PKG-INFO",
            "…/NAME-VERSION.egg-info",
            "…/NAME-VERSION.egg/EGG-INFO/PKG-INFO",
            "…/NAME-VERSION.egg",
        ],
        &[Pypi],
        python::wants,
        python::parse
    ),
    reader!("Conda", &["…/conda-meta/NAME-VERSION.json"], &[Conda], conda::wants, conda::parse),
    reader!(
        "Ruby gems",
        &["…/specifications/NAME-VERSION.gemspec", "…/specifications/default/NAME-VERSION.gemspec"],
        &[Gem],
        gem::wants,
        gem::parse
    ),
    reader!("Composer", &["…/composer/installed.json"], &[Composer], composer::wants, composer::parse),
    reader!(".NET", &["…/NAME.deps.json"], &[Nuget], dotnet::wants, dotnet::parse),
    reader!("R", &["…/NAME/DESCRIPTION"], &[Cran], cran::wants, cran::parse),
    reader!("Dart", &["…/pubspec.lock"], &[Pub], dart::wants, dart::parse),
    reader!(
        "Erlang and Elixir",
        &["…/NAME/ebin/NAME.app", "…/NAME-VERSION/ebin/NAME.app", "…/hex_metadata.config"],
        &[Hex],
        erlang::wants,
        erlang::parse
    ),
    reader!(
        "Julia",
        &["…/.julia/packages/NAME/SLUG/Project.toml", "…/stdlib/vVERSION/NAME/Project.toml", "…/Manifest.toml"],
        &[Julia],
        julia::wants,
        julia::parse
    ),
    reader!(
        "LuaRocks",
        &["…/rocks/NAME/VERSION/rock_manifest", "…/rocks/NAME/VERSION/NAME-VERSION.rockspec"],
        &[Luarocks],
        luarocks::wants,
        luarocks::parse
    ),
    reader!("Swift", &["…/Package.resolved"], &[Swift], swift::wants, swift::parse),
    reader!(
        "bills of materials (CycloneDX, SPDX 2 and 3, Bitnami)",
        &["…/NAME.cdx.json", "…/NAME.cyclonedx.json", "…/NAME.spdx.json", "…/bom.json", "…/.spdx-NAME.spdx"],
        &[],
        sbom::wants,
        sbom::parse
    ),
    reader!("opkg, XBPS, Nix, pkg: not read, always a gap", &foreign::PATHS, &[], foreign::wants, foreign::parse),
    reader!("Portage: not read, always a gap", &[foreign::PORTAGE_FILE], &[], foreign::is_portage, foreign::parse),
];

/// Formats that are detected by a file's first bytes, wherever it lies.
pub const DETECTED_BY_CONTENT: &[(&str, &[PackageType])] = &[
    ("Go programs (ELF, PE, Mach-O): build info", &[Golang]),
    ("Rust programs: the list of cargo-auditable", &[Cargo]),
    (".NET applications in a single file: the deps.json in it", &[Nuget]),
    ("programs of the table below", &[Generic]),
    ("Java archives (jar, war, ear and others), nested: pom.properties, manifest, file name", &[Maven]),
];

/// The programs that are known without a package manager: the name, and ends of paths (`*` is anything in one part, `{}`
/// a version).
pub fn programs() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    classify::programs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_what_is_wanted() {
        for reader in READERS {
            for pattern in reader.files {
                for folder in ["", "opt/app/"] {
                    let path = pattern
                        .replace("…/", folder)
                        .replace("CATEGORY", "x")
                        .replace("NAME", "x")
                        .replace("VERSION", "1-1");
                    let chosen = READERS.iter().find(|r| (r.wants)(&path)).map(|r| r.name);
                    // A description of an R package lies in a folder of folders.
                    let top = folder.is_empty() && reader.types == [Cran];
                    assert!(top || chosen == Some(reader.name), "{path}: {chosen:?}");
                }
            }
        }
    }
}
