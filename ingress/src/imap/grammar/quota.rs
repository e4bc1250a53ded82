//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 section 4.1).

use super::cursor::{Cursor, Parse, SyntaxError};
use super::{Name, mailbox};

/// A command about quotas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quota {
    /// GETQUOTA
    Get {
        /// Name of the root.
        root: String,
    },
    /// GETQUOTAROOT
    Root {
        /// Of which mailbox.
        mailbox: Name,
    },
    /// SETQUOTA
    Set,
}

impl Quota {
    /// Reads the arguments of the command with that name.
    ///
    /// # Errors
    /// They are broken.
    pub fn parse(name: &str, cursor: &mut Cursor<'_>) -> Parse<Quota> {
        if name == "GETQUOTAROOT" {
            return Ok(Quota::Root { mailbox: mailbox(cursor)? });
        }
        let root = String::from_utf8(cursor.astring()?).map_err(|_| SyntaxError("a quota root is UTF-8"))?;
        if name == "GETQUOTA" {
            return Ok(Quota::Get { root });
        }
        cursor.space()?;
        cursor.list_or_empty(20, |cursor| {
            cursor.atom()?;
            cursor.space()?;
            cursor.number64()
        })?;
        Ok(Quota::Set)
    }
}
