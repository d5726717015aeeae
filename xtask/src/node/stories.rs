//! The stories, in order: each starts with what the ones before it left in the cluster.

mod debug;
mod kinds;
mod restart;
mod server_away;
mod six_steps;
mod uninstall;

use super::stage::Stage;
use anyhow::Result;
use std::path::Path;

/// Plays all of them.
pub(crate) fn all(root: &Path, stage: &mut Stage) -> Result<()> {
    six_steps::play(stage)?;
    kinds::play(stage)?;
    debug::play(stage)?;
    server_away::killed(stage)?;
    server_away::scaled_down(stage)?;
    restart::play(stage)?;
    uninstall::play(root, stage)
}
