//! Packages that a third party built again with fixes of its own: whose build one is, what its original is called, and which
//! ecosystem has the builder's advisories.

mod mark;

use super::{Ecosystem, EcosystemBase as Base, Os, debian};
use crate::package_type::PackageType;
use std::borrow::Cow;

/// Who builds packages of others again. Builds are marked in their version, and some in their name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rebuilder {
    /// Root, whose later builds have the mark of Aikido: `1.2-3.root.io.1`, `1.2-3.aikido.1`; of Alpine `1.2-r20071`.
    Root,
    /// TuxCare, which supports old releases: `1.2-3+tuxcare.els1`, `1.2-3.el7.tuxcare.els1`, `1.2-tuxcare.1`.
    TuxCare,
}

impl Rebuilder {
    const ALL: [Self; 2] = [Self::Root, Self::TuxCare];

    /// Whose package one is, by its name or by the mark in its version; `None` for an original. A name tells what the
    /// original is called, and not what was fixed: see [`Self::of_version`].
    pub fn of(kind: PackageType, name: &str, version: &str) -> Option<Self> {
        Self::of_version(kind, version).or_else(|| Self::of_name(kind, name))
    }

    /// Whose the name is that a package was published under, as both do beside the original's.
    fn of_name(kind: PackageType, name: &str) -> Option<Self> {
        let is_of = |rebuilder: Self| match (rebuilder, kind) {
            (Self::Root, PackageType::Npm) => name.starts_with("@rootio/"),
            (Self::Root, PackageType::Maven) => name.starts_with("io.root."),
            (Self::Root, _) => name.starts_with("rootio-") || name.starts_with("rootio_"),
            (Self::TuxCare, PackageType::Npm) => name.starts_with("@els-"),
            (Self::TuxCare, _) => false,
        };
        Self::among(kind, is_of)
    }

    /// The one that builds packages of a kind, and is the one asked for.
    fn among(kind: PackageType, is_of: impl Fn(Self) -> bool) -> Option<Self> {
        Self::ALL.into_iter().find(|rebuilder| rebuilder.kinds().contains(&kind) && is_of(*rebuilder))
    }

    /// Its name, which begins the ecosystems of its advisories.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "Root",
            Self::TuxCare => "TuxCare",
        }
    }

    /// The ecosystem of its advisories about packages of a kind, of an image's system where they are the system's; `None`
    /// where none is known. TuxCare has one for each minor release of CentOS 8, which no image of it names.
    pub fn ecosystem(self, kind: PackageType, os: Option<&Os>) -> Option<Ecosystem> {
        let release = match os.filter(|os| os.package_type() == Some(kind)) {
            Some(os) => self.release(os)?,
            None if kind.is_os() => return None,
            None => kind.names().1.to_owned(),
        };
        Some(Ecosystem::with_release(self.name(), &release))
    }

    fn release(self, os: &Os) -> Option<String> {
        let ecosystem = os.ecosystem()?;
        let release = ecosystem.release()?;
        Some(match (self, ecosystem.base()) {
            (_, Base::Debian) => format!("Debian:{release}"),
            (_, Base::Ubuntu) => format!("Ubuntu:{}", without_marks(release)),
            (Self::Root, Base::Alpine) => format!("Alpine:{}", without_marks(release)),
            (Self::TuxCare, Base::AlmaLinux) => format!("AlmaLinux:{}", os.version_id),
            (Self::TuxCare, Base::RedHat) if os.id == "rhel" => format!("RHEL:{}", os.version_id.split('.').next()?),
            (Self::TuxCare, Base::OracleLinux) => format!("OracleLinux:{release}"),
            (Self::TuxCare, Base::CentOs) if ["6", "7"].contains(&release) => format!("CentOS:{release}"),
            (Self::TuxCare, Base::CentOsStream) => format!("CentOS-Stream:{release}"),
            _ => return None,
        })
    }

    /// What the original of one of its packages is called; `None` where that does not follow from the name. TuxCare
    /// publishes npm packages as `@els-js/lodash` and `@els-angular/angular-upgrade` (of `@angular/upgrade`).
    pub fn original_name(self, kind: PackageType, name: &str) -> Option<Cow<'_, str>> {
        let name = match (self, kind) {
            (Self::TuxCare, PackageType::Npm) if name.starts_with("@els-") => return None,
            (Self::TuxCare, _) => return Some(name.into()),
            (Self::Root, PackageType::Npm) => name.strip_prefix("@rootio/").unwrap_or(name),
            (Self::Root, PackageType::Maven) => name.strip_prefix("io.root.").unwrap_or(name),
            (Self::Root, _) => name.strip_prefix("rootio-").or(name.strip_prefix("rootio_")).unwrap_or(name),
        };
        let scoped = name.split_once("__").filter(|_| kind == PackageType::Npm && !name.starts_with('@'));
        Some(scoped.map_or(name.into(), |(scope, name)| format!("@{scope}/{name}").into()))
    }

    /// Whose advisories name their original for certain.
    fn kinds(self) -> &'static [PackageType] {
        use PackageType as Kind;
        match self {
            Self::Root => &[Kind::Deb, Kind::Apk, Kind::Npm, Kind::Pypi, Kind::Maven],
            Self::TuxCare => &[Kind::Deb, Kind::Rpm, Kind::Npm, Kind::Pypi, Kind::Maven, Kind::Composer],
        }
    }
}

