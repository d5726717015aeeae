//! `kubectl scan fix`: the smallest upgrades that satisfy the policy.

use crate::args::{FixArgs, OutputFormat};
use crate::exit::{self, Exit};
use crate::terminal::printable;
use crate::{local, render, stdout};
use anyhow::Result;
use jiff::Timestamp;
use tidewaiter_core::policy::{self, Outcome};
use tidewaiter_core::upgrade::{self, UpgradePlan};

/// Scans an image and prints the smallest upgrades that satisfy the policy. The exit code is that of the image as it is.
pub(crate) fn run(args: &FixArgs) -> Result<Exit> {
    let criteria = args.local.judge.criteria()?;
    let report = local::scan(&args.image, &args.local)?;
    let policy = criteria.of_image(&report.inventory.image)?;
    let now = Timestamp::now();
    let verdict = policy::decide(&report, &policy, now);
    let plan = upgrade::plan(&report, &policy, now);
    match args.output {
        OutputFormat::Json => render::json(&plan)?,
        OutputFormat::Table => {
            let mut text = fix_text(&plan);
            text.extend(report.inventory.gaps.iter().chain(&verdict.gaps).map(render::gap));
            stdout::print(&text)?;
        }
    }
    Ok(exit::of(verdict.outcome))
}

fn fix_text(plan: &UpgradePlan) -> String {
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
        out.push_str(&format!("  {name} {from} -> {to}  ({})\n", printable(upgrade.clears.join(", "))));
    }
    for unfixed in &plan.unfixed {
        let (id, name) = (printable(&unfixed.vulnerability), printable(&unfixed.package));
        out.push_str(&format!("no fixed version: {id} in {name} {}\n", printable(&unfixed.installed_version)));
    }
    if plan.upgrades.is_empty() && plan.unfixed.is_empty() {
        out.push_str("No upgrade is needed: no finding violates the policy.\n");
    }
    let end = match plan.verdict.outcome {
        Outcome::Pass => "the policy is satisfied",
        Outcome::Violated => "the policy is not satisfied",
        Outcome::Incomplete => "the policy is not satisfied: the scan is incomplete",
    };
    out.push_str(&format!("now:   {}\nafter: {}; {end}\n", plan.before.sentence(), plan.after.sentence()));
    out
}
