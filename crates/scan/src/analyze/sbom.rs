//! SBOMs that lie in an image: CycloneDX and SPDX 2 as JSON, among them those of Bitnami's images. Their components are
//! listed where a purl names them. Packages of operating systems are not: their databases say what is installed.

use super::Parsed;
use super::listing::{Listing, failed, json, text};
use serde_json::Value;
use tidewaiter_core::package::{Package, PackageType};

pub(super) fn wants(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    let bitnami = file.starts_with(".spdx-") && file.ends_with(".spdx");
    bitnami || [".cdx.json", ".cyclonedx.json", ".spdx.json", "bom.json"].iter().any(|end| file.ends_with(end))
}

pub(super) fn parse(path: &str, bytes: &[u8]) -> Parsed {
    let json = match json(bytes) {
        Ok(json) => json,
        Err(cause) => return failed(path, &cause),
    };
    let mut listing = Listing::new(path);
    if json.get("bomFormat").is_some_and(|format| format == "CycloneDX") {
        json.pointer("/metadata/component").into_iter().for_each(|own| component(own, &mut listing));
        components(&json, &mut listing);
    } else if json.get("spdxVersion").is_some() {
        let packages = json.get("packages").and_then(Value::as_array);
        packages.into_iter().flatten().for_each(|package| spdx(package, &mut listing));
    } else if json.get("@graph").is_some() {
        listing.unreadable("SPDX 3 is not read yet");
    }
    // What else is called so is no SBOM; statements about an SBOM (in-toto) speak of other things than this image.
    listing.done()
}

fn components(parent: &Value, listing: &mut Listing<'_>) {
    let components = parent.get("components").and_then(Value::as_array);
    components.into_iter().flatten().for_each(|inner| component(inner, listing));
}

/// A component and those inside it; they are no deeper than the JSON, whose reader limits that.
fn component(value: &Value, listing: &mut Listing<'_>) {
    // Excluded ones were used to build or test.
    if text(value, "scope") == "excluded" {
        return;
    }
    let purl = text(value, "purl");
    if !purl.is_empty() {
        add(purl, text(value, "version"), listing);
    }
    components(value, listing);
}

fn spdx(package: &Value, listing: &mut Listing<'_>) {
    let references = package.get("externalRefs").and_then(Value::as_array).into_iter().flatten();
    let purls = references.filter(|r| text(r, "referenceType").rsplit('/').next() == Some("purl"));
    // Several say where else the same package is known.
    for purl in purls.map(|reference| text(reference, "referenceLocator")) {
        add(purl, text(package, "versionInfo"), listing);
    }
}

fn add(purl: &str, version: &str, listing: &mut Listing<'_>) {
    match Package::from_purl(purl) {
        Ok(Some(package)) if package.kind.is_os() || package.kind == PackageType::Generic => {}
        Ok(Some(package)) if package.version.is_empty() => {
            listing.package(Package { version: version.to_owned(), ..package });
        }
        Ok(Some(package)) => listing.package(package),
        Ok(None) => {}
        Err(cause) => listing.unreadable(&format!("{purl:.80} is no purl ({cause})")),
    }
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
        check("a.spdx.json", r#"{"@context":"x","@graph":[]}"#, "", 1);
        check("a.spdx.json", r#"{"_type":"https://in-toto.io/Statement/v0.1","predicate":{}}"#, "", 0);
        check("bom.json", "[]", "", 0);
    }
}
