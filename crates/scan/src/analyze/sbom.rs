//! SBOMs in an image: CycloneDX, SPDX and syft's own form as JSON, among them those of Bitnami's images, of the layers of Cloud
//! Native Buildpacks and of Python wheels (PEP 770).
//!
//! Components are listed where a purl names them. Whether an SBOM describes the files next to it cannot be verified: it is
//! trusted, because leaving it out would hide what is listed nowhere else. Packages of operating systems
//! are copies of files out of some distribution, for their databases list what is installed; the engine removes those that the
//! image's own database has. Other software, whose advisories cannot be found by a purl, is counted in a
//! gap. A statement about an SBOM (in-toto) is not one.

mod cyclonedx;
mod spdx;
mod stream;
mod syft;
mod wheel;

use super::ParsedFile;
use super::analyzer::Analyzer;
use super::listing::{Listing, ListingMark};
use super::parsed::failed;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};
use wheel::Wheel;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "bills of materials (CycloneDX, SPDX 2 and 3, syft, Bitnami, wheels)",
    files: &[
        "**/*.cdx.json",
        "**/*.cyclonedx.json",
        "**/*.spdx.json",
        "**/*.syft.json",
        "**/*bom.json",
        "**/.spdx-*.spdx",
        "**/META-INF/sbom/*.json",
        "**/*.dist-info/sboms/*",
    ],
    types: &[],
    version: 4,
    accepts: is_installed,
    read: parse,
};

/// Whether it describes what is in the image: buildpacks record next to it what was there during the build (Cloud Native
/// Buildpacks, "Software Bill of Materials").
fn is_installed(path: &str) -> bool {
    !["layers/sbom/build/", "layers/sbom/cache/"].iter().any(|dir| path.starts_with(dir))
}

/// The members by which the formats are distinguished.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "bomFormat")]
    cyclonedx: Option<IgnoredAny>,
    #[serde(rename = "spdxVersion")]
    spdx: Option<IgnoredAny>,
    #[serde(rename = "@graph")]
    graph: Option<IgnoredAny>,
    /// Of syft's own form, which also says what made it.
    artifacts: Option<IgnoredAny>,
    descriptor: Option<IgnoredAny>,
    #[serde(rename = "_type")]
    statement: Option<IgnoredAny>,
}

/// Reads an SBOM, wherever it is from; gaps name `path`.
pub(super) fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    read(SbomComponents::new(path), bytes)
}

/// Reads the SBOM of a Java program. GraalVM before 23 wrote no purls, and the groups that they are made of.
pub(super) fn of_java(path: &str, bytes: &[u8]) -> ParsedFile {
    read(SbomComponents { is_java: true, ..SbomComponents::new(path) }, bytes)
}

fn read(mut found: SbomComponents<'_>, bytes: &[u8]) -> ParsedFile {
    let path = found.path;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Other files with such a name, whose content is not an object, are not SBOMs.
    if serde_json::from_slice::<Vec<IgnoredAny>>(bytes).is_ok() {
        return ParsedFile::default();
    }
    let read = serde_json::from_slice(bytes).and_then(|head| match head {
        // First: a statement may quote a whole SBOM.
        Head { statement: Some(_), .. } => Ok(()),
        Head { cyclonedx: Some(_), .. } => cyclonedx::read(bytes, &mut found),
        Head { spdx: Some(_), .. } => spdx::read(bytes, &mut found),
        Head { graph: Some(_), .. } => spdx::graph(bytes, &mut found),
        Head { artifacts: Some(_), descriptor: Some(_), .. } => syft::read(bytes, &mut found),
        _ => Ok(()),
    });
    match read {
        Ok(()) => found.done(),
        Err(e) => failed(path, &format!("it breaks the format of SBOMs ({e})")),
    }
}

/// The components of a document so far.
struct SbomComponents<'p> {
    path: &'p str,
    listing: Listing<'p>,
    unnamed: Unnamed,
    /// Whether it is a Java program's: what has a group there is an artifact of Maven.
    is_java: bool,
    /// The distribution of Python that it is in.
    wheel: Option<Wheel<'p>>,
}

/// Software without a purl, or with one of a type without advisories.
#[derive(Debug, Clone, Default)]
struct Unnamed {
    count: usize,
    /// The first one.
    example: String,
}

impl<'p> SbomComponents<'p> {
    fn new(path: &'p str) -> Self {
        let (listing, unnamed, wheel) = (Listing::new(path), Unnamed::default(), Wheel::at(path));
        SbomComponents { path, listing, unnamed, is_java: false, wheel }
    }

