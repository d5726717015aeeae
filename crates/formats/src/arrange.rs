//! Which findings a document for people shows, in which order, and under which titles. What programs read has all of them, in
//! the order of the report.

mod natural;

use crate::view;
use natural::natural;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::str::FromStr;
use tidewaiter_core::finding::Finding;
use tidewaiter_core::report::Report;

/// How findings are shown. It never changes the verdict, nor the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrangement {
    /// Only those with a fixed version.
    pub only_fixed: bool,
    /// Their order.
    pub sort: SortKey,
    /// Their titles; `None`: one list.
    pub group_by: Option<GroupKey>,
}

/// An order of findings; equals keep the order of the report, which is that of severities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SortKey {
    /// Worst first.
    #[default]
    Severity,
    /// By the package's name.
    Package,
    /// By the vulnerability's name; numbers in it by their value.
    Id,
    /// The most probably exploited first.
    Epss,
    /// Those with a fixed version first.
    Fixed,
}

/// What findings have in common that are shown together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKey {
    /// The package, as its advisory names it.
    Package,
    /// The lowest layer, bottom first: from there on a finding is in every image that is built on it.
    Layer,
    /// Worst first.
    Severity,
    /// Each path of the package in the image; a finding of several is in each of their groups.
    Path,
}

/// No order, or group, has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no known key")]
pub struct UnknownKey(String);

impl SortKey {
    /// All, by name.
    pub const ALL: [(&'static str, SortKey); 5] = [
        ("severity", SortKey::Severity),
        ("package", SortKey::Package),
        ("id", SortKey::Id),
        ("epss", SortKey::Epss),
        ("fixed", SortKey::Fixed),
    ];

    fn compare(self, a: &Finding, b: &Finding) -> Ordering {
        let epss = |finding: &Finding| finding.epss.map_or(-1.0, |epss| epss.score);
        match self {
            // As the report has them.
            SortKey::Severity => Ordering::Equal,
            SortKey::Package => a.package.cmp(&b.package),
            SortKey::Id => natural(&a.vulnerability, &b.vulnerability),
            SortKey::Epss => epss(b).total_cmp(&epss(a)),
            SortKey::Fixed => a.fixed_versions.is_empty().cmp(&b.fixed_versions.is_empty()),
        }
    }
}

impl GroupKey {
    /// All, by name.
    pub const ALL: [(&'static str, GroupKey); 4] = [
        ("package", GroupKey::Package),
        ("layer", GroupKey::Layer),
        ("severity", GroupKey::Severity),
        ("path", GroupKey::Path),
    ];

    /// The groups of a finding: where each stands among all, and its title. Packages and paths stand where their first finding does.
    fn of(self, finding: &Finding, place: usize, report: &Report) -> Vec<(usize, String)> {
        match self {
            GroupKey::Package => vec![(place, finding.package.clone())],
            GroupKey::Severity => {
                let worst_first = usize::from(u8::MAX - finding.severity.code());
                vec![(worst_first, finding.severity.word().to_owned())]
            }
            GroupKey::Layer => {
                let layer = view::lowest_layer(finding);
                vec![(layer.unwrap_or(usize::MAX), layer_title(layer, report))]
            }
            GroupKey::Path => view::places(finding).iter().map(|at| (place, path_title(at.path))).collect(),
        }
    }
}

impl FromStr for SortKey {
    type Err = UnknownKey;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        named(&SortKey::ALL, name)
    }
}

impl FromStr for GroupKey {
    type Err = UnknownKey;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        named(&GroupKey::ALL, name)
    }
}

fn named<T: Copy>(all: &[(&str, T)], name: &str) -> Result<T, UnknownKey> {
    let known = all.iter().find(|(known, _)| *known == name);
    known.map(|(_, key)| *key).ok_or_else(|| UnknownKey(name.to_owned()))
}

