//! `pennypost tenant …`

use clap::Subcommand;
use pennypost_admin::Action;
use pennypost_directory::{DirectoryError, Page, Tenant, TenantState};
use pennypost_model::TenantId;
use serde_json::{Value, json};

use crate::admin::limits::{self, BlockArgs};
use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `tenant`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Add a tenant
    #[command(after_help = "Example:\n  pennypost tenant add \"Example Ltd\"")]
    Add {
        /// Its name, unique without regard to case
        name: String,
    },
    /// List tenants
    #[command(after_help = "Example:\n  pennypost tenant list")]
    List,
    /// Suspend a tenant: nobody signs in, mail is put off
    #[command(after_help = "Example:\n  pennypost tenant suspend acme")]
    Suspend {
        /// Name or id
        name: String,
    },
    /// Let a suspended tenant in again
    #[command(after_help = "Example:\n  pennypost tenant resume acme")]
    Resume {
        /// Name or id
        name: String,
    },
    /// Block functions of a tenant, or open all of them again
    #[command(after_help = "Examples:\n  pennypost tenant block acme --function sending --reason spam\n  \
        pennypost tenant block acme --nothing")]
    Block {
        /// Name or id
        name: String,
        /// What is blocked
        #[command(flatten)]
        block: BlockArgs,
    },
}

impl TenantCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            TenantCommand::Add { name } => {
                let adding = context.directory.add_tenant(name);
                let tenant =
                    context.recorded(None::<TenantId>, Action::TenantAdd, name, json!({}), adding).await?;
                let id = tenant.id.to_string();
                context.print(
                    &say!(context.text, "tenant-added", name = &tenant.name, id = id),
                    &document(&tenant),
                )
            }
            TenantCommand::List => list(context).await,
            TenantCommand::Suspend { name } => {
                let tenant = set_state(context, name, TenantState::Suspended).await?;
                context
                    .print(&say!(context.text, "tenant-suspended", name = &tenant.name), &document(&tenant))
            }
            TenantCommand::Block { name, block } => {
                let (tenant, block) = (context.tenant(name).await?, block.block(context)?);
                let blocking = async {
                    let (seen, block) = (tenant.block.as_ref(), block.clone());
                    match context.directory.set_tenant_block(tenant.id, seen, block).await? {
                        true => Ok(()),
                        false => Err(DirectoryError::Contended),
                    }
                };
                let after = limits::document(block.as_ref());
                context.recorded(tenant.id, Action::TenantBlock, &tenant.name, after, blocking).await?;
                limits::told(context, &tenant.name, block.as_ref())
            }
            TenantCommand::Resume { name } => {
                let tenant = set_state(context, name, TenantState::Active).await?;
                context.print(&say!(context.text, "tenant-resumed", name = &tenant.name), &document(&tenant))
            }
        }
    }
}

async fn set_state(context: &AdminContext<'_>, name: &str, state: TenantState) -> Result<Tenant, AdminError> {
    let tenant = context.tenant(name).await?;
    let after = json!({ "suspended": state == TenantState::Suspended });
    let setting = context.directory.set_tenant_state(tenant.id, state);
    context.recorded(tenant.id, Action::TenantState, &tenant.name, after, setting).await?;
    Ok(Tenant { state, ..tenant })
}

async fn list(context: &AdminContext<'_>) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![
        say!(text, "word-name"),
        say!(text, "word-tenant"),
        say!(text, "word-state"),
        say!(text, "word-created"),
    ];
    let mut table = Table::new(context, heads);
    let mut page = Page::default();
    loop {
        let listed = context.directory.tenants(&page).await?;
        for tenant in &listed.items {
            let state = match tenant.state {
                TenantState::Active => say!(text, "word-active"),
                TenantState::Suspended => say!(text, "word-suspended"),
                TenantState::Erasing => say!(text, "word-erasing"),
            };
            let cells = vec![tenant.name.clone(), tenant.id.to_string(), state, tenant.created.rfc3339()];
            table.row(cells, &document(tenant))?;
        }
        match listed.next {
            Some(next) => page.after = Some(next),
            None => return table.finish(&say!(text, "tenants-none")),
        }
    }
}

fn document(tenant: &Tenant) -> Value {
    let state = match tenant.state {
        TenantState::Active => "active",
        TenantState::Suspended => "suspended",
        TenantState::Erasing => "erasing",
    };
    json!({"tenant": tenant.id.to_string(), "name": tenant.name, "state": state, "created": tenant.created.rfc3339()})
}
