//! Templates of users, in the language of Jinja (minijinja). A template sees the report as its JSON has it
//! (`docs/report-schema.md`), and `verdict`, `written` (the time) and `version` besides.

use crate::stamp::Stamp;
use crate::view::JudgedReport;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use tidewaiter_core::policy::Verdict;
use tidewaiter_core::report::Report;

/// A template that was parsed.
#[derive(Debug)]
pub struct ReportTemplate<'s> {
    environment: Environment<'s>,
    name: &'s str,
    source: &'s str,
}

/// What is wrong with a template, and where.
#[derive(Debug, thiserror::Error)]
#[error("{name}{place}: {message}")]
pub struct TemplateError {
    /// The template's name.
    name: String,
    /// `:LINE:COLUMN`, counted from 1, as far as it is known.
    place: String,
    message: String,
}

#[derive(Serialize)]
struct Context<'a> {
    #[serde(flatten)]
    report: &'a Report,
    verdict: &'a Verdict,
    written: String,
    version: &'a str,
}

impl<'s> ReportTemplate<'s> {
    /// Parses a template. By its name (`x.html`, also `x.html.j2`) what it prints is escaped for HTML or XML.
    ///
    /// # Errors
    /// When it is not a template.
    pub fn parse(name: &'s str, source: &'s str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(auto_escape);
        // A misspelt field must not be an empty place in a report about security.
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        // Lines with nothing but a tag leave no empty lines.
        environment.set_syntax(whitespace().map_err(|error| TemplateError::new(&error, name, source))?);
        environment.add_template(name, source).map_err(|error| TemplateError::new(&error, name, source))?;
        Ok(ReportTemplate { environment, name, source })
    }

    /// The text that it makes of a report: whole, so that a mistake in the template leaves nothing half-written.
    ///
    /// # Errors
    /// When it uses what there is not.
    pub fn render(&self, judged: JudgedReport<'_>, stamp: &Stamp) -> Result<String, TemplateError> {
        let context = Context {
            report: judged.report,
            verdict: judged.verdict,
            written: stamp.rfc3339(),
            version: stamp.version,
        };
        let rendered = self.environment.get_template(self.name).and_then(|t| t.render(Serde(&context)));
        rendered.map_err(|error| TemplateError::new(&error, self.name, self.source))
    }
}

fn whitespace() -> Result<SyntaxConfig, minijinja::Error> {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()
}

fn auto_escape(name: &str) -> AutoEscape {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let is_markup = file.split('.').skip(1).any(|part| ["html", "htm", "xhtml", "xml"].contains(&part));
    if is_markup { AutoEscape::Html } else { AutoEscape::None }
}

impl TemplateError {
    fn new(error: &minijinja::Error, name: &str, source: &str) -> Self {
        let kind = error.kind();
        let message = error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}"));
        let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
        let column = error.range().map(|range| format!(":{}", column(source, range.start))).unwrap_or_default();
        TemplateError { name: name.to_owned(), place: line + &column, message }
    }
}

/// The column of a byte, counted from 1 in characters.
fn column(source: &str, byte: usize) -> usize {
    let before = source.get(..byte).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default().chars().count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_have_a_place() {
        let check = |source: &str, expected: &str| {
            assert_eq!(ReportTemplate::parse("x.txt", source).unwrap_err().to_string(), expected);
        };
        check("a\n  {% fro x in y %}", "x.txt:2:6: syntax error: unknown statement fro");
        check("{{ a", "x.txt:1:4: syntax error: unexpected end of input, expected end of variable block");
    }

    #[test]
    fn markup_is_escaped_by_the_name_of_the_file() {
        let check = |name: &str, expected: AutoEscape| assert_eq!(auto_escape(name), expected, "{name}");
        check("report.html", AutoEscape::Html);
        check("dir.d/report.html.j2", AutoEscape::Html);
        check("report.xml", AutoEscape::Html);
        check("report.txt", AutoEscape::None);
        check("html", AutoEscape::None);
        check("dir.html/report.md", AutoEscape::None);
    }
}
