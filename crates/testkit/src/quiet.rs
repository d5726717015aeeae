//! The quiet that every story must end in: a decision that two objects pull back and forth writes without end.

use crate::audit::{self, ApiRequest};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The quiet that is asked for.
const QUIET: Duration = Duration::from_secs(5);
/// How long a story's last decisions may take. Pauses between two tries of the server's own are longer.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause between two looks at the log.
const PAUSE: Duration = Duration::from_millis(100);
/// What the server registers is applied again every minute; it is not about a workload.
const REGISTRATIONS: &str = "admissionregistration.k8s.io";
/// Written by leaders while they lead.
const LEASES: &str = "coordination.k8s.io";

/// The rest that the server's account comes to.
#[derive(Debug)]
pub(crate) struct QuietEnd {
    log: PathBuf,
}

impl QuietEnd {
    /// Reads the audit log of a control plane in this folder, which holds the requests of the server's account.
    pub(crate) fn new(folder: &Path) -> Self {
        QuietEnd { log: folder.join("audit.log") }
    }

    /// The writes so far, and when the file grew last.
    fn writes(&self) -> Vec<String> {
        audit::read(&self.log).iter().filter(|request| counts(request)).map(ToString::to_string).collect()
    }

    /// Waits until nothing was written for five seconds.
    #[track_caller]
    pub(crate) fn check(&self) {
        assert!(self.log.is_file(), "the API server wrote no audit log: {}", self.log.display());
        let began = Instant::now();
        let mut seen = self.writes();
        let mut since = last_change(&self.log);
        while since.elapsed().unwrap_or_default() < QUIET {
            std::thread::park_timeout(PAUSE);
            let now = self.writes();
            if now.len() != seen.len() {
                (seen, since) = (now, SystemTime::now());
            }
            let last: Vec<&String> = seen.iter().rev().take(20).collect();
            assert!(began.elapsed() < LIMIT, "the server does not come to rest; its last writes: {last:#?}");
        }
    }
}

/// Whether it is a write about a workload.
fn counts(request: &ApiRequest) -> bool {
    request.is_write() && !matches!(request.group.as_str(), REGISTRATIONS | LEASES)
}

fn last_change(log: &Path) -> SystemTime {
    fs::metadata(log).and_then(|metadata| metadata.modified()).unwrap_or_else(|_| SystemTime::now())
}

/// A [`QuietEnd`] that is checked when it is dropped, unless the story failed.
#[derive(Debug)]
pub(crate) struct CheckedEnd(pub(crate) QuietEnd);

impl Drop for CheckedEnd {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.check();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_about_workloads_count() {
        let check = |verb: &str, group: &str, resource: &str, expected: bool| {
            let text = str::to_owned;
            let request = ApiRequest {
                verb: text(verb),
                group: text(group),
                resource: text(resource),
                namespace: text("n"),
                name: text("web"),
                code: 200,
                credential: String::new(),
            };
            assert_eq!(counts(&request), expected, "{request}");
        };
        check("patch", "apps", "deployments/status", true);
        check("list", "", "pods", false);
        check("patch", LEASES, "leases", false);
        check("patch", REGISTRATIONS, "validatingadmissionpolicies", false);
    }
}
