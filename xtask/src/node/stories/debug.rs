//! An ephemeral container in a running Pod: only with an approved digest.

use crate::node::registry;
use crate::node::stage::Stage;
use anyhow::Result;

pub(super) fn play(stage: &mut Stage) -> Result<()> {
    let (host, digest) = (registry::host(), stage.images.clean("bare:v1").digest());
    let bad = stage.images.vulnerable("bad:v1").digest();
    let debug = "kubectl debug pod/bare --profile=general --attach=false --quiet";
    let session = &mut stage.session;
    session.title("An ephemeral container: by an approved digest");
    session.refused(&format!("{debug} --container=look --image={host}/bare:v1"), "denied request")?;
    session.refused(&format!("{debug} --container=look --image={host}/bad@{bad}"), "not approved")?;
    session.run(&format!("{debug} --container=look --image={host}/bare@{digest}"))?;
    session.becomes("kubectl get pod bare -o jsonpath={.status.ephemeralContainerStatuses[*].state}", &["running"])?;
    session.run("kubectl exec bare --container=look -- /bin/busybox cat /app/name")?;
    session.note("Image volumes are not played: containerd mounts them from version 2.1.");
    Ok(())
}
