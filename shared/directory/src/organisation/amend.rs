//! Changes to departments, tags and rules of groups that happen only if what is changed is still as somebody saw it; and
//! searches page by page.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::{AccountId, AccountKey, TenantId};

use super::cards::names_partition;
use super::department::check_departments;
use super::people::Person;
use super::spelling;
use super::tree::{Department, DepartmentChange, DepartmentId, DepartmentTree};
use crate::account::display_name_of;
use crate::{Account, AccountKind, Directory, DirectoryError, GroupRules, Listed, Page, Profile, Tag, TagId};

/// Accounts that are looked up at once.
const LOOKUPS: usize = 16;

/// Whom a tag is to mark, and how it is to be called; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagChange {
    /// Its name.
    pub name: Option<String>,
    /// Departments that it marks.
    pub departments: Option<BTreeSet<DepartmentId>>,
    /// Accounts that it marks.
    pub accounts: Option<BTreeSet<AccountId>>,
}

impl DepartmentTree {
    /// The department, or the organisation itself as one: its name is empty where it has the tenant's.
    #[must_use]
    pub fn shown(&self, id: DepartmentId) -> Option<Department> {
        if id != DepartmentId::ROOT {
            return self.department(id).cloned();
        }
        Some(Department {
            id,
            parent: id,
            name: self.root_name().unwrap_or_default().to_owned(),
            description: self.root_description().to_owned(),
            is_closing: false,
        })
    }
}

impl Directory {
    /// Changes a department that is still as expected; `None` if it is not.
    ///
    /// # Errors
    /// Those of [`Directory::change_department`].
    #[pennypost_ports::compiled_here]
    pub async fn amend_department(
        &self,
        tenant: TenantId,
        expected: &Department,
        change: &DepartmentChange,
    ) -> Result<Option<DepartmentTree>, DirectoryError> {
        let id = expected.id;
        self.change_departments(tenant, |tree| {
            let missing = || DirectoryError::NoDepartment(format!("#{id}"));
            if tree.shown(id).ok_or_else(missing)? != *expected {
                return Ok(None);
            }
            tree.change(id, change)?;
            Ok(Some(tree.clone()))
        })
        .await
    }

    /// Gives a person another name, profile and departments if the account is still as expected; `false` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::NoAccount`], [`DirectoryError::NoDepartment`],
    /// [`DirectoryError::TooMany`], [`DirectoryError::WrongKind`] for departments or a profile of a business mailbox, or the
    /// port's.
    #[pennypost_ports::compiled_here]
    pub async fn amend_person(
        &self,
        expected: &Account,
        name: &str,
        profile: &Profile,
        departments: &[DepartmentId],
    ) -> Result<bool, DirectoryError> {
        let name = display_name_of(name)?;
        let departments = if departments == expected.departments {
            departments.to_vec()
        } else {
            check_departments(&self.departments(expected.key.tenant).await?, departments)?
        };
        let is_nobodys = departments.is_empty() && *profile == Profile::default();
        if expected.kind == AccountKind::Business && !is_nobodys {
            return Err(DirectoryError::WrongKind(expected.address.to_string()));
        }
        self.amend_account(expected, |account| {
            account.display_name.clone_from(&name);
            account.profile.clone_from(profile);
            account.departments.clone_from(&departments);
        })
        .await
    }

