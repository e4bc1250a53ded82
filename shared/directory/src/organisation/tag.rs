//! Tags over departments and members (ORG-25).
//!
//! The names of all tags are one item, so that they are unique; whom a tag marks is an item of its own. A tag is made
//! with its name and ends with it: an item of marks without a name is nobody's. Marks name departments and accounts by
//! ids that are never given again, so what is left over of one that is gone marks nobody.

use std::collections::BTreeSet;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::tree::DepartmentId;
use crate::store::{MAX_ATTEMPTS, fold_name, name_for_people};
use crate::{Directory, DirectoryError, Provided};

/// Tags of a tenant.
pub const MAX_TAGS: usize = 500;
/// Departments and accounts that one tag marks.
pub const MAX_TAGGED: usize = 10_000;
/// Characters of a tag's name.
const MAX_NAME: usize = 50;

/// A tag within its tenant. Never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TagId(pub u32);

/// A tag and whom it marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its id.
    pub id: TagId,
    /// Its name, unique within the tenant whatever its case.
    pub name: String,
    /// Departments that it marks, with everybody in and below them.
    pub departments: BTreeSet<DepartmentId>,
    /// Accounts that it marks.
    pub accounts: BTreeSet<AccountId>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Names {
    last: u32,
    tags: Vec<(TagId, String)>,
}

impl Versioned for Names {
    const KIND: &'static str = "tags";
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Marks {
    departments: BTreeSet<DepartmentId>,
    accounts: BTreeSet<AccountId>,
}

impl Versioned for Marks {
    const KIND: &'static str = "tag";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/tags")
}

fn names_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(partition(tenant), "tags")
}

fn marks_key(tenant: TenantId, tag: TagId) -> ControlKey {
    ControlKey::new(partition(tenant), format!("m/{:08x}", tag.0))
}

