//! What a group is beyond its name and the members that it names: who may send to it, who speaks for it, and members by
//! department and tag (GRP-03 … GRP-06, GRP-09, GRP-10).
//!
//! `T/groups` has an item `DOMAIN/LOCAL` for each group with rules of its own; without one everybody may send. The
//! item is written before the address becomes a group's and erased after it was freed, each time by compare-and-set, so
//! that a group never stands without the rules that it was given.

use std::collections::BTreeSet;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::address::Entry;
use crate::organisation::{members_partition, members_prefix, spelling};
use crate::store::MAX_ATTEMPTS;
use crate::{
    DepartmentId, Directory, DirectoryError, Group, MAX_RECIPIENTS, MailAddress, Page, TagId, Target,
};

/// Senders, representatives, departments and tags that a group names, each.
pub const MAX_GROUP_RULES: usize = 500;
/// Addresses that are tried for the group of a department.
const MAX_NAMES_TRIED: usize = 50;

/// Who may send to a group (GRP-04).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Senders {
    /// Everybody, also from outside.
    #[default]
    Everyone,
    /// Every account of the tenant.
    Inside,
    /// The group's members, and those that are named.
    Members,
    /// Only those that are named.
    Named,
}

/// The rules of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRules {
    /// Who may send to it.
    pub senders: Senders,
    /// Who else may: accounts and groups of the tenant, and addresses outside.
    pub named: BTreeSet<MailAddress>,
    /// Members of which departments, and of those below them, may, too.
    pub named_departments: BTreeSet<DepartmentId>,
    /// Who may send in its name, and always to it (GRP-05).
    pub representatives: BTreeSet<AccountId>,
    /// It is in the directory that members see (GRP-09).
    pub is_shared: bool,
    /// It takes no mail (GRP-10).
    pub is_disabled: bool,
    /// Everybody in these departments and below them is a member.
    pub departments: BTreeSet<DepartmentId>,
    /// Everybody whom one of these tags marks is a member.
    pub tags: BTreeSet<TagId>,
    /// It is the group of a department: its name and its members are the department's (GRP-06).
    pub follows: Option<DepartmentId>,
}

impl Versioned for GroupRules {
    const KIND: &'static str = "group rules";
}

/// May somebody send to an address?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everybody may.
    Open,
    /// The sender may, if they are who they say.
    Known,
    /// The sender may not (SMTP 550 5.7.2).
    Refused,
}

pub(crate) fn rules_partition(tenant: TenantId) -> String {
    format!("{tenant}/groups")
}

pub(crate) fn rules_key(tenant: TenantId, address: &MailAddress) -> ControlKey {
    ControlKey::new(rules_partition(tenant), format!("{}/{}", address.domain(), address.local()))
}

