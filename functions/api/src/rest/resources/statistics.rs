//! Statistics of mail: what was received and sent, what mailboxes hold, the report of a month.

use pennypost_admin::{
    Action, Counts, DayOfMail, DayOfReport, MailboxUse, MemberOfMail, MemberOrder, MonthlyReport, UsedBytes,
    days_csv, mailboxes_csv, members_csv, month_of, report_csv,
};
use pennypost_directory::Listed;
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::page_of;
use super::sign_ins::{FROM, TO, day_name, period, wrong};
use crate::rest::ask::{Ask, cursor, numbered, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// What was received and sent on a day.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MailDay {
    /// The day, in UTC: 2026-11-20.
    day: String,
    /// When it was counted; null: it was not, and nothing is known of it. A day is counted when it is over, and again after
    /// one, three and sixteen days, since letters are delivered late, too; of today what is known now.
    counted: Option<String>,
    /// Letters that came into mailboxes; one that came into three counts three times.
    received: u64,
    /// Their bytes.
    received_bytes: u64,
    /// Letters that members handed in; each counts once, however many it goes to.
    sent: u64,
    /// Their bytes.
    sent_bytes: u64,
}

page_of!(MailDays, MailDay);

/// What a member received and sent.
#[derive(Serialize, JsonSchema)]
pub(crate) struct MemberMail {
    /// The account.
    account: String,
    /// Its address; null: it is gone.
    address: Option<String>,
    /// Name of its owner.
    display_name: Option<String>,
    /// Letters that came into the mailbox.
    received: u64,
    /// Their bytes.
    received_bytes: u64,
    /// Letters that the member handed in.
    sent: u64,
    /// Their bytes.
    sent_bytes: u64,
}

page_of!(MembersMail, MemberMail);

/// What a mailbox holds.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MailboxUse")]
pub(crate) struct Used {
    /// The account.
    account: String,
    /// Its address; null: it is gone.
    address: Option<String>,
    /// Name of its owner.
    display_name: Option<String>,
    /// Bytes of its messages.
    bytes: u64,
    /// Messages.
    messages: u64,
    /// Bytes that it may hold; null: any number.
    capacity: Option<u64>,
    /// When it was looked at: once a day.
    taken: String,
}

page_of!(MailboxesUse, Used);

/// A day of a report.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReportDay {
    /// The day, in UTC: 2026-11-20.
    day: String,
    /// Accounts that signed in.
    signed_in: usize,
    /// Bytes that all mailboxes held; null: nobody looked on that day.
    used_bytes: Option<u64>,
    /// Messages that all mailboxes held.
    messages: Option<u64>,
    /// When its mail was counted; null: it was not.
    counted: Option<String>,
    /// Letters that came into mailboxes.
    received: u64,
    /// Their bytes.
    received_bytes: u64,
    /// Letters that members handed in.
    sent: u64,
    /// Their bytes.
    sent_bytes: u64,
}

/// The report of a month.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MonthlyReport")]
pub(crate) struct Report {
    /// The month: 2026-11.
    month: String,
    /// Accounts that signed in, each once.
    signed_in: usize,
    /// Bytes that all mailboxes held when they were last looked at in the month.
    used_bytes: Option<u64>,
    /// Messages that they held.
    messages: Option<u64>,
    /// Letters that came into mailboxes.
    received: u64,
    /// Their bytes.
    received_bytes: u64,
    /// Letters that members handed in.
    sent: u64,
    /// Their bytes.
    sent_bytes: u64,
    /// Its days, as far as they have begun and the plan shows them.
    days: Vec<ReportDay>,
}

const DOMAIN: Query =
    Query { name: "domain", about: "Of this domain only; without it of the whole tenant.", is_number: false };
const ORDER: Query = Query {
    name: "by",
    about: "The most first of: `received`, `received-bytes`, `sent`, `sent-bytes`; `received`, if nothing is said. Who has \
            none is left out.",
    is_number: false,
};
const MONTH: Query =
    Query { name: "month", about: "2026-11; without it the month that it is.", is_number: false };

fn show_day(day: &DayOfMail) -> MailDay {
    let Counts { received, received_bytes, sent, sent_bytes } = day.counts;
    let counted = day.counted.map(Timestamp::rfc3339);
    MailDay { day: day_name(day.day), counted, received, received_bytes, sent, sent_bytes }
}

fn show_member(member: MemberOfMail) -> MemberMail {
    let Counts { received, received_bytes, sent, sent_bytes } = member.counts;
    MemberMail {
        account: member.id.to_string(),
        address: member.account.as_ref().map(|account| account.address.to_string()),
        display_name: member.account.map(|account| account.display_name),
        received,
        received_bytes,
        sent,
        sent_bytes,
    }
}

fn show_use(mailbox: MailboxUse) -> Used {
    Used {
        account: mailbox.id.to_string(),
        address: mailbox.account.as_ref().map(|account| account.address.to_string()),
        display_name: mailbox.account.map(|account| account.display_name),
        bytes: mailbox.used.bytes,
        messages: mailbox.used.messages,
        capacity: mailbox.capacity,
        taken: mailbox.taken.rfc3339(),
    }
}

