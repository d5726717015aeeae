//! A stream that is read in chunks by one thread and hashed by another, so that decompression and parsing never wait for
//! SHA-256, and nothing is copied for it. A stream of one chunk is hashed without a thread: many layers are so small.

use crate::source::SourceError;
use aws_lc_rs::digest::{Context, SHA256};
use parking_lot::Mutex;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};
use tidewaiter_core::image::Digest;

/// Bytes of a chunk: it fits into the second-level cache of a core, so that hashing does not read memory again.
const CHUNK: usize = 128 << 10;
/// The alignment of a chunk in its buffer. The allocator's large buffers begin 16 bytes after a page's begin; the page
/// cache's pages at it, and then Zen processors copy at a quarter of their speed (measured).
const ALIGN: usize = 64;
/// Chunks of one stream that are read, hashed or free: one for each side, and two for when one side is ahead.
const CHUNKS: usize = 4;

/// Buffers that one layer leaves to the next.
pub(super) type BufferPool = Arc<Mutex<Vec<Arc<Vec<u8>>>>>;

/// A stream whose bytes are counted, bounded and hashed.
pub(super) struct HashedStream<'scope, 'env, R> {
    inner: R,
    pool: BufferPool,
    /// The chunk that is read now, and how far.
    chunk: Chunk,
    at: usize,
    /// Buffers taken from the pool.
    made: usize,
    /// Bytes read from `inner`.
    read: u64,
    max: u64,
    ended: bool,
    /// The error that ended the stream: further reads get it again, and nothing is read again.
    failure: Option<io::Error>,
    scope: &'scope Scope<'scope, 'env>,
    /// Started with the second chunk.
    hasher: Option<Hasher<'scope>>,
}

/// The filled part of a buffer.
#[derive(Default)]
struct Chunk {
    bytes: Arc<Vec<u8>>,
    filled: usize,
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(aligned(&self.bytes)..).and_then(|bytes| bytes.get(..self.filled)).unwrap_or_default()
    }
}

fn aligned(buffer: &[u8]) -> usize {
    buffer.as_ptr().align_offset(ALIGN).min(ALIGN)
}

/// The thread that hashes.
struct Hasher<'scope> {
    full: SyncSender<Chunk>,
    free: Receiver<Arc<Vec<u8>>>,
    digest: ScopedJoinHandle<'scope, Digest>,
}

impl<'scope> Hasher<'scope> {
    fn start(scope: &'scope Scope<'scope, '_>) -> Self {
        let (full, to_hash) = sync_channel::<Chunk>(CHUNKS);
        let (hashed, free) = sync_channel(CHUNKS);
        let digest = scope.spawn(move || hash_chunks(to_hash, &hashed));
        Hasher { full, free, digest }
    }
}

fn hash_chunks(chunks: Receiver<Chunk>, hashed: &SyncSender<Arc<Vec<u8>>>) -> Digest {
    // AWS-LC's: on Intel a quarter faster than the crate `sha2`, on AMD as fast.
    let mut hash = Context::new(&SHA256);
    for chunk in chunks {
        hash.update(chunk.bytes());
        // At the end of the stream the last buffers are not taken back.
        let _ = hashed.send(chunk.bytes);
    }
    finished(hash)
}

fn finished(hash: Context) -> Digest {
    // Always 32 bytes; zeros are no stream's digest.
    Digest::from_sha256(<[u8; 32]>::try_from(hash.finish().as_ref()).unwrap_or_default())
}

fn give_back(pool: &BufferPool, buffers: impl IntoIterator<Item = Arc<Vec<u8>>>) {
    pool.lock().extend(buffers);
}

fn failed() -> io::Error {
    io::Error::other("the hashing thread failed")
}

impl<'scope, 'env, R: Read> HashedStream<'scope, 'env, R> {
    /// Reads at most `max` bytes from `inner`; one more is an error.
    pub(super) fn new(inner: R, max: u64, pool: &BufferPool, scope: &'scope Scope<'scope, 'env>) -> Self {
        let (pool, chunk) = (Arc::clone(pool), Chunk::default());
        HashedStream {
            inner,
            pool,
            chunk,
            at: 0,
            made: 0,
            read: 0,
            max,
            ended: false,
            failure: None,
            scope,
            hasher: None,
        }
    }

