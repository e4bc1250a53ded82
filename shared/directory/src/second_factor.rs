//! The second factor: codes of an authenticator (TOTP, RFC 6238), codes that go by SMS to the number that its owner has
//! proved ([`crate::mobile`]), and recovery codes (AUT-11).
//!
//! Owns the control items `T/second-factors`, `A`. The secret of the authenticator has to be stored so that it can be read,
//! since codes are made from it: it is sealed (`factor_item`). It is told once, when it is set up, and is in no list and no
//! log. Of recovery codes, 80 random bits each, the SHA-256 is stored.
//!
//! Invariants: a code opens once: the step of the last one is remembered, and only later ones are good; a recovery code is
//! taken away by the compare-and-set that accepts it. Wrong codes are counted, slow and lock as wrong passwords do, by
//! counters of their own, which a right password does not clear. With a second factor the password alone opens no mail
//! program any more ([`Directory::sign_in`]); tokens do.

use pennypost_model::{AccountKey, Timestamp};
use pennypost_ports::Expected;
use ring::hmac;
use sha2::{Digest, Sha256};

use crate::factor_item::{Authenticator, FactorItem, SECRET, factor_key};
use crate::mobile::MOBILE_CODE_DIGITS;
use crate::sign_in::{Checked, Subject, flatten, or_refuse};
use crate::standing::Attempt;
use crate::store::MAX_ATTEMPTS;
use crate::throttle::{Counters, Whose};
use crate::{Directory, DirectoryError, SignInError, SignInOutcome};

/// Milliseconds of a step (RFC 6238 section 4.1).
const STEP: i64 = 30_000;
/// Steps before and after that are accepted, for clocks that go wrong (RFC 6238 section 5.2).
const DRIFT: i64 = 1;
/// Digits of a code.
const CODE_DIGITS: usize = 6;
/// Recovery codes that are made at once.
pub const RECOVERY_CODES: usize = 10;
/// Bytes of a recovery code.
const RECOVERY: usize = 10;
/// How long a secret that was made may wait for its first code.
const PENDING: i64 = 15 * 60 * 1000;

/// A secret that was made, for the authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuthenticator {
    /// In base32, for typing.
    pub secret: String,
    /// `otpauth:` address, for a QR code.
    pub address: String,
}

/// What may be told of a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondFactor {
    /// Since when.
    pub since: Timestamp,
    /// Recovery codes that were not used.
    pub recovery_codes: usize,
    /// Codes of an authenticator are good.
    pub authenticator: bool,
    /// Codes that went by SMS to the owner's number are good.
    pub sms: bool,
}

/// What opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// A code of the authenticator.
    Authenticator,
    /// A recovery code, which is gone now.
    Recovery,
    /// A code that went by SMS, which is gone now.
    Sms,
}

/// The code of a step (RFC 4226 section 5.3).
fn code(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0xf);
    let word = bytes.get(offset..offset + 4).and_then(|four| four.try_into().ok()).unwrap_or_default();
    u32::from_be_bytes(word) & 0x7fff_ffff
}

/// The step of which this is the code, if one that is still good is.
fn step_of(secret: &[u8], said: u32, now: Timestamp, last_step: i64) -> Option<i64> {
    let here = now.0.div_euclid(STEP);
    let modulus = 10_u32.pow(CODE_DIGITS as u32);
    // All are looked at, so that the time tells nothing.
    let mut found = None;
    for step in here - DRIFT..=here + DRIFT {
        if code(secret, step) % modulus == said && step > last_step {
            found = Some(step);
        }
    }
    found
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// RFC 4648 section 6; lengths here are multiples of five.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut word = [0; 8];
        word[3..3 + group.len()].copy_from_slice(group);
        let word = u64::from_be_bytes(word);
        for place in (0..8).rev() {
            text.push(char::from(BASE32[(word >> (5 * place) & 31) as usize]));
        }
    }
    text
}

fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// A code as it may be written: blanks and hyphens are nobody's, letters have no case.
fn plain(said: &str) -> String {
    let is_meant = |c: &char| !c.is_whitespace() && *c != '-';
    said.chars().filter(is_meant).take(64).map(|c| c.to_ascii_uppercase()).collect()
}

/// Could it be a code that went by SMS? Those of authenticators are shorter, recovery codes longer.
fn is_sms_code(said: &str) -> bool {
    said.len() == MOBILE_CODE_DIGITS && said.bytes().all(|byte| byte.is_ascii_digit())
}

