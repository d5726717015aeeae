//! The vulnerability database: one immutable file, and the matching against it.
//!
//! ```text
//! advisories → writer → FILE → reader (mmap) → matching → findings
//!                                  ↑ packages ───┘
//! ```
//!
//! ```no_run
//! # fn main() -> Result<(), tidewaiter_db::DatabaseError> {
//! use tidewaiter_db::{Database, matching};
//!
//! let database = Database::open("tidewaiter.db".as_ref())?;
//! let found = matching::vulnerabilities(&database, &"npm".into(), "lodash", "4.17.20")?;
//! # let _ = found;
//! # Ok(())
//! # }
//! ```
//!
//! `examples/look_up.rs` is a whole program. A file is written once, verified once when it is imported, mapped read-only and
//! replaced by rename. Opening reads the header, the section table and the provenance; a look-up is a binary search that
//! allocates nothing.
//! This crate must never know the network or any feed's format. Its only `unsafe` is [`map`].

mod blocks;
pub mod delta;
pub mod details;
mod error;
pub mod file_delta;
mod format;
pub mod map;
pub mod matching;
pub mod meta;
pub mod reader;
mod spool;
mod strings;
pub mod writer;

pub use error::DatabaseError;
pub use format::VERSION as FORMAT_VERSION;
pub use reader::{Database, EcosystemPackages};
