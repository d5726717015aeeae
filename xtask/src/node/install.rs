//! Installs and uninstalls by the README's commands, read from there as they are.

use super::args::InsideArgs;
use super::machine;
use super::network::NODES;
use super::registry;
use super::session::Session;
use super::stage::Stage;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use tidewaiter_testkit::readme;

/// The registry of the README, replaced by the one of the node.
const REGISTRY: &str = "registry.example";
/// The README's volume; in the namespaces this folder is an empty one.
const VOLUME: &str = "/var/lib/tidewaiter";
/// Any certificate authority will do: the server only has to find the file.
const CA: &str = "kubectl get configmap kube-root-ca.crt -o jsonpath='{.data.ca\\.crt}' > ca.pem";
const ROLLED_OUT: &str = "kubectl -n tidewaiter-system rollout status deployment/tidewaiter";

/// Waits for the node and follows the README, with what this node needs in addition.
pub(crate) fn run(root: &Path, inside: &InsideArgs, stage: &mut Stage) -> Result<()> {
    let readme = root.join("README.md");
    stage.session.title("The node");
    stage.machine.still_runs()?;
    stage.session.becomes("kubectl get nodes -o wide", &[" Ready "])?;

    let session = &mut stage.session;
    session.title("Installed by the README's commands");
    for line in commands(&image(&readme)?) {
        session.types(&line, &ours(&line, inside)?, 0)?;
    }
    session.note("There is no StorageClass, so the volume is a folder of the node.");
    fs::create_dir_all(VOLUME).context(VOLUME)?;
    follow(session, &readme::script(&readme, "volume").replace("NODE", machine::NAME))?;
    session.note("The default feeds cannot be reached from here: the demo's feeds, as files.");
    feeds(session)?;
    follow(session, &readme::script(&readme, "install"))?;
    follow(session, &readme::script(&readme, "enforce"))?;

    session.title("Arguments of the server, and new feeds, by the README's commands");
    session.run(CA)?;
    follow(session, &readme::script(&readme, "arguments"))?;
    session.note("This registry has no TLS, which needs one more argument.");
    session.run(&arguments())?;
    follow(session, &readme::script(&readme, "feeds"))?;
    session.run(ROLLED_OUT)?;
    session.run("kubectl -n tidewaiter-system get pods")?;
    session.run("kubectl -n tidewaiter-system logs deployment/tidewaiter -c database").map(drop)
}

/// Replaces the default feeds in the manifests.
fn feeds(session: &mut Session) -> Result<()> {
    session.run("tar -czf advisories.tar.gz -C demo advisories")?;
    session.run("sed 's,\"advisories\",\"advisories.tar.gz\",' demo/feeds.toml > feeds.toml")?;
    session
        .run(
            "kubectl -n tidewaiter-system create configmap feeds --from-file=feeds.toml --from-file=advisories.tar.gz \
         --dry-run=client -o yaml > deploy/tidewaiter-feeds.yaml",
        )
        .map(drop)
}

/// Uninstalls.
pub(crate) fn undo(root: &Path, session: &mut Session) -> Result<()> {
    follow(session, &readme::script(&root.join("README.md"), "removal"))
}

/// Types every command of a script.
fn follow(session: &mut Session, script: &str) -> Result<()> {
    for line in commands(script) {
        session.run(&line)?;
    }
    Ok(())
}

/// The block that builds and pushes the image. No test runs it, since it takes long, so it has no name.
fn image(readme: &Path) -> Result<String> {
    let found = readme::blocks(readme).into_iter().find(|block| block.script.contains("cargo xtask image --push"));
    Ok(found.context("README.md shows no `cargo xtask image --push`")?.script)
}

fn arguments() -> String {
    let arguments = format!(
        "--allow-registry-network={NODES}, --registry-ca=/etc/registry-ca/ca.pem, --plain-http-registry={}",
        registry::host()
    );
    format!(
        "for name in tidewaiter tidewaiter-standby; do kubectl -n tidewaiter-system patch deployment/$name -p \
         'spec: {{template: {{spec: {{containers: [{{name: tidewaiter, args: [serve, {arguments}]}}]}}}}}}'; done"
    )
}

/// Replaces `cargo xtask` by this program: nothing is built in the namespaces.
fn ours(line: &str, inside: &InsideArgs) -> Result<String> {
    let own = std::env::current_exe()?;
    let image = format!("{} image --programs {}", own.display(), inside.built.display());
    Ok(line.replace("cargo xtask image", &image))
}

/// The commands of a script, with this node's registry. A script with a here-document or a text of several lines is one
/// command.
fn commands(script: &str) -> Vec<String> {
    let script = script.replace(REGISTRY, &registry::loopback());
    if script.contains("<<") || script.contains("'\n") {
        return vec![script];
    }
    // A backslash continues a command in the next line.
    let joined = script.replace("\\\n", "");
    joined.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::commands;

    #[test]
    fn scripts_are_split_where_a_shell_does() {
        let check = |script: &str, expected: &[&str]| assert_eq!(commands(script), expected, "{script}");
        check("a\nb registry.example/c", &["a", "b 127.0.0.1:5000/c"]);
        check("a \\\n  b\nc", &["a   b", "c"]);
        check("a <<'EOF'\nb\nEOF", &["a <<'EOF'\nb\nEOF"]);
        check("a '\nb'", &["a '\nb'"]);
    }
}
