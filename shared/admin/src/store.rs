//! Typed access to the control port.

use pennypost_directory::{DirectoryError, Listed, Page};
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_ports::{Consistency, ControlKey, Expected, Put};

use crate::{AdminError, Administration};

/// How often a compare-and-set loop begins again before it gives up.
pub(crate) const MAX_ATTEMPTS: usize = 32;

impl Administration {
    /// The value and the version of its item.
    pub(crate) async fn read<T: Versioned>(&self, key: &ControlKey) -> Result<Option<(T, u64)>, AdminError> {
        let Some(item) = self.control.get(key, Consistency::Strong).await? else { return Ok(None) };
        Ok(Some((decode(&item.value)?, item.version)))
    }

    /// Writes; `false` if the condition did not hold.
    pub(crate) async fn write<T: Versioned>(
        &self,
        key: &ControlKey,
        value: &T,
        expected: Expected,
    ) -> Result<bool, AdminError> {
        let put = self.control.put_if(key, &encode(value), expected).await?;
        Ok(matches!(put, Put::Stored(_)))
    }

    /// Deletes whatever is there; `false` if nothing was.
    pub(crate) async fn erase(&self, key: &ControlKey) -> Result<bool, AdminError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(item) = self.control.get(key, Consistency::Strong).await? else { return Ok(false) };
            if self.control.delete_if(key, item.version).await? {
                return Ok(true);
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// A page of a partition: sort keys and values.
    pub(crate) async fn list<T: Versioned>(
        &self,
        partition: &str,
        page: &Page,
    ) -> Result<Listed<(String, T)>, AdminError> {
        let limit = page.limit.clamp(1, pennypost_directory::MAX_PAGE);
        let rows = self.control.query(partition, "", page.after.as_deref(), limit).await?;
        let next = if rows.len() >= limit { rows.last().map(|(sort, _)| sort.clone()) } else { None };
        let items: Result<Vec<_>, AdminError> =
            rows.into_iter().map(|(sort, item)| Ok((sort, decode(&item.value)?))).collect();
        Ok(Listed { items: items?, next })
    }
}
