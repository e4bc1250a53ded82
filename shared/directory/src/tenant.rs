//! Tenants.

use pennypost_model::codec::{CodecError, Versioned, decode_plain, decode_without};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::clients::ClientSettingsV1;
use crate::plan::PlanV1;
use crate::store::name_for_people;
use crate::{Block, ClientSettings, Directory, DirectoryError, Listed, Page, Plan};

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
    /// What the operator has blocked (TEN-10).
    pub block: Option<Block>,
    /// Members' letters bear the names that administrators have given, whatever their programs say (ORG-27).
    pub has_unified_names: bool,
    /// It has said that texts stand in its members' letters (BRD-09, BRD-12), or did: what it says now is to be looked up.
    pub has_footers: bool,
    /// It has said which letters go by what stands in them, or did.
    pub has_content_rules: bool,
}

impl Tenant {
    fn new(id: TenantId, name: String, created: Timestamp) -> Tenant {
        let (state, clients) = (TenantState::Active, ClientSettings::default());
        Tenant {
            id,
            name,
            state,
            created,
            clients,
            plan: None,
            block: None,
            has_unified_names: false,
            has_footers: false,
            has_content_rules: false,
        }
    }
}

impl Versioned for Tenant {
    const KIND: &'static str = "tenant";
    const VERSION: u8 = 8;

    /// Only programs that know of footers, and of rules about contents, hand in the letters of a tenant that has any.
    fn version(&self) -> u8 {
        match (self.has_content_rules, self.has_footers) {
            (true, _) => Self::VERSION,
            (false, true) => 7,
            (false, false) => 6,
        }
    }

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
            4 => {
                let TenantV4 { id, name, state, created, clients, plan } = decode_plain(Self::KIND, bytes)?;
                let plan = plan.map(PlanV1::upgraded);
                return Ok(Tenant {
                    id,
                    name,
                    state,
                    created,
                    clients,
                    plan,
                    block: None,
                    has_unified_names: false,
                    has_footers: false,
                    has_content_rules: false,
                });
            }
            5 => {
                let TenantV5 { id, name, state, created, clients, plan, block, has_unified_names } =
                    decode_plain(Self::KIND, bytes)?;
                let plan = plan.map(PlanV1::upgraded);
                return Ok(Tenant {
                    id,
                    name,
                    state,
                    created,
                    clients,
                    plan,
                    block,
                    has_unified_names,
                    has_footers: false,
                    has_content_rules: false,
                });
            }
            6 => return decode_without(Self::KIND, bytes, 2),
            7 => return decode_without(Self::KIND, bytes, 1),
            _ => return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        };
        Ok(Tenant {
            id,
            name,
            state,
            created,
            clients: clients.upgraded(),
            plan: plan.map(PlanV1::upgraded),
            block: None,
            has_unified_names: false,
            has_footers: false,
            has_content_rules: false,
        })
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
    plan: Option<PlanV1>,
}

/// As stored before single functions could be blocked.
#[derive(Serialize, Deserialize)]
struct TenantV4 {
    id: TenantId,
    name: String,
    state: TenantState,
    created: Timestamp,
    clients: ClientSettings,
    plan: Option<PlanV1>,
}

/// As stored before orders were carried out.
#[derive(Serialize, Deserialize)]
struct TenantV5 {
    id: TenantId,
    name: String,
    state: TenantState,
    created: Timestamp,
    clients: ClientSettings,
    plan: Option<PlanV1>,
    block: Option<Block>,
    has_unified_names: bool,
}

/// May a tenant use the post office? Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantState {
    /// Yes.
    Active,
    /// No sign-in; mail is put off by a temporary refusal (TEN-10).
    Suspended,
    /// It has ended, and is being erased: for it there is no way back (TEN-11).
    Erasing,
}

/// The id behind a tenant's name.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NamedTenant {
    pub(crate) tenant: TenantId,
}

impl Versioned for NamedTenant {
    const KIND: &'static str = "tenant name";
}

const REGISTRY: &str = "tenants";

pub(crate) fn name_key(name: &str) -> ControlKey {
    ControlKey::new(REGISTRY, name.to_lowercase())
}

pub(crate) fn tenant_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "tenant")
}

/// The name of an organisation as it is stored, said by whoever opens it himself. None that could be read as the id of a tenant:
/// the operator names tenants by both ([`Directory::tenant_named`]).
///
/// # Errors
/// [`DirectoryError::Name`].
pub fn organisation_name(name: &str) -> Result<String, DirectoryError> {
    let name = name_for_people(name, MAX_NAME)?;
    if name.to_lowercase().parse::<TenantId>().is_ok() {
        return Err(DirectoryError::Name { limit: MAX_NAME });
    }
    Ok(name)
}

