//! How a caller follows a scan.

/// Told about each layer, from several threads.
pub trait Progress: Sync {
    /// Layer `layer` of `total` starts; `size` is its stored size in bytes, where known.
    fn layer_started(&self, layer: usize, total: usize, size: Option<u64>);
    /// `read` more stored bytes of it were read.
    fn bytes(&self, layer: usize, read: u64);
    /// It is read and verified.
    fn layer_done(&self, layer: usize);
}

/// Follows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn layer_started(&self, _: usize, _: usize, _: Option<u64>) {}
    fn bytes(&self, _: usize, _: u64) {}
    fn layer_done(&self, _: usize) {}
}
