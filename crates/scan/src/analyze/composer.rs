//! Composer: `vendor/composer/installed.json`, which it writes for what it installed (Composer 1: a list, 2: an object).

use super::ParsedFile;
use super::analyzer::{Analyzer, all};
use super::listing::{Listing, json, text};
use super::parsed::failed;
use serde_json::Value;
use tidewaiter_core::package::PackageType;

pub(super) const ANALYZER: Analyzer = Analyzer {
    name: "Composer",
    files: &["**/composer/installed.json"],
    types: &[PackageType::Composer],
    version: 2,
    accepts: all,
    read: parse,
};

fn parse(path: &str, bytes: &[u8]) -> ParsedFile {
    let json = match json(bytes) {
        Ok(json) => json,
        Err(cause) => return failed(path, &cause),
    };
    let list = if json.is_array() { Some(&json) } else { json.get("packages") };
    let Some(list) = list.and_then(Value::as_array) else { return failed(path, "it lists no packages") };
    let mut listing = Listing::new(path);
    for entry in list {
        // Packagist ignores the case of names.
        let (name, version) = (text(entry, "name").to_lowercase(), version(text(entry, "version")));
        // A folder of the project, linked or copied (Composer, "Repositories", "Path").
        match entry.pointer("/dist/type").and_then(Value::as_str) {
            Some("path") => listing.own(PackageType::Composer, &name, version),
            _ => listing.add(PackageType::Composer, &name, version),
        }
    }
    listing.done()
}

/// Authors tag releases `v1.2.3` or `1.2.3`; both are the same version. Branches are `dev-main`.
fn version(tag: &str) -> &str {
    let release = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_digit());
    tag.strip_prefix(['v', 'V']).filter(release).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::super::listing::summary;
    use super::super::wants;
    use super::*;

    #[test]
    fn lists_of_both_versions_become_packages() {
        let check = |json: &str, expected: &str, gaps: usize| {
            let parsed = parse("vendor/composer/installed.json", json.as_bytes());
            assert_eq!(summary(&parsed), (expected.to_owned(), gaps), "{json}");
        };
        let entry = r#"{"name":"Symfony/Yaml","version":"v5.0.0","version_normalized":"5.0.0.0"}"#;
        check(&format!("[{entry}]"), "symfony/yaml 5.0.0", 0);
        check(&format!(r#"{{"packages":[{entry}],"dev":true,"dev-package-names":[]}}"#), "symfony/yaml 5.0.0", 0);
        check(r#"[{"name":"a/b","version":"dev-main"}]"#, "a/b dev-main", 0);
        check(r#"[{"name":"a/b","version":"vendor-1"}]"#, "a/b vendor-1", 0);
        check(r#"[{"name":"a/b"}]"#, "a/b ", 0);
        check(r#"[{"version":"1"}]"#, "", 1);
        let path = r#"[{"name":"a/b","version":"1.0.0","dist":{"type":"path","url":"../b"}}]"#;
        check(path, "a/b 1.0.0 (own)", 0);
        check(&path.replace("path", "zip"), "a/b 1.0.0", 0);
        check("[]", "", 0);
        check(r#"{"packages":{}}"#, "", 1);
        check("[{", "", 1);
    }

    #[test]
    fn only_composers_own_file_is_wanted() {
        let check = |path: &str, expected: bool| assert_eq!(wants(path), expected, "{path}");
        check("app/vendor/composer/installed.json", true);
        check("var/www/html/lib/composer/installed.json", true);
        check("composer/installed.json", true);
        check("app/mycomposer/installed.json", false);
        check("app/installed.json", false);
    }
}
