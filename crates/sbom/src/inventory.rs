//! From a document to an inventory.

use crate::collect::Collected;
use crate::component::SbomComponent;
use crate::error::SbomError;
use crate::foreign::SystemNotes;
use crate::format::SbomHead;
use crate::input::{CountedInput, Passed};
use crate::{document, gaps, identity, layers, xml};
use std::io::{BufReader, Cursor, Read};
use tidewaiter_core::ecosystem::Os;
use tidewaiter_core::package::Package;
use tidewaiter_core::report::{Gap, GapKind, Inventory, SbomOrigin};

/// Bytes that are read at once.
const BUFFER: usize = 64 << 10;
/// Bytes by which JSON is told from XML.
const START: usize = 4 << 10;

/// Reads an SBOM as the inventory of an image. `name` is the image's name where the document gives none.
///
/// # Errors
/// When it cannot be read, is damaged, too large, of another version, or no SBOM.
pub fn read(input: &mut dyn Read, name: &str) -> Result<Inventory, SbomError> {
    let (mut head, mut collected, mut passed) = (SbomHead::default(), Collected::default(), Passed::default());
    let read = parse(input, &mut passed, &mut head, &mut collected);
    if passed.is_too_large() {
        return Err(SbomError::TooLarge);
    }
    read?;
    let format = head.format()?;
    Ok(inventory(head, collected, SbomOrigin { format, digest: passed.digest() }, name))
}

fn parse(
    input: &mut dyn Read,
    passed: &mut Passed,
    head: &mut SbomHead,
    collected: &mut Collected,
) -> Result<(), SbomError> {
    let mut input = CountedInput { inner: input, passed };
    let mut start = Vec::with_capacity(START);
    (&mut input).take(START as u64).read_to_end(&mut start)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).to_owned();
    let (first, other) = (text.iter().find(|byte| !byte.is_ascii_whitespace()).copied(), not_text(&text));
    let input = BufReader::with_capacity(BUFFER, Cursor::new(text).chain(input));
    match first {
        Some(b'{' | b'[') => document::read(input, head, collected),
        Some(b'<') => xml::read(input, head, collected),
        _ => Err(SbomError::Unknown(other.to_owned())),
    }
}

/// What a document is that is neither JSON nor XML.
fn not_text(start: &[u8]) -> &'static str {
    match start {
        [] => "empty",
        [0x1f, 0x8b, ..] => "compressed (gzip)",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed (zstd)",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "in UTF-16",
        _ if start.starts_with(b"SPDXVersion:") => "SPDX in lines of tags and values; write it as JSON",
        _ => "neither JSON nor XML",
    }
}

fn inventory(head: SbomHead, collected: Collected, origin: SbomOrigin, name: &str) -> Inventory {
    let subject = subject(&head, &collected);
    let named = [subject.name.as_str(), subject.get("syft:image:userInput"), &head.name, name];
    let named = named.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
    let image = identity::image(&subject, named, origin);
    let layers = layers::of_image(&subject);
    let mut collected = collected;
    let os = os(&collected);
    let found = std::mem::take(&mut collected.packages);
    let indexes = collected.layers.indexes(&layers);
    let mut notes = SystemNotes::default();
    let placed = found.into_iter().map(|found| {
        let mut package = notes.take(found, os.as_ref(), &collected);
        package.locations.iter_mut().for_each(|place| indexes.resolve(place));
        package
    });
    let packages = folded(placed.collect());
    let gaps = all_gaps(&head, &collected, os.as_ref(), &notes, &packages);
    Inventory { image, layers, os, packages, gaps }
}

/// What the document is about: as it says, else the first image among its components.
fn subject(head: &SbomHead, collected: &Collected) -> SbomComponent {
    let described = || collected.containers.iter().find(|container| head.described.contains(&container.id));
    let subject = collected.subject.as_ref().or_else(described).or(collected.containers.first());
    subject.cloned().unwrap_or_default()
}

/// The system: what a component names, else what most purls do.
fn os(collected: &Collected) -> Option<Os> {
    let mut counts = vec![0_usize; collected.distributions.len()];
    let numbers = collected.packages.iter().filter_map(|found| found.distribution);
    numbers.for_each(|number| counts.iter_mut().skip(number).take(1).for_each(|count| *count += 1));
    let named = collected.distributions.iter().zip(counts).filter(|(named, _)| !named.os.id.is_empty());
    let most = named.max_by_key(|(named, count)| (named.is_told, named.os.ecosystem().is_some(), *count));
    collected.systems.first().cloned().or_else(|| most.map(|(named, _)| named.os.clone()))
}

/// Each package once, with all its locations, as the engine lists them.
fn folded(mut packages: Vec<Package>) -> Vec<Package> {
    packages.sort_unstable();
    packages.dedup_by(|next, kept| {
        let same = is_same(next, kept);
        if same {
            kept.locations.append(&mut next.locations);
            kept.locations.sort();
            kept.locations.dedup();
        }
        same
    });
    packages
}

/// Whether two packages differ in their locations alone.
fn is_same(a: &Package, b: &Package) -> bool {
    // Exhaustive: a new field must be considered here.
    let Package {
        kind,
        name,
        version,
        arch,
        source_name,
        source_version,
        vendored,
        own,
        vendor,
        module,
        tag,
        owner,
        locations: _,
    } = a;
    (kind, vendored, own) == (&b.kind, &b.vendored, &b.own)
        && [name, version, arch, source_name, source_version]
            == [&b.name, &b.version, &b.arch, &b.source_name, &b.source_version]
        && [vendor, module, tag, owner] == [&b.vendor, &b.module, &b.tag, &b.owner]
}

fn all_gaps(
    head: &SbomHead,
    collected: &Collected,
    os: Option<&Os>,
    notes: &SystemNotes,
    packages: &[Package],
) -> Vec<Gap> {
    let mut all = gaps::told(head);
    all.extend(gaps::other_documents(&head.others));
    // The scan that wrote it may have told the same in its words.
    let is_told = all.iter().any(|gap| matches!(gap.kind, GapKind::UnsupportedOs | GapKind::NoPackageDatabase));
    all.extend(gaps::system(os, packages, collected).filter(|_| !is_told));
    all.extend(gaps::unmatched(&collected.unmatched, head.root()));
    all.extend(gaps::sources(&notes.without_source));
    all.extend(gaps::copies(&notes.copies));
    all.extend(gaps::unknown_distributions(&notes.of_unknown));
    if packages.is_empty() && all.is_empty() {
        all.push(gaps::nothing());
    }
    all.sort();
    all.dedup();
    all
}
