//! Forgotten passwords (AUT-07): an address elsewhere, at which a member is reached who can't sign in; or his mobile number
//! ([`crate::mobile`]).
//!
//! Owns the control items `T/recovery`, `A`: that address, the code that proves a new one, when letters went, and a mark of
//! the owner of A; and `T/password-recoveries`, digest: a secret of 256 random bits that sets another password, once, within
//! half an hour.
//!
//! Invariants: an address is good only after the code that went there was said, of which five are looked at; the code and
//! the secret are stored as their SHA-256. What was proved is a mailbox here in the hands of its owner of then: an address that
//! leads elsewhere by now, or to a mailbox that has changed hands (its mark is another one), is none. Or it is an address
//! elsewhere, as long as its domain is nobody's here: whom it would reach then was never asked. A secret is taken away
//! by compare-and-set before the password is put, and is good only as long as address and password are those for which it was
//! made. What strangers can bring about is bounded: three letters for each member within the life of a secret, counted apart
//! from those that the member asks for, so that whoever is sent too many has a good one among them.

use pennypost_model::codec::{CodecError, Versioned, decode, decode_plain};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::password::{Credential, credential_key};
use crate::sign_in::{Checked, Subject, flatten, or_refuse};
use crate::standing::digest_of;
use crate::store::MAX_ATTEMPTS;
use crate::{
    Account, AccountKind, Attempt, ChangePasswordError, Directory, DirectoryError, MailAddress, MobileNumber,
    SignInError,
};

/// What every secret begins with, so that leaked ones can be searched for.
const PREFIX: &str = "ppr_";
/// Hex digits of the tenant, and of the secret.
const DIGITS: usize = 16 + 64;
/// Minutes that a secret is good for.
pub const RECOVERY_MINUTES: i64 = 30;
/// Minutes that a code waits, and how often it may be said wrongly.
pub const RECOVERY_CODE_MINUTES: i64 = 15;
const TRIES: u8 = 5;
/// Letters in an hour with codes, and with secrets in the life of one.
const LETTERS: usize = 3;
const CODES_MINUTES: i64 = 60;
const MINUTE: i64 = 60 * 1000;
/// Old secrets that are looked at for each new one.
const SWEEP: usize = 2;

/// The address at which a member is reached who can't sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryAddress {
    /// The address.
    pub address: String,
    /// Since when it is known to be his.
    pub since: Timestamp,
    /// Whose own address it is, with the mark of that mailbox's owner of then; `None`: it is another server's.
    pub mailbox: Option<(AccountKey, u64)>,
}

/// Where a recovery address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryPlace {
    /// It is the own address of this member's mailbox.
    Mailbox(AccountKey),
    /// On another server.
    Elsewhere,
}

/// What may be told of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The address, if one was proved.
    pub address: Option<RecoveryAddress>,
    /// One to which a code went that was not said yet.
    pub pending: Option<String>,
}

/// A letter that is to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryLetter {
    /// Whose password it is.
    pub account: AccountKey,
    /// His address.
    pub login: String,
    /// Where it goes.
    pub to: String,
    /// Whose own address that is; `None`: it is another server's.
    pub mailbox: Option<AccountKey>,
    /// What sets another password. Never told but there.
    pub secret: String,
}

#[derive(Serialize, Deserialize)]
struct Pending {
    address: String,
    mailbox: Option<(AccountKey, u64)>,
    code: [u8; 32],
    until: Timestamp,
    tries: u8,
}

/// As stored. Has no `Debug`, so that it gets into no log.
#[derive(Default, Serialize, Deserialize)]
struct RecoveryItem {
    address: Option<RecoveryAddress>,
    pending: Option<Pending>,
    /// When letters with codes went, and such with secrets, lately.
    codes: Vec<Timestamp>,
    secrets: Vec<Timestamp>,
    /// Changes with the owner of the account, whose mailbox may be where others are reached.
    owner: u64,
}

/// Versions before 3 knew no addresses elsewhere.
#[derive(Deserialize)]
struct RecoveryAddress2 {
    address: String,
    since: Timestamp,
    mailbox: AccountKey,
    owner: u64,
}

