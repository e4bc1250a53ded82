//! Conversations: base subjects (RFC 5256 section 2.1) and the hashes that tell which messages belong
//! together. All of it is a function of the message alone, so every path gives the same thread.

use pennypost_model::ThreadId;
use sha2::{Digest, Sha256};

use crate::fields::Fields;
use crate::header::{MAX_TEXT, unfold};
use crate::transfer::base64;

/// Marks of replies and forwards, in lower case: those of RFC 5256 and of Chinese mailers.
const MARKS: [&str; 13] = [
    "re",
    "fwd",
    "fw",
    "自动回复",
    "自動回覆",
    "回复",
    "回覆",
    "答复",
    "答覆",
    "转发",
    "轉發",
    "轉寄",
    "转寄",
];
/// Bytes of Thread-Index that all messages of a conversation share ([MS-OXOMSG] section 2.2.1.3).
const THREAD_INDEX_ROOT: usize = 22;

/// A hash that stays the same over versions: the first eight bytes of SHA-256 over the parts, each with its
/// length in front; never 0.
fn stable_hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte)).max(1)
}

/// Stable hash of a Message-ID without its angle brackets; 0 only for the empty one, which means none.
#[must_use]
pub fn message_id_hash(id: &str) -> u64 {
    if id.is_empty() { 0 } else { stable_hash(&[id.as_bytes()]) }
}

/// The conversation of a message: its base subject and the first of: first id of References, root of
/// Thread-Index, In-Reply-To, its own Message-ID, hash of its header block.
pub(crate) fn thread(fields: &Fields<'_>, subject: &str, own_id: Option<&str>, header: &[u8]) -> ThreadId {
    let reference = fields
        .references
        .and_then(first_id)
        .or_else(|| fields.thread_index.and_then(thread_index_root))
        .or_else(|| fields.in_reply_to.and_then(first_id))
        .or_else(|| own_id.map(|id| id.as_bytes().to_vec()))
        .unwrap_or_else(|| Sha256::digest(header).to_vec());
    ThreadId(stable_hash(&[base_subject(subject).0.as_bytes(), &reference]))
}

/// The first message id of a field without angle brackets and white space; the first word if there are no
/// brackets.
pub(crate) fn first_id(value: &[u8]) -> Option<Vec<u8>> {
    let text = unfold(value, MAX_TEXT);
    let bracketed = text.iter().position(|byte| *byte == b'<').map(|open| &text[open + 1..]);
    let id: Vec<u8> = match bracketed {
        Some(behind) => {
            let inside = behind.split(|byte| *byte == b'>').next().unwrap_or(behind);
            inside.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
        }
        None => text.split(u8::is_ascii_whitespace).next().unwrap_or(&text).to_vec(),
    };
    (!id.is_empty()).then_some(id)
}

/// The message ids of a raw References or In-Reply-To field, in order, without angle brackets; at most `limit`.
#[must_use]
pub fn message_ids(value: &[u8], limit: usize) -> Vec<String> {
    let pieces = value.split_inclusive(|byte| *byte == b'>').filter(|piece| piece.contains(&b'<'));
    pieces.filter_map(first_id).map(|id| crate::charset::guess(&id)).take(limit).collect()
}

fn thread_index_root(value: &[u8]) -> Option<Vec<u8>> {
    let mut index = base64(&unfold(value, MAX_TEXT));
    if index.len() < THREAD_INDEX_ROOT {
        return None;
    }
    index.truncate(THREAD_INDEX_ROOT);
    Some([b"thread-index:".as_slice(), &index].concat())
}

/// The subject without the marks of replies, forwards and lists, in lower case and with single spaces
/// (RFC 5256 section 2.1; a full-width colon counts as a colon), and whether it had marks of a reply or a forward.
#[must_use]
pub fn base_subject(decoded: &str) -> (String, bool) {
    let lower = decoded.to_lowercase();
    let words: Vec<&str> = lower.split_whitespace().collect();
    let folded = words.join(" ");
    let mut base = folded.as_str();
    let mut is_reply = false;
    loop {
        while let Some(shorter) = base.strip_suffix("(fwd)") {
            (base, is_reply) = (shorter.trim_end(), true);
        }
        base = without_leaders(base, &mut is_reply);
        match base.strip_prefix("[fwd:").and_then(|inside| inside.strip_suffix(']')) {
            Some(inside) => (base, is_reply) = (inside.trim(), true),
            None => return (base.to_owned(), is_reply),
        }
    }
}

