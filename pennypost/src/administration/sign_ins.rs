//! `pennypost log sign-ins`, `log statistics`, `log not-signed-in` (LOG-02, LOG-05, LOG-11).

use clap::{Args, ValueEnum};
use pennypost_admin::{DayOfSignIns, sign_ins_csv};
use pennypost_directory::{Outcomes, Page, SignInKind, SignInQuery, SignInRecord};
use pennypost_model::Timestamp;
use serde_json::{Value, json};

use super::log::{DAY_MILLIS, day};
use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean, fitting, time};
use crate::text::Text;
use crate::{Failed, say};

/// Records that are read at once.
const PAGE: usize = 500;
/// Days, if nothing is said.
const DAYS: i64 = 30;
/// Columns of what a program calls itself.
const COLUMNS: usize = 30;

/// By what way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// In a browser
    Web,
    /// By a mail program
    Client,
    /// By IMAP
    Imap,
    /// By POP3
    Pop3,
    /// By a program that sends
    Smtp,
    /// By the API
    Api,
    /// By single sign-on
    Sso,
    /// Records of locks
    Lock,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Came {
    /// Signed in
    Ok,
    /// Not signed in
    Failed,
}

/// A period.
#[derive(Debug, Args)]
pub struct Period {
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    pub(super) tenant: Option<String>,
    /// The first day, in UTC [default: 30 days ago]
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Timestamp>,
    /// The last day, in UTC [default: today]
    #[arg(long, value_name = "DAY", value_parser = day)]
    to: Option<Timestamp>,
    /// As CSV
    #[arg(long)]
    pub(super) csv: bool,
}

/// Arguments of `log sign-ins`.
#[derive(Debug, Args)]
pub struct SignInsArgs {
    /// An address, or how it begins
    login: Option<String>,
    /// When, and in which form
    #[command(flatten)]
    period: Period,
    /// By what way
    #[arg(long)]
    kind: Option<Kind>,
    /// What came of it
    #[arg(long)]
    result: Option<Came>,
}

/// Arguments of `log not-signed-in`.
#[derive(Debug, Args)]
pub struct AbsentArgs {
    /// The first day without a sign-in, in UTC [default: 30 days ago]
    #[arg(long, value_name = "DAY", value_parser = day)]
    since: Option<Timestamp>,
    /// Name or id of the tenant; may be left out if there is only one
    #[arg(long)]
    tenant: Option<String>,
}

impl Period {
    /// From the beginning of a day to the end of one.
    fn bounds(&self, office: &Office) -> (Timestamp, Timestamp) {
        let last = self.to.unwrap_or_else(|| office.clock.now());
        let until = Timestamp((last.0.div_euclid(DAY_MILLIS) + 1).saturating_mul(DAY_MILLIS));
        (self.from.unwrap_or_else(|| until.plus_millis(-DAYS * DAY_MILLIS)), until)
    }

    /// The same for statistics of mail.
    pub(super) fn days(&self, office: &Office) -> pennypost_admin::Period {
        let (from, until) = self.bounds(office);
        pennypost_admin::Period { from, until }
    }
}

impl SignInsArgs {
    fn query(&self, office: &Office) -> SignInQuery {
        let (from, until) = self.period.bounds(office);
        let (kinds, outcome) = match self.kind {
            None => (Vec::new(), None),
            Some(Kind::Lock) => (Vec::new(), Some(Outcomes::Locks)),
            Some(Kind::Client) => {
                (SignInKind::ALL.into_iter().filter(|kind| kind.is_client()).collect(), None)
            }
            Some(Kind::Web) => (vec![SignInKind::Web], None),
            Some(Kind::Imap) => (vec![SignInKind::Imap], None),
            Some(Kind::Pop3) => (vec![SignInKind::Pop3], None),
            Some(Kind::Smtp) => (vec![SignInKind::Smtp], None),
            Some(Kind::Api) => (vec![SignInKind::Api], None),
            Some(Kind::Sso) => (vec![SignInKind::Sso], None),
        };
        let result = self.result.map(|came| match came {
            Came::Ok => Outcomes::Ok,
            Came::Failed => Outcomes::Failed,
        });
        SignInQuery {
            from: Some(from),
            until: Some(until),
            account: None,
            login: self.login.as_ref().map(|login| login.to_lowercase()),
            kinds,
            outcome: outcome.or(result),
        }
    }
}

/// Prints a page of CSV; the line of names stands once.
pub(super) fn csv_page(page: &str, is_first: bool, output: &mut Output<'_>) -> Result<(), Failed> {
    let body = page.split_once("\r\n").map_or("", |(_, body)| body);
    let page = if is_first { page } else { body };
    let page = page.trim_end_matches("\r\n");
    if page.is_empty() { Ok(()) } else { Ok(output.line(page)?) }
}

