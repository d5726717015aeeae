//! The vulnerability database: one immutable file, and the matching against it.
//!
//! ```text
//! advisories → writer → FILE → reader (mmap) → matching → findings
//!                                  ↑ packages ───┘
//! ```
//!
//! A file is written once, verified once when it is imported, mapped read-only and replaced by rename.
//! Opening reads the header, the section table and the provenance; a look-up is a binary search that allocates nothing.
//! This crate must never know the network or any feed's format. The only `unsafe` of the workspace is [`map`].

mod blocks;
pub mod delta;
mod error;
mod format;
pub mod map;
pub mod matching;
pub mod meta;
pub mod reader;
pub mod writer;

pub use error::DatabaseError;
pub use reader::Database;
