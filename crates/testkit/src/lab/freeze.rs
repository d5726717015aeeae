//! A server that hangs: its connections stay open, and nothing is answered.

use super::Lab;
use crate::cluster::run;
use std::process::Command;

impl Lab {
    /// Stops the server's process as it stands.
    #[track_caller]
    pub fn freeze_server(&self) {
        self.signal_server("-STOP");
    }

    /// Lets it go on.
    #[track_caller]
    pub fn thaw_server(&self) {
        self.signal_server("-CONT");
    }

    #[track_caller]
    fn signal_server(&self, signal: &str) {
        let id = self.server.as_ref().unwrap_or_else(|| panic!("the server does not run")).0.id();
        run(Command::new("kill").args([signal, &id.to_string()])).ok();
    }
}
