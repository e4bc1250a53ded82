//! Passkeys: WebAuthn Level 3 as its relying party. What an authenticator shows when a passkey is made, and when somebody
//! signs in with it, verified; nothing is read or written here.
//!
//! Owns nothing. Pure functions over bytes that anybody may have sent: whatever they are, the answer is a [`Refused`] and no
//! panic. Kept are ES256, EdDSA and RS256 keys; of attestation only its absence and self attestation are believed, since
//! nothing is asked of the make of an authenticator.
//!
//! That a challenge is used once, and by whom it was asked for, is the caller's to see to; so is what becomes of the counter.

mod authenticator;
mod client;
mod key;

use ciborium::Value;
use sha2::{Digest, Sha256};

pub use authenticator::{NewPasskey, is_later};
pub use client::{Challenge, challenge_in};
pub use key::{ALGORITHMS, PublicKey};

use authenticator::AuthenticatorData;
use client::Ceremony;

/// Why what was shown is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not in the form of WebAuthn.
    #[error("it is not in the form of WebAuthn")]
    Form,
    /// It was made for something else: another kind of ceremony, another challenge, another origin.
    #[error("it was made for another page or request")]
    Elsewhere,
    /// Nobody touched the authenticator.
    #[error("nobody was present")]
    NobodyPresent,
    /// A key of a kind that is not known here.
    #[error("a key of an algorithm that is not known here")]
    Algorithm,
    /// Attestation of a kind that was not asked for.
    #[error("attestation that was not asked for")]
    Attestation,
    /// The signature is wrong.
    #[error("the signature is wrong")]
    Signature,
}

/// What an authenticator shows with a new passkey (WebAuthn section 5.2.1).
#[derive(Clone, Copy)]
pub struct Registration<'a> {
    /// `clientDataJSON`.
    pub client_data: &'a [u8],
    /// `attestationObject`.
    pub attestation: &'a [u8],
}

/// What an authenticator shows with a passkey that there is (WebAuthn section 5.2.2).
#[derive(Clone, Copy)]
pub struct Assertion<'a> {
    /// `clientDataJSON`.
    pub client_data: &'a [u8],
    /// `authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// `signature`.
    pub signature: &'a [u8],
}

/// What an assertion says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asserted {
    /// The authenticator's counter of signatures; 0: it has none.
    pub counter: u32,
    /// The authenticator has looked who it was: by a PIN, a finger, a face.
    pub is_verified: bool,
}

/// The site for which passkeys are made: one host, over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty<'a> {
    host: &'a str,
}

impl<'a> RelyingParty<'a> {
    /// The site at a host, which is the RP ID, too.
    #[must_use]
    pub const fn at(host: &'a str) -> RelyingParty<'a> {
        RelyingParty { host }
    }

    /// The RP ID.
    #[must_use]
    pub const fn id(&self) -> &'a str {
        self.host
    }

    fn origin(&self) -> String {
        format!("https://{}", self.host)
    }

    /// Verifies a new passkey (WebAuthn section 7.1).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn register(&self, challenge: &Challenge, shown: &Registration<'_>) -> Result<NewPasskey, Refused> {
        client::check(shown.client_data, Ceremony::Create, challenge, &self.origin())?;
        let object = key::whole_value(shown.attestation)?;
        let member = |name: &str| text_member(&object, name).ok_or(Refused::Form);
        let bytes = member("authData")?.as_bytes().ok_or(Refused::Form)?;
        let data = AuthenticatorData::parse(bytes)?;
        self.check_data(&data)?;
        let passkey = data.passkey()?.ok_or(Refused::Form)?;
        let statement = member("attStmt")?;
        match member("fmt")?.as_text() {
            Some("none") => {}
            // Clients leave self attestation as it is where none is asked for (section 5.1.3).
            Some("packed") if text_member(statement, "x5c").is_none() => {
                let signature =
                    text_member(statement, "sig").and_then(Value::as_bytes).ok_or(Refused::Form)?;
                let message = signed(bytes, shown.client_data);
                passkey.key.verify(&message, signature)?;
            }
            _ => return Err(Refused::Attestation),
        }
        Ok(passkey)
    }

    /// Verifies that somebody has the passkey with this key (WebAuthn section 7.2).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(
        &self,
        challenge: &Challenge,
        key: &PublicKey,
        shown: &Assertion<'_>,
    ) -> Result<Asserted, Refused> {
        client::check(shown.client_data, Ceremony::Get, challenge, &self.origin())?;
        let data = AuthenticatorData::parse(shown.authenticator_data)?;
        self.check_data(&data)?;
        key.verify(&signed(shown.authenticator_data, shown.client_data), shown.signature)?;
        Ok(Asserted { counter: data.counter, is_verified: data.is_verified() })
    }

    fn check_data(&self, data: &AuthenticatorData<'_>) -> Result<(), Refused> {
        if data.site != Sha256::digest(self.host.as_bytes()).as_slice() {
            return Err(Refused::Elsewhere);
        }
        if data.is_present() { Ok(()) } else { Err(Refused::NobodyPresent) }
    }
}

/// What authenticators sign.
fn signed(authenticator_data: &[u8], client_data: &[u8]) -> Vec<u8> {
    let mut message = authenticator_data.to_vec();
    message.extend_from_slice(&Sha256::digest(client_data));
    message
}

fn text_member<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    let found = map.as_map()?.iter().find(|(key, _)| key.as_text() == Some(name));
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
