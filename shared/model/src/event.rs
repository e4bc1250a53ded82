//! The events of the queues. An event is at least once and in any order; handlers are idempotent by its id.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

use crate::codec::{self, CodecError, Versioned};
use crate::message::{Sidecar, StoredMessage};
use crate::scan::Withheld;
use crate::trace::Submitter;
use crate::{AccountKey, EventId, FlagSet, MailboxId, MailboxRole, Seq, TaskId, TenantId, Timestamp};

/// The stages of the pipeline; each has a queue of its own name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// `inbound`: accepted messages.
    InboundParse,
    /// `filter`: parsed messages (used when unfused).
    PolicyFilter,
    /// `deliver`: decided messages (used when unfused).
    Deliver,
    /// `notify`: accounts that changed.
    Notify,
    /// `house`: accounts with housekeeping to do.
    Housekeep,
    /// `receive`: what another service says of mail that it has received for us.
    Receive,
    /// `remote`: messages for other servers.
    SendRemote,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 7] = [
        Stage::InboundParse,
        Stage::PolicyFilter,
        Stage::Deliver,
        Stage::Notify,
        Stage::Housekeep,
        Stage::Receive,
        Stage::SendRemote,
    ];

    /// The name of its queue.
    #[must_use]
    pub const fn queue(self) -> &'static str {
        match self {
            Stage::InboundParse => "inbound",
            Stage::PolicyFilter => "filter",
            Stage::Deliver => "deliver",
            Stage::Notify => "notify",
            Stage::Housekeep => "house",
            Stage::Receive => "receive",
            Stage::SendRemote => "remote",
        }
    }

    /// The stage whose queue has that name.
    #[must_use]
    pub fn of_queue(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.queue() == name)
    }
}

/// What any queue carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// For inbound-parse.
    Accepted(Box<Accepted>),
    /// For policy-filter.
    Parsed(Box<Parsed>),
    /// For deliver.
    Decided(Box<Decided>),
    /// For notify.
    Changed(Changed),
    /// For housekeep.
    House(House),
    /// For receive.
    Notified(Notified),
    /// For send-remote: a message with its recipients outside, and no others.
    Outbound(Box<Accepted>),
    /// For send-remote: the same, of a message that accounts forward to addresses elsewhere.
    Forwarding(Box<Forwarding>),
}

impl Versioned for Event {
    const KIND: &'static str = "event";
}

impl Event {
    /// The stage that handles it.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Event::Accepted(_) => Stage::InboundParse,
            Event::Parsed(_) => Stage::PolicyFilter,
            Event::Decided(_) => Stage::Deliver,
            Event::Changed(_) => Stage::Notify,
            Event::House(_) => Stage::Housekeep,
            Event::Notified(_) => Stage::Receive,
            Event::Outbound(_) | Event::Forwarding(_) => Stage::SendRemote,
        }
    }

    /// The event in the body of a message of that stage's queue. Other services speak their own language: what they
    /// say becomes [`Event::Notified`] as it is.
    ///
    /// # Errors
    /// As for [`codec::decode`].
    pub fn read(stage: Stage, body: &[u8]) -> Result<Event, CodecError> {
        let is_document = body.trim_ascii_start().starts_with(b"{");
        if stage == Stage::Receive && is_document {
            return Ok(Event::Notified(Notified { document: body.to_vec() }));
        }
        codec::decode(body)
    }

    /// Does it belong to no tenant yet?
    #[must_use]
    pub const fn is_nobodys(&self) -> bool {
        matches!(self, Event::Notified(_))
    }

    /// The tenant it belongs to: the group in the queue. The default for what [is nobody's](Event::is_nobodys).
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        match self {
            Event::Accepted(accepted) | Event::Outbound(accepted) => accepted.tenant,
            Event::Forwarding(forwarding) => forwarding.accepted.tenant,
            Event::Parsed(parsed) => parsed.accepted.tenant,
            Event::Decided(decided) => decided.accepted.tenant,
            Event::Changed(changed) => changed.account.tenant,
            Event::House(House::Account(account) | House::Segments(account)) => account.tenant,
            Event::House(
                House::CollectGarbage(tenant)
                | House::Audit(tenant)
                | House::Task(tenant, _)
                | House::Domains(tenant)
                | House::Statistics(tenant)
                | House::RecycleBin(tenant)
                | House::Erase(tenant),
            ) => *tenant,
            Event::Notified(_) => TenantId::default(),
        }
    }

    /// The id of the accepted message it is about, if it is about one.
    #[must_use]
    pub fn message(&self) -> Option<EventId> {
        match self {
            Event::Accepted(accepted) | Event::Outbound(accepted) => Some(accepted.id),
            Event::Forwarding(forwarding) => Some(forwarding.accepted.id),
            Event::Parsed(parsed) => Some(parsed.accepted.id),
            Event::Decided(decided) => Some(decided.accepted.id),
            Event::Changed(_) | Event::House(_) | Event::Notified(_) => None,
        }
    }
}

