//! Parameters of MAIL and RCPT that members' programs use: reports (RFC 3461), and the time at which a message is to go
//! (RFC 4865). Pure.

use pennypost_model::Timestamp;
use pennypost_model::event::Notify;
use pennypost_reports::from_xtext;

use super::reply::Reply;

/// Characters of an envelope id at most (RFC 3461 section 4.4).
const MAX_ENVELOPE_ID: usize = 100;
/// Characters of an original recipient at most (RFC 3461 section 4.2).
const MAX_ORIGINAL: usize = 500;

/// When a message is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// So many seconds after it was handed in.
    For(u32),
    /// Then.
    Until(Timestamp),
}

impl Hold {
    /// The time, of a message that is handed in now.
    pub const fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Hold::For(seconds) => now.plus_millis(seconds as i64 * 1_000),
            Hold::Until(time) => time,
        }
    }

    /// HOLDFOR: one to nine digits.
    pub fn read_for(value: &[u8]) -> Result<Hold, Reply> {
        let is_number = (1..=9).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        let seconds =
            std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|text| text.parse().ok());
        seconds.map(Hold::For).ok_or(Reply::new(
            501,
            "5.5.4",
            "HOLDFOR is a number of seconds, of nine digits at most",
        ))
    }

    /// HOLDUNTIL: a time of RFC 3339.
    pub fn read_until(value: &[u8]) -> Result<Hold, Reply> {
        let text = "HOLDUNTIL is a time of RFC 3339, such as 2030-01-31T08:00:00Z";
        let failed = || Reply::new(501, "5.5.4", text);
        // What reads it would take other forms, too.
        let is_form = (20..=35).contains(&value.len())
            && value.iter().enumerate().all(|(index, byte)| match (index, byte) {
                (4 | 7, byte) => *byte == b'-',
                (10, byte) => byte.eq_ignore_ascii_case(&b't'),
                (13 | 16, byte) => *byte == b':',
                (0..=18, byte) => byte.is_ascii_digit(),
                (_, byte) => byte.is_ascii_digit() || matches!(byte, b'.' | b'Z' | b'z' | b'+' | b'-' | b':'),
            });
        let time = std::str::from_utf8(value).ok().filter(|_| is_form).map(str::to_ascii_uppercase);
        let time = time.and_then(|text| text.parse::<jiff::Timestamp>().ok()).ok_or_else(failed)?;
        Ok(Hold::Until(Timestamp(time.as_millisecond())))
    }
}

/// RET: does the whole message come back?
pub(crate) fn whole(value: &[u8]) -> Result<bool, Reply> {
    match &*value.to_ascii_uppercase() {
        b"FULL" => Ok(true),
        b"HDRS" => Ok(false),
        _ => Err(Reply::new(501, "5.5.4", "RET is FULL or HDRS")),
    }
}

/// ENVID.
pub(crate) fn envelope_id(value: &[u8]) -> Result<String, Reply> {
    let read =
        std::str::from_utf8(value).ok().filter(|text| !text.is_empty() && text.len() <= MAX_ENVELOPE_ID);
    let failed = || Reply::new(501, "5.5.4", "ENVID is xtext of 1 to 100 characters");
    read.and_then(from_xtext).ok_or_else(failed)
}

/// NOTIFY.
pub(crate) fn notify(value: &[u8]) -> Result<Notify, Reply> {
    let failed = || Reply::new(501, "5.5.4", "NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY");
    let none = Notify { success: false, failure: false, delay: false };
    if value.eq_ignore_ascii_case(b"NEVER") {
        return Ok(none);
    }
    let mut notify = none;
    for word in value.split(|byte| *byte == b',') {
        let place = match &*word.to_ascii_uppercase() {
            b"SUCCESS" => &mut notify.success,
            b"FAILURE" => &mut notify.failure,
            b"DELAY" => &mut notify.delay,
            _ => return Err(failed()),
        };
        if std::mem::replace(place, true) {
            return Err(failed());
        }
    }
    Ok(notify)
}

/// ORCPT: the type of an address, `;`, and the address, decoded.
pub(crate) fn original(value: &[u8]) -> Result<String, Reply> {
    let failed =
        || Reply::new(501, "5.5.4", "ORCPT is the type of an address, a semicolon, and the address in xtext");
    let text =
        std::str::from_utf8(value).ok().filter(|text| text.len() <= MAX_ORIGINAL).ok_or_else(failed)?;
    let (kind, address) = text.split_once(';').ok_or_else(failed)?;
    let is_atom = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_kind = !kind.is_empty() && kind.bytes().all(is_atom);
    let address = from_xtext(address).filter(|address| is_kind && !address.is_empty()).ok_or_else(failed)?;
    Ok(format!("{kind};{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_they_may_be_written() {
        let day = Timestamp(1_900_022_400_000); // 2030-03-18T00:00:00Z
        for text in [
            "2030-03-18T00:00:00Z",
            "2030-03-18t00:00:00.000z",
            "2030-03-18T08:00:00+08:00",
            "2030-03-17T19:30:00-04:30",
        ] {
            assert_eq!(Hold::read_until(text.as_bytes()), Ok(Hold::Until(day)), "{text}");
        }
        assert_eq!(Hold::read_for(b"60").map(|hold| hold.time(day)), Ok(day.plus_millis(60_000)));
        for bad in [
            "",
            "now",
            "2030-03-18",
            "2030-03-18T00:00:00",
            "2030-02-30T00:00:00Z",
            "20300318T000000Z",
            "2030-03-18 00:00:00Z",
            "2030-03-18T25:00:00Z",
            "2030-03-18T00:00:00Z[UTC]",
            "2030-03-18T00:00:00Zx",
        ] {
            let reply = Hold::read_until(bad.as_bytes()).expect_err(bad);
            assert_eq!((reply.code, reply.enhanced), (501, "5.5.4"), "{bad}");
        }
        for bad in ["", "-1", "1234567890", "1h", "+1"] {
            assert!(Hold::read_for(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn reports_are_asked_for_in_the_words_of_the_standard() {
        let of = |success, failure, delay| Ok(Notify { success, failure, delay });
        assert_eq!(notify(b"never"), of(false, false, false));
        assert_eq!(notify(b"SUCCESS,delay"), of(true, false, true));
        assert_eq!(notify(b"FAILURE"), of(false, true, false));
        for bad in ["", "NEVER,SUCCESS", "SUCCESS,SUCCESS", "SUCCESS,", "ALWAYS"] {
            assert!(notify(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!((whole(b"full"), whole(b"HDRS")), (Ok(true), Ok(false)));
        assert!(whole(b"NONE").is_err());
        assert_eq!(original(b"rfc822;a+2Bb@x.example").as_deref(), Ok("rfc822;a+b@x.example"));
        for bad in
            ["", "rfc822", ";a@b.example", "rfc822;", "rf c;a", "rfc822;a+0D+0Ab", "rfc822;\u{e4}@b.example"]
        {
            assert!(original(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(envelope_id(b"QQ+20314").as_deref(), Ok("QQ 314"));
        for bad in [String::new(), "+".to_owned(), "x".repeat(101)] {
            assert!(envelope_id(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_splits_a_line(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (Hold::read_for(&bytes), Hold::read_until(&bytes), notify(&bytes), whole(&bytes));
            for text in [original(&bytes), envelope_id(&bytes)].into_iter().flatten() {
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}
