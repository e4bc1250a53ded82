//! `pennypost group …`

use clap::Subcommand;
use pennypost_directory::{Group, Member, Page};
use serde_json::{Value, json};

use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `group`.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Add a group; members are accounts and other groups of the tenant
    #[command(
        after_help = "Example:\n  pennypost group add team@example.com alice@example.com bob@example.com"
    )]
    Add {
        /// Its address
        address: String,
        /// Its members
        members: Vec<String>,
        /// Its name
        #[arg(long, default_value = "")]
        name: String,
    },
    /// List groups
    #[command(after_help = "Example:\n  pennypost group list --tenant acme")]
    List {
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show the members of a group, or change them
    #[command(after_help = "Examples:\n  pennypost group members team@example.com\n  \
        pennypost group members team@example.com --add carol@example.com --remove bob@example.com")]
    Members {
        /// The group
        address: String,
        /// Add this member; may be given several times
        #[arg(long)]
        add: Vec<String>,
        /// Remove this member; may be given several times
        #[arg(long)]
        remove: Vec<String>,
    },
    /// Remove a group
    #[command(after_help = "Example:\n  pennypost group remove team@example.com")]
    Remove {
        /// The group
        address: String,
    },
}

impl GroupCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            GroupCommand::Add { address, members, name } => {
                let group = context.directory.add_group(address, name, members).await?;
                let (address, count) = (group.address.to_string(), group.members.len());
                let sentence = say!(context.text, "group-added", address = address, count = count);
                context.print(&sentence, &document(&group))
            }
            GroupCommand::List { tenant } => list(context, tenant.as_deref()).await,
            GroupCommand::Members { address, add, remove } => members(context, address, add, remove).await,
            GroupCommand::Remove { address } => {
                context.directory.remove_group(address).await?;
                let sentence = say!(context.text, "group-removed", address = address);
                context.print(&sentence, &json!({"group": address, "removed": true}))
            }
        }
    }
}

async fn members(
    context: &AdminContext<'_>,
    address: &str,
    add: &[String],
    remove: &[String],
) -> Result<(), AdminError> {
    let group = context.directory.group(address).await?;
    let missing = || AdminError::Said(say!(context.text, "error-no-group", name = address));
    let group = group.ok_or_else(missing)?;
    if add.is_empty() && remove.is_empty() {
        if context.json {
            return context.line(&document(&group).to_string());
        }
        return group.members.iter().try_for_each(|member| context.line(&member.address().to_string()));
    }
    let group = context.directory.change_members(address, add, remove).await?;
    let (address, count) = (group.address.to_string(), group.members.len());
    context.print(&say!(context.text, "group-changed", address = address, count = count), &document(&group))
}

async fn list(context: &AdminContext<'_>, tenant: Option<&str>) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![say!(text, "word-address"), say!(text, "word-name"), say!(text, "word-members")];
    let mut table = Table::new(context, heads);
    for tenant in context.tenant_or_all(tenant).await? {
        let mut page = Page::default();
        loop {
            let listed = context.directory.groups(tenant.id, &page).await?;
            for group in &listed.items {
                let count = group.members.len().to_string();
                table.row(vec![group.address.to_string(), group.name.clone(), count], &document(group))?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    table.finish(&say!(text, "groups-none"))
}

fn addresses(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.address().to_string()).collect()
}

fn document(group: &Group) -> Value {
    json!({"group": group.address.to_string(), "name": group.name, "members": addresses(&group.members)})
}
