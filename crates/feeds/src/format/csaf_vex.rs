//! CSAF 2.0 documents on vulnerabilities (profile VEX): Red Hat, one document for each CVE.
//!
//! A product id names a package as a component of a product; the product tree describes both. The package's purl has the
//! version, architecture and module, the product's CPE the repository. Only the main repositories of a release count:
//! fixes of extended support must neither be required of an image without a subscription nor offered to it.

mod tree;

use super::{FeedContext, Problem, Records, records};
use crate::csaf::ProductTree;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Affected, FixState, Interval, IntervalEnd, KeyKind};
use tidewaiter_core::severity::{Rating, Severity};
use tree::{Component, Products};

#[derive(Deserialize)]
struct Csaf {
    document: Option<Document>,
    #[serde(default)]
    product_tree: ProductTree,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    csaf_version: String,
    aggregate_severity: Option<Word>,
    tracking: Option<Tracking>,
}

#[derive(Deserialize)]
struct Word {
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct Tracking {
    #[serde(default)]
    initial_release_date: String,
    #[serde(default)]
    current_release_date: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    cve: Option<String>,
    #[serde(default)]
    title: String,
    #[serde(default)]
    product_status: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    remediations: Vec<Statement>,
    #[serde(default)]
    scores: Vec<Score>,
    #[serde(default)]
    threats: Vec<Statement>,
    #[serde(default)]
    references: Vec<Reference>,
}

/// A remediation or a threat: the fields that both have.
#[derive(Deserialize)]
struct Statement {
    category: String,
    #[serde(default)]
    details: String,
    /// When it was issued; of remediations only.
    #[serde(default)]
    date: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Score {
    cvss_v2: Option<Cvss>,
    cvss_v3: Option<Cvss>,
    cvss_v4: Option<Cvss>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cvss {
    vector_string: String,
}

#[derive(Deserialize)]
struct Reference {
    url: String,
}

/// Reads one document.
///
/// # Errors
/// When it is JSON of another shape.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !name.ends_with(".json") {
        return Ok(false);
    }
    let csaf: Csaf = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let Some(document) = csaf.document.filter(|d| !d.csaf_version.is_empty()) else { return Ok(false) };
    let products = Products::of(&csaf.product_tree);
    for vulnerability in csaf.vulnerabilities {
        let affected = rows(&vulnerability, &products);
        let published = published(&document, &vulnerability.remediations);
        match &vulnerability.cve {
            None => records.skip("names no CVE"),
            Some(_) if affected.is_empty() => records.skip("covers no package of a known release"),
            Some(cve) => records.advisories.push(Advisory {
                id: cve.clone(),
                feed: feed.name.clone(),
                ratings: ratings(&document, &vulnerability.scores, &feed.name),
                summary: vulnerability.title,
                modified: document.tracking.as_ref().map(|t| t.current_release_date.clone()).unwrap_or_default(),
                published,
                references: vulnerability.references.into_iter().map(|r| r.url).take(8).collect(),
                affected,
                ..Advisory::default()
            }),
        }
    }
    Ok(true)
}

/// The day of the first fix; without one that of the document.
fn published(document: &Document, remediations: &[Statement]) -> Option<Date> {
    let fixes = remediations.iter().filter(|remediation| remediation.category == "vendor_fix");
    let first = fixes.filter_map(|fix| records::day(&fix.date)).min();
    first.or_else(|| records::day(&document.tracking.as_ref()?.initial_release_date))
}

fn ratings(document: &Document, scores: &[Score], feed: &str) -> Vec<Rating> {
    let word = document.aggregate_severity.as_ref().and_then(|word| word.text.parse().ok());
    let mut out: Vec<Rating> = word
        .filter(|severity| *severity != Severity::Unknown)
        .map(|severity| Rating::of_level(feed, severity))
        .into_iter()
        .collect();
    let vectors = scores.iter().flat_map(|s| [&s.cvss_v4, &s.cvss_v3, &s.cvss_v2]).flatten();
    for rating in vectors.filter_map(|cvss| Rating::from_vector(feed, &cvss.vector_string)) {
        if !out.contains(&rating) {
            out.push(rating);
        }
    }
    out
}

fn rows(vulnerability: &Vulnerability, products: &Products<'_>) -> Vec<Affected> {
    let (states, severities) = (states(&vulnerability.remediations), severities(&vulnerability.threats));
    let mut out: BTreeMap<String, Affected> = BTreeMap::new();
    for (status, ids) in &vulnerability.product_status {
        for id in ids {
            // Beside a fixed source package stand its binary packages; without a fix it may stand alone.
            let Some(component) = products.component(id).filter(|c| c.arch != "src" || c.version.is_empty()) else {
                continue;
            };
            let Some(mut row) = row(status, &component) else { continue };
            row.severity = severities.get(id.as_str()).copied().unwrap_or_default();
            if row.fix_state == FixState::NotFixed {
                row.fix_state = states.get(id.as_str()).copied().unwrap_or(FixState::NotFixed);
            }
            // A package is listed once for each architecture.
            let Affected { ecosystem, package, key, module, intervals, never_affected, .. } = &row;
            let key = format!("{ecosystem} {package} {key:?} {module:?} {intervals:?} {never_affected}");
            let known = out.entry(key).or_insert(row);
            known.arches.extend(Some(component.arch).filter(|arch| !arch.is_empty() && arch != "src"));
        }
    }
    out.into_values().map(tidy).collect()
}

fn row(status: &str, component: &Component) -> Option<Affected> {
    let (intervals, fix_state, never_affected) = match (status, component.version.as_str()) {
        ("fixed" | "first_fixed" | "recommended", version) if !version.is_empty() => {
            (vec![Interval::until(IntervalEnd::Fixed(version.to_owned()))], FixState::Fixed, false)
        }
        // A version here is only the one that the vendor examined.
        // What is still under investigation may be: nothing says that it is not.
        ("known_affected" | "first_affected" | "last_affected" | "under_investigation", _) => {
            (vec![Interval::until(IntervalEnd::Open)], FixState::NotFixed, false)
        }
        // "Not affected" for one build, or one minor release, says nothing about others.
        ("known_not_affected", "") if !component.of_minor_release => (Vec::new(), FixState::Unknown, true),
        _ => return None,
    };
    let key = if component.arch == "src" { KeyKind::Source } else { KeyKind::Binary };
    let row = Affected::new(component.ecosystem.clone(), &component.name, key);
    Some(Affected { intervals, fix_state, never_affected, module: component.module(), ..row })
}

fn tidy(mut row: Affected) -> Affected {
    if row.arches.iter().any(|arch| arch == "noarch") {
        row.arches.clear();
    }
    row.arches.sort();
    row.arches.dedup();
    row
}

/// The fix state of packages without a fix, by product id.
fn states(remediations: &[Statement]) -> BTreeMap<&str, FixState> {
    let mut out = BTreeMap::new();
    for remediation in remediations {
        let details = remediation.details.to_lowercase();
        let state = match remediation.category.as_str() {
            "no_fix_planned" if details.contains("out of support") => FixState::EndOfLife,
            "no_fix_planned" => FixState::WontFix,
            "none_available" if details.contains("deferred") => FixState::Deferred,
            _ => continue,
        };
        out.extend(remediation.product_ids.iter().map(|id| (id.as_str(), state)));
    }
    out
}

fn severities(threats: &[Statement]) -> BTreeMap<&str, Severity> {
    let impacts = threats.iter().filter(|t| t.category == "impact");
    let rated = impacts.filter_map(|t| Some((t, t.details.parse::<Severity>().ok()?)));
    rated.flat_map(|(t, severity)| t.product_ids.iter().map(move |id| (id.as_str(), severity))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;

    #[test]
    fn a_vendors_fix_dates_a_vulnerability() {
        let check = |remediations: &str, expected: Option<&str>| {
            let document = r#"{"csaf_version":"2.0","tracking":{"initial_release_date":"2023-10-11T00:00:00+00:00"}}"#;
            let remediations: Vec<Statement> = serde_json::from_str(remediations).unwrap();
            let found = published(&serde_json::from_str(document).unwrap(), &remediations);
            assert_eq!(found.map(|day| day.to_string()).as_deref(), expected, "{document}");
        };
        check("[]", Some("2023-10-11"));
        check(r#"[{"category":"workaround","date":"2023-10-12T00:00:00Z"}]"#, Some("2023-10-11"));
        let fixes = r#"[{"category":"vendor_fix","date":"2024-04-23T10:00:00+00:00"},
            {"category":"vendor_fix","date":"2023-10-13T10:00:00+00:00"},{"category":"vendor_fix"}]"#;
        check(fixes, Some("2023-10-13"));
    }

    /// "package version-or-state arches module" of each row.
    fn rows(status: &str) -> Vec<String> {
        let json = format!(
            r#"{{"document":{{"csaf_version":"2.0","aggregate_severity":{{"text":"Important"}},"tracking":{{"current_release_date":"2024"}}}},
            "product_tree":{{"branches":[{{"branches":[
              {{"product":{{"product_id":"B9","name":"BaseOS","product_identification_helper":{{"cpe":"cpe:/o:redhat:enterprise_linux:9::baseos"}}}}}},
              {{"product":{{"product_id":"E9","name":"EUS","product_identification_helper":{{"cpe":"cpe:/o:redhat:rhel_eus:9.2::baseos"}}}}}},
              {{"product":{{"product_id":"R10","name":"R","product_identification_helper":{{"cpe":"cpe:/o:redhat:enterprise_linux:10.1"}}}}}},
              {{"product":{{"product_id":"R8","name":"RHEL 8","product_identification_helper":{{"cpe":"cpe:/o:redhat:enterprise_linux:8"}}}}}},
              {{"product":{{"product_id":"M","name":"m","product_identification_helper":{{"purl":"pkg:rpmmod/redhat/nodejs@18:8090:abc"}}}}}},
              {{"product":{{"product_id":"c.x","name":"c","product_identification_helper":{{"purl":"pkg:rpm/redhat/curl@7.76-26.el9_3.2?arch=x86_64&epoch=1"}}}}}},
              {{"product":{{"product_id":"c.a","name":"c","product_identification_helper":{{"purl":"pkg:rpm/redhat/curl@7.76-26.el9_3.2?arch=aarch64&epoch=1"}}}}}},
              {{"product":{{"product_id":"c.src","name":"c","product_identification_helper":{{"purl":"pkg:rpm/redhat/curl@7.76-26.el9_3.2?arch=src"}}}}}},
              {{"product":{{"product_id":"c","name":"curl","product_identification_helper":{{"purl":"pkg:rpm/redhat/curl"}}}}}},
              {{"product":{{"product_id":"c.source","name":"c","product_identification_helper":{{"purl":"pkg:rpm/redhat/libxml2?arch=src"}}}}}},
              {{"product":{{"product_id":"n","name":"n","product_identification_helper":{{"purl":"pkg:rpm/redhat/nodejs@18.1-1.module%2Bel8?arch=x86_64&rpmmod=nodejs:18:8090:abc"}}}}}},
              {{"product":{{"product_id":"x","name":"x","product_identification_helper":{{"purl":"pkg:rpm/redhat/npm@9-1?arch=x86_64"}}}}}},
              {{"product":{{"product_id":"nodejs:20/npm","name":"nodejs:20/npm"}}}}]}}],
            "relationships":[
              {{"full_product_name":{{"product_id":"B9:c.x"}},"product_reference":"c.x","relates_to_product_reference":"B9"}},
              {{"full_product_name":{{"product_id":"B9:c.a"}},"product_reference":"c.a","relates_to_product_reference":"B9"}},
              {{"full_product_name":{{"product_id":"B9:c.src"}},"product_reference":"c.src","relates_to_product_reference":"B9"}},
              {{"full_product_name":{{"product_id":"E9:c.x"}},"product_reference":"c.x","relates_to_product_reference":"E9"}},
              {{"full_product_name":{{"product_id":"R8:c"}},"product_reference":"c","relates_to_product_reference":"R8"}},
              {{"full_product_name":{{"product_id":"R10:c"}},"product_reference":"c","relates_to_product_reference":"R10"}},
              {{"full_product_name":{{"product_id":"R8:c.source"}},"product_reference":"c.source","relates_to_product_reference":"R8"}},
              {{"full_product_name":{{"product_id":"R8:n"}},"product_reference":"n","relates_to_product_reference":"R8"}},
              {{"full_product_name":{{"product_id":"R8:M"}},"product_reference":"M","relates_to_product_reference":"R8"}},
              {{"full_product_name":{{"product_id":"R8:M:x"}},"product_reference":"x","relates_to_product_reference":"R8:M"}},
              {{"full_product_name":{{"product_id":"R8:nodejs:20/npm"}},"product_reference":"nodejs:20/npm","relates_to_product_reference":"R8"}},
              {{"full_product_name":{{"product_id":"loop"}},"product_reference":"loop","relates_to_product_reference":"loop"}}]}},
            "vulnerabilities":[{{"cve":"CVE-1","title":"T","product_status":{status},"remediations":[
              {{"category":"no_fix_planned","details":"Out of support scope","product_ids":["R8:c"]}},
              {{"category":"none_available","details":"Fix deferred","product_ids":["R8:nodejs:20/npm"]}}],
              "threats":[{{"category":"impact","details":"Low","product_ids":["R8:c"]}}],
              "scores":[{{"cvss_v3":{{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}}}]}}]}}"#
        );
        let mut records = Records::default();
        assert!(parse("cve-1.json", json.as_bytes(), &feed("redhat", &[]), &mut records).unwrap());
        let line = |r: &Affected| {
            let end = r.intervals.first().map_or("never".to_owned(), |i| format!("{:?}", i.end));
            format!(
                "{} {} {end} {:?} {} {:?} {:?}{}",
                r.ecosystem,
                r.package,
                r.fix_state,
                r.severity,
                r.arches,
                r.module,
                if r.key == KeyKind::Source { " of a source" } else { "" }
            )
        };
        records.advisories.iter().flat_map(|a| a.affected.iter().map(line)).collect()
    }

    #[test]
    fn statuses_become_rows() {
        let check = |status: &str, expected: &[&str]| assert_eq!(rows(status), expected, "{status}");
        check(
            r#"{"fixed":["B9:c.x","B9:c.a","B9:c.src","E9:c.x","loop","absent"]}"#,
            &[
                r#"Red Hat:enterprise_linux:9::baseos curl Fixed("1:7.76-26.el9_3.2") Fixed unknown ["aarch64", "x86_64"] Outside"#,
            ],
        );
        check(
            r#"{"fixed":["R8:n","R8:M:x"]}"#,
            &[
                r#"Red Hat:enterprise_linux:8::baseos nodejs Fixed("0:18.1-1.module+el8") Fixed unknown ["x86_64"] Streams(["nodejs:18"])"#,
                r#"Red Hat:enterprise_linux:8::baseos npm Fixed("0:9-1") Fixed unknown ["x86_64"] Streams(["nodejs:18"])"#,
            ],
        );
        check(
            r#"{"known_affected":["R8:c"]}"#,
            &["Red Hat:enterprise_linux:8::baseos curl Open EndOfLife low [] Outside"],
        );
        check(
            r#"{"known_affected":["R8:nodejs:20/npm"]}"#,
            &[r#"Red Hat:enterprise_linux:8::baseos npm Open Deferred unknown [] Streams(["nodejs:20"])"#],
        );
        check(
            r#"{"known_not_affected":["R8:c","B9:c.x","R10:c"]}"#,
            &["Red Hat:enterprise_linux:8::baseos curl never Unknown low [] Outside"],
        );
        check(
            r#"{"known_affected":["R8:c.source"]}"#,
            &["Red Hat:enterprise_linux:8::baseos libxml2 Open NotFixed unknown [] Outside of a source"],
        );
        check(
            r#"{"under_investigation":["R8:c"]}"#,
            &["Red Hat:enterprise_linux:8::baseos curl Open EndOfLife low [] Outside"],
        );
    }

    #[test]
    fn other_documents_are_left_alone() {
        let check = |name: &str, text: &str, expected: Result<bool, ()>| {
            let mut records = Records::default();
            assert_eq!(parse(name, text.as_bytes(), &feed("f", &[]), &mut records).map_err(drop), expected, "{text}");
        };
        check("a.json", "{}", Ok(false));
        check("a.csv", "", Ok(false));
        check("a.json", "[", Err(()));
    }
}
