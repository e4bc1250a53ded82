//! Lines of the log, each a document in JSON on standard output, from where the service takes them.

use std::io::Write;
use std::str::FromStr;

use pennypost_meter::{Counts, MILLI, Unit};
use serde::Serialize;
use serde_json::{Map, Value};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// What handlers log: from warnings on, or what `PENNYPOST_LOG` says.
pub fn start_logging() {
    let wanted = std::env::var("PENNYPOST_LOG").unwrap_or_default();
    // A function that can't read its filter must log more, not less.
    let filter = EnvFilter::try_new(if wanted.trim().is_empty() { "warn" } else { &wanted });
    let filter = filter.unwrap_or_else(|_| EnvFilter::default().add_directive(LevelFilter::INFO.into()));
    let logging = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stdout);
    // A second function in one process (tests) keeps the first one's log.
    let _ = logging.try_init();
}

/// The one line of an invocation.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a, D: Serialize> {
    pub timestamp: String,
    pub level: &'static str,
    pub message: &'static str,
    pub function: &'a str,
    pub request_id: &'a str,
    /// The first of this process.
    pub cold: bool,
    pub milliseconds: f64,
    /// What came of it.
    #[serde(flatten)]
    pub done: D,
    /// What it used, by the names of the units.
    pub units: Map<String, Value>,
}

/// Writes the line. If nobody takes it, nobody is told.
pub(crate) fn write<D: Serialize>(line: &Line<'_, D>) {
    if let Ok(text) = serde_json::to_string(line) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}

/// The units that are not zero. Thousandths of a unit stay exact as decimals.
pub(crate) fn units(counts: &Counts) -> Map<String, Value> {
    let used = Unit::ALL.into_iter().filter(|unit| counts.milli(*unit) > 0);
    used.map(|unit| (unit.name().to_owned(), decimal(counts.milli(unit)))).collect()
}

fn decimal(milli: u64) -> Value {
    if milli.is_multiple_of(MILLI) {
        return Value::from(milli / MILLI);
    }
    // Through its text, so that no digit is added.
    let text = format!("{}.{:03}", milli / MILLI, milli % MILLI);
    serde_json::Number::from_str(&text).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_written_as_decimals() {
        for (milli, text) in [(1_000, "1"), (1_500, "1.5"), (333, "0.333"), (12_000_001, "12000.001")] {
            assert_eq!(decimal(milli).to_string(), text);
        }
    }
}