/// `layer 2 (base): RUN apt-get install curl`.
fn layer_title(layer: Option<usize>, report: &Report) -> String {
    let Some(number) = layer else { return "no layer".to_owned() };
    let base = report.inventory.image.base_layers.unwrap_or_default();
    let made = report.inventory.layers.get(number - 1).and_then(|layer| layer.created_by.as_deref());
    let made = made.map(|by| format!(": {by}")).unwrap_or_default();
    format!("layer {number}{}{made}", if number <= base { " (base)" } else { "" })
}

fn path_title(path: &str) -> String {
    if path.is_empty() { "no path".to_owned() } else { format!("/{path}") }
}

/// The findings of a report, as they are shown.
#[derive(Debug)]
pub struct ArrangedFindings<'a> {
    /// At least one finding each.
    pub groups: Vec<FindingGroup<'a>>,
    /// How many findings are not shown.
    hidden: usize,
}

/// Findings that are shown together.
#[derive(Debug)]
pub struct FindingGroup<'a> {
    /// What they have in common, as it is in the image; `None` where there are no groups.
    pub title: Option<String>,
    /// The findings.
    pub findings: Vec<&'a Finding>,
}

impl Arrangement {
    /// The findings of a report.
    pub fn of<'a>(&self, report: &'a Report) -> ArrangedFindings<'a> {
        let is_shown = |finding: &&Finding| !self.only_fixed || !finding.fixed_versions.is_empty();
        let mut shown: Vec<&Finding> = report.findings.iter().filter(is_shown).collect();
        shown.sort_by(|a, b| self.sort.compare(a, b));
        let hidden = report.findings.len() - shown.len();
        let groups = match self.group_by {
            None if shown.is_empty() => Vec::new(),
            None => vec![FindingGroup { title: None, findings: shown }],
            Some(key) => grouped(key, &shown, report),
        };
        ArrangedFindings { groups, hidden }
    }
}

fn grouped<'a>(key: GroupKey, findings: &[&'a Finding], report: &Report) -> Vec<FindingGroup<'a>> {
    let mut groups: BTreeMap<String, (usize, Vec<&Finding>)> = BTreeMap::new();
    for (place, finding) in findings.iter().enumerate() {
        for (order, title) in key.of(finding, place, report) {
            groups.entry(title).or_insert_with(|| (order, Vec::new())).1.push(finding);
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (order, findings))| (*order, Reverse(findings.len())));
    groups.into_iter().map(|(title, (_, findings))| FindingGroup { title: Some(title), findings }).collect()
}

