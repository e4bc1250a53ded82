//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208). Each account is one quota root: `""` is the member's own, that of a
//! colleague has the name under which their mailboxes stand. Who sets quotas is the administrator, within what the tenant's
//! plan gives (PLN-04).

use pennypost_model::Rights;
use pennypost_model::journal::Usage;

use super::{Answer, named};
use crate::imap::access::{OTHER_USERS, split_shared};
use crate::imap::grammar::Quota;
use crate::imap::response::{Reply, mailbox_name, string};
use crate::imap::session::Session;

/// UIDs are never given twice: an account can't hold more messages than there are.
const MAX_MESSAGES: u64 = u32::MAX as u64 - 1;

impl Session {
    pub(super) async fn quota(&mut self, quota: &Quota) -> Answer {
        self.live()?;
        match quota {
            Quota::Set => Err(Reply::no("[NOPERM] only an administrator sets quotas")),
            Quota::Get { root } if root.is_empty() => {
                let (_, state) = self.own().await?;
                let limit = self.signed_in.as_ref().map_or(0, |signed_in| signed_in.standing.capacity());
                self.quota_line("", state.used, limit);
                Ok(Reply::ok("done"))
            }
            Quota::Get { root } => {
                let no_root = || Reply::no("[NONEXISTENT] there is no such quota root");
                let Some((address, "")) = split_shared(root) else { return Err(no_root()) };
                let sharer = self.sharer_at(address).await?.ok_or_else(no_root)?;
                // To whom something can be read there, that is; to others it is not.
                for mailbox in sharer.state.mailboxes() {
                    if self.rights_in(sharer.opening, mailbox).await?.contains(Rights::READ) {
                        self.quota_line(root, sharer.state.used, sharer.quota);
                        return Ok(Reply::ok("done"));
                    }
                }
                Err(no_root())
            }
            Quota::Root { mailbox } => {
                let access = self.reach(named(mailbox)?).await?.need(Rights::READ)?;
                let root =
                    access.owner.as_ref().map(|owner| format!("{OTHER_USERS}/{owner}")).unwrap_or_default();
                let mut out = b"* QUOTAROOT ".to_vec();
                mailbox_name(&mut out, &access.name(), self.modes.names());
                out.push(b' ');
                string(&mut out, root.as_bytes());
                out.extend_from_slice(b"\r\n");
                self.stream.write(&out);
                self.quota_line(&root, access.state.used, access.quota);
                Ok(Reply::ok("done"))
            }
        }
    }

    /// STORAGE is told in units of 1,024 octets (RFC 9208 section 5.1); what is begun counts as used.
    fn quota_line(&mut self, root: &str, used: Usage, limit: u64) {
        let mut out = b"* QUOTA ".to_vec();
        string(&mut out, root.as_bytes());
        let (bytes, limit) = (used.bytes.div_ceil(1024), limit / 1024);
        let line = format!(" (STORAGE {bytes} {limit} MESSAGE {} {MAX_MESSAGES})\r\n", used.messages);
        out.extend_from_slice(line.as_bytes());
        self.stream.write(&out);
    }
}
