//! What the authenticator says: authenticator data (WebAuthn section 6.1).

use crate::Refused;
use crate::key::{PublicKey, first_value};

/// Bytes before what a new passkey adds.
const HEAD: usize = 32 + 1 + 4;
/// Bytes of the number of the make, and of the length of the credential's id.
const MAKE: usize = 16;
/// Bytes of a credential's id (WebAuthn section 4).
const MAX_ID: usize = 1023;

const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const MAY_BE_BACKED_UP: u8 = 1 << 3;
const IS_BACKED_UP: u8 = 1 << 4;
const HAS_PASSKEY: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// A passkey that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// Its id, at most 1,023 bytes.
    pub id: Vec<u8>,
    /// Its key.
    pub key: PublicKey,
    /// The authenticator's counter.
    pub counter: u32,
    /// The authenticator has looked who it was.
    pub is_verified: bool,
    /// It may lie on more than one device.
    pub is_synced: bool,
}

/// Authenticator data, taken apart.
pub(crate) struct AuthenticatorData<'a> {
    /// SHA-256 of the RP ID.
    pub(crate) site: &'a [u8],
    pub(crate) counter: u32,
    flags: u8,
    rest: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<AuthenticatorData<'a>, Refused> {
        let (head, rest) = bytes.split_at_checked(HEAD).ok_or(Refused::Form)?;
        let (site, head) = head.split_at(32);
        let (&flags, counter) = head.split_first().ok_or(Refused::Form)?;
        let counter = u32::from_be_bytes(counter.try_into().map_err(|_| Refused::Form)?);
        let data = AuthenticatorData { site, counter, flags, rest };
        // What may not be backed up is not (section 6.1.3).
        let is_odd = data.has(IS_BACKED_UP) && !data.has(MAY_BE_BACKED_UP);
        if is_odd { Err(Refused::Form) } else { Ok(data) }
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) const fn is_present(&self) -> bool {
        self.has(PRESENT)
    }

    pub(crate) const fn is_verified(&self) -> bool {
        self.has(VERIFIED)
    }

    /// The passkey in it, if one was made.
    pub(crate) fn passkey(&self) -> Result<Option<NewPasskey>, Refused> {
        if !self.has(HAS_PASSKEY) {
            return Ok(None);
        }
        let rest = self.rest.get(MAKE..).ok_or(Refused::Form)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Refused::Form)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if !(1..=MAX_ID).contains(&length) {
            return Err(Refused::Form);
        }
        let (id, rest) = rest.split_at_checked(length).ok_or(Refused::Form)?;
        let (key, rest) = first_value(rest)?;
        if rest.is_empty() == self.has(HAS_EXTENSIONS) {
            return Err(Refused::Form);
        }
        Ok(Some(NewPasskey {
            id: id.to_vec(),
            key: PublicKey::parse(&key)?,
            counter: self.counter,
            is_verified: self.is_verified(),
            is_synced: self.has(MAY_BE_BACKED_UP),
        }))
    }
}

/// Does a counter go on from the one before? Of authenticators that have none it stays 0. One that does not go on was
/// copied, or its copy was used (WebAuthn section 6.1.1).
#[must_use]
pub const fn is_later(shown: u32, before: u32) -> bool {
    (shown == 0 && before == 0) || shown > before
}
