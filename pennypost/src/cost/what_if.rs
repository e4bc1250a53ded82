//! `cost what-if`: a month's bill for a load that one thinks of.
//!
//! Units of a letter come from the table that `tests/cloud/cost` has measured (`measured.toml` beside this file): at
//! batches of 30 and of 2, for one and for three recipients. Between and beyond them: what a batch costs is shared by
//! its letters, and each further recipient costs what the second and third did. Requests to queues follow from the
//! letter's size by the service's rule, storage from how long letters are kept, what runs always from the template.
//! Integers throughout; a month has 30 days and 730 hours.

use std::collections::BTreeMap;
use std::io::Write;

use clap::{Args, ValueEnum};
use pennypost_backend_aws::queue::body::encoded_len;
use pennypost_bench::corpus::Size;
use pennypost_meter::{Bill, Item, MILLI, PriceTable, Unit, rules};
use serde::Deserialize;
use serde_json::json;

use crate::text::Text;
use crate::{Failed, say};

/// What was measured.
const MEASURED: &str = include_str!("measured.toml");
const DAYS: u64 = 30;
const HOURS: u64 = 730;
/// Seconds for which letters are gathered for a batch, and how much busier than the mean the busy hours are.
const WINDOW_SECONDS: u64 = 1;
const BUSY: u64 = 3;
/// The batches of the measured table, and the largest.
const LARGE: u64 = 30;
const SMALL: u64 = 2;
/// Messages of one call to a queue.
const CALL: u64 = 10;
/// A function with so many megabytes has one virtual processor.
const PROCESSOR_MEGABYTES: u64 = 1_769;
/// Megabyte-milliseconds that a batch waits for services: 55 ms of 512 MB (see `cost run`).
const WAITING: u64 = 55 * 512;
const LOG_LINES: u64 = 900;
/// The service asks an empty queue by five pollers that wait 20 seconds each; two queues are asked.
const POLLS: u64 = 2 * 5 * HOURS * 3600 / 20;
/// Bytes of a list page on the wire.
const PAGE_BYTES: u64 = 25_000;
/// Calls of functions by the clock, each 15 minutes.
const TICKS: u64 = 4 * HOURS;

/// What `cost what-if` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  pennypost cost what-if --messages-per-day 100000 --users 2000 --tenants 20
  pennypost cost what-if --messages-per-day 1000 --users 50 --adapter single --json")]
pub struct WhatIfArgs {
    /// Messages that come in, a day.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub messages_per_day: u64,
    /// Recipients of each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub recipients: u64,
    /// Bytes of each: 1k to 65536k.
    #[arg(long, default_value = "10k")]
    pub size: Size,
    /// Tenants.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub tenants: u64,
    /// Users of all tenants.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub users: u64,
    /// How often a user's mail program signs in, selects the Inbox and shows a page, a day.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub visits: u64,
    /// Letters of a hundred whose bytes are fetched.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    pub fetched: u64,
    /// Months that letters are kept: so many months' letters are stored.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(0..=1_200))]
    pub months_kept: u64,
    /// Letters of a batch [default: what comes in a second of the busy hours].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=30))]
    pub batch: Option<u64>,
    /// What serves mail programs.
    #[arg(long, value_enum, default_value_t = Adapter::Balanced)]
    pub adapter: Adapter,
}

/// The adapter of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Adapter {
    /// Two tasks behind a load balancer.
    Balanced,
    /// One task with an address of its own.
    Single,
    /// None: functions alone.
    None,
}

#[derive(Deserialize)]
struct Measured {
    letters: u64,
    /// Of all letters, as they came.
    bytes: u64,
    /// Of all their events.
    events: u64,
    run: Vec<Run>,
    visit: BTreeMap<String, u64>,
    letter: BTreeMap<String, u64>,
}

/// A run of the table: thousandths of units, and bytes that stay, in all.
#[derive(Deserialize)]
struct Run {
    recipients: u64,
    batch: u64,
    processor_micros: u64,
    journal_bytes: u64,
    log_bytes: u64,
    object_bytes: u64,
    units: BTreeMap<String, u64>,
}

/// The three runs that everything follows from.
struct Model<'a> {
    of: &'a Measured,
    base: &'a Run,
    small: &'a Run,
    three: &'a Run,
    /// Letters of a batch.
    batch: u64,
    recipients: u64,
}

impl Model<'_> {
    /// What so many letters use of what three runs used.
    fn scaled(&self, of: impl Fn(&Run) -> u64, letters: u128) -> u128 {
        let [base, small, three] = [self.base, self.small, self.three].map(|run| i128::from(of(run)));
        let (batch, large, least) = (i128::from(self.batch), i128::from(LARGE), i128::from(SMALL));
        // c + f / batch through both points: (1/b - 1/30) / (1/2 - 1/30).
        let by_batch = (small - base) * (large - batch) * least / ((large - least) * batch);
        let by_recipient = (three - base) * (i128::from(self.recipients) - 1) / 2;
        let in_all = u128::try_from(base + by_batch + by_recipient).unwrap_or(0);
        in_all.saturating_mul(letters) / u128::from(self.of.letters.max(1))
    }
}

