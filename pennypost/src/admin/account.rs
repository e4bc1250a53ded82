//! `pennypost account …`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use pennypost_admin::Action;
use pennypost_directory::{
    Account, AccountState, Capacities, DepartmentId, NewAccount, Page, Profile, ProfileField,
};
use pennypost_model::TenantId;
use pennypost_organisation::parse_size;
use serde_json::{Map, Value, json};

use crate::admin::clients::ClientsCommand;
use crate::admin::csv_import;
use crate::admin::department::{People, find, paths};
use crate::admin::life::{LifeCommand, kind_name};
use crate::admin::limits::LimitCommand;
use crate::admin::output::Table;
use crate::admin::password::PasswordArgs;
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
        /// Its owner has to set another one at the next sign-in in a browser
        #[arg(long)]
        must_change: bool,
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
    /// Change what the directory says of an account's owner
    #[command(
        after_help = "Examples:\n  pennypost account edit alice@example.com --name Alice --title Director\n  \
        pennypost account edit alice@example.com --department Research --department Sales\n  \
        pennypost account edit alice@example.com --phone \"\"\n\n\
        The first --department is the main one; / is the organisation itself. What is given empty is emptied."
    )]
    Edit {
        /// Its address
        address: String,
        /// What to say
        #[command(flatten)]
        person: PersonArgs,
    },
    /// Put accounts into departments and no others
    #[command(
        after_help = "Examples:\n  pennypost account move alice@example.com bob@example.com --to Research\n  \
        pennypost account move bob@example.com --to Sales --to Research/Compilers"
    )]
    Move {
        /// Their addresses
        #[arg(required = true)]
        addresses: Vec<String>,
        /// The department, the main one first; / is the organisation itself
        #[arg(long, required = true, value_name = "DEPARTMENT")]
        to: Vec<String>,
    },
    /// Find accounts by name, pinyin, initials or the beginning of the address
    #[command(
        after_help = "Examples:\n  pennypost account find wxm\n  pennypost account find 王小明 --tenant acme"
    )]
    Find {
        /// What to look for
        text: String,
        /// Which tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(1..=100))]
        limit: u8,
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
    #[expect(missing_docs, reason = "a flattened variant has no text of its own")]
    #[command(flatten)]
    Life(LifeCommand),
    #[expect(missing_docs, reason = "a flattened variant has no text of its own")]
    #[command(flatten)]
    Limits(LimitCommand),
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
    /// A department that its owner is in, the main one first; may be given several times
    #[arg(long)]
    pub department: Vec<String>,
    /// Position in the organisation
    #[arg(long)]
    pub title: Option<String>,
    /// Add all accounts of a CSV file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "password_stdin", "name"])]
    pub csv: Option<PathBuf>,
    /// With --csv: check every row, change nothing
    #[arg(long, requires = "csv")]
    pub dry_run: bool,
}

/// What the directory says of a person.
#[derive(Debug, Default, Args)]
#[group(required = true, multiple = true)]
pub struct PersonArgs {
    /// Name
    #[arg(long)]
    pub name: Option<String>,
    /// A department, the main one first; may be given several times
    #[arg(long)]
    pub department: Vec<String>,
    /// Position in the organisation
    #[arg(long)]
    pub title: Option<String>,
    /// Landline number
    #[arg(long)]
    pub phone: Option<String>,
    /// Mobile number
    #[arg(long)]
    pub mobile: Option<String>,
    /// Number that the organisation has given, such as an employee number
    #[arg(long)]
    pub number: Option<String>,
    /// A note of the administrators
    #[arg(long)]
    pub note: Option<String>,
}