    /// Adds what a purl names; the component's own version counts where the purl has none. False when no advisories
    /// use such a purl.
    fn purl(&mut self, purl: &str, version: &str) -> bool {
        if self.listing.is_full() {
            return true;
        }
        match Package::from_purl(purl) {
            Ok(Some(package)) if package.kind == PackageType::Generic => return false,
            Ok(Some(package)) => {
                let own = if package.version.is_empty() { version } else { &package.version }.to_owned();
                let package = Package { version: own, ..package };
                self.listing.package(match &self.wheel {
                    Some(wheel) => wheel.part(package, purl),
                    None if package.kind.is_os() => {
                        Package { vendored: true, vendor: wheel::namespace(purl).to_owned(), ..package }
                    }
                    None => package,
                });
            }
            // Images are not software: what is in them is listed as components of their own.
            Ok(None) => return purl.starts_with("pkg:oci/") || purl.starts_with("pkg:docker/"),
            Err(cause) => self.listing.unreadable(&format!("{purl:.80} is not a purl ({cause})")),
        }
        true
    }

    /// Counts software without a purl, or with one that has only its name. Components without a version are the places
    /// of software, as some tools list them.
    fn unnamed(&mut self, purl: Option<&str>, name: &str, version: &str) {
        let (in_purl, name) =
            (purl.map_or("", version_of), if name.is_empty() { purl.unwrap_or_default() } else { name });
        let version = if version.is_empty() { in_purl } else { version };
        // There each package of apk has an SBOM of its sources; apk's database lists the package.
        let of_apk = self.path.starts_with("var/lib/db/sbom/") && self.path.ends_with(".spdx.json");
        if name.is_empty() || version.is_empty() || of_apk {
            return;
        }
        if self.unnamed.count == 0 {
            self.unnamed.example = format!("{name:.80} {version:.40}");
        }
        self.unnamed.count += 1;
    }

    /// The current state, for [`SbomComponents::forget`].
    fn mark(&self) -> (ListingMark, Unnamed) {
        (self.listing.mark(), self.unnamed.clone())
    }

    /// Removes what was added since a mark.
    fn forget(&mut self, (mark, unnamed): (ListingMark, Unnamed)) {
        self.listing.truncate(mark);
        self.unnamed = unnamed;
    }

    fn done(self) -> ParsedFile {
        let mut parsed = self.listing.done();
        parsed.packages.sort();
        parsed.packages.dedup();
        let Unnamed { count, example } = self.unnamed;
        if count > 0 {
            let message = format!(
                "{count} of its components have no purl of a type that advisories use (the first is {example}); \
                 they are not matched"
            );
            parsed.gaps.push(Gap { kind: GapKind::Unclear, subject: self.path.to_owned(), message });
        }
        parsed
    }
}

