//! A range's events as intervals (OSV schema, "Evaluation").

use super::Range;
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use tidewaiter_core::advisory::{Interval, IntervalEnd};
use tidewaiter_core::ecosystem::Ecosystem;

/// Walks a range's events in version order.
pub(super) fn intervals(range: &Range, ecosystem: &Ecosystem) -> Vec<Interval> {
    let compare = |a: &str, b: &str| compare(a, b, ecosystem);
    let mut events: Vec<(u8, &str)> = Vec::new();
    let mut limits: Vec<&str> = Vec::new();
    let texts: Vec<(&str, Cow<'_, str>)> = range.events.iter().flatten().filter_map(text).collect();
    for (kind, version) in &texts {
        match *kind {
            "introduced" => events.push((0, version)),
            "last_affected" => events.push((1, version)),
            "fixed" => events.push((2, version)),
            "limit" => limits.push(version),
            _ => {}
        }
    }
    events.sort_by(|a, b| compare(a.1, b.1).then_with(|| rank(*a).cmp(&rank(*b))));
    let mut out = Vec::new();
    let mut open: Option<&str> = None;
    let mut fixed_already: Option<&str> = None;
    let interval = |from: &str, end| Interval { introduced: (from != "0").then(|| from.to_owned()), after: false, end };
    for (kind, version) in events {
        match (kind, open) {
            // Introduced where it is fixed: an empty interval.
            (0, None) if fixed_already.is_some_and(|fix| compare(fix, version) == Ordering::Equal) => {}
            (0, None) => open = Some(version),
            (1, Some(from)) => {
                out.push(interval(from, IntervalEnd::LastAffected(version.to_owned())));
                open = None;
            }
            (2, Some(from)) => {
                out.push(interval(from, IntervalEnd::Fixed(version.to_owned())));
                open = None;
            }
            (2, None) => fixed_already = Some(version),
            _ => {}
        }
    }
    out.extend(open.map(|from| interval(from, IntervalEnd::Open)));
    limited(out, &limits, ecosystem)
}

/// An event with its version; `None` where that is neither text nor a number.
fn text<'a>((kind, version): (&'a String, &'a Value)) -> Option<(&'a str, Cow<'a, str>)> {
    match version {
        Value::String(version) => Some((kind, version.into())),
        Value::Number(version) => Some((kind, version.to_string().into())),
        _ => None,
    }
}

/// Whether a range says that no version is affected: it is fixed before the first one.
pub(super) fn is_denial(range: &Range) -> bool {
    let mut fixes = range.events.iter().flatten().filter_map(text).filter(|(kind, _)| *kind == "fixed");
    fixes.next().is_some_and(|(_, version)| version == "0") && fixes.next().is_none()
}

/// Ends the open intervals where the database says that its knowledge ends: `< 2.3.1`, `<= 2.3.1` (GitHub's
/// `last_known_affected_version_range`). That is not a fix.
pub(super) fn bound(intervals: &mut [Interval], last_known: &str) {
    let end = match (last_known.strip_prefix("<="), last_known.strip_prefix('<')) {
        (Some(version), _) => IntervalEnd::LastAffected(version.trim().to_owned()),
        (None, Some(version)) => IntervalEnd::Fixed(version.trim().to_owned()),
        (None, None) => return,
    };
    for interval in intervals.iter_mut().filter(|interval| interval.end == IntervalEnd::Open) {
        interval.end = end.clone();
    }
}

/// "0" is before all versions, even those that sort below it.
fn compare(a: &str, b: &str, ecosystem: &Ecosystem) -> Ordering {
    match ecosystem.version_scheme() {
        _ if a == b => Ordering::Equal,
        _ if a == "0" => Ordering::Less,
        _ if b == "0" => Ordering::Greater,
        Some(order) => order.compare(a, b),
        None => Ordering::Equal,
    }
}

