//! ruby-advisory-db: one YAML file for each gem and vulnerability. Affected are the versions that are neither patched nor
//! unaffected; inside a requirement commas mean AND, between requirements it is OR (`Gem::Requirement`).

use super::ranges::{Cut, Set, split};
use super::{FeedContext, Problem, Records, records};
use serde::Deserialize;
use tidewaiter_core::advisory::{Advisory, Affected, FixState, KeyKind};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_core::version::VersionScheme;

#[derive(Deserialize)]
struct Record {
    gem: Option<String>,
    engine: Option<String>,
    cve: Option<String>,
    ghsa: Option<String>,
    url: Option<String>,
    title: Option<String>,
    date: Option<String>,
    cvss_v2: Option<f64>,
    cvss_v3: Option<f64>,
    cvss_v4: Option<f64>,
    #[serde(default)]
    patched_versions: Option<Vec<String>>,
    #[serde(default)]
    unaffected_versions: Option<Vec<String>>,
}

/// Reads one record. Those about Ruby interpreters cover no gem and are dropped.
///
/// # Errors
/// When it is YAML of another shape, or a requirement cannot be read.
pub(super) fn parse(name: &str, bytes: &[u8], feed: &FeedContext, records: &mut Records) -> Result<bool, Problem> {
    if !(name.ends_with(".yml") || name.ends_with(".yaml")) {
        return Ok(false);
    }
    let record: Record = tidewaiter_yaml::from_slice(bytes).map_err(|e| e.to_string())?;
    let Some(gem) = &record.gem else {
        if record.engine.is_some() {
            records.skip("covers an interpreter, not a gem");
        }
        return Ok(record.engine.is_some());
    };
    let patched = requirements(record.patched_versions.as_deref())?;
    let safe = patched.clone().union(requirements(record.unaffected_versions.as_deref())?);
    let row = Affected {
        intervals: safe.complement().intervals(),
        fix_state: if patched.intervals().is_empty() { FixState::NotFixed } else { FixState::Fixed },
        ..Affected::new(Ecosystem::new(EcosystemBase::RubyGems), gem, KeyKind::Binary)
    };
    let stem = name.rsplit('/').next().unwrap_or(name).trim_end_matches(".yml").trim_end_matches(".yaml");
    let cve = record.cve.as_ref().map(|cve| format!("CVE-{}", cve.trim_start_matches("CVE-")));
    let ghsa = record.ghsa.as_ref().map(|ghsa| format!("GHSA-{}", ghsa.trim_start_matches("GHSA-")));
    let mut names = cve.into_iter().chain(ghsa);
    records.advisories.push(Advisory {
        id: names.next().unwrap_or_else(|| stem.to_owned()),
        aliases: names.collect(),
        feed: feed.name.clone(),
        summary: record.title.unwrap_or_default(),
        published: record.date.as_deref().and_then(records::day),
        modified: record.date.unwrap_or_default(),
        references: record.url.into_iter().collect(),
        // The newest scoring system counts.
        ratings: record
            .cvss_v4
            .or(record.cvss_v3)
            .or(record.cvss_v2)
            .map(|s| rating(&feed.name, s))
            .into_iter()
            .collect(),
        affected: vec![row],
        ..Advisory::default()
    });
    Ok(true)
}

fn rating(feed: &str, score: f64) -> Rating {
    Rating { score: Some(score), ..Rating::of_level(feed, Severity::from_score(score)) }
}

fn requirements(texts: Option<&[String]>) -> Result<Set, String> {
    let mut all = Set::none(VersionScheme::RubyGems);
    for text in texts.unwrap_or_default() {
        let mut set = Set::all(VersionScheme::RubyGems);
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let one = requirement(part).ok_or_else(|| format!("requirement {part:?} cannot be read"))?;
            set = set.intersection(&one);
        }
        all = all.union(set);
    }
    Ok(all)
}

fn requirement(text: &str) -> Option<Set> {
    let (operator, version) = split(text);
    if !VersionScheme::RubyGems.is_valid(version) {
        return None;
    }
    match operator {
        // Below the next release of the same branch, and below its prereleases.
        "~>" => {
            let next = Cut::Before(format!("{}.a", bump(version)?));
            Some(Set::between(VersionScheme::RubyGems, Cut::Before(version.to_owned()), next))
        }
        _ => Set::comparison(VersionScheme::RubyGems, operator, version),
    }
}