/// The ecosystem whose packages are built again: `Debian:12` of Root's `Debian:12`, `Red Hat` of TuxCare's `RHEL:8`.
pub(super) fn original(base: &Base, release: &str) -> Option<Ecosystem> {
    let (name, number) = release.split_once(':').unwrap_or((release, ""));
    let original = match (base, name) {
        (Base::TuxCare, "RHEL") => Base::RedHat,
        (Base::TuxCare, "OracleLinux") => Base::OracleLinux,
        (Base::TuxCare, "CentOS-Stream") => Base::CentOsStream,
        (Base::TuxCare, "AlmaLinux" | "CentOS" | "Packagist") => name.into(),
        (Base::Root, "Alpine") => Base::Alpine,
        (Base::Root | Base::TuxCare, "Debian" | "Ubuntu" | "npm" | "PyPI" | "Maven") => name.into(),
        _ => return None,
    };
    Some(if number.is_empty() { Ecosystem::new(original) } else { Ecosystem::with_release(original, number) })
}

/// A name in a builder's advisories, as packages are looked up: the original's, in the original's spelling.
pub(super) fn normalize(ecosystem: &Ecosystem, name: &str) -> String {
    let Some(original) = ecosystem.upstream() else { return name.to_owned() };
    let kind = match original.base() {
        Base::Npm => PackageType::Npm,
        Base::PyPi => PackageType::Pypi,
        Base::Maven => PackageType::Maven,
        Base::Packagist => PackageType::Composer,
        // Those of systems are named by one rule.
        _ => PackageType::Deb,
    };
    let rebuilder = if *ecosystem.base() == Base::Root { Rebuilder::Root } else { Rebuilder::TuxCare };
    original.normalize(&rebuilder.original_name(kind, name).unwrap_or(name.into()))
}

/// One name for each release: `Alpine:3.18` of `Alpine:v3.18`, `Debian:12` of `Debian:bookworm`, `Ubuntu:22.04` of
/// `Ubuntu:22.04:LTS`.
pub(super) fn canonical_release(release: &str) -> Option<String> {
    let (name, number) = release.split_once(':')?;
    let number = match name {
        "Debian" => debian::release(number).unwrap_or(number),
        "Alpine" | "Ubuntu" => without_marks(number),
        _ => number,
    };
    Some(format!("{name}:{number}"))
}

