//! The source package of a package of an operating system, which advisories name, and the other facts by which it is matched, from
//! what the tools tell:
//!
//! | tool | source package |
//! |---|---|
//! | purl (Syft, Red Hat, purl-spec) | `upstream=NAME[@VERSION]`, of an rpm `upstream=NAME-VERSION-RELEASE.src.rpm` |
//! | Syft | `syft:metadata:source`, `:sourceVersion`, `:originPackage`, `:sourceRpm` |
//! | Trivy | `aquasecurity:trivy:SrcName`, `:SrcVersion`, `:SrcRelease`, `:SrcEpoch`; in SPDX `built package from: NAME VERSION` |
//!
//! Where a document tells none, dpkg and apk mean the package itself (Debian policy §5.6.1).

use crate::component::SbomComponent;
use crate::purl::PurlFacts;
use tidewaiter_core::package::{Package, PackageType, dpkg_vendor};

/// The package with its facts, and whether its source package was told.
pub(crate) fn with_source(package: Package, component: &SbomComponent, purl: &PurlFacts) -> (Package, bool) {
    let told = match package.kind {
        PackageType::Rpm => of_rpm(&package, component, purl),
        PackageType::Deb | PackageType::Apk => of_others(&package, component, purl),
        _ => None,
    };
    let is_told = told.is_some();
    let itself = || match package.kind {
        PackageType::Deb | PackageType::Apk => (package.name.clone(), package.version.clone()),
        _ => (String::new(), String::new()),
    };
    let (source_name, source_version) = told.unwrap_or_else(itself);
    let module = [
        &purl.module,
        component.get("aquasecurity:trivy:Modularitylabel"),
        component.get("syft:metadata:modularityLabel"),
    ]
    .into_iter()
    .find(|label| !label.is_empty())
    .unwrap_or_default();
    let vendor = match package.kind {
        // Syft writes the tag VENDOR there; others their own words.
        PackageType::Rpm if component.facts.iter().any(|fact| fact.name.starts_with("syft:")) => &component.publisher,
        PackageType::Deb => dpkg_vendor(&package.version),
        _ => "",
    };
    let package = Package {
        arch: purl.arch.clone(),
        source_name,
        source_version,
        module: stream(module),
        vendor: vendor.to_owned(),
        ..package
    };
    (package, is_told)
}

/// `nodejs:20` of `nodejs:20:9040020240807145403:rhel9`.
fn stream(label: &str) -> String {
    label.split(':').take(2).collect::<Vec<_>>().join(":")
}

type NameAndVersion = (String, String);

fn of_others(package: &Package, component: &SbomComponent, purl: &PurlFacts) -> Option<NameAndVersion> {
    let version = |told: String| {
        // apk builds all packages of a source in its version.
        let own = told.is_empty() || package.kind == PackageType::Apk;
        if own { package.version.clone() } else { told }
    };
    if let Some((name, told)) = of_trivy(component) {
        return Some((name, version(told)));
    }
    let named = |name: &str, told: &str| (!name.is_empty()).then(|| (name.to_owned(), version(told.to_owned())));
    let (upstream, its_version) = purl.upstream.split_once('@').unwrap_or((&purl.upstream, ""));
    named(component.get("syft:metadata:source"), component.get("syft:metadata:sourceVersion"))
        .or_else(|| named(component.get("syft:metadata:originPackage"), ""))
        .or_else(|| named(upstream, its_version))
}

/// Name and version, the latter with its epoch and release where they are told.
fn of_trivy(component: &SbomComponent) -> Option<NameAndVersion> {
    let get = |name: &str| component.get(name);
    if let Some((name, version)) = get("aquasecurity:trivy:Source").split_once(' ') {
        return Some((name.to_owned(), version.to_owned()));
    }
    let (name, mut version) = (get("aquasecurity:trivy:SrcName"), get("aquasecurity:trivy:SrcVersion").to_owned());
    let (release, epoch) = (get("aquasecurity:trivy:SrcRelease"), get("aquasecurity:trivy:SrcEpoch"));
    if !release.is_empty() {
        version = format!("{version}-{release}");
    }
    if !matches!(epoch, "" | "0") {
        version = format!("{epoch}:{version}");
    }
    (!name.is_empty()).then(|| (name.to_owned(), version))
}

fn of_rpm(package: &Package, component: &SbomComponent, purl: &PurlFacts) -> Option<NameAndVersion> {
    let (name, version) = of_trivy(component)
        .or_else(|| of_source_rpm(component.get("syft:metadata:sourceRpm")))
        .or_else(|| of_source_rpm(&purl.upstream))?;
    // A source rpm has no epoch in its name. Where its version is the package's own, so is its epoch.
    let own = package.version.split_once(':').map_or(package.version.as_str(), |(_, rest)| rest);
    let version = if version == own { package.version.clone() } else { version };
    Some((name, version))
}

