//! STATUS (RFC 3501 section 6.3.10), with SIZE (RFC 8438), MAILBOXID (8474), APPENDLIMIT (7889) and
//! HIGHESTMODSEQ (7162), DELETED (9051) and DELETED-STORAGE (9208).

use pennypost_fold::Mailbox;
use pennypost_model::{AccountKey, Rights, SystemFlags, Uid};

use super::{Answer, named};
use crate::imap::grammar::{Name, StatusItem};
use crate::imap::response::{Reply, mailbox_name};
use crate::imap::session::Session;

/// MAILBOXID (RFC 8474): ids of mailboxes are never reused in an account.
pub(super) fn mailbox_id(mailbox: &Mailbox) -> String {
    format!("F{}", mailbox.id.0)
}

/// DELETED-STORAGE (RFC 9208 section 4.1.4): octets of the messages that carry `\\Deleted`.
fn deleted_storage(mailbox: &Mailbox) -> u64 {
    if mailbox.counts.deleted == 0 {
        return 0;
    }
    mailbox.rows.iter().filter(|row| row.flags.has(SystemFlags::DELETED)).map(|row| row.size).sum()
}

impl Session {
    pub(super) async fn status(&mut self, name: &Name, items: &[StatusItem]) -> Answer {
        self.live()?;
        let name = named(name)?;
        let access = self.reach(name).await?.need(Rights::READ)?;
        if items.contains(&StatusItem::HighestModSeq) {
            self.enable_condstore();
        }
        let mut out = Vec::new();
        self.status_line(&mut out, access.live.key(), &access.name(), &access.mailbox, items);
        self.stream.write(&out);
        Ok(Reply::ok("done"))
    }

    /// The untagged STATUS of a mailbox.
    pub(super) fn status_line(
        &self,
        out: &mut Vec<u8>,
        account: AccountKey,
        name: &str,
        mailbox: &Mailbox,
        items: &[StatusItem],
    ) {
        out.extend_from_slice(b"* STATUS ");
        mailbox_name(out, name, self.modes.names());
        let mut before = " (";
        for item in items {
            let text = match item {
                StatusItem::Messages => format!("MESSAGES {}", mailbox.rows.len()),
                StatusItem::Recent => {
                    let mark = self.shared.recent.mark(account, mailbox, false);
                    let seen = mailbox.rows.position_of(Uid(mark.saturating_add(1)));
                    format!("RECENT {}", mailbox.rows.len() - seen)
                }
                StatusItem::UidNext => format!("UIDNEXT {}", mailbox.uid_next()),
                StatusItem::UidValidity => format!("UIDVALIDITY {}", mailbox.uid_validity),
                StatusItem::Unseen => format!("UNSEEN {}", mailbox.counts.unseen),
                StatusItem::HighestModSeq => format!("HIGHESTMODSEQ {}", mailbox.modseq),
                StatusItem::Size => format!("SIZE {}", mailbox.counts.bytes),
                StatusItem::DeletedStorage => format!("DELETED-STORAGE {}", deleted_storage(mailbox)),
                StatusItem::MailboxId => format!("MAILBOXID ({})", mailbox_id(mailbox)),
                StatusItem::Deleted => format!("DELETED {}", mailbox.counts.deleted),
                StatusItem::AppendLimit => format!("APPENDLIMIT {}", self.adapter.limits.imap.message_size),
            };
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(text.as_bytes());
            before = " ";
        }
        out.extend_from_slice(b")\r\n");
    }
}
