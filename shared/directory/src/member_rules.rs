//! What members have said of the letters that they receive (RUL-01, RCV-07, RCV-08), and whose rules are asked.
//!
//! `T/rules`/`A` holds what a member has said. `T`/`members-with-rules` says who has said something: a bit for each account, by a
//! digest of its id, so that it stays small whoever has rules. It is read beside the tenant's policy, and not in it, so that
//! programs that know nothing of rules go on reading the policy. So mail for others costs no read. A bit is set before the rules are
//! written, and never cleared: it may stand for somebody else, too.
//!
//! What is damaged holds up no mail, and can be said anew: of the bits all count as set then.

use std::collections::BTreeSet;

use pennypost_model::codec::{CodecError, Versioned, decode};
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_policy::rules::Ways;
use pennypost_policy::{MailAddress, MemberRules, Personal, TenantPolicy};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::forwarding::Told;
use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, MailReach};

/// Bits of the item that says whose rules are asked: 2 KB, half a unit of reading.
const BITS: usize = 16 * 1024;

/// Who may have rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithRules {
    bits: Vec<u8>,
}

impl Default for WithRules {
    fn default() -> WithRules {
        WithRules { bits: vec![0; BITS / 8] }
    }
}

impl Versioned for WithRules {
    const KIND: &'static str = "members with rules";
}

impl WithRules {
    fn place(account: AccountId) -> (usize, u8) {
        let digest = Sha256::digest(account.to_string().as_bytes());
        let number = usize::from(u16::from_be_bytes([digest[0], digest[1]])) % BITS;
        (number / 8, 1 << (number % 8))
    }

    /// May the account have rules? A yes may be wrong, a no is not.
    #[must_use]
    pub fn may_have(&self, account: AccountId) -> bool {
        let (byte, bit) = Self::place(account);
        // One that is shorter than it should be says nothing.
        self.bits.get(byte).is_none_or(|bits| bits & bit != 0)
    }

    /// All of them may.
    #[must_use]
    pub fn everybody() -> WithRules {
        WithRules { bits: Vec::new() }
    }

    fn note(&mut self, account: AccountId) {
        let (byte, bit) = Self::place(account);
        if let Some(bits) = self.bits.get_mut(byte) {
            *bits |= bit;
        }
    }
}

/// What a member has said, as far as it can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaidRules {
    /// What he has said; nothing, if that can't be read.
    pub rules: MemberRules,
    /// It can't be read: his letters go without it, and whatever is said is written over it.
    pub unreadable: bool,
}

/// An item that may be damaged, or of a newer program.
struct Found<T> {
    value: Result<T, CodecError>,
    version: u64,
}

fn rules_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/rules", key.tenant), key.account.to_string())
}

fn members_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "members-with-rules")
}

impl Directory {
    async fn find<T: Versioned>(
        &self,
        key: &ControlKey,
        consistency: Consistency,
    ) -> Result<Option<Found<T>>, DirectoryError> {
        let item = self.control.get(key, consistency).await?;
        Ok(item.map(|item| Found { value: decode(&item.value), version: item.version }))
    }

    /// The tenant's policy, as [`Directory::policy`] tells it, and which of its members may have rules: all, if that can't be
    /// read.
    ///
    /// # Errors
    /// The port's.
    pub async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError> {
        let place = members_key(tenant);
        let members = self.find::<WithRules>(&place, Consistency::Eventual);
        let (policy, members) = futures::try_join!(self.policy(tenant), members)?;
        let Some(members) = members else { return Ok((policy, WithRules::default())) };
        let everybody = |error| {
            tracing::error!(%tenant, %error, "who has rules can't be read: those of all are asked for");
            WithRules::everybody()
        };
        Ok((policy, members.value.unwrap_or_else(everybody)))
    }

    /// What a member has said; nothing, if he has said nothing.
    ///
    /// # Errors
    /// The port's.
    pub async fn member_rules(&self, key: AccountKey) -> Result<SaidRules, DirectoryError> {
        let found = self.find::<MemberRules>(&rules_key(key), Consistency::Strong).await?;
        Ok(match found.map(|found| found.value) {
            None => SaidRules::default(),
            Some(Ok(rules)) => SaidRules { rules, unreadable: false },
            Some(Err(_)) => SaidRules { unreadable: true, ..SaidRules::default() },
        })
    }

