//! Numbers and addresses that rules look for. Each is told by its form and, where it has one, its check digit; all take time linear in
//! the text. Texts are in their plain form: full-width digits are digits.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// What is looked for. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detector {
    /// Numbers of Chinese identity cards: 18 digits, the last perhaps X, with a date and a check digit (GB 11643, ISO 7064 MOD 11-2).
    IdentityCard,
    /// Numbers of bank cards: 13 to 19 digits that begin as those of a network, with a check digit (ISO/IEC 7812), perhaps in groups.
    BankCard,
    /// Chinese mobile numbers.
    Mobile,
    /// Accounts by IBAN (ISO 13616).
    Iban,
    /// Mail addresses.
    MailAddress,
}

impl Detector {
    /// All of them.
    pub const ALL: [Detector; 5] =
        [Detector::IdentityCard, Detector::BankCard, Detector::Mobile, Detector::Iban, Detector::MailAddress];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Detector::IdentityCard => "identity-card",
            Detector::BankCard => "bank-card",
            Detector::Mobile => "mobile",
            Detector::Iban => "iban",
            Detector::MailAddress => "mail-address",
        }
    }

    /// What is found, without what parts its digits.
    pub(super) fn find<'a>(self, text: &'a str) -> Box<dyn Iterator<Item = Cow<'a, str>> + 'a> {
        match self {
            Detector::IdentityCard => Box::new(identity_cards(text)),
            Detector::BankCard => Box::new(groups(text).flat_map(move |groups| bank_cards(text, &groups))),
            Detector::Mobile => Box::new(groups(text).flat_map(move |groups| mobiles(text, &groups))),
            Detector::Iban => Box::new(ibans(text)),
            Detector::MailAddress => Box::new(addresses(text)),
        }
    }
}

/// With nearly all of it hidden.
#[must_use]
pub fn masked(found: &str) -> String {
    let all: Vec<char> = found.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match &*all {
        [a, b, .., z] if all.len() >= 8 => format!("{a}{b}****{z}"),
        [a, _, _, ..] => format!("{a}****"),
        _ => "****".to_owned(),
    }
}

/// Runs of digits.
fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes.get(at..)?.iter().position(u8::is_ascii_digit)?;
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        at = start + length;
        Some(start..at)
    })
}

/// Runs of digits with one blank, or one hyphen, between two of them; none of it within a word.
fn groups(text: &str) -> impl Iterator<Item = Vec<Range<usize>>> {
    /// Groups that are looked at together; more are no number.
    const MOST: usize = 64;
    let bytes = text.as_bytes();
    let mut runs = runs(text).peekable();
    std::iter::from_fn(move || {
        let mut found = vec![runs.next()?];
        while let Some(next) = runs.peek()
            && let Some(last) = found.last()
            && next.start == last.end + 1
            && matches!(bytes[last.end], b' ' | b'-')
            && found.len() < MOST
        {
            found.extend(runs.next());
        }
        Some(found)
    })
}

/// Is there no letter on either side?
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let is_letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
    !is_letter(range.start.checked_sub(1).and_then(|at| bytes.get(at))) && !is_letter(bytes.get(range.end))
}

fn identity_cards(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let bytes = text.as_bytes();
    runs(text).filter_map(move |run| {
        let end = match run.len() {
            18 => run.end,
            17 if matches!(bytes.get(run.end), Some(b'X' | b'x')) => run.end + 1,
            _ => return None,
        };
        let is_more = bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() && run.len() == 17);
        let number = text.get(run.start..end)?;
        (!is_more && is_identity_card(number)).then(|| Cow::Owned(number.to_ascii_uppercase()))
    })
}

fn is_identity_card(number: &str) -> bool {
    let part =
        |range: Range<usize>| number.get(range).and_then(|part| part.parse::<u32>().ok()).unwrap_or_default();
    let (province, year, month, day) = (part(0..2), part(6..10), part(10..12), part(12..14));
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(is_leap),
        1..=12 => 31,
        _ => return false,
    };
    if !(11..=91).contains(&province) || !(1900..2100).contains(&year) || !(1..=days).contains(&day) {
        return false;
    }
    // Of 18 digits each has the weight of a power of two; X is ten.
    let value = |byte: u8| if byte.is_ascii_digit() { u32::from(byte - b'0') } else { 10 };
    number.bytes().fold(0, |sum, byte| (sum * 2 + value(byte)) % 11) == 1
}

fn joined(text: &str, groups: &[Range<usize>]) -> String {
    groups.iter().filter_map(|group| text.get(group.clone())).collect()
}

/// Lengths of groups in which the digits of a card are written.
const CARDS: [&[usize]; 8] = [
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 4, 1],
    &[4, 4, 4, 4],
    &[4, 4, 4, 3],
    &[4, 4, 4, 2],
    &[4, 6, 5],
    &[6, 13],
];

