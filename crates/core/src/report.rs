//! The report: everything one scan saw, in a documented and versioned form.

mod database;
mod form;

pub use database::{DatabaseInfo, FeedContent, StaleFeed, build_time};

use crate::ecosystem::{Ecosystem, EcosystemBase, Os};
use crate::finding::{Counts, Finding, SuppressedFinding};
use crate::image::{Digest, Platform};
use crate::package::Package;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Version of the JSON form. It rises when a field is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// The content of an image, before it is matched with a database. Depends on the image's bytes alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// The image.
    pub image: ImageInfo,
    /// Its layers, bottom first.
    pub layers: Vec<LayerInfo>,
    /// The operating system, when an os-release was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<Os>,
    /// Installed packages, sorted.
    pub packages: Vec<Package>,
    /// What could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The image that was scanned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageInfo {
    /// The image as the user named it.
    pub name: String,
    /// Digest of the platform's manifest, computed from its bytes.
    pub digest: Digest,
    /// Digest of the index the manifest was chosen from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_digest: Option<Digest>,
    /// Digest of the image's configuration.
    pub config_digest: Digest,
    /// Its platform.
    pub platform: Platform,
    /// How many of the lowest layers are the base image's, where the base was named or the history shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_layers: Option<usize>,
    /// Set where an SBOM stands for the image: name, digests and layers are what it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<SbomOrigin>,
}

/// The document that an inventory was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SbomOrigin {
    /// Its format and version: `CycloneDX 1.6`.
    pub format: String,
    /// Of its bytes. The image has this digest too where the document names none.
    pub digest: Digest,
}

impl ImageInfo {
    /// An image that was chosen from no index and whose base is unknown.
    pub fn new(name: impl Into<String>, digest: Digest, config_digest: Digest, platform: Platform) -> Self {
        ImageInfo {
            name: name.into(),
            digest,
            index_digest: None,
            config_digest,
            platform,
            base_layers: None,
            sbom: None,
        }
    }
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerInfo {
    /// Digest of the layer as stored.
    pub digest: Digest,
    /// Digest of the uncompressed tar, computed from its bytes; of a foreign layer that is absent, as the image's config
    /// claims it. The same goes for `digest`, which the manifest names.
    pub diff_id: Digest,
    /// Compressed size in bytes.
    pub size: u64,
    /// The history line that made it, when history and layers agree in number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

/// Something a scan could not see. A report with gaps is incomplete, never clean.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// Its kind.
    pub kind: GapKind,
    /// Its subject: a path, an ecosystem, a layer.
    pub subject: String,
    /// What happened, and what to do.
    pub message: String,
}

/// The kinds of gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GapKind {
    /// No os-release, or one of a distribution tidewaiter does not read.
    UnsupportedOs,
    /// The OS is known but its package database is absent.
    NoPackageDatabase,
    /// A file that an analyzer asked for could not be read.
    UnreadableFile,
    /// A limit was hit.
    LimitReached,
    /// No feed of the database is declared complete for this ecosystem or release, or tells the facts that a rule needs.
    NotCovered,
    /// No feed rates this ecosystem's vulnerabilities.
    NotRated,
    /// A package without a version cannot be matched.
    Unversioned,
    /// An advisory may apply to a package, and does not say enough to decide.
    Unclear,
    /// No package was found in the image.
    NothingRecognized,
    /// The database is too old to know what matters.
    OldDatabase,
    /// The image's release gets no security fixes any more, and no advisories.
    EndOfSupport,
}

impl GapKind {
    /// Whether it says what the database lacks, and not what could not be read. `Unclear` is either; it stays, as an incomplete report
    /// is never wrong.
    fn is_of_database(self) -> bool {
        matches!(
            self,
            GapKind::NotCovered
                | GapKind::NotRated
                | GapKind::Unversioned
                | GapKind::OldDatabase
                | GapKind::EndOfSupport
        )
    }
}

impl Inventory {
    /// The ecosystems of its packages, and those of whoever built packages again.
    pub fn ecosystems(&self) -> BTreeSet<Ecosystem> {
        let kinds: BTreeSet<_> = self.packages.iter().map(|package| (package.kind, package.tag.as_str())).collect();
        let os = self.os.as_ref();
        let originals = kinds.into_iter().flat_map(|(kind, tag)| kind.ecosystems(os, tag));
        originals.chain(self.packages.iter().filter_map(|package| package.rebuilt_ecosystem(os))).collect()
    }
}

/// Until when a release gets security fixes. Compared with the day when a report is evaluated or shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SupportPeriod {
    /// The release, as an ecosystem: `Debian:12`.
    pub ecosystem: Ecosystem,
    /// Last day with fixes for all users.
    pub until: Date,
    /// Last day of extended support, by volunteers or for subscribers (LTS, ESM), where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extended_until: Option<Date>,
}

impl SupportPeriod {
    /// Last day on which advisories are published for the release as an image names it. Extended support is another
    /// product with its own advisories, but for Debian and Ubuntu.
    pub fn advisories_until(&self) -> Date {
        let extended = matches!(self.ecosystem.base(), EcosystemBase::Debian | EcosystemBase::Ubuntu);
        self.extended_until.filter(|_| extended).unwrap_or(self.until)
    }
}

