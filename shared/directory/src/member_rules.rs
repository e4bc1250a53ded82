//! What members have said of the letters that they receive (RUL-01, RCV-07, RCV-08), and whose rules are asked.
//!
//! `T/rules`/`A` holds what a member has said. The tenant's policy says whether anybody may have said something; then
//! `T`/`members-with-rules` says who: a bit for each account, by a digest of its id, so that it stays small whoever has rules.
//! So mail for others costs no read, and in most tenants nothing. Both are set before the rules are written, and never
//! cleared: a bit may stand for somebody else, too.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_policy::{MailAddress, MemberRules, Personal, TenantPolicy};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError};

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
        self.bits.resize(BITS / 8, 0);
        if let Some(bits) = self.bits.get_mut(byte) {
            *bits |= bit;
        }
    }
}

fn rules_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/rules", key.tenant), key.account.to_string())
}

fn members_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "members-with-rules")
}

impl Directory {
    /// The tenant's policy, as [`Directory::policy`] tells it, and which of its members may have rules.
    ///
    /// # Errors
    /// The port's.
    pub async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError> {
        let policy = self.policy(tenant).await?;
        if !policy.with_rules {
            return Ok((policy, WithRules::default()));
        }
        let held = self.read::<WithRules>(&members_key(tenant), Consistency::Eventual).await?;
        // What was written before the policy may still be on its way.
        Ok((policy, held.map_or_else(WithRules::everybody, |held| held.value)))
    }

    /// What a member has said; nothing, if he has said nothing.
    ///
    /// # Errors
    /// The port's.
    pub async fn member_rules(&self, key: AccountKey) -> Result<MemberRules, DirectoryError> {
        let held = self.read::<MemberRules>(&rules_key(key), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// What holds for a letter that comes to an account. May miss what was said a moment ago. Rules that can't be read are
    /// told as such.
    ///
    /// # Errors
    /// The port's.
    pub async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError> {
        let held = match self.read::<MemberRules>(&rules_key(key), Consistency::Eventual).await {
            Ok(held) => held,
            Err(DirectoryError::Item(error)) => {
                tracing::error!(account = %key, %error, "rules of a member can't be read");
                return Ok(Personal { unreadable: true, ..Personal::default() });
            }
            Err(error) => return Err(error),
        };
        let Some(held) = held else { return Ok(Personal::default()) };
        let own = match held.value.asks_for_own_addresses() {
            true => self.own_addresses(key).await?,
            false => Vec::new(),
        };
        Ok(Personal { version: held.version, rules: held.value, own, unreadable: false })
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

    /// Says something else, if what is there is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::MemberRules`], [`DirectoryError::NoAccount`], [`DirectoryError::Contended`], or the port's.
    pub async fn change_member_rules(
        &self,
        key: AccountKey,
        expected: &MemberRules,
        rules: &MemberRules,
    ) -> Result<bool, DirectoryError> {
        rules.check()?;
        if self.account(key).await?.is_none() {
            return Err(DirectoryError::NoAccount(key.account.to_string()));
        }
        let place = rules_key(key);
        let held = self.read::<MemberRules>(&place, Consistency::Strong).await?;
        let version = held.as_ref().map(|held| held.version);
        let stored = held.map(|held| held.value).unwrap_or_default();
        if stored != *expected {
            return Ok(false);
        }
        if stored == *rules {
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
            let held = self.read::<WithRules>(&place, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut members = held.map(|held| held.value).unwrap_or_default();
            let is_noted = members.may_have(key.account);
            members.note(key.account);
            if is_noted || self.write(&place, &members, expected).await?.is_some() {
                let ask = |policy: &mut TenantPolicy| {
                    policy.with_rules = true;
                    Ok(())
                };
                return self.update_policy(key.tenant, ask).await.map(drop);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Forgets what somebody has said who has the account no more.
    pub(crate) async fn forget_member_rules(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&rules_key(key)).await
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
        assert!(WithRules { bits: Vec::new() }.may_have(AccountId(1)));
    }
}
