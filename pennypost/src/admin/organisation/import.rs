//! Reading tables and doing what their rows say.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use futures::stream::{self, StreamExt};
use pennypost_directory::{
    AccountState, DepartmentId, DepartmentTree, DirectoryError, MAX_GROUP_DEPTH, MailAddress, NewAccount,
    NewDepartment, Tenant,
};
use serde_json::json;

use super::ImportArgs;
use super::columns::{Column, Kind};
use super::rows::{Cells, DepartmentRow, GroupRow, PersonRow};
use super::table::{MAX_BYTES, MAX_ROWS, TableError, read};
use crate::admin::account::add_and_open;
use crate::admin::department::find;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// People that are added at once: what waits for the disk shares a commit.
const AT_ONCE: usize = 64;
/// Groups that are added at once.
const GROUPS_AT_ONCE: usize = 16;
/// Rows between two words about how far it has come.
const PROGRESS: usize = 500;

/// Where a row stands.
#[derive(Debug, Clone)]
struct Place {
    file: String,
    line: u64,
}

/// All good rows of all files.
#[derive(Default)]
struct Rows {
    departments: Vec<(Place, DepartmentRow)>,
    people: Vec<(Place, PersonRow)>,
    groups: Vec<(Place, GroupRow)>,
}

/// What became of the rows so far.
struct Progress<'a> {
    context: &'a AdminContext<'a>,
    done: usize,
    total: usize,
    failed: u64,
    skipped: u64,
    counts: [u64; 3],
}

impl Progress<'_> {
    fn step(&mut self) -> Result<(), AdminError> {
        self.done += 1;
        let is_word_due = self.done.is_multiple_of(PROGRESS) || self.done == self.total;
        if is_word_due && !self.context.json && self.total > PROGRESS {
            let (done, total) = (self.done, self.total);
            self.context.remark(&say!(self.context.text, "import-progress", done = done, total = total))?;
        }
        Ok(())
    }

    /// Reports a row that was refused.
    fn refused(&mut self, place: &Place, error: AdminError) -> Result<(), AdminError> {
        if let AdminError::Output(error) = error {
            return Err(AdminError::Output(error));
        }
        self.failed += 1;
        let text = &self.context.text;
        let cause = error.message(text);
        if self.context.json {
            let document = json!({"file": place.file, "line": place.line, "error": cause});
            return self.context.line(&document.to_string());
        }
        let (file, line) = (&place.file, place.line);
        self.context.complain(&say!(text, "error-import-row", file = file, line = line, cause = cause))
    }
}

/// Imports the files, or only checks them.
pub(super) async fn run(context: &AdminContext<'_>, arguments: &ImportArgs) -> Result<(), AdminError> {
    let tenant = context.tenant_or_only(arguments.tenant.as_deref()).await?;
    let mut progress = Progress { context, done: 0, total: 0, failed: 0, skipped: 0, counts: [0; 3] };
    let mut rows = Rows::default();
    for file in &arguments.files {
        read_file(context, file, &mut rows, &mut progress)?;
    }
    refuse_doubles(context, &mut rows, &mut progress)?;
    progress.total = rows.people.len() + rows.groups.len();
    let import = Import { context, tenant: &tenant, arguments };
    let tree = import.departments(&mut rows, &mut progress).await?;
    import.people(&rows, &tree, &mut progress).await?;
    import.groups(&rows, &tree, &mut progress).await?;
    finish(context, arguments.dry_run, &progress)
}

fn finish(context: &AdminContext<'_>, dry_run: bool, progress: &Progress<'_>) -> Result<(), AdminError> {
    let text = &context.text;
    let [departments, people, groups] = progress.counts;
    let (failed, skipped) = (progress.failed, progress.skipped);
    let sentence = if dry_run {
        say!(text, "import-organisation-dry", departments = departments, people = people, groups = groups)
    } else {
        say!(text, "import-organisation-done", departments = departments, people = people, groups = groups)
    };
    let document = json!({
        "departments": departments, "people": people, "groups": groups, "skipped": skipped, "failed": failed,
        "dry_run": dry_run,
    });
    context.print(&sentence, &document)?;
    if skipped > 0 && !context.json {
        context.line(&say!(text, "import-skipped", skipped = skipped))?;
    }
    if failed > 0 {
        Err(AdminError::Said(say!(text, "error-import-refused", failed = failed)))
    } else {
        Ok(())
    }
}

