//! Passkeys of members (WebAuthn): with one somebody signs in without a password, and shows again who he is (ADM-13).
//!
//! Owns the control items `T/passkeys`, `A`: all passkeys of an account, so that there are never more than [`MAX_PASSKEYS`]
//! and never two of one id; and what is asked of authenticators, for five minutes: `T/passkey-challenges` of somebody in a
//! session, `sign-in/passkey-challenges` of somebody who is still to say who he is.
//!
//! Invariants: a challenge is random, for one purpose, and is taken away before what answers it is looked at, so that it is
//! answered once. A counter that an authenticator has only goes up: the compare-and-set that accepts an assertion writes it.
//! Nothing here is secret; the key of a passkey is a public one.

use std::fmt;
use std::str::FromStr;

use pennypost_model::codec::{Versioned, decode};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_passkeys::{Assertion, Challenge, NewPasskey, PublicKey, RelyingParty, challenge_in, is_later};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::session::SessionId;
use crate::store::{MAX_ATTEMPTS, name_for_people};
use crate::{Directory, DirectoryError};

/// Passkeys that an account may have.
pub const MAX_PASSKEYS: usize = 10;
/// Characters of a passkey's name.
const MAX_NAME: usize = 100;
/// Milliseconds for which a challenge waits (WebAuthn section 15.1).
pub const CHALLENGE_LIFE: i64 = 5 * 60 * 1000;
/// Old challenges that are looked at for each new one.
const SWEEP: usize = 2;

/// The number of a passkey within its account. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PasskeyId(pub u64);

impl fmt::Display for PasskeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for PasskeyId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<PasskeyId, Self::Err> {
        u64::from_str_radix(text, 16).map(PasskeyId)
    }
}

/// A passkey as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its number.
    pub id: PasskeyId,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last shown.
    pub used: Option<Timestamp>,
    /// It may lie on more than one device.
    pub is_synced: bool,
}

/// A passkey as stored.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    id: PasskeyId,
    name: String,
    created: Timestamp,
    used: Option<Timestamp>,
    credential: Vec<u8>,
    key: PublicKey,
    counter: u32,
    is_synced: bool,
}

/// The passkeys of an account.
#[derive(Default, Serialize, Deserialize)]
struct PasskeysItem {
    passkeys: Vec<Kept>,
}

impl Versioned for PasskeysItem {
    const KIND: &'static str = "passkeys";
}

/// For what an authenticator is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PasskeyPurpose {
    /// A new passkey, of somebody in this session.
    Add(SessionId),
    /// To show again who is in this session.
    Confirm(SessionId),
    /// To sign in; for this account, if it was named.
    SignIn(Option<AccountKey>),
}

#[derive(Serialize, Deserialize)]
struct ChallengeItem {
    purpose: PasskeyPurpose,
    until: Timestamp,
}

impl Versioned for ChallengeItem {
    const KIND: &'static str = "passkey challenge";
}

/// What somebody shows of a passkey.
#[derive(Clone, Copy)]
pub struct ShownPasskey<'a> {
    /// The id of the credential.
    pub credential: &'a [u8],
    /// What the authenticator has signed.
    pub assertion: Assertion<'a>,
    /// Whose it says that it is, where it knows.
    pub user: Option<&'a [u8]>,
}

/// What came of adding a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddedPasskey {
    /// It is there.
    Added(Passkey),
    /// It was there already.
    Known,
}

impl Kept {
    fn shown(&self) -> Passkey {
        let Kept { id, name, created, used, is_synced, .. } = self;
        Passkey { id: *id, name: name.clone(), created: *created, used: *used, is_synced: *is_synced }
    }
}

fn passkeys_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/passkeys", key.tenant), key.account.to_string())
}

/// Where a challenge lies: of a tenant's session, or of nobody yet.
fn challenge_key(tenant: Option<TenantId>, challenge: &Challenge) -> ControlKey {
    let partition = match tenant {
        Some(tenant) => format!("{tenant}/passkey-challenges"),
        None => "sign-in/passkey-challenges".to_owned(),
    };
    let sort: String = Sha256::digest(challenge).iter().map(|byte| format!("{byte:02x}")).collect();
    ControlKey::new(partition, sort)
}

