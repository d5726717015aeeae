//! CycloneDX VEX: `vulnerabilities[].analysis`, stand-alone or in an SBOM.

use super::{reason, stated_at, vex_effect};
use serde::Deserialize;
use std::collections::BTreeMap;
use tidewaiter_core::exception::Exception;
use tidewaiter_core::target::TargetPattern;

#[derive(Deserialize)]
struct Bom {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    components: Vec<Component>,
    #[serde(default)]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    timestamp: Option<String>,
    component: Option<Component>,
}

#[derive(Deserialize)]
struct Component {
    #[serde(rename = "bom-ref")]
    reference: Option<String>,
    purl: Option<String>,
    #[serde(default)]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Vulnerability {
    id: Option<String>,
    #[serde(default)]
    references: Vec<Reference>,
    analysis: Option<Analysis>,
    #[serde(default)]
    affects: Vec<Affects>,
}

#[derive(Deserialize)]
struct Reference {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Analysis {
    first_issued: Option<String>,
    last_updated: Option<String>,
    state: Option<String>,
    justification: Option<String>,
    detail: Option<String>,
}

#[derive(Deserialize)]
struct Affects {
    #[serde(rename = "ref")]
    reference: String,
}

pub(super) fn parse(text: &str, source: &str) -> Result<Vec<Exception>, String> {
    let bom: Bom = super::json(text)?;
    let mut purls: BTreeMap<&str, &str> = BTreeMap::new();
    let mut level: Vec<&Component> = bom.components.iter().chain(&bom.metadata.component).collect();
    // serde_json limits the depth of a document.
    while !level.is_empty() {
        for component in &level {
            if let (Some(reference), Some(purl)) = (&component.reference, &component.purl) {
                purls.insert(reference, purl);
            }
        }
        level = level.into_iter().flat_map(|c| &c.components).collect();
    }
    let mut out = Vec::new();
    for vulnerability in &bom.vulnerabilities {
        let Some(analysis) = &vulnerability.analysis else { continue };
        let Some(state) = &analysis.state else { continue };
        let effect = vex_effect(state)?;
        let [updated, issued] = [&analysis.last_updated, &analysis.first_issued].map(Option::as_deref);
        let at = stated_at(&[updated, issued, bom.metadata.timestamp.as_deref()]);
        let names = vulnerability.id.iter().chain(vulnerability.references.iter().map(|r| &r.id));
        let names: Vec<_> = names.map(|n| n.as_str().into()).collect();
        if names.is_empty() {
            return Err("a vulnerability has no id".to_owned());
        }
        let why = reason(&[analysis.justification.as_deref(), analysis.detail.as_deref()]);
        for affects in &vulnerability.affects {
            let target = TargetPattern::parse(purl(&affects.reference, &purls));
            let why = if why.is_empty() { state } else { &why };
            let base = Exception { stated_at: at, ..Exception::new(effect, why, source) };
            let (images, packages) =
                if target.names_image() { (vec![target], Vec::new()) } else { (Vec::new(), vec![target]) };
            out.push(Exception { vulnerabilities: names.clone(), images, packages, ..base });
        }
    }
    Ok(out)
}

/// The component of a reference: one of this document, or of another one (BOM-Link, whose fragment is its name).
fn purl<'a>(reference: &'a str, purls: &BTreeMap<&'a str, &'a str>) -> &'a str {
    let local = reference.rsplit_once('#').map_or(reference, |(_, fragment)| fragment);
    purls.get(local).copied().unwrap_or(local)
}

#[cfg(test)]
mod tests {
    use crate::exceptions::tests::check;

    #[test]
    fn analysed_vulnerabilities_are_read() {
        let text = r#"{"bomFormat":"CycloneDX","components":[{"bom-ref":"c","purl":"pkg:npm/a@1"}],"vulnerabilities":[
            {"id":"CVE-1","analysis":{"state":"not_affected","justification":"code_not_reachable"},"affects":[{"ref":"c"}]},
            {"id":"CVE-2","analysis":{"state":"exploitable"},"affects":[{"ref":"c"}]},
            {"id":"CVE-3","affects":[{"ref":"pkg:npm/b@1"}]}]}"#;
        check("vex.json", text, &[(&["CVE-1"], 1, None), (&["CVE-2"], 1, None)]);
    }
}
