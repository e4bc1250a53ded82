//! BINARY (RFC 3516 section 4.2): parts without their transfer encoding.
//!
//! A part is decoded whole: its octets and what becomes of them count in the account's share of the memory for
//! messages under way.

use pennypost_mailstore::StoreError;
use pennypost_mime::decode_part;
use pennypost_model::AccountKey;
use pennypost_model::structure::{Content, Part, Span, Structure};

use super::section::{Located, cut, locate};
use super::{Block, Failure, Opened, Output, reserve};
use crate::imap::grammar::{FetchItem, Section, SectionText};
use crate::imap::session::Session;
use crate::net::{Holder, Share};

/// Parts from this size on are decoded on another thread.
const LARGE: u64 = 64 * 1024;
/// Transfer encodings that can be taken away.
const KNOWN: [&str; 6] = ["", "7bit", "8bit", "binary", "base64", "quoted-printable"];

/// Is one of the parts that are asked for in an encoding that nobody knows?
pub(super) fn has_unknown_encoding(items: &[FetchItem], structure: &Structure) -> bool {
    items.iter().any(|item| match item {
        FetchItem::Binary { path, .. } | FetchItem::BinarySize(path) => {
            leaf(structure, path).is_some_and(|part| !KNOWN.contains(&&*part.encoding))
        }
        _ => false,
    })
}

/// The part with these numbers if it has a body of its own to be decoded: not the message itself, no multipart.
fn leaf<'a>(structure: &'a Structure, path: &[u32]) -> Option<&'a Part> {
    let part = super::section::find(structure, path).filter(|_| !path.is_empty())?;
    matches!(part.content, Content::Leaf).then_some(part)
}

impl Session {
    /// Writes the octets of BINARY[…], or the answer to BINARY.SIZE[…].
    pub(super) async fn binary(
        &mut self,
        out: &mut Output,
        item: &FetchItem,
        opened: &Opened,
        block: &mut Block,
        account: AccountKey,
    ) -> Result<(), Failure> {
        let (path, partial, is_size) = match item {
            FetchItem::Binary { path, partial, .. } => (path, *partial, false),
            FetchItem::BinarySize(path) => (path, None, true),
            _ => return Ok(()),
        };
        let section = Section { path: path.clone(), text: SectionText::Whole };
        let name = if is_size { "BINARY.SIZE" } else { "BINARY" };
        out.made.extend_from_slice(format!("{name}[{section}]").as_bytes());
        if let Some((first, _)) = partial {
            out.made.extend_from_slice(format!("<{first}>").as_bytes());
        }
        out.made.push(b' ');
        let message = &opened.message;
        let whole = Span { start: 0, end: message.size() };
        let header = Span { start: 0, end: message.header_len() };
        let structure = opened.sidecar.as_ref().map(|sidecar| &sidecar.structure);
        let Located::Span(span) = locate(&section, structure, whole, header) else {
            out.made.extend_from_slice(if is_size { b"0" } else { b"NIL" });
            return Ok(());
        };
        let encoded = structure
            .and_then(|structure| leaf(structure, path))
            .filter(|part| matches!(&*part.encoding, "base64" | "quoted-printable"));
        let Some(part) = encoded else {
            if is_size {
                out.made.extend_from_slice(span.len().to_string().as_bytes());
                return Ok(());
            }
            let bare = cut(span, partial);
            // NUL may stand in it: `literal8` (RFC 3516 section 4.2).
            out.made.push(b'~');
            return self.span(out, bare, whole, opened, block).await;
        };
        let mut share = self.adapter.memory.share(Holder::Account(account));
        let decoded = decode(opened, part.clone(), span, &mut share).await?;
        if is_size {
            out.made.extend_from_slice(decoded.len().to_string().as_bytes());
            return Ok(());
        }
        let wanted = cut(Span { start: 0, end: decoded.len() as u64 }, partial);
        let octets = &decoded[wanted.start as usize..wanted.end as usize];
        if octets.contains(&0) {
            out.made.push(b'~');
        }
        out.made.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
        for piece in octets.chunks(super::OUTPUT) {
            out.made.extend_from_slice(piece);
            if out.made.len() >= super::OUTPUT {
                self.send(out).await?;
            }
        }
        Ok(())
    }
}

async fn decode(opened: &Opened, part: Part, span: Span, share: &mut Share) -> Result<Vec<u8>, StoreError> {
    reserve(share, 2 * span.len()).await?;
    let body = opened.message.range(span.start..span.end).await?;
    if span.len() <= LARGE {
        return Ok(decode_part(&part, &body).into_owned());
    }
    let decoding = move || decode_part(&part, &body).into_owned();
    let decoded = tokio::task::spawn_blocking(decoding).await;
    decoded.map_err(|panicked| StoreError::Damaged(panicked.to_string()))
}
