//! List cards: each lies in the entry that brought its message.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_model::journal::{Entry, Op};
use pennypost_model::message::Card;
use pennypost_model::{AccountKey, Rid, Seq};

use crate::{Mailstore, StoreError};

/// Entries that are read at once.
const PAGE: usize = 500;
/// Messages whose entries are no further apart than this many on the average are read with what lies between them.
const SPARSE: u64 = 8;

impl Mailstore {
    /// The cards of these messages, by their `origin`. What can't be found is not in the answer.
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
        while let Some(next) = wanted.last().copied() {
            let upto = seq_of(next);
            let entries = self.journal.before(account, upto, together(&wanted, upto)).await?;
            for (rid, card) in entries.iter().flat_map(cards_of) {
                if wanted.remove(&rid) {
                    cards.insert(rid, card);
                }
            }
            wanted.remove(&next);
        }
        Ok(cards)
    }
}

/// How many entries up to this one are worth reading at once.
fn together(wanted: &BTreeSet<Rid>, upto: Seq) -> usize {
    let spans = (1..).zip(wanted.iter().rev()).map(|(count, rid)| (count, upto.0 - seq_of(*rid).0 + 1));
    let dense = spans.filter(|(count, span)| *span <= PAGE as u64 && *span <= SPARSE * count);
    dense.last().map_or(1, |(_, span)| usize::try_from(span).unwrap_or(1))
}

fn seq_of(rid: Rid) -> Seq {
    Seq(rid.0 / Rid::PER_ENTRY as u64)
}

fn cards_of(entry: &Entry) -> impl Iterator<Item = (Rid, Card)> + '_ {
    entry.ops.iter().filter_map(|op| match op {
        Op::Add(add) => Some((Rid::new(entry.seq, add.index), add.card.clone())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_close_is_read_together() {
        let at = |seqs: &[u64]| -> (BTreeSet<Rid>, Seq) {
            let wanted: BTreeSet<Rid> = seqs.iter().map(|seq| Rid::new(Seq(*seq), 0)).collect();
            let upto = wanted.last().map_or(Seq::ZERO, |rid| seq_of(*rid));
            (wanted, upto)
        };
        for (seqs, count) in [
            (&[7][..], 1),
            (&[6, 7], 2),
            (&[1, 7], 7),
            (&[1, 70], 1),
            (&[1, 70, 71, 72], 3),
            (&[1, 1_000_000], 1),
        ] {
            let (wanted, upto) = at(seqs);
            assert_eq!(together(&wanted, upto), count, "{seqs:?}");
        }
        let many: Vec<u64> = (1..=2_000).collect();
        let (wanted, upto) = at(&many);
        assert_eq!(together(&wanted, upto), PAGE);
    }
}
