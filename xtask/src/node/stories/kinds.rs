//! Every other kind of workload: scanned, pinned and run, or held.

use crate::node::registry;
use crate::node::stage::Stage;
use anyhow::Result;
use std::fs;

const MANIFEST: &str = include_str!("kinds.yaml");
/// The images of the manifest.
const IMAGES: [&str; 8] = ["store", "agent", "once", "nightly", "bare", "first", "beside", "main"];

pub(super) fn play(stage: &mut Stage) -> Result<()> {
    for name in IMAGES {
        stage.clean(&format!("{name}:v1"))?;
    }
    let bad = stage.vulnerable("bad:v1")?;
    let session = &mut stage.session;
    fs::write(session.folder().join("kinds.yaml"), MANIFEST.replace("REGISTRY", &registry::host()))?;
    session.title("StatefulSet, DaemonSet, Job, CronJob, Pods, an init container, a sidecar");
    session.run("kubectl apply -f kinds.yaml")?;
    session.run("kubectl rollout status statefulset/store --timeout=120s")?;
    session.run("kubectl rollout status daemonset/agent --timeout=60s")?;
    session.run("kubectl wait --for=condition=Complete job/once --timeout=60s")?;
    session.run("kubectl wait --for=condition=Ready pod/bare pod/several --timeout=60s")?;
    session.run("kubectl create job tonight --from=cronjob/nightly")?;
    session.run("kubectl wait --for=condition=Complete job/tonight --timeout=60s")?;
    session.run("kubectl get pods")?;
    stage.check_digests()?;

    let session = &mut stage.session;
    session.title("The same with an image that policy blocks: they wait");
    session.run(&format!("kubectl run badpod --image={bad}"))?;
    session.run(&format!("kubectl create job badjob --image={bad}"))?;
    session.becomes("kubectl scan status", &["badpod", "VulnerabilitiesFound"])?;
    session.becomes("kubectl get pods badpod", &["SchedulingGated"])?;
    session.becomes("kubectl get pods -l job-name=badjob", &["SchedulingGated"])?;
    Ok(())
}
