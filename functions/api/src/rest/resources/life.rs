//! The life of accounts: ended by a date, suspended, in the recycle bin, given to others, erased.

use pennypost_admin::{Action, Assignment, DepartmentId};
use pennypost_directory::BinCause;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::accounts::{Account, show as show_account, shown};
use super::page_of;
use super::tasks::{Task, accepted};
use crate::rest::ask::{id_in, rows, time};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// Why an account is in the recycle bin.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cause {
    /// It was deleted: kept for 30 days.
    Deleted,
    /// It was taken from its owner: kept for 60 days.
    Unbound,
    /// A business mailbox was withdrawn: kept for 60 days.
    Withdrawn,
}

/// An account in the recycle bin.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Binned {
    /// The account.
    account: Account,
    /// Why it is there.
    cause: Cause,
    /// Since when.
    since: String,
    /// From then on it is erased.
    until: String,
    /// Its time is over: nothing leads back.
    expired: bool,
}

page_of!(RecycleBin, Binned);

/// An account that was erased.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Erased {
    /// 16 hex digits: no account has that number any more.
    id: String,
    /// Its address, which may be somebody else's by now.
    address: String,
    /// The name of its owner.
    display_name: String,
    /// Why it was in the recycle bin.
    cause: Cause,
    /// Since when.
    since: String,
    /// When its time was over.
    until: String,
    /// When it was erased.
    erased: String,
}

page_of!(ErasedAccounts, Erased);

/// Into which account mail is copied.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBackup {
    /// 16 hex digits: an account of the same tenant.
    to: String,
    /// Put the account into the recycle bin before, unless it is there: an account that is in use is only backed up so.
    #[serde(default)]
    delete: bool,
}

/// From when on an account cannot be used.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expiry {
    /// RFC 3339, in UTC; null: never.
    expires: Option<String>,
}

/// Suspended by the operator?
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suspension {
    /// Yes or no.
    suspended: bool,
}

/// By which password a member comes in again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RecoveryPassword")]
pub(crate) struct Recovery {
    /// To be handed to the member, who changes it at the first sign-in. It is never told again.
    password: String,
}

/// To whom an account is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewOwner {
    /// The name of the new owner.
    #[serde(default)]
    display_name: String,
    /// A password; without one nobody can sign in until one is set.
    password: Option<String>,
    /// The numbers of the new owner's departments, the main one first.
    #[serde(default)]
    departments: Vec<u32>,
}

/// The business mailbox that an account becomes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversion {
    /// Its name.
    #[serde(default)]
    name: String,
}

const fn cause_of(cause: BinCause) -> Cause {
    match cause {
        BinCause::Deleted => Cause::Deleted,
        BinCause::Unbound => Cause::Unbound,
        BinCause::Withdrawn => Cause::Withdrawn,
    }
}

fn show_erased(row: pennypost_directory::Erased) -> Erased {
    Erased {
        id: row.account.to_string(),
        address: row.address.to_string(),
        display_name: row.display_name,
        cause: cause_of(row.binned.cause),
        since: row.binned.since.rfc3339(),
        until: row.binned.until.rfc3339(),
        erased: row.at.rfc3339(),
    }
}

