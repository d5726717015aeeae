//! EPSS scores as FIRST publishes them: CSV of `cve,epss,percentile` under a comment with the model and the date.

use super::{FeedContext, Problem, Records};
use tidewaiter_core::advisory::Epss;

/// Reads one day's file.
///
/// # Errors
/// When its header or a line has another form.
pub(super) fn parse(name: &str, bytes: &[u8], _: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !name.ends_with(".csv") {
        return Ok(false);
    }
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut lines = text.lines();
    let mut header = lines.next();
    if let Some(comment) = header.filter(|line| line.starts_with('#')) {
        if let Some((_, date)) = comment.split_once("score_date:") {
            // "2025-02-20T00:00:00+0000"
            records.as_of.advance(date.split([',', '+']).next().unwrap_or_default().trim());
        }
        header = lines.next();
    }
    if header.map(str::trim) != Some("cve,epss,percentile") {
        return Err("it has no header cve,epss,percentile".to_owned());
    }
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let (cve, epss) = row(line).ok_or_else(|| format!("line {line:?} is not a score"))?;
        records.epss.insert(cve.to_owned(), epss);
    }
    Ok(true)
}

fn row(line: &str) -> Option<(&str, Epss)> {
    let mut fields = line.split(',').map(str::trim);
    let share = |text: &str| text.parse::<f64>().ok().filter(|n| (0.0..=1.0).contains(n));
    let (cve, score, percentile) = (fields.next()?, share(fields.next()?)?, share(fields.next()?)?);
    cve.starts_with("CVE-").then_some((cve, Epss { score, percentile }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_kept_by_cve() {
        let check = |text: &str, expected: Result<&[(&str, f64, f64)], ()>| {
            let mut records = Records::default();
            let read = parse("a.csv", text.as_bytes(), &FeedContext::default(), &mut records).map_err(drop);
            let found: Vec<_> = records.epss.iter().map(|(c, e)| (c.as_str(), e.score, e.percentile)).collect();
            assert_eq!(read.map(|_| found.as_slice()), expected, "{text}");
        };
        let head = "#model_version:v1,score_date:2025-02-20T00:00:00+0000\ncve,epss,percentile\n";
        check(&format!("{head}CVE-1,0.00383,0.73\nCVE-2,1,1\n"), Ok(&[("CVE-1", 0.00383, 0.73), ("CVE-2", 1.0, 1.0)]));
        check("cve,epss,percentile\n", Ok(&[]));
        check(&format!("{head}CVE-1,2,0.73\n"), Err(()));
        check(&format!("{head}CVE-1,nan,0.73\n"), Err(()));
        check("a,b\n", Err(()));
    }
}
