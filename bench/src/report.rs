//! What a measurement found: named figures, each with the values of all rounds.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use serde_json::Value;

use crate::stats::median;

/// What a figure says. The identifier in JSON is its name in `snake_case`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The first time in a new session.
    First,
    /// Again in the same session, with nothing changed but by the operation itself.
    Repeated,
    /// Messages that the server took over, a second.
    Accepted,
    /// Copies of messages that mail programs can see, a second, until the last one is there.
    Visible,
    /// Times of one reply: half are shorter.
    LatencyP50,
    /// Times of one reply: 99 of 100 are shorter.
    LatencyP99,
    /// Sessions from connecting to the farewell, a second.
    Sessions,
    /// Operations, a second.
    Operations,
    /// How many there were.
    Count,
    /// Server CPU time, a message.
    CpuPerMessage,
    /// Server CPU time, an operation or session.
    CpuPerOperation,
    /// Server CPU time while nothing happened.
    CpuQuiet,
    /// Proportional memory (PSS) of the server before the load.
    MemoryBefore,
    /// The most that was seen.
    MemoryPeak,
    /// After it.
    MemoryAfter,
    /// What one connection adds.
    MemoryPerConnection,
    /// CPU time of this program, as a share of one processor.
    GeneratorShare,
}

/// Of what a figure's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Thousandths of a second.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// How many in a second.
    PerSecond,
    /// 1,024 octets.
    Kibibytes,
    /// A number of things.
    Pieces,
    /// Of 100.
    Percent,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The operation in the protocol's words, where a report has several.
    pub operation: &'static str,
    /// What is said of it.
    pub measure: Measure,
    /// Unit of the values.
    pub unit: Unit,
    /// One value for each round, in their order.
    pub values: Vec<f64>,
}

impl Figure {
    /// The median of the rounds.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&self.values)
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut figure = serializer.serialize_struct("Figure", 5)?;
        figure.serialize_field("operation", self.operation)?;
        figure.serialize_field("measure", &self.measure)?;
        figure.serialize_field("unit", &self.unit)?;
        figure.serialize_field("median", &self.median())?;
        figure.serialize_field("rounds", &self.values)?;
        figure.end()
    }
}

/// All figures of one run, and how it was made.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Which measurement.
    pub bench: &'static str,
    /// What was asked for (no password).
    pub settings: Value,
    /// In the order of measuring.
    pub figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(bench: &'static str, settings: Value) -> Report {
        Report { bench, settings, figures: Vec::new() }
    }

    /// Adds a value to the figure, which begins with it if need be.
    pub(crate) fn add(&mut self, operation: &'static str, measure: Measure, unit: Unit, value: f64) {
        let known = |figure: &&mut Figure| figure.operation == operation && figure.measure == measure;
        match self.figures.iter_mut().find(known) {
            Some(figure) => figure.values.push(value),
            None => self.figures.push(Figure { operation, measure, unit, values: vec![value] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_gather_in_one_figure() {
        let mut report = Report::new("smtp", Value::Null);
        for value in [5.0, 1.0, 3.0] {
            report.add("", Measure::Accepted, Unit::PerSecond, value);
        }
        report.add("SELECT", Measure::First, Unit::Milliseconds, 2.0);
        let json = serde_json::to_value(&report).expect("json");
        assert_eq!(json["figures"][0]["median"], 3.0);
        assert_eq!(json["figures"][0]["rounds"], serde_json::json!([5.0, 1.0, 3.0]));
        assert_eq!(json["figures"][1]["measure"], "first");
    }
}
