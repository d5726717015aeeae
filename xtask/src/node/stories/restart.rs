//! The node crashes with everything on it, and restarts.

use crate::node::process::{LONGEST_WAIT, until};
use crate::node::stage::Stage;
use anyhow::Result;
use serde_json::Value;

pub(super) fn play(stage: &mut Stage) -> Result<()> {
    let image = stage.clean("afterwards:v1")?;
    stage.session.title("The node is restarted");
    stage.session.note(
        "The kubelet, containerd and all containers are killed, the server among them; then the first two start.",
    );
    stage.machine.crash()?;
    stage.machine.start()?;
    until("every Pod that ran runs again", LONGEST_WAIT, || restarted(stage))?;
    stage.machine.still_runs()?;
    stage.session.becomes("kubectl -n tidewaiter-system get pods", &["2/2", "Running"])?;
    stage.session.run("kubectl get pods")?;
    stage.check_digests()?;
    stage.session.run(&format!("kubectl create deployment afterwards --image={image}"))?;
    stage.session.run("kubectl rollout status deployment/afterwards --timeout=60s").map(drop)
}

/// `Some` if every scheduled Pod is back: completed, or restarted and ready.
fn restarted(stage: &Stage) -> Result<Option<()>> {
    let pods = stage.pods()?;
    let again = pods.iter().filter(|pod| pod.pointer("/spec/nodeName").is_some()).all(is_back);
    Ok(again.then_some(()))
}

fn is_back(pod: &Value) -> bool {
    if pod.pointer("/status/phase").and_then(Value::as_str) == Some("Succeeded") {
        return true;
    }
    let all = pod.pointer("/status/containerStatuses").and_then(Value::as_array).cloned().unwrap_or_default();
    let again = |status: &Value| status["ready"] == true && status["restartCount"].as_u64().is_some_and(|n| n > 0);
    !all.is_empty() && all.iter().all(again)
}
