//! `pennypost department …`

use clap::Subcommand;
use pennypost_admin::Action;
use pennypost_directory::{
    Department, DepartmentChange, DepartmentId, DepartmentTree, Listed, Page, Person, Place, Tenant,
};
use serde_json::{Value, json};

use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `department`.
#[derive(Debug, Subcommand)]
pub enum DepartmentCommand {
    /// Add a department below another one, which has to be there
    #[command(after_help = "Examples:\n  pennypost department add Research\n  \
        pennypost department add Research/Compilers --description \"what makes programs\" --tenant acme\n\n\
        A department is named by its path from the top, or by its number: #17.")]
    Add {
        /// Path of the new department
        path: String,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List the departments, each with how many accounts and departments are directly in it
    #[command(after_help = "Examples:\n  pennypost department list --tenant acme\n  \
        pennypost department list --csv > departments.csv")]
    List {
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Print CSV
        #[arg(long)]
        csv: bool,
    },
    /// List who is directly in a department; without one, who is in none
    #[command(after_help = "Examples:\n  pennypost department members Research/Compilers\n  \
        pennypost department members #17 --csv > members.csv")]
    Members {
        /// The department
        #[arg(default_value = "")]
        path: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Print CSV
        #[arg(long)]
        csv: bool,
    },
    /// Give a department another name or description; / is the organisation itself
    #[command(after_help = "Examples:\n  pennypost department edit Research/Compilers --name Languages\n  \
        pennypost department edit / --name \"Acme Ltd\"")]
    Edit {
        /// The department
        path: String,
        /// Its new name
        #[arg(long, required_unless_present = "description")]
        name: Option<String>,
        /// Its new description
        #[arg(long)]
        description: Option<String>,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Move a department, with all that is in it, below another one, or to another place among its siblings
    #[command(after_help = "Examples:\n  pennypost department move Research/Compilers --under Products\n  \
        pennypost department move Products --position 1\n  pennypost department move Products/Compilers --under /")]
    Move {
        /// The department
        path: String,
        /// Its new parent; / is the organisation itself
        #[arg(long, required_unless_present = "position")]
        under: Option<String>,
        /// Its place among its siblings, 1 the first
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        position: Option<u32>,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Remove a department that is empty
    #[command(after_help = "Example:\n  pennypost department remove Research/Compilers")]
    Remove {
        /// The department
        path: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
}

impl DepartmentCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            DepartmentCommand::Add { path, description, tenant } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                add(context, &tenant, path, description).await
            }
            DepartmentCommand::List { tenant, csv } => {
                list(context, &context.tenant_or_only(tenant.as_deref()).await?, *csv).await
            }
            DepartmentCommand::Members { path, tenant, csv } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                members(context, &tenant, path, *csv).await
            }
            DepartmentCommand::Edit { path, name, description, tenant } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                let (name, description) = (name.clone(), description.clone());
                let change = DepartmentChange { name, description, ..DepartmentChange::default() };
                change_department(context, &tenant, path, &change).await
            }
            DepartmentCommand::Move { path, under, position, tenant } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                let tree = context.directory.departments(tenant.id).await?;
                let parent = under.as_deref().map(|under| find(context, &tree, under)).transpose()?;
                let place = position.map(|position| Place::At(position as usize - 1));
                let change = DepartmentChange { parent, place, ..DepartmentChange::default() };
                change_department(context, &tenant, path, &change).await
            }
            DepartmentCommand::Remove { path, tenant } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                let tree = context.directory.departments(tenant.id).await?;
                let id = find(context, &tree, path)?;
                let shown = shown(&tree, id);
                let removing = context.directory.remove_department(tenant.id, id);
                context.recorded(tenant.id, Action::DepartmentRemove, &shown, json!({}), removing).await?;
                let sentence = say!(context.text, "department-removed", path = &shown);
                context.print(&sentence, &json!({"department": shown, "id": id.0, "removed": true}))
            }
        }
    }
}

/// The department of that path or number.
pub(crate) fn find(
    context: &AdminContext<'_>,
    tree: &DepartmentTree,
    path: &str,
) -> Result<DepartmentId, AdminError> {
    let missing = || AdminError::Said(say!(context.text, "error-no-department", name = path));
    tree.find(path).ok_or_else(missing)
}

/// Its path; `/` for the organisation.
pub(crate) fn shown(tree: &DepartmentTree, id: DepartmentId) -> String {
    if id == DepartmentId::ROOT { "/".to_owned() } else { tree.path(id).join("/") }
}

async fn add(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    path: &str,
    description: &str,
) -> Result<(), AdminError> {
    let path = path.trim().trim_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let tree = context.directory.departments(tenant.id).await?;
    let parent = find(context, &tree, parent)?;
    let after = json!({ "name": name, "description": description, "parent": parent.0 });
    let adding = context.directory.add_department(tenant.id, parent, name, description);
    let added = context.recorded(tenant.id, Action::DepartmentAdd, path, after, adding).await?;
    let tree = context.directory.departments(tenant.id).await?;
    let sentence = say!(context.text, "department-added", path = shown(&tree, added.id), id = added.id.0);
    context.print(&sentence, &document(&tree, &added))
}

