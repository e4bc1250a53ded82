//! The life of a domain: claimed, proved, checked, closed, made an alias of another one, removed (DOM-02, DOM-08, DOM-13).
//!
//! A claim is an item of its tenant alone: any number of tenants may claim a name, and stand in nobody's way. The registry
//! of all tenants (`domain/NAME`) gets the name when it is proved, put only if absent: of two one wins.

use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::{Consistency, Expected};

use crate::address::{Entry, address_of_sort, addresses_partition};
use crate::domain::{DomainOwner, domain_key, owner_key};
use crate::{
    AccountKind, BinCause, Directory, DirectoryError, Domain, DomainHealth, DomainName, DomainState, Page,
};

/// Domains that a tenant may have or claim at most, whatever its plan says.
pub const MAX_DOMAINS: usize = 200;

/// What is in a domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DomainContents {
    /// Addresses of accounts, those in the recycle bin too.
    pub accounts: usize,
    /// Aliases.
    pub aliases: usize,
    /// Groups.
    pub groups: usize,
}

impl Directory {
    /// Notes that a tenant says a domain is its own, and what its zone has to show.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::NoTenant`], [`DirectoryError::TooMany`],
    /// [`DirectoryError::DomainTaken`] where the tenant has it or has claimed it, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn claim_domain(
        &self,
        tenant: TenantId,
        name: &str,
        challenge: (String, String),
    ) -> Result<Domain, DirectoryError> {
        let name = DomainName::parse(name)?;
        if !self.is_kept(tenant).await? {
            return Err(DirectoryError::NoTenant(tenant.to_string()));
        }
        let found = self.domains(tenant, &Page { after: None, limit: MAX_DOMAINS }).await?.items.len();
        if found >= MAX_DOMAINS {
            return Err(DirectoryError::TooMany { what: "domains", limit: MAX_DOMAINS });
        }
        let claim = Domain {
            challenge: Some(challenge),
            ..Domain::new(name, tenant, self.clock.now(), DomainState::Pending)
        };
        match self.write(&domain_key(tenant, &claim.name), &claim, Expected::Absent).await? {
            Some(_) => Ok(claim),
            None => Err(DirectoryError::DomainTaken(claim.name.to_string())),
        }
    }

    /// A domain of the tenant, or one that it only claims.
    ///
    /// # Errors
    /// The port's. What is no domain is none of the tenant.
    #[pennypost_ports::compiled_here]
    pub async fn domain_in(&self, tenant: TenantId, name: &str) -> Result<Option<Domain>, DirectoryError> {
        let Ok(name) = DomainName::parse(name) else { return Ok(None) };
        self.domain_of(tenant, &name, Consistency::Strong).await
    }

    /// The zone of the domain shows what this tenant was told: it is its own, unless another tenant has it. Repeating an
    /// interrupted call completes it.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn prove_domain(&self, tenant: TenantId, name: &DomainName) -> Result<Domain, DirectoryError> {
        if !self.is_kept(tenant).await? {
            return Err(DirectoryError::NoDomain(name.to_string()));
        }
        let is_own = self.own_domain(tenant, name).await? == tenant;
        let state = if is_own { DomainState::Proved } else { DomainState::Conflict };
        self.change_domain_item(tenant, name, |domain| {
            if !domain.state.is_owned() {
                domain.state = state;
            }
            Ok(domain.clone())
        })
        .await
    }

    async fn change_domain_item<R>(
        &self,
        tenant: TenantId,
        name: &DomainName,
        change: impl FnMut(&mut Domain) -> Result<R, DirectoryError>,
    ) -> Result<R, DirectoryError> {
        let changed = self.change(&domain_key(tenant, name), change).await?;
        changed.ok_or_else(|| DirectoryError::NoDomain(name.to_string()))
    }

    /// Notes what a check of the domain's records said: it is active as long as mail is brought here.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn note_health(
        &self,
        tenant: TenantId,
        name: &DomainName,
        health: DomainHealth,
    ) -> Result<Domain, DirectoryError> {
        self.change_domain_item(tenant, name, |domain| {
            let known = domain.health.and_then(|known| known.without_mail_since);
            let without_mail_since = match health.takes_mail {
                Some(true) => None,
                Some(false) => Some(known.unwrap_or(health.time)),
                None => known,
            };
            domain.health = Some(DomainHealth { without_mail_since, ..health });
            domain.state = match (domain.state, health.takes_mail) {
                (DomainState::Proved, Some(true)) => DomainState::Active,
                (DomainState::Active, Some(false)) => DomainState::Proved,
                (other, _) => other,
            };
            Ok(domain.clone())
        })
        .await
    }

    /// The operator closes a domain, or opens it again (TEN-10). Mail to it is put off meanwhile.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], [`DirectoryError::DomainState`] for a claim, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn suspend_domain(
        &self,
        tenant: TenantId,
        name: &DomainName,
        is_closed: bool,
    ) -> Result<Domain, DirectoryError> {
        let domain = self
            .change_domain_item(tenant, name, |domain| {
                domain.state = match (domain.state, is_closed) {
                    (DomainState::Proved | DomainState::Active | DomainState::Suspended, true) => {
                        DomainState::Suspended
                    }
                    (DomainState::Suspended, false) => DomainState::Proved,
                    (state @ (DomainState::Proved | DomainState::Active), false) => state,
                    _ => return Err(DirectoryError::DomainState(domain.name.to_string())),
                };
                Ok(domain.clone())
            })
            .await?;
        self.change_owner(tenant, name, |owner| owner.is_closed = is_closed).await?;
        Ok(domain)
    }

    async fn change_owner(
        &self,
        tenant: TenantId,
        name: &DomainName,
        change: impl Fn(&mut DomainOwner),
    ) -> Result<(), DirectoryError> {
        let changed = self
            .change(&owner_key(name), |owner: &mut DomainOwner| {
                if owner.tenant != tenant {
                    return Err(DirectoryError::DomainTaken(name.to_string()));
                }
                change(owner);
                Ok(())
            })
            .await?;
        changed.ok_or_else(|| DirectoryError::NoDomain(name.to_string()))
    }

    /// Makes a domain stand for another one of the tenant, or for itself again. Mail to x@it is then mail to x there, and
    /// whoever signs in by the one address does so by the other. It must have no addresses of its own.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], [`DirectoryError::DomainState`] for a claim, [`DirectoryError::DomainNotEmpty`],
    /// [`DirectoryError::AliasDomain`] where the other one is an alias itself, or the port's. Repeating an interrupted
    /// call completes it.
    #[pennypost_ports::compiled_here]
    pub async fn set_alias_of(
        &self,
        tenant: TenantId,
        name: &DomainName,
        of: Option<&DomainName>,
    ) -> Result<Domain, DirectoryError> {
        if let Some(of) = of {
            let target = self.domain_of(tenant, of, Consistency::Strong).await?;
            let target = target.ok_or_else(|| DirectoryError::NoDomain(of.to_string()))?;
            if target.alias_of.is_some() || of == name {
                return Err(DirectoryError::AliasDomain(of.to_string()));
            }
            if !target.state.is_owned() || target.state == DomainState::Removing {
                return Err(DirectoryError::DomainState(of.to_string()));
            }
            if self.stands_for(tenant, name).await? {
                return Err(DirectoryError::DomainNotEmpty(name.to_string()));
            }
        }
        // First what makes further addresses impossible, then the look whether there are some.
        let domain = self
            .change_domain_item(tenant, name, |domain| {
                if !matches!(domain.state, DomainState::Proved | DomainState::Active) {
                    return Err(DirectoryError::DomainState(domain.name.to_string()));
                }
                domain.alias_of = of.cloned();
                Ok(domain.clone())
            })
            .await?;
        if of.is_some() && self.domain_contents(tenant, name).await? != DomainContents::default() {
            self.change_domain_item(tenant, name, |domain| {
                domain.alias_of = None;
                Ok(())
            })
            .await?;
            return Err(DirectoryError::DomainNotEmpty(name.to_string()));
        }
        self.change_owner(tenant, name, |owner| owner.alias_of = of.cloned()).await?;
        Ok(domain)
    }

    /// Does some domain of the tenant stand for this one?
    async fn stands_for(&self, tenant: TenantId, name: &DomainName) -> Result<bool, DirectoryError> {
        let all = self.domains(tenant, &Page::default()).await?.items;
        Ok(all.iter().any(|domain| domain.alias_of.as_ref() == Some(name)))
    }

    /// What is in a domain.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn domain_contents(
        &self,
        tenant: TenantId,
        name: &DomainName,
    ) -> Result<DomainContents, DirectoryError> {
        let mut contents = DomainContents::default();
        let mut page = Page::default();
        loop {
            let listed = self.list::<Entry>(&addresses_partition(tenant), &format!("{name}/"), &page).await?;
            for (_, entry) in &listed.items {
                match entry {
                    Entry::Account(_) => contents.accounts += 1,
                    Entry::Alias(_) => contents.aliases += 1,
                    Entry::Group { .. } => contents.groups += 1,
                    Entry::Claimed(_) | Entry::Free => {}
                }
            }
            let Some(next) = listed.next else { return Ok(contents) };
            page.after = Some(next);
        }
    }

    /// Removes a domain with all that is in it, a part of it at a time: its accounts go to the recycle bin, its aliases
    /// and groups are gone, at most `limit` of them with one call. `true` when the domain is gone; until then no address
    /// is given in it, and mail to it is put off. To be repeated.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], [`DirectoryError::DomainNotEmpty`] where another domain stands for it, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_domain(
        &self,
        tenant: TenantId,
        name: &DomainName,
        limit: usize,
    ) -> Result<bool, DirectoryError> {
        if self.stands_for(tenant, name).await? {
            return Err(DirectoryError::DomainNotEmpty(name.to_string()));
        }
        let was_owned = self
            .change_domain_item(tenant, name, |domain| {
                let was_owned = domain.state.is_owned();
                if was_owned {
                    domain.state = DomainState::Removing;
                }
                Ok(was_owned)
            })
            .await?;
        if was_owned {
            // Gone, if a call before this one was cut off at its end.
            match self.change_owner(tenant, name, |owner| owner.is_closed = true).await {
                Ok(()) | Err(DirectoryError::NoDomain(_)) => {}
                Err(error) => return Err(error),
            }
            if !self.empty_domain(tenant, name, limit).await? {
                return Ok(false);
            }
            if self.owner(name, Consistency::Strong).await? == Some(tenant) {
                self.erase(&owner_key(name)).await?;
            }
        }
        self.erase(&domain_key(tenant, name)).await?;
        Ok(true)
    }

    /// Closes a domain that is to be removed without anybody's word, unless something in it is somebody's own address, or is
    /// about to be, or another domain stands for it; `true` if [`Directory::remove_domain`] may remove it.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn close_if_unused(&self, tenant: TenantId, name: &DomainName) -> Result<bool, DirectoryError> {
        if self.stands_for(tenant, name).await? || self.holds_own(tenant, name).await? {
            return Ok(false);
        }
        let before = self
            .change_domain_item(tenant, name, |domain| {
                let before = domain.state;
                if matches!(before, DomainState::Proved | DomainState::Active) {
                    domain.state = DomainState::Removing;
                }
                Ok(before)
            })
            .await?;
        match before {
            // Nothing new is let in from here on; what was under way before is looked for once more.
            DomainState::Proved | DomainState::Active if self.holds_own(tenant, name).await? => {
                self.change_domain_item(tenant, name, |domain| {
                    if domain.state == DomainState::Removing {
                        domain.state = before;
                    }
                    Ok(())
                })
                .await?;
                Ok(false)
            }
            DomainState::Proved | DomainState::Active | DomainState::Removing => Ok(true),
            DomainState::Pending | DomainState::Conflict | DomainState::Suspended => Ok(false),
        }
    }

    /// Is something in the domain the own address of an account or group, or claimed for one?
    async fn holds_own(&self, tenant: TenantId, name: &DomainName) -> Result<bool, DirectoryError> {
        let mut page = Page::default();
        loop {
            let listed = self.list::<Entry>(&addresses_partition(tenant), &format!("{name}/"), &page).await?;
            let is_own = |entry: &Entry| !matches!(entry, Entry::Alias(_) | Entry::Free);
            if listed.items.iter().any(|(_, entry)| is_own(entry)) {
                return Ok(true);
            }
            let Some(next) = listed.next else { return Ok(false) };
            page.after = Some(next);
        }
    }

    async fn empty_domain(
        &self,
        tenant: TenantId,
        name: &DomainName,
        limit: usize,
    ) -> Result<bool, DirectoryError> {
        let mut done = 0;
        let mut page = Page::default();
        loop {
            let prefix = format!("{name}/");
            let listed = self.list::<Entry>(&addresses_partition(tenant), &prefix, &page).await?;
            for (sort, entry) in listed.items {
                if done >= limit {
                    return Ok(false);
                }
                let Some(address) = address_of_sort(&format!("{prefix}{sort}")) else { continue };
                match entry {
                    Entry::Account(account) => {
                        let key = AccountKey { tenant, account };
                        let Some(account) = self.account(key).await? else { continue };
                        if account.binned.is_some() {
                            continue;
                        }
                        let is_business = account.kind == AccountKind::Business;
                        let cause = if is_business { BinCause::Withdrawn } else { BinCause::Deleted };
                        match self.bin_account(key, cause).await {
                            Ok(_) | Err(DirectoryError::InBin(_) | DirectoryError::NoAccount(_)) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    Entry::Alias(_) => match self.remove_alias(&address.to_string()).await {
                        Ok(()) | Err(DirectoryError::NoAlias(_)) => {}
                        Err(error) => return Err(error),
                    },
                    Entry::Group { .. } => match self.remove_group(&address.to_string()).await {
                        Ok(()) | Err(DirectoryError::NoGroup(_)) => {}
                        Err(error) => return Err(error),
                    },
                    Entry::Claimed(_) | Entry::Free => continue,
                }
                done += 1;
            }
            let Some(next) = listed.next else { return Ok(true) };
            page.after = Some(next);
        }
    }
}
