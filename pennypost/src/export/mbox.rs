//! mbox files in the mboxrd form: lines that begin with `From ` behind any number of `>` get one more, so that
//! reading gives them back as they were. Line ends are those of the format (LF); a reader makes CRLF of them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};

use pennypost_fold::Mailbox;
use pennypost_model::Timestamp;

use super::{Export, Trouble, date, folders};

impl Export<'_> {
    /// Writes a mailbox as one file; an empty one has none. An earlier file is replaced when the new one is
    /// whole.
    pub(super) async fn mbox(&mut self, mailbox: &Mailbox) -> Result<(), Trouble> {
        let Some(last) = mailbox.rows.last() else { return Ok(()) };
        let folder = self.root.join(folders::nested(mailbox));
        fs::create_dir_all(&folder)?;
        let temporary = folder.join(".messages.mbox.part");
        let mut file = BufWriter::with_capacity(1 << 18, File::create(&temporary)?);
        for row in mailbox.rows.iter() {
            let mut message: Option<Quoter> = None;
            let written = self.pieces(row, |piece| {
                // The line that begins a message is written only when there are bytes to follow it.
                if message.is_none() {
                    writeln!(file, "From MAILER-DAEMON {}", asctime(row.internal_date))?;
                }
                message.get_or_insert_with(Quoter::default).write(piece, &mut file)
            });
            let written = written.await;
            if let Some(message) = message {
                message.finish(&mut file)?;
            }
            self.note(mailbox, row, written)?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        date(&file, last.internal_date)?;
        fs::rename(&temporary, folder.join("messages.mbox"))?;
        Ok(())
    }
}

/// Quotes a message that comes in pieces. Between pieces it keeps only where it stands in the line.
struct Quoter {
    line: Line,
    /// A CR was the last byte and is not written yet.
    has_cr: bool,
}

/// Where in a line the quoter stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So many `>` and so many bytes of `From ` have been seen and are held back.
    Begun { quotes: usize, matched: usize },
    /// It is known whether the line needs a `>`.
    Decided,
}

const FROM: &[u8] = b"From ";
const BEGIN: Line = Line::Begun { quotes: 0, matched: 0 };

impl Default for Quoter {
    fn default() -> Quoter {
        Quoter { line: BEGIN, has_cr: false }
    }
}

impl Quoter {
    fn write(&mut self, mut piece: &[u8], out: &mut impl Write) -> io::Result<()> {
        while let Some(byte) = piece.first() {
            if self.line == Line::Decided && !self.has_cr {
                let end = piece.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                let (plain, rest) = piece.split_at(end.unwrap_or(piece.len()));
                out.write_all(plain)?;
                piece = rest;
                let Some(byte) = piece.first() else { break };
                self.byte(*byte, out)?;
            } else {
                self.byte(*byte, out)?;
            }
            piece = &piece[1..];
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.has_cr) && byte != b'\n' {
            self.decide(out)?;
            out.write_all(b"\r")?;
        }
        if byte == b'\r' {
            self.has_cr = true;
            return Ok(());
        }
        match &mut self.line {
            Line::Begun { quotes, matched: 0 } if byte == b'>' => *quotes += 1,
            Line::Begun { matched, .. } if FROM.get(*matched) == Some(&byte) => {
                *matched += 1;
                if *matched == FROM.len() {
                    out.write_all(b">")?;
                    self.decide(out)?;
                }
            }
            _ => {
                self.decide(out)?;
                out.write_all(&[byte])?;
                if byte == b'\n' {
                    self.line = BEGIN;
                }
            }
        }
        Ok(())
    }

    /// Writes what was held back.
    fn decide(&mut self, out: &mut impl Write) -> io::Result<()> {
        if let Line::Begun { quotes, matched } = std::mem::replace(&mut self.line, Line::Decided) {
            io::copy(&mut io::Read::take(io::repeat(b'>'), quotes as u64), out)?;
            out.write_all(&FROM[..matched])?;
        }
        Ok(())
    }

    /// Ends the message, and its last line if it has no end, with the empty line of the format.
    fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.has_cr) {
            self.decide(out)?;
            out.write_all(b"\r")?;
        }
        if self.line != BEGIN {
            self.decide(out)?;
            out.write_all(b"\n")?;
        }
        out.write_all(b"\n")
    }
}

/// `Thu Nov 19 08:15:30 2026`, UTC (RFC 4155).
fn asctime(time: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (year, month, day) = time.civil_day();
    let seconds = time.seconds().rem_euclid(86_400);
    let weekday = DAYS[time.seconds().div_euclid(86_400).rem_euclid(7) as usize];
    let month = MONTHS[(month as usize + 11) % 12];
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{weekday} {month} {day:2} {hour:02}:{minute:02}:{second:02} {year}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(message: &[u8], piece: usize) -> String {
        let mut out = Vec::new();
        let mut quoter = Quoter::default();
        message.chunks(piece).for_each(|piece| quoter.write(piece, &mut out).expect("memory"));
        quoter.finish(&mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn quoting_does_not_depend_on_pieces() {
        let message = b"Subject: 1\r\n\r\nFrom a\r\n>From b\r\n>>Fro\r\n>\r\nx From y\r\n\rFrom c\r\nFrom";
        for piece in 1..message.len() {
            assert_eq!(
                quoted(message, piece),
                "Subject: 1\n\n>From a\n>>From b\n>>Fro\n>\nx From y\n\rFrom c\nFrom\n\n",
                "pieces of {piece} bytes"
            );
        }
        assert_eq!(quoted(b"a\r\n", 1), "a\n\n");
        assert_eq!(quoted(b"a\r", 1), "a\r\n\n");
    }

    #[test]
    fn dates_are_those_of_the_format() {
        assert_eq!(asctime(Timestamp(1_795_076_130_000)), "Thu Nov 19 08:15:30 2026");
        assert_eq!(asctime(Timestamp(-1)), "Wed Dec 31 23:59:59 1969");
    }
}
