//! The documents of one feed on their way into its part.

use crate::config::Feed;
use crate::error::FeedError;
use crate::format::{FeedReader, Records};
use crate::part::PartBuilder;
use std::io::{self, Read};
use std::path::Path;

/// A feed with more unreadable documents than one in so many is damaged.
const UNREADABLE: u64 = 100;
/// So many unreadable documents are never damage.
const FEW: u64 = 10;

/// What was read of a feed so far.
pub(super) struct FeedDocuments {
    reader: Box<dyn FeedReader>,
    builder: PartBuilder,
    /// Whether the feed's fixes are for subscribers of extended support only.
    paid: bool,
    /// Documents with records.
    read: u64,
    /// The first document that could not be read, and why.
    first: String,
    /// The first failure of the disk; records after it are lost.
    failed: Option<io::Error>,
}

impl FeedDocuments {
    /// Of no document yet; temporary files are in `folder`.
    pub(super) fn new(feed: &Feed, folder: &Path) -> Self {
        FeedDocuments {
            reader: feed.format.reader(&feed.context()),
            builder: PartBuilder::new(folder),
            paid: feed.paid,
            read: 0,
            first: String::new(),
            failed: None,
        }
    }

    /// Reads one document. One that cannot be read is counted.
    pub(super) fn document(&mut self, name: &str, content: &mut dyn Read) {
        let FeedDocuments { reader, builder, paid, failed, .. } = self;
        let mut drain = |records: &mut _| *failed = failed.take().or(add(builder, records, *paid).err());
        match reader.document(name, content, &mut drain) {
            Ok(true) => self.read += 1,
            Ok(false) => {}
            Err(problem) => {
                if self.first.is_empty() {
                    self.first = format!("{name}: {problem}");
                }
                builder.unreadable();
            }
        }
    }

    /// Adds the records that the reader still has.
    pub(super) fn finish(mut self) -> io::Result<CompleteDocuments> {
        match self.failed {
            Some(error) => return Err(error),
            None => add(&mut self.builder, &mut self.reader.finish(), self.paid)?,
        }
        Ok(CompleteDocuments { builder: self.builder, read: self.read, first: self.first })
    }
}

/// Adds records as their feed declares them.
fn add(builder: &mut PartBuilder, records: &mut Records, paid: bool) -> io::Result<()> {
    if paid {
        records.without_offers();
    }
    builder.add(records)
}

/// All documents of a feed.
pub(super) struct CompleteDocuments {
    builder: PartBuilder,
    read: u64,
    first: String,
}

impl CompleteDocuments {
    /// The records, if there are any and the documents are not damaged.
    pub(super) fn sound(self, feed: &Feed) -> Result<PartBuilder, FeedError> {
        let CompleteDocuments { builder, read, first } = self;
        let (unreadable, name, location) = (builder.count_unreadable(), feed.name.clone(), feed.location());
        let documents = read + unreadable;
        if unreadable > 0 && (read == 0 || unreadable > FEW && unreadable > documents / UNREADABLE) {
            return Err(FeedError::Damaged { feed: name, location, unreadable, documents, first });
        }
        if read == 0 || builder.is_empty() {
            return Err(FeedError::Empty { feed: name, location, format: feed.format.name.to_owned() });
        }
        Ok(builder)
    }
}
