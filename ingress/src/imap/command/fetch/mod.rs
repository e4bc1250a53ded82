//! FETCH (RFC 3501 section 6.4.5).
//!
//! Messages are opened a few ahead, once each; what is sent goes out as it is made, so that a session holds a
//! few frames and never a whole large message; of the header of one it may hold all, and then as part of its
//! account's share of the memory for messages under way. `\Seen` is set for the whole command in one entry before
//! anything is sent. A message that another session expunged is answered from its bytes, which are still there.

mod ahead;
mod binary;
mod block;
mod rows;
pub(super) mod section;
#[cfg(test)]
mod structure;
mod summaries;

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt, stream};
use pennypost_fold::{Draft, Row};
use pennypost_mailstore::blobs::Message;
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_mime::wire;
use pennypost_model::message::Sidecar;
use pennypost_model::structure::Span;
use pennypost_model::{AccountKey, FlagSet, Rights, SystemFlags, TenantId, UidSet};

use super::{no_such_numbers, nothing_selected};
use crate::imap::grammar::{Fetch, FetchItem, Section, SectionText};
use crate::imap::print::{RowWriter, begin_fetch};
use crate::imap::progress::Progress;
use crate::imap::response::{self, Refusal, Reply};
use crate::imap::session::{ACTOR, Done, End, Session};
use crate::imap::vanished::{self, Known};
use crate::imap::view::Told;
use crate::net::Holder;
use block::Block;
pub(super) use block::reserve;
use section::{Located, cut, locate, selected_fields};

/// Rows that are looked at together.
const BATCH: usize = 256;
/// Messages that are opened ahead.
const AHEAD: usize = 4;
/// Bytes of a message that are held at once.
const CHUNK: u64 = 256 * 1024;
/// From so many bytes on, what was made of a message is sent before more is made.
const OUTPUT: usize = 64 * 1024;

/// An opened message.
struct Opened {
    message: Message,
    sidecar: Option<Sidecar>,
    /// All of it, if it was read ahead.
    whole: Option<Bytes>,
}

/// What is made for a message.
struct Output {
    /// What was not sent yet.
    made: Vec<u8>,
    /// Something was: from then on an error can't be told any more.
    is_under_way: bool,
}

/// Why a message was not sent.
enum Failure {
    /// The connection, or nothing can be said any more.
    End(End),
    /// The store.
    Store(StoreError),
    /// A part is in a transfer encoding that nobody knows (RFC 3516 section 4.3).
    UnknownEncoding,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::Store(error)
    }
}

impl Failure {
    /// What it means once a part of the message was sent.
    fn after(self, out: &Output) -> Failure {
        match self {
            Failure::Store(error) if out.is_under_way => {
                tracing::error!(%error, "a message broke off while it was sent");
                Failure::End(End::CutOff)
            }
            other => other,
        }
    }
}

impl From<crate::net::NetError> for Failure {
    fn from(error: crate::net::NetError) -> Failure {
        Failure::End(error.into())
    }
}

/// What is to be done with the rows of one command.
struct Task<'a> {
    fetch: &'a Fetch,
    /// Messages that have just been marked as seen: their flags are told.
    seen: UidSet,
    /// Needs the stored structure.
    needs_sidecar: bool,
    store: Mailstore,
    account: AccountKey,
}

