//! `cost`: what letters and calls cost in the cloud: of a measured run, of a period by tenant, of a load that one thinks of.
//!
//! Quantities are counted, prices come from a table with a date ([`pennypost_meter::PriceTable`]). Nothing here changes
//! a post office.

mod calls;
mod letters;
mod outbound;
mod page;
mod run;
mod scene;
mod tenants;
mod what_if;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pennypost_meter::{Bill, Counts, PriceTable};
use serde_json::{Value, json};

use crate::backend::Kind;
use crate::office::Office;
use crate::print::aligned;
use crate::text::Text;
use crate::{Failed, say};

/// What `cost` takes.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  pennypost cost                                          the last 30 days, by tenant
  pennypost cost --from 2026-11-01 --to 2026-11-30 --csv
  pennypost cost what-if --messages-per-day 100000 --users 2000
What is told of a period is rolled up from the log: as long as traces are kept."
)]
pub struct CostArgs {
    #[command(subcommand)]
    command: Option<CostCommand>,
    #[command(flatten)]
    period: tenants::PeriodArgs,
    #[command(flatten)]
    prices: PriceArgs,
}

/// Where prices come from.
#[derive(Debug, Clone, Args)]
pub struct PriceArgs {
    /// The region whose prices are taken.
    #[arg(long, global = true, default_value = "us-east-1", value_name = "REGION")]
    region: String,
    /// A price table of one's own (TOML, as shared/meter/prices/us-east-1.toml).
    #[arg(long, global = true, value_name = "FILE")]
    prices: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum CostCommand {
    /// Deliver letters through the real handlers, count every call, and price it
    Run(run::RunArgs),
    /// A month's bill for a load that one thinks of, from what was measured
    WhatIf(what_if::WhatIfArgs),
    /// Open a mailbox and show a list page over IMAP, count every call, and price it
    Page(page::PageArgs),
    /// Look addresses up, sign in and administer, count every call, and price it
    Calls(calls::CallsArgs),
    /// Send letters to other servers, count every call of each step, and price it
    Outbound(outbound::OutboundArgs),
}

impl PriceArgs {
    fn table(&self, text: &Text) -> Result<PriceTable, Failed> {
        let table = match &self.prices {
            Some(file) => PriceTable::parse(&std::fs::read_to_string(file)?),
            None => PriceTable::built_in(&self.region),
        };
        table.map_err(|error| Failed::Said(say!(text, "cost-prices", cause = error.to_string())))
    }
}

impl CostArgs {
    /// Is it about no post office in particular?
    pub(crate) const fn needs_no_office(&self) -> bool {
        self.command.is_some()
    }
}

/// Does what needs no post office.
pub(crate) async fn run(args: &CostArgs, kind: Kind, json: bool, text: &Text) -> Result<ExitCode, Failed> {
    let prices = args.prices.table(text)?;
    let mut out = io::stdout().lock();
    match &args.command {
        Some(CostCommand::Run(run)) => {
            let measured = Box::pin(run::measure(run, kind)).await?;
            let bill = measured.bill(&prices);
            if json {
                writeln!(out, "{:#}", document(&measured, &bill, &prices))?;
            } else {
                write_table(&bill_table(&bill, measured.args.letters, &prices, text), &mut out)?;
            }
        }
        Some(CostCommand::Page(page)) => {
            write_steps(Box::pin(page::measure(page, kind)).await?, &prices, json, &mut out)?;
        }
        Some(CostCommand::Calls(calls)) => {
            write_steps(Box::pin(calls::measure(calls, kind)).await?, &prices, json, &mut out)?;
        }
        Some(CostCommand::Outbound(outbound)) => {
            write_steps(Box::pin(outbound::measure(outbound, kind)).await?, &prices, json, &mut out)?;
        }
        Some(CostCommand::WhatIf(load)) => what_if::show(load, &prices, json, text, &mut out)?,
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// What each step took.
fn write_steps(
    steps: Vec<(&'static str, Counts)>,
    prices: &PriceTable,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failed> {
    for (name, counts) in steps {
        if json {
            let cost = Bill::of(&counts, prices).per_million(1).decimal(6);
            writeln!(out, "{}", json!({ "step": name, "units": units(&counts), "per_million": cost }))?;
        } else {
            writeln!(out, "{name}: {counts}")?;
        }
    }
    Ok(())
}

/// Tells of a period of a post office.
pub(crate) async fn period(office: &Office, args: &CostArgs, json: bool, text: &Text) -> Result<(), Failed> {
    let prices = args.prices.table(text)?;
    tenants::show(office, &args.period, &prices, json, text, &mut io::stdout().lock()).await
}

/// Counts by their names, as decimals.
fn units(counts: &Counts) -> Value {
    let units = counts.used().map(|(unit, milli)| {
        let line = pennypost_meter::Line {
            item: pennypost_meter::Item::Used(unit),
            milli: u128::from(milli),
            cost: pennypost_meter::Pico(0),
        };
        (unit.name().to_owned(), Value::from(line.quantity(3)))
    });
    Value::Object(units.collect())
}

fn document(measured: &run::Measured, bill: &Bill, prices: &PriceTable) -> Value {
    let letters = measured.args.letters;
    let lines: Vec<Value> = bill
        .lines()
        .iter()
        .map(|line| {
            json!({
                "item": line.item.name(),
                "quantity": line.quantity(3),
                "cost": line.cost.decimal(12),
                "per_million_letters": line.cost.per_million(letters).decimal(6),
            })
        })
        .collect();
    let per_delivery = |unit| format!("{:.6}", measured.per_delivery(unit) as f64 / 1e6);
    let work: serde_json::Map<String, Value> =
        measured.by_work().into_iter().map(|(work, counts)| (work.to_owned(), units(&counts))).collect();
    json!({
        "region": prices.region,
        "currency": prices.currency,
        "prices": prices.date,
        "letters": letters,
        "recipients": measured.args.recipients,
        "deliveries": measured.deliveries,
        "size": measured.args.size.to_string(),
        "batch": measured.args.batch,
        "fused": !measured.args.unfused,
        "units": work,
        "per_delivery": {
            "journal-write": per_delivery(pennypost_meter::Unit::JournalWrite),
            "journal-read": per_delivery(pennypost_meter::Unit::JournalRead),
            "log-write": per_delivery(pennypost_meter::Unit::LogWrite),
            "object-write": per_delivery(pennypost_meter::Unit::ObjectWrite),
            "object-list": per_delivery(pennypost_meter::Unit::ObjectList),
            "object-read": per_delivery(pennypost_meter::Unit::ObjectRead),
            "queue-request": per_delivery(pennypost_meter::Unit::QueueRequest),
        },
        "processor_micros_per_letter": measured.processor.as_micros() as u64,
        "invocations": measured.invocations,
        "stays": {
            "journal": measured.stays.journal,
            "log": measured.stays.log,
            "objects": measured.stays.objects,
        },
        "raw": measured.raw,
        "events": measured.events,
        "lines": lines,
        "cost": bill.total().decimal(12),
        "per_million_letters": bill.per_million(letters).decimal(6),
    })
}

/// The lines of a bill for so many letters.
fn bill_table(bill: &Bill, letters: u64, prices: &PriceTable, text: &Text) -> Vec<Vec<String>> {
    let mut lines = vec![vec![
        say!(text, "cost-head-item"),
        say!(text, "cost-head-quantity"),
        say!(text, "cost-head-cost", currency = prices.currency.as_str()),
        say!(text, "cost-head-per-million", currency = prices.currency.as_str()),
    ]];
    for line in bill.lines() {
        let (cost, each) = (line.cost.to_string(), line.cost.per_million(letters).decimal(6));
        lines.push(vec![line.item.name().to_owned(), line.quantity(3), cost, each]);
    }
    let (cost, each) = (bill.total().to_string(), bill.per_million(letters).decimal(6));
    lines.push(vec![say!(text, "cost-total"), String::new(), cost, each]);
    lines
}

fn write_table(lines: &[Vec<String>], out: &mut dyn Write) -> Result<(), Failed> {
    for line in aligned(lines) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}
