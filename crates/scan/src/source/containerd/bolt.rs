//! Read-only look-ups in a bbolt file (go.etcd.io/bbolt, file format version 2): a B+ tree of pages whose leaves have keys
//! with values or with buckets. Pages are read by offset; a writer replaces pages by new ones and never changes them in
//! place, so that a reader that took the newest valid meta page sees one state.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use tidewaiter_archive::bytes::{le16, le32, le64, slice};

// Numbers of the file format: `Page`, `Meta` and the page elements of bbolt's `internal/common`.
const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const HEADER: usize = 16;
const META: usize = 64;
const ELEMENT: usize = 16;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const BUCKET: u32 = 1;
/// Bytes of a page with its overflow pages: a value of containerd has a few kilobytes.
const MAX_PAGE: u64 = 64 << 20;
/// Levels of a tree: with 32 keys on a page, a tree of any file is shallower.
const MAX_DEPTH: usize = 32;
/// Keys listed of one bucket: a node has some hundred images, and a few namespaces.
const MAX_KEYS: usize = 10_000;

/// An open file.
pub(super) struct Bolt {
    file: File,
    page_size: u64,
    root: u64,
}

/// What a key leads to.
enum BoltValue {
    Bytes(Vec<u8>),
    Bucket(Tree),
}

/// A bucket's pages: by number, or inside its parent's page.
enum Tree {
    Root(u64),
    Inline(Vec<u8>),
}

fn bad(cause: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a readable bbolt database: {cause}"))
}

const EARLY_END: &str = "a page ends early";

fn u16_at(bytes: &[u8], at: usize) -> io::Result<u16> {
    le16(bytes, at).ok_or_else(|| bad(EARLY_END))
}

fn u32_at(bytes: &[u8], at: usize) -> io::Result<u32> {
    le32(bytes, at).ok_or_else(|| bad(EARLY_END))
}

fn u64_at(bytes: &[u8], at: usize) -> io::Result<u64> {
    le64(bytes, at).ok_or_else(|| bad(EARLY_END))
}

fn size(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

impl Bolt {
    /// Opens a file by the newer of its two meta pages.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // The second meta page begins where the first page ends; page sizes are powers of two.
        let places = std::iter::once(0).chain((9..=16).map(|n| 1_u64 << n));
        let metas = places.filter_map(|at| meta(&file, at).ok());
        let newest = metas.max_by_key(|(_, _, transaction)| *transaction);
        let (page_size, root, _) = newest.ok_or_else(|| bad("it has no valid meta page"))?;
        Ok(Bolt { file, page_size, root })
    }

    /// The value of a key in the bucket that a path of names leads to.
    pub(super) fn get(&self, path: &[&[u8]], key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let Some(bucket) = self.bucket(path)? else { return Ok(None) };
        Ok(self.look_up(&bucket, key)?.and_then(|found| match found {
            BoltValue::Bytes(value) => Some(value),
            BoltValue::Bucket(_) => None,
        }))
    }

    /// The names of the buckets in a bucket.
    pub(super) fn buckets(&self, path: &[&[u8]]) -> io::Result<Vec<Vec<u8>>> {
        let Some(bucket) = self.bucket(path)? else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        let mut todo = vec![(bucket, 0)];
        while let Some((tree, depth)) = todo.pop() {
            let page = self.load(&tree)?;
            for element in elements(&page)? {
                match element? {
                    Element::Branch { page, .. } if depth < MAX_DEPTH => todo.push((Tree::Root(page), depth + 1)),
                    Element::Branch { .. } => return Err(bad("its tree is too deep")),
                    Element::Leaf { key, bucket: true, .. } => names.push(key.to_vec()),
                    Element::Leaf { .. } => {}
                }
                if names.len() > MAX_KEYS || todo.len() > MAX_KEYS {
                    return Err(bad("a bucket has too many keys"));
                }
            }
        }
        Ok(names)
    }

    fn bucket(&self, path: &[&[u8]]) -> io::Result<Option<Tree>> {
        let mut tree = Tree::Root(self.root);
        for name in path {
            match self.look_up(&tree, name)? {
                Some(BoltValue::Bucket(below)) => tree = below,
                _ => return Ok(None),
            }
        }
        Ok(Some(tree))
    }

    fn look_up(&self, tree: &Tree, wanted: &[u8]) -> io::Result<Option<BoltValue>> {
        let mut page = self.load(tree)?;
        for _ in 0..MAX_DEPTH {
            let mut next = None;
            for element in elements(&page)? {
                match element? {
                    Element::Leaf { key, value, bucket } if key == wanted => {
                        return Ok(Some(if bucket {
                            BoltValue::Bucket(below(value)?)
                        } else {
                            BoltValue::Bytes(value.to_vec())
                        }));
                    }
                    Element::Leaf { .. } => {}
                    // The last branch whose first key is not above.
                    Element::Branch { key, page } if next.is_none() || key <= wanted => next = Some(page),
                    Element::Branch { .. } => break,
                }
            }
            let Some(number) = next else { return Ok(None) };
            page = self.load(&Tree::Root(number))?;
        }
        Err(bad("its tree is too deep"))
    }

    fn load(&self, tree: &Tree) -> io::Result<Vec<u8>> {
        let number = match tree {
            Tree::Inline(page) => return Ok(page.clone()),
            Tree::Root(number) => *number,
        };
        let at = number.checked_mul(self.page_size).ok_or_else(|| bad("a page number is too large"))?;
        let mut header = [0; HEADER];
        self.file.read_exact_at(&mut header, at)?;
        let bytes = (u64::from(u32_at(&header, 12)?) + 1).saturating_mul(self.page_size);
        if bytes > MAX_PAGE {
            return Err(bad("a page is too large"));
        }
        let mut page = vec![0; usize::try_from(bytes).unwrap_or_default()];
        self.file.read_exact_at(&mut page, at)?;
        Ok(page)
    }
}

