//! What SORT and THREAD read of messages, within the account's share of memory: from segments, and of messages that
//! no segment has from the messages themselves.

use std::sync::Arc;

use futures::StreamExt;
use pennypost_fold::Row;
use pennypost_mailstore::blobs::Message;
use pennypost_mailstore::segment::{Block, Column, Place, Segments, SortFacts};
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_model::message::BlobRef;
use pennypost_model::{AccountKey, Timestamp, UidSet};

use super::fetch::reserve;
use super::nothing_selected;
use crate::imap::collation;
use crate::imap::response::Reply;
use crate::imap::session::Session;
use crate::imap::threads::Letter;
use crate::net::{Holder, Memory, Share};

/// Messages that are read at the same time.
const WIDTH: usize = 8;
/// Messages of no segment that are opened together.
const TOGETHER: usize = 32;
/// After so many of them, housekeeping is asked for a segment.
const MANY: usize = 64;
/// Messages after which memory is asked for and other sessions have a turn.
const TURN: usize = 512;

/// Reads messages of one account.
struct Library<'a> {
    store: &'a Mailstore,
    account: AccountKey,
    memory: &'a Memory,
    segments: Segments,
    near: Option<Place>,
    held: Option<(usize, usize, Arc<Block>)>,
    opened: usize,
}

impl Library<'_> {
    /// What these messages are sorted by. A damaged one has nothing; `pennypost verify` tells of it.
    async fn read(&mut self, rows: &[(usize, Row)]) -> Result<Vec<SortFacts>, StoreError> {
        let mut all = vec![SortFacts::default(); rows.len()];
        let mut missing = Vec::new();
        for (index, (_, row)) in rows.iter().enumerate() {
            match self.kept(row).await? {
                Some(facts) => all[index] = facts,
                None => missing.push(index),
            }
        }
        self.opened += missing.len();
        for some in missing.chunks(TOGETHER) {
            let blobs: Vec<BlobRef> = some.iter().map(|index| rows[*index].1.blob).collect();
            let opened = self.store.open_many(self.account.tenant, &blobs).await;
            let reading = some.iter().copied().zip(opened).map(|(index, message)| {
                let (memory, account) = (self.memory, self.account);
                async move { (index, parse(message, memory, account).await) }
            });
            let mut reading = futures::stream::iter(reading).buffered(WIDTH);
            while let Some((index, facts)) = reading.next().await {
                match facts {
                    Ok(facts) => all[index] = facts,
                    Err(error) if error.is_temporary() => return Err(error),
                    Err(error) => {
                        tracing::error!(uid = rows[index].1.uid.0, %error, "a message can't be sorted");
                    }
                }
            }
        }
        if self.opened >= MANY {
            self.opened = 0;
            self.store.want_index(self.account);
        }
        Ok(all)
    }

    /// From its segment.
    async fn kept(&mut self, row: &Row) -> Result<Option<SortFacts>, StoreError> {
        let Some(place) = self.segments.place(row.origin, self.near) else { return Ok(None) };
        self.near = Some(place);
        let is_held = self
            .held
            .as_ref()
            .is_some_and(|(segment, block, _)| (*segment, *block) == (place.segment, place.block));
        if !is_held {
            let block = self.segments.block_in_passing(place.segment, place.block, Column::Facts).await?;
            self.held = block.map(|block| (place.segment, place.block, block));
        }
        Ok(self.held.as_ref().and_then(|(_, _, block)| SortFacts::read(block.message(place.slot))))
    }
}

async fn parse(
    message: Result<Message, StoreError>,
    memory: &Memory,
    account: AccountKey,
) -> Result<SortFacts, StoreError> {
    let message = message?;
    let mut share = memory.share(Holder::Account(account));
    reserve(&mut share, message.header_len()).await?;
    let sidecar = message.sidecar().await?;
    Ok(SortFacts::of(&message.header().await?, &sidecar))
}

/// When a message was sent, or else when it came (RFC 5256 section 2.2).
pub(super) fn sent(row: &Row) -> Timestamp {
    row.sent.map_or(row.internal_date, pennypost_fold::Seconds::timestamp)
}

/// The letter by which a thread is made.
pub(super) fn letter(row: &Row, facts: &SortFacts, name: u32, position: u32) -> Letter {
    let hash = |id: &String| pennypost_mime::message_id_hash(id);
    Letter {
        name,
        position,
        date: sent(row).0,
        id: facts.message_id.as_ref().map_or(0, hash),
        references: facts.references.iter().map(hash).filter(|id| *id != 0).collect(),
        subject: collation::key(&facts.base_subject),
        is_reply: facts.is_reply,
    }
}

impl Session {
    /// Makes something of each of these messages, in the order of the mailbox. `octets` tells how much memory
    /// each takes, which is asked for; it is held as long as the share is.
    pub(super) async fn read_each<T>(
        &mut self,
        uids: &UidSet,
        tag: &str,
        opens: bool,
        make: impl Fn(usize, Row, &SortFacts) -> T + Send,
        octets: impl Fn(&T) -> usize + Send,
    ) -> Result<(Vec<T>, Share), Reply> {
        let live = self.selected()?;
        let view = self.view.as_ref().ok_or_else(nothing_selected)?;
        let memory = self.adapter.memory.clone();
        let mut library = Library {
            store: live.store(),
            account: live.key(),
            memory: &memory,
            segments: live.store().segments(live.key()).await?,
            near: None,
            held: None,
            opened: 0,
        };
        let mut share = memory.share(Holder::Account(live.key()));
        let rows: Vec<(usize, Row)> =
            view.shown().rows.select(uids).map(|(position, row)| (position, view.now(row))).collect();
        let mut taken = rows.len() * size_of::<(usize, Row)>();
        let mut progress = self.progress(tag, rows.len());
        let mut all = Vec::with_capacity(rows.len());
        reserve(&mut share, taken as u64).await?;
        for some in rows.chunks(TURN) {
            let nothing = SortFacts::default();
            let read = if opens { library.read(some).await? } else { Vec::new() };
            for (index, (position, row)) in some.iter().enumerate() {
                let one = make(*position, *row, read.get(index).unwrap_or(&nothing));
                taken += octets(&one);
                all.push(one);
            }
            reserve(&mut share, taken as u64).await?;
            progress
                .went_on(&mut self.stream, some.len())
                .await
                .map_err(|_| Reply::no("the connection is over"))?;
            tokio::task::yield_now().await;
        }
        Ok((all, share))
    }
}
