//! Counting while several connections work at once.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::report::{Measure, Report, Unit};
use crate::stats::{milliseconds, percentile};

/// Times of replies, by operation.
#[derive(Debug, Default)]
pub(crate) struct Times(BTreeMap<&'static str, Vec<f64>>);

impl Times {
    pub(crate) fn add(&mut self, operation: &'static str, taken: Duration) {
        self.0.entry(operation).or_default().push(milliseconds(taken));
    }

    pub(crate) fn take(&mut self, other: Times) {
        for (operation, times) in other.0 {
            self.0.entry(operation).or_default().extend(times);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Median and p99 of each operation into the report.
    pub(crate) fn report(&self, report: &mut Report) {
        for (operation, times) in &self.0 {
            report.add(operation, Measure::LatencyP50, Unit::Milliseconds, percentile(times, 50.0));
            report.add(operation, Measure::LatencyP99, Unit::Milliseconds, percentile(times, 99.0));
        }
    }

    /// How often each operation was done, into the report.
    pub(crate) fn report_counts(&self, report: &mut Report) {
        for (operation, times) in &self.0 {
            report.add(operation, Measure::Count, Unit::Pieces, times.len() as f64);
        }
    }
}
