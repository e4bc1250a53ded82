//! The scan that finds the parts of a message (RFC 2046 section 5.1): one pass over the lines, with the open
//! parts on a stack of at most [`Structure::MAX_DEPTH`].
//!
//! Invariants, whatever the bytes: every span lies within the message and within its parent's body; siblings
//! follow each other; parts are listed in the order in which they begin. A boundary of an outer multipart ends
//! all parts inside it. When the same boundary is in use twice, the innermost wins; a boundary that is only
//! the beginning of the line counts when none is the whole line, the longest first, as Dovecot does it.

use memchr::memmem::Finder;
use pennypost_model::structure::{Content, Part, RawText, Span, Structure};

use crate::fields::Fields;
use crate::header::{is_empty_line, line_end};
use crate::part::{Budget, envelope, part};

/// The structure of a message, and the known fields of its header.
pub(crate) fn scan(raw: &[u8]) -> (Structure, Fields<'_>) {
    let mut scanner = Scanner {
        raw,
        parts: Vec::new(),
        open: Vec::new(),
        boundaries: 0,
        budget: Budget::new(),
        candidate: Finder::new(b"\n--"),
    };
    let (start, fields) = scanner.enter(0, Role::Message);
    let root_envelope = envelope(&fields, &mut scanner.budget);
    let mut at = scanner.inside(start);
    while let Some((start, role)) = scanner.next_part(at) {
        let (body, fields) = scanner.enter(start, role);
        if let Role::Message = role {
            let inner = envelope(&fields, &mut scanner.budget);
            scanner.set_envelope(inner);
        }
        at = scanner.inside(body);
    }
    scanner.close_down_to(0, raw.len());
    let mut parts = scanner.parts;
    count_lines(raw, &mut parts);
    (Structure { envelope: root_envelope, parts }, fields)
}

/// What a header block that is being read belongs to.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// The root of a message, the whole one or an embedded one.
    Message,
    /// A part of a multipart.
    Part { in_digest: bool },
}

/// A part whose end has not been seen.
struct Open {
    part: usize,
    /// The boundary between its parts, until the closing one has been seen.
    boundary: Option<RawText>,
}

/// Where the scan goes on after a header block.
#[derive(Debug, Clone, Copy)]
enum Inside {
    /// With the header of an embedded message.
    Message(usize),
    /// With lines in which boundaries are looked for.
    Lines(usize),
}

struct Scanner<'a> {
    raw: &'a [u8],
    parts: Vec<Part>,
    open: Vec<Open>,
    /// How many of the open parts have a boundary.
    boundaries: usize,
    budget: Budget,
    candidate: Finder<'static>,
}

impl<'a> Scanner<'a> {
    /// Reads the header block at `start` and opens its part; gives where its body begins.
    fn enter(&mut self, start: usize, role: Role) -> (usize, Fields<'a>) {
        let end = self.header_block(start);
        let raw = self.raw;
        let fields = Fields::of(&raw[start..end]);
        let in_digest = matches!(role, Role::Part { in_digest: true });
        let (mut part, boundary) = part(&fields, in_digest, &mut self.budget);
        part.header = Span { start: start as u64, end: end as u64 };
        part.body = Span { start: end as u64, end: end as u64 };
        if part.media_type.0 == "multipart" {
            part.content = Content::Multipart(Vec::new());
        }
        let index = self.parts.len();
        if let Some(parent) = self.open.last() {
            match &mut self.parts[parent.part].content {
                Content::Multipart(children) => children.push(index as u32),
                content => *content = Content::Message(Box::default(), index as u32),
            }
        }
        let boundary = boundary.filter(|_| self.has_room(self.open.len() + 1));
        self.boundaries += usize::from(boundary.is_some());
        self.parts.push(part);
        self.open.push(Open { part: index, boundary });
        (end, fields)
    }

    /// Where to go on in the part that was just opened.
    fn inside(&self, body: usize) -> Inside {
        let embedded = self.open.last().is_some_and(|open| is_message(&self.parts[open.part]));
        if embedded && self.has_room(self.open.len()) { Inside::Message(body) } else { Inside::Lines(body) }
    }

    /// The envelope of an embedded message goes to the part that embeds it.
    fn set_envelope(&mut self, inner: pennypost_model::structure::Envelope) {
        let Some(parent) = self.open.len().checked_sub(2) else { return };
        if let Content::Message(envelope, _) = &mut self.parts[self.open[parent].part].content {
            **envelope = inner;
        }
    }