fn fresh_codes() -> (Vec<String>, Vec<[u8; 32]>) {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    let mut hashes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let text = base32(&rand::random::<[u8; RECOVERY]>());
        hashes.push(Sha256::digest(text.as_bytes()).into());
        let parts: Vec<&str> = (0..text.len()).step_by(4).filter_map(|at| text.get(at..at + 4)).collect();
        codes.push(parts.join("-"));
    }
    (codes, hashes)
}

impl FactorItem {
    /// Takes a code, if it is good.
    fn take(&mut self, said: &str, now: Timestamp) -> Option<CodeKind> {
        let said = plain(said);
        let is_code = said.len() == CODE_DIGITS && said.bytes().all(|byte| byte.is_ascii_digit());
        if is_code {
            let authenticator = self.authenticator.as_mut()?;
            let step = step_of(&authenticator.secret, said.parse().ok()?, now, authenticator.last_step)?;
            authenticator.last_step = step;
            return Some(CodeKind::Authenticator);
        }
        let hash = <[u8; 32]>::from(Sha256::digest(said.as_bytes()));
        let place = self.recovery.iter().position(|one| *one == hash)?;
        self.recovery.remove(place);
        Some(CodeKind::Recovery)
    }

    /// Takes a code of any kind; `is_sms`: it is one that went to the owner's number.
    fn take_any(&mut self, said: &str, is_sms: bool, now: Timestamp) -> Option<CodeKind> {
        if is_sms { self.sms.map(|_| CodeKind::Sms) } else { self.take(said, now) }
    }
}

