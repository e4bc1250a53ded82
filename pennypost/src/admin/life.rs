//! `pennypost account …`: what becomes of an account after it was added.

use clap::{Args, Subcommand};
use pennypost_admin::{Action, Call, NewBackup, TaskState};
use pennypost_directory::{Account, AccountKind, BinCause, DirectoryError, NewOwner, Page, Profile};
use pennypost_model::{TenantId, Timestamp};
use serde_json::json;

use crate::admin::account::{document, find_all, report};
use crate::admin::output::Table;
use crate::admin::password::PasswordArgs;
use crate::admin::{AdminContext, AdminError};
use crate::administration::message_of;
use crate::say;
use crate::text::Lang;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Subcommands of `account` about its life.
#[derive(Debug, Subcommand)]
pub enum LifeCommand {
    /// Suspend an account as the operator: the tenant cannot enable it
    #[command(after_help = "Example:\n  pennypost account suspend alice@example.com")]
    Suspend {
        /// Its address
        address: String,
    },
    /// Let a suspended account in again
    #[command(after_help = "Example:\n  pennypost account resume alice@example.com")]
    Resume {
        /// Its address
        address: String,
    },
    /// Say after how many days an account ends, or that it does not
    #[command(after_help = "Examples:\n  pennypost account expire alice@example.com --days 30\n  \
        pennypost account expire alice@example.com --never")]
    Expire {
        /// Its address
        address: String,
        /// Days from now
        #[arg(long, required_unless_present = "never", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
        /// It does not end
        #[arg(long, conflicts_with = "days")]
        never: bool,
    },
    /// Delete accounts: they lie in the recycle bin for 30 days
    #[command(after_help = "Example:\n  pennypost account delete alice@example.com bob@example.com")]
    Delete {
        /// Their addresses
        #[arg(required = true)]
        addresses: Vec<String>,
    },
    /// Take a mailbox from its owner: it lies in the recycle bin for 60 days and can be given to somebody else
    #[command(after_help = "Example:\n  pennypost account unbind alice@example.com")]
    Unbind {
        /// Its address
        address: String,
    },
    /// Take a deleted account, or a withdrawn business mailbox, out of the recycle bin
    #[command(after_help = "Example:\n  pennypost account restore alice@example.com")]
    Restore {
        /// Its address
        address: String,
    },
    /// Give an account in the recycle bin to another member: address and mail stay
    #[command(after_help = "Examples:\n  pennypost account assign alice@example.com --name Carol\n  \
        pennypost account assign alice@example.com --name Carol --department Sales --generate-password")]
    Assign(AssignArgs),
    /// Turn a member's account, or one that was unbound, into a business mailbox: no password opens it
    #[command(after_help = "Example:\n  pennypost account to-business sales@example.com --name Sales")]
    ToBusiness {
        /// Its address
        address: String,
        /// Its name
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Withdraw a business mailbox: it lies in the recycle bin for 60 days
    #[command(after_help = "Example:\n  pennypost account withdraw sales@example.com")]
    Withdraw {
        /// Its address
        address: String,
    },
    /// Copy the mail of an account in the recycle bin, or that is put there, into a folder of another account
    #[command(
        after_help = "Examples:\n  pennypost account back-up alice@example.com --into bob@example.com\n  \
        pennypost account back-up alice@example.com --into bob@example.com --delete"
    )]
    BackUp {
        /// Its address
        address: String,
        /// The address of the account that gets the mail
        #[arg(long)]
        into: String,
        /// Put it into the recycle bin before: an account that is in use is only backed up so
        #[arg(long)]
        delete: bool,
    },
    /// List the recycle bin, and what was erased after its time
    #[command(after_help = "Example:\n  pennypost account bin --tenant acme")]
    Bin {
        /// Only that of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Erase an account in the recycle bin with its mail, for good; with --expired all whose time is over
    #[command(after_help = "Examples:\n  pennypost account erase alice@example.com\n  \
        pennypost account erase --expired")]
    Erase {
        /// Its address
        #[arg(required_unless_present = "expired")]
        address: Option<String>,
        /// All whose time in the recycle bin is over
        #[arg(long, conflicts_with = "address")]
        expired: bool,
    },
}

/// Arguments of `account assign`.
#[derive(Debug, Args)]
pub struct AssignArgs {
    /// Its address
    pub address: String,
    /// Name of the new owner
    #[arg(long, default_value = "")]
    pub name: String,
    /// A department of the new owner, the main one first; may be given several times
    #[arg(long)]
    pub department: Vec<String>,
    /// Where the password comes from
    #[command(flatten)]
    pub password: PasswordArgs,
}

