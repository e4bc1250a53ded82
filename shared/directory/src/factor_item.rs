//! Second factors as stored: the secrets of authenticators are sealed, where there is a key to seal them with.

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountKey, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected, PortError};
use serde::{Deserialize, Serialize};

use crate::store::Held;
use crate::{Directory, DirectoryError};

/// Bytes of a secret (RFC 4226 section 4, R6).
pub(crate) const SECRET: usize = 20;

/// An authenticator, with its secret in some form.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Authenticator<S = [u8; SECRET]> {
    pub(crate) secret: S,
    /// No code of this step or an earlier one is good any more.
    pub(crate) last_step: i64,
    pub(crate) since: Timestamp,
}

/// A second factor. Has no `Debug`, so that it gets into no log.
#[derive(Serialize, Deserialize)]
pub(crate) struct FactorItem<S = [u8; SECRET]> {
    pub(crate) authenticator: Option<Authenticator<S>>,
    /// Made, but not yet used.
    pub(crate) pending: Option<(S, Timestamp)>,
    pub(crate) recovery: Vec<[u8; 32]>,
    /// Since when codes by SMS are one, which go to the number that its owner has proved ([`crate::mobile`]).
    pub(crate) sms: Option<Timestamp>,
}

/// As stored before codes went by SMS.
#[derive(Serialize, Deserialize)]
struct FactorItemV2<S> {
    authenticator: Option<Authenticator<S>>,
    pending: Option<(S, Timestamp)>,
    recovery: Vec<[u8; 32]>,
}

impl<S> Default for FactorItem<S> {
    fn default() -> FactorItem<S> {
        FactorItem { authenticator: None, pending: None, recovery: Vec::new(), sms: None }
    }
}

/// A secret as stored.
#[derive(Serialize, Deserialize)]
pub(crate) enum Stored {
    /// As it is, where there was no key to seal it with.
    Plain([u8; SECRET]),
    /// Sealed for its place.
    Sealed(Vec<u8>),
}

impl Versioned for FactorItem<Stored> {
    const KIND: &'static str = "second factor";
    const VERSION: u8 = 3;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<FactorItem<Stored>, CodecError> {
        let FactorItemV2 { authenticator, pending, recovery } = match found {
            1 => decode_plain::<FactorItemV2<[u8; SECRET]>>(Self::KIND, bytes)?,
            2 => {
                let FactorItemV2 { authenticator, pending, recovery } = decode_plain(Self::KIND, bytes)?;
                return Ok(FactorItem { authenticator, pending, recovery, sms: None });
            }
            _ => return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        };
        let authenticator = authenticator.map(|Authenticator { secret, last_step, since }| Authenticator {
            secret: Stored::Plain(secret),
            last_step,
            since,
        });
        let pending = pending.map(|(secret, made)| (Stored::Plain(secret), made));
        Ok(FactorItem { authenticator, pending, recovery, sms: None })
    }
}

pub(crate) fn factor_key(key: AccountKey) -> ControlKey {
    ControlKey::new(format!("{}/second-factors", key.tenant), key.account.to_string())
}

/// Where a secret lies, for what seals it.
fn place(key: AccountKey) -> String {
    format!("{}/second-factors/{}", key.tenant, key.account)
}

impl Directory {
    /// The second factor of an account with its secrets as they are stored.
    pub(crate) async fn sealed_factor(
        &self,
        key: AccountKey,
    ) -> Result<Option<Held<FactorItem<Stored>>>, DirectoryError> {
        self.read(&factor_key(key), Consistency::Strong).await
    }

