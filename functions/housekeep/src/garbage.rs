//! Garbage collection of packs: verification, then removal. Works page by page, so that what is kept in memory
//! does not grow with the tenant; a pack that is damaged is reported and left alone, the others go on.

use std::collections::BTreeSet;

use bytes::Bytes;
use pennypost_mailstore::pack::{self, TocEntry};
use pennypost_mailstore::{StoreError, names};
use pennypost_model::{EventId, TenantId};
use pennypost_ports::{Etag, PortError, Replaced};

use crate::hints::StoredHint;
use crate::references::References;
use crate::{Housekeep, Removed};

/// A pack is rewritten when at least this many bytes go with it: below, the calls cost more than a year of the
/// space.
const WORTH_REWRITING: u64 = 20 * 1024;
/// Packs that the audit takes at once. Each page loads the owners of its packs once.
pub(crate) const AUDIT_PAGE: usize = 200;
/// A hint of an entry that is still referred to is given up after so many days: the `Forget` that it announced
/// was never written, or somebody else refers to the entry as well and will write a hint when that ends.
const HINT_DAYS: f64 = 1.0;

/// A pack that is looked at.
struct Candidate {
    id: EventId,
    name: String,
    toc: Vec<TocEntry>,
    /// All bytes and their version, if they were read already.
    whole: Option<(Bytes, Etag)>,
}

/// What became of the suspects of a pack. Those that are in neither set are gone.
#[derive(Default)]
struct Swept {
    /// Dead, but not worth a rewrite yet (or somebody else was faster).
    dead: BTreeSet<u32>,
    /// Somebody refers to them.
    alive: BTreeSet<u32>,
}

impl Housekeep {
    /// Verifies the dead hints of a tenant, and deletes or rewrites packs.
    ///
    /// # Errors
    /// [`StoreError`]; what was removed before it is removed.
    #[pennypost_ports::compiled_here]
    pub async fn collect_garbage(&self, tenant: TenantId) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        let mut after: Option<String> = None;
        loop {
            let mut page = self.hints(tenant, after.as_deref()).await?;
            page.packs.retain(|pack, _| pack.time() < self.old_enough());
            let mut references = References::to(&self.store, tenant, page.packs.keys().copied());
            for (id, hints) in &page.packs {
                let collected = self.collect_hinted(tenant, *id, hints, &mut references, &mut removed).await;
                go_on_after(tenant, *id, collected)?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(removed),
            }
        }
    }

    /// Removes what is dead among the hinted entries of a pack, and the hints that are settled with it.
    async fn collect_hinted(
        &self,
        tenant: TenantId,
        id: EventId,
        hints: &[StoredHint],
        references: &mut References<'_>,
        removed: &mut Removed,
    ) -> Result<(), StoreError> {
        let hinted: BTreeSet<u32> = hints.iter().map(|hint| hint.entry).collect();
        let name = names::pack(tenant, id);
        let swept = match self.store.objects().get(&name).await {
            Ok((bytes, etag)) => {
                let toc = pack::read_toc(&bytes)?;
                let candidate = Candidate { id, name, toc, whole: Some((bytes, etag)) };
                let suspect = |entry: &TocEntry| hinted.contains(&entry.entry);
                self.sweep_pack(candidate, suspect, references, removed).await?
            }
            Err(PortError::NotFound { .. }) => Swept::default(),
            Err(error) => return Err(error.into()),
        };
        let given_up = self.days_ago(HINT_DAYS);
        for hint in hints {
            let waits = swept.alive.contains(&hint.entry) && hint.written >= given_up;
            if !waits && !swept.dead.contains(&hint.entry) {
                self.control.delete_if(&hint.key, hint.version).await?;
            }
        }
        Ok(())
    }

    /// Removes what is dead among the suspects of a pack.
    async fn sweep_pack(
        &self,
        candidate: Candidate,
        suspect: impl Fn(&TocEntry) -> bool,
        references: &mut References<'_>,
        removed: &mut Removed,
    ) -> Result<Swept, StoreError> {
        let Candidate { id, name, toc, whole } = candidate;
        let mut swept = Swept::default();
        let mut freed = 0;
        for entry in toc.iter().filter(|entry| suspect(entry)) {
            if references.is_dead(id, entry).await? {
                swept.dead.insert(entry.entry);
                freed += u64::from(entry.len);
            } else {
                swept.alive.insert(entry.entry);
            }
        }
        if swept.dead.len() == toc.len() {
            self.store.objects().delete(&name).await?;
            removed.packs += 1;
            swept.dead.clear();
        } else if freed >= WORTH_REWRITING {
            let (bytes, etag) = match whole {
                Some(whole) => whole,
                None => self.store.objects().get(&name).await?,
            };
            let smaller = pack::without(&bytes, |entry| swept.dead.contains(&entry.entry))?;
            if self.store.objects().put_if_match(&name, smaller.into(), &etag).await? == Replaced::Stored {
                removed.rewritten += 1;
                swept.dead.clear();
            }
        }
        Ok(swept)
    }

    /// Compares all packs of a tenant with everything that its accounts refer to. Of a pack only the table of
    /// contents is read, unless something goes from it. Works on `limit` packs at once.
    pub(crate) async fn audit_packs(&self, tenant: TenantId, limit: usize) -> Result<Removed, StoreError> {
        let mut removed = Removed::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.objects().list(&names::packs(tenant), after.as_deref(), limit).await?;
            let packs = page.iter().filter_map(|object| Some((names::id_of(&object.name)?, object.size)));
            let old: Vec<_> = packs.filter(|(id, _)| id.time() < self.old_enough()).collect();
            let mut references = References::to(&self.store, tenant, old.iter().map(|(id, _)| *id));
            for (id, size) in old {
                let audited = self.audit_pack(tenant, id, size, &mut references, &mut removed).await;
                go_on_after(tenant, id, audited)?;
            }
            match page.last() {
                Some(last) if page.len() == limit => after = Some(last.name.clone()),
                _ => return Ok(removed),
            }
        }
    }

    async fn audit_pack(
        &self,
        tenant: TenantId,
        id: EventId,
        size: u64,
        references: &mut References<'_>,
        removed: &mut Removed,
    ) -> Result<(), StoreError> {
        let toc = self.store.toc_sized(tenant, id, size).await?;
        let candidate = Candidate { id, name: names::pack(tenant, id), toc, whole: None };
        self.sweep_pack(candidate, |_| true, references, removed).await.map(drop)
    }
}

/// Only an error that passes by itself ends the run: the event comes again. A pack that is gone was removed by
/// somebody else; one that is damaged is a matter for an administrator.
fn go_on_after(tenant: TenantId, pack: EventId, result: Result<(), StoreError>) -> Result<(), StoreError> {
    match result {
        Err(error) if error.is_temporary() => Err(error),
        Ok(()) | Err(StoreError::Port(PortError::NotFound { .. })) => Ok(()),
        Err(error) => {
            tracing::warn!(%tenant, %pack, %error, "the pack can't be read and is left alone");
            Ok(())
        }
    }
}