/// Page size, root page and transaction of a meta page.
fn meta(file: &File, at: u64) -> io::Result<(u64, u64, u64)> {
    let mut page = [0; HEADER + META];
    file.read_exact_at(&mut page, at)?;
    let meta = page.get(HEADER..).unwrap_or_default();
    let page_size = u64::from(u32_at(meta, 8)?);
    let right = u32_at(meta, 0)? == MAGIC
        && u32_at(meta, 4)? == VERSION
        && page_size.is_power_of_two()
        && (512..=1 << 16).contains(&page_size)
        // The second meta page is the second page; bytes elsewhere that look like one are a value.
        && (at == 0 || at == page_size)
        && checksum(meta.get(..META - 8).unwrap_or_default()) == u64_at(meta, META - 8)?;
    if right { Ok((page_size, u64_at(meta, 16)?, u64_at(meta, 48)?)) } else { Err(bad("a meta page is damaged")) }
}

/// The pages of a bucket, by its value in the parent: root page and sequence, then the page itself where it is small.
fn below(value: &[u8]) -> io::Result<Tree> {
    match u64_at(value, 0)? {
        0 => Ok(Tree::Inline(value.get(16..).unwrap_or_default().to_vec())),
        root => Ok(Tree::Root(root)),
    }
}

enum Element<'a> {
    Branch { key: &'a [u8], page: u64 },
    Leaf { key: &'a [u8], value: &'a [u8], bucket: bool },
}

fn elements(page: &[u8]) -> io::Result<impl Iterator<Item = io::Result<Element<'_>>>> {
    let (flags, count) = (u16_at(page, 8)?, usize::from(u16_at(page, 10)?));
    if flags & (BRANCH | LEAF) == 0 {
        return Err(bad("a page of the tree is of another kind"));
    }
    Ok((0..count).map(move |index| element(page, HEADER + index * ELEMENT, flags & LEAF != 0)))
}

fn element(page: &[u8], at: usize, leaf: bool) -> io::Result<Element<'_>> {
    let part = |from: usize, size: usize| slice(page, from, size).ok_or_else(|| bad("a key lies outside its page"));
    if !leaf {
        let key = part(at.saturating_add(size(u32_at(page, at)?)), size(u32_at(page, at + 4)?))?;
        return Ok(Element::Branch { key, page: u64_at(page, at + 8)? });
    }
    let key_at = at.saturating_add(size(u32_at(page, at + 4)?));
    let key_size = size(u32_at(page, at + 8)?);
    let value = part(key_at.saturating_add(key_size), size(u32_at(page, at + 12)?))?;
    Ok(Element::Leaf { key: part(key_at, key_size)?, value, bucket: u32_at(page, at)? & BUCKET != 0 })
}

/// Small databases made in code.
#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "the databases of tests are small")]
pub(super) mod testing {
    use super::*;

