//! Provenance and coverage: what a database says about itself.

mod as_of;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use tidewaiter_core::ecosystem::Ecosystem;
use tidewaiter_core::report::{FeedContent, StaleFeed, SupportPeriod, build_time};

pub use as_of::AsOf;

/// Written as JSON into the file's first section.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// When it was built.
    #[serde(with = "build_time")]
    pub built: Option<Timestamp>,
    /// The feeds, in the order of `feeds.toml`.
    pub feeds: Vec<FeedInfo>,
    /// Ecosystems whose rows were left out because tidewaiter has no order for their versions yet.
    #[serde(default)]
    pub left_out: Vec<DroppedRows>,
    /// Rows that were left out because no image can ask for them: products that no os-release names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<DroppedRows>,
    /// Ecosystems that a feed is declared complete for, and that the database does not cover.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_covered: Vec<NotCovered>,
    /// Until when releases get security fixes.
    #[serde(default)]
    pub support: Vec<SupportPeriod>,
    /// Advisories in the file.
    #[serde(default)]
    pub advisories: u64,
    /// Rows (advisory × package) in the file.
    #[serde(default)]
    pub rows: u64,
}

/// One feed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedInfo {
    /// Name in `feeds.toml`.
    pub name: String,
    /// Format in `feeds.toml`.
    pub format: String,
    /// Path or URL it was read from.
    pub source: String,
    /// Time or day of the newest record, or of the file.
    #[serde(default)]
    pub as_of: AsOf,
    /// When its records were read, or last found unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Timestamp>,
    /// Why it could not be read this time: its records are those of the last time that it could; there are none when it never
    /// could ([`FeedInfo::is_unread`]).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stale: String,
    /// Licence of the data.
    #[serde(default)]
    pub licence: String,
    /// Ecosystems and releases it is declared complete for.
    #[serde(default)]
    pub ecosystems: Vec<Ecosystem>,
    /// Whether its fixes are for subscribers of extended support.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paid: bool,
    /// Whether it rates the vulnerabilities of its ecosystems.
    #[serde(default)]
    pub rates: bool,
    /// Whether its ratings are by CVE and hold in every ecosystem (NVD). It does not promise one for each: NVD enriches few of
    /// the CVEs published since April 2026. A finding that no source rates has severity `UNKNOWN`, and policy says what that does.
    #[serde(default)]
    pub rates_all: bool,
    /// What its records are about.
    #[serde(default, skip_serializing_if = "FeedContent::is_advisories")]
    pub content: FeedContent,
    /// Advisories and facts that were read; those of one advisory count once.
    #[serde(default)]
    pub records: u64,
    /// Documents that could not be read.
    #[serde(default)]
    pub unreadable: u64,
    /// Records that were read and left out, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
}

impl FeedInfo {
    /// Whether it has no records because it never could be read.
    pub fn is_unread(&self) -> bool {
        self.read.is_none() && !self.stale.is_empty()
    }

    fn to_stale(&self) -> Option<StaleFeed> {
        let (name, ecosystems) = (self.name.clone(), self.ecosystems.clone());
        Some(StaleFeed { name, read: self.read?, ecosystems, content: self.content })
    }
}

/// Rows that are not in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedRows {
    /// The ecosystem without its release.
    pub ecosystem: Ecosystem,
    /// How many rows.
    pub rows: u64,
}

/// An ecosystem that a feed is declared complete for, and that is not covered: it has no rows, or far fewer than before, or
/// one of the feeds that are declared complete for it was never read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotCovered {
    /// The ecosystem, release included.
    pub ecosystem: Ecosystem,
    /// The feed that is declared complete for it.
    pub feed: String,
    /// Its rows, of all feeds.
    pub rows: u64,
    /// Its rows when it was covered last; 0 when it never was.
    #[serde(default)]
    pub before: u64,
}

impl FeedInfo {
    /// By the names that rows are stored under: an image of CentOS is covered by a feed of Red Hat.
    fn covers(&self, ecosystem: &Ecosystem) -> bool {
        let canonical = ecosystem.clone().canonical();
        self.ecosystems.iter().any(|own| own == ecosystem || own.clone().canonical() == canonical)
    }
}

impl fmt::Display for NotCovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotCovered { ecosystem, feed, rows, before } = self;
        match (rows, before) {
            (0, 0) => write!(f, "{ecosystem}: feed {feed} is declared complete for it, and no feed has rows for it"),
            (rows, before) if rows >= before => {
                write!(
                    f,
                    "{ecosystem}: feed {feed} is declared complete for it, and was never read; it has {rows} rows of others"
                )
            }
            (rows, before) => {
                write!(f, "{ecosystem}: feed {feed} is declared complete for it; it has {rows} rows, and had {before}")
            }
        }
    }
}

impl Meta {
    /// The part of it that changes reports, and therefore the database's id.
    ///
    /// Keyed by text, so that the id does not depend on how ecosystems are ordered here.
    pub(crate) fn coverage(&self) -> impl Serialize + '_ {
        let named = self.feeds.iter().flat_map(|feed| &feed.ecosystems);
        let rated: BTreeMap<String, bool> = named.map(|eco| (eco.to_string(), self.rates(eco))).collect();
        let support: BTreeMap<String, &SupportPeriod> =
            self.support.iter().rev().map(|s| (s.ecosystem.to_string(), s)).collect();
        let paid: Vec<&str> = self.feeds.iter().filter(|feed| feed.paid).map(|feed| feed.name.as_str()).collect();
        (self.feeds.iter().any(|feed| feed.rates_all), rated, support, paid)
    }

    /// What feeds tell about all CVEs or releases; one that was never read tells nothing.
    pub(crate) fn facts(&self) -> Vec<FeedContent> {
        let read = self.feeds.iter().filter(|feed| !feed.is_unread() && !feed.content.is_advisories());
        read.map(|feed| feed.content).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The feeds that cover an ecosystem, or have facts about all, and could not be read for this build. Not part of the id:
    /// the facts are the same.
    pub(crate) fn stale(&self) -> Vec<StaleFeed> {
        let tells = |feed: &&FeedInfo| !feed.ecosystems.is_empty() || !feed.content.is_advisories();
        let stale = self.feeds.iter().filter(|feed| !feed.stale.is_empty()).filter(tells);
        stale.filter_map(FeedInfo::to_stale).collect()
    }

    /// Whether a feed is declared complete for `ecosystem`, which is compared with its release.
    pub fn covers(&self, ecosystem: &Ecosystem) -> bool {
        self.feeds.iter().any(|feed| feed.covers(ecosystem))
    }

    /// Whether the fixes of a feed are for subscribers of extended support.
    pub(crate) fn is_paid(&self, feed: &str) -> bool {
        self.feeds.iter().any(|info| info.paid && info.name == feed)
    }

    /// Until when a release gets fixes; of one product under several names, under each. CentOS has ends of its own.
    pub fn support_of(&self, ecosystem: &Ecosystem) -> Option<&SupportPeriod> {
        let canonical = ecosystem.clone().canonical();
        let is_it = |own: &Ecosystem| own.base() == ecosystem.base() && own.clone().canonical() == canonical;
        self.support.iter().find(|support| is_it(&support.ecosystem))
    }

    /// Whether vulnerabilities of `ecosystem` may carry ratings: by its own feed, or by a CVE-wide one.
    pub fn rates(&self, ecosystem: &Ecosystem) -> bool {
        self.feeds.iter().any(|feed| feed.rates_all || (feed.rates && feed.covers(ecosystem)))
    }
}
