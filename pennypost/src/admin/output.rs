//! Printing: a sentence or a table for people, JSON for programs.

use std::io::Write;

use serde_json::Value;

use crate::admin::{AdminContext, AdminError};
use crate::print::aligned;
use crate::say;

impl AdminContext<'_> {
    /// Prints a result: the sentence, or the document with `--json`.
    pub(crate) fn print(&self, sentence: &str, document: &Value) -> Result<(), AdminError> {
        if self.json { self.line(&document.to_string()) } else { self.line(sentence) }
    }

    /// Prints a line.
    pub(crate) fn line(&self, line: &str) -> Result<(), AdminError> {
        let mut output = self.output.lock();
        writeln!(output, "{line}")?;
        Ok(output.flush()?)
    }

    /// Prints a row of CSV.
    pub(crate) fn csv_row(&self, fields: &[&str]) -> Result<(), AdminError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let written = writer.write_record(fields).map_err(std::io::Error::from);
        written?;
        let bytes = writer.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
        self.line(String::from_utf8_lossy(&bytes).trim_end_matches('\n'))
    }

    /// Prints a remark for people to standard error.
    pub(crate) fn remark(&self, line: &str) -> Result<(), AdminError> {
        Ok(writeln!(self.errors.lock(), "{line}")?)
    }

    /// Prints an error to standard error.
    pub(crate) fn complain(&self, line: &str) -> Result<(), AdminError> {
        Ok(writeln!(self.errors.lock(), "{}", say!(self.text, "error-line", message = line))?)
    }
}

/// A list that is printed as it comes: with `--json` a line for each row at once, else a table, whose columns
/// are as wide as the rows of one page need.
pub(crate) struct Table<'a, 'b> {
    context: &'a AdminContext<'b>,
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
    has_printed: bool,
}

/// Rows after which a table is printed and the next one begins.
const PAGE: usize = 1_000;

impl<'a, 'b> Table<'a, 'b> {
    pub(crate) fn new(context: &'a AdminContext<'b>, heads: Vec<String>) -> Table<'a, 'b> {
        Table { context, heads, rows: Vec::new(), has_printed: false }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>, document: &Value) -> Result<(), AdminError> {
        if self.context.json {
            self.has_printed = true;
            return self.context.line(&document.to_string());
        }
        self.rows.push(cells);
        if self.rows.len() >= PAGE { self.print() } else { Ok(()) }
    }

    /// Prints what is left; `nothing` if there was no row at all.
    pub(crate) fn finish(mut self, nothing: &str) -> Result<(), AdminError> {
        if !self.rows.is_empty() {
            return self.print();
        }
        if self.has_printed || self.context.json { Ok(()) } else { self.context.line(nothing) }
    }

    fn print(&mut self) -> Result<(), AdminError> {
        let rows = std::mem::take(&mut self.rows);
        let lines: Vec<&Vec<String>> = if self.has_printed {
            rows.iter().collect()
        } else {
            std::iter::once(&self.heads).chain(&rows).collect()
        };
        for line in aligned(&lines) {
            self.context.line(&line)?;
        }
        self.has_printed = true;
        Ok(())
    }
}
