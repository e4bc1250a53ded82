//! The log of operations.

use pennypost_admin::{Action, Book, Outcome};
use pennypost_model::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::page_of;
use crate::rest::ask::{Ask, cursor, numbered};
use crate::rest::operation::{Answering, Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::bad_parameter;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A record of the log. Each holds the hash of the one before.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Record {
    /// Its number: 1 for the first, without holes.
    seq: u64,
    /// When.
    time: String,
    /// Who.
    by: String,
    /// From where: an address, or `command`.
    origin: String,
    /// What.
    action: String,
    /// Upon what.
    object: String,
    /// What it was, as far as it changes.
    before: Value,
    /// What it becomes.
    after: Value,
    /// `ordered`: permitted and begun, and done unless a later record says `failed`. `denied`: not permitted.
    outcome: &'static str,
    /// Why it was denied or failed.
    reason: String,
    /// The number of the record that ordered what failed.
    of: Option<u64>,
    /// SHA-256 of the record before, in hex.
    previous: String,
}

page_of!(Records, Record);

fn show(record: pennypost_admin::Record) -> Record {
    let pennypost_admin::Record { seq, previous, time, entry } = record;
    let read = |text: Option<String>| {
        text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
    };
    let of = match entry.outcome {
        Outcome::Failed { of, .. } => Some(of),
        Outcome::Ordered | Outcome::Denied { .. } => None,
    };
    Record {
        seq,
        time: time.rfc3339(),
        by: entry.by.shown(),
        origin: entry.origin.shown(),
        action: entry.action,
        object: entry.object,
        before: read(entry.before),
        after: read(entry.after),
        outcome: entry.outcome.name(),
        reason: entry.outcome.reason().to_owned(),
        of,
        previous: previous.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

const LIST: &[Query] = &[
    PAGE[0],
    PAGE[1],
    Query { name: "from", about: "The first day, in UTC: 2026-11-20.", is_number: false },
    Query { name: "to", about: "The last day, in UTC.", is_number: false },
    Query {
        name: "own",
        about: "`true`: only what members did to their own accounts, such as another password.",
        is_number: false,
    },
];

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The beginning of a day.
fn day(ask: &Ask, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let wrong = || Refusal::new(Kind::BadParameter, bad_parameter(name));
    let Some(text) = ask.parameter(name) else { return Ok(None) };
    let time = Timestamp::from_rfc3339(&format!("{text}T00:00:00Z")).ok_or_else(wrong)?;
    Ok(Some(time))
}

fn list(ask: &Ask) -> Answering<'_> {
    Box::pin(async move {
        let book: Book = if ask.word("tenant").is_empty() { None } else { Some(ask.tenant()?) };
        let (after, limit) = ask.numbered_page()?;
        let times = (day(ask, "from")?, day(ask, "to")?.map(|last| last.plus_millis(DAY)));
        let own = match ask.parameter("own") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Refusal::new(Kind::BadParameter, bad_parameter("own"))),
        };
        let (mut records, next) = ask.administration.operations(&ask.call, book, times, after, limit).await?;
        records.retain(|record| !own || record.entry.is_ones_own());
        if !ask.accept.contains("text/csv") {
            return Ok(Reply::document(&numbered(records, next, show)));
        }
        Ok(Reply::csv(pennypost_admin::operations::csv(&records), next.map(cursor)))
    })
}

const fn operation(name: &'static str, path: &'static str, action: Action) -> Operation {
    Operation {
        name,
        method: Method::Get,
        path,
        action: Some(action),
        summary: "Read the log of operations, oldest first; as text/csv a page without the cursor",
        query: LIST,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: Some(shape::<Records>), is_tagged: false, has_csv: true },
        problems: &[],
        handler: list,
    }
}

pub(super) const OPERATIONS: &[Operation] = &[
    operation("list-operations", "/tenants/{tenant}/operations", Action::LogRead),
    operation("list-operator-operations", "/operations", Action::OperatorLogRead),
];
