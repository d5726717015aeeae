//! What the gate adds to one rollout on a cluster at rest, from `kubectl create` to Available.

use super::{APART, GATED};
use std::time::{Duration, Instant};
use tidewaiter_testkit::demo::distinct;
use tidewaiter_testkit::lab::Lab;

/// Rollouts in each namespace, each of an image that was never scanned.
const ROUNDS: usize = 20;

/// Medians of both namespaces, measured in turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct CalmRollouts {
    pub(super) gated: Duration,
    pub(super) apart: Duration,
}

/// Rolls out in both namespaces, with automatic approval.
pub(super) fn measure(lab: &Lab) -> CalmRollouts {
    let (mut gated, mut apart) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("calm-{round}");
        let image = lab.registry.push(&name, "v1", &distinct(&name));
        gated.push(available(lab, GATED, &name, &image));
        apart.push(available(lab, APART, &name, &image));
    }
    for namespace in [GATED, APART] {
        lab.admin(&["delete", "deployments", "--all", "-n", namespace, "--wait"]).ok();
    }
    CalmRollouts { gated: median(&mut gated), apart: median(&mut apart) }
}

fn available(lab: &Lab, namespace: &str, name: &str, image: &str) -> Duration {
    let began = Instant::now();
    lab.admin(&["create", "deployment", name, "-n", namespace, &format!("--image={image}")]).ok();
    let deployment = format!("deployment/{name}");
    lab.admin(&["wait", "-n", namespace, "--for=condition=Available", &deployment, "--timeout=60s"]).ok();
    began.elapsed()
}

fn median(all: &mut [Duration]) -> Duration {
    all.sort();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
