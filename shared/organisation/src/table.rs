//! Tables as people send them: sheets of a workbook (XLSX), or CSV with commas, semicolons or tabs, in UTF-8, UTF-16 or
//! GB18030.
//!
//! Reading a table decides nothing about what is in it. A cell that a spreadsheet would calculate is kept as such, so that
//! its row can be refused by name.

use encoding_rs::{Encoding, GB18030};

use crate::{workbook, zip};

/// Bytes of a file.
pub const MAX_BYTES: u64 = 64_000_000;
/// Rows of a file.
pub const MAX_ROWS: usize = 100_000;

/// A table.
#[derive(Debug)]
pub(crate) struct Table {
    /// The sheet of a workbook that it is.
    pub sheet: Option<String>,
    /// Names of the columns, as they stand there.
    pub head: Vec<String>,
    /// Rows that are not empty.
    pub rows: Vec<Row>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its cells, trimmed.
    pub cells: Vec<String>,
    /// A cell that is merged with those of other rows or columns touches it.
    pub is_merged: bool,
}

/// What a cell with a formula is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Formulas {
    /// The formula, with a `=` in front.
    Named,
    /// What it came to when the file was written.
    Values,
}

/// Why a file is no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableError {
    /// It has more than [`MAX_BYTES`].
    Bytes,
    /// It has more than [`MAX_ROWS`].
    Rows,
    /// Its bytes are text in none of the encodings.
    Encoding,
    /// It is a workbook that cannot be read.
    Workbook,
    /// It is a workbook of more than [`MAX_SHEETS`](crate::workbook::MAX_SHEETS).
    Sheets,
    /// It is a workbook that is larger than wanted when it is unpacked.
    Unpacked,
}

/// Reads the tables of a file.
///
/// The files of a workbook may have `unpacked` bytes together when they are unpacked, and so may the texts of its cells.
pub(crate) fn read(bytes: &[u8], unpacked: usize, formulas: Formulas) -> Result<Vec<Table>, TableError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(TableError::Bytes);
    }
    if zip::is_archive(bytes) {
        return workbook::read(bytes, unpacked, formulas);
    }
    Ok(vec![parse(&decode(bytes).ok_or(TableError::Encoding)?)?])
}

/// The text of a file. What is neither UTF-8 nor UTF-16 is GB18030; a text that begins as UTF-8 and then fails is UTF-8 with
/// damage, which its rows show as U+FFFD.
fn decode(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return Some(encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned());
    }
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Some(text.to_owned()),
        Err(error) => error,
    };
    let begins_as_utf8 = bytes[..error.valid_up_to()].iter().any(|byte| !byte.is_ascii());
    if begins_as_utf8 {
        return Some(String::from_utf8_lossy(bytes).into_owned());
    }
    GB18030.decode_without_bom_handling_and_without_replacement(bytes).map(std::borrow::Cow::into_owned)
}

fn parse(text: &str) -> Result<Table, TableError> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: char| first.chars().filter(|c| *c == delimiter).count();
    let delimiter =
        [',', ';', '\t'].into_iter().max_by_key(|delimiter| (count(*delimiter), *delimiter == ','));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter.map_or(b',', |delimiter| delimiter as u8))
        .from_reader(text.as_bytes());
    let mut table = Table { sheet: None, head: Vec::new(), rows: Vec::new() };
    let mut record = csv::StringRecord::new();
    // The text is UTF-8 and in memory: nothing is left that could fail.
    while reader.read_record(&mut record).unwrap_or(false) {
        let cells: Vec<String> = record.iter().map(|cell| cell.trim().to_owned()).collect();
        if cells.iter().all(String::is_empty) {
            continue;
        }
        if table.head.is_empty() {
            table.head = cells;
            continue;
        }
        if table.rows.len() >= MAX_ROWS {
            return Err(TableError::Rows);
        }
        let line = record.position().map_or(0, csv::Position::line);
        table.rows.push(Row { line, cells, is_merged: false });
    }
    Ok(table)
}

/// Would a spreadsheet calculate this cell? Signed numbers, such as of telephones, it only shows.
pub(crate) fn is_formula(cell: &str) -> bool {
    let is_signed = cell.starts_with(['+', '-']);
    let is_number = || cell.chars().all(|c| c.is_ascii_digit() || " +-().,/#".contains(c));
    cell.starts_with(['=', '@']) || (is_signed && cell.len() > 1 && !is_number())
}

/// A cell that a spreadsheet shows and does not calculate: an apostrophe in front says so, and is taken off by [`plain`].
pub(crate) fn guarded(cell: &str) -> String {
    if cell.starts_with(['=', '@', '+', '-', '\'']) { format!("'{cell}") } else { cell.to_owned() }
}

/// A cell without the apostrophe that says that it is text.
pub(crate) fn plain(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '@', '+', '-', '\'']) => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(bytes: &[u8]) -> Vec<Vec<String>> {
        let table = parse(&decode(bytes).expect("text")).expect("table");
        std::iter::once(table.head).chain(table.rows.into_iter().map(|row| row.cells)).collect()
    }

    #[test]
    fn one_table_in_every_encoding() {
        let text = "姓名,邮箱\n王小明,wxm@acme.example\n";
        let expected = [["姓名", "邮箱"], ["王小明", "wxm@acme.example"]];
        let (gb18030, ..) = GB18030.encode(text);
        let utf16 = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(bytes).collect()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            gb18030.into_owned(),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            text.replace(',', ";").into_bytes(),
            text.replace(',', "\t").replace('\n', "\r\n").into_bytes(),
            format!("\n\n{}\n,\n", text.replace('\n', "\n\n")).into_bytes(),
        ] {
            assert_eq!(cells(&bytes), expected, "{bytes:?}");
        }
        let rare = "姓名\n\u{20000}㐂\n";
        assert_eq!(cells(&GB18030.encode(rare).0), [["姓名"], ["\u{20000}㐂"]]);
    }

    #[test]
    fn damage_is_shown_or_refused() {
        let broken =
            cells("姓名\n王\n".as_bytes().iter().chain(b"\xff\n").copied().collect::<Vec<_>>().as_slice());
        assert_eq!(broken, [["姓名"], ["王"], ["\u{fffd}"]]);
        assert!(decode(b"name\n\xff\xff\n").is_none());
        assert!(parse("").expect("table").head.is_empty());
        let lines = parse("a\n\"x\ny\"\nz\n").expect("table").rows;
        assert_eq!(lines.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4]);
        let many = format!("a\n{}", "x\n".repeat(MAX_ROWS + 1));
        assert!(matches!(parse(&many), Err(TableError::Rows)));
    }

    #[test]
    fn what_is_calculated_is_told_from_what_is_shown() {
        for formula in ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+A3"] {
            assert!(is_formula(formula), "{formula}");
            assert!(!is_formula(&guarded(formula)));
            assert_eq!(plain(&guarded(formula)), formula);
        }
        for shown in ["", "-", "+86 10 1234-5678", "O'Neil", "'quoted'", "a=b", "-5"] {
            assert!(!is_formula(shown), "{shown}");
            assert_eq!(plain(&guarded(shown)), shown);
        }
    }
}