    /// A part of this level (that of the root is 1) may have parts inside.
    fn has_room(&self, level: usize) -> bool {
        self.parts.len() < Structure::MAX_PARTS && level < Structure::MAX_DEPTH
    }

    /// Finds where the next part begins, closing those that end before it; nothing when there is none.
    fn next_part(&mut self, inside: Inside) -> Option<(usize, Role)> {
        let mut at = match inside {
            Inside::Message(start) => return Some((start, Role::Message)),
            Inside::Lines(start) => start,
        };
        while self.boundaries > 0 && at < self.raw.len() {
            if let Some((level, closing)) = self.boundary_at(at) {
                self.close_down_to(level + 1, self.end_before(at));
                let next = line_end(self.raw, at);
                if closing {
                    self.open[level].boundary = None;
                    self.boundaries -= 1;
                } else if self.parts.len() < Structure::MAX_PARTS {
                    let in_digest = self.parts[self.open[level].part].media_type.1 == "digest";
                    return Some((next, Role::Part { in_digest }));
                }
                at = next;
                // The next line may be a boundary too, and the search below begins behind its line end.
                if self.raw[at..].starts_with(b"--") {
                    continue;
                }
            }
            at += self.candidate.find(&self.raw[at..])? + 1;
        }
        None
    }

    /// Where the header block that begins at `start` ends: behind its empty line, or before a boundary.
    fn header_block(&self, start: usize) -> usize {
        let mut at = start;
        while at < self.raw.len() {
            if self.boundaries > 0 && self.boundary_at(at).is_some() {
                return at;
            }
            let end = line_end(self.raw, at);
            if is_empty_line(&self.raw[at..end]) {
                return end;
            }
            at = end;
        }
        self.raw.len()
    }

    /// The level of the open part whose boundary the line at `at` is, and whether it is the closing one.
    fn boundary_at(&self, at: usize) -> Option<(usize, bool)> {
        let line = self.raw[at..].strip_prefix(b"--")?;
        let line = line[..line_end(line, 0)].trim_ascii_end();
        let mut best: Option<(usize, usize)> = None;
        for (level, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else { continue };
            let Some(rest) = line.strip_prefix(boundary.as_slice()) else { continue };
            if rest.is_empty() || rest == b"--" {
                return Some((level, !rest.is_empty()));
            }
            if best.is_none_or(|(_, length)| length < boundary.len()) {
                best = Some((level, boundary.len()));
            }
        }
        best.map(|(level, length)| (level, line[length..].starts_with(b"--")))
    }

    /// The end of the bodies that the boundary line at `at` ends: the line end before it belongs to it
    /// (RFC 2046 section 5.1.1), unless it already belongs to the header.
    fn end_before(&self, at: usize) -> usize {
        let before = &self.raw[..at];
        let before = before.strip_suffix(b"\n").unwrap_or(before);
        let end = before.strip_suffix(b"\r").unwrap_or(before).len();
        let innermost = self.open.last().map_or(0, |open| self.parts[open.part].body.start as usize);
        end.max(innermost)
    }

    fn close_down_to(&mut self, level: usize, end: usize) {
        for open in self.open.drain(level..) {
            self.boundaries -= usize::from(open.boundary.is_some());
            self.parts[open.part].body.end = end as u64;
        }
    }
}

/// A message inside the message that can be told apart: its bytes must stand there as they are (RFC 2046
/// section 5.2.1).
fn is_message(part: &Part) -> bool {
    part.media_type.0 == "message"
        && matches!(&*part.media_type.1, "rfc822" | "global")
        && !matches!(&*part.encoding, "base64" | "quoted-printable")
}

