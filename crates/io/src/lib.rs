//! What several crates ask of the machine: files that are replaced as a whole, files without a name, and a bounded number of
//! threads.
//!
//! This crate must never know what the files hold or what the threads work on.

mod replace;
mod scratch;
mod workers;

pub use replace::{replace, replace_if};
pub use scratch::scratch;
pub use workers::in_order;
