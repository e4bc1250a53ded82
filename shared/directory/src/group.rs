//! Groups: an address of many accounts, of other groups, and of addresses elsewhere.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use pennypost_model::{AccountId, TenantId};
use pennypost_ports::{Consistency, Expected};
use serde::{Deserialize, Serialize};

use crate::address::{Entry, address_key, address_of_sort, addresses_partition};
use crate::store::{MAX_ATTEMPTS, name_for_people};
use crate::{Directory, DirectoryError, GroupRules, Listed, MAX_RECIPIENTS, MailAddress, Page};

/// Members that a group may name itself.
pub const MAX_MEMBERS: usize = 500;

/// Addresses elsewhere that a group leads to, with the groups in it (GRP-03).
pub const MAX_OUTSIDE: usize = 100;

/// Levels of groups in groups, the outermost counted.
pub const MAX_GROUP_DEPTH: usize = 5;

/// Characters of a group's name.
const MAX_NAME: usize = 100;

/// A group as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its address.
    pub address: MailAddress,
    /// Its name for people; may be empty.
    pub name: String,
    /// Whom it names itself.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Member {
    /// An account of the same tenant.
    Account {
        /// The account.
        account: AccountId,
        /// Its own address.
        address: MailAddress,
    },
    /// Another group of the same tenant.
    Group {
        /// Its address.
        address: MailAddress,
    },
    /// An address elsewhere: in a domain that was not the tenant's when it was named (GRP-03).
    Outside {
        /// The address.
        address: MailAddress,
    },
}

impl Member {
    /// The member's address.
    #[must_use]
    pub const fn address(&self) -> &MailAddress {
        match self {
            Member::Account { address, .. } | Member::Group { address } | Member::Outside { address } => {
                address
            }
        }
    }
}

/// What became of an attempt to expand a group.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    pub(crate) accounts: Vec<AccountId>,
    /// Addresses elsewhere, each once.
    pub(crate) outside: Vec<MailAddress>,
    seen_accounts: HashSet<AccountId>,
    seen_groups: HashSet<MailAddress>,
}

impl Directory {
    /// Adds a group; members are addresses of accounts (or aliases of one) and groups of the tenant, and addresses elsewhere.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::UnsuitableAddress`], [`DirectoryError::NoDomain`],
    /// [`DirectoryError::AddressTaken`], those of [`Directory::set_members`], or the port's.
    pub async fn add_group<T: AsRef<str>>(
        &self,
        address: &str,
        name: &str,
        members: &[T],
    ) -> Result<Group, DirectoryError> {
        self.add_group_with(address, name, members, &GroupRules::default()).await
    }

    /// Adds a group with rules of its own.
    ///
    /// # Errors
    /// Those of [`Directory::add_group`] and [`Directory::change_group_rules`].
    pub async fn add_group_with<T: AsRef<str>>(
        &self,
        address: &str,
        name: &str,
        members: &[T],
        rules: &GroupRules,
    ) -> Result<Group, DirectoryError> {
        let (tenant, address) = self.place_for(address).await?;
        let name = if name.trim().is_empty() { String::new() } else { name_for_people(name, MAX_NAME)? };
        let members = self.find_members(tenant, members).await?;
        self.check_members(tenant, &address, &members, rules).await?;
        self.begin_rules(tenant, &address, rules).await?;
        // Whose change of address was to lead here, and was cut off, finds another group.
        self.forget_former(tenant, &address).await?;
        let entry = Entry::Group { name: name.clone(), members: members.clone() };
        self.give_address(tenant, &address, &entry).await?;
        Ok(Group { address, name, members })
    }