/// A message that was accepted: after this event is in the queue, the sender has its `250`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Made at acceptance; the idempotency key of everything that follows.
    pub id: EventId,
    /// When it was accepted.
    pub time: Timestamp,
    /// Whose mail it is. A message for two tenants is two events.
    pub tenant: TenantId,
    /// Where it came from.
    pub source: Source,
    /// What authentication found.
    pub auth: AuthResults,
    /// Reverse-path of MAIL FROM; empty for `<>`.
    pub reverse_path: String,
    /// Who gets it; each account once, whoever wrote it once more for the copy in Sent, and each address of another server
    /// once.
    pub recipients: Vec<Recipient>,
    /// The bytes.
    pub body: Body,
    /// Header fields made at receipt (Received, Authentication-Results), CRLF-terminated.
    pub receipt: String,
}

impl Accepted {
    /// The event id of a recipient's copy in the journal: of its writer's copy in Sent another one than of all others, since
    /// he may be among the recipients, too.
    #[must_use]
    pub const fn copy_id(&self, recipient: &Recipient) -> EventId {
        match recipient.via {
            Via::Sent => self.id.sent_copy(),
            Via::Direct | Via::Alias | Via::Group | Via::CatchAll | Via::Outside | Via::Drafts => self.id,
        }
    }

    /// The same, of a message that may not be read on its way, if it is one.
    #[must_use]
    pub fn private(self, is_private: bool) -> Accepted {
        let Accepted { source: Source { kind, ip, helo, tls }, .. } = self;
        Accepted { source: Source { kind: kind.private(is_private), ip, helo, tls }, ..self }
    }

    /// No copy of it is older. What another organisation of the same post office hands over again has the id of the first time.
    #[must_use]
    pub fn earliest(&self) -> Timestamp {
        self.time.min(self.id.time())
    }

    /// Does it go to other servers, too? Then its bytes are needed until the last of them has it.
    #[must_use]
    pub fn leaves(&self) -> bool {
        let is_outside = |recipient: &Recipient| recipient.via == Via::Outside;
        !self.source.kind.groups().is_empty() || self.recipients.iter().any(is_outside)
    }

    /// Do all recipients and the spooled object belong to the tenant of the event (invariant 7)?
    #[must_use]
    pub fn names_only_its_tenant(&self) -> bool {
        let object_is_ours = match &self.body {
            Body::Inline(_) => true,
            Body::Spooled { object, .. } => object.starts_with(&format!("{}/spool/", self.tenant)),
        };
        object_is_ours && self.recipients.iter().all(|recipient| recipient.account.tenant == self.tenant)
    }
}

/// The bytes of an accepted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// In the event.
    Inline(StoredMessage),
    /// An object of the tenant, written before the event; it holds one encoded [`StoredMessage`].
    Spooled {
        /// Name of the object.
        object: String,
        /// Bytes of the message, uncompressed.
        size: u64,
    },
}

