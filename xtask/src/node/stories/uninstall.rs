//! The uninstallation: held workloads continue, and nothing is left.

use crate::node::stage::Stage;
use crate::node::{install, leftovers};
use anyhow::Result;
use std::path::Path;

pub(super) fn play(root: &Path, stage: &mut Stage) -> Result<()> {
    let session = &mut stage.session;
    session.title("Uninstalled by the README's command");
    install::undo(root, session)?;
    session.run("kubectl wait --for=delete namespace/tidewaiter-system --timeout=60s")?;
    session.note("Held workloads continue.");
    session.run("kubectl wait --for=condition=Ready pod/badpod --timeout=60s")?;
    session.run("kubectl get pods")?;
    leftovers::check(session)
}
