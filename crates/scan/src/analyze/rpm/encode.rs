//! Databases made in code, for tests: the smallest files that the formats allow.
#![allow(clippy::cast_possible_truncation, reason = "the databases of tests are small")]

/// The value of a header's entry.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    Text(&'a str),
    Int(u32),
    Ints(&'a [u32]),
    Texts(&'a [&'a str]),
}

/// A header with a signed region over all its entries, as rpm stores it.
pub(super) fn header(fields: &[(u32, Field<'_>)]) -> Vec<u8> {
    let (mut index, mut data) = (Vec::new(), Vec::new());
    for (tag, field) in fields {
        let kind = match field {
            Field::Text(_) => 6,
            Field::Texts(_) => 8,
            Field::Int(_) | Field::Ints(_) => {
                data.resize(data.len().next_multiple_of(4), 0);
                4
            }
        };
        let count = match field {
            Field::Texts(all) => all.len(),
            Field::Ints(all) => all.len(),
            _ => 1,
        };
        index.push([*tag, kind, data.len() as u32, count as u32]);
        match field {
            Field::Text(text) => data.extend([text.as_bytes(), b"\0"].concat()),
            Field::Texts(all) => data.extend(all.iter().flat_map(|text| [text.as_bytes(), b"\0"].concat())),
            Field::Int(value) => data.extend(value.to_be_bytes()),
            Field::Ints(all) => data.extend(all.iter().flat_map(|value| value.to_be_bytes())),
        }
    }
    index.insert(0, [63, 7, data.len() as u32, 16]);
    let entries = index.len() as u32;
    let trailer = [63, 7, (entries * 16).wrapping_neg(), 16];
    data.extend(trailer.iter().flat_map(|w: &u32| w.to_be_bytes()));
    let words = [entries, data.len() as u32].into_iter().chain(index.into_iter().flatten());
    words.flat_map(u32::to_be_bytes).chain(data).collect()
}

pub(super) fn rpm(name: &str, epoch: Option<u32>, version: &str, release: &str, more: &[(u32, Field<'_>)]) -> Vec<u8> {
    let mut fields = vec![(1000, Field::Text(name)), (1001, Field::Text(version)), (1002, Field::Text(release))];
    fields.extend(epoch.map(|e| (1003, Field::Int(e))));
    fields.extend(more);
    header(&fields)
}

/// Three packages, the second larger than a page.
pub(super) fn three() -> Vec<Vec<u8>> {
    let long = "x".repeat(3000);
    vec![
        rpm("small", None, "1.0", "1", &[]),
        rpm("large", Some(2), "2.0", "1", &[(1005, Field::Text(&long))]),
        rpm("last", None, "3.0", "1", &[]),
    ]
}

pub(super) fn ndb(blobs: &[Vec<u8>]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    let mut file = [b"RpmP".to_vec(), words(&[0, 1, 1, blobs.len() as u32 + 1, 0, 0, 0])].concat();
    while file.len() < 4096 {
        file.extend([b"Slot".to_vec(), words(&[0, 0, 0])].concat());
    }
    for (index, blob) in blobs.iter().enumerate() {
        let (number, start) = (index as u32 + 1, file.len());
        let blocks = (16 + blob.len() + 12).div_ceil(16);
        file.extend([b"BlbS".to_vec(), words(&[number, 1, blob.len() as u32]), blob.clone()].concat());
        file.resize(start + blocks * 16 - 12, 0);
        let sum = file[start..].iter().fold((1_u32, 0_u32), |(a, b), byte| {
            let a = (a + u32::from(*byte)) % 65521;
            (a, (b + a) % 65521)
        });
        file.extend([words(&[sum.1 << 16 | sum.0, blob.len() as u32]), b"BlbE".to_vec()].concat());
        let slot = words(&[number, (start / 16) as u32, blocks as u32]);
        file[32 + index * 16 + 4..][..12].copy_from_slice(&slot);
    }
    file
}

/// A hash file whose second page has all items.
pub(super) fn bdb(blobs: &[Vec<u8>], little: bool) -> Vec<u8> {
    const PAGE: usize = 512;
    let w4 = |n: usize| if little { (n as u32).to_le_bytes() } else { (n as u32).to_be_bytes() };
    let w2 = |n: usize| if little { (n as u16).to_le_bytes() } else { (n as u16).to_be_bytes() };
    let mut pages = vec![[0_u8; PAGE]; 2];
    // The first pair is the counter of packages.
    let mut items = vec![vec![1, 0, 0, 0, 0], [&[1][..], &w4(blobs.len())].concat()];
    for (index, blob) in blobs.iter().enumerate() {
        items.push([&[1][..], &w4(index + 1)].concat());
        items.push([&[3, 0, 0, 0][..], &w4(pages.len()), &w4(blob.len())].concat());
        let mut parts = blob.chunks(PAGE - 26).peekable();
        while let Some(part) = parts.next() {
            let number = pages.len();
            let mut page = [0; PAGE];
            page[8..12].copy_from_slice(&w4(number));
            page[16..20].copy_from_slice(&w4(if parts.peek().is_some() { number + 1 } else { 0 }));
            page[22..24].copy_from_slice(&w2(part.len()));
            page[25] = 7;
            page[26..][..part.len()].copy_from_slice(part);
            pages.push(page);
        }
    }
    let last = w4(pages.len() - 1);
    let meta = &mut pages[0];
    for (at, word) in [(12, w4(0x61561)), (16, w4(9)), (20, w4(PAGE)), (32, last)] {
        meta[at..at + 4].copy_from_slice(&word);
    }
    meta[25] = 8;
    let hash = &mut pages[1];
    hash[8..12].copy_from_slice(&w4(1));
    hash[20..22].copy_from_slice(&w2(items.len()));
    hash[25] = 13;
    let mut end = PAGE;
    for (index, item) in items.iter().enumerate() {
        end -= item.len();
        hash[end..][..item.len()].copy_from_slice(item);
        hash[26 + 2 * index..][..2].copy_from_slice(&w2(end));
    }
    pages.concat()
}

const PAGE: usize = 1024;

fn varint(n: usize) -> Vec<u8> {
    if n < 128 { vec![n as u8] } else { vec![(n >> 7) as u8 | 0x80, n as u8 & 0x7f] }
}

/// A page of a table's b-tree with these cells, which begins at `start` of the page.
fn tree_page(kind: u8, start: usize, right: Option<u32>, cells: &[Vec<u8>]) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let mut end = PAGE;
    let mut at = start + if right.is_some() { 12 } else { 8 };
    page[start] = kind;
    page[start + 3..][..2].copy_from_slice(&(cells.len() as u16).to_be_bytes());
    if let Some(right) = right {
        page[start + 8..][..4].copy_from_slice(&right.to_be_bytes());
    }
    for cell in cells {
        end -= cell.len();
        page[end..][..cell.len()].copy_from_slice(cell);
        page[at..][..2].copy_from_slice(&(end as u16).to_be_bytes());
        at += 2;
    }
    page
}

/// A SQLite file: the schema, an interior page, a leaf for each blob, overflow pages.
pub(super) fn sqlite(blobs: &[Vec<u8>]) -> Vec<u8> {
    let schema = [&[6, 23, 29, 29, 1, 13][..], b"table", b"Packages", b"Packages", &[2]].concat();
    let cell = [varint(schema.len()), vec![1], schema].concat();
    let mut pages = vec![tree_page(0x0d, 100, None, &[cell]), Vec::new()];
    let leaves = 3..3 + blobs.len() as u32;
    let inner: Vec<Vec<u8>> =
        leaves.clone().zip(1..).map(|(leaf, row)| [&leaf.to_be_bytes()[..], &varint(row)].concat()).collect();
    pages[1] = tree_page(0x05, 0, Some(leaves.end - 1), &inner[..blobs.len() - 1]);
    let mut overflow = Vec::new();
    for (blob, row) in blobs.iter().zip(1..) {
        let kinds = [vec![0], varint(12 + 2 * blob.len())].concat();
        let record = [varint(kinds.len() + 1), kinds, blob.clone()].concat();
        let (most, least) = (PAGE - 35, (PAGE - 12) * 32 / 255 - 23);
        let rest = least + record.len().saturating_sub(least) % (PAGE - 4);
        let local = match record.len() {
            len if len <= most => len,
            _ if rest <= most => rest,
            _ => least,
        };
        let mut cell = [varint(record.len()), varint(row), record[..local].to_vec()].concat();
        let mut parts = record[local..].chunks(PAGE - 4).peekable();
        let mut number = leaves.end + overflow.len() as u32;
        if parts.peek().is_some() {
            cell.extend(number.to_be_bytes());
        }
        while let Some(part) = parts.next() {
            number += 1;
            let next = if parts.peek().is_some() { number } else { 0 };
            let mut page = [&next.to_be_bytes()[..], part].concat();
            page.resize(PAGE, 0);
            overflow.push(page);
        }
        pages.push(tree_page(0x0d, 0, None, &[cell]));
    }
    pages.extend(overflow);
    let mut file = pages.concat();
    let count = (file.len() / PAGE) as u32;
    file[..16].copy_from_slice(b"SQLite format 3\0");
    file[16..18].copy_from_slice(&(PAGE as u16).to_be_bytes());
    file[18..24].copy_from_slice(&[2, 2, 0, 64, 32, 32]);
    file[28..32].copy_from_slice(&count.to_be_bytes());
    file[56..60].copy_from_slice(&1_u32.to_be_bytes());
    file
}

/// A write-ahead log that puts every page of `after` that differs from `before` into one transaction.
pub(super) fn wal(before: &[u8], after: &[u8]) -> Vec<u8> {
    let sum = |sums: (u32, u32), bytes: &[u8]| {
        bytes.chunks_exact(8).fold(sums, |(a, b), pair| {
            let word = |at: usize| u32::from_be_bytes(pair[at..at + 4].try_into().unwrap());
            let a = a.wrapping_add(word(0)).wrapping_add(b);
            (a, b.wrapping_add(word(4)).wrapping_add(a))
        })
    };
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    let mut file = words(&[0x377f_0683, 3_007_000, PAGE as u32, 0, 7, 9]);
    let mut sums = sum((0, 0), &file);
    file.extend(words(&[sums.0, sums.1]));
    let pages: Vec<(usize, &[u8])> = after.chunks(PAGE).enumerate().collect();
    let changed: Vec<_> = pages.iter().filter(|(i, page)| before.get(i * PAGE..(i + 1) * PAGE) != Some(page)).collect();
    for (at, (index, page)) in changed.iter().enumerate() {
        let commit = if at + 1 == changed.len() { pages.len() } else { 0 };
        let head = words(&[*index as u32 + 1, commit as u32]);
        sums = sum(sum(sums, &head), page);
        file.extend([head, words(&[7, 9, sums.0, sums.1]), page.to_vec()].concat());
    }
    file
}
