//! Ends bodies that drip: a registry that sends a byte every ten seconds never ends and never stalls.

use super::SourceError;
use std::io::{self, Read};
use std::time::{Duration, Instant};
use tidewaiter_http::FailureKind;

/// Time of waiting over which the rate is measured: lines that fail for some seconds recover.
const WINDOW: Duration = Duration::from_secs(30);
/// Bytes in that time at least: 4 KiB/s, the rate of a modem, by which no image is pulled.
const MIN_BYTES: u64 = 120 << 10;

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
