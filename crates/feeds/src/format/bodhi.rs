//! Bodhi, Fedora's update system: pages of `/updates/`, each update with its builds and the bugs that it fixes.
//!
//! A build is a source package, named by name-version-release and, apart from that, its epoch. Which CVEs an update fixes stands in
//! the titles of its security bugs ("CVE-2025-24928 libxml2: …"), else in the name that its packager gave it.

use super::{FeedContext, Problem, Records, records};
use serde::Deserialize;
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::{Rating, Severity};

#[derive(Deserialize)]
struct Page {
    updates: Vec<BodhiUpdate>,
}

#[derive(Deserialize)]
struct BodhiUpdate {
    /// `FEDORA-2025-21c36b3aa5`.
    alias: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    severity: Option<String>,
    /// The packager's own title; often empty.
    display_name: Option<String>,
    /// Name-version-release of each build.
    title: Option<String>,
    url: Option<String>,
    /// "2025-03-29 12:00:00", in UTC.
    date_stable: Option<String>,
    release: BodhiRelease,
    #[serde(default)]
    bugs: Vec<Bug>,
    #[serde(default)]
    builds: Vec<Build>,
}

#[derive(Deserialize)]
struct BodhiRelease {
    /// `42`; `eln` has no number.
    version: String,
    /// `FEDORA`; EPEL, modules, containers and Flatpaks have others.
    id_prefix: String,
}

#[derive(Deserialize)]
struct Bug {
    #[serde(default)]
    security: bool,
    title: Option<String>,
}

#[derive(Deserialize)]
struct Build {
    nvr: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// `null` in old updates, as 0.
    epoch: Option<u32>,
}

/// Reads one page.
///
/// # Errors
/// When it is JSON of another shape.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !name.ends_with(".json") {
        return Ok(false);
    }
    let page: Page = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    for update in page.updates {
        match advisory(&update, &feed.name) {
            Ok(advisory) => records.advisories.push(advisory),
            Err(reason) => records.skip(reason),
        }
    }
    Ok(true)
}

/// The advisory of an update, or why there is none.
fn advisory(update: &BodhiUpdate, feed: &str) -> Result<Advisory, &'static str> {
    if update.kind != "security" || update.status != "stable" {
        return Err("is not a security update that was released");
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if update.release.id_prefix != "FEDORA" || !is_number(&update.release.version) {
        return Err("is of EPEL, modules, containers, Flatpaks or ELN, not of a release of Fedora");
    }
    let ecosystem = Ecosystem::with_release(EcosystemBase::Fedora, &update.release.version);
    let affected: Vec<Affected> = update.builds.iter().filter_map(|build| row(build, &ecosystem)).collect();
    if affected.is_empty() {
        return Err("has no build of an rpm");
    }
    let rating = severity(update.severity.as_deref().unwrap_or_default());
    Ok(Advisory {
        id: update.alias.clone(),
        feed: feed.to_owned(),
        upstream: cves(update),
        ratings: rating.map(|severity| Rating::of_level(feed, severity)).into_iter().collect(),
        summary: update.display_name.iter().chain(&update.title).find(|t| !t.is_empty()).cloned().unwrap_or_default(),
        modified: update.date_stable.as_deref().unwrap_or_default().replacen(' ', "T", 1),
        published: update.date_stable.as_deref().and_then(records::day),
        references: update.url.iter().filter(|url| url.starts_with("https://")).cloned().collect(),
        affected,
        ..Advisory::default()
    })
}

/// The packages of a module are in an update of their own; a release that says so would not be plain rpms'.
fn row(build: &Build, ecosystem: &Ecosystem) -> Option<Affected> {
    if build.kind.as_deref().is_some_and(|kind| kind != "rpm") || build.nvr.contains(".module_") {
        return None;
    }
    let mut parts = build.nvr.rsplitn(3, '-');
    let (release, version, name) = (parts.next()?, parts.next()?, parts.next()?);
    if [release, version, name].contains(&"") {
        return None;
    }
    let fixed = format!("{}:{version}-{release}", build.epoch.unwrap_or_default());
    Some(Affected::new(ecosystem.clone(), name, KeyKind::Source).fixed_in(&fixed))
}

/// None of an update that is not rated; Bodhi asks for a rating of every security update.
fn severity(word: &str) -> Option<Severity> {
    match word {
        "urgent" => Some(Severity::Critical),
        "high" => Some(Severity::High),
        "medium" => Some(Severity::Medium),
        "low" => Some(Severity::Low),
        _ => None,
    }
}

fn cves(update: &BodhiUpdate) -> Vec<String> {
    let bugs = update.bugs.iter().filter(|bug| bug.security).filter_map(|bug| bug.title.as_deref());
    let names = [&update.display_name, &update.title].into_iter().filter_map(|text| text.as_deref());
    let mut found: Vec<String> = bugs.flat_map(named).collect();
    if found.is_empty() {
        found = names.map(named).find(|named| !named.is_empty()).unwrap_or_default();
    }
    found.sort();
    found.dedup();
    found
}

/// The CVEs that a text names.
fn named(text: &str) -> Vec<String> {
    text.match_indices("CVE-").filter_map(|(at, _)| cve(text.get(at..)?)).collect()
}

