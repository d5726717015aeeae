//! yum's records of installed packages: `var/lib/yum/yumdb/INITIAL/PKGID-NAME-VERSION-RELEASE-ARCH/` for each, and in it
//! `from_repo`, the id of the repository that it came from (yum, `rpmsack.py`). rpm's database does not have that.
//!
//! It matters for the extras of Amazon Linux 2 alone, whose topics have advisories of their own. What an image began with has
//! no record, and is from the core.

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use tidewaiter_core::ecosystem::AMAZON_EXTRAS;
use tidewaiter_core::package::{Package, PackageType};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "yum, packages of Amazon's extras",
    files: &["var/lib/yum/yumdb/*/*/from_repo"],
    types: &[],
    version: 1,
    accepts: all,
    read: parse,
};

/// Which package it is about, only the path tells: yum links records of one value, so one file is in many places.
fn parse(_: &str, bytes: &[u8]) -> ParsedFile {
    let repository = String::from_utf8_lossy(bytes).trim().to_owned();
    let origin = Some(repository).filter(|repository| repository.starts_with(AMAZON_EXTRAS));
    ParsedFile { origin, ..ParsedFile::default() }
}

/// The package that the record at `path` is about: `NAME-VERSION-RELEASE-ARCH`.
pub(crate) fn recorded(path: &str) -> Option<&str> {
    // An identifier of its header, in hexadecimal, comes first.
    let (_, package) = path.rsplit('/').nth(1)?.split_once('-')?;
    Some(package)
}

/// How records name a package; `None` for one that rpm did not install.
pub(crate) fn record_name(package: &Package) -> Option<String> {
    let version = package.version.split_once(':').map_or(package.version.as_str(), |(_, version)| version);
    (package.kind == PackageType::Rpm).then(|| format!("{}-{version}-{}", package.name, package.arch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_extras_are_kept() {
        let check = |content: &str, expected: Option<&str>| {
            assert_eq!(parse("", content.as_bytes()).origin.as_deref(), expected, "{content}");
        };
        check("amzn2extra-docker", Some("amzn2extra-docker"));
        check("amzn2extra-docker\n", Some("amzn2extra-docker"));
        check("amzn2-core", None);
        check("", None);
    }

    #[test]
    fn folders_name_packages() {
        let check = |folder: &str, expected: Option<&str>| {
            assert_eq!(recorded(&format!("var/lib/yum/yumdb/d/{folder}/from_repo")), expected);
        };
        check("0f2b5c-docker-20.10.23-1.amzn2.0.1-x86_64", Some("docker-20.10.23-1.amzn2.0.1-x86_64"));
        check("nothing", None);
    }

    #[test]
    fn packages_are_recorded_without_their_epoch() {
        let check = |kind: PackageType, version: &str, expected: Option<&str>| {
            let package = Package { arch: "noarch".into(), ..Package::new(kind, "a-b", version) };
            assert_eq!(record_name(&package).as_deref(), expected, "{version}");
        };
        check(PackageType::Rpm, "1:2.3-4.amzn2", Some("a-b-2.3-4.amzn2-noarch"));
        check(PackageType::Rpm, "2.3-4.amzn2", Some("a-b-2.3-4.amzn2-noarch"));
        check(PackageType::Deb, "2.3-4", None);
    }
}
