//! Packages named by their purl (purl-spec), as SBOMs name them.

use super::{Package, PackageType};
use packageurl::PackageUrl;
use std::str::FromStr as _;

/// All types.
const ALL: [PackageType; 21] = [
    PackageType::Deb,
    PackageType::Apk,
    PackageType::Npm,
    PackageType::Pypi,
    PackageType::Rpm,
    PackageType::Alpm,
    PackageType::Gem,
    PackageType::Composer,
    PackageType::Maven,
    PackageType::Golang,
    PackageType::Cargo,
    PackageType::Nuget,
    PackageType::Cran,
    PackageType::Hex,
    PackageType::Pub,
    PackageType::Julia,
    PackageType::Swift,
    PackageType::Luarocks,
    PackageType::Conda,
    PackageType::Bitnami,
    PackageType::Generic,
];

impl PackageType {
    /// The type of this purl type; none for those that no analyzer lists.
    pub fn from_purl_type(name: &str) -> Option<Self> {
        ALL.into_iter().find(|kind| kind.purl_type() == name)
    }
}

impl Package {
    /// The package that a purl names: its type, name and version, without location. `Ok(None)` for a type that no
    /// analyzer lists. A namespace is a part of the name where [`Package::purl`] makes it one, and else a
    /// distribution or a private registry: only the latter is kept, since no public advisory speaks of it.
    ///
    /// # Errors
    /// What is wrong with a text that is no purl.
    pub fn from_purl(text: &str) -> Result<Option<Self>, String> {
        let purl = PackageUrl::from_str(text).map_err(|e| e.to_string())?;
        let Some(kind) = PackageType::from_purl_type(purl.ty()) else { return Ok(None) };
        let (namespace, name) = (purl.namespace().filter(|n| !n.is_empty()), purl.name());
        if name.is_empty() {
            return Err("it has no name".to_owned());
        }
        let name = match namespace {
            None if kind == PackageType::Swift => return Err("it has no namespace".to_owned()),
            Some(group) if kind == PackageType::Maven => format!("{group}:{name}"),
            Some(namespace) if !kind.is_os() => format!("{namespace}/{name}"),
            _ => name.to_owned(),
        };
        let version = purl.version().unwrap_or_default().to_owned();
        let source_version = upstream(kind, &version).unwrap_or_default().to_owned();
        Ok(Some(Package {
            kind,
            name: if kind == PackageType::Composer { name.to_lowercase() } else { name },
            version,
            arch: String::new(),
            source_name: String::new(),
            source_version,
            vendored: false,
            vendor: String::new(),
            module: String::new(),
            owner: String::new(),
            locations: Vec::new(),
        }))
    }
}

/// The upstream version of what Bitnami packed: its own revision follows as `-N`, which others read as a pre-release.
fn upstream(kind: PackageType, version: &str) -> Option<&str> {
    let (upstream, revision) = version.rsplit_once('-').filter(|_| kind == PackageType::Bitnami)?;
    (!revision.is_empty() && revision.bytes().all(|b| b.is_ascii_digit())).then_some(upstream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::path::Path;

    #[test]
    fn purls_become_packages() {
        let check = |purl: &str, expected: Option<(&str, &str, &str)>| {
            let package = Package::from_purl(purl).unwrap();
            let found = package.as_ref().map(|p| (p.name.as_str(), p.version.as_str(), p.advisory_version()));
            assert_eq!(found, expected, "{purl}");
        };
        check("pkg:npm/%40babel/core@7.0.0", Some(("@babel/core", "7.0.0", "7.0.0")));
        check("pkg:maven/org.x/y@1.0?type=jar", Some(("org.x:y", "1.0", "1.0")));
        check("pkg:golang/github.com/a/b@v1.2.3#c", Some(("github.com/a/b", "v1.2.3", "v1.2.3")));
        check("pkg:swift/github.com/a/b@1", Some(("github.com/a/b", "1", "1")));
        check("pkg:composer/A/B@1", Some(("a/b", "1", "1")));
        check("pkg:gem/rack", Some(("rack", "", "")));
        check("pkg:deb/debian/zlib1g@1%3A1.2", Some(("zlib1g", "1:1.2", "1:1.2")));
        check("pkg:bitnami/postgresql@15.4.0-12?arch=amd64", Some(("postgresql", "15.4.0-12", "15.4.0")));
        check("pkg:bitnami/a@1.0.0-rc1", Some(("a", "1.0.0-rc1", "1.0.0-rc1")));
        check("pkg:oci/a@1", None);
        for bad in ["", "npm/a@1", "pkg:npm/", "pkg:swift/a@1"] {
            assert!(Package::from_purl(bad).is_err(), "{bad}");
        }
    }

    #[derive(Deserialize)]
    struct Suite {
        tests: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        test_type: String,
        input: serde_json::Value,
        expected_output: Option<serde_json::Value>,
        expected_failure: bool,
    }

    #[test]
    fn shared_vectors_hold() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/purl-spec/tests/types");
        let Ok(files) = std::fs::read_dir(&dir) else {
            println!("skipped: no shared vectors beside the checkout");
            return;
        };
        for file in files.map(|f| f.unwrap().path()) {
            let suite: Suite = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let sound = suite.tests.into_iter().filter(|c| c.test_type == "parse" && !c.expected_failure);
            sound.for_each(|case| check_case(&case.input, &case.expected_output.unwrap_or_default()));
        }
    }

    fn check_case(input: &serde_json::Value, expected: &serde_json::Value) {
        let field = |name: &str| expected.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        let Some(kind) = PackageType::from_purl_type(field("type")) else { return };
        let input = input.as_str().unwrap();
        let package = Package::from_purl(input).unwrap().unwrap_or_else(|| panic!("{input}"));
        let separator = if kind == PackageType::Maven { ":" } else { "/" };
        let name = match field("namespace") {
            namespace if !namespace.is_empty() && !kind.is_os() => format!("{namespace}{separator}{}", field("name")),
            _ => field("name").to_owned(),
        };
        let found = (package.kind, package.name.as_str(), package.version.as_str());
        assert_eq!(found, (kind, name.as_str(), field("version")), "{input}");
    }
}