fn bank_cards<'a>(text: &'a str, groups: &[Range<usize>]) -> Vec<Cow<'a, str>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = groups.get(at..).filter(|rest| !rest.is_empty()) {
        let is_as = |shape: &&[usize]| {
            rest.len() >= shape.len() && rest.iter().zip(*shape).all(|(group, length)| group.len() == *length)
        };
        let single = (13..=19).contains(&rest[0].len()).then_some(1);
        let shapes = CARDS.iter().copied().filter(|shape| is_as(shape)).map(<[usize]>::len);
        let card = shapes.chain(single).find_map(|length| {
            let whole = rest[0].start..rest[length - 1].end;
            let number = joined(text, &rest[..length]);
            (stands_alone(text, &whole) && is_bank_card(&number)).then_some((length, number))
        });
        at += card.as_ref().map_or(1, |(length, _)| *length);
        found.extend(card.map(|(_, number)| Cow::Owned(number)));
    }
    found
}

fn is_bank_card(number: &str) -> bool {
    let first =
        |digits: usize| number.get(..digits).and_then(|part| part.parse::<u32>().ok()).unwrap_or_default();
    let length = number.len();
    let is_known = match first(2) {
        // UnionPay, and those that Chinese banks gave out before.
        62 | 60 | 68 | 69 | 81 | 94 | 95 | 98 | 99 => (16..=19).contains(&length),
        34 | 37 => length == 15,
        30 | 36 | 38 | 39 => (14..=19).contains(&length),
        35 => (3528..=3589).contains(&first(4)) && (16..=19).contains(&length),
        40..=49 => matches!(length, 13 | 16 | 19),
        51..=55 => length == 16,
        22..=27 => (2221..=2720).contains(&first(4)) && length == 16,
        50 | 56..=58 | 63 | 64 | 65 | 67 => (13..=19).contains(&length),
        _ => false,
    };
    let is_same = number.bytes().all(|byte| Some(byte) == number.bytes().next());
    is_known && !is_same && has_luhn_digit(number) && !(length == 18 && is_identity_card(number))
}

fn has_luhn_digit(number: &str) -> bool {
    let digits = number.bytes().rev().map(|byte| u32::from(byte - b'0')).enumerate();
    let sum: u32 =
        digits.map(|(at, digit)| if at % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }).sum();
    sum.is_multiple_of(10)
}

fn mobiles<'a>(text: &'a str, groups: &[Range<usize>]) -> Vec<Cow<'a, str>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = groups.get(at..).filter(|rest| !rest.is_empty()) {
        let lengths: Vec<usize> = rest.iter().take(3).map(ExactSizeIterator::len).collect();
        let length = if lengths == [3, 4, 4] { 3 } else { 1 };
        let number = joined(text, &rest[..length]);
        let number = match number.len() {
            15 => number.strip_prefix("0086").unwrap_or_default(),
            13 => number.strip_prefix("86").unwrap_or_default(),
            _ => &*number,
        };
        let is_mobile = number.len() == 11
            && matches!(number.as_bytes(), [b'1', b'3'..=b'9', ..])
            && stands_alone(text, &(rest[0].start..rest[length - 1].end));
        if is_mobile {
            found.push(Cow::Owned(number.to_owned()));
        }
        at += if is_mobile { length } else { 1 };
    }
    found
}

/// How many characters an IBAN of each country has.
const IBANS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18\
FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31\
MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