impl Body {
    /// Above this many stored bytes a message is spooled and not put into the event: with the envelope it
    /// stays below 256 KB, which every queue service carries.
    pub const INLINE_LIMIT: usize = 200 * 1024;
}

/// Where a message came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// By which way.
    pub kind: SourceKind,
    /// The peer.
    pub ip: Option<IpAddr>,
    /// Its EHLO or HELO name.
    pub helo: String,
    /// Negotiated TLS version and cipher suite, if any.
    pub tls: Option<String>,
}

/// By which way a message came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// SMTP from another server.
    Smtp,
    /// Made by the system.
    System,
    /// Another service received it by SMTP and handed it on: what it is known for was found there.
    Service {
        /// Is it spam? `Fail` means that it is.
        spam: Verdict,
    },
    /// A member's program handed it in, having signed in (RFC 6409).
    Submission(Box<Submission>),
    /// The post office's own notice to an address elsewhere, in a matter of this account: from `<>`, so nobody is told of what
    /// becomes of it; the trace says it.
    Notice(AccountKey),
    /// As [`SourceKind::Submission`], and groups that it is for have members elsewhere, who get it, too (GRP-03).
    ToGroups(Box<ToGroups>),
    /// As [`SourceKind::ToGroups`], perhaps without groups, and its sender has said of what he wants to hear (RFC 3461).
    Requested(Box<Requested>),
    /// Another server's report about a letter that was forwarded: it goes on to whoever had sent that, elsewhere. From `<>`.
    Returned,
    /// As the one in it, and its sender does not want it to be read on its way: wherever it goes, the server has to be known and to
    /// promise the same (REQUIRETLS: RFC 8689).
    Private(Box<SourceKind>),
    /// As [`SourceKind::Requested`], perhaps without wishes, of an organisation that puts texts into its members' letters.
    Footed(Box<Footed>),
    /// A message of a member that rules of his organisation about contents note.
    Noted(Box<Noted>),
}

impl SourceKind {
    /// The same, of a message that may not be read on its way, if it is one.
    #[must_use]
    pub fn private(self, is_private: bool) -> SourceKind {
        if is_private && !self.is_private() { SourceKind::Private(Box::new(self)) } else { self }
    }

    /// Does its sender want it to be read by nobody on its way?
    #[must_use]
    pub fn is_private(&self) -> bool {
        match self {
            SourceKind::Private(_) => true,
            SourceKind::Noted(noted) => noted.kind.is_private(),
            _ => false,
        }
    }

    /// By which way it came, private or not, noted or not.
    #[must_use]
    pub fn way(&self) -> &SourceKind {
        match self {
            SourceKind::Private(kind) => kind.way(),
            SourceKind::Noted(noted) => noted.kind.way(),
            other => other,
        }
    }

    /// What is known of it, if a member handed it in.
    #[must_use]
    pub fn submission(&self) -> Option<&Submission> {
        match self {
            SourceKind::Private(kind) => kind.submission(),
            SourceKind::Submission(submission) => Some(submission),
            SourceKind::ToGroups(to) => Some(&to.submission),
            SourceKind::Requested(requested) => Some(&requested.to.submission),
            SourceKind::Footed(footed) => Some(&footed.requested.to.submission),
            SourceKind::Noted(noted) => noted.kind.submission(),
            SourceKind::Smtp
            | SourceKind::System
            | SourceKind::Service { .. }
            | SourceKind::Notice(_)
            | SourceKind::Returned => None,
        }
    }

    /// The groups whose members elsewhere get it.
    #[must_use]
    pub fn groups(&self) -> &[GroupElsewhere] {
        match self.way() {
            SourceKind::ToGroups(to) => &to.groups,
            SourceKind::Requested(requested) => &requested.to.groups,
            SourceKind::Footed(footed) => &footed.requested.to.groups,
            _ => &[],
        }
    }