async fn change_department(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    path: &str,
    change: &DepartmentChange,
) -> Result<(), AdminError> {
    let tree = context.directory.departments(tenant.id).await?;
    let id = find(context, &tree, path)?;
    let after = json!({
        "name": change.name, "description": change.description, "parent": change.parent.map(|parent| parent.0),
    });
    let changing = context.directory.change_department(tenant.id, id, change);
    let tree = context.recorded(tenant.id, Action::DepartmentChange, path, after, changing).await?;
    let sentence = say!(context.text, "department-changed", path = shown(&tree, id));
    let document = match tree.department(id) {
        Some(department) => document(&tree, department),
        None => json!({"id": id.0, "department": "/", "name": tree.root_name().unwrap_or(&tenant.name)}),
    };
    context.print(&sentence, &document)
}

async fn list(context: &AdminContext<'_>, tenant: &Tenant, csv: bool) -> Result<(), AdminError> {
    let text = &context.text;
    let counted = context.directory.departments_counted(tenant.id).await?;
    let tree = &counted.tree;
    let heads = vec![
        say!(text, "word-number"),
        say!(text, "word-department"),
        say!(text, "word-accounts"),
        say!(text, "word-departments"),
        say!(text, "word-description"),
    ];
    let mut table = Table::new(context, heads);
    if csv {
        context.csv_row(&["id", "department", "description", "accounts", "departments"])?;
    }
    let root_name = tree.root_name().unwrap_or(&tenant.name);
    let root = (0, DepartmentId::ROOT, root_name, tree.root_description());
    let walked = tree.walk();
    let below = walked.iter().map(|(level, found)| (*level, found.id, &*found.name, &*found.description));
    for (level, id, name, description) in std::iter::once(root).chain(below) {
        let accounts = counted.members.get(&id).copied().unwrap_or_default();
        let departments = tree.children(id).count();
        let path = shown(tree, id);
        if csv {
            let (accounts, departments) = (accounts.to_string(), departments.to_string());
            context.csv_row(&[&id.to_string(), &path, description, &accounts, &departments])?;
            continue;
        }
        let document = json!({
            "id": id.0, "department": path, "name": name, "description": description, "level": level,
            "accounts": accounts, "departments": departments,
        });
        let indented = format!("{}{name}", "  ".repeat(level));
        let cells = [id.to_string(), indented, accounts.to_string(), departments.to_string()];
        table.row(cells.into_iter().chain([description.to_owned()]).collect(), &document)?;
    }
    if csv { Ok(()) } else { table.finish("") }
}

async fn members(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    path: &str,
    csv: bool,
) -> Result<(), AdminError> {
    let tree = context.directory.departments(tenant.id).await?;
    let department = find(context, &tree, path)?;
    let mut people = People::new(context, &tree, csv)?;
    let mut page = Page::default();
    loop {
        let Listed { items, next } = context.directory.members(tenant.id, department, &page).await?;
        items.iter().try_for_each(|person| people.row(person))?;
        let Some(next) = next else { return people.finish() };
        page.after = Some(next);
    }
}

/// A list of people that is printed as it comes.
pub(crate) struct People<'a, 'b> {
    context: &'a AdminContext<'b>,
    tree: &'a DepartmentTree,
    table: Table<'a, 'b>,
    csv: bool,
}

impl<'a, 'b> People<'a, 'b> {
    pub(crate) fn new(
        context: &'a AdminContext<'b>,
        tree: &'a DepartmentTree,
        csv: bool,
    ) -> Result<People<'a, 'b>, AdminError> {
        let text = &context.text;
        let heads = vec![
            say!(text, "word-name"),
            say!(text, "word-address"),
            say!(text, "word-title"),
            say!(text, "word-phone"),
            say!(text, "word-departments"),
            say!(text, "word-state"),
        ];
        if csv {
            context.csv_row(&["name", "address", "title", "phone", "departments", "state"])?;
        }
        Ok(People { context, tree, table: Table::new(context, heads), csv })
    }

    pub(crate) fn row(&mut self, person: &Person) -> Result<(), AdminError> {
        let departments = paths(self.tree, &person.departments);
        let (address, joined) = (person.address.to_string(), departments.join("; "));
        let (name, title, phone) = (&person.display_name, &person.title, &person.phone);
        let state = if person.is_active { "active" } else { "disabled" };
        if self.csv {
            return self.context.csv_row(&[name, &address, title, phone, &joined, state]);
        }
        let text = &self.context.text;
        let word = if person.is_active { say!(text, "word-active") } else { say!(text, "word-disabled") };
        let document = json!({
            "account": person.account.to_string(), "address": address, "name": name, "title": title, "phone": phone,
            "departments": departments, "state": state,
        });
        self.table.row(vec![name.clone(), address, title.clone(), phone.clone(), joined, word], &document)
    }

    pub(crate) fn finish(self) -> Result<(), AdminError> {
        if self.csv {
            return Ok(());
        }
        let nothing = say!(self.context.text, "people-none");
        self.table.finish(&nothing)
    }
}

/// The paths of departments.
pub(crate) fn paths(tree: &DepartmentTree, departments: &[DepartmentId]) -> Vec<String> {
    departments.iter().filter(|id| tree.holds(**id)).map(|id| shown(tree, *id)).collect()
}

fn document(tree: &DepartmentTree, department: &Department) -> Value {
    json!({
        "id": department.id.0,
        "department": shown(tree, department.id),
        "name": department.name,
        "description": department.description,
        "parent": department.parent.0,
    })
}
