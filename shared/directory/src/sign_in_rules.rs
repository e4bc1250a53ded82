//! What a tenant says about signing in, and what holds for one account beside it (AUT-08, AUT-09, AUT-12 … AUT-17).
//!
//! Owns two kinds of items, which every sign-in reads, once each, and every look at a session that lasts:
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T` | `sign-in-rules` | [`SignInRules`] of the tenant |
//! | `T/sign-in-accounts` | `A` | [`AccountRules`], and the networks from which the account was opened lately |
//!
//! [`Directory::admits`] is the one place where an address is compared with rules, for every protocol and for HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::networks::{AddressRule, MAX_NETWORKS, Network, Verdict};
use crate::password_rules::PasswordRules;
use crate::store::MAX_ATTEMPTS;
use crate::{DepartmentId, Directory, DirectoryError, Page};

/// Accounts and departments that a rule of addresses may leave out.
pub const MAX_EXEMPT: usize = 500;
/// Networks that are remembered of an account.
const MAX_KNOWN: usize = 16;
/// Days for which a network is remembered after the account was opened from there.
const KNOWN_DAYS: u32 = 30;
/// Bits of an IPv4 address, and of an IPv6 one, that make a network.
const KNOWN_PREFIX: (u32, u32) = (24, 56);
const DAY: i64 = 24 * 60 * 60 * 1000;

/// When wrong passwords lock an account (AUT-16), and from where they never do (AUT-17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRules {
    /// Wrong passwords that lock; 0: none ever do.
    pub count: u16,
    /// Minutes within which they are counted together.
    pub window_minutes: u16,
    /// Minutes for which it stays locked; 0: until somebody unlocks it.
    pub minutes: u16,
    /// Networks from which wrong passwords never lock.
    pub trusted: Vec<Network>,
}

impl Default for LockRules {
    fn default() -> LockRules {
        LockRules { count: 10, window_minutes: 60, minutes: 30, trusted: Vec::new() }
    }
}

/// Who is not limited by the tenant's rule of addresses (AUT-14).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exempt {
    /// These accounts.
    pub accounts: BTreeSet<AccountId>,
    /// Who is in these departments, or below them.
    pub departments: BTreeSet<DepartmentId>,
}

/// What a tenant says about signing in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInRules {
    /// Of the stored item; 0 if the tenant has said nothing.
    #[serde(skip)]
    pub version: u64,
    /// What passwords have to be.
    pub passwords: PasswordRules,
    /// When accounts are locked.
    pub lock: LockRules,
    /// From where members may sign in.
    pub addresses: AddressRule,
    /// Whom that does not limit.
    pub exempt: Exempt,
    /// A password alone signs nobody in (AUT-09).
    pub secure: bool,
}

impl Versioned for SignInRules {
    const KIND: &'static str = "sign-in rules";
}

/// Why rules of signing in can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInRulesError {
    /// A number that is too small or too large.
    #[error("{name} is {least} to {most}")]
    Range {
        /// Of what.
        name: &'static str,
        /// Least value.
        least: u32,
        /// Largest value.
        most: u32,
    },
    /// More than a list may hold.
    #[error("{name} holds {limit} at most")]
    TooMany {
        /// Which list.
        name: &'static str,
        /// How many it may hold.
        limit: usize,
    },
    /// Nobody could sign in from anywhere.
    #[error("that rule lets nobody in from anywhere")]
    LetsNobodyIn,
}

impl AddressRule {
    /// Can it be stored?
    ///
    /// # Errors
    /// [`SignInRulesError`].
    pub fn check(&self) -> Result<(), SignInRulesError> {
        for (name, list) in [("allow", &self.allow), ("deny", &self.deny)] {
            if list.len() > MAX_NETWORKS {
                return Err(SignInRulesError::TooMany { name, limit: MAX_NETWORKS });
            }
        }
        if self.allow.is_empty() && self.others == Verdict::Deny {
            return Err(SignInRulesError::LetsNobodyIn);
        }
        Ok(())
    }
}

impl SignInRules {
    /// Can they be stored?
    ///
    /// # Errors
    /// [`SignInRulesError`].
    pub fn check(&self) -> Result<(), SignInRulesError> {
        let range = |name, value: u16, least: u32, most: u32| {
            let is_within = (least..=most).contains(&u32::from(value));
            if is_within { Ok(()) } else { Err(SignInRulesError::Range { name, least, most }) }
        };
        self.passwords.check()?;
        if self.lock.count != 0 {
            range("count", self.lock.count, 3, 100)?;
        }
        range("window_minutes", self.lock.window_minutes, 1, 1_440)?;
        range("minutes", self.lock.minutes, 0, 10_080)?;
        if self.lock.trusted.len() > MAX_NETWORKS {
            return Err(SignInRulesError::TooMany { name: "trusted", limit: MAX_NETWORKS });
        }
        if self.exempt.accounts.len() > MAX_EXEMPT || self.exempt.departments.len() > MAX_EXEMPT {
            return Err(SignInRulesError::TooMany { name: "exempt", limit: MAX_EXEMPT });
        }
        self.addresses.check()
    }
}

/// What holds for one account beside what its tenant says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRules {
    /// A rule of its own in the place of the tenant's (AUT-15).
    pub addresses: Option<AddressRule>,
    /// Its owner wants a password alone to sign nobody in (AUT-08).
    pub secure: bool,
    /// An administrator wants it, and the owner can't undo it (AUT-09).
    pub secure_forced: bool,
}

/// A network from which an account was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    network: Network,
    /// The last day, counted from 1970.
    day: u32,
}

/// What a sign-in has to know of an account beside the account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountSignIn {
    pub(crate) rules: AccountRules,
    /// The latest first.
    networks: Vec<Known>,
}

impl Versioned for AccountSignIn {
    const KIND: &'static str = "sign-in of an account";
}

fn day(now: Timestamp) -> u32 {
    u32::try_from(now.0.div_euclid(DAY)).unwrap_or(0)
}

/// The network of an address, as it is remembered.
pub(crate) fn network_of(client: IpAddr) -> Network {
    let (v4, v6) = KNOWN_PREFIX;
    Network::around(client, if client.to_canonical().is_ipv4() { v4 } else { v6 })
}

impl AccountSignIn {
    /// Was the account opened from that network lately?
    pub(crate) fn knows(&self, network: Network, now: Timestamp) -> bool {
        let since = day(now).saturating_sub(KNOWN_DAYS);
        self.networks.iter().any(|known| known.network == network && known.day >= since)
    }

    /// Notes that it was opened from there; `false` if that is noted for today already.
    fn note(&mut self, network: Network, now: Timestamp) -> bool {
        let today = day(now);
        if self.networks.iter().any(|known| known.network == network && known.day >= today) {
            return false;
        }
        let since = today.saturating_sub(KNOWN_DAYS);
        self.networks.retain(|known| known.network != network && known.day >= since);
        self.networks.insert(0, Known { network, day: today });
        self.networks.truncate(MAX_KNOWN);
        true
    }
}

/// What holds for a sign-in: read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate {
    pub(crate) rules: SignInRules,
    pub(crate) own: AccountSignIn,
    /// There is a second factor.
    pub(crate) has_factor: bool,
    /// Codes that go to the owner's number are one.
    pub(crate) has_sms_factor: bool,
    own_version: Option<u64>,
}

impl Gate {
    /// May a password alone not sign in?
    pub(crate) const fn is_secure(&self) -> bool {
        self.rules.secure || self.own.rules.secure || self.own.rules.secure_forced
    }

    /// Do wrong passwords from there never lock?
    pub(crate) fn trusts(&self, client: IpAddr) -> bool {
        self.rules.lock.trusted.iter().any(|network| network.contains(client))
    }
}

fn rules_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "sign-in-rules")
}

pub(crate) fn account_sign_in_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/sign-in-accounts", key.tenant), key.account.to_string())
}

/// The sort key in front of an account's.
fn before(account: AccountId) -> Option<String> {
    account.0.checked_sub(1).map(|before| AccountId(before).to_string())
}

impl Directory {
    /// What holds for a sign-in of the account. One of nobody costs the same.
    pub(crate) async fn gate(&self, key: AccountKey) -> Result<Gate, DirectoryError> {
        let own_key = account_sign_in_key(key);
        let own = self.read::<AccountSignIn>(&own_key, Consistency::Strong);
        let (rules, own, factor) =
            futures::try_join!(self.sign_in_rules(key.tenant), own, self.second_factor(key))?;
        let (has_factor, has_sms_factor) = (factor.is_some(), factor.is_some_and(|factor| factor.sms));
        let own_version = own.as_ref().map(|held| held.version);
        let own = own.map(|held| held.value).unwrap_or_default();
        Ok(Gate { rules, own, has_factor, has_sms_factor, own_version })
    }

    /// May whoever is at that address sign in as the account, by these rules? An account's own rule comes before the
    /// tenant's; whom the tenant has exempted its rule does not limit. Of an account that is not there the tenant's holds.
    pub(crate) async fn admits(
        &self,
        gate: &Gate,
        account: Option<AccountKey>,
        client: IpAddr,
    ) -> Result<bool, DirectoryError> {
        if let Some(own) = &gate.own.rules.addresses {
            return Ok(own.verdict(client) == Verdict::Allow);
        }
        if gate.rules.addresses.verdict(client) == Verdict::Allow {
            return Ok(true);
        }
        let Some(key) = account else { return Ok(false) };
        let exempt = &gate.rules.exempt;
        if exempt.accounts.contains(&key.account) {
            return Ok(true);
        }
        if exempt.departments.is_empty() {
            return Ok(false);
        }
        let Some(account) = self.account(key).await? else { return Ok(false) };
        let tree = self.departments(key.tenant).await?;
        Ok(account.departments.iter().any(|department| tree.is_within(*department, &exempt.departments)))
    }

    /// May an account be used from that address now, by what is stored? For whoever shows something else than what
    /// signs in, such as a key of the API.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn admits_from(&self, key: AccountKey, client: IpAddr) -> Result<bool, DirectoryError> {
        let gate = self.gate(key).await?;
        self.admits(&gate, Some(key), client).await
    }

    /// Would the account be let in from there, if these were the rules?
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn would_admit(
        &self,
        rules: &SignInRules,
        account: Option<(AccountKey, &AccountRules)>,
        client: IpAddr,
    ) -> Result<bool, DirectoryError> {
        let own = account.map(|(_, own)| own.clone()).unwrap_or_default();
        let own = AccountSignIn { rules: own, networks: Vec::new() };
        let gate = Gate { rules: rules.clone(), own, ..Gate::default() };
        self.admits(&gate, account.map(|(key, _)| key), client).await
    }

    /// The last day, in UTC, on which each of these accounts was signed in to, by whatever way; none of those that
    /// never were. They are to be those of a page of the list of a tenant's accounts.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn last_sign_ins(
        &self,
        accounts: &[AccountKey],
    ) -> Result<BTreeMap<AccountId, Timestamp>, DirectoryError> {
        let mut last = BTreeMap::new();
        let (Some(first), Some(end)) = (accounts.iter().min(), accounts.iter().max()) else {
            return Ok(last);
        };
        let partition = account_sign_in_key(*first).partition;
        // Both lists are in the order of accounts: what lies between the two is read, and no more than a page.
        let mut page = Page { after: before(first.account), limit: accounts.len() };
        loop {
            let listed = self.list::<AccountSignIn>(&partition, "", &page).await?;
            let mut is_behind = false;
            for (name, own) in listed.items {
                let Ok(account) = name.parse::<AccountId>() else { continue };
                is_behind |= account >= end.account;
                if let Some(day) = own.networks.first().map(|known| known.day) {
                    last.insert(account, Timestamp(i64::from(day).saturating_mul(DAY)));
                }
            }
            match listed.next {
                Some(next) if !is_behind => page.after = Some(next),
                _ => return Ok(last),
            }
        }
    }

    /// Notes that the account was opened from there, once a day: later failures of strangers do not lock it out there.
    pub(crate) async fn note_network(
        &self,
        key: AccountKey,
        gate: &Gate,
        client: IpAddr,
    ) -> Result<(), DirectoryError> {
        let mut own = gate.own.clone();
        if own.note(network_of(client), self.clock.now()) {
            let expected = gate.own_version.map_or(Expected::Absent, Expected::Version);
            // Who changed it meanwhile knows it, or the next sign-in notes it.
            self.write(&account_sign_in_key(key), &own, expected).await?;
        }
        Ok(())
    }

    /// What a tenant says about signing in; the default if it has said nothing.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn sign_in_rules(&self, tenant: TenantId) -> Result<SignInRules, DirectoryError> {
        let held = self.read::<SignInRules>(&rules_key(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| SignInRules { version: held.version, ..held.value }).unwrap_or_default())
    }

    /// Replaces what a tenant says about signing in, if it still says what has the version of `rules`; `None` if it does
    /// not. What is said holds for the next sign-in, and ends sessions that it does not admit at their next look.
    ///
    /// # Errors
    /// [`DirectoryError::SignInRules`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_sign_in_rules(
        &self,
        tenant: TenantId,
        rules: &SignInRules,
    ) -> Result<Option<SignInRules>, DirectoryError> {
        rules.check()?;
        let expected = if rules.version == 0 { Expected::Absent } else { Expected::Version(rules.version) };
        let version = self.write(&rules_key(tenant), rules, expected).await?;
        Ok(version.map(|version| SignInRules { version, ..rules.clone() }))
    }

    /// Rules of one account.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn account_rules(&self, key: AccountKey) -> Result<AccountRules, DirectoryError> {
        let held = self.read::<AccountSignIn>(&account_sign_in_key(key), Consistency::Strong).await?;
        Ok(held.map(|held| held.value.rules).unwrap_or_default())
    }

    /// Changes the rules of one account, if they are still as `expected`; `false` if they are not.
    ///
    /// # Errors
    /// [`DirectoryError::SignInRules`], [`DirectoryError::NoAccount`], [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_account_rules(
        &self,
        key: AccountKey,
        expected: &AccountRules,
        rules: &AccountRules,
    ) -> Result<bool, DirectoryError> {
        if let Some(addresses) = &rules.addresses {
            addresses.check()?;
        }
        self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        let item = account_sign_in_key(key);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<AccountSignIn>(&item, Consistency::Strong).await?;
            let condition = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut own = held.map(|held| held.value).unwrap_or_default();
            if own.rules != *expected {
                return Ok(false);
            }
            own.rules = rules.clone();
            if self.write(&item, &own, condition).await?.is_some() {
                return Ok(true);
            }
        }
        Err(DirectoryError::Contended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_networks_are_noted_once_a_day_and_forgotten() {
        let at = |day: i64| Timestamp(day * DAY + 5);
        let network = |number: u8| network_of(IpAddr::from([192, 0, number, 7]));
        let mut own = AccountSignIn::default();
        assert!(own.note(network(1), at(100)) && !own.note(network(1), at(100)));
        assert!(own.knows(network_of(IpAddr::from([192, 0, 1, 200])), at(130)));
        assert!(!own.knows(network(1), at(131)) && !own.knows(network(2), at(100)));
        for number in 0..40 {
            own.note(network(number), at(101));
        }
        assert_eq!(own.networks.len(), MAX_KNOWN);
        assert!(own.knows(network(39), at(101)) && !own.knows(network(1), at(101)));
        let v6 = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(v6("2001:db8:1:200::1"), v6("2001:db8:1:2ff::9"));
        assert_ne!(v6("2001:db8:1:200::1"), v6("2001:db8:1:300::1"));
    }

    #[test]
    fn rules_that_cannot_be_are_refused() {
        assert_eq!(SignInRules::default().check(), Ok(()));
        let with = |change: fn(&mut SignInRules)| {
            let mut rules = SignInRules::default();
            change(&mut rules);
            rules.check()
        };
        assert!(with(|rules| rules.lock.count = 2).is_err());
        assert!(with(|rules| rules.lock.count = 0).is_ok());
        assert!(with(|rules| rules.lock.window_minutes = 0).is_err());
        assert!(with(|rules| rules.lock.minutes = 20_000).is_err());
        assert_eq!(with(|rules| rules.addresses.others = Verdict::Deny), Err(SignInRulesError::LetsNobodyIn));
        let many = with(|rules| {
            let one = Network::around(IpAddr::from([192, 0, 2, 1]), 32);
            rules.lock.trusted = vec![one; MAX_NETWORKS + 1];
        });
        assert_eq!(many, Err(SignInRulesError::TooMany { name: "trusted", limit: MAX_NETWORKS }));
    }
}
