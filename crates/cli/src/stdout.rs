//! Standard output. Its reader may leave early (`kubectl scan … | head`), and the exit code stays what it is.

use crate::exit;
use anyhow::Result;
use std::io::{self, BufWriter, Write};

/// Prints a text, as [`write_stdout`] does.
pub(crate) fn print(text: &str) -> Result<()> {
    write_stdout(|out| Ok(out.write_all(text.as_bytes())?))
}

/// Writes to standard output, whose reader may leave early.
pub(crate) fn write_stdout(write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    // `Stdout` is flushed at every line end, and a report has thousands of lines.
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let written = write(&mut out).and_then(|()| Ok(out.flush()?));
    unless_reader_left(written)
}

/// An error of writing, but that the reader left: `| head` must not turn a violation into success or failure, nor an incomplete
/// SBOM into either.
pub(crate) fn unless_reader_left(written: Result<()>) -> Result<()> {
    match written {
        Err(error) if exit::is_closed_pipe(&error) => Ok(()),
        other => other,
    }
}
