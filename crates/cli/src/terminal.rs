//! What goes to a terminal: text made safe, colour, whether anybody looks.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use tidewaiter_core::severity::Severity;

/// Text from an image, made safe for a terminal and for CI logs that read commands from lines.
pub(crate) fn printable(text: impl Display) -> String {
    text.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Whether standard error has errors alone.
static QUIET: AtomicBool = AtomicBool::new(false);
/// Whether several images are read side by side: their bars would overwrite each other.
static SIDE_BY_SIDE: AtomicBool = AtomicBool::new(false);

/// From now on only errors are printed besides results. Set once, before any work.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether only errors are printed.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// From now on progress is told in lines.
pub(crate) fn tell_in_lines() {
    SIDE_BY_SIDE.store(true, Ordering::Relaxed);
}

/// Prints a line about what is done to standard error: standard output has the result only. One that is closed is no reason to end.
pub(crate) fn say(line: &str) {
    if !is_quiet() {
        let _ = writeln!(io::stderr(), "{line}");
    }
}

/// Whether somebody looks at bars that move.
pub(crate) fn shows_bars() -> bool {
    io::stderr().is_terminal() && !is_quiet() && !SIDE_BY_SIDE.load(Ordering::Relaxed)
}

/// Whether to colour; colour is never the only signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    On,
    Off,
}

impl Colour {
    /// On for a terminal, unless `NO_COLOR` is set (<https://no-color.org>: set and not empty).
    pub(crate) fn of_stdout() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        if wanted && io::stdout().is_terminal() { Colour::On } else { Colour::Off }
    }

    /// The text, in the colour of a severity.
    pub(crate) fn paint(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Critical => "1;31",
            Severity::High => "31",
            Severity::Medium => "33",
            _ => return text.to_owned(),
        };
        match self {
            Colour::On => format!("\x1b[{code}m{text}\x1b[0m"),
            Colour::Off => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_images_cannot_steer_a_terminal() {
        assert_eq!(printable("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
    }

    #[test]
    fn colour_is_only_added_where_wanted() {
        assert_eq!(Colour::Off.paint(Severity::Critical, "critical"), "critical");
        assert_eq!(Colour::On.paint(Severity::Critical, "critical"), "\x1b[1;31mcritical\x1b[0m");
        assert_eq!(Colour::On.paint(Severity::Low, "low"), "low");
    }
}
