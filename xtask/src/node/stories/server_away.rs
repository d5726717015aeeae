//! The server is lost, and is away for longer.

use crate::node::inside::Stage;
use crate::node::registry;
use anyhow::Result;

const SERVER: &str = "kubectl -n tidewaiter-system";
const LABEL: &str = "-l app.kubernetes.io/name=tidewaiter";

/// Its Pod is killed: another one takes over.
pub(super) fn killed(stage: &mut Stage) -> Result<()> {
    let image = stage.clean("next:v1")?;
    let play = &mut stage.play;
    play.title("The server's Pod is killed");
    play.run(&format!("{SERVER} delete pod {LABEL} --grace-period=0 --force"))?;
    play.run(&format!("{SERVER} rollout status deployment/tidewaiter --timeout=120s"))?;
    play.run(&format!("kubectl create deployment next --image={image}"))?;
    play.run("kubectl rollout status deployment/next --timeout=60s").map(drop)
}

/// It is scaled to nothing: what was approved by digest starts, approved tags wait, all else is refused.
pub(super) fn scaled_down(stage: &mut Stage) -> Result<()> {
    let stranger = stage.clean("stranger:v1")?;
    let digest = stage.images.clean("next:v1").digest();
    let unknown = stage.images.clean("stranger:v1").digest();
    let host = registry::host();
    let play = &mut stage.play;
    play.title("The server is scaled to nothing");
    play.run(&format!("{SERVER} scale deployment/tidewaiter --replicas=0"))?;
    play.run(&format!("{SERVER} wait --for=delete pod {LABEL} --timeout=60s"))?;
    play.note("What was approved starts, named by its digest: alone, and in a Deployment.");
    play.run(&format!("kubectl run known --image={host}/next@{digest}"))?;
    play.run("kubectl wait --for=condition=Ready pod/known --timeout=60s")?;
    play.run(&format!("kubectl create deployment byname --image={host}/next@{digest}"))?;
    play.run("kubectl rollout status deployment/byname --timeout=60s")?;
    play.note("What nobody scanned is refused, by tag and by digest.");
    play.refused(&format!("kubectl run stranger --image={stranger}"), "not approved")?;
    play.refused(&format!("kubectl run stranger --image={host}/stranger@{unknown}"), "not approved")?;
    play.note("Tags wait: a second replica of an approved Deployment, and a new Deployment.");
    play.run("kubectl scale deployment/next --replicas=2")?;
    play.run(&format!("kubectl create deployment later --image={stranger}"))?;
    play.becomes("kubectl get events --field-selector reason=FailedCreate", &["replicaset/next", "replicaset/later"])?;
    play.run("kubectl get deployments next later")?;
    play.becomes("kubectl scan status deployment/later", &["warning: nothing new is scanned"])?;

    play.title("The server is back: what waited starts");
    play.run(&format!("{SERVER} scale deployment/tidewaiter --replicas=1"))?;
    play.run(&format!("{SERVER} rollout status deployment/tidewaiter --timeout=120s"))?;
    play.run("kubectl rollout status deployment/next --timeout=120s")?;
    play.run("kubectl rollout status deployment/later --timeout=120s")?;
    play.becomes("kubectl scan status deployment/later", &["Approved", "Deployed"])?;
    stage.runs_what_was_judged()
}
