//! Tables of any columns, as what their cells show: for whoever sends a letter for each row.

use crate::reason::FileError;
use crate::table::{self, Formulas};

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sheet {
    /// The sheet of a workbook that it is.
    pub name: Option<String>,
    /// Names of its columns, as they stand there.
    pub head: Vec<String>,
    /// Its rows that are not empty.
    pub rows: Vec<SheetRow>,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SheetRow {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its cells, trimmed. One with a formula is what that came to; U+FFFD where the file does not tell.
    pub cells: Vec<String>,
    /// A cell that is merged with those of other rows or columns touches it.
    pub is_merged: bool,
}

/// Reads the tables of a file: CSV, or a workbook, whose parts may have `unpacked` bytes together when they are unpacked, and so
/// may the texts of its cells.
///
/// # Errors
/// [`FileError`].
pub fn read_sheets(bytes: &[u8], unpacked: usize) -> Result<Vec<Sheet>, FileError> {
    let tables = table::read(bytes, unpacked, Formulas::Values);
    let tables = tables.map_err(|error| FileError::of(error, unpacked))?.into_iter();
    let row = |row: table::Row| SheetRow { line: row.line, cells: row.cells, is_merged: row.is_merged };
    let sheet = |table: table::Table| Sheet {
        name: table.sheet,
        head: table.head,
        rows: table.rows.into_iter().map(row).collect(),
    };
    Ok(tables.map(sheet).collect())
}
