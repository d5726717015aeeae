//! What becomes of a panic, which is a defect of this program: the release program is built without what unwinds one (ADR 0033),
//! and would die by a signal, which pipelines take for anything but a failed scan.

use crate::exit::Exit;
use std::io::Write as _;
use std::panic::{self, PanicHookInfo};

/// Has a panic end the program with an exit code, where it would end it anyway.
pub(crate) fn report_panics() {
    if cfg!(panic = "abort") {
        panic::set_hook(Box::new(end));
    }
}

/// Says what happened, and ends the process as a failed scan does: nothing was found clean.
fn end(panic: &PanicHookInfo<'_>) {
    let cause = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let message = format!(
        "a defect of kubectl-scan {version}{place}: {cause}; nothing is known of the result; please report this with the command"
    );
    let _ = writeln!(std::io::stderr(), "error: {}", crate::terminal::printable(&message));
    std::process::exit(Exit::Failed as i32);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use std::process::Command;
    use std::{env, thread};

    const CHILD: &str = "TEST_ENDS_BY_A_PANIC";

    /// The process that ends; alone it does nothing.
    #[test]
    fn child() {
        if env::var_os(CHILD).is_some() {
            panic::set_hook(Box::new(end));
            let _ = thread::spawn(|| panic!("a reader\u{1b}[2J fell over")).join();
        }
    }

    #[test]
    fn a_panic_in_any_thread_is_a_failed_scan() {
        let mut child = Command::new(env::current_exe().unwrap());
        let ended = child.args(["--exact", "defect::tests::child", "--nocapture"]).env(CHILD, "").output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(3), "{said}");
        assert!(said.starts_with("error: a defect of kubectl-scan "), "{said}");
        assert!(said.contains("defect.rs:") && said.contains(": a reader") && !said.contains('\u{1b}'), "{said}");
    }
}
