//! The Debian security tracker's own lists: `CVE/list`, `DSA/list`, `DLA/list` (its doc/security_tracker).
//!
//! `- pkg ver` is the row of unstable, `[bookworm] - pkg ver` that of a release. For a release without a row, the row of
//! unstable applies only if the feed is declared complete for the release: for others (those no longer supported) a
//! missing row means that nothing is known. A bulletin's versions are the fixes of its release.

mod rows;

use super::{Drain, FeedContext, FeedReader, Problem, Records};
use rows::{Statement, Tag};
use std::collections::BTreeMap;
use std::io::Read;
use tidewaiter_core::advisory::{Advisory, Affected};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};

/// References of one advisory: the page of the vulnerability, and those of its newest bulletins. Some have dozens.
const MAX_REFERENCES: usize = 8;

/// Reads all lists of a feed. They refer to each other, so rows are made after the last one.
struct ListReader {
    feed: FeedContext,
    vulnerabilities: BTreeMap<String, Vulnerability>,
    /// Counts and dates. The advisories are added in the end.
    records: Records,
}

#[derive(Debug, Default)]
struct Vulnerability {
    summary: String,
    bulletins: Vec<String>,
    packages: BTreeMap<String, Package>,
}

/// The statements about one source package.
#[derive(Debug, Default)]
struct Package {
    unstable: Option<Statement>,
    releases: BTreeMap<String, Statement>,
    /// Fixes that bulletins name, by release.
    bulletins: BTreeMap<String, Vec<Statement>>,
}

/// A reader of the lists of one feed.
pub(crate) fn reader(feed: &FeedContext) -> Box<dyn FeedReader> {
    Box::new(ListReader { feed: feed.clone(), vulnerabilities: BTreeMap::new(), records: Records::default() })
}

impl FeedReader for ListReader {
    fn document(&mut self, name: &str, content: &mut dyn Read, _: Drain<'_>) -> Result<bool, Problem> {
        let list = name.strip_suffix("/list").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let mut text = || String::from_utf8(super::whole(content)?).map_err(|e| e.to_string());
        match list {
            "CVE" => self.vulnerabilities(&text()?),
            "DSA" | "DLA" => self.bulletins(&text()?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self: Box<Self>) -> Records {
        let declared: Vec<&Ecosystem> =
            self.feed.ecosystems.iter().filter(|e| *e.base() == EcosystemBase::Debian).collect();
        let advisory = |(id, vulnerability): (String, Vulnerability)| vulnerability.advisory(id, &self.feed, &declared);
        let advisories = self.vulnerabilities.into_iter().map(advisory).collect();
        Records { advisories, ..self.records }
    }
}

impl ListReader {
    fn vulnerabilities(&mut self, text: &str) {
        for (header, body) in entries(text) {
            let (id, description) = header.split_once(' ').unwrap_or((header, ""));
            if body.contains(&"REJECTED") {
                self.records.skip("is rejected");
                continue;
            }
            let statements: Vec<Statement> = body.iter().filter_map(|line| Statement::parse(line)).collect();
            if statements.is_empty() {
                continue;
            }
            let id = if id.ends_with("-XXXX") { temporary(description) } else { id.to_owned() };
            let known = self.vulnerabilities.entry(id).or_default();
            description.trim_matches(['(', ')', '[', ']']).clone_into(&mut known.summary);
            for statement in statements {
                let package = known.packages.entry(statement.package.clone()).or_default();
                match &statement.release {
                    Some(release) => drop(package.releases.insert(release.clone(), statement)),
                    None => package.unstable = Some(statement),
                }
            }
        }
    }

    fn bulletins(&mut self, text: &str) {
        for (header, body) in entries(text) {
            // "[29 Mar 2023] DSA-5380-1 xorg-server - security update"
            let Some((date, rest)) = header.strip_prefix('[').and_then(|h| h.split_once("] ")) else { continue };
            let id = rest.split_whitespace().next().unwrap_or_default();
            let names = body.iter().find_map(|line| line.strip_prefix('{')).map(|line| line.trim_end_matches('}'));
            let cves: Vec<&str> =
                names.unwrap_or_default().split_whitespace().filter(|n| n.starts_with("CVE-")).collect();
            if cves.is_empty() {
                self.records.skip("names no CVE");
                continue;
            }
            self.records.as_of.advance(&iso(date).unwrap_or_default());
            for statement in body.iter().filter_map(|line| Statement::parse(line)) {
                let Some(release) = &statement.release else { continue };
                for cve in &cves {
                    let known = self.vulnerabilities.entry((*cve).to_owned()).or_default();
                    known.bulletins.push(id.to_owned());
                    let package = known.packages.entry(statement.package.clone()).or_default();
                    package.bulletins.entry(release.clone()).or_default().push(statement.clone());
                }
            }
        }
    }
}

/// An entry: its header, and the lines below that belong to it.
fn entries(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut out: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match out.last_mut() {
            Some((_, body)) if line.starts_with([' ', '\t']) => body.push(line.trim()),
            _ => out.push((line.trim(), Vec::new())),
        }
    }
    out
}

/// The tracker's own names of vulnerabilities without a CVE. No other feed uses them.
fn temporary(description: &str) -> String {
    let hash = description
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("TEMP-0000000-{:06X}", hash & 0xff_ffff)
}

/// "29 Mar 2023" → "2023-03-29".
fn iso(date: &str) -> Option<String> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut parts = date.split_whitespace();
    let (day, month, year) = (parts.next()?.parse::<u8>().ok()?, parts.next()?.get(..3)?, parts.next()?);
    let month = MONTHS.find(month)? / 3 + 1;
    (year.len() == 4).then(|| format!("{year}-{month:02}-{day:02}"))
}

