//! The keys of a domain in the control table.

use std::sync::Arc;

use pennypost_model::codec::{decode, encode};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Consistency, Control, ControlKey, Expected, PortError, Put, Secrets};
use zeroize::Zeroizing;

use crate::make::make;
use crate::{Algorithm, DomainKey, DomainKeys, KeyState, Signer, SigningError};

/// How often a change begins again behind others.
const MAX_ATTEMPTS: usize = 32;

/// The keys of domains. Cheap to clone.
#[derive(Clone)]
pub struct KeyStore {
    control: Arc<dyn Control>,
}

fn key(tenant: TenantId, domain: &str) -> ControlKey {
    ControlKey::new(format!("{tenant}/domain-keys"), domain)
}

/// Where a private key lies, for what seals it.
fn place(tenant: TenantId, domain: &str, selector: &str) -> String {
    format!("{tenant}/domain-keys/{domain}/{selector}")
}

impl KeyStore {
    /// Over that port.
    #[must_use]
    pub fn new(control: Arc<dyn Control>) -> KeyStore {
        KeyStore { control }
    }

    async fn load(
        &self,
        key: &ControlKey,
        consistency: Consistency,
    ) -> Result<(DomainKeys, Expected), SigningError> {
        match self.control.get(key, consistency).await? {
            Some(item) => Ok((decode(&item.value)?, Expected::Version(item.version))),
            None => Ok((DomainKeys::default(), Expected::Absent)),
        }
    }

    /// The keys of a domain in A-labels. One read.
    ///
    /// # Errors
    /// [`SigningError`].
    #[pennypost_ports::compiled_here]
    pub async fn keys(&self, tenant: TenantId, domain: &str) -> Result<DomainKeys, SigningError> {
        Ok(self.load(&key(tenant, domain), Consistency::Strong).await?.0)
    }

    /// Changes the keys of a domain: reads, and writes if something is different then; `change` may be called again if
    /// others were faster.
    ///
    /// # Errors
    /// [`SigningError`]; what `change` refuses is not written.
    pub async fn change<R, E: From<SigningError>>(
        &self,
        tenant: TenantId,
        domain: &str,
        mut change: impl FnMut(&mut DomainKeys) -> Result<R, E>,
    ) -> Result<R, E> {
        let key = key(tenant, domain);
        for _ in 0..MAX_ATTEMPTS {
            let (stored, expected) = self.load(&key, Consistency::Strong).await?;
            let mut keys = stored.clone();
            let result = change(&mut keys)?;
            if keys == stored || self.write(&key, &keys, expected).await? {
                return Ok(result);
            }
        }
        Err(SigningError::Contended.into())
    }

    async fn write(
        &self,
        key: &ControlKey,
        keys: &DomainKeys,
        expected: Expected,
    ) -> Result<bool, SigningError> {
        let put = self.control.put_if(key, &encode(keys), expected).await?;
        Ok(matches!(put, Put::Stored(_)))
    }

    /// Makes a key that waits for its record, under a selector of the day. A call that is repeated finds that one waits.
    ///
    /// # Errors
    /// [`SigningError::Waits`], [`SigningError::TooMany`], or the ports'.
    #[pennypost_ports::compiled_here]
    pub async fn add(
        &self,
        secrets: &dyn Secrets,
        (tenant, domain): (TenantId, &str),
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<DomainKey, SigningError> {
        let key = key(tenant, domain);
        self.load(&key, Consistency::Strong).await?.0.has_room(algorithm)?;
        let pair = tokio::task::spawn_blocking(move || make(algorithm)).await;
        let pair = pair.map_err(|error| SigningError::Crypto(error.to_string()))??;
        for _ in 0..MAX_ATTEMPTS {
            let (mut keys, expected) = self.load(&key, Consistency::Strong).await?;
            keys.has_room(algorithm)?;
            let selector = keys.free_selector(algorithm, now);
            let private = secrets.seal(&place(tenant, domain, &selector), &pair.private).await?;
            let made = DomainKey {
                selector,
                algorithm,
                state: KeyState::Waiting,
                public: pair.public.clone(),
                private: Some(private),
                made: now,
                since: now,
            };
            keys.keys.push(made.clone());
            if self.write(&key, &keys, expected).await? {
                return Ok(made);
            }
        }
        Err(SigningError::Contended)
    }

    /// Forgets the keys of a domain, private halves and all.
    ///
    /// # Errors
    /// [`SigningError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget(&self, tenant: TenantId, domain: &str) -> Result<(), SigningError> {
        let key = key(tenant, domain);
        for _ in 0..MAX_ATTEMPTS {
            let Some(item) = self.control.get(&key, Consistency::Strong).await? else { return Ok(()) };
            if self.control.delete_if(&key, item.version).await? {
                return Ok(());
            }
        }
        Err(SigningError::Contended)
    }

    /// What signs letters of a domain, with each of its active keys: none, where the domain has none. One read, which may
    /// miss what was changed a moment ago: a key that is no longer active is still published then.
    ///
    /// # Errors
    /// [`SigningError`].
    #[pennypost_ports::compiled_here]
    pub async fn signer(
        &self,
        secrets: &dyn Secrets,
        tenant: TenantId,
        domain: &str,
    ) -> Result<Signer, SigningError> {
        let keys = self.load(&key(tenant, domain), Consistency::Eventual).await?.0;
        let mut signer = Signer::of(domain);
        for key in keys.active() {
            let place = place(tenant, domain, &key.selector);
            let missing =
                || PortError::Damaged { port: "control", cause: format!("{place} has no private key") };
            let sealed = key.private.as_ref().ok_or_else(missing)?;
            let private = Zeroizing::new(secrets.open(&place, sealed).await?);
            signer.add(key.algorithm, &key.selector, &private)?;
        }
        Ok(signer)
    }
}
