//! `pennypost account …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pennypost_directory::{Account, AccountState, Page};
use serde_json::{Value, json};

use crate::admin::clients::ClientsCommand;
use crate::admin::csv_import;
use crate::admin::output::Table;
use crate::admin::password::PasswordArgs;
use crate::admin::size::parse_size;
use crate::admin::token::TokenCommand;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `account`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Add an account, or many from a CSV file
    #[command(after_help = "Examples:\n  pennypost account add alice@example.com\n  \
        echo 'a long password' | pennypost account add alice@example.com --password-stdin --quota 20GB\n  \
        pennypost account add bob@example.com --name Bob --generate-password\n  \
        pennypost account add --csv people.csv --dry-run\n\n\
        The CSV file (UTF-8) begins with a line of column names: address, and if wanted name, quota, password, \
        in any order. A row without a password gets one made up, which is printed once.")]
    Add(AddArgs),
    /// List accounts
    #[command(after_help = "Example:\n  pennypost account list --csv > accounts.csv")]
    List {
        /// Only those of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// Print CSV, which `account add --csv` can read
        #[arg(long)]
        csv: bool,
    },
    /// Show one account
    #[command(after_help = "Example:\n  pennypost account show alice@example.com")]
    Show {
        /// Its address
        address: String,
    },
    /// Change the password of an account
    #[command(
        after_help = "Examples:\n  pennypost account passwd alice@example.com\n  pennypost account passwd alice@example.com --generate-password"
    )]
    Passwd {
        /// Its address
        address: String,
        /// Where the new password comes from
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Change how much an account may hold
    #[command(after_help = "Example:\n  pennypost account quota alice@example.com 20GB")]
    Quota {
        /// Its address
        address: String,
        /// Bytes, or with a unit: 500MB, 10GB, 10GiB
        #[arg(value_parser = parse_size)]
        size: u64,
    },
    /// Disable an account: no sign-in, no new mail
    #[command(after_help = "Example:\n  pennypost account disable alice@example.com")]
    Disable {
        /// Its address
        address: String,
    },
    /// Enable a disabled account
    #[command(after_help = "Example:\n  pennypost account enable alice@example.com")]
    Enable {
        /// Its address
        address: String,
    },
    /// Tokens: passwords for one program each
    #[command(subcommand)]
    Token(TokenCommand),
    /// What mail programs may do
    #[command(subcommand)]
    Clients(ClientsCommand),
}

/// Arguments of `account add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Its address
    #[arg(required_unless_present = "csv")]
    pub address: Option<String>,
    /// Where the password comes from
    #[command(flatten)]
    pub password: PasswordArgs,
    /// What it may hold: bytes, or with a unit: 500MB, 10GB, 10GiB [default: 10GB]
    #[arg(long, value_parser = parse_size, value_name = "BYTES")]
    pub quota: Option<u64>,
    /// Its owner's name
    #[arg(long, default_value = "")]
    pub name: String,
    /// Add all accounts of a CSV file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "password_stdin", "name"])]
    pub csv: Option<PathBuf>,
    /// With --csv: check every row, change nothing
    #[arg(long, requires = "csv")]
    pub dry_run: bool,
}

impl AccountCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        let text = &context.text;
        match self {
            AccountCommand::Add(arguments) => match (&arguments.csv, &arguments.address) {
                (Some(file), _) => csv_import::run(context, file, arguments.quota, arguments.dry_run).await,
                (None, Some(address)) => add(context, address, arguments).await,
                (None, None) => Err(AdminError::Said(say!(text, "error-address-needed"))),
            },
            AccountCommand::List { tenant, csv } => list(context, tenant.as_deref(), *csv).await,
            AccountCommand::Show { address } => show(context, &context.account(address).await?).await,
            AccountCommand::Passwd { address, password } => {
                let account = context.account(address).await?;
                let chosen = password.choose(context, address)?;
                context.directory.set_password(account.key, &chosen.password).await?;
                let shown = account.address.to_string();
                let generated = chosen.is_generated.then_some(chosen.password.as_str());
                report(context, &say!(text, "account-password-changed", address = shown), &account, generated)
            }
            AccountCommand::Quota { address, size } => {
                let account = context.account(address).await?;
                context.directory.set_quota(account.key, *size).await?;
                let account = Account { quota_bytes: *size, ..account };
                let shown = account.address.to_string();
                let sentence = say!(text, "account-quota-changed", address = shown, quota = size.to_string());
                report(context, &sentence, &account, None)
            }
            AccountCommand::Disable { address } => {
                let account = set_state(context, address, AccountState::Disabled).await?;
                let shown = account.address.to_string();
                report(context, &say!(text, "account-disabled", address = shown), &account, None)
            }
            AccountCommand::Enable { address } => {
                let account = set_state(context, address, AccountState::Active).await?;
                let shown = account.address.to_string();
                report(context, &say!(text, "account-enabled", address = shown), &account, None)
            }
            AccountCommand::Token(command) => command.run(context).await,
            AccountCommand::Clients(command) => command.run(context).await,
        }
    }
}

