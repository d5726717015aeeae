//! Checks version schemes with vector files.

use anyhow::{Context, Result, bail};
use std::cmp::Ordering;
use std::fs;
use std::path::Path;
use tidewaiter_core::version::VersionScheme;

/// Checks every `*-versions*.txt` in `dir`; true if no line fails.
pub(crate) fn run(dir: &Path) -> Result<bool> {
    let entries = fs::read_dir(dir).with_context(|| format!("{}: cannot be listed", dir.display()))?;
    let mut files: Vec<_> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.sort();
    let (mut lines, mut failures, mut checked) = (0, 0, 0);
    for file in files {
        let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some((ecosystem, _)) = name.split_once("-versions") else { continue };
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let wanted: Vec<&str> = text.lines().map(without_comment).filter(|line| !line.is_empty()).collect();
        let Some(order) = VersionScheme::named(ecosystem) else {
            println!("{name}: no version scheme, {} lines skipped", wanted.len());
            continue;
        };
        let failed: Vec<&str> = wanted.iter().filter(|l| !holds(order, l)).copied().collect();
        println!("{name}: {} lines, {} failures", wanted.len(), failed.len());
        failed.iter().for_each(|line| println!("  fails: {line}"));
        lines += wanted.len();
        failures += failed.len();
        checked += 1;
    }
    if checked == 0 {
        bail!("{}: no vector file of a known ecosystem (ECOSYSTEM-versions*.txt)", dir.display());
    }
    println!("{checked} files, {lines} lines, {failures} failures");
    Ok(failures == 0)
}

/// A line without its comment, which `#` or `//` begins at the start of the line or after white space: versions may hold
/// both.
fn without_comment(line: &str) -> &str {
    let line = line.trim();
    let comments = ["#", "//"].into_iter().flat_map(|mark| line.match_indices(mark)).map(|(at, _)| at);
    let starts = |at: &usize| line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']));
    comments.filter(starts).min().map_or(line, |at| line.split_at(at).0.trim_end())
}

/// Whether a line is true in both directions; false for a line of another form.
fn holds(order: VersionScheme, line: &str) -> bool {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [a, op, b] = parts[..] else { return false };
    let expected = match op {
        "<" => Ordering::Less,
        "=" => Ordering::Equal,
        ">" => Ordering::Greater,
        _ => return false,
    };
    order.compare(a, b) == expected && order.compare(b, a) == expected.reverse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_vectors() {
        let check = |line: &str, expected: &str| assert_eq!(without_comment(line), expected);
        check("1.0 < 1.1", "1.0 < 1.1");
        check("# all of them", "");
        check("// all of them", "");
        check("1.0 < 1.1 // as apk 2.14 says", "1.0 < 1.1");
        check("1.0 < 1.1\t# so", "1.0 < 1.1");
        check("1.0#1 < 1.1//2", "1.0#1 < 1.1//2");
    }
}
