//! OVAL definitions of distributions with rpm (OVAL 5.11, `linux-def:rpminfo_test`): Azure Linux, Oracle, SUSE, Photon.
//!
//! A definition's criteria are a tree. Other tests of an AND node (for a release, an architecture, a module) apply to all
//! package tests below it; every package test is a row.

mod criteria;

use super::{Drain, FeedContext, Problem, Records, records};
use criteria::{Criteria, Criterion};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::io::Read;
use tidewaiter_core::advisory::Advisory;
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};
use tidewaiter_core::severity::{Rating, Severity};
use tidewaiter_xml::{Attributes, Step};

/// Most references of an advisory: one for each of hundreds of CVEs says nothing more.
const URLS: usize = 8;

/// One definition as it is read.
#[derive(Default)]
struct Definition {
    id: String,
    title: String,
    platforms: Vec<String>,
    names: Vec<String>,
    cves: Vec<String>,
    urls: Vec<String>,
    severity: Severity,
    patchable: String,
    modified: String,
    published: Option<Date>,
    criteria: Option<Criteria>,
}

/// The object and state of a test.
#[derive(Default)]
struct Test {
    object: String,
    state: String,
}

/// The state that a test compares a package with.
#[derive(Default)]
struct State {
    evr: Option<(String, String)>,
    arches: Vec<String>,
}

#[derive(Default)]
struct Document {
    definitions: Vec<Definition>,
    tests: BTreeMap<String, Test>,
    objects: BTreeMap<String, String>,
    states: BTreeMap<String, State>,
    timestamp: String,
    /// The id of the test, object or state that is open.
    open: String,
    /// The criteria that are open, outermost first.
    stack: Vec<Criteria>,
    operation: String,
}

/// Reads one document. Its tests, objects and states follow its definitions, so all of these are in memory, without what no
/// row is made of.
///
/// # Errors
/// When it is not well-formed XML.
pub(super) fn parse(
    name: &str,
    content: &mut dyn Read,
    feed: &FeedContext,
    records: &mut Records,
    drain: Drain<'_>,
) -> Result<bool, Problem> {
    if !name.ends_with(".xml") {
        return Ok(false);
    }
    let mut document = Document::default();
    let mut root = String::new();
    tidewaiter_xml::walk(content, &mut |step| match step {
        Step::Open(name, attributes) => {
            if root.is_empty() {
                name.clone_into(&mut root);
            }
            document.open(name, attributes);
        }
        Step::Close(name, text) => document.close(name, text),
    })?;
    if root != "oval_definitions" {
        return Ok(false);
    }
    for definition in std::mem::take(&mut document.definitions) {
        match document.advisory(&definition, &feed.name) {
            Ok(advisory) => records.advisories.push(advisory),
            Err(reason) => records.skip(reason),
        }
        drain(records);
    }
    records.as_of.advance(&document.timestamp);
    Ok(true)
}

impl Definition {
    fn dated(&mut self, modified: String, published: Option<Date>) {
        self.modified = modified;
        self.published = self.published.or(published);
    }
}

impl Document {
    fn open(&mut self, name: &str, attributes: &Attributes) {
        let id = || attributes.get("id").to_owned();
        match name {
            "definition" => self.definitions.push(Definition { id: id(), ..Definition::default() }),
            "reference" => self.reference(attributes),
            "issued" | "updated" if !attributes.get("date").is_empty() => {
                let date = attributes.get("date").to_owned();
                let published = records::day(&date).filter(|_| name == "issued");
                self.last(|d| d.dated(date, published));
            }
            "criteria" => {
                let any = attributes.get("operator").eq_ignore_ascii_case("OR");
                self.stack.push(Criteria { any, negated: negated(attributes), ..Criteria::default() });
            }
            "criterion" => {
                let criterion = Criterion::new(attributes.get("test_ref"), attributes.get("comment"));
                // A test that a package is absent says nothing about installed ones.
                if let Some(criteria) = self.stack.last_mut().filter(|_| !negated(attributes)) {
                    criteria.criterions.push(criterion);
                }
            }
            _ if name.ends_with("_test") => {
                self.open = id();
                self.tests.insert(id(), Test::default());
            }
            _ if name.ends_with("_object") || name.ends_with("_state") => self.open = id(),
            "object" | "state" => {
                if let Some(test) = self.tests.get_mut(&self.open) {
                    let (slot, key) = if name == "object" {
                        (&mut test.object, "object_ref")
                    } else {
                        (&mut test.state, "state_ref")
                    };
                    attributes.get(key).clone_into(slot);
                }
            }
            "evr" | "arch" => attributes.get("operation").clone_into(&mut self.operation),
            _ => {}
        }
    }

