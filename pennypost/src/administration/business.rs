//! `pennypost business …`: business mailboxes and who uses them (BIZ-01, BIZ-02, BIZ-04).

use clap::{Args, Subcommand};
use pennypost_admin::NewBusinessMailbox;
use pennypost_directory::{Account, AccountKind, DepartmentTree, MailboxUsers, Page, Tenant};
use pennypost_model::{AccountKey, TenantId};
use pennypost_organisation::parse_size;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean, size};
use crate::text::Text;
use crate::{Failed, say};

/// Who is meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct UserArgs {
    /// The address of a member, as often as needed
    #[arg(long, value_name = "ADDRESS")]
    user: Vec<String>,
    /// A department with everybody in and below it, as often as needed; / is the organisation
    #[arg(long)]
    department: Vec<String>,
}

/// Subcommands of `business`.
#[derive(Debug, Subcommand)]
pub enum BusinessCommand {
    /// Add a business mailbox: for a function, not a person; no password opens it
    #[command(after_help = "Examples:
  pennypost business add sales@acme.example --name Sales --user ann@acme.example
  pennypost business add info@acme.example --department Support --quota 5GB
Aliases, disabling and withdrawing: as of every account, see “pennypost account --help”.")]
    Add {
        /// Its address
        address: String,
        /// Its name
        #[arg(long, default_value = "")]
        name: String,
        /// What it may hold: bytes, or with a unit: 500MB, 10GB, 10GiB [default: by the plan; 1GB without one]
        #[arg(long, value_parser = parse_size, value_name = "BYTES")]
        quota: Option<u64>,
        /// The address of a member who uses it, as often as needed
        #[arg(long, value_name = "ADDRESS")]
        user: Vec<String>,
        /// A department whose members use it, and those of departments below it, as often as needed
        #[arg(long)]
        department: Vec<String>,
    },
    /// List business mailboxes
    #[command(after_help = "Example:\n  pennypost business list --tenant acme")]
    List {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// List who uses a business mailbox
    #[command(after_help = "Example:\n  pennypost business users sales@acme.example")]
    Users {
        /// Its address
        address: String,
    },
    /// Let members use a business mailbox
    #[command(after_help = "Examples:
  pennypost business let-in sales@acme.example --user ann@acme.example --user bob@acme.example
  pennypost business let-in info@acme.example --department Sales/North")]
    LetIn {
        /// Its address
        address: String,
        /// Who
        #[command(flatten)]
        users: UserArgs,
    },
    /// Let members use a business mailbox no more, from now on and in open sessions, too
    #[command(
        after_help = "Example:\n  pennypost business let-out sales@acme.example --user ann@acme.example"
    )]
    LetOut {
        /// Its address
        address: String,
        /// Who
        #[command(flatten)]
        users: UserArgs,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &BusinessCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    match command {
        BusinessCommand::Add { address, name, quota, user, department } => {
            let domain = address.rsplit('@').next().unwrap_or_default();
            let found = office.directory.domain(domain).await?;
            let missing = || Failed::Said(say!(text, "error-no-domain", name = clean(domain)));
            let tenant = found.ok_or_else(missing)?.tenant;
            let users = named(office, tenant, user, department, text).await?;
            let new = NewBusinessMailbox {
                address: address.clone(),
                name: name.clone(),
                quota_bytes: *quota,
                users,
            };
            let added = administration.add_business_mailbox(&OPERATOR, tenant, &new).await;
            let mailbox = added.map_err(|error| refused(error, text))?;
            let address = mailbox.address.to_string();
            (office.open_account())(mailbox.key).await.map_err(|cause| {
                Failed::Said(say!(text, "error-open-account", address = &address, cause = cause))
            })?;
            let sentence =
                say!(text, "business-added", address = &address, count = new.users.len().to_string());
            Ok(output.result(&sentence, &document(&mailbox, &new.users))?)
        }
        BusinessCommand::List { tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?;
            list(office, &tenant, text, output).await
        }
        BusinessCommand::Users { address } => {
            let mailbox = mailbox(office, address, text).await?;
            let users = administration.mailbox_users(&OPERATOR, mailbox.key).await;
            let users = users.map_err(|error| refused(error, text))?;
            let mut rows = Vec::new();
            for account in &users.accounts {
                let found = office.directory.account(AccountKey { account: *account, ..mailbox.key }).await?;
                let (address, name) = found.map_or_else(
                    || (account.to_string(), String::new()),
                    |found| (found.address.to_string(), found.display_name),
                );
                let document = json!({ "account": account.to_string(), "address": address, "name": name });
                rows.push((vec![address, clean(&name)], document));
            }
            let tree = office.directory.departments(mailbox.key.tenant).await?;
            for id in &users.departments {
                let path = path_of(&tree, *id);
                let document = json!({ "department": id.0, "path": path });
                rows.push((vec![path.clone(), say!(text, "word-department")], document));
            }
            let heads = vec![say!(text, "word-address"), say!(text, "word-name")];
            Ok(output.table(heads, rows, &say!(text, "business-no-users"))?)
        }
        BusinessCommand::LetIn { address, users } => {
            let mailbox = mailbox(office, address, text).await?;
            let more = named(office, mailbox.key.tenant, &users.user, &users.department, text).await?;
            let changed = administration.add_mailbox_users(&OPERATOR, mailbox.key, &more).await;
            let users = changed.map_err(|error| refused(error, text))?;
            told(&mailbox, &users, text, output)
        }
        BusinessCommand::LetOut { address, users } => {
            let mailbox = mailbox(office, address, text).await?;
            let fewer = named(office, mailbox.key.tenant, &users.user, &users.department, text).await?;
            let changed = administration.remove_mailbox_users(&OPERATOR, mailbox.key, &fewer).await;
            let users = changed.map_err(|error| refused(error, text))?;
            told(&mailbox, &users, text, output)
        }
    }
}

