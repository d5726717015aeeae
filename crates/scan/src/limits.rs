//! What one image may cost. Reaching a limit is an error or a gap that names it, never a silent stop.

use tidewaiter_archive::tar::HEADER_BYTES;

/// Bounds on one scan. The defaults are several times what the largest images take that people build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of one layer.
    pub layer_bytes: u64,
    /// Entries of one layer.
    pub entries: u64,
    /// Bytes of one wanted file; a larger one is a gap. Programs of up to three quarters of it and archives of up to half
    /// are buffered in memory; larger ones are streamed.
    pub file_bytes: u64,
    /// Bytes of one package database that is a single file, and of all that are buffered to be read with their logs.
    pub database_bytes: u64,
    /// Bytes of a path or of a link's target: no runtime unpacks longer ones.
    pub path_bytes: u64,
    /// Bytes of a PAX header or of a long name.
    pub header_bytes: u64,
    /// Bytes recorded of one layer: paths, links and the content of wanted files.
    pub recorded_bytes: u64,
    /// Uncompressed bytes per stored byte, checked from [`Limits::ratio_from`] bytes on. DEFLATE reaches 1,032 at most; true layers stay
    /// below 100.
    pub ratio: u64,
    /// Uncompressed bytes from which the ratio counts: small layers of zeros compress well.
    pub ratio_from: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            // The largest images with models of machine learning have layers of 30 GiB.
            layer_bytes: 64 << 30,
            // Twelve bytes are recorded for each, so that a layer takes 48 MB at most for them.
            entries: 4_000_000,
            file_bytes: 64 << 20,
            database_bytes: 256 << 20,
            // PATH_MAX of Linux.
            path_bytes: 4096,
            header_bytes: HEADER_BYTES,
            recorded_bytes: 512 << 20,
            ratio: 200,
            ratio_from: 1 << 30,
        }
    }
}
