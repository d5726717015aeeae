//! Names, versions, and what a registry answers.

use crate::{Target, text};
use tidewaiter_core::image::{Digest, Platform, Reference};
use tidewaiter_core::package::Package;
use tidewaiter_core::policy::Rule;
use tidewaiter_core::version::VersionScheme;
use tidewaiter_scan::source::registry::auth;
use tidewaiter_scan::source::registry::credentials::Credentials;

/// Short texts.
pub(crate) const TARGETS: &[Target] = &[
    (
        "purl",
        || b"pkg:golang/github.com/A/b%2F@v1%2B2?epoch=1&a=b#c".to_vec(),
        |b| drop(text(b).map(Package::from_purl)),
    ),
    ("reference", || b"registry.example:5000/team/app:v1@sha256:0000".to_vec(), reference),
    ("versions", || b"1:2.0~rc1-3 1:2.0-3".to_vec(), versions),
    ("challenge", || br#"Bearer realm="https://a/t",service="r""#.to_vec(), |b| drop(text(b).map(auth::parse))),
    (
        "condition",
        || b"finding.packages.exists(p, p.paths.all(at, at.startsWith('/'))) || finding.epss > 0.5".to_vec(),
        condition,
    ),
    ("docker-config", || br#"{"auths":{"r[a-z]*.ex?mple/team":{"auth":"YTpi"}}}"#.to_vec(), logins),
];

/// A `config.json`, whose keys are patterns of hosts.
fn logins(bytes: &[u8]) {
    let (Ok(stored), Ok(image)) = (Credentials::parse(bytes), "r.example/team/app".parse()) else { return };
    assert!(stored.logins(&image).iter().all(|login| !format!("{login:?}").is_empty()));
}

fn reference(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    drop(text.parse::<Reference>().map(|r| r.to_string()));
    drop(text.parse::<Digest>());
    drop(text.parse::<Platform>());
}

fn versions(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (a, b) = text.split_once(' ').unwrap_or((&text, ""));
    for name in [
        "debian",
        "alpine",
        "semver",
        "pypi",
        "redhat",
        "maven",
        "rubygems",
        "nuget",
        "packagist",
        "go",
        "pub",
        "cran",
        "hackage",
    ] {
        let Some(order) = VersionScheme::named(name) else { continue };
        assert_eq!(order.compare(a, b), order.compare(b, a).reverse(), "{name}: {a:?} {b:?}");
        let _ = order.is_valid(a);
    }
}

/// A condition of a rule, which is also tried on a finding.
fn condition(bytes: &[u8]) {
    let rule = |text: String| Rule { name: "r".to_owned(), condition: Some(text), ..Rule::default() };
    drop(text(bytes).map(|text| rule(text.to_owned()).check()));
}
