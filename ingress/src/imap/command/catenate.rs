//! The octets of a message of APPEND: as they came, or put together (CATENATE, RFC 4469).
//!
//! URLs name messages in mailboxes that the member may read, by their names here: nothing is fetched from anywhere.

use std::borrow::Cow;

use pennypost_fold::{Mailbox, Row};
use pennypost_model::Rights;

use super::fetch::reserve;
use super::fetch::section::{Taken, octets};
use crate::imap::grammar::url::MessageUrl;
use crate::imap::grammar::{AppendData, AppendMessage, Piece, Section, SectionText};
use crate::imap::response::Reply;
use crate::imap::session::Session;
use crate::net::{Holder, Share};

/// Longest URL that is repeated to the client.
const MAX_TOLD: usize = 500;

impl AppendMessage {
    /// Octets of its literals.
    pub(super) fn literal_len(&self) -> u64 {
        let len = |range: &std::ops::Range<usize>| range.len() as u64;
        match &self.data {
            AppendData::Octets(range) | AppendData::Utf8(range) => len(range),
            AppendData::Catenate(pieces) => {
                let pieces = pieces.iter().map(|piece| match piece {
                    Piece::Text(range) | Piece::Utf8(range) => len(range),
                    Piece::Url(..) => 0,
                });
                pieces.sum()
            }
        }
    }

    fn has_utf8(&self) -> bool {
        match &self.data {
            AppendData::Octets(_) => false,
            AppendData::Utf8(_) => true,
            AppendData::Catenate(pieces) => pieces.iter().any(|piece| matches!(piece, Piece::Utf8(_))),
        }
    }
}

impl Session {
    /// Refuses UTF8 before the client has said that it knows it (RFC 6855 section 4).
    pub(super) fn allow_utf8(&self, message: &AppendMessage) -> Result<(), Reply> {
        let may = !message.has_utf8() || self.modes.utf8 || self.modes.rev2;
        if may { Ok(()) } else { Err(Reply::bad("UTF8 needs ENABLE UTF8=ACCEPT")) }
    }

    /// The message, and its share of memory if it had to be made.
    pub(super) async fn octets_of<'a>(
        &mut self,
        message: &AppendMessage,
        bytes: &'a [u8],
    ) -> Result<(Cow<'a, [u8]>, Option<Share>), Reply> {
        let text = |range: &std::ops::Range<usize>| bytes.get(range.clone()).unwrap_or_default();
        let pieces = match &message.data {
            AppendData::Octets(range) | AppendData::Utf8(range) => {
                return Ok((Cow::Borrowed(text(range)), None));
            }
            AppendData::Catenate(pieces) => pieces,
        };
        let live = self.live()?;
        let most = self.adapter.limits.imap.message_size as u64;
        let mut share = self.adapter.memory.share(Holder::Account(live.key()));
        let mut whole: Vec<u8> = Vec::new();
        for piece in pieces {
            let left = most.saturating_sub(whole.len() as u64);
            let more = match piece {
                Piece::Text(range) | Piece::Utf8(range) => Cow::Borrowed(text(range)),
                Piece::Url(url, read) => {
                    let bad = |why: &str| Reply::no(format!("[BADURL {}] {why}", told(url)));
                    let read = read.as_ref().ok_or_else(|| bad("it names no message of this account"))?;
                    let reached =
                        self.reach(&read.mailbox).await.and_then(|access| access.need(Rights::READ));
                    let access = reached.map_err(|_| bad("there is no such mailbox"))?;
                    let row =
                        named_row(&access.mailbox, read).ok_or_else(|| bad("there is no such message"))?;
                    // A part is not more than its message.
                    reserve(&mut share, 2 * (whole.len() as u64 + row.size.min(left))).await?;
                    let opened = access.live.store().open(access.live.key().tenant, row.blob).await?;
                    let all = Section { path: Vec::new(), text: SectionText::Whole };
                    let section = read.section.as_ref().unwrap_or(&all);
                    match octets(&opened, section, read.partial, left).await? {
                        Taken::Octets(octets) => Cow::Owned(octets),
                        Taken::Nowhere => return Err(bad("there is no such part")),
                        Taken::TooLarge => return Err(too_large()),
                    }
                }
            };
            if more.len() as u64 > left {
                return Err(too_large());
            }
            reserve(&mut share, 2 * (whole.len() + more.len()) as u64).await?;
            whole.extend_from_slice(&more);
        }
        Ok((Cow::Owned(whole), Some(share)))
    }
}

fn too_large() -> Reply {
    Reply::no("[TOOBIG] the message is too large")
}

/// The URL as it may stand in a response code.
fn told(url: &str) -> String {
    let can_be_told = url.len() <= MAX_TOLD && url.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !can_be_told {
        return "\"\"".to_owned();
    }
    format!("\"{}\"", url.replace('\\', "\\\\").replace('"', "\\\""))
}

fn named_row(mailbox: &Mailbox, url: &MessageUrl) -> Option<Row> {
    let is_valid = url.uid_validity.is_none_or(|validity| validity == mailbox.uid_validity.0);
    let (_, row) = mailbox.rows.find(pennypost_model::Uid(url.uid)).filter(|_| is_valid)?;
    Some(*row)
}
