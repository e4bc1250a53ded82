//! Reading segments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pennypost_model::{AccountKey, Rid, Seq};
use pennypost_ports::PortError;

use super::cache::{Key, Names, Value};
use super::format::{Block, Directory, PREAMBLE, Piece, damaged, read_directory, read_preamble};
use super::{BLOCK, Column, Signed, SortFacts};
use crate::{Mailstore, StoreError, names};

/// What is read at once in the hope that the directory is in it.
const HEAD: u64 = 32 * 1024;
/// Objects that are listed at once.
const PAGE: usize = 500;

/// Each directory that is read gets a number of its own, so that blocks of other segments never answer for it.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// An open segment.
pub(super) struct Segment {
    pub name: String,
    number: u64,
    /// Where what the directory tells of begins.
    data: u64,
    pub directory: Directory,
    /// Origins of its messages, ascending.
    pub rids: Vec<u64>,
}

impl Segment {
    pub fn memory(&self) -> usize {
        let pieces: usize = self.directory.columns.iter().map(|(_, pieces)| pieces.len()).sum();
        let groups: usize = self.directory.signatures.iter().map(|signature| signature.groups.len()).sum();
        self.rids.capacity() * 8 + (pieces + groups) * size_of::<Piece>() + 512
    }

    pub fn lacks_text(&self, index: usize) -> bool {
        self.directory.without_text.binary_search(&(index as u32)).is_ok()
    }

    /// Messages in a block.
    pub fn messages_in(&self, block: usize) -> usize {
        self.rids.len().saturating_sub(block * BLOCK).min(BLOCK)
    }
}

/// The segments of an account, as they were listed.
pub struct Segments {
    store: Mailstore,
    pub(super) list: Vec<Arc<Segment>>,
    /// Names of those that another one contains.
    pub(super) contained: Vec<String>,
    /// Names of those that can't be read.
    pub(super) broken: Vec<String>,
}

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the segment in this list.
    pub segment: usize,
    /// Number of the block in the segment.
    pub block: usize,
    /// Number of the message in the block.
    pub slot: usize,
    /// Is its text there, too?
    pub has_text: bool,
}

impl Mailstore {
    /// The last entry that a segment covers; 0 if there is none.
    ///
    /// # Errors
    /// [`StoreError::Port`] when the object port can't answer now.
    pub async fn indexed_up_to(&self, account: AccountKey) -> Result<Seq, StoreError> {
        let names = self.listed_segments(account).await?;
        Ok(names.iter().map(|((_, high), _)| *high).max().unwrap_or(Seq::ZERO))
    }

    /// Those listed a moment ago, or else those of now.
    async fn listed_segments(&self, account: AccountKey) -> Result<Arc<Names>, StoreError> {
        let now = self.clock.now();
        if let Some(listed) = self.cache.names(account, now) {
            return Ok(listed);
        }
        let listed = Arc::new(self.segment_names(account).await?);
        self.cache.keep_names(account, &listed, now);
        Ok(listed)
    }

    /// The next look at the segments of the account is at those of now.
    pub fn look_at_segments_again(&self, account: AccountKey) {
        self.cache.forget_names(account);
    }

