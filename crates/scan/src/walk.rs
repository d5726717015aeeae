//! From stored layers to one merged view of what analyzers want.
//!
//! ```text
//! layer bytes → layer::read (inflate, hash, tar) → Facts → merge::View (whiteouts, links) → resolved files
//! ```
//!
//! A layer keeps the parsed content of wanted files, its links and whiteouts, and eight bytes for every other entry.

pub(crate) mod layer;
pub(crate) mod merge;
pub(crate) mod path;
