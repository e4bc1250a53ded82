//! IMAP URLs of messages and their parts (RFC 5092), as CATENATE takes them: without a server, of the own account.

use super::cursor::Cursor;
use super::fetch::{Section, section_text};

/// What a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageUrl {
    /// The mailbox's name.
    pub mailbox: String,
    /// Its UIDVALIDITY, if that is to be checked.
    pub uid_validity: Option<u32>,
    /// The message.
    pub uid: u32,
    /// The part; `None`: the whole message.
    pub section: Option<Section>,
    /// First octet and how many.
    pub partial: Option<(u64, u64)>,
}

impl MessageUrl {
    /// Reads `/mailbox;UIDVALIDITY=1/;UID=2/;SECTION=1.2/;PARTIAL=0.10`. `None`: not such a URL.
    #[must_use]
    pub fn parse(url: &str) -> Option<MessageUrl> {
        let rest = url.strip_prefix('/').filter(|rest| !rest.starts_with('/'))?;
        let (mailbox, rest) = split_at_word(rest, "/;UID=")?;
        let (mailbox, uid_validity) = match split_at_word(mailbox, ";UIDVALIDITY=") {
            Some((mailbox, validity)) => (mailbox, Some(number(validity)?)),
            None => (mailbox, None),
        };
        let (rest, partial) = match split_at_word(rest, "/;PARTIAL=") {
            Some((rest, partial)) => (rest, Some(range(partial)?)),
            None => (rest, None),
        };
        let (uid, section) = match split_at_word(rest, "/;SECTION=") {
            Some((uid, section)) => (uid, Some(decode(section)?)),
            None => (rest, None),
        };
        let section = match section {
            None => None,
            Some(text) => {
                let mut cursor = Cursor::new(text.as_bytes());
                let section = section_text(&mut cursor).ok()?;
                cursor.is_at_end().then_some(Some(section))?
            }
        };
        let mailbox = decode(mailbox).filter(|name| !name.is_empty())?;
        Some(MessageUrl { mailbox, uid_validity, uid: number(uid)?, section, partial })
    }
}

/// Splits before the first `word` in any case.
fn split_at_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let found = |at: &usize| {
        text.as_bytes()[*at..]
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
    };
    let at = (0..text.len()).find(found)?;
    Some((&text[..at], &text[at + word.len()..]))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

fn range(text: &str) -> Option<(u64, u64)> {
    let read =
        |text: &str| text.parse::<u64>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.split_once('.') {
        Some((first, len)) => Some((read(first)?, read(len).filter(|len| *len > 0)?)),
        None => Some((read(text)?, u64::MAX)),
    }
}

/// `%41` to `A`; what comes out must be UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        if *byte != b'%' {
            octets.push(*byte);
            continue;
        }
        let (digits, more) = rest.split_first_chunk::<2>()?;
        rest = more;
        let value = |digit: u8| char::from(digit).to_digit(16);
        octets.push((value(digits[0])? * 16 + value(digits[1])?) as u8);
    }
    String::from_utf8(octets).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_the_own_account() {
        let url = |text: &str| MessageUrl::parse(text).unwrap_or_else(|| panic!("{text}"));
        let found = url("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.2");
        assert_eq!((&*found.mailbox, found.uid_validity, found.uid), ("Drafts", Some(385_759_045), 20));
        assert_eq!(found.section.expect("section").to_string(), "1.2");
        let found =
            url("/Entw%C3%BCrfe/2026/;uid=4294967295/;Section=HEADER.FIELDS%20(SUBJECT)/;partial=0.10");
        assert_eq!((&*found.mailbox, found.uid_validity, found.uid), ("Entwürfe/2026", None, u32::MAX));
        assert_eq!(found.section.expect("section").to_string(), "HEADER.FIELDS (SUBJECT)");
        assert_eq!(found.partial, Some((0, 10)));
        assert_eq!(url("/INBOX/;UID=1").section, None);
        assert_eq!(url("/INBOX/;UID=1/;PARTIAL=7").partial, Some((7, u64::MAX)));
        for text in [
            "",
            "/",
            "INBOX/;UID=1",
            "/INBOX",
            "/INBOX/;UID=",
            "/INBOX/;UID=0",
            "/INBOX/;UID=+1",
            "/INBOX/;UID=4294967296",
            "/;UID=1",
            "//host/INBOX/;UID=1",
            "imap://host/INBOX/;UID=1",
            "/INBOX;UIDVALIDITY=x/;UID=1",
            "/INBOX/;UID=1/;SECTION=NONSENSE",
            "/INBOX/;UID=1/;SECTION=",
            "/INBOX/;UID=1/;SECTION=TEXT]",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/IN%ZZ/;UID=1",
            "/IN%F/;UID=1",
            "/IN%FF/;UID=1",
            "/INBOX/;UID=1;URLAUTH=anonymous:internal:00",
        ] {
            assert_eq!(MessageUrl::parse(text), None, "{text}");
        }
    }
}
