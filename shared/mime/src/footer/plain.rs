//! Plain text into which a text is put (RFC 3676 for what is flowed).

use super::Addition;

/// The lines that are put in, as they stand in the letter.
pub(super) fn lines(addition: &Addition<'_>, is_flowed: bool) -> Vec<String> {
    let stuffed = |line: &str| {
        // A line that ends with a blank would flow on, one that begins so would lose it (RFC 3676 section 4.4).
        let line = line.trim_end();
        let is_stuffed = is_flowed && (line.starts_with([' ', '>']) || line.starts_with("From "));
        if is_stuffed { format!(" {line}") } else { line.to_owned() }
    };
    addition.text.trim_end().trim_start_matches('\n').lines().map(stuffed).collect()
}

/// Do these lines stand in the text, one behind the other? Quoted they begin with another sign.
pub(super) fn holds(text: &[u8], wanted: &[Vec<u8>]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    loop {
        let mut here = lines.clone();
        if wanted.iter().all(|wanted| here.next() == Some(wanted.trim_ascii_end())) {
            return true;
        }
        if lines.next().is_none() {
            return false;
        }
    }
}

/// Where the writer's signature begins: the first line that is `-- ` (RFC 3676 section 4.3).
pub(super) fn signature(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        if content.strip_suffix(b"\r").unwrap_or(content) == b"-- " {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// The text with these lines, an empty one before them.
pub(super) fn put(text: &mut Vec<u8>, lines: &[Vec<u8>], at: Option<usize>, line_end: &[u8]) {
    let block = lines.join(line_end);
    let Some(at) = at else {
        let has_end = text.ends_with(b"\n");
        if !text.is_empty() {
            text.extend_from_slice(if has_end { &b""[..] } else { line_end });
            text.extend_from_slice(line_end);
        }
        text.extend_from_slice(&block);
        if has_end {
            text.extend_from_slice(line_end);
        }
        return;
    };
    let before = text.get(..at).unwrap_or_default();
    let is_parted = before.is_empty() || before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n");
    let first = if is_parted { &b""[..] } else { line_end };
    let inserted = [first, &*block, line_end, line_end].concat();
    text.splice(at..at, inserted);
}

/// Has somebody signed or encrypted within the text (RFC 9580 section 7)?
pub(super) fn pgp(text: &[u8]) -> Option<super::Untouched> {
    text.split(|byte| *byte == b'\n').find_map(|line| {
        if line.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----") {
            Some(super::Untouched::Signed)
        } else if line.starts_with(b"-----BEGIN PGP MESSAGE") {
            Some(super::Untouched::Encrypted)
        } else {
            None
        }
    })
}
