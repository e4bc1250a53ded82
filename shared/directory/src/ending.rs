//! The end of a tenant, as far as the directory knows of it (TEN-11): closed for good, then its domains are free for others,
//! and at last its name.
//!
//! If the process dies at any line, the call is to be repeated: each does what is left to be done.

use pennypost_model::TenantId;
use pennypost_ports::{Consistency, Expected};

use crate::domain::{DomainOwner, domain_key, owner_key};
use crate::store::MAX_ATTEMPTS;
use crate::tenant::{NamedTenant, name_key, tenant_key};
use crate::{Directory, DirectoryError, DomainName, Page, Tenant, TenantState};

impl Directory {
    /// Closes a tenant for good, if it is still to be: nobody signs in, and nothing leads back. `true` if it is closed.
    ///
    /// # Errors
    /// The port's.
    pub async fn begin_erasing_tenant(
        &self,
        tenant: TenantId,
        is_to_be: impl Fn(&Tenant) -> bool,
    ) -> Result<bool, DirectoryError> {
        let closed = self
            .change(&tenant_key(tenant), |stored: &mut Tenant| {
                let is_to_be = stored.state == TenantState::Erasing || is_to_be(stored);
                if is_to_be {
                    stored.state = TenantState::Erasing;
                }
                Ok(is_to_be)
            })
            .await?;
        Ok(closed.unwrap_or(false))
    }

    /// Frees the domains of a tenant that is being erased: from then on others may have them. Mail to them is refused.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn release_domains(&self, tenant: TenantId) -> Result<u64, DirectoryError> {
        let mut released = 0;
        loop {
            let listed = self.domains(tenant, &Page::default()).await?;
            for domain in &listed.items {
                // Its item is how it is found: that goes when nothing else of it is the tenant's.
                self.release(tenant, &domain.name).await?;
                self.erase(&domain_key(tenant, &domain.name)).await?;
                released += 1;
            }
            if listed.next.is_none() {
                return Ok(released);
            }
        }
    }

    /// Another tenant may have what this one has only claimed.
    async fn release(&self, tenant: TenantId, name: &DomainName) -> Result<(), DirectoryError> {
        let key = owner_key(name);
        for _ in 0..MAX_ATTEMPTS {
            match self.read::<DomainOwner>(&key, Consistency::Strong).await? {
                Some(owner) if owner.value.tenant == tenant => {
                    if self.control.delete_if(&key, owner.version).await? {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Makes a tenant the owner of a domain, unless another one has it; whose it is then. A tenant that was erased has none:
    /// a proof that was under way when that began may have left it one.
    pub(crate) async fn own_domain(
        &self,
        tenant: TenantId,
        name: &DomainName,
    ) -> Result<TenantId, DirectoryError> {
        let (key, owner) = (owner_key(name), DomainOwner::of(tenant));
        for _ in 0..MAX_ATTEMPTS {
            if self.write(&key, &owner, Expected::Absent).await?.is_some() {
                return Ok(tenant);
            }
            let Some(found) = self.read::<DomainOwner>(&key, Consistency::Strong).await? else { continue };
            let of = found.value.tenant;
            if of == tenant || self.tenant(of).await?.is_some() {
                return Ok(of);
            }
            if self.write(&key, &owner, Expected::Version(found.version)).await?.is_some() {
                return Ok(tenant);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Is it there, and not being erased?
    pub(crate) async fn is_kept(&self, tenant: TenantId) -> Result<bool, DirectoryError> {
        Ok(self.tenant(tenant).await?.is_some_and(|tenant| tenant.state != TenantState::Erasing))
    }

    /// Forgets a tenant of which nothing is left: first its name, then itself. Its id is never given again.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn forget_tenant(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        let Some(stored) = self.tenant(tenant).await? else { return Ok(()) };
        let key = name_key(&stored.name);
        if let Some(named) = self.read::<NamedTenant>(&key, Consistency::Strong).await?
            && named.value.tenant == tenant
        {
            self.control.delete_if(&key, named.version).await?;
        }
        self.erase(&tenant_key(tenant)).await
    }
}
