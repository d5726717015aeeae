//! From a definition's criteria to rows.

use super::{Definition, Document, release};
use crate::rpm_modules;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Affected, FixState, Interval, IntervalEnd, KeyKind, ModuleScope};
use tidewaiter_core::ecosystem::{Ecosystem, EcosystemBase};

/// One node of the tree.
#[derive(Default)]
pub(super) struct Criteria {
    /// OR; else AND.
    pub(super) any: bool,
    pub(super) negated: bool,
    pub(super) nested: Vec<Criteria>,
    pub(super) criterions: Vec<Criterion>,
}

/// One leaf.
pub(super) struct Criterion {
    test: String,
    comment: String,
}

impl Criterion {
    /// Without a comment that names neither release nor module: it repeats the test (`curl is earlier than 0:7.61.1-34.el8`).
    pub(super) fn new(test: &str, comment: &str) -> Self {
        let comment = Some(comment.trim()).filter(|c| c.ends_with(INSTALLED) || c.starts_with(MODULE));
        Criterion { test: test.to_owned(), comment: comment.unwrap_or_default().to_owned() }
    }
}

/// `Oracle Linux 8 is installed`.
const INSTALLED: &str = " is installed";
/// `Module php:7.4 is enabled`.
const MODULE: &str = "Module ";

/// The tests that surround a package test.
#[derive(Clone, Default)]
struct Scope {
    releases: Vec<Ecosystem>,
    arches: Vec<String>,
    modules: Vec<String>,
}

/// The bounds that tests of one node give a package.
#[derive(Default)]
struct Bounds {
    from: Option<String>,
    after: bool,
    end: Option<IntervalEnd>,
    arches: Vec<String>,
}

impl Document {
    /// All rows of a definition.
    pub(super) fn rows(&self, definition: &Definition) -> Result<Vec<Affected>, &'static str> {
        let Some(criteria) = &definition.criteria else { return Err("has no criteria") };
        let releases = definition.platforms.iter().filter_map(|p| release(p)).collect();
        let mut rows = Vec::new();
        self.visit(criteria, &Scope { releases, ..Scope::default() }, &mut rows);
        if rows.is_empty() {
            return Err("covers no package of a known release");
        }
        if definition.patchable.eq_ignore_ascii_case("false") {
            rows.iter_mut().for_each(|row| row.fix_state = FixState::NotFixed);
        }
        Ok(rows)
    }

    /// Recursion is limited by the depth that [`tidewaiter_xml`] accepts.
    fn visit(&self, criteria: &Criteria, outer: &Scope, rows: &mut Vec<Affected>) {
        if criteria.negated {
            return;
        }
        let mut scope = outer.clone();
        if !criteria.any {
            criteria.criterions.iter().for_each(|c| self.narrow(&mut scope, c));
        }
        let mut packages: BTreeMap<(usize, &str), Bounds> = BTreeMap::new();
        for (index, criterion) in criteria.criterions.iter().enumerate() {
            let Some((name, operation, evr, arches)) = self.package(criterion) else { continue };
            // Tests of one package in an AND node bound one interval; in an OR node each is its own.
            let bounds = packages.entry((if criteria.any { index } else { 0 }, name)).or_default();
            arches.clone_into(&mut bounds.arches);
            match operation {
                "less than" => bounds.end = Some(IntervalEnd::Fixed(evr.to_owned())),
                "less than or equal" | "equals" => bounds.end = Some(IntervalEnd::LastAffected(evr.to_owned())),
                "greater than" | "greater than or equal" => {
                    bounds.from = Some(evr.to_owned());
                    bounds.after = operation == "greater than";
                }
                _ => {}
            }
        }
        for ((_, name), bounds) in packages {
            rows.extend(scope.rows(name, bounds));
        }
        criteria.nested.iter().for_each(|nested| self.visit(nested, &scope, rows));
    }

    fn narrow(&self, scope: &mut Scope, criterion: &Criterion) {
        let comment = criterion.comment.as_str();
        if let Some(release) = comment.strip_suffix(INSTALLED).and_then(release) {
            scope.releases = vec![release];
        } else if let Some(module) = comment.strip_prefix(MODULE).and_then(|m| m.strip_suffix(" is enabled")) {
            scope.modules = vec![module.to_owned()];
        } else if let Some(state) = self.tests.get(&criterion.test).and_then(|t| self.states.get(&t.state))
            && state.evr.is_none()
            && !state.arches.is_empty()
        {
            state.arches.clone_into(&mut scope.arches);
        }
    }

    fn package(&self, criterion: &Criterion) -> Option<(&str, &str, &str, &[String])> {
        let test = self.tests.get(&criterion.test)?;
        let state = self.states.get(&test.state)?;
        let (operation, evr) = state.evr.as_ref()?;
        Some((self.objects.get(&test.object)?, operation, evr, &state.arches))
    }
}

