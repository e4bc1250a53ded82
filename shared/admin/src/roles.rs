//! Roles: named sets of permissions (ADM-09).

use std::fmt;
use std::str::FromStr;

use pennypost_directory::{Function, Listed, Page};
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Authority, Granted, Reach, Scope, Standing, Why};
use crate::call::{About, Call};
use crate::permission::{Area, Level, Permissions};
use crate::{AdminError, Administration, Conflict, Invalid};

/// Roles that a tenant may have.
pub const MAX_ROLES: usize = 100;
/// Characters of a name.
const MAX_NAME: usize = 100;

/// The number of a role within its tenant. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleId(pub u64);

impl fmt::Display for RoleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for RoleId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<RoleId, Self::Err> {
        u64::from_str_radix(text, 16).map(RoleId)
    }
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its number.
    pub id: RoleId,
    /// Its name, unique in the tenant.
    pub name: String,
    /// What its holders may do.
    pub permissions: Permissions,
    /// When it was made.
    pub created: Timestamp,
}

impl Versioned for Role {
    const KIND: &'static str = "role";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/roles")
}

fn role_key(tenant: TenantId, id: RoleId) -> ControlKey {
    ControlKey::new(partition(tenant), id.to_string())
}

/// A name for people.
pub(crate) fn name_of(text: &str) -> Result<String, Invalid> {
    let name = text.trim();
    let count = name.chars().count();
    let is_good = (1..=MAX_NAME).contains(&count) && !name.chars().any(char::is_control);
    if is_good { Ok(name.to_owned()) } else { Err(Invalid::Name { limit: MAX_NAME }) }
}

/// Permissions that somebody of a tenant may have.
pub(crate) fn of_tenant(permissions: &Permissions) -> Result<(), Invalid> {
    let is_good = !permissions.is_empty() && !permissions.allow(Area::Installation, Level::Read);
    if is_good { Ok(()) } else { Err(Invalid::Permissions) }
}

fn summary(name: &str, permissions: &Permissions) -> Value {
    let permissions: Vec<String> = permissions.iter().map(|one| one.to_string()).collect();
    json!({ "name": name, "permissions": permissions })
}

