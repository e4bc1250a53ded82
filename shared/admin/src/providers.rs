//! Providers of identities (AUT-01): which ones let members of a tenant in, by OpenID Connect.
//!
//! All of a tenant's are one item, `T`/`providers`, each with its client secret, sealed for the number of the provider. Who
//! configures one can let himself in as anybody of the tenant: that is the creator's, and the operator's, who confirm it.
//! It takes no second administrator, since there is one creator only.

use std::fmt;
use std::str::FromStr;

use pennypost_directory::MAX_PROVIDERS;
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_openid::Place;
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Scope, Why};
use crate::call::{About, Call};
use crate::{AdminError, Administration, Invalid};

/// Characters of a name, and of what a provider calls us.
const MAX_NAME: usize = 100;
const MAX_CLIENT: usize = 255;
/// Bytes of a client secret.
const MAX_SECRET: usize = 1_024;

/// The number of a provider. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProviderId(pub u64);

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for ProviderId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<ProviderId, Self::Err> {
        u64::from_str_radix(text, 16).map(ProviderId)
    }
}

/// Whom a provider lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Matching {
    /// Members who have bound themselves to it.
    Bound,
    /// These, and whose address it says that it has verified.
    Email,
}

impl Matching {
    /// Its name in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Matching::Bound => "bound",
            Matching::Email => "email",
        }
    }
}

/// A provider as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its number.
    pub id: ProviderId,
    /// What members call it.
    pub name: String,
    /// Who it is. Does not change: another issuer is another provider.
    pub issuer: String,
    /// As whom we are known to it.
    pub client: String,
    /// Whom it lets in.
    pub matching: Matching,
    /// It lets anybody in at all.
    pub on: bool,
    /// Since when it is known here.
    pub created: Timestamp,
}

/// A provider that is wished for.
#[derive(Clone)]
pub struct NewProvider {
    /// What members call it.
    pub name: String,
    /// Who it is.
    pub issuer: String,
    /// As whom we are known to it.
    pub client: String,
    /// What shows it that it is we.
    pub secret: String,
    /// Whom it lets in.
    pub matching: Matching,
}

/// What a provider is to be from now on.
#[derive(Clone)]
pub struct ProviderChange {
    /// What members call it.
    pub name: String,
    /// As whom we are known to it.
    pub client: String,
    /// What shows it that it is we; `None`: as before.
    pub secret: Option<String>,
    /// Whom it lets in.
    pub matching: Matching,
    /// It lets anybody in at all.
    pub on: bool,
}

/// A provider as stored. Has no `Debug`, so that it gets into no log.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeptProvider {
    pub(crate) id: ProviderId,
    name: String,
    pub(crate) issuer: String,
    pub(crate) client: String,
    secret: Vec<u8>,
    pub(crate) matching: Matching,
    pub(crate) on: bool,
    created: Timestamp,
}

#[derive(Default, Serialize, Deserialize)]
struct ProvidersItem {
    providers: Vec<KeptProvider>,
}

impl Versioned for ProvidersItem {
    const KIND: &'static str = "providers";
}

impl KeptProvider {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn shown(&self) -> Provider {
        Provider {
            id: self.id,
            name: self.name.clone(),
            issuer: self.issuer.clone(),
            client: self.client.clone(),
            matching: self.matching,
            on: self.on,
            created: self.created,
        }
    }
}

fn summary(provider: &Provider) -> Value {
    json!({
        "name": provider.name, "issuer": provider.issuer, "client": provider.client,
        "matching": provider.matching.name(), "on": provider.on,
    })
}

fn providers_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "providers")
}

/// Where a client secret lies, for what seals it.
fn place(tenant: TenantId, id: ProviderId) -> String {
    format!("{tenant}/providers/{id}")
}

fn text(text: &str, limit: usize) -> Result<String, Invalid> {
    let text = text.trim();
    let length = text.chars().count();
    let is_good = (1..=limit).contains(&length) && !text.chars().any(char::is_control);
    if is_good { Ok(text.to_owned()) } else { Err(Invalid::Name { limit }) }
}

impl Administration {
    pub(crate) async fn kept_providers(&self, tenant: TenantId) -> Result<Vec<KeptProvider>, AdminError> {
        let held = self.read::<ProvidersItem>(&providers_key(tenant)).await?;
        Ok(held.map(|(item, _)| item.providers).unwrap_or_default())
    }

    /// The secret of a provider.
    pub(crate) async fn provider_secret(
        &self,
        tenant: TenantId,
        provider: &KeptProvider,
    ) -> Result<String, AdminError> {
        let opened = self.secrets()?.open(&place(tenant, provider.id), &provider.secret).await?;
        String::from_utf8(opened).map_err(|_| AdminError::NoSealing)
    }