    /// The group at an address.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn group(&self, address: &str) -> Result<Option<Group>, DirectoryError> {
        let address = MailAddress::parse(address)?;
        let Some(tenant) = self.owner(address.domain(), Consistency::Strong).await? else { return Ok(None) };
        Ok(match self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value) {
            Some(Entry::Group { name, members }) => Some(Group { address, name, members }),
            _ => None,
        })
    }

    /// The accounts that a group leads to at the moment, each once; none if it is disabled.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`] for a group that grew too large, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn group_accounts(
        &self,
        tenant: TenantId,
        group: Group,
    ) -> Result<Vec<AccountId>, DirectoryError> {
        Ok(self.expand_group(tenant, &group.address, group.members, Consistency::Strong).await?.accounts)
    }

    /// The members elsewhere of a group, with those of the groups in it.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`] for a group that grew too large, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn members_elsewhere(
        &self,
        tenant: TenantId,
        group: Group,
    ) -> Result<Vec<MailAddress>, DirectoryError> {
        Ok(self.expand_group(tenant, &group.address, group.members, Consistency::Strong).await?.outside)
    }

    /// Groups of a tenant, by domain and local part. A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn groups(&self, tenant: TenantId, page: &Page) -> Result<Listed<Group>, DirectoryError> {
        let listed = self.list::<Entry>(&addresses_partition(tenant), "", page).await?;
        let groups = listed.items.into_iter().filter_map(|(sort, entry)| match entry {
            Entry::Group { name, members } => Some(Group { address: address_of_sort(&sort)?, name, members }),
            _ => None,
        });
        Ok(Listed { items: groups.collect(), next: listed.next })
    }

    /// Replaces the members of a group.
    ///
    /// # Errors
    /// [`DirectoryError::NoGroup`], [`DirectoryError::NoAccount`],
    /// [`DirectoryError::TooMany`], [`DirectoryError::GroupCycle`], [`DirectoryError::GroupDepth`], or the
    /// port's.
    pub async fn set_members<T: AsRef<str>>(
        &self,
        group: &str,
        members: &[T],
    ) -> Result<Group, DirectoryError> {
        self.rewrite_members(group, members, &[], |_, found| Ok(found)).await
    }

    /// Replaces the members of a group if it is still as expected; `None` if it is not.
    ///
    /// # Errors
    /// Those of [`Directory::set_members`].
    pub async fn amend_group<T: AsRef<str>>(
        &self,
        expected: &Group,
        members: &[T],
    ) -> Result<Option<Group>, DirectoryError> {
        let is_as_expected = AtomicBool::new(true);
        let address = expected.address.to_string();
        let amended = self
            .rewrite_members(&address, members, &[], |stored, found| {
                let is_same = stored == expected.members;
                is_as_expected.store(is_same, Ordering::Relaxed);
                if is_same { Ok(found) } else { Err(DirectoryError::Contended) }
            })
            .await;
        if is_as_expected.into_inner() { amended.map(Some) } else { Ok(None) }
    }

    /// Adds members to a group and takes others out, by compare-and-set.
    ///
    /// # Errors
    /// [`DirectoryError::NoMember`] for one to be taken out who is not in it, and those of
    /// [`Directory::set_members`].
    pub async fn change_members<T: AsRef<str>>(
        &self,
        group: &str,
        add: &[T],
        remove: &[T],
    ) -> Result<Group, DirectoryError> {
        let mut gone = Vec::with_capacity(remove.len());
        for address in remove {
            gone.push(MailAddress::parse(address.as_ref())?);
        }
        self.rewrite_members(group, add, &gone, |mut members, found| {
            for address in &gone {
                let before = members.len();
                members.retain(|member| member.address() != address);
                if members.len() == before {
                    return Err(DirectoryError::NoMember(address.to_string()));
                }
            }
            let is_new = |member: &Member| !members.contains(member);
            let fresh: Vec<Member> = found.into_iter().filter(is_new).collect();
            members.extend(fresh);
            Ok(members)
        })
        .await
    }

    /// Writes what `merge` makes of the stored members and of those found at `addresses`.
    async fn rewrite_members<T: AsRef<str>>(
        &self,
        group: &str,
        addresses: &[T],
        removed: &[MailAddress],
        merge: impl Fn(Vec<Member>, Vec<Member>) -> Result<Vec<Member>, DirectoryError>,
    ) -> Result<Group, DirectoryError> {
        if removed.len() > MAX_MEMBERS {
            return Err(DirectoryError::TooMany { what: "a group", limit: MAX_MEMBERS });
        }
        let address = MailAddress::parse(group)?;
        let missing = || DirectoryError::NoGroup(address.to_string());
        let tenant = self.owner(address.domain(), Consistency::Strong).await?.ok_or_else(missing)?;
        for _ in 0..MAX_ATTEMPTS {
            let held = self.entry(tenant, &address, Consistency::Strong).await?.ok_or_else(missing)?;
            let Entry::Group { name, members: stored } = held.value else { return Err(missing()) };
            let rules = self.rules_of(tenant, &address, Consistency::Strong).await?;
            if rules.follows.is_some() {
                return Err(DirectoryError::GroupFollows);
            }
            let members = merge(stored, self.find_members(tenant, addresses).await?)?;
            self.check_members(tenant, &address, &members, &rules).await?;
            let entry = Entry::Group { name: name.clone(), members: members.clone() };
            let expected = Expected::Version(held.version);
            if self.write(&address_key(tenant, &address), &entry, expected).await?.is_some() {
                return Ok(Group { address, name, members });
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Removes a group: its address is free again. Groups that name it are shorter by it.
    ///
    /// # Errors
    /// [`DirectoryError::NoGroup`], [`DirectoryError::Contended`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn remove_group(&self, group: &str) -> Result<(), DirectoryError> {
        let address = MailAddress::parse(group)?;
        let missing = || DirectoryError::NoGroup(address.to_string());
        let tenant = self.owner(address.domain(), Consistency::Strong).await?.ok_or_else(missing)?;
        let held = self.entry(tenant, &address, Consistency::Strong).await?.ok_or_else(missing)?;
        if !matches!(held.value, Entry::Group { .. }) {
            return Err(missing());
        }
        self.free_address(tenant, &address, held.version).await?;
        self.end_rules(tenant, &address).await
    }

    /// Finds the members at addresses, each once.
    async fn find_members<T: AsRef<str>>(
        &self,
        tenant: TenantId,
        addresses: &[T],
    ) -> Result<Vec<Member>, DirectoryError> {
        if addresses.len() > MAX_MEMBERS {
            return Err(DirectoryError::TooMany { what: "a group", limit: MAX_MEMBERS });
        }
        let mut members: Vec<Member> = Vec::with_capacity(addresses.len());
        let mut seen = HashSet::new();
        for address in addresses {
            for member in self.find_member(tenant, address.as_ref()).await? {
                if seen.insert(member.address().clone()) {
                    members.push(member);
                }
            }
        }
        Ok(members)
    }

    /// Would the group with these members stay within every limit?
    async fn check_members(
        &self,
        tenant: TenantId,
        group: &MailAddress,
        members: &[Member],
        rules: &GroupRules,
    ) -> Result<(), DirectoryError> {
        if members.len() > MAX_MEMBERS {
            return Err(DirectoryError::TooMany { what: "a group", limit: MAX_MEMBERS });
        }
        self.check_depth(tenant, group, members).await?;
        let mut expansion = Expansion::default();
        self.expand_rules(tenant, rules, &mut expansion).await?;
        self.expand_into(tenant, members.to_vec(), Consistency::Strong, &mut expansion).await
    }

    /// Can this address be named as a member of a group of the tenant? Any address elsewhere can.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`] for one in a domain of the tenant that nobody has, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn check_member(&self, tenant: TenantId, address: &str) -> Result<(), DirectoryError> {
        self.find_member(tenant, address).await.map(drop)
    }

    async fn find_member(&self, tenant: TenantId, address: &str) -> Result<Vec<Member>, DirectoryError> {
        let address = MailAddress::parse(address)?;
        let missing = || DirectoryError::NoAccount(address.to_string());
        // Another organisation of this post office is another server: whether its domain is kept here is told to nobody.
        if self.owner(address.domain(), Consistency::Strong).await? != Some(tenant) {
            return Ok(vec![Member::Outside { address }]);
        }
        let entry = self.entry(tenant, &address, Consistency::Strong).await?.ok_or_else(missing)?;
        Ok(match entry.value {
            Entry::Claimed(_) | Entry::Free => return Err(missing()),
            Entry::Account(account) => vec![Member::Account { account, address }],
            Entry::Alias(targets) => {
                let member = |target: crate::alias::Target| Member::Account {
                    account: target.account,
                    address: target.address,
                };
                targets.into_iter().map(member).collect()
            }
            Entry::Group { .. } => vec![Member::Group { address }],
        })
    }

    /// Walks the groups below level by level: none may be the group itself, and there are not too many levels.
    /// Two changes at once could still make a circle; expansion does not go round in it.
    async fn check_depth(
        &self,
        tenant: TenantId,
        group: &MailAddress,
        members: &[Member],
    ) -> Result<(), DirectoryError> {
        let mut level = groups_among(members);
        let mut depth = 1;
        let mut looked_at = 0;
        while !level.is_empty() {
            depth += 1;
            if depth > MAX_GROUP_DEPTH {
                return Err(DirectoryError::GroupDepth { limit: MAX_GROUP_DEPTH });
            }
            let mut below: HashSet<MailAddress> = HashSet::new();
            for address in level {
                if address == *group {
                    return Err(DirectoryError::GroupCycle(group.to_string()));
                }
                looked_at += 1;
                if looked_at > MAX_RECIPIENTS {
                    return Err(too_large());
                }
                let entry = self.entry(tenant, &address, Consistency::Strong).await?;
                if let Some(Entry::Group { members, .. }) = entry.map(|held| held.value) {
                    below.extend(groups_among(&members));
                }
            }
            level = below;
        }
        Ok(())
    }

    /// Whom a group leads to, each once; nobody if it is disabled.
    pub(crate) async fn expand_group(
        &self,
        tenant: TenantId,
        group: &MailAddress,
        members: Vec<Member>,
        consistency: Consistency,
    ) -> Result<Expansion, DirectoryError> {
        let mut expansion = Expansion::default();
        let rules = self.rules_of(tenant, group, consistency).await?;
        if !rules.is_disabled {
            self.expand_rules(tenant, &rules, &mut expansion).await?;
            self.expand_into(tenant, members, consistency, &mut expansion).await?;
        }
        Ok(expansion)
    }

    /// Adds the accounts that members lead to, each once.
    pub(crate) async fn expand_into(
        &self,
        tenant: TenantId,
        members: Vec<Member>,
        consistency: Consistency,
        expansion: &mut Expansion,
    ) -> Result<(), DirectoryError> {
        let mut level = members;
        for _ in 0..MAX_GROUP_DEPTH {
            let mut below = Vec::new();
            for member in level {
                match member {
                    Member::Account { account, .. } => expansion.add_account(account)?,
                    Member::Outside { address } => expansion.add_outside(address)?,
                    Member::Group { address } => {
                        if !expansion.add_group(&address)? {
                            continue;
                        }
                        let entry = self.entry(tenant, &address, consistency).await?;
                        let Some(Entry::Group { members, .. }) = entry.map(|held| held.value) else {
                            continue;
                        };
                        let rules = self.rules_of(tenant, &address, consistency).await?;
                        if !rules.is_disabled {
                            self.expand_rules(tenant, &rules, expansion).await?;
                            below.extend(members);
                        }
                    }
                }
            }
            if below.is_empty() {
                break;
            }
            level = below;
        }
        Ok(())
    }
}