fn show(
    account: pennypost_directory::Account,
    plan: Option<pennypost_directory::Capacities>,
    now: pennypost_model::Timestamp,
) -> Option<Binned> {
    let binned = account.binned?;
    Some(Binned {
        account: show_account(account, plan),
        cause: cause_of(binned.cause),
        since: binned.since.rfc3339(),
        until: binned.until.rfc3339(),
        expired: binned.is_over(now),
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/expiry", "expire-account"),
        Action::AccountExpire,
        "Say from when on an account cannot be used",
        Good::told(shape::<Account>),
        |ask| {
            Box::pin(async move {
                let Expiry { expires } = ask.body()?;
                let expires = time(expires.as_ref(), "/expires")?;
                let account = ask.administration.expire_account(&ask.call, ask.account()?, expires).await?;
                Ok(Reply::document(&shown(ask, account).await?))
            })
        },
    )
    .with(shape::<Expiry>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/suspension", "suspend-account"),
        Action::AccountSuspend,
        "As the operator: suspend an account or let it in again",
        Good::told(shape::<Account>),
        |ask| {
            Box::pin(async move {
                let Suspension { suspended } = ask.body()?;
                let account =
                    ask.administration.suspend_account(&ask.call, ask.account()?, suspended).await?;
                Ok(Reply::document(&shown(ask, account).await?))
            })
        },
    )
    .with(shape::<Suspension>),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/accounts/{account}", "delete-account"),
        Action::AccountDelete,
        "Delete an account: it lies in the recycle bin for 30 days",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let cause = BinCause::Deleted;
                ask.administration.delete_account(&ask.call, ask.account()?, cause).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/unbind", "unbind-account"),
        Action::AccountUnbind,
        "Take an account from its owner: it lies in the recycle bin for 60 days and can be given to another",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let cause = BinCause::Unbound;
                ask.administration.delete_account(&ask.call, ask.account()?, cause).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Delete, "/tenants/{tenant}/accounts/{account}/membership", "leave"),
        Action::AccountLeave,
        "Leave: the own account lies in the recycle bin for 30 days, and only an administrator brings it back",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.leave(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/recovery", "recover-account"),
        Action::AccountRecover,
        "Let a member in again who has lost password and second factor: by a password that is to be changed at once",
        Good::told(shape::<Recovery>),
        |ask| {
            Box::pin(async move {
                let password = ask.administration.recover_account(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&Recovery { password }))
            })
        },
    ),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/withdrawal", "withdraw-account"),
        Action::AccountDelete,
        "Withdraw a business mailbox: nobody uses it, and it lies in the recycle bin for 60 days",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                let cause = BinCause::Withdrawn;
                ask.administration.delete_account(&ask.call, ask.account()?, cause).await?;
                Ok(Reply::nothing())
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/recycle-bin", "list-recycle-bin"),
        Action::AccountRead,
        "List the recycle bin",
        Good::list(shape::<RecycleBin>),
        |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = ask.administration.recycle_bin(&ask.call, tenant, &page).await?;
                let now = ask.directory().now();
                let capacities = ask.administration.capacities(tenant).await?;
                Ok(Reply::document(&rows(listed, |account| show(account, capacities, now))))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/erased-accounts", "list-erased-accounts"),
        Action::AccountErasedRead,
        "List accounts whose time in the recycle bin was over and that were erased, the last ones first, for 180 days",
        Good::list(shape::<ErasedAccounts>),
        |ask| {
            Box::pin(async move {
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = ask.administration.erased_accounts(&ask.call, tenant, &page).await?;
                Ok(Reply::document(&rows(listed, show_erased)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/backup", "back-up-account"),
        Action::AccountBackup,
        "Copy the mail of an account in the recycle bin, or that is put there, into a folder of another account, as a task",
        Good::accepted(shape::<Task>),
        |ask| {
            Box::pin(async move {
                let NewBackup { to, delete } = ask.body()?;
                let to = id_in(&to, "/to")?;
                let new = pennypost_admin::NewBackup { from: ask.account()?, to, delete };
                accepted(ask, ask.administration.order_backup(&ask.call, new, ask.once).await?)
            })
        },
    )
    .with(shape::<NewBackup>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/restore", "restore-account"),
        Action::AccountRestore,
        "Take a deleted account or a withdrawn business mailbox out of the recycle bin as it was",
        Good::told(shape::<Account>),
        |ask| {
            Box::pin(async move {
                let account = ask.administration.restore_account(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&shown(ask, account).await?))
            })
        },
    )
    .refusing(&[Kind::PlanLimit]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/assign", "assign-account"),
        Action::AccountAssign,
        "Give an account in the recycle bin to another member: address and mail stay",
        Good::told(shape::<Account>),
        |ask| {
            Box::pin(async move {
                let NewOwner { display_name, password, departments } = ask.body()?;
                let to = Assignment {
                    display_name,
                    password,
                    departments: departments.into_iter().map(DepartmentId).collect(),
                    profile: pennypost_directory::Profile::default(),
                };
                let account = ask.administration.assign_account(&ask.call, ask.account()?, &to).await?;
                Ok(Reply::document(&shown(ask, account).await?))
            })
        },
    )
    .with(shape::<NewOwner>)
    .refusing(&[Kind::Unknown, Kind::Invalid, Kind::PlanLimit]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/conversion", "convert-account"),
        Action::AccountConvert,
        "Turn a member's account, or one that was unbound, into a business mailbox: no password opens it",
        Good::told(shape::<Account>),
        |ask| {
            Box::pin(async move {
                let Conversion { name } = ask.body()?;
                let account = ask.administration.convert_account(&ask.call, ask.account()?, &name).await?;
                Ok(Reply::document(&shown(ask, account).await?))
            })
        },
    )
    .with(shape::<Conversion>)
    .refusing(&[Kind::Invalid, Kind::PlanLimit]),
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/erase", "erase-account"),
        Action::AccountErase,
        "End the time of an account in the recycle bin: housekeeping erases its mail and then the account",
        Good::NOTHING,
        |ask| {
            Box::pin(async move {
                ask.administration.erase_account(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    ),
];
