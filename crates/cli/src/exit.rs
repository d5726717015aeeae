//! Exit codes, decided in one place.

use std::io::Write;
use tidewaiter_core::policy::Outcome;

/// The exit code of the process, which scripts rely on.
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

impl Exit {
    /// The worse of two. A violation is certain, whatever an incomplete scan did not see: it wins. A mistake of the command line
    /// wins over a failure, which a second try may mend.
    #[must_use]
    pub(crate) fn worse(self, other: Exit) -> Exit {
        let rank = |exit: Exit| match exit {
            Exit::Clean => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Violated => 3,
        };
        if rank(other) > rank(self) { other } else { self }
    }
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

/// Prints an error with its causes. None is a success, not even a closed pipe: that may be of a connection.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    // Line breaks are the message's own; other control characters come from the input and could steer the terminal.
    let lines: Vec<String> = text(error).lines().map(crate::terminal::printable).collect();
    let _ = writeln!(std::io::stderr(), "error: {}", lines.join("\n").trim_end());
    if error.is::<UsageError>() { Exit::Usage } else { Exit::Failed }
}

/// As [`report`], for a command whose exit code tells no verdict: that the reader of standard output left (`kubectl scan status |
/// head`) is no error of it.
pub(crate) fn report_unless_reader_left(error: &anyhow::Error) -> Exit {
    // The outermost alone: the closed pipe of a connection has words around it.
    if is_broken_pipe(error.as_ref()) { Exit::Clean } else { report(error) }
}

/// Prints what does not keep the command from its end.
pub(crate) fn warn(text: &str) {
    crate::terminal::say(&format!("warning: {}", crate::terminal::printable(text)));
}

/// Whether the reader of what was written left. To be asked of errors of writing alone: a connection may break, too.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(is_broken_pipe)
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_json = || cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or_else(of_json);
    kind == Some(std::io::ErrorKind::BrokenPipe)
}

/// The error and its causes, each once: errors of some libraries repeat their cause in their own text.
fn text(error: &anyhow::Error) -> String {
    text_of(error.as_ref())
}

/// As [`text`], for an error outside an [`anyhow::Error`].
pub(crate) fn text_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut out = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        // The library appends a dump of the API server's whole answer, here and in the sources; the message is enough.
        let (own, below) = match cause.downcast_ref() {
            Some(kube::Error::Api(status)) => (status.message.clone(), None),
            _ => (cause.to_string(), cause.source()),
        };
        // The same dump, in the text of an error that quotes this one.
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
    fn the_worst_of_several_is_the_certain_one() {
        use Exit::{Clean, Failed, Usage, Violated};
        for (place, better) in [Clean, Failed, Usage, Violated].into_iter().enumerate() {
            for worse in [Clean, Failed, Usage, Violated].into_iter().skip(place) {
                assert_eq!((better.worse(worse), worse.worse(better)), (worse, worse));
            }
        }
    }

    #[test]
    fn a_closed_pipe_is_a_success_of_nothing_but_showing() {
        let closed = || anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        let check = |error: anyhow::Error, expected: [Exit; 2]| {
            assert_eq!([report(&error), report_unless_reader_left(&error)], expected, "{error:#}");
        };
        check(closed(), [Exit::Failed, Exit::Clean]);
        check(closed().context("registry.example: sending the request"), [Exit::Failed, Exit::Failed]);
        check(UsageError("a mistake".to_owned()).into(), [Exit::Usage, Exit::Usage]);
    }

    #[test]
    fn a_cause_is_printed_once() {
        let check = |error: anyhow::Error, expected: &str| assert_eq!(text(&error), expected);
        check(anyhow::anyhow!("disk full").context("writing x"), "writing x: disk full");
        check(anyhow::anyhow!("disk full").context("writing x: disk full"), "writing x: disk full");
        let status = kube::core::Status::failure("pods is forbidden", "Forbidden").with_code(403);
        let error = anyhow::Error::new(kube::Error::Api(Box::new(status))).context("listing");
        check(error, "listing: pods is forbidden");
    }
}
