//! `cost --from --to`: what each tenant used in a period, rolled up from the records of the log.
//!
//! A message's trace carries its share of what its batch used; work without traces left usage records. Nothing else is
//! read and nothing is written, so the same period gives the same answer however often it is asked; a record that is
//! found twice counts once, since a share has a number. A message that was delivered in two tries is one message, and
//! what both tries used was used. A day is that of the acceptance, in UTC: it may still grow while messages of it are
//! tried again.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use clap::Args;
use pennypost_directory::Tenant;
use pennypost_meter::{Bill, Counts, Item, PriceTable, Unit};
use pennypost_model::trace::{Outcome, TraceRecord, TraceStep};
use pennypost_model::usage::{UsageRecord, Used};
use pennypost_model::{AccountKey, EventId, TenantId, Timestamp, codec};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord};
use pennypost_runtime::usage;
use serde_json::json;

use crate::office::Office;
use crate::print::aligned;
use crate::text::Text;
use crate::{Failed, say};

/// Records that are read at once.
const PAGE: usize = 500;
const DAY_MILLIS: i64 = 86_400_000;

/// The period, and whose.
#[derive(Debug, Clone, Args)]
pub struct PeriodArgs {
    /// The first day, in UTC: 2026-11-01.
    #[arg(long, value_name = "DAY", value_parser = day, requires = "to")]
    pub from: Option<Timestamp>,
    /// The last day.
    #[arg(long, value_name = "DAY", value_parser = day, requires = "from")]
    pub to: Option<Timestamp>,
    /// Only this tenant.
    #[arg(long, value_name = "NAME")]
    pub tenant: Option<String>,
    /// Print CSV: a row for each tenant and day.
    #[arg(long)]
    pub csv: bool,
}

/// What a tenant used on a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Meter {
    /// Messages that were delivered.
    pub(super) messages: u64,
    /// Copies in mailboxes.
    pub(super) deliveries: u64,
    /// Bytes of the messages, each once.
    pub(super) bytes: u64,
    /// Units.
    pub(super) used: Counts,
}

impl Meter {
    fn add(&mut self, other: &Meter) {
        self.messages += other.messages;
        self.deliveries += other.deliveries;
        self.bytes += other.bytes;
        self.used = self.used.plus(&other.used);
    }
}

/// A day, by its beginning.
fn day(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no day: write 2026-11-01");
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, date] = parts[..] else { return Err(wrong()) };
    let is_written_so = (year.len(), month.len(), date.len()) == (4, 2, 2)
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let number = |part: &str| part.parse::<i64>().map_err(|_| wrong());
    let (year, month, date) = (number(year)?, number(month)?, number(date)?);
    // Days of civil dates since the epoch, in years that begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + date - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + of_year - 719_468;
    let time = Timestamp(days * DAY_MILLIS);
    let is_real =
        time.civil_day() == (year, u32::try_from(month).unwrap_or(0), u32::try_from(date).unwrap_or(0));
    if is_written_so && is_real { Ok(time) } else { Err(wrong()) }
}

