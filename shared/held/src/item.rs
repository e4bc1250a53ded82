//! A letter that waits.

use pennypost_model::codec::Versioned;
use pennypost_model::event::{Accepted, Body};
use pennypost_model::{AccountId, AccountKey, EventId, Timestamp};
use pennypost_text::{Text, say};
use serde::{Deserialize, Serialize};

/// From so many bytes a letter is written anew beside what else the thread has to do.
pub(crate) const LARGE: u64 = 128 * 1024;
/// Recipients of a letter that has ended, by which its sender knows it again.
const SHOWN: usize = 20;

/// Why it waits. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Its sender wants it to go then.
    Scheduled,
    /// Its sender has some seconds to think better of it.
    Undo,
}

impl Cause {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Cause::Scheduled => "scheduled",
            Cause::Undo => "undo",
        }
    }
}

/// Why a letter, or a recipient of it, does not go. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The account, or its organisation, is closed.
    Closed,
    /// Its owner may send nothing.
    Forbidden,
    /// Its owner may no longer write as its author.
    Author,
    /// Its owner may send within the organisation only.
    Outside,
    /// Nobody has the address.
    Unknown,
    /// The mailbox takes no mail.
    Disabled,
    /// Its owner may not send to the group.
    Group,
    /// Its owner, or the organisation, has sent as much as may be.
    Frequency,
    /// Its bytes are gone or damaged.
    Lost,
    /// The groups that it is for have grown so much that it leads to more than one message can.
    TooMany,
    /// The organisation does not let such subjects through.
    Subject,
    /// The organisation sends no mailings there any more.
    Suppressed,
    /// A rule of the organisation does not let out what stands in it.
    Content,
}

impl Why {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Why::Closed => "account-closed",
            Why::Forbidden => "may-not-send",
            Why::Author => "not-your-address",
            Why::Outside => "inside-only",
            Why::Unknown => "unknown-address",
            Why::Disabled => "mailbox-closed",
            Why::Group => "not-to-this-group",
            Why::Frequency => "allowance-used-up",
            Why::Lost => "lost",
            Why::TooMany => "too-many-recipients",
            Why::Subject => "subject-refused",
            Why::Suppressed => "suppressed",
            Why::Content => "content-refused",
        }
    }

    /// The status (RFC 3463).
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Why::Closed
            | Why::Forbidden
            | Why::Author
            | Why::Outside
            | Why::Subject
            | Why::Suppressed
            | Why::Content => "5.7.1",
            Why::Group => "5.7.2",
            Why::Unknown => "5.1.1",
            Why::Disabled => "5.2.1",
            Why::Frequency => pennypost_reports::EXPIRED,
            Why::Lost => "5.3.0",
            Why::TooMany => "5.5.3",
        }
    }

    /// The same for people.
    #[must_use]
    pub fn say(self, text: &Text) -> String {
        match self {
            Why::Closed => say!(text, "held-why-closed"),
            Why::Forbidden => say!(text, "held-why-forbidden"),
            Why::Author => say!(text, "held-why-author"),
            Why::Outside => say!(text, "held-why-outside"),
            Why::Suppressed => say!(text, "held-why-suppressed"),
            Why::Content => say!(text, "held-why-content"),
            Why::Unknown => say!(text, "held-why-unknown"),
            Why::Disabled => say!(text, "held-why-disabled"),
            Why::Group => say!(text, "held-why-group"),
            Why::Frequency => say!(text, "held-why-frequency"),
            Why::Lost => say!(text, "held-why-lost"),
            Why::TooMany => say!(text, "held-why-too-many"),
            Why::Subject => say!(text, "held-why-subject"),
        }
    }
}

/// What has become of it. Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It waits.
    Waiting,
    /// It went.
    Sent {
        /// When.
        at: Timestamp,
        /// As which message: its traces have that id.
        message: EventId,
        /// The report of recipients who do not get it, if there are any.
        report: Option<EventId>,
    },
    /// Its sender has taken it back.
    TakenBack {
        /// When.
        at: Timestamp,
        /// The copy in Drafts.
        draft: EventId,
    },
    /// It did not go.
    Unsent {
        /// When that was found.
        at: Timestamp,
        /// Why.
        why: Why,
        /// The copy in Drafts.
        draft: EventId,
        /// The report.
        report: EventId,
    },
}

impl State {
    /// Its name for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            State::Waiting => "scheduled",
            State::Sent { .. } => "sent",
            State::TakenBack { .. } => "taken-back",
            State::Unsent { .. } => "unsent",
        }
    }

    /// When it ended.
    #[must_use]
    pub const fn ended(&self) -> Option<Timestamp> {
        match self {
            State::Waiting => None,
            State::Sent { at, .. } | State::TakenBack { at, .. } | State::Unsent { at, .. } => Some(*at),
        }
    }
}

/// A letter that waits, or has waited of late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The event as it was accepted: what is sent when its time has come. Its body is spooled.
    pub accepted: Accepted,
    /// Whose it is, with the own address.
    pub sender: (AccountKey, String),
    /// Its subject, cut.
    pub subject: String,
    /// Why it waits.
    pub cause: Cause,
    /// The time zone in which its sender thinks of the time: a name of the IANA, or empty.
    pub zone: String,
    /// When its sender wants it to go.
    pub wanted: Timestamp,
    /// When it is looked at next.
    pub due: Timestamp,
    /// Why it waits though its time has come.
    pub waits: Option<Why>,
    /// Recipients to whom it did not go.
    pub refused: Vec<(String, Why)>,
    /// What has become of it.
    pub state: State,
    /// Who wrote it in a business mailbox; what is forbidden to him is forbidden there, too.
    pub user: Option<AccountId>,
    /// It was counted against what its sender may send when it was handed in.
    pub is_counted: bool,
    /// What follows from its end is done.
    pub is_settled: bool,
}

/// How a letter is looked after: what takes long is in no other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Many at once.
    Light,
    /// It is large, and written anew when it goes.
    Heavy,
}

impl Versioned for Held {
    const KIND: &'static str = "letter that waits";
}

impl Held {
    /// Its id: that of the `250`.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.accepted.id
    }

    /// Does it wait?
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// The object in which its bytes lie.
    #[must_use]
    pub fn object(&self) -> Option<&str> {
        match &self.accepted.body {
            Body::Spooled { object, .. } => Some(object),
            Body::Inline(_) => None,
        }
    }

    /// How it is looked after.
    #[must_use]
    pub fn lane(&self) -> Lane {
        let is_heavy = self.cause == Cause::Scheduled && self.size() >= LARGE;
        if is_heavy { Lane::Heavy } else { Lane::Light }
    }

    /// It as it is remembered when all is done that follows from its end: without what nobody asks for any more.
    #[must_use]
    pub fn settled(&self) -> Held {
        let mut held = Held { is_settled: true, ..self.clone() };
        held.accepted.recipients.truncate(SHOWN);
        held.accepted.receipt.clear();
        if let Some(groups) = held.accepted.source.kind.groups_mut() {
            groups.clear();
        }
        held
    }

    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.accepted.body {
            Body::Inline(message) => message.size,
            Body::Spooled { size, .. } => *size,
        }
    }
}
