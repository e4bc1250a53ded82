//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 section 3).

use pennypost_model::Rights;

use super::cursor::{Cursor, Parse, SyntaxError};
use super::{Name, mailbox};

/// A command about rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acl {
    /// SETACL
    Set {
        /// Which mailbox.
        mailbox: Name,
        /// Whose rights.
        identifier: String,
        /// What becomes of them.
        change: RightsChange,
        /// Which.
        rights: Rights,
    },
    /// DELETEACL
    Delete {
        /// Which mailbox.
        mailbox: Name,
        /// Whose rights.
        identifier: String,
    },
    /// GETACL
    Get {
        /// Which mailbox.
        mailbox: Name,
    },
    /// LISTRIGHTS
    ListRights {
        /// Which mailbox.
        mailbox: Name,
        /// Whose rights.
        identifier: String,
    },
    /// MYRIGHTS
    MyRights {
        /// Which mailbox.
        mailbox: Name,
    },
}

/// What SETACL does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RightsChange {
    /// Without a sign.
    Replace,
    /// `+`
    Add,
    /// `-`
    Remove,
}

impl Acl {
    /// Reads the arguments of the command with that name.
    ///
    /// # Errors
    /// They are broken.
    pub fn parse(name: &str, cursor: &mut Cursor<'_>) -> Parse<Acl> {
        let mailbox = mailbox(cursor)?;
        Ok(match name {
            "GETACL" => Acl::Get { mailbox },
            "MYRIGHTS" => Acl::MyRights { mailbox },
            "DELETEACL" => Acl::Delete { mailbox, identifier: identifier(cursor)? },
            "LISTRIGHTS" => Acl::ListRights { mailbox, identifier: identifier(cursor)? },
            _ => {
                let identifier = identifier(cursor)?;
                cursor.space()?;
                let rights = cursor.astring()?;
                let text = std::str::from_utf8(&rights).unwrap_or("?");
                let (change, letters) = match text.split_at_checked(1) {
                    Some(("+", letters)) => (RightsChange::Add, letters),
                    Some(("-", letters)) => (RightsChange::Remove, letters),
                    _ => (RightsChange::Replace, text),
                };
                // RFC 4314 section 3.1: BAD for a right that is not known.
                let rights = Rights::parse(letters).ok_or(SyntaxError("there is no such right"))?;
                Acl::Set { mailbox, identifier, change, rights }
            }
        })
    }
}

fn identifier(cursor: &mut Cursor<'_>) -> Parse<String> {
    cursor.space()?;
    String::from_utf8(cursor.astring()?).map_err(|_| SyntaxError("an identifier is UTF-8"))
}