fn iban_length(country: &[u8]) -> Option<usize> {
    let entry = IBANS.as_bytes().chunks_exact(4).find(|entry| entry[..2].eq_ignore_ascii_case(country))?;
    Some(usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0'))
}

fn ibans(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let bytes = text.as_bytes();
    let is_alnum = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let begins = move |at: &usize| {
        let begins = bytes.get(*at..*at + 4);
        let is_form = |four: &[u8]| {
            four[..2].iter().all(u8::is_ascii_alphabetic) && four[2..].iter().all(u8::is_ascii_digit)
        };
        begins.is_some_and(is_form) && !at.checked_sub(1).is_some_and(is_alnum)
    };
    (0..bytes.len()).filter(begins).filter_map(move |start| {
        let length = iban_length(&bytes[start..start + 2])?;
        let mut number = String::with_capacity(length);
        let mut at = start;
        while number.len() < length {
            match bytes.get(at)? {
                byte if byte.is_ascii_alphanumeric() => number.push(char::from(byte.to_ascii_uppercase())),
                // One blank behind each four.
                b' ' if !number.is_empty() && number.len().is_multiple_of(4) && is_alnum(at + 1) => {}
                _ => return None,
            }
            at += 1;
        }
        (!is_alnum(at) && has_iban_digits(&number)).then_some(Cow::Owned(number))
    })
}

fn has_iban_digits(number: &str) -> bool {
    let (head, rest) = number.split_at(4);
    let remainder = rest.bytes().chain(head.bytes()).fold(0_u32, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    remainder == 1
}

fn addresses(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    /// Characters on either side of the sign that are looked at.
    const LOCAL: usize = 64;
    const DOMAIN: usize = 253;
    let bytes = text.as_bytes();
    let is_local = |byte: &&u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(byte);
    let is_domain = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
    memchr::memchr_iter(b'@', bytes).filter_map(move |at| {
        let local = bytes[..at].iter().rev().take(LOCAL).take_while(is_local).count();
        let domain = bytes[at + 1..].iter().take(DOMAIN).take_while(is_domain).count();
        let domain = text.get(at + 1..at + 1 + domain)?.trim_end_matches(['.', '-']);
        let (_, top) = domain.rsplit_once('.')?;
        let is_good = local > 0
            && top.len() >= 2
            && !domain.starts_with('.')
            && top.bytes().all(|b| b.is_ascii_alphabetic());
        let address = text.get(at - local..at + 1 + domain.len())?;
        is_good.then(|| Cow::Owned(address.to_ascii_lowercase()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(what: Detector, text: &str) -> Vec<String> {
        what.find(text).map(Cow::into_owned).collect()
    }

    #[test]
    fn identity_cards_have_a_date_and_a_check_digit() {
        for (text, number) in [
            ("11010519491231002X", Some("11010519491231002X")),
            ("身份证11010519491231002x号", Some("11010519491231002X")),
            ("440524188001010014", None),
            ("110105194912310021", None),
            // A day that is none.
            ("110105194902300025", None),
            ("11010519491231002X5", None),
            ("911010519491231002X", None),
        ] {
            assert_eq!(found(Detector::IdentityCard, text).first().map(String::as_str), number, "{text}");
        }
    }

    #[test]
    fn bank_cards_have_a_network_and_a_check_digit_and_may_be_in_groups() {
        for (text, number) in [
            ("4111111111111111", Some("4111111111111111")),
            ("4111 1111 1111 1111", Some("4111111111111111")),
            ("4111-1111-1111-1111,", Some("4111111111111111")),
            ("3782 822463 10005", Some("378282246310005")),
            ("2026 4111 1111 1111 1111 12", Some("4111111111111111")),
            ("4111 1111 1111 1112", None),
            ("41 11 11 11 11 11 11 11", None),
            ("9111111111111111", None),
            ("0000000000000000", None),
            ("4111111111111111a", None),
            ("41111111111111110000000", None),
        ] {
            assert_eq!(found(Detector::BankCard, text).first().map(String::as_str), number, "{text}");
        }
    }

    #[test]
    fn mobiles_are_told_in_their_forms() {
        for (text, number) in [
            ("13812345678", Some("13812345678")),
            ("+8613812345678", Some("13812345678")),
            ("+86 138-1234-5678", Some("13812345678")),
            ("tel:138 1234 5678.", Some("13812345678")),
            ("12812345678", None),
            ("138123456789", None),
            ("x13812345678", None),
        ] {
            assert_eq!(found(Detector::Mobile, text).first().map(String::as_str), number, "{text}");
        }
    }

    #[test]
    fn accounts_have_a_country_a_length_and_a_remainder() {
        for (text, number) in [
            ("DE89370400440532013000", Some("DE89370400440532013000")),
            ("to gb29 NWBK 6016 1331 9268 19 and", Some("GB29NWBK60161331926819")),
            ("DE89370400440532013001", None),
            ("XX89370400440532013000", None),
            ("DE8937040044053201300", None),
        ] {
            assert_eq!(found(Detector::Iban, text).first().map(String::as_str), number, "{text}");
        }
    }

    #[test]
    fn addresses_are_told() {
        let text = "Ann <ann@acme.example>, BOB@x.org. @nobody a@b c@d.1 e@.f.com";
        assert_eq!(found(Detector::MailAddress, text), ["ann@acme.example", "bob@x.org"]);
    }

    #[test]
    fn what_was_found_is_not_echoed() {
        for (found, shown) in
            [("", "****"), ("ab", "****"), ("abc", "a****"), ("4111111111111111", "41****1")]
        {
            assert_eq!(masked(found), shown);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "[0-9 Xx@.\\-aDE@身]{0,200}") {
            for what in Detector::ALL {
                for found in what.find(&text) {
                    prop_assert!(!found.is_empty());
                    prop_assert!(masked(&found).contains("****"));
                }
            }
        }
    }
}