fn without_leaders<'a>(subject: &'a str, is_reply: &mut bool) -> &'a str {
    let mut base = subject.trim();
    loop {
        let mut behind_blobs = base;
        while let Some(behind) = without_blob(behind_blobs) {
            behind_blobs = behind;
        }
        if let Some(behind) = without_mark(behind_blobs) {
            (base, *is_reply) = (behind, true);
        } else if let Some(behind) = without_blob(base).filter(|behind| !behind.is_empty()) {
            base = behind;
        } else {
            return base;
        }
    }
}

/// `subj-blob`: `[list] `.
fn without_blob(subject: &str) -> Option<&str> {
    let inside = subject.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    // `[fwd: …]` is no label of a list; the caller unwraps it.
    if inside.starts_with("fwd:") {
        return None;
    }
    inside[end..].strip_prefix(']').map(str::trim_start)
}

/// `subj-refwd`: `re [2]: `.
fn without_mark(subject: &str) -> Option<&str> {
    let behind = MARKS.iter().find_map(|mark| subject.strip_prefix(mark))?.trim_start();
    let behind = without_blob(behind).unwrap_or(behind);
    behind.strip_prefix([':', '：']).map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_subjects() {
        for (subject, base) in [
            ("Hello  World", "hello world"),
            ("Re: Hello", "hello"),
            ("RE : Fwd: fw: hello (fwd) (FWD)", "hello"),
            ("Re[2]: hello", "hello"),
            ("[list] Re: [list] hello", "hello"),
            ("[a][b] hello", "hello"),
            ("[only]", "[only]"),
            ("[fwd: [list] Re: hello]", "hello"),
            ("回复：Re: 转发: 会议", "会议"),
            ("答复: 答复: 会议", "会议"),
            ("轉寄：回覆: 會議", "會議"),
            ("Re：会议", "会议"),
            ("Reply: not a mark", "reply: not a mark"),
            ("re", "re"),
            ("Re:", ""),
            ("", ""),
            ("[", "["),
            ("[]", "[]"),
        ] {
            assert_eq!(base_subject(subject).0, base, "{subject}");
        }
    }

    #[test]
    fn a_conversation_shares_its_thread() {
        let of = |header: &str| {
            let (_, facts) = crate::parse(header.as_bytes());
            facts.thread
        };
        let root = of("Message-ID: <1@a>\r\nSubject: x\r\n\r\n");
        for reply in [
            "Message-ID: <2@a>\r\nIn-Reply-To: <1@a>\r\nSubject: Re: X\r\n\r\n",
            "Message-ID: <3@a>\r\nReferences: <1@a>\r\n <2@a>\r\nIn-Reply-To: <2@a>\r\nSubject: =?utf-8?B?5Zue5aSN?=: x\r\n\r\n",
            "References: 1@a <2@a>\r\n\tx\r\nsubject:x\n\n",
        ] {
            let same = of(reply) == root;
            assert_eq!(same, !reply.starts_with("References: 1@a"), "{reply}");
        }
        assert_ne!(of("Message-ID: <1@a>\r\nSubject: y\r\n\r\n"), root);
        assert_ne!(of("Subject: x\r\nX: 1\r\n\r\n"), of("Subject: x\r\nX: 2\r\n\r\n"));
        let outlook = "AdNQ0wAAAAAAAAAAAAAAAAAAAAAAAA==";
        assert_eq!(
            of(&format!("Message-ID: <1@a>\r\nThread-Index: {outlook}\r\nSubject: x\r\n\r\n")),
            of(&format!(
                "In-Reply-To: <1@a>\r\nThread-Index: {}AAAA\r\nSubject: 答复: x\r\n\r\n",
                &outlook[..28]
            )),
        );
    }

    #[test]
    fn hashes_stay_the_same_over_versions() {
        assert_eq!(message_id_hash(""), 0);
        assert_eq!(message_id_hash("1@example.com"), stable_hash(&[b"1@example.com"]));
    }
}