fn read_file(
    context: &AdminContext<'_>,
    path: &Path,
    rows: &mut Rows,
    progress: &mut Progress<'_>,
) -> Result<(), AdminError> {
    let text = &context.text;
    let shown = path.display().to_string();
    let tables = read(path).map_err(|error| {
        AdminError::Said(match error {
            TableError::File(cause) => say!(text, "error-file", path = &shown, cause = cause.to_string()),
            TableError::Bytes => {
                say!(text, "error-file-too-large", path = &shown, limit = MAX_BYTES / 1_000_000)
            }
            TableError::Rows => say!(text, "error-file-rows", path = &shown, limit = MAX_ROWS),
            TableError::Encoding => say!(text, "error-file-encoding", path = &shown),
            TableError::Workbook => say!(text, "error-file-workbook", path = &shown),
        })
    })?;
    let file = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    for table in tables {
        let file = match &table.sheet {
            Some(sheet) => format!("{file} [{sheet}]"),
            None => file.clone(),
        };
        let (kind, columns) = Kind::of(&table.head).map_err(|column| {
            let column: String = column.chars().take(80).collect();
            AdminError::Said(say!(text, "error-file-columns", path = &file, column = column))
        })?;
        for row in &table.rows {
            let place = Place { file: file.clone(), line: row.line };
            if let Err(error) = read_row(context, kind, &columns, row, &place, rows) {
                progress.refused(&place, error)?;
            }
        }
    }
    Ok(())
}

fn read_row(
    context: &AdminContext<'_>,
    kind: Kind,
    columns: &[Column],
    row: &super::table::Row,
    place: &Place,
    rows: &mut Rows,
) -> Result<(), AdminError> {
    let cells = Cells::of(context, columns, row)?;
    match kind {
        Kind::Departments => rows.departments.push((place.clone(), cells.department()?)),
        Kind::People => rows.people.push((place.clone(), cells.person()?)),
        Kind::Groups => rows.groups.push((place.clone(), cells.group()?)),
    }
    Ok(())
}

/// Refuses rows whose address, or one of whose aliases, stands in an earlier row.
fn refuse_doubles(
    context: &AdminContext<'_>,
    rows: &mut Rows,
    progress: &mut Progress<'_>,
) -> Result<(), AdminError> {
    let mut seen: HashMap<String, Place> = HashMap::new();
    let mut is_new =
        |place: &Place, addresses: &[&String], progress: &mut Progress<'_>| -> Result<bool, AdminError> {
            let mut canonical = Vec::with_capacity(addresses.len());
            for address in addresses {
                let address = MailAddress::parse(address)
                    .map_or_else(|_| (*address).clone(), |found| found.to_string());
                if let Some(first) = seen.get(&address) {
                    let (file, line) = (&first.file, first.line);
                    let twice =
                        say!(context.text, "error-row-twice", address = address, file = file, line = line);
                    progress.refused(place, AdminError::Said(twice))?;
                    return Ok(false);
                }
                canonical.push(address);
            }
            seen.extend(canonical.into_iter().map(|address| (address, place.clone())));
            Ok(true)
        };
    let mut people = Vec::with_capacity(rows.people.len());
    for (place, row) in std::mem::take(&mut rows.people) {
        let addresses: Vec<&String> = std::iter::once(&row.address).chain(&row.aliases).collect();
        if is_new(&place, &addresses, progress)? {
            people.push((place, row));
        }
    }
    let mut groups = Vec::with_capacity(rows.groups.len());
    for (place, row) in std::mem::take(&mut rows.groups) {
        if is_new(&place, &[&row.address], progress)? {
            groups.push((place, row));
        }
    }
    (rows.people, rows.groups) = (people, groups);
    Ok(())
}

