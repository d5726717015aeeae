//! SPDX 3.0.1, JSON-LD, with the profiles core, software and security. A scan with gaps has a relationship that is `incomplete`.
//!
//! A vulnerability is one element; each finding is a statement on it (VEX) and, where it is rated, assessments by CVSS and EPSS.

mod element;
mod security;

use crate::bill::{BillOfMaterials, image_purl};
use crate::json::{self, Streamed};
use crate::spdx_text;
use crate::stamp::TOOL;
use element::{CREATION, Spdx3Hash, Spdx3Identifier, Spdx3Ids, Spdx3Package, Spdx3Relationship};
use security::Spdx3Vulnerabilities;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};
use tidewaiter_core::package::{Package, PackageType};

#[derive(Serialize)]
struct Document<G> {
    #[serde(rename = "@context")]
    context: &'static str,
    #[serde(rename = "@graph")]
    graph: G,
}

/// Elements of different types, which are one list.
#[derive(Serialize)]
#[serde(untagged)]
enum Node<'a> {
    CreationInfo(CreationInfo),
    Tool(Named),
    Collection(Collection<'a>),
    Package(Spdx3Package<'a>),
    Relationship(Spdx3Relationship<'a>),
    Security(security::Spdx3SecurityNode<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CreationInfo {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "@id")]
    id: &'static str,
    spec_version: &'static str,
    created: String,
    created_by: [String; 1],
    created_using: [String; 1],
}

/// An agent or a tool.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    #[serde(rename = "type")]
    kind: &'static str,
    spdx_id: String,
    creation_info: &'static str,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Collection<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    spdx_id: String,
    creation_info: &'static str,
    name: &'a str,
    #[serde(skip_serializing_if = "String::is_empty")]
    comment: String,
    profile_conformance: &'static [&'static str],
    root_element: [String; 1],
    #[serde(rename = "software_sbomType", skip_serializing_if = "Option::is_none")]
    sbom_type: Option<[&'static str; 1]>,
}

pub(crate) fn write(bill: &BillOfMaterials<'_>, out: &mut dyn Write) -> io::Result<()> {
    let ids = Spdx3Ids::new(bill.uuid("spdx-3.0.1"));
    let vulnerabilities = Spdx3Vulnerabilities::new(bill, &ids);
    let graph = Streamed(|| {
        let about = about(bill, &ids).into_iter();
        let packages =
            bill.packages.iter().map(|(place, package, purl)| Node::Package(of_installed(&ids, place, package, purl)));
        let security = vulnerabilities.nodes().map(Node::Security);
        about.chain(packages).chain(std::iter::once(Node::Relationship(contents(bill, &ids)))).chain(security)
    });
    json::write(&Document { context: "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", graph }, out)
}

/// The document, the SBOM that it holds, who wrote both, and what they are about.
fn about<'a>(bill: &BillOfMaterials<'a>, ids: &Spdx3Ids) -> Vec<Node<'a>> {
    let profiles: &'static [&'static str] = match bill.judged {
        Some(_) => &["core", "software", "security"],
        None => &["core", "software"],
    };
    let collection = |kind, name, root: &str| Collection {
        kind,
        spdx_id: ids.of(name),
        creation_info: CREATION,
        name: &bill.inventory.image.name,
        comment: String::new(),
        profile_conformance: profiles,
        root_element: [ids.of(root)],
        sbom_type: None,
    };
    let named = |kind, name: &str, title: String| {
        Node::Tool(Named { kind, spdx_id: ids.of(name), creation_info: CREATION, name: title })
    };
    let creation = CreationInfo {
        kind: "CreationInfo",
        id: CREATION,
        spec_version: "3.0.1",
        created: bill.stamp.rfc3339(),
        created_by: [ids.of("agent")],
        created_using: [ids.of("tool")],
    };
    let mut nodes = vec![
        Node::CreationInfo(creation),
        named("SoftwareAgent", "agent", TOOL.to_owned()),
        named("Tool", "tool", format!("{TOOL}-{}", bill.stamp.version)),
        Node::Collection(Collection {
            comment: spdx_text::incompleteness(bill),
            ..collection("SpdxDocument", "document", "sbom")
        }),
        Node::Collection(Collection { sbom_type: Some(["analyzed"]), ..collection("software_Sbom", "sbom", "image") }),
        Node::Package(image(bill, ids)),
    ];
    nodes.extend(bill.inventory.os.as_ref().map(|os| {
        Node::Package(Spdx3Package {
            comment: spdx_text::of_system(os),
            ..Spdx3Package::new(ids.of("os"), &os.id, &os.version_id, "operatingSystem")
        })
    }));
    nodes
}

fn image<'a>(bill: &BillOfMaterials<'a>, ids: &Spdx3Ids) -> Spdx3Package<'a> {
    let image = &bill.inventory.image;
    Spdx3Package {
        comment: spdx_text::of_image(bill),
        verified_using: vec![Spdx3Hash::sha256(image.digest.hex())],
        purl: image_purl(image).map(Cow::Owned),
        ..Spdx3Package::new(ids.of("image"), &image.name, image.digest.as_str(), "container")
    }
}

fn of_installed<'a>(ids: &Spdx3Ids, place: usize, package: &'a Package, purl: &'a str) -> Spdx3Package<'a> {
    let purpose = match package.kind {
        PackageType::Bitnami | PackageType::Generic => "application",
        _ => "library",
    };
    Spdx3Package {
        comment: spdx_text::of_package(package),
        external_identifier: vec![Spdx3Identifier::purl(purl)],
        purl: Some(purl.into()),
        source_info: spdx_text::found_in(package),
        ..Spdx3Package::new(ids.package(place), &package.name, &package.version, purpose)
    }
}

/// What the image contains.
fn contents<'a>(bill: &BillOfMaterials<'_>, ids: &Spdx3Ids) -> Spdx3Relationship<'a> {
    let os = bill.inventory.os.as_ref().map(|_| ids.of("os"));
    let packages = (0..bill.inventory.packages.len()).map(|place| ids.package(place));
    Spdx3Relationship {
        completeness: Some(if bill.is_complete() { "noAssertion" } else { "incomplete" }),
        ..Spdx3Relationship::new(
            "Relationship",
            "contains",
            ids.of("contents"),
            ids.of("image"),
            os.into_iter().chain(packages).collect(),
        )
    }
}
