//! The databases of package managers.

use crate::layer::LayerBuilder;
use std::fmt::Write as _;

/// A Debian root file system with these (package, version) pairs.
pub fn debian(release: &str, packages: &[(&str, &str)]) -> LayerBuilder {
    let mut status = String::new();
    for (name, version) in packages {
        let _ = write!(
            status,
            "Package: {name}\nStatus: install ok installed\nMaintainer: Test <test@example.org>\n\
             Architecture: amd64\nVersion: {version}\nDescription: {name}\n\n"
        );
    }
    LayerBuilder::new()
        .file("etc/os-release", format!("ID=debian\nVERSION_ID=\"{release}\"\nPRETTY_NAME=\"Debian {release}\"\n"))
        .file("var/lib/dpkg/status", status)
}

/// An Alpine root file system with these (package, version) pairs.
pub fn alpine(release: &str, packages: &[(&str, &str)]) -> LayerBuilder {
    let mut installed = String::new();
    for (name, version) in packages {
        let _ = write!(installed, "P:{name}\nV:{version}\nA:x86_64\no:{name}\n\n");
    }
    LayerBuilder::new()
        .file("etc/os-release", format!("ID=alpine\nVERSION_ID={release}\nPRETTY_NAME=\"Alpine Linux v{release}\"\n"))
        .file("lib/apk/db/installed", installed)
}

/// Adds an npm package.
pub fn npm(layer: LayerBuilder, name: &str, version: &str) -> LayerBuilder {
    let json = format!(r#"{{"name":"{name}","version":"{version}"}}"#);
    layer.file(&format!("app/node_modules/{name}/package.json"), json)
}

/// Adds a Python distribution.
pub fn python(layer: LayerBuilder, name: &str, version: &str) -> LayerBuilder {
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    layer.file(&format!("usr/lib/python3/site-packages/{name}-{version}.dist-info/METADATA"), metadata)
}
