//! Severities and ratings: how bad a vulnerability is, by which source.

use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

/// A severity level, ordered from least to most severe; `Unknown` means "not rated" and is never "low".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// No rating exists.
    #[default]
    Unknown,
    /// Not exploitable in practice (Debian `unimportant`, Ubuntu `negligible`).
    Negligible,
    /// CVSS 0.1 to 3.9.
    Low,
    /// CVSS 4.0 to 6.9.
    Medium,
    /// CVSS 7.0 to 8.9.
    High,
    /// CVSS 9.0 to 10.0.
    Critical,
}

impl Severity {
    /// All severities, worst first, as reports list them.
    pub const WORST_FIRST: [Severity; 6] =
        [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Negligible, Severity::Unknown];

    /// The level of a CVSS base score (0.0 to 10.0, CVSS 3.1 section 5); a score of 0.0 is negligible.
    pub fn from_score(score: f64) -> Self {
        match score {
            s if s >= 9.0 => Severity::Critical,
            s if s >= 7.0 => Severity::High,
            s if s >= 4.0 => Severity::Medium,
            s if s > 0.0 => Severity::Low,
            _ => Severity::Negligible,
        }
    }

    /// The lowest CVSS base score of the level; the reverse of [`Severity::from_score`].
    pub fn lowest_score(self) -> Option<f64> {
        match self {
            Severity::Unknown => None,
            Severity::Negligible => Some(0.0),
            Severity::Low => Some(0.1),
            Severity::Medium => Some(4.0),
            Severity::High => Some(7.0),
            Severity::Critical => Some(9.0),
        }
    }

    /// A small stable number for the database file.
    pub const fn code(self) -> u8 {
        match self {
            Severity::Unknown => 0,
            Severity::Negligible => 1,
            Severity::Low => 2,
            Severity::Medium => 3,
            Severity::High => 4,
            Severity::Critical => 5,
        }
    }

    /// The reverse of [`Severity::code`]; an unknown code is `Unknown`.
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Severity::Negligible,
            2 => Severity::Low,
            3 => Severity::Medium,
            4 => Severity::High,
            5 => Severity::Critical,
            _ => Severity::Unknown,
        }
    }

    /// The lower-case word, as counts use it ("3 critical").
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Unknown => "unknown",
            Severity::Negligible => "negligible",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    /// Reads the words vendors use, in any case: `moderate` is medium, `important` is high.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Ok(match s.to_ascii_lowercase().as_str() {
            "critical" => Severity::Critical,
            "high" | "important" => Severity::High,
            "medium" | "moderate" => Severity::Medium,
            "low" => Severity::Low,
            "negligible" | "unimportant" | "none" => Severity::Negligible,
            "unknown" | "" => Severity::Unknown,
            _ => return Err(UnknownSeverity(s.to_owned())),
        })
    }
}

/// A severity word that no source uses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown severity {0:?}: use critical, high, medium, low, negligible or unknown")]
pub struct UnknownSeverity(pub String);

/// One source's rating of one vulnerability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rating {
    /// The source: `debian`, `ghsa`, `nvd`, a feed's name.
    pub source: String,
    /// The level.
    pub severity: Severity,
    /// The CVSS base score, where the rating has a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The CVSS vector as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// What the source is to the CVE's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RatingRole>,
}

/// What a source is to a CVE's record (CVE Program, "CVE Record Format"). Lower ones are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RatingRole {
    /// The numbering authority that published it: usually the vendor.
    Cna,
    /// An authorized data publisher, which adds to it: CISA.
    Adp,
    /// The National Vulnerability Database.
    Nvd,
}

impl Rating {
    /// A rating without a score.
    pub fn of_level(source: &str, severity: Severity) -> Self {
        Rating { source: source.to_owned(), severity, score: None, vector: None, role: None }
    }

