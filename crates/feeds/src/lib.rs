//! Feeds of advisories, and the database that is built from them.
//!
//! ```text
//! feeds.toml → config → members (a feed for each year or release) → source (directory, file, archive, URL) ┐
//!      ┌───────────────────────────────────────────────────────────────────────────────────────────────────┘
//!      └→ format::* (bytes → records) → part (sorted, on disk); all parts → merge → db::writer
//! ```
//!
//! What a feed is complete for is declared in `feeds.toml`, never inferred from its rows; a declaration without rows does not
//! count (`coverage`).
//! This crate must never know the server or Kubernetes, and is never linked into the server.

pub mod build;
mod combine;
pub mod config;
mod coverage;
mod csaf;
mod debian_fixes;
mod error;
pub mod exceptions;
pub mod format;
mod members;
mod merge;
pub mod options;
mod part;
mod read;
mod rpm_modules;
pub mod source;

pub use error::FeedError;
