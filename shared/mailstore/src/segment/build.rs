//! Building, merging and removing segments. Each call does one bounded piece of work.

use std::sync::Arc;

use pennypost_fold::State;
use pennypost_model::journal::Op;
use pennypost_model::message::BlobRef;
use pennypost_model::{AccountKey, Rid, Seq};
use pennypost_ports::Consistency;

use super::derive::{Derived, MAX_MESSAGE, derive};
use super::format::Builder;
use super::read::{Segment, Segments};
use super::{BLOCK, Column, MAX_MESSAGES};
use crate::{Mailstore, StoreError, names};

/// Bytes of a segment, compressed, from which on no more is added to it.
const MAX_BYTES: usize = 32 << 20;
/// Entries that are read at once.
const PAGE: usize = 200;
/// Neighbours of like size that are merged.
const FAN_IN: usize = 4;
/// A segment of which this share has no message any more is made anew.
const GONE_SHARE: usize = 4;
/// Bytes that are derived from messages that have gone for good go, too, within so many days (invariant 6).
const GONE_DAYS: i64 = 7;

/// What housekeeping wants of segments.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// So many messages without segment get one.
    pub tail: usize,
    /// Messages of the largest segments.
    pub max_messages: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { tail: 128, max_messages: MAX_MESSAGES }
    }
}

/// What one call did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Messages in new segments.
    pub written: usize,
    /// Segments removed.
    pub removed: usize,
    /// There is more to do.
    pub more: bool,
}

/// A message that can be asked for, by its origin.
type Known = (Rid, BlobRef);

/// Work on the segments of an account, for what one state of it holds.
pub struct Indexing<'a> {
    store: &'a Mailstore,
    account: AccountKey,
    newest: Seq,
    known: Vec<Known>,
    settings: Settings,
}

impl Indexing<'_> {
    /// Does a piece of what is to be done: removes segments that nobody needs, builds one for messages that have
    /// none, merges small ones, or makes one anew without what has gone.
    ///
    /// # Errors
    /// [`StoreError`]; what was done before it is done.
    #[pennypost_ports::compiled_here]
    pub async fn step(&self) -> Result<Indexed, StoreError> {
        let segments = self.store.segments(self.account).await?;
        self.store.index_listed(self, &segments).await
    }
}