    /// A rating from a CVSS vector of any version (2.0 without prefix, `CVSS:3.0/…`, `CVSS:3.1/…`, `CVSS:4.0/…`).
    /// `None` when the vector cannot be read.
    pub fn from_vector(source: &str, vector: &str) -> Option<Self> {
        let parsed: cvss::Cvss = if vector.starts_with("CVSS:") {
            vector.parse().ok()?
        } else {
            cvss::Cvss::CvssV20(vector.trim_matches(['(', ')']).parse().ok()?)
        };
        let score = (parsed.score() * 10.0).round() / 10.0;
        Some(Rating {
            source: source.to_owned(),
            severity: Severity::from_score(score),
            score: Some(score),
            vector: Some(vector.to_owned()),
            role: None,
        })
    }

    /// How much the scoring system is preferred: 4.0 before 3.1, 3.0 and 2.0; a bare level ranks between 3.x and 2.0.
    pub fn method_rank(&self) -> u8 {
        match self.vector.as_deref() {
            Some(v) if v.starts_with("CVSS:4") => 4,
            Some(v) if v.starts_with("CVSS:3.1") => 3,
            Some(v) if v.starts_with("CVSS:3") => 2,
            Some(_) => 0,
            None => 1,
        }
    }
}

/// The rating that policy uses, in this order: the row of this package, the advisory's own source, the other sources by
/// their role (CNA, ADP, NVD, others), of one role the newest CVSS. Returns the severity and where it comes from.
pub fn select(row: Option<(Severity, &str)>, own_source: &str, ratings: &[Rating]) -> (Severity, String) {
    if let Some((severity, source)) = row.filter(|(s, _)| *s != Severity::Unknown) {
        return (severity, source.to_owned());
    }
    let rated = || ratings.iter().filter(|r| r.severity != Severity::Unknown);
    let best = rated()
        .filter(|r| r.source == own_source)
        .max_by_key(|r| (r.vector.is_none(), r.method_rank()))
        .or_else(|| rated().min_by_key(|r| (r.role.is_none(), r.role, Reverse(r.method_rank()), &r.source)));
    best.map_or((Severity::Unknown, String::new()), |r| (r.severity, r.source.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_become_scores_and_buckets() {
        let check = |vector: &str, expected: (f64, Severity)| {
            let r = Rating::from_vector("nvd", vector).unwrap();
            assert_eq!((r.score.unwrap(), r.severity), expected, "{vector}");
        };
        check("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", (9.8, Severity::Critical));
        check("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H", (6.5, Severity::Medium));
        check("AV:N/AC:L/Au:N/C:P/I:P/A:P", (7.5, Severity::High));
        check("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", (9.3, Severity::Critical));
        assert!(Rating::from_vector("nvd", "nonsense").is_none());
    }

    #[test]
    fn the_closest_opinion_wins() {
        let nvd = Rating::from_vector("nvd", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H").unwrap();
        let own = Rating::of_level("ghsa", Severity::Medium);
        let all = [nvd, own];
        assert_eq!(select(Some((Severity::Low, "debian")), "ghsa", &all), (Severity::Low, "debian".into()));
        assert_eq!(select(Some((Severity::Unknown, "debian")), "ghsa", &all), (Severity::Medium, "ghsa".into()));
        assert_eq!(select(None, "other", &all), (Severity::Critical, "nvd".into()));
        assert_eq!(select(None, "other", &[]), (Severity::Unknown, String::new()));
    }

    #[test]
    fn other_sources_are_ranked_by_their_role() {
        let rating = |source: &str, role, severity| Rating { role, ..Rating::of_level(source, severity) };
        let check = |ratings: &[(&str, Option<RatingRole>)], expected: &str| {
            let all: Vec<Rating> = ratings.iter().map(|(source, role)| rating(source, *role, Severity::High)).collect();
            assert_eq!(select(None, "own", &all).1, expected);
        };
        let (cna, adp, nvd) = (Some(RatingRole::Cna), Some(RatingRole::Adp), Some(RatingRole::Nvd));
        check(&[("nvd", nvd), ("security@example.org", cna), ("134c704f", adp)], "security@example.org");
        check(&[("nvd", nvd), ("134c704f", adp)], "134c704f");
        check(&[("a-third@example.org", None), ("nvd", nvd)], "nvd");
        check(&[("b", None), ("a", None)], "a");
    }
}
