//! What waits to be told, and where to look.

use std::collections::BTreeSet;

use pennypost_model::codec::{self, Versioned};
use pennypost_model::{AccountId, Seq, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::say::Attempted;
use crate::subscription::SubscriptionId;

/// How telling goes, for one subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// When it is looked after next, if the last time went wrong.
    pub next: Timestamp,
    /// Until when somebody looks after it.
    pub claim: Timestamp,
    /// Since when the receiver has taken nothing.
    pub failing_since: Option<Timestamp>,
    /// How often it has taken nothing since then.
    pub tries: u32,
    /// How many notices it has taken.
    pub taken: u64,
    /// What came of telling last, and when.
    pub last: Option<(Timestamp, Attempted)>,
}

impl Versioned for State {
    const KIND: &'static str = "state of a subscription";
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Since when.
    pub at: Timestamp,
    /// Whose subscription.
    pub tenant: TenantId,
    /// Which.
    pub subscription: SubscriptionId,
    pub(crate) sort: String,
    pub(crate) version: u64,
}

impl Due {
    pub(crate) fn sort_of(at: Timestamp, tenant: TenantId, subscription: SubscriptionId) -> String {
        format!("{:013}/{tenant}/{subscription}", at.0.max(0))
    }

    pub(crate) fn read(sort: String, version: u64) -> Option<Due> {
        let mut parts = sort.split('/');
        let at = Timestamp(parts.next()?.parse().ok()?);
        let (tenant, subscription) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Due { at, tenant, subscription, sort, version })
    }
}

/// Of what somebody is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitingFor {
    /// Of the letters of this entry.
    Received(Seq),
    /// Of how many unread letters there are.
    Unread,
}

/// How it went with something that waits, once a receiver has refused it or taken some of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Since when it waits, if that is known.
    pub since: Option<Timestamp>,
    /// How often it was refused.
    pub tries: u32,
    /// Not before then is it tried again.
    pub until: Timestamp,
    /// Which of the letters of the entry were told.
    pub told: BTreeSet<u32>,
}

impl Versioned for Progress {
    const KIND: &'static str = "progress of a notice";
}

/// What waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// What may be told now, those that have waited longest first.
    pub waiting: Vec<Waiting>,
    /// When some of the others may be told, if there are others.
    pub next: Option<Timestamp>,
}

/// What waits is all in its key as long as nothing has come of it; this is its form.
pub(crate) const FORM: &[u8] = &[1];

/// A notice that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Of whose mail.
    pub account: AccountId,
    /// Of what.
    pub of: WaitingFor,
    /// How it went with it.
    pub progress: Progress,
    pub(crate) sort: String,
    pub(crate) version: u64,
}

impl Waiting {
    pub(crate) fn received(subscription: SubscriptionId) -> String {
        format!("{subscription}/m/")
    }

    pub(crate) fn unread(subscription: SubscriptionId) -> String {
        format!("{subscription}/u/")
    }

    /// Where an entry waits.
    pub(crate) fn sort_of(
        subscription: SubscriptionId,
        at: Timestamp,
        account: AccountId,
        seq: Seq,
    ) -> String {
        format!("{}{:013}/{account}/{:016x}", Waiting::received(subscription), at.0.max(0), seq.0)
    }

    pub(crate) fn read(sort: String, value: &[u8], version: u64) -> Option<Waiting> {
        let progress = if value == FORM { None } else { Some(codec::decode::<Progress>(value).ok()?) };
        let parts: Vec<&str> = sort.split('/').collect();
        let (account, of, since) = match parts[..] {
            [_, "m", time, account, seq] => {
                let seq = Seq(u64::from_str_radix(seq, 16).ok()?);
                (account.parse().ok()?, WaitingFor::Received(seq), Some(Timestamp(time.parse().ok()?)))
            }
            [_, "u", account] => (account.parse().ok()?, WaitingFor::Unread, None),
            _ => return None,
        };
        let progress = progress.unwrap_or(Progress { since, ..Progress::default() });
        Some(Waiting { account, of, progress, sort, version })
    }
}
