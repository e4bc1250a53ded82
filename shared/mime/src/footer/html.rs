//! HTML into which a text is put, and which is put in. No parser of documents: a reader of tags that stops where it can't tell.

use memchr::{memchr, memmem};
use sha2::{Digest, Sha256};

use super::Addition;

/// Elements whose content is no markup.
const RAW: &[&str] = &["script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"];
/// Elements that may stand in what is put in.
const ALLOWED: &[&str] = &[
    "a", "abbr", "b", "big", "br", "center", "code", "del", "div", "em", "font", "h1", "h2", "h3", "h4",
    "h5", "h6", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q", "s", "small", "span", "strike",
    "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul",
];
/// Those of them that have no end.
const VOID: &[&str] = &["br", "hr", "img"];
/// Attributes that may.
const ATTRIBUTES: &[&str] = &[
    "align",
    "alt",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "class",
    "color",
    "colspan",
    "dir",
    "face",
    "height",
    "href",
    "lang",
    "rowspan",
    "size",
    "src",
    "style",
    "target",
    "title",
    "valign",
    "width",
];
/// How what is pointed to begins.
const SCHEMES: &[&str] = &["https://", "http://", "mailto:", "tel:"];
/// What mail programs mark their signatures with.
const SIGNATURES: &[&[u8]] =
    &[b"moz-signature", b"gmail_signature", b"id=\"signature\"", b"ms-outlook-mobile-signature"];
/// What they mark with that it was quoted.
const QUOTES: &[&[u8]] = &[b"gmail_quote", b"divrplyfwdmsg", b"moz-cite-prefix", b"type=\"cite\""];

/// A tag, and where it stands.
struct Tag<'a> {
    name: &'a [u8],
    attributes: &'a [u8],
    is_end: bool,
    start: usize,
}

impl Tag<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// What begins and does not end.
#[derive(Debug)]
pub(super) struct Unfinished;

/// The tags of a document, in order. Comments and what is no markup have none.
struct Tags<'a> {
    html: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Result<Tag<'a>, Unfinished>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.at + memchr(b'<', self.html.get(self.at..)?)?;
            let after = self.html.get(start + 1..)?;
            let ends = match after {
                [b'!', b'-', b'-', b'>', ..] => Some(4),
                [b'!', b'-', b'-', b'-', b'>', ..] => Some(5),
                [b'!', b'-', b'-', rest @ ..] => memmem::find(rest, b"-->").map(|end| end + 6),
                [b'!' | b'?', ..] | [b'/', b'!' | b'?', ..] => memchr(b'>', after).map(|end| end + 1),
                [b'/', first, ..] | [first, ..] if first.is_ascii_alphabetic() => {
                    let found = self.tag(start);
                    if found.is_none() {
                        self.at = self.html.len();
                    }
                    return Some(found.ok_or(Unfinished));
                }
                _ => Some(0),
            };
            let Some(length) = ends else {
                self.at = self.html.len();
                return Some(Err(Unfinished));
            };
            self.at = start + 1 + length;
        }
    }
}

impl<'a> Tags<'a> {
    const fn of(html: &'a [u8]) -> Tags<'a> {
        Tags { html, at: 0 }
    }

    /// The tag that begins there. Behind an element without markup its end is read next.
    fn tag(&mut self, start: usize) -> Option<Tag<'a>> {
        let is_end = self.html.get(start + 1) == Some(&b'/');
        let from = start + 1 + usize::from(is_end);
        let is_of_name = |byte: &u8| !(byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'));
        let length = self.html.get(from..)?.iter().take_while(|byte| is_of_name(byte)).count();
        let name = self.html.get(from..from + length)?;
        let (mut at, mut quote, mut is_value) = (from + length, None, false);
        loop {
            let byte = *self.html.get(at)?;
            match (quote, byte) {
                (Some(open), _) if byte == open => quote = None,
                (Some(_), _) => {}
                (None, b'>') => break,
                // Only a value begins with a quote; elsewhere it is a part of a name.
                (None, b'"' | b'\'') if is_value => quote = Some(byte),
                (None, _) => {}
            }
            if !byte.is_ascii_whitespace() {
                is_value = byte == b'=' && quote.is_none();
            }
            at += 1;
        }
        let attributes = self.html.get(from + length..at)?;
        self.at = at + 1;
        let tag = Tag { name, attributes, is_end, start };
        if !is_end && tag.is("plaintext") {
            return None;
        }
        if !is_end && RAW.iter().any(|raw| tag.is(raw)) {
            self.at = self.end_of(name)?;
        }
        Some(tag)
    }

    /// Where the end of an element without markup begins. Looking for each costs what lies between, so all is linear.
    fn end_of(&self, name: &[u8]) -> Option<usize> {
        let mut at = self.at;
        loop {
            at += memmem::find(self.html.get(at..)?, b"</")?;
            let behind = self.html.get(at + 2..)?;
            let (found, rest) = behind.split_at_checked(name.len())?;
            if found.eq_ignore_ascii_case(name)
                && rest.first().is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
            {
                return Some(at);
            }
            at += 2;
        }
    }
}

/// Where texts stand in a document: above its signature if there is one, and at its end.
pub(super) fn places(html: &[u8]) -> Result<(Option<usize>, usize), Unfinished> {
    let (mut signature, mut is_quoted, mut body, mut document) = (None, false, None, None);
    for tag in Tags::of(html) {
        let tag = tag?;
        match tag.is_end {
            true if tag.is("body") => body = Some(tag.start),
            true if tag.is("html") => document = Some(tag.start),
            true => {}
            false if signature.is_none() && !is_quoted => {
                let attributes = tag.attributes.to_ascii_lowercase();
                let has =
                    |marks: &[&[u8]]| marks.iter().any(|mark| memmem::find(&attributes, mark).is_some());
                if tag.is("blockquote") || has(QUOTES) {
                    is_quoted = true;
                } else if has(SIGNATURES) {
                    signature = Some(tag.start);
                }
            }
            false => {}
        }
    }
    Ok((signature, body.or(document).unwrap_or(html.len())))
}

/// By what a text is known that was put in.
pub(super) fn mark(addition: &Addition<'_>) -> String {
    let digest = Sha256::digest(addition.html);
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("pennypost-footer-{digits}")
}

/// What is put in.
pub(super) fn block(addition: &Addition<'_>, line_end: &str) -> String {
    let lines: Vec<&str> = addition.html.trim().lines().map(str::trim_end).collect();
    let (mark, html) = (mark(addition), lines.join(line_end));
    format!(
        "{line_end}<div class=\"{mark}\" style=\"margin-top:1em\">{line_end}{html}{line_end}</div>{line_end}"
    )
}

/// The same in ASCII.
pub(super) fn in_ascii(html: &str) -> String {
    let mut ascii = String::with_capacity(html.len());
    for character in html.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            ascii.push_str(&format!("&#{};", u32::from(character)));
        }
    }
    ascii
}

