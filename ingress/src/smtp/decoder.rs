//! From the wire to the message: the end of DATA, the dots (RFC 5321 section 4.5.2), the size, and bare CR or
//! LF (section 2.3.8). Pure: any split of the input gives the same result.
//!
//! Only CRLF `.` CRLF ends a message. A CR or LF that is not part of a CRLF is a line end for some programs
//! and none for others, which is how one mail is smuggled in another: such a message is refused whole, at its
//! end.

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A CR or LF by itself.
    BareLineEnd,
    /// Above the limit.
    TooLarge,
}

/// Where in the text the decoder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Behind a CRLF.
    LineStart,
    /// Within a line.
    Line,
    /// Behind a CR.
    Cr,
    /// Behind a dot at the start of a line, which is not part of the message.
    Dot,
    /// Behind such a dot and a CR.
    DotCr,
}

/// Takes the message out of DATA, or of BDAT chunks, which have neither dots nor an end of their own.
#[derive(Debug)]
pub(crate) struct Decoder {
    at: At,
    dots: bool,
    limit: usize,
    /// Bytes of the message so far, also those that were thrown away after a fault.
    size: u64,
    fault: Option<Fault>,
}

impl Decoder {
    /// For DATA.
    pub const fn data(limit: usize) -> Decoder {
        Decoder { at: At::LineStart, dots: true, limit, size: 0, fault: None }
    }

    /// For BDAT.
    pub const fn chunks(limit: usize) -> Decoder {
        Decoder { at: At::LineStart, dots: false, limit, size: 0, fault: None }
    }

    /// What is wrong with the message so far. From then on nothing is added to it.
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Bytes of the message so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// For the end of the last chunk.
    pub fn finish(&mut self) {
        if self.at == At::Cr {
            self.fail(Fault::BareLineEnd);
        }
    }

    /// Decodes `input` onto `message`. The answer: how many bytes of it belong to the message, and whether its
    /// end was among them. Without the end, all of the input is taken.
    pub fn decode(&mut self, input: &[u8], message: &mut Vec<u8>) -> (usize, bool) {
        // input[from..index] is text that has been looked at and not yet copied.
        let mut from = 0;
        let mut index = 0;
        while index < input.len() {
            match self.at {
                At::Line => match memchr::memchr2(b'\r', b'\n', &input[index..]) {
                    None => break,
                    Some(found) => {
                        index += found;
                        if input[index] == b'\n' {
                            self.fail(Fault::BareLineEnd);
                        } else {
                            self.at = At::Cr;
                        }
                        index += 1;
                    }
                },
                At::Cr => {
                    match input[index] {
                        b'\n' => {
                            self.at = At::LineStart;
                            index += 1;
                        }
                        // Looked at again as part of the line.
                        _ => {
                            self.fail(Fault::BareLineEnd);
                            self.at = At::Line;
                        }
                    }
                }
                At::LineStart if self.dots && input[index] == b'.' => {
                    self.keep(&input[from..index], message);
                    self.at = At::Dot;
                    index += 1;
                    from = index;
                }
                At::LineStart => self.at = At::Line,
                At::Dot => match input[index] {
                    b'\r' => {
                        self.at = At::DotCr;
                        index += 1;
                    }
                    _ => self.at = At::Line,
                },
                At::DotCr => match input[index] {
                    // The CR in front of the LF may have come with the last input.
                    b'\n' => return (index + 1, true),
                    _ => {
                        self.fail(Fault::BareLineEnd);
                        self.at = At::Line;
                    }
                },
            }
        }
        // A CR behind a dot may belong to the end; if it does not, the message has a fault and it is not missed.
        let upto = if self.at == At::DotCr { from } else { input.len() };
        self.keep(&input[from..upto], message);
        (input.len(), false)
    }

