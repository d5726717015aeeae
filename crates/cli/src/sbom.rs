//! `kubectl scan sbom`: the packages of an image, without a database.

use crate::args::SbomArgs;
use crate::exit::{self, Exit};
use crate::local::{self, ReadingOptions};
use crate::output;
use crate::source::ImageSource;
use anyhow::Result;

/// Reads the image and writes its packages. What could not be read is said on standard error, too: an SBOM that misses
/// something is no success.
pub(crate) fn run(args: &SbomArgs) -> Result<Exit> {
    output::check(&args.outputs, ImageSource::parse(&args.image).path())?;
    let stamp = output::stamp()?;
    let reading =
        ReadingOptions { platform: args.platform.as_ref(), no_cache: args.no_cache, registry: &args.registry };
    let inventory = local::inventory(&args.image, &reading, None)?;
    output::write_all(&args.outputs, |format, _, out| Ok(format.write(&inventory, &stamp, out)?))?;
    for gap in &inventory.gaps {
        exit::warn(&format!("incomplete: {}: {}", gap.subject, gap.message));
    }
    Ok(if inventory.gaps.is_empty() { Exit::Clean } else { Exit::Failed })
}