fn without_marks(release: &str) -> &str {
    let release = release.strip_suffix(":LTS").unwrap_or(release);
    release.strip_prefix('v').unwrap_or(release)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::VersionScheme;
    use PackageType as Kind;
    use Rebuilder::{Root, TuxCare};

    #[test]
    fn builds_are_known_by_their_version_or_name() {
        let check = |kind: Kind, name: &str, version: &str, expected: Option<Rebuilder>| {
            assert_eq!(Rebuilder::of(kind, name, version), expected, "{kind:?} {name} {version}");
        };
        check(Kind::Deb, "curl", "7.88.1-10+deb12u14.root.io.10", Some(Root));
        check(Kind::Deb, "curl", "8.5.0-2ubuntu10.11.aikido.1", Some(Root));
        check(Kind::Deb, "libc6", "2.31-13+deb11u4.root.io", Some(Root));
        check(Kind::Deb, "curl", "7.88.1-10+deb12u14", None);
        check(Kind::Apk, "openssl", "3.1.8-r00073", Some(Root));
        check(Kind::Apk, "rootio-krb5-libs", "1.20.2-r10077", Some(Root));
        check(Kind::Apk, "openssl", "3.1.8-r100071", Some(Root));
        check(Kind::Apk, "openssl", "3.1.8-r0", None);
        check(Kind::Apk, "openssl", "3.1.8-r0071", None);
        check(Kind::Apk, "openssl", "3.1.8-r10171", None);
        check(Kind::Apk, "openssl", "3.1.8-r000710", None);
        check(Kind::Apk, "openssl", "3.1.8_root.io", None);
        check(Kind::Pypi, "django", "4.0.1+root.io.1", Some(Root));
        check(Kind::Pypi, "rootio-tool", "1.0", Some(Root));
        check(Kind::Pypi, "rootio_requests", "2.28.0", Some(Root));
        check(Kind::Pypi, "rootiota", "1.0", None);
        check(Kind::Apk, "rootio-openssl", "3.1.8-r0", Some(Root));
        check(Kind::Deb, "rootio-curl", "7.88.1-10", Some(Root));
        check(Kind::Gem, "rootio-puma", "5.6.4", None);
        check(Kind::Npm, "axios", "1.15.0-aikido.11", Some(Root));
        check(Kind::Npm, "@rootio/axios", "1.15.0", Some(Root));
        check(Kind::Npm, "@els-js/lodash", "4.17.21", Some(TuxCare));
        check(Kind::Npm, "@elsewhere/lodash", "4.17.21", None);
        check(Kind::Maven, "io.root.org.springframework:spring-core", "5.3.30", Some(Root));
        check(Kind::Gem, "puma", "5.6.4+root.io.1", None);
        check(Kind::Rpm, "glibc", "2.28-151.el8.root.io", None);
        check(Kind::Rpm, "lz4", "1.8.3-1.el7.tuxcare.els1", Some(TuxCare));
        check(Kind::Rpm, "openssl-libs", "1:3.2.2-7.el9_6.tuxcare.1.els7", Some(TuxCare));
        check(Kind::Deb, "squid-cgi", "3.5.27-1ubuntu1.14+tuxcare.els3", Some(TuxCare));
        check(Kind::Deb, "ca-certificates", "20221215~16.04.1ubuntu0.1~tuxcare.els1", Some(TuxCare));
        check(Kind::Composer, "symfony/mime", "v7.4.9-p1+tuxcare", Some(TuxCare));
        check(Kind::Npm, "tuxcare", "1.0.0-tuxcarelike.1", None);
        check(Kind::Apk, "curl", "8.0-r0.tuxcare.1", None);
    }

    #[test]
    fn advisories_are_those_of_the_release_that_was_built_again() {
        let check = |rebuilder: Rebuilder, kind: Kind, (id, version, pretty): (&str, &str, &str), expected: &str| {
            let [id, version_id, pretty_name] = [id, version, pretty].map(str::to_owned);
            let os = Os { id, version_id, pretty_name, ..Os::default() };
            let found = rebuilder.ecosystem(kind, Some(&os));
            assert_eq!(found.clone().map(|e| e.to_string()).unwrap_or_default(), expected, "{os:?}");
            assert_eq!(found.clone().map(Ecosystem::canonical), found, "{os:?}");
            assert!(found.is_none_or(|e| e.is_askable() && e.version_scheme().is_some()), "{os:?}");
        };
        check(Root, Kind::Deb, ("debian", "12", ""), "Root:Debian:12");
        check(Root, Kind::Deb, ("ubuntu", "22.04", ""), "Root:Ubuntu:22.04");
        check(Root, Kind::Apk, ("alpine", "3.18.4", ""), "Root:Alpine:3.18");
        check(Root, Kind::Apk, ("wolfi", "20230201", ""), "");
        check(Root, Kind::Deb, ("alpine", "3.18.4", ""), "");
        check(Root, Kind::Npm, ("alpine", "3.18.4", ""), "Root:npm");
        check(TuxCare, Kind::Deb, ("ubuntu", "18.04", ""), "TuxCare:Ubuntu:18.04");
        check(TuxCare, Kind::Rpm, ("almalinux", "9.2", ""), "TuxCare:AlmaLinux:9.2");
        check(TuxCare, Kind::Rpm, ("rhel", "8.4", ""), "TuxCare:RHEL:8");
        check(TuxCare, Kind::Rpm, ("hummingbird", "1", ""), "");
        check(TuxCare, Kind::Rpm, ("ol", "7.9", ""), "TuxCare:OracleLinux:7");
        check(TuxCare, Kind::Rpm, ("centos", "7", "CentOS Linux 7 (Core)"), "TuxCare:CentOS:7");
        check(TuxCare, Kind::Rpm, ("centos", "8", "CentOS Linux 8"), "");
        check(TuxCare, Kind::Rpm, ("centos", "8", "CentOS Stream 8"), "TuxCare:CentOS-Stream:8");
        check(TuxCare, Kind::Rpm, ("fedora", "39", ""), "");
        check(TuxCare, Kind::Composer, ("debian", "12", ""), "TuxCare:Packagist");
    }

    #[test]
    fn originals_have_names() {
        let check = |rebuilder: Rebuilder, kind: Kind, name: &str, expected: Option<&str>| {
            assert_eq!(rebuilder.original_name(kind, name).as_deref(), expected, "{name}");
        };
        check(Root, Kind::Deb, "rootio-postgresql-15", Some("postgresql-15"));
        check(Root, Kind::Deb, "postgresql-15", Some("postgresql-15"));
        check(Root, Kind::Apk, "rootio-libssl3", Some("libssl3"));
        check(Root, Kind::Pypi, "rootio_requests", Some("requests"));
        check(Root, Kind::Npm, "@rootio/axios", Some("axios"));
        check(Root, Kind::Npm, "@rootio/babel__core", Some("@babel/core"));
        check(Root, Kind::Npm, "@babel/core", Some("@babel/core"));
        check(Root, Kind::Maven, "io.root.org.eclipse.jetty:jetty-http", Some("org.eclipse.jetty:jetty-http"));
        check(TuxCare, Kind::Npm, "semver", Some("semver"));
        check(TuxCare, Kind::Npm, "@els-js/lodash", None);
        check(TuxCare, Kind::Npm, "@els-angular/angular-upgrade", None);
        check(TuxCare, Kind::Pypi, "dnspython", Some("dnspython"));
    }

    #[test]
    fn releases_have_one_name_and_the_order_of_the_original() {
        let check = |ecosystem: &str, canonical: &str, expected: Option<VersionScheme>| {
            let found = Ecosystem::from(ecosystem);
            assert_eq!(found.version_scheme(), expected, "{ecosystem}");
            assert_eq!(found.canonical().to_string(), canonical, "{ecosystem}");
        };
        check("Root:Alpine:v3.18", "Root:Alpine:3.18", Some(VersionScheme::Apk));
        check("Root:Debian:bookworm", "Root:Debian:12", Some(VersionScheme::Deb));
        check("Root:Ubuntu:22.04", "Root:Ubuntu:22.04", Some(VersionScheme::Deb));
        check("Root:PyPI", "Root:PyPI", Some(VersionScheme::Pep440));
        check("Root:npm", "Root:npm", Some(VersionScheme::SemVer));
        check("Root:Maven", "Root:Maven", Some(VersionScheme::Maven));
        check("Root:Go", "Root:Go", None);
        check("Root", "Root", None);
        check("TuxCare:Ubuntu:22.04:LTS", "TuxCare:Ubuntu:22.04", Some(VersionScheme::Deb));
        check("TuxCare:RHEL:8", "TuxCare:RHEL:8", Some(VersionScheme::Rpm));
        check("TuxCare:CentOS-Stream:8", "TuxCare:CentOS-Stream:8", Some(VersionScheme::Rpm));
        check("TuxCare:OracleLinux:7", "TuxCare:OracleLinux:7", Some(VersionScheme::Rpm));
        check("TuxCare:AlmaLinux:9.2", "TuxCare:AlmaLinux:9.2", Some(VersionScheme::Rpm));
        check("TuxCare:Packagist", "TuxCare:Packagist", Some(VersionScheme::Packagist));
        check("TuxCare:TuxCare:npm", "TuxCare:TuxCare:npm", None);
    }

    #[test]
    fn rows_have_the_names_of_originals() {
        let check = |ecosystem: &str, name: &str, expected: &str| {
            assert_eq!(Ecosystem::from(ecosystem).normalize(name), expected, "{ecosystem}");
        };
        check("Root:Debian:12", "rootio-curl", "curl");
        check("Root:npm", "@rootio/babel__core", "@babel/core");
        check("Root:PyPI", "rootio_Zope.Interface", "zope-interface");
        check("Root:Maven", "io.root.org.eclipse.jetty:jetty-http", "org.eclipse.jetty:jetty-http");
        check("TuxCare:Packagist", "Symfony/Mime", "symfony/mime");
        check("TuxCare:Debian:10", "bind9", "bind9");
    }
}
