//! In place of templates, in programs that are built without them.

use crate::exit::UsageError;
use std::path::Path;
use tidewaiter_formats::{JudgedReport, Stamp};

/// There is none.
pub(crate) enum NoTemplate {}

impl NoTemplate {
    /// Always an error.
    pub(crate) fn read(path: &Path) -> Result<Self, UsageError> {
        let advice =
            "build it with `cargo install --features templates`, or give the report to another program: -o json";
        Err(UsageError(format!("{}: this program was built without templates; {advice}", path.display())))
    }

    pub(crate) fn name(&self) -> &str {
        match *self {}
    }

    pub(crate) fn render(&self, _judged: JudgedReport<'_>, _stamp: &Stamp) -> Result<String, UsageError> {
        match *self {}
    }
}
