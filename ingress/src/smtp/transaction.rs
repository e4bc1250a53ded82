//! One mail transaction: from MAIL to the end of the message.

use std::sync::Arc;

use pennypost_directory::{MailAddress, Reached, ReportOf, TenantPolicy};
use pennypost_model::TenantId;
use pennypost_model::event::{Recipient, Via, Wish, Wishes};
use tokio::task::JoinHandle;

use super::authenticate::SpfAnswer;
use super::command::Rcpt;
use super::decoder::Decoder;
use super::parameters::Hold;
use super::submission::Open;
use crate::net::Share;

/// Bytes by which the memory of a body grows at least.
const STEP: usize = 64 * 1024;
/// Bytes of recipients in an event at most: with a receipt and a few fields it stays below what queues carry.
const MAX_RECIPIENT_BYTES: usize = 160 * 1024;

/// Bytes of a member elsewhere in an event, beside what stands before the @ of its address: two domains, and two long texts.
const GROUP_MEMBER_BYTES: usize = 640;

/// A transaction under way. Dropping it ends it without a trace.
pub(crate) struct Transaction {
    /// Empty for `<>`.
    pub reverse_path: String,
    /// What the client said the size will be.
    pub declared: u64,
    /// SMTPUTF8 was asked for: addresses may hold any character.
    pub utf8: bool,
    /// Whose mail it is, from the first accepted recipient on.
    pub tenant: Option<Tenant>,
    /// Who gets it; each account once, and each address of another server.
    pub recipients: Vec<Recipient>,
    /// Groups of which members elsewhere get it, and these.
    pub groups: Vec<(MailAddress, Vec<Reached>)>,
    /// It is a report about a letter to one of them, and has no recipient.
    pub report: Option<ReportOf>,
    /// It is a report about a forwarded letter, and goes on to its sender elsewhere, who is the only recipient.
    pub is_returned: bool,
    /// RCPT commands that were accepted.
    pub accepted: usize,
    /// SPF under way.
    pub spf: Option<Spf>,
    /// A member's may go outside, from the first recipient there on.
    pub open: Option<Open>,
    /// The message so far, when it comes in chunks.
    pub chunks: Option<Body>,
    /// Of what its sender wants to hear.
    pub wishes: Wishes,
    /// When it is to go.
    pub hold: Option<Hold>,
    /// Its sender does not want it to be read on its way.
    pub is_private: bool,
    recipient_bytes: usize,
}

/// The tenant of a transaction, with its policy as it was at the first recipient.
pub(crate) struct Tenant {
    pub id: TenantId,
    pub policy: Arc<TenantPolicy>,
}

/// SPF under way; given up when dropped.
pub(crate) struct Spf {
    task: JoinHandle<Option<SpfAnswer>>,
    answer: Option<Option<SpfAnswer>>,
}

impl Spf {
    pub const fn new(task: JoinHandle<Option<SpfAnswer>>) -> Spf {
        Spf { task, answer: None }
    }

    /// Waits for the answer; the task has its own bound in time.
    pub async fn wait(&mut self) -> Option<&SpfAnswer> {
        if self.answer.is_none() {
            self.answer = Some((&mut self.task).await.ok().flatten());
        }
        self.answer.as_ref().and_then(Option::as_ref)
    }

    /// The answer.
    pub async fn answer(mut self) -> Option<SpfAnswer> {
        self.wait().await;
        self.answer.take().flatten()
    }
}

impl Drop for Spf {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A message as it comes in.
pub(crate) struct Body {
    pub decoder: Decoder,
    pub message: Vec<u8>,
    pub share: Share,
    /// There was no memory for it: it is read and thrown away.
    pub starved: bool,
}

impl Transaction {
    pub const fn new(reverse_path: String, declared: u64, utf8: bool) -> Transaction {
        Transaction {
            reverse_path,
            declared,
            utf8,
            tenant: None,
            recipients: Vec::new(),
            groups: Vec::new(),
            report: None,
            is_returned: false,
            accepted: 0,
            spf: None,
            open: None,
            chunks: None,
            wishes: Wishes { full: None, envelope_id: None, recipients: Vec::new() },
            hold: None,
            is_private: false,
            recipient_bytes: 0,
        }
    }

    /// Notes what was said of a recipient who was accepted: at first, if that is said twice.
    pub fn wish(&mut self, rcpt: Rcpt) {
        let is_known = self.wishes.of(&rcpt.address).is_some();
        if rcpt.is_extended() && !is_known {
            let Rcpt { address, notify, original } = rcpt;
            self.recipient_bytes += address.len() + original.as_ref().map_or(0, String::len) + 16;
            self.wishes.recipients.push(Wish { address, notify, original });
        }
    }

    /// Did its sender say anything of reports?
    pub fn has_wishes(&self) -> bool {
        self.wishes != Wishes::default()
    }

    /// Who gets it, if it is one alone: what tells of him is told to nobody else. Members elsewhere of groups get it, too.
    pub fn only_recipient(&self) -> Option<&str> {
        match &*self.recipients {
            [only] if self.groups.iter().all(|(_, reached)| reached.is_empty()) => Some(&only.address),
            _ => None,
        }
    }

    /// Adds those that are not there yet; `false`, and no change, if the event would become too large.
    pub fn add(&mut self, recipients: Vec<Recipient>, group: Option<(MailAddress, Vec<Reached>)>) -> bool {
        let is_outside = |recipient: &Recipient| recipient.via == Via::Outside;
        let is_same = |known: &Recipient, new: &Recipient| match (is_outside(known), is_outside(new)) {
            (true, true) => known.address == new.address,
            (false, false) => known.account == new.account,
            _ => false,
        };
        let is_new = |new: &Recipient| !self.recipients.iter().any(|known| is_same(known, new));
        let fresh: Vec<Recipient> = recipients.into_iter().filter(is_new).collect();
        let is_known =
            |group: &(MailAddress, Vec<Reached>)| self.groups.iter().any(|(known, _)| *known == group.0);
        let group = group.filter(|group| !is_known(group));
        let elsewhere = group.iter().flat_map(|(_, members)| members);
        let elsewhere: usize =
            elsewhere.map(|member| member.address().local().len() + GROUP_MEMBER_BYTES).sum();
        let bytes: usize =
            fresh.iter().map(|recipient| recipient.address.len() + 24).sum::<usize>() + elsewhere;
        if self.recipient_bytes + bytes > MAX_RECIPIENT_BYTES {
            return false;
        }
        self.recipient_bytes += bytes;
        self.recipients.extend(fresh);
        self.groups.extend(group);
        self.accepted += 1;
        true
    }
}

impl Body {
    pub const fn new(decoder: Decoder, share: Share) -> Body {
        Body { decoder, message: Vec::new(), share, starved: false }
    }

    /// Takes a piece of input; as [`Decoder::decode`].
    pub fn take(&mut self, input: &[u8]) -> (usize, bool) {
        // In steps, not by doubling: what is held stays close to what has come.
        let needed = self.message.len() + input.len();
        if !self.starved && self.decoder.fault().is_none() && needed > self.message.capacity() {
            let held = self.message.capacity();
            let capacity = needed.max(held + (held / 8).max(STEP));
            if self.share.grow(capacity) {
                self.message.reserve_exact(capacity - self.message.len());
            } else {
                self.starved = true;
                self.message = Vec::new();
            }
        }
        let taken = self.decoder.decode(input, &mut self.message);
        if self.starved {
            self.message.clear();
        }
        taken
    }
}
