//! How long a registry is waited for. Who asks for more than that is asked again later; and a body that drips ends: one of which
//! a byte comes every ten seconds never ends and never stalls.

use super::SourceError;
use std::io::{self, Read};
use std::time::{Duration, Instant};
use tidewaiter_http::FailureKind;
use tidewaiter_http::ureq::http::Response;

/// Time of waiting over which the rate is measured: lines that fail for some seconds recover.
const WINDOW: Duration = Duration::from_secs(30);
/// Bytes in that time at least: 4 KiB/s, the rate of a modem, by which no image is pulled.
const MIN_BYTES: u64 = 120 << 10;

/// Whether a request that failed after this long is tried again after a pause. A try that was not answered at all may have
/// taken a minute: its registry had its time.
pub(super) fn may_retry(patience: Duration, tries: u32, waited: Duration, pause: Duration) -> bool {
    pause <= patience && waited < patience * tries
}

/// The pause that a response asks for in seconds (RFC 9110, section 10.2.3; registries send no dates).
pub(super) fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    response.headers().get("retry-after")?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

/// What was received of a body while its reader waited for it. The reader's own time does not count.
#[derive(Debug, Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// Notes one read; false when the body is too slow.
    fn note(&mut self, waited: Duration, bytes: u64) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.waited < WINDOW {
            return true;
        }
        let good = self.bytes >= MIN_BYTES;
        *self = Pace::default();
        good
    }
}

/// A body that must arrive at some rate.
pub(super) struct Paced<R> {
    body: R,
    what: String,
    pace: Pace,
}

impl<R> Paced<R> {
    pub(super) fn new(body: R, what: &str) -> Self {
        Paced { body, what: what.to_owned(), pace: Pace::default() }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let began = Instant::now();
        let read = self.body.read(buffer)?;
        // The end of a body is no slowness of it.
        if read > 0 && !self.pace.note(began.elapsed(), read as u64) {
            let cause = format!("it sends less than {} KiB in {} s", MIN_BYTES >> 10, WINDOW.as_secs());
            let (what, advice) = (self.what.clone(), FailureKind::Network.advice());
            return Err(io::Error::other(SourceError::Unreachable { what, cause, advice }));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_waited_for_within_bounds() {
        let check = |patience: u64, waited: u64, pause: u64, expected: bool| {
            let [patience, waited, pause] = [patience, waited, pause].map(Duration::from_secs);
            assert_eq!(may_retry(patience, 4, waited, pause), expected, "{patience:?} {waited:?} {pause:?}");
        };
        check(2, 0, 0, true);
        check(2, 0, 2, true);
        check(2, 0, 3, false);
        check(2, 7, 2, true);
        // It did not answer for a minute.
        check(2, 60, 1, false);
        check(30, 60, 1, true);
        check(30, 120, 1, false);
    }

    #[test]
    fn a_body_that_drips_is_too_slow() {
        // Reads of (seconds, bytes), and how many of them pass.
        let check = |reads: &[(u64, u64)], expected: usize| {
            let mut pace = Pace::default();
            let passed = reads.iter().take_while(|(s, bytes)| pace.note(Duration::from_secs(*s), *bytes)).count();
            assert_eq!(passed, expected, "{reads:?}");
        };
        check(&[(10, 1), (10, 1), (10, 1), (10, 1)], 2);
        check(&[(29, 1)], 1);
        check(&[(29, 1), (1, 1)], 1);
        check(&[(30, MIN_BYTES)], 1);
        check(&[(30, MIN_BYTES - 1)], 0);
        // A break, then much: the whole time counts.
        check(&[(25, 0), (5, MIN_BYTES)], 2);
        // What was fast before does not count for ever.
        check(&[(0, 1 << 30), (30, 1), (10, 1), (20, 1)], 3);
        check(&[(1, 100 << 10), (1, 100 << 10), (1, 100 << 10)], 3);
    }
}