impl From<RecoveryAddress2> for RecoveryAddress {
    fn from(before: RecoveryAddress2) -> RecoveryAddress {
        let RecoveryAddress2 { address, since, mailbox, owner } = before;
        RecoveryAddress { address, since, mailbox: Some((mailbox, owner)) }
    }
}

#[derive(Deserialize)]
struct Pending2 {
    address: String,
    mailbox: AccountKey,
    owner: u64,
    code: [u8; 32],
    until: Timestamp,
    tries: u8,
}

impl From<Pending2> for Pending {
    fn from(before: Pending2) -> Pending {
        let Pending2 { address, mailbox, owner, code, until, tries } = before;
        Pending { address, mailbox: Some((mailbox, owner)), code, until, tries }
    }
}

#[derive(Deserialize)]
struct RecoveryItem2 {
    address: Option<RecoveryAddress2>,
    pending: Option<Pending2>,
    codes: Vec<Timestamp>,
    secrets: Vec<Timestamp>,
    owner: u64,
}

/// Version 1 kept addresses without whose they were.
#[derive(Deserialize)]
struct RecoveryItem1 {
    _address: Option<(String, Timestamp)>,
    _pending: Option<(String, [u8; 32], Timestamp, u8)>,
    codes: Vec<Timestamp>,
    secrets: Vec<Timestamp>,
}

