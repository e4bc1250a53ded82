//! Mobile numbers that their owners have proved (AUT-01, AUT-07): a member signs in, or sets another password, by a code that
//! went there by SMS.
//!
//! Owns the control items `T/mobile-numbers`, number: whose it is; `T/mobiles`, `A`: the number of A, one that waits for its
//! code, and the codes that went there; and `T/sms`: number, `aA`, `oA`, `iA` or `wA`: when messages went there, for A to numbers that
//! are to be his, to the one that he has proved, letters with an invitation of A, and letters that tell of a wish of A; `nNETWORK` and `mDIGEST`: when somebody began to sign up from there, and
//! by that address; `day`, `letters` and `sign-ups`: how many messages, invitations and sign-ups there were on a day.
//!
//! Invariants: a number is one member's of its tenant at most. It leads to an account only while that account's own item
//! says the same: the number's item is written first and removed last, and whoever finds one that leads nowhere takes it. A
//! code has eight digits, is stored as a hash with its salt, waits for ten minutes, is looked at five times, and is taken away by
//! the compare-and-set that accepts it. Wrong ones count, slow and lock by counters of their own: no password comes before
//! them, and they close nothing else. Whether a number is anybody's is told to nobody who asks for a code or says one: he is let
//! in, or told that it is wrong, and one of nobody's number waits its turn, and counts, as one of a member's. Whoever joins by an
//! invitation is told that a number is a member's ([`crate::joining`]).

mod code;
mod counts;
mod sign_in;

use std::fmt;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use self::code::Code;
pub(crate) use self::code::MOBILE_CODE_DIGITS;
pub use self::code::MOBILE_CODE_MINUTES;
pub use self::counts::SmsAsker;
use crate::store::MAX_ATTEMPTS;
use crate::{Account, AccountKind, Directory, DirectoryError};

const MINUTE: i64 = 60 * 1000;
const DAY: i64 = 24 * 60 * MINUTE;
/// For how long after its end a code keeps its number: nobody takes that from under one who is just let have it.
const GRACE: i64 = MINUTE;
/// Digits of a number, with its country (E.164).
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// A mobile number with its country: `+8613800000000` (E.164).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MobileNumber(String);

impl MobileNumber {
    /// The number that somebody writes: with `+` or `00` and its country, or eleven digits of mainland China. Blanks, hyphens
    /// and brackets are nobody's.
    ///
    /// # Errors
    /// [`DirectoryError::Mobile`].
    pub fn parse(text: &str) -> Result<MobileNumber, DirectoryError> {
        let plain: String = text.chars().filter(|c| !" -()".contains(*c)).take(40).collect();
        let digits = match plain.strip_prefix('+').or_else(|| plain.strip_prefix("00")) {
            Some(digits) => digits.to_owned(),
            None if plain.len() == 11 && plain.starts_with('1') => format!("86{plain}"),
            None => return Err(DirectoryError::Mobile),
        };
        let is_number = DIGITS.contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_number { Ok(MobileNumber(format!("+{digits}"))) } else { Err(DirectoryError::Mobile) }
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What logs hold of it: its last four digits.
    #[must_use]
    pub fn masked(&self) -> String {
        let shown = self.0.len().saturating_sub(4);
        format!("+***{}", self.0.get(shown..).unwrap_or_default())
    }
}

impl fmt::Display for MobileNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a code is for. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MobilePurpose {
    /// To sign in.
    SignIn,
    /// To set another password.
    Password,
    /// To be shown beside a password (AUT-11).
    Factor,
}

/// What may be told of the number of an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mobile {
    /// The number, once a code that went there was said, and since when.
    pub number: Option<(MobileNumber, Timestamp)>,
    /// One to which a code went that was not said yet.
    pub pending: Option<MobileNumber>,
}

#[derive(Default, Serialize, Deserialize)]
struct MobileItem {
    number: Option<(MobileNumber, Timestamp)>,
    pending: Option<(MobileNumber, Code)>,
    codes: Vec<(MobilePurpose, Code)>,
}

impl Versioned for MobileItem {
    const KIND: &'static str = "mobile number";
}

/// Whose a number is.
#[derive(Serialize, Deserialize)]
struct NumberItem(AccountId);

impl Versioned for NumberItem {
    const KIND: &'static str = "owner of a mobile number";
}

fn mobile_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/mobiles", key.tenant), key.account.to_string())
}