    /// The same groups, to be changed.
    pub fn groups_mut(&mut self) -> Option<&mut Vec<GroupElsewhere>> {
        match self {
            SourceKind::ToGroups(to) => Some(&mut to.groups),
            SourceKind::Requested(requested) => Some(&mut requested.to.groups),
            SourceKind::Private(kind) => kind.groups_mut(),
            SourceKind::Footed(footed) => Some(&mut footed.requested.to.groups),
            SourceKind::Noted(noted) => noted.kind.groups_mut(),
            _ => None,
        }
    }

    /// Of what its sender wants to hear, if he has said anything.
    #[must_use]
    pub fn wishes(&self) -> Option<&Wishes> {
        match self.way() {
            SourceKind::Requested(requested) => Some(&requested.wishes),
            SourceKind::Footed(footed) => {
                Some(&footed.requested.wishes).filter(|wishes| **wishes != Wishes::default())
            }
            _ => None,
        }
    }

    /// What became of the texts that its organisation puts into letters, if it has any for this one.
    #[must_use]
    pub fn footers(&self) -> Option<Footers> {
        match self.way() {
            SourceKind::Footed(footed) => Some(footed.footers),
            _ => None,
        }
    }

    /// The rules about contents that note it.
    #[must_use]
    pub fn noted(&self) -> &[String] {
        match self {
            SourceKind::Private(kind) => kind.noted(),
            SourceKind::Noted(noted) => &noted.rules,
            _ => &[],
        }
    }

    /// The same of a message that these rules note, instead of others that did. Of what no member handed in nothing is said.
    #[must_use]
    pub fn with_noted(self, rules: Vec<String>) -> SourceKind {
        let kind = match self {
            SourceKind::Private(kind) => return kind.with_noted(rules).private(true),
            SourceKind::Noted(noted) => noted.kind,
            other => other,
        };
        if rules.is_empty() || kind.submission().is_none() {
            return kind;
        }
        SourceKind::Noted(Box::new(Noted { kind, rules }))
    }

    /// The same of a message with such texts. Of what no member handed in nothing is said.
    #[must_use]
    pub fn with_footers(self, footers: Footers) -> SourceKind {
        let plain = |to| Requested { to, wishes: Wishes::default() };
        let requested = match self {
            SourceKind::Submission(submission) => {
                plain(ToGroups { submission: *submission, groups: Vec::new() })
            }
            SourceKind::ToGroups(to) => plain(*to),
            SourceKind::Requested(requested) => *requested,
            SourceKind::Footed(footed) => footed.requested,
            SourceKind::Private(kind) => return kind.with_footers(footers).private(true),
            SourceKind::Noted(noted) => {
                let Noted { kind, rules } = *noted;
                return SourceKind::Noted(Box::new(Noted { kind: kind.with_footers(footers), rules }));
            }
            other => return other,
        };
        SourceKind::Footed(Box::new(Footed { requested, footers }))
    }
}

/// A message of a member that rules about contents note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// What is known of it otherwise; not this once more.
    pub kind: SourceKind,
    /// The names of the rules.
    pub rules: Vec<String>,
}

/// A message of a member whose organisation puts texts into letters (BRD-09).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footed {
    /// What is known of it otherwise; perhaps nothing was said of reports.
    pub requested: Requested,
    /// What became of these texts.
    pub footers: Footers,
}

/// What became of the texts that an organisation puts into a letter. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Footers {
    /// They stand in it.
    PutIn,
    /// They stood in it before.
    There,
    /// It is signed, and stays as it is.
    Signed,
    /// It is encrypted, and stays as it is.
    Encrypted,
    /// A program sends it by itself: it stays as it is.
    Automatic,
    /// It begins with no text, and stays as it is.
    NoText,
    /// It is not understood, and stays as it is.
    NotUnderstood,
}

impl Footers {
    /// Its name, as traces have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Footers::PutIn => "put-in",
            Footers::There => "there-before",
            Footers::Signed => "signed",
            Footers::Encrypted => "encrypted",
            Footers::Automatic => "automatic",
            Footers::NoText => "no-text",
            Footers::NotUnderstood => "not-understood",
        }
    }
}

