//! SQLite files (`fileformat2.html`), read only: the b-tree of the table `Packages` and its overflow pages.
//!
//! Every page is read once, whatever pointers say, so that a loop in the file is not a loop of the reader.

use super::RpmContents;
use super::record::{self, SqliteValue};
use super::wal::WalPages;
use tidewaiter_archive::bytes::{be16, be32, slice};

pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
/// The first page begins with the header of the file.
const FILE_HEADER: usize = 100;
// Pages of a table; those of an index (0x02, 0x0a) are not reached from one.
const LEAF: u8 = 0x0d;
const INTERIOR: u8 = 0x05;

type Cause = &'static str;
type Each<'c> = &'c mut dyn FnMut(&[u8], &mut RpmContents);

/// Reads the header of every package, with the pages of a write-ahead log in place of the file's own.
pub(super) fn read(bytes: &[u8], log: &WalPages<'_>, out: &mut RpmContents) {
    // To SQLite an empty file is an empty database, and it discards a log next to it.
    if bytes.is_empty() {
        return;
    }
    let mut file = match SqliteFile::open(bytes, log) {
        Ok(file) => file,
        Err(cause) => return out.damaged(cause),
    };
    if file.cut_off {
        out.damaged("it is cut off");
    }
    let mut root = None;
    file.rows(1, out, &mut |row, _| root = root.or_else(|| packages_root(row)));
    match root {
        Some(root) => file.rows(root, out, &mut |row, out| match record::values(row).find_map(SqliteValue::blob) {
            Some(blob) => out.header(blob),
            None => out.damaged("a row has no package header"),
        }),
        None => out.damaged("it has no table of packages"),
    }
}

/// The first page of the table `Packages`, when this row of the schema describes it: type, name, table, page.
fn packages_root(row: &[u8]) -> Option<u32> {
    let mut values = record::values(row);
    let (kind, name, _, root) = (values.next()?, values.next()?, values.next()?, values.next()?);
    let named = kind == SqliteValue::Text(b"table") && name.text().is_some_and(|n| n.eq_ignore_ascii_case(b"Packages"));
    root.int().filter(|_| named).and_then(|page| u32::try_from(page).ok())
}

struct SqliteFile<'a> {
    bytes: &'a [u8],
    log: &'a WalPages<'a>,
    page_size: usize,
    /// A page's bytes without those reserved at its end.
    usable: usize,
    /// Pages read already; one for every page there is.
    used: Vec<bool>,
    cut_off: bool,
}

impl<'a> SqliteFile<'a> {
    fn open(bytes: &'a [u8], log: &'a WalPages<'a>) -> Result<Self, Cause> {
        // A database that was just created has its first page in the log alone.
        let header = log.pages.get(&1).copied().unwrap_or(bytes);
        if !header.starts_with(MAGIC) {
            return Err("it is not a SQLite file");
        }
        let header = header.get(..FILE_HEADER).ok_or("it ends within its header")?;
        // 65536 does not fit its field and is written as 1.
        let page_size = be16(header, 16).map(usize::from).map(|size| if size == 1 { 65536 } else { size });
        let page_size = page_size.filter(|s| (512..=65536).contains(s) && s.is_power_of_two());
        let page_size = page_size.ok_or("its page size is impossible")?;
        let usable = page_size - usize::from(header.get(20).copied().unwrap_or_default());
        if usable < 480 || header.get(21..24) != Some(&[64, 32, 32]) {
            return Err("its header is not sound");
        }
        if log.count != 0 && log.page_size != page_size {
            return Err("its write-ahead log has pages of another size");
        }
        if !matches!(be32(header, 56), Some(0 | 1)) {
            return Err("its text is not UTF-8");
        }
        let in_file = bytes.len() / page_size;
        let count = if log.count == 0 { in_file } else { log.count as usize };
        // The header's count is valid only where the same writer set both counters.
        let stated = be32(header, 28).filter(|_| be32(header, 24) == be32(header, 92)).unwrap_or_default() as usize;
        let in_log = log.pages.last_key_value().map_or(0, |(last, _)| *last as usize);
        let present = count.min(in_file.max(in_log));
        let ragged = log.count == 0 && !bytes.len().is_multiple_of(page_size);
        let cut_off = ragged || stated > count || present < count;
        Ok(SqliteFile { bytes, log, page_size, usable, used: vec![false; present], cut_off })
    }

