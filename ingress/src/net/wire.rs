//! The protocol trace: what goes over the wire, at TRACE level, with credentials and bodies left out, so that
//! an operator can share it. Sessions trace command lines and replies; bodies and literals only by length.

use tracing::{Level, enabled, trace};

/// Traces a line from the client.
pub fn received(line: &[u8]) {
    if enabled!(Level::TRACE) {
        trace!(direction = "c", line = redact(line), "wire");
    }
}

/// Traces that the client sent so many bytes of a body, a literal or a secret.
pub fn received_bytes(what: &'static str, len: usize) {
    trace!(direction = "c", what, len, "wire");
}

/// Traces a reply line.
pub fn sent(line: &[u8]) {
    if enabled!(Level::TRACE) {
        trace!(direction = "s", line = printable(line), "wire");
    }
}

/// The line without the secrets that a command line can carry: the arguments of PASS and LOGIN, and what
/// follows the mechanism in AUTH and AUTHENTICATE. The verb may stand behind a tag.
#[must_use]
pub fn redact(line: &[u8]) -> String {
    let text = printable(line);
    let mut end_of_word = 0;
    for _ in 0..2 {
        let start = end_of_word + text[end_of_word..].len() - text[end_of_word..].trim_start().len();
        let len = text[start..].find(char::is_whitespace).unwrap_or(text.len() - start);
        end_of_word = start + len;
        let keep = match text[start..end_of_word].to_ascii_uppercase().as_str() {
            "PASS" | "LOGIN" => end_of_word,
            "AUTH" | "AUTHENTICATE" => {
                let rest = &text[end_of_word..];
                let mechanism = rest.len() - rest.trim_start().len();
                let len = rest[mechanism..].find(char::is_whitespace).unwrap_or(rest.len() - mechanism);
                end_of_word + mechanism + len
            }
            _ => continue,
        };
        return if keep < text.len() { format!("{} ***", &text[..keep]) } else { text };
    }
    text
}

/// The first 200 bytes, with everything unprintable escaped.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    line[..line.len().min(200)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out() {
        for (line, shown) in [
            ("PASS correct horse", "PASS ***"),
            ("a1 LOGIN bob secret", "a1 LOGIN ***"),
            ("a1 login {3+}", "a1 login ***"),
            ("AUTH PLAIN AGJvYgBzZWNyZXQ=", "AUTH PLAIN ***"),
            ("a AUTHENTICATE PLAIN AGJvYgBz", "a AUTHENTICATE PLAIN ***"),
            ("a AUTHENTICATE PLAIN", "a AUTHENTICATE PLAIN"),
            ("MAIL FROM:<a@b>", "MAIL FROM:<a@b>"),
            ("", ""),
            ("PASS", "PASS"),
            ("  PASS   x", "  PASS ***"),
        ] {
            assert_eq!(redact(line.as_bytes()), shown, "{line}");
        }
        assert_eq!(redact(b"\x00\xff"), "\\x00\\xff");
    }
}