/// A message of a member who has said of what he wants to hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// What is known of it otherwise.
    pub to: ToGroups,
    /// Of what.
    pub wishes: Wishes,
}

/// Of what the sender of a message wants to hear (RFC 3461).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// With a failure the whole message comes back, or its header alone (RET); `None`: nothing was said.
    pub full: Option<bool>,
    /// What the sender calls the envelope (ENVID), decoded.
    pub envelope_id: Option<String>,
    /// Recipients of whom something was said, each once.
    pub recipients: Vec<Wish>,
}

impl Wishes {
    /// What was said of the recipient at that address of RCPT TO.
    #[must_use]
    pub fn of(&self, address: &str) -> Option<&Wish> {
        self.recipients.iter().find(|wish| wish.address == address)
    }

    /// Of what is to be told about that recipient: failures and delays, if nothing was said.
    #[must_use]
    pub fn notify(&self, address: &str) -> Notify {
        self.of(address).and_then(|wish| wish.notify).unwrap_or_default()
    }

    /// Does somebody want to hear of deliveries?
    #[must_use]
    pub fn wants_success(&self) -> bool {
        self.recipients.iter().any(|wish| wish.notify.is_some_and(|notify| notify.success))
    }
}

/// What was said of a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The address in RCPT TO.
    pub address: String,
    /// Of what is to be told (NOTIFY).
    pub notify: Option<Notify>,
    /// The address to which the sender had written (ORCPT): its type, `;`, and the address, decoded.
    pub original: Option<String>,
}

/// Of what is to be told; of nothing: NEVER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// That it was delivered.
    pub success: bool,
    /// That it was not.
    pub failure: bool,
    /// That it takes long.
    pub delay: bool,
}

impl Default for Notify {
    fn default() -> Notify {
        Notify { success: false, failure: true, delay: true }
    }
}

/// A message that accounts forward to addresses elsewhere (RUL-06).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// The message with the recipients outside that it has itself; none, where it is only forwarded.
    pub accepted: Accepted,
    /// Where else it goes: each address once, and none that it has itself.
    pub forwards: Vec<Forward>,
}

/// An account forwards a message to an address elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The account.
    pub account: AccountKey,
    /// Its own address: where its owner is told of what fails, and the mark by which a loop is known.
    pub from: String,
    /// Where it goes.
    pub to: String,
}

/// A message of a member for groups that have members elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToGroups {
    /// What is known of it otherwise.
    pub submission: Submission,
    /// The groups, each once.
    pub groups: Vec<GroupElsewhere>,
}

/// A group, with its members elsewhere as they were when the message was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupElsewhere {
    /// Its address.
    pub address: String,
    /// Its members elsewhere: each address once in a message, whichever of its groups leads there.
    pub members: Vec<MemberElsewhere>,
}

/// A member elsewhere of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberElsewhere {
    /// The address.
    pub address: String,
    /// The reverse-path of what goes there: nobody else's, so that a report says by where it comes of whom it speaks.
    pub reverse_path: String,
    /// By what its owner ends it.
    pub leave: String,
}

/// What is known of a message that was handed in by a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// Who.
    pub submitter: Submitter,
    /// The Bcc fields that were taken out, CRLF-terminated; they stand beside the copy in Sent. Empty if there were none.
    pub bcc: String,
}

/// Results of RFC 8601 methods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Not tested or nothing to test.
    #[default]
    None,
    /// pass
    Pass,
    /// fail
    Fail,
    /// softfail (SPF)
    SoftFail,
    /// neutral
    Neutral,
    /// A temporary error stood in the way.
    TempError,
    /// The published record is in error.
    PermError,
}

/// What a domain's DMARC policy asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DmarcPolicy {
    /// No record, or `p=none`.
    #[default]
    None,
    /// `p=quarantine`
    Quarantine,
    /// `p=reject`
    Reject,
}

