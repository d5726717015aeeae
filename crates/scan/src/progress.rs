//! How a caller follows a scan.

/// Receives the progress of each layer, from several threads. Layers are counted from the bottom, from 0.
pub trait ScanProgress: Sync {
    /// Layer `layer` of `total` starts; `size` is its stored size in bytes, where it is known.
    fn layer_started(&self, layer: usize, total: usize, size: Option<u64>);
    /// `read` more of its stored bytes are read.
    fn bytes(&self, layer: usize, read: u64);
    /// It is read and verified.
    fn layer_done(&self, layer: usize);
}

/// Ignores progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl ScanProgress for Silent {
    fn layer_started(&self, _: usize, _: usize, _: Option<u64>) {}
    fn bytes(&self, _: usize, _: u64) {}
    fn layer_done(&self, _: usize) {}
}
