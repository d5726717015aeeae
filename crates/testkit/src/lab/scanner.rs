//! The container `scanner` of a lab: started with the server, killed and started apart from it.

use super::{Lab, Server, Stands};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

impl Lab {
    /// Starts the container `scanner`.
    pub fn start_scanner(&mut self) {
        let mut command = match &self.stands {
            Stands::Confined(pod) => {
                let mut words = vec!["/usr/local/bin/tidewaiter".to_owned()];
                words.extend(self.words("scanner", "args"));
                words.retain(|word| self.caches_layers || !word.starts_with("--layer-cache"));
                let environment = self.environment("scanner");
                pod.of_scanner().command(&self.places.programs, &environment, &words, self.ids("scanner"))
            }
            Stands::Plain { .. } => {
                let mut command = Command::new(self.places.programs.join("tidewaiter"));
                command.arg("scanner").arg("--socket").arg(self.cluster.dir().join("scanner.sock"));
                if self.caches_layers {
                    command.arg("--layer-cache").arg(self.layers());
                }
                command.envs(self.variables.iter().cloned());
                command
            }
        };
        let log = fs::File::options().create(true).append(true).open(self.scanner_log()).unwrap();
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.scanner = Some(Server(started.unwrap()));
    }

    /// Whether the scanner caches layers, from its next start on; without this it does.
    pub fn cache_layers(&mut self, does: bool) {
        self.caches_layers = does;
    }

    /// Kills the scanner and leaves the server running.
    pub fn kill_scanner(&mut self) {
        self.scanner = None;
    }

    /// Process id of the scanner, if it runs.
    pub fn scanner_process_id(&self) -> Option<u32> {
        self.scanner.as_ref().map(|scanner| scanner.0.id())
    }

    /// The folder in which the scanner keeps layers.
    pub fn layers(&self) -> PathBuf {
        match &self.stands {
            Stands::Confined(pod) => pod.layers(),
            Stands::Plain { .. } => self.cluster.dir().join("layers"),
        }
    }

    /// The scanner's log.
    pub fn scanner_log(&self) -> PathBuf {
        self.cluster.dir().join("scanner.log")
    }
}
