//! SBOMs in place of an image.

use super::ReadingOptions;
use crate::exit::UsageError;
use crate::source::{ImageSource, STDIN, Scheme};
use crate::terminal::{self, printable};
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tidewaiter_core::report::Inventory;

/// Where the SBOM is that a user names, if it is one.
pub(super) fn place(image: &str) -> Option<&str> {
    match ImageSource::parse(image) {
        ImageSource::Here(Scheme::Sbom, place) => Some(place),
        ImageSource::HereOrReference(Scheme::Sbom, place) => Some(place).filter(|place| Path::new(place).exists()),
        _ => None,
    }
}

/// Reads what an SBOM lists. Layers are as it tells: there are none to compare with another image's.
pub(super) fn inventory(
    image: &str,
    place: &str,
    reading: &ReadingOptions<'_>,
    base_image: Option<&str>,
) -> Result<Inventory> {
    if base_image.is_some() {
        return Err(UsageError(format!("{image}: --base compares layers, and an SBOM has none; scan the image")).into());
    }
    terminal::say(&format!("Reading the packages of {}", printable(image)));
    let (name, mut input): (&str, Box<dyn Read>) = match place {
        STDIN => ("standard input", Box::new(io::stdin().lock())),
        file => (file, Box::new(File::open(file).with_context(|| file.to_owned())?)),
    };
    let inventory = tidewaiter_sbom::read(&mut *input, name).with_context(|| name.to_owned())?;
    check_platform(name, &inventory, reading)?;
    Ok(inventory)
}

/// An SBOM is of one platform, which may be another than what is asked for.
fn check_platform(name: &str, inventory: &Inventory, reading: &ReadingOptions<'_>) -> Result<()> {
    let (found, wanted) = (&inventory.image.platform, reading.platform);
    match wanted {
        Some(wanted) if found.os != "unknown" && !wanted.matches(found) => {
            Err(UsageError(format!("{name} is the SBOM of an image for {found}, and --platform asks for {wanted}"))
                .into())
        }
        _ => Ok(()),
    }
}

/// Why an SBOM cannot be read as an image.
pub(super) fn no_image(place: &str) -> anyhow::Error {
    UsageError(format!("sbom:{place} has no layers; name the image itself")).into()
}
