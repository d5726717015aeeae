//! One module per format: bytes → records. `Ok(None)` is a document that is not of the format (a README, a schema).

pub mod alpine_secdb;
pub mod csaf_vex;
pub mod debian_git;
pub mod debian_tracker;
pub mod epss;
pub mod kev;
pub mod nvd;
pub mod osv;
pub mod oval;
pub mod packagist;
pub mod photon;
mod ranges;
pub mod rubysec;
pub mod support;
pub mod updateinfo;
pub(crate) mod xml;

use std::collections::BTreeMap;
use tidewaiter_core::advisory::{Advisory, Epss};
use tidewaiter_core::report::Support;
use tidewaiter_core::severity::Rating;

/// What the documents of a feed say.
#[derive(Debug, Default)]
pub struct Records {
    /// Advisories with their affected packages.
    pub advisories: Vec<Advisory>,
    /// CVE → date it was listed as exploited.
    pub exploited: BTreeMap<String, String>,
    /// CVE → ratings.
    pub ratings: BTreeMap<String, Vec<Rating>>,
    /// CVE → probability of exploitation.
    pub epss: BTreeMap<String, Epss>,
    /// Until when releases get security fixes.
    pub support: Vec<Support>,
    /// What was read and left out, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// What Debian's lists say so far.
    pub(crate) debian: debian_git::Lists,
    /// The newest date that the documents themselves name, RFC 3339.
    pub as_of: String,
}

impl Records {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.advisories.len()
            + self.exploited.len()
            + self.ratings.len()
            + self.epss.len()
            + self.support.len()
            + self.debian.len()
    }

    /// Counts a record that is left out.
    pub(crate) fn skip(&mut self, reason: &str) {
        *self.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
