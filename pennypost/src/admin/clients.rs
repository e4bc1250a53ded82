//! `pennypost account clients …`: what mail programs may do (CLI-06, CLI-08).

use clap::{Args, Subcommand};
use pennypost_directory::{ClientRules, ClientSettings};
use serde_json::{Value, json};

use crate::admin::policy::Switch;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `account clients`.
#[derive(Debug, Subcommand)]
pub enum ClientsCommand {
    /// Show what holds for an account
    #[command(after_help = "Example:\n  pennypost account clients show alice@example.com")]
    Show {
        /// Address of the account
        address: String,
    },
    /// Open and close for an account, or for all of a tenant; what a tenant closes stays closed for its accounts
    #[command(after_help = "Examples:\n  \
        pennypost account clients set alice@example.com --pop3 off --passwords off\n  \
        pennypost account clients set --tenant acme --pop3-deletes off")]
    Set(SetArgs),
}

/// Arguments of `account clients set`.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// Address of the account
    #[arg(required_unless_present = "tenant", conflicts_with = "tenant")]
    pub address: Option<String>,
    /// Name or id of the tenant
    #[arg(long)]
    pub tenant: Option<String>,
    /// What is changed
    #[command(flatten)]
    pub switches: Switches,
}

/// What can be switched.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Switches {
    /// IMAP is open
    #[arg(long)]
    pub imap: Option<Switch>,
    /// POP3 is open
    #[arg(long)]
    pub pop3: Option<Switch>,
    /// The password opens the mailbox in mail programs; if not, only tokens do
    #[arg(long)]
    pub passwords: Option<Switch>,
    /// What a POP3 program deletes is deleted; if not, it stays on the server
    #[arg(long)]
    pub pop3_deletes: Option<Switch>,
}

impl Switches {
    fn apply(&self, settings: &mut ClientSettings) {
        for (switch, setting) in [
            (self.imap, &mut settings.imap.open),
            (self.pop3, &mut settings.pop3.open),
            (self.passwords, &mut settings.passwords),
            (self.pop3_deletes, &mut settings.pop3_deletes),
        ] {
            if let Some(switch) = switch {
                *setting = Some(matches!(switch, Switch::On));
            }
        }
    }
}

impl ClientsCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        match self {
            ClientsCommand::Show { address } => show(context, address).await,
            ClientsCommand::Set(arguments) => set(context, arguments).await,
        }
    }
}

async fn show(context: &AdminContext<'_>, address: &str) -> Result<(), AdminError> {
    let text = &context.text;
    let account = context.account(address).await?;
    let rules = context.directory.client_rules(account.key).await?;
    if context.json {
        return context.line(&document(&rules).to_string());
    }
    let rows = [
        (say!(text, "word-imap"), rules.imap.open),
        (say!(text, "word-pop3"), rules.pop3.open),
        (say!(text, "word-passwords"), rules.passwords),
        (say!(text, "word-pop3-deletes"), rules.pop3_deletes),
    ];
    rows.iter().try_for_each(|(word, is_on)| {
        let answer = if *is_on { say!(text, "word-yes") } else { say!(text, "word-no") };
        context.line(&format!("{word}: {answer}"))
    })
}

async fn set(context: &AdminContext<'_>, arguments: &SetArgs) -> Result<(), AdminError> {
    let change = |settings: &mut ClientSettings| arguments.switches.apply(settings);
    let name = if let Some(address) = &arguments.address {
        let account = context.account(address).await?;
        context.directory.change_client_settings(account.key, change).await?;
        account.address.to_string()
    } else {
        let tenant = context.tenant_or_only(arguments.tenant.as_deref()).await?;
        context.directory.change_tenant_client_settings(tenant.id, change).await?;
        tenant.name
    };
    let sentence = say!(context.text, "clients-set", name = name.as_str());
    context.print(&sentence, &json!({"set": name}))
}

fn document(rules: &ClientRules) -> Value {
    json!({
        "imap": rules.imap.open,
        "pop3": rules.pop3.open,
        "passwords": rules.passwords,
        "pop3_deletes": rules.pop3_deletes,
    })
}