impl PersonArgs {
    fn fields(&self) -> impl Iterator<Item = (ProfileField, &str)> {
        let texts = [&self.title, &self.phone, &self.mobile, &self.number, &self.note];
        ProfileField::ALL.into_iter().zip(texts).filter_map(|(field, text)| Some((field, text.as_deref()?)))
    }
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
            AccountCommand::Passwd { address, password, must_change } => {
                let account = context.account(address).await?;
                let chosen = password.choose(context, address, &account.display_name).await?;
                let giving = context.directory.give_password(account.key, &chosen.password, *must_change);
                let after = json!({ "must_change": must_change });
                context.recorded_of(&account, Action::AccountPassword, after, giving).await?;
                let shown = account.address.to_string();
                let generated = chosen.is_generated.then_some(chosen.password.as_str());
                report(context, &say!(text, "account-password-changed", address = shown), &account, generated)
            }
            AccountCommand::Quota { address, size } => {
                let account = context.account(address).await?;
                let setting = context.directory.set_quota(account.key, *size);
                let after = json!({ "quota_bytes": size });
                context.recorded_of(&account, Action::AccountChange, after, setting).await?;
                let account = Account { quota_bytes: Some(*size), ..account };
                let shown = account.address.to_string();
                let sentence = say!(text, "account-quota-changed", address = shown, quota = size.to_string());
                report(context, &sentence, &account, None)
            }
            AccountCommand::Edit { address, person } => edit(context, address, person).await,
            AccountCommand::Move { addresses, to } => put_into(context, addresses, to).await,
            AccountCommand::Find { text, tenant, limit } => {
                let tenant = context.tenant_or_only(tenant.as_deref()).await?;
                let tree = context.directory.departments(tenant.id).await?;
                let mut people = People::new(context, &tree, false)?;
                let found = context.directory.find_people(tenant.id, text, usize::from(*limit)).await?;
                found.iter().try_for_each(|person| people.row(person))?;
                people.finish()
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
            // On the heap: it is large.
            AccountCommand::Life(command) => Box::pin(command.run(context)).await,
            AccountCommand::Limits(command) => command.run(context).await,
            AccountCommand::Token(command) => command.run(context).await,
            AccountCommand::Clients(command) => command.run(context).await,
        }
    }
}

async fn add(context: &AdminContext<'_>, address: &str, arguments: &AddArgs) -> Result<(), AdminError> {
    // Nobody likes to think of a password for an address that cannot be had.
    context.directory.check_new_account(address, None, &arguments.name).await?;
    let chosen = arguments.password.choose(context, address, &arguments.name).await?;
    let mut profile = Profile::default();
    if let Some(title) = &arguments.title {
        profile.set(ProfileField::Title, title)?;
    }
    let departments = match arguments.department.as_slice() {
        [] => Vec::new(),
        named => {
            let domain = context.domain(address.rsplit('@').next().unwrap_or_default()).await?;
            find_all(context, domain.tenant, named).await?
        }
    };
    let new = NewAccount {
        address,
        password: Some(&chosen.password),
        display_name: &arguments.name,
        quota_bytes: arguments.quota,
        departments: &departments,
        profile,
        ..NewAccount::default()
    };
    let account = add_and_open(context, &new).await?;
    let shown = account.address.to_string();
    let generated = chosen.is_generated.then_some(chosen.password.as_str());
    report(context, &say!(context.text, "account-added", address = shown), &account, generated)
}

/// Adds an account and opens its journal.
pub(crate) async fn add_and_open(
    context: &AdminContext<'_>,
    new: &NewAccount<'_>,
) -> Result<Account, AdminError> {
    let after = json!({
        "display_name": new.display_name, "quota_bytes": new.quota_bytes, "departments": new.departments,
    });
    // On the heap: it is large.
    let adding = Box::pin(context.directory.add_account_with(new));
    let account = context.recorded_at(new.address, Action::AccountAdd, after, adding).await?;
    (context.open_account)(account.key).await.map_err(|cause| {
        let address = account.address.to_string();
        AdminError::Said(say!(context.text, "error-open-account", address = address, cause = cause))
    })?;
    Ok(account)
}