impl LifeCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        let (directory, text) = (&context.directory, &context.text);
        match self {
            LifeCommand::Suspend { address } => {
                let account = context.account(address).await?;
                let suspending = directory.set_suspended(account.key, true);
                let after = json!({ "suspended": true });
                context.recorded_of(&account, Action::AccountSuspend, after, suspending).await?;
                told(context, &say!(text, "account-suspended", address = address), &account).await
            }
            LifeCommand::Resume { address } => {
                let account = context.account(address).await?;
                let resuming = directory.set_suspended(account.key, false);
                let after = json!({ "suspended": false });
                context.recorded_of(&account, Action::AccountSuspend, after, resuming).await?;
                told(context, &say!(text, "account-resumed", address = address), &account).await
            }
            LifeCommand::Expire { address, days, .. } => {
                let account = context.account(address).await?;
                let expires =
                    days.map(|days| Timestamp(directory.now().0.saturating_add(i64::from(days) * DAY)));
                let setting = directory.set_expiry(account.key, expires);
                let after = json!({ "expires": expires.map(Timestamp::rfc3339) });
                context.recorded_of(&account, Action::AccountExpire, after, setting).await?;
                let sentence = match expires {
                    Some(expires) => {
                        say!(text, "account-expires", address = address, date = expires.rfc3339())
                    }
                    None => say!(text, "account-never-expires", address = address),
                };
                told(context, &sentence, &account).await
            }
            LifeCommand::Delete { addresses } => {
                for address in addresses {
                    bin(context, address, BinCause::Deleted).await?;
                }
                Ok(())
            }
            LifeCommand::Unbind { address } => bin(context, address, BinCause::Unbound).await,
            LifeCommand::Withdraw { address } => bin(context, address, BinCause::Withdrawn).await,
            LifeCommand::Restore { address } => {
                let account = context.account(address).await?;
                let restoring = directory.restore_account(account.key);
                context.recorded_of(&account, Action::AccountRestore, json!({}), restoring).await?;
                told(context, &say!(text, "account-restored", address = address), &account).await
            }
            LifeCommand::Assign(arguments) => assign(context, arguments).await,
            LifeCommand::ToBusiness { address, name } => {
                let account = context.account(address).await?;
                let converting = directory.convert_to_business(account.key, name);
                let after = json!({ "name": name });
                context.recorded_of(&account, Action::AccountConvert, after, converting).await?;
                told(context, &say!(text, "account-is-business", address = address), &account).await
            }
            LifeCommand::BackUp { address, into, delete } => back_up(context, address, into, *delete).await,
            LifeCommand::Bin { tenant } => list(context, tenant.as_deref()).await,
            LifeCommand::Erase { address: Some(address), .. } => {
                let account = context.account(address).await?;
                erase(context, &account).await
            }
            LifeCommand::Erase { address: None, .. } => erase_expired(context).await,
        }
    }
}

/// Says what was done, and what the account is now.
async fn told(context: &AdminContext<'_>, sentence: &str, account: &Account) -> Result<(), AdminError> {
    let now = context.directory.account(account.key).await?;
    report(context, sentence, now.as_ref().unwrap_or(account), None)
}

async fn bin(context: &AdminContext<'_>, address: &str, cause: BinCause) -> Result<(), AdminError> {
    let account = context.account(address).await?;
    let action = match cause {
        BinCause::Unbound => Action::AccountUnbind,
        BinCause::Deleted | BinCause::Withdrawn => Action::AccountDelete,
    };
    let binning = context.directory.bin_account(account.key, cause);
    let binned = context.recorded_of(&account, action, json!({ "days": cause.days() }), binning).await?;
    let until = binned.until.rfc3339();
    told(context, &say!(context.text, "account-binned", address = address, until = until), &account).await
}

async fn assign(context: &AdminContext<'_>, arguments: &AssignArgs) -> Result<(), AdminError> {
    let address = &arguments.address;
    let account = context.account(address).await?;
    let departments = find_all(context, account.key.tenant, &arguments.department).await?;
    let chosen = arguments.password.choose(context, address, &arguments.name).await?;
    let owner = NewOwner {
        display_name: &arguments.name,
        password: Some(&chosen.password),
        departments: &departments,
        profile: Profile::default(),
    };
    let after = json!({ "display_name": owner.display_name, "departments": departments });
    let assigning = context.directory.assign_account(account.key, &owner);
    context.recorded_of(&account, Action::AccountAssign, after, assigning).await?;
    let account = context.account(address).await?;
    let generated = chosen.is_generated.then_some(chosen.password.as_str());
    let sentence = say!(context.text, "account-assigned", address = address, name = &arguments.name);
    report(context, &sentence, &account, generated)
}

/// Orders the backup and does it, beside a server that may be doing it, too.
async fn back_up(
    context: &AdminContext<'_>,
    address: &str,
    into: &str,
    delete: bool,
) -> Result<(), AdminError> {
    let (text, it, operator) = (&context.text, &context.administration, Call::of_operator());
    let (account, target) = (context.account(address).await?, context.account(into).await?);
    if target.key.tenant != account.key.tenant {
        return Err(DirectoryError::OtherTenant(into.to_owned()).into());
    }
    let new = NewBackup { from: account.key, to: target.key.account, delete };
    let tenant = account.key.tenant;
    let ordered = it.order_backup(&operator, new, None).await.map_err(|error| message_of(error, text))?;
    let worked = it.work_on(tenant, ordered.id, Timestamp(i64::MAX)).await;
    worked.map_err(|error| message_of(error, text))?;
    let task = it.task(&operator, tenant, ordered.id).await.map_err(|error| message_of(error, text))?;
    if let Some(problem) = &task.problem {
        let [english, chinese] = problem.messages();
        return Err(AdminError::Said(if text.lang() == Lang::ZhCn { chinese } else { english }));
    }
    let (state, done, damaged) = (task.state.name(), task.done, task.counts.refused);
    let sentence = if task.state == TaskState::Done {
        let (done, damaged) = (done.to_string(), damaged.to_string());
        say!(text, "account-backed-up", address = address, into = into, messages = done, damaged = damaged)
    } else {
        say!(text, "account-backup-ordered", address = address, id = task.id.to_string())
    };
    let document = json!({
        "address": address, "into": into, "task": task.id.to_string(), "state": state, "messages": done,
        "damaged": damaged,
    });
    context.print(&sentence, &document)
}

