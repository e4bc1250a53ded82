//! The record of sign-ins, its statistics, and accounts that are locked.

use pennypost_admin::{Absent, AccountLock, Action, AdminError, DayOfSignIns, Invalid, Period, sign_ins_csv};
use pennypost_directory::{Listed, Outcomes, SignInKind, SignInQuery};
use pennypost_model::{AccountId, AccountKey, EventId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, cursor_of, id_in, rows};
use crate::rest::operation::{Answering, Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::bad_parameter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A record: one sign-in, or repetitions of it. Counts of all records add up.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SignIn {
    /// When; of repetitions the first.
    first: String,
    /// Of repetitions the last.
    last: String,
    /// How many.
    count: u32,
    /// The address that was said.
    login: String,
    /// The account, if it was one.
    account: Option<String>,
    /// From where.
    address: String,
    /// `imap`, `pop3`, `smtp`, `web`, `api`, `sso`.
    kind: &'static str,
    /// How: SASL mechanism or the like.
    mechanism: String,
    /// What the program called itself.
    program: Option<String>,
    /// The token that was shown; null: the password, or a ticket (`sso`).
    token: Option<String>,
    /// `ok`, or why not: `wrong-password`, `unknown-account`, `not-active`, `wrong-token`, `closed`, `slowed`, `locked`,
    /// `elsewhere`, `expired`, `unavailable`, `code-needed` (the password was right, and that was all), `wrong-code`, `wrong-passkey`; of locks
    /// `lock-began`, `unlocked`.
    outcome: &'static str,
}

page_of!(SignIns, SignIn);

/// What happened on a day.
#[derive(Serialize, JsonSchema)]
pub(crate) struct SignInDay {
    /// The day, in UTC: 2026-11-20.
    day: String,
    /// Accounts that signed in.
    accounts: usize,
    /// Sign-ins by IMAP.
    imap: u64,
    /// Sign-ins by POP3.
    pop3: u64,
    /// Sign-ins of programs that send.
    smtp: u64,
    /// Sign-ins in a browser.
    web: u64,
    /// Sign-ins of programs by the API.
    api: u64,
    /// Sign-ins by single sign-on.
    sso: u64,
    /// Attempts that failed; those that only lacked a code are not among them.
    failed: u64,
    /// Accounts that were locked.
    locked: u64,
}

page_of!(SignInDays, SignInDay);

/// An account that was not signed in to.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AbsentAccount {
    /// Its id.
    account: String,
    /// Its address.
    address: String,
    /// Name of its owner.
    display_name: String,
    /// The last day on which it was signed in to, in UTC; null: never.
    last: Option<String>,
}

page_of!(AbsentAccounts, AbsentAccount);

/// That an account is locked.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AccountLock")]
pub(crate) struct Lock {
    /// Its id.
    account: String,
    /// Its address.
    address: String,
    /// For whom: `strangers` is everybody at networks from which the account was not opened within 30 days; else such a
    /// network. With `code/` before it: codes of the second factor are locked for them.
    place: String,
    /// Since when.
    since: String,
    /// Until when; null: until it is unlocked.
    until: Option<String>,
    /// From where the last wrong password came.
    from: String,
    /// Wrong passwords, or codes, that locked it.
    wrong: u32,
}

page_of!(Locks, Lock);

/// Accounts to be unlocked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AccountsToUnlock")]
pub(crate) struct ToUnlock {
    /// Their ids: 100 at most.
    accounts: Vec<String>,
}

/// Accounts that are unlocked at once.
const MOST_AT_ONCE: usize = 100;

fn show(record: pennypost_directory::SignInRecord) -> SignIn {
    SignIn {
        first: record.first.rfc3339(),
        last: record.last.rfc3339(),
        count: record.count,
        login: record.login,
        account: record.account.map(|account| account.to_string()),
        address: record.client.to_string(),
        kind: record.kind.name(),
        mechanism: record.mechanism,
        program: record.program,
        token: record.token.map(|token| token.to_string()),
        outcome: record.outcome.name(),
    }
}

pub(super) fn day_name(day: Timestamp) -> String {
    day.rfc3339().chars().take(10).collect()
}

fn show_day(day: &DayOfSignIns) -> SignInDay {
    let of = |kind| day.signed_in.get(&kind).copied().unwrap_or(0);
    SignInDay {
        day: day_name(day.day),
        accounts: day.accounts,
        imap: of(SignInKind::Imap),
        pop3: of(SignInKind::Pop3),
        smtp: of(SignInKind::Smtp),
        web: of(SignInKind::Web),
        api: of(SignInKind::Api),
        sso: of(SignInKind::Sso),
        failed: day.failed,
        locked: day.locked,
    }
}

