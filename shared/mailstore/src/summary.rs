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
/// A unit of the table that an entry is written to.
const UNIT: usize = 1024;
/// Bytes of a key and a seal.
const AROUND: usize = 40;
/// Bytes of the op around an envelope.
const OP: usize = 6;
/// What an envelope begins with: how it is compressed, [`COMMON`] and [`known`] included. Whoever changes one of them
/// gives it a new number, and goes on reading this one.
const FORMAT: u8 = 1;
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
        let taken = len + AROUND;
        let room = taken.div_ceil(UNIT) * UNIT - taken;
        if envelope.is_empty() || !make_room(entry, index, (envelope.len() + OP).saturating_sub(room)) {
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
    let mut squeezed = vec![FORMAT];
    squeezed.extend_from_slice(&len.to_le_bytes());
    squeezed.extend_from_slice(frame.strip_prefix(&MAGIC)?);
    Some(squeezed)
}

fn unsqueeze(squeezed: &[u8], card: &Card) -> Option<Vec<u8>> {
    let (len, rest) = squeezed.strip_prefix(&[FORMAT])?.split_first_chunk::<2>()?;
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

#[cfg(test)]
mod tests {
    use pennypost_model::message::{BlobRef, Contact};
    use pennypost_model::{
        EventId, FlagSet, MailboxId, Seq, ThreadId, Timestamp, Uid,
        journal::{Actor, Add, Usage},
    };

    use super::*;

    fn sidecar(raw: &[u8]) -> Sidecar {
        let (structure, facts) = pennypost_mime::parse(raw);
        Sidecar { structure, facts, receipt: String::new() }
    }

    fn letter(preview: usize) -> Sidecar {
        let text = "words and words ".repeat(preview / 16 + 1);
        let raw = format!(
            "Date: Fri, 20 Nov 2026 10:11:12 +0800\r\nFrom: =?UTF-8?B?5byg5LiJ?= <zhang.san@example.com>\r\n\
             To: Li Si <li.si@example.org>, Wang Wu <wang@example.net>\r\nCc: team@example.org\r\n\
             Subject: =?UTF-8?B?5YWz5LqO5LiL5ZGo55qE5Lya6K6u?=\r\nMessage-ID: <20261120.101112.77@example.com>\r\n\
             In-Reply-To: <6f1c@mail.example.org>\r\n\r\n{}\r\n",
            &text[..preview]
        );
        sidecar(raw.as_bytes())
    }

    fn entry(summary: &Summary, receipt: usize) -> Entry {
        let id = EventId::from_parts(Timestamp(1_795_132_800_000), 77);
        let add = Add {
            uid: Uid(7),
            index: 0,
            mailbox: MailboxId::INBOX,
            flags: FlagSet::default(),
            internal_date: Timestamp(1_795_132_800_000),
            sent: None,
            size: 10_000,
            thread: ThreadId(1),
            message_id_hash: 2,
            event: id,
            blob: BlobRef { pack: id, entry: 0, offset: 5, len: 900 },
            card: summary.card().clone(),
            receipt: "x".repeat(receipt),
        };
        Entry {
            seq: Seq(9),
            time: Timestamp(1_795_132_800_000),
            actor: Actor::Delivery,
            next_uid: 8,
            used: Usage::default(),
            ops: vec![Op::Add(Box::new(add))],
        }
    }

    fn written(sidecar: &Sidecar) -> Vec<u8> {
        let mut out = Vec::new();
        wire::envelope(&mut out, &sidecar.structure.envelope);
        out
    }

    #[test]
    fn envelopes_come_back_as_they_stand_on_the_wire() {
        for sidecar in [letter(0), letter(300), sidecar(b"\r\n"), sidecar(b"Subject: \xff\"\\\r\n\r\nx")] {
            let Summary { card, envelope } = Summary::of(&sidecar);
            assert_eq!(unsqueeze(&envelope, &card), Some(written(&sidecar)));
            for cut in 0..envelope.len() {
                assert_ne!(unsqueeze(&envelope[..cut], &card), Some(written(&sidecar)));
            }
        }
        let Summary { card, envelope } = Summary::of(&letter(300));
        let plain = written(&letter(300)).len();
        assert!(envelope.len() * 2 < plain, "{} of {plain} bytes", envelope.len());
        let newer = [&[FORMAT + 1], &envelope[1..]].concat();
        assert_eq!(unsqueeze(&newer, &card), None);
    }

    #[test]
    fn what_envelopes_are_compressed_against_stays_as_it_is() {
        // Entries that were written with it are read with it. Something else needs a new FORMAT.
        let card = Card {
            from: Contact { name: "A".to_owned(), address: "a@b.example".to_owned() },
            subject: "s".to_owned(),
            ..Card::default()
        };
        let sum = crc32fast::hash(&known(&card));
        assert_eq!((FORMAT, sum), (1, 1_141_491_638));
    }

    #[test]
    fn an_envelope_takes_no_further_unit_and_leaves_some_of_the_preview() {
        let units = |entry: &Entry| (codec::encode(entry).len() + AROUND).div_ceil(UNIT);
        let (mut with, mut without) = (0, 0);
        for receipt in 0..1_200 {
            let sidecar = letter(300);
            let summary = Summary::of(&sidecar);
            let mut entry = entry(&summary, receipt);
            let before = units(&entry);
            add_envelopes(&mut entry, std::iter::once(&summary));
            assert_eq!(units(&entry), before, "{receipt}");
            let Some(Op::Add(add)) = entry.ops.first() else { panic!("the message is gone") };
            let preview = add.card.preview.len();
            match entry.ops.get(1) {
                Some(Op::Envelope { index: 0, envelope }) => {
                    with += 1;
                    assert!(preview >= PREVIEW);
                    assert_eq!(unsqueeze(envelope, &add.card), Some(written(&sidecar)));
                }
                None => {
                    without += 1;
                    assert_eq!(preview, summary.card().preview.len(), "nothing is cut for nothing");
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(with > 1_000 && without > 0, "{with}, {without}");
    }
}