impl Expansion {
    pub(crate) fn add_account(&mut self, account: AccountId) -> Result<(), DirectoryError> {
        if self.seen_accounts.insert(account) {
            self.accounts.push(account);
        }
        if self.accounts.len() > MAX_RECIPIENTS { Err(too_large()) } else { Ok(()) }
    }

    fn add_outside(&mut self, address: MailAddress) -> Result<(), DirectoryError> {
        if !self.outside.contains(&address) {
            self.outside.push(address);
        }
        if self.outside.len() <= MAX_OUTSIDE {
            return Ok(());
        }
        let what = "a group's members elsewhere, with those of the groups in it,";
        Err(DirectoryError::TooMany { what, limit: MAX_OUTSIDE })
    }

    /// `false` if the group has been looked at already.
    fn add_group(&mut self, address: &MailAddress) -> Result<bool, DirectoryError> {
        let is_new = self.seen_groups.insert(address.clone());
        if self.seen_groups.len() > MAX_RECIPIENTS { Err(too_large()) } else { Ok(is_new) }
    }
}

fn too_large() -> DirectoryError {
    DirectoryError::TooMany { what: "a group with the groups in it", limit: MAX_RECIPIENTS }
}

fn groups_among(members: &[Member]) -> HashSet<MailAddress> {
    let groups = members.iter().filter(|member| matches!(member, Member::Group { .. }));
    groups.map(|member| member.address().clone()).collect()
}
