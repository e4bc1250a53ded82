//! Address lists (RFC 5322 section 3.4 with the obsolete forms of section 4.4), read as tolerantly as people
//! write them. Groups are told as IMAP does (RFC 3501 section 7.4.2).

use pennypost_model::structure::Address;

use crate::header::unfold;

/// Stands for the domain of an address that has none: a missing host would mean a group to an IMAP client.
pub(crate) const MISSING_HOST: &[u8] = b"MISSING_DOMAIN";
/// Stands for the local part of an address that has none.
pub(crate) const MISSING_MAILBOX: &[u8] = b"MISSING_MAILBOX";

/// Addresses that are told apart in one field.
pub(crate) const MAX_ADDRESSES: usize = 1_000;
/// Bytes of an address field that are read.
const MAX_FIELD: usize = 256 * 1024;

/// The addresses of fields of the same name, as if they were one list; at most [`MAX_ADDRESSES`], from at
/// most `limit` bytes.
pub(crate) fn addresses(values: &[&[u8]], limit: usize) -> Vec<Address> {
    let mut found = Vec::new();
    let mut left = limit.min(MAX_FIELD);
    for value in values {
        let text = unfold(value, left);
        left -= text.len();
        let parser = Parser {
            text: &text,
            at: 0,
            quotes: true,
            group: false,
            trailing: false,
            comment: None,
            found: &mut found,
        };
        parser.list();
    }
    found
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    /// Quotes still have a meaning; not after one that never ends, which would make looking for its end
    /// quadratic.
    quotes: bool,
    group: bool,
    /// An address in angle brackets ended without a separator behind it.
    trailing: bool,
    /// The last comment of the address at hand.
    comment: Option<Vec<u8>>,
    found: &'a mut Vec<Address>,
}

/// What was read of an address before it is known which part of it that was.
#[derive(Default)]
struct Words {
    /// Words with one space where there was white space: a display name.
    phrase: Vec<u8>,
    /// The last words, as far as white space does not part them: a local part.
    local: Vec<u8>,
    /// Bytes of `phrase` before `local`.
    before: usize,
    /// Domain, after an `@`.
    host: Option<Vec<u8>>,
    /// Anything at all, even an empty quoted string.
    any: bool,
}

impl Words {
    fn push(&mut self, word: &[u8], gap: bool) {
        self.any = true;
        // White space may stand around the dots of a local part.
        let parted = gap && !self.local.ends_with(b".") && !word.starts_with(b".");
        if gap && !self.phrase.is_empty() {
            self.phrase.push(b' ');
        }
        // An address that is over takes no more words; they can only belong to a display name.
        if self.host.is_none() {
            if parted {
                self.local.clear();
                self.before = self.phrase.len();
            }
            self.local.extend_from_slice(word);
        }
        self.phrase.extend_from_slice(word);
    }
}

