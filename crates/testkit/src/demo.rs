//! The images of the demo and of most stories, for the demo's advisory set.

use crate::image::{ImageBuilder, ImageFixture};
use crate::layer::LayerBuilder;
use crate::packages::debian;

/// The release that only these images carry.
pub const RELEASE: &str = "99";

/// Packages with three critical and five medium vulnerabilities.
pub const VULNERABLE: [(&str, &str); 3] = [("zlib", "1:1.2.11.dfsg-4"), ("curl", "7.88.1-10"), ("openssl", "3.0.2-1")];

/// Packages without any.
pub const CLEAN: [(&str, &str); 3] = [("zlib", "1:1.3.1-1"), ("curl", "8.15.0-1"), ("openssl", "3.0.20-1")];

/// Three critical and five medium vulnerabilities.
pub fn vulnerable() -> ImageBuilder {
    base(&VULNERABLE)
}

/// Three medium ones and nothing worse.
pub fn medium() -> ImageBuilder {
    base(&[("zlib", "1:1.3.1-1"), ("curl", "8.15.0-1"), ("openssl", "3.0.8-1")])
}

/// None at all.
pub fn clean() -> ImageBuilder {
    base(&CLEAN)
}

/// An image of that release with these (package, version) pairs.
pub fn base(packages: &[(&str, &str)]) -> ImageBuilder {
    ImageBuilder::new()
        .layer("ADD rootfs.tar /", debian(RELEASE, packages))
        .layer("COPY app /app", LayerBuilder::new().file("app/run", "#!/bin/sh\nexec sleep infinity\n"))
}

/// A clean image that differs from every other one in its digest alone.
pub fn distinct(name: &str) -> ImageFixture {
    clean().label("name", name).build()
}
