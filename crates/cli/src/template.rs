//! Templates of users: read, parsed before a scan, and rendered after it.

use crate::exit::UsageError;
use std::fs;
use std::path::Path;
use tidewaiter_formats::{JudgedReport, ReportTemplate, Stamp, TemplateError};

/// A template that was read.
pub(crate) struct UserTemplate {
    name: String,
    source: String,
}

impl UserTemplate {
    /// Reads and parses it, so that a mistake is reported before minutes of work.
    pub(crate) fn read(path: &Path) -> Result<Self, UsageError> {
        let name = path.display().to_string();
        let source = fs::read_to_string(path).map_err(|error| UsageError(format!("{name}: {error}")))?;
        let template = UserTemplate { name, source };
        template.parse()?;
        Ok(template)
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text that it makes of a report.
    pub(crate) fn render(&self, judged: JudgedReport<'_>, stamp: &Stamp) -> Result<String, UsageError> {
        self.parse()?.render(judged, stamp).map_err(usage)
    }

    fn parse(&self) -> Result<ReportTemplate<'_>, UsageError> {
        ReportTemplate::parse(&self.name, &self.source).map_err(usage)
    }
}

fn usage(error: TemplateError) -> UsageError {
    UsageError(error.to_string())
}