/// A finished scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "form::ReportForm")]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The content of the image.
    #[serde(flatten)]
    pub inventory: Inventory,
    /// The database that findings are from.
    pub database: DatabaseInfo,
    /// Findings, worst first, then by name.
    pub findings: Vec<Finding>,
    /// Findings that an exception or a VEX statement suppresses, with the reason; they do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<SuppressedFinding>,
    /// Records that are not about a vulnerability (unmaintained, unsound, notices). Neither counted nor evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub informational: Vec<Finding>,
    /// Until when the image's operating system gets security fixes, where a feed says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<SupportPeriod>,
    /// How many of each severity.
    pub counts: Counts,
    /// Whether it has no gap.
    pub complete: bool,
}

impl Report {
    /// Joins an inventory with its findings; sorts and counts them.
    pub fn new(mut inventory: Inventory, database: DatabaseInfo, mut findings: Vec<Finding>, gaps: Vec<Gap>) -> Self {
        inventory.gaps.extend(gaps);
        inventory.gaps.sort();
        inventory.gaps.dedup();
        findings.sort_by(order);
        let (findings, informational): (Vec<_>, Vec<_>) = findings.into_iter().partition(|f| f.class.counts());
        Report {
            schema_version: SCHEMA_VERSION,
            complete: inventory.gaps.is_empty(),
            counts: Counts::of(&findings),
            database: database.for_inventory(&inventory),
            inventory,
            findings,
            suppressed: Vec::new(),
            informational,
            support: None,
        }
    }

    /// What was read of the image, to be matched with another database: without findings, and without the gaps of this one.
    #[must_use]
    pub fn into_inventory(self) -> Inventory {
        let mut inventory = self.inventory;
        inventory.gaps.retain(|gap| !gap.kind.is_of_database());
        inventory
    }

    /// The report with some findings replaced, as matched with `database`. `None` when one of `removed` is not in it:
    /// then the change was computed for another report.
    #[must_use]
    pub fn patched(self, removed: &[Finding], added: &[Finding], database: DatabaseInfo) -> Option<Report> {
        let mut findings: Vec<Finding> = self.findings.into_iter().chain(self.informational).collect();
        for finding in removed {
            let place = findings.iter().position(|f| f == finding)?;
            findings.swap_remove(place);
        }
        findings.extend_from_slice(added);
        let support = self.support;
        Some(Report { support, suppressed: self.suppressed, ..Report::new(self.inventory, database, findings, vec![]) })
    }
}

/// Worst first, then by name; equals are the same finding.
fn order(a: &Finding, b: &Finding) -> Ordering {
    b.severity
        .cmp(&a.severity)
        .then_with(|| (&a.vulnerability, &a.package).cmp(&(&b.vulnerability, &b.package)))
        .then_with(|| (&a.installed_version, &a.advisory).cmp(&(&b.installed_version, &b.advisory)))
        .then_with(|| (&a.ecosystem, &a.installed).cmp(&(&b.ecosystem, &b.installed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_has_the_gaps_of_the_image_alone() {
        let check = |kind: GapKind, expected: usize| {
            let mut report = testing::report(vec![], vec![]);
            report.inventory.gaps.push(Gap { kind, subject: "x".to_owned(), message: "y".to_owned() });
            assert_eq!(report.into_inventory().gaps.len(), expected, "{kind:?}");
        };
        check(GapKind::UnreadableFile, 1);
        check(GapKind::UnsupportedOs, 1);
        check(GapKind::NoPackageDatabase, 1);
        check(GapKind::LimitReached, 1);
        check(GapKind::NothingRecognized, 1);
        check(GapKind::Unclear, 1);
        check(GapKind::NotCovered, 0);
        check(GapKind::NotRated, 0);
        check(GapKind::Unversioned, 0);
    }
}

/// Short constructors of reports, for tests of this crate.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::advisory::FixState;
    use crate::package::{Location, PackageType};
    use crate::severity::Severity;

    pub(crate) fn report(packages: Vec<Package>, findings: Vec<Finding>) -> Report {
        let digest = Digest::from_sha256([0; 32]);
        let platform = "linux/amd64".parse().unwrap();
        let image = ImageInfo::new("registry.example/team/app:v1", digest.clone(), digest, platform);
        let inventory = Inventory { image, layers: vec![], os: Some(Os::default()), packages, gaps: vec![] };
        // Young for tests that evaluate at the same time.
        let database = DatabaseInfo { built: Some(jiff::Timestamp::UNIX_EPOCH), ..DatabaseInfo::default() };
        Report::new(inventory, database, findings, vec![])
    }

    pub(crate) fn package(name: &str, version: &str) -> Package {
        let locations = vec![Location { path: format!("node_modules/{name}/package.json"), layer: 0 }];
        Package { locations, ..Package::new(PackageType::Npm, name, version) }
    }

    pub(crate) fn finding(vulnerability: &str, package: &str, severity: Severity) -> Finding {
        Finding {
            vulnerability: vulnerability.into(),
            advisory: vulnerability.into(),
            ecosystem: "npm".into(),
            package: package.into(),
            installed_version: "1".into(),
            fixed_versions: vec!["2".into()],
            fix_state: FixState::Fixed,
            severity,
            ..Finding::default()
        }
    }
}
