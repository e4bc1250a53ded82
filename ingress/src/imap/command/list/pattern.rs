//! Mailbox patterns of LIST (RFC 3501 section 6.3.8), in time linear in pattern times name, whatever the
//! wildcards.

use pennypost_fold::name::{MAX_LEN, SEPARATOR};

enum Element {
    Byte(u8),
    /// `*`
    Any,
    /// `%`
    AnyInLevel,
}

/// A pattern, ready to match names.
pub(super) struct Pattern {
    elements: Vec<Element>,
    /// No mailbox has so long a name.
    is_hopeless: bool,
}

impl Pattern {
    /// The pattern that a reference and a pattern make together.
    pub fn new(reference: &str, pattern: &str) -> Pattern {
        let mut elements = Vec::new();
        let mut bytes = 0;
        for byte in reference.bytes().chain(pattern.bytes()) {
            match (byte, elements.last_mut()) {
                (b'*', Some(last @ (Element::Any | Element::AnyInLevel))) => *last = Element::Any,
                (b'%', Some(Element::Any | Element::AnyInLevel)) => {}
                (b'*', _) => elements.push(Element::Any),
                (b'%', _) => elements.push(Element::AnyInLevel),
                (byte, _) => {
                    bytes += 1;
                    elements.push(Element::Byte(byte));
                }
            }
            if bytes > MAX_LEN {
                return Pattern { elements: Vec::new(), is_hopeless: true };
            }
        }
        Pattern { elements, is_hopeless: false }
    }

    /// Could it match names below `top`? Perhaps `true` though it matches none.
    pub fn may_match_below(&self, top: &str) -> bool {
        if self.is_hopeless {
            return false;
        }
        let literal = self.elements.iter().map_while(|element| match element {
            Element::Byte(byte) => Some(*byte),
            Element::Any | Element::AnyInLevel => None,
        });
        // Up to the first wildcard, or to the end of either, they have to agree.
        literal.zip(top.bytes()).all(|(wanted, byte)| wanted == byte)
    }

    /// Does it match? INBOX, also as the first level, is matched in any case.
    pub fn matches(&self, name: &str) -> bool {
        if self.is_hopeless {
            return false;
        }
        let is_inbox =
            name.strip_prefix("INBOX").is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR));
        let without_case = if is_inbox { "INBOX".len() } else { 0 };
        let name = name.as_bytes();
        // reached[i]: the elements so far match the first i bytes.
        let mut reached = vec![false; name.len() + 1];
        reached[0] = true;
        for element in &self.elements {
            step(element, name, without_case, &mut reached);
            if !reached.contains(&true) {
                return false;
            }
        }
        reached.last() == Some(&true)
    }
}

fn step(element: &Element, name: &[u8], without_case: usize, reached: &mut [bool]) {
    match element {
        Element::Byte(wanted) => {
            for at in (0..name.len()).rev() {
                let equal = if at < without_case {
                    name[at].eq_ignore_ascii_case(wanted)
                } else {
                    name[at] == *wanted
                };
                reached[at + 1] = reached[at] && equal;
            }
            reached[0] = false;
        }
        Element::Any => {
            let mut any = false;
            for place in reached.iter_mut() {
                any |= *place;
                *place = any;
            }
        }
        Element::AnyInLevel => {
            for at in 0..name.len() {
                reached[at + 1] |= reached[at] && name[at] != SEPARATOR as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_of_the_rfc() {
        for (pattern, name, matches) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("%/%", "a/b", true),
            ("a/*", "a", false),
            ("a*", "a/b", true),
            ("inbox", "INBOX", true),
            ("InB*", "INBOX/x", true),
            ("inbox/X", "INBOX/x", false),
            ("inbox", "INBOXES", false),
            ("%*%", "a/b/c", true),
            ("邮*", "邮件", true),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::new("", pattern).matches(name), matches, "{pattern} {name}");
        }
        assert!(Pattern::new("a/", "%").matches("a/b"));
    }

    #[test]
    fn what_can_not_match_is_known_early() {
        for (pattern, may) in [
            ("*", true),
            ("%", true),
            ("O*", true),
            ("INBOX", false),
            ("Other Users/a@x/%", true),
            ("a*", false),
        ] {
            assert_eq!(Pattern::new("", pattern).may_match_below("Other Users"), may, "{pattern}");
        }
    }

    #[test]
    fn a_thousand_wildcards_are_harmless() {
        let pattern = Pattern::new("", &"*a%".repeat(1_000));
        assert!(!pattern.matches(&"a".repeat(499)));
        let pattern = Pattern::new("", &"*a".repeat(400));
        let begun = std::time::Instant::now();
        for _ in 0..100 {
            assert!(!pattern.matches(&format!("{}b", "a/".repeat(240))));
        }
        assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    }

    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|taken| naive(rest, &name[taken..])),
            Some((b'%', rest)) => (0..=name.len())
                .take_while(|taken| !name[..*taken].contains(&b'/'))
                .any(|taken| naive(rest, &name[taken..])),
            Some((byte, rest)) => name.first() == Some(byte) && naive(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn as_the_naive_one(pattern in "[ab/*%]{0,7}", name in "[ab/]{0,9}") {
            let expected = naive(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(Pattern::new("", &pattern).matches(&name), expected);
        }
    }
}
