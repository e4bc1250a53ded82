//! Who holds which role over whom (ADM-06 to ADM-08, ADM-10, ADM-11).

use pennypost_directory::{Function, Listed, Page};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Authority, Granted, Reach, Scope, Standing};
use crate::call::{About, Call};
use crate::roles::RoleId;
use crate::{AdminError, Administration, Invalid};

/// Grants that an account may have.
pub const MAX_GRANTS: usize = 20;
/// Departments that a grant may name.
pub const MAX_REACH: usize = 100;

/// A role over somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The role.
    pub role: RoleId,
    /// Over whom.
    pub reach: Reach,
}

/// What an account was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// A super admin.
    pub is_super: bool,
    /// Roles.
    pub roles: Vec<Grant>,
}

impl Versioned for Grants {
    const KIND: &'static str = "grants";
}

#[derive(Debug, Serialize, Deserialize)]
struct Creator {
    account: AccountId,
}

impl Versioned for Creator {
    const KIND: &'static str = "creator";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/grants")
}

fn grants_key(account: AccountKey) -> ControlKey {
    ControlKey::new(partition(account.tenant), account.account.to_string())
}

fn creator_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "creator")
}

fn summary(grants: &Grants) -> Value {
    let roles = grants.roles.iter().map(|grant| match &grant.reach {
        Reach::Tenant => json!({ "role": grant.role.to_string() }),
        Reach::Departments(some) => {
            let departments: Vec<String> = some.iter().map(ToString::to_string).collect();
            json!({ "role": grant.role.to_string(), "departments": departments })
        }
    });
    json!({ "super": grants.is_super, "roles": roles.collect::<Vec<_>>() })
}

impl Administration {
    /// What an account may do besides what every member may.
    pub(crate) async fn authority(&self, account: AccountKey) -> Result<Authority, AdminError> {
        let grants = self.read::<Grants>(&grants_key(account)).await?.map(|(grants, _)| grants);
        let is_creator = self.creator_of(account.tenant).await? == Some(account.account);
        self.authority_by(account.tenant, &grants.unwrap_or_default(), is_creator).await
    }

    async fn authority_by(
        &self,
        tenant: TenantId,
        grants: &Grants,
        is_creator: bool,
    ) -> Result<Authority, AdminError> {
        let standing = match (is_creator, grants.is_super) {
            (true, _) => Standing::Creator,
            (false, true) => Standing::Super,
            (false, false) => Standing::Member,
        };
        let mut given = Vec::with_capacity(grants.roles.len());
        for Grant { role, reach } in &grants.roles {
            // A role that was removed gives nothing.
            if let Some((role, _)) = self.stored_role(tenant, *role).await? {
                given.push(Granted { permissions: role.permissions, reach: reach.clone() });
            }
        }
        Ok(Authority { standing, grants: given })
    }

    pub(crate) async fn creator_of(&self, tenant: TenantId) -> Result<Option<AccountId>, AdminError> {
        let stored = self.read::<Creator>(&creator_key(tenant)).await?;
        Ok(stored.map(|(creator, _)| creator.account))
    }

