//! `kubectl scan diff` and `kubectl scan fix`: what changed between two images, and what to upgrade in one.

use crate::args::{DiffArgs, FixArgs, Output};
use crate::exit::{self, Exit};
use crate::local;
use crate::render::{self, printable};
use anyhow::Result;
use std::io::{self, Write};
use tidewaiter_core::diff::{self, Diff};
use tidewaiter_core::policy;
use tidewaiter_core::severity::Severity;
use tidewaiter_core::upgrade::{self, Plan};

/// Scans both images and prints what differs. The exit code is the new image's.
pub(crate) fn diff(args: &DiffArgs) -> Result<Exit> {
    let (old, new) = (local::scan(&args.old, &args.local)?, local::scan(&args.new, &args.local)?);
    let diff = diff::diff(&old, &new);
    match args.output {
        Output::Json => render::json(&diff)?,
        Output::Table => write!(io::stdout(), "{}", diff_text(&diff))?,
    }
    Ok(exit::of(policy::decide(&new, &args.local.policy()).outcome))
}

fn diff_text(diff: &Diff) -> String {
    let mut out = String::new();
    let mut rows = vec![["", "PACKAGE", "TYPE", "OLD", "NEW"].map(str::to_owned)];
    for change in &diff.packages {
        let sign = sign(change.old.is_empty(), change.new.is_empty());
        let kind = change.kind.purl_type().to_owned();
        rows.push([sign, printable(&change.name), kind, versions(&change.old), versions(&change.new)]);
    }
    out.push_str(&section(&rows, "The packages are the same"));
    let mut rows = vec![["", "VULNERABILITY", "PACKAGE", "OLD", "NEW"].map(str::to_owned)];
    for change in &diff.findings {
        let sign = sign(change.old.is_none(), change.new.is_none());
        let word = |severity: Option<Severity>| severity.map_or_else(|| "-".to_owned(), |s| s.to_string());
        rows.push([
            sign,
            printable(&change.vulnerability),
            printable(&change.package),
            word(change.old),
            word(change.new),
        ]);
    }
    out.push_str(&section(&rows, "The findings are the same"));
    if !diff.complete {
        out.push_str("A report is incomplete: what seems to have gone may only not have been seen.\n");
    }
    out.push_str(&format!("old: {}\nnew: {}\n", diff.old.sentence(), diff.new.sentence()));
    out
}

fn sign(came: bool, went: bool) -> String {
    match (came, went) {
        (true, _) => "+",
        (_, true) => "-",
        _ => "~",
    }
    .to_owned()
}

fn versions(all: &[String]) -> String {
    if all.is_empty() { "-".to_owned() } else { printable(&all.join(", ")) }
}

fn section(rows: &[[String; 5]], none: &str) -> String {
    if rows.len() < 2 { format!("{none}.\n\n") } else { render::columns(rows) + "\n" }
}

/// Scans an image and prints the smallest upgrades that clear the policy.
pub(crate) fn fix(args: &FixArgs) -> Result<Exit> {
    let report = local::scan(&args.image, &args.local)?;
    let policy = args.local.policy();
    let plan = upgrade::plan(&report, &policy);
    match args.output {
        Output::Json => render::json(&plan)?,
        Output::Table => {
            let mut text = fix_text(&plan);
            for gap in &report.inventory.gaps {
                text.push_str(&render::gap(gap));
            }
            write!(io::stdout(), "{text}")?;
        }
    }
    Ok(exit::of(policy::decide(&report, &policy).outcome))
}

fn fix_text(plan: &Plan) -> String {
    let mut out = String::new();
    let mut layer = None;
    for upgrade in &plan.upgrades {
        if layer != Some(upgrade.layer) {
            layer = Some(upgrade.layer);
            let number = upgrade.layer.map_or_else(|| "layer unknown".to_owned(), |l| format!("layer {}", l + 1));
            let made = upgrade.created_by.as_deref().map(|by| format!(": {}", printable(by))).unwrap_or_default();
            out.push_str(&format!("{number}{made}\n"));
        }
        let (name, from, to) = (printable(&upgrade.package), printable(&upgrade.from), printable(&upgrade.to));
        out.push_str(&format!("  {name} {from} -> {to}  ({})\n", printable(&upgrade.clears.join(", "))));
    }
    for unfixed in &plan.unfixed {
        let (id, name) = (printable(&unfixed.vulnerability), printable(&unfixed.package));
        out.push_str(&format!("no fixed version: {id} in {name} {}\n", printable(&unfixed.installed_version)));
    }
    if plan.upgrades.is_empty() && plan.unfixed.is_empty() {
        out.push_str("Nothing blocks: no upgrade is needed.\n");
    }
    let end = if plan.passes { "the policy is met" } else { "the policy is not met" };
    out.push_str(&format!("now:   {}\nafter: {}; {end}\n", plan.before.sentence(), plan.after.sentence()));
    out
}
