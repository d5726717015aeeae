//! The scan engine: an image in, an inventory of its packages out.
//!
//! ```text
//! source (layout, archive, registry) → walk (tar, merged view) → analyze → engine → Inventory
//!                                        ↑ cache: layers by their digest
//! ```
//!
//! ```no_run
//! # fn main() -> Result<(), tidewaiter_scan::ScanError> {
//! use std::{path::Path, sync::atomic::AtomicBool};
//! use tidewaiter_scan::{engine, limits::Limits, progress::Silent, source::oci_layout};
//!
//! let image = oci_layout::open(Path::new("layout"), None)?;
//! let cancel = AtomicBool::new(false);
//! let limits = Limits::default();
//! let options = engine::ScanOptions { limits, threads: 2, cancel: &cancel, progress: &Silent, cache: None };
//! let inventory = engine::inventory(&image, &options)?;
//! # let _ = inventory.packages;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/scan_directory.rs` is a whole program. Synchronous, threads only, bounded memory, no layer on disk. Every byte
//! is verified against the digests that name it. This crate must never know async runtimes or Kubernetes, and never
//! prints: progress is a trait.

pub mod analyze;
pub mod cache;
pub mod engine;
mod error;
pub mod limits;
mod path;
pub mod progress;
pub mod source;
mod walk;

pub use error::{NamedDigest, ScanError};