/// The departments of those paths or numbers.
pub(crate) async fn find_all(
    context: &AdminContext<'_>,
    tenant: TenantId,
    named: &[String],
) -> Result<Vec<DepartmentId>, AdminError> {
    let tree = context.directory.departments(tenant).await?;
    named.iter().map(|path| find(context, &tree, path)).collect()
}

async fn edit(context: &AdminContext<'_>, address: &str, person: &PersonArgs) -> Result<(), AdminError> {
    let account = context.account(address).await?;
    let directory = &context.directory;
    // All that can be wrong is looked at before anything is changed.
    let departments = find_all(context, account.key.tenant, &person.department).await?;
    let mut profile = account.profile.clone();
    person.fields().try_for_each(|(field, text)| profile.set(field, text))?;
    let changing = async {
        if let Some(name) = &person.name {
            directory.set_display_name(account.key, name).await?;
        }
        if !departments.is_empty() {
            directory.set_departments(account.key, &departments).await?;
        }
        // A business mailbox has no profile: one that is told nothing of it is not asked to change it.
        if person.fields().next().is_none() {
            return Ok(());
        }
        let change =
            |profile: &mut Profile| person.fields().try_for_each(|(field, text)| profile.set(field, text));
        directory.change_profile(account.key, change).await
    };
    let fields: Map<String, Value> =
        person.fields().map(|(field, text)| (field.name().to_owned(), text.into())).collect();
    let after = json!({ "display_name": person.name, "departments": departments, "profile": fields });
    context.recorded_of(&account, Action::PersonChange, after, changing).await?;
    let account = context.account(address).await?;
    let shown = account.address.to_string();
    report(context, &say!(context.text, "account-edited", address = shown), &account, None)
}

async fn put_into(context: &AdminContext<'_>, addresses: &[String], to: &[String]) -> Result<(), AdminError> {
    for address in addresses {
        let account = context.account(address).await?;
        let departments = find_all(context, account.key.tenant, to).await?;
        let after = json!({ "departments": departments });
        let setting = context.directory.set_departments(account.key, &departments);
        context.recorded_of(&account, Action::PersonChange, after, setting).await?;
        let account = context.account(address).await?;
        let shown = account.address.to_string();
        let sentence = say!(context.text, "account-moved", address = shown, departments = to.join(", "));
        report(context, &sentence, &account, None)?;
    }
    Ok(())
}

