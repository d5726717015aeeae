//! SBOMs that lie in an image: CycloneDX and SPDX as JSON, among them those of Bitnami's images.
//!
//! Components are listed where a purl names them. Nothing tells whether an SBOM describes what lies beside it: it is
//! believed, as leaving it out would hide what is listed nowhere else. Packages of operating systems are not taken:
//! their databases say what is installed. A statement about an SBOM (in-toto) is none.

mod cyclonedx;
mod spdx;

use super::listing::{Listing, failed};
use super::{Parsed, file_name};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tidewaiter_core::package::{Package, PackageType};

pub(super) fn wants(path: &str) -> bool {
    let file = file_name(path);
    let bitnami = file.starts_with(".spdx-") && file.ends_with(".spdx");
    bitnami || [".cdx.json", ".cyclonedx.json", ".spdx.json", "bom.json"].iter().any(|end| file.ends_with(end))
}

/// What tells the formats apart.
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

/// A package as a document names it: the version beside the purl counts where the purl has none.
struct Named {
    purl: String,
    version: String,
}

pub(super) fn parse(path: &str, bytes: &[u8]) -> Parsed {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // What else is called so, and is no object, is no SBOM either.
    if serde_json::from_slice::<Vec<IgnoredAny>>(bytes).is_ok() {
        return Parsed::default();
    }
    let packages = serde_json::from_slice(bytes).and_then(|head| match head {
        Head { statement: Some(_), .. } => Ok(Vec::new()),
        Head { cyclonedx: Some(_), .. } => cyclonedx::packages(bytes),
        Head { spdx: Some(_), .. } => spdx::packages(bytes),
        Head { graph: Some(_), .. } => spdx::graph(bytes),
        _ => Ok(Vec::new()),
    });
    match packages {
        Ok(packages) => listed(path, &packages),
        Err(e) => failed(path, &format!("it breaks the format of SBOMs ({e})")),
    }
}

fn listed(path: &str, packages: &[Named]) -> Parsed {
    let mut listing = Listing::new(path);
    for named in packages.iter().filter(|named| !named.purl.is_empty()) {
        match Package::from_purl(&named.purl) {
            Ok(Some(package)) if package.kind.is_os() || package.kind == PackageType::Generic => {}
            Ok(Some(package)) if package.version.is_empty() => {
                listing.package(Package { version: named.version.clone(), ..package });
            }
            Ok(Some(package)) => listing.package(package),
            Ok(None) => {}
            Err(cause) => listing.unreadable(&format!("{:.80} is no purl ({cause})", named.purl)),
        }
    }
    let mut parsed = listing.done();
    parsed.packages.sort();
    parsed.packages.dedup();
    parsed
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
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
        check(&bom(r#"{"purl":"pkg:deb/debian/a@1"},{"purl":"pkg:generic/a@1"},{"purl":"pkg:oci/a"}"#), "", 0);
        check(&bom(r#"{"name":"a","version":"1"}"#), "", 0);
        check(&bom(r#"{"purl":"pkg:npm/a@1","isExternal":true}"#), "", 0);
        check(&bom(r#"{"purl":"pkg:npm/a@1"},{"purl":"pkg:npm/a@1"}"#), "a 1", 0);
        check(r#"{"bomFormat":"CycloneDX","components":{}}"#, "", 1);
        check(&bom(r#"{"purl":"npm:a"}"#), "", 1);
        let own = r#"{"bomFormat":"CycloneDX","metadata":{"component":{"purl":"pkg:bitnami/a@1.0.0-3"}}}"#;
        check(own, "a 1.0.0-3", 0);
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
        let graph = r#"{"@context":"c","@graph":[{"type":"SpdxDocument"},
            {"type":"software_Package","software_packageUrl":"pkg:gem/a","software_packageVersion":"1"},
            {"type":"software_Package","externalIdentifier":["_:x",
                {"externalIdentifierType":"packageUrl","identifier":"pkg:gem/b@1"}]}]}"#;
        check("a.spdx.json", graph, "a 1, b 1", 0);
        check("a.spdx.json", r#"{"_type":"https://in-toto.io/Statement/v0.1","predicate":{}}"#, "", 0);
        check("bom.json", "[]", "", 0);
    }
}