/// Counts the line ends of all bodies in one sweep, since nested ones would be counted again and again.
fn count_lines(raw: &[u8], parts: &mut [Part]) {
    let mut offsets: Vec<u64> = parts.iter().flat_map(|part| [part.body.start, part.body.end]).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let mut lines = 0_u64;
    let mut before = 0;
    let counts: Vec<u64> = offsets
        .iter()
        .map(|offset| {
            let end = *offset as usize;
            lines += memchr::memchr_iter(b'\n', &raw[before..end]).count() as u64;
            before = end;
            lines
        })
        .collect();
    let until = |offset| offsets.binary_search(&offset).map_or(0, |index| counts[index]);
    for part in parts {
        part.lines = u32::try_from(until(part.body.end) - until(part.body.start)).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `type/subtype` with the body of leaves in angle brackets and parts in square ones.
    fn shape(raw: &str, structure: &Structure, index: usize) -> String {
        let part = &structure.parts[index];
        let kind = format!("{}/{}", part.media_type.0, part.media_type.1);
        match &part.content {
            Content::Leaf => format!("{kind}<{}>", &raw[part.body.start as usize..part.body.end as usize]),
            Content::Message(_, root) => format!("{kind}({})", shape(raw, structure, *root as usize)),
            Content::Multipart(children) => {
                let inner: Vec<_> =
                    children.iter().map(|child| shape(raw, structure, *child as usize)).collect();
                format!("{kind}[{}]", inner.join(", "))
            }
        }
    }

    #[test]
    fn boundaries() {
        let mixed = "Content-Type: multipart/mixed; boundary=a\n\n";
        let inner = "Content-Type: multipart/alternative; boundary=b\n\n";
        let message = "Content-Type: message/rfc822\n\n";
        for (body, expected) in [
            ("", "multipart/mixed[]"),
            ("no boundary", "multipart/mixed[]"),
            ("--a\n\nx\n--a--\n", "multipart/mixed[text/plain<x>]"),
            (
                "pre\n--a\n\nx\n\n--a  \n\ny\n--a-- \nepi\n--a\n\nz",
                "multipart/mixed[text/plain<x\n>, text/plain<y>]",
            ),
            // Neither closed nor ended by a line end.
            ("--a\n\nx", "multipart/mixed[text/plain<x>]"),
            ("--a", "multipart/mixed[text/plain<>]"),
            ("--a\n--a\nA: b\n--a\n\n--a--", "multipart/mixed[text/plain<>, text/plain<>, text/plain<>]"),
            // No boundaries: not at the beginning of a line, too short, another one.
            ("--a\n\nx --a\n --a\n-a\n--c\n--a--", "multipart/mixed[text/plain<x --a\n --a\n-a\n--c>]"),
            // A boundary within, closed or not; then the outer one ends it.
            (
                "--a\n{inner}--b\n\nx\n--b--\n--a\n\ny\n--a--",
                "multipart/mixed[multipart/alternative[text/plain<x>], text/plain<y>]",
            ),
            (
                "--a\n{inner}--b\n\nx\n--a\n\ny",
                "multipart/mixed[multipart/alternative[text/plain<x>], text/plain<y>]",
            ),
            ("--a\n{inner}--a--\n--b\n\nx", "multipart/mixed[multipart/alternative[]]"),
            // The same boundary again within: the innermost wins.
            (
                "--a\n{mixed}--a\n\nx\n--a--\n--a\n\ny",
                "multipart/mixed[multipart/mixed[text/plain<x>], text/plain<y>]",
            ),
            // Only the beginning of the line.
            ("--a\n\nx\n--abc\n\ny", "multipart/mixed[text/plain<x>, text/plain<y>]"),
            ("--a\n{message}A: b\n\nx\n--a--", "multipart/mixed[message/rfc822(text/plain<x>)]"),
            ("--a\n{message}--a--", "multipart/mixed[message/rfc822(text/plain<>)]"),
            (
                "--a\nContent-Transfer-Encoding: base64\n{message}QTogYgo=\n--a--",
                "multipart/mixed[message/rfc822<QTogYgo=>]",
            ),
            (
                "--a\nContent-Type: multipart/digest; boundary=d\n\n--d\n\nA: b\n\nx\n--d\nContent-Type: text/html\n\ny",
                "multipart/mixed[multipart/digest[message/rfc822(text/plain<x>), text/html<y>]]",
            ),
        ] {
            let body = body.replace("{inner}", inner).replace("{mixed}", mixed).replace("{message}", message);
            for line_end in ["\n", "\r\n"] {
                let raw = format!("{mixed}{body}").replace('\n', line_end);
                let (structure, _) = scan(raw.as_bytes());
                assert_eq!(shape(&raw, &structure, 0), expected.replace('\n', line_end), "{raw:?}");
            }
        }
    }

    #[test]
    fn lines_are_counted_in_every_part() {
        let raw = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n1\r\n2\r\n3\r\n--a\r\n\
                   Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx\r\n\r\n--a--\r\n";
        let lines: Vec<u32> = scan(raw.as_bytes()).0.parts.iter().map(|part| part.lines).collect();
        assert_eq!(lines, [13, 2, 3, 1]);
    }
}
