//! Sequence sets (RFC 3501 section 9, `sequence-set`), kept as ranges and never expanded.

use std::fmt;

use pennypost_model::UidSet;

use super::cursor::{Cursor, Parse, SyntaxError};

/// One end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeqNumber {
    /// A number, not 0.
    Value(u32),
    /// `*`: the largest in use.
    Last,
}

impl SeqNumber {
    /// Reads a number or `*`.
    ///
    /// # Errors
    /// It is neither, 0, or above 32 bits.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<SeqNumber> {
        if cursor.take(b'*') {
            return Ok(SeqNumber::Last);
        }
        match cursor.number()? {
            0 => Err(SyntaxError("0 is not a message number")),
            value => Ok(SeqNumber::Value(value)),
        }
    }

    const fn or(self, last: u32) -> u32 {
        match self {
            SeqNumber::Value(value) => value,
            SeqNumber::Last => last,
        }
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SeqNumber::Value(value) => value.fmt(f),
            SeqNumber::Last => f.write_str("*"),
        }
    }
}

/// A set of message sequence numbers or UIDs as the client wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SequenceSet {
    /// Its ranges.
    pub ranges: Vec<(SeqNumber, SeqNumber)>,
    /// With `$`: what the last SEARCH has saved (RFC 5182).
    pub saved: bool,
}

impl From<Vec<(SeqNumber, SeqNumber)>> for SequenceSet {
    fn from(ranges: Vec<(SeqNumber, SeqNumber)>) -> SequenceSet {
        SequenceSet { ranges, saved: false }
    }
}

impl SequenceSet {
    /// Ranges that one set can have: more than fit into a command line.
    const MAX_RANGES: usize = 40_000;

    /// Reads a set.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<SequenceSet> {
        let mut set = SequenceSet::default();
        loop {
            if set.ranges.len() >= Self::MAX_RANGES {
                return Err(SyntaxError("the set has too many ranges"));
            }
            // RFC 9051 section 9 lets it stand among others.
            if cursor.take(b'$') {
                set.saved = true;
            } else {
                let first = SeqNumber::parse(cursor)?;
                let last = if cursor.take(b':') { SeqNumber::parse(cursor)? } else { first };
                set.ranges.push((first, last));
            }
            if !cursor.take(b',') {
                return Ok(set);
            }
        }
    }

    /// Reads a set of plain numbers, without `*` and `$`.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse_known(cursor: &mut Cursor<'_>) -> Parse<UidSet> {
        let set = SequenceSet::parse(cursor)?;
        if set.saved || set.ranges.iter().any(|(a, b)| *a == SeqNumber::Last || *b == SeqNumber::Last) {
            return Err(SyntaxError("only plain numbers can be known"));
        }
        Ok(set.resolve(0))
    }

    /// The numbers that it means when `last` is the largest in use (0 if none is). UIDs: `559:*` means the
    /// last message even if its UID is lower (RFC 3501 section 6.4.8).
    #[must_use]
    pub fn resolve(&self, last: u32) -> UidSet {
        let is_there =
            |(a, b): &&(SeqNumber, SeqNumber)| last > 0 || (*a != SeqNumber::Last && *b != SeqNumber::Last);
        UidSet::from_ranges(self.ranges.iter().filter(is_there).map(|(a, b)| (a.or(last), b.or(last))))
    }

    /// Is the largest number named, other than by `*`, above `last`? `1:*` means all there are, and so it may
    /// be none; `*` alone is the last, and that must be there.
    #[must_use]
    pub fn exceeds(&self, last: u32) -> bool {
        use SeqNumber::{Last, Value};
        self.ranges.iter().any(|ends| match ends {
            (Value(1), Last) | (Last, Value(1)) => false,
            (a, b) => [a, b].into_iter().any(|end| match end {
                Value(value) => *value > last,
                Last => last == 0,
            }),
        })
    }
}

impl fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        if self.saved {
            f.write_str(if self.ranges.is_empty() { "$" } else { ",$" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::Uid;
    use proptest::prelude::*;

    fn parse(text: &str) -> Parse<SequenceSet> {
        let mut cursor = Cursor::new(text.as_bytes());
        let set = SequenceSet::parse(&mut cursor)?;
        cursor.end()?;
        Ok(set)
    }

    #[test]
    fn sets_mean_what_the_rfc_says() {
        for (text, last, members) in [
            ("1", 5, "1"),
            ("2,4:7,9,12:*", 15, "2,4:7,9,12:15"),
            ("*:4,5:7", 10, "4:10"),
            ("559:*", 10, "10:559"),
            ("*", 0, ""),
            ("1:*", 0, ""),
            ("4294967295:*", 3, "3:4294967295"),
        ] {
            assert_eq!(parse(text).expect(text).resolve(last).to_string(), members, "{text}");
        }
    }

    #[test]
    fn wild_sets_are_refused() {
        for text in ["", "0", "1,", ",1", "1:", "4294967296", "99999999999999999999999", "-1", "1:2:3", "a"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for (text, ranges) in [("$", 0), ("1,$", 1), ("$,2:4,*", 2)] {
            let set = parse(text).expect(text);
            assert_eq!((set.saved, set.ranges.len()), (true, ranges), "{text}");
        }
        for text in ["$:3", "1:$", "$$", "1$"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for (text, is_known) in [("1:5,9", true), ("1:*", false), ("$", false)] {
            assert_eq!(
                SequenceSet::parse_known(&mut Cursor::new(text.as_bytes())).is_ok(),
                is_known,
                "{text}"
            );
        }
        assert!(parse("1:5").expect("set").exceeds(4));
        assert!(!parse("1:*").expect("set").exceeds(4));
        for (text, exceeds) in [("1:*", false), ("*:1", false), ("*", true), ("2:*", true), ("1", true)] {
            assert_eq!(parse(text).expect(text).exceeds(0), exceeds, "{text}");
        }
    }

    fn number() -> impl Strategy<Value = SeqNumber> {
        prop_oneof![(1..40_u32).prop_map(SeqNumber::Value), Just(SeqNumber::Last)]
    }

    proptest! {
        #[test]
        fn sets_round_trip(ranges in proptest::collection::vec((number(), number()), 1..20)) {
            let set = SequenceSet::from(ranges);
            prop_assert_eq!(parse(&set.to_string()), Ok(set));
        }

        #[test]
        fn a_set_holds_what_one_by_one_would(ranges in proptest::collection::vec((number(), number()), 1..6), last in 1..40_u32) {
            let set = SequenceSet::from(ranges);
            let resolved = set.resolve(last);
            for candidate in 1..=40_u32 {
                let within = set.ranges.iter().any(|(a, b)| {
                    let (a, b) = (a.or(last), b.or(last));
                    (a.min(b)..=a.max(b)).contains(&candidate)
                });
                prop_assert_eq!(resolved.contains(Uid(candidate)), within);
            }
        }
    }
}
