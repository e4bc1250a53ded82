//! From names of mailboxes to names of folders. Whatever the name, the result is one component of a path for
//! each level, never empty, `.` or `..`, without a separator, and different for different mailboxes.

use std::path::PathBuf;

use pennypost_fold::Mailbox;
use pennypost_ingress::imap::grammar::utf7;
use pennypost_model::message::cut;

/// Bytes of a component that every file system takes, with room for what is added.
const MAX_COMPONENT: usize = 240;

/// The folder of a mailbox in a Maildir++, `None` for INBOX, which is the Maildir itself. Names are written as
/// Dovecot does: modified UTF-7, `.` between levels; a dot or backslash within a level is `\2e` or `\5c`.
pub(super) fn maildir(mailbox: &Mailbox) -> Option<String> {
    if mailbox.name == "INBOX" {
        return None;
    }
    let level = |level: &str| utf7::encode(level).replace('\\', "\\5c").replace('.', "\\2e");
    let levels: Vec<String> = mailbox.name.split('/').map(level).collect();
    Some(format!(".{}", bounded(levels.join("."), mailbox)))
}

/// The folder of a mailbox as a path of its levels. What can't stand in a name on every file system is
/// `%` and two hex digits; `%` itself is in no mailbox's name.
pub(super) fn nested(mailbox: &Mailbox) -> PathBuf {
    mailbox.name.split('/').map(|level| bounded(escaped(level), mailbox)).collect()
}

fn escaped(level: &str) -> String {
    let is_last = |index: usize, c: char| index + c.len_utf8() == level.len();
    // A folder must not take the name of a file beside it.
    let suffix = [".eml", ".mbox"].iter().find(|suffix| {
        level.len() >= suffix.len()
            && level.is_char_boundary(level.len() - suffix.len())
            && level[level.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
    });
    let suffix_at = suffix.map(|suffix| level.len() - suffix.len());
    let mut out = String::with_capacity(level.len());
    for (index, c) in level.char_indices() {
        let is_special = c.is_control() || "/\\:*?\"<>|%".contains(c);
        let is_dot = c == '.' && (index == 0 || is_last(index, c) || Some(index) == suffix_at);
        if is_special || is_dot || c == ' ' && is_last(index, c) {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
        } else {
            out.push(c);
        }
    }
    if out.is_empty() { "%".to_owned() } else { out }
}

/// A name that is too long for a file system is cut and told apart by the mailbox's number.
fn bounded(name: String, mailbox: &Mailbox) -> String {
    if name.len() <= MAX_COMPONENT {
        return name;
    }
    format!("{}%{}", cut(&name, MAX_COMPONENT - 12), mailbox.id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Component;

    #[test]
    fn levels_are_plain_components() {
        for (level, folder) in [
            ("Work", "Work"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            (".hidden", "%2Ehidden"),
            ("v1.2", "v1.2"),
            ("5.eml", "5%2Eeml"),
            ("messages.MBOX", "messages%2EMBOX"),
            ("a\\b:c", "a%5Cb%3Ac"),
            ("end. ", "end.%20"),
            ("end.", "end%2E"),
            ("邮件", "邮件"),
            ("", "%"),
        ] {
            assert_eq!(escaped(level), folder);
            let path = PathBuf::from(escaped(level));
            assert!(matches!(path.components().collect::<Vec<_>>()[..], [Component::Normal(_)]), "{level}");
        }
    }
}
