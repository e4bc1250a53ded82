//! Picking people (ADM-15): what can be picked is found by its name, and what was picked is told as the members that it
//! means.

use std::collections::{BTreeMap, BTreeSet};

use pennypost_directory::{
    Account, AccountKind, DepartmentId, DepartmentTree, Group, Listed, MAX_PAGE, Page, Person, TagId,
    is_found_by,
};
use pennypost_model::{AccountId, AccountKey, TenantId};

use crate::accounts::may_see;
use crate::action::Action;
use crate::authorise::{Decision, Scope, authorise};
use crate::call::Call;
use crate::departments::with_those_above;
use crate::{AdminError, Administration, Invalid};

/// Departments, tags, groups and accounts that a selection names, and that are taken out of it.
pub const MAX_PICKED: usize = 1_000;
/// Tags, and groups, that are named and taken out: each is looked up while somebody waits.
pub const MAX_PICKED_LISTS: usize = 50;
/// Accounts that are looked up by themselves; of more all accounts are looked through.
const ONE_BY_ONE: usize = 200;

/// What can be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PickKind {
    /// Departments, with all that is below them.
    Departments,
    /// Members.
    Members,
    /// Tags.
    Tags,
    /// Groups.
    Groups,
    /// Business mailboxes.
    BusinessMailboxes,
}

impl PickKind {
    /// Every kind.
    pub const ALL: [PickKind; 5] = [
        PickKind::Departments,
        PickKind::Members,
        PickKind::Tags,
        PickKind::Groups,
        PickKind::BusinessMailboxes,
    ];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            PickKind::Departments => "departments",
            PickKind::Members => "members",
            PickKind::Tags => "tags",
            PickKind::Groups => "groups",
            PickKind::BusinessMailboxes => "business-mailboxes",
        }
    }
}

/// What was found, of each kind so many as were asked for at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pickable {
    /// Departments with their names from the top down.
    pub departments: Vec<(DepartmentId, Vec<String>)>,
    /// Members.
    pub members: Vec<Person>,
    /// Tags.
    pub tags: Vec<(TagId, String)>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Business mailboxes.
    pub business: Vec<Account>,
}

/// Whom somebody names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Departments, with all below them: their members.
    pub departments: BTreeSet<DepartmentId>,
    /// Tags: whom they mark, with all members in and below the departments that they mark.
    pub tags: BTreeSet<TagId>,
    /// Groups by their addresses: all to whom they lead.
    pub groups: BTreeSet<String>,
    /// Accounts.
    pub accounts: BTreeSet<AccountId>,
}

impl Named {
    fn len(&self) -> usize {
        self.departments.len() + self.tags.len() + self.groups.len() + self.accounts.len()
    }
}

/// Whom a selection means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These.
    pub named: Named,
    /// Without these.
    pub except: Named,
}

/// Departments and accounts that were named in whatever way.
#[derive(Default)]
struct Places {
    departments: BTreeSet<DepartmentId>,
    accounts: BTreeSet<AccountId>,
}

impl Places {
    fn hold(&self, account: &Account, tree: &DepartmentTree) -> bool {
        if self.accounts.contains(&account.key.account) {
            return true;
        }
        // A mailbox that is no person's is in no department, nor is it one of "everybody".
        if account.kind != AccountKind::Member {
            return false;
        }
        let root = [DepartmentId::ROOT];
        let own = if account.departments.is_empty() { &root[..] } else { &account.departments };
        self.departments.contains(&DepartmentId::ROOT)
            || own.iter().any(|department| tree.is_within(*department, &self.departments))
    }
}

