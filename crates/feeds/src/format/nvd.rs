//! NVD 2.0 API JSON: CVSS ratings by CVE.

use super::{Drain, FeedContext, Problem, Records, json, records};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read;
use tidewaiter_core::severity::{Rating, RatingRole};

#[derive(Deserialize)]
struct Item {
    cve: Cve,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cve {
    id: String,
    /// The numbering authority that published it.
    #[serde(default)]
    source_identifier: String,
    #[serde(default)]
    published: String,
    #[serde(default)]
    metrics: BTreeMap<String, Vec<Metric>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    #[serde(default)]
    source: String,
    cvss_data: Option<CvssData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CvssData {
    vector_string: String,
}

/// Reads a page or a yearly feed.
///
/// # Errors
/// When it is JSON of another shape.
pub(super) fn parse(
    name: &str,
    content: &mut dyn Read,
    _: &FeedContext,
    records: &mut Records,
    drain: Drain<'_>,
) -> Result<bool, Problem> {
    if !name.ends_with(".json") {
        return Ok(false);
    }
    json::list(content, "vulnerabilities", |item: Item| {
        add_facts(item, records);
        drain(records);
    })
}

fn add_facts(item: Item, records: &mut Records) {
    if let Some(day) = records::day(&item.cve.published) {
        records.published.insert(item.cve.id.clone(), day);
    }
    // All versions of CVSS: which of them counts is decided when severities are compared.
    let metrics = item.cve.metrics.into_iter().filter(|(kind, _)| kind.starts_with("cvssMetric"));
    for metric in metrics.flat_map(|(_, metrics)| metrics) {
        let (source, role) = source(&metric.source, &item.cve.source_identifier);
        let rating = metric.cvss_data.and_then(|data| Rating::from_vector(source, &data.vector_string));
        let rating = rating.map(|rating| Rating { role, ..rating });
        records.ratings.entry(item.cve.id.clone()).or_default().extend(rating);
    }
}

/// CISA's container of additional data ("Vulnrichment"), by its identifier in the CVE Program.
const CISA_ADP: &str = "134c704f-9b21-4f2e-91b3-4a467353bcc0";

/// The name and role of a rating's source. NVD's records also hold ratings by others.
fn source<'a>(source: &'a str, authority: &str) -> (&'a str, Option<RatingRole>) {
    match source {
        "nvd@nist.gov" => ("nvd", Some(RatingRole::Nvd)),
        CISA_ADP => ("cisa-adp", Some(RatingRole::Adp)),
        _ if source == authority => (source, Some(RatingRole::Cna)),
        _ => (source, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::severity::Severity;

    #[test]
    fn every_metric_is_kept() {
        let json = br#"{"vulnerabilities":[{"cve":{"id":"CVE-1","published":"2024-03-29T17:15:21.150","metrics":{
            "cvssMetricV31":[{"source":"nvd@nist.gov","cvssData":{"vectorString":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}],
            "cvssMetricV2":[{"source":"nvd@nist.gov","cvssData":{"vectorString":"AV:N/AC:L/Au:N/C:P/I:P/A:P"}}]}}}]}"#;
        let mut records = Records::default();
        assert!(parse("a.json", &mut &json[..], &FeedContext::default(), &mut records, &mut |_| {}).unwrap());
        let found: Vec<Severity> = records.ratings["CVE-1"].iter().map(|r| r.severity).collect();
        assert_eq!(found, [Severity::High, Severity::Critical]);
        assert_eq!(records.published["CVE-1"].to_string(), "2024-03-29");
    }

    #[test]
    fn sources_have_a_role() {
        let check = |name: &str, expected: (&str, Option<RatingRole>)| {
            assert_eq!(source(name, "security@apache.org"), expected);
        };
        check("nvd@nist.gov", ("nvd", Some(RatingRole::Nvd)));
        check("134c704f-9b21-4f2e-91b3-4a467353bcc0", ("cisa-adp", Some(RatingRole::Adp)));
        check("security@apache.org", ("security@apache.org", Some(RatingRole::Cna)));
        check("cna@vuldb.com", ("cna@vuldb.com", None));
    }
}
