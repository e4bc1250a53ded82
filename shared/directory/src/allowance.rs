//! How many messages a tenant has sent today, and each account (PLN-11), and how many to others outside of late (SND-21).
//!
//! One item for a tenant, `T` / `sent-today`, and one for an account, `T/sent-today` / account, which also holds what is said of
//! that account alone, and counts what it sent outside its organisation: one write counts both. An item counts the messages of one day, which begins at midnight UTC, or of a time that
//! begins with the first of them; it is there from the first
//! message on where there is a limit. It is changed by compare-and-set and knows the messages
//! that it counted last, so that an attempt whose answer was lost counts nothing when it is made again. Within a process
//! messages of a tenant take their turn at them. If the process dies between counting and accepting, a message is counted that
//! nobody has sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Frequency};

const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// Messages that the item remembers.
const MAX_LATEST: usize = 32;
/// Tenants whose turns a process remembers.
const MAX_TURNS: usize = 1_000;

/// Messages that were counted, and those that were counted last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    messages: u64,
    latest: VecDeque<EventId>,
}

impl Counted {
    /// Counts a message that is not counted yet; `false` if that would be more than `limit`.
    fn count(&mut self, message: EventId, limit: u64) -> bool {
        if self.latest.contains(&message) {
            return true;
        }
        if self.messages >= limit {
            return false;
        }
        self.messages += 1;
        self.latest.push_back(message);
        if self.latest.len() > MAX_LATEST {
            self.latest.pop_front();
        }
        true
    }

    /// Takes a message back that it remembers.
    fn uncount(&mut self, message: EventId) {
        let before = self.latest.len();
        self.latest.retain(|known| *known != message);
        self.messages = self.messages.saturating_sub((before - self.latest.len()) as u64);
    }
}

/// What was sent on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentToday {
    /// Days since 1970.
    day: i64,
    sent: Counted,
}

impl Versioned for SentToday {
    const KIND: &'static str = "messages sent today";
}

impl SentToday {
    /// As it is on the day of `now`; a clock that is behind does not begin a day anew that another one has ended.
    fn on(self, now: Timestamp) -> SentToday {
        let day = now.0.div_euclid(DAY);
        if self.day >= day { self } else { SentToday { day, ..SentToday::default() } }
    }
}

/// What was sent outside since some time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentOutside {
    /// When the first of them was counted.
    begun: Timestamp,
    sent: Counted,
}

impl SentOutside {
    /// As it is at `now`, where so long is counted together.
    fn at(self, now: Timestamp, limit: Frequency) -> SentOutside {
        let is_over = self.sent.messages == 0 || self.end(limit) <= now;
        if is_over { SentOutside { begun: now, ..SentOutside::default() } } else { self }
    }

    const fn end(&self, limit: Frequency) -> Timestamp {
        self.begun.plus_millis(limit.minutes() as i64 * MINUTE)
    }
}

/// What an account has sent on one day, and outside of late, and how many messages it may send in a day, if that is not what
/// the plan says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentByAccount {
    exception: Option<u64>,
    today: SentToday,
    outside: SentOutside,
}

impl Versioned for SentByAccount {
    const KIND: &'static str = "messages sent today by an account";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<SentByAccount, CodecError> {
        match found {
            1 => {
                let SentByAccountV1 { exception, today } = decode_plain(Self::KIND, bytes)?;
                Ok(SentByAccount { exception, today, outside: SentOutside::default() })
            }
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

/// As stored before letters to others were counted by themselves.
#[derive(Serialize, Deserialize)]
struct SentByAccountV1 {
    exception: Option<u64>,
    today: SentToday,
}

/// Against what a message of an account is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberLimits {
    /// Messages that each account may send in a day by the plan, unless something else is said of it (PLN-11).
    pub daily: Option<u64>,
    /// How often it may send outside, for a message that goes there (SND-21).
    pub outside: Option<Frequency>,
}

/// What came of counting a message of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tally {
    /// It counts.
    Counted,
    /// Today there were as many as there may be.
    DayOver,
    /// As many went outside as may, until then.
    OutsideOver {
        /// When it begins anew.
        until: Timestamp,
    },
}

/// What an account has sent outside of late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutsideUse {
    /// Messages.
    pub messages: u64,
    /// When it begins anew; `None` where nothing is counted.
    pub until: Option<Timestamp>,
}

