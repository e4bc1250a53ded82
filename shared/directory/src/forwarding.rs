//! Where letters are forwarded (RUL-06), who may have that done (RUL-08), and who was answered of late (RUL-07).
//!
//! | item | holds |
//! | --- | --- |
//! | `T`, `forwarding` | whether accounts of the organisation may forward, and those of which something else is said |
//! | `T/forward-targets`, `A` | addresses elsewhere whose owners have agreed, and the code that waits for its answer |
//! | `T/answered`, `A` | whom the account has answered of late, by a digest, and with which letter |
//!
//! What a member has said himself stands with his rules ([`crate::member_rules`]). A code is stored as its SHA-256, and is
//! looked at five times. An address that was proved stays so until it is pushed out by others.
//!
//! Whoever is answered is noted before the answer goes, by a compare-and-set, with the letter that is answered: who dies in
//! between answers the same letter again, with the same id, and of two letters at once one is answered.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::event::{Recipient, Via};
use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp};
use pennypost_policy::rules::{Closed, Inside, MAX_ALL_TARGETS, Way, Ways};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::MAX_ATTEMPTS;
use crate::{Account, Blockable, Directory, DirectoryError, MailAddress, MailReach, Outward, Resolved};

const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Minutes that a code waits, and how often it may be said wrongly.
pub const FORWARD_CODE_MINUTES: i64 = 24 * 60;
const TRIES: u8 = 5;
/// Targets that are looked up at once.
const LOOKUPS: usize = 16;
/// Letters with codes that go within an hour.
const LETTERS: usize = 3;
/// Addresses elsewhere that are known as proved: of more the oldest is forgotten.
pub const MAX_PROVED: usize = 20;
/// Accounts of which something else is said than of the organisation.
pub const MAX_FORWARDING: usize = 1_000;
/// For so long nobody is answered again (RFC 5230 section 4.1).
pub const ANSWERED: i64 = 7 * DAY;
/// Whom an account answers within that time: others are not answered.
pub const MAX_ANSWERED: usize = 500;

/// Who may forward by itself (RUL-08). Nobody may, unless the organisation says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardingRules {
    /// Everybody may of whom nothing else is said.
    pub everybody: bool,
    /// Accounts of which something else is said.
    pub accounts: BTreeMap<AccountId, bool>,
}

impl Versioned for ForwardingRules {
    const KIND: &'static str = "forwarding rules";
}

impl ForwardingRules {
    /// May this account?
    #[must_use]
    pub fn allows(&self, account: AccountId) -> bool {
        self.accounts.get(&account).copied().unwrap_or(self.everybody)
    }
}

/// Addresses elsewhere to which an account forwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForwardTargets {
    /// Their owners have agreed, then.
    pub proved: Vec<(MailAddress, Timestamp)>,
    /// A code went there that was not said yet.
    pub pending: Option<MailAddress>,
}

#[derive(Serialize, Deserialize)]
struct Pending {
    address: MailAddress,
    code: [u8; 32],
    until: Timestamp,
    tries: u8,
}

/// As stored. Has no `Debug`, so that it gets into no log.
#[derive(Default, Serialize, Deserialize)]
struct TargetsItem {
    proved: Vec<(MailAddress, Timestamp)>,
    pending: Option<Pending>,
    /// When letters with codes went, lately.
    codes: Vec<Timestamp>,
}

impl Versioned for TargetsItem {
    const KIND: &'static str = "forward targets";
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct AnsweredItem {
    answered: BTreeMap<u64, (EventId, Timestamp)>,
}

impl Versioned for AnsweredItem {
    const KIND: &'static str = "answered senders";
}

/// What is asked of targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Where a letter goes: nothing is looked up for whoever may forward nothing.
    WhatHolds,
    /// What is wrong with each.
    All,
}