/// `NAME-VERSION-RELEASE.src.rpm`: the name may contain `-`, version and release may not.
fn of_source_rpm(file: &str) -> Option<NameAndVersion> {
    let stem = file.strip_suffix(".rpm")?.rsplit_once('.')?.0;
    let (rest, release) = stem.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name.to_owned(), format!("{version}-{release}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(purl: &str, facts: &[(&str, &str)], expected: &str) {
        let mut component = SbomComponent { publisher: "Vendor, Inc.".into(), ..SbomComponent::default() };
        facts.iter().for_each(|(name, value)| component.fact(name, (*value).to_owned()));
        let (package, parsed) = Package::with_purl(purl).unwrap().unwrap();
        let (p, is_told) = with_source(package, &component, &PurlFacts::of(&parsed));
        let found = [&p.version, &p.source_name, &p.source_version, &p.arch, &p.module, &p.vendor].map(String::as_str);
        assert_eq!(format!("{} {is_told}", found.join("|")), expected, "{purl} {facts:?}");
    }

    #[test]
    fn purls_tell_sources() {
        check("pkg:deb/debian/libssl3@3.0?arch=amd64&upstream=openssl", &[], "3.0|openssl|3.0|amd64|| true");
        check("pkg:deb/debian/a@1%2Bb1?upstream=b%402%3A1", &[], "1+b1|b|2:1||| true");
        check("pkg:deb/debian/bash@5.2", &[], "5.2|bash|5.2||| false");
        check("pkg:deb/debian/a@3.5.1-1%2Bdhi2", &[], "3.5.1-1+dhi2|a|3.5.1-1+dhi2|||Docker Hardened Images false");
        check("pkg:apk/alpine/libssl3@3.0-r1?upstream=openssl&arch=x86_64", &[], "3.0-r1|openssl|3.0-r1|x86_64|| true");
        check(
            "pkg:rpm/redhat/vim@8-1.el9?epoch=2&upstream=vim-8-1.el9.src.rpm",
            &[],
            "2:8-1.el9|vim|2:8-1.el9||| true",
        );
        check("pkg:rpm/redhat/a@8-1?epoch=2&upstream=b-c-9-1.src.rpm", &[], "2:8-1|b-c|9-1||| true");
        check("pkg:rpm/redhat/a@8-1?rpmmod=nodejs:20:1:2", &[], "8-1||||nodejs:20| false");
        check("pkg:rpm/redhat/a@8-1?modularitylabel=nodejs%3A18%3A1%3A2", &[], "8-1||||nodejs:18| false");
    }

    #[test]
    fn facts_of_tools_tell_sources() {
        let trivy = |name: &'static str| format!("aquasecurity:trivy:{name}");
        let (name, version, release, epoch) =
            (trivy("SrcName"), trivy("SrcVersion"), trivy("SrcRelease"), trivy("SrcEpoch"));
        let all = [(name.as_str(), "glibc"), (&version, "2.36"), (&release, "9"), (&epoch, "1")];
        check("pkg:deb/debian/libc6@2.36-9", &all, "2.36-9|glibc|1:2.36-9||| true");
        check("pkg:apk/alpine/libc@2-r1", &[(&name, "musl"), (&version, "2-r1")], "2-r1|musl|2-r1||| true");
        check("pkg:rpm/centos/a@2.36-9?epoch=1", &all[..3], "1:2.36-9|glibc|1:2.36-9||| true");
        check("pkg:rpm/centos/a@1-1", &[("aquasecurity:trivy:Modularitylabel", "a:1:2:3")], "1-1||||a:1| false");
        check("pkg:deb/debian/a@1", &[("aquasecurity:trivy:Source", "b 1:2")], "1|b|1:2||| true");
        let syft = [("syft:metadata:source", "b"), ("syft:metadata:sourceVersion", "2")];
        check("pkg:deb/debian/a@1", &syft, "1|b|2||| true");
        check("pkg:apk/alpine/a@1", &[("syft:metadata:originPackage", "b")], "1|b|1||| true");
        let rpm = [("syft:metadata:sourceRpm", "b-2-3.src.rpm"), ("syft:metadata:modularityLabel", "m:1:2")];
        check("pkg:rpm/fedora/a@1-1", &rpm, "1-1|b|2-3||m:1|Vendor, Inc. true");
    }
}
