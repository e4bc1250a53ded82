//! Keys with which domains sign: made, shown, taken into use when DNS has them, changed for new ones, withdrawn.
//!
//! What they are, and what becomes of them, is [`pennypost_signing`]'s; here is who may order it, and the record of it.

use std::sync::Arc;

use pennypost_directory::{DirectoryError, Domain, DomainState, MAX_DOMAINS, Page};
use pennypost_domains::{DkimRecord, Report, Subject, Verdict};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::Secrets;
use pennypost_signing::{
    Algorithm, DomainKey, DomainKeys, KeyState, KeyStore, MAX_KEYS, Rotation, Seen, SigningError,
};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::{By, Entry, Origin, Outcome};
use crate::tasks::Worked;
use crate::{AdminError, Administration, Conflict, Invalid};

/// A domain that was looked at within so many milliseconds is not looked at again by the daily round: 20 hours.
const FRESH: i64 = 20 * 3_600_000;

impl From<SigningError> for AdminError {
    fn from(error: SigningError) -> AdminError {
        match error {
            SigningError::Port(error) => error.into(),
            SigningError::Item(error) => error.into(),
            SigningError::Contended => DirectoryError::Contended.into(),
            SigningError::Waits(_) => AdminError::Conflict(Conflict::KeyWaits),
            SigningError::TooMany => Invalid::TooMany { limit: MAX_KEYS }.into(),
            SigningError::NoKey(_) => AdminError::NotFound("key"),
            SigningError::Rotation(_) => Invalid::KeyRotation.into(),
            SigningError::Crypto(_) | SigningError::NoHeader => AdminError::NoKeyMade(error.to_string()),
        }
    }
}

fn shown(key: &DomainKey) -> Value {
    json!({ "selector": key.selector, "algorithm": key.algorithm.name(), "state": key.state.name() })
}

fn rules(rotation: Rotation) -> Value {
    json!({ "after_days": rotation.after_days, "publish_days": rotation.publish_days })
}

/// What a report says of the place of a key.
fn seen_in(report: &Report, domain: &str, selector: &str) -> Seen {
    let name = format!("{selector}._domainkey.{domain}");
    let of_it =
        |checked: &&pennypost_domains::Checked| checked.subject == Subject::Dkim && checked.name == name;
    // A key that was made after the look was not looked for.
    let Some(checked) = report.checked.iter().find(of_it) else { return Seen::Unknown };
    match checked.verdict {
        Verdict::Unknown => Seen::Unknown,
        _ if checked.found.is_empty() => Seen::Absent,
        Verdict::Good => Seen::Published,
        Verdict::Warning | Verdict::Missing | Verdict::Wrong => Seen::Other,
    }
}

impl Administration {
    /// The same, able to seal secrets.
    #[must_use]
    pub fn sealing(self, secrets: Arc<dyn Secrets>) -> Administration {
        Administration { secrets: Some(secrets), ..self }
    }

    pub(crate) fn secrets(&self) -> Result<&dyn Secrets, AdminError> {
        self.secrets.as_deref().ok_or(AdminError::NoSealing)
    }

    pub(crate) fn key_store(&self) -> KeyStore {
        KeyStore::new(Arc::clone(&self.control))
    }

