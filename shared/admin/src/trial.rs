//! Trial domains (DOM-01): `LABEL.BASE`, of a domain that the operator has set aside for it, for tenants that have none of their
//! own yet.
//!
//! Owns the control item `T` / `trial-domain`. It says that one is given before it is, so that a tenant has one in its life; and
//! `installation/trial-names`, name: whose it is or was. That is written before the domain is given and never removed, so that
//! nobody gets letters that are still sent to somebody who had the name before.
//! As soon as a domain of its own is active, accounts get the same addresses there, and those of before lead to them as
//! aliases; thirty days later the trial domain goes, unless accounts or groups have their own addresses in it. Each step begins
//! with what a look at a domain finds, the daily one at the latest, and is to be repeated: if the process dies in between, both
//! addresses of an account take mail.

use pennypost_directory::{DirectoryError, Domain, DomainName, DomainState, MAX_DOMAINS, Page};
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::domains::REMOVED_AT_ONCE;
use crate::operations::{By, Entry, Origin, Outcome};
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration, Conflict, Invalid};

/// Days for which the addresses of before go on.
pub const TRIAL_TRANSITION_DAYS: i64 = 30;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// Characters of a label.
const LABEL: std::ops::RangeInclusive<usize> = 3..=30;
/// Accounts that are moved upon one look.
const MOVED_AT_ONCE: usize = 200;
/// Labels that nobody takes: names of services, and such as people believe.
const RESERVED: &[&str] = &[
    "admin",
    "api",
    "autoconfig",
    "autodiscover",
    "dav",
    "ftp",
    "help",
    "imap",
    "login",
    "mail",
    "mta-sts",
    "mx",
    "ns1",
    "ns2",
    "pop",
    "pop3",
    "postmaster",
    "root",
    "secure",
    "security",
    "smtp",
    "sso",
    "status",
    "support",
    "webmail",
    "www",
];

/// The trial domain of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its name.
    pub name: DomainName,
    /// When it was asked for.
    pub given: Timestamp,
    /// The domain that has taken its place, and since when.
    pub replaced: Option<(DomainName, Timestamp)>,
    /// It was given, or is being given: it alone.
    pub is_given: bool,
    /// It was removed.
    pub is_gone: bool,
}

/// Whose a name is or was.
#[derive(Serialize, Deserialize)]
struct TrialName(TenantId);

impl Versioned for TrialName {
    const KIND: &'static str = "name of a trial domain";
}

impl Versioned for Trial {
    const KIND: &'static str = "trial domain";
}

fn trial_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "trial-domain")
}

fn name_key(name: &DomainName) -> ControlKey {
    ControlKey::new("installation/trial-names", name.to_string())
}