/// The CVE at the beginning of a text: four digits of a year, four or more of a number.
fn cve(text: &str) -> Option<String> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (year, number) = text.strip_prefix("CVE-")?.split_once('-')?;
    let long = digits(number);
    (year.len() == 4 && digits(year) == 4 && long >= 4).then(|| format!("CVE-{year}-{}", &number[..long]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;

    /// An update of libxml2 with these fields in place of its own.
    fn page(fields: &[(&str, serde_json::Value)]) -> String {
        let mut update = serde_json::json!({
            "alias": "FEDORA-2025-ccc3333333", "display_name": "", "title": "libxml2-2.12.10-1.fc40", "type": "security",
            "status": "stable", "severity": "medium", "date_stable": "2025-03-29 12:00:00",
            "url": "https://bodhi.fedoraproject.org/updates/FEDORA-2025-ccc3333333", "test_cases": [],
            "release": {"name": "F40", "version": "40", "id_prefix": "FEDORA", "branch": "f40", "state": "current"},
            "bugs": [{"bug_id": 2346509, "security": true, "title": "CVE-2024-56171 libxml2: use after free [fedora-40]"}],
            "builds": [{"nvr": "libxml2-2.12.10-1.fc40", "type": "rpm", "epoch": 0}]
        });
        for (name, value) in fields {
            update[*name] = value.clone();
        }
        serde_json::json!({"updates": [update], "page": 1, "pages": 1, "rows_per_page": 100, "total": 1}).to_string()
    }

    /// With these fields: "package fixed" of each row, or the reason for which there is none.
    fn check(fields: &[(&str, serde_json::Value)], expected: &str) {
        let mut records = Records::default();
        assert!(parse("a/0001.json", page(fields).as_bytes(), &feed("fedora", &[]), &mut records).unwrap());
        let row = |row: &Affected| {
            assert_eq!(row.key, KeyKind::Source);
            format!("{} {} {:?}", row.ecosystem, row.package, row.intervals[0].end)
        };
        let rows = records.advisories.iter().flat_map(|advisory| &advisory.affected).map(row);
        let all: Vec<String> = rows.chain(records.skipped.into_keys()).collect();
        assert_eq!(all.join("; "), expected);
    }

    #[test]
    fn builds_are_source_packages() {
        use serde_json::json;
        check(&[], r#"Fedora:40 libxml2 Fixed("0:2.12.10-1.fc40")"#);
        let builds = json!([
            {"nvr": "java-17-openjdk-17.0.14.0.7-1.fc40", "type": "rpm", "epoch": 1},
            {"nvr": "docs-3~rc1^git-2.fc40", "epoch": null},
            {"nvr": "app-stable-4020.1", "type": "flatpak", "epoch": null},
            {"nvr": "perl-5-1.module_f40+1+2", "type": "rpm", "epoch": 0},
            {"nvr": "nonsense", "type": "rpm"}, {"nvr": "-1-2", "type": "rpm"}
        ]);
        let rows =
            r#"Fedora:40 java-17-openjdk Fixed("1:17.0.14.0.7-1.fc40"); Fedora:40 docs Fixed("0:3~rc1^git-2.fc40")"#;
        check(&[("builds", builds)], rows);
        check(&[("builds", json!([]))], "has no build of an rpm");
        let other = "is of EPEL, modules, containers, Flatpaks or ELN, not of a release of Fedora";
        for prefix in ["FEDORA-EPEL", "FEDORA-MODULAR", "FEDORA-FLATPAK", "FEDORA-CONTAINER"] {
            check(&[("release", json!({"version": "40", "id_prefix": prefix}))], other);
        }
        check(&[("release", json!({"version": "eln", "id_prefix": "FEDORA"}))], other);
        check(&[("status", json!("testing"))], "is not a security update that was released");
        check(&[("type", json!("bugfix"))], "is not a security update that was released");
    }

    #[test]
    fn bugs_name_cves_and_words_rate() {
        use serde_json::json;
        let check = |fields: &[(&str, serde_json::Value)], cves: &[&str], level: Option<Severity>| {
            let mut records = Records::default();
            parse("1.json", page(fields).as_bytes(), &feed("fedora", &[]), &mut records).unwrap();
            let advisory = &records.advisories[0];
            let found = advisory.ratings.first().map(|rating| rating.severity);
            let named: Vec<&str> = advisory.upstream.iter().map(String::as_str).collect();
            assert_eq!((named.as_slice(), found), (cves, level), "{fields:?}");
            assert_eq!(
                (advisory.id.as_str(), advisory.modified.as_str()),
                ("FEDORA-2025-ccc3333333", "2025-03-29T12:00:00")
            );
        };
        let medium = Some(Severity::Medium);
        check(&[], &["CVE-2024-56171"], medium);
        let bug = |security: bool, title: &str| json!({"security": security, "title": title});
        let two = json!([bug(true, "CVE-2025-2 CVE-2025-24928 x: y"), bug(true, "CVE-2025-10000: z CVE-2025-24928")]);
        check(&[("bugs", two)], &["CVE-2025-10000", "CVE-2025-24928"], medium);
        let named = ("display_name", json!("Fix CVE-2024-8176"));
        check(std::slice::from_ref(&named), &["CVE-2024-56171"], medium);
        check(&[named, ("bugs", json!([bug(false, "CVE-2025-24928 x")]))], &["CVE-2024-8176"], medium);
        check(&[("bugs", json!([])), ("display_name", json!(null))], &[], medium);
        for (word, level) in
            [("urgent", Some(Severity::Critical)), ("high", Some(Severity::High)), ("unspecified", None)]
        {
            check(&[("severity", json!(word))], &["CVE-2024-56171"], level);
        }
        check(&[("severity", json!(null))], &["CVE-2024-56171"], None);
    }

    #[test]
    fn other_documents() {
        let read = |name: &str, text: &str| parse(name, text.as_bytes(), &feed("f", &[]), &mut Records::default());
        assert_eq!(read("README.md", ""), Ok(false));
        assert!(read("a.json", "[]").is_err() && read("a.json", r#"{"status":"error"}"#).is_err());
    }
}