fn days_csv(days: &[SignInDay]) -> String {
    let mut text = String::from("day,accounts,imap,pop3,smtp,web,api,sso,failed,locked\r\n");
    for day in days {
        let counts = [day.imap, day.pop3, day.smtp, day.web, day.api, day.sso, day.failed, day.locked];
        let counts = counts.map(|count| count.to_string()).join(",");
        text.push_str(&format!("{},{},{counts}\r\n", day.day, day.accounts));
    }
    text
}

fn show_absent(absent: Absent) -> AbsentAccount {
    AbsentAccount {
        account: absent.account.key.account.to_string(),
        address: absent.account.address.to_string(),
        display_name: absent.account.display_name,
        last: absent.last.map(day_name),
    }
}

fn show_lock(locked: AccountLock) -> Lock {
    let AccountLock { address, lock } = locked;
    Lock {
        account: lock.account.to_string(),
        address,
        place: lock.place,
        since: lock.since.rfc3339(),
        until: lock.until.map(Timestamp::rfc3339),
        from: lock.client.to_string(),
        wrong: lock.wrong,
    }
}

pub(super) const FROM: Query =
    Query { name: "from", about: "The first day, in UTC: 2026-11-20.", is_number: false };
pub(super) const TO: Query = Query { name: "to", about: "The last day, in UTC.", is_number: false };
const KIND: Query = Query {
    name: "kind",
    about: "`web`, `client` (imap, pop3, smtp), `api`, `sso`, or one of the three; `lock`: records of locks.",
    is_number: false,
};
const RESULT: Query = Query { name: "result", about: "`ok` or `failed`.", is_number: false };
const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    FROM,
    TO,
    Query { name: "login", about: "Addresses that begin so.", is_number: false },
    KIND,
    RESULT,
];
const OF_ACCOUNT: &[Query] = &[PAGE[0], PAGE[1], FROM, TO, KIND, RESULT];
const PERIOD: &[Query] = &[FROM, TO];
const SINCE: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query { name: "since", about: "The first day without a sign-in, in UTC: 2026-11-20.", is_number: false },
];

const DAY: i64 = 24 * 60 * 60 * 1000;
/// Days of statistics, if nothing is said.
const DAYS: i64 = 30;

pub(super) fn wrong(name: &'static str) -> Refusal {
    Refusal::new(Kind::BadParameter, bad_parameter(name))
}

/// The beginning of a day.
pub(super) fn day(ask: &Ask, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let Some(text) = ask.parameter(name) else { return Ok(None) };
    let time = Timestamp::from_rfc3339(&format!("{text}T00:00:00Z"));
    time.filter(|_| text.len() == 10).map(Some).ok_or_else(|| wrong(name))
}

/// The days from `from` to `to`; the last 30, if nothing is said.
pub(super) fn period(ask: &Ask) -> Result<Period, Refusal> {
    let (from, to) = (day(ask, "from")?, day(ask, "to")?);
    let last = to.unwrap_or_else(|| ask.directory().now());
    let from = from.unwrap_or_else(|| last.plus_millis(-(DAYS - 1) * DAY));
    let until = Timestamp((last.0.div_euclid(DAY) + 1).saturating_mul(DAY));
    Ok(Period { from: Timestamp(from.0.div_euclid(DAY).saturating_mul(DAY)), until })
}

fn query(ask: &Ask) -> Result<SignInQuery, Refusal> {
    let mut query = SignInQuery {
        from: day(ask, "from")?,
        until: day(ask, "to")?.map(|last| last.plus_millis(DAY)),
        login: ask.parameter("login").map(str::to_lowercase),
        ..SignInQuery::default()
    };
    query.outcome = match ask.parameter("result") {
        None => None,
        Some("ok") => Some(Outcomes::Ok),
        Some("failed") => Some(Outcomes::Failed),
        Some(_) => return Err(wrong("result")),
    };
    match ask.parameter("kind") {
        None => {}
        Some("lock") if query.outcome.is_none() => query.outcome = Some(Outcomes::Locks),
        Some("client") => query.kinds = SignInKind::ALL.into_iter().filter(|kind| kind.is_client()).collect(),
        Some(name) => {
            let kind = SignInKind::ALL.into_iter().find(|kind| kind.name() == name);
            query.kinds = vec![kind.ok_or_else(|| wrong("kind"))?];
        }
    }
    Ok(query)
}

