//! The six steps of the demo, with Pods that run.

use crate::node::inside::Stage;
use anyhow::Result;

const STATUS: &str = "kubectl scan status deployment/myapp";

pub(super) fn play(stage: &mut Stage) -> Result<()> {
    let v1 = stage.vulnerable("myapp:v1")?;
    let fixed = v1.replace(":v1", ":v1-fixed");
    let play = &mut stage.play;
    play.title("The six steps: held, scanned, blocked");
    play.note("The default policy approves by itself; here a person does.");
    play.run(r#"kubectl patch clusterscanpolicy default --type=merge -p '{"spec":{"approval":"Manual"}}'"#)?;
    play.run(&format!("kubectl create deployment myapp --image={v1}"))?;
    play.run(STATUS)?;
    play.ends(&format!("kubectl scan image {v1}"), 1)?;
    play.becomes(STATUS, &["VulnerabilitiesFound", "Blocked"])?;
    play.run("kubectl get pods")?;
    play.refused("kubectl rollout resume deployment/myapp", "is held until its images are approved")?;
    play.ends("kubectl scan approve deployment/myapp", 3)?;

    stage.clean("myapp:v1-fixed")?;
    let play = &mut stage.play;
    play.title("The six steps: fixed, approved, running");
    play.run(&format!("kubectl scan image {fixed}"))?;
    play.run(&format!("kubectl set image deployment/myapp myapp={fixed}"))?;
    play.becomes(STATUS, &["NoVulnerabilities", "PendingApproval"])?;
    play.run("kubectl scan approve deployment/myapp --reason=fixed")?;
    play.run("kubectl rollout status deployment/myapp --timeout=60s")?;
    play.becomes(STATUS, &["Approved", "Deployed"])?;
    play.run(
        "kubectl get pods -o custom-columns=POD:.metadata.name,PHASE:.status.phase,\
         IMAGE:.spec.containers[*].image,RUNS:.status.containerStatuses[*].imageID",
    )?;
    stage.runs_what_was_judged()?;
    let automatic = r#"kubectl patch clusterscanpolicy default --type=merge -p '{"spec":{"approval":"Automatic"}}'"#;
    stage.play.run(automatic).map(drop)
}
