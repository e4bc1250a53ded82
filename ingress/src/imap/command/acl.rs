//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 section 3): sharing a mailbox with accounts and groups
//! of the same tenant, and with `anyone` of it. The owner has all rights, always.

use std::collections::BTreeSet;

use pennypost_fold::{Draft, DraftError, State};
use pennypost_model::{Grantee, Rights};

use super::{Answer, named};
use crate::imap::access::{Access, Opening, not_there, unavailable};
use crate::imap::grammar::{Acl, RightsChange};
use crate::imap::response::{Refusal, Reply, mailbox_name, string};
use crate::imap::session::{ACTOR, Session};

/// Rights of which one is enough to ask for one's own (RFC 4314 section 4).
fn any_look() -> Rights {
    [Rights::READ, Rights::INSERT, Rights::CREATE, Rights::DELETE_MAILBOX, Rights::ADMINISTER]
        .into_iter()
        .fold(Rights::LOOKUP, Rights::union)
}

impl Session {
    pub(super) async fn acl(&mut self, command: Acl) -> Answer {
        self.live()?;
        match command {
            Acl::MyRights { mailbox } => {
                let access = self.reach(named(&mailbox)?).await?;
                if !access.rights.intersects(any_look()) {
                    return Err(not_there());
                }
                let mut out = Vec::new();
                self.rights_line(&mut out, &access.name(), access.rights);
                self.stream.write(&out);
                Ok(Reply::ok("done"))
            }
            Acl::Get { mailbox } => {
                let access = self.reach(named(&mailbox)?).await?.need(Rights::ADMINISTER)?;
                self.tell_acl(&access).await
            }
            Acl::ListRights { mailbox, identifier } => {
                let access = self.reach(named(&mailbox)?).await?.need(Rights::ADMINISTER)?;
                let is_owner = self.is_owner(&access, &identifier).await?;
                if !is_owner {
                    self.grantee(&identifier).await?;
                }
                let mut out = b"* LISTRIGHTS ".to_vec();
                mailbox_name(&mut out, &access.name(), self.modes.names());
                out.push(b' ');
                string(&mut out, identifier.as_bytes());
                // Nothing is always granted, and each right by itself; the old ones go with what they stand for.
                out.extend_from_slice(if is_owner {
                    b" lrswipkxteacd\r\n".as_slice()
                } else {
                    b" \"\" l r s w i p k x t e a c d\r\n"
                });
                self.stream.write(&out);
                Ok(Reply::ok("done"))
            }
            Acl::Set { mailbox, identifier, change, rights } => {
                let access = self.reach(named(&mailbox)?).await?.need(Rights::ADMINISTER)?;
                self.change_acl(access, &identifier, Some((change, rights))).await
            }
            Acl::Delete { mailbox, identifier } => {
                let access = self.reach(named(&mailbox)?).await?.need(Rights::ADMINISTER)?;
                self.change_acl(access, &identifier, None).await
            }
        }
    }

    /// The untagged MYRIGHTS.
    pub(super) fn rights_line(&self, out: &mut Vec<u8>, name: &str, rights: Rights) {
        out.extend_from_slice(b"* MYRIGHTS ");
        mailbox_name(out, name, self.modes.names());
        out.extend_from_slice(format!(" {rights}\r\n").as_bytes());
    }

    async fn tell_acl(&mut self, access: &Access) -> Answer {
        let key = access.live.key();
        let mut out = b"* ACL ".to_vec();
        mailbox_name(&mut out, &access.name(), self.modes.names());
        let owner = self.adapter.directory.account(key).await.map_err(unavailable)?;
        if let Some(owner) = owner {
            out.push(b' ');
            string(&mut out, owner.address.to_string().as_bytes());
            out.extend_from_slice(format!(" {}", Rights::ALL).as_bytes());
        }
        for (grantee, rights) in access.mailbox.acl.iter() {
            let identifier =
                self.adapter.directory.identifier(key.tenant, grantee).await.map_err(unavailable)?;
            out.push(b' ');
            string(&mut out, identifier.as_bytes());
            out.extend_from_slice(format!(" {rights}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        self.stream.write(&out);
        // Completes what a process that died may have left undone.
        let now = grantees(&access.state);
        self.adapter.directory.index_shares(key, &now, &now).await.map_err(unavailable)?;
        Ok(Reply::ok("done"))
    }

    async fn is_owner(&self, access: &Access, identifier: &str) -> Result<bool, Reply> {
        let key = access.live.key();
        let account = self.adapter.directory.colleague(key.tenant, identifier).await.map_err(unavailable)?;
        Ok(identifier.eq_ignore_ascii_case("owner") || account.is_some_and(|account| account.key == key))
    }

    /// Who is meant, of the session's tenant.
    async fn grantee(&self, identifier: &str) -> Result<Grantee, Reply> {
        let tenant = self.live()?.key().tenant;
        let found = self.adapter.directory.grantee(tenant, identifier).await.map_err(unavailable)?;
        found.ok_or_else(|| Reply::no("[CANNOT] there is nobody of that name"))
    }

    /// Sets, adds to or removes from an entry, or takes it out; then tells the index.
    async fn change_acl(
        &mut self,
        access: Access,
        identifier: &str,
        change: Option<(RightsChange, Rights)>,
    ) -> Answer {
        if access.is_own() && self.is_business() {
            return Err(Reply::no("[CANNOT] who uses a business mailbox is for administrators to say"));
        }
        if self.is_owner(&access, identifier).await? {
            return Err(Reply::no("[CANNOT] the owner of a mailbox has all rights, always"));
        }
        let grantee = self.grantee(identifier).await?;
        let me = Grantee::Account(self.live()?.key().account);
        let id = access.id();
        let is_by_list = access.opening == Opening::ByList;
        let decide = |draft: &mut Draft| {
            let mailbox = draft.state().mailbox(id).ok_or(DraftError::NoMailbox)?;
            let before = mailbox.acl.get(&grantee).copied().unwrap_or_default();
            let after = match change {
                None => Rights::NONE,
                Some((RightsChange::Replace, rights)) => rights,
                Some((RightsChange::Add, rights)) => before.union(rights),
                Some((RightsChange::Remove, rights)) => before.without(rights),
            };
            // What was looked at before the account was.
            if is_by_list && !mailbox.acl.contains_key(&me) && mailbox.acl.is_empty() {
                return Err(Refusal::NoRight);
            }
            // Of the whole account, also of mailboxes that this session does not see.
            let before = grantees(draft.state());
            draft.set_acl(id, grantee.clone(), (!after.is_none()).then_some(after))?;
            Ok((before, grantees(draft.state())))
        };
        let (_, (before, now)) = access.live.change(&ACTOR, decide).await?;
        self.adapter.directory.index_shares(access.live.key(), &before, &now).await.map_err(unavailable)?;
        Ok(Reply::ok(if change.is_some() { "set" } else { "deleted" }))
    }
}

/// Everybody with whom an account shares something.
fn grantees(state: &State) -> BTreeSet<Grantee> {
    state.mailboxes().flat_map(|mailbox| mailbox.acl.keys().cloned()).collect()
}