    /// People whose name begins like that in characters, pinyin or initials, from any of its words or characters on, or
    /// whose address does: a page of them, each person once in all pages. A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn search_people(
        &self,
        tenant: TenantId,
        text: &str,
        page: &Page,
    ) -> Result<Listed<Person>, DirectoryError> {
        let (local, domain) = match text.trim().split_once('@') {
            Some((local, domain)) => (local, Some(domain.to_lowercase())),
            None => (text, None),
        };
        let Some(wanted) = spelling::wanted(local) else {
            return Ok(Listed { items: Vec::new(), next: None });
        };
        self.bring_cards_up_to_date(tenant).await?;
        let listed = self.people_of(&names_partition(tenant), &wanted, page).await?;
        let is_at = |person: &Person| {
            domain.as_ref().is_none_or(|at| person.address.domain().as_str().starts_with(at))
        };
        let items = listed.items.into_iter().filter(|(sort, person)| {
            // Found by several terms, a person stands at the first of them.
            let terms = spelling::terms(&person.display_name, &person.address);
            let first = terms.into_iter().filter(|term| term.starts_with(&wanted)).min();
            let here = sort.rsplit_once('/').map(|(rest, _)| format!("{wanted}{rest}"));
            is_at(person) && first == here
        });
        Ok(Listed { items: items.map(|(_, person)| person).collect(), next: listed.next })
    }

    /// A tag by its id.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn tag_numbered(&self, tenant: TenantId, id: TagId) -> Result<Option<Tag>, DirectoryError> {
        let tags = self.tags(tenant).await?;
        let Some((_, name)) = tags.into_iter().find(|(known, _)| *known == id) else { return Ok(None) };
        let (departments, accounts) = self.marks_of(tenant, id).await?;
        Ok(Some(Tag { id, name, departments, accounts }))
    }

    /// Those of these tags that there are, and whom they mark: one read, and one for each.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn tags_numbered(
        &self,
        tenant: TenantId,
        wanted: &BTreeSet<TagId>,
    ) -> Result<Vec<Tag>, DirectoryError> {
        let known = self.tags(tenant).await?.into_iter().filter(|(id, _)| wanted.contains(id));
        let marked = known.map(|(id, name)| async move {
            let (departments, accounts) = self.marks_of(tenant, id).await?;
            Ok::<_, DirectoryError>(Tag { id, name, departments, accounts })
        });
        futures::future::try_join_all(marked).await
    }

    /// Changes a tag that is still as expected; `None` if it is not.
    ///
    /// # Errors
    /// [`DirectoryError::NoDepartment`], [`DirectoryError::NoAccount`] for what it is to mark and is not there, and those
    /// of [`Directory::change_tag`] and [`Directory::rename_tag`].
    #[pennypost_ports::compiled_here]
    pub async fn amend_tag(
        &self,
        tenant: TenantId,
        expected: &Tag,
        change: &TagChange,
    ) -> Result<Option<Tag>, DirectoryError> {
        let (departments, accounts) = (
            change.departments.clone().unwrap_or_else(|| expected.departments.clone()),
            change.accounts.clone().unwrap_or_else(|| expected.accounts.clone()),
        );
        let fresh: Vec<DepartmentId> = departments.difference(&expected.departments).copied().collect();
        if !fresh.is_empty() {
            let tree = self.departments(tenant).await?;
            if let Some(missing) = fresh.into_iter().find(|id| !tree.is_open(*id)) {
                return Err(DirectoryError::NoDepartment(format!("#{missing}")));
            }
        }
        self.check_accounts(tenant, accounts.difference(&expected.accounts)).await?;
        let named = format!("#{}", expected.id.0);
        let current = self.tag_numbered(tenant, expected.id).await?;
        if current.as_ref() != Some(expected) {
            return Ok(None);
        }
        if let Some(name) = &change.name {
            self.rename_tag(tenant, &named, name).await?;
        }
        let is_as_expected = AtomicBool::new(true);
        let changed = self
            .change_tag(tenant, &named, |marked, people| {
                let is_same = *marked == expected.departments && *people == expected.accounts;
                is_as_expected.store(is_same, Ordering::Relaxed);
                if is_same {
                    marked.clone_from(&departments);
                    people.clone_from(&accounts);
                }
            })
            .await?;
        Ok(is_as_expected.into_inner().then_some(changed))
    }

    /// Changes the rules of a group that are still as expected; `None` if they are not. Which department it follows stays.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`] for a representative, [`DirectoryError::NoTag`], and those of
    /// [`Directory::change_group_rules`].
    #[pennypost_ports::compiled_here]
    pub async fn amend_group_rules(
        &self,
        tenant: TenantId,
        group: &str,
        expected: &GroupRules,
        rules: &GroupRules,
    ) -> Result<Option<GroupRules>, DirectoryError> {
        if rules.follows != expected.follows {
            return Err(DirectoryError::GroupFollows);
        }
        self.check_accounts(tenant, rules.representatives.difference(&expected.representatives)).await?;
        let mut fresh = rules.tags.difference(&expected.tags).peekable();
        if fresh.peek().is_some() {
            let known = self.tags(tenant).await?;
            if let Some(missing) = fresh.find(|tag| known.iter().all(|(id, _)| id != *tag)) {
                return Err(DirectoryError::NoTag(format!("#{}", missing.0)));
            }
        }
        let is_as_expected = AtomicBool::new(true);
        let changed = self
            .change_group_rules(group, |stored| {
                let is_same = stored == expected;
                is_as_expected.store(is_same, Ordering::Relaxed);
                if is_same {
                    stored.clone_from(rules);
                }
            })
            .await?;
        Ok(is_as_expected.into_inner().then_some(changed))
    }

    /// Are all of these accounts of the tenant?
    pub(crate) async fn check_accounts(
        &self,
        tenant: TenantId,
        accounts: impl Iterator<Item = &AccountId>,
    ) -> Result<(), DirectoryError> {
        let keys: Vec<AccountKey> =
            accounts.map(|account| AccountKey { tenant, account: *account }).collect();
        let lookups = keys.into_iter().map(|key| async move {
            self.account(key)
                .await?
                .map(drop)
                .ok_or_else(|| DirectoryError::NoAccount(key.account.to_string()))
        });
        stream::iter(lookups).buffer_unordered(LOOKUPS).try_collect().await
    }
}