/// What a tenant used in days from `from` to `to`, by day.
pub(super) async fn roll_up(
    log: &dyn Log,
    tenant: TenantId,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<i64, Meter>, Failed> {
    let mut days: BTreeMap<i64, Meter> = BTreeMap::new();
    for kind in [LogKind::Trace, LogKind::Usage] {
        let mut from = EventId::from_parts(from, 0);
        let last = EventId::from_parts(to.plus_millis(DAY_MILLIS - 1), u128::MAX);
        let mut limit = PAGE;
        loop {
            let mut records = log.query(&LogQuery { tenant, kind, from, to: last, limit }).await?;
            let is_full = records.len() >= limit;
            if is_full && let Some(end) = records.last().map(|record| record.id) {
                if records.first().is_some_and(|first| first.id == end) {
                    // More records of one message than fit on a page.
                    limit = limit.saturating_mul(2);
                    continue;
                }
                // The last message's records may go on behind the page.
                records.retain(|record| record.id != end);
                from = end;
            }
            for some in records.chunk_by(|a, b| a.id == b.id) {
                days.entry(some[0].id.time().0.div_euclid(DAY_MILLIS)).or_default().add(&about_one(some));
            }
            if !is_full {
                break;
            }
            limit = PAGE;
        }
    }
    Ok(days)
}

/// What the records of one id say together.
fn about_one(records: &[LogRecord]) -> Meter {
    let mut meter = Meter::default();
    let mut shares: BTreeSet<u64> = BTreeSet::new();
    let mut accounts: BTreeSet<AccountKey> = BTreeSet::new();
    let mut take = |used: Option<Used>, meter: &mut Meter| {
        if let Some(used) = used
            && shares.insert(used.batch)
        {
            meter.used = meter.used.plus(&usage::counts(&used));
        }
    };
    for record in records {
        if record.kind == LogKind::Usage {
            match codec::decode::<UsageRecord>(&record.value) {
                Ok(usage) => take(Some(usage.used), &mut meter),
                Err(error) => {
                    tracing::warn!(tenant = %record.tenant, id = %record.id, %error, "usage record passed over")
                }
            }
            continue;
        }
        match codec::decode::<TraceRecord>(&record.value) {
            Ok(TraceRecord { step, used, .. }) => {
                take(used, &mut meter);
                if let TraceStep::Delivered { size, recipients, .. } = step {
                    meter.messages = 1;
                    meter.bytes = size;
                    let is_there = |outcome: &Outcome| matches!(outcome, Outcome::Stored { .. });
                    accounts
                        .extend(recipients.iter().filter(|to| is_there(&to.outcome)).map(|to| to.account));
                }
            }
            Err(error) => {
                tracing::warn!(tenant = %record.tenant, id = %record.id, %error, "trace record passed over")
            }
        }
    }
    meter.deliveries = accounts.len() as u64;
    meter
}

/// Prints the period.
pub(super) async fn show(
    office: &Office,
    args: &PeriodArgs,
    prices: &PriceTable,
    json: bool,
    text: &Text,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let now = office.clock.now();
    let today = Timestamp(now.0.div_euclid(DAY_MILLIS) * DAY_MILLIS);
    let from = args.from.unwrap_or(today.plus_millis(-29 * DAY_MILLIS));
    let to = args.to.unwrap_or(today);
    let tenants: Vec<Tenant> = match &args.tenant {
        None => office.tenants().await?,
        Some(name) => {
            let tenant = office.directory.tenant_named(name).await?;
            vec![tenant.ok_or_else(|| Failed::Said(say!(text, "error-no-tenant", name = name)))?]
        }
    };
    let mut meters = Vec::with_capacity(tenants.len());
    for tenant in tenants {
        let days = roll_up(&*office.log(), tenant.id, from, to).await?;
        meters.push((tenant, days));
    }
    if args.csv {
        return csv(&meters, prices, out);
    }
    let mut all = Meter::default();
    let mut lines = vec![vec![
        say!(text, "cost-head-tenant"),
        say!(text, "cost-head-messages"),
        say!(text, "cost-head-deliveries"),
        say!(text, "cost-head-bytes"),
        say!(text, "cost-head-cost", currency = prices.currency.as_str()),
    ]];
    for (tenant, days) in &meters {
        let mut meter = Meter::default();
        days.values().for_each(|day| meter.add(day));
        all.add(&meter);
        let bill = Bill::of(&meter.used, prices);
        if json {
            let document = json!({
                "tenant": tenant.name,
                "id": tenant.id.to_string(),
                "from": date(from),
                "to": date(to),
                "messages": meter.messages,
                "deliveries": meter.deliveries,
                "bytes": meter.bytes,
                "units": super::units(&meter.used),
                "currency": prices.currency,
                "prices": prices.date,
                "cost": bill.total().decimal(12),
            });
            writeln!(out, "{document}")?;
        }
        let cost = bill.total().to_string();
        let numbers = [meter.messages, meter.deliveries, meter.bytes].map(|number| number.to_string());
        lines.push([tenant.name.clone()].into_iter().chain(numbers).chain([cost]).collect());
    }
    if json {
        return Ok(());
    }
    for line in aligned(&lines) {
        writeln!(out, "{line}")?;
    }
    let bill = Bill::of(&all.used, prices);
    if bill.lines().is_empty() {
        writeln!(out, "{}", say!(text, "cost-nothing-billed"))?;
        return Ok(());
    }
    writeln!(out)?;
    super::write_table(&super::bill_table(&bill, all.messages, prices, text), out)
}

fn date(time: Timestamp) -> String {
    time.rfc3339().chars().take(10).collect()
}

/// A row for each tenant and day, a column for each kind of unit, all in the order of bills.
fn csv(
    meters: &[(Tenant, BTreeMap<i64, Meter>)],
    prices: &PriceTable,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let mut writer = csv::Writer::from_writer(out);
    let mut heads = vec!["tenant", "day", "messages", "deliveries", "bytes"];
    heads.extend(Unit::ALL.iter().map(|unit| unit.name()));
    heads.extend(["cost", "currency", "prices"]);
    let failed = |error: csv::Error| Failed::Io(error.into());
    writer.write_record(&heads).map_err(failed)?;
    for (tenant, days) in meters {
        for (day, meter) in days {
            let mut row = vec![tenant.name.clone(), date(Timestamp(day * DAY_MILLIS))];
            row.extend([meter.messages, meter.deliveries, meter.bytes].map(|number| number.to_string()));
            let quantity = |unit: &Unit| {
                let milli = u128::from(meter.used.milli(*unit));
                pennypost_meter::Line { item: Item::Used(*unit), milli, cost: pennypost_meter::Pico(0) }
                    .quantity(3)
            };
            row.extend(Unit::ALL.iter().map(quantity));
            let cost = Bill::of(&meter.used, prices).total().decimal(12);
            row.extend([cost, prices.currency.clone(), prices.date.clone()]);
            writer.write_record(&row).map_err(failed)?;
        }
    }
    Ok(writer.flush()?)
}