    fn reference(&mut self, attributes: &Attributes) {
        let (id, url) = (attributes.get("ref_id"), attributes.get("ref_url").to_owned());
        // Photon writes "CVE:00001:CVE-2019-16168", SUSE "SUSE CVE-2019-16168".
        let cve = id.find("CVE-").and_then(|at| id.get(at..)).unwrap_or_default().to_owned();
        let id = id.to_owned();
        let ours = attributes.get("source").to_ascii_uppercase();
        let Some(definition) = self.definitions.last_mut() else { return };
        if cve.is_empty() && !ours.contains("CVE") && !id.is_empty() {
            definition.names.push(id);
        } else if !cve.is_empty() {
            definition.cves.push(cve);
        }
        if url.starts_with("http") && definition.urls.len() < URLS {
            definition.urls.push(url);
        }
    }

    fn close(&mut self, name: &str, text: &str) {
        match name {
            "criteria" => {
                let Some(done) = self.stack.pop() else { return };
                match self.stack.last_mut() {
                    Some(outer) => outer.nested.push(done),
                    None => self.last(|d| d.criteria = Some(done)),
                }
            }
            "title" => self.last(|d| d.title = text.split_whitespace().collect::<Vec<_>>().join(" ")),
            "platform" => self.last(|d| d.platforms.push(text.to_owned())),
            "severity" => self.last(|d| d.severity = text.parse().unwrap_or_default()),
            "patchable" => self.last(|d| d.patchable = text.to_owned()),
            "advisory_date" => self.last(|d| d.dated(text.to_owned(), records::day(text))),
            "cve" if text.starts_with("CVE-") => self.last(|d| d.cves.push(text.to_owned())),
            "timestamp" => text.clone_into(&mut self.timestamp),
            "name" => drop(self.objects.insert(self.open.clone(), text.to_owned())),
            "evr" => {
                let evr = (std::mem::take(&mut self.operation), text.to_owned());
                self.states.entry(self.open.clone()).or_default().evr = Some(evr);
            }
            "arch" => {
                let arches = text.split(['|', '(', ')', '^', '$']).filter(|a| !a.is_empty()).map(str::to_owned);
                self.states.entry(self.open.clone()).or_default().arches = arches.collect();
            }
            _ => {}
        }
    }

    fn last(&mut self, set: impl FnOnce(&mut Definition)) {
        if let Some(definition) = self.definitions.last_mut() {
            set(definition);
        }
    }

    fn advisory(&self, definition: &Definition, feed: &str) -> Result<Advisory, &'static str> {
        let mut cves = definition.cves.clone();
        cves.sort();
        cves.dedup();
        let id = match (definition.names.first(), cves.as_slice()) {
            (_, []) => return Err("names no CVE"),
            (Some(name), _) => name.clone(),
            (None, [cve]) => cve.clone(),
            (None, _) => definition.id.clone(),
        };
        if definition.patchable.eq_ignore_ascii_case("not applicable") {
            return Err("not applicable according to the vendor");
        }
        let affected = self.rows(definition)?;
        let rating = Rating::of_level(feed, definition.severity);
        Ok(Advisory {
            upstream: if cves.contains(&id) { Vec::new() } else { cves },
            id,
            feed: feed.to_owned(),
            summary: definition.title.clone(),
            modified: definition.modified.clone(),
            published: definition.published,
            references: definition.urls.clone(),
            ratings: Some(rating).filter(|r| r.severity != Severity::Unknown).into_iter().collect(),
            affected,
            ..Advisory::default()
        })
    }
}

fn negated(attributes: &Attributes) -> bool {
    attributes.get("negate").eq_ignore_ascii_case("true")
}

/// The ecosystem of a release, as platforms and comments name it. Azure Linux' documents name no release; versions do.
fn release(platform: &str) -> Option<Ecosystem> {
    let after = |prefix: &str| platform.strip_prefix(prefix).map(str::trim).filter(|r| !r.is_empty());
    let of = |base: EcosystemBase, release: &str| Some(Ecosystem::with_release(base, release));
    if let Some(release) = after("Oracle Linux ").filter(|r| r.chars().all(|c| c.is_ascii_digit())) {
        return of(EcosystemBase::OracleLinux, release);
    }
    if let Some(release) = after("Photon OS ").or_else(|| after("Photon ")) {
        return of(
            EcosystemBase::PhotonOs,
            &if release.contains('.') { release.to_owned() } else { format!("{release}.0") },
        );
    }
    if let Some(release) = after("openSUSE ") {
        return of(EcosystemBase::OpenSuse, release);
    }
    after("SUSE ").filter(|r| r.starts_with("Linux")).and_then(|release| of(EcosystemBase::Suse, release))
}