fn unit_of(run: &Run, unit: Unit) -> u64 {
    run.units.get(unit.name()).copied().unwrap_or(0)
}

/// Prints the bill.
pub(super) fn show(
    load: &WhatIfArgs,
    prices: &PriceTable,
    json: bool,
    text: &Text,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    let measured: Measured = toml::from_str(MEASURED)
        .map_err(|error| Failed::Said(say!(text, "cost-measured", cause = error.to_string())))?;
    let missing = || Failed::Said(say!(text, "cost-measured", cause = "a run is missing"));
    let batch = load.batch.unwrap_or_else(|| batch_of(load.messages_per_day));
    let (items, size) = items(load, &measured, batch).ok_or_else(missing)?;
    let bill = Bill::of_items(items, prices);
    let letters = load.messages_per_day * DAYS;
    let (each, user) = (
        bill.total().per_million(load.tenants.saturating_mul(1_000_000)),
        bill.total().per_million(load.users.saturating_mul(1_000_000)),
    );
    if json {
        let lines: Vec<_> = bill
            .lines()
            .iter()
            .map(|line| json!({ "item": line.item.name(), "quantity": line.quantity(3), "cost": line.cost.decimal(12) }))
            .collect();
        let document = json!({
            "region": prices.region,
            "currency": prices.currency,
            "prices": prices.date,
            "messages": letters,
            "batch": batch,
            "lines": lines,
            "cost": bill.total().decimal(12),
            "per_million_letters": bill.per_million(letters).decimal(6),
            "per_tenant": each.decimal(6),
            "per_user": user.decimal(6),
        });
        return Ok(writeln!(out, "{document:#}")?);
    }
    let (region, date) = (prices.region.as_str(), prices.date.as_str());
    let (messages, recipients, users, tenants) =
        (load.messages_per_day, load.recipients, load.users, load.tenants);
    writeln!(
        out,
        "{}",
        say!(
            text,
            "cost-what-if",
            messages = messages,
            recipients = recipients,
            size = size,
            users = users,
            tenants = tenants,
            region = region,
            date = date
        )
    )?;
    writeln!(out)?;
    super::write_table(&super::bill_table(&bill, letters, prices, text), out)?;
    let (cost, user, currency) = (each.to_string(), user.to_string(), prices.currency.as_str());
    writeln!(out, "{}", say!(text, "cost-tenant-each", cost = cost, user = user, currency = currency))?;
    Ok(())
}

/// Letters of a batch when so many come in a day: those that are gathered with the first one.
fn batch_of(messages_per_day: u64) -> u64 {
    (1 + messages_per_day.saturating_mul(BUSY * WINDOW_SECONDS) / 86_400).min(LARGE)
}

/// All items of a month, and the size of a letter. `None` if the table lacks a run.
fn items(load: &WhatIfArgs, measured: &Measured, batch: u64) -> Option<(Vec<(Item, u128)>, u64)> {
    let run = |recipients, batch| {
        measured.run.iter().find(|run| run.recipients == recipients && run.batch == batch)
    };
    let (base, small, three) = (run(1, LARGE)?, run(1, SMALL)?, run(3, LARGE)?);
    let model = Model { of: measured, base, small, three, batch, recipients: load.recipients };
    let mean = measured.bytes / measured.letters.max(1);
    let size = match load.size {
        Size::Octets(octets) => octets as u64,
        Size::Mix => mean,
    };
    let letters = u128::from(load.messages_per_day) * u128::from(DAYS);
    let deliveries = letters * u128::from(load.recipients);
    let mut items: Vec<(Item, u128)> = Vec::new();
    let measured_by_letter = [
        Unit::JournalWrite,
        Unit::JournalRead,
        Unit::ControlWrite,
        Unit::ControlRead,
        Unit::LogWrite,
        Unit::LogRead,
        Unit::ObjectWrite,
        Unit::ObjectList,
        Unit::ObjectRead,
    ];
    for unit in measured_by_letter {
        items.push((Item::Used(unit), model.scaled(|run| unit_of(run, unit), letters)));
    }
    // Letters: sent, received and deleted; then housekeeping's own events, as measured.
    let overhead = (measured.events / measured.letters.max(1)).min(600);
    let packed = (measured.events / measured.letters.max(1) - overhead) * size / mean.max(1);
    let text = encoded_len(usize::try_from(overhead + packed).unwrap_or(usize::MAX)) as u64;
    let call = batch.min(CALL);
    let requests = 2 * rules::request(call * text.min(256 * 1024)) + rules::request(0);
    let requests = letters * u128::from(requests) / u128::from(call) + u128::from(POLLS * MILLI);
    items.push((Item::Used(Unit::QueueRequest), requests));
    items.push((Item::QueueGroup, requests));
    let invocations = letters.div_ceil(u128::from(batch)) + u128::from(TICKS);
    items.push((Item::Used(Unit::Invocation), invocations * u128::from(MILLI)));
    items.push((Item::ScheduledCall, u128::from(TICKS * MILLI)));
    let processor = model.scaled(|run| run.processor_micros * measured.letters, letters);
    let time = processor * u128::from(PROCESSOR_MEGABYTES) + invocations * u128::from(WAITING * MILLI);
    items.push((Item::Used(Unit::MegabyteMillis), time));
    items.push((Item::LogLines, invocations * u128::from(LOG_LINES * MILLI)));
    // What stays.
    let kept = letters * u128::from(load.months_kept);
    let journal = model.scaled(|run| run.journal_bytes, kept) * u128::from(MILLI);
    let objects = model.scaled(|run| run.object_bytes, kept) * u128::from(size) / u128::from(mean.max(1));
    items.push((Item::ObjectStorage, objects * u128::from(MILLI)));
    // Traces are kept for a month and a half at most.
    let log = model.scaled(|run| run.log_bytes, letters.min(kept)) * u128::from(MILLI);
    items.push((Item::TableStorage, journal + log));
    items.push((Item::TableBackup, journal));
    // Who reads.
    let visits = u128::from(load.users) * u128::from(load.visits) * u128::from(DAYS);
    let fetched = deliveries * u128::from(load.fetched) / 100;
    for (units, times) in [(&measured.visit, visits), (&measured.letter, fetched)] {
        for (name, milli) in units {
            if let Some(item) = Item::named(name) {
                items.push((item, u128::from(*milli) * times));
            }
        }
    }
    let out = fetched * u128::from(size) + visits * u128::from(PAGE_BYTES);
    items.push((Item::Used(Unit::BytesOut), out * u128::from(MILLI)));
    always(load.adapter, letters * u128::from(size) + out, &mut items);
    Some((items, size))
}