async fn add(context: &AdminContext<'_>, address: &str, arguments: &AddArgs) -> Result<(), AdminError> {
    // Nobody likes to think of a password for an address that cannot be had.
    let placeholder = "a password that is good enough";
    context.directory.check_new_account(address, placeholder, &arguments.name).await?;
    let chosen = arguments.password.choose(context, address)?;
    let account = add_and_open(context, address, &chosen.password, &arguments.name, arguments.quota).await?;
    let shown = account.address.to_string();
    let generated = chosen.is_generated.then_some(chosen.password.as_str());
    report(context, &say!(context.text, "account-added", address = shown), &account, generated)
}

/// Adds an account and opens its journal.
pub(crate) async fn add_and_open(
    context: &AdminContext<'_>,
    address: &str,
    password: &str,
    name: &str,
    quota: Option<u64>,
) -> Result<Account, AdminError> {
    let account = context.directory.add_account(address, password, name, quota).await?;
    (context.open_account)(account.key).await.map_err(|cause| {
        let address = account.address.to_string();
        AdminError::Said(say!(context.text, "error-open-account", address = address, cause = cause))
    })?;
    Ok(account)
}

async fn set_state(
    context: &AdminContext<'_>,
    address: &str,
    state: AccountState,
) -> Result<Account, AdminError> {
    let account = context.account(address).await?;
    context.directory.set_account_state(account.key, state).await?;
    Ok(Account { state, ..account })
}

/// Prints a sentence about an account, and the password that was made up for it.
pub(crate) fn report(
    context: &AdminContext<'_>,
    sentence: &str,
    account: &Account,
    generated: Option<&str>,
) -> Result<(), AdminError> {
    let mut document = document(account);
    if let Some(password) = generated {
        document["generated_password"] = json!(password);
    }
    context.print(sentence, &document)?;
    match generated {
        Some(password) if !context.json => {
            let address = account.address.to_string();
            context.line(&say!(
                context.text,
                "account-generated-password",
                address = address,
                password = password
            ))
        }
        _ => Ok(()),
    }
}

async fn show(context: &AdminContext<'_>, account: &Account) -> Result<(), AdminError> {
    if context.json {
        return context.line(&document(account).to_string());
    }
    let text = &context.text;
    let tenant = context.directory.tenant(account.key.tenant).await?;
    let rows = [
        (say!(text, "word-address"), account.address.to_string()),
        (say!(text, "word-name"), account.display_name.clone()),
        (say!(text, "word-tenant"), tenant.map(|tenant| tenant.name).unwrap_or_default()),
        (say!(text, "word-account"), account.key.to_string()),
        (say!(text, "word-state"), state_word(context, account.state)),
        (say!(text, "word-quota"), account.quota_bytes.to_string()),
        (say!(text, "word-created"), account.created.rfc3339()),
    ];
    rows.iter().try_for_each(|(word, value)| context.line(format!("{word}: {value}").trim_end()))
}

async fn list(context: &AdminContext<'_>, tenant: Option<&str>, csv: bool) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![
        say!(text, "word-address"),
        say!(text, "word-name"),
        say!(text, "word-state"),
        say!(text, "word-quota"),
        say!(text, "word-tenant"),
        say!(text, "word-created"),
    ];
    let mut table = Table::new(context, heads);
    if csv {
        csv_row(context, &["address", "name", "quota", "state", "tenant", "created"])?;
    }
    for tenant in context.tenant_or_all(tenant).await? {
        let mut page = Page::default();
        loop {
            let listed = context.directory.accounts(tenant.id, &page).await?;
            for account in &listed.items {
                let (address, quota) = (account.address.to_string(), account.quota_bytes.to_string());
                let created = account.created.rfc3339();
                if csv {
                    let state = state_name(account.state);
                    let name = account.display_name.as_str();
                    csv_row(context, &[&address, name, &quota, state, &tenant.name, &created])?;
                    continue;
                }
                let state = state_word(context, account.state);
                let name = account.display_name.clone();
                table.row(
                    vec![address, name, state, quota, tenant.name.clone(), created],
                    &document(account),
                )?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    if csv { Ok(()) } else { table.finish(&say!(text, "accounts-none")) }
}

fn csv_row(context: &AdminContext<'_>, fields: &[&str]) -> Result<(), AdminError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer.write_record(fields).map_err(std::io::Error::from);
    written?;
    let bytes = writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
    context.line(String::from_utf8_lossy(&bytes).trim_end_matches('\n'))
}

const fn state_name(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
    }
}

fn state_word(context: &AdminContext<'_>, state: AccountState) -> String {
    match state {
        AccountState::Active => say!(context.text, "word-active"),
        AccountState::Disabled => say!(context.text, "word-disabled"),
    }
}

/// An account for programs.
pub(crate) fn document(account: &Account) -> Value {
    json!({
        "address": account.address.to_string(),
        "name": account.display_name,
        "tenant": account.key.tenant.to_string(),
        "account": account.key.account.to_string(),
        "state": state_name(account.state),
        "quota_bytes": account.quota_bytes,
        "created": account.created.rfc3339(),
    })
}
