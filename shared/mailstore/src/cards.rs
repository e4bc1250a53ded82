//! List cards: runs of them in objects for what bases have taken in, entries of the journal for the tail.

use std::collections::{BTreeMap, BTreeSet};

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
    /// The encoded run of the cards of entries after `after` up to `upto`. All of them are in memory at once: a
    /// caller bounds the range.
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
            let limit = PAGE.min(usize::try_from(upto.0 - after.0).unwrap_or(PAGE));
            let entries = self.journal.before(account, upto, limit).await?;
            let Some(first) = entries.first().map(|entry| entry.seq) else { break };
            run.extend(entries.iter().filter(|entry| entry.seq > after).flat_map(cards_of));
            upto = Seq(first.0 - 1);
        }
        run.sort_unstable_by_key(|(rid, _)| *rid);
        compress_block(&codec::encode(&CardRun(run)))
    }

    /// The cards of these messages, by their `origin`. A run that is gone, damaged or lacks a card is passed
    /// over: the journal holds everything. What can't be found is not in the answer.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cards(
        &self,
        account: AccountKey,
        origins: &[Rid],
    ) -> Result<BTreeMap<Rid, Card>, StoreError> {
        let mut wanted: BTreeSet<Rid> = origins.iter().copied().collect();
        let mut cards = BTreeMap::new();
        let mut runs = self.card_runs(account).await?;
        while let Some(next) = wanted.last().copied() {
            let seq = Seq(next.0 / Rid::PER_ENTRY as u64);
            let run = runs.iter().position(|(low, high, _)| *low < seq && seq <= *high);
            let found: Vec<(Rid, Card)> = match run {
                // Each run is read once and gives all it has: what it lacks is looked for elsewhere.
                Some(run) => self.read_run(&runs.swap_remove(run).2).await?,
                None => self.journal.before(account, seq, 1).await?.iter().flat_map(cards_of).collect(),
            };
            for (rid, card) in found {
                if wanted.remove(&rid) {
                    cards.insert(rid, card);
                }
            }
            if run.is_none() {
                wanted.remove(&next);
            }
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

    /// The cards in a run; none if it is gone or damaged.
    async fn read_run(&self, name: &str) -> Result<Vec<(Rid, Card)>, StoreError> {
        let bytes = match self.objects.get(name).await {
            Ok((bytes, _)) => bytes,
            Err(PortError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(run = name, %error, "card run passed over");
                return Ok(Vec::new());
            }
        };
        let run = decompress_block(&bytes, MAX_RUN)
            .and_then(|bytes| codec::decode::<CardRun>(&bytes).map_err(StoreError::from));
        Ok(run.map_or_else(
            |error| {
                tracing::warn!(run = name, %error, "card run passed over");
                Vec::new()
            },
            |run| run.0,
        ))
    }
}

fn cards_of(entry: &Entry) -> impl Iterator<Item = (Rid, Card)> + '_ {
    entry.ops.iter().filter_map(|op| match op {
        Op::Add(add) => Some((Rid::new(entry.seq, add.index), add.card.clone())),
        _ => None,
    })
}
