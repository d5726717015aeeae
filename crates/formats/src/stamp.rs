//! What documents say of their making, besides their content.

use jiff::Timestamp;

/// The name of the tool, as documents give it.
pub(crate) const TOOL: &str = "tidewaiter";

/// Who wrote a document, and when. It comes from the caller, so that the same report gives the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The version of the program.
    pub version: &'static str,
    time: Timestamp,
}

impl Stamp {
    /// Of this version, at this time. Fractions of a second are dropped: SPDX 2.3 (6.9) and GitLab's schema allow none.
    #[must_use]
    pub fn new(version: &'static str, time: Timestamp) -> Self {
        Stamp { version, time: Timestamp::from_second(time.as_second()).unwrap_or(time) }
    }

    /// As RFC 3339 writes it, in UTC: `2026-01-31T12:00:00Z`.
    pub(crate) fn rfc3339(&self) -> String {
        self.time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_whole_seconds() {
        let check = |time: &str, expected: &str| {
            assert_eq!(Stamp::new("1", time.parse().unwrap()).rfc3339(), expected, "{time}");
        };
        check("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z");
        check("2026-01-31T12:00:00.999Z", "2026-01-31T12:00:00Z");
        check("1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z");
    }
}
