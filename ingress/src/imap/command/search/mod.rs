//! SEARCH (RFC 3501 section 6.4.4), with ESEARCH answers (RFC 4731).
//!
//! Each message is tested on its row first; only where that does not decide its header is read, and only where
//! that does not decide either its text. Reading is a few messages wide; large messages wait for memory out of
//! their account's share of that for messages under way, and of one that is larger than the share the
//! beginning is searched.

mod answer;
mod test;

use futures::StreamExt;
use pennypost_fold::Row;
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_mime::{decode_header, decode_text, header_fields};
use pennypost_model::structure::{Envelope, Structure};
use pennypost_model::{AccountKey, Uid, UidSet};

use super::fetch::reserve;
use super::nothing_selected;
use crate::imap::grammar::{self, Charset, Search};
use crate::imap::response::{Kind, Reply};
use crate::imap::session::{Done, Session};
use crate::net::{Holder, Memory};
use answer::Found;
use test::{Header, Known, Resolver, Test, day_of_date_field, fold};

/// Rows that are looked at together.
const BATCH: usize = 256;
/// Messages that are read at the same time.
const WIDTH: usize = 4;
/// Bytes of text of one message that are searched.
const MAX_TEXT: usize = 16 << 20;
/// Texts from this size on are decoded on another thread.
const LARGE: u64 = 64 * 1024;

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
        match self.find(search).await {
            Ok(found) => {
                self.save_found(search, Some(&found));
                self.tell_found(search, &found, grammar::tag(bytes).unwrap_or_default()).await
            }
            Err(refused) => {
                if refused.kind == Kind::No {
                    self.save_found(search, None);
                }
                Ok(refused)
            }
        }
    }

    async fn find(&mut self, search: &Search) -> Result<Found, Reply> {
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
        };
        let test = Test::of(&search.key, &resolver);
        let fields = test.fields();
        let reader = Reader {
            store: live.store(),
            memory: &self.adapter.memory,
            account: live.key(),
            test: &test,
            fields: fields.as_deref(),
        };
        let mut found = Found::default();
        let mut start = 0;
        while start < view.len() {
            let rows = view.rows_now(start, BATCH);
            let rows: Vec<_> =
                rows.map(|(position, row)| (position as u32 + 1, *row, view.is_recent(row.uid))).collect();
            start += BATCH;
            let reader = &reader;
            let tested = rows.into_iter().map(|(number, row, recent)| async move {
                let holds = reader.holds(number, &row, recent).await;
                holds.map(|holds| (number, row, holds))
            });
            let mut tested = futures::stream::iter(tested).buffered(WIDTH);
            while let Some(tested) = tested.next().await {
                let (number, row, holds) = tested?;
                if holds {
                    found.push(if search.by_uid { row.uid } else { Uid(number) }, row.modseq);
                }
            }
            // Rows alone are tested without ever waiting.
            tokio::task::yield_now().await;
        }
        Ok(found)
    }
}

/// Reads what a condition needs of messages.
struct Reader<'a> {
    store: &'a Mailstore,
    account: AccountKey,
    memory: &'a Memory,
    test: &'a Test,
    /// Fields that are wanted; `None`: all.
    fields: Option<&'a [String]>,
}

impl Reader<'_> {
    async fn holds(&self, number: u32, row: &Row, recent: bool) -> Result<bool, StoreError> {
        let known = Known { row, number, recent, header: None, text: None };
        if let Some(holds) = self.test.holds(&known) {
            return Ok(holds);
        }
        match Box::pin(self.holds_of_message(&known)).await {
            // A damaged message is found by nothing; `pennypost verify` tells of it.
            Err(error) if !error.is_temporary() => {
                tracing::error!(uid = row.uid.0, %error, "a message can't be searched");
                Ok(false)
            }
            other => other,
        }
    }

    async fn holds_of_message(&self, known: &Known<'_>) -> Result<bool, StoreError> {
        let message = self.store.open(self.account.tenant, known.row.blob).await?;
        let mut share = self.memory.share(Holder::Account(self.account));
        reserve(&mut share, message.header_len()).await?;
        let mut header = self.header(&message.header().await?);
        if self.wants_addresses() {
            add_addresses(&mut header, &message.sidecar().await?.structure.envelope);
        }
        let known = Known { header: Some(&header), ..*known };
        if let Some(holds) = self.test.holds(&known) {
            return Ok(holds);
        }
        let most = self.memory.most() as u64;
        let len = message.size().min(most);
        // Given back first: two messages that each wait for more of the same share would wait in vain.
        drop(std::mem::replace(&mut share, self.memory.share(Holder::Account(self.account))));
        reserve(&mut share, len).await?;
        let mut structure = message.sidecar().await?.structure;
        let raw = if len == message.size() {
            message.whole().await?
        } else {
            cut_parts(&mut structure, len);
            message.range(0..len).await?
        };
        let text = if message.size() >= LARGE {
            let decoding = move || fold(&decode_text(&structure, &raw, MAX_TEXT));
            let decoded = tokio::task::spawn_blocking(decoding).await;
            decoded.map_err(|panicked| StoreError::Damaged(panicked.to_string()))?
        } else {
            fold(&decode_text(&structure, &raw, MAX_TEXT))
        };
        let known = Known { text: Some(&text), ..known };
        Ok(self.test.holds(&known).unwrap_or(false))
    }

    /// Are fields looked at that hold addresses?
    fn wants_addresses(&self) -> bool {
        self.fields
            .is_none_or(|wanted| wanted.iter().any(|name| ["from", "to", "cc", "bcc"].contains(&&**name)))
    }

    fn header(&self, raw: &[u8]) -> Header {
        let mut header = Header::default();
        for (name, value, _) in header_fields(raw) {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if name == "date" && header.sent.is_none() {
                header.sent = day_of_date_field(&decode_header(value));
            }
            if self.fields.is_none_or(|wanted| wanted.contains(&name)) {
                header.fields.push((name, fold(&decode_header(value))));
            }
        }
        header
    }
}

/// Leaves of the parts of a message what is among its first `len` bytes.
fn cut_parts(structure: &mut Structure, len: u64) {
    for part in &mut structure.parts {
        part.body.end = part.body.end.min(len);
        part.body.start = part.body.start.min(part.body.end);
    }
}

/// Adds addresses as people write them, so that they are found whatever comments and folding stand in between.
fn add_addresses(header: &mut Header, envelope: &Envelope) {
    let lists =
        [("from", &envelope.from), ("to", &envelope.to), ("cc", &envelope.cc), ("bcc", &envelope.bcc)];
    for (field, addresses) in lists {
        for address in addresses {
            let text = |part: &Option<Vec<u8>>| decode_header(part.as_deref().unwrap_or_default());
            let (name, mailbox, host) = (text(&address.name), text(&address.mailbox), text(&address.host));
            header.fields.push((field.to_owned(), fold(&format!("{name} <{mailbox}@{host}>"))));
        }
    }
}