impl Directory {
    /// Opens a tenant. Repeating an interrupted call completes it.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::TenantTaken`], or the port's.
    #[pennypost_ports::compiled_here]
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
        self.begin_read_status(id).await?;
        let tenant = Tenant::new(id, name, self.clock.now());
        match self.write(&tenant_key(id), &tenant, Expected::Absent).await? {
            Some(_) => Ok(tenant),
            None => Err(DirectoryError::TenantTaken(tenant.name)),
        }
    }

    /// Opens a tenant with an id that was chosen before and belongs to nobody. Repeating the call completes it, or finds the
    /// tenant.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::TenantTaken`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn open_tenant(&self, id: TenantId, name: &str) -> Result<Tenant, DirectoryError> {
        let name = organisation_name(name)?;
        self.mark_cards_written(id).await?;
        self.begin_read_status(id).await?;
        let fresh = Tenant::new(id, name, self.clock.now());
        // Before the name, so that nobody who adds a tenant of that name takes this one for what he has begun.
        if self.write(&tenant_key(id), &fresh, Expected::Absent).await?.is_none() {
            let is_other = |tenant: &Tenant| tenant.name != fresh.name;
            if let Some(known) = self.tenant(id).await?.filter(is_other) {
                return Err(DirectoryError::TenantTaken(known.name));
            }
        }
        if self.write(&name_key(&fresh.name), &NamedTenant { tenant: id }, Expected::Absent).await?.is_none()
        {
            let named = self.read::<NamedTenant>(&name_key(&fresh.name), Consistency::Strong).await?;
            if named.is_none_or(|held| held.value.tenant != id) {
                self.erase(&tenant_key(id)).await?;
                self.unmark_cards(id).await?;
                self.forget_read_status(id).await?;
                return Err(DirectoryError::TenantTaken(fresh.name));
            }
        }
        self.tenant(id).await?.ok_or(DirectoryError::Contended)
    }

    /// The tenant with that id.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn tenant(&self, tenant: TenantId) -> Result<Option<Tenant>, DirectoryError> {
        Ok(self.read(&tenant_key(tenant), Consistency::Strong).await?.map(|held| held.value))
    }

    /// The tenant with that name, whatever its case, or with that id as 16 hex digits.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
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
    #[pennypost_ports::compiled_here]
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
    #[pennypost_ports::compiled_here]
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
                // Nothing is said any more of one that is being erased.
                if stored.state == TenantState::Erasing {
                    return Err(DirectoryError::NoTenant(stored.name.clone()));
                }
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
    use pennypost_model::codec::{decode, encode, encode_plain};

    use super::*;

    #[test]
    fn tenants_of_every_earlier_version_are_read() {
        let (id, state, created) = (TenantId(1), TenantState::Suspended, Timestamp(8));
        let name = "acme".to_owned();
        let first = encode_plain(&TenantV1 { id, name: name.clone(), state, created }, 1);
        let clients = ClientSettingsV1 { passwords: Some(false), ..ClientSettingsV1::default() };
        let second = encode_plain(&TenantV2 { id, name: name.clone(), state, created, clients }, 2);
        let plan = Some(Plan::pro());
        let stored = || {
            let Plan { edition, functions, seats, vip_seats, business_mailboxes, capacities, .. } =
                Plan::pro();
            let (verification, payment) = (Plan::pro().verification, Plan::pro().payment);
            Some(PlanV1 {
                edition,
                functions,
                seats,
                vip_seats,
                business_mailboxes,
                capacities,
                daily_messages: None,
                starts: None,
                ends: None,
                verification,
                payment,
                pay_by: None,
            })
        };
        let third = TenantV3 { id, name: name.clone(), state, created, clients, plan: stored() };
        let third = encode_plain(&third, 3);
        let said = clients.upgraded();
        let fourth = TenantV4 { id, name: name.clone(), state, created, clients: said, plan: stored() };
        let fourth = encode_plain(&fourth, 4);
        let fifth = TenantV5 {
            id,
            name: name.clone(),
            state,
            created,
            clients: said,
            plan: stored(),
            block: None,
            has_unified_names: false,
        };
        let fifth = encode_plain(&fifth, 5);
        assert_eq!((said.passwords, said.sent_copies), (Some(false), None));
        for (bytes, clients, plan) in [
            (first, ClientSettings::default(), None),
            (second, said, None),
            (third, said, plan.clone()),
            (fourth, said, plan.clone()),
            (fifth, said, plan),
        ] {
            let tenant: Tenant = decode(&bytes).expect("read");
            assert_eq!(
                tenant,
                Tenant {
                    id,
                    name: name.clone(),
                    state,
                    created,
                    clients,
                    plan,
                    block: None,
                    has_unified_names: false,
                    has_footers: false,
                    has_content_rules: false
                }
            );
            // Of one without footers programs of before go on reading what is written.
            assert_eq!(encode(&tenant)[0], 6);
            let footed = Tenant { has_footers: true, ..tenant };
            assert_eq!((encode(&footed)[0], decode(&encode(&footed))), (7, Ok(footed.clone())));
            let ruled = Tenant { has_content_rules: true, ..footed };
            assert_eq!((encode(&ruled)[0], decode(&encode(&ruled))), (8, Ok(ruled)));
        }
    }
}