async fn set_state(
    context: &AdminContext<'_>,
    address: &str,
    state: AccountState,
) -> Result<Account, AdminError> {
    let account = context.account(address).await?;
    let after = json!({ "state": if state == AccountState::Active { "active" } else { "disabled" } });
    let setting = context.directory.set_account_state(account.key, state);
    context.recorded_of(&account, Action::AccountChange, after, setting).await?;
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
    let tenant = context.directory.tenant(account.key.tenant).await?;
    let capacities = tenant.as_ref().and_then(|tenant| tenant.capacities(context.directory.now()));
    if context.json {
        return context.line(&whole_document(account, capacities).to_string());
    }
    let text = &context.text;
    let tree = context.directory.departments(account.key.tenant).await?;
    let aliases = context.directory.aliases_of(account.key).await?;
    let aliases: Vec<String> = aliases.iter().map(ToString::to_string).collect();
    let profile = &account.profile;
    let capacity = account.capacity(capacities);
    let name = tenant.map(|tenant| tenant.name).unwrap_or_default();
    let vip = if account.is_vip { say!(text, "word-yes") } else { say!(text, "word-no") };
    let rows = [
        (say!(text, "word-address"), account.address.to_string()),
        (say!(text, "word-name"), account.display_name.clone()),
        (say!(text, "word-tenant"), name),
        (say!(text, "word-account"), account.key.to_string()),
        (say!(text, "word-state"), state_word(context, account)),
        (say!(text, "word-quota"), quota_word(context, capacity)),
        (say!(text, "word-vip"), vip),
        (say!(text, "word-created"), account.created.rfc3339()),
        (say!(text, "word-departments"), paths(&tree, &account.departments).join("; ")),
        (say!(text, "word-aliases"), aliases.join("; ")),
        (
            say!(text, "word-expires"),
            account.expires.map(pennypost_model::Timestamp::rfc3339).unwrap_or_default(),
        ),
        (say!(text, "word-title"), profile.title.clone()),
        (say!(text, "word-phone"), profile.phone.clone()),
        (say!(text, "word-mobile"), profile.mobile.clone()),
        (say!(text, "word-staff-number"), profile.number.clone()),
        (say!(text, "word-note"), profile.note.clone()),
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
        context.csv_row(&["address", "name", "quota", "state", "tenant", "created"])?;
    }
    for tenant in context.tenant_or_all(tenant).await? {
        let capacities = tenant.capacities(context.directory.now());
        let mut page = Page::default();
        loop {
            let listed = context.directory.accounts(tenant.id, &page).await?;
            for account in &listed.items {
                let address = account.address.to_string();
                let created = account.created.rfc3339();
                if csv {
                    let state = state_name(account);
                    let name = account.display_name.as_str();
                    let quota = said(account.quota_bytes);
                    context.csv_row(&[&address, name, &quota, state, &tenant.name, &created])?;
                    continue;
                }
                let state = state_word(context, account);
                let name = account.display_name.clone();
                let quota = quota_word(context, account.capacity(capacities));
                table.row(
                    vec![address, name, state, quota, tenant.name.clone(), created],
                    &whole_document(account, capacities),
                )?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    if csv { Ok(()) } else { table.finish(&say!(text, "accounts-none")) }
}

/// A number that somebody has said; nothing if nobody has.
fn said(number: Option<u64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// Bytes that an account may hold.
fn quota_word(context: &AdminContext<'_>, capacity: u64) -> String {
    if capacity == u64::MAX { say!(context.text, "word-unlimited") } else { capacity.to_string() }
}

/// What is said of an account's state first: what nobody of the tenant can change comes before the rest.
const fn state_name(account: &Account) -> &'static str {
    match account.state {
        _ if account.binned.is_some() => "deleted",
        _ if account.suspended => "suspended",
        AccountState::Active => "active",
        AccountState::Disabled => "disabled",
    }
}

fn state_word(context: &AdminContext<'_>, account: &Account) -> String {
    match account.state {
        _ if account.binned.is_some() => say!(context.text, "word-deleted"),
        _ if account.suspended => say!(context.text, "word-suspended"),
        AccountState::Active => say!(context.text, "word-active"),
        AccountState::Disabled => say!(context.text, "word-disabled"),
    }
}

/// An account for programs, with what it holds by its tenant's plan; null: any number of bytes.
fn whole_document(account: &Account, plan: Option<Capacities>) -> Value {
    let capacity = account.capacity(plan);
    let mut whole = document(account);
    whole["capacity_bytes"] = (capacity < u64::MAX).then_some(capacity).into();
    whole
}

/// An account for programs.
pub(crate) fn document(account: &Account) -> Value {
    json!({
        "address": account.address.to_string(),
        "name": account.display_name,
        "tenant": account.key.tenant.to_string(),
        "account": account.key.account.to_string(),
        "state": state_name(account),
        "kind": kind_name(account.kind),
        "expires": account.expires.map(pennypost_model::Timestamp::rfc3339),
        "binned_until": account.binned.map(|binned| binned.until.rfc3339()),
        "quota_bytes": account.quota_bytes,
        "vip": account.is_vip,
        "created": account.created.rfc3339(),
        "departments": account.departments.iter().map(|department| department.0).collect::<Vec<_>>(),
        "title": account.profile.title,
        "phone": account.profile.phone,
        "mobile": account.profile.mobile,
        "number": account.profile.number,
        "note": account.profile.note,
    })
}
