//! Hints that entries of packs may be dead: small items in the control table, written before the references go.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_mailstore::StoreError;
use pennypost_model::codec::{self, Versioned};
use pennypost_model::message::BlobRef;
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Control, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::Housekeep;

/// Hints that are taken at once.
const PAGE: usize = 500;
/// Hints that are written at the same time: backends commit what arrives together in one step.
const WRITTEN_AT_ONCE: usize = 64;

/// An entry of a pack that may be dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hint {
    pub pack: EventId,
    pub entry: u32,
}

impl Hint {
    /// The entry that `blob` refers to.
    pub const fn of(blob: BlobRef) -> Hint {
        Hint { pack: blob.pack, entry: blob.entry }
    }

    pub fn sort_key(self) -> String {
        format!("{}/{:08x}", self.pack, self.entry)
    }

    fn parse(sort_key: &str) -> Option<Hint> {
        let (pack, entry) = sort_key.split_once('/')?;
        Some(Hint { pack: pack.parse().ok()?, entry: u32::from_str_radix(entry, 16).ok()? })
    }
}

/// The value of a hint's item.
#[derive(Serialize, Deserialize)]
struct HintRecord {
    written: Timestamp,
}

impl Versioned for HintRecord {
    const KIND: &'static str = "dead hint";
}

/// A hint as it was found.
pub(crate) struct StoredHint {
    pub entry: u32,
    /// When it was written. The `Forget` that it announces follows at once, or its process died.
    pub written: Timestamp,
    pub key: ControlKey,
    pub version: u64,
}

/// Some of a tenant's hints, by pack.
pub(crate) struct HintPage {
    pub packs: BTreeMap<EventId, Vec<StoredHint>>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<String>,
}

impl Housekeep {
    /// Remembers that these entries may be dead. A hint that is there already becomes young again.
    pub(crate) async fn write_hints(&self, tenant: TenantId, hints: &[Hint]) -> Result<(), StoreError> {
        write_hints(&*self.control, self.store.clock().now(), tenant, hints).await
    }

    /// The hints of a tenant after `after`.
    pub(crate) async fn hints(&self, tenant: TenantId, after: Option<&str>) -> Result<HintPage, StoreError> {
        let items = self.control.query(&partition(tenant), "", after, PAGE).await?;
        let next = items.last().filter(|_| items.len() == PAGE).map(|(last, _)| last.clone());
        let mut packs: BTreeMap<EventId, Vec<StoredHint>> = BTreeMap::new();
        for (sort, item) in items {
            let Some(hint) = Hint::parse(&sort) else { continue };
            // A hint that can't be read counts as an old one; should that be wrong, the audit finds its entry.
            let written = codec::decode::<HintRecord>(&item.value).map_or(Timestamp(0), |hint| hint.written);
            let key = ControlKey::new(partition(tenant), sort);
            let stored = StoredHint { entry: hint.entry, written, key, version: item.version };
            packs.entry(hint.pack).or_default().push(stored);
        }
        Ok(HintPage { packs, next })
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/gc")
}

/// Remembers that these entries may be dead.
pub(crate) async fn write_hints(
    control: &dyn Control,
    now: Timestamp,
    tenant: TenantId,
    hints: &[Hint],
) -> Result<(), StoreError> {
    let value = codec::encode(&HintRecord { written: now });
    let write = async |hint: Hint| -> Result<(), StoreError> {
        let key = ControlKey::new(partition(tenant), hint.sort_key());
        control.put_if(&key, &value, Expected::Any).await?;
        Ok(())
    };
    stream::iter(hints.iter().copied()).map(write).buffer_unordered(WRITTEN_AT_ONCE).try_collect().await
}
