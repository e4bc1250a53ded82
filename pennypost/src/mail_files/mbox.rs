//! mbox files (RFC 4155; mboxo and mboxrd): messages between `From ` lines.

use std::io::{self, BufRead};

use pennypost_model::Timestamp;

use super::MAX_MESSAGE;

/// The messages of an mbox, one after the other.
pub struct Messages<R> {
    reader: R,
    /// The `From ` line of the next message, once it has been seen.
    next: Option<Vec<u8>>,
    started: bool,
}

impl<R: BufRead> Messages<R> {
    pub fn new(reader: R) -> Messages<R> {
        Messages { reader, next: None, started: false }
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut limited = io::Read::take(&mut self.reader, MAX_MESSAGE);
        let read = limited.read_until(b'\n', &mut line)?;
        Ok((read > 0).then_some(line))
    }

    fn message(&mut self, from: &[u8]) -> io::Result<(Option<Timestamp>, Vec<u8>)> {
        let mut raw = Vec::new();
        let mut too_large = false;
        let mut after_empty_line = true;
        while let Some(line) = self.line()? {
            if after_empty_line && line.starts_with(b"From ") {
                self.next = Some(line);
                break;
            }
            after_empty_line = line == b"\n" || line == b"\r\n";
            let quoted = line.iter().position(|byte| *byte != b'>');
            let unquoted = quoted.is_some_and(|at| at > 0 && line[at..].starts_with(b"From "));
            too_large |= (raw.len() + line.len()) as u64 > MAX_MESSAGE;
            if !too_large {
                raw.extend_from_slice(if unquoted { &line[1..] } else { &line });
            }
        }
        if too_large {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 256 MB"));
        }
        // The empty line in front of the next `From ` belongs to the format.
        for end in [&b"\r\n\r\n"[..], b"\n\n"] {
            if raw.ends_with(end) {
                raw.truncate(raw.len() - end.len() / 2);
                break;
            }
        }
        Ok((received(from), crlf(&raw)))
    }
}

impl<R: BufRead> Iterator for Messages<R> {
    type Item = io::Result<(Option<Timestamp>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let from = match self.next.take() {
            Some(from) => from,
            None if self.started => return None,
            None => {
                self.started = true;
                loop {
                    match self.line() {
                        Ok(Some(line)) if line.starts_with(b"From ") => break line,
                        Ok(Some(_)) => {}
                        Ok(None) => return None,
                        Err(error) => return Some(Err(error)),
                    }
                }
            }
        };
        Some(self.message(&from))
    }
}

/// mbox files have the line ends of their system; mail has CRLF (RFC 5322 section 2.1).
fn crlf(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32);
    let mut previous = 0;
    for byte in raw {
        if *byte == b'\n' && previous != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        previous = *byte;
    }
    out
}

/// The time in `From address Thu Nov 19 08:15:30 2026`.
fn received(from: &[u8]) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let line = String::from_utf8_lossy(from);
    let words: Vec<&str> = line.split_whitespace().collect();
    let month_at = words.iter().skip(2).position(|word| MONTHS.contains(word))? + 2;
    let month = MONTHS.iter().position(|month| *month == words[month_at])? as i64 + 1;
    let day: i64 = words.get(month_at + 1)?.parse().ok()?;
    let mut clock = words.get(month_at + 2)?.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().flatten().unwrap_or(0);
    let year: i64 = words[month_at + 3..].iter().find_map(|word| word.parse().ok().filter(|y| *y > 1900))?;
    let in_range = (1..=31).contains(&day) && (0..24).contains(&hour) && (0..60).contains(&minute);
    if !in_range || year > 9999 {
        return None;
    }
    // Days since 1970-01-01 of the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(Timestamp(((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_and_unquoted() {
        let file = b"From a@b.test Thu Nov 19 08:15:30 2026\nSubject: 1\n\n>From here\n>>From there\n\nFrom x Fri Nov 20 00:00:00 2026\nSubject: 2\n\nbody\nFrom the middle of a paragraph\n";
        let found: Vec<_> = Messages::new(&file[..]).map(Result::unwrap).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0.map(Timestamp::rfc3339).as_deref(), Some("2026-11-19T08:15:30.000Z"));
        assert_eq!(found[0].1, b"Subject: 1\r\n\r\nFrom here\r\n>From there\r\n");
        assert_eq!(found[1].1, b"Subject: 2\r\n\r\nbody\r\nFrom the middle of a paragraph\r\n");
    }

    #[test]
    fn garbage_has_no_messages() {
        assert_eq!(Messages::new(&b"no mail here\n\n"[..]).count(), 0);
        assert_eq!(Messages::new(&b""[..]).count(), 0);
    }
}
