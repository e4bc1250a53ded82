//! Writing an organisation into tables that the import reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use pennypost_directory::{
    Account, AccountKind, AccountState, DepartmentId, DepartmentTree, Page, Senders, Tenant,
};
use serde_json::json;

use super::columns::Kind;
use super::table::guarded;
use crate::admin::department::{paths, shown};
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// A table that is being written: UTF-8 with a byte order mark, by which spreadsheets know it.
struct Writer {
    rows: u64,
    csv: csv::Writer<BufWriter<File>>,
}

impl Writer {
    fn create(
        context: &AdminContext<'_>,
        folder: &Path,
        name: &str,
        kind: Kind,
    ) -> Result<Writer, AdminError> {
        let path = folder.join(name);
        let failed = |cause: std::io::Error| {
            let path = path.display().to_string();
            AdminError::Said(say!(context.text, "error-file-write", path = path, cause = cause.to_string()))
        };
        let mut file = BufWriter::new(File::create_new(&path).map_err(failed)?);
        file.write_all("\u{feff}".as_bytes())?;
        let mut csv = csv::Writer::from_writer(file);
        let lang = context.text.lang();
        let heads = kind.columns().iter().map(|column| column.name(lang));
        csv.write_record(heads).map_err(std::io::Error::from)?;
        Ok(Writer { rows: 0, csv })
    }

    fn row(&mut self, cells: &[&str]) -> Result<(), AdminError> {
        let cells: Vec<String> = cells.iter().map(|cell| guarded(cell)).collect();
        self.csv.write_record(&cells).map_err(std::io::Error::from)?;
        self.rows += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<u64, AdminError> {
        self.csv.flush()?;
        Ok(self.rows)
    }
}

/// Writes the three tables into a folder; none of them may be there.
pub(super) async fn run(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    folder: &Path,
) -> Result<(), AdminError> {
    std::fs::create_dir_all(folder)?;
    let tree = context.directory.departments(tenant.id).await?;
    let mut table = Writer::create(context, folder, "departments.csv", Kind::Departments)?;
    for (_, department) in tree.walk() {
        table.row(&[&shown(&tree, department.id), &department.description])?;
    }
    let departments = table.finish()?;
    let people = people(context, tenant, folder, &tree).await?;
    let groups = groups(context, tenant, folder, &tree).await?;
    let sentence = say!(
        context.text,
        "export-organisation",
        departments = departments,
        people = people,
        groups = groups
    );
    context.print(&sentence, &json!({"departments": departments, "people": people, "groups": groups}))
}

async fn people(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    folder: &Path,
    tree: &DepartmentTree,
) -> Result<u64, AdminError> {
    let mut table = Writer::create(context, folder, "people.csv", Kind::People)?;
    let mut page = Page::default();
    loop {
        let listed = context.directory.accounts(tenant.id, &page).await?;
        let is_member = |account: &&Account| account.kind == AccountKind::Member && account.binned.is_none();
        for account in listed.items.iter().filter(is_member) {
            let aliases = context.directory.aliases_of(account.key).await?;
            let aliases: Vec<String> = aliases.iter().map(ToString::to_string).collect();
            let profile = &account.profile;
            let state = if account.state == AccountState::Active { "active" } else { "disabled" };
            table.row(&[
                &account.address.to_string(),
                &account.display_name,
                &paths(tree, &account.departments).join("; "),
                &profile.title,
                &profile.phone,
                &profile.mobile,
                &profile.number,
                &profile.note,
                &account.quota_bytes.to_string(),
                &aliases.join("; "),
                state,
                "",
            ])?;
        }
        let Some(next) = listed.next else { return table.finish() };
        page.after = Some(next);
    }
}

async fn groups(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    folder: &Path,
    tree: &DepartmentTree,
) -> Result<u64, AdminError> {
    let mut table = Writer::create(context, folder, "groups.csv", Kind::Groups)?;
    let mut page = Page::default();
    loop {
        let listed = context.directory.groups(tenant.id, &page).await?;
        for group in &listed.items {
            let address = group.address.to_string();
            let rules = context.directory.group_rules(&address).await?.unwrap_or_default();
            // What follows a department comes with it, and is made anew by "group for-department".
            if rules.follows.is_some() {
                continue;
            }
            let members: Vec<String> =
                group.members.iter().map(|member| member.address().to_string()).collect();
            let departments: Vec<DepartmentId> = rules.departments.iter().copied().collect();
            let senders = match rules.senders {
                Senders::Everyone => "everyone",
                Senders::Inside => "inside",
                Senders::Members => "members",
                Senders::Named => "named",
            };
            let named: Vec<String> = rules.named.iter().map(ToString::to_string).collect();
            let shared = if rules.is_shared { "yes" } else { "no" };
            let state = if rules.is_disabled { "disabled" } else { "active" };
            table.row(&[
                &address,
                &group.name,
                &members.join("; "),
                &paths(tree, &departments).join("; "),
                senders,
                &named.join("; "),
                shared,
                state,
            ])?;
        }
        let Some(next) = listed.next else { return table.finish() };
        page.after = Some(next);
    }
}
