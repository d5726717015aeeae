//! SBOMs in an image: CycloneDX and SPDX as JSON, among them those of Bitnami's images.
//!
//! Components are listed where a purl names them. Whether an SBOM describes the files next to it cannot be verified: it is
//! trusted, because leaving it out would hide what is listed nowhere else. Packages of operating systems are left out:
//! their databases list what is installed. Other software, whose advisories cannot be found by a purl, is counted in a
//! gap. A statement about an SBOM (in-toto) is not one.

mod cyclonedx;
mod spdx;
mod stream;

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::{Listing, ListingMark};
use super::parsed::failed;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tidewaiter_core::package::{Package, PackageType};
use tidewaiter_core::report::{Gap, GapKind};

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "bills of materials (CycloneDX, SPDX 2 and 3, Bitnami)",
    files: &["**/*.cdx.json", "**/*.cyclonedx.json", "**/*.spdx.json", "**/*bom.json", "**/.spdx-*.spdx"],
    types: &[],
    version: 1,
    accepts: all,
    read: parse,
};

/// The members by which the formats are distinguished.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "bomFormat")]
    cyclonedx: Option<IgnoredAny>,
    #[serde(rename = "spdxVersion")]
    spdx: Option<IgnoredAny>,
    #[serde(rename = "@graph")]
    graph: Option<IgnoredAny>,
    #[serde(rename = "_type")]
    statement: Option<IgnoredAny>,
}

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // Other files with such a name, whose content is not an object, are not SBOMs.
    if serde_json::from_slice::<Vec<IgnoredAny>>(bytes).is_ok() {
        return ParsedFile::default();
    }
    let mut found = SbomComponents { path, listing: Listing::new(path), unnamed: Unnamed::default() };
    let read = serde_json::from_slice(bytes).and_then(|head| match head {
        // First: a statement may quote a whole SBOM.
        Head { statement: Some(_), .. } => Ok(()),
        Head { cyclonedx: Some(_), .. } => cyclonedx::read(bytes, &mut found),
        Head { spdx: Some(_), .. } => spdx::read(bytes, &mut found),
        Head { graph: Some(_), .. } => spdx::graph(bytes, &mut found),
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
}

/// Software without a purl, or with one of a type without advisories.
#[derive(Debug, Clone, Default)]
struct Unnamed {
    count: usize,
    /// The first one.
    example: String,
}

impl SbomComponents<'_> {
    /// Adds what a purl names; the component's own version counts where the purl has none. False when no advisories
    /// use such a purl.
    fn purl(&mut self, purl: &str, version: &str) -> bool {
        if self.listing.is_full() {
            return true;
        }
        match Package::from_purl(purl) {
            Ok(Some(package)) if package.kind == PackageType::Generic => return false,
            Ok(Some(package)) if package.kind.is_os() => {}
            Ok(Some(package)) if package.version.is_empty() => {
                self.listing.package(Package { version: version.to_owned(), ..package });
            }
            Ok(Some(package)) => self.listing.package(package),
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
        check(&bom(r#"{"purl":"pkg:deb/debian/a@1"},{"type":"library","purl":"pkg:oci/a@1","name":"a"}"#), "", 0);
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
        check("a.spdx.json", &spdx("pkg:apk/wolfi/a@1"), "", 0);
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