impl Directory {
    /// Adds a tag that marks nobody yet.
    ///
    /// # Errors
    /// [`DirectoryError::Name`], [`DirectoryError::TagTaken`], [`DirectoryError::TooMany`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn add_tag(&self, tenant: TenantId, name: &str) -> Result<Tag, DirectoryError> {
        let name = tag_name(name)?;
        let id = self
            .change_names(tenant, |names| {
                if names.tags.len() >= MAX_TAGS {
                    return Err(DirectoryError::TooMany { what: "the tags", limit: MAX_TAGS });
                }
                check_name(names, &name, None)?;
                names.last += 1;
                names.tags.push((TagId(names.last), name.clone()));
                Ok(TagId(names.last))
            })
            .await?;
        Ok(Tag { id, name, departments: BTreeSet::new(), accounts: BTreeSet::new() })
    }

    /// Gives a tag another name.
    ///
    /// # Errors
    /// [`DirectoryError::NoTag`], and those of [`Directory::add_tag`].
    #[pennypost_ports::compiled_here]
    pub async fn rename_tag(&self, tenant: TenantId, tag: &str, name: &str) -> Result<(), DirectoryError> {
        let name = tag_name(name)?;
        self.change_names(tenant, |names| {
            let (id, _) = found(names, tag)?;
            check_name(names, &name, Some(id))?;
            for (known, old) in &mut names.tags {
                if *known == id {
                    old.clone_from(&name);
                }
            }
            Ok(())
        })
        .await
    }

    /// Removes a tag; whom it marked stays as they are.
    ///
    /// # Errors
    /// [`DirectoryError::NoTag`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_tag(&self, tenant: TenantId, tag: &str) -> Result<(), DirectoryError> {
        // First what programs call it: of a tag without a name nobody would find it again.
        let held = self.read::<Names>(&names_key(tenant), Consistency::Strong).await?;
        let (id, _) = found(&held.map(|held| held.value).unwrap_or_default(), tag)?;
        self.forget_provisioned(tenant, Provided::Tag(id)).await?;
        let id = self
            .change_names(tenant, |names| {
                let (id, _) = found(names, tag)?;
                names.tags.retain(|(known, _)| *known != id);
                Ok(id)
            })
            .await?;
        self.erase(&marks_key(tenant, id)).await?;
        // And what was said meanwhile.
        self.forget_provisioned(tenant, Provided::Tag(id)).await
    }

    /// The tags of a tenant by name, without whom they mark.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn tags(&self, tenant: TenantId) -> Result<Vec<(TagId, String)>, DirectoryError> {
        let held = self.read::<Names>(&names_key(tenant), Consistency::Strong).await?;
        let mut tags = held.map(|held| held.value.tags).unwrap_or_default();
        tags.sort_by_key(|(_, name)| fold_name(name));
        Ok(tags)
    }

    /// A tag by its name.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn tag(&self, tenant: TenantId, name: &str) -> Result<Option<Tag>, DirectoryError> {
        let held = self.read::<Names>(&names_key(tenant), Consistency::Strong).await?;
        let names = held.map(|held| held.value).unwrap_or_default();
        let Ok((id, name)) = found(&names, name) else { return Ok(None) };
        let marks = self.read::<Marks>(&marks_key(tenant, id), Consistency::Strong).await?;
        let Marks { departments, accounts } = marks.map(|held| held.value).unwrap_or_default();
        Ok(Some(Tag { id, name, departments, accounts }))
    }

    /// Whom a tag marks; nobody if it is gone.
    pub(crate) async fn marks_of(
        &self,
        tenant: TenantId,
        tag: TagId,
    ) -> Result<(BTreeSet<DepartmentId>, BTreeSet<AccountId>), DirectoryError> {
        let marks = self.read::<Marks>(&marks_key(tenant, tag), Consistency::Strong).await?;
        Ok(marks.map(|held| (held.value.departments, held.value.accounts)).unwrap_or_default())
    }

    /// Marks departments and accounts with a tag, or takes it off them; `change` may be called several times, each time
    /// with what is stored then.
    ///
    /// # Errors
    /// [`DirectoryError::NoTag`], [`DirectoryError::TooMany`], or the port's.
    pub async fn change_tag(
        &self,
        tenant: TenantId,
        tag: &str,
        change: impl Fn(&mut BTreeSet<DepartmentId>, &mut BTreeSet<AccountId>),
    ) -> Result<Tag, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let missing = || DirectoryError::NoTag(tag.to_owned());
            let Tag { id, name, .. } = self.tag(tenant, tag).await?.ok_or_else(missing)?;
            let key = marks_key(tenant, id);
            let held = self.read::<Marks>(&key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut marks = held.map(|held| held.value).unwrap_or_default();
            change(&mut marks.departments, &mut marks.accounts);
            if marks.departments.len() + marks.accounts.len() > MAX_TAGGED {
                return Err(DirectoryError::TooMany { what: "a tag", limit: MAX_TAGGED });
            }
            if self.write(&key, &marks, expected).await?.is_some() {
                let Marks { departments, accounts } = marks;
                return Ok(Tag { id, name, departments, accounts });
            }
        }
        Err(DirectoryError::Contended)
    }

    async fn change_names<R>(
        &self,
        tenant: TenantId,
        change: impl Fn(&mut Names) -> Result<R, DirectoryError>,
    ) -> Result<R, DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let key = names_key(tenant);
            let held = self.read::<Names>(&key, Consistency::Strong).await?;
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let mut names = held.map(|held| held.value).unwrap_or_default();
            let result = change(&mut names)?;
            if self.write(&key, &names, expected).await?.is_some() {
                return Ok(result);
            }
        }
        Err(DirectoryError::Contended)
    }
}

/// The tag that is meant: by its name, or as `#17` by its id.
fn found(names: &Names, name: &str) -> Result<(TagId, String), DirectoryError> {
    let number = name.strip_prefix('#').and_then(|number| number.parse().ok()).map(TagId);
    if let Some(known) = names.tags.iter().find(|(id, _)| Some(*id) == number) {
        return Ok(known.clone());
    }
    let folded = fold_name(name);
    let found = names.tags.iter().find(|(_, known)| fold_name(known) == folded);
    found.cloned().ok_or_else(|| DirectoryError::NoTag(name.to_owned()))
}

/// A name that nobody takes for an id.
fn tag_name(name: &str) -> Result<String, DirectoryError> {
    let name = name_for_people(name, MAX_NAME)?;
    if name.starts_with('#') { Err(DirectoryError::Name { limit: MAX_NAME }) } else { Ok(name) }
}

fn check_name(names: &Names, name: &str, itself: Option<TagId>) -> Result<(), DirectoryError> {
    match found(names, name) {
        Ok((id, _)) if Some(id) != itself => Err(DirectoryError::TagTaken(name.to_owned())),
        _ => Ok(()),
    }
}