impl Administration {
    /// The roles of a tenant, by number.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn roles(&self, call: &Call, tenant: TenantId) -> Result<Vec<Role>, AdminError> {
        call.may(Action::RoleRead, &Scope::Tenant(tenant))?;
        self.all_roles(tenant).await
    }

    pub(crate) async fn all_roles(&self, tenant: TenantId) -> Result<Vec<Role>, AdminError> {
        let page = Page { after: None, limit: MAX_ROLES * 2 };
        let Listed { items, .. } = self.list::<Role>(&partition(tenant), &page).await?;
        Ok(items.into_iter().map(|(_, role)| role).collect())
    }

    /// A role.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn role(&self, call: &Call, tenant: TenantId, id: RoleId) -> Result<Role, AdminError> {
        call.may(Action::RoleRead, &Scope::Tenant(tenant))?;
        self.stored_role(tenant, id).await?.map(|(role, _)| role).ok_or(AdminError::NotFound("role"))
    }

    pub(crate) async fn stored_role(
        &self,
        tenant: TenantId,
        id: RoleId,
    ) -> Result<Option<(Role, u64)>, AdminError> {
        self.read(&role_key(tenant, id)).await
    }

    /// Makes a role. Nobody makes one that could do what he can't.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_role(
        &self,
        call: &Call,
        tenant: TenantId,
        name: &str,
        permissions: Permissions,
    ) -> Result<Role, AdminError> {
        let about = About::new(Some(tenant), Action::RoleAdd, name).to(summary(name, &permissions));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let name = name_of(name)?;
        of_tenant(&permissions)?;
        self.permit_giving(call, &about, &permissions).await?;
        self.needs_function(tenant, Function::GradedAdministrators).await?;
        let roles = self.all_roles(tenant).await?;
        if roles.len() >= MAX_ROLES {
            return Err(Invalid::TooMany { limit: MAX_ROLES }.into());
        }
        is_free(&roles, &name, None)?;
        let role = Role { id: RoleId(self.ids.random()), name, permissions, created: self.clock.now() };
        self.act(call, &about, async {
            let is_written = self.write(&role_key(tenant, role.id), &role, Expected::Absent).await?;
            if is_written { Ok(role.clone()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    /// Changes a role that is still as `expected`. Its holders have at once what it gives then. Nobody changes a role
    /// that can do, or could do then, what he can't.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_role(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &Role,
        name: &str,
        permissions: Permissions,
    ) -> Result<Role, AdminError> {
        let object = expected.id.to_string();
        let about = About::new(Some(tenant), Action::RoleChange, &object)
            .from(summary(&expected.name, &expected.permissions))
            .to(summary(name, &permissions));
        self.permit_alone(call, &Scope::Tenant(tenant), &about).await?;
        let name = name_of(name)?;
        of_tenant(&permissions)?;
        self.permit_giving(call, &about, &expected.permissions).await?;
        self.permit_giving(call, &about, &permissions).await?;
        let (stored, version) = self.found_as(tenant, expected).await?;
        is_free(&self.all_roles(tenant).await?, &name, Some(stored.id))?;
        self.permit_without_second(call, Some(tenant), Action::RoleChange).await?;
        let role = Role { name, permissions, ..stored };
        self.act(call, &about, async {
            let key = role_key(tenant, role.id);
            let is_written = self.write(&key, &role, Expected::Version(version)).await?;
            if is_written { Ok(role.clone()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    /// Removes a role that nobody holds.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_role(&self, call: &Call, tenant: TenantId, id: RoleId) -> Result<(), AdminError> {
        let object = id.to_string();
        let about = About::new(Some(tenant), Action::RoleRemove, &object);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let (role, _) = self.stored_role(tenant, id).await?.ok_or(AdminError::NotFound("role"))?;
        self.permit_giving(call, &about, &role.permissions).await?;
        if self.is_held(tenant, id).await? {
            return Err(AdminError::Conflict(Conflict::RoleHeld));
        }
        let about = about.from(summary(&role.name, &role.permissions));
        // A grant that is made at this moment names a role that is not there, which gives nothing.
        self.act(call, &about, async { self.erase(&role_key(tenant, id)).await.map(drop) }).await
    }

    async fn found_as(&self, tenant: TenantId, expected: &Role) -> Result<(Role, u64), AdminError> {
        let found = self.stored_role(tenant, expected.id).await?.ok_or(AdminError::NotFound("role"))?;
        if found.0 == *expected { Ok(found) } else { Err(AdminError::Changed) }
    }

    /// Has the actor himself, over the whole tenant, what these permissions give, and what is lent by them?
    pub(crate) async fn permit_giving(
        &self,
        call: &Call,
        about: &About<'_>,
        permissions: &Permissions,
    ) -> Result<(), AdminError> {
        let grants = vec![Granted { permissions: permissions.with_lent(), reach: Reach::Tenant }];
        self.permit_over(call, about, &Authority { standing: Standing::Member, grants }).await
    }

    /// Has the actor all of these powers?
    pub(crate) async fn permit_over(
        &self,
        call: &Call,
        about: &About<'_>,
        authority: &Authority,
    ) -> Result<(), AdminError> {
        if call.actor.exceeds_or_equals(authority) {
            return Ok(());
        }
        self.note_denied(call, about, Why::Above).await?;
        Err(AdminError::Denied(Why::Above))
    }
}

fn is_free(roles: &[Role], name: &str, own: Option<RoleId>) -> Result<(), AdminError> {
    let is_same = |role: &Role| role.name.to_lowercase() == name.to_lowercase() && Some(role.id) != own;
    if roles.iter().any(is_same) { Err(AdminError::Conflict(Conflict::RoleTaken)) } else { Ok(()) }
}
