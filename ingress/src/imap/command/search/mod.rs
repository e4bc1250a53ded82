//! SEARCH (RFC 3501 section 6.4.4), with ESEARCH answers (RFC 4731).
//!
//! Each message is tested on its row first. Where that does not decide, its segment is asked: whether the texts
//! can be in its block at all, then the lines of its header, then its text (see `scan`).

mod answer;
mod scan;
mod test;

use std::cell::RefCell;

use pennypost_model::{Uid, UidSet};

use super::nothing_selected;
use crate::imap::grammar::{self, Charset, Search};
use crate::imap::response::{Kind, Reply};
use crate::imap::session::{Done, Session};
use answer::Found;
use scan::{Candidate, Scan};
use test::{Needs, Resolver, Test};

/// Messages that are looked into together.
const BATCH: usize = 4_096;
/// Rows that are looked at between two turns of others, where they decide by themselves.
const ROWS: usize = 32_768;

impl Session {
    /// NO to a charset that is not known (RFC 3501 section 7.1).
    pub(super) fn bad_charset(&mut self, saves: bool) -> Reply {
        if let Some(view) = self.view.as_mut().filter(|_| saves) {
            view.saved = UidSet::new();
        }
        Reply::no(format!("[BADCHARSET ({})] the charset is not known", Charset::KNOWN))
    }

    pub(super) async fn search(&mut self, search: &Search, bytes: &[u8]) -> Done {
        // RFC 6855 section 3.
        if search.names_charset && self.modes.utf8 && !self.modes.rev2 {
            return Ok(Reply::bad("after UTF8=ACCEPT every text is in UTF-8"));
        }
        let tag = grammar::tag(bytes).unwrap_or_default();
        match self.find(search, tag).await {
            Ok(found) => {
                self.save_found(search, Some(&found));
                self.tell_found(search, &found, tag).await
            }
            Err(refused) => {
                if refused.kind == Kind::No {
                    self.save_found(search, None);
                }
                Ok(refused)
            }
        }
    }

    pub(super) async fn find(&mut self, search: &Search, tag: &str) -> Result<Found, Reply> {
        let (live, state) = self.refreshed().await?;
        if search.key.names_modseq() {
            self.view.as_ref().ok_or_else(nothing_selected)?;
            self.enable_condstore();
        }
        let view = self.view.as_ref().ok_or_else(nothing_selected)?;
        let resolver = Resolver {
            state: &state,
            saved: &view.saved,
            last_number: u32::try_from(view.len()).unwrap_or(u32::MAX),
            last_uid: view.shown().rows.last().map_or(0, |row| row.uid.0),
            now: self.adapter.clock.now(),
            leaves: RefCell::default(),
        };
        let test = Test::of(&search.key, &resolver);
        let leaves = resolver.leaves.into_inner();
        let (rows_decide, bits, asks_recent) =
            (test.needs() == Needs::default(), test.bits(), test.asks_recent());
        let batch = if rows_decide { ROWS } else { BATCH };
        let mut found = Found::default();
        let number_of = |number: u32, uid: Uid| if search.by_uid { uid } else { Uid(number) };
        let scan = Scan::new(live.store(), &self.adapter.memory, live.key(), &test, leaves);
        let mut scan = scan.prepare().await?;
        let mut progress = self.progress(tag, view.len());
        let mut start = 0;
        while start < view.len() {
            if let Some(bits) = bits {
                let rows = view.rows_now(start, batch).filter(|(_, row)| bits.hold(row));
                rows.for_each(|(position, row)| {
                    found.push(number_of(position as u32 + 1, row.uid), row.modseq);
                });
            } else if rows_decide {
                for (position, row) in view.rows_now(start, batch) {
                    let number = position as u32 + 1;
                    let recent = asks_recent && view.is_recent(row.uid);
                    if scan.look(number, row, recent) == Some(true) {
                        found.push(number_of(number, row.uid), row.modseq);
                    }
                }
            } else {
                let mut candidates = Vec::with_capacity(batch);
                for (position, row) in view.rows_now(start, batch) {
                    let number = position as u32 + 1;
                    let recent = asks_recent && view.is_recent(row.uid);
                    let holds = scan.look(number, row, recent);
                    if holds != Some(false) {
                        candidates.push(Candidate { number, row: *row, recent, holds });
                    }
                }
                scan.decide(&mut candidates).await?;
                for candidate in candidates.iter().filter(|candidate| candidate.holds == Some(true)) {
                    found.push(number_of(candidate.number, candidate.row.uid), candidate.row.modseq);
                }
            }
            start += batch;
            progress
                .went_on(&mut self.stream, batch)
                .await
                .map_err(|_| Reply::no("the connection is over"))?;
            // Rows alone are tested without ever waiting.
            tokio::task::yield_now().await;
        }
        scan.finish();
        Ok(found)
    }
}
