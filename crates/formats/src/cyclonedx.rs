//! CycloneDX 1.6 and 1.7, JSON (ECMA-424). The parts used here are the same in both.
//!
//! Vulnerabilities are (vulnerability, package) pairs, as findings are: the versions of a fix and the severity may differ between
//! packages. What suppresses a finding is its `analysis`. A scan with gaps has a composition that is `incomplete`; without
//! gaps it is `unknown`, since no scanner knows that there is nothing else.

mod component;
mod vulnerability;

use crate::bill::{BillOfMaterials, image_purl};
use crate::json::{self, Streamed};
use crate::packages::facts_of_image;
use crate::stamp::TOOL;
use crate::view::gap_line;
use component::{CycloneDxComponent, CycloneDxProperty, property};
use serde::Serialize;
use std::io::{self, Write};
use vulnerability::CycloneDxVulnerability;

/// A version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CycloneDxVersion {
    V1_6,
    V1_7,
}

/// The name of the image in the document.
const IMAGE: &str = "image";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bom<'a, C, V> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata<'a>,
    components: C,
    compositions: [Composition; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    vulnerabilities: Option<V>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    tools: Tools<'a>,
    component: CycloneDxComponent<'a>,
    properties: Vec<CycloneDxProperty<'a>>,
}

#[derive(Serialize)]
struct Tools<'a> {
    components: [CycloneDxComponent<'a>; 1],
}

#[derive(Serialize)]
struct Composition {
    aggregate: &'static str,
    assemblies: [&'static str; 1],
}

pub(crate) fn write(bill: &BillOfMaterials<'_>, version: CycloneDxVersion, out: &mut dyn Write) -> io::Result<()> {
    let (schema, spec_version) = match version {
        CycloneDxVersion::V1_6 => ("http://cyclonedx.org/schema/bom-1.6.schema.json", "1.6"),
        CycloneDxVersion::V1_7 => ("http://cyclonedx.org/schema/bom-1.7.schema.json", "1.7"),
    };
    let os = || bill.inventory.os.as_ref().map(CycloneDxComponent::of_os);
    let packages = || {
        bill.packages.iter().map(|(place, package, purl)| {
            CycloneDxComponent::of_package(package, purl, bill.packages.reference(place), &bill.inventory.layers)
        })
    };
    let bom = Bom {
        schema,
        bom_format: "CycloneDX",
        spec_version,
        serial_number: format!("urn:uuid:{}", bill.uuid(spec_version)),
        version: 1,
        metadata: metadata(bill),
        components: Streamed(|| os().into_iter().chain(packages())),
        compositions: [Composition {
            aggregate: if bill.is_complete() { "unknown" } else { "incomplete" },
            assemblies: [IMAGE],
        }],
        vulnerabilities: bill.judged.map(|judged| {
            Streamed(move || judged.findings().map(|shown| CycloneDxVulnerability::new(shown, &bill.packages)))
        }),
    };
    json::write(&bom, out)
}

fn metadata<'a>(bill: &BillOfMaterials<'a>) -> Metadata<'a> {
    let tool =
        CycloneDxComponent { version: bill.stamp.version.into(), ..CycloneDxComponent::new("application", TOOL) };
    let mut properties: Vec<_> = bill.gaps().map(|gap| property("tidewaiter:gap", gap_line(gap))).collect();
    if let Some(judged) = bill.judged {
        let database = &judged.report.database;
        properties.push(property("tidewaiter:policy", judged.verdict.outcome.to_string()));
        properties.push(property("tidewaiter:database", database.id.as_str()));
        properties.extend(database.built.map(|built| property("tidewaiter:databaseBuilt", built.to_string())));
    }
    Metadata {
        timestamp: bill.stamp.rfc3339(),
        tools: Tools { components: [tool] },
        component: image(bill),
        properties,
    }
}

fn image<'a>(bill: &BillOfMaterials<'a>) -> CycloneDxComponent<'a> {
    let image = &bill.inventory.image;
    let properties = facts_of_image(bill.inventory).map(|(name, value)| property(name, value)).collect();
    CycloneDxComponent {
        bom_ref: Some(IMAGE.into()),
        version: image.digest.as_str().into(),
        purl: image_purl(image).map(Into::into),
        properties,
        ..CycloneDxComponent::new("container", &image.name)
    }
}