    /// The second factor of an account.
    pub(crate) async fn opened_factor(
        &self,
        key: AccountKey,
    ) -> Result<Option<Held<FactorItem>>, DirectoryError> {
        let Some(Held { value, version }) = self.sealed_factor(key).await? else { return Ok(None) };
        let FactorItem { authenticator, pending, recovery, sms } = value;
        let authenticator = match authenticator {
            Some(Authenticator { secret, last_step, since }) => {
                Some(Authenticator { secret: self.open_secret(key, &secret).await?, last_step, since })
            }
            None => None,
        };
        let pending = match pending {
            Some((secret, made)) => Some((self.open_secret(key, &secret).await?, made)),
            None => None,
        };
        Ok(Some(Held { value: FactorItem { authenticator, pending, recovery, sms }, version }))
    }

    /// Writes a second factor, sealed; `false` if it is another one by now.
    pub(crate) async fn write_factor(
        &self,
        key: AccountKey,
        item: &FactorItem,
        expected: Expected,
    ) -> Result<bool, DirectoryError> {
        let authenticator = match &item.authenticator {
            Some(Authenticator { secret, last_step, since }) => Some(Authenticator {
                secret: self.seal_secret(key, secret).await?,
                last_step: *last_step,
                since: *since,
            }),
            None => None,
        };
        let pending = match &item.pending {
            Some((secret, made)) => Some((self.seal_secret(key, secret).await?, *made)),
            None => None,
        };
        let stored = FactorItem { authenticator, pending, recovery: item.recovery.clone(), sms: item.sms };
        Ok(self.write(&factor_key(key), &stored, expected).await?.is_some())
    }

    async fn open_secret(&self, key: AccountKey, stored: &Stored) -> Result<[u8; SECRET], DirectoryError> {
        let sealed = match stored {
            Stored::Plain(secret) => return Ok(*secret),
            Stored::Sealed(sealed) => sealed,
        };
        let missing = || PortError::NotFound { port: "secrets", what: "keys".to_owned() };
        let opened = self.secrets.as_ref().ok_or_else(missing)?.open(&place(key), sealed).await?;
        let damaged = |_| PortError::Damaged { port: "secrets", cause: "no secret of codes".to_owned() };
        Ok(opened.try_into().map_err(damaged)?)
    }

    async fn seal_secret(&self, key: AccountKey, secret: &[u8; SECRET]) -> Result<Stored, DirectoryError> {
        match &self.secrets {
            Some(secrets) => Ok(Stored::Sealed(secrets.seal(&place(key), secret).await?)),
            None => Ok(Stored::Plain(*secret)),
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode, encode_plain};

    use super::*;

    const NOW: Timestamp = Timestamp(1_111_111_111_000);

    /// What was stored before secrets were sealed is read as it was.
    #[test]
    fn items_of_the_version_before_are_read() {
        let old: FactorItemV2<[u8; SECRET]> = FactorItemV2 {
            authenticator: Some(Authenticator { secret: [7; SECRET], last_step: 5, since: NOW }),
            pending: Some(([8; SECRET], NOW)),
            recovery: vec![[9; 32]],
        };
        let read: FactorItem<Stored> = decode(&encode_plain(&old, 1)).expect("read");
        let authenticator = read.authenticator.as_ref().expect("an authenticator");
        assert!(matches!(authenticator.secret, Stored::Plain(secret) if secret == [7; SECRET]));
        assert_eq!((authenticator.last_step, authenticator.since), (5, NOW));
        assert!(matches!(read.pending, Some((Stored::Plain(secret), NOW)) if secret == [8; SECRET]));
        assert_eq!(read.recovery, [[9; 32]]);
        assert_eq!((encode(&read)[0], read.sms), (3, None));
        let sealed = FactorItemV2 {
            authenticator: None,
            pending: Some((Stored::Sealed(vec![7]), NOW)),
            recovery: Vec::new(),
        };
        let read: FactorItem<Stored> = decode(&encode_plain(&sealed, 2)).expect("read");
        assert!(
            matches!(read.pending, Some((Stored::Sealed(sealed), NOW)) if sealed == [7])
                && read.sms.is_none()
        );
        assert!(decode::<FactorItem<Stored>>(&[4]).is_err());
    }
}