/// What authentication found. The text for clients stands in [`Accepted::receipt`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthResults {
    /// SPF (RFC 7208) of MAIL FROM, or of the EHLO name for `<>`.
    pub spf: Verdict,
    /// Best DKIM (RFC 6376) result.
    pub dkim: Verdict,
    /// Domains with a valid signature.
    pub dkim_domains: Vec<String>,
    /// DMARC (RFC 7489).
    pub dmarc: Verdict,
    /// What the domain in From asks for.
    pub dmarc_policy: DmarcPolicy,
    /// ARC (RFC 8617) chain; neutral: it passes, and whoever sealed it last is not believed.
    pub arc: Verdict,
    /// The peer is in a trusted network: nothing was tested.
    pub trusted: bool,
}

/// One account that gets a copy, or an address of another server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The account; for an address of another server that of the member who writes to it, or in whose matter it is written.
    pub account: AccountKey,
    /// The address in RCPT TO.
    pub address: String,
    /// How the address led to the account.
    pub via: Via,
}

/// How an address led to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// It is the account's own address.
    Direct,
    /// An alias.
    Alias,
    /// A group.
    Group,
    /// The domain's catch-all, filed in the folder for wrong addresses (RCV-17).
    CatchAll,
    /// It wrote the message: the copy is for Sent (SND-16).
    Sent,
    /// To none: the address is another server's.
    Outside,
    /// It wrote the message, and has it back: the copy is for Drafts (SND-08).
    Drafts,
}

/// An accepted message with what parsing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// As accepted.
    pub accepted: Accepted,
    /// Structure and facts.
    pub sidecar: Sidecar,
}

/// A parsed message with a decision for each recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// As accepted.
    pub accepted: Accepted,
    /// Structure and facts.
    pub sidecar: Sidecar,
    /// One for each recipient, in the same order.
    pub decisions: Vec<Decision>,
}

impl Decided {
    /// The recipients with what was decided for them.
    pub fn each(&self) -> impl Iterator<Item = (&Recipient, &Decision)> {
        self.accepted.recipients.iter().zip(&self.decisions)
    }

    /// Is it a member's, and goes to nobody?
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let is_refused =
            |decision: &Decision| matches!(decision.target, Target::Withheld(Withheld::Refused(_)));
        self.decisions.iter().any(is_refused)
    }

    /// Does it go to other servers, too, and is nothing in the way? Then its bytes are needed until the last of them has it.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.accepted.leaves() && !self.is_refused()
    }
}

/// Where a recipient's copy goes, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The mailbox.
    pub target: Target,
    /// Flags that the copy begins with.
    pub flags: FlagSet,
    /// What led here, for the trace: rule names as the policy crate gives them.
    pub reasons: Vec<String>,
}

/// A mailbox to deliver into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The mailbox with that use; made when missing.
    Role(MailboxRole),
    /// That mailbox; the Inbox when it is gone.
    Mailbox(MailboxId),
    /// None here: the recipient is another server's.
    Outside,
    /// None: a scanner spoke against it. This is what is done instead.
    Withheld(Withheld),
}

/// Letters came to an account: sessions that watch it are woken, and notices of them put down where somebody has subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The account.
    pub account: AccountKey,
    /// At least this entry is there.
    pub seq: Seq,
}

/// Housekeeping. Idempotent; may be dropped or repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum House {
    /// Look after one account: build its base, forget what is past its window.
    Account(AccountKey),
    /// Verify the dead hints of a tenant, and delete or rewrite packs.
    CollectGarbage(TenantId),
    /// Compare all packs of a tenant with what its accounts refer to, and remove orphans.
    Audit(TenantId),
    /// Look after the segments of one account.
    Segments(AccountKey),
    /// Go on with a long operation of administration. What it is stands in the control table; an event that is lost is
    /// sent again by the audit.
    Task(TenantId, TaskId),
    /// Look after the domains of a tenant: what their zones say today, and keys that are due.
    Domains(TenantId),
    /// Count the days of a tenant that are over, and note what its mailboxes hold.
    Statistics(TenantId),
    /// Go on erasing what has been in the recycle bin of a tenant for its time.
    RecycleBin(TenantId),
    /// Go on erasing a tenant that has ended.
    Erase(TenantId),
}

