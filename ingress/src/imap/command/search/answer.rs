//! What is told of a search: SEARCH (RFC 3501 section 7.2.5) or ESEARCH (RFC 4731), a window of it (RFC 9394), and
//! what is kept of it for `$` (RFC 5182).

use pennypost_model::{Seq, Uid, UidSet};

use crate::imap::grammar::{Returns, Search};
use crate::imap::print;
use crate::imap::response::Reply;
use crate::imap::session::{Done, Session};
use crate::imap::view::View;

/// Octets of numbers that are written before output is sent in between.
const OUTPUT: usize = 16 * 1024;

/// What was found.
#[derive(Default)]
pub(in crate::imap::command) struct Found {
    /// Numbers or UIDs.
    pub set: UidSet,
    highest_modseq: Seq,
    /// Of the first and of the last that was found.
    end_modseqs: Option<(Seq, Seq)>,
}

impl Found {
    pub fn push(&mut self, number: Uid, modseq: Seq) {
        self.set.push(number);
        self.highest_modseq = self.highest_modseq.max(modseq);
        self.end_modseqs.get_or_insert((modseq, modseq)).1 = modseq;
    }

    /// The MODSEQ to be told: the highest of the messages that the answer tells of (RFC 7162 section 3.1.10).
    fn modseq(&self, returns: Option<Returns>) -> Option<Seq> {
        let (first, last) = self.end_modseqs?;
        Some(match returns {
            Some(Returns { all: false, count: false, partial: None, min, max, .. }) => match (min, max) {
                (true, true) => first.max(last),
                (true, false) => first,
                _ => last,
            },
            _ => self.highest_modseq,
        })
    }

    /// What `$` means from now on: of MIN, MAX and PARTIAL alone only what they tell (RFC 5182 section 2.4,
    /// RFC 9394 section 3.1).
    fn saved(&self, returns: &Returns) -> UidSet {
        let is_part = returns.min || returns.max || returns.partial.is_some();
        if returns.all || returns.count || !is_part {
            return self.set.clone();
        }
        let mut ranges = Vec::new();
        if let Some((first, _)) = self.set.ranges().first().filter(|_| returns.min) {
            ranges.push((*first, *first));
        }
        if let Some((_, last)) = self.set.ranges().last().filter(|_| returns.max) {
            ranges.push((*last, *last));
        }
        if let Some(partial) = returns.partial {
            ranges.extend_from_slice(slice(&self.set, partial.of(self.set.len())).ranges());
        }
        UidSet::from_ranges(ranges)
    }
}

/// The members of a set at these places, counted from 0.
fn slice(set: &UidSet, places: std::ops::Range<u64>) -> UidSet {
    let mut before = 0_u64;
    let mut ranges = Vec::new();
    for (first, last) in set.ranges() {
        let len = u64::from(last - first) + 1;
        let (start, end) =
            (places.start.max(before) - before, places.end.min(before + len).max(before) - before);
        if start < end {
            // Both lie within the range, and so within 32 bits.
            ranges.push((first + start as u32, first + (end - 1) as u32));
        }
        before += len;
    }
    UidSet::from_ranges(ranges)
}

/// The UIDs of numbers.
fn uids_of(view: &View, numbers: &UidSet) -> UidSet {
    let rows = &view.shown().rows;
    let rows = numbers.ranges().iter().flat_map(|(first, last)| {
        rows.from_position((*first as usize).saturating_sub(1)).take((last - first) as usize + 1)
    });
    rows.map(|row| row.uid).collect()
}

impl Session {
    /// Keeps what was found for `$`, if the command says so.
    pub(in crate::imap::command) fn save_found(&mut self, search: &Search, found: Option<&Found>) {
        let Some(view) = &mut self.view else { return };
        let Some(returns) = search.returns.filter(|returns| returns.save) else { return };
        view.saved = match found {
            None => UidSet::new(),
            Some(found) if search.by_uid => found.saved(&returns),
            Some(found) => uids_of(view, &found.saved(&returns)),
        };
    }