impl Session {
    /// `tag` names the command in what is said of its progress; it is empty for what no command asked for.
    pub(super) async fn fetch(&mut self, fetch: &Fetch, tag: &str) -> Done {
        let (live, _) = match self.refreshed().await {
            Ok(refreshed) => refreshed,
            Err(refused) => return Ok(refused),
        };
        if self.view.is_none() {
            return Ok(nothing_selected());
        }
        if fetch.vanished && !self.modes.qresync {
            return Ok(Reply::bad("VANISHED needs ENABLE QRESYNC"));
        }
        if fetch.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq) {
            self.enable_condstore();
        }
        let Some(view) = &self.view else { return Ok(nothing_selected()) };
        let Some(positions) = view.positions(&fetch.set, fetch.by_uid) else { return Ok(no_such_numbers()) };
        let positions = view.window(positions, fetch.partial, fetch.changed_since);
        if let Some(since) = fetch.changed_since.filter(|_| fetch.vanished) {
            let last = view.shown().rows.last().map_or(0, |row| row.uid.0);
            let uids = fetch.set.resolve(last);
            let ages = view.live().loses_sight();
            let known = Known { since, uids: Some(&uids), pairs: None, ages };
            let vanished = vanished::vanished(view.shown(), view.state().deleted(), &known);
            for line in vanished::lines(&vanished, true) {
                self.stream.write(&line);
                self.stream.relieve().await?;
            }
        }
        let seen = match self.mark_seen(fetch, &positions, tag).await {
            Ok(seen) => seen,
            Err(refused) => return Ok(refused),
        };
        let needs_sidecar = fetch.items.iter().any(|item| match item {
            FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure | FetchItem::Preview => true,
            FetchItem::Binary { path, .. } | FetchItem::BinarySize(path) => !path.is_empty(),
            FetchItem::Section { section, .. } => !section.path.is_empty(),
            _ => false,
        });
        let (store, account) = (live.store().clone(), live.key());
        let task = Task { fetch, seen, needs_sidecar, store, account };
        let mut progress = self.progress(tag, positions.iter().map(ExactSizeIterator::len).sum());
        self.fetch_all(&task, &positions, &mut progress).await
    }

    /// Sets `\Seen` where the items do so; the answer is for which messages it is new.
    async fn mark_seen(
        &mut self,
        fetch: &Fetch,
        positions: &[Range<usize>],
        tag: &str,
    ) -> Result<UidSet, Reply> {
        let live = self.selected()?;
        let Some(view) = &self.view else { return Err(nothing_selected()) };
        if !fetch.marks_seen() || view.read_only || !view.rights().contains(Rights::SEEN) {
            return Ok(UidSet::new());
        }
        let rows = &view.shown().rows;
        let unseen: UidSet = positions
            .iter()
            .flat_map(|range| rows.from_position(range.start).take(range.len()))
            .map(|row| view.now(row))
            .filter(|row| !row.flags.has(SystemFlags::SEEN))
            .filter(|row| fetch.changed_since.is_none_or(|since| row.modseq.0 > since))
            .map(|row| row.uid)
            .collect();
        if unseen.is_empty() {
            return Ok(unseen);
        }
        let (id, flags) = (view.id, FlagSet::system(SystemFlags::SEEN));
        let mark = |draft: &mut Draft| {
            if draft.state().mailbox(id).is_none() {
                return Ok(UidSet::new());
            }
            draft.flags(id, &unseen, &flags, &FlagSet::default()).map_err(Refusal::from)
        };
        let (state, seen) = self.patiently(tag, live.change(&ACTOR, mark)).await?;
        if let Some(view) = &mut self.view {
            view.learn(&state);
        }
        Ok(seen)
    }

    async fn fetch_all(
        &mut self,
        task: &Task<'_>,
        positions: &[Range<usize>],
        progress: &mut Progress,
    ) -> Done {
        let Some(view) = &mut self.view else { return Ok(nothing_selected()) };
        let mut out = Vec::new();
        view.tell_keywords(&mut out);
        self.stream.write(&out);
        let mut told = Told { uids: UidSet::new(), at: view.state().seq };
        if !task.fetch.opens_message() {
            self.fetch_rows(task, positions, &mut told, progress).await?;
            return Ok(Reply::ok("fetched").telling(told));
        }
        let is_kept = |item: &FetchItem| summaries::column(item).is_some();
        if task.fetch.items.iter().all(|item| is_kept(item) || !item.opens_message()) {
            let failure = Box::pin(self.fetch_summaries(task, positions, &mut told, progress)).await?;
            return Ok(failure.map_or_else(|| Reply::ok("fetched"), Reply::from).telling(told));
        }
        let mut failure: Option<StoreError> = None;
        let mut unknown_encoding = false;
        for range in positions {
            let mut at = range.start;
            while at < range.end {
                self.recheck().await?;
                let count = BATCH.min(range.end - at);
                let batch = self.batch(task, at, count);
                at += count;
                let mut share = self.adapter.memory.share(Holder::Account(task.account));
                let mut opened = if task.reads_ahead(batch.len()) && share.grow(ahead::ROOM) {
                    let reading = ahead::groups(batch).into_iter().map(|group| ahead::read(task, group));
                    stream::iter(reading).buffered(ahead::GROUPS).flat_map(stream::iter).left_stream()
                } else {
                    let opening = batch.into_iter().map(|(position, row)| async move {
                        let opens = task.fetch.opens_message();
                        let opened = if opens { Some(open(task, &row).await) } else { None };
                        (position, row, opened)
                    });
                    stream::iter(opening).buffered(AHEAD).right_stream()
                };
                while let Some((position, row, opened)) = opened.next().await {
                    let sent = match opened.transpose() {
                        Ok(opened) => Box::pin(self.fetch_one(task, position, &row, opened.as_ref())).await,
                        Err(error) => Err(Failure::Store(error)),
                    };
                    match sent {
                        Ok(true) => told.uids.push(row.uid),
                        Ok(false) => {}
                        Err(Failure::End(end)) => return Err(end),
                        Err(Failure::UnknownEncoding) => unknown_encoding = true,
                        Err(Failure::Store(error)) => {
                            tracing::error!(uid = row.uid.0, %error, "a message can't be fetched");
                            failure = Some(error);
                        }
                    }
                    self.stream.relieve().await?;
                    progress.went_on(&mut self.stream, 1).await?;
                }
            }
        }
        Ok(match failure {
            Some(error) => Reply::from(error),
            None if unknown_encoding => Reply::no("[UNKNOWN-CTE] a part is in an unknown transfer encoding"),
            None => Reply::ok("fetched"),
        }
        .telling(told))
    }

    /// The rows at these positions that are asked for, as they are now.
    fn batch(&self, task: &Task<'_>, start: usize, count: usize) -> Vec<(usize, Row)> {
        let Some(view) = &self.view else { return Vec::new() };
        let rows = view.rows_now(start, count);
        let rows = rows.filter(|(_, row)| task.fetch.changed_since.is_none_or(|since| row.modseq.0 > since));
        rows.map(|(position, row)| (position, *row)).collect()
    }

    /// Sends what is asked of one message. `true` if its flags were among it.
    async fn fetch_one(
        &mut self,
        task: &Task<'_>,
        position: usize,
        row: &Row,
        opened: Option<&Opened>,
    ) -> Result<bool, Failure> {
        let structure = opened.and_then(|opened| opened.sidecar.as_ref()).map(|sidecar| &sidecar.structure);
        if structure.is_some_and(|of| binary::has_unknown_encoding(&task.fetch.items, of)) {
            return Err(Failure::UnknownEncoding);
        }
        let mut out = Output { made: Vec::with_capacity(1024), is_under_way: false };
        let mut writer = RowWriter::default();
        begin_fetch(&mut out.made, position, row.uid, self.modes.uid_only);
        let mut block = Block::new(self.adapter.memory.share(Holder::Account(task.account)));
        let mut has_flags = false;
        for (index, item) in task.fetch.items.iter().enumerate() {
            if index > 0 {
                out.made.push(b' ');
            }
            match (item, opened) {
                (FetchItem::Section { section, partial, name, .. }, Some(opened)) => {
                    write_section_name(&mut out.made, section, *partial, *name);
                    let sending = self.section(&mut out, section, *partial, opened, &mut block);
                    sending.await.map_err(|failure| failure.after(&out))?;
                }
                (item @ (FetchItem::Binary { .. } | FetchItem::BinarySize(_)), Some(opened)) => {
                    let sending = self.binary(&mut out, item, opened, &mut block, task.account);
                    Box::pin(sending).await.map_err(|failure| failure.after(&out))?;
                }
                (item, opened) => {
                    has_flags |= *item == FetchItem::Flags;
                    if let Some(view) = &self.view
                        && !writer.item(&mut out.made, item, view.state(), row, view.is_recent(row.uid))
                    {
                        write_item(&mut out.made, item, opened);
                    }
                }
            }
            if out.made.len() >= OUTPUT {
                self.send(&mut out).await?;
            }
        }
        if !has_flags && task.seen.contains(row.uid) {
            out.made.push(b' ');
            self.write_flags(&mut out.made, row);
            has_flags = true;
        }
        if has_flags
            && self.modes.condstore
            && !task.fetch.items.contains(&FetchItem::ModSeq)
            && let Some(view) = &self.view
        {
            out.made.push(b' ');
            writer.item(&mut out.made, &FetchItem::ModSeq, view.state(), row, false);
        }
        out.made.extend_from_slice(b")\r\n");
        self.stream.write(&out.made);
        Ok(has_flags)
    }

    /// Sends what was made so far.
    async fn send(&mut self, out: &mut Output) -> Result<(), Failure> {
        self.stream.write(&out.made);
        out.made.clear();
        out.is_under_way = true;
        Ok(self.stream.relieve().await?)
    }

    fn write_flags(&self, out: &mut Vec<u8>, row: &Row) {
        let Some(view) = &self.view else { return };
        out.extend_from_slice(b"FLAGS ");
        response::flags(out, &view.state().flags(row.flags), view.is_recent(row.uid));
    }

    /// Writes the bytes of a section as a literal, and sends them if they are many.
    async fn section(
        &mut self,
        out: &mut Output,
        section: &Section,
        partial: Option<(u64, u64)>,
        opened: &Opened,
        block: &mut Block,
    ) -> Result<(), Failure> {
        let message = &opened.message;
        let whole = Span { start: 0, end: message.size() };
        let header = Span { start: 0, end: message.header_len() };
        let structure = opened.sidecar.as_ref().map(|sidecar| &sidecar.structure);
        let span = match locate(section, structure, whole, header) {
            Located::Nowhere => {
                out.made.extend_from_slice(b"NIL");
                return Ok(());
            }
            Located::Fields(span) => {
                let SectionText::HeaderFields { not, names } = &section.text else { return Ok(()) };
                let header = block.read(message, span).await?;
                return self.fields(out, header, names, *not, partial).await;
            }
            Located::Span(span) => cut(span, partial),
        };
        self.span(out, span, whole, opened, block).await
    }

    /// Writes bytes of a message as a literal, and sends them if they are many.
    async fn span(
        &mut self,
        out: &mut Output,
        span: Span,
        whole: Span,
        opened: &Opened,
        block: &mut Block,
    ) -> Result<(), Failure> {
        let message = &opened.message;
        if span.len() <= CHUNK {
            // The whole message can be held against its checksum.
            if span == whole {
                literal_head(&mut out.made, span.len());
                match &opened.whole {
                    Some(bytes) => out.made.extend_from_slice(bytes),
                    None => out.made.extend_from_slice(&message.shared().await?),
                }
            } else {
                let bytes = block.range(message, span.start..span.end).await?;
                literal_head(&mut out.made, bytes.len() as u64);
                out.made.extend_from_slice(&bytes);
            }
            return Ok(());
        }
        let mut checksum = (span == whole).then(crc32fast::Hasher::new);
        let mut at = span.start;
        let mut chunk = block.range(message, at..at + CHUNK).await?;
        literal_head(&mut out.made, span.len());
        self.send(out).await?;
        loop {
            at += chunk.len() as u64;
            if let Some(checksum) = &mut checksum {
                checksum.update(&chunk);
                // Before the last chunk: a client never gets the whole of a wrong message.
                if at >= span.end && checksum.clone().finalize() != message.checksum() {
                    return Err(StoreError::Damaged("checksum differs".to_owned()).into());
                }
            }
            self.stream.write(&chunk);
            self.stream.relieve().await?;
            if at >= span.end {
                return Ok(());
            }
            let expected = CHUNK.min(span.end - at);
            chunk = block.range(message, at..at + expected).await?;
            if chunk.len() as u64 != expected {
                return Err(StoreError::Damaged("a message is shorter than it says".to_owned()).into());
            }
        }
    }

    /// Writes the fields of a header block that are named, or those that are not, and the empty line. They are
    /// gone through twice, for their length and for themselves, so that they are nowhere else than in `header`.
    async fn fields(
        &mut self,
        out: &mut Output,
        header: &[u8],
        names: &[String],
        not: bool,
        partial: Option<(u64, u64)>,
    ) -> Result<(), Failure> {
        let pieces = || selected_fields(header, names, not);
        let len = pieces().map(|piece| piece.len() as u64).sum();
        let wanted = cut(Span { start: 0, end: len }, partial);
        literal_head(&mut out.made, wanted.len());
        let mut at = 0;
        for piece in pieces() {
            let end = at + piece.len() as u64;
            let (from, to) = (wanted.start.clamp(at, end) - at, wanted.end.clamp(at, end) - at);
            for part in piece.get(from as usize..to as usize).unwrap_or_default().chunks(OUTPUT) {
                out.made.extend_from_slice(part);
                if out.made.len() >= OUTPUT {
                    self.send(out).await?;
                }
            }
            at = end;
        }
        Ok(())
    }
}

