//! What a tenant has subscribed to.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pennypost_directory::DepartmentId;
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, Timestamp};
pub use pennypost_openid::Place;
use serde::{Deserialize, Serialize};

/// Subscriptions that a tenant may have.
pub const MAX_SUBSCRIPTIONS: usize = 10;

/// The number of a subscription. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionId(pub u64);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SubscriptionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<SubscriptionId, Self::Err> {
        u64::from_str_radix(text, 16).map(SubscriptionId)
    }
}

/// Of what notices are wanted. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NoticeKind {
    /// Of each letter that comes.
    Received,
    /// Of how many unread letters there are, when letters have come; what waits of one member is told once.
    Unread,
}

impl NoticeKind {
    /// All of them.
    pub const ALL: [NoticeKind; 2] = [NoticeKind::Received, NoticeKind::Unread];

    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NoticeKind::Received => "mail.received",
            NoticeKind::Unread => "mailbox.unread",
        }
    }
}

/// Of whose mail notices are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whose {
    /// These accounts.
    pub accounts: BTreeSet<AccountId>,
    /// Whoever is in these departments or below them.
    pub departments: BTreeSet<DepartmentId>,
}

impl Whose {
    /// Is nobody named? Then it is everybody's.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.accounts.is_empty() && self.departments.is_empty()
    }
}

/// Why nothing is told any more. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseCause {
    /// The receiver has taken nothing for too long.
    Failing,
    /// The receiver has said that it is gone for good (HTTP 410).
    Gone,
}

impl PauseCause {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PauseCause::Failing => "failing",
            PauseCause::Gone => "gone",
        }
    }
}

/// Since when nothing is told any more, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub cause: PauseCause,
}

/// A subscription. Has no `Debug`, so that its secret gets into no log.
#[derive(Clone, Serialize, Deserialize)]
pub struct Subscription {
    /// Its number.
    pub id: SubscriptionId,
    /// What administrators call it.
    pub name: String,
    /// Where notices go.
    pub place: Place,
    /// Which ones.
    pub kinds: BTreeSet<NoticeKind>,
    /// They tell who has sent a letter.
    pub tells_sender: bool,
    /// They tell its subject.
    pub tells_subject: bool,
    /// Of whose mail.
    pub whose: Whose,
    /// What they are signed with, sealed for [`crate::Hooks::place_of_secret`].
    pub secret: Vec<u8>,
    /// Anything is told at all.
    pub on: bool,
    /// Nothing is told any more, until somebody says that it goes on.
    pub paused: Option<Pause>,
    /// Since when it is there.
    pub created: Timestamp,
}

impl Subscription {
    /// Is anything told?
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.on && self.paused.is_none()
    }

    /// Could notices of this account's mail be wanted? Who is in which department is looked up later.
    #[must_use]
    pub fn may_want(&self, account: AccountId) -> bool {
        self.whose.is_everybody()
            || !self.whose.departments.is_empty()
            || self.whose.accounts.contains(&account)
    }
}

/// All of a tenant's.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct SubscriptionsItem {
    pub(crate) subscriptions: Vec<Subscription>,
}

impl Versioned for SubscriptionsItem {
    const KIND: &'static str = "subscriptions";
}
