//! Text of HTML for previews and search: no tags, scripts, styles and comments, entities decoded. It is no
//! parser of HTML and its result is never shown as HTML; it takes linear time on anything.

use memchr::{memchr, memmem};

/// Elements whose content a person never reads as text.
const HIDDEN: [&str; 6] = ["script", "style", "head", "title", "template", "noscript"];
/// Elements that do not part words.
const INLINE: [&str; 16] = [
    "a", "abbr", "b", "big", "em", "font", "i", "ins", "mark", "s", "small", "span", "strong", "sub", "sup",
    "u",
];

/// The text of an HTML document, words parted where the elements part them; white space is not folded. Stops
/// behind `limit` bytes of text.
pub(crate) fn text_of(html: &str, limit: usize) -> String {
    let mut text = String::with_capacity(html.len().min(limit));
    let mut rest = html;
    let mut quotes = true;
    while !rest.is_empty() && text.len() < limit {
        let Some(open) = memchr(b'<', rest.as_bytes()) else {
            unescape(rest, &mut text);
            break;
        };
        unescape(&rest[..open], &mut text);
        rest = &rest[open..];
        let after = &rest[1..];
        if let Some(comment) = after.strip_prefix("!--") {
            rest = behind(comment, "-->");
        } else if after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            let (name, closing) = tag_name(after);
            rest = behind_tag(after, &mut quotes);
            if !closing && HIDDEN.iter().any(|hidden| name.eq_ignore_ascii_case(hidden)) {
                rest = behind_element(rest, name);
            }
            if !INLINE.iter().any(|inline| name.eq_ignore_ascii_case(inline)) {
                text.push('\n');
            }
        } else {
            text.push('<');
            rest = after;
        }
    }
    text
}

fn behind<'a>(text: &'a str, end: &str) -> &'a str {
    memmem::find(text.as_bytes(), end.as_bytes()).map_or("", |found| &text[found + end.len()..])
}

/// Name of the tag whose text begins behind its `<`, and whether it is a closing one.
fn tag_name(text: &str) -> (&str, bool) {
    let (text, closing) = text.strip_prefix('/').map_or((text, false), |text| (text, true));
    let length = text.bytes().take_while(u8::is_ascii_alphanumeric).count();
    (&text[..length], closing)
}

/// What follows the tag. A `>` within quotes does not end it; after a quote that never ends, quotes are no
/// longer heeded in this document, which keeps the search linear.
fn behind_tag<'a>(text: &'a str, quotes: &mut bool) -> &'a str {
    let bytes = text.as_bytes();
    let mut at = 0;
    while *quotes && let Some(&byte) = bytes.get(at) {
        match byte {
            b'>' => return &text[at + 1..],
            b'"' | b'\'' if bytes[at - 1] == b'=' || bytes[at - 1] == b' ' => {
                match memchr(byte, &bytes[at + 1..]) {
                    Some(end) => at += end + 2,
                    None => *quotes = false,
                }
            }
            _ => at += 1,
        }
    }
    memchr(b'>', bytes).map_or("", |end| &text[end + 1..])
}

/// What follows the closing tag of a hidden element; nothing follows one that is never closed.
fn behind_element<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    loop {
        rest = behind(rest, "</");
        if rest.is_empty() {
            return rest;
        }
        if rest.get(..name.len()).is_some_and(|other| other.eq_ignore_ascii_case(name)) {
            return behind(rest, ">");
        }
    }
}

/// Appends text with its character references decoded.
fn unescape(text: &str, into: &mut String) {
    /// Longer than any name or number that is known here.
    const MAX_REFERENCE: usize = 10;
    let mut rest = text;
    while let Some(ampersand) = memchr(b'&', rest.as_bytes()) {
        into.push_str(&rest[..ampersand]);
        rest = &rest[ampersand + 1..];
        let length = rest
            .bytes()
            .take(MAX_REFERENCE)
            .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#')
            .count();
        match reference(&rest[..length]) {
            Some(character) => {
                into.push(character);
                rest = &rest[length..];
                rest = rest.strip_prefix(';').unwrap_or(rest);
            }
            None => into.push('&'),
        }
    }
    into.push_str(rest);
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|c| *c != '\0');
    }
    Some(match name {
        "amp" | "AMP" => '&',
        "lt" | "LT" => '<',
        "gt" | "GT" => '>',
        "quot" | "QUOT" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        "ensp" => '\u{2002}',
        "emsp" => '\u{2003}',
        "thinsp" => '\u{2009}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "shy" => '\u{ad}',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "hellip" => '…',
        "mdash" => '—',
        "ndash" => '–',
        "lsquo" => '‘',
        "rsquo" => '’',
        "ldquo" => '“',
        "rdquo" => '”',
        "laquo" => '«',
        "raquo" => '»',
        "bull" => '•',
        "middot" => '·',
        "times" => '×',
        "deg" => '°',
        "euro" => '€',
        "pound" => '£',
        "yen" => '¥',
        "cent" => '¢',
        "sect" => '§',
        "para" => '¶',
        "larr" => '←',
        "rarr" => '→',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "Auml" => 'Ä',
        "Ouml" => 'Ö',
        "Uuml" => 'Ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_markup() {
        for (html, text) in [
            ("plain", "plain"),
            ("<p>a<b>b</b>c</p>d", "\nabc\nd"),
            ("<html><head><title>T</title><style>p{}</style></head><body>x", "\n\n\nx"),
            ("<STYLE>p > a {}</Style >x<script>if (a</b) {}</script>y", "\nx\ny"),
            ("a<!-- <p> -->b<!-- never", "ab"),
            ("1 < 2 &lt;&#20320;&#x597D;&amp;nbsp;&unknown; &", "1 < 2 <你好&nbsp;&unknown; &"),
            ("<a title=\"x > y\" href='>'>z</a>", "z"),
            ("<a title=\"never>z <b>w</b>", "z w"),
            ("<style>never closed", "\n"),
            ("<", "<"),
            ("<p", "\n"),
            ("a&#0;&#xFFFFFFFF;b", "a&#0;&#xFFFFFFFF;b"),
            ("没有<邮件>", "没有<邮件>"),
        ] {
            assert_eq!(text_of(html, 1_000), text, "{html}");
        }
    }
}