impl Mailstore {
    /// Begins work on an account's segments. What is put together of the state is used by all pieces of it.
    #[must_use]
    pub fn indexing(&self, account: AccountKey, state: &State, settings: Settings) -> Indexing<'_> {
        Indexing { store: self, account, newest: state.seq, known: known(state), settings }
    }

    /// Have all messages segments, but for fewer than `tail` of the newest ones? Reads no more than what came
    /// after the last segment, and not the state.
    ///
    /// # Errors
    /// [`StoreError`].
    #[pennypost_ports::compiled_here]
    pub async fn is_indexed(&self, account: AccountKey, tail: usize) -> Result<bool, StoreError> {
        let segments = self.segments(account).await?;
        let mut reached = Seq::ZERO;
        for segment in &segments.list {
            if segment.directory.low > reached {
                return Ok(false);
            }
            reached = reached.max(segment.directory.high);
        }
        if !segments.contained.is_empty() || !segments.broken.is_empty() {
            return Ok(false);
        }
        let mut messages = 0;
        loop {
            let entries = self.journal.since(account, reached, PAGE, Consistency::Strong).await?;
            let ops = entries.iter().flat_map(|entry| &entry.ops);
            messages += ops.filter(|op| matches!(op, Op::Add(_))).count();
            match entries.last() {
                _ if messages >= tail => return Ok(false),
                Some(last) if entries.len() == PAGE => reached = last.seq,
                _ => return Ok(true),
            }
        }
    }

    async fn index_listed(&self, work: &Indexing<'_>, segments: &Segments) -> Result<Indexed, StoreError> {
        let Indexing { account, newest, known, settings, .. } = work;
        let account = *account;
        let mut done = Indexed::default();
        for name in segments.contained.iter().chain(&segments.broken) {
            self.remove_segment(account, name).await?;
            done.removed += 1;
        }
        if let Some((low, high, messages, more)) = gap(segments, known, *newest, settings) {
            done.written = self.build_segment(account, low, high, messages).await?;
            done.more = more || done.written > 0;
            return Ok(done);
        }
        if let Some(run) = self.to_merge(segments, known, settings) {
            match self.merge_segments(account, run, known).await {
                Ok(written) => done.written = written,
                Err(error) if error.is_temporary() => return Err(error),
                // Without them, their messages are derived anew.
                Err(error) => tracing::warn!(%account, %error, "segments can't be merged and are removed"),
            }
            for segment in run {
                self.remove_segment(account, &segment.name).await?;
                done.removed += 1;
            }
            done.more = true;
        }
        Ok(done)
    }

    /// Writes a segment of these messages.
    async fn build_segment(
        &self,
        account: AccountKey,
        low: Seq,
        high: Seq,
        messages: &[Known],
    ) -> Result<usize, StoreError> {
        let mut builder = Builder::new(low, high);
        for some in messages.chunks(BLOCK) {
            let blobs: Vec<BlobRef> = some.iter().map(|(_, blob)| *blob).collect();
            let opened = self.open_many(account.tenant, &blobs).await;
            for ((origin, _), message) in some.iter().zip(opened) {
                let derived = match message {
                    Ok(message) => derive_from(&message).await,
                    Err(error) => Err(error),
                };
                match derived {
                    Ok(Some(derived)) => builder.push(*origin, derived)?,
                    Ok(None) => {}
                    Err(error) if error.is_temporary() => return Err(error),
                    // It is read as it lies there, and `pennypost verify` tells of it.
                    Err(error) => tracing::warn!(%account, %origin, %error, "a message has no segment"),
                }
                breathe().await;
            }
        }
        self.put_segment(account, low, high, builder).await
    }

    async fn put_segment(
        &self,
        account: AccountKey,
        low: Seq,
        high: Seq,
        builder: Builder,
    ) -> Result<usize, StoreError> {
        let written = builder.len();
        let name = names::segment(account, low, high, self.ids.event(self.clock.now()));
        self.objects.put_unique(&name, builder.finish()?.into()).await?;
        self.cache.change_names(account, |names| names.push(((low, high), name)));
        Ok(written)
    }

    async fn remove_segment(&self, account: AccountKey, name: &str) -> Result<(), StoreError> {
        self.objects.delete(name).await?;
        self.cache.change_names(account, |names| names.retain(|(_, other)| other != name));
        Ok(())
    }

    /// The neighbours that are to become one; one alone if it is to be made anew.
    fn to_merge<'a>(
        &self,
        segments: &'a Segments,
        known: &[Known],
        settings: &Settings,
    ) -> Option<&'a [Arc<Segment>]> {
        let list = &segments.list;
        for (index, segment) in list.iter().enumerate() {
            let gone = segment.rids.iter().filter(|rid| !holds(known, **rid)).count();
            let is_old = || {
                let made = names::nonce_of(&segment.name).map_or(0, |nonce| nonce.time().0);
                self.clock.now().0 - made > GONE_DAYS * 86_400_000
            };
            if gone * GONE_SHARE > segment.rids.len() || (gone > 0 && is_old()) {
                return Some(&list[index..=index]);
            }
        }
        // The newest ones first, as far back as they are no larger than what they would be merged with.
        let mut messages = 0;
        let mut first = list.len();
        while let Some(before) = first.checked_sub(1).and_then(|index| list.get(index)) {
            let len = before.rids.len();
            let is_alike = first == list.len() || len <= 2 * messages;
            if !is_alike || messages + len > settings.max_messages {
                break;
            }
            messages += len;
            first -= 1;
        }
        Some(&list[first..]).filter(|run| run.len() >= FAN_IN)
    }

    async fn merge_segments(
        &self,
        account: AccountKey,
        run: &[Arc<Segment>],
        known: &[Known],
    ) -> Result<usize, StoreError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(0) };
        let (low, high) = (first.directory.low, last.directory.high);
        let mut builder = Builder::new(low, high);
        let mut newest = 0;
        for segment in run {
            for block in 0..segment.rids.len().div_ceil(BLOCK) {
                let mut columns = Vec::with_capacity(Column::ALL.len());
                for column in Column::ALL {
                    columns.push(self.segment_block(segment, block, column, false).await?);
                }
                for slot in 0..segment.messages_in(block) {
                    let index = block * BLOCK + slot;
                    let rid = segment.rids[index];
                    if rid <= newest || !holds(known, rid) {
                        continue;
                    }
                    newest = rid;
                    let mut derived = Derived { lacks_text: segment.lacks_text(index), ..Derived::default() };
                    for (column, block) in derived.columns.iter_mut().zip(&columns) {
                        *column = block.message(slot).to_vec();
                    }
                    builder.push(Rid(rid), derived)?;
                }
                breathe().await;
            }
        }
        self.put_segment(account, low, high, builder).await
    }
}

