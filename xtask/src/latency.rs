//! What the gate adds to a rollout, from `kubectl create` to Available: compared with an excluded namespace of the same
//! cluster.

use crate::demo;
use anyhow::Result;
use std::path::Path;
use std::time::{Duration, Instant};
use tidewaiter_testkit::demo::distinct;
use tidewaiter_testkit::lab::Lab;

/// Rollouts in each namespace, each of an image that was never scanned.
const ROUNDS: usize = 20;
/// The excluded namespace.
const APART: &str = "apart";
/// Longest time that the gate may add to the median: a rollout takes seconds, and users should not notice the gate.
const BUDGET: Duration = Duration::from_millis(700);

/// Measures both namespaces in turn, with automatic approval; true if the budget is met.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut lab = Lab::new(demo::places(root)?);
    lab.start_server_with(&["--exclude-namespace", "kube-system", "--exclude-namespace", APART]);
    lab.kubectl(&["create", "namespace", APART]).ok();
    let (mut gated, mut apart) = (Vec::new(), Vec::new());
    println!("{:>5} {:>10} {:>10}", "ROUND", "GATED", "EXCLUDED");
    for round in 0..ROUNDS {
        let name = format!("app-{round}");
        let image = lab.registry.push(&name, "v1", &distinct(&name));
        gated.push(available(&lab, "default", &name, &image));
        apart.push(available(&lab, APART, &name, &image));
        println!("{round:>5} {:>8} ms {:>8} ms", gated[round].as_millis(), apart[round].as_millis());
    }
    let (gated, apart) = (median(&mut gated), median(&mut apart));
    let added = gated.saturating_sub(apart);
    println!(
        "medians of {ROUNDS}: gated {} ms, excluded {} ms, added {} ms (at most {} ms)",
        gated.as_millis(),
        apart.as_millis(),
        added.as_millis(),
        BUDGET.as_millis()
    );
    Ok(added <= BUDGET)
}

fn available(lab: &Lab, namespace: &str, name: &str, image: &str) -> Duration {
    let began = Instant::now();
    lab.kubectl(&["create", "deployment", name, "-n", namespace, &format!("--image={image}")]).ok();
    let deployment = format!("deployment/{name}");
    lab.kubectl(&["wait", "-n", namespace, "--for=condition=Available", &deployment, "--timeout=60s"]).ok();
    began.elapsed()
}

fn median(all: &mut [Duration]) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