impl Versioned for RecoveryItem {
    const KIND: &'static str = "recovery address";
    const VERSION: u8 = 3;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<RecoveryItem, CodecError> {
        match found {
            // What led to one mailbox only by chance was taken then: it is proved again.
            1 => {
                let RecoveryItem1 { codes, secrets, .. } = decode_plain(Self::KIND, bytes)?;
                Ok(RecoveryItem { codes, secrets, ..RecoveryItem::default() })
            }
            2 => {
                let before: RecoveryItem2 = decode_plain(Self::KIND, bytes)?;
                let RecoveryItem2 { address, pending, codes, secrets, owner } = before;
                let (address, pending) = (address.map(Into::into), pending.map(Into::into));
                Ok(RecoveryItem { address, pending, codes, secrets, owner })
            }
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

/// What a secret was given for: it is good as long as that holds.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Proved {
    /// This is the recovery address.
    Address(RecoveryAddress),
    /// This is the mobile number, since then.
    Mobile(MobileNumber, Timestamp),
}

#[derive(Serialize, Deserialize)]
struct SecretItem {
    account: AccountId,
    until: Timestamp,
    proved: Proved,
    /// What tells the password of then from any other; `None`: there was none.
    password: Option<[u8; 32]>,
}

#[derive(Deserialize)]
struct SecretItem2 {
    account: AccountId,
    until: Timestamp,
    address: RecoveryAddress2,
    password: Option<[u8; 32]>,
}

#[derive(Deserialize)]
struct SecretItem1 {
    account: AccountId,
    _until: Timestamp,
    _address: (String, Timestamp),
    _password: Option<[u8; 32]>,
}

impl Versioned for SecretItem {
    const KIND: &'static str = "password recovery";
    const VERSION: u8 = 3;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<SecretItem, CodecError> {
        match found {
            // With the address for which it was made it has lost what it was good for.
            1 => {
                let SecretItem1 { account, .. } = decode_plain(Self::KIND, bytes)?;
                let (address, since) = (String::new(), Timestamp::default());
                let proved = Proved::Address(RecoveryAddress { address, since, mailbox: None });
                Ok(SecretItem { account, until: Timestamp::default(), proved, password: None })
            }
            2 => {
                let before: SecretItem2 = decode_plain(Self::KIND, bytes)?;
                let SecretItem2 { account, until, address, password } = before;
                Ok(SecretItem { account, until, proved: Proved::Address(address.into()), password })
            }
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

fn recovery_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/recovery", key.tenant), key.account.to_string())
}

fn secret_key(tenant: TenantId, secret: &str) -> ControlKey {
    let sort: String = hash(secret).iter().map(|byte| format!("{byte:02x}")).collect();
    ControlKey::new(format!("{tenant}/password-recoveries"), sort)
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn parts(text: &str) -> Option<(TenantId, &str)> {
    let digits = text.trim().strip_prefix(PREFIX)?;
    let is_hex = digits.len() == DIGITS && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex { Some((digits[..16].parse().ok()?, &digits[16..])) } else { None }
}

/// Notes that another letter goes; `false` if so many have gone in the last minutes that it may not.
fn another(sent: &mut Vec<Timestamp>, now: Timestamp, minutes: i64) -> bool {
    sent.retain(|time| now.0.saturating_sub(time.0) < minutes * MINUTE);
    if sent.len() >= LETTERS {
        return false;
    }
    sent.push(now);
    true
}

impl Directory {
    /// The recovery address of an account.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn recovery(&self, key: AccountKey) -> Result<Recovery, DirectoryError> {
        let held = self.read::<RecoveryItem>(&recovery_key(key), Consistency::Strong).await?;
        let Some(RecoveryItem { address, pending, .. }) = held.map(|held| held.value) else {
            return Ok(Recovery::default());
        };
        let now = self.clock.now();
        let pending = pending.filter(|pending| pending.until > now).map(|pending| pending.address);
        Ok(Recovery { address, pending })
    }

    /// Changes it by compare-and-set, if `change` says that it has changed something: what is not written makes nobody wait.
    async fn change_recovery<R>(
        &self,
        key: AccountKey,
        mut change: impl FnMut(&mut RecoveryItem) -> (R, bool),
    ) -> Result<R, DirectoryError> {
        let item_key = recovery_key(key);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<RecoveryItem>(&item_key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut item = held.map(|held| held.value).unwrap_or_default();
            let (result, is_changed) = change(&mut item);
            if !is_changed || self.write(&item_key, &item, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// The mark of the owner of an account.
    async fn owner_mark(&self, key: AccountKey) -> Result<u64, DirectoryError> {
        let held = self.read::<RecoveryItem>(&recovery_key(key), Consistency::Strong).await?;
        Ok(held.map(|held| held.value.owner).unwrap_or_default())
    }

    /// Whose mailbox an address is as a recovery address: a member's own address, which is used. `None`: it is an alias, a
    /// group, has a tag, is a business mailbox, or nobody's.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn recovery_mailbox(
        &self,
        address: &MailAddress,
    ) -> Result<Option<AccountKey>, DirectoryError> {
        let now = self.clock.now();
        let found = self.account_at(&address.to_string()).await?;
        let may = |account: &Account| account.is_open(now) && account.kind == AccountKind::Member;
        Ok(found.filter(may).map(|account| account.key))
    }

    /// Is that still the mailbox that was proved, in the same hands, or still another server's address?
    async fn is_still_there(&self, known: &RecoveryAddress) -> Result<bool, DirectoryError> {
        let Ok(address) = MailAddress::parse(&known.address) else { return Ok(false) };
        let Some((proved, mark)) = known.mailbox else {
            return Ok(self.tenant_of_address(&known.address).await?.is_none());
        };
        let (mailbox, owner) = futures::try_join!(self.recovery_mailbox(&address), self.owner_mark(proved))?;
        Ok(mailbox == Some(proved) && owner == mark)
    }

    /// Makes a code that proves an address, which is a mailbox's own ([`Directory::recovery_mailbox`]) or another server's;
    /// the one that is known goes on until it is said. `None`: too many letters went.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_recovery_address(
        &self,
        key: AccountKey,
        address: &MailAddress,
        place: RecoveryPlace,
    ) -> Result<Option<String>, DirectoryError> {
        let now = self.clock.now();
        let code = format!("{:08}", rand::random_range(0..100_000_000_u32));
        let mailbox = match place {
            RecoveryPlace::Mailbox(mailbox) => Some((mailbox, self.owner_mark(mailbox).await?)),
            RecoveryPlace::Elsewhere => None,
        };
        let made = self.change_recovery(key, |item| {
            let is_free = another(&mut item.codes, now, CODES_MINUTES);
            if is_free {
                let until = now.plus_millis(RECOVERY_CODE_MINUTES * MINUTE);
                let (address, code) = (address.to_string(), hash(&code));
                item.pending = Some(Pending { address, mailbox, code, until, tries: 0 });
            }
            (is_free, is_free)
        });
        Ok(made.await?.then_some(code))
    }

    /// The code was said: the address is the member's from now on; `false`: it is not the code, or not any more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn finish_recovery_address(&self, key: AccountKey, code: &str) -> Result<bool, DirectoryError> {
        let (now, said) = (self.clock.now(), hash(code.trim()));
        self.change_recovery(key, |item| {
            let Some(pending) = item.pending.as_mut().filter(|one| one.until > now && one.tries < TRIES)
            else {
                return (false, false);
            };
            if pending.code != said {
                pending.tries += 1;
                return (false, true);
            }
            let (address, mailbox) = (pending.address.clone(), pending.mailbox);
            item.address = Some(RecoveryAddress { address, since: now, mailbox });
            item.pending = None;
            (true, true)
        })
        .await
    }

    /// Forgets the recovery address of an account, and one that waits for its code; `false` if there was none. How many
    /// letters went is kept: else they could be sent without end.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_recovery_address(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        self.change_recovery(key, |item| {
            let (address, pending) = (item.address.take().is_some(), item.pending.take().is_some());
            (address, address || pending)
        })
        .await
    }

    /// The account changes hands: its recovery address is forgotten, and it is nobody's recovery address any more.
    pub(crate) async fn hand_over_recovery(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let owner = self.ids.random();
        self.change_recovery(key, |item| {
            *item = RecoveryItem { owner, ..RecoveryItem::default() };
            ((), true)
        })
        .await
    }

    /// Forgets all of it, with the account.
    pub(crate) async fn forget_recovery(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&recovery_key(key)).await
    }

