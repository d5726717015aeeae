//! The database behind a report, as far as a report says which one it was and what in it is old.

use super::Inventory;
use crate::ecosystem::Ecosystem;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The database that findings are from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseInfo {
    /// Its id, a digest of its content.
    pub id: String,
    /// When it was built; in JSON the RFC 3339 time, empty where a database does not say.
    #[serde(with = "build_time")]
    pub built: Option<Timestamp>,
    /// Feeds whose records are older than it, because they could not be read since: of those that cover an ecosystem (in a
    /// report one of its image), and those with facts about every CVE or release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<StaleFeed>,
    /// What its feeds tell about CVEs and releases of every ecosystem, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<FeedContent>,
}

/// A feed that failed when the database was built: its records of an earlier time stand in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StaleFeed {
    /// Its name in `feeds.toml`.
    pub name: String,
    /// When its records were read, or found unchanged.
    pub read: Timestamp,
    /// What it covers; nothing where it is about CVEs or releases of every ecosystem.
    pub ecosystems: Vec<Ecosystem>,
    /// What it tells.
    #[serde(default, skip_serializing_if = "FeedContent::is_advisories")]
    pub content: FeedContent,
}

/// What the records of a feed are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FeedContent {
    /// Which versions of packages are vulnerable.
    #[default]
    Advisories,
    /// How bad CVEs are, in packages of every ecosystem (NVD).
    Ratings,
    /// Which CVEs are known to be exploited (CISA's KEV).
    KnownExploited,
    /// How probable the exploitation of CVEs is (FIRST's EPSS).
    ExploitProbability,
    /// Until when releases get security fixes.
    EndsOfSupport,
}

impl FeedContent {
    /// Whether it says which packages are vulnerable.
    pub fn is_advisories(&self) -> bool {
        *self == FeedContent::Advisories
    }
}

impl StaleFeed {
    /// By the names that rows are stored under: an image of CentOS is covered by a feed of Red Hat.
    fn covers(&self, ecosystem: &Ecosystem) -> bool {
        let canonical = ecosystem.clone().canonical();
        self.ecosystems.iter().any(|own| own.clone().canonical() == canonical)
    }
}

/// How far clocks of two machines may differ before a time is called one of the future: more than any time zone that was
/// taken for UTC, and less than any age limit.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

impl DatabaseInfo {
    /// Whether it says that it was built after `now`: then its age is not known, because one of two clocks is wrong.
    pub fn is_from_the_future(&self, now: Timestamp) -> bool {
        self.built.is_some_and(|built| built.duration_since(now) > CLOCK_TOLERANCE)
    }

    /// Whether both name the same build of the same facts. What an artifact's manifest says is no more than that.
    pub fn is_build_of(&self, other: &DatabaseInfo) -> bool {
        (&self.id, self.built) == (&other.id, other.built)
    }

    /// What of it concerns an inventory: stale feeds that cover one of its ecosystems, with those alone, and those of facts.
    #[must_use]
    pub fn for_inventory(mut self, inventory: &Inventory) -> Self {
        if !self.stale.is_empty() {
            let all = inventory.ecosystems();
            for feed in &mut self.stale {
                feed.ecosystems = all.iter().filter(|ecosystem| feed.covers(ecosystem)).cloned().collect();
            }
            self.stale.retain(|feed| !feed.content.is_advisories() || !feed.ecosystems.is_empty());
        }
        self
    }
}

/// The JSON form of [`DatabaseInfo::built`], and of the same time inside a database.
pub mod build_time {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    /// Writes an RFC 3339 time; an empty text for none.
    ///
    /// # Errors
    /// When the serializer refuses a text.
    #[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.map(|time| time.to_string()).unwrap_or_default())
    }

    /// Reads what [`serialize`] wrote. A text that is not a time counts as none: policy then treats the database as old.
    ///
    /// # Errors
    /// When the value is not a text.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(String::deserialize(deserializer)?.parse().ok())
    }
}
