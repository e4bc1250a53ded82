//! An organisation as tables that the import reads.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_directory::{
    Account, AccountKind, AccountState, DepartmentId, DepartmentTree, Directory, DirectoryError, MailAddress,
    Page, Senders,
};
use pennypost_model::TenantId;
use pennypost_text::Lang;

use crate::columns::Kind;
use crate::table::guarded;

/// People of a page.
const PEOPLE: usize = 500;
/// Accounts whose aliases are looked up at once.
const LOOKUPS: usize = 16;
/// Groups of a page: each may name 500 members and as many senders.
const GROUPS: usize = 100;

/// A line of CSV. A cell that a spreadsheet would calculate has an apostrophe in front, which the import takes off.
#[must_use]
pub fn csv_line(cells: &[&str]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Into memory nothing can fail to be written.
    let written = writer.write_record(cells.iter().map(|cell| guarded(cell)));
    let bytes = writer.into_inner().unwrap_or_default();
    written.map(|()| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// A table of an organisation, page by page.
pub struct Export<'a> {
    directory: &'a Directory,
    tenant: TenantId,
    kind: Kind,
    tree: DepartmentTree,
    /// The departments whose people are meant; `None`: everybody.
    within: Option<HashSet<DepartmentId>>,
}

impl<'a> Export<'a> {
    /// A table. With a department: of it and what is below it, which groups are not.
    ///
    /// # Errors
    /// [`DirectoryError::NoDepartment`], or the port's.
    pub async fn begin(
        directory: &'a Directory,
        tenant: TenantId,
        kind: Kind,
        department: Option<DepartmentId>,
    ) -> Result<Export<'a>, DirectoryError> {
        let tree = directory.departments(tenant).await?;
        let within = match department {
            None | Some(DepartmentId::ROOT) => None,
            Some(id) if tree.holds(id) => Some(tree.within(id).into_iter().collect()),
            Some(id) => return Err(DirectoryError::NoDepartment(format!("#{id}"))),
        };
        Ok(Export { directory, tenant, kind, tree, within })
    }

    /// The line of names.
    #[must_use]
    pub fn heads(&self, lang: Lang) -> String {
        let heads: Vec<&str> = self.kind.columns().iter().map(|column| column.name(lang)).collect();
        csv_line(&heads)
    }

    /// Lines of what comes after `after`, and behind what the next ones begin.
    ///
    /// # Errors
    /// The port's.
    pub async fn page(&self, after: Option<String>) -> Result<(Vec<String>, Option<String>), DirectoryError> {
        match self.kind {
            Kind::Departments => Ok((self.departments(), None)),
            Kind::People => self.people(&Page { after, limit: PEOPLE }).await,
            Kind::Groups => self.groups(&Page { after, limit: GROUPS }).await,
        }
    }

    /// All of them: they are one item.
    fn departments(&self) -> Vec<String> {
        let walked = self.tree.walk();
        let is_meant = |id: DepartmentId| self.within.as_ref().is_none_or(|within| within.contains(&id));
        let meant = walked.iter().filter(|(_, department)| is_meant(department.id));
        meant
            .map(|(_, department)| csv_line(&[&self.shown(department.id), &department.description]))
            .collect()
    }

    async fn people(&self, page: &Page) -> Result<(Vec<String>, Option<String>), DirectoryError> {
        let listed = self.directory.accounts(self.tenant, page).await?;
        let is_meant = |account: &Account| {
            let is_within = match &self.within {
                None => true,
                Some(within) => account.departments.iter().any(|id| within.contains(id)),
            };
            account.kind == AccountKind::Member && account.binned.is_none() && is_within
        };
        let meant: Vec<Account> = listed.items.into_iter().filter(is_meant).collect();
        let lookups: Vec<_> = meant.iter().map(|account| self.directory.aliases_of(account.key)).collect();
        let aliases: Vec<Vec<MailAddress>> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
        let mut lines = Vec::new();
        for (account, aliases) in meant.iter().zip(aliases) {
            let aliases: Vec<String> = aliases.iter().map(ToString::to_string).collect();
            let profile = &account.profile;
            let state = if account.state == AccountState::Active { "active" } else { "disabled" };
            lines.push(csv_line(&[
                &account.address.to_string(),
                &account.display_name,
                &self.paths(account.departments.iter().copied()),
                &profile.title,
                &profile.phone,
                &profile.mobile,
                &profile.number,
                &profile.note,
                &account.quota_bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
                &aliases.join("; "),
                state,
                "",
            ]));
        }
        Ok((lines, listed.next))
    }

    async fn groups(&self, page: &Page) -> Result<(Vec<String>, Option<String>), DirectoryError> {
        let listed = self.directory.groups(self.tenant, page).await?;
        let mut lines = Vec::new();
        for group in &listed.items {
            let address = group.address.to_string();
            let rules = self.directory.group_rules(&address).await?.unwrap_or_default();
            // What follows a department comes with it, and is made anew by "group for-department".
            if rules.follows.is_some() {
                continue;
            }
            let members: Vec<String> =
                group.members.iter().map(|member| member.address().to_string()).collect();
            let senders = match rules.senders {
                Senders::Everyone => "everyone",
                Senders::Inside => "inside",
                Senders::Members => "members",
                Senders::Named => "named",
            };
            let named: Vec<String> = rules.named.iter().map(ToString::to_string).collect();
            lines.push(csv_line(&[
                &address,
                &group.name,
                &members.join("; "),
                &self.paths(rules.departments.iter().copied()),
                senders,
                &named.join("; "),
                if rules.is_shared { "yes" } else { "no" },
                if rules.is_disabled { "disabled" } else { "active" },
            ]));
        }
        Ok((lines, listed.next))
    }

    fn shown(&self, id: DepartmentId) -> String {
        if id == DepartmentId::ROOT { "/".to_owned() } else { self.tree.path(id).join("/") }
    }

    fn paths(&self, ids: impl Iterator<Item = DepartmentId>) -> String {
        let paths: Vec<String> = ids.filter(|id| self.tree.holds(*id)).map(|id| self.shown(id)).collect();
        paths.join("; ")
    }
}
