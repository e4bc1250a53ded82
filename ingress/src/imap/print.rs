//! Writing what rows tell, for mailboxes of 100,000 messages: straight into the output, without a value on the
//! heap for each message. FETCH, STORE, SEARCH and the moves of a view all write through here.

use std::collections::HashMap;

use pennypost_fold::{Row, RowFlags, State};
use pennypost_model::Uid;

use super::grammar::FetchItem;
use super::grammar::date::write_date_time;
use super::response;

/// Different flag lists that are kept written. More of them than that begin anew.
const MAX_LISTS: usize = 1_024;

/// A number in decimal.
pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// `name (number)`, or `name number`.
fn named(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    number(out, value);
}

/// Sixteen hexadecimal digits, as ids are written.
fn hexadecimal(out: &mut Vec<u8>, value: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0_u8; 16];
    for (index, digit) in digits.iter_mut().enumerate() {
        *digit = DIGITS[(value >> (60 - 4 * index)) as usize & 0xf];
    }
    out.extend_from_slice(&digits);
}

/// `* 4 FETCH (`, or with UIDONLY `* 17 UIDFETCH (` (RFC 9586 section 3.3).
pub(super) fn begin_fetch(out: &mut Vec<u8>, position: usize, uid: Uid, uid_only: bool) {
    if uid_only {
        named(out, "* ", u64::from(uid.0));
        out.extend_from_slice(b" UIDFETCH (");
    } else {
        named(out, "* ", position as u64 + 1);
        out.extend_from_slice(b" FETCH (");
    }
}

/// Writes rows of one state of an account. Flag lists are written once for each set of flags.
#[derive(Default)]
pub(super) struct RowWriter {
    lists: HashMap<(RowBits, bool), Vec<u8>>,
    last: Option<(RowBits, bool)>,
    last_list: Vec<u8>,
}

type RowBits = u64;

impl RowWriter {
    /// The flags of a row in parentheses.
    pub fn flags(&mut self, out: &mut Vec<u8>, state: &State, flags: RowFlags, recent: bool) {
        let key = (flags.0, recent);
        if self.last != Some(key) {
            if self.lists.len() >= MAX_LISTS {
                self.lists.clear();
            }
            let list = self.lists.entry(key).or_insert_with(|| {
                let mut list = Vec::new();
                response::flags(&mut list, &state.flags(flags), recent);
                list
            });
            self.last_list.clone_from(list);
            self.last = Some(key);
        }
        out.extend_from_slice(&self.last_list);
    }

    /// An item that the row alone tells, with its name; `false`, and nothing is written, if it is none.
    pub fn item(
        &mut self,
        out: &mut Vec<u8>,
        item: &FetchItem,
        state: &State,
        row: &Row,
        recent: bool,
    ) -> bool {
        match item {
            FetchItem::Flags => {
                out.extend_from_slice(b"FLAGS ");
                self.flags(out, state, row.flags, recent);
            }
            FetchItem::Uid => named(out, "UID ", u64::from(row.uid.0)),
            FetchItem::InternalDate => {
                out.extend_from_slice(b"INTERNALDATE ");
                write_date_time(out, row.internal_date);
            }
            FetchItem::Size => named(out, "RFC822.SIZE ", row.size),
            FetchItem::ModSeq => {
                named(out, "MODSEQ (", row.modseq.0);
                out.push(b')');
            }
            // RFC 8514 section 4.2: NIL where it is not known.
            FetchItem::SaveDate => {
                out.extend_from_slice(b"SAVEDATE ");
                match row.saved {
                    Some(saved) => write_date_time(out, saved.timestamp()),
                    None => out.extend_from_slice(b"NIL"),
                }
            }
            // RFC 8474 section 5.1.
            FetchItem::EmailId => {
                named(out, "EMAILID (M", row.rid.0);
                out.push(b')');
            }
            // RFC 8474 section 5.2.
            FetchItem::ThreadId => {
                out.extend_from_slice(b"THREADID (T");
                hexadecimal(out, row.thread.0);
                out.push(b')');
            }
            _ => return false,
        }
        true
    }

    /// An untagged FETCH with UID and flags.
    pub fn told_flags(
        &mut self,
        out: &mut Vec<u8>,
        state: &State,
        row: &Row,
        recent: bool,
        with_modseq: bool,
    ) {
        named(out, "UID ", u64::from(row.uid.0));
        out.extend_from_slice(b" FLAGS ");
        self.flags(out, state, row.flags, recent);
        if with_modseq {
            named(out, " MODSEQ (", row.modseq.0);
            out.push(b')');
        }
        out.extend_from_slice(b")\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_written_as_everybody_does(value in any::<u64>(), shift in 0_u32..64) {
            let value = value >> shift;
            let mut out = Vec::new();
            number(&mut out, value);
            prop_assert_eq!(String::from_utf8_lossy(&out), value.to_string());
            out.clear();
            hexadecimal(&mut out, value);
            prop_assert_eq!(String::from_utf8_lossy(&out), format!("{value:016x}"));
        }
    }

    #[test]
    fn flag_lists_do_not_mix() {
        let state = State::default();
        let mut writer = RowWriter::default();
        for round in 0..2 {
            for bits in 0..32 {
                for recent in [false, true] {
                    let (mut fast, mut plain) = (Vec::new(), Vec::new());
                    writer.flags(&mut fast, &state, RowFlags(bits), recent);
                    response::flags(&mut plain, &state.flags(RowFlags(bits)), recent);
                    assert_eq!(fast, plain, "{bits} {recent} {round}");
                }
            }
        }
    }
}