/// `Gem::Version#bump`: without a prerelease, drop the last of several segments and raise the one before.
fn bump(version: &str) -> Option<String> {
    let number = |s: &&str| !s.is_empty() && s.chars().all(|c| c.is_ascii_digit());
    let mut segments: Vec<&str> = version.split(['.', '-']).take_while(number).collect();
    if segments.len() > 1 {
        segments.pop();
    }
    let last = segments.pop()?.parse::<u64>().ok()?.checked_add(1)?.to_string();
    segments.push(&last);
    Some(segments.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;
    use std::cmp::Ordering;
    use tidewaiter_core::advisory::{Interval, IntervalEnd};

    fn affected(yaml: &str) -> Vec<Interval> {
        let mut records = Records::default();
        let text = format!("---\ngem: nokogiri\ncve: 2022-1\nghsa: a-b-c\ncvss_v3: 7.5\ntitle: T\n{yaml}");
        assert!(parse("gems/nokogiri/CVE-2022-1.yml", text.as_bytes(), &feed("rubysec", &[]), &mut records).unwrap());
        let advisory = &records.advisories[0];
        assert_eq!((advisory.id.as_str(), advisory.aliases.as_slice()), ("CVE-2022-1", &["GHSA-a-b-c".to_owned()][..]));
        assert_eq!(advisory.ratings[0].severity, Severity::High);
        advisory.affected[0].intervals.clone()
    }

    fn is_vulnerable(intervals: &[Interval], version: &str) -> bool {
        let compare = |bound: &str| VersionScheme::RubyGems.compare(version, bound);
        intervals.iter().any(|i| {
            let low = i.introduced.as_deref().is_none_or(|lo| match compare(lo) {
                Ordering::Less => false,
                Ordering::Equal => !i.after,
                Ordering::Greater => true,
            });
            low && match &i.end {
                IntervalEnd::Fixed(end) => compare(end) == Ordering::Less,
                IntervalEnd::LastAffected(end) => compare(end) != Ordering::Greater,
                IntervalEnd::Open => true,
            }
        })
    }

    #[test]
    fn affected_is_neither_patched_nor_unaffected() {
        let check = |yaml: &str, vulnerable: &[&str], safe: &[&str]| {
            let intervals = affected(yaml);
            vulnerable.iter().for_each(|v| assert!(is_vulnerable(&intervals, v), "{yaml} {v} {intervals:?}"));
            safe.iter().for_each(|v| assert!(!is_vulnerable(&intervals, v), "{yaml} {v} {intervals:?}"));
        };
        check("patched_versions:\n  - '>= 1.13.4'\n", &["1.13.3", "1.13.4.rc1"], &["1.13.4", "2.0"]);
        check(
            "patched_versions:\n  - '~> 2.0.9, >= 2.0.9.2'\n  - '>= 2.1.3'\nunaffected_versions:\n  - '< 1.5'\n",
            &["1.5", "2.0.9", "2.0.9.1", "2.1.0.rc1", "2.1.2"],
            &["1.4", "2.0.9.2", "2.0.10", "2.1.3", "3"],
        );
        check("unaffected_versions:\n  - '<= 2.0'\n  - '= 3.0'\n", &["2.0.1", "3.0.1", "2.9"], &["2.0", "3.0", "1"]);
        check("patched_versions:\n  - '!= 1.0'\n", &["1.0"], &["0.9", "1.1"]);
        check("date: 2022-01-01\n", &["0", "99"], &[]);
        assert_eq!(affected("patched_versions:\n  - '>= 2'\n"), [Interval::until(IntervalEnd::Fixed("2".into()))]);
    }

    #[test]
    fn mistakes_are_errors_and_interpreters_are_left_out() {
        let check = |text: &str, expected: Result<bool, ()>| {
            let mut records = Records::default();
            assert_eq!(
                parse("a.yml", text.as_bytes(), &feed("f", &[]), &mut records).map_err(drop),
                expected,
                "{text}"
            );
            assert!(records.advisories.is_empty());
        };
        check("gem: a\npatched_versions: ['about 2']\n", Err(()));
        check("engine: ruby\ncve: 2020-1\n", Ok(true));
        check("name: workflow\n", Ok(false));
        check("- a\n", Err(()));
    }
}
