//! Rules of a member as a script of Sieve (RFC 5228), and back.
//!
//! Written are the rules on receiving, each as an `if` of its own behind a line `# rule:[NAME]`, as other programs write it,
//! too; one that is off as `if false # TEST`. Read is what rules can say: what they can't is told by line and column, all of
//! it, and then nothing is taken. What is written and read again is the same rules; only actions of one rule may stand in
//! another order.
//!
//! | Sieve | rules |
//! | --- | --- |
//! | `header :contains "from"`, `["to", "cc"]`, `"subject"` | sender, recipient, subject |
//! | `address :domain :matches "from" ["a.example", "*.a.example"]` | sender's domain |
//! | `address :is` or `:matches ["to", "cc"]`, one's own addresses | to me; with `address :count "eq" ["to", "cc"] "1"` only to me |
//! | `anyof` of `header :contains "subject"` and `body :text :contains` (RFC 5173) with the same words | full text |
//! | `size :over`, `size :under`, and `not` of them; `true` | size |
//! | `currentdate :zone "+0000" :value "ge"` or `"lt" "iso8601"` (RFC 5260) | time |
//! | `currentdate :zone "+0800" /* Asia/Shanghai */ :value "ge"` or `"lt" "time"` | hours |
//! | `allof`, `anyof`: of conditions; in a condition, of words | all, any |
//! | `fileinto`; `fileinto /* delete */`, `discard`, `fileinto :specialuse "\\Trash"` (RFC 8579) | move; delete |
//! | `addflag`, `fileinto :flags` (RFC 5232) | label, read, flag |
//! | `redirect :copy` (RFC 3894); `redirect` alone | forward; and delete |
//! | `vacation` (RFC 5230) with a text, each seven days | reply |
//! | `reject`, `ereject` (RFC 5429) | refuse |
//! | `keep`, `stop` | nothing, and what is forwarded is not deleted; stop |
//!
//! Invariants: pure functions; nothing panics, whatever a script holds; what that takes is bounded by [`MAX_SCRIPT`] and a depth
//! of [`syntax::MAX_DEPTH`].

mod actions;
mod conditions;
mod fault;
mod lexer;
mod read;
mod syntax;
#[cfg(test)]
mod tests;
mod write;

use crate::address::MailAddress;

pub use fault::{Position, SieveError, SieveFault};
pub use read::{Imported, read};
pub use write::write;

/// Bytes of a script.
pub const MAX_SCRIPT: usize = 256 * 1024;
/// What is told of a script at most.
pub const MAX_ERRORS: usize = 50;
/// Extensions that are understood.
const KNOWN: &[&str] = &[
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;unicode-casemap",
    "copy",
    "date",
    "ereject",
    "fileinto",
    "imap4flags",
    "mailbox",
    "reject",
    "relational",
    "special-use",
    "vacation",
];
/// What a comment before the name of a folder says that stands for Trash, whatever that is called.
const DELETE: &str = "delete";
/// Days that lie between two answers to one sender.
const ANSWER_DAYS: u64 = 7;

/// What `:matches` takes for one's own addresses: each, with a tag or without.
fn own_patterns(own: &[MailAddress]) -> Vec<String> {
    let mut patterns = Vec::with_capacity(own.len() * 2);
    for address in own {
        let text = address.to_string();
        let Some((local, domain)) = text.rsplit_once('@') else { continue };
        let local = escaped(local);
        patterns.push(format!("{local}@{domain}"));
        patterns.push(format!("{local}+*@{domain}"));
    }
    patterns
}

/// As `:matches` takes it for what it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
