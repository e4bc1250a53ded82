//! Tenants.

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::clients::ClientSettingsV1;
use crate::store::name_for_people;
use crate::{ClientSettings, Directory, DirectoryError, Listed, Page, Plan};

/// Characters of a tenant's name.
const MAX_NAME: usize = 100;

/// A tenant: an organisation with domains and accounts of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Random, never reused.
    pub id: TenantId,
    /// Unique without regard to case.
    pub name: String,
    /// May it use the post office?
    pub state: TenantState,
    /// When it was opened.
    pub created: Timestamp,
    /// What it has said about its members' mail programs.
    pub clients: ClientSettings,
    /// What it has; `None`: it is limited by nothing.
    pub plan: Option<Plan>,
}

impl Versioned for Tenant {
    const KIND: &'static str = "tenant";
    const VERSION: u8 = 4;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Tenant, CodecError> {
        let TenantV3 { id, name, state, created, clients, plan } = match found {
            1 => {
                let TenantV1 { id, name, state, created } = decode_plain(Self::KIND, bytes)?;
                TenantV3 { id, name, state, created, clients: ClientSettingsV1::default(), plan: None }
            }
            2 => {
                let TenantV2 { id, name, state, created, clients } = decode_plain(Self::KIND, bytes)?;
                TenantV3 { id, name, state, created, clients, plan: None }
            }
            3 => decode_plain(Self::KIND, bytes)?,
            _ => return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        };
        Ok(Tenant { id, name, state, created, clients: clients.upgraded(), plan })
    }
}

/// As stored before there was a word about mail programs.
#[derive(Serialize, Deserialize)]
struct TenantV1 {
    id: TenantId,
    name: String,
    state: TenantState,
    created: Timestamp,
}

/// As stored before there were plans.
#[derive(Serialize, Deserialize)]
struct TenantV2 {
    id: TenantId,
    name: String,
    state: TenantState,
    created: Timestamp,
    clients: ClientSettingsV1,
}

/// As stored before mail programs could send.
#[derive(Serialize, Deserialize)]
struct TenantV3 {
    id: TenantId,
    name: String,
    state: TenantState,
    created: Timestamp,
    clients: ClientSettingsV1,
    plan: Option<Plan>,
}

/// May a tenant use the post office?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantState {
    /// Yes.
    Active,
    /// No sign-in; mail is put off by a temporary refusal (TEN-10).
    Suspended,
}

/// The id behind a tenant's name.
#[derive(Debug, Serialize, Deserialize)]
struct NamedTenant {
    tenant: TenantId,
}

impl Versioned for NamedTenant {
    const KIND: &'static str = "tenant name";
}

const REGISTRY: &str = "tenants";

fn name_key(name: &str) -> ControlKey {
    ControlKey::new(REGISTRY, name.to_lowercase())
}

fn tenant_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "tenant")
}

impl Directory {
    /// Opens a tenant. Repeating an interrupted call completes it.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::TenantTaken`], or the port's.
    pub async fn add_tenant(&self, name: &str) -> Result<Tenant, DirectoryError> {
        let name = name_for_people(name, MAX_NAME)?;
        let fresh = NamedTenant { tenant: TenantId(self.ids.random()) };
        let id = match self.write(&name_key(&name), &fresh, Expected::Absent).await? {
            Some(_) => fresh.tenant,
            None => {
                let named = self.read::<NamedTenant>(&name_key(&name), Consistency::Strong).await?;
                named.ok_or(DirectoryError::Contended)?.value.tenant
            }
        };
        if self.tenant(id).await?.is_some() {
            return Err(DirectoryError::TenantTaken(name));
        }
        // Before the tenant is there, and so before it has an account.
        self.mark_cards_written(id).await?;
        let (state, clients) = (TenantState::Active, ClientSettings::default());
        let tenant = Tenant { id, name, state, created: self.clock.now(), clients, plan: None };
        match self.write(&tenant_key(id), &tenant, Expected::Absent).await? {
            Some(_) => Ok(tenant),
            None => Err(DirectoryError::TenantTaken(tenant.name)),
        }
    }

