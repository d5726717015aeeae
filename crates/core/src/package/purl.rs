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
    /// distribution, which is dropped, or a private registry, which stays: public advisories do not cover it.
    ///
    /// Names keep the case of the text: the specification lowers Go's module paths and npm's names, and advisories
    /// do not.
    ///
    /// # Errors
    /// What is wrong with a text that is not a purl.
    pub fn from_purl(text: &str) -> Result<Option<Self>, String> {
        Ok(Self::with_purl(text)?.map(|(package, _)| package))
    }

    /// As [`Self::from_purl`], with the purl as a type without rules reads it: its namespace and qualifiers tell more of packages of
    /// distributions.
    ///
    /// # Errors
    /// What is wrong with a text that is not a purl.
    pub fn with_purl(text: &str) -> Result<Option<(Self, PackageUrl<'static>)>, String> {
        let typed = text.strip_prefix("pkg:").and_then(|rest| rest.trim_start_matches('/').split_once('/'));
        let (named, rest) = typed.ok_or("it has no scheme and type")?;
        let Some(kind) = PackageType::from_purl_type(&named.to_ascii_lowercase()) else { return Ok(None) };
        PackageUrl::from_str(text).map_err(|e| e.to_string())?;
        // Once more, as a type without rules, to have it as it is written.
        let purl = PackageUrl::from_str(&format!("pkg:generic/{rest}")).map_err(|e| e.to_string())?;
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
        let version = version(kind, &name, &purl);
        let source_version = upstream(kind, &version).unwrap_or_default().to_owned();
        let name = if kind == PackageType::Composer { name.to_lowercase() } else { name };
        // What path dependencies have in the SBOMs of cargo-cyclonedx.
        let own = kind == PackageType::Cargo
            && purl.qualifiers().get("download_url").is_some_and(|url| url.starts_with("file:"));
        Ok(Some((Package { source_version, own, ..Package::new(kind, name, version) }, purl)))
    }
}

/// The version as analyzers write it: an rpm's with its epoch, Go's standard library without `go` or `v`.
fn version(kind: PackageType, name: &str, purl: &PackageUrl<'_>) -> String {
    let version = purl.version().unwrap_or_default();
    match purl.qualifiers().get("epoch") {
        Some(epoch) if kind == PackageType::Rpm && !version.is_empty() => format!("{epoch}:{version}"),
        _ if kind == PackageType::Golang && name == "stdlib" => {
            version.trim_start_matches("go").trim_start_matches('v').to_owned()
        }
        _ => version.to_owned(),
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
        check("pkg:cpan/A", None);
        check("pkg:golang/github.com/Azure/sdk@v1.0.0", Some(("github.com/Azure/sdk", "v1.0.0", "v1.0.0")));
        check("pkg:golang/stdlib@go1.22.4", Some(("stdlib", "1.22.4", "1.22.4")));
        check("pkg:npm/JSONStream@1.0.0", Some(("JSONStream", "1.0.0", "1.0.0")));
        check("pkg://PyPI/Foo_Bar@1.0%2Blocal", Some(("Foo_Bar", "1.0+local", "1.0+local")));
        check("pkg:rpm/redhat/vim@8.0-1?epoch=2", Some(("vim", "2:8.0-1", "2:8.0-1")));
        for bad in
            ["", "npm/a@1", "pkg:npm", "pkg:npm/", "pkg:npm/a%ff@1", "pkg:swift/a@1", "pkg:composer/a", "pkg:gem/a/b"]
        {
            assert!(Package::from_purl(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn path_dependencies_of_cargo_are_own() {
        let check = |purl: &str, expected: bool| {
            assert_eq!(Package::from_purl(purl).unwrap().is_some_and(|p| p.own), expected, "{purl}");
        };
        check("pkg:cargo/a@1?download_url=file://.", true);
        check("pkg:cargo/a@1?download_url=https://example.com/a", false);
        check("pkg:npm/a@1?download_url=file://a.tgz", false);
        check("pkg:deb/debian/a@1?download_url=file:///a.deb", false);
    }

    #[derive(Deserialize)]
    struct Suite {
        tests: Vec<Case>,
    }

    #[derive(Debug, Deserialize)]
    struct Case {
        input: serde_json::Value,
        #[serde(default)]
        expected_output: serde_json::Value,
        expected_failure: bool,
    }

    /// Read although the specification refuses them: the case of a qualifier's key says nothing of the package.
    const LENIENT: [&str; 2] =
        ["pkg:gem/jruby-launcher@1.1.2?Platform=java", "pkg:Rpm/fedora/curl@7.50.3-1.fc25?Arch=i386&Distro=fedora-25"];

    #[test]
    fn shared_vectors_hold() {
        let Some(dir) = tidewaiter_testkit::skip::shared("vectors/purl-spec/tests") else { return };
        for file in ["spec", "types"].iter().flat_map(|kind| std::fs::read_dir(dir.join(kind)).unwrap()) {
            let suite: Suite = serde_json::from_slice(&std::fs::read(file.unwrap().path()).unwrap()).unwrap();
            suite.tests.iter().for_each(|case| assert!(holds(case), "{case:?}"));
        }
    }

    /// Whether a purl of a package that is listed is refused as it is to be, or names what it is to name, and is brought
    /// into its canonical form.
    fn holds(case: &Case) -> bool {
        let Some(input) = case.input.as_str().filter(|input| !LENIENT.contains(input)) else { return true };
        let package = match Package::from_purl(input) {
            Ok(Some(package)) => package,
            Ok(None) => return true,
            Err(_) => return case.expected_failure,
        };
        if let Some(canonical) = case.expected_output.as_str() {
            return PackageUrl::from_str(input).unwrap().to_string() == canonical;
        }
        let field = |name: &str| case.expected_output[name].as_str().unwrap_or_default();
        let separator = if package.kind == PackageType::Maven { ":" } else { "/" };
        let name = match field("namespace") {
            namespace if !namespace.is_empty() && !package.kind.is_os() => {
                format!("{namespace}{separator}{}", field("name"))
            }
            _ => field("name").to_owned(),
        };
        // The specification lowers names that are kept as written; PyPI's are normalised when they are compared.
        let same = |a: &str, b: &str| a.to_lowercase().replace('_', "-") == b.to_lowercase().replace('_', "-");
        !case.expected_failure && same(&package.name, &name) && package.version.ends_with(field("version"))
    }
}