/// A text as HTML shows it, on one line.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A plain text as HTML: each of its lines.
#[must_use]
pub fn markup_of(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(escape).collect();
    lines.join("<br>\n")
}

/// Why HTML can't be put into letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkupProblem {
    /// Something begins and does not end, or ends and has not begun: the name of the element, or empty.
    Unbalanced(String),
    /// An element that letters don't have.
    Element(String),
    /// An attribute that they don't have.
    Attribute(String),
    /// What is pointed to is no address that begins with https:, http:, mailto: or tel:.
    Address,
    /// Comments and declarations.
    Comment,
}

/// Can that be put into letters? Elements that show text and pictures, each with its end, so that nothing behind it is changed.
///
/// # Errors
/// [`MarkupProblem`].
pub fn check_markup(html: &str) -> Result<(), MarkupProblem> {
    let html = html.as_bytes();
    if memmem::find(html, b"<!").is_some() || memmem::find(html, b"<?").is_some() {
        return Err(MarkupProblem::Comment);
    }
    let mut open: Vec<String> = Vec::new();
    for tag in Tags::of(html) {
        let tag = tag.map_err(|Unfinished| MarkupProblem::Unbalanced(String::new()))?;
        let name = String::from_utf8_lossy(tag.name).to_ascii_lowercase();
        if !ALLOWED.contains(&&*name) {
            return Err(MarkupProblem::Element(name.chars().take(40).collect()));
        }
        let is_void = VOID.contains(&&*name);
        if tag.is_end {
            if is_void || open.pop().as_ref() != Some(&name) {
                return Err(MarkupProblem::Unbalanced(name));
            }
            continue;
        }
        check_attributes(tag.attributes)?;
        if !is_void {
            open.push(name);
        }
    }
    open.pop().map_or(Ok(()), |name| Err(MarkupProblem::Unbalanced(name)))
}

fn check_attributes(attributes: &[u8]) -> Result<(), MarkupProblem> {
    let text = String::from_utf8_lossy(attributes).into_owned();
    let mut rest = text.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '/')).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let name = name.to_ascii_lowercase();
        if !ATTRIBUTES.contains(&&*name) {
            return Err(MarkupProblem::Attribute(name.chars().take(40).collect()));
        }
        let (value, behind) = match behind.trim_start().strip_prefix('=') {
            None => ("", behind),
            Some(value) => {
                let value = value.trim_start();
                match value.chars().next().filter(|quote| matches!(quote, '"' | '\'')) {
                    Some(quote) => {
                        let value = value.get(1..).unwrap_or_default();
                        value.split_once(quote).ok_or(MarkupProblem::Attribute(name.clone()))?
                    }
                    None => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
                }
            }
        };
        let value = value.trim().to_ascii_lowercase();
        let is_address = matches!(&*name, "href" | "src");
        if is_address && !SCHEMES.iter().any(|scheme| value.starts_with(scheme)) {
            return Err(MarkupProblem::Address);
        }
        // Styles can point elsewhere, too, and hide what stands behind.
        if name == "style"
            && (value.contains("url(") || value.contains("expression") || value.contains("position"))
        {
            return Err(MarkupProblem::Attribute(name));
        }
        rest = behind.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
    }
    Ok(())
}
