//! The floor: the least that any scanner must do which believes nothing: inflate every layer, and hash both its
//! compressed and its uncompressed bytes. Two ways, of which each image is compared with the better one:
//!
//! - whole: libdeflate inflates a layer in one buffer, layers and hashes spread over the cores;
//! - piped: zlib-rs inflates into a pipe of small buffers, so that even one layer is inflated and hashed concurrently.

use super::images::{blob, descriptors};
use anyhow::{Context, Result};
use clap::ValueEnum;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread;
use tidewaiter_io::in_order;
use tidewaiter_testkit::layer::LayerCompression;

/// Size of a piece in the pipe: it stays in the second-level cache between the two threads.
const PIECE: usize = 256 << 10;
/// Pieces in the pipe, so that neither thread waits for the other at each piece.
const PIECES: usize = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct FloorArgs {
    /// OCI layout
    pub(crate) layout: PathBuf,
    /// How to go about it
    #[arg(long, value_enum)]
    pub(crate) way: Way,
    /// The uppermost layer alone
    #[arg(long)]
    pub(crate) top: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Way {
    /// One buffer for a layer
    Whole,
    /// Small pieces, hashed while the next is inflated
    Piped,
}

#[derive(Debug)]
struct FloorLayer {
    path: PathBuf,
    stored_as: LayerCompression,
    bytes: OnceLock<Result<Vec<u8>, String>>,
}

/// Does the work and drops the results.
pub(crate) fn run(args: &FloorArgs) -> Result<bool> {
    let mut layers = layers(&args.layout)?;
    if args.top {
        layers.drain(..layers.len().saturating_sub(1));
    }
    // The largest first, so that none is left for the end.
    layers.sort_by_cached_key(|layer| std::cmp::Reverse(fs::metadata(&layer.path).map_or(0, |m| m.len())));
    let cores = thread::available_parallelism()?.get();
    match args.way {
        Way::Whole => {
            // A plain layer's two digests are one.
            let packed = layers.iter().filter(|layer| layer.stored_as != LayerCompression::Plain);
            let jobs: Vec<(&FloorLayer, FloorJob)> =
                layers.iter().map(|l| (l, FloorJob::Content)).chain(packed.map(|l| (l, FloorJob::Stored))).collect();
            in_order(cores, &jobs, |(layer, job)| job.run(layer)).map(drop)?;
        }
        // Each layer has two threads: one inflates, one hashes.
        Way::Piped => in_order(cores.div_ceil(2), &layers, piped).map(drop)?,
    }
    Ok(true)
}

fn layers(layout: &Path) -> Result<Vec<FloorLayer>> {
    descriptors(layout)?.iter().map(|descriptor| FloorLayer::of(layout, descriptor)).collect()
}

#[derive(Debug, Clone, Copy)]
enum FloorJob {
    /// Hash what is stored.
    Stored,
    /// Inflate, and hash that.
    Content,
}

impl FloorJob {
    fn run(self, layer: &FloorLayer) -> Result<()> {
        let stored = layer.stored()?;
        match (self, layer.stored_as) {
            (FloorJob::Stored, _) | (FloorJob::Content, LayerCompression::Plain) => hash(stored),
            (FloorJob::Content, LayerCompression::Gzip) => hash(&inflate(stored)?),
            (FloorJob::Content, LayerCompression::Zstd) => hash_all(&mut zstd::Decoder::with_buffer(stored)?)?,
        }
        Ok(())
    }
}

impl FloorLayer {
    fn of(layout: &Path, descriptor: &serde_json::Value) -> Result<Self> {
        let stored_as = match descriptor["mediaType"].as_str().unwrap_or_default() {
            kind if kind.ends_with("gzip") => LayerCompression::Gzip,
            kind if kind.ends_with("zstd") => LayerCompression::Zstd,
            _ => LayerCompression::Plain,
        };
        let path = layout.join("blobs/sha256").join(blob(descriptor)?);
        Ok(FloorLayer { path, stored_as, bytes: OnceLock::new() })
    }

    fn stored(&self) -> Result<&[u8]> {
        let read = self.bytes.get_or_init(|| fs::read(&self.path).map_err(|e| e.to_string()));
        read.as_deref().map_err(|e| anyhow::anyhow!("{}: {e}", self.path.display()))
    }
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    // RFC 1952: the last four bytes are the length, modulo 2^32.
    let len = bytes.last_chunk().map(|last| u32::from_le_bytes(*last)).context("no gzip stream")?;
    let mut out = vec![0; usize::try_from(len)?];
    libdeflater::Decompressor::new().gzip_decompress(bytes, &mut out).context("a layer that does not inflate")?;
    Ok(out)
}

fn hash(bytes: &[u8]) {
    std::hint::black_box(Sha256::digest(bytes));
}

fn hash_all(from: &mut impl Read) -> Result<()> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; PIECE]);
    loop {
        let n = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..n).filter(|piece| !piece.is_empty()) else { break };
        hash.update(piece);
    }
    std::hint::black_box(hash.finalize());
    Ok(())
}

fn piped(layer: &FloorLayer) -> Result<()> {
    let mut stored = HashingReader { from: File::open(&layer.path)?, hash: Sha256::new() };
    match layer.stored_as {
        LayerCompression::Plain => hash_all(&mut stored.from)?,
        LayerCompression::Gzip => {
            pipe(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(PIECE, &mut stored)))?
        }
        LayerCompression::Zstd => pipe(zstd::Decoder::with_buffer(BufReader::with_capacity(PIECE, &mut stored))?)?,
    }
    std::hint::black_box(stored.hash.finalize());
    Ok(())
}

/// Reads here, hashes on another thread.
fn pipe(mut from: impl Read) -> Result<()> {
    let (full, to_hash) = mpsc::sync_channel::<(Vec<u8>, usize)>(PIECES);
    let (empty, free) = mpsc::channel::<Vec<u8>>();
    for _ in 0..PIECES {
        let _ = empty.send(vec![0; PIECE]);
    }
    thread::scope(|scope| {
        scope.spawn(move || hash_pieces(to_hash, &empty));
        inflate_pieces(&mut from, &free, full)
    })
}

fn hash_pieces(pieces: mpsc::Receiver<(Vec<u8>, usize)>, empty: &mpsc::Sender<Vec<u8>>) {
    let mut hash = Sha256::new();
    for (piece, len) in pieces {
        hash.update(piece.get(..len).unwrap_or_default());
        let _ = empty.send(piece);
    }
    std::hint::black_box(hash.finalize());
}

/// Fills pieces until the end; the other thread ends when `full` is dropped.
fn inflate_pieces(
    from: &mut impl Read,
    free: &mpsc::Receiver<Vec<u8>>,
    full: mpsc::SyncSender<(Vec<u8>, usize)>,
) -> Result<()> {
    loop {
        let mut piece = free.recv().context("the hashing thread is gone")?;
        let mut len = 0;
        while let Some(room) = piece.get_mut(len..).filter(|room| !room.is_empty()) {
            match from.read(room)? {
                0 => break,
                n => len += n,
            }
        }
        if len == 0 {
            return Ok(());
        }
        full.send((piece, len)).context("the hashing thread is gone")?;
    }
}

/// Hashes the bytes that are read through it.
struct HashingReader {
    from: File,
    hash: Sha256,
}

impl Read for HashingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buffer)?;
        self.hash.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }
}
