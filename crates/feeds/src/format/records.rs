//! What feeds contain, in one model whatever their format.

use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Epss, KnownExploited};
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
    /// Until when releases get security fixes.
    pub support: Vec<SupportPeriod>,
    /// Records that were read and dropped, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// The newest time or day that the documents themselves name.
    pub as_of: AsOf,
}

impl Records {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.advisories.len() + self.exploited.len() + self.ratings.len() + self.epss.len() + self.support.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts a record that is dropped.
    pub(crate) fn skip(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }
}
