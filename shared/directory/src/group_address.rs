//! The one change of the address of a department's group (GRP-06).
//!
//! `T/readdressed` has an item `DOMAIN/LOCAL` for each group that was given another address, under the new one: which it had
//! before. It is written before anything is at the new address, so that a call that was cut off is gone on with when it is
//! repeated, and says that there is no second change.
//!
//! On the way the group is at both addresses, with the same members and rules: no letter is lost. Groups and rules that name
//! the old address name the new one before the old one is free again.

use pennypost_model::TenantId;
use pennypost_model::codec::Versioned;
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::address::{Entry, address_key, address_of_sort, addresses_partition};
use crate::group_rules::{rules_key, rules_partition};
use crate::{Directory, DirectoryError, Group, GroupRules, MailAddress, Member, Page};

/// The address that a group had before.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    address: MailAddress,
    /// The group is at the new address alone.
    is_done: bool,
}

impl Versioned for Former {
    const KIND: &'static str = "former address";
}

fn former_key(tenant: TenantId, address: &MailAddress) -> ControlKey {
    ControlKey::new(format!("{tenant}/readdressed"), format!("{}/{}", address.domain(), address.local()))
}

impl Directory {
    /// Gives the group of a department another address in its domain, once. A call that was cut off may be repeated.
    ///
    /// # Errors
    /// [`DirectoryError::NoGroup`], [`DirectoryError::AddressFixed`] for any other group, and for one whose address was changed
    /// already, [`DirectoryError::UnsuitableAddress`], [`DirectoryError::AddressTaken`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn readdress_group(
        &self,
        tenant: TenantId,
        group: &str,
        local: &str,
    ) -> Result<Group, DirectoryError> {
        let old = MailAddress::parse(group)?;
        let (owner, new) = self.place_for(&format!("{}@{}", local.trim(), old.domain())).await?;
        if owner != tenant {
            return Err(DirectoryError::NoGroup(old.to_string()));
        }
        let found = self.check_readdressing(tenant, &old, &new).await?;
        if let Some((name, members)) = found {
            let rules = self.rules_of(tenant, &old, Consistency::Strong).await?;
            let begun = Former { address: old.clone(), is_done: false };
            self.write(&former_key(tenant, &new), &begun, Expected::Any).await?;
            self.begin_rules(tenant, &new, &rules).await?;
            self.give_address(tenant, &new, &Entry::Group { name, members }).await?;
        }
        self.rename_in_groups(tenant, &old, &new).await?;
        self.rename_in_rules(tenant, &old, &new).await?;
        if let Some(held) = self.entry(tenant, &old, Consistency::Strong).await?
            && matches!(held.value, Entry::Group { .. })
        {
            self.free_address(tenant, &old, held.version).await?;
        }
        self.end_rules(tenant, &old).await?;
        let done = Former { address: old, is_done: true };
        self.write(&former_key(tenant, &new), &done, Expected::Any).await?;
        let stored = self.group(&new.to_string()).await?;
        stored.ok_or_else(|| DirectoryError::NoGroup(new.to_string()))
    }

    /// What is to be at the new address; `None`: it is there already, since the call was cut off before.
    async fn check_readdressing(
        &self,
        tenant: TenantId,
        old: &MailAddress,
        new: &MailAddress,
    ) -> Result<Option<(String, Vec<Member>)>, DirectoryError> {
        let fixed = || DirectoryError::AddressFixed(old.to_string());
        let at_new = self.entry(tenant, new, Consistency::Strong).await?.map(|held| held.value);
        let is_taken = matches!(at_new, Some(Entry::Account(_) | Entry::Alias(_) | Entry::Group { .. }));
        let former = self.read::<Former>(&former_key(tenant, new), Consistency::Strong).await?;
        let begun = Former { address: old.clone(), is_done: false };
        let is_begun = former.is_some_and(|held| held.value == begun);
        let at_old = self.entry(tenant, old, Consistency::Strong).await?.map(|held| held.value);
        let follows = self.rules_of(tenant, old, Consistency::Strong).await?.follows;
        if is_begun && matches!(at_new, Some(Entry::Group { .. })) {
            // Since the call was cut off, another group may have got the address.
            let follows_at_new = self.rules_of(tenant, new, Consistency::Strong).await?.follows;
            let is_alone = !matches!(at_old, Some(Entry::Group { .. }));
            let is_ours = follows_at_new.is_some() && (is_alone || follows_at_new == follows);
            return if is_ours { Ok(None) } else { Err(DirectoryError::AddressTaken(new.to_string())) };
        }
        let Some(Entry::Group { name, members }) = at_old else {
            return Err(DirectoryError::NoGroup(old.to_string()));
        };
        let is_changed = self.read::<Former>(&former_key(tenant, old), Consistency::Strong).await?.is_some();
        if follows.is_none() || is_changed || old == new {
            return Err(fixed());
        }
        if is_taken { Err(DirectoryError::AddressTaken(new.to_string())) } else { Ok(Some((name, members))) }
    }

    /// Could [`Directory::readdress_group`] succeed at the moment? Changes nothing.
    ///
    /// # Errors
    /// Those of [`Directory::readdress_group`].
    #[pennypost_ports::compiled_here]
    pub async fn check_group_address(
        &self,
        tenant: TenantId,
        group: &str,
        local: &str,
    ) -> Result<(), DirectoryError> {
        let old = MailAddress::parse(group)?;
        let (_, new) = self.place_for(&format!("{}@{}", local.trim(), old.domain())).await?;
        self.check_readdressing(tenant, &old, &new).await.map(drop)
    }

    /// Whatever is at that address has not been given another one.
    pub(crate) async fn forget_former(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<(), DirectoryError> {
        self.erase(&former_key(tenant, address)).await
    }

    async fn rename_in_groups(
        &self,
        tenant: TenantId,
        old: &MailAddress,
        new: &MailAddress,
    ) -> Result<(), DirectoryError> {
        let named = Member::Group { address: old.clone() };
        let mut page = Page::default();
        loop {
            let listed = self.list::<Entry>(&addresses_partition(tenant), "", &page).await?;
            for (sort, entry) in listed.items {
                let Entry::Group { members, .. } = entry else { continue };
                let Some(address) = address_of_sort(&sort).filter(|_| members.contains(&named)) else {
                    continue;
                };
                let key = address_key(tenant, &address);
                let renamed = self.change(&key, |entry: &mut Entry| {
                    if let Entry::Group { members, .. } = entry {
                        for member in members.iter_mut().filter(|member| **member == named) {
                            *member = Member::Group { address: new.clone() };
                        }
                    }
                    Ok(())
                });
                renamed.await?;
            }
            let Some(next) = listed.next else { return Ok(()) };
            page.after = Some(next);
        }
    }

    async fn rename_in_rules(
        &self,
        tenant: TenantId,
        old: &MailAddress,
        new: &MailAddress,
    ) -> Result<(), DirectoryError> {
        for (sort, rules) in self.list_all::<GroupRules>(&rules_partition(tenant), "").await? {
            let Some(address) = address_of_sort(&sort).filter(|_| rules.named.contains(old)) else {
                continue;
            };
            let key = rules_key(tenant, &address);
            let renamed = self.change(&key, |rules: &mut GroupRules| {
                if rules.named.remove(old) {
                    rules.named.insert(new.clone());
                }
                Ok(())
            });
            renamed.await?;
        }
        Ok(())
    }
}
