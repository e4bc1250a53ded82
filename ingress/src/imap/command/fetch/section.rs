//! Which bytes of a message a section means (RFC 3501 section 6.4.5).

use pennypost_mailstore::StoreError;
use pennypost_mailstore::blobs::Message;
use pennypost_mime::header_fields;
use pennypost_model::structure::{Content, Part, Span, Structure};

use crate::imap::grammar::{Section, SectionText};

/// Where the bytes of a section are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// Just there.
    Span(Span),
    /// The fields of the header there that the section names.
    Fields(Span),
    /// There is no such part.
    Nowhere,
}

/// Finds a section. `structure` is needed for those with part numbers; `whole` and `header` are the spans of
/// the message and of its header block.
pub(super) fn locate(section: &Section, structure: Option<&Structure>, whole: Span, header: Span) -> Located {
    let body = Span { start: header.end, end: whole.end };
    if section.path.is_empty() {
        return match &section.text {
            SectionText::Whole => Located::Span(whole),
            SectionText::Header | SectionText::Mime => Located::Span(header),
            SectionText::HeaderFields { .. } => Located::Fields(header),
            SectionText::Text => Located::Span(body),
        };
    }
    let Some(structure) = structure else { return Located::Nowhere };
    let Some(part) = find(structure, &section.path) else { return Located::Nowhere };
    match &section.text {
        SectionText::Whole => return Located::Span(part.body),
        SectionText::Mime => return Located::Span(part.header),
        _ => {}
    }
    let inner = match &part.content {
        Content::Message(_, root) => structure.parts.get(*root as usize),
        Content::Leaf | Content::Multipart(_) => None,
    };
    let Some(inner) = inner else { return Located::Nowhere };
    match &section.text {
        SectionText::HeaderFields { .. } => Located::Fields(inner.header),
        SectionText::Text => Located::Span(inner.body),
        _ => Located::Span(inner.header),
    }
}

/// The part with these numbers. A message that is no multipart has one part, itself.
pub(super) fn find<'a>(structure: &'a Structure, path: &[u32]) -> Option<&'a Part> {
    let mut container = structure.root()?;
    let mut found = None;
    for (level, number) in path.iter().enumerate() {
        if level > 0 {
            let part: &Part = found?;
            container = match &part.content {
                Content::Multipart(_) => part,
                Content::Message(_, root) => structure.parts.get(*root as usize)?,
                Content::Leaf => return None,
            };
        }
        found = match &container.content {
            Content::Multipart(children) if !children.is_empty() => {
                let child = *children.get(*number as usize - 1)?;
                Some(structure.parts.get(child as usize)?)
            }
            _ if *number == 1 => Some(container),
            _ => return None,
        };
    }
    found
}

/// The fields of a header block that are named, or those that are not, and the empty line if it has one.
pub(super) fn selected_fields<'a>(
    header: &'a [u8],
    names: &'a [String],
    not: bool,
) -> impl Iterator<Item = &'a [u8]> {
    let fields = header_fields(header).filter_map(move |(name, _, span)| {
        let named = names.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name));
        (named != not).then(|| header.get(span.start as usize..span.end as usize).unwrap_or_default())
    });
    // Not where the message itself has none (RFC 3501 section 6.4.5).
    fields.chain(ends_with_blank_line(header).then_some(&b"\r\n"[..]))
}

fn ends_with_blank_line(header: &[u8]) -> bool {
    let Some(lines) = header.strip_suffix(b"\n") else { return false };
    let lines = lines.strip_suffix(b"\r").unwrap_or(lines);
    lines.is_empty() || lines.ends_with(b"\n")
}

/// What a URL of CATENATE gives.
pub(in crate::imap::command) enum Taken {
    /// The octets.
    Octets(Vec<u8>),
    /// There is no such part.
    Nowhere,
    /// It is larger than what was allowed.
    TooLarge,
}

/// The octets of a section, at most `most`.
pub(in crate::imap::command) async fn octets(
    message: &Message,
    section: &Section,
    partial: Option<(u64, u64)>,
    most: u64,
) -> Result<Taken, StoreError> {
    let structure = if section.path.is_empty() { None } else { Some(message.sidecar().await?.structure) };
    let whole = Span { start: 0, end: message.size() };
    let header = Span { start: 0, end: message.header_len() };
    match (locate(section, structure.as_ref(), whole, header), &section.text) {
        (Located::Span(span), _) => {
            let span = cut(span, partial);
            if span.len() > most {
                return Ok(Taken::TooLarge);
            }
            Ok(Taken::Octets(message.range(span.start..span.end).await?))
        }
        (Located::Fields(span), SectionText::HeaderFields { not, names }) => {
            let block = message.range(span.start..span.end).await?;
            let fields = selected_fields(&block, names, *not).collect::<Vec<_>>().concat();
            let span = cut(Span { start: 0, end: fields.len() as u64 }, partial);
            Ok(Taken::Octets(fields[span.start as usize..span.end as usize].to_vec()))
        }
        _ => Ok(Taken::Nowhere),
    }
}

