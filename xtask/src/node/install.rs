//! Installing and taking out by the commands that README and user guide show, read from there as they are.

use super::Inside;
use super::inside::Stage;
use super::machine;
use super::network::NODES;
use super::play::Play;
use super::registry;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Where README has a registry of the reader's.
const REGISTRY: &str = "registry.example";
/// Stands in for a StorageClass.
const VOLUME: &str = include_str!("machine/volume.yaml");

/// Waits for the node, makes `deploy/` fit for it, and follows the README.
pub(crate) fn run(root: &Path, inside: &Inside, stage: &mut Stage) -> Result<()> {
    stage.play.title("The node");
    stage.machine.still_runs()?;
    stage.play.becomes("kubectl get nodes -o wide", &[" Ready "])?;

    stage.play.title("What this node needs before the README's commands");
    volume(&mut stage.play)?;
    feeds(&mut stage.play)?;
    stage.play.note("The registry has no TLS and a private address.");
    let arguments = format!("--allow-registry-network={NODES}, --plain-http-registry={}", registry::host());
    stage.play.run(&format!("sed -i 's|args: \\[serve\\]|args: [serve, {arguments}]|' deploy/tidewaiter.yaml"))?;

    stage.play.title("Installed by the README's commands");
    for line in commands(root, &["README.md"], &["cargo xtask image --push", "kubectl apply -f deploy/"])? {
        let shown = line.replace(REGISTRY, &registry::loopback());
        stage.play.types(&shown, &ours(&shown, inside)?, 0)?;
    }
    stage.play.run("kubectl -n tidewaiter-system get pods")?;
    stage.play.run("kubectl -n tidewaiter-system logs deployment/tidewaiter -c database").map(drop)
}

/// Takes it out again.
pub(crate) fn undo(root: &Path, play: &mut Play) -> Result<()> {
    for line in commands(root, &["README.md", "docs/user-guide.md"], &["tidewaiter uninstall"])? {
        // The administrator's kubeconfig is the one in use.
        let line = line.replace("KUBECONFIG=admin.kubeconfig ", "");
        // What `uninstall` deleted is not found.
        play.ends(&line, i32::from(line.starts_with("kubectl delete -f deploy/")))?;
    }
    Ok(())
}

fn volume(play: &mut Play) -> Result<()> {
    play.note("There is no StorageClass: a volume.");
    let data = play.folder().join("data");
    fs::create_dir_all(&data)?;
    let text = VOLUME.replace("DATA", &data.display().to_string()).replace("NODE", machine::NAME);
    fs::write(play.folder().join("volume.yaml"), text)?;
    play.run("kubectl apply -f volume.yaml").map(drop)
}

fn feeds(play: &mut Play) -> Result<()> {
    play.note("It has no way out to the feeds: those of the demo, as files.");
    play.run("mkdir feeds && tar -czf feeds/advisories.tar.gz -C demo advisories")?;
    play.run("sed 's,\"advisories\",\"advisories.tar.gz\",' demo/feeds.toml > feeds/feeds.toml")?;
    play.run(
        "kubectl create configmap feeds --namespace=tidewaiter-system --from-file=feeds \
         --dry-run=client -o yaml > deploy/tidewaiter-feeds.yaml",
    )
    .map(drop)
}

/// `cargo xtask` is this program; nothing is built again in the namespaces.
fn ours(line: &str, inside: &Inside) -> Result<String> {
    let own = std::env::current_exe()?;
    let image = format!("{} image --programs {}", own.display(), inside.built.display());
    Ok(line.replace("cargo xtask image", &image))
}

/// The commands of the first file that has them: of each block of code that holds one of these words, without comments.
fn commands(root: &Path, files: &[&str], words: &[&str]) -> Result<Vec<String>> {
    for file in files {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let found = blocks(&text).into_iter().filter(|block| words.iter().any(|words| block.contains(words)));
        let all = found.collect::<String>().replace("\\\n", " ");
        let lines: Vec<String> = all.lines().map(without_comment).filter(|line| !line.is_empty()).collect();
        if !lines.is_empty() {
            return Ok(lines);
        }
    }
    bail!("{} shows no commands with `{}`", files.join(" or "), words.join("` or `"))
}

/// Blocks of code: indented by four spaces, or fenced.
fn blocks(text: &str) -> Vec<String> {
    let (mut all, mut fenced) = (vec![String::new()], false);
    for line in text.lines() {
        let fence = line.starts_with("```");
        fenced ^= fence;
        let code = if fenced && !fence { Some(line) } else { line.strip_prefix("    ") };
        match (code, all.last_mut()) {
            (Some(code), Some(block)) => *block += &format!("{code}\n"),
            (None, Some(block)) if !block.is_empty() => all.push(String::new()),
            _ => {}
        }
    }
    all.retain(|block| !block.is_empty());
    all
}

fn without_comment(line: &str) -> String {
    line.split(" # ").next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{blocks, without_comment};

    #[test]
    fn commands_are_found() {
        let text = "Text\n\n    a   # first\n    b\n\nText\n\n```sh\nc\n\nd\n```\n    e\n";
        assert_eq!(blocks(text), ["a   # first\nb\n", "c\n\nd\n", "e\n"]);
        assert_eq!(without_comment("a   # first"), "a");
    }
}
