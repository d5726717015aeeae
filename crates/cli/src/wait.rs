//! `kubectl scan wait`: for the decision about a workload, in pipelines.

use crate::args::WaitArgs;
use crate::built_in::PartialPodSpec;
use crate::cluster::{self, Cluster};
use crate::exit::{Exit, UsageError};
use crate::status;
use crate::workload::WorkloadName;
use anyhow::{Result, bail};
use std::time::Duration;
use tidewaiter_core::status::DeploymentStatus;
use tidewaiter_crd::workload_scan::WorkloadScanStatus;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Waits, then prints the workload. Blocked is exit code 1; not decided in time is 3.
pub(crate) fn run(args: &WaitArgs) -> Result<Exit> {
    let workload = WorkloadName::parse(&args.workload)?;
    let limit = Duration::try_from(args.timeout).map_err(|_| UsageError("--timeout is negative".to_owned()))?;
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let decided = tokio::time::timeout(limit, decided(&cluster, &workload, &args.images)).await;
        status::print_one(&cluster, &workload).await?;
        match decided {
            Ok(exit) => exit,
            Err(_) => bail!("{workload} has no decision after {}; its state is shown above", args.timeout),
        }
    })
}

async fn decided(cluster: &Cluster, workload: &WorkloadName<'_>, images: &[String]) -> Result<Exit> {
    loop {
        let held = workload.held_for(cluster).await?;
        let template = workload.template(cluster).await?;
        let status = workload.record(cluster).await?.and_then(|record| record.status);
        let is_meant = |status: &WorkloadScanStatus| {
            if images.is_empty() { is_about(status, template.as_ref()) } else { has_images(status, images) }
        };
        if let Some(exit) = status.filter(is_meant).and_then(|s| exit(&s, held.as_deref())) {
            return Ok(exit);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether a status describes the template as it is now, or an update that was refused; what was injected into its Pods may be
/// described, too.
fn is_about(status: &WorkloadScanStatus, template: Option<&PartialPodSpec>) -> bool {
    let Some(template) = template.filter(|_| status.refused.is_none()) else { return true };
    let revision = status.current_revision();
    template.containers().all(|container| {
        let known = revision.and_then(|revision| revision.containers.get(&container.name));
        known.is_some_and(|known| container.image.as_deref().is_some_and(|image| known.names(image)))
    })
}

/// Whether a status describes a revision with all of these images. An update that was refused is in no template, and for a
/// moment in no record either.
fn has_images(status: &WorkloadScanStatus, images: &[String]) -> bool {
    let Some(revision) = status.current_revision() else { return false };
    images.iter().all(|image| revision.containers.values().any(|container| container.names(image)))
}

/// The exit code of a decision; `None` while there is none about the template that is held.
fn exit(status: &WorkloadScanStatus, held: Option<&str>) -> Option<Exit> {
    let is_current = held.is_none() || status.current.as_deref() == held;
    match status.deployment_status {
        DeploymentStatus::Blocked if is_current => Some(Exit::Violated),
        DeploymentStatus::Blocked => None,
        // The hold ends after the decision.
        DeploymentStatus::RollingOut | DeploymentStatus::Deployed => held.is_none().then_some(Exit::Clean),
        DeploymentStatus::NotCreated | DeploymentStatus::Created | DeploymentStatus::PendingApproval => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_decision_is_about_the_images_of_now() {
        let status: WorkloadScanStatus = serde_json::from_value(json!({"imageStatus": "Approved",
            "deploymentStatus": "Deployed", "current": "h", "revisions": {"h": {"decision": "Approved", "containers":
                {"c": {"image": "x:1", "pinned": "x:1@sha256:0"}, "proxy": {"image": "p:1"}}}}}))
        .unwrap();
        let check = |template: Option<&str>, expected: bool| {
            let template = template.map(|image| json!({"containers": [{"name": "c", "image": image}]}));
            let template: Option<PartialPodSpec> = template.map(|spec| serde_json::from_value(spec).unwrap());
            assert_eq!(is_about(&status, template.as_ref()), expected, "{template:?}");
        };
        check(None, true);
        check(Some("x:1"), true);
        check(Some("x:1@sha256:0"), true);
        check(Some("x:2"), false);
        let unknown = PartialPodSpec::default();
        assert!(is_about(&WorkloadScanStatus::default(), Some(&unknown)));
    }

    #[test]
    fn a_decision_is_about_the_images_that_are_named() {
        let status: WorkloadScanStatus = serde_json::from_value(json!({"imageStatus": "Approved",
            "deploymentStatus": "Deployed", "current": "h", "revisions": {"h": {"decision": "Approved", "containers":
                {"c": {"image": "x:1", "pinned": "x:1@sha256:0"}, "d": {"image": "y:1"}}},
                "other": {"decision": "Held", "containers": {"c": {"image": "x:2"}}}}}))
        .unwrap();
        let check = |status: &WorkloadScanStatus, images: &[&str], expected: bool| {
            let images: Vec<String> = images.iter().map(|image| (*image).to_owned()).collect();
            assert_eq!(has_images(status, &images), expected, "{images:?}");
        };
        check(&status, &["x:1"], true);
        check(&status, &["x:1@sha256:0"], true);
        check(&status, &["x:1", "y:1"], true);
        // The update is not recorded yet.
        check(&status, &["x:2"], false);
        check(&status, &["x:1", "z:1"], false);
        check(&WorkloadScanStatus::default(), &["x:1"], false);
    }

    #[test]
    fn a_decision_has_an_exit_code() {
        let check = |deployment_status: DeploymentStatus, held: Option<&str>, expected: Option<Exit>| {
            let current = Some("now".to_owned());
            let status = WorkloadScanStatus { deployment_status, current, ..WorkloadScanStatus::default() };
            assert_eq!(exit(&status, held), expected, "{deployment_status} {held:?}");
        };
        check(DeploymentStatus::Created, Some("now"), None);
        check(DeploymentStatus::PendingApproval, Some("now"), None);
        check(DeploymentStatus::Blocked, Some("now"), Some(Exit::Violated));
        check(DeploymentStatus::RollingOut, None, Some(Exit::Clean));
        check(DeploymentStatus::Deployed, None, Some(Exit::Clean));
        check(DeploymentStatus::Deployed, Some("now"), None);
        // The record still describes the last template.
        check(DeploymentStatus::Deployed, Some("next"), None);
        check(DeploymentStatus::Blocked, Some("next"), None);
        // Pods without a Deployment.
        check(DeploymentStatus::Blocked, None, Some(Exit::Violated));
    }
}