async fn list(context: &AdminContext<'_>, tenant: Option<&str>) -> Result<(), AdminError> {
    let text = &context.text;
    let heads = vec![
        say!(text, "word-address"),
        say!(text, "word-name"),
        say!(text, "word-cause"),
        say!(text, "word-since"),
        say!(text, "word-until"),
        say!(text, "word-state"),
    ];
    let mut table = Table::new(context, heads);
    let now = context.directory.now();
    for tenant in context.tenant_or_all(tenant).await? {
        let mut page = Page::default();
        loop {
            let listed = context.directory.binned(tenant.id, &page).await?;
            for account in &listed.items {
                let Some(binned) = account.binned else { continue };
                let cause = cause_word(context, binned.cause);
                let is_over = binned.is_over(now);
                let state = if is_over { say!(text, "word-expired") } else { say!(text, "word-kept") };
                let (since, until) = (binned.since.rfc3339(), binned.until.rfc3339());
                let cells = vec![
                    account.address.to_string(),
                    account.display_name.clone(),
                    cause,
                    since,
                    until,
                    state,
                ];
                table.row(cells, &document(account))?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
        list_erased(context, &mut table, tenant.id).await?;
    }
    table.finish(&say!(text, "bin-empty"))
}

/// What the recycle bin tells of accounts that were erased.
async fn list_erased(
    context: &AdminContext<'_>,
    table: &mut Table<'_, '_>,
    tenant: TenantId,
) -> Result<(), AdminError> {
    let mut page = Page::default();
    loop {
        let listed = context.directory.erased(tenant, &page).await?;
        for row in listed.items {
            let (address, binned, erased) = (row.address.to_string(), row.binned, row.at.rfc3339());
            let document = json!({
                "address": address, "name": row.display_name, "account": row.account.to_string(),
                "state": "expired", "kind": kind_name(row.kind), "binned_until": binned.until.rfc3339(),
                "erased": erased,
            });
            let cells = vec![
                address,
                row.display_name,
                cause_word(context, binned.cause),
                binned.since.rfc3339(),
                binned.until.rfc3339(),
                say!(context.text, "word-expired"),
            ];
            table.row(cells, &document)?;
        }
        let Some(next) = listed.next else { return Ok(()) };
        page.after = Some(next);
    }
}

fn cause_word(context: &AdminContext<'_>, cause: BinCause) -> String {
    match cause {
        BinCause::Deleted => say!(context.text, "word-deleted"),
        BinCause::Unbound => say!(context.text, "word-unbound"),
        BinCause::Withdrawn => say!(context.text, "word-withdrawn"),
    }
}

async fn erase_expired(context: &AdminContext<'_>) -> Result<(), AdminError> {
    let now = context.directory.now();
    for tenant in context.tenant_or_all(None).await? {
        let waiting = context.administration.waiting_for_backup(tenant.id).await;
        let waiting = waiting.map_err(|error| message_of(error, &context.text))?;
        let mut page = Page::default();
        loop {
            let listed = context.directory.binned(tenant.id, &page).await?;
            let is_over = |account: &&Account| account.binned.is_some_and(|binned| binned.is_over(now));
            for account in listed.items.iter().filter(is_over) {
                if waiting.contains(&account.key.account) {
                    continue;
                }
                erase(context, account).await?;
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
    }
    Ok(())
}

/// Erases an account whose time is over: its mail first, so that what is left is still found if this is cut off.
async fn erase(context: &AdminContext<'_>, account: &Account) -> Result<(), AdminError> {
    let address = account.address.to_string();
    let erasing = async {
        context.directory.begin_erasing(account.key).await?;
        let emptied = (context.empty_account)(account.key).await;
        emptied.map_err(|cause| {
            AdminError::Said(say!(context.text, "error-empty-account", address = &address, cause = cause))
        })?;
        context.directory.erase_account(account.key).await.map_err(AdminError::from)
    };
    context.recorded_of(account, Action::AccountErase, json!({}), erasing).await?;
    let sentence = say!(context.text, "account-erased", address = &address);
    context.print(&sentence, &json!({"address": address, "erased": true}))
}

/// Whose an account is, for programs.
pub(crate) const fn kind_name(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Member => "member",
        AccountKind::Business => "business",
    }
}
