//! Rows that are written together and never changed: a sheet. Whoever refers to it makes it be there.

use pennypost_model::EventId;
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_ports::{ControlKey, Expected};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::DAY_MILLIS;
use crate::{AdminError, Administration};

/// Rows of an item: 50 bytes each at most, so that it stays below 350 KB.
const ROWS: usize = 5_000;
/// Items that are read at once.
const PAGE: usize = 20;
/// A sheet to which nothing refers may be on its way to be referred to for so long.
const ON_ITS_WAY: i64 = DAY_MILLIS;

/// What refers to a sheet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sheet {
    /// Its name.
    id: String,
    /// Items that it has.
    items: u32,
    /// SHA-256 of its rows.
    digest: [u8; 32],
}

/// A row of a sheet.
pub(super) trait Row: Clone + Serialize + DeserializeOwned + Send + Sync {
    /// What an item with such rows is called.
    const KIND: &'static str;
}

/// Rows that lie in one item.
#[derive(Serialize, Deserialize)]
struct Rows<T>(Vec<T>);

impl<T: Row> Versioned for Rows<T> {
    const KIND: &'static str = T::KIND;
}

fn items<T: Row>(rows: &[T]) -> Vec<Vec<u8>> {
    rows.chunks(ROWS).map(|some| encode(&Rows(some.to_vec()))).collect()
}

fn digest(items: &[Vec<u8>]) -> [u8; 32] {
    let mut digest = Sha256::new();
    items.iter().for_each(|item| digest.update(item));
    digest.finalize().into()
}

impl Sheet {
    /// Does it hold these rows?
    pub(super) fn holds<T: Row>(&self, rows: &[T]) -> bool {
        digest(&items(rows)) == self.digest
    }
}

impl Administration {
    /// Writes a sheet into a partition; its items have names that begin with `prefix`.
    pub(super) async fn write_sheet<T: Row>(
        &self,
        (partition, prefix): (&str, &str),
        rows: &[T],
    ) -> Result<Sheet, AdminError> {
        let items = items(rows);
        let id = self.ids.event(self.clock.now()).to_string();
        for (number, item) in items.iter().enumerate() {
            let key = ControlKey::new(partition, format!("{prefix}{id}/{number:05}"));
            self.control.put_if(&key, item, Expected::Any).await?;
        }
        Ok(Sheet { id, items: u32::try_from(items.len()).unwrap_or(u32::MAX), digest: digest(&items) })
    }

    /// The rows of a sheet; `None` if they are not all there any more: another one has taken its place.
    pub(super) async fn read_sheet<T: Row>(
        &self,
        (partition, prefix): (&str, &str),
        sheet: &Sheet,
    ) -> Result<Option<Vec<T>>, AdminError> {
        let (mut rows, mut read, mut after) = (Vec::new(), 0, None);
        let prefix = format!("{prefix}{}/", sheet.id);
        while read < sheet.items {
            let page = self.control.query(partition, &prefix, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            after = Some(last.clone());
            for (_, item) in page {
                let Rows(some) = decode::<Rows<T>>(&item.value)?;
                rows.extend(some);
                read += 1;
            }
        }
        Ok(Some(rows))
    }

    /// Removes sheets whose names begin with `prefix`: those named, and of others than `kept` those that nobody can be about
    /// to refer to.
    pub(super) async fn drop_sheets(
        &self,
        (partition, prefix): (&str, &str),
        kept: Option<&Sheet>,
        named: &[&Sheet],
    ) -> Result<(), AdminError> {
        let before = self.clock.now().plus_millis(-ON_ITS_WAY);
        let mut after: Option<String> = None;
        loop {
            let page = self.control.query(partition, prefix, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            for (sort, item) in page {
                let id = sort[prefix.len()..].split('/').next().unwrap_or_default();
                let is_named = named.iter().any(|sheet| sheet.id == id);
                let is_old = id.parse::<EventId>().is_ok_and(|id| id.time() < before);
                if kept.is_none_or(|kept| kept.id != id) && (is_named || is_old) {
                    self.control.delete_if(&ControlKey::new(partition, sort), item.version).await?;
                }
            }
        }
    }
}
