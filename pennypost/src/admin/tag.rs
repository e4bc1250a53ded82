//! `pennypost tag …`

use std::collections::BTreeSet;

use clap::Subcommand;
use pennypost_admin::Action;
use pennypost_directory::{Tag, Tenant};
use pennypost_model::AccountKey;
use serde_json::{Value, json};

use crate::admin::department::{find, shown};
use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `tag`.
#[derive(Debug, Subcommand)]
pub enum TagCommand {
    /// Add a tag
    #[command(after_help = "Example:\n  pennypost tag add drivers --tenant acme")]
    Add {
        /// Its name
        name: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List tags
    #[command(after_help = "Example:\n  pennypost tag list --tenant acme")]
    List {
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show whom a tag marks
    #[command(after_help = "Example:\n  pennypost tag show drivers")]
    Show {
        /// The tag
        name: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Mark accounts and departments with a tag, or take it off them with --off
    #[command(after_help = "Examples:\n  pennypost tag mark drivers ann@example.com --department Sales\n  \
        pennypost tag mark drivers ann@example.com --off")]
    Mark {
        /// The tag
        name: String,
        /// Accounts
        #[arg(required_unless_present = "department")]
        accounts: Vec<String>,
        /// A department, with everybody in and below it; may be given several times
        #[arg(long)]
        department: Vec<String>,
        /// Take the tag off them
        #[arg(long)]
        off: bool,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Give a tag another name
    #[command(after_help = "Example:\n  pennypost tag rename drivers chauffeurs")]
    Rename {
        /// The tag
        name: String,
        /// Its new name
        new_name: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Remove a tag; whom it marked stays
    #[command(after_help = "Example:\n  pennypost tag remove drivers")]
    Remove {
        /// The tag
        name: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
}

impl TagCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        let (TagCommand::Add { tenant, .. }
        | TagCommand::List { tenant }
        | TagCommand::Show { tenant, .. }
        | TagCommand::Mark { tenant, .. }
        | TagCommand::Rename { tenant, .. }
        | TagCommand::Remove { tenant, .. }) = self;
        let tenant = context.tenant_or_only(tenant.as_deref()).await?;
        let (directory, text) = (&context.directory, &context.text);
        match self {
            TagCommand::Add { name, .. } => {
                let adding = directory.add_tag(tenant.id, name);
                let tag = context.recorded(tenant.id, Action::TagAdd, name, json!({}), adding).await?;
                context.print(
                    &say!(text, "tag-added", name = &tag.name),
                    &json!({"tag": tag.name, "id": tag.id.0}),
                )
            }
            TagCommand::List { .. } => {
                let mut table = Table::new(context, vec![say!(text, "word-name")]);
                for (id, name) in directory.tags(tenant.id).await? {
                    table.row(vec![name.clone()], &json!({"tag": name, "id": id.0}))?;
                }
                table.finish(&say!(text, "tags-none"))
            }
            TagCommand::Show { name, .. } => {
                let missing = || AdminError::Said(say!(text, "error-no-tag", name = name));
                show(context, &tenant, directory.tag(tenant.id, name).await?.ok_or_else(missing)?).await
            }
            TagCommand::Mark { name, accounts, department, off, .. } => {
                mark(context, &tenant, name, accounts, department, *off).await
            }
            TagCommand::Rename { name, new_name, .. } => {
                let renaming = directory.rename_tag(tenant.id, name, new_name);
                let after = json!({ "name": new_name });
                context.recorded(tenant.id, Action::TagChange, name, after, renaming).await?;
                context.print(&say!(text, "tag-renamed", name = new_name), &json!({"tag": new_name}))
            }
            TagCommand::Remove { name, .. } => {
                let removing = directory.remove_tag(tenant.id, name);
                context.recorded(tenant.id, Action::TagRemove, name, json!({}), removing).await?;
                context.print(&say!(text, "tag-removed", name = name), &json!({"tag": name, "removed": true}))
            }
        }
    }
}

async fn mark(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    name: &str,
    accounts: &[String],
    departments: &[String],
    off: bool,
) -> Result<(), AdminError> {
    let tree = context.directory.departments(tenant.id).await?;
    let mut marked_departments = BTreeSet::new();
    for path in departments {
        marked_departments.insert(find(context, &tree, path)?);
    }
    let mut marked_accounts = BTreeSet::new();
    for address in accounts {
        let account = context.account(address).await?;
        if account.key.tenant != tenant.id {
            return Err(AdminError::Said(say!(context.text, "error-other-tenant", name = address)));
        }
        marked_accounts.insert(account.key.account);
    }
    let marking = context.directory.change_tag(tenant.id, name, |departments, accounts| {
        if off {
            departments.retain(|department| !marked_departments.contains(department));
            accounts.retain(|account| !marked_accounts.contains(account));
        } else {
            departments.extend(&marked_departments);
            accounts.extend(&marked_accounts);
        }
    });
    let after = json!({ "marked": !off, "accounts": accounts, "departments": departments });
    let tag = context.recorded(tenant.id, Action::TagChange, name, after, marking).await?;
    let (accounts, departments) = (tag.accounts.len(), tag.departments.len());
    let sentence =
        say!(context.text, "tag-marks", name = &tag.name, accounts = accounts, departments = departments);
    context.print(&sentence, &json!({"tag": tag.name, "accounts": accounts, "departments": departments}))
}

async fn show(context: &AdminContext<'_>, tenant: &Tenant, tag: Tag) -> Result<(), AdminError> {
    let tree = context.directory.departments(tenant.id).await?;
    let departments = tag.departments.iter().filter(|id| tree.holds(**id)).map(|id| shown(&tree, *id));
    let departments: Vec<String> = departments.collect();
    let mut accounts = Vec::with_capacity(tag.accounts.len());
    for account in tag.accounts {
        let account = context.directory.account(AccountKey { tenant: tenant.id, account }).await?;
        accounts.extend(account.map(|account| account.address.to_string()));
    }
    let document: Value = json!({"tag": tag.name, "departments": departments, "accounts": accounts});
    if context.json {
        return context.line(&document.to_string());
    }
    let word = say!(context.text, "word-department");
    departments.iter().try_for_each(|path| context.line(&format!("{word}: {path}")))?;
    accounts.iter().try_for_each(|address| context.line(address))
}
