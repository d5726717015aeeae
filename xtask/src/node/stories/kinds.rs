//! Every other kind of workload: scanned, pinned, run; or not.

use crate::node::inside::Stage;
use crate::node::registry;
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
    let play = &mut stage.play;
    fs::write(play.folder().join("kinds.yaml"), MANIFEST.replace("REGISTRY", &registry::host()))?;
    play.title("StatefulSet, DaemonSet, Job, CronJob, Pods, an init container, a sidecar");
    play.run("kubectl apply -f kinds.yaml")?;
    play.run("kubectl rollout status statefulset/store --timeout=120s")?;
    play.run("kubectl rollout status daemonset/agent --timeout=60s")?;
    play.run("kubectl wait --for=condition=Complete job/once --timeout=60s")?;
    play.run("kubectl wait --for=condition=Ready pod/bare pod/several --timeout=60s")?;
    play.run("kubectl create job tonight --from=cronjob/nightly")?;
    play.run("kubectl wait --for=condition=Complete job/tonight --timeout=60s")?;
    play.run("kubectl get pods")?;
    stage.runs_what_was_judged()?;

    let play = &mut stage.play;
    play.title("The same with an image that policy blocks: they wait");
    play.run(&format!("kubectl run badpod --image={bad}"))?;
    play.run(&format!("kubectl create job badjob --image={bad}"))?;
    play.becomes("kubectl scan status", &["badpod", "VulnerabilitiesFound"])?;
    play.becomes("kubectl get pods badpod", &["SchedulingGated"])?;
    play.becomes("kubectl get pods -l job-name=badjob", &["SchedulingGated"])?;
    Ok(())
}
