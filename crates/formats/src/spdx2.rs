//! SPDX 2.3, JSON. Findings are security references of their packages (Annex K); what else there is to say of a package is in its
//! comment, by lines `NAME=VALUE`. The gaps of a scan are in the comments of the document.

use crate::bill::{BillOfMaterials, image_purl};
use crate::json::{self, Streamed};
use crate::link;
use crate::spdx_text;
use crate::stamp::TOOL;
use crate::view;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use tidewaiter_core::finding::Finding;
use tidewaiter_core::package::{Package, PackageType};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const IMAGE: &str = "SPDXRef-Image";
const OS: &str = "SPDXRef-OperatingSystem";
/// What the document does not say (7.7.1): neither that there is something, nor that there is nothing.
const NO_ASSERTION: &str = "NOASSERTION";

/// Where documents have their names; nothing is to be found there, as the specification allows (6.5.3).
const NAMESPACE: &str = "https://tidewaiter.dev/spdx/";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, P, R> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    spdx_id: &'static str,
    name: &'a str,
    document_namespace: String,
    creation_info: CreationInfo,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    packages: P,
    relationships: R,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [String; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpdxPackage<'a> {
    name: &'a str,
    #[serde(rename = "SPDXID")]
    spdx_id: Cow<'static, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    version_info: &'a str,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum<'a>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    source_info: String,
    license_concluded: &'static str,
    license_declared: &'static str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef<'a>>,
    primary_package_purpose: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum<'a> {
    algorithm: &'static str,
    checksum_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef<'a> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: Cow<'a, str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: &'static str,
    relationship_type: &'static str,
    related_spdx_element: Cow<'static, str>,
}

pub(crate) fn write(bill: &BillOfMaterials<'_>, out: &mut dyn Write) -> io::Result<()> {
    let findings = findings_by_package(bill);
    let described = || std::iter::once(image(bill)).chain(operating_system(bill));
    let packages = || {
        bill.packages.iter().map(|(place, package, purl)| {
            let of_package = findings.get(&place).map(Vec::as_slice).unwrap_or_default();
            of_installed(place, package, purl, of_package)
        })
    };
    let document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        spdx_id: DOCUMENT,
        name: &bill.inventory.image.name,
        document_namespace: format!("{NAMESPACE}{}", bill.uuid("spdx-2.3")),
        creation_info: CreationInfo {
            created: bill.stamp.rfc3339(),
            creators: [format!("Tool: {TOOL}-{}", bill.stamp.version), format!("Organization: {TOOL}")],
        },
        comment: spdx_text::incompleteness(bill),
        packages: Streamed(|| described().chain(packages())),
        relationships: Streamed(|| relationships(bill)),
    };
    json::write(&document, out)
}

/// The findings that count, by the places of their packages.
fn findings_by_package<'a>(bill: &BillOfMaterials<'a>) -> BTreeMap<usize, Vec<&'a Finding>> {
    let mut by_package: BTreeMap<usize, Vec<&Finding>> = BTreeMap::new();
    for finding in bill.judged.iter().flat_map(|judged| &judged.report.findings) {
        for place in bill.packages.of(finding) {
            by_package.entry(place).or_default().push(finding);
        }
    }
    by_package
}

impl<'a> SpdxPackage<'a> {
    fn new(spdx_id: impl Into<Cow<'static, str>>, name: &'a str, version: &'a str, purpose: &'static str) -> Self {
        SpdxPackage {
            name,
            spdx_id: spdx_id.into(),
            version_info: version,
            download_location: NO_ASSERTION,
            files_analyzed: false,
            checksums: Vec::new(),
            source_info: String::new(),
            license_concluded: NO_ASSERTION,
            license_declared: NO_ASSERTION,
            copyright_text: NO_ASSERTION,
            comment: String::new(),
            external_refs: Vec::new(),
            primary_package_purpose: purpose,
        }
    }
}

fn image<'a>(bill: &BillOfMaterials<'a>) -> SpdxPackage<'a> {
    let image = &bill.inventory.image;
    SpdxPackage {
        checksums: vec![Checksum { algorithm: "SHA256", checksum_value: image.digest.hex() }],
        comment: spdx_text::of_image(bill),
        external_refs: image_purl(image).map(|purl| purl_ref(purl.into())).into_iter().collect(),
        ..SpdxPackage::new(IMAGE, &image.name, image.digest.as_str(), "CONTAINER")
    }
}

fn operating_system<'a>(bill: &BillOfMaterials<'a>) -> Option<SpdxPackage<'a>> {
    let os = bill.inventory.os.as_ref()?;
    Some(SpdxPackage {
        comment: spdx_text::of_system(os),
        ..SpdxPackage::new(OS, &os.id, &os.version_id, "OPERATING-SYSTEM")
    })
}

fn of_installed<'a>(place: usize, package: &'a Package, purl: &'a str, findings: &[&'a Finding]) -> SpdxPackage<'a> {
    let purpose = match package.kind {
        PackageType::Bitnami | PackageType::Generic => "APPLICATION",
        _ => "LIBRARY",
    };
    let mut external_refs = vec![purl_ref(purl.into())];
    external_refs.extend(findings.iter().map(|finding| advisory_ref(finding)));
    SpdxPackage {
        source_info: spdx_text::found_in(package),
        comment: spdx_text::of_package(package),
        external_refs,
        ..SpdxPackage::new(format!("SPDXRef-Package-{place}"), &package.name, &package.version, purpose)
    }
}

fn purl_ref(purl: Cow<'_, str>) -> ExternalRef<'_> {
    ExternalRef {
        reference_category: "PACKAGE-MANAGER",
        reference_type: "purl",
        reference_locator: purl,
        comment: String::new(),
    }
}

/// The address of what is wrong with a package, or its name, which is not allowed as the locator of an advisory.
fn advisory_ref(finding: &Finding) -> ExternalRef<'_> {
    let (reference_category, reference_type, reference_locator) = match link::of_finding(finding) {
        Some(address) => ("SECURITY", "advisory", address),
        None => ("OTHER", "vulnerability", finding.vulnerability.as_str().into()),
    };
    let comment = format!("{} ({}): {}", finding.vulnerability, finding.severity, view::remedy(finding));
    ExternalRef { reference_category, reference_type, reference_locator, comment }
}

fn relationships(bill: &BillOfMaterials<'_>) -> impl Iterator<Item = Relationship> {
    let contains = |related: Cow<'static, str>| Relationship {
        spdx_element_id: IMAGE,
        relationship_type: "CONTAINS",
        related_spdx_element: related,
    };
    let describes =
        Relationship { spdx_element_id: DOCUMENT, relationship_type: "DESCRIBES", related_spdx_element: IMAGE.into() };
    let os = bill.inventory.os.as_ref().map(|_| contains(OS.into()));
    let packages =
        (0..bill.inventory.packages.len()).map(move |place| contains(format!("SPDXRef-Package-{place}").into()));
    std::iter::once(describes).chain(os).chain(packages)
}
