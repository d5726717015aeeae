//! What both versions of SPDX say in free text, for lack of fields: lines `NAME=VALUE` in comments.

use crate::bill::BillOfMaterials;
use crate::packages::facts;
use crate::view::gap_line;
use tidewaiter_core::package::Package;

/// What the scan did not see, a line each; empty where it saw everything.
pub(crate) fn incompleteness(bill: &BillOfMaterials<'_>) -> String {
    let lines: String = bill.gaps().map(|gap| format!("\ntidewaiter:gap={}", gap_line(gap))).collect();
    if bill.is_complete() { lines } else { format!("This document is incomplete.{lines}") }
}

/// The platform of the image and its layers, bottom first.
pub(crate) fn of_image(bill: &BillOfMaterials<'_>) -> String {
    let inventory = bill.inventory;
    let layers = inventory.layers.iter().map(|layer| format!("\ntidewaiter:layerDiffId={}", layer.diff_id));
    std::iter::once(format!("tidewaiter:platform={}", inventory.image.platform)).chain(layers).collect()
}

/// What a package is matched by besides its purl.
pub(crate) fn of_package(package: &Package) -> String {
    let lines: Vec<String> = facts(package).map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n")
}

/// Where a package was found; layers are counted from 1.
pub(crate) fn found_in(package: &Package) -> String {
    let all = package.locations.iter().map(|location| format!("{} (layer {})", location.path, location.layer + 1));
    let all: Vec<String> = all.collect();
    if all.is_empty() { String::new() } else { format!("found in: {}", all.join(", ")) }
}
