//! What can be wrong with a document.

use crate::input::MAX_BYTES;
use std::io;

/// What is read, for messages.
const READ: &str = "CycloneDX 1.2 to 1.7 (JSON, XML), SPDX 2.2 and 2.3 (JSON), SPDX 3.0 (JSON-LD), Syft's JSON, \
                               GitHub's export and submissions of dependencies";

/// Why an SBOM is not read. The message says what to do, where that follows from it; the file is the caller's to name.
#[derive(Debug, thiserror::Error)]
pub enum SbomError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is something else.
    #[error("it is {0}, and no SBOM that is read: {READ}")]
    Unknown(String),
    /// It is of a version that is not known: what it means is not guessed.
    #[error("it is {0}, a version that is not read; write it as one of these: {READ}")]
    Version(String),
    /// It breaks the rules of JSON or XML, or of its format: with line and column.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// It lists more than is held in memory.
    #[error("it lists more than {0} components; split it")]
    TooMany(usize),
    /// It is larger than anything that is an SBOM.
    #[error("it is larger than {} MiB; split it", MAX_BYTES >> 20)]
    TooLarge,
}