    /// The keys of a domain of the tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn domain_keys(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
    ) -> Result<(Domain, DomainKeys), AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        let domain = self.own(tenant, name).await?;
        let keys = self.key_store().keys(tenant, domain.name.as_str()).await?;
        Ok((domain, keys))
    }

    /// The domain, if it is the tenant's to sign for.
    async fn signing_domain(&self, tenant: TenantId, name: &str) -> Result<Domain, AdminError> {
        let domain = self.own(tenant, name).await?;
        if !domain.state.is_owned() || domain.state == DomainState::Removing {
            return Err(DirectoryError::DomainState(domain.name.to_string()).into());
        }
        Ok(domain)
    }

    /// Makes a key, which is used as soon as DNS has its record: the first of its kind, or one that takes the place of
    /// another.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_domain_key(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        algorithm: Algorithm,
    ) -> Result<(Domain, DomainKey), AdminError> {
        let about =
            About::new(Some(tenant), Action::DomainKeyAdd, name).to(json!({ "algorithm": algorithm.name() }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.signing_domain(tenant, name).await?;
        let (secrets, now) = (self.secrets()?, self.clock.now());
        let place = (tenant, domain.name.as_str());
        let store = self.key_store();
        let key = self.act(call, &about, store.add(secrets, place, algorithm, now)).await?;
        Ok((domain, key))
    }

    /// Ends the use of a key at once, as one does that somebody else has: its private half is gone, and letters are signed
    /// with the other keys only. Its record is to be deleted then.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn withdraw_domain_key(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        selector: &str,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::DomainKeyChange, name);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.own(tenant, name).await?;
        let (store, now) = (self.key_store(), self.clock.now());
        let keys = store.keys(tenant, domain.name.as_str()).await?.keys;
        let is_it = |key: &&DomainKey| key.selector == selector && key.state != KeyState::Removed;
        let key = keys.iter().find(is_it).ok_or(AdminError::NotFound("key"))?;
        let about =
            about.from(shown(key)).to(json!({ "selector": selector, "state": KeyState::Removed.name() }));
        let withdraw = store.change(tenant, domain.name.as_str(), |keys| keys.withdraw(selector, now));
        self.act(call, &about, withdraw).await
    }

    /// Says when keys of a domain are changed for new ones, if that is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_key_rotation(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        expected: Rotation,
        rotation: Rotation,
    ) -> Result<DomainKeys, AdminError> {
        let about =
            About::new(Some(tenant), Action::DomainKeyChange, name).from(rules(expected)).to(rules(rotation));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        rotation.check().map_err(SigningError::from)?;
        let domain = self.signing_domain(tenant, name).await?;
        let store = self.key_store();
        let change = store.change(tenant, domain.name.as_str(), |keys| {
            if keys.rotation != expected {
                return Err(AdminError::Changed);
            }
            keys.rotation = rotation;
            Ok(keys.clone())
        });
        self.act(call, &about, change).await
    }

    pub(crate) async fn dkim_records(&self, domain: &Domain) -> Result<Vec<DkimRecord>, AdminError> {
        let keys = self.key_store().keys(domain.tenant, domain.name.as_str()).await?.keys;
        let record = |key: &DomainKey| DkimRecord {
            selector: key.selector.clone(),
            value: key.record(),
            is_needed: key.needs_record(),
        };
        Ok(keys.iter().map(record).collect())
    }

    /// Goes on with the keys of a domain as far as a look at DNS allows. What becomes of them is recorded first; in the
    /// name of whoever has looked, or of nobody.
    pub(crate) async fn go_on_with_keys(
        &self,
        call: Option<&Call>,
        domain: &Domain,
        report: &Report,
    ) -> Result<(), AdminError> {
        let (store, name, now) = (self.key_store(), domain.name.as_str(), self.clock.now());
        let seen = |selector: &str| seen_in(report, name, selector);
        let mut after = store.keys(domain.tenant, name).await?;
        let moved = after.observe(seen, now);
        if moved.is_empty() {
            return Ok(());
        }
        for moved in &moved {
            let state = moved.to.map_or("forgotten", KeyState::name);
            let after = json!({ "selector": moved.selector, "state": state });
            self.note(call, domain, Action::DomainKeyChange, after).await?;
        }
        store
            .change(domain.tenant, name, |keys| {
                keys.observe(seen, now);
                Ok::<_, AdminError>(())
            })
            .await
    }

    /// Records what is done because it is due, or because of what DNS shows.
    async fn note(
        &self,
        call: Option<&Call>,
        domain: &Domain,
        action: Action,
        after: Value,
    ) -> Result<(), AdminError> {
        let (by, origin) = match call {
            Some(call) => (By::of(&call.actor), call.origin),
            None => (By::Schedule, Origin::Schedule),
        };
        let entry = Entry {
            by,
            origin,
            action: action.name().to_owned(),
            object: domain.name.to_string(),
            before: None,
            after: Some(after.to_string()),
            outcome: Outcome::Ordered,
        };
        self.append(Some(domain.tenant), entry).await.map(drop)
    }

    /// Makes a key for each that has been used for as long as the domain's rule says. It waits for its record, of which the
    /// domain's mark tells from the next look on.
    async fn make_due_keys(&self, domain: &Domain) -> Result<(), AdminError> {
        let (store, name, now) = (self.key_store(), domain.name.as_str(), self.clock.now());
        let due = store.keys(domain.tenant, name).await?.due(now);
        let Some(secrets) = &self.secrets else {
            if !due.is_empty() {
                tracing::warn!(domain = name, "keys are due, and secrets can't be sealed here");
            }
            return Ok(());
        };
        for algorithm in due {
            self.note(None, domain, Action::DomainKeyAdd, json!({ "algorithm": algorithm.name() })).await?;
            match store.add(&**secrets, (domain.tenant, name), algorithm, now).await {
                // Somebody was faster.
                Ok(_) | Err(SigningError::Waits(_) | SigningError::TooMany) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The daily round of a tenant's domains: keys that are due are made, and each domain is looked at that nobody has
    /// looked at for a day, until `until`; [`Worked::More`] if some are left then.
    ///
    /// # Errors
    /// [`AdminError`]; what was done before it is done.
    #[pennypost_ports::compiled_here]
    pub async fn look_after_domains(&self, tenant: TenantId, until: Timestamp) -> Result<Worked, AdminError> {
        self.sweep_sign_ups_daily().await?;
        if self.outside.is_none() {
            return Ok(Worked::Over);
        }
        let page = Page { after: None, limit: MAX_DOMAINS };
        for domain in self.directory.domains(tenant, &page).await?.items {
            let now = self.clock.now();
            let is_fresh =
                domain.health.is_some_and(|health| (0..FRESH).contains(&now.0.saturating_sub(health.time.0)));
            if is_fresh || !domain.state.is_owned() || domain.state == DomainState::Removing {
                continue;
            }
            if now >= until {
                return Ok(Worked::More);
            }
            self.make_due_keys(&domain).await?;
            match self.look_at(None, domain).await {
                Ok(_) => {}
                // Nobody has said yet at what domains have to point, or somebody has removed it meanwhile.
                Err(AdminError::Conflict(Conflict::ServiceUnsaid)) => return Ok(Worked::Over),
                Err(AdminError::Directory(DirectoryError::NoDomain(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Worked::Over)
    }
}
