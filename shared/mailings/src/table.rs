//! The table of a personalised mailing (PMG-04): one line with the names of its columns, and a line for each recipient. Without I/O.

use pennypost_directory::MailAddress;
use pennypost_organisation::{FileError, Sheet, read_sheets};
use pennypost_text::{Text, say};
use serde::{Deserialize, Serialize};

/// Recipients of a mailing (PMG-06).
pub const MAX_RECIPIENTS: usize = 1_000;
/// Bytes of the file of a table.
pub const MAX_TABLE: usize = 3_000_000;
/// Bytes of a workbook's parts, unpacked.
const MAX_UNPACKED: usize = 48_000_000;
/// Columns of a table.
const MAX_COLUMNS: usize = 100;
/// Characters that no name of a column may have: the table's own rule, and the marks of variables.
const SPECIAL: &[char] = &['\'', '"', '<', '>', '(', ')', '.', '[', ']', '?', '\\', '^', '{', '}', '|'];
/// Names of the column with addresses, the first of them that is there counts.
const ADDRESS: [&str; 8] =
    ["邮箱地址", "地址", "email address", "e-mail address", "mail address", "email", "e-mail", "address"];
/// Characters of what is said back of a cell.
const SHOWN: usize = 80;

/// A table that can be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipients {
    /// Names of its columns, which are the variables of a template.
    pub headings: Vec<String>,
    /// The column with the addresses.
    pub column: usize,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Row>,
}

/// A recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The line of the file on which it begins.
    pub line: u64,
    /// Its cells.
    pub cells: Vec<String>,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowProblem {
    /// It has no address.
    NoAddress,
    /// There is a blank in its address.
    Blank(String),
    /// Its address is none.
    Address(String),
    /// Merged cells touch it.
    Merged,
    /// A cell is damaged text, or a formula of which the file does not tell what it came to.
    Damaged,
    /// It has cells where no column has a name.
    Nameless,
    /// It is for somebody outside, and nothing is sent there from here.
    Outside(String),
}

/// Why a table can't be sent. Nothing goes as long as there is anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableProblem {
    /// The file is no table.
    File(FileError),
    /// The file has more than [`MAX_TABLE`].
    Large,
    /// It has no rows.
    Empty,
    /// It is a workbook with several sheets that have rows.
    Sheets(usize),
    /// It has more than [`MAX_RECIPIENTS`].
    TooMany(usize),
    /// No column is named so that it holds addresses.
    NoColumn,
    /// It has so many columns, which is too many.
    Columns(usize),
    /// A column between others has no name.
    NoHeading(usize),
    /// The name of a column has one of the special characters.
    Heading(String),
    /// Two columns have this name.
    Twice(String),
    /// Rows are wrong: each with the line on which it begins.
    Rows(Vec<(u64, RowProblem)>),
}

impl RowProblem {
    /// For people.
    #[must_use]
    pub fn message(&self, text: &Text) -> String {
        match self {
            RowProblem::NoAddress => say!(text, "mailing-row-no-address"),
            RowProblem::Blank(address) => say!(text, "mailing-row-blank", address = address),
            RowProblem::Address(address) => say!(text, "mailing-row-address", address = address),
            RowProblem::Merged => say!(text, "mailing-row-merged"),
            RowProblem::Damaged => say!(text, "mailing-row-damaged"),
            RowProblem::Nameless => say!(text, "mailing-row-nameless"),
            RowProblem::Outside(address) => say!(text, "mailing-row-outside", address = address),
        }
    }
}

