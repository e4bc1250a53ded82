//! What an entry tells of its message without the message: the list card, and ENVELOPE as it stands on the wire, so
//! that a page of the newest letters is listed from the journal's end alone.
//!
//! The envelope goes along only where the entry takes no more units of a table for it: it is compressed against what
//! the card says already, and the card's preview gives way to it.

use pennypost_mime::wire;
use pennypost_model::codec;
use pennypost_model::journal::{Entry, Op};
use pennypost_model::message::{Card, Sidecar, cut};

use crate::Mailstore;

/// Bytes of an envelope up to which it is tried.
const LONGEST: usize = 4 * 1024;
/// zstd level: envelopes are short, so that the search for matches costs little.
const LEVEL: i32 = 6;
/// What every zstd frame begins with; it is not kept.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A unit of the table that an entry is written to, less its key, its seal and the op around an envelope.
const UNIT: usize = 1024 - 48;
/// Bytes of a preview that stay in any case.
const PREVIEW: usize = 60;

/// What envelopes have in common; what is most likely stands last.
const COMMON: &[u8] = b"=?GB18030?B?=?gb2312?B?=?iso-8859-1?Q?=?UTF-8?Q?=?utf-8?B?=?UTF-8?B? (CST) (UTC) \"Fwd: \"Re: \
Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec 2025 2026 2027 2028 .org\" .net\" .com.cn\" .cn\" @mail.gmail.com> \
(\"Mon, (\"Tue, (\"Wed, (\"Thu, (\"Fri, (\"Sat, (\"Sun, GMT\" \" -0500\" \" +0000\" \" +0800\" \" \
((NIL NIL \"\" \"\")(\" \" NIL \"noreply\" \" .com\")) ((\"\" NIL \" ((NIL NIL \" .com\")) NIL NIL \"<NIL NIL NIL \"<.com>\")";

/// Of one message, for the entries of all who get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    card: Card,
    /// Compressed; empty if there is none.
    envelope: Vec<u8>,
}

impl Summary {
    /// From what parsing found.
    #[must_use]
    pub fn of(sidecar: &Sidecar) -> Summary {
        let card = Card::of(&sidecar.facts);
        let mut written = Vec::with_capacity(512);
        wire::envelope(&mut written, &sidecar.structure.envelope);
        let envelope = squeeze(&written, &card).unwrap_or_default();
        Summary { card, envelope }
    }

    /// The card.
    #[must_use]
    pub const fn card(&self) -> &Card {
        &self.card
    }
}

/// Adds the envelopes of the messages that an entry adds, in their order, as far as they fit into the units that it
/// takes anyway.
pub fn add_envelopes<'a>(entry: &mut Entry, summaries: impl Iterator<Item = &'a Summary>) {
    let mut len = codec::encode(entry).len();
    for (index, summary) in (0..).zip(summaries) {
        let envelope = &summary.envelope;
        let room = (len.div_ceil(UNIT) * UNIT).saturating_sub(len);
        if envelope.is_empty() || !make_room(entry, index, envelope.len().saturating_sub(room)) {
            continue;
        }
        entry.ops.push(Op::Envelope { index, envelope: envelope.clone() });
        len = codec::encode(entry).len();
    }
}

/// Cuts the preview of a message by so many bytes, if it has them.
fn make_room(entry: &mut Entry, index: u16, bytes: usize) -> bool {
    if bytes == 0 {
        return true;
    }
    let added = entry.ops.iter_mut().find_map(|op| match op {
        Op::Add(add) if add.index == index => Some(add),
        _ => None,
    });
    let Some(added) = added else { return false };
    let preview = &mut added.card.preview;
    let stays = preview.len().saturating_sub(bytes);
    if stays < PREVIEW {
        return false;
    }
    preview.truncate(cut(preview, stays).len());
    true
}

/// What the card says already, for the compressor.
fn known(card: &Card) -> Vec<u8> {
    let mut known = COMMON.to_vec();
    let contacts = card.to.iter().rev().chain(std::iter::once(&card.from));
    for contact in contacts {
        known.push(b'"');
        known.extend_from_slice(contact.name.as_bytes());
        known.extend_from_slice(b"\" NIL \"");
        known.extend_from_slice(contact.address.replace('@', "\" \"").as_bytes());
        known.extend_from_slice(b"\"))");
    }
    known.extend_from_slice(card.subject.as_bytes());
    known
}

fn squeeze(written: &[u8], card: &Card) -> Option<Vec<u8>> {
    let len = u16::try_from(written.len()).ok().filter(|len| usize::from(*len) <= LONGEST)?;
    let mut compressor = zstd::bulk::Compressor::with_dictionary(LEVEL, &known(card)).ok()?;
    compressor.include_contentsize(false).ok()?;
    let frame = compressor.compress(written).ok()?;
    let mut squeezed = len.to_le_bytes().to_vec();
    squeezed.extend_from_slice(frame.strip_prefix(&MAGIC)?);
    Some(squeezed)
}

fn unsqueeze(squeezed: &[u8], card: &Card) -> Option<Vec<u8>> {
    let (len, rest) = squeezed.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_le_bytes(*len));
    let frame = [&MAGIC, rest].concat();
    let mut decompressor = zstd::bulk::Decompressor::with_dictionary(&known(card)).ok()?;
    let written = decompressor.decompress(&frame, len).ok()?;
    (written.len() == len).then_some(written)
}

impl Mailstore {
    /// Keeps the envelopes that came with entries for a while, for whoever lists the messages.
    pub(crate) fn keep_envelopes(&self, entries: &[Entry]) {
        for entry in entries {
            for op in &entry.ops {
                let Op::Envelope { index, envelope } = op else { continue };
                let added = entry.ops.iter().find_map(|op| match op {
                    Op::Add(add) if add.index == *index => Some(add),
                    _ => None,
                });
                if let Some(add) = added
                    && let Some(written) = unsqueeze(envelope, &add.card)
                {
                    self.keep_envelope(add.blob, written);
                }
            }
        }
    }
}