impl ArrangedFindings<'_> {
    /// That there are more, where there are.
    pub fn hidden(&self) -> Option<String> {
        let what = if self.hidden == 1 { "finding" } else { "findings" };
        let hidden = self.hidden;
        (hidden > 0)
            .then(|| format!("Not shown: {hidden} {what} without a fixed version. The verdict is about all findings."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::Epss;
    use tidewaiter_core::finding::InstalledPackage;
    use tidewaiter_core::image::Digest;
    use tidewaiter_core::package::Location;
    use tidewaiter_core::report::{DatabaseInfo, ImageInfo, Inventory, LayerInfo};
    use tidewaiter_core::severity::Severity;

    fn finding(
        id: &str,
        package: &str,
        severity: Severity,
        fixed: bool,
        epss: Option<f64>,
        at: &[(&str, usize)],
    ) -> Finding {
        let locations = at.iter().map(|(path, layer)| Location { path: (*path).into(), layer: *layer }).collect();
        let installed = InstalledPackage {
            name: package.into(),
            version: "1".into(),
            purl: format!("pkg:npm/{package}@1"),
            locations,
        };
        Finding {
            vulnerability: id.into(),
            package: package.into(),
            severity,
            fixed_versions: fixed.then(|| "2".to_owned()).into_iter().collect(),
            epss: epss.map(|score| Epss { score, percentile: 0.0 }),
            installed: vec![installed],
            ..Finding::default()
        }
    }

    /// Two layers, the lower one the base's; four findings.
    fn report() -> Report {
        let digest = Digest::from_sha256([0; 32]);
        let mut image = ImageInfo::new("app", digest.clone(), digest.clone(), "linux/amd64".parse().unwrap());
        image.base_layers = Some(1);
        let layer = |by: &str| LayerInfo {
            digest: digest.clone(),
            diff_id: digest.clone(),
            size: 1,
            created_by: Some(by.to_owned()),
        };
        let inventory = Inventory {
            image,
            layers: vec![layer("ADD base"), layer("COPY app")],
            os: None,
            packages: vec![],
            gaps: vec![],
        };
        let findings = vec![
            finding("CVE-2025-1000", "b", Severity::Critical, false, Some(0.1), &[("x/b", 1), ("y/b", 1)]),
            finding("CVE-2025-999", "a", Severity::High, true, None, &[("x/a", 0)]),
            finding("CVE-2025-1001", "b", Severity::High, true, Some(0.9), &[("x/b", 1)]),
            finding("CVE-2024-5", "c", Severity::Low, false, None, &[]),
        ];
        Report::new(inventory, DatabaseInfo::default(), findings, vec![])
    }

    fn ids<'a>(arranged: &ArrangedFindings<'a>) -> Vec<(String, Vec<&'a str>)> {
        let of = |group: &FindingGroup<'a>| {
            let ids = group.findings.iter().map(|finding| &finding.vulnerability[4..]).collect();
            (group.title.clone().unwrap_or_default(), ids)
        };
        arranged.groups.iter().map(of).collect()
    }

    #[test]
    fn findings_are_sorted() {
        let report = report();
        let check = |key: &str, only_fixed: bool, expected: &[&str]| {
            let arranged = Arrangement { sort: key.parse().unwrap(), only_fixed, group_by: None }.of(&report);
            assert_eq!(ids(&arranged), [(String::new(), expected.to_vec())], "{key} {only_fixed}");
        };
        check("severity", false, &["2025-1000", "2025-1001", "2025-999", "2024-5"]);
        check("package", false, &["2025-999", "2025-1000", "2025-1001", "2024-5"]);
        check("id", false, &["2024-5", "2025-999", "2025-1000", "2025-1001"]);
        check("epss", false, &["2025-1001", "2025-1000", "2025-999", "2024-5"]);
        check("fixed", false, &["2025-1001", "2025-999", "2025-1000", "2024-5"]);
        check("severity", true, &["2025-1001", "2025-999"]);
    }

    #[test]
    fn findings_are_grouped() {
        let report = report();
        let check = |key: &str, expected: &[(&str, &[&str])]| {
            let arranged = Arrangement { group_by: key.parse().ok(), ..Arrangement::default() }.of(&report);
            let expected: Vec<_> = expected.iter().map(|(title, ids)| ((*title).to_owned(), ids.to_vec())).collect();
            assert_eq!(ids(&arranged), expected, "{key}");
        };
        check("package", &[("b", &["2025-1000", "2025-1001"]), ("a", &["2025-999"]), ("c", &["2024-5"])]);
        check(
            "layer",
            &[
                ("layer 1 (base): ADD base", &["2025-999"]),
                ("layer 2: COPY app", &["2025-1000", "2025-1001"]),
                ("no layer", &["2024-5"]),
            ],
        );
        check("severity", &[("critical", &["2025-1000"]), ("high", &["2025-1001", "2025-999"]), ("low", &["2024-5"])]);
        check(
            "path",
            &[
                ("/x/b", &["2025-1000", "2025-1001"]),
                ("/y/b", &["2025-1000"]),
                ("/x/a", &["2025-999"]),
                ("no path", &["2024-5"]),
            ],
        );
    }

    #[test]
    fn what_is_not_shown_is_counted() {
        let hidden = |only_fixed: bool| Arrangement { only_fixed, ..Arrangement::default() }.of(&report()).hidden();
        assert_eq!(hidden(false), None);
        assert_eq!(
            hidden(true).unwrap(),
            "Not shown: 2 findings without a fixed version. The verdict is about all findings."
        );
    }
}
