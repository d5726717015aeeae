//! What a condition reads: `finding.…`. No field is ever absent, so that no condition needs `has()`.

use super::super::rule::{age_in_days, highest_score};
use crate::finding::{Finding, InstalledPackage};
use cel::Value;
use cel::objects::{Key, Map};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// The fields of a package.
pub(super) const PACKAGE_FIELDS: [&str; 4] = ["name", "version", "purl", PATHS];
/// In the image, from its root: `/app/package.json`.
pub(super) const PATHS: &str = "paths";
/// The age of what has no date, in days: as old as can be, so that no missing date hides a vulnerability.
const AGE_WITHOUT_DATE: i64 = 1_000_000;

/// A field of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum FindingField {
    /// The canonical name: a CVE where one is known.
    Id,
    /// All other names.
    Aliases,
    /// `CRITICAL` to `NEGLIGIBLE`, or `UNKNOWN`.
    Severity,
    /// The feed of that rating; empty for `UNKNOWN`.
    SeveritySource,
    /// As the criterion `cvss` reads it; 0 without any rating.
    Cvss,
    /// 0 where it is not known.
    Epss,
    /// Whether CISA's catalog lists it.
    KnownExploited,
    /// [`AGE_WITHOUT_DATE`] where none is known.
    DaysSincePublished,
    /// The smallest version without it first; empty without a fix.
    FixedVersions,
    /// `fixed`, `not-fixed`, `wont-fix`, `deferred`, `end-of-life` or `unknown`.
    FixState,
    /// `Debian:12`, `npm`: whose advisory it is.
    Ecosystem,
    /// The name in the advisory: of packages of an operating system the source package's.
    Package,
    /// Its version.
    InstalledVersion,
    /// The feed of the advisory.
    Feed,
    /// The installed packages.
    Packages,
}

impl FindingField {
    pub(super) const ALL: [FindingField; 15] = [
        FindingField::Id,
        FindingField::Aliases,
        FindingField::Severity,
        FindingField::SeveritySource,
        FindingField::Cvss,
        FindingField::Epss,
        FindingField::KnownExploited,
        FindingField::DaysSincePublished,
        FindingField::FixedVersions,
        FindingField::FixState,
        FindingField::Ecosystem,
        FindingField::Package,
        FindingField::InstalledVersion,
        FindingField::Feed,
        FindingField::Packages,
    ];

    /// The field of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == name)
    }

    /// As expressions name it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            FindingField::Id => "id",
            FindingField::Aliases => "aliases",
            FindingField::Severity => "severity",
            FindingField::SeveritySource => "severitySource",
            FindingField::Cvss => "cvss",
            FindingField::Epss => "epss",
            FindingField::KnownExploited => "knownExploited",
            FindingField::DaysSincePublished => "daysSincePublished",
            FindingField::FixedVersions => "fixedVersions",
            FindingField::FixState => "fixState",
            FindingField::Ecosystem => "ecosystem",
            FindingField::Package => "package",
            FindingField::InstalledVersion => "installedVersion",
            FindingField::Feed => "feed",
            FindingField::Packages => "packages",
        }
    }

    /// Whether it is a list.
    pub(super) const fn is_list(self) -> bool {
        matches!(self, FindingField::Aliases | FindingField::FixedVersions | FindingField::Packages)
    }

    /// Its value of a finding, `now`.
    pub(super) fn value(self, finding: &Finding, now: Timestamp) -> Value {
        match self {
            FindingField::Id => text(&finding.vulnerability),
            FindingField::Aliases => list(finding.aliases.iter().map(|name| text(name))),
            FindingField::Severity => word(&finding.severity),
            FindingField::SeveritySource => text(&finding.severity_source),
            FindingField::Cvss => Value::Float(highest_score(finding).unwrap_or_default()),
            FindingField::Epss => Value::Float(finding.epss.map(|epss| epss.score).unwrap_or_default()),
            FindingField::KnownExploited => Value::Bool(finding.kev.is_some()),
            FindingField::DaysSincePublished => Value::Int(age_in_days(finding, now).unwrap_or(AGE_WITHOUT_DATE)),
            FindingField::FixedVersions => list(finding.fixed_versions.iter().map(|version| text(version))),
            FindingField::FixState => word(&finding.fix_state),
            FindingField::Ecosystem => word(&finding.ecosystem),
            FindingField::Package => text(&finding.package),
            FindingField::InstalledVersion => text(&finding.installed_version),
            FindingField::Feed => text(&finding.feed),
            FindingField::Packages => list(finding.installed.iter().map(of_package)),
        }
    }

    /// A value of its type.
    pub(super) fn sample(self) -> Value {
        match self {
            FindingField::Cvss | FindingField::Epss => Value::Float(0.0),
            FindingField::KnownExploited => Value::Bool(false),
            FindingField::DaysSincePublished => Value::Int(0),
            FindingField::Packages => list([package("", "", "", list([text("/")]))]),
            list_of_texts if list_of_texts.is_list() => list([text("")]),
            _ => text(""),
        }
    }
}

fn of_package(installed: &InstalledPackage) -> Value {
    let paths = installed.locations.iter().map(|location| text(&format!("/{}", location.path)));
    package(&installed.name, &installed.version, &installed.purl, list(paths))
}

fn package(name: &str, version: &str, purl: &str, paths: Value) -> Value {
    let values = [text(name), text(version), text(purl), paths];
    let fields: HashMap<Key, Value> = PACKAGE_FIELDS.map(Key::from).into_iter().zip(values).collect();
    Value::Map(Map { map: Arc::new(fields) })
}

fn text(value: &str) -> Value {
    Value::String(Arc::new(value.to_owned()))
}

fn list(values: impl IntoIterator<Item = Value>) -> Value {
    Value::List(values.into_iter().collect::<Vec<_>>().into())
}

/// As reports write it.
fn word(value: &impl Serialize) -> Value {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Value::String(Arc::new(word)),
        _ => text(""),
    }
}