/// By what authenticators tell whose a passkey is (WebAuthn section 5.4.3): nothing that tells of a person.
#[must_use]
pub fn user_handle(key: AccountKey) -> [u8; 16] {
    let mut handle = [0; 16];
    handle[..8].copy_from_slice(&key.tenant.0.to_be_bytes());
    handle[8..].copy_from_slice(&key.account.0.to_be_bytes());
    handle
}

/// Whose passkey it says that it is.
pub(crate) fn account_in(handle: &[u8]) -> Option<AccountKey> {
    let (tenant, account) = handle.split_first_chunk::<8>()?;
    let tenant = TenantId(u64::from_be_bytes(*tenant));
    let account = AccountId(u64::from_be_bytes(account.try_into().ok()?));
    Some(AccountKey { tenant, account })
}

impl Directory {
    /// The passkeys of an account, in the order in which they were made.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn passkeys(&self, key: AccountKey) -> Result<Vec<Passkey>, DirectoryError> {
        Ok(self.kept_passkeys(key).await?.iter().map(Kept::shown).collect())
    }

    /// The ids of the credentials of an account, by which authenticators know them.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn passkey_credentials(&self, key: AccountKey) -> Result<Vec<Vec<u8>>, DirectoryError> {
        Ok(self.kept_passkeys(key).await?.into_iter().map(|one| one.credential).collect())
    }

    async fn kept_passkeys(&self, key: AccountKey) -> Result<Vec<Kept>, DirectoryError> {
        let held = self.read::<PasskeysItem>(&passkeys_key(key), Consistency::Strong).await?;
        Ok(held.map(|held| held.value.passkeys).unwrap_or_default())
    }

    /// Asks an authenticator for something: what it has to sign.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn challenge_passkey(
        &self,
        tenant: Option<TenantId>,
        purpose: PasskeyPurpose,
    ) -> Result<Challenge, DirectoryError> {
        let challenge: Challenge = rand::random();
        let item = ChallengeItem { purpose, until: self.clock.now().plus_millis(CHALLENGE_LIFE) };
        let key = challenge_key(tenant, &challenge);
        if self.write(&key, &item, Expected::Absent).await?.is_none() {
            return Err(DirectoryError::Contended);
        }
        self.sweep_challenges(&key).await?;
        Ok(challenge)
    }

    async fn sweep_challenges(&self, made: &ControlKey) -> Result<(), DirectoryError> {
        let now = self.clock.now();
        let rows = self.control.query(&made.partition, "", Some(&made.sort), SWEEP).await?;
        for (sort, item) in rows {
            if decode::<ChallengeItem>(&item.value).map_or(true, |one| one.until <= now) {
                self.control.delete_if(&ControlKey::new(&made.partition, sort), item.version).await?;
            }
        }
        Ok(())
    }

    /// The challenge that something answers, and for what it was made; it is worth nothing afterwards.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn take_passkey_challenge(
        &self,
        tenant: Option<TenantId>,
        client_data: &[u8],
    ) -> Result<Option<(Challenge, PasskeyPurpose)>, DirectoryError> {
        let Some(challenge) = challenge_in(client_data) else { return Ok(None) };
        let key = challenge_key(tenant, &challenge);
        let Some(held) = self.read::<ChallengeItem>(&key, Consistency::Strong).await? else {
            return Ok(None);
        };
        let is_taken = self.control.delete_if(&key, held.version).await?;
        let is_good = is_taken && held.value.until > self.clock.now();
        Ok(is_good.then_some((challenge, held.value.purpose)))
    }

    /// Adds a passkey that was verified.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::TooMany`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn add_passkey(
        &self,
        key: AccountKey,
        name: &str,
        new: NewPasskey,
    ) -> Result<AddedPasskey, DirectoryError> {
        let kept = Kept {
            id: PasskeyId(self.ids.random()),
            name: name_for_people(name, MAX_NAME)?,
            created: self.clock.now(),
            used: None,
            credential: new.id,
            key: new.key,
            counter: new.counter,
            is_synced: new.is_synced,
        };
        self.change_passkeys(key, |passkeys| {
            if passkeys.iter().any(|one| one.credential == kept.credential) {
                return Ok((AddedPasskey::Known, false));
            }
            if passkeys.len() >= MAX_PASSKEYS {
                return Err(DirectoryError::TooMany { what: "an account's passkeys", limit: MAX_PASSKEYS });
            }
            passkeys.push(kept.clone());
            Ok((AddedPasskey::Added(kept.shown()), true))
        })
        .await
    }

    /// Gives a passkey another name; `None` if it is not there any more, or is called otherwise by now.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn rename_passkey(
        &self,
        key: AccountKey,
        seen: &Passkey,
        name: &str,
    ) -> Result<Option<Passkey>, DirectoryError> {
        let name = name_for_people(name, MAX_NAME)?;
        self.change_passkeys(key, |passkeys| {
            let is_seen = |one: &&mut Kept| one.id == seen.id && one.name == seen.name;
            let Some(found) = passkeys.iter_mut().find(is_seen) else { return Ok((None, false)) };
            found.name.clone_from(&name);
            Ok((Some(found.shown()), true))
        })
        .await
    }

    /// Removes a passkey; `false` if there is none of that number.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_passkey(&self, key: AccountKey, id: PasskeyId) -> Result<bool, DirectoryError> {
        self.change_passkeys(key, |passkeys| {
            let before = passkeys.len();
            passkeys.retain(|one| one.id != id);
            let is_gone = passkeys.len() < before;
            Ok((is_gone, is_gone))
        })
        .await
    }

    /// Removes all passkeys of an account.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_passkeys(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&passkeys_key(key)).await
    }

    /// Changes passkeys by compare-and-set, if `change` says that it has changed something.
    async fn change_passkeys<R>(
        &self,
        key: AccountKey,
        mut change: impl FnMut(&mut Vec<Kept>) -> Result<(R, bool), DirectoryError>,
    ) -> Result<R, DirectoryError> {
        let item_key = passkeys_key(key);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<PasskeysItem>(&item_key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut item = held.map(|held| held.value).unwrap_or_default();
            let (result, is_changed) = change(&mut item.passkeys)?;
            if !is_changed || self.write(&item_key, &item, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Is that a passkey of the account, signed by it for this challenge? If so, its counter and its use are noted, and
    /// whether the authenticator has looked who it was is told.
    pub(crate) async fn prove_passkey(
        &self,
        key: AccountKey,
        site: &RelyingParty<'_>,
        challenge: &Challenge,
        shown: &ShownPasskey<'_>,
    ) -> Result<Option<bool>, DirectoryError> {
        let now = self.clock.now();
        self.change_passkeys(key, |passkeys| {
            let found = passkeys.iter_mut().find(|one| one.credential == shown.credential);
            let Some(found) = found else { return Ok((None, false)) };
            let asserted = match site.verify(challenge, &found.key, &shown.assertion) {
                Ok(asserted) => asserted,
                Err(refused) => {
                    tracing::info!(account = %key, passkey = %found.id, %refused, "passkey was refused");
                    return Ok((None, false));
                }
            };
            if !is_later(asserted.counter, found.counter) {
                let (said, before) = (asserted.counter, found.counter);
                tracing::warn!(account = %key, passkey = %found.id, said, before, "passkey may have been copied");
                return Ok((None, false));
            }
            (found.counter, found.used) = (asserted.counter, Some(now));
            Ok((Some(asserted.is_verified), true))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_account_and_nothing_else_does() {
        let key = AccountKey { tenant: TenantId(7), account: AccountId(9) };
        assert_eq!(account_in(&user_handle(key)), Some(key));
        for bad in [&[][..], &[1; 8], &[1; 15], &[1; 17]] {
            assert_eq!(account_in(bad), None, "{bad:?}");
        }
    }
}
