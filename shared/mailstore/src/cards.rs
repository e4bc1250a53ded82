//! List cards: runs of them in objects for what bases have taken in, entries of the journal for the tail.

use std::collections::BTreeMap;

use pennypost_model::codec::{self, Versioned};
use pennypost_model::journal::{Entry, Op};
use pennypost_model::message::Card;
use pennypost_model::{AccountKey, Rid, Seq};
use pennypost_ports::PortError;
use serde::{Deserialize, Serialize};

use crate::compress::{compress_block, decompress_block};
use crate::{Mailstore, StoreError, names};

/// A card run is never larger than this before compression.
const MAX_RUN: usize = 256 << 20;
/// Entries that are read at once.
const PAGE: usize = 500;

#[derive(Serialize, Deserialize)]
struct CardRun(Vec<(Rid, Card)>);

impl Versioned for CardRun {
    const KIND: &'static str = "card run";
}

impl Mailstore {
    /// The encoded run of the cards of entries after `after` up to `upto`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gather_cards(
        &self,
        account: AccountKey,
        after: Seq,
        upto: Seq,
    ) -> Result<Vec<u8>, StoreError> {
        let mut run = Vec::new();
        let mut upto = upto;
        while upto > after {
            let entries = self.journal.before(account, upto, PAGE).await?;
            let Some(first) = entries.first().map(|entry| entry.seq) else { break };
            run.extend(entries.iter().filter(|entry| entry.seq > after).flat_map(cards_of));
            upto = Seq(first.0 - 1);
        }
        run.sort_unstable_by_key(|(rid, _)| *rid);
        compress_block(&codec::encode(&CardRun(run)))
    }

    /// The cards of these messages, by their `origin`. What can't be found is not in the answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cards(
        &self,
        account: AccountKey,
        origins: &[Rid],
    ) -> Result<BTreeMap<Rid, Card>, StoreError> {
        let mut wanted: Vec<Rid> = origins.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut cards = BTreeMap::new();
        let runs = self.card_runs(account).await?;
        while let Some(rid) = wanted.pop() {
            let seq = Seq(rid.0 / Rid::PER_ENTRY as u64);
            let run = runs.iter().find(|(low, high, _)| *low < seq && seq <= *high);
            let found: Vec<(Rid, Card)> = match run {
                Some((.., name)) => self.read_run(name).await?,
                None => self.journal.before(account, seq, 1).await?.iter().flat_map(cards_of).collect(),
            };
            // A run or an entry holds more than one of them.
            for (rid, card) in found {
                if origins.contains(&rid) {
                    cards.insert(rid, card);
                }
            }
            wanted.retain(|rid| !cards.contains_key(rid));
        }
        Ok(cards)
    }

    async fn card_runs(&self, account: AccountKey) -> Result<Vec<(Seq, Seq, String)>, StoreError> {
        let mut runs = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.objects.list(&names::card_runs(account), after.as_deref(), PAGE).await?;
            for object in &page {
                let bounds = object.name.rsplit('/').next().and_then(|range| range.split_once('-'));
                let Some((low, high)) = bounds else { continue };
                if let (Ok(low), Ok(high)) = (low.parse(), high.parse()) {
                    runs.push((Seq(low), Seq(high), object.name.clone()));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(runs),
            }
        }
    }

    async fn read_run(&self, name: &str) -> Result<Vec<(Rid, Card)>, StoreError> {
        let bytes = match self.objects.get(name).await {
            Ok((bytes, _)) => bytes,
            Err(PortError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let run: CardRun = codec::decode(&decompress_block(&bytes, MAX_RUN)?)?;
        Ok(run.0)
    }
}

fn cards_of(entry: &Entry) -> impl Iterator<Item = (Rid, Card)> + '_ {
    entry.ops.iter().filter_map(|op| match op {
        Op::Add(add) => Some((Rid::new(entry.seq, add.index), add.card.clone())),
        _ => None,
    })
}
