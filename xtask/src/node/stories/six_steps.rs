//! The six steps of the demo, with Pods that run.

use crate::node::stage::Stage;
use anyhow::Result;

const STATUS: &str = "kubectl scan status deployment/myapp";

pub(super) fn play(stage: &mut Stage) -> Result<()> {
    let v1 = stage.vulnerable("myapp:v1")?;
    let fixed = v1.replace(":v1", ":v1-fixed");
    let session = &mut stage.session;
    session.title("The six steps: held, scanned, blocked");
    session.note("The default policy approves by itself; here a person does.");
    session.run(r#"kubectl patch clusterscanpolicy default --type=merge -p '{"spec":{"approval":"Manual"}}'"#)?;
    session.run(&format!("kubectl create deployment myapp --image={v1}"))?;
    session.run(STATUS)?;
    session.ends(&format!("kubectl scan image {v1}"), 1)?;
    session.becomes(STATUS, &["VulnerabilitiesFound", "Blocked"])?;
    session.run("kubectl get pods")?;
    session.refused("kubectl rollout resume deployment/myapp", "is held until its images are approved")?;
    session.ends("kubectl scan approve deployment/myapp", 3)?;

    stage.clean("myapp:v1-fixed")?;
    let session = &mut stage.session;
    session.title("The six steps: fixed, approved, running");
    session.run(&format!("kubectl scan image {fixed}"))?;
    session.run(&format!("kubectl set image deployment/myapp myapp={fixed}"))?;
    session.becomes(STATUS, &["NoVulnerabilities", "PendingApproval"])?;
    session.run("kubectl scan approve deployment/myapp --reason=fixed")?;
    session.run("kubectl rollout status deployment/myapp --timeout=60s")?;
    session.becomes(STATUS, &["Approved", "Deployed"])?;
    session.run(
        "kubectl get pods -o custom-columns=POD:.metadata.name,PHASE:.status.phase,\
         IMAGE:.spec.containers[*].image,RUNS:.status.containerStatuses[*].imageID",
    )?;
    stage.check_digests()?;
    let automatic = r#"kubectl patch clusterscanpolicy default --type=merge -p '{"spec":{"approval":"Automatic"}}'"#;
    stage.session.run(automatic).map(drop)
}