/// Shows records.
pub(super) async fn list(
    office: &Office,
    args: &SignInsArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, args.period.tenant.as_deref(), text).await?;
    let (query, administration) = (args.query(office), office.administration());
    let (mut after, mut rows, mut is_first) = (None, Vec::new(), true);
    loop {
        let read = administration.sign_ins(&OPERATOR, tenant.id, &query, after, PAGE).await;
        let (records, next) = read.map_err(|error| refused(error, text))?;
        if args.period.csv {
            csv_page(&sign_ins_csv(&records), is_first, output)?;
            is_first = false;
        } else {
            rows.extend(records.iter().map(row));
        }
        let Some(next) = next else { break };
        after = Some(next);
    }
    if args.period.csv {
        return Ok(());
    }
    let heads = vec![
        say!(text, "word-date"),
        say!(text, "word-count"),
        say!(text, "word-address"),
        say!(text, "word-from"),
        say!(text, "word-kind"),
        say!(text, "word-program"),
        say!(text, "word-by"),
        say!(text, "word-outcome"),
    ];
    Ok(output.table(heads, rows, &say!(text, "sign-ins-none"))?)
}

fn row(record: &SignInRecord) -> (Vec<String>, Value) {
    let token = record.token.map(|token| token.to_string());
    let program = record.program.as_deref().unwrap_or_default();
    let cells = vec![
        time(record.last),
        record.count.to_string(),
        clean(&record.login),
        record.client.to_string(),
        record.kind.name().to_owned(),
        fitting(program, COLUMNS),
        token.clone().map_or_else(|| record.mechanism.clone(), |token| format!("token {token}")),
        record.outcome.name().to_owned(),
    ];
    let document = json!({
        "first": record.first.rfc3339(),
        "last": record.last.rfc3339(),
        "count": record.count,
        "login": record.login,
        "account": record.account.map(|account| account.to_string()),
        "address": record.client.to_string(),
        "kind": record.kind.name(),
        "mechanism": record.mechanism,
        "program": record.program,
        "token": token,
        "outcome": record.outcome.name(),
    });
    (cells, document)
}

/// Shows counts day by day.
pub(super) async fn statistics(
    office: &Office,
    period: &Period,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, period.tenant.as_deref(), text).await?;
    let (from, until) = period.bounds(office);
    let counted = office.administration().sign_in_statistics(&OPERATOR, tenant.id, from, until).await;
    let days = counted.map_err(|error| refused(error, text))?;
    if period.csv {
        output.line("day,accounts,imap,pop3,smtp,web,api,sso,failed,locked")?;
        for day in &days {
            output.line(&counts(day).join(","))?;
        }
        return Ok(());
    }
    let rows = days.iter().map(|day| (counts(day), day_document(day))).collect();
    let mut heads = vec![say!(text, "word-date"), say!(text, "word-accounts")];
    heads.extend(SignInKind::ALL.map(|kind| kind.name().to_owned()));
    heads.extend([say!(text, "word-failed"), say!(text, "word-locked")]);
    Ok(output.table(heads, rows, &say!(text, "sign-ins-none"))?)
}

pub(super) fn day_name(day: Timestamp) -> String {
    day.rfc3339().chars().take(10).collect()
}

fn counts(day: &DayOfSignIns) -> Vec<String> {
    let mut cells = vec![day_name(day.day), day.accounts.to_string()];
    cells.extend(SignInKind::ALL.map(|kind| day.signed_in.get(&kind).copied().unwrap_or(0).to_string()));
    cells.extend([day.failed.to_string(), day.locked.to_string()]);
    cells
}

fn day_document(day: &DayOfSignIns) -> Value {
    let kinds: serde_json::Map<String, Value> =
        day.signed_in.iter().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
    json!({
        "day": day_name(day.day),
        "accounts": day.accounts,
        "signed_in": kinds,
        "failed": day.failed,
        "locked": day.locked,
    })
}

/// Lists accounts that were not signed in to.
pub(super) async fn absent(
    office: &Office,
    args: &AbsentArgs,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, args.tenant.as_deref(), text).await?;
    let since = args.since.unwrap_or_else(|| office.clock.now().plus_millis(-DAYS * DAY_MILLIS));
    let administration = office.administration();
    let (mut rows, mut page) = (Vec::new(), Page::default());
    loop {
        let listed = administration.not_signed_in(&OPERATOR, tenant.id, since, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        for absent in listed.items {
            let (address, name) = (absent.account.address.to_string(), &absent.account.display_name);
            let last = absent.last.map(day_name);
            let document = json!({ "address": address, "display_name": name, "last": last });
            let last = last.unwrap_or_else(|| say!(text, "word-never"));
            rows.push((vec![address, fitting(name, COLUMNS), last], document));
        }
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let heads = vec![say!(text, "word-address"), say!(text, "word-name"), say!(text, "word-last-sign-in")];
    Ok(output.table(heads, rows, &say!(text, "absent-none"))?)
}