fn number_key(tenant: TenantId, number: &MobileNumber) -> ControlKey {
    ControlKey::new(mobile_numbers(tenant), number.as_str())
}

/// Where a tenant's numbers lead to members.
pub(crate) fn mobile_numbers(tenant: TenantId) -> String {
    format!("{tenant}/mobile-numbers")
}

impl Directory {
    async fn mobile_item(&self, key: AccountKey) -> Result<MobileItem, DirectoryError> {
        let held = self.read::<MobileItem>(&mobile_key(key), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// The mobile number of an account.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn mobile(&self, key: AccountKey) -> Result<Mobile, DirectoryError> {
        let MobileItem { number, pending, .. } = self.mobile_item(key).await?;
        let now = self.clock.now();
        let pending = pending.filter(|(_, code)| code.until > now).map(|(number, _)| number);
        Ok(Mobile { number, pending })
    }

    /// Changes it by compare-and-set, if `change` says that it has changed something.
    async fn change_mobile<R>(
        &self,
        key: AccountKey,
        mut change: impl FnMut(&mut MobileItem) -> (R, bool),
    ) -> Result<R, DirectoryError> {
        let item_key = mobile_key(key);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<MobileItem>(&item_key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut item = held.map(|held| held.value).unwrap_or_default();
            let (result, is_changed) = change(&mut item);
            if !is_changed || self.write(&item_key, &item, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// The account whose number it is, if it is anybody's of that tenant.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn mobile_owner(
        &self,
        tenant: TenantId,
        number: &MobileNumber,
    ) -> Result<Option<AccountKey>, DirectoryError> {
        let held = self.read::<NumberItem>(&number_key(tenant, number), Consistency::Strong).await?;
        let Some(NumberItem(account)) = held.map(|held| held.value) else { return Ok(None) };
        let key = AccountKey { tenant, account };
        let item = self.mobile_item(key).await?;
        Ok(item.number.is_some_and(|(own, _)| own == *number).then_some(key))
    }

    /// Makes a code that proves a number; the one that is known goes on until it is said.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_mobile(
        &self,
        key: AccountKey,
        number: &MobileNumber,
    ) -> Result<String, DirectoryError> {
        let (code, text) = Code::fresh(self.clock.now());
        self.change_mobile(key, |item| {
            item.pending = Some((number.clone(), code.clone()));
            ((), true)
        })
        .await?;
        Ok(text)
    }

    /// The code was said: the number is the member's from now on, and he may be found by it. `false`: it is not the code, or
    /// not any more.
    ///
    /// # Errors
    /// [`DirectoryError::MobileTaken`] for another member's, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn finish_mobile(&self, key: AccountKey, said: &str) -> Result<bool, DirectoryError> {
        let Some((number, hash)) = self.said_for(key, said).await? else { return Ok(false) };
        self.take_number(key, &number).await?;
        let now = self.clock.now();
        let (before, is_set) = self
            .change_mobile(key, |item| {
                // By the same code: another wish may have come between, or the code's end.
                let is_still = item
                    .pending
                    .as_ref()
                    .is_some_and(|(wished, code)| *wished == number && code.hash == hash && code.until > now);
                let before = item.number.clone().map(|(before, _)| before);
                if is_still {
                    item.number = Some((number.clone(), now));
                    (item.pending, item.codes) = (None, Vec::new());
                }
                ((before, is_still), is_still)
            })
            .await?;
        if !is_set {
            if before.as_ref() != Some(&number) {
                self.let_number_go(key, &number).await?;
            }
            return Ok(false);
        }
        if let Some(before) = before.filter(|before| *before != number) {
            self.let_number_go(key, &before).await?;
        }
        // It may have been let go in the meantime, by one who came for the same number with another code.
        if let Err(error) = self.take_number(key, &number).await {
            if error == DirectoryError::MobileTaken {
                self.drop_number(key, &number).await?;
            }
            return Err(error);
        }
        // Whoever let it go a moment ago may have forgotten it after that was noted.
        self.note_number_in(key.tenant, &number).await?;
        Ok(true)
    }

    /// The number that waits for this code, and the code's hash; a wrong one counts.
    async fn said_for(
        &self,
        key: AccountKey,
        said: &str,
    ) -> Result<Option<(MobileNumber, [u8; 32])>, DirectoryError> {
        let now = self.clock.now();
        self.change_mobile(key, |item| {
            let Some((number, code)) = item.pending.as_mut() else { return (None, false) };
            match code.is(said, now) {
                None => (None, false),
                Some(true) => (Some((number.clone(), code.hash)), false),
                Some(false) => {
                    code.tries += 1;
                    (None, true)
                }
            }
        })
        .await
    }

    /// An account has that number no more, if it has it.
    async fn drop_number(&self, key: AccountKey, number: &MobileNumber) -> Result<(), DirectoryError> {
        self.change_mobile(key, |item| {
            let is_it = item.number.as_ref().is_some_and(|(own, _)| own == number);
            if is_it {
                (item.number, item.codes) = (None, Vec::new());
            }
            ((), is_it)
        })
        .await
    }

    /// Writes down that a number leads to an account, unless it leads to another one. One in the recycle bin has lost it to whoever
    /// proves it.
    async fn take_number(&self, key: AccountKey, number: &MobileNumber) -> Result<(), DirectoryError> {
        let item_key = number_key(key.tenant, number);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<NumberItem>(&item_key, Consistency::Strong).await?;
            let (expected, other) = match &held {
                None => (Expected::Absent, None),
                Some(held) if held.value.0 == key.account => return Ok(()),
                Some(held) => {
                    let other = AccountKey { account: held.value.0, ..key };
                    let is_there = self.account(other).await?.is_some_and(|account| account.binned.is_none());
                    let MobileItem { number: own, pending, .. } = self.mobile_item(other).await?;
                    // Who is about to prove it may have written this item a moment ago.
                    let now = self.clock.now();
                    let is_meant = pending.is_some_and(|(wished, code)| {
                        wished == *number && code.until.plus_millis(GRACE) > now
                    });
                    let is_own = own.is_some_and(|(own, _)| own == *number);
                    if is_there && (is_meant || is_own) {
                        return Err(DirectoryError::MobileTaken);
                    }
                    (Expected::Version(held.version), is_own.then_some(other))
                }
            };
            self.note_number_in(key.tenant, number).await?;
            if self.write(&item_key, &NumberItem(key.account), expected).await?.is_some() {
                if let Some(other) = other {
                    self.drop_number(other, number).await?;
                }
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// A number leads to this account no more.
    async fn let_number_go(&self, key: AccountKey, number: &MobileNumber) -> Result<(), DirectoryError> {
        let item_key = number_key(key.tenant, number);
        let held = self.read::<NumberItem>(&item_key, Consistency::Strong).await?;
        if let Some(held) = held.filter(|held| held.value.0 == key.account) {
            // Who was faster has it anew.
            if self.control.delete_if(&item_key, held.version).await?
                && self.mobile_owner(key.tenant, number).await?.is_none()
            {
                self.forget_number_in(key.tenant, number).await?;
            }
        }
        Ok(())
    }

    /// Forgets the number of an account and all codes; `false` if there was none.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_mobile(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        let item_key = mobile_key(key);
        let item = self.mobile_item(key).await?;
        self.erase(&item_key).await?;
        let Some((number, _)) = item.number else { return Ok(false) };
        self.let_number_go(key, &number).await?;
        Ok(true)
    }

    /// The member whose number it is, if he could use a code that went there.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn reached_by_mobile(
        &self,
        tenant: TenantId,
        number: &MobileNumber,
    ) -> Result<Option<Account>, DirectoryError> {
        let Some(key) = self.mobile_owner(tenant, number).await? else { return Ok(None) };
        let now = self.clock.now();
        let (open, account) = futures::try_join!(self.active_tenant(tenant), self.account(key))?;
        let may = |account: &Account| account.is_open(now) && account.kind == AccountKind::Member;
        Ok(account.filter(|account| open.is_some() && may(account)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        let parse = |text: &str| MobileNumber::parse(text).map(|number| number.0).ok();
        for (text, number) in [
            ("+86 138 0000 0000", Some("+8613800000000")),
            ("13800000000", Some("+8613800000000")),
            ("0049 (151) 123-45678", Some("+4915112345678")),
            ("23800000000", None),
            ("+0123456789", None),
            ("+1234567", None),
            ("+1234567890123456", None),
            ("+86 138x0000000", None),
            ("１３８００００００００", None),
            ("", None),
        ] {
            assert_eq!(parse(text).as_deref(), number, "{text}");
        }
        assert_eq!(MobileNumber("+8613800001234".to_owned()).masked(), "+***1234");
    }
}
