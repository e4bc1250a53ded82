//! VIP seats of members: given, withdrawn, listed (PLN-02, PLN-03).
//!
//! Whether a member has one stands in the account's item. `T/vip` names the accounts that may have one, by their id: it is
//! written before the item, so that none is missing there, and erased with the account only; which really have one, the
//! items say.

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::{Account, AccountKind, Directory, DirectoryError, Listed, NoSeat, Page};

/// Accounts that are looked up at once.
const LOOKUPS: usize = 16;

/// That an account may have a VIP seat.
#[derive(Debug, Serialize, Deserialize)]
struct VipItem;

impl Versioned for VipItem {
    const KIND: &'static str = "vip";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/vip")
}

fn vip_key(key: AccountKey) -> ControlKey {
    ControlKey::new(partition(key.tenant), key.account.to_string())
}

impl Directory {
    /// Gives a member a VIP seat, or withdraws it: it is free again, and the mailbox holds what an ordinary one does; what
    /// is in it stays. Doing what is done already is no error.
    ///
    /// # Errors
    /// [`DirectoryError::NoAccount`], [`DirectoryError::NoSeat`] where none is free or the tenant has no plan,
    /// [`DirectoryError::WrongKind`] for a business mailbox, [`DirectoryError::InBin`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn set_vip(&self, key: AccountKey, is_vip: bool) -> Result<(), DirectoryError> {
        if is_vip {
            if self.tenant(key.tenant).await?.is_none_or(|tenant| tenant.plan.is_none()) {
                return Err(NoSeat::NoPlan.into());
            }
            self.write(&vip_key(key), &VipItem, Expected::Any).await?;
        }
        self.try_change_account(key, |account| {
            if account.kind == AccountKind::Business {
                return Err(DirectoryError::WrongKind(account.address.to_string()));
            }
            if account.binned.is_some() {
                return Err(DirectoryError::InBin(account.address.to_string()));
            }
            account.is_vip = is_vip;
            Ok(())
        })
        .await
    }

    /// Members with a VIP seat, in no order that means anything (PLN-03). A page may hold few though more follow.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn vips(&self, tenant: TenantId, page: &Page) -> Result<Listed<Account>, DirectoryError> {
        let listed = self.list::<VipItem>(&partition(tenant), "", page).await?;
        let keys = listed.items.into_iter().filter_map(|(sort, _)| sort.parse::<AccountId>().ok());
        let accounts = keys.map(|account| self.account(AccountKey { tenant, account })).collect::<Vec<_>>();
        let found: Vec<Option<Account>> = stream::iter(accounts).buffered(LOOKUPS).try_collect().await?;
        let items = found.into_iter().flatten().filter(|account| account.is_vip).collect();
        Ok(Listed { items, next: listed.next })
    }

    /// An account is being erased.
    pub(crate) async fn forget_vip(&self, key: AccountKey) -> Result<(), DirectoryError> {
        self.erase(&vip_key(key)).await
    }
}
