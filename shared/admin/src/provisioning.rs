//! Provisioning: a directory elsewhere says who is a member, over SCIM (ORG-26).
//!
//! A key for it does nothing else: neither passwords nor tokens nor any other call. Within SCIM it does what `members` does,
//! by the calls that everybody goes through, each with its question and its record; so the key is lent that permission here,
//! and here alone. Whoever has powers that the key has not stays out of its reach, as of any key's.

use pennypost_directory::{
    Account, AccountKind, DepartmentId, DepartmentTree, DirectoryError, Page, Provided, ProvidedKind,
    Provisioned, TagId,
};
use pennypost_model::{AccountId, AccountKey, TenantId};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::{Actor, Scope, Why};
use crate::call::{About, Call};
use crate::permission::{Area, Level, Permission, Permissions};
use crate::{AdminError, Administration};

/// A program that provisions a tenant.
#[derive(Debug, Clone)]
pub struct Provisioner {
    /// Its calls.
    pub call: Call,
    /// The tenant.
    pub tenant: TenantId,
    /// The name of its key: by that its ids are told from those of others, and a new key of the same name goes on with them.
    source: String,
}

impl Administration {
    /// The program behind this call, if it may provision the tenant: a tenant's key that is no person's.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn provisioner(
        &self,
        call: &Call,
        changes: bool,
        object: &str,
    ) -> Result<Provisioner, AdminError> {
        let Actor::Service { key, name, tenant: Some(tenant), permissions } = &call.actor else {
            return Err(AdminError::Denied(Why::NoPermission));
        };
        let (action, level) = if changes {
            (Action::ProvisioningChange, Level::Write)
        } else {
            (Action::ProvisioningRead, Level::Read)
        };
        self.admit(call, action, Some(*tenant), object).await?;
        let lent = Permission { area: Area::Members, level };
        let permissions: Permissions = permissions.iter().chain(std::iter::once(lent)).collect();
        let actor = Actor::Service { key: *key, name: name.clone(), tenant: Some(*tenant), permissions };
        let call = Call { actor, origin: call.origin };
        Ok(Provisioner { call, tenant: *tenant, source: name.clone() })
    }

    /// How many members the tenant has, and those of a part of them, in the order of their ids: neither business mailboxes nor
    /// what lies in the recycle bin. Reads all of them, a page at a time; `turn` is asked before each.
    ///
    /// # Errors
    /// [`AdminError`], or what `turn` says.
    pub async fn provided_members<E: From<AdminError>>(
        &self,
        by: &Provisioner,
        skip: usize,
        take: usize,
        turn: impl Fn() -> Result<(), E> + Send + Sync,
    ) -> Result<(usize, Vec<Account>), E> {
        let (mut page, mut total, mut members) = (Page::default(), 0, Vec::new());
        loop {
            turn()?;
            let listed = self.accounts(&by.call, by.tenant, &page).await?;
            for account in listed.items.into_iter().filter(is_provided) {
                if total >= skip && members.len() < take {
                    members.push(account);
                }
                total += 1;
            }
            let Some(next) = listed.next else { return Ok((total, members)) };
            page.after = Some(next);
        }
    }

    /// The member of that id.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn provided_member(
        &self,
        by: &Provisioner,
        account: AccountId,
    ) -> Result<Option<Account>, AdminError> {
        let key = AccountKey { tenant: by.tenant, account };
        match self.account(&by.call, key).await {
            Ok(account) => Ok(Some(account).filter(is_provided)),
            Err(AdminError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The member at that address.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn provided_member_at(
        &self,
        by: &Provisioner,
        address: &str,
    ) -> Result<Option<Account>, AdminError> {
        Ok(self.account_at(&by.call, by.tenant, address).await?.filter(is_provided))
    }

    /// What the program calls by this id: an account, which may be gone by now, or a tag.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn provided_as(
        &self,
        by: &Provisioner,
        kind: ProvidedKind,
        external_id: &str,
    ) -> Result<Option<Provided>, AdminError> {
        by.call.may(Action::ProvisioningRead, &Scope::Tenant(by.tenant))?;
        Ok(self.directory.provided_as(by.tenant, &by.source, kind, external_id).await?)
    }

    /// What the program has said of something.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn provisioned(&self, by: &Provisioner, what: Provided) -> Result<Provisioned, AdminError> {
        by.call.may(Action::ProvisioningRead, &Scope::Tenant(by.tenant))?;
        Ok(self.directory.provisioned(by.tenant, &by.source, what).await?.unwrap_or_default())
    }

    /// Keeps what the program says of something, of which it has said `expected` until now.
    ///
    /// # Errors
    /// [`AdminError::Changed`] if it has said something else meanwhile, and others.
    #[pennypost_ports::compiled_here]
    pub async fn set_provisioned(
        &self,
        by: &Provisioner,
        what: Provided,
        expected: &Provisioned,
        said: &Provisioned,
    ) -> Result<(), AdminError> {
        let setting = async {
            let is_set = self.directory.set_provisioned(by.tenant, &by.source, what, expected, said).await?;
            if is_set { Ok(()) } else { Err(AdminError::Changed) }
        };
        if expected == said {
            by.call.may(Action::ProvisioningChange, &Scope::Tenant(by.tenant))?;
            return setting.await;
        }
        let object = match what {
            Provided::Account(account) => account.to_string(),
            Provided::Tag(TagId(tag)) => format!("#{tag}"),
        };
        let about = About::new(Some(by.tenant), Action::ProvisioningChange, &object)
            .from(shown(what, expected))
            .to(shown(what, said));
        self.permit(&by.call, &Scope::Tenant(by.tenant), &about).await?;
        self.act(&by.call, &about, setting).await
    }

    /// The department of a path such as `Research/Compilers`, made with those above it where they are missing; `None` for a path
    /// without a name, which is the organisation itself.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn provided_department(
        &self,
        by: &Provisioner,
        path: &str,
    ) -> Result<Option<DepartmentId>, AdminError> {
        let names = DepartmentTree::names_of_path(path)?;
        let mut tree = self.departments(&by.call, by.tenant, false).await?.tree;
        let mut at = DepartmentId::ROOT;
        for name in &names {
            at = match tree.child(at, name) {
                Some(found) => found,
                None => match self.add_department(&by.call, by.tenant, at, name, "").await {
                    Ok((made, with_it)) => {
                        tree = with_it;
                        made.id
                    }
                    // Somebody else has made it meanwhile.
                    Err(AdminError::Directory(DirectoryError::DepartmentTaken(taken))) => {
                        tree = self.departments(&by.call, by.tenant, false).await?.tree;
                        tree.child(at, name).ok_or(DirectoryError::DepartmentTaken(taken))?
                    }
                    Err(error) => return Err(error),
                },
            };
        }
        Ok(Some(at).filter(|at| *at != DepartmentId::ROOT))
    }
}

/// Is it a person's, and not on its way out?
fn is_provided(account: &Account) -> bool {
    account.kind == AccountKind::Member && account.binned.is_none()
}

/// What is said of something, for the log.
fn shown(what: Provided, said: &Provisioned) -> Value {
    match what {
        Provided::Account(_) => json!({
            "external_id": said.external_id, "given_name": said.given_name,
            "family_name": said.family_name, "display_name": said.display_name,
        }),
        Provided::Tag(_) => json!({ "external_id": said.external_id }),
    }
}