/// What an account may send in a day, and has sent today.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountAllowance {
    /// What is said of it alone; `None`: what the plan says of each account.
    pub exception: Option<u64>,
    /// Messages of today.
    pub sent: u64,
}

fn tenant_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "sent-today")
}

pub(crate) fn account_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/sent-today", key.tenant), key.account.to_string())
}

/// Whose turn it is at the item of a tenant, in this process. Only spares lost races.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<TenantId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, tenant: TenantId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock();
        if turns.len() >= MAX_TURNS {
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(turns.entry(tenant).or_default())
    }
}

impl Directory {
    /// Counts a message against the day's allowance of a tenant; `false` if `limit` messages were counted today. Counting
    /// the same message once more counts nothing, while it is among the last 32.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's: then it may have been counted.
    #[pennypost_ports::compiled_here]
    pub async fn count_sent(
        &self,
        tenant: TenantId,
        message: EventId,
        limit: u64,
    ) -> Result<bool, DirectoryError> {
        self.change_sent(tenant, |sent| sent.count(message, limit)).await
    }

    /// A message that was counted was not accepted after all.
    ///
    /// # Errors
    /// Those of [`Directory::count_sent`].
    #[pennypost_ports::compiled_here]
    pub async fn uncount_sent(&self, tenant: TenantId, message: EventId) -> Result<(), DirectoryError> {
        self.change_sent(tenant, |sent| sent.uncount(message)).await
    }

    /// Counts a message of an account against what there is of its limits: against all of them, or none. In a day it may send
    /// what is said of it alone, else what the limits say. As [`Directory::count_sent`].
    ///
    /// # Errors
    /// Those of [`Directory::count_sent`].
    #[pennypost_ports::compiled_here]
    pub async fn count_sent_by(
        &self,
        key: AccountKey,
        message: EventId,
        limits: MemberLimits,
    ) -> Result<Tally, DirectoryError> {
        let now = self.clock.now();
        self.change_counted(key.tenant, &account_key(key), |counted: &mut SentByAccount| {
            let mut after = counted.clone();
            if let Some(limit) = limits.daily {
                after.today = after.today.on(now);
                if !after.today.sent.count(message, after.exception.unwrap_or(limit)) {
                    return Tally::DayOver;
                }
            }
            if let Some(limit) = limits.outside {
                after.outside = after.outside.at(now, limit);
                if !after.outside.sent.count(message, u64::from(limit.messages())) {
                    return Tally::OutsideOver { until: after.outside.end(limit) };
                }
            }
            *counted = after;
            Tally::Counted
        })
        .await
    }

    /// A message that was counted was not accepted after all.
    ///
    /// # Errors
    /// Those of [`Directory::count_sent`].
    #[pennypost_ports::compiled_here]
    pub async fn uncount_sent_by(&self, key: AccountKey, message: EventId) -> Result<(), DirectoryError> {
        let uncount = |counted: &mut SentByAccount| {
            counted.today.sent.uncount(message);
            counted.outside.sent.uncount(message);
        };
        self.change_counted(key.tenant, &account_key(key), uncount).await
    }