impl Scope {
    fn rows(&self, name: &str, bounds: Bounds) -> Vec<Affected> {
        let Some(end) = bounds.end.filter(|_| !name.is_empty()) else { return Vec::new() };
        let (IntervalEnd::Fixed(version) | IntervalEnd::LastAffected(version)) = &end else { return Vec::new() };
        let releases = azure(version).map_or_else(|| self.releases.clone(), |release| vec![release]);
        let fix_state = if matches!(end, IntervalEnd::Fixed(_)) { FixState::Fixed } else { FixState::NotFixed };
        let intervals = vec![Interval { introduced: bounds.from, after: bounds.after, end }];
        let arches = if bounds.arches.is_empty() { &self.arches } else { &bounds.arches };
        let mut out = Vec::with_capacity(releases.len());
        for ecosystem in releases {
            // Azure Linux' definitions name source packages; the others, installed packages.
            let key = if *ecosystem.base() == EcosystemBase::AzureLinux { KeyKind::Source } else { KeyKind::Binary };
            let (intervals, arches) = (intervals.clone(), arches.clone());
            let module = self.module(&ecosystem, &intervals);
            out.push(Affected { module, arches, intervals, fix_state, ..Affected::new(ecosystem, name, key) });
        }
        out
    }

    fn module(&self, ecosystem: &Ecosystem, intervals: &[Interval]) -> ModuleScope {
        match self.modules.as_slice() {
            [] => rpm_modules::of(ecosystem, intervals),
            modules => ModuleScope::Streams(modules.to_vec()),
        }
    }
}

