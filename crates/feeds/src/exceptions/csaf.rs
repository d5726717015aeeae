//! CSAF 2.0, profile VEX.

use super::{reason, stated_at, vex_effect};
use crate::csaf::{Product, ProductTree};
use serde::Deserialize;
use std::collections::BTreeMap;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::target::TargetPattern;

#[derive(Deserialize)]
struct Document {
    document: Metadata,
    #[serde(default)]
    product_tree: ProductTree,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    tracking: Tracking,
}

#[derive(Deserialize, Default)]
struct Tracking {
    current_release_date: Option<String>,
}

#[derive(Deserialize)]
struct Vulnerability {
    cve: Option<String>,
    #[serde(default)]
    ids: Vec<Id>,
    #[serde(default)]
    product_status: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    threats: Vec<Threat>,
}

#[derive(Deserialize)]
struct Id {
    text: String,
}

#[derive(Deserialize)]
struct Flag {
    label: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Threat {
    category: String,
    details: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

fn purl(product: &Product) -> Option<&str> {
    Some(product.product_identification_helper.purl.as_str()).filter(|purl| !purl.is_empty())
}

/// Product id → its purls: its own, or those of a component and the image that contains it. A component of anything else is
/// ambiguous: the document does not say which of them a finding is in.
fn purls(tree: &ProductTree) -> BTreeMap<&str, Vec<&str>> {
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for product in tree.products() {
        out.entry(&product.product_id).or_default().extend(purl(product));
    }
    for relation in &tree.relationships {
        let of = |id: &str| out.get(id).cloned().unwrap_or_default();
        let whole = of(&relation.relates_to_product_reference);
        let in_image = whole.iter().any(|purl| TargetPattern::parse(purl).names_image());
        let part = of(&relation.product_reference);
        // Without a purl of the component, the image's alone would stand for all of its packages.
        let mut all = if in_image && !part.is_empty() { [part, whole].concat() } else { Vec::new() };
        all.extend(purl(&relation.full_product_name));
        out.insert(&relation.full_product_name.product_id, all);
    }
    out
}

pub(super) fn parse(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    let document: Document = super::json(text)?;
    let purls = purls(&document.product_tree);
    let at = stated_at(&[document.document.tracking.current_release_date.as_deref()]);
    let mut out = Vec::new();
    for vulnerability in &document.vulnerabilities {
        let names = vulnerability.cve.iter().chain(vulnerability.ids.iter().map(|id| &id.text));
        let names: Vec<_> = names.map(|n| n.as_str().into()).collect();
        if names.is_empty() {
            return Err("a vulnerability has neither cve nor ids".to_owned());
        }
        for (word, products) in &vulnerability.product_status {
            let effect = vex_effect(word)?;
            for product in products {
                let targets = purls.get(product.as_str()).into_iter().flatten().map(|p| TargetPattern::parse(p));
                let (images, packages): (Vec<TargetPattern>, Vec<TargetPattern>) =
                    targets.partition(TargetPattern::names_image);
                // A product without a purl identifies no finding.
                if !images.is_empty() || !packages.is_empty() {
                    let why = why(vulnerability, product, word);
                    let base = Exception { stated_at: at, ..Exception::new(effect, &why, source) };
                    out.push(Exception { vulnerabilities: names.clone(), images, packages, ..base });
                }
            }
        }
    }
    Ok(out)
}

fn why(vulnerability: &Vulnerability, product: &str, status: &str) -> String {
    let of = |ids: &[String]| ids.is_empty() || ids.iter().any(|id| id == product);
    let flag = vulnerability.flags.iter().find(|f| of(&f.product_ids)).map(|f| f.label.as_str());
    let impact = vulnerability.threats.iter().find(|t| t.category == "impact" && of(&t.product_ids));
    let why = reason(&[flag, impact.map(|t| t.details.as_str())]);
    if why.is_empty() { status.to_owned() } else { why }
}

#[cfg(test)]
mod tests {
    use crate::exceptions::tests::check;

    #[test]
    fn products_are_told_by_their_purls() {
        let text = r#"{"document":{"csaf_version":"2.0"},"product_tree":{"branches":[{"branches":[
              {"product":{"product_id":"A","product_identification_helper":{"purl":"pkg:npm/a"}}},
              {"product":{"product_id":"I","product_identification_helper":{"purl":"pkg:oci/app"}}},
              {"product":{"product_id":"X"}}]}],
            "relationships":[{"full_product_name":{"product_id":"I:A"},"product_reference":"A","relates_to_product_reference":"I"},
              {"full_product_name":{"product_id":"X:A"},"product_reference":"A","relates_to_product_reference":"X"}]},
            "vulnerabilities":[{"cve":"CVE-1","product_status":{"known_not_affected":["I:A","X","X:A"],"known_affected":["A"]},
              "flags":[{"label":"component_not_present","product_ids":["I:A"]}]}]}"#;
        check("x.json", text, &[(&["CVE-1"], 1, None), (&["CVE-1"], 1, None)]);
    }

    #[test]
    fn a_component_without_a_purl_stands_for_no_other() {
        let text = r#"{"document":{"csaf_version":"2.0"},"product_tree":{"branches":[{"branches":[
              {"product":{"product_id":"A"}},{"product":{"product_id":"I","product_identification_helper":{"purl":"pkg:oci/app"}}}]}],
            "relationships":[{"full_product_name":{"product_id":"I:A"},"product_reference":"A","relates_to_product_reference":"I"}]},
            "vulnerabilities":[{"cve":"CVE-1","product_status":{"known_not_affected":["I:A"]}}]}"#;
        check("x.json", text, &[]);
    }
}
