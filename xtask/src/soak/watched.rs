//! Objects as `kubectl get --watch` shows them, line by line, while something else happens.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;
use tidewaiter_testkit::lab::Lab;

/// One change of an object.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// The object's name.
    pub(super) name: String,
    /// What was asked for.
    pub(super) state: String,
}

/// A watch; it ends when dropped.
#[derive(Debug)]
pub(super) struct WatchedObjects {
    process: Child,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl WatchedObjects {
    /// Watches the objects of a kind in a namespace, or in all; `name` and `state` are templates of JSONPath, of what tells them apart
    /// and of what is wanted of them.
    pub(super) fn start(lab: &Lab, namespace: Option<&str>, kind: &str, name: &str, state: &str) -> Result<Self> {
        let path = format!("jsonpath={name} {state}{{\"\\n\"}}");
        let mut command = lab.cluster.kubectl_command();
        match namespace {
            Some(namespace) => command.args(["get", kind, "-n", namespace]),
            None => command.args(["get", kind, "--all-namespaces"]),
        };
        command.args(["--watch", "-o", &path]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().context("kubectl")?;
        let out = process.stdout.take().context("kubectl has an output")?;
        let seen = Arc::default();
        let notes = Arc::clone(&seen);
        thread::spawn(move || note(out, &notes));
        Ok(WatchedObjects { process, seen })
    }

    /// Everything that was seen.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last state of each object, and when it came.
    pub(super) fn last(&self) -> BTreeMap<String, Seen> {
        self.seen().into_iter().map(|seen| (seen.name.clone(), seen)).collect()
    }
}

fn note(out: ChildStdout, seen: &Mutex<Vec<Seen>>) {
    for line in BufReader::new(out).lines().map_while(Result::ok) {
        let (name, state) = line.split_once(' ').unwrap_or((&line, ""));
        let one = Seen { at: Instant::now(), name: name.to_owned(), state: state.to_owned() };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(one);
    }
}

impl Drop for WatchedObjects {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
