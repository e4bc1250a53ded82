//! Large entries, in a table of their own; a part of format 3 of `mail.db`.
//!
//! Rows of the journal are found by comparing keys, and to compare one that goes on outside its page SQLite reads it
//! whole: with entries of some 100 KB in the neighbourhood (an import, a MULTIAPPEND) each small append would read a
//! megabyte. So their row has a number in place of the entry, and the entry lies under it where keys are numbers.
//! What earlier formats have put into the journal stays there.

use rusqlite::{Connection, params};

use crate::failure::Failure;

pub(crate) const CREATE: &str = "
    CREATE TABLE large_entry (
        id INTEGER NOT NULL PRIMARY KEY,
        entry BLOB NOT NULL
    );
";

/// The first format of `mail.db` that has it.
pub(crate) const SINCE: usize = 3;

/// Longer entries would go on outside their page.
const INSIDE: usize = 1_900;

/// Does the entry belong here?
pub(super) const fn is_large(sealed: &[u8]) -> bool {
    sealed.len() > INSIDE
}

/// What to select for the entry of a row of the journal, where the table is there or is not.
pub(super) const fn column(is_there: bool) -> &'static str {
    if is_there {
        "CASE typeof(entry) WHEN 'integer' \
         THEN (SELECT large.entry FROM large_entry AS large WHERE large.id = journal.entry) ELSE entry END"
    } else {
        "entry"
    }
}

/// Puts an entry; its number.
pub(super) fn insert(connection: &Connection, sealed: &[u8]) -> Result<i64, Failure> {
    connection.prepare_cached("INSERT INTO large_entry (entry) VALUES (?1)")?.execute([sealed])?;
    Ok(connection.last_insert_rowid())
}

/// Takes it away again: the row that was to name it has not come about.
pub(super) fn remove(connection: &Connection, id: i64) -> Result<(), Failure> {
    connection.prepare_cached("DELETE FROM large_entry WHERE id = ?1")?.execute(params![id])?;
    Ok(())
}
