//! The vocabulary and the decisions of tidewaiter, without I/O.
//!
//! ```text
//! reference → … → packages → matches → findings → report → verdict → action
//!   image        package     finding    finding   report   policy    status
//! ```
//!
//! Everything here is a plain value or a pure function over plain values.
//! This crate must never know about files, the network, the clock, threads, async code or Kubernetes:
//! callers pass in the time.

pub mod advisory;
pub mod diff;
pub mod ecosystem;
pub mod exception;
pub mod finding;
mod hex;
pub mod image;
pub mod package;
mod package_type;
pub mod pattern;
pub mod policy;
mod reason;
pub mod report;
pub mod severity;
pub mod status;
pub mod target;
pub mod upgrade;
pub mod version;

pub use hex::hex;
pub use reason::Reason;
