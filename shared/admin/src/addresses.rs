//! Aliases and groups of a tenant.

use pennypost_directory::{Alias, DirectoryError, Group, Listed, MailAddress, Page};
use pennypost_model::TenantId;
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::{AdminError, Administration};

fn addresses<'a>(all: impl Iterator<Item = &'a MailAddress>) -> Vec<String> {
    all.map(ToString::to_string).collect()
}

fn members_of(group: &Group) -> Value {
    json!({ "members": addresses(group.members.iter().map(|member| member.address())) })
}

impl Administration {
    /// Aliases of a tenant. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn aliases(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Alias>, AdminError> {
        call.may(Action::AliasRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.aliases(tenant, page).await?)
    }

    /// An alias.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn alias(&self, call: &Call, tenant: TenantId, address: &str) -> Result<Alias, AdminError> {
        call.may(Action::AliasRead, &Scope::Tenant(tenant))?;
        self.stored_alias(tenant, address).await
    }

    async fn stored_alias(&self, tenant: TenantId, address: &str) -> Result<Alias, AdminError> {
        let missing = || AdminError::NotFound("alias");
        self.own_domain(tenant, address).await.map_err(|error| hidden(error, missing()))?;
        self.directory.alias(address).await?.ok_or_else(missing)
    }

    /// Adds an alias in a domain of the tenant for accounts of the tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_alias(
        &self,
        call: &Call,
        tenant: TenantId,
        address: &str,
        targets: &[String],
    ) -> Result<Alias, AdminError> {
        let about = About::new(Some(tenant), Action::AliasAdd, address).to(json!({ "targets": targets }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.own_domain(tenant, address).await?;
        self.check_lock(tenant, &domain).await?;
        self.act(call, &about, self.directory.add_alias(address, targets)).await
    }

    /// Removes an alias.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_alias(&self, call: &Call, tenant: TenantId, address: &str) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::AliasRemove, address);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let alias = self.stored_alias(tenant, address).await?;
        let targets = addresses(alias.targets.iter().map(|target| &target.address));
        let about = about.from(json!({ "targets": targets }));
        self.act(call, &about, self.directory.remove_alias(address)).await
    }

    /// Groups of a tenant. A page may hold few though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn groups(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Group>, AdminError> {
        call.may(Action::GroupRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.groups(tenant, page).await?)
    }

    /// A group.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn group(&self, call: &Call, tenant: TenantId, address: &str) -> Result<Group, AdminError> {
        call.may(Action::GroupRead, &Scope::Tenant(tenant))?;
        self.stored_group(tenant, address).await
    }

    async fn stored_group(&self, tenant: TenantId, address: &str) -> Result<Group, AdminError> {
        let missing = || AdminError::NotFound("group");
        self.own_domain(tenant, address).await.map_err(|error| hidden(error, missing()))?;
        self.directory.group(address).await?.ok_or_else(missing)
    }

    /// Gives the group of a department another address in its domain, once (GRP-06).
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn readdress_group(
        &self,
        call: &Call,
        tenant: TenantId,
        group: &str,
        local: &str,
    ) -> Result<Group, AdminError> {
        let about = About::new(Some(tenant), Action::GroupReaddress, group).to(json!({ "prefix": local }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        // The group itself is perhaps at its new address already, if the call was cut off.
        let missing = || AdminError::NotFound("group");
        self.own_domain(tenant, group).await.map_err(|error| hidden(error, missing()))?;
        self.directory.check_group_address(tenant, group, local).await?;
        self.act(call, &about, self.directory.readdress_group(tenant, group, local)).await
    }

    /// Adds a group in a domain of the tenant.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_group(
        &self,
        call: &Call,
        tenant: TenantId,
        address: &str,
        name: &str,
        members: &[String],
    ) -> Result<Group, AdminError> {
        let about = About::new(Some(tenant), Action::GroupAdd, address)
            .to(json!({ "name": name, "members": members }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let domain = self.own_domain(tenant, address).await?;
        self.check_lock(tenant, &domain).await?;
        self.act(call, &about, self.directory.add_group(address, name, members)).await
    }

    /// Replaces the members of a group that is still as `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_group(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &Group,
        members: &[String],
    ) -> Result<Group, AdminError> {
        let address = expected.address.to_string();
        let about = About::new(Some(tenant), Action::GroupChange, &address)
            .from(members_of(expected))
            .to(json!({ "members": members }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_group(tenant, &address).await?;
        let amended =
            async { self.directory.amend_group(expected, members).await?.ok_or(AdminError::Changed) };
        self.act(call, &about, amended).await
    }

    /// Removes a group.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_group(&self, call: &Call, tenant: TenantId, address: &str) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::GroupRemove, address);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let group = self.stored_group(tenant, address).await?;
        let about = about.from(members_of(&group));
        self.act(call, &about, self.directory.remove_group(address)).await
    }
}

/// Another tenant's domain, and what is none at all, is no place where there could be something.
fn hidden(error: AdminError, missing: AdminError) -> AdminError {
    match error {
        AdminError::Directory(DirectoryError::NoDomain(_) | DirectoryError::Address(_)) => missing,
        other => other,
    }
}
