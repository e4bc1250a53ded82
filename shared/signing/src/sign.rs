//! Signatures of letters.

use std::cell::OnceCell;

use mail_auth::common::crypto::{self, DkimKey, Ed25519Key, HashOutput, RsaKey, Sha256, SigningKey};
use mail_auth::common::headers::{HeaderWriter, Writable};
use mail_auth::dkim::DkimSigner;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{Algorithm, SigningError};

/// Fields that are signed whether they are there or not, and once more than they are there (RFC 6376 sections 5.4.1 and
/// 8.15): nobody adds another one that readers would show. Those of mailing lists may come on the way.
const ALWAYS: [&str; 12] = [
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
];
/// Fields that are signed if they are there (RFC 6376 section 5.4.1, RFC 8058 section 4).
const IF_THERE: [&str; 14] = [
    "Sender",
    "Resent-Date",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Auto-Submitted",
];

/// Signs letters of a domain with each of its active keys. May be kept for minutes: keys stay published for days.
pub struct Signer {
    pub(crate) domain: String,
    pub(crate) keys: Vec<(String, DkimKey)>,
}

impl Signer {
    pub(crate) fn of(domain: &str) -> Signer {
        Signer { domain: domain.to_owned(), keys: Vec::new() }
    }

    pub(crate) fn add(
        &mut self,
        algorithm: Algorithm,
        selector: &str,
        private: &[u8],
    ) -> Result<(), SigningError> {
        let private = match algorithm {
            Algorithm::Rsa => {
                let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(private));
                DkimKey::Rsa(RsaKey::from_key_der(der).map_err(|error| failed(&error))?)
            }
            Algorithm::Ed25519 => {
                DkimKey::Ed25519(Ed25519Key::from_pkcs8_der(private).map_err(|error| failed(&error))?)
            }
        };
        self.keys.push((selector.to_owned(), private));
        Ok(())
    }

    /// Has the domain no active key? Then nothing is signed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// `DKIM-Signature` fields to stand in front of the letter, with their line ends: one for each key, relaxed in header and
    /// body. The letter has CRLF ends of lines, and goes out exactly as it is given here.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign(&self, letter: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.copies_of(letter).sign(b"")
    }

    /// Signs copies of one letter.
    #[must_use]
    pub const fn copies_of<'a>(&'a self, letter: &'a [u8]) -> Copies<'a> {
        Copies { signer: self, letter, body: OnceCell::new() }
    }
}

/// A letter of which copies go out that differ in the fields before it: its body, which is the long part, is read for the
/// first signature only.
pub struct Copies<'a> {
    signer: &'a Signer,
    letter: &'a [u8],
    /// The hash of the body.
    body: OnceCell<HashOutput>,
}

impl Copies<'_> {
    /// What [`Signer::sign`] gives for the letter with these fields before it, each with its line end.
    ///
    /// # Errors
    /// [`SigningError`].
    pub fn sign(&self, before: &[u8]) -> Result<Vec<u8>, SigningError> {
        let names = signed_names([before, self.letter])?;
        let mut fields = Vec::new();
        for (selector, key) in &self.signer.keys {
            let key = KnownBody { key, body: &self.body };
            let signer = DkimSigner::from_key(key).domain(&self.signer.domain).selector(selector);
            let signature = signer.headers(names.iter().copied()).sign_chained([before, self.letter]);
            signature.map_err(|error| failed(&error))?.write_header(&mut fields);
            unfold_end(&mut fields);
        }
        Ok(fields)
    }
}

/// Where a line ends just before the last semicolon, puts that behind it. White space around the signature is nothing (RFC
/// 6376 section 3.7), but some verifiers leave what stands behind it where it is.
fn unfold_end(field: &mut Vec<u8>) {
    const FOLDED: &[u8] = b"\r\n\t;\r\n";
    if field.ends_with(FOLDED) {
        field.truncate(field.len() - FOLDED.len());
        field.extend_from_slice(b";\r\n");
    }
}

/// A key that the signature of one letter does not own, with the hash of the letter's body, once it is known: what is hashed
/// is the body, in the same form for every key.
struct KnownBody<'a> {
    key: &'a DkimKey,
    body: &'a OnceCell<HashOutput>,
}

impl SigningKey for KnownBody<'_> {
    type Hasher = Sha256;

    fn sign(&self, input: impl Writable) -> mail_auth::Result<Vec<u8>> {
        self.key.sign(input)
    }

    fn hash(&self, body: impl Writable) -> HashOutput {
        self.body.get_or_init(|| self.key.hash(body)).clone()
    }

    fn algorithm(&self) -> crypto::Algorithm {
        self.key.algorithm()
    }
}

/// The names of the fields that are signed, of fields and the letter behind them: what is named once more than it stands
/// there is signed as missing.
pub(crate) fn signed_names(parts: [&[u8]; 2]) -> Result<Vec<&'static str>, SigningError> {
    let mut is_letter = false;
    let mut there = [false; IF_THERE.len()];
    let is_field = |line: &&[u8]| !line.is_empty() && *line != b"\r";
    for line in parts.into_iter().flat_map(|part| part.split(|byte| *byte == b'\n').take_while(is_field)) {
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            continue;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
        is_letter |= name.eq_ignore_ascii_case(b"from");
        for (known, is_there) in IF_THERE.iter().zip(&mut there) {
            *is_there |= name.eq_ignore_ascii_case(known.as_bytes());
        }
    }
    if !is_letter {
        return Err(SigningError::NoHeader);
    }
    let twice = ALWAYS.into_iter().chain(ALWAYS);
    let found = IF_THERE.into_iter().zip(there).filter(|(_, is_there)| *is_there).map(|(name, _)| name);
    Ok(twice.chain(found).collect())
}

pub(crate) fn failed(error: &mail_auth::Error) -> SigningError {
    SigningError::Crypto(error.to_string())
}
