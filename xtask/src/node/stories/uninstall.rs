//! The way back: what was held goes on, and nothing is left.

use crate::node::inside::Stage;
use crate::node::{install, leftovers};
use anyhow::Result;
use std::path::Path;

pub(super) fn play(root: &Path, stage: &mut Stage) -> Result<()> {
    let play = &mut stage.play;
    play.title("Taken out by the README's command");
    install::undo(root, play)?;
    play.run("kubectl wait --for=delete namespace/tidewaiter-system --timeout=60s")?;
    play.note("What was held is free.");
    play.run("kubectl wait --for=condition=Ready pod/badpod --timeout=60s")?;
    play.run("kubectl get pods")?;
    leftovers::check(play)
}
