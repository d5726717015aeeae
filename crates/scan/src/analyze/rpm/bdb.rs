//! Berkeley DB hash files (`dbinc/db_page.h`, `dbinc/hash.h`): a page of metadata, hash pages with key and data
//! items, chains of overflow pages for large items. Written in the byte order of the machine that made them.
//!
//! Every page is read once, whatever buckets and chains say, so that a loop in the file is not a loop of the reader.

use super::RpmContents;
use tidewaiter_archive::bytes::{array, slice};

// `DB_HASHMAGIC`, after the log sequence number and the page's number (`DBMETA`); `SIZEOF_PAGE`.
const MAGIC: u32 = 0x0006_1561;
const MAGIC_AT: usize = 12;
const PAGE_HEADER: usize = 26;

/// Kinds of pages.
const UNUSED: u8 = 0;
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH_META: u8 = 8;
const HASH: u8 = 13;

/// Kinds of items.
const INLINE: u8 = 1;
const OFF_PAGE: u8 = 3;

type Cause = &'static str;

struct BdbFile<'a> {
    bytes: &'a [u8],
    page_size: usize,
    little: bool,
    /// Overflow pages that belong to a chain.
    used: Vec<bool>,
}

/// Reads the header of every package in a `Packages` file.
pub(super) fn read(bytes: &[u8], out: &mut RpmContents) {
    let mut file = match BdbFile::open(bytes) {
        Ok(file) => file,
        Err(cause) => return out.damaged(cause),
    };
    if let Some(cause) = file.truncation() {
        out.damaged(cause);
    }
    for number in 1..file.pages() {
        match file.page(number) {
            Ok((HASH | HASH_UNSORTED, page)) => file.hash_page(page, out),
            Ok((UNUSED | OVERFLOW, _)) => {}
            Ok(_) => out.damaged("a page is of an unknown kind"),
            Err(cause) => out.damaged(cause),
        }
    }
    if (1..file.pages()).any(|n| matches!(file.page(n), Ok((OVERFLOW, _))) && file.used.get(n) == Some(&false)) {
        out.damaged("pages with a package's data belong to no package");
    }
}

impl<'a> BdbFile<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, Cause> {
        let mark = array(bytes, MAGIC_AT).ok_or("it ends within its first page")?;
        let little = match (u32::from_le_bytes(mark), u32::from_be_bytes(mark)) {
            (MAGIC, _) => true,
            (_, MAGIC) => false,
            _ => return Err("it is not a Berkeley DB hash file"),
        };
        let mut file = BdbFile { bytes, page_size: 0, little, used: Vec::new() };
        let (version, size) = (file.u32(bytes, 16), file.u32(bytes, 20));
        let size = size.filter(|s| (512..=65536).contains(s) && s.is_power_of_two());
        if !version.is_some_and(|v| (7..=10).contains(&v)) {
            return Err("its Berkeley DB version is not known");
        }
        file.page_size = size.ok_or("its page size is impossible")? as usize;
        if bytes.len() < file.page_size {
            return Err("it ends within its first page");
        }
        match bytes.get(24..26) {
            Some([0, HASH_META]) => {}
            Some([0, _]) => return Err("it is not a Berkeley DB hash file"),
            _ => return Err("it is encrypted"),
        }
        file.used = vec![false; file.pages()];
        Ok(file)
    }

    fn u32(&self, bytes: &[u8], at: usize) -> Option<u32> {
        array(bytes, at).map(if self.little { u32::from_le_bytes } else { u32::from_be_bytes })
    }

    fn u16(&self, bytes: &[u8], at: usize) -> Option<usize> {
        array(bytes, at).map(if self.little { u16::from_le_bytes } else { u16::from_be_bytes }).map(usize::from)
    }

    fn pages(&self) -> usize {
        self.bytes.len() / self.page_size
    }

    fn truncation(&self) -> Option<Cause> {
        let last = self.u32(self.bytes, 32).unwrap_or(u32::MAX) as usize;
        (last >= self.pages() || !self.bytes.len().is_multiple_of(self.page_size)).then_some("it is cut off")
    }

    /// A page and its kind. Pages that were never written are zeros.
    fn page(&self, number: usize) -> Result<(u8, &'a [u8]), Cause> {
        let at = number.checked_mul(self.page_size);
        let page = at.and_then(|at| slice(self.bytes, at, self.page_size)).ok_or("a page lies outside the file")?;
        let kind = page.get(25).copied().unwrap_or_default();
        if kind != UNUSED && self.u32(page, 8).map(|n| n as usize) != Some(number) {
            return Err("a page does not bear its own number");
        }
        Ok((kind, page))
    }

    /// The data of all pairs of a hash page: items grow down from its end, their offsets up from its header.
    fn hash_page(&mut self, page: &'a [u8], out: &mut RpmContents) {
        let count = self.u16(page, 20).unwrap_or_default();
        if PAGE_HEADER + 2 * count > page.len() || !count.is_multiple_of(2) {
            return out.damaged("a page has more items than room");
        }
        for pair in (0..count).step_by(2) {
            let data = self.item(page, pair).and_then(|key| Ok((key, self.item(page, pair + 1)?)));
            let blob = data.and_then(|(key, data)| match (key, data) {
                // Number 0 is not a package but the highest number given so far.
                ([INLINE, 0, 0, 0, 0], _) => Ok(None),
                (_, [INLINE, blob @ ..]) => Ok(Some(std::borrow::Cow::Borrowed(blob))),
                (_, [OFF_PAGE, ..]) => self.overflow(data).map(|blob| Some(blob.into())),
                _ => Err("an item is of an unknown kind"),
            });
            match blob {
                Ok(blob) => blob.iter().for_each(|blob| out.header(blob)),
                Err(cause) => out.damaged(cause),
            }
        }
    }

    fn item(&self, page: &'a [u8], index: usize) -> Result<&'a [u8], Cause> {
        let offset = |index: usize| self.u16(page, PAGE_HEADER + 2 * index);
        let end = if index == 0 { Some(page.len()) } else { offset(index - 1) };
        let item = offset(index).zip(end).and_then(|(start, end)| page.get(start..end));
        item.filter(|item| !item.is_empty()).ok_or("an item lies outside its page")
    }

    /// The content of a chain of overflow pages: kind, three unused bytes, first page, length.
    fn overflow(&mut self, item: &[u8]) -> Result<Vec<u8>, Cause> {
        let (Some(first), Some(len)) = (self.u32(item, 4), self.u32(item, 8)) else {
            return Err("an item is too short");
        };
        let (mut next, len) = (first as usize, len as usize);
        if len > self.bytes.len() {
            return Err("a package's data is longer than the file");
        }
        let mut content = Vec::new();
        while next != 0 {
            let (kind, page) = self.page(next)?;
            let free = self.used.get_mut(next).filter(|used| !**used);
            *free.ok_or("a page belongs to two packages")? = true;
            if kind != OVERFLOW {
                return Err("a package's data leads to a page of another kind");
            }
            let here = self.u16(page, 22).and_then(|n| slice(page, PAGE_HEADER, n));
            content.extend_from_slice(here.ok_or("a page has more data than room")?);
            next = self.u32(page, 16).unwrap_or_default() as usize;
        }
        if content.len() == len { Ok(content) } else { Err("a package's data is not as long as it should be") }
    }
}
