//! Departments: adding, changing, removing, and putting accounts into them (ORG-01, ORG-02, ORG-16).

use std::collections::HashMap;

use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};

use super::cards::{members_partition, members_prefix};
use super::profile::{MAX_DEPARTMENTS_OF_ACCOUNT, Profile};
use super::tree::{Department, DepartmentChange, DepartmentId, DepartmentTree, NewDepartment};
use crate::store::MAX_ATTEMPTS;
use crate::{Account, AccountKind, Directory, DirectoryError, Page};

/// Cards that are looked through for one that is not empty, when a department is removed.
const MAX_LOOKED_AT: usize = 100;

/// What became of departments that were to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnsuredDepartments {
    /// The tree with them.
    pub tree: DepartmentTree,
    /// For each, in their order, its id or why it cannot be.
    pub outcomes: Vec<Result<DepartmentId, DirectoryError>>,
    /// How many departments were not there before.
    pub added: usize,
}

/// Departments with how many are in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepartmentPage {
    /// The tree that it is in.
    pub tree: DepartmentTree,
    /// How many accounts are directly in each department that has any.
    pub members: HashMap<DepartmentId, usize>,
}

fn tree_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(format!("{tenant}/departments"), "tree")
}

impl Directory {
    /// The departments of a tenant; a tenant that has none has the organisation alone.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn departments(&self, tenant: TenantId) -> Result<DepartmentTree, DirectoryError> {
        let held = self.read::<DepartmentTree>(&tree_key(tenant), Consistency::Strong).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// The departments of a tenant, with how many accounts are directly in each (ORG-02). Reads a card of every member:
    /// not for paths on which somebody waits often.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn departments_counted(&self, tenant: TenantId) -> Result<DepartmentPage, DirectoryError> {
        self.bring_cards_up_to_date(tenant).await?;
        let tree = self.departments(tenant).await?;
        let mut members: HashMap<DepartmentId, usize> = HashMap::new();
        let mut page = Page::default();
        loop {
            let listed = self.people_of(&members_partition(tenant), "", &page).await?;
            for (sort, _) in &listed.items {
                let department = sort.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                *members.entry(DepartmentId(department.unwrap_or_default())).or_default() += 1;
            }
            let Some(next) = listed.next else { return Ok(DepartmentPage { tree, members }) };
            page.after = Some(next);
        }
    }

    /// Changes the tree of departments by compare-and-set: `change` may be called several times, each time with what is
    /// stored then. All of it or, after an error, nothing.
    pub(crate) async fn change_departments<R>(
        &self,
        tenant: TenantId,
        mut change: impl FnMut(&mut DepartmentTree) -> Result<R, DirectoryError>,
    ) -> Result<R, DirectoryError> {
        let key = tree_key(tenant);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<DepartmentTree>(&key, Consistency::Strong).await?;
            let (mut tree, expected) = match held {
                Some(held) => (held.value, Expected::Version(held.version)),
                None => {
                    self.tenant(tenant).await?.ok_or_else(|| DirectoryError::NoTenant(tenant.to_string()))?;
                    (DepartmentTree::default(), Expected::Absent)
                }
            };
            let result = change(&mut tree)?;
            if self.write(&key, &tree, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Adds a department as the last of those below `parent`.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], [`DirectoryError::NoDepartment`], [`DirectoryError::DepartmentName`],
    /// [`DirectoryError::DepartmentTaken`], [`DirectoryError::DepartmentDepth`], [`DirectoryError::TooMany`], or the
    /// port's.
    #[pennypost_ports::compiled_here]
    pub async fn add_department(
        &self,
        tenant: TenantId,
        parent: DepartmentId,
        name: &str,
        description: &str,
    ) -> Result<Department, DirectoryError> {
        self.change_departments(tenant, |tree| tree.add(parent, name, description)).await
    }

    /// Adds those of many departments that are missing, with those above them, in one step; with `dry_run` only says what
    /// would become of them.
    ///
    /// # Errors
    /// [`DirectoryError::NoTenant`], [`DirectoryError::Contended`], or the port's. What is wrong with one of them stands in
    /// its outcome, and the others are added.
    #[pennypost_ports::compiled_here]
    pub async fn ensure_departments(
        &self,
        tenant: TenantId,
        wanted: &[NewDepartment],
        dry_run: bool,
    ) -> Result<EnsuredDepartments, DirectoryError> {
        let ensure = |tree: &mut DepartmentTree| {
            let mut outcomes = Vec::with_capacity(wanted.len());
            let mut added = 0;
            for new in wanted {
                let outcome = tree.ensure(&new.path, &new.description);
                added += outcome.as_ref().map_or(0, |(_, added)| *added);
                outcomes.push(outcome.map(|(id, _)| id));
            }
            EnsuredDepartments { tree: tree.clone(), outcomes, added }
        };
        let mut tree = self.departments(tenant).await?;
        let before = tree.clone();
        let ensured = ensure(&mut tree);
        if dry_run || tree == before {
            return Ok(ensured);
        }
        self.change_departments(tenant, |tree| Ok(ensure(tree))).await
    }

    /// Renames, describes, moves or orders a department; its members go with it.
    ///
    /// # Errors
    /// [`DirectoryError::DepartmentCycle`], and those of [`Directory::add_department`].
    #[pennypost_ports::compiled_here]
    pub async fn change_department(
        &self,
        tenant: TenantId,
        id: DepartmentId,
        change: &DepartmentChange,
    ) -> Result<DepartmentTree, DirectoryError> {
        self.change_departments(tenant, |tree| {
            tree.change(id, change)?;
            Ok(tree.clone())
        })
        .await
    }

    /// Removes a department that has neither members nor departments below it.
    ///
    /// It is closed first: who is put into it at the same time is either seen here or put elsewhere by
    /// [`Directory::settle`], which looks at the tree after the cards are written.
    ///
    /// # Errors
    /// [`DirectoryError::NoDepartment`], [`DirectoryError::DepartmentNotEmpty`], or the port's. Repeating an interrupted
    /// call completes it.
    #[pennypost_ports::compiled_here]
    pub async fn remove_department(&self, tenant: TenantId, id: DepartmentId) -> Result<(), DirectoryError> {
        self.bring_cards_up_to_date(tenant).await?;
        let tree = self.departments(tenant).await?;
        let name = tree.department(id).map(|department| department.name.clone());
        let name = name.ok_or_else(|| DirectoryError::NoDepartment(format!("#{id}")))?;
        self.change_departments(tenant, |tree| tree.set_closing(id, true)).await?;
        if self.has_members(tenant, id).await? {
            self.change_departments(tenant, |tree| tree.set_closing(id, false)).await?;
            return Err(DirectoryError::DepartmentNotEmpty(name));
        }
        self.change_departments(tenant, |tree| tree.remove_closed(id)).await
    }

    async fn has_members(&self, tenant: TenantId, id: DepartmentId) -> Result<bool, DirectoryError> {
        let mut page = Page { after: None, limit: MAX_LOOKED_AT };
        loop {
            let listed = self.people_of(&members_partition(tenant), &members_prefix(id), &page).await?;
            if !listed.items.is_empty() {
                return Ok(true);
            }
            let Some(next) = listed.next else { return Ok(false) };
            page.after = Some(next);
        }
    }

    /// Puts an account into these departments and no others, the main one first; none: directly into the organisation.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::NoDepartment`], [`DirectoryError::TooMany`],
    /// [`DirectoryError::WrongKind`] for a business mailbox, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_departments(
        &self,
        key: AccountKey,
        departments: &[DepartmentId],
    ) -> Result<(), DirectoryError> {
        let tree = self.departments(key.tenant).await?;
        let departments = check_departments(&tree, departments)?;
        self.try_change_account(key, |account| {
            is_persons(account)?;
            account.departments.clone_from(&departments);
            Ok(())
        })
        .await
    }

    /// Changes what the directory says of a person; `change` may be called several times.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::WrongKind`] for a business mailbox, what `change` gives, or the
    /// port's.
    pub async fn change_profile(
        &self,
        key: AccountKey,
        change: impl Fn(&mut Profile) -> Result<(), DirectoryError>,
    ) -> Result<(), DirectoryError> {
        self.try_change_account(key, |account| {
            is_persons(account)?;
            change(&mut account.profile)
        })
        .await
    }
}

/// A business mailbox is in no department and says nothing of a person (BIZ-01).
fn is_persons(account: &Account) -> Result<(), DirectoryError> {
    match account.kind {
        AccountKind::Member => Ok(()),
        AccountKind::Business => Err(DirectoryError::WrongKind(account.address.to_string())),
    }
}

/// The departments, each once and all there. The organisation itself among others says nothing.
pub(crate) fn check_departments(
    tree: &DepartmentTree,
    departments: &[DepartmentId],
) -> Result<Vec<DepartmentId>, DirectoryError> {
    let mut checked = Vec::with_capacity(departments.len());
    for department in departments {
        if !tree.is_open(*department) {
            return Err(DirectoryError::NoDepartment(format!("#{department}")));
        }
        if !checked.contains(department) {
            checked.push(*department);
        }
    }
    if checked == [DepartmentId::ROOT] {
        checked.clear();
    }
    if checked.len() > MAX_DEPARTMENTS_OF_ACCOUNT {
        let limit = MAX_DEPARTMENTS_OF_ACCOUNT;
        return Err(DirectoryError::TooMany { what: "an account's departments", limit });
    }
    Ok(checked)
}