impl TableProblem {
    /// For people; the file is what its owner calls it.
    #[must_use]
    pub fn message(&self, text: &Text, file: &str) -> String {
        match self {
            TableProblem::File(error) => error.message(text, file),
            TableProblem::Large => say!(text, "mailing-table-large", limit = MAX_TABLE / 1_000_000),
            TableProblem::Empty => say!(text, "mailing-table-empty"),
            TableProblem::Sheets(count) => say!(text, "mailing-table-sheets", count = *count),
            TableProblem::TooMany(count) => {
                say!(text, "mailing-table-many", count = *count, limit = MAX_RECIPIENTS)
            }
            TableProblem::NoColumn => say!(text, "mailing-table-column"),
            TableProblem::Columns(count) => {
                say!(text, "mailing-table-columns", count = *count, limit = MAX_COLUMNS)
            }
            TableProblem::NoHeading(column) => say!(text, "mailing-heading-none", column = *column),
            TableProblem::Heading(name) => say!(text, "mailing-heading-special", name = name),
            TableProblem::Twice(name) => say!(text, "mailing-heading-twice", name = name),
            TableProblem::Rows(rows) => {
                let first = rows.iter().map(|(line, problem)| say_row(*line, problem, text)).next();
                say!(text, "mailing-rows", count = rows.len(), first = first.unwrap_or_default())
            }
        }
    }
}

/// What is wrong with the row that begins on that line, for people.
#[must_use]
pub fn say_row(line: u64, problem: &RowProblem, text: &Text) -> String {
    say!(text, "mailing-row", line = line, problem = problem.message(text))
}