    /// The tenant with that id.
    ///
    /// # Errors
    /// The port's.
    pub async fn tenant(&self, tenant: TenantId) -> Result<Option<Tenant>, DirectoryError> {
        Ok(self.read(&tenant_key(tenant), Consistency::Strong).await?.map(|held| held.value))
    }

    /// The tenant with that name, whatever its case, or with that id as 16 hex digits.
    ///
    /// # Errors
    /// The port's.
    pub async fn tenant_named(&self, name: &str) -> Result<Option<Tenant>, DirectoryError> {
        if let Ok(wanted) = name_for_people(name, MAX_NAME)
            && let Some(named) = self.read::<NamedTenant>(&name_key(&wanted), Consistency::Strong).await?
        {
            return self.tenant(named.value.tenant).await;
        }
        match name.parse::<TenantId>() {
            Ok(id) => self.tenant(id).await,
            Err(_) => Ok(None),
        }
    }

    /// Tenants in the order of their names.
    ///
    /// # Errors
    /// The port's.
    pub async fn tenants(&self, page: &Page) -> Result<Listed<Tenant>, DirectoryError> {
        let named = self.list::<NamedTenant>(REGISTRY, "", page).await?;
        let mut items = Vec::with_capacity(named.items.len());
        for (_, entry) in named.items {
            items.extend(self.tenant(entry.tenant).await?);
        }
        Ok(Listed { items, next: named.next })
    }

    /// Suspends a tenant or lets it in again.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], or the port's.
    pub async fn set_tenant_state(&self, tenant: TenantId, state: TenantState) -> Result<(), DirectoryError> {
        self.change_tenant(tenant, |stored| stored.state = state).await
    }

    pub(crate) async fn change_tenant(
        &self,
        tenant: TenantId,
        change: impl Fn(&mut Tenant),
    ) -> Result<(), DirectoryError> {
        let changed = self
            .change(&tenant_key(tenant), |stored: &mut Tenant| {
                change(stored);
                Ok(())
            })
            .await?;
        changed.ok_or_else(|| DirectoryError::NoTenant(tenant.to_string()))
    }

    /// The tenant, if its members may sign in.
    pub(crate) async fn active_tenant(&self, tenant: TenantId) -> Result<Option<Tenant>, DirectoryError> {
        Ok(self.tenant(tenant).await?.filter(|tenant| tenant.is_open(self.clock.now())))
    }

    /// The tenant with that id, as it is or was a moment ago.
    pub(crate) async fn tenant_with(
        &self,
        tenant: TenantId,
        consistency: Consistency,
    ) -> Result<Option<Tenant>, DirectoryError> {
        Ok(self.read(&tenant_key(tenant), consistency).await?.map(|held| held.value))
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode_plain};

    use super::*;

    #[test]
    fn tenants_of_every_earlier_version_are_read() {
        let (id, state, created) = (TenantId(1), TenantState::Suspended, Timestamp(8));
        let name = "acme".to_owned();
        let first = encode_plain(&TenantV1 { id, name: name.clone(), state, created }, 1);
        let clients = ClientSettingsV1 { passwords: Some(false), ..ClientSettingsV1::default() };
        let second = encode_plain(&TenantV2 { id, name: name.clone(), state, created, clients }, 2);
        let plan = Some(Plan::pro());
        let third = TenantV3 { id, name: name.clone(), state, created, clients, plan: plan.clone() };
        let third = encode_plain(&third, 3);
        let said = clients.upgraded();
        assert_eq!((said.passwords, said.sent_copies), (Some(false), None));
        for (bytes, clients, plan) in
            [(first, ClientSettings::default(), None), (second, said, None), (third, said, plan)]
        {
            let tenant: Tenant = decode(&bytes).expect("read");
            assert_eq!(tenant, Tenant { id, name: name.clone(), state, created, clients, plan });
        }
    }
}