/// Everything that can be asked for, by origin, ascending.
pub(super) fn known(state: &State) -> Vec<Known> {
    let live = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter().map(|row| (row.origin, row.blob)));
    let restorable = state.deleted().iter().map(|deleted| (deleted.row.origin, deleted.row.blob));
    let mut known: Vec<Known> = live.chain(restorable).collect();
    known.sort_unstable_by_key(|(origin, _)| *origin);
    known.dedup_by_key(|(origin, _)| *origin);
    known
}

fn holds(known: &[Known], rid: u64) -> bool {
    known.binary_search_by_key(&rid, |(origin, _)| origin.0).is_ok()
}

fn seq_of(origin: Rid) -> Seq {
    Seq(origin.0 / Rid::PER_ENTRY as u64)
}

/// The entries, after one up to another, that a new segment is for, its messages, and whether more remain.
fn gap<'a>(
    segments: &Segments,
    known: &'a [Known],
    newest: Seq,
    settings: &Settings,
) -> Option<(Seq, Seq, &'a [Known], bool)> {
    let mut low = Seq::ZERO;
    let mut ends = segments.list.iter().map(|segment| (segment.directory.low, segment.directory.high));
    loop {
        let next = ends.next();
        let high = next.map_or(newest, |(begin, _)| begin);
        let from = known.partition_point(|(origin, _)| seq_of(*origin) <= low);
        let to = known.partition_point(|(origin, _)| seq_of(*origin) <= high);
        let between = known.get(from..to).unwrap_or_default();
        let wanted = if next.is_some() { 1 } else { settings.tail.max(1) };
        if low < high && between.len() >= wanted {
            let cut = cut(between, settings.max_messages.max(1));
            let more = cut < between.len();
            let high = if more { seq_of(between[cut - 1].0) } else { high };
            return Some((low, high, &between[..cut], more));
        }
        low = low.max(next?.1);
    }
}

/// How many of these go into one segment: whole entries, and no more bytes than are well held in memory.
fn cut(messages: &[Known], max: usize) -> usize {
    let mut bytes = 0;
    let mut last_end = 0;
    for (index, (origin, blob)) in messages.iter().enumerate() {
        let begins_entry = index > 0 && seq_of(*origin) != seq_of(messages[index - 1].0);
        if begins_entry {
            last_end = index;
        }
        bytes += (blob.len as usize).min(128 * 1024);
        if last_end > 0 && (index >= max || bytes > 2 * MAX_BYTES) {
            return last_end;
        }
    }
    messages.len()
}

pub(super) async fn derive_from(message: &crate::blobs::Message) -> Result<Option<Derived>, StoreError> {
    let sidecar = message.sidecar().await?;
    if message.size() > MAX_MESSAGE {
        return Ok(derive(&message.header().await?, None, &sidecar));
    }
    let raw = message.whole().await?;
    let header = raw.get(..message.header_len() as usize).unwrap_or_default();
    Ok(derive(header, Some(&raw), &sidecar))
}

/// Lets others have a turn.
async fn breathe() {
    let mut had_theirs = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut had_theirs, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
