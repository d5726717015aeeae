//! Elements of the profiles core and software.

use serde::Serialize;
use std::borrow::Cow;

/// The one who created all elements: a blank node, to which each refers.
pub(super) const CREATION: &str = "_:creation";

/// Makes the names of elements: IRIs below one that is the document's own.
pub(super) struct Spdx3Ids {
    base: String,
}

impl Spdx3Ids {
    pub(super) fn new(uuid: String) -> Self {
        Spdx3Ids { base: format!("https://tidewaiter.dev/spdx/{uuid}/") }
    }

    pub(super) fn of(&self, name: &str) -> String {
        format!("{}{name}", self.base)
    }

    pub(super) fn package(&self, place: usize) -> String {
        format!("{}package/{place}", self.base)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spdx3Package<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) spdx_id: String,
    pub(super) creation_info: &'static str,
    pub(super) name: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) comment: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) external_identifier: Vec<Spdx3Identifier<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) verified_using: Vec<Spdx3Hash<'a>>,
    #[serde(rename = "software_packageVersion", skip_serializing_if = "str::is_empty")]
    pub(super) version: &'a str,
    #[serde(rename = "software_packageUrl", skip_serializing_if = "Option::is_none")]
    pub(super) purl: Option<Cow<'a, str>>,
    #[serde(rename = "software_primaryPurpose")]
    pub(super) purpose: &'static str,
    #[serde(rename = "software_sourceInfo", skip_serializing_if = "String::is_empty")]
    pub(super) source_info: String,
}

impl<'a> Spdx3Package<'a> {
    pub(super) fn new(spdx_id: String, name: &'a str, version: &'a str, purpose: &'static str) -> Self {
        Spdx3Package {
            kind: "software_Package",
            spdx_id,
            creation_info: CREATION,
            name,
            comment: String::new(),
            external_identifier: Vec::new(),
            verified_using: Vec::new(),
            version,
            purl: None,
            purpose,
            source_info: String::new(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spdx3Hash<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    algorithm: &'static str,
    hash_value: &'a str,
}

impl<'a> Spdx3Hash<'a> {
    pub(super) fn sha256(hex: &'a str) -> Self {
        Spdx3Hash { kind: "Hash", algorithm: "sha256", hash_value: hex }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spdx3Identifier<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    external_identifier_type: &'static str,
    identifier: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identifier_locator: Option<[String; 1]>,
}

impl<'a> Spdx3Identifier<'a> {
    pub(super) fn purl(purl: &'a str) -> Self {
        Self::new("packageUrl", purl, None)
    }

    /// A name of a vulnerability, with the page about it.
    pub(super) fn vulnerability(name: &'a str, page: Option<String>) -> Self {
        Self::new(if name.starts_with("CVE-") { "cve" } else { "securityOther" }, name, page)
    }

    fn new(external_identifier_type: &'static str, identifier: &'a str, page: Option<String>) -> Self {
        Spdx3Identifier {
            kind: "ExternalIdentifier",
            external_identifier_type,
            identifier,
            identifier_locator: page.map(|page| [page]),
        }
    }
}

/// A relationship between elements; those of the security profile have more fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spdx3Relationship<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) spdx_id: String,
    pub(super) creation_info: &'static str,
    pub(super) relationship_type: &'static str,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completeness: Option<&'static str>,
    #[serde(rename = "security_actionStatement", skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<String>,
    #[serde(rename = "security_impactStatement", skip_serializing_if = "Option::is_none")]
    pub(super) impact: Option<&'a str>,
    #[serde(rename = "security_statusNotes", skip_serializing_if = "Option::is_none")]
    pub(super) notes: Option<String>,
    #[serde(rename = "security_score", skip_serializing_if = "Option::is_none")]
    pub(super) score: Option<f64>,
    #[serde(rename = "security_severity", skip_serializing_if = "Option::is_none")]
    pub(super) severity: Option<&'static str>,
    #[serde(rename = "security_vectorString", skip_serializing_if = "Option::is_none")]
    pub(super) vector: Option<&'a str>,
    #[serde(rename = "security_probability", skip_serializing_if = "Option::is_none")]
    pub(super) probability: Option<f64>,
    #[serde(rename = "security_percentile", skip_serializing_if = "Option::is_none")]
    pub(super) percentile: Option<f64>,
}

impl Spdx3Relationship<'_> {
    /// Both `kind` and `relationship_type` are names of the specification.
    pub(super) fn new(
        kind: &'static str,
        relationship_type: &'static str,
        spdx_id: String,
        from: String,
        to: Vec<String>,
    ) -> Self {
        Spdx3Relationship {
            kind,
            spdx_id,
            creation_info: CREATION,
            relationship_type,
            from,
            to,
            completeness: None,
            action: None,
            impact: None,
            notes: None,
            score: None,
            severity: None,
            vector: None,
            probability: None,
            percentile: None,
        }
    }
}
