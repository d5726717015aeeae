//! The parts of all feeds as one database.

#[cfg(test)]
mod in_memory;

use crate::combine;
use crate::debian_fixes::DebianFixes;
use crate::error::FeedError;
use crate::part::PartHeader;
use crate::part::sort::Merged;
use crate::part::{self, Decoder, Fact, Part, PartSection};
use std::io;
use std::path::Path;
use tidewaiter_core::advisory::CveFacts;
use tidewaiter_db::details::{DetailPacker, DetailPosition};
use tidewaiter_db::meta::Meta;
use tidewaiter_db::writer::{DatabaseWriter, PackageRow};

/// A part and the name of its feed.
pub(crate) struct NamedPart<'a> {
    /// The feed's name in `feeds.toml`.
    pub(crate) name: &'a str,
    /// Its records.
    pub(crate) part: &'a Part,
}

/// Writes the database of the parts, which are in the order of the configuration.
///
/// # Errors
/// When a part cannot be read, or the database cannot be written.
pub(crate) fn write(path: &Path, parts: &[NamedPart<'_>], meta: Meta) -> Result<(), FeedError> {
    let mut writer = DatabaseWriter::new(path)?;
    let (bases, written) = blocks(&mut writer, parts)?;
    let fixes = fixes(parts);
    let advisories = advisories(&mut writer, parts, &bases, &fixes)?;
    rows(&mut writer, parts, &advisories, &fixes)?;
    facts(&mut writer, parts, written)?;
    Ok(writer.finish(meta)?)
}

/// Copies the blocks of details; returns how many come before those of each part, and how many there are.
fn blocks(writer: &mut DatabaseWriter, parts: &[NamedPart<'_>]) -> Result<(Vec<u32>, u32), FeedError> {
    let (mut bases, mut count) = (Vec::new(), 0);
    for NamedPart { part, .. } in parts {
        bases.push(count);
        part.blocks(|block| -> Result<(), FeedError> {
            count = writer.block(block)?.saturating_add(1);
            Ok(())
        })?;
    }
    Ok((bases, count))
}

fn fixes(parts: &[NamedPart<'_>]) -> DebianFixes {
    let mut out = DebianFixes::default();
    parts.iter().for_each(|named| out.extend(&named.part.header.fixes));
    out
}

/// The advisories of a part in the database.
#[derive(Default)]
struct Places {
    /// The place of each in the order of the database.
    numbers: Vec<u32>,
    /// The ids of those that fixes of another feed may concern.
    ids: Option<Vec<String>>,
}

/// Writes the advisories of all parts, by id and then by the name of their feed.
fn advisories(
    writer: &mut DatabaseWriter,
    parts: &[NamedPart<'_>],
    bases: &[u32],
    fixes: &DebianFixes,
) -> Result<Vec<Places>, FeedError> {
    // The rank of a stream decides among equal ids.
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by_key(|index| parts.get(*index).map(|named| named.name));
    let has_debian = |header: &PartHeader| header.rows.iter().any(|(ecosystem, _)| ecosystem.starts_with("Debian"));
    let ids = |named: &NamedPart<'_>| (!fixes.is_empty() && has_debian(&named.part.header)).then(Vec::new);
    let mut out: Vec<Places> = parts.iter().map(|named| Places { numbers: Vec::new(), ids: ids(named) }).collect();
    let streams = order.iter().filter_map(|index| parts.get(*index));
    let streams = streams.map(|named| named.part.records(PartSection::Advisories)).collect::<io::Result<_>>()?;
    let mut merged = Merged::of(streams)?;
    let (mut key, mut value) = (Vec::new(), Vec::new());
    while let Some(rank) = merged.next(&mut key, &mut value)? {
        let mut decoder = Decoder(&value);
        let position = DetailPosition { block: decoder.small()?, offset: decoder.small()?, len: decoder.small()? };
        let index = order.get(rank).copied().unwrap_or_default();
        let number = writer.advisory(position.after(bases.get(index).copied().unwrap_or_default()))?;
        if let Some(places) = out.get_mut(index) {
            places.numbers.push(number);
            if let Some(ids) = &mut places.ids {
                ids.push(part::id_of(&key).unwrap_or_default());
            }
        }
    }
    Ok(out)
}

/// Writes the rows of all parts, package by package.
fn rows(
    writer: &mut DatabaseWriter,
    parts: &[NamedPart<'_>],
    advisories: &[Places],
    fixes: &DebianFixes,
) -> Result<(), FeedError> {
    let streams = parts.iter().map(|named| named.part.records(PartSection::Rows)).collect::<io::Result<_>>()?;
    let mut merged = Merged::of(streams)?;
    let (mut key, mut value, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(rank) = merged.next(&mut key, &mut value)? {
        let places = advisories.get(rank).ok_or_else(part::corrupt)?;
        let mut decoder = Decoder(&value);
        let local = decoder.small()? as usize;
        let number = places.numbers.get(local).copied().ok_or_else(part::corrupt)?;
        let mut row: PackageRow = decoder.package_row(number)?;
        if let Some(id) = places.ids.as_ref().and_then(|ids| ids.get(local)) {
            lower(fixes, id, &key, &mut row);
        }
        rows.push(row);
        if merged.peek() != Some(key.as_slice()) {
            let (ecosystem, kind, package) = part::package_of(&key).ok_or_else(part::corrupt)?;
            writer.package(&ecosystem, kind, &package, &mut rows)?;
            rows.clear();
        }
    }
    Ok(())
}

fn lower(fixes: &DebianFixes, id: &str, key: &[u8], row: &mut PackageRow) {
    if let Some(of_id) = fixes.of(id)
        && let Some((ecosystem, _, package)) = part::package_of(key)
    {
        of_id.lower(&ecosystem.as_str().into(), &package, &mut row.intervals);
    }
}

/// Writes the facts about every CVE that an advisory names. `blocks`: those that were written before.
fn facts(writer: &mut DatabaseWriter, parts: &[NamedPart<'_>], blocks: u32) -> Result<(), FeedError> {
    let streams = |section| -> io::Result<Merged> {
        Merged::of(parts.iter().map(|named| named.part.records(section)).collect::<io::Result<_>>()?)
    };
    let (mut names, mut known) = (streams(PartSection::Names)?, streams(PartSection::Facts)?);
    let mut packer = DetailPacker::new()?;
    let (mut name, mut key, mut value) = (Vec::new(), Vec::new(), Vec::new());
    while known.next(&mut key, &mut value)?.is_some() {
        let mut facts = CveFacts::default();
        add(&mut facts, Fact::decode(&value)?);
        let mut next = Vec::new();
        while known.peek() == Some(key.as_slice()) {
            known.next(&mut next, &mut value)?;
            add(&mut facts, Fact::decode(&value)?);
        }
        while names.peek().is_some_and(|named| named < key.as_slice()) {
            names.next(&mut name, &mut value)?;
        }
        if names.peek() != Some(key.as_slice()) {
            continue;
        }
        combine::sort_ratings(&mut facts.ratings);
        let json = serde_json::to_vec(&facts).map_err(io::Error::from)?;
        let (position, block) = packer.add(&json)?;
        block.map_or(Ok(()), |block| writer.block(&block).map(drop))?;
        writer.cve(std::str::from_utf8(&key).map_err(|_| part::corrupt())?, position.after(blocks))?;
    }
    let last = packer.finish()?;
    Ok(last.map_or(Ok(()), |block| writer.block(&block).map(drop))?)
}

/// Adds what a later feed knows.
fn add(facts: &mut CveFacts, fact: Fact) {
    match fact {
        Fact::Ratings(ratings) => facts.ratings.extend(ratings),
        Fact::Exploited(date) => facts.kev = Some(date),
        Fact::Epss(epss) => facts.epss = Some(epss),
        Fact::Published(day) => facts.published = Some(day),
    }
}
