//! `pennypost alias …`

use clap::Subcommand;
use pennypost_admin::Action;
use pennypost_directory::{Alias, Page};
use serde_json::{Value, json};

use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `alias`.
#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Add an alias of an account, or of a few
    #[command(after_help = "Example:\n  pennypost alias add sales@example.com alice@example.com")]
    Add {
        /// The further address
        alias: String,
        /// Whose address it is to be
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// List aliases
    #[command(after_help = "Example:\n  pennypost alias list --tenant acme")]
    List {
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Remove an alias
    #[command(after_help = "Example:\n  pennypost alias remove sales@example.com")]
    Remove {
        /// The alias
        alias: String,
    },
}

impl AliasCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            AliasCommand::Add { alias, targets } => {
                let adding = context.directory.add_alias(alias, targets);
                let after = json!({ "targets": targets });
                let alias = context.recorded_at(alias, Action::AliasAdd, after, adding).await?;
                let (address, count) = (alias.address.to_string(), alias.targets.len());
                let sentence = say!(context.text, "alias-added", address = address, count = count);
                context.print(&sentence, &document(&alias))
            }
            AliasCommand::List { tenant } => list(context, tenant.as_deref()).await,
            AliasCommand::Remove { alias } => {
                let removing = context.directory.remove_alias(alias);
                context.recorded_at(alias, Action::AliasRemove, json!({}), removing).await?;
                let sentence = say!(context.text, "alias-removed", address = alias);
                context.print(&sentence, &json!({"alias": alias, "removed": true}))
            }
        }
    }
}

async fn list(context: &AdminContext<'_>, tenant: Option<&str>) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![say!(text, "word-address"), say!(text, "word-targets")];
    let mut table = Table::new(context, heads);
    for tenant in context.tenant_or_all(tenant).await? {
        let mut page = Page::default();
        loop {
            let listed = context.directory.aliases(tenant.id, &page).await?;
            for alias in &listed.items {
                let targets: Vec<_> = alias.targets.iter().map(|target| target.address.to_string()).collect();
                table.row(vec![alias.address.to_string(), targets.join(" ")], &document(alias))?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    table.finish(&say!(text, "aliases-none"))
}

fn document(alias: &Alias) -> Value {
    let targets: Vec<_> = alias.targets.iter().map(|target| target.address.to_string()).collect();
    json!({"alias": alias.address.to_string(), "targets": targets})
}