/// Cuts intervals off at the highest limit: the record does not cover versions from there on. `*` is not a limit.
fn limited(intervals: Vec<Interval>, limits: &[&str], ecosystem: &Ecosystem) -> Vec<Interval> {
    let highest = limits.iter().max_by(|a, b| compare(a, b, ecosystem));
    let Some(limit) = highest.filter(|_| !limits.contains(&"*")) else { return intervals };
    let below = |version: &str| compare(version, limit, ecosystem) == Ordering::Less;
    let mut out: Vec<Interval> = intervals.into_iter().filter(|i| i.introduced.as_deref().is_none_or(below)).collect();
    for interval in &mut out {
        let inside = match &interval.end {
            IntervalEnd::Fixed(end) | IntervalEnd::LastAffected(end) => below(end),
            IntervalEnd::Open => false,
        };
        if !inside {
            interval.end = IntervalEnd::Fixed((*limit).to_owned());
        }
    }
    out
}

/// At the same version: a fix ends an interval before an introduction begins the next; a last affected version ends one
/// after it.
const fn rank(event: (u8, &str)) -> u8 {
    match event.0 {
        2 => 0,
        0 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::format::Records;
    use crate::format::testing::feed;

    fn interval(from: Option<&str>, end: IntervalEnd) -> Interval {
        Interval { introduced: from.map(str::to_owned), after: false, end }
    }

    #[test]
    fn events_become_intervals() {
        let check = |events: &str, expected: &[Interval]| {
            let json = format!(
                r#"{{"id":"X-1","affected":[{{"package":{{"ecosystem":"npm","name":"a"}},"ranges":[
                {{"type":"GIT","events":[{{"introduced":"0"}}]}},{{"type":"SEMVER","events":{events}}}]}}]}}"#
            );
            let mut records = Records::default();
            assert!(parse("a.json", json.as_bytes(), &feed("osv", &[]), &mut records).unwrap());
            let rows = &records.advisories[0].affected;
            assert_eq!(rows.first().map_or(&[][..], |r| &r.intervals), expected, "{events}");
        };
        let fixed = |v: &str| IntervalEnd::Fixed(v.into());
        check(r#"[{"introduced":"0"},{"fixed":"1.2.0"}]"#, &[interval(None, fixed("1.2.0"))]);
        check(
            r#"[{"introduced":"2.0.0"},{"fixed":"2.1.0"},{"introduced":"0"},{"fixed":"1.0.0"}]"#,
            &[interval(None, fixed("1.0.0")), interval(Some("2.0.0"), fixed("2.1.0"))],
        );
        check(
            r#"[{"introduced":"1.0.0"},{"last_affected":"1.5.0"}]"#,
            &[interval(Some("1.0.0"), IntervalEnd::LastAffected("1.5.0".into()))],
        );
        check(
            r#"[{"introduced":"1.0.0"},{"last_affected":"1.0.0"}]"#,
            &[interval(Some("1.0.0"), IntervalEnd::LastAffected("1.0.0".into()))],
        );
        check(r#"[{"introduced":"1.0.0"}]"#, &[interval(Some("1.0.0"), IntervalEnd::Open)]);
        check(r#"[{"introduced":"0"},{"limit":"3.0.0"}]"#, &[interval(None, fixed("3.0.0"))]);
        check(r#"[{"introduced":"0"},{"limit":"3.0.0"},{"limit":"*"}]"#, &[interval(None, IntervalEnd::Open)]);
        check(
            r#"[{"introduced":"0"},{"fixed":"1.0.0"},{"introduced":"2.0.0"},{"fixed":"4.0.0"},{"limit":"3.0.0"}]"#,
            &[interval(None, fixed("1.0.0")), interval(Some("2.0.0"), fixed("3.0.0"))],
        );
        check(r#"[{"introduced":"0"},{"limit":"1.0.0"},{"limit":"3.0.0"}]"#, &[interval(None, fixed("3.0.0"))]);
        check(r#"[{"introduced":"2.0.0"},{"fixed":"2.0.0"}]"#, &[]);
        check(
            r#"[{"introduced":"1.0.0"},{"fixed":"2.0.0"},{"introduced":"2.0.0"},{"fixed":"3.0.0"}]"#,
            &[interval(Some("1.0.0"), fixed("2.0.0")), interval(Some("2.0.0"), fixed("3.0.0"))],
        );
        check(r#"[{"fixed":"1.0.0"}]"#, &[]);
    }
}