impl Vulnerability {
    /// `declared`: the Debian releases that the feed is complete for.
    fn advisory(self, id: String, feed: &FeedContext, declared: &[&Ecosystem]) -> Advisory {
        let affected: Vec<Affected> =
            self.packages.iter().flat_map(|(name, package)| package.rows(name, declared)).collect();
        let mut bulletins = self.bulletins;
        bulletins.sort();
        bulletins.dedup();
        let address = |name: &String| format!("https://security-tracker.debian.org/tracker/{name}");
        Advisory {
            references: std::iter::once(&id).chain(&bulletins).map(address).take(MAX_REFERENCES).collect(),
            id,
            feed: feed.name.clone(),
            summary: self.summary,
            affected,
            ..Advisory::default()
        }
    }
}

impl Package {
    fn rows(&self, name: &str, declared: &[&Ecosystem]) -> Vec<Affected> {
        let mut said: BTreeMap<Ecosystem, Statement> = BTreeMap::new();
        for (release, statements) in &self.bulletins {
            let best = statements.iter().max_by(|a, b| Statement::later(a, b));
            said.extend(best.map(|s| (super::debian_tracker::ecosystem(release), s.clone())));
        }
        for (release, statement) in &self.releases {
            let ecosystem = super::debian_tracker::ecosystem(release);
            // Tags become outdated: a bulletin's fix counts, whatever a tag says.
            let stale = said.get(&ecosystem).is_some_and(|b| b.is_fixed()) && statement.tag.is_open();
            if !stale {
                said.insert(ecosystem, statement.clone());
            }
        }
        if let Some(unstable) = &self.unstable {
            let sid = super::debian_tracker::ecosystem("sid");
            said.entry(sid).or_insert_with(|| unstable.clone());
            for ecosystem in declared {
                let elsewhere = Statement { elsewhere: true, ..unstable.clone() };
                said.entry((*ecosystem).clone()).or_insert(elsewhere);
            }
        }
        let row =
            |(ecosystem, statement): (Ecosystem, Statement)| statement.row(ecosystem, name, self.unstable.as_ref());
        said.into_iter().filter_map(row).collect()
    }
}

impl Tag {
    /// Whether it means "vulnerable, and no fixed version".
    fn is_open(&self) -> bool {
        matches!(self, Tag::Unfixed | Tag::NoDsa | Tag::Ignored | Tag::Postponed | Tag::EndOfLife)
    }
}