    pub(super) async fn tell_found(&mut self, search: &Search, found: &Found, tag: &str) -> Done {
        let modseq = found.modseq(search.returns).filter(|_| search.key.names_modseq());
        // With IMAP4rev2 there is no other answer (RFC 9051 section 6.4.4).
        let all = Returns { all: true, ..Returns::default() };
        let Some(returns) = search.returns.or(self.modes.rev2.then_some(all)) else {
            return self.tell_numbers(found, modseq).await;
        };
        if !returns.tells() {
            return Ok(Reply::ok("searched, and saved"));
        }
        let mut out =
            format!("* ESEARCH (TAG \"{tag}\"){}", if search.by_uid { " UID" } else { "" }).into_bytes();
        let word = |out: &mut Vec<u8>, word: &str, value: u64| {
            out.extend_from_slice(word.as_bytes());
            print::number(out, value);
        };
        let ranges = found.set.ranges();
        if let (Some((min, _)), Some((_, max))) = (ranges.first(), ranges.last()) {
            if returns.min {
                word(&mut out, " MIN ", u64::from(*min));
            }
            if returns.max {
                word(&mut out, " MAX ", u64::from(*max));
            }
            if returns.all {
                out.extend_from_slice(b" ALL ");
                self.write_set(&mut out, &found.set).await?;
            }
        }
        if let Some(partial) = returns.partial {
            out.extend_from_slice(format!(" PARTIAL ({partial} ").as_bytes());
            let window = slice(&found.set, partial.of(found.set.len()));
            if window.is_empty() {
                out.extend_from_slice(b"NIL");
            }
            self.write_set(&mut out, &window).await?;
            out.push(b')');
        }
        if returns.count {
            word(&mut out, " COUNT ", found.set.len());
        }
        if let Some(modseq) = modseq {
            word(&mut out, " MODSEQ ", modseq.0);
        }
        out.extend_from_slice(b"\r\n");
        self.stream.write(&out);
        Ok(Reply::ok("searched"))
    }

    async fn tell_numbers(&mut self, found: &Found, modseq: Option<Seq>) -> Done {
        let mut out = b"* SEARCH".to_vec();
        for number in found.set.iter() {
            out.push(b' ');
            print::number(&mut out, u64::from(number.0));
            if out.len() >= OUTPUT {
                self.stream.write(&out);
                out.clear();
                self.stream.relieve().await?;
            }
        }
        if let Some(modseq) = modseq {
            out.extend_from_slice(b" (MODSEQ ");
            print::number(&mut out, modseq.0);
            out.push(b')');
        }
        out.extend_from_slice(b"\r\n");
        self.stream.write(&out);
        Ok(Reply::ok("searched"))
    }

    /// A set, sent in pieces.
    async fn write_set(&mut self, out: &mut Vec<u8>, set: &UidSet) -> Result<(), crate::imap::session::End> {
        for (index, (first, last)) in set.ranges().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            print::number(out, u64::from(*first));
            if first != last {
                out.push(b':');
                print::number(out, u64::from(*last));
            }
            if out.len() >= OUTPUT {
                self.stream.write(out);
                out.clear();
                self.stream.relieve().await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::grammar::Partial;
    use proptest::prelude::*;

    fn found(uids: &[u32]) -> Found {
        let mut found = Found::default();
        for uid in uids {
            found.push(Uid(*uid), Seq(u64::from(*uid)));
        }
        found
    }

    #[test]
    fn what_is_saved_is_what_is_told_of() {
        let found = found(&[2, 3, 4, 9, 11]);
        let save = Returns { save: true, ..Returns::default() };
        let partial = Some(Partial { first: 1, last: 2, from_end: false });
        for (returns, saved) in [
            (save, "2:4,9,11"),
            (Returns { min: true, ..save }, "2"),
            (Returns { min: true, max: true, ..save }, "2,11"),
            (Returns { min: true, count: true, ..save }, "2:4,9,11"),
            (Returns { partial, ..save }, "2:3"),
            (Returns { partial, max: true, ..save }, "2:3,11"),
            (Returns { partial, count: true, ..save }, "2:4,9,11"),
        ] {
            assert_eq!(found.saved(&returns).to_string(), saved, "{returns:?}");
        }
    }

    proptest! {
        #[test]
        fn slices_are_those_of_the_list(uids in proptest::collection::btree_set(1..60_u32, 0..30), start in 0..40_u64, len in 0..40_u64) {
            let set: UidSet = uids.iter().copied().map(Uid).collect();
            let expected: UidSet =
                uids.iter().skip(start as usize).take(len as usize).copied().map(Uid).collect();
            prop_assert_eq!(slice(&set, start..start + len), expected);
        }
    }
}
