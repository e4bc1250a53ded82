//! What the recycle bin tells of accounts that were erased (ORG-23): rows without an account, for a while.
//!
//! `T/erased` holds them, the last to expire first. A row is written before the account goes, under a name that follows from
//! the account: erasing that is repeated writes it again.

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{Account, AccountKind, Binned, Directory, DirectoryError, Listed, MailAddress, Page};

/// Milliseconds for which a row stays: as long as the log of long operations (LOG-08).
pub const ERASED_KEPT: i64 = 180 * 24 * 60 * 60 * 1000;

/// An account that was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Which it was.
    pub account: AccountId,
    /// Its address, which may be somebody else's by now.
    pub address: MailAddress,
    /// The name of its owner; may be empty.
    pub display_name: String,
    /// Whose it was.
    pub kind: AccountKind,
    /// Why it was in the recycle bin, and from when to when.
    pub binned: Binned,
    /// When it was erased.
    pub at: Timestamp,
}

impl Versioned for Erased {
    const KIND: &'static str = "erased account";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/erased")
}

fn key_of(tenant: TenantId, account: AccountId, until: Timestamp) -> ControlKey {
    let back = u64::MAX - u64::try_from(until.0).unwrap_or_default();
    ControlKey::new(partition(tenant), format!("{back:016x}/{account}"))
}

impl Directory {
    /// Notes what is told of an account in the recycle bin that is being erased.
    pub(crate) async fn keep_row(&self, account: &Account) -> Result<(), DirectoryError> {
        let Some(binned) = account.binned else { return Ok(()) };
        let row = Erased {
            account: account.key.account,
            address: account.address.clone(),
            display_name: account.display_name.clone(),
            kind: account.kind,
            binned,
            at: self.clock.now(),
        };
        let key = key_of(account.key.tenant, row.account, binned.until);
        self.write(&key, &row, Expected::Any).await.map(drop)
    }

    /// Accounts that were erased within [`ERASED_KEPT`], the last to expire first.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn erased(&self, tenant: TenantId, page: &Page) -> Result<Listed<Erased>, DirectoryError> {
        let Listed { items, next } = self.list::<Erased>(&partition(tenant), "", page).await?;
        Ok(Listed { items: items.into_iter().map(|(_, row)| row).collect(), next })
    }

    /// Forgets the rows of accounts that were erased longer ago than that; how many.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn forget_erased(&self, tenant: TenantId) -> Result<u64, DirectoryError> {
        let now = self.clock.now();
        let mut forgotten = 0;
        for (_, row) in self.list_all::<Erased>(&partition(tenant), "").await? {
            if now.0.saturating_sub(row.at.0) > ERASED_KEPT {
                self.erase(&key_of(tenant, row.account, row.binned.until)).await?;
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }
}
