//! FETCH of what segments keep of a message: ENVELOPE, BODY, BODYSTRUCTURE, PREVIEW. Messages of no segment are opened,
//! neighbours together, and the same is written from their sidecars.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use pennypost_fold::Row;
use pennypost_mailstore::segment::{Block, Column, Place, Segments, SortFacts};
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_mime::wire;
use pennypost_model::message::BlobRef;

use super::{OUTPUT, Task, cut_preview};
use crate::imap::grammar::FetchItem;
use crate::imap::print::{RowWriter, begin_fetch};
use crate::imap::progress::Progress;
use crate::imap::session::{End, Session};
use crate::imap::view::Told;

/// Rows that are looked at before other sessions have a turn and this one looks around.
const TURN: usize = 512;
/// Messages of no segment that are opened together.
const TOGETHER: usize = 32;
/// Messages of a list page at most: what is known of them may spare a look at segments.
const PAGE: usize = 256;
/// After so many of them, housekeeping is asked for a segment.
const MANY: usize = 128;

/// The column of an item that segments keep, and its name.
pub(super) const fn column(item: &FetchItem) -> Option<(Column, &'static [u8])> {
    match item {
        FetchItem::Envelope => Some((Column::Envelope, b"ENVELOPE ")),
        FetchItem::Body => Some((Column::Body, b"BODY ")),
        FetchItem::BodyStructure => Some((Column::BodyStructure, b"BODYSTRUCTURE ")),
        FetchItem::Preview => Some((Column::Facts, b"PREVIEW ")),
        _ => None,
    }
}

/// What is told of a message that was opened.
#[derive(Default)]
struct Written {
    /// ENVELOPE, BODYSTRUCTURE and BODY.
    structure: Arc<[Vec<u8>; 3]>,
    preview: String,
}

/// What is written for one row.
enum Source {
    /// From these blocks, by the order of the columns, and the slot in them; and the preview.
    Blocks(usize, String),
    /// From what was made of the opened message.
    Made(Written),
}

/// What is known of a message without a look at segments or at itself, if that is all that is wanted.
fn known(task: &Task<'_>, columns: &[Column], row: &Row) -> Option<Arc<[Vec<u8>; 3]>> {
    if columns.contains(&Column::Facts) {
        None
    } else if columns.iter().all(|column| *column == Column::Envelope) {
        task.store.envelope(row.blob)
    } else {
        task.store.structure(row.blob)
    }
}

/// Reads columns of rows that come in about the order of segments.
struct Reader<'a> {
    task: &'a Task<'a>,
    segments: Segments,
    columns: Vec<Column>,
    /// The place of the preview's column among them.
    preview: Option<usize>,
    near: Option<Place>,
    /// The blocks that are held, of one segment and number.
    held: Option<(usize, usize)>,
    blocks: Vec<Arc<Block>>,
    /// Opened ahead: UID, and what was made of it.
    made: VecDeque<(u32, Result<Written, StoreError>)>,
    opened: usize,
}

impl Reader<'_> {
    /// Finds what is to be written for the first of these rows; looks ahead at the others.
    async fn source(&mut self, rows: &[(usize, Row)]) -> Result<Source, StoreError> {
        let Some((_, row)) = rows.first() else { return Ok(Source::Made(Written::default())) };
        if self.made.front().is_some_and(|(uid, _)| *uid == row.uid.0)
            && let Some((_, made)) = self.made.pop_front()
        {
            return made.map(Source::Made);
        }
        if let Some(place) = self.segments.place(row.origin, self.near) {
            self.near = Some(place);
            if self.hold(place).await?
                && let Some(preview) = self.preview(place.slot)
            {
                return Ok(Source::Blocks(place.slot, preview));
            }
        }
        if let Some(structure) = self.kept(row) {
            return Ok(Source::Made(Written { structure, preview: String::new() }));
        }
        self.open_ahead(rows).await;
        match self.made.pop_front() {
            Some((_, made)) => made.map(Source::Made),
            None => Ok(Source::Made(Written::default())),
        }
    }

    /// The preview, if one is wanted; `None` if it can't be read.
    fn preview(&self, slot: usize) -> Option<String> {
        match self.preview {
            None => Some(String::new()),
            Some(column) => {
                SortFacts::read(self.blocks.get(column)?.message(slot)).map(|facts| facts.preview)
            }
        }
    }

    /// What is known already of a message of no segment, if that is all that is wanted.
    fn kept(&self, row: &Row) -> Option<Arc<[Vec<u8>; 3]>> {
        known(self.task, &self.columns, row)
    }

    /// Reads the blocks of a place, unless they are held; `false` if they are not there.
    async fn hold(&mut self, place: Place) -> Result<bool, StoreError> {
        if self.held == Some((place.segment, place.block)) {
            return Ok(true);
        }
        self.held = None;
        self.blocks.clear();
        for column in &self.columns {
            match self.segments.block(place.segment, place.block, *column).await? {
                Some(block) => self.blocks.push(block),
                None => return Ok(false),
            }
        }
        self.held = Some((place.segment, place.block));
        Ok(true)
    }

    /// Opens the first of these rows and those behind it that no segment has.
    async fn open_ahead(&mut self, rows: &[(usize, Row)]) {
        self.made.clear();
        let behind = rows.iter().skip(1).take(TOGETHER - 1);
        let behind = behind.take_while(|(_, row)| {
            self.segments.place(row.origin, None).is_none() && self.kept(row).is_none()
        });
        let wanted: Vec<Row> = rows.iter().take(1).chain(behind).map(|(_, row)| *row).collect();
        let blobs: Vec<BlobRef> = wanted.iter().map(|row| row.blob).collect();
        let opened = self.task.store.open_many(self.task.account.tenant, &blobs).await;
        self.opened += opened.len();
        for (row, message) in wanted.iter().zip(opened) {
            let made = match message {
                Ok(message) => message.sidecar().await,
                Err(error) => Err(error),
            };
            let made = made.map(|sidecar| Written {
                structure: self.task.store.write_structure(row.blob, &sidecar.structure),
                preview: sidecar.facts.preview,
            });
            self.made.push_back((row.uid.0, made));
        }
    }
}