    const PAGE: usize = 4096;

    /// A leaf page with these keys, as one page or inside its parent's.
    pub(crate) fn leaf(items: &[(&[u8], Vec<u8>, u32)]) -> Vec<u8> {
        let mut page = vec![0; HEADER + items.len() * ELEMENT];
        page[8..10].copy_from_slice(&LEAF.to_le_bytes());
        page[10..12].copy_from_slice(&(items.len() as u16).to_le_bytes());
        for (index, (key, value, flags)) in items.iter().enumerate() {
            let at = HEADER + index * ELEMENT;
            let words = [*flags, (page.len() - at) as u32, key.len() as u32, value.len() as u32];
            page[at..at + ELEMENT].copy_from_slice(&words.map(u32::to_le_bytes).concat());
            page.extend_from_slice(key);
            page.extend_from_slice(value);
        }
        page
    }

    /// A bucket inside its parent's page.
    pub(crate) fn inline(items: &[(&[u8], Vec<u8>, u32)]) -> Vec<u8> {
        [vec![0; 16], leaf(items)].concat()
    }

    fn meta_page(number: u64, root: u64, transaction: u64) -> Vec<u8> {
        let mut meta = [MAGIC, VERSION, PAGE as u32, 0].map(u32::to_le_bytes).concat();
        meta.extend([root, 0, 2, 9, transaction].map(u64::to_le_bytes).concat());
        meta.extend(checksum(&meta).to_le_bytes());
        let mut page = [number.to_le_bytes().to_vec(), vec![4, 0, 0, 0, 0, 0, 0, 0], meta].concat();
        page.resize(PAGE, 0);
        page
    }

    /// A file whose root bucket is page 4 below a branch page 3; the older meta page points nowhere.
    pub(crate) fn file(root: &[(&[u8], Vec<u8>, u32)]) -> Vec<u8> {
        let mut branch = vec![0; HEADER];
        branch[8..10].copy_from_slice(&BRANCH.to_le_bytes());
        branch[10..12].copy_from_slice(&1_u16.to_le_bytes());
        let first = root[0].0;
        branch.extend([ELEMENT as u32, first.len() as u32].map(u32::to_le_bytes).concat());
        branch.extend(4_u64.to_le_bytes());
        branch.extend(first);
        let mut out = [meta_page(0, 77, 1), meta_page(1, 3, 2), vec![0; PAGE]].concat();
        for mut page in [branch, leaf(root)] {
            page.resize(PAGE, 0);
            out.extend(page);
        }
        out
    }

    #[test]
    fn keys_are_found_in_nested_buckets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.db");
        let inner = inline(&[(b"k", b"v".to_vec(), 0)]);
        let bytes = file(&[(b"a", inline(&[(b"b", inner, BUCKET), (b"c", vec![1], 0)]), BUCKET), (b"z", vec![2], 0)]);
        std::fs::write(&path, &bytes).unwrap();
        let bolt = Bolt::open(&path).unwrap();
        assert_eq!(bolt.get(&[b"a", b"b"], b"k").unwrap().as_deref(), Some(&b"v"[..]));
        assert_eq!(bolt.get(&[b"a", b"x"], b"k").unwrap(), None);
        assert_eq!(bolt.get(&[b"z"], b"k").unwrap(), None);
        assert_eq!(bolt.buckets(&[b"a"]).unwrap(), [b"b".to_vec()]);
        // Cut anywhere, the value is not found; changed anywhere, all that is found are bytes of the file.
        for at in (0..bytes.len()).filter(|at| at % PAGE < 160) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            std::fs::write(&path, &damaged).unwrap();
            if let Ok(bolt) = Bolt::open(&path) {
                let value = bolt.get(&[b"a", b"b"], b"k").ok().flatten();
                let names = bolt.buckets(&[b"a"]).unwrap_or_default();
                let is_in_file = |found: &Vec<u8>| memchr::memmem::find(&damaged, found).is_some();
                assert!(value.iter().chain(&names).all(is_in_file), "{at}: {value:?} {names:?}");
                assert!(names.len() <= 2, "{at}: {names:?}");
            }
            if at % 16 == 0 {
                std::fs::write(&path, &bytes[..at]).unwrap();
                assert!(Bolt::open(&path).and_then(|b| b.get(&[b"a", b"b"], b"k")).ok().flatten().is_none());
            }
        }
    }
}
