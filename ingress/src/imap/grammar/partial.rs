//! PARTIAL of SEARCH and FETCH (RFC 9394): a window of results, counted from the first or from the last.

use std::fmt;
use std::ops::Range;

use super::cursor::{Cursor, Parse, SyntaxError};

/// A window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// One end, from 1.
    pub first: u32,
    /// The other end.
    pub last: u32,
    /// Counted from the last result backwards.
    pub from_end: bool,
}

impl Partial {
    /// Reads a window.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<Partial> {
        const BROKEN: &str = "a partial range is broken";
        let from_end = cursor.peek() == Some(b'-');
        let end = |cursor: &mut Cursor<'_>| {
            if cursor.take(b'-') != from_end {
                return Err(SyntaxError(BROKEN));
            }
            match cursor.number()? {
                0 => Err(SyntaxError(BROKEN)),
                number => Ok(number),
            }
        };
        let first = end(cursor)?;
        cursor.expect(b':', BROKEN)?;
        Ok(Partial { first, last: end(cursor)?, from_end })
    }

    /// Which of `len` results, counted from 0.
    #[must_use]
    pub fn of(self, len: u64) -> Range<u64> {
        let (low, high) = (u64::from(self.first.min(self.last)), u64::from(self.first.max(self.last)));
        if self.from_end {
            let start = len.saturating_sub(high);
            return start..(len + 1).saturating_sub(low).max(start);
        }
        (low - 1).min(len)..high.min(len)
    }
}

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minus = if self.from_end { "-" } else { "" };
        write!(f, "{minus}{}:{minus}{}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_results() {
        for (text, len, range) in [
            ("1:500", 1_000, 0..500),
            ("500:1", 1_000, 0..500),
            ("501:1000", 700, 500..700),
            ("501:1000", 500, 500..500),
            ("501:1000", 10, 10..10),
            ("-1:-100", 1_000, 900..1_000),
            ("-100:-1", 50, 0..50),
            ("-101:-200", 150, 0..50),
            ("-101:-200", 50, 0..0),
            ("-1:-1", 0, 0..0),
            ("1:4294967295", 3, 0..3),
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            let partial = Partial::parse(&mut cursor).expect(text);
            assert_eq!(partial.of(len), range, "{text}");
            assert_eq!(partial.to_string(), text);
        }
        for text in ["", "1", "1:", "0:1", "1:0", "-1:1", "1:-1", "-0:-1", "1:4294967296", "1:*"] {
            let mut cursor = Cursor::new(text.as_bytes());
            assert!(Partial::parse(&mut cursor).and_then(|_| cursor.end()).is_err(), "{text}");
        }
    }
}
