//! As of when a feed's records are.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A time or day, as text in its publisher's form and precision; empty when none is known. Stored and shown as that text;
/// ordered by the time it means, so that one with an offset from UTC, or none, has its place among others. What is neither a
/// time nor a day is older than all that are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct AsOf {
    /// The beginning of the day where the text is one; UTC where it names no offset. First: the derived order begins with it.
    at: Option<Timestamp>,
    text: String,
}

impl AsOf {
    /// Replaces it by a text that means a later time.
    pub fn advance(&mut self, text: &str) {
        // Most records of a feed repeat what others say.
        if text != self.text {
            let other = AsOf::from(text.to_owned());
            if other > *self {
                *self = other;
            }
        }
    }

    /// The text as published.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<String> for AsOf {
    fn from(text: String) -> Self {
        let local = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
        let at = text.parse().ok().or_else(|| local().map(|zoned| zoned.timestamp()));
        AsOf { at, text }
    }
}

impl From<AsOf> for String {
    fn from(as_of: AsOf) -> Self {
        as_of.text
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_time_counts_whatever_its_form() {
        let check = |older: &str, newer: &str| {
            for (first, second) in [(older, newer), (newer, older)] {
                let mut as_of = AsOf::from(first.to_owned());
                as_of.advance(second);
                assert_eq!(as_of.as_str(), newer, "{first} {second}");
            }
        };
        check("", "2026-11-02");
        check("unknown", "2026-11-02");
        check("2026-11-02", "2026-11-03");
        check("2026-11-02", "2026-11-02T00:00:00Z");
        check("2026-11-02", "2026-11-02T08:00:00");
        check("2026-11-02T08:00:00", "2026-11-02T09:00:00Z");
        check("2026-11-02T08:00:00Z", "2026-11-02T08:00:00.5Z");
        check("2026-11-02T01:00:00Z", "2026-11-01T23:00:00-05:00");
        check("2026-11-02T01:00:00+02:00", "2026-11-02T00:30:00Z");
        check("2025-02-20T00:00:00+0000", "2025-02-21T00:00:00+0000");
    }

    #[test]
    fn it_is_stored_as_it_was_published() {
        for text in ["", "2026-11-02", "2026-11-02T08:00:00.500+02:00", "2 Nov 2026"] {
            let json = serde_json::to_string(text).unwrap();
            let as_of: AsOf = serde_json::from_str(&json).unwrap();
            assert_eq!((serde_json::to_string(&as_of).unwrap(), as_of.to_string()), (json, text.to_owned()));
        }
    }
}