    /// What an account has sent outside, where it may do so as often as `limit` says. May miss what was counted a moment ago.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn sent_outside(
        &self,
        key: AccountKey,
        limit: Frequency,
    ) -> Result<OutsideUse, DirectoryError> {
        let held = self.read::<SentByAccount>(&account_key(key), Consistency::Eventual).await?;
        let outside = held.map(|held| held.value.outside).unwrap_or_default().at(self.clock.now(), limit);
        let messages = outside.sent.messages;
        Ok(OutsideUse { messages, until: (messages > 0).then(|| outside.end(limit)) })
    }

    /// Messages that a tenant has sent today, where its plan says how many there may be.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn sent_today(&self, tenant: TenantId) -> Result<u64, DirectoryError> {
        let held = self.read::<SentToday>(&tenant_key(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| held.value.on(self.clock.now()).sent.messages).unwrap_or_default())
    }

    /// What is said of an account's allowance, and what it has sent today, where its plan says how many there may be.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn account_allowance(&self, key: AccountKey) -> Result<AccountAllowance, DirectoryError> {
        let held = self.read::<SentByAccount>(&account_key(key), Consistency::Strong).await?;
        let SentByAccount { exception, today, .. } = held.map(|held| held.value).unwrap_or_default();
        Ok(AccountAllowance { exception, sent: today.on(self.clock.now()).sent.messages })
    }

    /// Says how many messages an account may send in a day where the plan says it of each; `None`: what that says.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_account_allowance(
        &self,
        key: AccountKey,
        exception: Option<u64>,
    ) -> Result<(), DirectoryError> {
        let set = |counted: &mut SentByAccount| counted.exception = exception;
        self.change_counted(key.tenant, &account_key(key), set).await
    }

    async fn change_sent<R>(
        &self,
        tenant: TenantId,
        change: impl Fn(&mut Counted) -> R,
    ) -> Result<R, DirectoryError> {
        let now = self.clock.now();
        self.change_counted(tenant, &tenant_key(tenant), |sent: &mut SentToday| {
            *sent = std::mem::take(sent).on(now);
            change(&mut sent.sent)
        })
        .await
    }

    async fn change_counted<T: Versioned + Default + Clone + PartialEq, R>(
        &self,
        tenant: TenantId,
        key: &ControlKey,
        change: impl Fn(&mut T) -> R,
    ) -> Result<R, DirectoryError> {
        let turn = self.turns.of(tenant);
        let _turn = turn.lock().await;
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<T>(key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let stored = held.map(|held| held.value).unwrap_or_default();
            let mut counted = stored.clone();
            let result = change(&mut counted);
            if counted == stored || self.write(key, &counted, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode_plain};

    use super::*;

    #[test]
    fn a_message_is_counted_once_and_the_day_ends_at_midnight() {
        let id = |number| EventId::from_parts(Timestamp(1), number);
        let evening = Timestamp(3 * DAY - 1);
        let mut today = SentToday::default().on(evening);
        let sent = &mut today.sent;
        assert_eq!(
            [id(1), id(1), id(2), id(3), id(1)].map(|id| sent.count(id, 2)),
            [true, true, true, false, true]
        );
        sent.uncount(id(9));
        assert!(!sent.count(id(3), 2));
        sent.uncount(id(2));
        assert!(sent.count(id(3), 2) && !sent.count(id(2), 2));
        let mut next = today.clone().on(Timestamp(3 * DAY));
        assert!(next.sent.count(id(2), 2) && next.sent.messages == 1);
        assert_eq!(next.on(evening).sent.messages, 1);
        let mut many = Counted::default();
        assert!((0..100).all(|number| many.count(id(number), 100)));
        assert_eq!((many.messages, many.latest.len()), (100, MAX_LATEST));
    }

    #[test]
    fn what_goes_outside_is_counted_from_the_first_message() {
        let id = |number| EventId::from_parts(Timestamp(1), number);
        let limit = Frequency::new(2, 10).expect("a limit");
        let (first, end) = (Timestamp(5 * DAY), Timestamp(5 * DAY + 10 * MINUTE));
        let mut outside = SentOutside::default().at(first, limit);
        assert!(outside.sent.count(id(1), 2));
        outside = outside.at(Timestamp(end.0 - 1), limit);
        assert!(outside.sent.count(id(2), 2) && !outside.sent.count(id(3), 2));
        assert_eq!((outside.end(limit), outside.clone().at(first, limit).sent.messages), (end, 2));
        // Another time is counted from the same message.
        let longer = Frequency::new(2, 11).expect("a limit");
        assert!(!outside.clone().at(end, longer).sent.count(id(3), 2));
        let mut next = outside.at(end, limit);
        assert!(next.sent.count(id(3), 2) && next.begun == end);
        // What is given back does not begin the time.
        next.sent.uncount(id(3));
        let later = Timestamp(end.0 + MINUTE);
        assert_eq!(next.at(later, limit).begun, later);
    }

    #[test]
    fn items_of_before_letters_outside_were_counted_are_read() {
        let today = SentToday { day: 9, sent: Counted { messages: 3, latest: VecDeque::new() } };
        let before = SentByAccountV1 { exception: Some(7), today: today.clone() };
        let read: SentByAccount = decode(&encode_plain(&before, 1)).expect("read");
        let outside = SentOutside::default();
        assert_eq!(read, SentByAccount { exception: Some(7), today, outside });
        // A day lies in the table as it did.
        let bytes = encode_plain(&(9i64, 3u64, VecDeque::<EventId>::new()), 1);
        let read: SentToday = decode(&bytes).expect("read");
        assert_eq!((read.day, read.sent.messages), (9, 3));
    }
}
