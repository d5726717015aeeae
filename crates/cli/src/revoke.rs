//! `kubectl scan revoke`: withdraws the approvals of a workload.

use crate::args::RevokeArgs;
use crate::cluster;
use crate::exit::Exit;
use crate::terminal::printable;
use crate::workload::WorkloadName;
use anyhow::{Context as _, Result};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use std::io::Write as _;
use tidewaiter_crd::RolloutApproval;

/// Deletes every RolloutApproval of the workload: also of earlier images, which a rollback would find.
pub(crate) fn run(args: &RevokeArgs) -> Result<Exit> {
    let workload = WorkloadName::parse(&args.workload)?;
    let cluster = cluster::with_tidewaiter(&args.cluster)?;
    cluster.run(async {
        let scan = workload.find(&cluster).await?;
        let api: Api<RolloutApproval> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let mut all = api.list(&ListParams::default()).await.context("listing RolloutApprovals")?.items;
        all.retain(|approval| approval.spec.uid == scan.spec.uid);
        let mut out = std::io::stdout();
        if all.is_empty() {
            writeln!(out, "{workload} has no approvals; what policy approves by itself is not withdrawn")?;
        }
        for approval in all {
            let name = approval.name_any();
            let deleted = api.delete(&name, &DeleteParams::default()).await;
            deleted.with_context(|| format!("deleting the RolloutApproval {name}"))?;
            let by = printable(&approval.spec.approved_by);
            writeln!(
                out,
                "{workload}: approval by {by} withdrawn; what runs goes on, a rollout of another image is held"
            )?;
        }
        Ok(Exit::Clean)
    })
}