    fn keep(&mut self, text: &[u8], message: &mut Vec<u8>) {
        self.size += text.len() as u64;
        if self.size > self.limit as u64 {
            self.fail(Fault::TooLarge);
        }
        match self.fault {
            None => message.extend_from_slice(text),
            Some(_) if message.capacity() > 0 => *message = Vec::new(),
            Some(_) => {}
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything at once: message, fault, bytes taken.
    fn decode(wire: &[u8], limit: usize) -> Option<(Vec<u8>, Option<Fault>, usize)> {
        let mut decoder = Decoder::data(limit);
        let mut message = Vec::new();
        let (taken, ended) = decoder.decode(wire, &mut message);
        ended.then_some((message, decoder.fault(), taken))
    }

    #[test]
    fn only_one_thing_ends_a_message() {
        for (wire, message) in [
            (".\r\n", ""),
            ("a\r\n.\r\n", "a\r\n"),
            ("..\r\n.\r\n", ".\r\n"),
            (".a\r\n...\r\n.\r\n", "a\r\n..\r\n"),
            ("\r\n.\r\n", "\r\n"),
        ] {
            let expected = (message.as_bytes().to_vec(), None, wire.len());
            assert_eq!(decode(wire.as_bytes(), 100), Some(expected), "{wire:?}");
        }
        for smuggled in ["\n.\r\n", "\r\n.\n", "\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n\0.\r\n"] {
            let wire = format!("a{smuggled}MAIL FROM:<x@y.example>\r\n");
            assert_eq!(decode(wire.as_bytes(), 100), None, "{smuggled:?} ends a message");
            let whole = format!("{wire}.\r\n");
            let (_, fault, taken) = decode(whole.as_bytes(), 100).expect("ends");
            assert_eq!(taken, whole.len());
            let expected = (!smuggled.contains('\0')).then_some(Fault::BareLineEnd);
            assert_eq!(fault, expected, "{smuggled:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let wire = format!("{}\r\n.\r\n", "x".repeat(98));
        assert_eq!(decode(wire.as_bytes(), 100).expect("ends").1, None);
        let (message, fault, taken) = decode(wire.as_bytes(), 99).expect("ends");
        assert_eq!((message.capacity(), fault, taken), (0, Some(Fault::TooLarge), wire.len()));
    }

    /// What a client does to a message.
    fn stuff(message: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        for line in message.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                wire.push(b'.');
            }
            wire.extend_from_slice(line);
        }
        wire.extend_from_slice(b".\r\n");
        wire
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same(
            wire in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut wire = wire;
            wire.extend_from_slice(b"\r\n.\r\nQUIT\r\n");
            let whole = decode(&wire, 30);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            cuts.push(wire.len());
            cuts.sort_unstable();
            let mut decoder = Decoder::data(30);
            let (mut message, mut at, mut result) = (Vec::new(), 0, None);
            for cut in cuts {
                let (taken, ended) = decoder.decode(&wire[at..cut], &mut message);
                at += taken;
                if ended {
                    result = Some((std::mem::take(&mut message), decoder.fault(), at));
                    break;
                }
            }
            // After a fault the rest of what was kept is of no interest.
            let known = |result: Option<(Vec<u8>, Option<Fault>, usize)>| {
                result.map(|(message, fault, at)| (fault.is_none().then_some(message), fault, at))
            };
            prop_assert_eq!(known(result), known(whole));
        }

        #[test]
        fn dots_come_and_go(lines in proptest::collection::vec("[.a ]{0,5}", 0..20)) {
            let message: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
            let wire = stuff(&message);
            prop_assert_eq!(decode(&wire, 1000), Some((message, None, wire.len())));
        }

        #[test]
        fn chunks_are_taken_as_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in any::<prop::sample::Index>()) {
            let cut = cut.index(bytes.len() + 1);
            let mut decoder = Decoder::chunks(1000);
            let mut message = Vec::new();
            decoder.decode(&bytes[..cut], &mut message);
            decoder.decode(&bytes[cut..], &mut message);
            decoder.finish();
            let without_pairs = String::from_utf8_lossy(&bytes).replace("\r\n", "");
            prop_assert_eq!(decoder.fault().is_some(), without_pairs.contains(['\r', '\n']));
            if decoder.fault().is_none() {
                prop_assert_eq!(message, bytes);
            }
        }
    }
}