    /// A page that was not read before.
    fn take(&mut self, number: u32) -> Result<&'a [u8], Cause> {
        let index = (number as usize).checked_sub(1).ok_or("a page has no number")?;
        let used = self.used.get_mut(index).ok_or("a page lies outside the file")?;
        // Before the page is looked up, so that a damaged one is not tried again either.
        if std::mem::replace(used, true) {
            return Err("a page is used twice");
        }
        let page = match self.log.pages.get(&number) {
            Some(page) => Some(*page),
            None => slice(self.bytes, index * self.page_size, self.page_size),
        };
        page.and_then(|page| page.get(..self.usable)).ok_or("a page lies outside the file")
    }

    /// Calls `each` with every row of the table that begins at page `root`.
    fn rows(&mut self, root: u32, out: &mut RpmContents, each: Each<'_>) {
        let mut todo = vec![root];
        while let Some(number) = todo.pop() {
            if let Err(cause) = self.page(number, &mut todo, out, each) {
                out.damaged(cause);
            }
        }
    }

    /// Reads the rows of a page, or adds the pages below it to `todo`.
    fn page(&mut self, number: u32, todo: &mut Vec<u32>, out: &mut RpmContents, each: Each<'_>) -> Result<(), Cause> {
        let page = self.take(number)?;
        let start = if number == 1 { FILE_HEADER } else { 0 };
        match page.get(start) {
            Some(&LEAF) => self.leaf(page, start, out, each),
            Some(&INTERIOR) => children(page, start, todo, self.used.len()),
            _ => Err("a page is of an unknown kind"),
        }
    }

    fn leaf(&mut self, page: &[u8], start: usize, out: &mut RpmContents, each: Each<'_>) -> Result<(), Cause> {
        for cell in cells(page, start, 8)? {
            match cell.ok_or("a row lies outside its page").and_then(|cell| self.row(cell)) {
                Ok(row) => each(&row, out),
                Err(cause) => out.damaged(cause),
            }
        }
        Ok(())
    }

    /// A row's record: the part in its page, and the rest from its overflow pages.
    fn row(&mut self, cell: &[u8]) -> Result<Vec<u8>, Cause> {
        let outside = "a row lies outside its page";
        let (len, cell) = record::varint(cell).ok_or(outside)?;
        let (_rowid, cell) = record::varint(cell).ok_or(outside)?;
        let len = usize::try_from(len).ok().filter(|len| *len <= self.used.len() * self.page_size);
        let len = len.ok_or("a row is longer than the file")?;
        let local = self.local(len);
        let mut row = cell.get(..local).ok_or(outside)?.to_vec();
        let mut next = if local < len { be32(cell, local).ok_or(outside)? } else { 0 };
        while next != 0 && row.len() < len {
            let page = self.take(next)?;
            let part = page.get(4..).unwrap_or_default();
            row.extend_from_slice(part.get(..len - row.len()).unwrap_or(part));
            next = be32(page, 0).unwrap_or_default();
        }
        if row.len() == len { Ok(row) } else { Err("a row ends before its length") }
    }

    /// How much of a row of `len` bytes is in its leaf ("B-tree Pages", with the names used there).
    fn local(&self, len: usize) -> usize {
        let (u, x) = (self.usable, self.usable - 35);
        let m = (u - 12) * 32 / 255 - 23;
        match len {
            _ if len <= x => len,
            _ => Some(m + (len - m) % (u - 4)).filter(|k| *k <= x).unwrap_or(m),
        }
    }
}

/// The cells of a page, each up to the page's end; `None` for one whose pointer is outside.
fn cells(page: &[u8], start: usize, header: usize) -> Result<impl Iterator<Item = Option<&[u8]>>, Cause> {
    let first = start + header;
    let count = usize::from(be16(page, start + 3).unwrap_or_default());
    let pointers = slice(page, first, 2 * count).ok_or("a page has more rows than room")?;
    let content = first + pointers.len();
    Ok(pointers.as_chunks::<2>().0.iter().map(move |p| {
        let at = usize::from(u16::from_be_bytes(*p));
        page.get(at..).filter(|cell| at >= content && !cell.is_empty())
    }))
}

/// Notes the children of an interior page; no more than there are pages, for each is read once.
fn children(page: &[u8], start: usize, todo: &mut Vec<u32>, pages: usize) -> Result<(), Cause> {
    let right = be32(page, start + 8).ok_or("a page ends within its header")?;
    for cell in cells(page, start, 12)? {
        if todo.len() > pages {
            return Err("its pages form no tree");
        }
        todo.push(cell.and_then(|cell| be32(cell, 0)).ok_or("a child lies outside its page")?);
    }
    todo.push(right);
    Ok(())
}
