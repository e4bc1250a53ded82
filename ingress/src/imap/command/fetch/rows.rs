//! FETCH of what the rows tell: written in one go, without a future or a value on the heap for each message.

use std::ops::Range;

use super::{OUTPUT, Task};
use crate::imap::grammar::FetchItem;
use crate::imap::print::{RowWriter, begin_fetch};
use crate::imap::progress::Progress;
use crate::imap::session::{End, Session};
use crate::imap::view::Told;

/// Rows that are looked at before other sessions have a turn and this one looks around.
const TURN: usize = 4_096;
/// Room for what one message tells of itself.
const LINE: usize = 1_024;

impl Session {
    /// Answers a FETCH that opens no message.
    pub(super) async fn fetch_rows(
        &mut self,
        task: &Task<'_>,
        positions: &[Range<usize>],
        told: &mut Told,
        progress: &mut Progress,
    ) -> Result<(), End> {
        let mut writer = RowWriter::default();
        let mut out = Vec::with_capacity(OUTPUT + LINE);
        let mut looked_at = 0;
        for range in positions {
            let mut left = range.clone();
            while !left.is_empty() {
                let end = left.end.min(left.start + TURN - looked_at);
                let next = self.write_rows(task, left.start..end, &mut writer, &mut out, told);
                looked_at += next - left.start;
                left.start = next;
                if out.len() >= OUTPUT || looked_at >= TURN {
                    self.stream.write(&out);
                    out.clear();
                    self.stream.relieve().await?;
                    progress.went_on(&mut self.stream, looked_at).await?;
                    looked_at = 0;
                    tokio::task::yield_now().await;
                    self.recheck().await?;
                }
            }
        }
        self.stream.write(&out);
        Ok(())
    }

    /// Writes these rows as far as the output has room; gives the position after the last one looked at.
    fn write_rows(
        &self,
        task: &Task<'_>,
        range: Range<usize>,
        writer: &mut RowWriter,
        out: &mut Vec<u8>,
        told: &mut Told,
    ) -> usize {
        let Some(view) = &self.view else { return range.end };
        let (state, items) = (view.state(), &task.fetch.items);
        let has_flags = items.contains(&FetchItem::Flags);
        let adds_modseq = has_flags && self.modes.condstore && !items.contains(&FetchItem::ModSeq);
        for (position, row) in view.rows_now(range.start, range.len()) {
            if out.len() >= OUTPUT {
                return position;
            }
            if task.fetch.changed_since.is_some_and(|since| row.modseq.0 <= since) {
                continue;
            }
            let recent = has_flags && view.is_recent(row.uid);
            begin_fetch(out, position, row.uid, self.modes.uid_only);
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                writer.item(out, item, state, row, recent);
            }
            if adds_modseq {
                out.push(b' ');
                writer.item(out, &FetchItem::ModSeq, state, row, recent);
            }
            out.extend_from_slice(b")\r\n");
            if has_flags {
                told.uids.push(row.uid);
            }
        }
        range.end
    }
}
