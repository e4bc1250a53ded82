//! `bench`: the load generator, for any mail server (crate `pennypost-bench`). No post office is opened.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pennypost_bench::{Figure, Measure, Report, Unit, idle, login, mailbox, mixed, pop3, smtp};

use crate::print::aligned;
use crate::text::Text;
use crate::{Failed, say};

/// What `bench` takes.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Also write the figures of all rounds to this file, as JSON.
    #[arg(long, global = true, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(subcommand)]
    command: BenchCommand,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Letters in, by SMTP or LMTP: accepted and visible a second, times of replies
    Smtp(Box<smtp::SmtpArgs>),
    /// One large mailbox: SELECT, FETCH, SEARCH, STORE, COPY, MOVE, EXPUNGE, APPEND
    Imap(Box<mailbox::MailboxArgs>),
    /// POP3 sessions that list and fetch
    Pop3(Box<pop3::Pop3Args>),
    /// Thousands of idle connections: memory, CPU in quiet, time from delivery to EXISTS
    Idle(Box<idle::IdleArgs>),
    /// Many sessions that do what mail programs do
    Mixed(Box<mixed::MixedArgs>),
    /// LOGIN, SELECT, LOGOUT as often as possible
    Login(Box<login::LoginArgs>),
}

/// Measures, and says what was found.
pub fn run(args: &BenchArgs, json: bool, text: &Text) -> Result<ExitCode, Failed> {
    // One thread: a load generator must not take the machine from the server that it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(async {
        match &args.command {
            BenchCommand::Smtp(args) => Box::pin(smtp::run(args)).await,
            BenchCommand::Imap(args) => Box::pin(mailbox::run(args)).await,
            BenchCommand::Pop3(args) => Box::pin(pop3::run(args)).await,
            BenchCommand::Idle(args) => Box::pin(idle::run(args)).await,
            BenchCommand::Mixed(args) => Box::pin(mixed::run(args)).await,
            BenchCommand::Login(args) => Box::pin(login::run(args)).await,
        }
    });
    let report =
        measured.map_err(|error| Failed::Said(say!(text, "bench-failed", cause = error.to_string())))?;
    let document = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
    if let Some(path) = &args.output {
        writeln!(File::create(path)?, "{document}")?;
    }
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{document}")?;
    } else {
        for line in table(&report, text) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(report: &Report, text: &Text) -> Vec<String> {
    let heads = vec![
        say!(text, "bench-head-operation"),
        say!(text, "bench-head-figure"),
        say!(text, "bench-head-median"),
        say!(text, "bench-head-unit"),
        say!(text, "bench-head-rounds"),
    ];
    let lines: Vec<Vec<String>> =
        std::iter::once(heads).chain(report.figures.iter().map(|figure| cells(figure, text))).collect();
    aligned(&lines)
}

fn cells(figure: &Figure, text: &Text) -> Vec<String> {
    let rounds: Vec<String> = figure.values.iter().map(|value| short(*value)).collect();
    vec![
        figure.operation.to_owned(),
        measure(figure.measure, text),
        short(figure.median()),
        unit(figure.unit, text),
        rounds.join(" "),
    ]
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn measure(measure: Measure, text: &Text) -> String {
    match measure {
        Measure::First => say!(text, "bench-first"),
        Measure::Repeated => say!(text, "bench-repeated"),
        Measure::Accepted => say!(text, "bench-accepted"),
        Measure::Visible => say!(text, "bench-visible"),
        Measure::LatencyP50 => say!(text, "bench-latency-p50"),
        Measure::LatencyP99 => say!(text, "bench-latency-p99"),
        Measure::Sessions => say!(text, "bench-sessions"),
        Measure::Operations => say!(text, "bench-operations"),
        Measure::Count => say!(text, "bench-count"),
        Measure::CpuPerMessage => say!(text, "bench-cpu-per-message"),
        Measure::CpuPerOperation => say!(text, "bench-cpu-per-operation"),
        Measure::CpuQuiet => say!(text, "bench-cpu-quiet"),
        Measure::MemoryBefore => say!(text, "bench-memory-before"),
        Measure::MemoryPeak => say!(text, "bench-memory-peak"),
        Measure::MemoryAfter => say!(text, "bench-memory-after"),
        Measure::MemoryPerConnection => say!(text, "bench-memory-per-connection"),
        Measure::GeneratorShare => say!(text, "bench-generator-share"),
    }
}

fn unit(unit: Unit, text: &Text) -> String {
    match unit {
        Unit::Milliseconds => say!(text, "bench-unit-milliseconds"),
        Unit::Seconds => say!(text, "bench-unit-seconds"),
        Unit::PerSecond => say!(text, "bench-unit-per-second"),
        Unit::Kibibytes => say!(text, "bench-unit-kibibytes"),
        Unit::Pieces => say!(text, "bench-unit-pieces"),
        Unit::Percent => say!(text, "bench-unit-percent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Lang;

    #[test]
    fn the_table_has_a_line_for_each_figure() {
        let report = Report {
            bench: "imap",
            settings: serde_json::Value::Null,
            figures: vec![
                Figure {
                    operation: "SELECT",
                    measure: Measure::First,
                    unit: Unit::Milliseconds,
                    values: vec![3.0, 1.0, 20.0],
                },
                Figure {
                    operation: "",
                    measure: Measure::MemoryPeak,
                    unit: Unit::Kibibytes,
                    values: vec![1234.5],
                },
            ],
        };
        let lines = table(&report, &Text::new(Lang::En));
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("SELECT") && lines[1].ends_with("3.00 1.00 20.0"), "{}", lines[1]);
        assert!(lines[2].contains("1234"), "{}", lines[2]);
        let chinese = table(&report, &Text::new(Lang::ZhCn));
        assert!(chinese[1].contains("首次"), "{}", chinese[1]);
    }
}