/// What runs always, and the traffic through it.
fn always(adapter: Adapter, bytes: u128, items: &mut Vec<(Item, u128)>) {
    let (tasks, addresses, alarms) = match adapter {
        Adapter::Balanced => (2, 4, 23),
        Adapter::Single => (1, 1, 22),
        Adapter::None => (0, 0, 20),
    };
    let hours = u128::from(HOURS * MILLI);
    // A quarter of a processor and 1 GB each.
    items.push((Item::AdapterProcessor, hours * tasks / 4));
    items.push((Item::AdapterMemory, hours * tasks));
    items.push((Item::Address, hours * addresses));
    items.push((Item::Alarm, u128::from(MILLI) * alarms));
    if adapter == Adapter::Balanced {
        items.push((Item::Balancer, hours));
        items.push((Item::BalancerTraffic, bytes * u128::from(MILLI)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(change: impl FnOnce(&mut WhatIfArgs)) -> Bill {
        let mut load = WhatIfArgs {
            messages_per_day: 1_000_000,
            recipients: 1,
            size: Size::Octets(10 * 1024),
            tenants: 1,
            users: 1,
            visits: 0,
            fetched: 0,
            months_kept: 0,
            batch: Some(30),
            adapter: Adapter::None,
        };
        change(&mut load);
        let measured: Measured = toml::from_str(MEASURED).expect("the measured table");
        let batch = load.batch.unwrap_or_else(|| batch_of(load.messages_per_day));
        let (items, _) = items(&load, &measured, batch).expect("all runs");
        Bill::of_items(items, &PriceTable::built_in("us-east-1").expect("prices"))
    }

    fn quantity(bill: &Bill, unit: Unit) -> u128 {
        bill.lines().iter().find(|line| line.item == Item::Used(unit)).map_or(0, |line| line.milli)
    }

    #[test]
    fn the_measured_points_come_out_as_they_were_measured() {
        let measured: Measured = toml::from_str(MEASURED).expect("the measured table");
        for run in &measured.run {
            let bill = bill(|load| {
                load.recipients = run.recipients;
                load.batch = Some(run.batch);
            });
            if (run.recipients, run.batch) == (3, SMALL) {
                // Not one of the three points: what it says is near.
                continue;
            }
            for unit in [Unit::JournalWrite, Unit::LogWrite, Unit::ObjectWrite] {
                let wanted = u128::from(unit_of(run, unit)) * 30_000_000 / u128::from(measured.letters);
                assert_eq!(quantity(&bill, unit), wanted, "{} at {}", unit.name(), run.batch);
            }
        }
    }

    #[test]
    fn more_costs_more() {
        let total = |change: fn(&mut WhatIfArgs)| bill(change).total();
        let base = total(|_| {});
        assert!(total(|load| load.recipients = 2) > base);
        assert!(total(|load| load.size = Size::Octets(100_000)) > base);
        assert!(total(|load| load.visits = 10) > base);
        assert!(total(|load| load.fetched = 10) > base);
        assert!(total(|load| load.months_kept = 1) > base);
        assert!(total(|load| load.batch = Some(10)) > base);
        assert!(total(|load| load.adapter = Adapter::Single) > base);
        assert!(
            total(|load| load.adapter = Adapter::Balanced) > total(|load| load.adapter = Adapter::Single)
        );
    }

    #[test]
    fn batches_grow_with_the_load() {
        assert_eq!([1, 10_000, 100_000, 10_000_000].map(batch_of), [1, 1, 4, 30]);
    }
}
