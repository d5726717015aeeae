//! Exit codes, decided in one place.

use std::io::Write;
use tidewaiter_core::policy::Outcome;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Clean by policy, or the command succeeded.
    Clean = 0,
    /// The policy is violated.
    Violated = 1,
    /// The command line or a file that configures it is wrong.
    Usage = 2,
    /// The scan failed or is incomplete.
    Failed = 3,
}

/// An error of the command line itself: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// The exit code of a verdict; a violation wins over incompleteness.
pub(crate) fn of(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Pass => Exit::Clean,
        Outcome::Violated => Exit::Violated,
        Outcome::Incomplete => Exit::Failed,
    }
}

/// Prints an error with its causes; a reader that went away is no error.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let of_json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or_else(of_json)
    };
    if error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe)) {
        return Exit::Clean;
    }
    // Lines of a message are its own; everything else that could steer a terminal came with the input.
    let lines: Vec<String> = text(error).lines().map(crate::render::printable).collect();
    let _ = writeln!(std::io::stderr(), "error: {}", lines.join("\n").trim_end());
    if error.is::<UsageError>() { Exit::Usage } else { Exit::Failed }
}

/// The error and its causes, each once: library errors carry their cause in their own text already.
fn text(error: &anyhow::Error) -> String {
    text_of(error.as_ref())
}

/// As [`text`], of an error that is in no [`anyhow::Error`].
pub(crate) fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut out = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        // What the API server says is its message; the library adds a dump of the whole answer, here and below.
        let (own, below) = match cause.downcast_ref() {
            Some(kube::Error::Api(status)) => (status.message.clone(), None),
            _ => (cause.to_string(), cause.source()),
        };
        // Errors that quote another one quote its dump too.
        let own = own.split_once(" (Status {").map_or(own.as_str(), |(words, _)| words).to_owned();
        if !own.is_empty() && !out.contains(&own) {
            out = if out.is_empty() { own } else { format!("{out}: {own}") };
        }
        next = below;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let check = |error: anyhow::Error, expected: &str| assert_eq!(text(&error), expected);
        check(anyhow::anyhow!("disk full").context("writing x"), "writing x: disk full");
        check(anyhow::anyhow!("disk full").context("writing x: disk full"), "writing x: disk full");
        let status = kube::core::Status::failure("pods is forbidden", "Forbidden").with_code(403);
        let error = anyhow::Error::new(kube::Error::Api(Box::new(status))).context("listing");
        check(error, "listing: pods is forbidden");
    }
}