    /// Whether there were more bytes than allowed.
    pub(super) fn is_over(&self) -> bool {
        self.read > self.max
    }

    /// Reads the rest.
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
        let Some(Hasher { full, free, digest }) = self.hasher else {
            let mut hash = Context::new(&SHA256);
            hash.update(self.chunk.bytes());
            let digest = finished(hash);
            // A stream whose first read failed has no buffer.
            give_back(&self.pool, Some(self.chunk.bytes).filter(|buffer| !buffer.is_empty()));
            return Ok((digest, self.read));
        };
        drop(full);
        drop(self.chunk);
        let digest = digest.join().map_err(|_| failed())?;
        give_back(&self.pool, free.try_iter());
        Ok((digest, self.read))
    }

    fn refill(&mut self) -> io::Result<()> {
        if self.failure.is_none() {
            self.failure = self.next_chunk().err();
        }
        match &self.failure {
            None => Ok(()),
            Some(error) => Err(SourceError::from_io(error).map_or_else(
                || io::Error::new(error.kind(), error.to_string()),
                |source| io::Error::other(source.clone()),
            )),
        }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        // A buffer that the hasher gives back must have no other owner, or `make_mut` would copy it.
        let last = std::mem::take(&mut self.chunk);
        if self.made == 1 && self.hasher.is_none() {
            let hasher = Hasher::start(self.scope);
            hasher.full.send(last).map_err(|_| failed())?;
            self.hasher = Some(hasher);
        } else {
            drop(last);
        }
        self.at = 0;
        let mut buffer = self.buffer()?;
        let bytes = Arc::make_mut(&mut buffer);
        let from = aligned(bytes);
        let bytes = bytes.get_mut(from..).unwrap_or_default();
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..CHUNK).filter(|rest| !rest.is_empty()) {
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
        let Some(hasher) = &self.hasher else { return Ok(()) };
        let sent = Chunk { bytes: Arc::clone(&self.chunk.bytes), filled };
        hasher.full.send(sent).map_err(|_| failed())
    }

    /// A buffer that is not read any more.
    fn buffer(&mut self) -> io::Result<Arc<Vec<u8>>> {
        if self.made < CHUNKS {
            self.made += 1;
            let known = self.pool.lock().pop();
            return Ok(known.unwrap_or_else(|| Arc::new(vec![0; CHUNK + ALIGN])));
        }
        self.hasher.as_ref().and_then(|hasher| hasher.free.recv().ok()).ok_or_else(failed)
    }
}

impl<R: Read> BufRead for HashedStream<'_, '_, R> {
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

impl<R: Read> Read for HashedStream<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let given = self.fill_buf()?.read(buffer)?;
        self.consume(given);
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn all_bytes_are_read_and_hashed() {
        let pool = BufferPool::default();
        let check = |size: usize, max: u64, fits: bool| {
            let bytes: Vec<u8> = (0..=250_u8).cycle().take(size).collect();
            std::thread::scope(|scope| {
                let mut hashed = HashedStream::new(bytes.as_slice(), max, &pool, scope);
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
        assert_eq!(pool.lock().len(), CHUNKS);
        failures_stay(&pool);
        assert!(pool.lock().iter().all(|buffer| buffer.len() == CHUNK + ALIGN));
        check(CHUNK + 1, CHUNK as u64 + 1, true);
        check(CHUNK + 1, CHUNK as u64, false);
    }

    /// Reads after a failure get it again, however often.
    fn failures_stay(pool: &BufferPool) {
        struct Broken(usize);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let whole = self.0.checked_sub(1).ok_or_else(|| io::Error::other("broken"))?;
                self.0 = whole;
                Ok(buffer.len())
            }
        }
        for chunks in [0, 1, 2, 5, 9] {
            std::thread::scope(|scope| {
                let mut hashed = HashedStream::new(Broken(chunks), u64::MAX, pool, scope);
                for _ in 0..2 * CHUNKS {
                    assert_eq!(hashed.drain().unwrap_err().to_string(), "broken");
                }
                assert_eq!(hashed.finish().unwrap().1, (chunks * CHUNK) as u64);
            });
        }
    }
}