/// Says how many use it now.
fn told(mailbox: &Account, users: &MailboxUsers, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let address = mailbox.address.to_string();
    let sentence = say!(text, "business-users", address = address, count = users.len().to_string());
    Ok(output.result(&sentence, &document(mailbox, users))?)
}

/// The business mailbox at an address.
async fn mailbox(office: &Office, address: &str, text: &Text) -> Result<Account, Failed> {
    let account = office.account(address, text).await?;
    if account.kind == AccountKind::Business {
        return Ok(account);
    }
    Err(Failed::Said(say!(text, "business-is-none", address = account.address.to_string())))
}

/// Members by their addresses, departments by their paths or numbers.
async fn named(
    office: &Office,
    tenant: TenantId,
    users: &[String],
    departments: &[String],
    text: &Text,
) -> Result<MailboxUsers, Failed> {
    let mut named = MailboxUsers::default();
    for address in users {
        let account = office.account(address, text).await?;
        if account.key.tenant != tenant {
            return Err(Failed::Said(say!(text, "error-no-account", name = clean(address))));
        }
        named.accounts.insert(account.key.account);
    }
    let tree = office.directory.departments(tenant).await?;
    for path in departments {
        let missing = || Failed::Said(say!(text, "error-no-department", name = clean(path)));
        named.departments.insert(tree.find(path).ok_or_else(missing)?);
    }
    Ok(named)
}

async fn list(office: &Office, tenant: &Tenant, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    let administration = office.administration();
    let capacities = tenant.capacities(office.directory.now());
    let held = |mailbox: &Account| match mailbox.capacity(capacities) {
        u64::MAX => say!(text, "word-unlimited"),
        bytes => size(bytes),
    };
    let mut rows = Vec::new();
    let mut page = Page::default();
    loop {
        let listed = administration.accounts(&OPERATOR, tenant.id, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        for mailbox in listed.items.iter().filter(|account| account.kind == AccountKind::Business) {
            let users = administration.mailbox_users(&OPERATOR, mailbox.key).await;
            let users = users.map_err(|error| refused(error, text))?;
            let cells = vec![
                mailbox.address.to_string(),
                clean(&mailbox.display_name),
                users.len().to_string(),
                held(mailbox),
            ];
            rows.push((cells, document(mailbox, &users)));
        }
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let heads = vec![
        say!(text, "word-address"),
        say!(text, "word-name"),
        say!(text, "word-users"),
        say!(text, "word-quota"),
    ];
    Ok(output.table(heads, rows, &say!(text, "business-none"))?)
}

fn path_of(tree: &DepartmentTree, id: pennypost_directory::DepartmentId) -> String {
    format!("/{}", tree.path(id).join("/"))
}

/// A business mailbox for programs.
fn document(mailbox: &Account, users: &MailboxUsers) -> Value {
    let accounts: Vec<String> = users.accounts.iter().map(ToString::to_string).collect();
    json!({
        "account": mailbox.key.account.to_string(),
        "address": mailbox.address.to_string(),
        "name": mailbox.display_name,
        "quota_bytes": mailbox.quota_bytes,
        "in_recycle_bin": mailbox.binned.is_some(),
        "users": { "accounts": accounts, "departments": users.departments },
    })
}