fn version_of(purl: &str) -> &str {
    let named = purl.split(['?', '#']).next().unwrap_or_default();
    named.rsplit_once('@').map_or("", |(_, version)| version)
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    fn check(path: &str, json: &str, expected: &str, gaps: usize) {
        assert!(wants(path), "{path}");
        assert_eq!(summary(&parse(path, json.as_bytes())), (expected.to_owned(), gaps), "{json}");
    }

    #[test]
    fn cyclonedx_components_become_packages() {
        let bom = |components: &str| {
            format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{components}]}}"#)
        };
        let check = |json: &str, expected: &str, gaps: usize| check("app/sbom.cdx.json", json, expected, gaps);
        check(&bom(r#"{"type":"library","name":"x","purl":"pkg:maven/org.x/y@1.0?type=jar"}"#), "org.x:y 1.0", 0);
        check(&bom(r#"{"version":"2","purl":"pkg:npm/a"}"#), "a 2", 0);
        check(&bom(r#"{"purl":"pkg:npm/a@1","components":[{"purl":"pkg:npm/b@2"}]}"#), "a 1, b 2", 0);
        check(&bom(r#"{"purl":"pkg:npm/a@1","scope":"excluded"}"#), "", 0);
        check(&bom(r#"{"purl":"pkg:deb/debian/a@1"},{"type":"library","purl":"pkg:oci/a@1","name":"a"}"#), "a 1", 0);
        check(&bom(r#"{"type":"library","name":"a","version":"1","purl":"pkg:generic/a@1"}"#), "", 1);
        check(&bom(r#"{"type":"library","name":"a","purl":"pkg:github/a/a@1"}"#), "", 1);
        check(&bom(r#"{"type":"library","purl":"pkg:generic/a@1?x=y"},{"purl":"pkg:generic/b"}"#), "", 1);
        check(&bom(r#"{"type":"file","name":"a","version":"1","purl":"pkg:generic/a@1"}"#), "", 0);
        check(&bom(r#"{"name":"a","version":"1"},{"type":"library","name":"b","version":"1"}"#), "", 1);
        check(&bom(r#"{"type":"file","name":"a","version":"1"}"#), "", 0);
        check(&bom(r#"{"type":"operating-system","name":"debian","version":"12"}"#), "", 0);
        check(&bom(r#"{"type":"application","name":"app/package-lock.json"}"#), "", 0);
        check(&bom(r#"{"components":[{"purl":"pkg:npm/b@2"},{"name":"a","version":"1"}],"scope":"excluded"}"#), "", 0);
        check(&bom(r#"{"purl":"pkg:npm/a@1","purl":"pkg:npm/b@1"}"#), "", 1);
        check(&bom("null"), "", 0);
        check(&bom(r#"{"purl":"pkg:npm/a@1","isExternal":true}"#), "", 0);
        check(&bom(r#"{"purl":"pkg:npm/a@1"},{"purl":"pkg:npm/a@1"}"#), "a 1", 0);
        check(r#"{"bomFormat":"CycloneDX","components":{}}"#, "", 1);
        check(&bom(r#"{"purl":"npm:a"}"#), "", 1);
        let own = r#"{"bomFormat":"CycloneDX","metadata":{"component":{"purl":"pkg:bitnami/a@1.0.0-3"}}}"#;
        check(own, "a 1.0.0-3", 0);
        let unnamed =
            r#"{"bomFormat":"CycloneDX","metadata":{"component":{"name":"a","version":"1"}},"components":null}"#;
        check(unnamed, "", 0);
        check(r#"{"bomFormat":"CycloneDX"}"#, "", 0);
        check("{", "", 1);
    }

    #[test]
    fn artifacts_of_syft_become_packages() {
        let syft = |artifact: &str| {
            let descriptor = r#"{"name":"syft","version":"1.0.0"}"#;
            format!(r#"{{"artifacts":[{artifact}],"source":{{}},"descriptor":{descriptor}}}"#)
        };
        let path = "layers/sbom/launch/paketo-buildpacks_npm-install/launch-modules/sbom.syft.json";
        let check = |artifact: &str, expected: &str, gaps: usize| check(path, &syft(artifact), expected, gaps);
        check(r#"{"name":"a","version":"1.0.0","type":"npm","purl":"pkg:npm/a@1.0.0"}"#, "a 1.0.0", 0);
        check(r#"{"name":"bash","version":"5.2","type":"deb","purl":"pkg:deb/debian/bash@5.2"}"#, "bash 5.2", 0);
        check(r#"{"name":"jre","version":"17","type":"UnknownPackage","purl":""}"#, "", 1);
        check("", "", 0);
        super::tests::check(path, r#"{"artifacts":[{"name":"a","version":"1"}]}"#, "", 0);
        let launched = "layers/sbom/launch/b/l/sbom.cdx.json";
        assert!(wants(launched) && !wants("layers/sbom/build/b/l/sbom.cdx.json") && wants("cnb/sbom/a.cdx.json"));
    }

    #[test]
    fn packages_of_operating_systems_are_copies() {
        let bom =
            r#"{"bomFormat":"CycloneDX","components":[{"purl":"pkg:deb/ubuntu/zlib1g@1.2"},{"purl":"pkg:npm/a@1"}]}"#;
        let parsed = parse("layers/sbom/launch/b/l/sbom.cdx.json", bom.as_bytes());
        let line = |p: &Package| format!("{} {} {}", p.name, p.vendor, p.is_judged());
        let found: Vec<String> = parsed.packages.iter().map(line).collect();
        assert_eq!(found, ["zlib1g ubuntu false", "a  true"]);
    }

    #[test]
    fn sboms_of_wheels_name_what_was_copied_into_them() {
        let check = |purls: &str, expected: &str| {
            let components: Vec<String> = purls.split(' ').map(|purl| format!(r#"{{"purl":"{purl}"}}"#)).collect();
            let json = format!(r#"{{"bomFormat":"CycloneDX","components":[{}]}}"#, components.join(","));
            let path = "usr/lib/python3/site-packages/psycopg_binary-3.3.9.dist-info/sboms/auditwheel.cdx.json";
            assert!(wants(path));
            let parsed = parse(path, json.as_bytes());
            let line = |p: &Package| format!("{} {} {} {}", p.name, p.version, p.vendor, p.vendored);
            let found: Vec<String> = parsed.packages.iter().map(line).collect();
            assert_eq!((found.join(", "), parsed.gaps.len()), (expected.to_owned(), 0), "{purls}");
        };
        check("pkg:pypi/psycopg_binary@3.3.9?file_name=x.whl", "psycopg_binary 3.3.9  false");
        check("pkg:pypi/Psycopg.Binary@3.3.9", "Psycopg.Binary 3.3.9  false");
        check("pkg:pypi/six@1.0", "six 1.0  true");
        check("pkg:cargo/pyo3@0.20.0", "pyo3 0.20.0  true");
        let copied = "pkg:rpm/almalinux/libgomp@8.5.0-26.el8_10 pkg:rpm/almalinux/libgomp@8.5.0-26.el8_10#ab";
        check(copied, "libgomp 8.5.0-26.el8_10 almalinux true");
        check(
            "pkg:apk/alpine/libgcc@13.2.1 pkg:deb/debian/zlib1g@1.2",
            "zlib1g 1.2 debian true, libgcc 13.2.1 alpine true",
        );
    }

    #[test]
    fn spdx_packages_become_packages() {
        let spdx = |purl: &str| {
            let reference = format!(
                r#"{{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"{purl}"}}"#
            );
            format!(
                r#"{{"spdxVersion":"SPDX-2.3","packages":[{{"name":"a","versionInfo":"9","externalRefs":[{reference}]}}]}}"#
            )
        };
        let bitnami = "opt/bitnami/postgresql/.spdx-postgresql.spdx";
        check(bitnami, &spdx("pkg:bitnami/postgresql@15.4.0-1?arch=amd64"), "postgresql 15.4.0-1", 0);
        check("a.spdx.json", &spdx("pkg:pypi/a"), "a 9", 0);
        check("a.spdx.json", &spdx("pkg:apk/wolfi/a@1"), "a 1", 0);
        check("a.spdx.json", r#"{"spdxVersion":"SPDX-2.3"}"#, "", 0);
        check("a.spdx.json", &spdx("pkg:generic/a"), "", 1);
        check("var/lib/db/sbom/a-1.spdx.json", &spdx("pkg:github/a/a@1"), "", 0);
        check("opt/var/lib/db/sbom/a-1.spdx.json", &spdx("pkg:github/a/a@1"), "", 1);
        let two = |root: &str| {
            format!(
                r#"{{"packages":[{{"SPDXID":"a","name":"a","versionInfo":"1"}},
                {{"name":"b","versionInfo":"NOASSERTION"}},
                {{"name":"c","versionInfo":"1","primaryPackagePurpose":"CONTAINER"}}],"spdxVersion":"SPDX-2.3"{root}}}"#
            )
        };
        check("a.spdx.json", &two(""), "", 1);
        check("a.spdx.json", &two(r#","documentDescribes":["a"]"#), "", 0);
        let describes = r#"{"spdxElementId":"d","relationshipType":"DESCRIBES","relatedSpdxElement":"a"}"#;
        check("a.spdx.json", &two(&format!(r#","relationships":[{describes}]"#)), "", 0);
        let graph = r#"{"@context":"c","@graph":[{"type":"SpdxDocument"},
            {"type":"software_Package","software_packageUrl":"pkg:gem/a","software_packageVersion":"1"},
            {"type":"software_Package","externalIdentifier":["_:x",
                {"externalIdentifierType":"packageUrl","identifier":"pkg:gem/b@1"}]}]}"#;
        check("a.spdx.json", graph, "a 1, b 1", 0);
        let package = r#"{"spdxId":"a","type":"software_Package","name":"a","software_packageVersion":"1"}"#;
        check("a.spdx.json", &format!(r#"{{"@graph":[{package}]}}"#), "", 1);
        let root = r#"{"type":"SpdxDocument","rootElement":["a"]}"#;
        check("a.spdx.json", &format!(r#"{{"@graph":[{package},{root}]}}"#), "", 0);
        check("a.spdx.json", r#"{"_type":"https://in-toto.io/Statement/v0.1","predicate":{}}"#, "", 0);
        check("bom.json", "[]", "", 0);
    }
}
