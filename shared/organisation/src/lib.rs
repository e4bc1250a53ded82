//! A whole organisation out of tables and into tables (ORG-09, ORG-13, ORG-28, GRP-08): what the command line, the API and
//! tasks share.
//!
//! There are three kinds of tables, told apart by their columns: departments, people, groups. Each row stands for itself: a
//! bad one is refused with its file, its line and the reason, and the others go on. Departments are added in one step,
//! people many at a time, groups after them.
//!
//! Owns nothing that is stored: what it does is the directory's. Invariants: a row is done as a whole or refused; what is
//! read depends on the bytes of the files alone, so that the slices of an import are the same whenever it is begun again;
//! no more memory than the files, unpacked and bounded, take.
//!
//! If the process dies at any line: rows that were done are done. An import that notes which addresses of a slice were
//! taken before it began with it ([`Import::taken`]) can be told so when it does the slice again, and then takes its own
//! rows of before for done, and completes them.

mod columns;
mod export;
mod import;
mod reading;
mod reason;
mod rows;
mod sheet;
mod size;
mod table;
mod workbook;
mod zip;

pub use columns::{Column, Kind};
pub use export::{Export, csv_line};
pub use import::{Done, Import, Opening, Options, Slice};
pub use reading::{Place, Refused, Rows};
pub use reason::{FileError, Reason};
pub use sheet::{Sheet, SheetRow, read_sheets};
pub use size::parse_size;
pub use table::{MAX_BYTES, MAX_ROWS};
pub use workbook::MAX_UNPACKED;

/// Counts up when the same bytes become other rows, or other slices: an import that another program has begun would leave
/// rows out, or do them twice.
pub const READING: u32 = 1;