    pub(super) async fn segment_names(&self, account: AccountKey) -> Result<Names, StoreError> {
        let mut named = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.objects.list(&names::segments(account), after.as_deref(), PAGE).await?;
            named.extend(page.iter().filter_map(|object| Some((bounds(&object.name)?, object.name.clone()))));
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(named),
            }
        }
    }

    /// The segments that the account has now. Those that are damaged are passed over.
    ///
    /// # Errors
    /// [`StoreError::Port`] when the object port can't answer now.
    pub async fn segments(&self, account: AccountKey) -> Result<Segments, StoreError> {
        let mut named = (*self.listed_segments(account).await?).clone();
        // A larger one in front of those that it contains; of two for the same entries the newer one.
        named.sort_by(|((low, high), name), ((other_low, other_high), other)| {
            low.cmp(other_low).then(other_high.cmp(high)).then(other.cmp(name))
        });
        let mut segments =
            Segments { store: self.clone(), list: Vec::new(), contained: Vec::new(), broken: Vec::new() };
        let mut reached: Option<Seq> = None;
        for ((_, high), name) in named {
            if reached.is_some_and(|reached| high <= reached) {
                segments.contained.push(name);
                continue;
            }
            match self.open_segment(&name).await {
                Ok(segment) => {
                    reached = Some(high);
                    segments.list.push(segment);
                }
                Err(error) if error.is_temporary() => return Err(error),
                // Merged since the listing.
                Err(StoreError::Port(PortError::NotFound { .. })) => {}
                Err(error) => {
                    tracing::warn!(segment = name, %error, "segment passed over");
                    segments.broken.push(name);
                }
            }
        }
        Ok(segments)
    }

    async fn open_segment(&self, name: &str) -> Result<Arc<Segment>, StoreError> {
        let key = Key::Segment(name.to_owned());
        if let Some(Value::Segment(segment)) = self.cache.find(&key) {
            return Ok(segment);
        }
        let segment = Arc::new(self.read_segment(name).await?);
        self.cache.keep(key, Value::Segment(Arc::clone(&segment)));
        Ok(segment)
    }

    async fn read_segment(&self, name: &str) -> Result<Segment, StoreError> {
        let head = self.objects.get_range(name, 0, HEAD).await?;
        let piece = read_preamble(&head)?;
        let end = PREAMBLE + piece.len as usize;
        let directory = match head.get(PREAMBLE..end) {
            Some(packed) => read_directory(piece, packed)?,
            None => {
                let packed = self.objects.get_range(name, PREAMBLE as u64, u64::from(piece.len)).await?;
                read_directory(piece, &packed)?
            }
        };
        if bounds(name) != Some((directory.low, directory.high)) {
            return Err(damaged("it has another one's name"));
        }
        let mut rids = Vec::with_capacity(directory.rids.len());
        let mut rid = 0_u64;
        for distance in &directory.rids {
            rid = rid.checked_add(*distance).ok_or_else(|| damaged("rids do not ascend"))?;
            rids.push(rid);
        }
        if rids.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(damaged("rids do not ascend"));
        }
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Ok(Segment { name: name.to_owned(), number, data: end as u64, directory, rids })
    }
}

impl Segments {
    /// None at all, for who does not need them.
    #[must_use]
    pub fn none(store: &Mailstore) -> Segments {
        Segments { store: store.clone(), list: Vec::new(), contained: Vec::new(), broken: Vec::new() }
    }

    /// Where the message of that origin is; `None` if no segment has it. Messages that follow each other are
    /// found at once.
    #[must_use]
    pub fn place(&self, origin: Rid, near: Option<Place>) -> Option<Place> {
        if let Some(near) = near
            && let Some(segment) = self.list.get(near.segment)
        {
            let index = near.block * BLOCK + near.slot + 1;
            if segment.rids.get(index) == Some(&origin.0) {
                return Some(place(near.segment, segment, index));
            }
        }
        // They may overlap: every one is looked at that may have it.
        let seq = Seq(origin.0 / Rid::PER_ENTRY as u64);
        let candidates = self.list.iter().enumerate();
        candidates
            .filter(|(_, segment)| segment.directory.low < seq && seq <= segment.directory.high)
            .find_map(|(number, segment)| {
                let index = segment.rids.binary_search(&origin.0).ok()?;
                Some(place(number, segment, index))
            })
    }

    /// No segments at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A block of a column. `None` if it can't be read (any more): then its messages are read as they lie in
    /// their packs.
    ///
    /// # Errors
    /// [`StoreError::Port`] when the object port can't answer now.
    pub async fn block(
        &self,
        segment: usize,
        block: usize,
        column: Column,
    ) -> Result<Option<Arc<Block>>, StoreError> {
        let Some(segment) = self.list.get(segment) else { return Ok(None) };
        passed_over(&segment.name, self.store.segment_block(segment, block, column, true).await)
    }

    /// As [`Segments::block`], for a reader that goes through blocks that are not asked for again soon: it is
    /// not kept.
    ///
    /// # Errors
    /// [`StoreError::Port`] when the object port can't answer now.
    pub async fn block_in_passing(
        &self,
        segment: usize,
        block: usize,
        column: Column,
    ) -> Result<Option<Arc<Block>>, StoreError> {
        let Some(segment) = self.list.get(segment) else { return Ok(None) };
        passed_over(&segment.name, self.store.segment_block(segment, block, column, false).await)
    }