impl Directory {
    /// The second factor of an account, if it has one.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn second_factor(&self, key: AccountKey) -> Result<Option<SecondFactor>, DirectoryError> {
        let held = self.sealed_factor(key).await?;
        Ok(held.and_then(|held| {
            let FactorItem { authenticator, recovery, sms, .. } = held.value;
            let since = authenticator.as_ref().map(|found| found.since).into_iter().chain(sms).min()?;
            let (authenticator, sms) = (authenticator.is_some(), sms.is_some());
            Some(SecondFactor { since, recovery_codes: recovery.len(), authenticator, sms })
        }))
    }

    /// Does the password alone open no mail program?
    pub(crate) async fn has_second_factor(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        Ok(self.second_factor(key).await?.is_some())
    }

    /// Makes a secret for an authenticator. It counts from its first code on ([`Directory::finish_authenticator`]); until
    /// then one that is there goes on.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn begin_authenticator(&self, key: AccountKey) -> Result<NewAuthenticator, DirectoryError> {
        let account = self.account(key).await?.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
        let bytes: [u8; SECRET] = rand::random();
        let now = self.clock.now();
        self.change_factor(key, |item| item.pending = Some((bytes, now))).await?;
        let secret = base32(&bytes);
        let issuer = percent(account.address.domain().as_str());
        let label = percent(&account.address.to_string());
        let address = format!("otpauth://totp/{issuer}:{label}?secret={secret}&issuer={issuer}");
        Ok(NewAuthenticator { secret, address })
    }

    async fn change_factor<R>(
        &self,
        key: AccountKey,
        mut change: impl FnMut(&mut FactorItem) -> R,
    ) -> Result<R, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let held = self.opened_factor(key).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut item = held.map(|held| held.value).unwrap_or_default();
            let result = change(&mut item);
            if self.write_factor(key, &item, expected).await? {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// The authenticator with the secret that was made has shown its first code: it counts from now on, in the place of
    /// another one. The recovery codes, which are told once; earlier ones are worth nothing.
    ///
    /// # Errors
    /// [`SignInError::Denied`] for a wrong code or when no secret waits for one, or as [`Directory::check_code`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_authenticator(
        &self,
        key: AccountKey,
        said: &str,
        attempt: &Attempt,
    ) -> Result<Vec<String>, SignInError> {
        let said = plain(said);
        let now = self.clock.now();
        let (codes, hashes) = fresh_codes();
        let finish = |item: &mut FactorItem| {
            let (secret, made) = item.pending?;
            let is_waiting = now.0.saturating_sub(made.0) < PENDING;
            let step = step_of(&secret, said.parse().ok().filter(|_| said.len() == CODE_DIGITS)?, now, 0)?;
            if !is_waiting {
                return None;
            }
            item.authenticator = Some(Authenticator { secret, last_step: step, since: now });
            (item.pending, item.recovery) = (None, hashes.clone());
            Some(CodeKind::Authenticator)
        };
        self.checked_code(key, attempt, None, |item, _| finish(item)).await?;
        Ok(codes)
    }

    /// The code was said that went to the owner's number: codes that go there are a second factor from now on. Recovery codes,
    /// which are told once, if there was no second factor before; else none.
    ///
    /// # Errors
    /// [`SignInError::Denied`] for a wrong code, or as [`Directory::check_code`].
    #[pennypost_ports::compiled_here]
    pub async fn finish_sms_factor(
        &self,
        key: AccountKey,
        said: &str,
        attempt: &Attempt,
    ) -> Result<Vec<String>, SignInError> {
        let now = self.clock.now();
        let (codes, hashes) = fresh_codes();
        let mut is_first = false;
        let finish = |item: &mut FactorItem, is_sms: bool| {
            if !is_sms {
                return None;
            }
            is_first = item.authenticator.is_none() && item.sms.is_none();
            if is_first {
                item.recovery.clone_from(&hashes);
            }
            item.sms = item.sms.or(Some(now));
            Some(CodeKind::Sms)
        };
        self.checked_code(key, attempt, Some(said), finish).await?;
        Ok(if is_first { codes } else { Vec::new() })
    }

    /// Checks a code of the authenticator, one that went by SMS, or a recovery code, and uses it up. A refusal is in the record
    /// of sign-ins.
    ///
    /// # Errors
    /// [`SignInError::Denied`] for a wrong code or one that was used, [`SignInError::TooManyFailures`],
    /// [`SignInError::Unavailable`].
    #[pennypost_ports::compiled_here]
    pub async fn check_code(
        &self,
        key: AccountKey,
        said: &str,
        attempt: &Attempt,
    ) -> Result<CodeKind, SignInError> {
        let now = self.clock.now();
        self.checked_code(key, attempt, Some(said), |item, is_sms| item.take_any(said, is_sms, now)).await
    }

    /// Takes a code from somebody who has shown who he is. A refusal is in the record of sign-ins.
    async fn checked_code(
        &self,
        key: AccountKey,
        attempt: &Attempt,
        by_sms: Option<&str>,
        take: impl FnMut(&mut FactorItem, bool) -> Option<CodeKind>,
    ) -> Result<CodeKind, SignInError> {
        let mut subject = Subject::default();
        let checked = flatten(self.try_code(key, attempt, by_sms, take, &mut subject).await);
        if let Err(error) = &checked {
            let account = self.account(key).await.ok().flatten();
            let login = account.map(|account| account.address.to_string()).unwrap_or_default();
            let (tenant, account) = (Some(key.tenant), Some(key.account));
            self.record_refusal(attempt, &Subject { tenant, login, account, ..subject }, error);
        }
        checked
    }

    /// Takes the code that somebody shows with his password, or, if it is not one by SMS, with what went to his number; what
    /// came of it is told in `subject`.
    pub(crate) async fn take_code(
        &self,
        key: AccountKey,
        (said, may_be_sms): (&str, bool),
        attempt: &Attempt,
        subject: &mut Subject,
    ) -> Checked<CodeKind> {
        let now = self.clock.now();
        let take = |item: &mut FactorItem, is_sms: bool| item.take_any(said, is_sms, now);
        self.try_code(key, attempt, may_be_sms.then_some(said), take, subject).await
    }

    async fn try_code(
        &self,
        key: AccountKey,
        attempt: &Attempt,
        by_sms: Option<&str>,
        mut take: impl FnMut(&mut FactorItem, bool) -> Option<CodeKind>,
        subject: &mut Subject,
    ) -> Checked<CodeKind> {
        let gate = self.gate(key).await?;
        let counters = Counters::new(Whose::Codes(key), &gate, attempt.client, self.clock.now());
        // One after the other: else many at once would all pass before the first failure is counted.
        let _turn = self.turn_of(&format!("second factor of {key}")).await?;
        or_refuse!(self.unbarred(&counters).await?);
        // It is gone from here on: whoever dies now asks for another one.
        let is_sms = match by_sms.map(plain) {
            Some(said) if is_sms_code(&said) => self.take_factor_code(key, &said).await?,
            _ => false,
        };
        for _ in 0..MAX_ATTEMPTS {
            let held = self.opened_factor(key).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut item = held.map(|held| held.value).unwrap_or_default();
            let Some(kind) = take(&mut item, is_sms) else {
                subject.outcome = Some(SignInOutcome::WrongCode);
                subject.locked = self.count_failure(&counters, attempt.client).await?;
                return Ok(Err(SignInError::Denied));
            };
            // Who lost looks again: the code of the other one is used up.
            if self.write_factor(key, &item, expected).await? {
                self.forget_failures(&counters).await?;
                self.note_network(key, &gate, attempt.client).await?;
                return Ok(Ok(kind));
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Makes recovery codes in the place of those that there were; `None` if there is no second factor.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn new_recovery_codes(&self, key: AccountKey) -> Result<Option<Vec<String>>, DirectoryError> {
        if !self.has_second_factor(key).await? {
            return Ok(None);
        }
        let (codes, hashes) = fresh_codes();
        self.change_factor(key, |item| item.recovery.clone_from(&hashes)).await?;
        Ok(Some(codes))
    }

    /// Takes the authenticator away; `false` if there was none.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_authenticator(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        self.remove_part(key, |item| item.authenticator.take().is_some()).await
    }

    /// Codes by SMS are no second factor any more; `false` if they were none.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_sms_factor(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        self.remove_part(key, |item| item.sms.take().is_some()).await
    }

    /// Takes a part of the second factor away, and the recovery codes with the last one.
    async fn remove_part(
        &self,
        key: AccountKey,
        mut part: impl FnMut(&mut FactorItem) -> bool,
    ) -> Result<bool, DirectoryError> {
        if !self.has_second_factor(key).await? {
            return Ok(false);
        }
        self.change_factor(key, |item| {
            let was_there = part(item);
            if item.authenticator.is_none() && item.sms.is_none() {
                item.recovery.clear();
            }
            was_there
        })
        .await
    }

    /// Takes the whole second factor away; `false` if there was none.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_second_factor(&self, key: AccountKey) -> Result<bool, DirectoryError> {
        let was_there = self.has_second_factor(key).await?;
        self.erase(&factor_key(key)).await?;
        Ok(was_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, the last six of eight digits, and RFC 4226 appendix D.
    #[test]
    fn codes_are_those_of_the_rfcs() {
        let secret = b"12345678901234567890";
        for (seconds, expected) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000_i64, 353_130),
        ] {
            assert_eq!(code(secret, seconds / 30) % 1_000_000, expected, "{seconds}");
        }
        assert_eq!(code(secret, 0) % 1_000_000, 755_224);
        assert_eq!(code(secret, 9) % 1_000_000, 520_489);
    }

    #[test]
    fn a_code_is_good_for_a_step_around_and_once() {
        let secret = b"12345678901234567890";
        let now = Timestamp(1_111_111_111_000);
        let here = now.0 / STEP;
        let said = |step: i64| code(secret, step) % 1_000_000;
        for (step, is_good) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            assert_eq!(step_of(secret, said(here + step), now, 0).is_some(), is_good, "{step}");
        }
        let mut item = FactorItem {
            authenticator: Some(Authenticator { secret: *secret, last_step: 0, since: now }),
            ..FactorItem::default()
        };
        let text = format!("{:06}", said(here));
        let spaced = format!(" {} {} ", &text[..3], &text[3..]);
        assert_eq!(item.take(&spaced, now), Some(CodeKind::Authenticator));
        assert_eq!(item.take(&text, now), None);
        // Nor one from before it.
        assert_eq!(item.take(&format!("{:06}", said(here - 1)), now), None);
        assert_eq!(item.take(&format!("{:06}", said(here + 1)), now), Some(CodeKind::Authenticator));
    }

    #[test]
    fn recovery_codes_are_good_once_however_they_are_written() {
        let now = Timestamp(1_111_111_111_000);
        let (codes, recovery) = fresh_codes();
        assert_eq!((codes.len(), codes[0].len()), (RECOVERY_CODES, 19));
        let authenticator = Some(Authenticator { secret: [7; SECRET], last_step: 0, since: now });
        let mut item = FactorItem { authenticator, pending: None, recovery, sms: None };
        let written = codes[3].replace('-', " ").to_lowercase();
        assert_eq!(item.take(&written, now), Some(CodeKind::Recovery));
        assert_eq!(item.take(&codes[3], now), None);
        assert_eq!(item.recovery.len(), RECOVERY_CODES - 1);
        for bad in ["", "-", "AAAA-BBBB-CCCC-DDDD", "000", &"A".repeat(10_000)] {
            assert_eq!(item.take(bad, now), None, "{bad:.20}");
        }
    }

    /// RFC 4648 section 10.
    #[test]
    fn base32_is_that_of_the_rfc() {
        assert_eq!(base32(b"fooba"), "MZXW6YTB");
        assert_eq!(base32(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
