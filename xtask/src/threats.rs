//! The documents that claim what tests show: each test that they name must exist, and each row of the threat model names one
//! or says what is open.

use anyhow::{Context, Result};
use std::fs;
use std::path::Path;

/// The table in which a threat without a test must say so.
const THREAT_MODEL: &str = "docs/threat-model.md";
/// Documents that name tests as `path/of/file.rs::test_name`.
const DOCUMENTS: &[&str] =
    &[THREAT_MODEL, "docs/workloads.md", "docs/operations.md", "docs/policy-reports.md", "docs/upgrade.md"];
/// How a row begins what it says about work to do.
const OPEN: &str = "open:";

/// Checks the documents; true if what they claim can be found.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut good = true;
    for document in DOCUMENTS {
        let text = fs::read_to_string(root.join(document)).with_context(|| (*document).to_owned())?;
        let source = |file: &str| fs::read_to_string(root.join(file)).ok();
        let mut problems = missing_tests(&text, source);
        if *document == THREAT_MODEL {
            problems.extend(unanswered_rows(&text));
        }
        for problem in problems {
            println!("{document}: {problem}");
            good = false;
        }
    }
    Ok(good)
}

/// The named tests that no file has, each with the row or line that names it.
fn missing_tests(document: &str, source: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for line in document.lines() {
        for (file, test) in named_tests(line) {
            let cause = match source(file) {
                None => "there is no such file",
                Some(code) if !has_test(&code, test) => "the file has no such test, or ignores it",
                Some(_) => continue,
            };
            problems.push(format!("{}: `{file}::{test}`: {cause}", label(line)));
        }
    }
    problems
}

/// The rows of tables that name no test and do not say that they are open.
fn unanswered_rows(document: &str) -> Vec<String> {
    let rows = document.lines().filter(|line| is_row(line));
    let unanswered = rows.filter(|row| named_tests(row).is_empty() && !row.contains(OPEN));
    unanswered.map(|row| format!("{}: it names no test and does not say `{OPEN}`", label(row))).collect()
}

/// Whether a line is a row of a table's body. The header of each table here begins with `#`.
fn is_row(line: &str) -> bool {
    let first = first_cell(line);
    first.is_some_and(|cell| !cell.is_empty() && cell != "#" && !cell.starts_with("--"))
}

fn first_cell(line: &str) -> Option<&str> {
    line.strip_prefix('|')?.split('|').next().map(str::trim)
}

/// What a person finds the line by: the first cell of a row, or how the line begins.
fn label(line: &str) -> String {
    match first_cell(line) {
        Some(cell) => format!("row {cell}"),
        None => format!("\"{}…\"", line.chars().take(40).collect::<String>()),
    }
}

/// The files and names of the tests in a line's code spans.
fn named_tests(line: &str) -> Vec<(&str, &str)> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter_map(|span| span.split_once("::").filter(|(file, _)| file.ends_with(".rs"))).collect()
}

/// Whether code has a function of this name with the attribute of a test, which is not ignored.
fn has_test(code: &str, name: &str) -> bool {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let declares = |line: &str| {
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    let attributes = |at: usize| lines.iter().take(at).rev().take_while(|line| line.starts_with(['#', '/']));
    let is_test = |at: usize| {
        attributes(at).any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
            && !attributes(at).any(|line| line.starts_with("#[ignore"))
    };
    lines.iter().enumerate().any(|(at, line)| declares(line) && is_test(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "#[test]\nfn one() {\n}\n#[tokio::test]\n// Why.\n    async fn two() {\n\
                        fn helper() {\n#[test]\n#[ignore = \"slow\"]\nfn never() {\nfn one_more() {";

    #[test]
    fn a_test_is_a_function_that_runs_as_one() {
        let check = |name: &str, expected: bool| assert_eq!(has_test(CODE, name), expected, "{name}");
        check("one", true);
        check("two", true);
        check("helper", false);
        check("never", false);
        check("one_more", false);
        check("on", false);
        check("three", false);
    }

    #[test]
    fn a_row_is_named_whose_test_is_not_found() {
        let source = |file: &str| (file == "a/b.rs").then(|| CODE.to_owned());
        let check = |line: &str, expected: &[&str]| assert_eq!(missing_tests(line, source), expected, "{line}");
        check("| 1 | threat | `a/b.rs::one`, `a/b.rs::two` |", &[]);
        check("| C1 | x | `a/b.rs::gone` |", &["row C1: `a/b.rs::gone`: the file has no such test, or ignores it"]);
        check("| 2 | x | `a/c.rs::one` |", &["row 2: `a/c.rs::one`: there is no such file"]);
        check("Shown by `a/c.rs::one`.", &["\"Shown by `a/c.rs::one`.…\": `a/c.rs::one`: there is no such file"]);
        check("`core::Reason` and a/c.rs::one are no tests", &[]);
    }

    #[test]
    fn a_row_without_a_test_says_that_it_is_open() {
        let check = |line: &str, expected: usize| assert_eq!(unanswered_rows(line).len(), expected, "{line}");
        check("| # | threat | test |", 0);
        check("|---|---|---|", 0);
        check("| 1 | threat | `a.rs::t` |", 0);
        check("| 2 | threat | open: a limit |", 0);
        check("| 3 | threat | none |", 1);
        check("no row", 0);
    }
}