/// An import under way.
struct Import<'a> {
    context: &'a AdminContext<'a>,
    tenant: &'a Tenant,
    arguments: &'a ImportArgs,
}

impl Import<'_> {
    /// Adds all departments that rows name, in one step; refuses the rows whose departments cannot be.
    async fn departments(
        &self,
        rows: &mut Rows,
        progress: &mut Progress<'_>,
    ) -> Result<DepartmentTree, AdminError> {
        let mut wanted: Vec<NewDepartment> = Vec::new();
        for (_, row) in &rows.departments {
            wanted.push(NewDepartment { path: row.path.clone(), description: row.description.clone() });
        }
        let described = wanted.len();
        let mut known: HashSet<&str> = rows.departments.iter().map(|(_, row)| row.path.as_str()).collect();
        for (_, row) in &rows.people {
            for path in row.departments.iter().filter(|path| known.insert(path)) {
                wanted.push(NewDepartment { path: path.clone(), description: String::new() });
            }
        }
        let directory = &self.context.directory;
        let made = directory.ensure_departments(self.tenant.id, &wanted, self.arguments.dry_run).await?;
        let mut refused: HashMap<&str, &DirectoryError> = HashMap::new();
        for (new, outcome) in wanted.iter().zip(&made.outcomes) {
            if let Err(error) = outcome {
                refused.insert(&new.path, error);
            }
        }
        progress.counts[0] = made.added as u64;
        for ((place, _), outcome) in rows.departments.iter().zip(&made.outcomes[..described]) {
            if let Err(error) = outcome {
                progress.refused(place, AdminError::Directory(error.clone()))?;
            }
        }
        let mut people = Vec::with_capacity(rows.people.len());
        for (place, row) in std::mem::take(&mut rows.people) {
            match row.departments.iter().find_map(|path| refused.get(path.as_str())) {
                Some(error) => progress.refused(&place, AdminError::Directory((*error).clone()))?,
                None => people.push((place, row)),
            }
        }
        rows.people = people;
        Ok(made.tree)
    }

    async fn people(
        &self,
        rows: &Rows,
        tree: &DepartmentTree,
        progress: &mut Progress<'_>,
    ) -> Result<(), AdminError> {
        let otherwise = match &self.arguments.department {
            Some(path) => vec![find(self.context, tree, path)?],
            None => Vec::new(),
        };
        let paths = rows.people.iter().flat_map(|(_, row)| row.departments.iter().map(String::as_str));
        let paths: HashSet<&str> = paths.collect();
        let ids: HashMap<&str, DepartmentId> =
            paths.into_iter().filter_map(|path| Some((path, tree.find(path)?))).collect();
        let added = rows.people.iter().map(|(place, row)| {
            let found = row.departments.iter().filter_map(|path| ids.get(path.as_str()).copied());
            let mut departments: Vec<DepartmentId> = found.collect();
            if departments.is_empty() {
                departments.clone_from(&otherwise);
            }
            async move { (place, self.person(row, &departments).await) }
        });
        let added: Vec<_> = added.collect();
        let mut added = stream::iter(added).buffer_unordered(AT_ONCE);
        while let Some((place, outcome)) = added.next().await {
            progress.step()?;
            match outcome {
                Ok(()) => progress.counts[1] += 1,
                Err(error) if self.is_skipped(&error) => progress.skipped += 1,
                Err(error) => progress.refused(place, error)?,
            }
        }
        Ok(())
    }

    fn is_skipped(&self, error: &AdminError) -> bool {
        let is_there = matches!(error, AdminError::Directory(DirectoryError::AddressTaken(_)));
        self.arguments.skip_existing && is_there
    }

    async fn person(&self, row: &PersonRow, departments: &[DepartmentId]) -> Result<(), AdminError> {
        let directory = &self.context.directory;
        let new = NewAccount {
            address: &row.address,
            password: row.password.as_deref(),
            display_name: &row.name,
            quota_bytes: row.quota,
            departments,
            profile: row.profile.clone(),
            is_business: false,
        };
        // Looked at before anything is written, so that a row is done as a whole or not at all.
        directory.check_new(self.tenant.id, &new).await?;
        for alias in &row.aliases {
            directory.check_new_address(self.tenant.id, alias).await?;
        }
        if self.arguments.dry_run {
            return Ok(());
        }
        let account = add_and_open(self.context, &new).await?;
        for alias in &row.aliases {
            directory.add_alias(alias, &[&row.address]).await?;
        }
        if row.state != AccountState::Active {
            directory.set_account_state(account.key, row.state).await?;
        }
        Ok(())
    }

    /// Adds groups: those whose members are not groups of the table first, and so on.
    async fn groups(
        &self,
        rows: &Rows,
        tree: &DepartmentTree,
        progress: &mut Progress<'_>,
    ) -> Result<(), AdminError> {
        let known: HashSet<String> = rows
            .people
            .iter()
            .flat_map(|(_, row)| std::iter::once(&row.address).chain(&row.aliases))
            .chain(rows.groups.iter().map(|(_, row)| &row.address))
            .map(|address| address.to_lowercase())
            .collect();
        let mut waiting: Vec<(&Place, &GroupRow)> =
            rows.groups.iter().map(|(place, row)| (place, row)).collect();
        for round in 0..=MAX_GROUP_DEPTH {
            let names: HashSet<String> = waiting.iter().map(|(_, row)| row.address.to_lowercase()).collect();
            let is_ready =
                |row: &GroupRow| !row.members.iter().any(|member| names.contains(&member.to_lowercase()));
            let is_last = round == MAX_GROUP_DEPTH;
            let (ready, later): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .map(|(place, row)| (place, row, is_ready(row)))
                .partition(|(_, _, is_ready)| is_last || *is_ready);
            let later: Vec<_> = later.into_iter().map(|(place, row, _)| (place, row)).collect();
            waiting = later;
            let added = ready.into_iter().map(|(place, row, is_ready)| {
                let known = &known;
                async move {
                    // What waits for others after so many rounds waits for itself, or lies too deep.
                    let outcome = match (is_ready, is_last) {
                        (true, false) => self.group(row, tree, known).await,
                        (true, true) => Err(DirectoryError::GroupDepth { limit: MAX_GROUP_DEPTH }.into()),
                        (false, _) => Err(DirectoryError::GroupCycle(row.address.clone()).into()),
                    };
                    (place, outcome)
                }
            });
            let added: Vec<_> = added.collect();
            let mut added = stream::iter(added).buffer_unordered(GROUPS_AT_ONCE);
            while let Some((place, outcome)) = added.next().await {
                progress.step()?;
                match outcome {
                    Ok(()) => progress.counts[2] += 1,
                    Err(error) if self.is_skipped(&error) => progress.skipped += 1,
                    Err(error) => progress.refused(place, error)?,
                }
            }
        }
        Ok(())
    }

    async fn group(
        &self,
        row: &GroupRow,
        tree: &DepartmentTree,
        known: &HashSet<String>,
    ) -> Result<(), AdminError> {
        let directory = &self.context.directory;
        directory.check_new_address(self.tenant.id, &row.address).await?;
        let mut rules = row.rules.clone();
        for path in &row.departments {
            rules.departments.insert(find(self.context, tree, path)?);
        }
        if !self.arguments.dry_run {
            directory.add_group_with(&row.address, &row.name, &row.members, &rules).await?;
            return Ok(());
        }
        for member in row.members.iter().filter(|member| !known.contains(&member.to_lowercase())) {
            directory.check_member(self.tenant.id, member).await?;
        }
        Ok(())
    }
}
