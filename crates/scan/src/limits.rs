//! What one image may cost. Hitting a limit is a named result, never a silent stop.

/// Bounds on one scan; the defaults let every sane image through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Uncompressed bytes of one layer.
    pub layer_bytes: u64,
    /// Entries of one layer.
    pub entries: u64,
    /// Bytes of one wanted file; a larger one is a gap. Of it programs may
    /// take three quarters and archives half; larger ones are not held, and read as they pass.
    pub file_bytes: u64,
    /// Bytes of one package database that is a single file, and of all that are kept to be read with their logs.
    pub database_bytes: u64,
    /// Bytes of a path or of a link's target: no runtime unpacks longer ones.
    pub path_bytes: u64,
    /// Bytes of a PAX header or of a long name; the limit of Go's reader.
    pub header_bytes: u64,
    /// Bytes of what is kept of one layer: paths, links and the content of wanted files.
    pub recorded_bytes: u64,
    /// Uncompressed bytes per stored byte, checked once [`Limits::ratio_from`] bytes came out.
    pub ratio: u64,
    /// Uncompressed bytes from which the ratio counts: small layers of zeros compress well.
    pub ratio_from: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            layer_bytes: 64 << 30,
            entries: 4_000_000,
            file_bytes: 64 << 20,
            database_bytes: 256 << 20,
            path_bytes: 4096,
            header_bytes: 1 << 20,
            recorded_bytes: 512 << 20,
            ratio: 200,
            ratio_from: 1 << 30,
        }
    }
}