impl Parser<'_> {
    fn list(mut self) {
        while self.at < self.text.len() && self.found.len() < MAX_ADDRESSES {
            self.mailbox();
        }
        if self.group {
            self.found.push(Address::default());
        }
    }

    /// Reads up to the end of one address, group name or separator.
    fn mailbox(&mut self) {
        let mut words = Words::default();
        self.comment = None;
        loop {
            let gap = self.space();
            match self.peek() {
                None | Some(b',') => {
                    self.at += 1;
                    return self.bare(words);
                }
                Some(b';') => {
                    self.at += 1;
                    self.bare(words);
                    self.trailing = false;
                    if std::mem::take(&mut self.group) {
                        self.found.push(Address::default());
                    }
                    return;
                }
                Some(b':') if !self.group && words.host.is_none() && words.any => {
                    self.at += 1;
                    self.group = true;
                    return self.found.push(Address { mailbox: Some(words.phrase), ..Address::default() });
                }
                Some(b'<') => return self.angle(words),
                Some(b'@') => {
                    self.at += 1;
                    if let Some(host) = words.host.take() {
                        words.local.push(b'@');
                        words.local.extend_from_slice(&host);
                    }
                    let host = self.domain();
                    words.phrase.push(b'@');
                    words.phrase.extend_from_slice(&host);
                    words.host = Some(host);
                    words.any = true;
                }
                Some(b'"') => {
                    if let Some(word) = self.quoted() {
                        words.push(&word, gap);
                    }
                }
                Some(b'>' | b')' | b':') => self.at += 1,
                Some(_) => {
                    words.push(self.atom(), gap);
                }
            }
        }
    }

    /// An address without angle brackets; its name may stand in a comment behind it. Several words without an
    /// `@` are a name without an address.
    fn bare(&mut self, words: Words) {
        let trailing = std::mem::take(&mut self.trailing);
        if !words.any || trailing && words.host.is_none() {
            return;
        }
        let named = words.phrase[..words.before].trim_ascii();
        let comment = self.comment.take();
        let address = match words.host {
            Some(host) => {
                let name = comment.or_else(|| (!named.is_empty()).then(|| named.to_vec()));
                address(name, None, words.local, host)
            }
            None if named.is_empty() => address(comment, None, words.local, Vec::new()),
            None => address(Some(words.phrase), None, Vec::new(), Vec::new()),
        };
        self.found.push(address);
    }

    /// `<route:local@domain>` behind a display name.
    fn angle(&mut self, words: Words) {
        self.at += 1;
        let (mut local, mut host, mut route) = (Vec::new(), None::<Vec<u8>>, None);
        self.space();
        if self.peek() == Some(b'@') {
            let rest = &self.text[self.at..];
            if let Some(end) = rest.iter().position(|b| matches!(b, b':' | b'>'))
                && rest[end] == b':'
            {
                route = Some(rest[..end].iter().copied().filter(|b| !b.is_ascii_whitespace()).collect());
                self.at += end + 1;
            }
        }
        loop {
            self.space();
            match self.peek() {
                None | Some(b',') => break,
                Some(b'>') => {
                    self.at += 1;
                    break;
                }
                Some(b'@') => {
                    self.at += 1;
                    if let Some(host) = host.take() {
                        local.push(b'@');
                        local.extend_from_slice(&host);
                    }
                    host = Some(self.domain());
                }
                Some(b'"') => {
                    let word = self.quoted().unwrap_or_default();
                    if host.is_none() {
                        local.extend_from_slice(&word);
                    }
                }
                Some(b'<' | b')' | b':' | b';') => self.at += 1,
                Some(_) => {
                    let word = self.atom();
                    if host.is_none() {
                        local.extend_from_slice(word);
                    }
                }
            }
        }
        // `<a@b> (Name)`: the comment is the name when there is no other.
        self.space();
        let comment = self.comment.take();
        let name = if words.phrase.is_empty() { comment } else { Some(words.phrase) };
        self.found.push(address(name, route, local, host.unwrap_or_default()));
        if self.peek() == Some(b',') {
            self.at += 1;
        } else {
            self.trailing = true;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Skips white space and comments, keeping the last comment; tells whether there was any.
    fn space(&mut self) -> bool {
        let start = self.at;
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'(') => self.comment(),
                _ => return self.at > start,
            }
        }
    }

    fn comment(&mut self) {
        let mut text = Vec::new();
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    if let Some(escaped) = self.peek() {
                        text.push(escaped);
                        self.at += 1;
                    }
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        let text = text.trim_ascii();
        if !text.is_empty() {
            self.comment = Some(text.to_vec());
        }
    }

    /// A quoted string without its quotes; `None` when it never ends, and then only the quote is skipped.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.at += 1;
        if !self.quotes {
            return None;
        }
        let mut text = Vec::new();
        let mut at = self.at;
        while let Some(&byte) = self.text.get(at) {
            at += 1;
            match byte {
                b'"' => {
                    self.at = at;
                    return Some(text);
                }
                b'\\' => {
                    text.extend(self.text.get(at));
                    at += 1;
                }
                other => text.push(other),
            }
        }
        self.quotes = false;
        None
    }

    fn atom(&mut self) -> &[u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| is_special(*byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A domain or domain literal; white space and comments may stand around its dots.
    fn domain(&mut self) -> Vec<u8> {
        self.space();
        if self.peek() == Some(b'[') {
            let rest = &self.text[self.at..];
            let length = rest.iter().position(|b| matches!(b, b']' | b'>' | b',')).unwrap_or(rest.len());
            let closed = rest.get(length) == Some(&b']');
            let length = length + usize::from(closed);
            self.at += length;
            return rest[..length].to_vec();
        }
        let mut domain = self.atom().to_vec();
        loop {
            self.space();
            let continues = self.peek() == Some(b'.')
                || domain.last() == Some(&b'.') && self.peek().is_some_and(|byte| !is_special(byte));
            if !continues {
                return domain;
            }
            let more = self.atom();
            domain.extend_from_slice(more);
        }
    }
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b',' | b';' | b':' | b'<' | b'>' | b'@' | b'(' | b')' | b'"')
}

