//! Checks known facts against a database.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_db::{Database, matching};

#[derive(Debug, Deserialize)]
struct Fact {
    id: String,
    #[serde(default)]
    data: String,
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    ecosystem: String,
    package: String,
    version: String,
    vulnerable: bool,
}

/// Checks every fact of `file` whose ecosystem has a version scheme; true if all hold.
pub(crate) fn run(file: &Path, db: &Path) -> Result<bool> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let facts: Vec<Fact> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let db = Database::open_verified(db)?;
    let (mut held, mut failed) = (0_u32, 0_u32);
    let mut skipped: BTreeMap<String, u32> = BTreeMap::new();
    for fact in &facts {
        for check in &fact.checks {
            let ecosystem = Ecosystem::from(check.ecosystem.as_str());
            if ecosystem.version_scheme().is_none() {
                *skipped.entry(check.ecosystem.clone()).or_default() += 1;
                continue;
            }
            if reported(&db, &ecosystem, fact, check)? == check.vulnerable {
                held += 1;
            } else {
                failed += 1;
                let expected = if check.vulnerable { "is not reported" } else { "is reported" };
                println!(
                    "fails: {} {expected} for {} {} {} ({})",
                    fact.id, check.ecosystem, check.package, check.version, fact.data
                );
            }
        }
    }
    skipped.iter().for_each(|(ecosystem, n)| println!("{ecosystem}: no version scheme, {n} checks skipped"));
    println!("{held} checks hold, {failed} fail");
    Ok(failed == 0)
}

fn reported(db: &Database, ecosystem: &Ecosystem, fact: &Fact, check: &Check) -> Result<bool> {
    let found = matching::vulnerabilities(db, ecosystem, &check.package, &check.version)?;
    let names = |a: &Advisory| std::iter::once(&a.id).chain(&a.aliases).chain(&a.upstream).any(|n| *n == fact.id);
    Ok(found.iter().any(names))
}
