//! `--fail-on`: what of a finding fails a scan, in words.

use std::str::FromStr;
use tidewaiter_core::policy::Rule;
use tidewaiter_core::severity::Severity;

/// One of several reasons to fail.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FailCriterion {
    /// Findings of this severity or worse.
    Severity(Severity),
    /// Findings that no source rates.
    Unrated,
    /// Findings that a rule selects.
    Rule(Box<FailRule>),
}

/// Terms that a finding must fulfil together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FailRule {
    /// What they say of the finding, by the text that was given.
    pub(crate) rule: Rule,
    /// Whether it is about findings that the baseline does not have.
    pub(crate) is_new: bool,
}

/// The text is no criterion.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidCriterion {
    #[error(
        "{0:?} is none of the criteria: critical, high, medium, low, negligible, unknown, fixable, kev, new, epss>=0.5, cvss>=7; \
         all of several hold where + joins them: high+fixable"
    )]
    Unknown(String),
    #[error("{0} needs a lowest value, as in --fail-on '{0}>={1}'; the quotes keep the shell from reading >")]
    NoValue(&'static str, &'static str),
    #[error("{0}>={1}: not a number from 0 to {2}{3}")]
    Range(&'static str, String, u32, &'static str),
    #[error("{0} is said twice in {1}; commas separate criteria of which any fails")]
    Twice(String, String),
    #[error("unknown says all of a finding that no source rates, and nothing can be joined to it by +")]
    UnratedAndMore,
}

/// What a term adds to a rule.
enum Term {
    Severity(Severity),
    Fixable,
    KnownExploited,
    New,
    Epss(f64),
    Cvss(f64),
}

impl FromStr for FailCriterion {
    type Err = InvalidCriterion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let terms: Vec<&str> = text.split('+').map(str::trim).collect();
        if let [only] = terms.as_slice()
            && let Some(severity) = severity(only)
        {
            return Ok(match severity {
                Severity::Unknown => FailCriterion::Unrated,
                rated => FailCriterion::Severity(rated),
            });
        }
        let mut all = FailRule { rule: Rule { name: text.to_owned(), ..Rule::default() }, is_new: false };
        for word in terms {
            if !all.add(term(word)?) {
                return Err(InvalidCriterion::Twice(word.to_owned(), text.to_owned()));
            }
        }
        Ok(FailCriterion::Rule(Box::new(all)))
    }
}

impl FailRule {
    /// Whether it did not have one of this kind yet.
    fn add(&mut self, term: Term) -> bool {
        let rule = &mut self.rule;
        match term {
            Term::Severity(least) => rule.severity.replace(least).is_none(),
            Term::Fixable => rule.fix_available.replace(true).is_none(),
            Term::KnownExploited => rule.known_exploited.replace(true).is_none(),
            Term::Epss(least) => rule.epss.replace(least).is_none(),
            Term::Cvss(least) => rule.cvss.replace(least).is_none(),
            Term::New => !std::mem::replace(&mut self.is_new, true),
        }
    }
}

fn term(word: &str) -> Result<Term, InvalidCriterion> {
    if let Some((name, value)) = word.split_once(">=") {
        return match name.trim() {
            "epss" => number("epss", value, 1, ": a probability").map(Term::Epss),
            "cvss" => number("cvss", value, 10, "").map(Term::Cvss),
            _ => Err(InvalidCriterion::Unknown(word.to_owned())),
        };
    }
    match word {
        "fixable" => Ok(Term::Fixable),
        "kev" => Ok(Term::KnownExploited),
        "new" => Ok(Term::New),
        "epss" => Err(InvalidCriterion::NoValue("epss", "0.5")),
        "cvss" => Err(InvalidCriterion::NoValue("cvss", "7")),
        word => match severity(word) {
            Some(Severity::Unknown) => Err(InvalidCriterion::UnratedAndMore),
            Some(rated) => Ok(Term::Severity(rated)),
            None => Err(InvalidCriterion::Unknown(word.to_owned())),
        },
    }
}

/// A severity by the words of every vendor; an empty text is none.
fn severity(word: &str) -> Option<Severity> {
    word.parse().ok().filter(|_| !word.is_empty())
}

fn number(name: &'static str, value: &str, most: u32, what: &'static str) -> Result<f64, InvalidCriterion> {
    let read = value.trim().parse().ok().filter(|value| (0.0..=f64::from(most)).contains(value));
    read.ok_or_else(|| InvalidCriterion::Range(name, value.trim().to_owned(), most, what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn criteria_are_severities_or_rules() {
        let check = |text: &str, expected: &FailCriterion| assert_eq!(text.parse().as_ref(), Ok(expected), "{text}");
        check("high", &FailCriterion::Severity(Severity::High));
        check("CRITICAL", &FailCriterion::Severity(Severity::Critical));
        check("important", &FailCriterion::Severity(Severity::High));
        check("unknown", &FailCriterion::Unrated);
        let rule = |text: &str, criteria: serde_json::Value, is_new: bool| {
            let mut rule = criteria;
            rule["name"] = json!(text);
            let rule = serde_json::from_value(rule).unwrap();
            check(text, &FailCriterion::Rule(Box::new(FailRule { rule, is_new })));
        };
        rule("fixable", json!({"fixAvailable": true}), false);
        rule("kev", json!({"knownExploited": true}), false);
        rule("epss>=0.5", json!({"epss": 0.5}), false);
        rule("cvss>=9", json!({"cvss": 9.0}), false);
        rule("epss >= 1", json!({"epss": 1.0}), false);
        rule("new", json!({}), true);
        rule("high+fixable+new", json!({"severity": "HIGH", "fixAvailable": true}), true);
        rule("kev + fixable", json!({"knownExploited": true, "fixAvailable": true}), false);
    }

    #[test]
    fn every_rule_is_one_that_policy_takes() {
        for text in
            ["fixable", "kev", "epss>=0", "epss>=1", "cvss>=10", "new", "negligible+epss>=0.01+cvss>=1+kev+fixable+new"]
        {
            let Ok(FailCriterion::Rule(rule)) = text.parse() else { unreachable!("{text}") };
            assert_eq!(rule.rule.check(), Ok(()), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_is_right() {
        let check = |text: &str, expected: &str| {
            let said = text.parse::<FailCriterion>().unwrap_err().to_string();
            assert!(said.contains(expected), "{text}: {said}");
        };
        check("hihg", "\"hihg\" is none of the criteria: critical, high, medium");
        check("", "\"\" is none of the criteria");
        check("high+", "\"\" is none of the criteria");
        check("epss>0.5", "\"epss>0.5\" is none of the criteria");
        check("epss", "--fail-on 'epss>=0.5'");
        check("cvss", "--fail-on 'cvss>=7'");
        check("epss>=2", "epss>=2: not a number from 0 to 1: a probability");
        check("epss>=50%", "not a number from 0 to 1");
        check("epss>=NaN", "not a number from 0 to 1");
        check("cvss>=11", "cvss>=11: not a number from 0 to 10");
        check("age>=3", "\"age>=3\" is none");
        check("high+low", "low is said twice in high+low");
        check("new+new", "new is said twice");
        check("unknown+fixable", "nothing can be joined to it");
    }
}