/// May a trial domain begin with this?
fn is_label(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    LABEL.contains(&label.len())
        && label.bytes().all(is_plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
        // Else it could be the form of a name in other letters, which looks like another one.
        && label.get(2..4) != Some("--")
        && !RESERVED.contains(&label)
}

impl Administration {
    /// The same, where tenants get trial domains below `base`.
    #[must_use]
    pub fn offering_trials(self, base: DomainName) -> Administration {
        Administration { trials: Some(base), ..self }
    }

    /// Below what trial domains are, if there are any.
    #[must_use]
    pub const fn trial_base(&self) -> Option<&DomainName> {
        self.trials.as_ref()
    }

    /// The trial domain of a tenant, if it has or had one.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn trial_domain(&self, call: &Call, tenant: TenantId) -> Result<Option<Trial>, AdminError> {
        call.may(Action::DomainRead, &Scope::Tenant(tenant))?;
        self.trial_of(tenant).await
    }

    pub(crate) async fn trial_of(&self, tenant: TenantId) -> Result<Option<Trial>, AdminError> {
        Ok(self.read::<Trial>(&trial_key(tenant)).await?.map(|(trial, _)| trial))
    }

    /// The domain that a label stands for.
    pub(crate) fn trial_name(&self, label: &str) -> Result<DomainName, AdminError> {
        let base = self.trials.as_ref().ok_or(AdminError::Conflict(Conflict::NoTrials))?;
        if !is_label(label) {
            return Err(Invalid::Label.into());
        }
        Ok(DomainName::parse(&format!("{label}.{base}")).map_err(DirectoryError::from)?)
    }

    /// Gives a tenant without a domain of its own one below that of the operator. It is the tenant's at once.
    ///
    /// # Errors
    /// [`Conflict::NoTrials`], [`Conflict::TrialGiven`] for one that has or had another one, or has a domain,
    /// [`Invalid::Label`], [`DirectoryError::DomainTaken`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn take_trial_domain(
        &self,
        call: &Call,
        tenant: TenantId,
        label: &str,
    ) -> Result<Domain, AdminError> {
        let about = About::new(Some(tenant), Action::DomainAdd, label);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        let name = self.trial_name(label)?;
        if self.has_own_domain(tenant).await? {
            return Err(AdminError::Conflict(Conflict::TrialGiven));
        }
        let object = name.to_string();
        let about = About { object: &object, ..about }.to(json!({ "trial": true }));
        self.act(call, &about, self.give_trial(tenant, name)).await
    }

    /// Has the tenant a domain that is not its trial domain?
    async fn has_own_domain(&self, tenant: TenantId) -> Result<bool, AdminError> {
        let trial = self.trial_of(tenant).await?.map(|trial| trial.name);
        let page = Page { after: None, limit: MAX_DOMAINS };
        let domains = self.directory.domains(tenant, &page).await?.items;
        Ok(domains.iter().any(|domain| domain.state.is_owned() && Some(&domain.name) != trial.as_ref()))
    }

    /// May it be said of the tenant that it is known who it is (TEN-14)? Not of one with a trial domain alone.
    pub(crate) async fn check_verifiable(&self, tenant: TenantId) -> Result<(), AdminError> {
        let is_on_trial = self.trial_of(tenant).await?.is_some_and(|trial| !trial.is_gone);
        if is_on_trial && !self.has_own_domain(tenant).await? {
            return Err(AdminError::Conflict(Conflict::TrialOnly));
        }
        Ok(())
    }

    /// Gives the tenant that trial domain. To be repeated after an interruption with the same name.
    pub(crate) async fn give_trial(&self, tenant: TenantId, name: DomainName) -> Result<Domain, AdminError> {
        let (given, is_given) = (self.clock.now(), true);
        let trial = Trial { name: name.clone(), given, replaced: None, is_given, is_gone: false };
        let key = trial_key(tenant);
        if !self.write(&key, &trial, Expected::Absent).await? {
            let (known, version) = self.read::<Trial>(&key).await?.ok_or(AdminError::Changed)?;
            if known.is_gone || (known.is_given && known.name != name) {
                return Err(AdminError::Conflict(Conflict::TrialGiven));
            }
            if !known.is_given && !self.write(&key, &trial, Expected::Version(version)).await? {
                return Err(AdminError::Changed);
            }
        }
        if let Some(domain) = self.directory.domain_in(tenant, name.as_str()).await?
            && domain.state.is_owned()
        {
            return Ok(domain);
        }
        let given = match self.take_trial_name(tenant, &name).await {
            Ok(()) => self.directory.add_domain(tenant, name.as_str()).await.map_err(AdminError::from),
            Err(error) => Err(error),
        };
        if matches!(given, Err(AdminError::Directory(DirectoryError::DomainTaken(_)))) {
            // Whoever asked at the same time may have it, for the same tenant.
            if let Some(domain) = self.directory.domain_in(tenant, name.as_str()).await?
                && domain.state.is_owned()
            {
                return Ok(domain);
            }
            // It is another tenant's: this one may ask for another name.
            let is_it = |trial: &Trial| trial.name == name && !trial.is_gone;
            self.change_trial(tenant, is_it, |trial| trial.is_given = false).await?;
        }
        given
    }

    /// Notes that the name is this tenant's, for ever, unless it is or was another one's.
    async fn take_trial_name(&self, tenant: TenantId, name: &DomainName) -> Result<(), AdminError> {
        let key = name_key(name);
        if self.write(&key, &TrialName(tenant), Expected::Absent).await? {
            return Ok(());
        }
        match self.read::<TrialName>(&key).await? {
            Some((TrialName(of), _)) if of == tenant => Ok(()),
            _ => Err(DirectoryError::DomainTaken(name.to_string()).into()),
        }
    }

    /// What follows for the trial domain from a look at a domain of the tenant.
    pub(crate) async fn go_on_with_trial(
        &self,
        call: Option<&Call>,
        domain: &Domain,
    ) -> Result<(), AdminError> {
        let tenant = domain.tenant;
        if domain.state != DomainState::Active || domain.alias_of.is_some() {
            return Ok(());
        }
        let key = trial_key(tenant);
        let Some((trial, version)) = self.read::<Trial>(&key).await? else { return Ok(()) };
        if trial.is_gone || trial.name == domain.name {
            return Ok(());
        }
        let (own, since) = match &trial.replaced {
            Some((own, since)) if self.is_there_still(tenant, own).await? => (own.clone(), *since),
            // None, or one that was removed again.
            _ => {
                let replaced = (domain.name.clone(), self.clock.now());
                let next = Trial { replaced: Some(replaced.clone()), ..trial.clone() };
                if !self.write(&key, &next, Expected::Version(version)).await? {
                    return Ok(());
                }
                self.note_trial(call, tenant, &trial, json!({ "replaced_by": replaced.0.to_string() }))
                    .await?;
                replaced
            }
        };
        let is_own = self.directory.domain_in(tenant, own.as_str()).await?;
        if !is_own.is_some_and(|own| own.state == DomainState::Active) {
            return Ok(());
        }
        let moved = self.directory.move_accounts(tenant, &trial.name, &own, MOVED_AT_ONCE).await?;
        if moved > 0 {
            let after = json!({ "accounts": moved, "moved_to": own.to_string() });
            self.note_trial(call, tenant, &trial, after).await?;
        }
        if self.clock.now() < since.plus_millis(TRIAL_TRANSITION_DAYS * DAY) {
            return Ok(());
        }
        self.remove_trial(call, tenant, &trial).await
    }

    /// Is the domain that has taken the place of the trial domain still one of the tenant, to which accounts may be moved?
    async fn is_there_still(&self, tenant: TenantId, own: &DomainName) -> Result<bool, AdminError> {
        let found = self.directory.domain_in(tenant, own.as_str()).await?;
        let may = |own: &Domain| {
            own.state.is_owned() && own.state != DomainState::Removing && own.alias_of.is_none()
        };
        Ok(found.as_ref().is_some_and(may))
    }

    /// Removes a trial domain whose time is over, unless something has its own address in it.
    async fn remove_trial(
        &self,
        call: Option<&Call>,
        tenant: TenantId,
        trial: &Trial,
    ) -> Result<(), AdminError> {
        let Some(domain) = self.directory.domain_in(tenant, trial.name.as_str()).await? else {
            return self.end_trial(tenant).await;
        };
        if !self.directory.close_if_unused(tenant, &trial.name).await? {
            return Ok(());
        }
        if domain.state != DomainState::Removing {
            let aliases = self.directory.domain_contents(tenant, &trial.name).await?.aliases;
            self.note_trial(call, tenant, trial, json!({ "removed": true, "aliases": aliases })).await?;
        }
        // Where a call was cut off that had moved accounts, others are told of it now.
        self.directory.refresh_addresses(tenant, |address| address.domain() == &trial.name).await?;
        if self.directory.remove_domain(tenant, &trial.name, REMOVED_AT_ONCE).await? {
            self.forget_domain(&domain).await?;
            self.end_trial(tenant).await?;
        }
        Ok(())
    }

    async fn end_trial(&self, tenant: TenantId) -> Result<(), AdminError> {
        self.change_trial(tenant, |_| true, |trial| trial.is_gone = true).await
    }

    /// A domain was removed: if it was the trial domain, there is none any more, and no other one is given.
    pub(crate) async fn end_trial_at(&self, tenant: TenantId, name: &DomainName) -> Result<(), AdminError> {
        self.change_trial(tenant, |trial| trial.name == *name, |trial| trial.is_gone = true).await
    }

    async fn change_trial(
        &self,
        tenant: TenantId,
        is_it: impl Fn(&Trial) -> bool,
        change: impl Fn(&mut Trial),
    ) -> Result<(), AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let found = self.read::<Trial>(&trial_key(tenant)).await?;
            let Some((mut trial, version)) = found.filter(|(trial, _)| is_it(trial)) else { return Ok(()) };
            change(&mut trial);
            if self.write(&trial_key(tenant), &trial, Expected::Version(version)).await? {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// Records what follows for a trial domain.
    async fn note_trial(
        &self,
        call: Option<&Call>,
        tenant: TenantId,
        trial: &Trial,
        after: Value,
    ) -> Result<(), AdminError> {
        let (by, origin) = match call {
            Some(call) => (By::of(&call.actor), call.origin),
            None => (By::Schedule, Origin::Schedule),
        };
        let (action, object) = (Action::DomainChange.name().to_owned(), trial.name.to_string());
        let after = Some(after.to_string());
        let entry = Entry { by, origin, action, object, before: None, after, outcome: Outcome::Ordered };
        self.append(Some(tenant), entry).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn labels_are_plain_and_nobodys_service() {
        for good in ["acme", "a-b", "123", "zhangsan2"] {
            assert!(is_label(good), "{good}");
        }
        for bad in
            ["", "ab", "Acme", "-acme", "acme-", "xn--fiq", "a.b", "www", "mail", "公司公司", &"a".repeat(31)]
        {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
