//! Looking into messages: those of segments block by block, the others as they lie in their packs.
//!
//! Both ways look into the same text (`pennypost_mime::search`), so that they find the same. A search holds a few
//! blocks at once; of messages outside segments as many as their account's share of the memory for messages under
//! way allows, and of one that is larger than the share the beginning is searched.

use std::collections::HashMap;
use std::sync::Arc;

use pennypost_fold::Row;
use pennypost_mailstore::blobs::Message;
use pennypost_mailstore::segment::{Block, Column, Place, Segments, Signed, Text, Texts};
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_mime::search::header_text;
use pennypost_model::AccountKey;
use pennypost_model::message::BlobRef;
use pennypost_model::structure::Structure;

use super::test::{Absent, Known, Leaves, Needs, Test};
use crate::imap::command::fetch::reserve;
use crate::net::{Holder, Memory};

/// Messages of no segment that are opened together.
const TOGETHER: usize = 32;
/// After so many of them, housekeeping is asked for a segment.
const MANY: usize = 128;
/// Texts from this size on are decoded on another thread.
const LARGE: u64 = 64 * 1024;

/// A message that is looked at.
pub(super) struct Candidate {
    pub number: u32,
    pub row: Row,
    /// `\Recent`
    pub recent: bool,
    /// `None` until it is known.
    pub holds: Option<bool>,
}

/// A search under way.
pub(super) struct Scan<'a> {
    store: &'a Mailstore,
    memory: &'a Memory,
    account: AccountKey,
    test: &'a Test,
    leaves: Leaves,
    needs: Needs,
    segments: Option<Segments>,
    near: Option<Place>,
    /// For each segment and text, the blocks in which it can be, in headers and in texts.
    possible: HashMap<usize, Vec<[Option<Vec<u8>>; 2]>>,
    opened: usize,
}

