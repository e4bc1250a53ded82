//! Multi-line responses (RFC 1939 section 3): a dot at the start of a line is doubled, and a line of one dot
//! ends it all.
//!
//! A stored message may hold bare LF, or end without a line end (it was imported, or a client appended it). A
//! dot behind a bare LF is doubled too: many clients take LF as a line end and would fall out of step.

use memchr::memchr_iter;

/// Writes a text piece by piece; any split gives the same.
#[derive(Debug)]
pub(super) struct Stuffer {
    /// The last two bytes that went out.
    tail: [u8; 2],
    /// Nothing has gone out.
    fresh: bool,
}

impl Stuffer {
    pub const fn new() -> Stuffer {
        Stuffer { tail: *b"\r\n", fresh: true }
    }

    /// Writes the next piece.
    pub fn write(&mut self, text: &[u8], mut out: impl FnMut(&[u8])) {
        if text.is_empty() {
            return;
        }
        let mut from = 0;
        for dot in memchr_iter(b'.', text) {
            let before = if dot == 0 { self.tail[1] } else { text[dot - 1] };
            if before == b'\n' {
                // The dot goes out here, and again with what follows.
                out(&text[from..=dot]);
                from = dot;
            }
        }
        out(&text[from..]);
        self.tail = match text {
            [.., a, b] => [*a, *b],
            _ => [self.tail[1], text[0]],
        };
        self.fresh = false;
    }

    /// Writes the end: a line end if there is none, and the dot.
    pub fn finish(self, mut out: impl FnMut(&[u8])) {
        if !self.fresh && self.tail != *b"\r\n" {
            out(b"\r\n");
        }
        out(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuff(pieces: &[&[u8]]) -> Vec<u8> {
        let mut wire = Vec::new();
        let mut stuffer = Stuffer::new();
        for piece in pieces {
            stuffer.write(piece, |bytes| wire.extend_from_slice(bytes));
        }
        stuffer.finish(|bytes| wire.extend_from_slice(bytes));
        wire
    }

    #[test]
    fn every_message_ends() {
        for (message, wire) in [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\n", "a\n\r\n.\r\n"),
            ("a\r", "a\r\r\n.\r\n"),
            (".\r\n..\r\n.a", "..\r\n...\r\n..a\r\n.\r\n"),
            ("a\n.\nb\r\n", "a\n..\nb\r\n.\r\n"),
            ("a.b\r\n", "a.b\r\n.\r\n"),
        ] {
            assert_eq!(stuff(&[message.as_bytes()]), wire.as_bytes(), "{message:?}");
        }
    }

    /// What a client does, by CRLF or by LF lines.
    fn unstuff(wire: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut message = Vec::new();
        let mut read = 0;
        for line in wire.split_inclusive(|byte| *byte == b'\n') {
            read += line.len();
            match line {
                b".\r\n" | b".\n" => return Some((message, read)),
                [b'.', rest @ ..] => message.extend_from_slice(rest),
                line => message.extend_from_slice(line),
            }
        }
        None
    }

    proptest! {
        #[test]
        fn clients_get_the_message_back(
            message in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let wire = stuff(&[&message]);
            let cut = cut.index(message.len() + 1);
            prop_assert_eq!(&stuff(&[&message[..cut], &message[cut..]]), &wire);
            let (back, read) = unstuff(&wire).expect("ends");
            prop_assert_eq!(read, wire.len(), "ends early");
            let complete = message.is_empty() || message.ends_with(b"\r\n");
            let expected = if complete { message } else { [&*message, b"\r\n"].concat() };
            prop_assert_eq!(back, expected);
        }
    }
}