/// Whether a letter is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answering {
    /// It is: nobody else has answered its writer of late.
    Yes,
    /// Its writer was answered of late.
    Before,
    /// The account has answered as many as it may.
    Full,
}

fn rules_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "forwarding")
}

fn targets_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/forward-targets", key.tenant), key.account.to_string())
}

fn answered_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/answered", key.tenant), key.account.to_string())
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What a writer and what he is answered with are noted as: another text is another answer.
fn answer_digest(writer: &str, text: &str) -> u64 {
    let digest = hash(&format!("{writer}\n{text}"));
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl AnsweredItem {
    fn note(&mut self, digest: u64, message: EventId, time: Timestamp) -> (Answering, bool) {
        match self.answered.get(&digest) {
            Some((before, _)) if *before == message => return (Answering::Yes, false),
            // However late an event comes: what is newer than its letter was answered, too.
            Some((_, before)) if before.plus_millis(ANSWERED) > time => return (Answering::Before, false),
            _ => {}
        }
        self.answered.retain(|_, (_, before)| before.plus_millis(ANSWERED) > time);
        if self.answered.len() >= MAX_ANSWERED {
            return (Answering::Full, false);
        }
        self.answered.insert(digest, (message, time));
        (Answering::Yes, true)
    }
}

impl Directory {
    /// Who may forward by itself.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn forwarding_rules(&self, tenant: TenantId) -> Result<ForwardingRules, DirectoryError> {
        let held = self.read::<ForwardingRules>(&rules_key(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Says something else, if what holds is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`]; [`DirectoryError::NoAccount`] for one that was not named before and is not there; or the
    /// port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_forwarding_rules(
        &self,
        tenant: TenantId,
        expected: &ForwardingRules,
        rules: &ForwardingRules,
    ) -> Result<bool, DirectoryError> {
        if rules.accounts.len() > MAX_FORWARDING {
            return Err(DirectoryError::TooMany { what: "accounts of forwarding", limit: MAX_FORWARDING });
        }
        let place = rules_key(tenant);
        let held = self.read::<ForwardingRules>(&place, Consistency::Strong).await?;
        let version = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
        let stored = held.map(|held| held.value).unwrap_or_default();
        if stored != *expected {
            return Ok(false);
        }
        if stored == *rules {
            return Ok(true);
        }
        for account in rules.accounts.keys().filter(|account| !stored.accounts.contains_key(account)) {
            let missing = || DirectoryError::NoAccount(account.to_string());
            self.account(AccountKey { tenant, account: *account }).await?.ok_or_else(missing)?;
        }
        Ok(self.write(&place, rules, version).await?.is_some())
    }

    /// The addresses elsewhere to which an account may forward, and one that waits for its code.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn forward_targets(&self, key: AccountKey) -> Result<ForwardTargets, DirectoryError> {
        let held = self.read::<TargetsItem>(&targets_key(key), Consistency::Strong).await?;
        let Some(TargetsItem { proved, pending, .. }) = held.map(|held| held.value) else {
            return Ok(ForwardTargets::default());
        };
        let now = self.clock.now();
        let pending = pending.filter(|pending| pending.until > now).map(|pending| pending.address);
        Ok(ForwardTargets { proved, pending })
    }

    /// Changes them by compare-and-set, of an account that is not in the bin, if `change` says that it has changed something.
    async fn change_targets<R>(
        &self,
        key: AccountKey,
        mut change: impl FnMut(&mut TargetsItem) -> (R, bool),
    ) -> Result<R, DirectoryError> {
        let place = targets_key(key);
        let account = self.account(key).await?;
        let account = account.ok_or_else(|| DirectoryError::NoAccount(key.account.to_string()))?;
        if account.binned.is_some() {
            return Err(DirectoryError::InBin(account.address.to_string()));
        }
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<TargetsItem>(&place, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut item = held.map(|held| held.value).unwrap_or_default();
            let (result, is_changed) = change(&mut item);
            if !is_changed || self.write(&place, &item, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Makes a code by which the owner of an address elsewhere agrees that letters are forwarded there; the one before is worth
    /// nothing. `None`: too many letters went.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_forward_target(
        &self,
        key: AccountKey,
        address: &MailAddress,
    ) -> Result<Option<String>, DirectoryError> {
        let now = self.clock.now();
        let code = format!("{:08}", rand::random_range(0..100_000_000_u32));
        let made = self.change_targets(key, |item| {
            item.codes.retain(|time| now.0.saturating_sub(time.0) < 60 * MINUTE);
            if item.codes.len() >= LETTERS {
                return (false, false);
            }
            item.codes.push(now);
            let until = now.plus_millis(FORWARD_CODE_MINUTES * MINUTE);
            item.pending = Some(Pending { address: address.clone(), code: hash(&code), until, tries: 0 });
            (true, true)
        });
        Ok(made.await?.then_some(code))
    }

    /// The code was said: letters may be forwarded to that address from now on. `None`: it is not the code, or not any more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn finish_forward_target(
        &self,
        key: AccountKey,
        code: &str,
    ) -> Result<Option<MailAddress>, DirectoryError> {
        let (now, said) = (self.clock.now(), hash(code.trim()));
        self.change_targets(key, |item| {
            let Some(pending) = item.pending.as_mut().filter(|one| one.until > now && one.tries < TRIES)
            else {
                return (None, false);
            };
            if pending.code != said {
                pending.tries += 1;
                return (None, true);
            }
            let address = pending.address.clone();
            item.pending = None;
            item.proved.retain(|(known, _)| *known != address);
            item.proved.push((address.clone(), now));
            if item.proved.len() > MAX_PROVED {
                item.proved.remove(0);
            }
            (Some(address), true)
        })
        .await
    }

    /// Nothing is forwarded there any more until its owner agrees anew; `false` if he had not agreed.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_forward_target(
        &self,
        key: AccountKey,
        address: &MailAddress,
    ) -> Result<bool, DirectoryError> {
        self.change_targets(key, |item| {
            let before = item.proved.len();
            item.proved.retain(|(known, _)| known != address);
            let was_pending = item.pending.take_if(|pending| pending.address == *address).is_some();
            let is_gone = item.proved.len() < before;
            (is_gone, is_gone || was_pending)
        })
        .await
    }

    /// Forgets what somebody has agreed with who has the account no more, and whom it has answered.
    pub(crate) async fn forget_forwarding(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&targets_key(key)).await?;
        self.erase(&answered_key(key)).await
    }

    /// To whom what an account sends by itself may go.
    async fn reach_of(&self, account: &Account) -> Result<MailReach, DirectoryError> {
        let tenant = self.tenant(account.key.tenant).await?;
        let is_blocked = tenant.is_none_or(|tenant| tenant.is_blocked(Blockable::Sending));
        let reach = if is_blocked { MailReach::Nobody } else { account.sends() };
        if reach == MailReach::Anyone && self.outward(account).await? == Outward::Forbidden {
            return Ok(MailReach::Inside);
        }
        Ok(reach)
    }

    /// Where targets of forwarding lead, and to whom what the account sends by itself may go. Of so many targets as rules may
    /// have, several at once: a letter waits for it.
    ///
    /// # Errors
    /// The port's.
    pub(crate) async fn ways_of(
        &self,
        account: &Account,
        targets: BTreeSet<MailAddress>,
        told: Told,
    ) -> Result<(Ways, MailReach), DirectoryError> {
        let reach = self.reach_of(account).await?;
        if targets.is_empty() {
            return Ok((Ways::new(), reach));
        }
        let rules = self.forwarding_rules(account.key.tenant).await?;
        let may = rules.allows(account.key.account) && reach.holds(true);
        if !may && told == Told::WhatHolds {
            let closed = targets.into_iter().map(|target| (target, Way::Closed(Closed::NotAllowed)));
            return Ok((closed.collect(), reach));
        }
        let looks: Vec<_> = targets
            .into_iter()
            .enumerate()
            .map(async |(number, target)| {
                if number >= MAX_ALL_TARGETS {
                    return Ok((target, Some(Way::Closed(Closed::TooMany))));
                }
                let way = self.way_inside(account, &target).await?;
                Ok::<_, DirectoryError>((target, way))
            })
            .collect();
        let found: Vec<(MailAddress, Option<Way>)> =
            stream::iter(looks).buffered(LOOKUPS).try_collect().await?;
        let proved = match found.iter().any(|(_, way)| way.is_none()) {
            true => self.forward_targets(account.key).await?.proved,
            false => Vec::new(),
        };
        let ways = found.into_iter().map(|(target, way)| {
            let is_proved = proved.iter().any(|(known, _)| *known == target);
            let elsewhere = if is_proved { Way::Outside } else { Way::Closed(Closed::Unconfirmed) };
            let way = match way.unwrap_or(elsewhere) {
                closed @ Way::Closed(_) => closed,
                _ if !may => Way::Closed(Closed::NotAllowed),
                Way::Outside if !reach.holds(false) => Way::Closed(Closed::KeptInside),
                open => open,
            };
            (target, way)
        });
        Ok((ways.collect(), reach))
    }

    /// The way to an address of the account's organisation; `None`: it is none of these.
    async fn way_inside(
        &self,
        account: &Account,
        target: &MailAddress,
    ) -> Result<Option<Way>, DirectoryError> {
        let tenant = account.key.tenant;
        Ok(match self.resolve_from(&target.to_string(), tenant).await {
            Ok(Resolved::Local { tenant: of, recipients, elsewhere, .. }) if of == tenant => {
                let way = match (&recipients[..], elsewhere) {
                    ([Recipient { account: to, .. }], None) if *to == account.key => {
                        Way::Closed(Closed::Oneself)
                    }
                    ([Recipient { account: to, via: via @ (Via::Direct | Via::Alias), .. }], None) => {
                        let found = self.account(*to).await?;
                        let takes_outside = found.is_some_and(|found| found.takes_mail(false));
                        Way::Inside(Inside { account: *to, via: *via, takes_outside })
                    }
                    ([Recipient { via: Via::CatchAll, .. }, ..], _) => Way::Closed(Closed::Nobody),
                    _ => Way::Closed(Closed::Group),
                };
                Some(way)
            }
            Ok(
                Resolved::UnknownUser { tenant: of }
                | Resolved::Disabled { tenant: of }
                | Resolved::Suspended { tenant: of },
            ) if of == tenant => Some(Way::Closed(Closed::Nobody)),
            Ok(_) => None,
            Err(DirectoryError::TooMany { .. }) => Some(Way::Closed(Closed::Group)),
            Err(error) => return Err(error),
        })
    }

    /// May an account forward to other servers (RUL-08, ORG-07, SND-22)?
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn may_forward_outside(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        let Some(account) = self.account(key).await? else { return Ok(false) };
        if !self.forwarding_rules(key.tenant).await?.allows(key.account) {
            return Ok(false);
        }
        Ok(self.reach_of(&account).await?.holds(false))
    }

    /// Where targets of an account's forwarding lead today.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn forward_ways(
        &self,
        key: AccountKey,
        targets: &[MailAddress],
    ) -> Result<Ways, DirectoryError> {
        let account = self.account(key).await?;
        let account = account.ok_or_else(|| DirectoryError::NoAccount(key.account.to_string()))?;
        Ok(self.ways_of(&account, targets.iter().cloned().collect(), Told::All).await?.0)
    }

    /// Who gets an answer to a letter from this address of the account's organisation, or of elsewhere; `None`: it leads to
    /// nobody, or to several.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn answered(
        &self,
        from: AccountKey,
        writer: &MailAddress,
    ) -> Result<Option<Recipient>, DirectoryError> {
        let address = writer.to_string();
        Ok(match self.resolve_from(&address, from.tenant).await {
            Ok(Resolved::Local { tenant, mut recipients, elsewhere: None, .. }) if tenant == from.tenant => {
                let only = if recipients.len() == 1 { recipients.pop() } else { None };
                only.filter(|to| matches!(to.via, Via::Direct | Via::Alias) && to.account != from)
            }
            Ok(Resolved::UnknownDomain) => Some(Recipient { account: from, address, via: Via::Outside }),
            Ok(
                Resolved::Local { tenant, .. }
                | Resolved::UnknownUser { tenant }
                | Resolved::Disabled { tenant }
                | Resolved::Suspended { tenant },
            ) => (tenant != from.tenant).then_some(Recipient { account: from, address, via: Via::Outside }),
            Err(DirectoryError::TooMany { .. }) => None,
            Err(error) => return Err(error),
        })
    }

    /// Notes that an account answers a letter to its writer with that text, unless he was answered so of late. What is damaged
    /// is begun anew.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn note_answer(
        &self,
        key: AccountKey,
        (writer, text): (&str, &str),
        (message, time): (EventId, Timestamp),
    ) -> Result<Answering, DirectoryError> {
        let (place, digest) = (answered_key(key), answer_digest(writer, text));
        for _ in 0..MAX_ATTEMPTS {
            let (mut item, expected) = match self.read::<AnsweredItem>(&place, Consistency::Strong).await {
                Ok(Some(held)) => (held.value, Expected::Version(held.version)),
                Ok(None) => (AnsweredItem::default(), Expected::Absent),
                Err(error) if error.is_temporary() => return Err(error),
                Err(_) => (AnsweredItem::default(), Expected::Any),
            };
            let (answering, is_changed) = item.note(digest, message, time);
            if !is_changed || self.write(&place, &item, expected).await?.is_some() {
                return Ok(answering);
            }
        }
        Err(DirectoryError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_answered_is_not_answered_again_for_a_week() {
        let anna = answer_digest("anna@b.example", "away");
        let now = Timestamp(1_795_000_000_000);
        let letter = |number| EventId::from_parts(now, number);
        let mut item = AnsweredItem::default();
        assert_eq!(item.note(anna, letter(1), now), (Answering::Yes, true));
        assert_eq!(item.note(anna, letter(1), now), (Answering::Yes, false), "the event comes again");
        let almost = now.plus_millis(ANSWERED - 1);
        assert_eq!(item.note(anna, letter(2), almost), (Answering::Before, false));
        assert_eq!(
            item.note(anna, letter(3), now.plus_millis(-DAY)),
            (Answering::Before, false),
            "a late one"
        );
        let other = answer_digest("anna@b.example", "still away");
        assert_eq!(item.note(other, letter(2), almost), (Answering::Yes, true), "another text is news");
        assert_eq!(item.note(anna, letter(4), now.plus_millis(ANSWERED)), (Answering::Yes, true));
    }

    #[test]
    fn whom_an_account_answers_is_bounded() {
        let now = Timestamp(1_795_000_000_000);
        let mut item = AnsweredItem::default();
        for number in 0..MAX_ANSWERED {
            let noted = item.note(number as u64, EventId::from_parts(now, number as u128), now);
            assert_eq!(noted, (Answering::Yes, true));
        }
        let next = EventId::from_parts(now, 1 << 70);
        assert_eq!(item.note(u64::MAX, next, now), (Answering::Full, false));
        assert!(pennypost_model::codec::encode(&item).len() < 32 * 1024);
        assert_eq!(item.note(u64::MAX, next, now.plus_millis(ANSWERED)), (Answering::Yes, true));
        assert_eq!(item.answered.len(), 1, "what is old makes room");
    }
}
