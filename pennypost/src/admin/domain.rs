//! `pennypost domain …`

use clap::Subcommand;
use pennypost_admin::Action;
use pennypost_directory::{Domain, Page};
use serde_json::{Value, json};

use crate::admin::output::Table;
use crate::admin::{AdminContext, AdminError};
use crate::administration::RecordsCommand;
use crate::say;
use crate::text::Text;

/// Subcommands of `domain`.
#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// Give a domain to a tenant
    #[command(after_help = "Examples:\n  pennypost domain add example.com --tenant \"Example Ltd\"\n  \
                            pennypost domain add 邮政.example --tenant Post")]
    Add {
        /// The domain
        name: String,
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List domains
    #[command(after_help = "Example:\n  pennypost domain list --tenant acme")]
    List {
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Say where mail to unknown addresses goes, or refuse it
    #[command(after_help = "Examples:\n  pennypost domain catch-all example.com postmaster@example.com\n  \
                            pennypost domain catch-all example.com --off")]
    CatchAll {
        /// The domain
        domain: String,
        /// The account that gets such mail
        #[arg(required_unless_present = "off")]
        address: Option<String>,
        /// Refuse such mail
        #[arg(long, conflicts_with = "address")]
        off: bool,
    },
    /// What the command line does through administration
    #[command(flatten)]
    Records(RecordsCommand),
}

impl DomainCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            DomainCommand::Add { name, tenant } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                let adding = context.directory.add_domain(tenant.id, name);
                let domain = context.recorded(tenant.id, Action::DomainAdd, name, json!({}), adding).await?;
                let shown = domain.name.to_unicode();
                context.print(
                    &say!(context.text, "domain-added", name = shown),
                    &document(&domain, &tenant.name),
                )
            }
            // Done by [`crate::administration`], which writes records of it.
            DomainCommand::Records(_) => Ok(()),
            DomainCommand::List { tenant } => list(context, tenant.as_deref()).await,
            DomainCommand::CatchAll { domain, address, off } => {
                let address = address.as_deref().filter(|_| !off);
                set_catch_all(context, domain, address).await
            }
        }
    }
}

async fn set_catch_all(
    context: &AdminContext<'_>,
    domain: &str,
    address: Option<&str>,
) -> Result<(), AdminError> {
    let tenant = context.domain(domain).await?.tenant;
    let setting = context.directory.set_catch_all(domain, address);
    let after = json!({ "catch_all": address });
    context.recorded(tenant, Action::DomainChange, domain, after, setting).await?;
    let domain = context.domain(domain).await?;
    let name = domain.name.to_unicode();
    let catch_all = domain.catch_all.map(|catch_all| catch_all.address.to_string());
    let sentence = match &catch_all {
        Some(address) => say!(context.text, "catch-all-set", domain = name, address = address),
        None => say!(context.text, "catch-all-off", domain = name),
    };
    context.print(&sentence, &json!({"domain": domain.name, "catch_all": catch_all}))
}

async fn list(context: &AdminContext<'_>, tenant: Option<&str>) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![
        say!(text, "word-domain"),
        say!(text, "word-tenant"),
        say!(text, "word-state"),
        say!(text, "word-catch-all"),
        say!(text, "word-created"),
    ];
    let mut table = Table::new(context, heads);
    for tenant in context.tenant_or_all(tenant).await? {
        let mut page = Page::default();
        loop {
            let listed = context.directory.domains(tenant.id, &page).await?;
            for domain in &listed.items {
                let catch_all = domain.catch_all.as_ref().map(|catch_all| catch_all.address.to_string());
                let cells = vec![
                    domain.name.to_unicode(),
                    tenant.name.clone(),
                    marked_state(domain, text),
                    catch_all.unwrap_or_default(),
                    domain.created.rfc3339(),
                ];
                table.row(cells, &document(domain, &tenant.name))?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    table.finish(&say!(text, "domains-none"))
}

/// The state, with a mark where something of its records is wrong (DOM-07).
fn marked_state(domain: &Domain, text: &Text) -> String {
    let state = say!(text, "domain-state", state = domain.state.name());
    if domain.health.is_some_and(|health| health.needs_attention) { format!("{state} (!)") } else { state }
}

fn document(domain: &Domain, tenant: &str) -> Value {
    json!({
        "domain": domain.name,
        "unicode": domain.name.to_unicode(),
        "tenant": tenant,
        "tenant_id": domain.tenant.to_string(),
        "state": domain.state.name(),
        "alias_of": domain.alias_of,
        "needs_attention": domain.health.map(|health| health.needs_attention),
        "is_protected": domain.health.map(|health| health.is_protected),
        "catch_all": domain.catch_all.as_ref().map(|catch_all| catch_all.address.to_string()),
        "created": domain.created.rfc3339(),
    })
}
