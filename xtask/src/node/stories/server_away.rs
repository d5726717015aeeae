//! The server is killed, and is down for a while.

use crate::node::registry;
use crate::node::stage::Stage;
use anyhow::Result;

const SERVER: &str = "kubectl -n tidewaiter-system";
const LABEL: &str = "-l app.kubernetes.io/component=server";

/// Its Pods are killed: the next ones take over.
pub(super) fn killed(stage: &mut Stage) -> Result<()> {
    let image = stage.clean("next:v1")?;
    let session = &mut stage.session;
    session.title("The server's Pod is killed");
    session.run(&format!("{SERVER} delete pod {LABEL} --grace-period=0 --force"))?;
    session.run(&format!("{SERVER} rollout status deployment/tidewaiter --timeout=120s"))?;
    session.run(&format!("kubectl create deployment next --image={image}"))?;
    session.run("kubectl rollout status deployment/next --timeout=60s").map(drop)
}

/// It is scaled to zero: approved digests start, approved tags wait, everything else is refused.
pub(super) fn scaled_down(stage: &mut Stage) -> Result<()> {
    let stranger = stage.clean("stranger:v1")?;
    let digest = stage.images.clean("next:v1").digest();
    let unknown = stage.images.clean("stranger:v1").digest();
    let host = registry::host();
    let session = &mut stage.session;
    session.title("The server is scaled to zero");
    session.run(&format!("{SERVER} scale deployment/tidewaiter deployment/tidewaiter-standby --replicas=0"))?;
    session.run(&format!("{SERVER} wait --for=delete pod {LABEL} --timeout=60s"))?;
    session.note("An approved image starts if it is named by its digest: as a Pod, and in a Deployment.");
    session.run(&format!("kubectl run known --image={host}/next@{digest}"))?;
    session.run("kubectl wait --for=condition=Ready pod/known --timeout=60s")?;
    session.run(&format!("kubectl create deployment byname --image={host}/next@{digest}"))?;
    session.run("kubectl rollout status deployment/byname --timeout=60s")?;
    session.note("An image that was not scanned is refused, by tag and by digest.");
    session.refused(&format!("kubectl run stranger --image={stranger}"), "not approved")?;
    session.refused(&format!("kubectl run stranger --image={host}/stranger@{unknown}"), "not approved")?;
    session.note("Tags wait: a second replica of an approved Deployment, and a new Deployment.");
    session.run("kubectl scale deployment/next --replicas=2")?;
    session.run(&format!("kubectl create deployment later --image={stranger}"))?;
    session
        .becomes("kubectl get events --field-selector reason=FailedCreate", &["replicaset/next", "replicaset/later"])?;
    session.run("kubectl get deployments next later")?;
    session.becomes("kubectl scan status deployment/later", &["warning: nothing new is scanned"])?;

    session.title("The server is back: waiting Pods start");
    session.run(&format!("{SERVER} scale deployment/tidewaiter deployment/tidewaiter-standby --replicas=1"))?;
    session.run(&format!("{SERVER} rollout status deployment/tidewaiter --timeout=120s"))?;
    session.run("kubectl rollout status deployment/next --timeout=120s")?;
    session.run("kubectl rollout status deployment/later --timeout=120s")?;
    session.becomes("kubectl scan status deployment/later", &["Approved", "Deployed"])?;
    stage.check_digests()
}
