//! Letters that the post office itself writes to somebody.
//!
//! One way out, [`Administration::send_notice`]: to a mailbox here, or, where letters go to other servers, to an address
//! elsewhere. What can't go is told to be so, and nothing is written. A letter is in the queue when it returns; if the process
//! dies before, there is none. All are from `<>`: of one that fails elsewhere nobody is told, but its trace.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_directory::{MailAddress, RecoveryPlace, Resolved};
use pennypost_mailstore::accept::compressed;
use pennypost_model::codec::encode;
use pennypost_model::event::{Accepted, AuthResults, Body, Event, Recipient, Source, SourceKind, Stage, Via};
use pennypost_model::message::cut;
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{Outgoing, PortError};
use pennypost_text::{Lang, Text};

use crate::{AdminError, Administration, Conflict};

/// Characters of a line of base64 (RFC 2045 section 6.8).
const LINE: usize = 76;
/// Bytes of a text in one encoded-word.
const WORD: usize = 45;

/// In whose name the post office writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeSender {
    /// What stands before the address; may be empty.
    name: String,
    /// What stands before the @, in whatever domain.
    local: String,
}

impl Default for NoticeSender {
    fn default() -> NoticeSender {
        NoticeSender { name: String::new(), local: "postmaster".to_owned() }
    }
}

impl NoticeSender {
    /// A sender of that name, with that before the @ of its address. `None`: that is no name, or nothing that may stand there.
    #[must_use]
    pub fn new(name: &str, local: &str) -> Option<NoticeSender> {
        let is_name = name.chars().count() <= 100 && !name.chars().any(char::is_control);
        // Without quotes it stands in the header as it is.
        let is_local = (1..=64).contains(&local.len())
            && local.split('.').all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+'))
            });
        let (name, local) = (name.trim().to_owned(), local.to_owned());
        (is_name && is_local).then_some(NoticeSender { name, local })
    }

    /// The field From, in a domain.
    fn field(&self, domain: &str) -> String {
        let NoticeSender { name, local } = self;
        match name.as_str() {
            "" => format!("{local}@{domain}"),
            name => format!("{}\r\n <{local}@{domain}>", encoded_words(name)),
        }
    }
}

/// A letter.
pub(crate) struct Notice<'a> {
    /// In whose name: a domain here.
    pub(crate) domain: &'a str,
    /// To whom.
    pub(crate) to: &'a str,
    /// What that has to be.
    pub(crate) place: NoticePlace,
    /// What it is about.
    pub(crate) subject: &'a str,
    /// What it says; lines end with a line feed.
    pub(crate) text: &'a str,
}

/// Where a letter goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticePlace {
    /// To the own address of this mailbox.
    Mailbox(AccountKey),
    /// To an address of another server, in a matter of this account.
    Elsewhere(AccountKey),
    /// To an address of somebody else than the account's organisation, wherever it is kept.
    Outside(AccountKey),
}

impl NoticePlace {
    /// The same of a recovery address of `about`.
    pub(crate) const fn at(place: RecoveryPlace, about: AccountKey) -> NoticePlace {
        match place {
            RecoveryPlace::Mailbox(mailbox) => NoticePlace::Mailbox(mailbox),
            RecoveryPlace::Elsewhere => NoticePlace::Elsewhere(about),
        }
    }
}

/// What became of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeSent {
    /// It is on its way.
    Sent,
    /// Its address is not what it has to be, or nothing goes elsewhere from here.
    Unsent,
}

/// A text in both languages, since nobody knows which the reader has.
pub(crate) fn both(say: impl Fn(&Text) -> String, between: &str) -> String {
    [Lang::ZhCn, Lang::En].map(|lang| say(&Text::new(lang))).join(between)
}

/// Who gets a letter, and as what.
pub(crate) struct Envelope {
    pub(crate) tenant: TenantId,
    /// All of that tenant.
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) kind: SourceKind,
}

/// The message (RFC 5322), as something that no program answers (RFC 3834). `to` is the field of the header.
fn message(
    sender: &NoticeSender,
    (domain, to): (&str, &str),
    (subject, text): (&str, &str),
    id: EventId,
    now: Timestamp,
) -> String {
    let subject = encoded_words(subject);
    let text = BASE64_STANDARD.encode(text.replace('\n', "\r\n"));
    let lines: Vec<&str> =
        (0..text.len()).step_by(LINE).filter_map(|at| text.get(at..text.len().min(at + LINE))).collect();
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\n\
         Message-ID: <{id}@{domain}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{body}\r\n",
        from = sender.field(domain),
        date = now.rfc5322(),
        body = lines.join("\r\n"),
    )
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

impl Administration {
    /// The same, where letters to other servers are sent.
    #[must_use]
    pub fn sending_out(self) -> Administration {
        Administration { sends_out: true, ..self }
    }

    /// The same, writing in this name.
    #[must_use]
    pub fn writing_as(self, sender: NoticeSender) -> Administration {
        Administration { sender, ..self }
    }

    /// Does the post office write to this address elsewhere? To none of a domain that is somebody's here: letters to other
    /// organisations of the same post office do not go out.
    ///
    /// # Errors
    /// [`Conflict::NotFromHere`].
    pub(crate) async fn must_reach(&self, address: &MailAddress) -> Result<(), AdminError> {
        let is_ours = self.directory.tenant_of_address(&address.to_string()).await?.is_some();
        if is_ours || !self.sends_out {
            return Err(AdminError::Conflict(Conflict::NotFromHere));
        }
        Ok(())
    }

