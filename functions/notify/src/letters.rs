//! What a notice says of somebody's mail.

use std::collections::HashMap;

use pennypost_directory::{Account, DepartmentId, DepartmentTree, Directory, DirectoryError};
use pennypost_hooks::{Notice, NoticeKind, Subscription, Waiting, WaitingFor};
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_model::journal::{Add, Op};
use pennypost_model::{
    AccountId, AccountKey, MailboxId, MailboxRole, Rid, Seq, SystemFlags, TenantId, Timestamp,
};
use pennypost_ports::Consistency;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::messenger::MessengerError;

/// Looks up what is told; remembers for one page of notices.
pub(crate) struct Letters<'a> {
    directory: &'a Directory,
    store: &'a Mailstore,
    loading: &'a Semaphore,
    tenant: TenantId,
    departments: Option<DepartmentTree>,
    known: HashMap<AccountId, Option<Known>>,
}

/// An account of whose mail is told: of it only what is told, since there are many at once.
struct Known {
    address: String,
    seq: Seq,
    time: Timestamp,
    unread: u64,
    mailboxes: HashMap<MailboxId, String>,
}

impl<'a> Letters<'a> {
    pub(crate) fn of(
        directory: &'a Directory,
        store: &'a Mailstore,
        loading: &'a Semaphore,
        tenant: TenantId,
    ) -> Letters<'a> {
        Letters { directory, store, loading, tenant, departments: None, known: HashMap::new() }
    }

    /// The notices of what waits: none where nobody wants them, or where the account is not there any more.
    pub(crate) async fn notices(
        &mut self,
        subscription: &Subscription,
        waiting: &Waiting,
    ) -> Result<Vec<Notice>, MessengerError> {
        if !self.known.contains_key(&waiting.account) {
            let known = self.look(subscription, waiting.account).await?;
            self.known.insert(waiting.account, known);
        }
        let Some(Some(known)) = self.known.get(&waiting.account) else { return Ok(Vec::new()) };
        let key = AccountKey { tenant: self.tenant, account: waiting.account };
        match waiting.of {
            WaitingFor::Unread => Ok(vec![unread(key, known)]),
            WaitingFor::Received(seq) => self.received(subscription, key, known, seq).await,
        }
    }

    async fn look(
        &mut self,
        subscription: &Subscription,
        account: AccountId,
    ) -> Result<Option<Known>, MessengerError> {
        let key = AccountKey { tenant: self.tenant, account };
        let Some(found) = self.directory.account(key).await? else { return Ok(None) };
        if !self.is_wanted(subscription, &found).await? {
            return Ok(None);
        }
        // Never closed; were it, memory would only be less spared.
        let _permit = self.loading.acquire().await.ok();
        let state = self.store.load(key, Consistency::Strong).await?;
        let inbox = state.mailbox_with_role(MailboxRole::Inbox);
        Ok(Some(Known {
            address: found.address.to_string(),
            seq: state.seq,
            time: state.time,
            unread: inbox.map_or(0, |inbox| inbox.counts.unseen),
            mailboxes: state.mailboxes().map(|mailbox| (mailbox.id, mailbox.name.clone())).collect(),
        }))
    }

    async fn is_wanted(
        &mut self,
        subscription: &Subscription,
        account: &Account,
    ) -> Result<bool, DirectoryError> {
        let whose = &subscription.whose;
        let is_everybody = whose.is_everybody() || whose.departments.contains(&DepartmentId::ROOT);
        if is_everybody || whose.accounts.contains(&account.key.account) {
            return Ok(true);
        }
        let tree = match self.departments.take() {
            Some(tree) => tree,
            None => self.directory.departments(self.tenant).await?,
        };
        let is_in = account.departments.iter().any(|one| tree.is_within(*one, &whose.departments));
        self.departments = Some(tree);
        Ok(is_in)
    }

    async fn received(
        &self,
        subscription: &Subscription,
        key: AccountKey,
        known: &Known,
        seq: Seq,
    ) -> Result<Vec<Notice>, MessengerError> {
        let entries = self.store.journal().before(key, seq, 1).await.map_err(StoreError::from)?;
        let Some(entry) = entries.into_iter().find(|entry| entry.seq == seq) else { return Ok(Vec::new()) };
        let added = entry.ops.iter().filter_map(|op| match op {
            // What members write themselves does not come to them.
            Op::Add(add) if ![MailboxId::SENT, MailboxId::DRAFTS].contains(&add.mailbox) => Some(add),
            _ => None,
        });
        // Nor does their copy of it that a rule on sending has put elsewhere.
        let is_copy = |add: &Add| {
            add.flags.system.contains(SystemFlags::SEEN) && !add.receipt.starts_with("Delivered-To:")
        };
        let added = added.filter(|add| !is_copy(add));
        let notice = |add: &Add| {
            let rid = Rid::new(seq, add.index);
            let mut data = about(key, known);
            data["message"] = rid.to_string().into();
            data["uid"] = add.uid.0.into();
            data["mailbox"] = known.mailboxes.get(&add.mailbox).map(String::as_str).into();
            if subscription.tells_sender {
                data["from"] = json!({ "name": add.card.from.name, "address": add.card.from.address });
            }
            if subscription.tells_subject {
                data["subject"] = add.card.subject.as_str().into();
            }
            let (id, kind) = (format!("{}-{rid}", key.account), NoticeKind::Received.name());
            Notice { id, kind, time: add.internal_date, data }
        };
        Ok(added.map(|add| notice(add)).collect())
    }
}

/// What every notice tells.
fn about(key: AccountKey, known: &Known) -> Value {
    json!({
        "tenant": key.tenant.to_string(), "account": key.account.to_string(), "address": known.address,
        "unread": known.unread,
    })
}

fn unread(key: AccountKey, known: &Known) -> Notice {
    let id = format!("{}-{}-unread", key.account, known.seq.0);
    let (kind, time) = (NoticeKind::Unread.name(), known.time);
    Notice { id, kind, time, data: about(key, known) }
}
