//! Garbage collection of packs: hints, verification, removal.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use pennypost_mailstore::pack::{self, TocEntry};
use pennypost_mailstore::{StoreError, names};
use pennypost_model::message::BlobRef;
use pennypost_model::{AccountKey, EventId, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected, PortError, Replaced};

use crate::{Housekeep, Removed};

/// A pack is rewritten when at least this many bytes go with it: below, the calls cost more than a year of the
/// space.
const WORTH_REWRITING: u64 = 20 * 1024;
/// Hints and packs that are taken at once.
const PAGE: usize = 500;

/// An entry of a pack that may be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hint {
    pack: EventId,
    entry: u32,
}

/// Which entries an account refers to, live or restorable.
type References = BTreeSet<Hint>;

impl Hint {
    /// The entry that `blob` refers to.
    pub const fn of(blob: BlobRef) -> Hint {
        Hint { pack: blob.pack, entry: blob.entry }
    }

    fn sort_key(self) -> String {
        format!("{}/{:08x}", self.pack, self.entry)
    }

    fn parse(sort_key: &str) -> Option<Hint> {
        let (pack, entry) = sort_key.split_once('/')?;
        Some(Hint { pack: pack.parse().ok()?, entry: u32::from_str_radix(entry, 16).ok()? })
    }
}

impl Housekeep {
    /// Remembers that these entries may be dead.
    pub(crate) async fn write_hints(&self, tenant: TenantId, hints: &[Hint]) -> Result<(), StoreError> {
        for hint in hints {
            let key = ControlKey::new(partition(tenant), hint.sort_key());
            self.control.put_if(&key, &[1], Expected::Any).await?;
        }
        Ok(())
    }

    /// Verifies the dead hints of a tenant, and deletes or rewrites packs.
    ///
    /// # Errors
    /// [`StoreError`]; what was removed before it is removed.
    pub async fn collect_garbage(&self, tenant: TenantId) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        let mut references = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.control.query(&partition(tenant), "", after.as_deref(), PAGE).await?;
            let mut packs: BTreeMap<EventId, Vec<(u32, ControlKey, u64)>> = BTreeMap::new();
            for (sort, item) in &page {
                let Some(hint) = Hint::parse(sort) else { continue };
                let key = ControlKey::new(partition(tenant), sort.clone());
                packs.entry(hint.pack).or_default().push((hint.entry, key, item.version));
            }
            for (pack, hints) in packs {
                if pack.time() >= self.old_enough() {
                    continue;
                }
                let hinted = hints.iter().map(|(entry, ..)| *entry).collect();
                let settled = self.sweep_pack(tenant, pack, &hinted, &mut references, &mut removed).await?;
                for (entry, key, version) in &hints {
                    if settled.contains(entry) {
                        self.control.delete_if(key, *version).await?;
                    }
                }
            }
            match page.last() {
                Some((last, _)) if page.len() == PAGE => after = Some(last.clone()),
                _ => return Ok(removed),
            }
        }
    }

    /// Removes the dead among the hinted entries of a pack. The answer is which hints are settled: the entry is
    /// gone, or somebody refers to it. A dead entry that is not worth a rewrite keeps its hint.
    async fn sweep_pack(
        &self,
        tenant: TenantId,
        id: EventId,
        hinted: &BTreeSet<u32>,
        references: &mut HashMap<AccountKey, References>,
        removed: &mut Removed,
    ) -> Result<BTreeSet<u32>, StoreError> {
        let name = names::pack(tenant, id);
        let (bytes, etag) = match self.store.objects().get(&name).await {
            Ok(found) => found,
            Err(PortError::NotFound { .. }) => return Ok(hinted.clone()),
            Err(error) => return Err(error.into()),
        };
        let toc = pack::read_toc(&bytes)?;
        let mut dead = BTreeSet::new();
        for entry in &toc {
            if hinted.contains(&entry.entry) && self.is_dead(tenant, id, entry, references).await? {
                dead.insert(entry.entry);
            }
        }
        let mut settled: BTreeSet<u32> = hinted.difference(&dead).copied().collect();
        if dead.len() == toc.len() {
            self.store.objects().delete(&name).await?;
            removed.packs += 1;
            return Ok(hinted.clone());
        }
        let freed: u64 = toc.iter().filter(|e| dead.contains(&e.entry)).map(|e| u64::from(e.len)).sum();
        if freed >= WORTH_REWRITING {
            let smaller = pack::without(&bytes, |entry| dead.contains(&entry.entry))?;
            if self.store.objects().put_if_match(&name, smaller.into(), &etag).await? == Replaced::Stored {
                removed.rewritten += 1;
                settled.extend(dead);
            }
        }
        Ok(settled)
    }

    /// Does no owner of the entry refer to it any more?
    async fn is_dead(
        &self,
        tenant: TenantId,
        pack: EventId,
        entry: &TocEntry,
        references: &mut HashMap<AccountKey, References>,
    ) -> Result<bool, StoreError> {
        let hint = Hint { pack, entry: entry.entry };
        for owner in &entry.owners {
            let account = AccountKey { tenant, account: *owner };
            let known = match references.entry(account) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => unknown.insert(self.references(account).await?),
            };
            if known.contains(&hint) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Everything that an account refers to, by a strong read.
    async fn references(&self, account: AccountKey) -> Result<References, StoreError> {
        let state = self.store.load(account, Consistency::Strong).await?;
        let live = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter().map(|row| row.blob));
        let restorable = state.deleted().values().map(|deleted| deleted.row.blob);
        Ok(live.chain(restorable).map(Hint::of).collect())
    }

    /// Compares all packs of a tenant with everything that its accounts refer to.
    pub(crate) async fn audit_packs(&self, tenant: TenantId) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        let mut references = HashMap::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.objects().list(&names::packs(tenant), after.as_deref(), PAGE).await?;
            for object in &page {
                let Some(id) = names::id_of(&object.name) else { continue };
                if id.time() >= self.old_enough() {
                    continue;
                }
                let toc = self.store.toc(tenant, id).await?;
                let all = toc.iter().map(|entry| entry.entry).collect();
                self.sweep_pack(tenant, id, &all, &mut references, &mut removed).await?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.name.clone()),
                _ => return Ok(removed),
            }
        }
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/gc")
}
