//! Conditions of rules, in CEL (Common Expression Language, cel.dev), as Kubernetes' own policies have them.

mod field;
mod shape;

pub(super) use field::FindingField;

use crate::finding::Finding;
use cel::objects::{Key, Map};
use cel::parser::{Expression, ParseErrors, PrattParser};
use cel::{Context, Env, Value};
use jiff::Timestamp;
use shape::ConditionShape;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

/// The variable of a condition.
const FINDING: &str = "finding";
/// Characters of a condition at most.
pub const MAX_CONDITION: usize = 1024;
/// Arguments, lists and indexes within each other at most; each takes stack of the parser.
const MAX_DEPTH: u16 = 48;
/// The functions that need no further crate (`matches` would bring an engine of a megabyte). Made once: it takes longer than most
/// expressions.
static FUNCTIONS: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// An expression that says whether a finding is concerned.
#[derive(Debug, Clone)]
pub(super) struct RuleCondition {
    expression: Expression,
    /// The fields of a finding that it reads.
    fields: BTreeSet<FindingField>,
}

/// Why an expression is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConditionError {
    #[error("condition has more than {MAX_CONDITION} characters")]
    TooLong,
    #[error("condition has too many names, values and operators, or too many within each other")]
    TooLarge,
    #[error("condition, line {line}, column {column}: {message}")]
    Syntax { line: isize, column: isize, message: String },
    #[error("condition: {0}")]
    Unreadable(String),
    #[error("condition: {parent}.{field} does not exist; there are {known}")]
    UnknownField { parent: String, field: String, known: String },
    #[error("condition: {0} does not exist; the only variable is {FINDING}")]
    UnknownVariable(String),
    #[error("condition: of the macros there are exists, all and exists_one")]
    UnknownMacro,
    #[error(
        "condition: a macro goes through {FINDING}.packages, {FINDING}.aliases, {FINDING}.fixedVersions or a list of values, and within packages through their paths"
    )]
    Range,
    #[error(
        "condition: within a macro {0} is no value; write it outside, or compare the name, version, purl or a path of a package"
    )]
    ListWithin(String),
    #[error("condition does not say true or false: {0}")]
    NotBoolean(String),
    #[error("condition cannot be evaluated: {0}")]
    Execution(String),
}

impl RuleCondition {
    /// Reads an expression, and tries it on a finding of every field's type.
    ///
    /// # Errors
    /// The first thing that makes it none.
    pub(super) fn parse(text: &str) -> Result<Self, ConditionError> {
        if text.chars().count() > MAX_CONDITION {
            return Err(ConditionError::TooLong);
        }
        let parser = PrattParser::new().max_recursion_depth(MAX_DEPTH).error_reporting_limit(1);
        let expression = parser.parse(text).map_err(|errors| syntax(&errors))?;
        let fields = ConditionShape::check(&expression)?;
        let condition = RuleCondition { expression, fields };
        condition.evaluate(FindingField::sample)?;
        Ok(condition)
    }

    /// Whether it reads this field of a finding.
    pub(super) fn reads(&self, field: FindingField) -> bool {
        self.fields.contains(&field)
    }

    /// Whether it is true of a finding, `now`.
    ///
    /// # Errors
    /// An operation that its values do not allow: a division by zero, an index beyond the end.
    pub(super) fn selects(&self, finding: &Finding, now: Timestamp) -> Result<bool, ConditionError> {
        self.evaluate(|field| field.value(finding, now))
    }

    /// With the fields that the expression reads alone: to make all would take four times as long.
    fn evaluate(&self, value: impl Fn(FindingField) -> Value) -> Result<bool, ConditionError> {
        let fields: HashMap<Key, Value> =
            self.fields.iter().map(|&field| (field.as_str().into(), value(field))).collect();
        let mut context = Context::with_env(Arc::clone(&FUNCTIONS));
        context.add_variable_from_value(FINDING, Value::Map(Map { map: Arc::new(fields) }));
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(is)) => Ok(is),
            Ok(other) => Err(ConditionError::NotBoolean(format!("its value is of type {}", other.type_of()))),
            Err(error) => Err(ConditionError::Execution(error.to_string())),
        }
    }
}