impl Directory {
    /// The rules of a group; `None` if there is no such group.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn group_rules(&self, group: &str) -> Result<Option<GroupRules>, DirectoryError> {
        let address = MailAddress::parse(group)?;
        let Some(tenant) = self.owner(address.domain(), Consistency::Strong).await? else { return Ok(None) };
        let entry = self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value);
        if !matches!(entry, Some(Entry::Group { .. })) {
            return Ok(None);
        }
        self.rules_of(tenant, &address, Consistency::Strong).await.map(Some)
    }

    pub(crate) async fn rules_of(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        consistency: Consistency,
    ) -> Result<GroupRules, DirectoryError> {
        let held = self.read::<GroupRules>(&rules_key(tenant, address), consistency).await?;
        Ok(held.map(|held| held.value).unwrap_or_default())
    }

    /// Changes the rules of a group by compare-and-set; `change` may be called several times, each time with what is
    /// stored then.
    ///
    /// # Errors
    /// [`DirectoryError::NoGroup`], [`DirectoryError::GroupFollows`], [`DirectoryError::NoDepartment`],
    /// [`DirectoryError::TooMany`], [`DirectoryError::Contended`], or the port's.
    pub async fn change_group_rules(
        &self,
        group: &str,
        change: impl Fn(&mut GroupRules),
    ) -> Result<GroupRules, DirectoryError> {
        let address = MailAddress::parse(group)?;
        let missing = || DirectoryError::NoGroup(address.to_string());
        let tenant = self.owner(address.domain(), Consistency::Strong).await?.ok_or_else(missing)?;
        let key = rules_key(tenant, &address);
        for _ in 0..MAX_ATTEMPTS {
            let held = self.read::<GroupRules>(&key, Consistency::Strong).await?;
            let entry = self.entry(tenant, &address, Consistency::Strong).await?.ok_or_else(missing)?;
            let Entry::Group { members, .. } = entry.value else { return Err(missing()) };
            let expected = held.as_ref().map_or(Expected::Absent, |held| Expected::Version(held.version));
            let before = held.map(|held| held.value).unwrap_or_default();
            let mut rules = before.clone();
            change(&mut rules);
            self.check_rules(tenant, &before, &rules).await?;
            self.bring_cards_up_to_date(tenant).await?;
            // Would it lead to too many with them?
            let mut expansion = crate::group::Expansion::default();
            self.expand_rules(tenant, &rules, &mut expansion).await?;
            self.expand_into(tenant, members, Consistency::Strong, &mut expansion).await?;
            if self.write(&key, &rules, expected).await?.is_some() {
                return Ok(rules);
            }
        }
        Err(DirectoryError::Contended)
    }

    async fn check_rules(
        &self,
        tenant: TenantId,
        before: &GroupRules,
        rules: &GroupRules,
    ) -> Result<(), DirectoryError> {
        let sizes = [
            rules.named.len(),
            rules.named_departments.len(),
            rules.representatives.len(),
            rules.departments.len(),
            rules.tags.len(),
        ];
        if sizes.into_iter().any(|size| size > MAX_GROUP_RULES) {
            return Err(DirectoryError::TooMany { what: "a group's rules", limit: MAX_GROUP_RULES });
        }
        let is_another = rules.departments != before.departments || rules.tags != before.tags;
        if before.follows.is_some() && (is_another || rules.follows != before.follows) {
            return Err(DirectoryError::GroupFollows);
        }
        let named = rules.departments.iter().chain(&rules.named_departments);
        let known = before.departments.iter().chain(&before.named_departments).collect::<BTreeSet<_>>();
        let fresh: Vec<DepartmentId> = named.filter(|id| !known.contains(id)).copied().collect();
        if !fresh.is_empty() {
            let tree = self.departments(tenant).await?;
            if let Some(missing) = fresh.into_iter().find(|id| !tree.is_open(*id)) {
                return Err(DirectoryError::NoDepartment(format!("#{missing}")));
            }
        }
        Ok(())
    }

    /// Writes the rules of a group that is going to be added at an address that is free at the moment.
    pub(crate) async fn begin_rules(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        rules: &GroupRules,
    ) -> Result<(), DirectoryError> {
        let key = rules_key(tenant, address);
        let taken = || DirectoryError::AddressTaken(address.to_string());
        // In this order: who has taken the address since then has other rules, or the same.
        let held = self.read::<GroupRules>(&key, Consistency::Strong).await?;
        let entry = self.entry(tenant, address, Consistency::Strong).await?.map(|held| held.value);
        if matches!(entry, Some(Entry::Account(_) | Entry::Alias(_) | Entry::Group { .. })) {
            return Err(taken());
        }
        self.check_rules(tenant, &GroupRules::default(), rules).await?;
        if !rules.departments.is_empty() || !rules.tags.is_empty() {
            self.bring_cards_up_to_date(tenant).await?;
        }
        let expected = match held {
            Some(held) if held.value == *rules => return Ok(()),
            Some(held) => Expected::Version(held.version),
            None if *rules == GroupRules::default() => return Ok(()),
            None => Expected::Absent,
        };
        self.write(&key, rules, expected).await?.map(drop).ok_or_else(taken)
    }

    /// Erases the rules of a group whose address was freed.
    pub(crate) async fn end_rules(
        &self,
        tenant: TenantId,
        address: &MailAddress,
    ) -> Result<(), DirectoryError> {
        self.forget_former(tenant, address).await?;
        self.erase(&rules_key(tenant, address)).await
    }

    /// Makes the group of a department (GRP-06): its address is the department's name in pinyin, with a number behind it
    /// where that is taken; its members are everybody in the department and below it, at any time.
    ///
    /// # Errors
    /// [`DirectoryError::NoDepartment`], [`DirectoryError::NoDomain`], [`DirectoryError::OtherTenant`],
    /// [`DirectoryError::AddressTaken`] if all that was tried is taken, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn add_department_group(
        &self,
        tenant: TenantId,
        department: DepartmentId,
        domain: &str,
    ) -> Result<Group, DirectoryError> {
        self.bring_cards_up_to_date(tenant).await?;
        let tree = self.departments(tenant).await?;
        let missing = || DirectoryError::NoDepartment(format!("#{department}"));
        let name = tree.department(department).map(|found| found.name.clone()).ok_or_else(missing)?;
        let rules = GroupRules {
            departments: BTreeSet::from([department]),
            follows: Some(department),
            ..GroupRules::default()
        };
        let local = address_letters(&name, "department");
        let mut taken = None;
        for number in 1..=MAX_NAMES_TRIED {
            let number = if number == 1 { String::new() } else { number.to_string() };
            let address = format!("{local}{number}@{domain}");
            if self.place_for(&address).await?.0 != tenant {
                return Err(DirectoryError::OtherTenant(domain.to_owned()));
            }
            match self.add_group_with::<&str>(&address, &name, &[], &rules).await {
                Err(error @ DirectoryError::AddressTaken(_)) => taken = Some(error),
                other => return other,
            }
        }
        Err(taken.unwrap_or(DirectoryError::Contended))
    }

    /// An address of the tenant that nobody has: a person's name in pinyin, with a number behind it where that is taken
    /// (ORG-03). Somebody else may take it before it is used.
    ///
    /// # Errors
    /// [`DirectoryError::NoDomain`], [`DirectoryError::OtherTenant`], [`DirectoryError::AddressTaken`] if all that was tried is
    /// taken, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn address_for(
        &self,
        tenant: TenantId,
        name: &str,
        domain: &str,
    ) -> Result<String, DirectoryError> {
        let local = address_letters(name, "member");
        let mut taken = None;
        for number in 1..=MAX_NAMES_TRIED {
            let number = if number == 1 { String::new() } else { number.to_string() };
            let address = format!("{local}{number}@{domain}");
            match self.check_new_address(tenant, &address).await {
                Err(error @ DirectoryError::AddressTaken(_)) => taken = Some(error),
                other => return other.map(|()| address),
            }
        }
        Err(taken.unwrap_or(DirectoryError::Contended))
    }

    /// Adds the members that rules say to those that were found.
    pub(crate) async fn expand_rules(
        &self,
        tenant: TenantId,
        rules: &GroupRules,
        expansion: &mut crate::group::Expansion,
    ) -> Result<(), DirectoryError> {
        let mut departments = rules.departments.clone();
        for tag in &rules.tags {
            let (marked, accounts) = self.marks_of(tenant, *tag).await?;
            departments.extend(marked);
            for account in accounts {
                expansion.add_account(account)?;
            }
        }
        if departments.is_empty() {
            return Ok(());
        }
        let tree = self.departments(tenant).await?;
        let within: BTreeSet<DepartmentId> =
            departments.into_iter().flat_map(|department| tree.within(department)).collect();
        // Of whom cards may be behind what stands, what stands is asked: nothing is written on the way of a letter.
        let unsettled = self.unsettled(tenant).await?;
        for account in &unsettled {
            let account = self.account(AccountKey { tenant, account: *account }).await?;
            if let Some(person) = account.and_then(|account| account.person()) {
                let root = [DepartmentId::ROOT];
                let own = if person.departments.is_empty() { &root[..] } else { &person.departments };
                if own.iter().any(|department| within.contains(department)) {
                    expansion.add_account(person.account)?;
                }
            }
        }
        for department in within {
            let mut page = Page { after: None, limit: MAX_RECIPIENTS };
            loop {
                let prefix = members_prefix(department);
                let listed = self.people_of(&members_partition(tenant), &prefix, &page).await?;
                for (_, person) in
                    listed.items.into_iter().filter(|(_, person)| !unsettled.contains(&person.account))
                {
                    expansion.add_account(person.account)?;
                }
                let Some(next) = listed.next else { break };
                page.after = Some(next);
            }
        }
        Ok(())
    }

    /// May `sender` send to this address of the tenant? Everybody may send to what is no group. Whether the sender is
    /// who they say is the caller's question.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`] for a group that has grown too large, or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn admission(
        &self,
        tenant: TenantId,
        address: &str,
        sender: &str,
    ) -> Result<Admission, DirectoryError> {
        self.admission_to(tenant, address, sender, None).await
    }

    /// The same for an account that has signed in, whatever it writes as: where that is an address of one account, it is
    /// this one that is asked for, else the account itself. [`Admission::Known`] needs no proof then.
    ///
    /// # Errors
    /// As for [`Directory::admission`].
    #[pennypost_ports::compiled_here]
    pub async fn admission_of(
        &self,
        account: AccountKey,
        address: &str,
        sender: &str,
    ) -> Result<Admission, DirectoryError> {
        self.admission_to(account.tenant, address, sender, Some(account)).await
    }

    async fn admission_to(
        &self,
        tenant: TenantId,
        address: &str,
        sender: &str,
        submitter: Option<AccountKey>,
    ) -> Result<Admission, DirectoryError> {
        let Ok(said) = MailAddress::parse(address) else { return Ok(Admission::Open) };
        // A group stands in its own domain, whichever alias domain was said.
        let address = match self.home_of(&said, Consistency::Strong).await? {
            Some((owner, home)) if owner == tenant => home,
            _ => said,
        };
        for candidate in std::iter::once(address.clone()).chain(address.without_tag()) {
            let entry = self.entry(tenant, &candidate, Consistency::Strong).await?.map(|held| held.value);
            match entry {
                None | Some(Entry::Claimed(_) | Entry::Free) => {}
                Some(Entry::Group { .. }) => {
                    return self.admission_to_group(tenant, &candidate, sender, submitter).await;
                }
                Some(Entry::Account(_) | Entry::Alias(_)) => return Ok(Admission::Open),
            }
        }
        Ok(Admission::Open)
    }

    async fn admission_to_group(
        &self,
        tenant: TenantId,
        group: &MailAddress,
        sender: &str,
        submitter: Option<AccountKey>,
    ) -> Result<Admission, DirectoryError> {
        let rules = self.rules_of(tenant, group, Consistency::Strong).await?;
        if rules.senders == Senders::Everyone {
            return Ok(Admission::Open);
        }
        // Nobody's mail is nobody's who is named.
        let sender = MailAddress::parse(sender).ok();
        let claimed = match &sender {
            Some(sender) => self.account_of_sender(tenant, sender).await?,
            None => None,
        };
        let is_named = sender.is_some_and(|sender| rules.named.contains(&sender));
        let may = match claimed.or(submitter) {
            None => is_named && rules.senders != Senders::Inside,
            Some(account) => {
                is_named
                    || rules.senders == Senders::Inside
                    || rules.representatives.contains(&account.account)
                    || self.is_named_inside(account, &rules).await?
                    || (rules.senders == Senders::Members
                        && self.is_in_group(account, &group.to_string()).await?)
            }
        };
        Ok(if may { Admission::Known } else { Admission::Refused })
    }

    /// The account whose address, or whose alone, this is.
    async fn account_of_sender(
        &self,
        tenant: TenantId,
        sender: &MailAddress,
    ) -> Result<Option<AccountKey>, DirectoryError> {
        let home = self.home_of(sender, Consistency::Strong).await?;
        let Some((_, sender)) = home.filter(|(owner, _)| *owner == tenant) else { return Ok(None) };
        for candidate in std::iter::once(sender.clone()).chain(sender.without_tag()) {
            let entry = self.entry(tenant, &candidate, Consistency::Strong).await?.map(|held| held.value);
            let account = match entry {
                Some(Entry::Account(account)) => account,
                Some(Entry::Alias(targets)) => match targets.as_slice() {
                    [Target { account, .. }] => *account,
                    _ => return Ok(None),
                },
                _ => continue,
            };
            return Ok(Some(AccountKey { tenant, account }));
        }
        Ok(None)
    }

    /// Is the account named by another address of it, by a group that it is in, or by its department?
    async fn is_named_inside(&self, key: AccountKey, rules: &GroupRules) -> Result<bool, DirectoryError> {
        let Some(account) = self.account(key).await? else { return Ok(false) };
        if rules.named.contains(&account.address) {
            return Ok(true);
        }
        if !rules.named_departments.is_empty() {
            let tree = self.departments(key.tenant).await?;
            let own =
                if account.departments.is_empty() { vec![DepartmentId::ROOT] } else { account.departments };
            let mut within = rules.named_departments.iter().flat_map(|department| tree.within(*department));
            if within.any(|department| own.contains(&department)) {
                return Ok(true);
            }
        }
        for named in &rules.named {
            if self.is_in_group(key, &named.to_string()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A name as the local part of an address: pinyin, and of other writing what ASCII has of it.
pub fn address_letters(name: &str, otherwise: &str) -> String {
    let letters = spelling::letters(name);
    let ascii: String = letters.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    if ascii.is_empty() { otherwise.to_owned() } else { ascii }
}

#[cfg(test)]
mod tests {
    use super::address_letters;

    #[test]
    fn departments_have_addresses_in_letters() {
        for (name, expected) in [
            ("研发部", "yanfabu"),
            ("R&D / 一组", "rdyizu"),
            ("Verkäufe", "verkufe"),
            ("отдел", "department"),
        ] {
            assert_eq!(address_letters(name, "department"), expected);
        }
    }
}
