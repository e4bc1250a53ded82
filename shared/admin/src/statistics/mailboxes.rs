//! What mailboxes hold (LOG-03): noted once a day by housekeeping, which reads journals; whoever asks does not.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use pennypost_directory::Account;
use pennypost_model::codec::{Versioned, decode};
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::rollup::{HEADS, KEPT, day_in};
use super::sheet::{Row, Sheet};
use super::{day_of, page_of};
use crate::action::Action;
use crate::call::Call;
use crate::sight::Sight;
use crate::{AdminError, Administration};

/// How often the sheet is looked for anew because it was replaced.
const ATTEMPTS: usize = 4;

/// What a mailbox holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedBytes {
    /// Bytes of its messages.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

impl Row for (AccountId, UsedBytes) {
    const KIND: &'static str = "use of mailboxes";
}

/// What the mailboxes of a tenant held on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UseHead {
    /// When it was looked at, the last time on that day.
    taken: Timestamp,
    /// Mailboxes.
    pub(super) mailboxes: u64,
    /// What they held together.
    pub(super) used: UsedBytes,
    /// What each held; of the newest day only it is there.
    sheet: Sheet,
}

impl Versioned for UseHead {
    const KIND: &'static str = "use of mailboxes on a day";
}

/// What a mailbox holds, and what it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxUse {
    /// Which account.
    pub id: AccountId,
    /// The account, unless it is gone.
    pub account: Option<Account>,
    /// When it was looked at.
    pub taken: Timestamp,
    /// What it held then.
    pub used: UsedBytes,
    /// Bytes that it may hold now; `None`: any number.
    pub capacity: Option<u64>,
}

fn heads_partition(tenant: TenantId) -> String {
    format!("{tenant}/mailbox-use-days")
}

fn sheets_partition(tenant: TenantId) -> String {
    format!("{tenant}/mailbox-use")
}

/// By day, with the versions of the items.
pub(super) type UseHeads = BTreeMap<i64, (UseHead, u64)>;

impl Administration {
    /// Notes what the mailboxes of a tenant held at a time, unless a later look is noted already.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn keep_mailbox_use(
        &self,
        tenant: TenantId,
        taken: Timestamp,
        rows: &[(AccountId, UsedBytes)],
    ) -> Result<(), AdminError> {
        let heads = self.use_heads(tenant).await?;
        if heads.values().any(|(head, _)| head.taken >= taken) {
            return Ok(());
        }
        let sheets = sheets_partition(tenant);
        let sheet = self.write_sheet((&sheets, ""), rows).await?;
        let mut used = UsedBytes::default();
        for (_, one) in rows {
            used.bytes = used.bytes.saturating_add(one.bytes);
            used.messages = used.messages.saturating_add(one.messages);
        }
        let head = UseHead { taken, mailboxes: rows.len() as u64, used, sheet };
        let key = ControlKey::new(heads_partition(tenant), taken.day());
        let known = heads.get(&day_of(taken)).map(|(_, version)| *version);
        let expected = known.map_or(Expected::Absent, Expected::Version);
        if !self.write(&key, &head, expected).await? {
            // Somebody else has looked on the same day. The sheet goes with one of the next days.
            return Ok(());
        }
        let others: Vec<&Sheet> = heads.values().map(|(head, _)| &head.sheet).collect();
        self.drop_sheets((&sheets, ""), Some(&head.sheet), &others).await?;
        for (day, (_, version)) in heads.range(..day_of(taken) - KEPT) {
            let key = ControlKey::new(heads_partition(tenant), super::beginning(*day).day());
            self.control.delete_if(&key, *version).await?;
        }
        Ok(())
    }

    /// What was noted of each day.
    pub(super) async fn use_heads(&self, tenant: TenantId) -> Result<UseHeads, AdminError> {
        let rows = self.control.query(&heads_partition(tenant), "", None, HEADS).await?;
        let mut heads = UseHeads::new();
        for (sort, item) in rows {
            let Some(day) = day_in(&sort) else { continue };
            heads.insert(day, (decode(&item.value)?, item.version));
        }
        Ok(heads)
    }

    /// Mailboxes that the actor may see with what they held when housekeeping looked at them last, and what they may hold now;
    /// those that hold the most first. With where the next page begins.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn mailbox_use(
        &self,
        call: &Call,
        tenant: TenantId,
        (after, limit): (usize, usize),
    ) -> Result<(Vec<MailboxUse>, Option<usize>), AdminError> {
        let mut sight = Sight::new(self, call, Action::MailboxUseRead, tenant).await?;
        let now = self.clock.now();
        let plan = self.stored_tenant(tenant).await?.capacities(now);
        let Some((taken, used)) = self.newest_use(tenant).await? else { return Ok((Vec::new(), None)) };
        sight.look_up_all().await?;
        let mut rows = Vec::with_capacity(used.len());
        for (id, used) in used {
            if sight.sees(AccountKey { tenant, account: id }).await? {
                rows.push((id, used));
            }
        }
        rows.sort_by_key(|(id, used)| (Reverse(used.bytes), *id));
        let (page, next) = page_of(rows, after, limit);
        let mut found = Vec::with_capacity(page.len());
        for (id, used) in page {
            let account = self.directory.account(AccountKey { tenant, account: id }).await?;
            let capacity = account.as_ref().map(|account| account.capacity(plan));
            let capacity = capacity.filter(|bytes| *bytes < u64::MAX);
            found.push(MailboxUse { id, account, taken, used, capacity });
        }
        Ok((found, next))
    }

    /// What was noted last.
    async fn newest_use(
        &self,
        tenant: TenantId,
    ) -> Result<Option<(Timestamp, Vec<(AccountId, UsedBytes)>)>, AdminError> {
        for _ in 0..ATTEMPTS {
            let heads = self.use_heads(tenant).await?;
            let newest = heads.into_values().map(|(head, _)| head).max_by_key(|head| head.taken);
            let Some(head) = newest else { return Ok(None) };
            if let Some(rows) = self.read_sheet((&sheets_partition(tenant), ""), &head.sheet).await? {
                return Ok(Some((head.taken, rows)));
            }
        }
        Err(pennypost_directory::DirectoryError::Contended.into())
    }
}