/// `0:2.6.7-3.azl3`, `0:5.10.188.1-1.cm1`: the release is in the version.
fn azure(version: &str) -> Option<Ecosystem> {
    let tag = version.rsplit('.').next()?;
    let number = tag.strip_prefix("azl").or_else(|| tag.strip_prefix("cm"))?;
    let number = number.trim_end_matches(|c: char| !c.is_ascii_digit());
    number.parse::<u16>().ok().map(|_| Ecosystem::with_release(EcosystemBase::AzureLinux, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::testing::feed;
    use crate::format::{Records, oval};

    const TESTS: &str = r#"<tests><red-def:rpminfo_test id="t1"><red-def:object object_ref="o1"/><red-def:state state_ref="s1"/></red-def:rpminfo_test>
        <rpminfo_test id="t2"><object object_ref="o2"/><state state_ref="s2"/></rpminfo_test>
        <rpminfo_test id="t3"><object object_ref="o1"/><state state_ref="s3"/></rpminfo_test></tests>
        <objects><rpminfo_object id="o1"><name>curl</name></rpminfo_object><rpminfo_object id="o2"><name>ol-release</name></rpminfo_object></objects>"#;

    fn rows(platform: &str, criteria: &str, evr: &str, metadata: &str) -> (Vec<String>, Records) {
        let xml = format!(
            r#"<oval_definitions xmlns="x"><definitions><definition id="d"><metadata><title>A
            title</title><affected><platform>{platform}</platform></affected><reference source="elsa" ref_id="ELSA-1"/>
            <reference source="CVE" ref_id="CVE-1"/>{metadata}<advisory><severity>IMPORTANT</severity></advisory></metadata>
            {criteria}</definition></definitions>{TESTS}<states><rpminfo_state id="s1">{evr}</rpminfo_state>
            <rpminfo_state id="s2"><arch operation="pattern match">x86_64</arch></rpminfo_state>
            <rpminfo_state id="s3"><evr operation="greater than or equal">0:1-1</evr></rpminfo_state></states></oval_definitions>"#
        );
        let mut records = Records::default();
        assert!(oval::parse("a.xml", &mut xml.as_bytes(), &feed("f", &[]), &mut records, &mut |_| {}).unwrap());
        let line = |r: &Affected| {
            format!("{} {} {:?} {:?} {:?} {:?}", r.ecosystem, r.package, r.key, r.intervals[0], r.module, r.arches)
        };
        (records.advisories.iter().flat_map(|a| a.affected.iter().map(line)).collect(), records)
    }

    #[test]
    fn criteria_become_rows() {
        let evr = |op: &str, v: &str| format!(r#"<evr datatype="evr_string" operation="{op}">{v}</evr>"#);
        let check = |platform: &str, criteria: &str, evr: &str, expected: &[&str]| {
            assert_eq!(rows(platform, criteria, evr, "").0, expected, "{criteria}");
        };
        let one = r#"<criteria operator="AND"><criterion comment="x" test_ref="t1"/></criteria>"#;
        check(
            "Azure Linux",
            one,
            &evr("less than", "0:2-3.azl3"),
            &[
                r#"Azure Linux:3 curl Source Interval { introduced: None, after: false, end: Fixed("0:2-3.azl3") } Outside []"#,
            ],
        );
        check(
            "CBL-Mariner",
            one,
            &evr("less than or equal", "0:2-3.cm1"),
            &[
                r#"Azure Linux:1 curl Source Interval { introduced: None, after: false, end: LastAffected("0:2-3.cm1") } Outside []"#,
            ],
        );
        let oracle = r#"<criteria operator="AND"><criterion test_ref="t9" comment="Oracle Linux 8 is installed"/>
            <criterion test_ref="t2" comment="Oracle Linux arch is x86_64"/><criteria operator="AND">
            <criterion test_ref="t9" comment="Module curl:8 is enabled"/><criteria operator="OR">
            <criterion test_ref="t1" comment="curl is earlier"/><criterion test_ref="t9" negate="true"/></criteria></criteria></criteria>"#;
        check(
            "Oracle Linux 8",
            oracle,
            &evr("less than", "0:2-3.module+el8"),
            &[
                r#"Oracle Linux:8 curl Binary Interval { introduced: None, after: false, end: Fixed("0:2-3.module+el8") } Streams(["curl:8"]) ["x86_64"]"#,
            ],
        );
        let between = r#"<criteria operator="AND"><criterion test_ref="t1"/><criterion test_ref="t3"/></criteria>"#;
        check(
            "Photon 3",
            between,
            &evr("less than", "0:2-1"),
            &[
                r#"Photon OS:3.0 curl Binary Interval { introduced: Some("0:1-1"), after: false, end: Fixed("0:2-1") } Outside []"#,
            ],
        );
        check("Plan 9", one, &evr("less than", "0:2-1"), &[]);
        let negated = r#"<criteria negate="true"><criterion test_ref="t1"/></criteria>"#;
        check("Photon 3", negated, &evr("less than", "0:2-1"), &[]);
    }

    #[test]
    fn definitions_are_advisories() {
        let one = r#"<criteria><criterion test_ref="t1"/></criteria>"#;
        let evr = r#"<evr operation="less than">0:2-1</evr>"#;
        let (_, records) = rows("Photon 3", one, evr, "");
        let advisory = &records.advisories[0];
        assert_eq!((advisory.id.as_str(), advisory.upstream.as_slice()), ("ELSA-1", &["CVE-1".to_owned()][..]));
        assert_eq!((advisory.summary.as_str(), advisory.ratings[0].severity.word()), ("A title", "high"));
        let (found, records) = rows("Photon 3", one, evr, "<patchable>Not Applicable</patchable>");
        assert_eq!((found.len(), records.skipped.len()), (0, 1));
    }

    #[test]
    fn other_documents_are_left_alone() {
        let check = |name: &str, text: &str, expected: Result<bool, ()>| {
            let mut records = Records::default();
            assert_eq!(
                oval::parse(name, &mut text.as_bytes(), &feed("f", &[]), &mut records, &mut |_| {}).map_err(drop),
                expected,
                "{text}"
            );
        };
        check("a.xml", "<updates/>", Ok(false));
        check("a.txt", "", Ok(false));
        check("a.xml", "<oval_definitions>", Err(()));
        check("a.xml", &"<a>".repeat(100), Err(()));
    }
}
