//! What a new policy changes, and how it is shown.

use crate::exit::Exit;
use crate::terminal::printable;
use serde::Serialize;
use tidewaiter_core::policy::{Outcome, Verdict};

/// Reasons that are shown of one target; the report has all.
const MAX_REASONS: usize = 5;

/// A target under both policies.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JudgedTarget {
    /// A file, an image, or a workload as `NAMESPACE/KIND/NAME`.
    target: String,
    before: Outcome,
    after: Outcome,
    /// Reasons of the new policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// A target that could not be judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct UnjudgedTarget {
    pub(super) target: String,
    pub(super) why: String,
}

/// How many are blocked, or allowed, by both policies.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct UnchangedCounts {
    allowed: usize,
    blocked: usize,
}

/// All targets, by what changes.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyEffect {
    newly_blocked: Vec<JudgedTarget>,
    newly_allowed: Vec<JudgedTarget>,
    unchanged: UnchangedCounts,
    not_judged: Vec<UnjudgedTarget>,
}

impl JudgedTarget {
    /// A target with its verdict under the present policy and under the new one.
    pub(super) fn new(target: String, before: &Verdict, after: Verdict) -> Self {
        JudgedTarget { target, before: before.outcome, after: after.outcome, reasons: after.reasons }
    }

    /// The same with those of another image of a workload: its worst image decides.
    pub(super) fn with(mut self, other: JudgedTarget) -> Self {
        self.before = self.before.max(other.before);
        self.after = self.after.max(other.after);
        self.reasons.extend(other.reasons);
        self
    }

    /// The same under another name.
    pub(super) fn named(self, target: String) -> Self {
        JudgedTarget { target, ..self }
    }

    /// Says of which image each reason is.
    pub(super) fn of_image(mut self, image: &str) -> Self {
        self.reasons.iter_mut().for_each(|reason| *reason = format!("{image}: {reason}"));
        self
    }
}

impl PolicyEffect {
    /// Sorts targets by what changes for them.
    pub(super) fn of(judged: Vec<JudgedTarget>, not_judged: Vec<UnjudgedTarget>) -> Self {
        let mut effect = PolicyEffect { not_judged, ..PolicyEffect::default() };
        for target in judged {
            match (target.before == Outcome::Pass, target.after == Outcome::Pass) {
                (true, false) => effect.newly_blocked.push(target),
                (false, true) => effect.newly_allowed.push(target),
                (true, true) => effect.unchanged.allowed += 1,
                (false, false) => effect.unchanged.blocked += 1,
            }
        }
        effect
    }

    /// 1 where something is newly blocked, else 3 where something could not be judged.
    pub(super) fn exit(&self) -> Exit {
        match (self.newly_blocked.is_empty(), self.not_judged.is_empty()) {
            (false, _) => Exit::Violated,
            (true, false) => Exit::Failed,
            (true, true) => Exit::Clean,
        }
    }

    /// The groups, each with its targets, and the sum.
    pub(super) fn text(&self) -> String {
        let mut out = group("Newly blocked:", &self.newly_blocked, true);
        out.push_str(&group("Newly allowed:", &self.newly_allowed, false));
        if !self.not_judged.is_empty() {
            out.push_str("Not judged:\n");
            let line = |one: &UnjudgedTarget| format!("  {}: {}\n", printable(&one.target), printable(&one.why));
            out.extend(self.not_judged.iter().map(line));
            out.push('\n');
        }
        let UnchangedCounts { allowed, blocked } = self.unchanged;
        let not_judged = match self.not_judged.len() {
            0 => String::new(),
            number => format!(", {number} not judged"),
        };
        out.push_str(&format!(
            "{} newly blocked, {} newly allowed, {} unchanged ({allowed} allowed, {blocked} blocked){not_judged}\n",
            self.newly_blocked.len(),
            self.newly_allowed.len(),
            allowed + blocked,
        ));
        out
    }
}

fn group(title: &str, targets: &[JudgedTarget], with_reasons: bool) -> String {
    if targets.is_empty() {
        return String::new();
    }
    let mut out = format!("{title}\n");
    for target in targets {
        out.push_str(&format!("  {}: {} → {}\n", printable(&target.target), target.before, target.after));
        let shown = if with_reasons { MAX_REASONS } else { 0 };
        out.extend(target.reasons.iter().take(shown).map(|reason| format!("    {}\n", printable(reason))));
        let left = target.reasons.len().saturating_sub(shown);
        if with_reasons && left > 0 {
            out.push_str(&format!("    and {left} more (-o json)\n"));
        }
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(outcome: Outcome, reasons: usize) -> Verdict {
        let reasons = (0..reasons).map(|n| format!("CVE-{n} (high) in a 1, fixed in 2")).collect();
        Verdict { reasons, ..Verdict::of(outcome) }
    }

    fn judged(target: &str, before: Outcome, after: Outcome) -> JudgedTarget {
        let reasons = if after == Outcome::Pass { 0 } else { 7 };
        JudgedTarget::new(target.to_owned(), &verdict(before, 0), verdict(after, reasons))
    }

    fn effect() -> PolicyEffect {
        use Outcome::{Incomplete, Pass, Violated};
        let web = judged("shop/deployment/web", Pass, Pass).with(judged("x", Pass, Violated).of_image("r/bad:v1"));
        let all = vec![
            web,
            judged("shop/deployment/old", Violated, Pass),
            judged("shop/deployment/fine", Pass, Pass),
            judged("shop/deployment/gap", Incomplete, Violated),
        ];
        let why = "its image r/new:v1 has no result".to_owned();
        PolicyEffect::of(all, vec![UnjudgedTarget { target: "shop/deployment/new".to_owned(), why }])
    }

    #[test]
    fn targets_by_what_changes() {
        insta::assert_snapshot!(effect().text());
        insta::assert_snapshot!(serde_json::to_string_pretty(&effect()).unwrap());
    }

    #[test]
    fn what_is_newly_blocked_decides_the_exit_code() {
        let mut effect = effect();
        assert_eq!(effect.exit(), Exit::Violated);
        effect.newly_blocked.clear();
        assert_eq!(effect.exit(), Exit::Failed);
        effect.not_judged.clear();
        assert_eq!(effect.exit(), Exit::Clean);
    }
}