/// The part of a span that a partial means (RFC 3501: first octet and how many, cut at the end).
pub(super) fn cut(span: Span, partial: Option<(u64, u64)>) -> Span {
    let Some((first, len)) = partial else { return span };
    let start = span.start.saturating_add(first).min(span.end.max(span.start));
    Span { start, end: start.saturating_add(len).min(span.end).max(start) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::grammar::{Command, FetchItem, command};
    use proptest::prelude::*;

    const RAW: &[u8] = b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/html\r\n\r\nfirst\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: inner\r\nX: 1\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n\
        --c\r\n\r\ndeep\r\n--c--\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\nbody\r\n--b--\r\n";

    fn section(text: &str) -> Section {
        match command(format!("a FETCH 1 BODY[{text}]").as_bytes()) {
            Ok(Command::Fetch(fetch)) => match fetch.items.into_iter().next() {
                Some(FetchItem::Section { section, .. }) => section,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn fetched(raw: &[u8], text: &str) -> Option<String> {
        let (structure, _) = pennypost_mime::parse(raw);
        let section = section(text);
        let header_end = pennypost_mime::header_end(raw) as u64;
        let whole = Span { start: 0, end: raw.len() as u64 };
        let header = Span { start: 0, end: header_end };
        let bytes = |span: Span| raw[span.start as usize..span.end as usize].to_vec();
        let bytes = match (locate(&section, Some(&structure), whole, header), &section.text) {
            (Located::Span(span), _) => bytes(span),
            (Located::Fields(span), SectionText::HeaderFields { not, names }) => {
                selected_fields(&bytes(span), names, *not).collect::<Vec<_>>().concat()
            }
            _ => return None,
        };
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn sections_of_the_rfc() {
        for (text, expected) in [
            ("1", Some("first")),
            ("1.MIME", Some("Content-Type: text/html\r\n\r\n")),
            ("2.HEADER.FIELDS (SUBJECT)", Some("Subject: inner\r\n\r\n")),
            ("2.HEADER.FIELDS.NOT (Subject Content-Type)", Some("X: 1\r\n\r\n")),
            ("2.1", Some("deep")),
            ("2.TEXT", Some("--c\r\n\r\ndeep\r\n--c--")),
            ("2.MIME", Some("Content-Type: message/rfc822\r\n\r\n")),
            ("3", Some("Subject: plain\r\n\r\nbody")),
            ("3.1", Some("body")),
            ("3.HEADER", Some("Subject: plain\r\n\r\n")),
            ("3.TEXT", Some("body")),
            ("3.2", None),
            ("3.1.1", None),
            ("1.1", None),
            ("1.HEADER", None),
            ("4", None),
            ("4294967295", None),
            ("HEADER.FIELDS (subject none)", Some("Subject: outer\r\n\r\n")),
        ] {
            assert_eq!(fetched(RAW, text).as_deref(), expected, "{text}");
        }
        for (raw, expected) in [
            (&b"A: b\r\nC: d\r\n"[..], "C: d\r\n"),
            (b"A: b\r\nC: d", "C: d"),
            (b"A: b\r\nC: d\r\n\r\n", "C: d\r\n\r\n"),
            (b"A: b\nC: d\n\nbody", "C: d\n\r\n"),
            (b"\r\nbody", "\r\n"),
            (b"", ""),
        ] {
            assert_eq!(fetched(raw, "HEADER.FIELDS.NOT (A)").as_deref(), Some(expected));
        }
        assert_eq!(fetched(b"A: b\r\n\r\nbody", "1").as_deref(), Some("body"));
        assert_eq!(fetched(b"A: b\r\n\r\nbody", "1.MIME").as_deref(), Some("A: b\r\n\r\n"));
        assert_eq!(fetched(b"A: b\r\n\r\nbody", "TEXT").as_deref(), Some("body"));
        assert_eq!(fetched(b"A: b\r\n\r\nbody", "").as_deref(), Some("A: b\r\n\r\nbody"));
    }

    proptest! {
        #[test]
        fn partials_are_slices(len in 0..50_usize, start in 0..10_u64, first in 0..60_u64, count in 1..60_u64) {
            let bytes: Vec<u8> = (0..len as u8).collect();
            let span = Span { start, end: start + len as u64 };
            let cut = cut(span, Some((first, count)));
            let expected: Vec<u8> = bytes.iter().copied().skip(first as usize).take(count as usize).collect();
            let got = &bytes[(cut.start - start) as usize..(cut.end - start) as usize];
            prop_assert_eq!(got, &expected[..]);
        }

        #[test]
        fn no_partial_leaves_its_span(first in any::<u64>(), count in any::<u64>()) {
            let cut = cut(Span { start: 5, end: 9 }, Some((first, count)));
            prop_assert!(cut.start >= 5 && cut.start <= cut.end && cut.end <= 9);
        }
    }
}
