//! The small database that scans use, and the sizes of any database.

use super::images::content::{DEBIAN_PACKAGES, JARS, NPM_PACKAGES, debian_name, jar, npm_name};
use super::report::Figure;
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;
use tidewaiter_core::advisory::{Advisory, Affected, KeyKind};
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::Database;
use tidewaiter_db::meta::{FeedInfo, Meta};
use tidewaiter_db::writer::{BuildInput, write};

/// Bytes of one interval in the file.
const INTERVAL_BYTES: usize = 8;
/// Ecosystems of the images.
const ECOSYSTEMS: [&str; 3] = ["Debian:12", "npm", "Maven"];

/// Writes a small database: a few advisories for every second package of the images.
pub(crate) fn write_small(path: &Path) -> Result<()> {
    let mut advisories = Vec::new();
    for number in (0..DEBIAN_PACKAGES).step_by(2) {
        for fix in ["1:0.1-1", "1:4.20-2", "1:99.0-1"] {
            advisories.push(advisory(advisories.len(), "Debian:12", &debian_name(number), KeyKind::Source, fix));
        }
    }
    for number in (0..NPM_PACKAGES).step_by(2) {
        advisories.push(advisory(advisories.len(), "npm", &npm_name(number), KeyKind::Binary, "3.4.5"));
    }
    for number in (0..JARS).step_by(2) {
        let (group, artifact, _) = jar(number);
        advisories.push(advisory(advisories.len(), "Maven", &format!("{group}:{artifact}"), KeyKind::Binary, "2.15"));
    }
    let feed = FeedInfo {
        name: "bench".to_owned(),
        format: "osv".to_owned(),
        ecosystems: ECOSYSTEMS.map(Into::into).to_vec(),
        rates: true,
        ..FeedInfo::default()
    };
    let meta = Meta { built: "2025-01-01T00:00:00Z".parse().ok(), feeds: vec![feed], ..Meta::default() };
    Ok(write(path, &BuildInput { advisories, cves: BTreeMap::new(), meta })?)
}

fn advisory(number: usize, ecosystem: &str, package: &str, key: KeyKind, fix: &str) -> Advisory {
    Advisory {
        id: format!("CVE-2024-{}", 10_000 + number),
        feed: "bench".to_owned(),
        summary: format!("benchmark flaw {number} in {package}"),
        affected: vec![Affected::new(Ecosystem::from(ecosystem), package, key).fixed_in(fix)],
        ..Advisory::default()
    }
}

/// The sizes of a database file's parts.
pub(crate) fn figures(path: &Path) -> Result<Vec<Figure>> {
    let db = Database::open(path)?;
    let sizes: BTreeMap<String, usize> = db.section_sizes().into_iter().collect();
    let size = |name: &str| sizes.get(name).copied().unwrap_or_default();
    let intervals = size("intervals") / INTERVAL_BYTES;
    let rows = size("packages") + size("rows") + size("intervals") + size("qualifiers");
    let details = size("details") + size("blocks");
    Ok(vec![
        Figure::new("database: rows and package index", ratio(rows, intervals), "bytes/interval").at_most(24.0),
        Figure::new("database: details", ratio(details, usize::try_from(db.meta().advisories)?), "bytes/advisory")
            .at_most(200.0),
        Figure::new("database: strings", ratio(size("strings"), intervals), "bytes/interval"),
        Figure::new("database: intervals", ratio(intervals, 1), ""),
        Figure::new("database: advisories", ratio(usize::try_from(db.meta().advisories)?, 1), ""),
        Figure::new("database: file", ratio(usize::try_from(std::fs::metadata(path)?.len())?, 1_000_000), "MB"),
    ])
}

/// One count over another.
pub(crate) fn ratio(count: usize, of: usize) -> f64 {
    let number = |n: usize| u32::try_from(n).map_or(f64::from(u32::MAX), f64::from);
    if of == 0 { 0.0 } else { number(count) / number(of) }
}
