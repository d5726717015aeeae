//! What processes took, by /proc.

use std::fs;
use tidewaiter_testkit::lab::Lab;

/// Ticks in a second of the times in /proc/PID/stat (proc(5)): 100 on every Linux.
const TICKS: f64 = 100.0;

/// CPU seconds and memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// User and system time of its threads.
    pub(super) cpu: f64,
    /// The same of its children that ended.
    pub(super) children: f64,
    /// `RssAnon` in MiB.
    pub(super) anonymous: f64,
}

impl Usage {
    /// Of a process; zero for one that is gone.
    pub(super) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name of the program may hold anything; after it come state, parent …
        let fields: Vec<&str> = stat.rsplit_once(')').map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        let ticks = |index: usize| fields.get(index).and_then(|f| f.parse::<f64>().ok()).unwrap_or_default() / TICKS;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = anonymous.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default();
        Usage { cpu: ticks(12) + ticks(13), children: ticks(14) + ticks(15), anonymous: kib / 1024.0 }
    }

    /// Of the server; its scans are the scanner's children, and what copies between them belongs to them.
    pub(super) fn of_server(lab: &Lab) -> Self {
        let scanner = lab.scanner_process_id().map(Usage::of).unwrap_or_default();
        let server = lab.server_process_id().map(Usage::of).unwrap_or_default();
        Usage { children: server.children + scanner.cpu + scanner.children, ..server }
    }

    /// Of a component of the control plane.
    pub(super) fn of_component(lab: &Lab, name: &str) -> Self {
        component(lab.cluster.process_id(), name).map(Usage::of).unwrap_or_default()
    }

    /// The time from an earlier look until this one.
    pub(super) fn since(self, before: Usage) -> Usage {
        Usage { cpu: self.cpu - before.cpu, children: self.children - before.children, ..self }
    }
}

/// The child of the control plane's process that is this component.
fn component(plane: u32, name: &str) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let child = status.lines().any(|line| line.strip_prefix("PPid:\t") == Some(&plane.to_string()));
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        child && words.split(|byte| *byte == 0).take(2).any(|word| word == name.as_bytes())
    })
}

/// This machine, now.
pub(super) fn machine() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, load {} before the run", load.split_whitespace().next().unwrap_or_default())
}