    /// In which blocks of a segment a folded text may stand: a bit for each. `None`: in any.
    ///
    /// # Errors
    /// [`StoreError::Port`] when the object port can't answer now.
    pub async fn possible(
        &self,
        segment: usize,
        signed: Signed,
        text: &[u8],
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(segment) = self.list.get(segment) else { return Ok(None) };
        let Some(signature) = segment.directory.signatures.get(signed as usize) else { return Ok(None) };
        let Some(asks) = signature.asks(text) else { return Ok(None) };
        let mut possible: Option<Vec<u8>> = None;
        for ask in asks {
            let group = self.store.segment_group(segment, signed, ask.group).await;
            let Some(group) = passed_over(&segment.name, group)? else { return Ok(None) };
            let Some(row) = group.get(ask.bytes) else { return Ok(None) };
            match &mut possible {
                None => possible = Some(row.to_vec()),
                Some(possible) => possible.iter_mut().zip(row).for_each(|(all, row)| *all &= row),
            }
            if possible.as_ref().is_some_and(|possible| possible.iter().all(|byte| *byte == 0)) {
                break;
            }
        }
        Ok(possible)
    }
}

/// What can't be read for good is as if it was not there.
fn passed_over<T>(name: &str, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_temporary() => Err(error),
        Err(error) => {
            tracing::warn!(segment = name, %error, "segment passed over");
            Ok(None)
        }
    }
}

impl Mailstore {
    pub(super) async fn segment_block(
        &self,
        segment: &Segment,
        block: usize,
        column: Column,
        keep: bool,
    ) -> Result<Arc<Block>, StoreError> {
        let key = Key::Block(segment.number, column as u8, block as u32);
        if let Some(Value::Block(block)) = self.cache.find(&key) {
            return Ok(block);
        }
        let column = segment.directory.columns.get(column as usize);
        let (start, pieces) = column.ok_or_else(|| damaged("it lacks a column"))?;
        let piece = pieces.get(block).ok_or_else(|| damaged("it lacks a block"))?;
        let before: u64 = pieces[..block].iter().map(|piece| u64::from(piece.len)).sum();
        let at = segment.data.saturating_add(*start).saturating_add(before);
        let packed = self.objects.get_range(&segment.name, at, u64::from(piece.len)).await?;
        let read = Arc::new(Block::new(piece.read(&packed)?, segment.messages_in(block))?);
        if keep {
            self.cache.keep(key, Value::Block(Arc::clone(&read)));
        }
        Ok(read)
    }

    pub(super) async fn segment_group(
        &self,
        segment: &Segment,
        signed: Signed,
        group: usize,
    ) -> Result<Arc<Vec<u8>>, StoreError> {
        let key = Key::Group(segment.number, signed as u8, group as u32);
        if let Some(Value::Group(group)) = self.cache.find(&key) {
            return Ok(group);
        }
        let signature = segment.directory.signatures.get(signed as usize);
        let signature = signature.ok_or_else(|| damaged("it lacks a signature"))?;
        let piece = signature.groups.get(group).ok_or_else(|| damaged("it lacks a group"))?;
        let before: u64 = signature.groups[..group].iter().map(|piece| u64::from(piece.len)).sum();
        let at = segment.data.saturating_add(signature.start).saturating_add(before);
        let packed = self.objects.get_range(&segment.name, at, u64::from(piece.len)).await?;
        let read = Arc::new(piece.read(&packed)?);
        self.cache.keep(key, Value::Group(Arc::clone(&read)));
        Ok(read)
    }
}

impl SortFacts {
    /// From [`Column::Facts`] of a message.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<SortFacts> {
        postcard::from_bytes(bytes).ok()
    }
}

fn place(number: usize, segment: &Segment, index: usize) -> Place {
    let has_text = !segment.lacks_text(index);
    Place { segment: number, block: index / BLOCK, slot: index % BLOCK, has_text }
}

fn bounds(name: &str) -> Option<(Seq, Seq)> {
    let (low, high) = name.rsplit('/').next()?.split_once('-')?;
    // What follows tells segments of the same range apart.
    let high = high.split('-').next()?;
    Some((Seq(low.parse().ok()?), Seq(high.parse().ok()?)))
}