fn syntax(errors: &ParseErrors) -> ConditionError {
    match errors.errors.first() {
        Some(error) if error.pos.0 > 0 => {
            ConditionError::Syntax { line: error.pos.0, column: error.pos.1, message: error.msg.clone() }
        }
        Some(error) => ConditionError::Unreadable(error.msg.clone()),
        None => ConditionError::Unreadable("it cannot be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::{Epss, KnownExploited};
    use crate::finding::InstalledPackage;
    use crate::package::Location;
    use crate::report::testing;
    use crate::severity::Severity;

    /// Critical by a word alone, exploited, EPSS 0.4, fixed, published 2026-01-01, at two paths.
    fn finding() -> Finding {
        let at = |path: &str| Location { path: path.into(), layer: 0 };
        let installed = InstalledPackage {
            name: "a".into(),
            version: "1".into(),
            purl: "pkg:npm/a@1".into(),
            locations: vec![at("app/a/package.json"), at("opt/a/package.json")],
        };
        Finding {
            aliases: vec!["GHSA-1".into()],
            epss: Some(Epss { score: 0.4, percentile: 0.9 }),
            kev: Some(KnownExploited::default()),
            published: "2026-01-01".parse().ok(),
            installed: vec![installed],
            ..testing::finding("CVE-2026-1", "a", Severity::Critical)
        }
    }

    fn evaluate(text: &str, finding: &Finding) -> Result<bool, ConditionError> {
        let now = "2026-01-08T01:00:00Z".parse().unwrap();
        RuleCondition::parse(text)?.selects(finding, now)
    }

    #[test]
    fn conditions_read_findings() {
        let check = |text: &str, expected: bool| assert_eq!(evaluate(text, &finding()), Ok(expected), "{text}");
        check("true", true);
        check("finding.id == 'CVE-2026-1' && 'GHSA-1' in finding.aliases", true);
        check("finding.severity in ['HIGH', 'CRITICAL'] || finding.knownExploited", true);
        check("finding.cvss >= 9.0 && finding.epss > 0.5", false);
        check("finding.epss * 10.0 > 3.9", true);
        check("finding.daysSincePublished == 7", true);
        check("size(finding.fixedVersions) > 0 && finding.fixState == 'fixed'", true);
        check("finding.ecosystem == 'npm' && finding.package.startsWith('a')", true);
        check(
            "finding.packages.exists(p, p.purl.startsWith('pkg:npm/') && p.paths.all(at, at.startsWith('/app/')))",
            false,
        );
        check("finding.packages.exists(p, p.paths.exists(at, at.startsWith('/opt/')))", true);
        check("finding.severity == 'LOW' ? true : finding.feed != ''", false);
        check("has(finding.epss)", true);
        check(&vec!["finding.id == 'CVE-2026-1'"; 30].join(" && "), true);
    }

    /// Those that `docs/policy.md` promises.
    #[test]
    fn functions_and_macros() {
        let check = |text: &str| assert_eq!(evaluate(text, &finding()), Ok(true), "{text}");
        check("size(finding.id) == 10 && size(finding.aliases) == 1");
        check("finding.id.contains('2026') && finding.id.startsWith('CVE-') && finding.id.endsWith('-1')");
        check("int('7') == finding.daysSincePublished && uint('7') == 7u && double('0.4') == finding.epss");
        check("string(7) == '7' && bool('true')");
        check("has(finding.id) && finding.aliases.exists(a, a == 'GHSA-1') && finding.aliases.all(a, a != '')");
        check("finding.packages.exists_one(p, p.name == 'a') && ['HIGH', 'CRITICAL'].exists(s, s == finding.severity)");
    }

    #[test]
    fn what_is_not_known_is_never_absent() {
        let bare = Finding { fixed_versions: vec![], ..testing::finding("CVE-1", "a", Severity::Unknown) };
        let check = |text: &str, expected: bool| assert_eq!(evaluate(text, &bare), Ok(expected), "{text}");
        check("finding.cvss == 0.0 && finding.epss == 0.0 && !finding.knownExploited", true);
        check("finding.daysSincePublished > 36500", true);
        check("finding.severity == 'UNKNOWN' && finding.severitySource == ''", true);
        check("size(finding.fixedVersions) == 0", true);
    }

    #[test]
    fn what_is_no_condition_is_named() {
        let check = |text: &str, expected: &str| {
            let error = RuleCondition::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("", "line 1, column 1");
        check("finding.epss >", "line 1, column 15: Syntax error");
        check("finding.epss >\n> 1", "line 2, column 1: unexpected token");
        check("finding.epss >> 1", "line 1, column 15: unexpected token");
        check("finding.score > 1", "finding.score does not exist; there are id, aliases, ");
        check("finding.packages.exists(p, p.nam == '')", "p.nam does not exist; there are name, version, purl, paths");
        check("finding.aliases.exists(a, a.name == '')", "a.name does not exist");
        check("severity == 'HIGH'", "severity does not exist; the only variable is finding");
        check("finding.id == p || [1].exists(p, true)", "p does not exist");
        check("finding == 1", "finding does not exist");
        check("finding.cvss", "true or false: its value is of type");
        check("finding.cvss > '9'", "cannot be evaluated");
        check("finding.id.matches('CVE-.*')", "matches");
        check("Finding{a: 1} == 1", "Finding does not exist");
        check(&format!("finding.id == '{}'", "x".repeat(MAX_CONDITION)), "more than 1024 characters");
    }

    /// A tenant of a namespace may write conditions, and make images: the time of one grows with the packages and paths of a
    /// finding, and not with their square, whatever it says.
    #[test]
    fn work_is_bounded() {
        let check = |text: &str, expected: &str| {
            let error = RuleCondition::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        };
        check("finding.packages.all(p, finding.packages.all(q, p.name != q.name))", "goes through");
        check("finding.packages.all(p, p.paths.all(a, p.paths.all(b, a == b)))", "goes through");
        check("finding.packages.all(p, [finding.packages].all(q, true))", "goes through");
        check("[finding.packages].all(all, all.all(p, all == all))", "goes through");
        check("finding.packages.all(p, p == p)", "p is no value");
        check("finding.packages.all(p, p.paths.all(a, p.paths == p.paths))", "p.paths is no value");
        check("finding.packages.all(p, p.name in finding.aliases)", "finding.aliases is no value");
        check("size(finding.packages.map(p, finding.packages)) > 0", "exists, all and exists_one");
        check("size(['x'].map(a, a + a).map(a, a + a)) > 0", "exists, all and exists_one");
        check("finding.aliases.filter(a, true).size() > 0", "exists, all and exists_one");
        check(&format!("size([{}]) > 0", vec!["1"; 400].join(",")), "too many");
        check(&format!("1{} > 0", "+1".repeat(40)), "too many");
        check(&format!("finding.id{} > 0", ".size()".repeat(130)), "too many");
        check(&format!("{}1{} == [1]", "[".repeat(60), "]".repeat(60)), "condition: expression recursion limit");
    }

    /// Threads of servers have two megabytes, and a debug build takes the most.
    #[test]
    fn the_deepest_expressions_need_little_stack() {
        let deepest = || {
            for text in [
                format!("{}true{}", "(".repeat(510), ")".repeat(510)),
                format!("1{} > 0", "+1".repeat(29)),
                format!("{}true", "!".repeat(900)),
                format!("{}1{} == 1", "[".repeat(15), "][0]".repeat(15)),
            ] {
                assert_eq!(RuleCondition::parse(&text).map(|_| ()), Ok(()), "{text}");
            }
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(deepest).unwrap().join().unwrap();
    }

    #[test]
    fn every_field_is_in_the_document() {
        let document = include_str!("../../../../docs/policy.md");
        for field in FindingField::ALL.map(FindingField::as_str).iter().chain(&field::PACKAGE_FIELDS) {
            assert!(document.contains(&format!("`{field}`")), "{field}");
        }
    }

    #[test]
    fn fields_that_are_read() {
        let condition =
            RuleCondition::parse("finding.packages.exists(p, p.name == finding.id) || finding.epss > 0.5").unwrap();
        assert_eq!(condition.fields, BTreeSet::from([FindingField::Id, FindingField::Epss, FindingField::Packages]));
    }
}
