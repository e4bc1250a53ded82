//! An organisation as tables that the import reads.

use std::collections::HashSet;

use pennypost_directory::{
    AccountKind, AccountState, DepartmentId, DepartmentTree, Directory, DirectoryError, Page, Senders,
};
use pennypost_model::TenantId;
use pennypost_text::Lang;

use crate::columns::Kind;
use crate::table::guarded;

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

    /// Lines of a page, how many, and behind what the next page begins.
    ///
    /// # Errors
    /// The port's.
    pub async fn page(&self, page: &Page) -> Result<(String, usize, Option<String>), DirectoryError> {
        match self.kind {
            Kind::Departments => Ok(self.departments()),
            Kind::People => self.people(page).await,
            Kind::Groups => self.groups(page).await,
        }
    }

    /// All of them: they are one item.
    fn departments(&self) -> (String, usize, Option<String>) {
        let walked = self.tree.walk();
        let is_meant = |id: DepartmentId| self.within.as_ref().is_none_or(|within| within.contains(&id));
        let meant = walked.iter().filter(|(_, department)| is_meant(department.id));
        let lines: Vec<String> = meant
            .map(|(_, department)| csv_line(&[&self.shown(department.id), &department.description]))
            .collect();
        (lines.concat(), lines.len(), None)
    }

    async fn people(&self, page: &Page) -> Result<(String, usize, Option<String>), DirectoryError> {
        let listed = self.directory.accounts(self.tenant, page).await?;
        let (mut text, mut count) = (String::new(), 0);
        for account in &listed.items {
            let is_meant = match &self.within {
                None => true,
                Some(within) => account.departments.iter().any(|id| within.contains(id)),
            };
            if account.kind != AccountKind::Member || account.binned.is_some() || !is_meant {
                continue;
            }
            let aliases = self.directory.aliases_of(account.key).await?;
            let aliases: Vec<String> = aliases.iter().map(ToString::to_string).collect();
            let profile = &account.profile;
            let state = if account.state == AccountState::Active { "active" } else { "disabled" };
            text += &csv_line(&[
                &account.address.to_string(),
                &account.display_name,
                &self.paths(account.departments.iter().copied()),
                &profile.title,
                &profile.phone,
                &profile.mobile,
                &profile.number,
                &profile.note,
                &account.quota_bytes.to_string(),
                &aliases.join("; "),
                state,
                "",
            ]);
            count += 1;
        }
        Ok((text, count, listed.next))
    }

    async fn groups(&self, page: &Page) -> Result<(String, usize, Option<String>), DirectoryError> {
        let listed = self.directory.groups(self.tenant, page).await?;
        let (mut text, mut count) = (String::new(), 0);
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
            text += &csv_line(&[
                &address,
                &group.name,
                &members.join("; "),
                &self.paths(rules.departments.iter().copied()),
                senders,
                &named.join("; "),
                if rules.is_shared { "yes" } else { "no" },
                if rules.is_disabled { "disabled" } else { "active" },
            ]);
            count += 1;
        }
        Ok((text, count, listed.next))
    }

    fn shown(&self, id: DepartmentId) -> String {
        if id == DepartmentId::ROOT { "/".to_owned() } else { self.tree.path(id).join("/") }
    }

    fn paths(&self, ids: impl Iterator<Item = DepartmentId>) -> String {
        let paths: Vec<String> = ids.filter(|id| self.tree.holds(*id)).map(|id| self.shown(id)).collect();
        paths.join("; ")
    }
}