    /// The letter by which somebody sets another password who has forgotten his; `None` where there is nobody of that
    /// address, no recovery address, or too many letters went: which one is not to be told.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_password_recovery(
        &self,
        login: &str,
    ) -> Result<Option<RecoveryLetter>, DirectoryError> {
        let mut subject = Subject::default();
        let (_, Some(key)) = self.named(login, &mut subject).await? else { return Ok(None) };
        let now = self.clock.now();
        let (tenant, account) = futures::try_join!(self.active_tenant(key.tenant), self.account(key))?;
        let may = |account: &Account| account.is_open(now) && account.kind == AccountKind::Member;
        let (Some(_), Some(account)) = (tenant, account.filter(may)) else { return Ok(None) };
        let Some(proved) = self.recovery(key).await?.address else { return Ok(None) };
        if !self.is_still_there(&proved).await? {
            return Ok(None);
        }
        let may_go = self.change_recovery(key, |item| {
            let goes =
                item.address.as_ref() == Some(&proved) && another(&mut item.secrets, now, RECOVERY_MINUTES);
            (goes, goes)
        });
        if !may_go.await? {
            return Ok(None);
        }
        let secret = self.keep_secret(key, Proved::Address(proved.clone())).await?;
        let RecoveryAddress { address: to, mailbox, .. } = proved;
        Ok(Some(RecoveryLetter {
            account: key,
            login: account.address.to_string(),
            to,
            mailbox: mailbox.map(|(mailbox, _)| mailbox),
            secret,
        }))
    }

    /// What sets another password for the member who has shown his mobile number; `None` if he has none any more.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn mobile_recovery_secret(&self, key: AccountKey) -> Result<Option<String>, DirectoryError> {
        let Some((number, since)) = self.mobile(key).await?.number else { return Ok(None) };
        Ok(Some(self.keep_secret(key, Proved::Mobile(number, since)).await?))
    }

    /// Makes a secret and keeps its digest.
    async fn keep_secret(&self, key: AccountKey, proved: Proved) -> Result<String, DirectoryError> {
        let now = self.clock.now();
        let secret: String = rand::random::<[u8; 32]>().iter().map(|byte| format!("{byte:02x}")).collect();
        let item = SecretItem {
            account: key.account,
            until: now.plus_millis(RECOVERY_MINUTES * MINUTE),
            proved,
            password: self.password_digest(key).await?,
        };
        let item_key = secret_key(key.tenant, &secret);
        if self.write(&item_key, &item, Expected::Absent).await?.is_none() {
            return Err(DirectoryError::Contended);
        }
        let rows = self.control.query(&item_key.partition, "", Some(&item_key.sort), SWEEP).await?;
        for (sort, held) in rows {
            if decode::<SecretItem>(&held.value).map_or(true, |one| one.until <= now) {
                self.control.delete_if(&ControlKey::new(&item_key.partition, sort), held.version).await?;
            }
        }
        Ok(format!("{PREFIX}{}{secret}", key.tenant))
    }

    /// Whose password a secret sets, if it is good; it stays so.
    ///
    /// # Errors
    /// [`SignInError`]: [`SignInError::Denied`] for a secret that is not good, which counts for the network.
    #[pennypost_ports::compiled_here]
    pub async fn password_recovery(
        &self,
        attempt: &Attempt,
        secret: &str,
    ) -> Result<AccountKey, SignInError> {
        let mut subject = Subject::default();
        let result = flatten(self.check_recovery(attempt, secret, &mut subject).await);
        if let Err(error) = &result {
            self.record_refusal(attempt, &subject, error);
        }
        result
    }

    async fn check_recovery(
        &self,
        attempt: &Attempt,
        secret: &str,
        subject: &mut Subject,
    ) -> Checked<AccountKey> {
        let Some((key, _, _)) = self.recovery_behind(secret).await? else {
            return self.refuse_stranger(attempt).await;
        };
        // That wrong passwords have locked the account keeps nobody out who sets another one.
        or_refuse!(self.open_to(attempt, key, subject).await?);
        Ok(Ok(key))
    }

    /// Is what was proved still so?
    async fn still_holds(&self, key: AccountKey, proved: &Proved) -> Result<bool, DirectoryError> {
        match proved {
            Proved::Address(address) => {
                let recovery = self.recovery(key).await?;
                Ok(recovery.address.as_ref() == Some(address) && self.is_still_there(address).await?)
            }
            Proved::Mobile(number, since) => {
                let mobile = self.mobile(key).await?;
                Ok(mobile.number.is_some_and(|(own, of)| (&own, &of) == (number, since)))
            }
        }
    }

    async fn recovery_behind(
        &self,
        secret: &str,
    ) -> Result<Option<(AccountKey, SecretItem, u64)>, DirectoryError> {
        let Some((tenant, secret)) = parts(secret) else { return Ok(None) };
        let found = self.read::<SecretItem>(&secret_key(tenant, secret), Consistency::Strong).await?;
        let Some(found) = found else { return Ok(None) };
        let key = AccountKey { tenant, account: found.value.account };
        let item = found.value;
        let is_good = item.until > self.clock.now()
            && self.password_digest(key).await? == item.password
            && self.still_holds(key, &item.proved).await?;
        Ok(is_good.then_some((key, item, found.version)))
    }

    /// Sets another password in the place of the one that was forgotten. The secret is worth nothing afterwards; one that
    /// breaks the rules leaves it as it is. Sessions that stand on the old one end, locks of passwords are lifted.
    ///
    /// # Errors
    /// [`ChangePasswordError`].
    #[pennypost_ports::compiled_here]
    pub async fn recover_password(&self, secret: &str, new: &str) -> Result<(), ChangePasswordError> {
        let denied = || ChangePasswordError::Old(SignInError::Denied);
        let (key, item, version) = self.recovery_behind(secret).await?.ok_or_else(denied)?;
        let recovered = self.recovered_credential((key, item.password), new).await?;
        let (credential, expected) = recovered.ok_or_else(denied)?;
        let (tenant, text) = parts(secret).ok_or_else(denied)?;
        let taken = self.control.delete_if(&secret_key(tenant, text), version).await;
        if !taken.map_err(DirectoryError::from)? {
            return Err(denied());
        }
        if self.write(&credential_key(key), &credential, expected).await?.is_none() {
            return Err(denied());
        }
        self.unlock(key).await?;
        Ok(())
    }

    /// The credential in the place of the one for which a secret was made; `None`: it is another one by now.
    async fn recovered_credential(
        &self,
        (key, of): (AccountKey, Option<[u8; 32]>),
        new: &str,
    ) -> Result<Option<(Credential, Expected)>, DirectoryError> {
        let held = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
        let before = held.map(|held| held.value);
        if before.as_ref().map(digest_of) != of {
            return Ok(None);
        }
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        Ok(Some((self.next_own_credential(&account, new, before).await?, expected)))
    }

    /// What tells the password of an account from any other; `None`: there is none.
    pub(crate) async fn password_digest(&self, key: AccountKey) -> Result<Option<[u8; 32]>, DirectoryError> {
        let credential = self.read::<Credential>(&credential_key(key), Consistency::Strong).await?;
        Ok(credential.map(|held| digest_of(&held.value)))
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::encode_plain;

    use super::*;

    #[test]
    fn what_was_proved_before_mailboxes_were_kept_is_proved_again() {
        let (time, code) = (Timestamp(7), [1_u8; 32]);
        let address = Some(("group@acme.example", time));
        let pending = Some(("group@acme.example", code, time, 1_u8));
        let bytes = encode_plain(&(address, pending, vec![time], vec![time, time]), 1);
        let item: RecoveryItem = decode(&bytes).expect("the version before");
        assert!(item.address.is_none() && item.pending.is_none());
        assert_eq!((item.codes, item.secrets), (vec![time], vec![time, time]));
        let bytes = encode_plain(&(AccountId(9), time, ("a@acme.example", time), Some(code)), 1);
        let item: SecretItem = decode(&bytes).expect("the version before");
        assert_eq!((item.account, item.until, item.password), (AccountId(9), Timestamp(0), None));
    }

    #[test]
    fn mailboxes_that_were_proved_before_there_were_addresses_elsewhere_stay() {
        let (time, code) = (Timestamp(7), [1_u8; 32]);
        let mailbox = AccountKey { tenant: TenantId(3), account: AccountId(4) };
        let before = ("ann@acme.example", time, mailbox, 5_u64);
        let known = RecoveryAddress {
            address: "ann@acme.example".to_owned(),
            since: time,
            mailbox: Some((mailbox, 5)),
        };
        let pending = ("bob@acme.example", mailbox, 6_u64, code, time, 1_u8);
        let bytes = encode_plain(&(Some(before), Some(pending), vec![time], vec![time, time], 8_u64), 2);
        let item: RecoveryItem = decode(&bytes).expect("the version before");
        assert_eq!((item.address, item.owner), (Some(known.clone()), 8));
        let pending = item.pending.expect("a code waits");
        assert_eq!((pending.mailbox, pending.code, pending.tries), (Some((mailbox, 6)), code, 1));
        let bytes = encode_plain(&(AccountId(9), time, before, Some(code)), 2);
        let item: SecretItem = decode(&bytes).expect("the version before");
        assert!((item.until, item.password) == (time, Some(code)) && item.proved == Proved::Address(known));
    }

    #[test]
    fn letters_go_again_when_the_secret_of_the_first_is_over() {
        let mut sent = Vec::new();
        let at = |minute: i64| Timestamp(minute * MINUTE);
        for minute in 0..3 {
            assert!(another(&mut sent, at(minute), RECOVERY_MINUTES));
        }
        assert!(!another(&mut sent, at(RECOVERY_MINUTES - 1), RECOVERY_MINUTES));
        assert!(another(&mut sent, at(RECOVERY_MINUTES), RECOVERY_MINUTES));
        assert!(!another(&mut sent, at(RECOVERY_MINUTES), RECOVERY_MINUTES));
    }
}