fn show_report_day(day: &DayOfReport) -> ReportDay {
    let MailDay { day: name, counted, received, received_bytes, sent, sent_bytes } = show_day(&day.mail);
    let (used_bytes, messages) = used(day.used);
    ReportDay {
        day: name,
        signed_in: day.signed_in,
        used_bytes,
        messages,
        counted,
        received,
        received_bytes,
        sent,
        sent_bytes,
    }
}

fn used(used: Option<UsedBytes>) -> (Option<u64>, Option<u64>) {
    (used.map(|used| used.bytes), used.map(|used| used.messages))
}

fn show_report(month: String, report: &MonthlyReport) -> Report {
    let Counts { received, received_bytes, sent, sent_bytes } = report.counts;
    let (used_bytes, messages) = used(report.used);
    Report {
        month,
        signed_in: report.signed_in,
        used_bytes,
        messages,
        received,
        received_bytes,
        sent,
        sent_bytes,
        days: report.days.iter().map(show_report_day).collect(),
    }
}

fn order(ask: &Ask) -> Result<MemberOrder, Refusal> {
    let Some(name) = ask.parameter("by") else { return Ok(MemberOrder::default()) };
    MemberOrder::ALL.into_iter().find(|order| order.name() == name).ok_or_else(|| wrong("by"))
}

/// A page of a list that is numbered from its beginning.
fn place(ask: &Ask) -> Result<(usize, usize), Refusal> {
    let (after, limit) = ask.numbered_page()?;
    Ok((usize::try_from(after).map_err(|_| wrong("after"))?, limit))
}

/// What is counted in pages is told in numbers that fit.
fn next(next: Option<usize>) -> Option<u64> {
    next.and_then(|next| u64::try_from(next).ok())
}

/// A day in the month that is asked for.
fn month(ask: &Ask) -> Result<Timestamp, Refusal> {
    let Some(text) = ask.parameter("month") else { return Ok(ask.directory().now()) };
    let first = Timestamp::from_rfc3339(&format!("{text}-01T00:00:00Z"));
    first.filter(|_| text.len() == 7).ok_or_else(|| wrong("month"))
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "mail-statistics",
        method: Method::Get,
        path: "/tenants/{tenant}/mail-statistics",
        action: Some(Action::MailStatisticsRead),
        summary: "Count letters received and sent day by day, 92 days at most; the last 30, if nothing is said",
        query: &[FROM, TO, DOMAIN],
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<MailDays>), is_tagged: false, has_csv: true },
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, period) = (ask.tenant()?, period(ask)?);
                let domain = ask.parameter("domain");
                let days = ask.administration.mail_statistics(&ask.call, tenant, &period, domain).await?;
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(days_csv(&days), None));
                }
                Ok(Reply::document(&rows(Listed { items: days, next: None }, |day| show_day(&day))))
            })
        },
    },
    Operation {
        name: "member-statistics",
        method: Method::Get,
        path: "/tenants/{tenant}/member-statistics",
        action: Some(Action::MemberStatisticsRead),
        summary: "Count letters received and sent by member over 92 days at most, the most first; the last 30 days, if nothing is said",
        query: &[PAGE[0], PAGE[1], FROM, TO, ORDER],
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<MembersMail>), is_tagged: false, has_csv: true },
        problems: &[Kind::Invalid],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, period) = (ask.tenant()?, period(ask)?);
                let (order, place) = (order(ask)?, place(ask)?);
                let counted = ask.administration.member_statistics(&ask.call, tenant, &period, order, place);
                let (members, behind) = counted.await?;
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(members_csv(&members), next(behind).map(cursor)));
                }
                Ok(Reply::document(&numbered(members, next(behind), show_member)))
            })
        },
    },
    Operation {
        name: "mailbox-use",
        method: Method::Get,
        path: "/tenants/{tenant}/mailbox-use",
        action: Some(Action::MailboxUseRead),
        summary: "List mailboxes with what they hold and may hold, those that hold the most first",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<MailboxesUse>), is_tagged: false, has_csv: true },
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, place) = (ask.tenant()?, place(ask)?);
                let (mailboxes, behind) = ask.administration.mailbox_use(&ask.call, tenant, place).await?;
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(mailboxes_csv(&mailboxes), next(behind).map(cursor)));
                }
                Ok(Reply::document(&numbered(mailboxes, next(behind), show_use)))
            })
        },
    },
    Operation {
        name: "monthly-report",
        method: Method::Get,
        path: "/tenants/{tenant}/monthly-report",
        action: Some(Action::ReportRead),
        summary: "Report a month: who signed in, what mailboxes held, what was received and sent, day by day",
        query: &[MONTH],
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<Report>), is_tagged: false, has_csv: true },
        problems: &[Kind::OtherState],
        handler: |ask| {
            Box::pin(async move {
                let (tenant, day) = (ask.tenant()?, month(ask)?);
                let report = ask.administration.monthly_report(&ask.call, tenant, &month_of(day)).await?;
                if ask.accept.contains("text/csv") {
                    return Ok(Reply::csv(report_csv(&report), None));
                }
                let name = day_name(day).chars().take(7).collect();
                Ok(Reply::document(&show_report(name, &report)))
            })
        },
    },
];
