//! What both versions of SPDX say in free text, for lack of fields: lines `NAME=VALUE` in comments.

use crate::bill::BillOfMaterials;
use crate::packages::{facts, facts_of_image, facts_of_system};
use crate::view::{gap_line, in_layer};
use std::borrow::Cow;
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::Package;

/// What the scan did not see, a line each; empty where it saw everything.
pub(crate) fn incompleteness(bill: &BillOfMaterials<'_>) -> String {
    let lines: String = bill.gaps().map(|gap| format!("\ntidewaiter:gap={}", gap_line(gap))).collect();
    if bill.is_complete() { lines } else { format!("This document is incomplete.{lines}") }
}

/// The platform of the image, its digests and layers.
pub(crate) fn of_image(bill: &BillOfMaterials<'_>) -> String {
    lines(facts_of_image(bill.inventory))
}

/// The name of a system for people, and below it what its releases are known by.
pub(crate) fn of_system(os: &Os) -> String {
    let facts = lines(facts_of_system(os));
    [os.pretty_name.as_str(), &facts].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

fn lines<'a>(facts: impl Iterator<Item = (&'static str, Cow<'a, str>)>) -> String {
    facts.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

/// What a package is matched by besides its purl.
pub(crate) fn of_package(package: &Package) -> String {
    lines(facts(package).map(|(name, value)| (name, Cow::Borrowed(value))))
}

/// Where a package was found; layers are counted from 1.
pub(crate) fn found_in(package: &Package) -> String {
    let all = package.locations.iter().map(|location| format!("{}{}", location.path, in_layer(location)));
    let all: Vec<String> = all.collect();
    if all.is_empty() { String::new() } else { format!("found in: {}", all.join(", ")) }
}