    /// Does the post office write to this address in the name of that organisation? To all that are not its own. It goes as
    /// any letter goes out, so that nobody learns whose domain is kept here.
    ///
    /// # Errors
    /// [`Conflict::NotFromHere`].
    pub(crate) async fn must_be_outside(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<(), AdminError> {
        let of =
            if self.sends_out { self.directory.tenant_of_address(&address.to_string()).await? } else { None };
        if !self.sends_out || of == Some(tenant) {
            return Err(AdminError::Conflict(Conflict::NotFromHere));
        }
        Ok(())
    }

    /// The recipient, if the address is what it has to be: of a mailbox, if mail to it gets into that one and nowhere else,
    /// because it is its own.
    async fn recipient_of(
        &self,
        notice: &Notice<'_>,
    ) -> Result<Option<(TenantId, Recipient, SourceKind)>, AdminError> {
        match notice.place {
            NoticePlace::Mailbox(mailbox) => Ok(match self.directory.resolve(notice.to).await? {
                Resolved::Local { tenant, mut recipients, .. } if recipients.len() == 1 => recipients
                    .pop()
                    .filter(|recipient| recipient.via == Via::Direct && recipient.account == mailbox)
                    .map(|recipient| (tenant, recipient, SourceKind::System)),
                _ => None,
            }),
            NoticePlace::Elsewhere(about) | NoticePlace::Outside(about) => {
                let Ok(address) = MailAddress::parse(notice.to) else { return Ok(None) };
                let reached = match notice.place {
                    NoticePlace::Outside(_) => self.must_be_outside(about.tenant, &address).await,
                    _ => self.must_reach(&address).await,
                };
                match reached {
                    Ok(()) => {
                        let (address, via) = (address.to_string(), Via::Outside);
                        let recipient = Recipient { account: about, address, via };
                        Ok(Some((about.tenant, recipient, SourceKind::Notice(about))))
                    }
                    Err(AdminError::Conflict(Conflict::NotFromHere)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Puts a letter into the queue.
    pub(crate) async fn send_notice(&self, notice: &Notice<'_>) -> Result<NoticeSent, AdminError> {
        self.send_notice_as(self.ids.event(self.clock.now()), notice).await
    }

    /// The same under an id, by which it comes once, however often it is put there.
    pub(crate) async fn send_notice_as(
        &self,
        id: EventId,
        notice: &Notice<'_>,
    ) -> Result<NoticeSent, AdminError> {
        let Some((tenant, recipient, kind)) = self.recipient_of(notice).await? else {
            return Ok(NoticeSent::Unsent);
        };
        let (header, said) = ((notice.domain, notice.to), (notice.subject, notice.text));
        let envelope = Envelope { tenant, recipients: vec![recipient], kind };
        self.post_as(id, header, said, envelope).await?;
        Ok(NoticeSent::Sent)
    }

    /// Puts a letter into the queue: in the name of a domain, with what stands in its field To, and what it is about and says.
    pub(crate) async fn post(
        &self,
        header: (&str, &str),
        said: (&str, &str),
        envelope: Envelope,
    ) -> Result<(), AdminError> {
        self.post_as(self.ids.event(self.clock.now()), header, said, envelope).await
    }

    /// The same under an id.
    pub(crate) async fn post_as(
        &self,
        id: EventId,
        (domain, to): (&str, &str),
        (subject, text): (&str, &str),
        envelope: Envelope,
    ) -> Result<(), AdminError> {
        let (_, queue) = self.workshop()?;
        let now = self.clock.now();
        let damaged = |error: pennypost_mailstore::StoreError| PortError::Damaged {
            port: "queue",
            cause: error.to_string(),
        };
        let raw = message(&self.sender, (domain, to), (subject, text), id, now).into_bytes();
        let stored = compressed(raw).await.map_err(damaged)?;
        let Envelope { tenant, recipients, kind } = envelope;
        let accepted = Accepted {
            id,
            time: now,
            tenant,
            source: Source { kind, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: String::new(),
            recipients,
            body: Body::Inline(stored),
            receipt: format!("Received: by {domain} id {id};\r\n\t{}\r\n", now.rfc5322()),
        };
        let body = encode(&Event::Accepted(Box::new(accepted)));
        let message = Outgoing { tenant, body, delay: std::time::Duration::ZERO };
        for sent in queue.send_batch(Stage::InboundParse, vec![message]).await {
            sent?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_is_what_the_operator_says() {
        let field = |name: &str, local: &str| NoticeSender::new(name, local).map(|it| it.field("a.example"));
        assert_eq!(NoticeSender::default().field("a.example"), "postmaster@a.example");
        assert_eq!(field("", "no-reply").as_deref(), Some("no-reply@a.example"));
        assert_eq!(
            field("Acme", "mail.team").as_deref(),
            Some("=?utf-8?B?QWNtZQ==?=\r\n <mail.team@a.example>")
        );
        for (name, local) in [("", ""), ("", "a@b"), ("", "a b"), ("", "a."), ("A\nB", "a"), ("", "\"a\"")] {
            assert_eq!(field(name, local), None, "{name:?} {local:?}");
        }
    }
}