    /// The providers of a tenant, in the order in which they were added.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn providers(&self, call: &Call, tenant: TenantId) -> Result<Vec<Provider>, AdminError> {
        call.may(Action::ProviderRead, &Scope::Tenant(tenant))?;
        Ok(self.kept_providers(tenant).await?.iter().map(KeptProvider::shown).collect())
    }

    /// A provider.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn provider(
        &self,
        call: &Call,
        tenant: TenantId,
        id: ProviderId,
    ) -> Result<Provider, AdminError> {
        let found = self.providers(call, tenant).await?.into_iter().find(|provider| provider.id == id);
        found.ok_or(AdminError::NotFound("provider"))
    }

    async fn may_change_providers(
        &self,
        call: &Call,
        tenant: TenantId,
        about: &About<'_>,
    ) -> Result<(), AdminError> {
        self.permit_alone(call, &Scope::Tenant(tenant), about).await?;
        if call.actor.is_confirmed() {
            return Ok(());
        }
        self.note_denied(call, about, Why::Unconfirmed).await?;
        Err(AdminError::Denied(Why::Unconfirmed))
    }

    async fn sealed_secret(
        &self,
        tenant: TenantId,
        id: ProviderId,
        secret: &str,
    ) -> Result<Vec<u8>, AdminError> {
        if !(1..=MAX_SECRET).contains(&secret.len()) || secret.chars().any(char::is_control) {
            return Err(Invalid::ProviderSecret { limit: MAX_SECRET }.into());
        }
        Ok(self.secrets()?.seal(&place(tenant, id), secret.as_bytes()).await?)
    }

    /// Adds a provider. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_provider(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewProvider,
    ) -> Result<Provider, AdminError> {
        let about = About::new(Some(tenant), Action::ProviderChange, &new.issuer);
        self.may_change_providers(call, tenant, &about).await?;
        Place::issuer(&new.issuer).map_err(|_| Invalid::Issuer)?;
        let id = ProviderId(self.ids.random());
        let kept = KeptProvider {
            id,
            name: text(&new.name, MAX_NAME)?,
            issuer: new.issuer.clone(),
            client: text(&new.client, MAX_CLIENT)?,
            secret: self.sealed_secret(tenant, id, &new.secret).await?,
            matching: new.matching,
            on: true,
            created: self.clock.now(),
        };
        let shown = kept.shown();
        let about = about.to(summary(&shown));
        let adding = self.change_providers(tenant, |providers| {
            if providers.len() >= MAX_PROVIDERS {
                return Err(Invalid::TooMany { limit: MAX_PROVIDERS }.into());
            }
            providers.push(kept.clone());
            Ok(())
        });
        self.act(call, &about, adding).await?;
        Ok(shown)
    }

    /// Changes a provider, if it is still as it was seen.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_provider(
        &self,
        call: &Call,
        tenant: TenantId,
        seen: &Provider,
        change: &ProviderChange,
    ) -> Result<Provider, AdminError> {
        let about = About::new(Some(tenant), Action::ProviderChange, &seen.issuer).from(summary(seen));
        self.may_change_providers(call, tenant, &about).await?;
        let (name, client) = (text(&change.name, MAX_NAME)?, text(&change.client, MAX_CLIENT)?);
        let secret = match &change.secret {
            Some(secret) => Some(self.sealed_secret(tenant, seen.id, secret).await?),
            None => None,
        };
        let next = Provider { name, client, matching: change.matching, on: change.on, ..seen.clone() };
        let mut after = summary(&next);
        after["secret"] = if secret.is_some() { "changed" } else { "as before" }.into();
        let about = about.to(after);
        let changing = self.change_providers(tenant, |providers| {
            let found = providers.iter_mut().find(|one| one.id == seen.id && one.shown() == *seen);
            let found = found.ok_or(AdminError::Changed)?;
            (found.name, found.client) = (next.name.clone(), next.client.clone());
            (found.matching, found.on) = (next.matching, next.on);
            if let Some(secret) = &secret {
                found.secret.clone_from(secret);
            }
            Ok(())
        });
        let effect = async {
            changing.await?;
            if !next.on {
                self.directory.end_provider_sessions(tenant).await?;
            }
            Ok::<_, AdminError>(())
        };
        self.act(call, &about, effect).await?;
        Ok(next)
    }

    /// Removes a provider: it lets nobody in any more, whoever is bound to it. Sessions that providers have opened end, those
    /// of other providers with them: which one it was is not kept. Repeating an interrupted call completes it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_provider(
        &self,
        call: &Call,
        tenant: TenantId,
        id: ProviderId,
    ) -> Result<(), AdminError> {
        let object = id.to_string();
        let about = About::new(Some(tenant), Action::ProviderChange, &object);
        self.may_change_providers(call, tenant, &about).await?;
        let providers = self.kept_providers(tenant).await?;
        let before = providers.iter().find(|provider| provider.id == id);
        let before = before.ok_or(AdminError::NotFound("provider"))?.shown();
        let about = About { object: &before.issuer, ..about }.from(summary(&before));
        let removing = async {
            // Off first: it opens no sessions while they are ended.
            self.change_providers(tenant, |providers| {
                providers.iter_mut().filter(|provider| provider.id == id).for_each(|one| one.on = false);
                Ok(())
            })
            .await?;
            self.directory.end_provider_sessions(tenant).await?;
            self.change_providers(tenant, |providers| {
                providers.retain(|provider| provider.id != id);
                Ok(())
            })
            .await
        };
        self.act(call, &about, removing).await
    }

    async fn change_providers(
        &self,
        tenant: TenantId,
        mut change: impl FnMut(&mut Vec<KeptProvider>) -> Result<(), AdminError> + Send,
    ) -> Result<(), AdminError> {
        let key = providers_key(tenant);
        for _ in 0..crate::store::MAX_ATTEMPTS {
            let held = self.read::<ProvidersItem>(&key).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |(_, version)| Expected::Version(*version));
            let mut item = held.map(|(item, _)| item).unwrap_or_default();
            change(&mut item.providers)?;
            if self.write(&key, &item, expected).await? {
                return Ok(());
            }
        }
        Err(pennypost_directory::DirectoryError::Contended.into())
    }
}
