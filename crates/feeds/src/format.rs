//! One module per format: bytes → records. `Ok(None)` is a document that is not of the format (a README, a schema).

pub mod alpine_secdb;
pub mod debian_tracker;
pub mod kev;
pub mod nvd;
pub mod osv;

use std::collections::BTreeMap;
use tidewaiter_core::advisory::Advisory;
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
}

impl Records {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.advisories.len() + self.exploited.len() + self.ratings.len()
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
