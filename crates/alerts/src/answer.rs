//! What an answer of a receiver, or the lack of one, means for the next attempt.

use crate::text::short;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use std::time::Duration;

/// Characters of a receiver's own words that are kept.
const MAX_WORDS: usize = 200;
/// Longest pause that a receiver can ask for: what it says is not always meant, and news get old.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Why something was not delivered; without addresses and secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// In words, with what to do where that is known.
    pub cause: String,
    /// What follows.
    pub class: FailureClass,
}

/// Whether another attempt is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The receiver does not accept this message, and never will.
    Refused,
    /// It may accept it later.
    Passing,
    /// It says how long nothing is to be sent.
    Later(Duration),
}

impl DeliveryFailure {
    /// One that may pass.
    pub fn passing(cause: impl Into<String>) -> Self {
        DeliveryFailure { cause: cause.into(), class: FailureClass::Passing }
    }

    /// One that another attempt does not change.
    pub(crate) fn refused(cause: impl Into<String>) -> Self {
        DeliveryFailure { cause: cause.into(), class: FailureClass::Refused }
    }
}

/// What an HTTP status means. A message that is malformed for its receiver (400, 413, 422) stays so, unless it is the key: PagerDuty
/// answers a wrong one with 400, Opsgenie with 422 (the queue tells by what else is taken). Others (401, 403, 404, 410) are corrected
/// by people while the alert waits.
pub(crate) fn of_status(
    status: u16,
    retry_after: Option<&str>,
    words: &str,
    now: Timestamp,
) -> Result<(), DeliveryFailure> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    let class = match status {
        400 | 413 | 422 => FailureClass::Refused,
        _ => retry_after.and_then(|said| pause(said, now)).map_or(FailureClass::Passing, FailureClass::Later),
    };
    let advice = match status {
        300..=399 => "; it redirects: write the address that it leads to",
        401 | 403 => "; check the token or key, and what it may do",
        404 | 410 => "; check the address: the webhook may be deleted",
        _ => "",
    };
    let words = short(words.trim(), MAX_WORDS);
    let words = if words.is_empty() { words } else { format!(" ({words})") };
    Err(DeliveryFailure { cause: format!("it responds with status {status}{words}{advice}"), class })
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds or a date.
fn pause(said: &str, now: Timestamp) -> Option<Duration> {
    let seconds = match said.trim().parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = rfc2822::DateTimeParser::new().parse_timestamp(said.trim()).ok()?;
            u64::try_from(until.as_second() - now.as_second()).unwrap_or_default()
        }
    };
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_what_follows() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let check = |status: u16, retry_after: Option<&str>, expected: Option<FailureClass>| {
            let found = of_status(status, retry_after, "words", now).err();
            assert_eq!(found.map(|failure| failure.class), expected, "{status} {retry_after:?}");
        };
        let later = |seconds| Some(FailureClass::Later(Duration::from_secs(seconds)));
        for status in [200, 202, 204] {
            check(status, None, None);
        }
        for status in [400, 413, 422] {
            check(status, Some("5"), Some(FailureClass::Refused));
        }
        for status in [302, 401, 403, 404, 408, 410, 429, 500, 503] {
            check(status, None, Some(FailureClass::Passing));
        }
        check(429, Some("30"), later(30));
        check(503, Some(" 30 "), later(30));
        check(429, Some("Mon, 30 Nov 2026 12:01:00 GMT"), later(60));
        check(429, Some("Mon, 30 Nov 2026 11:00:00 GMT"), later(0));
        check(429, Some("999999999"), later(3600));
        check(429, Some("soon"), Some(FailureClass::Passing));
    }

    #[test]
    fn the_receivers_words_are_bounded() {
        let failure =
            of_status(400, None, &format!("no\u{1b}[2J{}", "x".repeat(999)), Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(failure.cause.len() < 300 && !failure.cause.contains('\u{1b}'), "{}", failure.cause);
        assert!(of_status(404, None, "", Timestamp::UNIX_EPOCH).unwrap_err().cause.contains("check the address"));
    }
}
