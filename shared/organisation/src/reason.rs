//! Why files and rows are refused, said in the person's language.

use pennypost_directory::DirectoryError;
use pennypost_text::{Text, directory_message, say};

use crate::columns::Column;
use crate::reading::Place;
use crate::table::{MAX_BYTES, MAX_ROWS, TableError};
use crate::workbook::MAX_SHEETS;

/// Why a file is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// It is too large.
    Bytes {
        /// Megabytes that it may have.
        limit: u64,
    },
    /// It has more than [`MAX_ROWS`].
    Rows,
    /// Its bytes are text in none of the encodings.
    Encoding,
    /// It is a workbook that cannot be read.
    Workbook,
    /// It is a workbook with more sheets than are read.
    Sheets {
        /// How many it may have.
        limit: usize,
    },
    /// It is a workbook that is too large when it is unpacked.
    Unpacked {
        /// Megabytes that it may have.
        limit: usize,
    },
    /// The first line of it, or of one of its sheets, names columns that are none.
    Columns {
        /// The file or sheet.
        file: String,
        /// What is not understood.
        column: String,
    },
}

impl FileError {
    /// Why a file is no table of which `unpacked` bytes are read.
    pub(crate) const fn of(error: TableError, unpacked: usize) -> FileError {
        match error {
            TableError::Bytes => FileError::Bytes { limit: MAX_BYTES / 1_000_000 },
            TableError::Rows => FileError::Rows,
            TableError::Encoding => FileError::Encoding,
            TableError::Workbook => FileError::Workbook,
            TableError::Sheets => FileError::Sheets { limit: MAX_SHEETS },
            TableError::Unpacked => FileError::Unpacked { limit: unpacked / 1_000_000 },
        }
    }

    /// The text for the person; the file is what the person calls it.
    #[must_use]
    pub fn message(&self, text: &Text, file: &str) -> String {
        match self {
            FileError::Bytes { limit } => say!(text, "error-file-too-large", path = file, limit = *limit),
            FileError::Rows => say!(text, "error-file-rows", path = file, limit = MAX_ROWS),
            FileError::Encoding => say!(text, "error-file-encoding", path = file),
            FileError::Workbook => say!(text, "error-file-workbook", path = file),
            FileError::Sheets { limit } => say!(text, "error-file-sheets", path = file, limit = *limit),
            FileError::Unpacked { limit } => say!(text, "error-file-unpacked", path = file, limit = *limit),
            FileError::Columns { file, column } => {
                say!(text, "error-file-columns", path = file, column = column)
            }
        }
    }
}

/// Why a row is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The directory.
    Directory(DirectoryError),
    /// It has more cells than there are columns.
    Cells {
        /// Cells.
        found: usize,
        /// Columns.
        known: usize,
    },
    /// Merged cells touch it.
    Merged,
    /// Damaged text.
    Garbled(String),
    /// A cell that a spreadsheet would calculate.
    Formula(String),
    /// There is no address.
    NoAddress,
    /// An address with a blank in it.
    Blank(String),
    /// There is no department.
    NoDepartment,
    /// A word that means nothing in its column.
    Word {
        /// What stands there.
        cell: String,
        /// In which column.
        column: Column,
    },
    /// No size.
    Size(String),
    /// Mail is not brought to the domain yet, and the tenant waits for that (DOM-07).
    Closed(String),
    /// The tenant has no such domain.
    NoDomain(String),
    /// All accounts that the tenant's plan allows are there (TEN-15).
    NoSeat {
        /// How many.
        seats: u32,
    },
    /// An earlier row has the address.
    Twice {
        /// The address.
        address: String,
        /// The earlier row.
        first: Place,
    },
    /// The account was added, but its mailbox could not be opened.
    Opening {
        /// Its address.
        address: String,
        /// Why not.
        cause: String,
    },
}

impl From<DirectoryError> for Reason {
    fn from(error: DirectoryError) -> Reason {
        Reason::Directory(error)
    }
}

impl Reason {
    /// Can the same row succeed later, as it is?
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self, Reason::Directory(error) if error.is_temporary())
    }

    /// Is there somebody or something at the row's address?
    #[must_use]
    pub const fn is_taken(&self) -> bool {
        matches!(self, Reason::Directory(DirectoryError::AddressTaken(_)))
    }

    /// Does the tenant's plan allow no more accounts?
    #[must_use]
    pub const fn is_seat(&self) -> bool {
        matches!(self, Reason::NoSeat { .. } | Reason::Directory(DirectoryError::NoSeat(_)))
    }

    /// The text for the person.
    #[must_use]
    pub fn message(&self, text: &Text) -> String {
        match self {
            Reason::Directory(error) => directory_message(error, text),
            Reason::Cells { found, known } => {
                say!(text, "error-row-cells", found = *found, known = *known)
            }
            Reason::Merged => say!(text, "error-row-merged"),
            Reason::Garbled(cell) => say!(text, "error-row-garbled", cell = cell),
            Reason::Formula(cell) => say!(text, "error-row-formula", cell = cell),
            Reason::NoAddress => say!(text, "error-row-address"),
            Reason::Blank(address) => say!(text, "error-row-blank", address = address),
            Reason::NoDepartment => say!(text, "error-row-department"),
            Reason::Word { cell, column } => {
                say!(text, "error-row-word", cell = cell, column = column.name(text.lang()))
            }
            Reason::Size(cell) => say!(text, "error-csv-quota", text = cell),
            Reason::NoDomain(domain) => say!(text, "error-row-no-domain", domain = domain),
            Reason::NoSeat { seats } => say!(text, "error-row-no-seat", seats = *seats),
            Reason::Closed(domain) => say!(text, "error-row-domain", domain = domain),
            Reason::Twice { address, first } => {
                say!(text, "error-row-twice", address = address, file = &first.file, line = first.line)
            }
            Reason::Opening { address, cause } => {
                say!(text, "error-open-account", address = address, cause = cause)
            }
        }
    }
}