    /// Who holds what, by account.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn grants(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<(AccountId, Grants)>, AdminError> {
        call.may(Action::GrantRead, &Scope::Tenant(tenant))?;
        let Listed { items, next } = self.list::<Grants>(&partition(tenant), page).await?;
        let items = items.into_iter().filter(|(_, grants)| *grants != Grants::default());
        let items = items.filter_map(|(account, grants)| Some((account.parse().ok()?, grants)));
        Ok(Listed { items: items.collect(), next })
    }

    /// What an account of the tenant holds.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn grants_of(&self, call: &Call, account: AccountKey) -> Result<Grants, AdminError> {
        call.may(Action::GrantRead, &Scope::Tenant(account.tenant))?;
        self.directory.account(account).await?.ok_or(AdminError::NotFound("account"))?;
        Ok(self.read::<Grants>(&grants_key(account)).await?.map(|(grants, _)| grants).unwrap_or_default())
    }

    /// Gives an account roles and takes others away, if it holds what is `expected`. They hold from the next call on. A
    /// grant that would lift anybody above its giver is refused, and so is one that would take something from somebody
    /// above him.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_grants(
        &self,
        call: &Call,
        account: AccountKey,
        expected: &Grants,
        grants: Grants,
    ) -> Result<Grants, AdminError> {
        let tenant = account.tenant;
        let object = account.account.to_string();
        let about = About::new(Some(tenant), Action::GrantChange, &object)
            .from(summary(expected))
            .to(summary(&grants));
        self.permit_alone(call, &Scope::Tenant(tenant), &about).await?;
        self.directory.account(account).await?.ok_or(AdminError::NotFound("account"))?;
        self.check_grants(tenant, &grants).await?;
        // What is held already may be taken away, or narrowed, without it.
        let is_held = |given: &Grant| {
            let holds = |held: &Grant| held.role == given.role && held.reach.holds(&given.reach);
            expected.roles.iter().any(holds)
        };
        if !grants.roles.iter().all(is_held) {
            self.needs_function(tenant, Function::GradedAdministrators).await?;
        }
        let is_creator = self.creator_of(tenant).await? == Some(account.account);
        for given in [expected, &grants] {
            let authority = self.authority_by(tenant, given, is_creator).await?;
            self.permit_over(call, &about, &authority).await?;
        }
        let key = grants_key(account);
        let stored = self.read::<Grants>(&key).await?;
        let (held, condition) = match stored {
            Some((held, version)) => (held, Expected::Version(version)),
            None => (Grants::default(), Expected::Absent),
        };
        if held != *expected {
            return Err(AdminError::Changed);
        }
        self.permit_without_second(call, Some(tenant), Action::GrantChange).await?;
        self.act(call, &about, async {
            // The item of somebody who holds nothing stays: its version goes on.
            let is_written = self.write(&key, &grants, condition).await?;
            if is_written { Ok(grants.clone()) } else { Err(AdminError::Changed) }
        })
        .await
    }

    async fn check_grants(&self, tenant: TenantId, grants: &Grants) -> Result<(), AdminError> {
        if grants.roles.len() > MAX_GRANTS {
            return Err(Invalid::TooMany { limit: MAX_GRANTS }.into());
        }
        for Grant { role, reach } in &grants.roles {
            if self.stored_role(tenant, *role).await?.is_none() {
                return Err(Invalid::NoRole.into());
            }
            match reach {
                Reach::Departments(some) if some.len() > MAX_REACH => {
                    return Err(Invalid::TooMany { limit: MAX_REACH }.into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Does anybody hold this role?
    pub(crate) async fn is_held(&self, tenant: TenantId, role: RoleId) -> Result<bool, AdminError> {
        let mut page = Page::default();
        loop {
            let listed = self.list::<Grants>(&partition(tenant), &page).await?;
            let holds = |grants: &Grants| grants.roles.iter().any(|grant| grant.role == role);
            if listed.items.iter().any(|(_, grants)| holds(grants)) {
                return Ok(true);
            }
            let Some(next) = listed.next else { return Ok(false) };
            page.after = Some(next);
        }
    }

    /// The tenant's creator, if one was named.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn creator(&self, call: &Call, tenant: TenantId) -> Result<Option<AccountId>, AdminError> {
        call.may(Action::GrantRead, &Scope::Tenant(tenant))?;
        self.creator_of(tenant).await
    }

    /// Names the creator of a tenant that is being opened, unless there is one.
    pub(crate) async fn name_first_creator(&self, creator: AccountKey) -> Result<(), AdminError> {
        let key = creator_key(creator.tenant);
        self.write(&key, &Creator { account: creator.account }, Expected::Absent).await.map(drop)
    }

    /// Names the creator: the operator the first one, later he himself his successor, if he is still `expected`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_creator(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: Option<AccountId>,
        account: AccountId,
    ) -> Result<(), AdminError> {
        let object = account.to_string();
        let before = json!({ "creator": expected.map(|account| account.to_string()) });
        let about = About::new(Some(tenant), Action::CreatorChange, &object)
            .from(before)
            .to(json!({ "creator": object }));
        self.permit_alone(call, &Scope::Tenant(tenant), &about).await?;
        if self.directory.account(AccountKey { tenant, account }).await?.is_none() {
            return Err(Invalid::NoAccount.into());
        }
        let key = creator_key(tenant);
        let stored = self.read::<Creator>(&key).await?;
        if stored.as_ref().map(|(creator, _)| creator.account) != expected {
            return Err(AdminError::Changed);
        }
        let condition = stored.map_or(Expected::Absent, |(_, version)| Expected::Version(version));
        self.permit_without_second(call, Some(tenant), Action::CreatorChange).await?;
        self.act(call, &about, async {
            let is_written = self.write(&key, &Creator { account }, condition).await?;
            if is_written { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await
    }
}
