//! Python distributions: `*.dist-info/METADATA` (PEP 376, core metadata) and eggs.

use super::headers::Stanza;
use super::{Parsed, package, unreadable};
use tidewaiter_core::package::{Package, PackageType};

pub(super) fn wants(path: &str) -> bool {
    path.ends_with(".dist-info/METADATA")
        || path.ends_with(".egg-info/PKG-INFO")
        || path.ends_with(".egg/EGG-INFO/PKG-INFO")
        || path.ends_with(".egg-info")
}

pub(super) fn parse(path: &str, bytes: &[u8]) -> Parsed {
    let text = String::from_utf8_lossy(bytes);
    // The body after the first empty line is the description; what is no field in the head is ignored as pip does.
    let head = text.lines().take_while(|l| !l.trim_end().is_empty()).filter(|l| l.contains(':') || l.starts_with(' '));
    let stanza = Stanza::parse(head).unwrap_or_default();
    match (stanza.get("Name"), stanza.get("Version")) {
        (Some(name), Some(version)) if !name.is_empty() => {
            let package = Package { vendored: vendored(path), ..package(PackageType::Pypi, name, version) };
            Parsed { packages: vec![package], ..Parsed::default() }
        }
        _ => Parsed { gaps: vec![unreadable(path, "it names no distribution and version")], ..Parsed::default() },
    }
}

/// Whether the metadata lies inside another distribution instead of beside it.
fn vendored(path: &str) -> bool {
    let root = ["site-packages/", "dist-packages/"].iter().filter_map(|r| path.rfind(r).map(|at| at + r.len())).max();
    let inside = root.and_then(|at| path.get(at..)).unwrap_or(path);
    let parts: Vec<&str> = inside.split('/').collect();
    match root {
        // An egg is a folder of its own around its EGG-INFO.
        Some(_) => {
            !parts.first().is_some_and(|p| p.ends_with(".dist-info") || p.ends_with(".egg-info") || p.ends_with(".egg"))
        }
        None => parts.iter().any(|p| *p == "_vendor" || *p == "vendor" || *p == "_vendored"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_becomes_a_package() {
        let check = |path: &str, expected: bool| {
            let parsed = parse(path, b"Metadata-Version: 2.1\nName: Foo_Bar\nVersion: 1.0\n\nbody: x\n");
            let p = parsed.packages.first().unwrap();
            assert_eq!((p.name.as_str(), p.version.as_str(), p.vendored), ("Foo_Bar", "1.0", expected), "{path}");
        };
        check("usr/lib/python3/dist-packages/foo-1.0.dist-info/METADATA", false);
        check("usr/lib/python3.8/site-packages/setuptools/_vendor/foo-1.0.dist-info/METADATA", true);
        check("usr/lib/python3.8/site-packages/foo-1.0-py3.egg/EGG-INFO/PKG-INFO", false);
        check("app/_vendor/foo-1.0.dist-info/METADATA", true);
        assert_eq!(parse("x.egg-info", b"").gaps.len(), 1);
    }
}