impl Administration {
    /// What can be picked and is found by a text: by characters of its name, pinyin, initials, or its address. Of each kind
    /// `limit` at most, and only what the actor reaches; kinds that he may not look at are left out.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn pickable(
        &self,
        call: &Call,
        tenant: TenantId,
        text: &str,
        kinds: &BTreeSet<PickKind>,
        limit: usize,
    ) -> Result<Pickable, AdminError> {
        call.may(Action::DepartmentRead, &Scope::SomeAccount(tenant))?;
        let may = |action: Action| call.may(action, &Scope::Tenant(tenant)).is_ok();
        let wants = |kind: PickKind| kinds.contains(&kind);
        let is_found = |name: &str, address: &str| {
            let (local, domain) = address.split_once('@').unwrap_or((address, ""));
            match text.trim().split_once('@') {
                Some((start, at)) => {
                    let is_there = start.is_empty() || is_found_by(name, local, start);
                    !domain.is_empty() && is_there && domain.starts_with(&at.to_lowercase())
                }
                None => is_found_by(name, local, text),
            }
        };
        let mut found = Pickable::default();
        if wants(PickKind::Departments) {
            let departments = self.departments(call, tenant, false).await?;
            // Those above what he reaches are seen, and are not his to pick.
            let reaches = |id| {
                let above = with_those_above(&departments.tree, id);
                let scope = Scope::Department { tenant, departments: &above };
                authorise(&call.actor, Action::DepartmentRead, &scope) == Decision::Allow
            };
            let fits = departments.seen.iter().filter(|(level, department)| {
                *level > 0 && is_found(&department.name, "") && reaches(department.id)
            });
            let path = |id| departments.tree.path(id).into_iter().map(str::to_owned).collect();
            found.departments =
                fits.map(|(_, department)| (department.id, path(department.id))).take(limit).collect();
        }
        if wants(PickKind::Members) {
            let mut page = Page { after: None, limit: MAX_PAGE };
            while found.members.len() < limit {
                let listed = self.search_people(call, tenant, text, &page).await?;
                found.members.extend(listed.items);
                let Some(next) = listed.next else { break };
                page.after = Some(next);
            }
            found.members.truncate(limit);
        }
        if wants(PickKind::Tags) && may(Action::TagRead) {
            let tags = self.directory.tags(tenant).await?;
            found.tags = tags.into_iter().filter(|(_, name)| is_found(name, "")).take(limit).collect();
        }
        if wants(PickKind::Groups) && may(Action::GroupRead) {
            let mut page = Page { after: None, limit: MAX_PAGE };
            while found.groups.len() < limit {
                let Listed { items, next } = self.directory.groups(tenant, &page).await?;
                let fits = items.into_iter();
                found.groups.extend(fits.filter(|group| is_found(&group.name, &group.address.to_string())));
                let Some(next) = next else { break };
                page.after = Some(next);
            }
            found.groups.truncate(limit);
        }
        if wants(PickKind::BusinessMailboxes) {
            let mut page = Page { after: None, limit: MAX_PAGE };
            while found.business.len() < limit {
                let Listed { items, next } = self.accounts(call, tenant, &page).await?;
                let fits = |one: &Account| {
                    one.kind == AccountKind::Business
                        && one.binned.is_none()
                        && is_found(&one.display_name, &one.address.to_string())
                };
                found.business.extend(items.into_iter().filter(fits));
                let Some(next) = next else { break };
                page.after = Some(next);
            }
            found.business.truncate(limit);
        }
        Ok(found)
    }

    /// The accounts that a selection means and that the actor reaches, by their addresses: how many there are, and a page of
    /// them. By departments members are meant, open or not; business mailboxes by their own names, or as a tag or group names
    /// them. What lies in the recycle bin is none of them.
    ///
    /// # Errors
    /// [`Invalid::TooMany`] for a selection of more than [`MAX_PICKED`], or of more tags or groups than
    /// [`MAX_PICKED_LISTS`]; [`AdminError::NotFound`] for tags and groups that are not there; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn selected(
        &self,
        call: &Call,
        tenant: TenantId,
        selection: &Selection,
        page: &Page,
    ) -> Result<(Listed<Account>, usize), AdminError> {
        // Who sees nobody but himself picks nobody: all accounts would be read for him.
        call.may(Action::DepartmentRead, &Scope::SomeAccount(tenant))?;
        let (one, other) = (&selection.named, &selection.except);
        if one.len() + other.len() > MAX_PICKED {
            return Err(Invalid::TooMany { limit: MAX_PICKED }.into());
        }
        let lists = [one.tags.len() + other.tags.len(), one.groups.len() + other.groups.len()];
        if lists.into_iter().any(|lists| lists > MAX_PICKED_LISTS) {
            return Err(Invalid::TooMany { limit: MAX_PICKED_LISTS }.into());
        }
        let tree = self.directory.departments(tenant).await?;
        let named = self.places_named(call, tenant, &selection.named).await?;
        let except = self.places_named(call, tenant, &selection.except).await?;
        let reach = self.places(call, tenant).await?;
        let is_meant = |account: &Account| {
            account.binned.is_none()
                && named.hold(account, &tree)
                && !except.hold(account, &tree)
                && may_see(call, account, &reach)
        };
        let mut meant = BTreeMap::new();
        let mut keep = |account: Account| {
            if is_meant(&account) {
                meant.insert(account.address.to_string(), account);
            }
        };
        if named.departments.is_empty() && named.accounts.len() <= ONE_BY_ONE {
            for account in &named.accounts {
                let key = AccountKey { tenant, account: *account };
                if let Some(account) = self.directory.account(key).await? {
                    keep(account);
                }
            }
        } else {
            let mut all = Page { after: None, limit: MAX_PAGE };
            loop {
                let Listed { items, next } = self.directory.accounts(tenant, &all).await?;
                items.into_iter().for_each(&mut keep);
                let Some(next) = next else { break };
                all.after = Some(next);
            }
        }
        let count = meant.len();
        let limit = page.limit.clamp(1, MAX_PAGE);
        let is_behind = |address: &String| page.after.as_ref().is_none_or(|after| address > after);
        let mut rows = meant.into_iter().filter(|(address, _)| is_behind(address)).peekable();
        let mut items = Vec::new();
        let mut last = None;
        while items.len() < limit
            && let Some((address, account)) = rows.next()
        {
            last = Some(address);
            items.push(account);
        }
        let next = last.filter(|_| rows.peek().is_some());
        Ok((Listed { items, next }, count))
    }

    async fn places_named(&self, call: &Call, tenant: TenantId, named: &Named) -> Result<Places, AdminError> {
        let mut places = Places { departments: named.departments.clone(), accounts: named.accounts.clone() };
        if !named.tags.is_empty() {
            call.may(Action::TagRead, &Scope::Tenant(tenant))?;
            let tags = self.directory.tags_numbered(tenant, &named.tags).await?;
            if tags.len() < named.tags.len() {
                return Err(AdminError::NotFound("tag"));
            }
            for tag in tags {
                places.departments.extend(tag.departments);
                places.accounts.extend(tag.accounts);
            }
        }
        for address in &named.groups {
            let group = self.group(call, tenant, address).await?;
            places.accounts.extend(self.directory.group_accounts(tenant, group).await?);
        }
        Ok(places)
    }
}
