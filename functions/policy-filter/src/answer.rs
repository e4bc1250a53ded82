//! The answer to a letter (RFC 3834), as an accepted message.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_mailstore::accept::compressed;
use pennypost_model::event::{Accepted, AuthResults, Body, Parsed, Recipient, Source, SourceKind, Via};
use pennypost_model::message::cut;
use pennypost_model::{AccountKey, EventId};
use pennypost_policy::MailAddress;
use pennypost_policy::rules::Reply;
use sha2::{Digest, Sha256};

/// Characters of a line of base64 (RFC 2045 section 6.8).
const LINE: usize = 76;
/// Bytes of a text in one encoded-word.
const WORD: usize = 45;
/// Bytes of the subject that is answered.
const SUBJECT: usize = 200;
/// Bytes of the Message-ID that is answered; of a longer one nothing is said (RFC 5322 section 2.1.1).
const MESSAGE_ID: usize = 900;

/// The id of what an account says to a letter: the same however often its event comes.
pub(crate) fn id_of(what: &str, message: EventId, account: AccountKey) -> EventId {
    let mut hash = Sha256::new();
    hash.update(what);
    hash.update(message.to_bytes());
    hash.update(account.to_string());
    let random = hash.finalize().iter().take(10).fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    EventId::from_parts(message.time(), random)
}

/// A text as encoded-words of at most 75 characters, one on each line (RFC 2047 section 2).
fn encoded_words(text: &str) -> String {
    let (mut words, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let word = cut(rest, WORD);
        words.push(format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
        rest = rest.get(word.len()..).unwrap_or_default();
    }
    words.join("\r\n ")
}

/// A text of the header: as it is, if programs take it so.
fn header_text(text: &str) -> String {
    let is_plain =
        text.len() <= 60 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.contains("=?");
    if is_plain { text.to_owned() } else { encoded_words(text) }
}

fn message(
    parsed: &Parsed,
    (address, name): &(MailAddress, String),
    to: &MailAddress,
    reply: &Reply,
    id: EventId,
) -> String {
    let facts = &parsed.sidecar.facts;
    let about = if reply.subject.is_empty() { &facts.subject } else { &reply.subject };
    let about: String = about.chars().filter(|c| !c.is_control()).collect();
    let from = match name.as_str() {
        "" => address.to_string(),
        name => format!("{}\r\n <{address}>", encoded_words(name)),
    };
    let is_id = |id: &&String| {
        id.len() <= MESSAGE_ID
            && id.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>'))
    };
    let answered = facts.message_id.as_ref().filter(is_id);
    let answered =
        answered.map(|id| format!("In-Reply-To: <{id}>\r\nReferences: <{id}>\r\n")).unwrap_or_default();
    let text = BASE64_STANDARD.encode(reply.text.replace("\r\n", "\n").replace('\n', "\r\n"));
    let lines: Vec<&str> =
        (0..text.len()).step_by(LINE).filter_map(|at| text.get(at..text.len().min(at + LINE))).collect();
    format!(
        "From: {from}\r\nTo: <{to}>\r\nSubject: Auto: {subject}\r\nDate: {date}\r\n\
         Message-ID: <{id}@{domain}>\r\n{answered}Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n",
        subject = header_text(cut(about.trim(), SUBJECT)),
        date = parsed.accepted.time.rfc5322(),
        domain = address.domain(),
        body = lines.join("\r\n"),
    )
}

/// The account's answer: from nobody, so that nobody answers it, and nobody is told of what becomes of it.
pub(crate) async fn answer(
    parsed: &Parsed,
    account: AccountKey,
    from: &(MailAddress, String),
    (writer, to): (&MailAddress, Recipient),
    reply: &Reply,
) -> Option<Accepted> {
    let id = id_of("answer", parsed.accepted.id, account);
    let raw = message(parsed, from, writer, reply, id).into_bytes();
    let stored = match compressed(raw).await {
        Ok(stored) => stored,
        Err(error) => {
            tracing::error!(%account, %error, "an answer can't be compressed");
            return None;
        }
    };
    let kind = if to.via == Via::Outside { SourceKind::Notice(account) } else { SourceKind::System };
    let time = parsed.accepted.time;
    Some(Accepted {
        id,
        time,
        tenant: account.tenant,
        // It tells of what it answers (RFC 8689 section 6).
        source: Source {
            kind: kind.private(parsed.accepted.source.kind.is_private()),
            ip: None,
            helo: String::new(),
            tls: None,
        },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients: vec![to],
        body: Body::Inline(stored),
        receipt: format!("Received: by {} id {id};\r\n\t{}\r\n", from.0.domain(), time.rfc5322()),
    })
}
