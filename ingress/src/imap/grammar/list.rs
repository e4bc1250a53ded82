//! LIST (RFC 3501 section 6.3.8) with the options of RFC 5258, 5819 (STATUS), 6154 (SPECIAL-USE), 8440 (MYRIGHTS)
//! and 9590 (METADATA).

use super::cursor::{Cursor, Parse, SyntaxError};
use super::metadata::entries;
use super::{Name, StatusItem, mailbox, pattern, status_item};

/// Patterns of one LIST.
const MAX_PATTERNS: usize = 100;
/// Options of one kind, repeated ones counted.
const MAX_OPTIONS: usize = 20;

/// LIST, perhaps with the options of RFC 5258.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    /// The reference.
    pub reference: Name,
    /// The patterns.
    pub patterns: Vec<Name>,
    /// In the extended form, where options or several patterns are given.
    pub extended: bool,
    /// Only subscribed names.
    pub select_subscribed: bool,
    /// Only mailboxes with a use (RFC 6154).
    pub select_special_use: bool,
    /// Parents of what is selected, too.
    pub recursive_match: bool,
    /// Tell which are subscribed.
    pub return_subscribed: bool,
    /// STATUS of each (RFC 5819).
    pub return_status: Vec<StatusItem>,
    /// MYRIGHTS of each (RFC 8440).
    pub return_rights: bool,
    /// These annotations of each (RFC 9590).
    pub return_metadata: Vec<String>,
}

impl List {
    /// Reads the arguments.
    ///
    /// # Errors
    /// They are broken.
    pub fn parse(cursor: &mut Cursor<'_>) -> Parse<List> {
        let mut list = List::default();
        if cursor.peek() == Some(b'(') {
            list.extended = true;
            cursor.list_or_empty(MAX_OPTIONS, |cursor| {
                match () {
                    () if cursor.take_word("SUBSCRIBED") => list.select_subscribed = true,
                    () if cursor.take_word("SPECIAL-USE") => list.select_special_use = true,
                    () if cursor.take_word("RECURSIVEMATCH") => list.recursive_match = true,
                    // There are no remote mailboxes: nothing changes.
                    () if cursor.take_word("REMOTE") => {}
                    () => return Err(SyntaxError("unknown selection option of LIST")),
                }
                Ok(())
            })?;
            cursor.space()?;
            if list.recursive_match && !list.select_subscribed && !list.select_special_use {
                return Err(SyntaxError("RECURSIVEMATCH needs another selection option"));
            }
        }
        list.reference = mailbox(cursor)?;
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            list.extended = true;
            list.patterns = cursor.list(MAX_PATTERNS, pattern)?;
        } else {
            list.patterns = vec![pattern(cursor)?];
        }
        if cursor.take(b' ') {
            list.extended = true;
            if !cursor.take_word("RETURN") {
                return Err(SyntaxError("expected RETURN"));
            }
            cursor.space()?;
            return_options(cursor, &mut list)?;
        }
        Ok(list)
    }
}

fn return_options(cursor: &mut Cursor<'_>, list: &mut List) -> Parse<()> {
    cursor.list_or_empty(MAX_OPTIONS, |cursor| {
        match () {
            () if cursor.take_word("SUBSCRIBED") => list.return_subscribed = true,
            // Both are always told.
            () if cursor.take_word("CHILDREN") || cursor.take_word("SPECIAL-USE") => {}
            () if cursor.take_word("MYRIGHTS") => list.return_rights = true,
            () if cursor.take_word("STATUS") => {
                cursor.space()?;
                list.return_status = cursor.list(20, status_item)?;
            }
            () if cursor.take_word("METADATA") => {
                cursor.space()?;
                list.return_metadata = entries(cursor)?;
            }
            () => return Err(SyntaxError("unknown return option of LIST")),
        }
        Ok(())
    })?;
    Ok(())
}
