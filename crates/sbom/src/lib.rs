//! SBOMs as sources: what another tool listed is judged as if it had been found in an image.
//!
//! ```text
//! bytes → document (JSON or XML, one format each) → components → packages, the system, gaps → inventory
//! ```
//!
//! A document is read once, as a stream: one component is in memory at a time, and what is kept of it is its package. Which
//! format it is follows from its members; each has its own name for its list, so that no member has to come first.
//!
//! Pure: bytes come from a reader, and there is no clock.

mod collect;
mod component;
mod cyclonedx;
mod document;
mod error;
mod foreign;
mod format;
mod gaps;
mod github;
mod identity;
mod input;
mod inventory;
mod layers;
mod members;
mod purl;
mod source_package;
mod spdx2;
mod spdx3;
mod spdx_text;
mod syft;
mod system;
mod xml;

pub use error::SbomError;
pub use input::MAX_BYTES;
pub use inventory::read;