/// What another service says of mail that it has received for us, as it says it: only its handler reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// A document in JSON.
    #[serde(with = "serde_bytes")]
    pub document: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_earlier_events_are_read() {
        // Where a kind stands is what is stored: later ones go behind.
        let (account, address) = (AccountKey::default(), String::new());
        let submitter = Submitter { account, address, protocol: String::new() };
        let submission = Submission { submitter, bcc: String::new() };
        let footed = SourceKind::Submission(Box::new(submission.clone())).with_footers(Footers::PutIn);
        assert_eq!((footed.submission(), footed.wishes()), (Some(&submission), None));
        let kinds = [
            (SourceKind::Smtp, 0_u8),
            (SourceKind::System, 1),
            (SourceKind::Service { spam: Verdict::Fail }, 2),
            (SourceKind::Notice(AccountKey::default()), 4),
            (
                SourceKind::ToGroups(Box::new(ToGroups {
                    submission: submission.clone(),
                    groups: Vec::new(),
                })),
                5,
            ),
            (
                SourceKind::Requested(Box::new(Requested {
                    to: ToGroups { submission, groups: Vec::new() },
                    wishes: Wishes { full: Some(true), ..Wishes::default() },
                })),
                6,
            ),
            (SourceKind::Returned, 7),
            (SourceKind::Smtp.private(true), 8),
            (footed.clone(), 9),
            (footed.with_noted(vec!["secret".to_owned()]), 10),
        ];
        for (kind, place) in kinds {
            let source = Source { kind, ip: None, helo: String::new(), tls: None };
            let bytes = codec::encode_plain(&source, 1);
            assert_eq!(bytes.get(1), Some(&place));
            assert_eq!(codec::decode_plain::<Source>("source", &bytes[1..]), Ok(source));
        }
    }

    #[test]
    fn what_is_private_is_what_it_was_otherwise() {
        let submitter =
            Submitter { account: AccountKey::default(), address: String::new(), protocol: String::new() };
        let to = ToGroups {
            submission: Submission { submitter, bcc: "Bcc: x".to_owned() },
            groups: vec![GroupElsewhere { address: "g@t.example".to_owned(), members: Vec::new() }],
        };
        let wishes = Wishes { full: Some(true), ..Wishes::default() };
        let plain = SourceKind::Requested(Box::new(Requested { to, wishes }));
        let mut private = plain.clone().private(true).private(true);
        assert_eq!((private.is_private(), plain.is_private()), (true, false));
        assert_eq!((private.way(), private.wishes()), (&plain, plain.wishes()));
        assert_eq!((private.submission(), private.groups()), (plain.submission(), plain.groups()));
        assert_eq!(private.groups_mut().map(|groups| groups.len()), Some(1));
        let noted = private.clone().with_noted(vec!["secret".to_owned()]);
        assert_eq!(
            (noted.is_private(), noted.noted(), noted.way()),
            (true, &["secret".to_owned()][..], &plain)
        );
        assert_eq!(noted.with_noted(Vec::new()), private);
        assert_eq!(plain.clone().private(false), plain);
    }

    #[test]
    fn what_other_services_say_is_read_by_its_handler_only() {
        let said = br#" {"notificationType":"Received"}"#;
        let notified = Event::read(Stage::Receive, said).expect("a document");
        assert_eq!((notified.stage(), notified.is_nobodys()), (Stage::Receive, true));
        assert!(Event::read(Stage::InboundParse, said).is_err());
        let house = Event::House(House::Audit(TenantId(1)));
        let encoded = codec::encode(&house);
        assert_eq!(Event::read(Stage::Receive, &encoded), Ok(house.clone()));
        assert_eq!(Event::read(Stage::Housekeep, &encoded), Ok(house));
        assert!(Event::read(Stage::Receive, b"[]").is_err());
    }
}
