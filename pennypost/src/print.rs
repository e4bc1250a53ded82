//! Printing of the commands that work on mail: sentences and tables for people, JSON for programs.
//!
//! What comes from mail (subjects, names, folder names) may hold anything, escape sequences of terminals
//! included: [`clean`] takes control characters out before a person sees it. JSON escapes them by itself.

use std::io::{self, Write};

use pennypost_model::Timestamp;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::say;
use crate::text::Text;

/// Where a command's result goes, and in which form.
pub(crate) struct Output<'a> {
    pub(crate) json: bool,
    out: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, json: bool) -> Output<'a> {
        Output { json, out }
    }

    pub(crate) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// The sentence, or the document with `--json`.
    pub(crate) fn result(&mut self, sentence: &str, document: &Value) -> io::Result<()> {
        if self.json { self.line(&document.to_string()) } else { self.line(sentence) }
    }

    /// The rows as a table below `heads`, or a line of JSON for each; `nothing` if there is none.
    pub(crate) fn table(
        &mut self,
        heads: Vec<String>,
        rows: Vec<(Vec<String>, Value)>,
        nothing: &str,
    ) -> io::Result<()> {
        if self.json {
            return rows.iter().try_for_each(|(_, document)| self.line(&document.to_string()));
        }
        if rows.is_empty() {
            return self.line(nothing);
        }
        let lines: Vec<Vec<String>> =
            std::iter::once(heads).chain(rows.into_iter().map(|(cells, _)| cells)).collect();
        aligned(&lines).iter().try_for_each(|line| self.line(line))
    }
}

/// Says on standard error what went wrong. If nobody reads there, nobody is told.
pub fn complain(text: &Text, message: &str) {
    let _ = writeln!(io::stderr(), "{}", say!(text, "error-line", message = message));
}

/// Lines whose columns are as wide as the widest cell in them.
pub(crate) fn aligned<L: AsRef<[String]>>(lines: &[L]) -> Vec<String> {
    let columns = lines.iter().map(|line| line.as_ref().len()).max().unwrap_or_default();
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.as_ref().get(column)).map(|cell| cell.width()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let aligned = |line: &L| {
        let cells = line.as_ref().iter().zip(&widths);
        let padded = cells.map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.width())));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(aligned).collect()
}

/// The text without control characters, also those that turn the direction of writing around.
pub(crate) fn clean(text: &str) -> String {
    let is_direction = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || is_direction(c) { '\u{fffd}' } else { c }).collect()
}

/// The text, clean and cut to so many columns of a terminal.
pub(crate) fn fitting(text: &str, columns: usize) -> String {
    let text = clean(text);
    if text.width() <= columns {
        return text;
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or_default();
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// The time to the second, UTC: `2026-11-20 08:15:30`.
pub(crate) fn time(time: Timestamp) -> String {
    time.rfc3339().replace('T', " ").chars().take(19).collect()
}

/// Bytes as a person reads them: `9`, `12.3K`, `4.5M`.
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1_000 {
        return bytes.to_string();
    }
    let mut tenths = bytes / 100;
    for unit in ["K", "M", "G"] {
        if tenths < 10_000 {
            return format!("{}.{}{unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1_000;
    }
    format!("{}.{}T", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_mail_cannot_steer_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
        assert_eq!(fitting("abcdef", 6), "abcdef");
        assert_eq!(fitting("abcdefg", 6), "abcde…");
        assert_eq!(fitting("企业邮局系统", 6), "企业…");
    }

    #[test]
    fn sizes_and_times_are_short() {
        for (bytes, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0K"),
            (999_999, "999.9K"),
            (1_234_567, "1.2M"),
            (10_000_000_000, "10.0G"),
            (2_500_000_000_000, "2.5T"),
        ] {
            assert_eq!(size(bytes), shown);
        }
        assert_eq!(time(Timestamp(951_782_400_000)), "2000-02-29 00:00:00");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let line = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let lines = aligned(&[line(["a", "b"]), line(["邮局", "x"])]);
        assert_eq!(lines, ["a     b", "邮局  x"]);
    }
}
