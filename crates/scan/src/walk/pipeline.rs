//! Bytes on their way through: read in chunks by one thread, hashed by another beside it. Decompression and parsing never
//! wait for SHA-256, and nothing is copied for it.

use sha2::{Digest as _, Sha256};
use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use tidewaiter_core::image::Digest;

/// Bytes of a chunk.
const CHUNK: usize = 128 << 10;
/// Chunks of one stream that are read, hashed or free.
const CHUNKS: usize = 4;

/// Buffers that one layer leaves to the next.
pub(crate) type Pool = Arc<Mutex<Vec<Arc<Vec<u8>>>>>;

/// A stream whose bytes are counted, bounded and hashed.
pub(super) struct Hashed<'scope, R> {
    inner: R,
    pool: Pool,
    /// What is read now.
    chunk: Chunk,
    at: usize,
    made: usize,
    /// Bytes so far.
    read: u64,
    max: u64,
    ended: bool,
    full: SyncSender<Chunk>,
    free: Receiver<Arc<Vec<u8>>>,
    digest: ScopedJoinHandle<'scope, Digest>,
}

/// The part of a buffer that holds bytes.
#[derive(Default)]
struct Chunk {
    bytes: Arc<Vec<u8>>,
    filled: usize,
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

impl<'scope, R: Read> Hashed<'scope, R> {
    /// Reads at most `max` bytes from `inner`; one more is an error.
    pub(super) fn new<'env>(inner: R, max: u64, pool: &Pool, scope: &'scope Scope<'scope, 'env>) -> Self {
        let (full, to_hash) = sync_channel::<Chunk>(CHUNKS);
        let (hashed, free) = sync_channel(CHUNKS);
        let digest = scope.spawn(move || {
            let mut hash = Sha256::new();
            for chunk in to_hash {
                hash.update(chunk.bytes());
                // Nobody takes the last ones back.
                let _ = hashed.send(chunk.bytes);
            }
            Digest::from_sha256(hash.finalize().into())
        });
        let (pool, chunk) = (Arc::clone(pool), Chunk::default());
        Hashed { inner, pool, chunk, at: 0, made: 0, read: 0, max, ended: false, full, free, digest }
    }

    /// Whether there were more bytes than allowed.
    pub(super) fn is_over(&self) -> bool {
        self.read > self.max
    }

    /// Reads what is left.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        loop {
            let left = self.fill_buf()?.len();
            if left == 0 {
                return Ok(());
            }
            self.consume(left);
        }
    }

    /// The digest and the number of all bytes read.
    pub(super) fn finish(self) -> io::Result<(Digest, u64)> {
        drop(self.full);
        drop(self.chunk);
        let digest = self.digest.join().map_err(|_| io::Error::other("the hashing thread failed"))?;
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).extend(self.free.try_iter());
        Ok((digest, self.read))
    }

    fn refill(&mut self) -> io::Result<()> {
        self.chunk = Chunk::default();
        self.at = 0;
        let mut buffer = self.buffer()?;
        let bytes = Arc::make_mut(&mut buffer);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.read += filled as u64;
        if self.is_over() {
            return Err(io::Error::other("too many bytes"));
        }
        self.chunk = Chunk { bytes: buffer, filled };
        let sent = Chunk { bytes: Arc::clone(&self.chunk.bytes), filled };
        self.full.send(sent).map_err(|_| io::Error::other("the hashing thread failed"))
    }

    /// A buffer that nobody reads any more.
    fn buffer(&mut self) -> io::Result<Arc<Vec<u8>>> {
        if self.made < CHUNKS {
            self.made += 1;
            let known = self.pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
            return Ok(known.unwrap_or_else(|| Arc::new(vec![0; CHUNK])));
        }
        self.free.recv().map_err(|_| io::Error::other("the hashing thread failed"))
    }
}

impl<R: Read> BufRead for Hashed<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.chunk.filled && !self.ended {
            self.refill()?;
        }
        Ok(self.chunk.bytes().get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at = self.at.saturating_add(amount).min(self.chunk.filled);
    }
}

impl<R: Read> Read for Hashed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let given = self.fill_buf()?.read(buffer)?;
        self.consume(given);
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_pass_and_are_hashed() {
        let pool = Pool::default();
        let check = |size: usize, max: u64, fits: bool| {
            let bytes: Vec<u8> = (0..=250_u8).cycle().take(size).collect();
            std::thread::scope(|scope| {
                let mut hashed = Hashed::new(bytes.as_slice(), max, &pool, scope);
                let mut out = Vec::new();
                let read = hashed.read_to_end(&mut out);
                assert_eq!((read.is_ok(), hashed.is_over()), (fits, !fits), "{size}");
                if fits {
                    assert_eq!(out, bytes);
                    let expected = Digest::from_sha256(Sha256::digest(&bytes).into());
                    assert_eq!(hashed.finish().unwrap(), (expected, size as u64));
                }
            });
        };
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK + 7] {
            check(size, u64::MAX, true);
        }
        assert_eq!(pool.lock().unwrap().len(), CHUNKS);
        check(CHUNK + 1, CHUNK as u64 + 1, true);
        check(CHUNK + 1, CHUNK as u64, false);
    }
}
