//! Which bases of images are judged by default, and by what.

use std::fmt::Write as _;
use tidewaiter_core::ecosystem::{self, Ecosystem, Os};
use tidewaiter_feeds::config::{Feed, FeedsConfig};

/// Bases of Docker's official images and of vendors, as their os-release names them: name, `ID`, `VERSION_ID`, and what else
/// their release is read from (`PRETTY_NAME`, `ID_LIKE` or the codename).
const BASES: [(&str, &str, &str, &str); 50] = [
    ("debian:11", "debian", "11", ""),
    ("debian:12", "debian", "12", ""),
    ("debian:13; buildpack-deps, gcc, golang, httpd, images of languages and servers", "debian", "13", ""),
    ("debian:testing, debian:forky", "debian", "", "forky"),
    ("debian:sid", "debian", "", "sid"),
    ("ubuntu:20.04", "ubuntu", "20.04", ""),
    ("ubuntu:22.04", "ubuntu", "22.04", ""),
    ("ubuntu:24.04; eclipse-temurin", "ubuntu", "24.04", ""),
    ("ubuntu:25.10", "ubuntu", "25.10", ""),
    ("ubuntu:26.04", "ubuntu", "26.04", ""),
    ("ubuntu:26.10", "ubuntu", "26.10", ""),
    ("alpine:3.22", "alpine", "3.22.2", ""),
    ("alpine:3.23", "alpine", "3.23.3", ""),
    ("alpine:3.24; the `-alpine` images of languages and servers", "alpine", "3.24.1", ""),
    ("alpine:edge", "alpine", "3.25_alpha20261101", ""),
    ("ubi8", "rhel", "8.10", ""),
    ("ubi9", "rhel", "9.8", ""),
    ("ubi10", "rhel", "10.2", ""),
    ("Red Hat Hardened Images", "hummingbird", "20261101", ""),
    ("centos:stream9", "centos", "9", "CentOS Stream 9"),
    ("centos:stream10", "centos", "10", "CentOS Stream 10"),
    ("centos:7", "centos", "7", "CentOS Linux 7 (Core)"),
    ("almalinux:8, 9, 10", "almalinux", "10.1", ""),
    ("rockylinux:8, 9, 10", "rocky", "10.1", ""),
    ("oraclelinux:8, 9, 10; mysql", "ol", "9.7", ""),
    ("amazonlinux:2", "amzn", "2", ""),
    ("amazonlinux:2023; amazoncorretto", "amzn", "2023", ""),
    ("fedora:42, 43, 44", "fedora", "44", ""),
    ("archlinux", "arch", "", ""),
    ("opensuse/leap:15.6", "opensuse-leap", "15.6", "openSUSE Leap 15.6"),
    ("opensuse/leap:16.0", "opensuse-leap", "16.0", "openSUSE Leap 16.0"),
    ("opensuse/tumbleweed", "opensuse-tumbleweed", "20261101", "openSUSE Tumbleweed"),
    ("bci-base:15.7", "sles", "15.7", "SUSE Linux Enterprise Server 15 SP7"),
    ("bci-base:16.0", "sles", "16.0", "SUSE Linux Enterprise Server 16.0"),
    ("sle-micro 5.5", "sle-micro", "5.5", "SUSE Linux Enterprise Micro 5.5"),
    ("azurelinux/base/core:3.0", "azurelinux", "3.0", ""),
    ("photon:5.0", "photon", "5.0", ""),
    ("mageia:9", "mageia", "9", ""),
    ("openeuler:24.03-lts-sp3", "openeuler", "24.03", "openEuler 24.03 (LTS-SP3)"),
    ("chainguard; wolfi-base", "chainguard", "20230214", ""),
    ("dhi (Debian 13)", "dhi", "13", "debian"),
    ("dhi (Alpine 3.24)", "dhi", "3.24.1", "alpine"),
    ("bellsoft/liberica-runtime-container", "alpaquita", "stream", ""),
    ("amazonlinux:2027", "amzn", "2027", ""),
    ("azurelinux 4.0", "azurelinux", "4.0", ""),
    ("raspbian", "raspbian", "12", ""),
    ("postmarketos", "postmarketos", "v25.06", ""),
    ("kylin (server)", "kylin", "V10", ""),
    ("kylin (desktop)", "kylin", "V10", "debian"),
    ("clearlinux", "clear-linux-os", "43760", ""),
];

/// Whether the images that people start from are judged by default, and by what.
pub(super) fn table(config: &FeedsConfig) -> String {
    let mut out = "## Bases of images\n\nWhether packages of the operating system are judged with the default feeds. Packages of \
        languages are, whatever the base is.\n\n\
        | base | ecosystem | judged by |\n|---|---|---|\n"
        .to_owned();
    for (name, id, version, more) in BASES {
        let more = more.to_owned();
        let (pretty_name, id_like, codename) = (more.clone(), more.clone(), more);
        let os = Os { id: id.into(), version_id: version.into(), pretty_name, id_like, codename, ..Os::default() };
        let ecosystems = os.ecosystems("");
        if ecosystems.is_empty() {
            let _ = writeln!(out, "| {name} | not known | nothing: always a gap |");
            continue;
        }
        let judged: Vec<String> = ecosystems.iter().map(|ecosystem| judged_by(config, ecosystem)).collect();
        let _ = writeln!(out, "| {name} | {} | {} |", ecosystem::listed(&ecosystems), judged.join("; "));
    }
    out
}

/// The feeds of an ecosystem.
fn judged_by(config: &FeedsConfig, ecosystem: &Ecosystem) -> String {
    let covers = |feed: &&Feed| feed.ecosystems.iter().any(|declared| is_declared(declared, ecosystem));
    let feeds: Vec<&str> = config.feeds.iter().filter(covers).map(|feed| feed.name.as_str()).collect();
    if feeds.is_empty() { "nothing: a gap, and needs a feed of your own".to_owned() } else { feeds.join(", ") }
}

/// Whether a feed that is declared complete for `declared` is so for this release, as far as it has rows of it.
fn is_declared(declared: &Ecosystem, ecosystem: &Ecosystem) -> bool {
    let canonical = ecosystem.clone().canonical();
    let every = declared.is_every_release() || declared.release() == Some("{release}");
    let every = every && declared.base() == canonical.base();
    every || declared.clone().canonical() == canonical
}
