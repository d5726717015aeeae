//! The scan engine: an image in, an inventory of its packages out.
//!
//! ```text
//! source (layout, archive, registry) → walk (tar, layers merged) → analyze → engine → Inventory
//! ```
//!
//! Synchronous, threads only, bounded memory, no layer on disk. Every byte is verified against the digests that name it.
//! This crate must never know async runtimes or Kubernetes, and never prints: progress is a trait.

pub mod analyze;
mod bytes;
pub mod cache;
pub mod engine;
mod error;
pub mod limits;
mod path;
pub mod progress;
pub mod source;
pub mod tar;
mod walk;
pub mod zip;

pub use error::{NamedDigest, ScanError};
