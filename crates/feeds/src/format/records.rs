//! What feeds contain, in one model whatever their format.

use jiff::civil::Date;
use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Epss, FixState, IntervalEnd, KnownExploited};
use tidewaiter_core::report::SupportPeriod;
use tidewaiter_core::severity::Rating;
use tidewaiter_db::meta::AsOf;

/// The records of a feed.
#[derive(Debug, Default)]
pub struct Records {
    /// Advisories with their affected packages.
    pub advisories: Vec<Advisory>,
    /// CVE → its entry in the catalog of exploited vulnerabilities.
    pub exploited: BTreeMap<String, KnownExploited>,
    /// CVE → ratings.
    pub ratings: BTreeMap<String, Vec<Rating>>,
    /// CVE → probability of exploitation.
    pub epss: BTreeMap<String, Epss>,
    /// CVE → the day on which it was published.
    pub published: BTreeMap<String, Date>,
    /// Until when releases get security fixes.
    pub support: Vec<SupportPeriod>,
    /// Records that were read and dropped, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// The newest time or day that the documents themselves name.
    pub as_of: AsOf,
}

impl Records {
    /// How many there are; days of publication are no records of their own.
    pub fn len(&self) -> usize {
        self.advisories.len() + self.exploited.len() + self.ratings.len() + self.epss.len() + self.support.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes fixes bounds that are not offered: those of extended support, which needs a subscription.
    pub(crate) fn without_offers(&mut self) {
        for row in self.advisories.iter_mut().flat_map(|advisory| &mut advisory.affected) {
            let is_bounded = row.intervals.iter().any(|interval| matches!(interval.end, IntervalEnd::Fixed(_)));
            if is_bounded && matches!(row.fix_state, FixState::Fixed | FixState::Unknown) {
                row.fix_state = FixState::NotFixed;
            }
        }
    }

    /// Counts a record that is dropped.
    pub(crate) fn skip(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }
}

/// The day of a time or day as publishers write it: all begin with the day of ISO 8601.
pub(super) fn day(text: &str) -> Option<Date> {
    text.trim_start().get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewaiter_core::advisory::{Affected, Interval, KeyKind};

    #[test]
    fn days_are_read_from_any_precision() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(day(text).map(|day| day.to_string()).as_deref(), expected, "{text}");
        };
        check("2024-03-29", Some("2024-03-29"));
        check("2024-03-29T17:15:21.150", Some("2024-03-29"));
        check("2023-02-17 20:41", Some("2023-02-17"));
        check("2024-03-29T23:30:00-08:00", Some("2024-03-29"));
        check("29 March 2024", None);
        check("2024", None);
        check("", None);
    }

    #[test]
    fn fixes_of_extended_support_are_bounds_alone() {
        let check = |end: Option<IntervalEnd>, state: FixState, expected: FixState| {
            let row = Affected {
                never_affected: end.is_none(),
                intervals: end.into_iter().map(Interval::until).collect(),
                fix_state: state,
                ..Affected::new("Debian:10".into(), "a", KeyKind::Source)
            };
            let advisory = Advisory { affected: vec![row.clone()], ..Advisory::default() };
            let mut records = Records { advisories: vec![advisory], ..Records::default() };
            records.without_offers();
            let found = &records.advisories[0].affected;
            assert_eq!(found, &[Affected { fix_state: expected, ..row }]);
        };
        let fixed = || Some(IntervalEnd::Fixed("1-1+deb10u9".to_owned()));
        check(fixed(), FixState::Fixed, FixState::NotFixed);
        check(fixed(), FixState::Unknown, FixState::NotFixed);
        check(fixed(), FixState::WontFix, FixState::WontFix);
        check(Some(IntervalEnd::Open), FixState::Deferred, FixState::Deferred);
        check(None, FixState::Unknown, FixState::Unknown);
    }
}