fn shown(cell: &str) -> String {
    cell.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

impl Recipients {
    /// Reads the table of a file.
    ///
    /// # Errors
    /// [`TableProblem`], with all rows that are wrong.
    pub fn read(file: &[u8]) -> Result<Recipients, TableProblem> {
        if file.len() > MAX_TABLE {
            return Err(TableProblem::Large);
        }
        let sheets = read_sheets(file, MAX_UNPACKED).map_err(TableProblem::File)?;
        let mut sheets: Vec<Sheet> = sheets.into_iter().filter(|sheet| !sheet.rows.is_empty()).collect();
        if sheets.len() > 1 {
            return Err(TableProblem::Sheets(sheets.len()));
        }
        Recipients::of(sheets.pop().ok_or(TableProblem::Empty)?)
    }

    fn of(sheet: Sheet) -> Result<Recipients, TableProblem> {
        let mut headings: Vec<String> = sheet.head.iter().map(|name| name.trim().to_owned()).collect();
        while headings.last().is_some_and(String::is_empty) {
            headings.pop();
        }
        if headings.len() > MAX_COLUMNS {
            return Err(TableProblem::Columns(headings.len()));
        }
        for (number, name) in headings.iter().enumerate() {
            if name.is_empty() {
                return Err(TableProblem::NoHeading(number + 1));
            }
            if name.contains(SPECIAL) || name.contains(char::is_control) || name.contains('\u{fffd}') {
                return Err(TableProblem::Heading(shown(name)));
            }
            if headings[..number].contains(name) {
                return Err(TableProblem::Twice(shown(name)));
            }
        }
        let named = |wanted: &&str| headings.iter().position(|name| name.to_lowercase() == **wanted);
        let column = ADDRESS.iter().find_map(named).ok_or(TableProblem::NoColumn)?;
        if sheet.rows.len() > MAX_RECIPIENTS {
            return Err(TableProblem::TooMany(sheet.rows.len()));
        }
        let (mut rows, mut wrong) = (Vec::with_capacity(sheet.rows.len()), Vec::new());
        for row in sheet.rows {
            let (line, is_merged, mut cells) = (row.line, row.is_merged, row.cells);
            while cells.len() > headings.len() && cells.last().is_some_and(String::is_empty) {
                cells.pop();
            }
            let problem = if is_merged {
                Some(RowProblem::Merged)
            } else if cells.len() > headings.len() {
                Some(RowProblem::Nameless)
            } else if cells.iter().any(|cell| cell.contains('\u{fffd}')) {
                Some(RowProblem::Damaged)
            } else {
                cells.resize(headings.len(), String::new());
                check_address(&cells[column]).err()
            };
            match problem {
                Some(problem) => wrong.push((line, problem)),
                None => rows.push(Row { line, cells }),
            }
        }
        if !wrong.is_empty() {
            return Err(TableProblem::Rows(wrong));
        }
        Ok(Recipients { headings, column, rows })
    }

    /// The address of a row.
    #[must_use]
    pub fn address(&self, row: usize) -> &str {
        self.rows.get(row).and_then(|row| row.cells.get(self.column)).map_or("", String::as_str)
    }
}

/// Is it an address, as it can stand in a header?
fn check_address(cell: &str) -> Result<(), RowProblem> {
    if cell.is_empty() {
        return Err(RowProblem::NoAddress);
    }
    if cell.contains(char::is_whitespace) {
        return Err(RowProblem::Blank(shown(cell)));
    }
    let wrong = || RowProblem::Address(shown(cell));
    let address = MailAddress::parse(cell).map_err(|_| wrong())?;
    let has_domain = MailAddress::domain_of(cell).is_ok() && address.domain().to_string().contains('.');
    if address.is_dot_atom() && cell.is_ascii() && has_domain { Ok(()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_text::Lang;

    fn read(text: &str) -> Result<Recipients, TableProblem> {
        Recipients::read(text.as_bytes())
    }

    #[test]
    fn the_column_with_addresses_is_found_by_its_name() {
        for (head, column) in [
            ("姓名,邮箱地址", 1),
            ("地址,姓名", 0),
            ("Name,Email", 1),
            ("Address,Email", 1),
            ("地址,邮箱地址", 1),
            ("Name,Mail Address,Note", 1),
        ] {
            let cells = vec!["a@b.example"; head.split(',').count()].join(",");
            assert_eq!(read(&format!("{head}\n{cells}\n")).expect(head).column, column, "{head}");
        }
        let headings = read("姓名（全）,邮箱地址,,\n王,w@b.example\n").expect("read").headings;
        assert_eq!(headings, ["姓名（全）", "邮箱地址"]);
    }

    #[test]
    fn tables_that_break_the_rules_are_refused() {
        let wide = format!("email{}\nx@y.example\n", ",a".repeat(MAX_COLUMNS));
        for (table, expected) in [
            ("", TableProblem::Empty),
            ("email\n", TableProblem::Empty),
            ("name\nann\n", TableProblem::NoColumn),
            (&*wide, TableProblem::Columns(MAX_COLUMNS + 1)),
            ("email,a.b\nx@y.example,1\n", TableProblem::Heading("a.b".to_owned())),
            ("email,a|b\nx@y.example,1\n", TableProblem::Heading("a|b".to_owned())),
            ("email,,b\nx@y.example,1,2\n", TableProblem::NoHeading(2)),
            ("email,a,a\nx@y.example,1,2\n", TableProblem::Twice("a".to_owned())),
        ] {
            assert_eq!(read(table), Err(expected), "{table}");
        }
        let many = format!("email\n{}", "x@y.example\n".repeat(MAX_RECIPIENTS + 1));
        assert_eq!(read(&many), Err(TableProblem::TooMany(MAX_RECIPIENTS + 1)));
    }

    #[test]
    fn every_bad_row_is_told_with_its_line() {
        let table = "email,a\nx@y.example,=1+1\n,b\na b@y.example,b\nnobody,b\nx@nowhere,b\n\"q q\"@y.example,b\n\
                     x@y.example,b,c\nok@y.example\n";
        let Err(TableProblem::Rows(rows)) = read(table) else { panic!("refused") };
        let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7, 8]);
        assert_eq!(rows[0].1, RowProblem::NoAddress);
        assert_eq!(rows[1].1, RowProblem::Blank("a b@y.example".to_owned()));
        assert_eq!(rows[2].1, RowProblem::Address("nobody".to_owned()));
        assert_eq!(rows[5].1, RowProblem::Nameless);
        for lang in [Lang::En, Lang::ZhCn] {
            let said = TableProblem::Rows(rows.clone()).message(&Text::new(lang), "a.csv");
            assert!(said.contains('6') && said.contains('3'), "{said}");
        }
        // A cell that begins as a formula is text.
        assert_eq!(read("email,a\nx@y.example,=1+1\n").expect("read").rows[0].cells[1], "=1+1");
    }
}