impl<'a> Scan<'a> {
    pub fn new(
        store: &'a Mailstore,
        memory: &'a Memory,
        account: AccountKey,
        test: &'a Test,
        leaves: Leaves,
    ) -> Scan<'a> {
        let needs = test.needs();
        Scan {
            store,
            memory,
            account,
            test,
            leaves,
            needs,
            segments: None,
            near: None,
            possible: HashMap::new(),
            opened: 0,
        }
    }

    /// Opens the segments if they are needed.
    pub async fn prepare(mut self) -> Result<Scan<'a>, StoreError> {
        if self.needs != Needs::default() {
            self.segments = Some(self.store.segments(self.account).await?);
        }
        Ok(self)
    }

    /// Tests what the row tells.
    pub fn look(&self, number: u32, row: &Row, recent: bool) -> Option<bool> {
        self.test.holds(&Known { row, number, recent, main: None, other: None, text: None, absent: None })
    }

    /// Asks for a segment if many messages had none.
    pub fn finish(&self) {
        if self.opened >= MANY {
            self.store.want_index_now(self.account);
        }
    }

    /// Decides those that are open.
    pub async fn decide(&mut self, candidates: &mut [Candidate]) -> Result<(), StoreError> {
        let mut placed: Vec<(Place, usize)> = Vec::new();
        let mut outside: Vec<usize> = Vec::new();
        for (index, candidate) in candidates.iter().enumerate() {
            if candidate.holds.is_some() {
                continue;
            }
            let place =
                self.segments.as_ref().and_then(|segments| segments.place(candidate.row.origin, self.near));
            self.near = place.or(self.near);
            match place {
                Some(place) => placed.push((place, index)),
                None => outside.push(index),
            }
        }
        placed.sort_unstable_by_key(|(place, index)| (place.segment, place.block, *index));
        for group in placed.chunk_by(|(a, _), (b, _)| (a.segment, a.block) == (b.segment, b.block)) {
            self.decide_block(candidates, group, &mut outside).await?;
        }
        outside.sort_unstable();
        for some in outside.chunks(TOGETHER) {
            self.decide_outside(candidates, some).await?;
        }
        Ok(())
    }

    /// Decides messages of one block; those that it can't tell of come to `outside`.
    async fn decide_block(
        &mut self,
        candidates: &mut [Candidate],
        group: &[(Place, usize)],
        outside: &mut Vec<usize>,
    ) -> Result<(), StoreError> {
        let Some((first, _)) = group.first().copied() else { return Ok(()) };
        let absent = self.absent(first).await?;
        let mut blocks: [Option<Arc<Block>>; 3] = [None, None, None];
        let columns = [
            (self.needs.main, Column::MainFields),
            (self.needs.other, Column::OtherFields),
            (self.needs.text, Column::Text),
        ];
        let mut is_open = self.test_block(candidates, group, &absent, &blocks);
        for (slot, (needed, column)) in columns.into_iter().enumerate() {
            if !is_open {
                return Ok(());
            }
            if !needed {
                continue;
            }
            let Some(segments) = &self.segments else { break };
            // Texts of a large mailbox would drive everything else out of the memory for blocks.
            let block = if column == Column::Text {
                segments.block_in_passing(first.segment, first.block, column).await?
            } else {
                segments.block(first.segment, first.block, column).await?
            };
            let Some(block) = block else { break };
            blocks[slot] = Some(block);
            is_open = self.test_block(candidates, group, &absent, &blocks);
            if column == Column::Text {
                tokio::task::yield_now().await;
            }
        }
        let open = group.iter().map(|(_, index)| *index);
        outside.extend(open.filter(|index| candidates.get(*index).is_some_and(|c| c.holds.is_none())));
        Ok(())
    }

    /// Tests the open ones of a group on what is there of their block; `true` if some are open still.
    fn test_block(
        &self,
        candidates: &mut [Candidate],
        group: &[(Place, usize)],
        absent: &Absent,
        [main, other, text]: &[Option<Arc<Block>>; 3],
    ) -> bool {
        let mut is_open = false;
        for (place, index) in group {
            let Some(candidate) = candidates.get_mut(*index).filter(|c| c.holds.is_none()) else { continue };
            let without_text;
            let absent = if place.has_text {
                absent
            } else {
                without_text = Absent { header: absent.header.clone(), text: Vec::new() };
                &without_text
            };
            let known = Known {
                row: &candidate.row,
                number: candidate.number,
                recent: candidate.recent,
                main: main.as_deref().map(|block| block.message(place.slot)),
                other: other.as_deref().map(|block| block.message(place.slot)),
                text: text
                    .as_deref()
                    .filter(|_| place.has_text)
                    .map(|block| Text::unpack(block.message(place.slot))),
                absent: Some(absent),
            };
            candidate.holds = self.test.holds(&known);
            is_open |= candidate.holds.is_none();
        }
        is_open
    }

    /// Which texts are nowhere in a block.
    async fn absent(&mut self, place: Place) -> Result<Absent, StoreError> {
        if !self.possible.contains_key(&place.segment) {
            let possible = self.possible_in(place.segment).await?;
            self.possible.insert(place.segment, possible);
        }
        let possible = self.possible.get(&place.segment).map(Vec::as_slice).unwrap_or_default();
        let is_absent = |blocks: &Option<Vec<u8>>| {
            let byte = blocks.as_ref().and_then(|blocks| blocks.get(place.block / 8));
            byte.is_some_and(|byte| byte >> (place.block % 8) & 1 == 0)
        };
        Ok(Absent {
            header: possible.iter().map(|[header, _]| is_absent(header)).collect(),
            text: possible.iter().map(|[_, text]| is_absent(text)).collect(),
        })
    }

    async fn possible_in(&self, segment: usize) -> Result<Vec<[Option<Vec<u8>>; 2]>, StoreError> {
        let mut all = Vec::with_capacity(self.leaves.len());
        for leaf in &self.leaves {
            let mut both = [None, None];
            if let Some(segments) = &self.segments {
                let text = leaf.needle.bytes();
                if self.needs.main || self.needs.other {
                    both[0] = segments.possible(segment, Signed::Header, text).await?;
                }
                if self.needs.text {
                    both[1] = segments.possible(segment, Signed::Text, text).await?;
                }
            }
            all.push(both);
        }
        Ok(all)
    }

    /// Decides messages that no segment tells of.
    async fn decide_outside(
        &mut self,
        candidates: &mut [Candidate],
        indexes: &[usize],
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<usize> = Vec::with_capacity(indexes.len());
        for index in indexes {
            let Some(candidate) = candidates.get_mut(*index) else { continue };
            candidate.holds =
                self.store.texts(candidate.row.blob).and_then(|texts| self.holds_in(candidate, &texts));
            if candidate.holds.is_none() {
                wanted.push(*index);
            }
        }
        let blobs: Vec<BlobRef> = wanted.iter().map(|index| candidates[*index].row.blob).collect();
        let opened = self.store.open_many(self.account.tenant, &blobs).await;
        self.opened += opened.len();
        for (index, message) in wanted.into_iter().zip(opened) {
            let Some(candidate) = candidates.get_mut(index) else { continue };
            let holds = match message {
                Ok(message) => Box::pin(self.holds_of_message(candidate, &message)).await,
                Err(error) => Err(error),
            };
            candidate.holds = match holds {
                Ok(holds) => Some(holds),
                Err(error) if error.is_temporary() => return Err(error),
                // A damaged message is found by nothing; `pennypost verify` tells of it.
                Err(error) => {
                    tracing::error!(uid = candidate.row.uid.0, %error, "a message can't be searched");
                    Some(false)
                }
            };
        }
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn holds_of_message(&self, candidate: &Candidate, message: &Message) -> Result<bool, StoreError> {
        let mut share = self.memory.share(Holder::Account(self.account));
        reserve(&mut share, message.header_len()).await?;
        let mut structure = message.sidecar().await?.structure;
        let mut texts =
            Texts { header: header_text(&message.header().await?, &structure.envelope), text: None };
        if let Some(holds) = self.holds_in(candidate, &texts) {
            if !self.needs.text {
                self.store.keep_texts(candidate.row.blob, Arc::new(texts));
            }
            return Ok(holds);
        }
        let most = self.memory.most() as u64;
        let len = message.size().min(most);
        // Given back first: two messages that each wait for more of the same share would wait in vain.
        drop(std::mem::replace(&mut share, self.memory.share(Holder::Account(self.account))));
        reserve(&mut share, len).await?;
        let raw = if len == message.size() {
            message.whole().await?
        } else {
            cut_parts(&mut structure, len);
            message.range(0..len).await?
        };
        let is_whole = len == message.size();
        let text = if message.size() >= LARGE {
            let decoding = move || Text::of(&structure, &raw);
            let decoded = tokio::task::spawn_blocking(decoding).await;
            decoded.map_err(|panicked| StoreError::Damaged(panicked.to_string()))?
        } else {
            Text::of(&structure, &raw)
        };
        texts.text = Some(text);
        let holds = self.holds_in(candidate, &texts).unwrap_or(false);
        if is_whole {
            self.store.keep_texts(candidate.row.blob, Arc::new(texts));
        }
        Ok(holds)
    }

    /// Tests a message on these texts.
    fn holds_in(&self, candidate: &Candidate, texts: &Texts) -> Option<bool> {
        let text = texts.text.as_ref().map(|text| (text.body.as_bytes(), text.part_headers.as_bytes()));
        self.test.holds(&Known {
            row: &candidate.row,
            number: candidate.number,
            recent: candidate.recent,
            main: Some(texts.header.main.as_bytes()),
            other: Some(texts.header.rest.as_bytes()),
            text,
            absent: None,
        })
    }
}

/// Leaves of the parts of a message what is among its first `len` bytes.
fn cut_parts(structure: &mut Structure, len: u64) {
    for part in &mut structure.parts {
        part.body.end = part.body.end.min(len);
        part.body.start = part.body.start.min(part.body.end);
    }
}
