//! Who refers to the entries of some packs: the verification in front of every removal.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use pennypost_mailstore::pack::TocEntry;
use pennypost_mailstore::{Mailstore, StoreError};
use pennypost_model::{AccountKey, EventId, TenantId};
use pennypost_ports::Consistency;

use crate::hints::Hint;

/// References of accounts to the packs of one page. Each account is loaded once for a page, and only what refers
/// to these packs is kept of it.
pub(crate) struct References<'a> {
    store: &'a Mailstore,
    tenant: TenantId,
    packs: BTreeSet<EventId>,
    /// `None`: the account can't be read.
    accounts: HashMap<AccountKey, Option<BTreeSet<Hint>>>,
}

impl References<'_> {
    pub fn to(
        store: &Mailstore,
        tenant: TenantId,
        packs: impl IntoIterator<Item = EventId>,
    ) -> References<'_> {
        References { store, tenant, packs: packs.into_iter().collect(), accounts: HashMap::new() }
    }

    /// Does no owner of the entry refer to it any more, live or restorable? An owner that can't be read is taken
    /// to refer to everything.
    ///
    /// # Errors
    /// Temporary errors of the ports.
    #[pennypost_ports::compiled_here]
    pub async fn is_dead(&mut self, pack: EventId, entry: &TocEntry) -> Result<bool, StoreError> {
        let hint = Hint { pack, entry: entry.entry };
        for owner in &entry.owners {
            let account = AccountKey { tenant: self.tenant, account: *owner };
            let known = match self.accounts.entry(account) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(load(self.store, account, &self.packs).await?),
            };
            if known.as_ref().is_none_or(|references| references.contains(&hint)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What an account refers to in these packs, by a strong read; `None` if it can't be read.
async fn load(
    store: &Mailstore,
    account: AccountKey,
    packs: &BTreeSet<EventId>,
) -> Result<Option<BTreeSet<Hint>>, StoreError> {
    let state = match store.load(account, Consistency::Strong).await {
        Ok(state) => state,
        Err(error) if error.is_temporary() => return Err(error),
        Err(error) => {
            tracing::warn!(%account, %error, "the account can't be read: its messages are kept");
            return Ok(None);
        }
    };
    let live = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter().map(|row| row.blob));
    let restorable = state.deleted().iter().map(|deleted| deleted.row.blob);
    let ours = live.chain(restorable).filter(|blob| packs.contains(&blob.pack));
    Ok(Some(ours.map(Hint::of).collect()))
}