async fn open(task: &Task<'_>, row: &Row) -> Result<Opened, StoreError> {
    open_at(&task.store, task.account.tenant, task.needs_sidecar, row).await
}

async fn open_at(
    store: &Mailstore,
    tenant: TenantId,
    needs_sidecar: bool,
    row: &Row,
) -> Result<Opened, StoreError> {
    opened(store.open_kept(tenant, row.blob).await?, needs_sidecar).await
}

async fn opened(message: Message, needs_sidecar: bool) -> Result<Opened, StoreError> {
    let sidecar = if needs_sidecar { Some(message.sidecar().await?) } else { None };
    Ok(Opened { message, sidecar, whole: None })
}

fn literal_head(out: &mut Vec<u8>, len: u64) {
    out.extend_from_slice(format!("{{{len}}}\r\n").as_bytes());
}

fn write_section_name(out: &mut Vec<u8>, section: &Section, partial: Option<(u64, u64)>, name: Option<&str>) {
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => out.extend_from_slice(format!("BODY[{section}]").as_bytes()),
    }
    if let Some((first, _)) = partial {
        out.extend_from_slice(format!("<{first}>").as_bytes());
    }
    out.push(b' ');
}

/// What is made of the stored structure.
fn write_item(out: &mut Vec<u8>, item: &FetchItem, opened: Option<&Opened>) {
    let structure = opened.and_then(|opened| opened.sidecar.as_ref()).map(|sidecar| &sidecar.structure);
    match (item, structure) {
        (FetchItem::Envelope, Some(of)) => {
            out.extend_from_slice(b"ENVELOPE ");
            wire::envelope(out, &of.envelope);
        }
        (FetchItem::Body, Some(of)) => {
            out.extend_from_slice(b"BODY ");
            wire::body(out, of, false);
        }
        (FetchItem::BodyStructure, Some(of)) => {
            out.extend_from_slice(b"BODYSTRUCTURE ");
            wire::body(out, of, true);
        }
        (FetchItem::Preview, _) => {
            out.extend_from_slice(b"PREVIEW ");
            let preview = opened.and_then(|opened| opened.sidecar.as_ref()).map(|of| &of.facts.preview);
            let preview = preview.map_or("", |preview| cut_preview(preview));
            wire::string(out, preview.as_bytes());
        }
        // Sections and what the row tells are written elsewhere; the others have been opened.
        _ => {}
    }
}

/// 200 characters at most (RFC 8970 section 3.1).
fn cut_preview(preview: &str) -> &str {
    preview.char_indices().nth(200).map_or(preview, |(end, _)| &preview[..end])
}

/// EMAILID (RFC 8474 section 5.1).
pub(super) fn email_id(row: &Row) -> String {
    format!("M{}", row.rid)
}

/// THREADID (RFC 8474 section 5.2).
pub(super) fn thread_id(row: &Row) -> String {
    format!("T{}", row.thread)
}
