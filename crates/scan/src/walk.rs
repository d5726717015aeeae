//! From stored layers to one merged view of what analyzers want.
//!
//! ```text
//! layer bytes → layer::read (inflate, hash, tar) → Facts → merge::View (whiteouts, links) → resolved files
//!                     ↑ read again ──────────────────────── links (wanted paths that lead to files not kept)
//! ```
//!
//! A layer keeps the parsed content of wanted files, its links and whiteouts, and twelve bytes for every other entry.

pub(crate) mod hash;
mod inflate;
pub(crate) mod layer;
pub(crate) mod links;
mod marks;
pub(crate) mod merge;
pub(crate) mod path;