fn address(name: Option<Vec<u8>>, route: Option<Vec<u8>>, mailbox: Vec<u8>, host: Vec<u8>) -> Address {
    let or = |text: Vec<u8>, missing: &[u8]| Some(if text.is_empty() { missing.to_vec() } else { text });
    Address { name, route, mailbox: or(mailbox, MISSING_MAILBOX), host: or(host, MISSING_HOST) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form of IMAP, with `-` for NIL.
    fn listed(value: &str) -> String {
        let text = |text: &Option<Vec<u8>>| {
            text.as_ref().map_or("-".to_owned(), |text| String::from_utf8_lossy(text).into_owned())
        };
        let list = addresses(&[value.as_bytes()], usize::MAX);
        let list: Vec<String> =
            list.iter().map(|a| [&a.name, &a.route, &a.mailbox, &a.host].map(text).join("|")).collect();
        list.join("; ")
    }

    #[test]
    fn addresses_are_read_as_people_write_them() {
        // Held beside Dovecot 2.3.19, and alike but for the rows behind the comment.
        for (value, list) in [
            ("ada@a.test", "-|-|ada|a.test"),
            ("<ada@a.test>", "-|-|ada|a.test"),
            ("Ada Verne <ada@a.test>", "Ada Verne|-|ada|a.test"),
            ("\"Verne, Ada\" <ada@a.test>", "Verne, Ada|-|ada|a.test"),
            ("\"Ada \\\"A\\\" V\" <ada@a.test>", "Ada \"A\" V|-|ada|a.test"),
            ("John Q. Public <j@a.test>", "John Q. Public|-|j|a.test"),
            ("ada@a.test (Ada Verne)", "Ada Verne|-|ada|a.test"),
            ("Ada (c) Verne <ada@a.test> (d)", "Ada Verne|-|ada|a.test"),
            ("<@r1.test,@r2.test:ada@a.test>", "-|@r1.test,@r2.test|ada|a.test"),
            ("\"quoted local\"@a.test", "-|-|quoted local|a.test"),
            ("ada @ a . test", "-|-|ada|a.test"),
            ("ada@[192.0.2.1]", "-|-|ada|[192.0.2.1]"),
            ("ada", "-|-|ada|MISSING_DOMAIN"),
            ("Ada Verne", "Ada Verne|-|MISSING_MAILBOX|MISSING_DOMAIN"),
            ("<>", "-|-|MISSING_MAILBOX|MISSING_DOMAIN"),
            ("<ada>", "-|-|ada|MISSING_DOMAIN"),
            ("@a.test", "-|-|MISSING_MAILBOX|a.test"),
            ("ada@", "-|-|ada|MISSING_DOMAIN"),
            ("a@b.test, c@d.test", "-|-|a|b.test; -|-|c|d.test"),
            ("Group: a@b.test, C <c@d.test>;", "-|-|Group|-; -|-|a|b.test; C|-|c|d.test; -|-|-|-"),
            ("undisclosed-recipients:;", "-|-|undisclosed-recipients|-; -|-|-|-"),
            ("\"Q: G\": a@b.test;, c@d.test", "-|-|Q: G|-; -|-|a|b.test; -|-|-|-; -|-|c|d.test"),
            ("Open: a@b.test", "-|-|Open|-; -|-|a|b.test; -|-|-|-"),
            ("=?utf-8?Q?a=2Cb?= <a@b.test>", "=?utf-8?Q?a=2Cb?=|-|a|b.test"),
            ("a..b@c.test", "-|-|a..b|c.test"),
            ("<a@b.test>junk, x@y.test", "-|-|a|b.test; -|-|x|y.test"),
            ("", ""),
            // Here Dovecot gives up or says less.
            ("(pre) ada@a.test", "pre|-|ada|a.test"),
            ("\"a.b\".c@a.test", "-|-|a.b.c|a.test"),
            ("a@b.test,, ,c@d.test,", "-|-|a|b.test; -|-|c|d.test"),
            ("a@b.test; c@d.test", "-|-|a|b.test; -|-|c|d.test"),
            ("ada@a.test <ada@b.test>", "ada@a.test|-|ada|b.test"),
            ("Ada <ada@a.test", "Ada|-|ada|a.test"),
            ("Ada ada@a.test>", "Ada|-|ada|a.test"),
            ("\"Ada <ada@a.test>", "Ada|-|ada|a.test"),
            ("A <a@b.test> B <c@d.test>", "A|-|a|b.test; B|-|c|d.test"),
            ("A\"B\"C <a@b.test>", "ABC|-|a|b.test"),
            ("a@b@c.test", "-|-|a@b|c.test"),
            ("John Smith john@a.test", "John Smith|-|john|a.test"),
            ("<@a.test>", "-|-|MISSING_MAILBOX|a.test"),
            ("(((((", ""),
            (")>:;@", "-|-|MISSING_MAILBOX|MISSING_DOMAIN"),
        ] {
            assert_eq!(listed(value), list, "{value}");
        }
    }

    #[test]
    fn lists_are_bounded() {
        let many = "a@b.test,".repeat(100_000);
        assert_eq!(addresses(&[many.as_bytes(), many.as_bytes()], usize::MAX).len(), MAX_ADDRESSES);
        let open = "g:a@b.test,".repeat(100_000);
        let list = addresses(&[open.as_bytes()], usize::MAX);
        assert!(list.len() <= MAX_ADDRESSES + 1 && list.last() == Some(&Address::default()));
        let long = addresses(&[&[b'x'; 1 << 20]], usize::MAX);
        assert_eq!(long[0].mailbox.as_ref().map(Vec::len), Some(MAX_FIELD));
    }
}