    /// What holds for a letter that comes to an account. May miss what was said a moment ago. Rules that can't be read are
    /// told as such.
    ///
    /// # Errors
    /// The port's.
    pub async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError> {
        let found = self.find::<MemberRules>(&rules_key(key), Consistency::Eventual).await?;
        let Some(Found { value, version }) = found else { return Ok(Personal::default()) };
        let mut rules = match value {
            Ok(rules) => rules,
            Err(error) => {
                tracing::error!(account = %key, %error, "rules of a member can't be read");
                return Ok(Personal { unreadable: true, ..Personal::default() });
            }
        };
        rules.fold_words();
        let own = match rules.asks_for_own_addresses() {
            true => self.own_addresses(key).await?,
            false => Vec::new(),
        };
        let targets: BTreeSet<MailAddress> = rules.open_forwards().cloned().collect();
        let mut personal = Personal { version, rules, own, ..Personal::default() };
        if (!targets.is_empty() || personal.rules.has_replies() || personal.rules.has_refusals())
            && let Some(account) = self.account(key).await?
        {
            // What is damaged holds up no mail here, either: it stays, and is neither forwarded nor answered.
            let (ways, reach) = match self.ways_of(&account, targets, Told::WhatHolds).await {
                Err(error) if !error.is_temporary() => {
                    tracing::error!(account = %key, %error, "where letters are forwarded can't be read");
                    (Ways::new(), MailReach::Nobody)
                }
                read => read?,
            };
            (personal.ways, personal.answers_outside) = (ways, reach.holds(false));
            personal.from = reach.holds(true).then_some((account.address, account.display_name));
        }
        Ok(personal)
    }

    /// The address of an account, and those that are noted as its aliases.
    ///
    /// # Errors
    /// The port's.
    pub async fn own_addresses(&self, key: AccountKey) -> Result<Vec<MailAddress>, DirectoryError> {
        let mut own = self.aliases_noted(key).await?;
        own.extend(self.account(key).await?.map(|account| account.address));
        Ok(own)
    }

    /// Says something else, if what is there is still as expected; `false` if it is not. What can't be read counts as nothing,
    /// and is written over.
    ///
    /// # Errors
    /// [`DirectoryError::MemberRules`], [`DirectoryError::NoAccount`], [`DirectoryError::InBin`],
    /// [`DirectoryError::Contended`], or the port's.
    pub async fn change_member_rules(
        &self,
        key: AccountKey,
        expected: &MemberRules,
        rules: &MemberRules,
    ) -> Result<bool, DirectoryError> {
        rules.check()?;
        // In the bin nobody says anything: what its owner has said goes with him.
        let account = self.account(key).await?;
        let account = account.ok_or_else(|| DirectoryError::NoAccount(key.account.to_string()))?;
        if account.binned.is_some() {
            return Err(DirectoryError::InBin(account.address.to_string()));
        }
        let place = rules_key(key);
        let found = self.find::<MemberRules>(&place, Consistency::Strong).await?;
        let version = found.as_ref().map(|found| found.version);
        let is_damaged = found.as_ref().is_some_and(|found| found.value.is_err());
        let stored = found.and_then(|found| found.value.ok()).unwrap_or_default();
        if stored != *expected {
            return Ok(false);
        }
        if stored == *rules && !is_damaged {
            return Ok(true);
        }
        if !rules.is_empty() {
            self.note_rules(key).await?;
        }
        match version {
            Some(version) if rules.is_empty() => Ok(self.control.delete_if(&place, version).await?),
            Some(version) => Ok(self.write(&place, rules, Expected::Version(version)).await?.is_some()),
            None => Ok(self.write(&place, rules, Expected::Absent).await?.is_some()),
        }
    }

    /// Notes that an account may have rules.
    async fn note_rules(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let place = members_key(key.tenant);
        for _ in 0..MAX_ATTEMPTS {
            let found = self.find::<WithRules>(&place, Consistency::Strong).await?;
            let expected = found.as_ref().map_or(Expected::Absent, |found| Expected::Version(found.version));
            let (mut members, is_damaged) = match found.map(|found| found.value) {
                None => (WithRules::default(), false),
                Some(Ok(members)) => (members, false),
                // Whose bits were set nobody knows.
                Some(Err(_)) => (WithRules::everybody(), true),
            };
            if members.may_have(key.account) && !is_damaged {
                return Ok(());
            }
            members.note(key.account);
            if self.write(&place, &members, expected).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Forgets what somebody has said who has the account no more.
    pub(crate) async fn forget_member_rules(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.forget_quarantine_digest(key).await?;
        self.erase(&rules_key(key)).await?;
        self.forget_forwarding(key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_has_rules_is_passed_over() {
        let mut members = WithRules::default();
        let accounts = || (0..1_000).map(|number| AccountId(number * 7_919));
        assert!(!accounts().any(|account| members.may_have(account)));
        accounts().for_each(|account| members.note(account));
        assert!(accounts().all(|account| members.may_have(account)));
        let others = (0..10_000).map(|number| AccountId(number * 7_919 + 1));
        let asked = others.filter(|account| members.may_have(*account)).count();
        assert!(asked < 1_000, "{asked} of 10000 are asked for nothing");
        assert!(pennypost_model::codec::encode(&members).len() < 2_100);
        let mut all = WithRules::everybody();
        all.note(AccountId(2));
        assert!(accounts().all(|account| all.may_have(account)), "who is noted takes nobody out");
    }
}