impl Session {
    /// Answers a FETCH of rows and of what segments keep. The last error of the store, if there was one: what it
    /// hit was not told.
    pub(super) async fn fetch_summaries(
        &mut self,
        task: &Task<'_>,
        positions: &[Range<usize>],
        told: &mut Told,
        progress: &mut Progress,
    ) -> Result<Option<StoreError>, End> {
        let mut failure = None;
        let columns: Vec<Column> = task.fetch.items.iter().filter_map(|item| Some(column(item)?.0)).collect();
        let preview = columns.iter().position(|column| *column == Column::Facts);
        let segments = if self.knows_all(task, &columns, positions) {
            Segments::none(&task.store)
        } else {
            match task.store.segments(task.account).await {
                Ok(segments) => segments,
                Err(error) => return Ok(Some(error)),
            }
        };
        let mut reader = Reader {
            task,
            segments,
            columns,
            preview,
            near: None,
            held: None,
            blocks: Vec::new(),
            made: VecDeque::new(),
            opened: 0,
        };
        let mut writer = RowWriter::default();
        let mut out = Vec::with_capacity(OUTPUT + OUTPUT / 4);
        for range in positions {
            let mut at = range.start;
            while at < range.end {
                let count = TURN.min(range.end - at);
                let batch = self.batch(task, at, count);
                at += count;
                for index in 0..batch.len() {
                    let Some((position, row)) = batch.get(index) else { break };
                    match reader.source(batch.get(index..).unwrap_or_default()).await {
                        Ok(source) => {
                            if self.write_summary(&reader, &source, *position, row, &mut writer, &mut out) {
                                told.uids.push(row.uid);
                            }
                        }
                        Err(error) => {
                            tracing::error!(uid = row.uid.0, %error, "a message can't be fetched");
                            failure = Some(error);
                        }
                    }
                    if out.len() >= OUTPUT {
                        self.stream.write(&out);
                        out.clear();
                        self.stream.relieve().await?;
                    }
                }
                if progress.is_due() {
                    self.stream.write(&out);
                    out.clear();
                }
                progress.went_on(&mut self.stream, count).await?;
                if batch.len() > 1 {
                    tokio::task::yield_now().await;
                }
                self.recheck().await?;
            }
        }
        self.stream.write(&out);
        if reader.opened >= MANY {
            task.store.want_index_now(task.account);
        }
        Ok(failure)
    }

    /// Is what is wanted of a page of messages known already?
    fn knows_all(&self, task: &Task<'_>, columns: &[Column], positions: &[Range<usize>]) -> bool {
        if positions.iter().map(Range::len).sum::<usize>() > PAGE {
            return false;
        }
        let mut rows = positions.iter().flat_map(|range| self.batch(task, range.start, range.len()));
        rows.all(|(_, row)| known(task, columns, &row).is_some())
    }

    /// Writes one answer; `true` if flags were in it.
    fn write_summary(
        &self,
        reader: &Reader<'_>,
        source: &Source,
        position: usize,
        row: &Row,
        writer: &mut RowWriter,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(view) = &self.view else { return false };
        let items = &reader.task.fetch.items;
        let recent = view.is_recent(row.uid);
        begin_fetch(out, position, row.uid, self.modes.uid_only);
        let mut kept = 0;
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            let Some((column, name)) = column(item) else {
                writer.item(out, item, view.state(), row, recent);
                continue;
            };
            out.extend_from_slice(name);
            let number = kept;
            kept += 1;
            if column == Column::Facts {
                let (Source::Blocks(_, preview) | Source::Made(Written { preview, .. })) = source;
                wire::string(out, cut_preview(preview).as_bytes());
                continue;
            }
            let bytes = match source {
                Source::Blocks(slot, _) => reader.blocks.get(number).map(|block| block.message(*slot)),
                Source::Made(made) => Mailstore::number_of_structure(column)
                    .and_then(|number| made.structure.get(number))
                    .map(Vec::as_slice),
            };
            out.extend_from_slice(bytes.unwrap_or(b"NIL"));
        }
        let has_flags = items.contains(&FetchItem::Flags);
        if has_flags && self.modes.condstore && !items.contains(&FetchItem::ModSeq) {
            out.push(b' ');
            writer.item(out, &FetchItem::ModSeq, view.state(), row, recent);
        }
        out.extend_from_slice(b")\r\n");
        has_flags
    }
}
