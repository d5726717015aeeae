//! The whole flow on a throw-away cluster: create, scan, hold, fix, approve, roll out.

use crate::controlplane;
use anyhow::{Result, bail};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tidewaiter_testkit::confined;
use tidewaiter_testkit::demo::{clean, vulnerable};
use tidewaiter_testkit::lab::{Lab, Places};

/// Builds what is missing, plays the six steps and cleans up.
pub(crate) fn run(root: &Path, keep: Keep) -> Result<bool> {
    let began = Instant::now();
    let places = places(root)?;
    println!("built after {:.0} s", began.elapsed().as_secs_f64());
    let mut lab = Lab::fresh(places);
    lab.start_server();
    println!("cluster, registry and server ready after {:.0} s", began.elapsed().as_secs_f64());
    steps(&lab)?;
    println!("\nthe six steps took until {:.0} s after the start", began.elapsed().as_secs_f64());
    if keep == Keep::Running {
        println!("\nexport KUBECONFIG={}", lab.cluster.kubeconfig().display());
        // As root everything is in a network namespace of its own, which a shell must enter.
        if confined::is_possible() {
            println!("reach it from: nsenter --net=/proc/{}/ns/net", lab.cluster.process_id());
        }
        println!("registry: {}\nPress Enter to stop everything.", lab.registry.host());
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
    }
    Ok(true)
}

/// What happens to the cluster after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    Running,
    Nothing,
}

/// Builds both programs and the control plane.
pub(crate) fn places(root: &Path) -> Result<Places> {
    controlplane::tools()?;
    Ok(Places { programs: programs(root)?, ..control_plane(root)? })
}

/// Builds the control plane; the programs are to be named.
pub(crate) fn control_plane(root: &Path) -> Result<Places> {
    let controlplane = controlplane::ensure(root, None)?;
    Ok(Places { root: root.to_owned(), programs: PathBuf::new(), controlplane, ends_quietly: false })
}

/// Builds both debug programs; returns their folder.
pub(crate) fn programs(root: &Path) -> Result<PathBuf> {
    // With the features of the whole workspace, as for the tests, so that nothing is built twice.
    let args = ["build", "--locked", "--workspace", "--bins"];
    let status = Command::new(env!("CARGO")).args(args).current_dir(root).status()?;
    if !status.success() {
        bail!("the programs do not build; see above");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    Ok(target.join("debug"))
}

fn steps(lab: &Lab) -> Result<()> {
    // The demo shows PendingApproval; the default policy approves by itself.
    lab.approval("Manual");
    let v1 = lab.registry.push("myapp", "v1", &vulnerable().build());
    let fixed = v1.replace(":v1", ":v1-fixed");
    title("A new installation warns; the administrator enforces one namespace");
    print(lab, lab.admin_command(), &["scan", "policy", "enable", "default", "--yes"], 0)?;

    title("0. Nothing is there");
    status(lab)?;

    // Slow enough that each status can be shown before the next.
    lab.registry.delay_blobs(Duration::from_secs(2));
    title("1. A Deployment is created: it is held before any Pod exists");
    show(lab, &["create", "deployment", "myapp", &format!("--image={v1}")], 0)?;
    status(lab)?;

    title("2. Its image is scanned by itself");
    lab.until("myapp", "Scanning Created");
    status(lab)?;

    title("3. The layers are analysed; a scan that a person starts is followed to its end");
    show(lab, &["scan", "image", &v1], 1)?;
    lab.registry.delay_blobs(Duration::ZERO);

    title("4. Policy blocks");
    lab.until("myapp", "VulnerabilitiesFound Blocked");
    status(lab)?;
    show(lab, &["get", "pods"], 0)?;
    show(lab, &["get", "events", "--field-selector", "involvedObject.kind=Deployment"], 0)?;
    show(lab, &["rollout", "resume", "deployment/myapp"], 1)?;
    show_as_lead(lab, &["scan", "approve", "deployment/myapp"], 3)?;

    title("5. The image is fixed, scanned and set");
    lab.registry.push("myapp", "v1-fixed", &clean().build());
    show(lab, &["scan", "image", &fixed], 0)?;
    show(lab, &["set", "image", "deployment/myapp", &format!("myapp={fixed}")], 0)?;
    lab.until("myapp", "NoVulnerabilities PendingApproval");
    status(lab)?;

    title("6. A person approves, here the namespace's admin: the rollout continues");
    show_as_lead(lab, &["scan", "approve", "deployment/myapp", "--reason=fixed"], 0)?;
    show(lab, &["rollout", "status", "deployment/myapp", "--timeout=60s"], 0)?;
    lab.until("myapp", "Approved Deployed");
    status(lab)?;
    show(
        lab,
        &["get", "pods", "-o", "custom-columns=POD:.metadata.name,IMAGE:.spec.containers[*].image,PHASE:.status.phase"],
        0,
    )
}

fn title(text: &str) {
    println!("\n== {text}");
}

fn status(lab: &Lab) -> Result<()> {
    show(lab, &["scan", "status", "deployment/myapp"], 0)
}

/// Runs kubectl as the developer, who may edit the namespace.
fn show(lab: &Lab, args: &[&str], expected: i32) -> Result<()> {
    print(lab, lab.kubectl_command(), args, expected)
}

/// Runs kubectl as the lead, who may approve there.
fn show_as_lead(lab: &Lab, args: &[&str], expected: i32) -> Result<()> {
    print(lab, lab.lead_command(), args, expected)
}

/// Prints a command and its output, line by line as it comes.
fn print(lab: &Lab, mut command: Command, args: &[&str], expected: i32) -> Result<()> {
    println!("\n$ kubectl {}", args.join(" "));
    let mut child = command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| err.into_iter().flat_map(|e| BufReader::new(e).lines()).flatten().for_each(|l| println!("{l}")));
        out.into_iter().flat_map(|o| BufReader::new(o).lines()).flatten().for_each(|l| println!("{l}"));
    });
    let code = child.wait()?.code().unwrap_or(-1);
    if code != expected {
        bail!(
            "kubectl {} ended with {code}, not {expected}; the server's log: {}",
            args.join(" "),
            lab.log().display()
        );
    }
    Ok(())
}