fn list(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let mut query = query(ask)?;
        if !ask.word("account").is_empty() {
            query.account = Some(ask.id::<AccountId>("account")?);
        }
        let page = ask.page()?;
        let after = page.after.map(|text| text.parse::<EventId>().map_err(|_| wrong("after"))).transpose()?;
        let (records, next) =
            ask.administration.sign_ins(&ask.call, ask.tenant()?, &query, after, page.limit).await?;
        let next = next.map(|next| next.to_string());
        if ask.accept.contains("text/csv") {
            return Ok(Reply::csv(sign_ins_csv(&records), next.as_deref().map(cursor_of)));
        }
        Ok(Reply::document(&rows(Listed { items: records, next }, show)))
    })
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "list-sign-ins",
        method: Method::Get,
        path: "/tenants/{tenant}/sign-ins",
        action: Some(Action::SignInRead),
        summary: "Read the record of sign-ins, oldest first, of 180 or 90 days, as the plan says; as text/csv a page without the cursor",
        query: LIST,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<SignIns>), is_tagged: false, has_csv: true },
        problems: &[Kind::OtherState],
        handler: list,
    },
    Operation {
        name: "list-sign-ins-of-account",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}/sign-ins",
        action: Some(Action::AccountSignInRead),
        summary: "Read the record of an account's sign-ins, oldest first",
        query: OF_ACCOUNT,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<SignIns>), is_tagged: false, has_csv: true },
        problems: &[Kind::OtherState],
        handler: list,
    },
    Operation {
        name: "sign-in-statistics",
        method: Method::Get,
        path: "/tenants/{tenant}/sign-in-statistics",
        action: Some(Action::SignInRead),
        summary: "Count sign-ins day by day, 92 days at most; the last 30, if nothing is said",
        query: PERIOD,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<SignInDays>), is_tagged: false, has_csv: true },
        problems: &[Kind::OtherState, Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let Period { from, until } = period(ask)?;
                let tenant = ask.tenant()?;
                let days = ask.administration.sign_in_statistics(&ask.call, tenant, from, until).await?;
                let items: Vec<SignInDay> = days.iter().map(show_day).collect();
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(days_csv(&items), None));
                }
                Ok(Reply::document(&rows(Listed { items, next: None }, |day| day)))
            })
        },
    },
    Operation {
        name: "list-not-signed-in",
        method: Method::Get,
        path: "/tenants/{tenant}/not-signed-in",
        action: Some(Action::SignInRead),
        summary: "List accounts that were not signed in to since a day: 30 days ago, if nothing is said",
        query: SINCE,
        body: None,
        is_update: false,
        good: Good::list(shape::<AbsentAccounts>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let since = day(ask, "since")?;
                let since = since.unwrap_or_else(|| ask.directory().now().plus_millis(-DAYS * DAY));
                let (tenant, page) = (ask.tenant()?, ask.page()?);
                let listed = ask.administration.not_signed_in(&ask.call, tenant, since, &page).await?;
                Ok(Reply::document(&rows(listed, show_absent)))
            })
        },
    },
    Operation {
        name: "list-locks",
        method: Method::Get,
        path: "/tenants/{tenant}/locks",
        action: Some(Action::LockRead),
        summary: "List accounts that wrong passwords have locked",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<Locks>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.locks(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show_lock)))
            })
        },
    },
    Operation {
        name: "unlock-accounts",
        method: Method::Post,
        path: "/tenants/{tenant}/locks/unlock",
        action: Some(Action::LockRemove),
        summary: "Unlock several accounts for everybody; their failures are forgotten",
        query: &[],
        body: Some(shape::<ToUnlock>),
        is_update: false,
        good: Good::NOTHING,
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let ToUnlock { accounts } = ask.body()?;
                if accounts.len() > MOST_AT_ONCE {
                    return Err(AdminError::Invalid(Invalid::TooMany { limit: MOST_AT_ONCE }).into());
                }
                let tenant = ask.tenant()?;
                let key = |(index, id): (usize, &String)| {
                    let account = id_in(id, &format!("/accounts/{index}"))?;
                    Ok(AccountKey { tenant, account })
                };
                let keys: Result<Vec<AccountKey>, Refusal> = accounts.iter().enumerate().map(key).collect();
                ask.administration.unlock_all(&ask.call, &keys?).await?;
                Ok(Reply::nothing())
            })
        },
    },
    Operation {
        name: "unlock-account",
        method: Method::Delete,
        path: "/tenants/{tenant}/locks/{account}",
        action: Some(Action::LockRemove),
        summary: "Unlock an account for everybody; its failures are forgotten",
        query: &[],
        body: None,
        is_update: false,
        good: Good::NOTHING,
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                ask.administration.unlock(&ask.call, ask.account()?).await?;
                Ok(Reply::nothing())
            })
        },
    },
];
