//! What an adapter says of itself in the control table.

use pennypost_model::codec::{self, Versioned};
use pennypost_model::{AccountKey, Timestamp};
use pennypost_ports::{Consistency, Control, ControlKey, Expected, PortResult};
use serde::{Deserialize, Serialize};

use super::{ADAPTERS, damaged};

/// Accounts that are named one by one; with more of them an adapter is told of every change, which costs less than to
/// write so many names again and again.
pub(super) const NAMED: usize = 4000;
/// Registrations that are read at once.
const PAGE: usize = 100;

/// An adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    pub id: String,
    pub url: String,
    /// It is taken for dead after this.
    pub expires: Timestamp,
    pub watched: Watched,
}

/// Whose changes an adapter wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Watched {
    /// Everybody's.
    All,
    /// Nobody's.
    #[default]
    Nobodys,
    /// Those of accounts with these marks, ascending.
    Of(Vec<u32>),
}

#[derive(Serialize, Deserialize)]
struct Stored {
    url: String,
    expires: Timestamp,
    watched: Watched,
}

impl Versioned for Stored {
    const KIND: &'static str = "adapter";
}

/// A short mark of an account. Two accounts may share one: then one of them is woken in vain.
fn mark(account: AccountKey) -> u32 {
    // The ids are random.
    let mixed = account.account.0 ^ account.tenant.0.rotate_left(17);
    (mixed ^ (mixed >> 32)) as u32
}

impl Watched {
    pub(super) fn of(accounts: &[AccountKey]) -> Watched {
        match accounts.len() {
            0 => Watched::Nobodys,
            1..=NAMED => {
                let mut marks: Vec<u32> = accounts.iter().map(|account| mark(*account)).collect();
                marks.sort_unstable();
                marks.dedup();
                Watched::Of(marks)
            }
            _ => Watched::All,
        }
    }
}

impl Registration {
    /// Is the account watched there, as far as one can tell?
    pub(super) fn watches(&self, account: AccountKey) -> bool {
        match &self.watched {
            Watched::All => true,
            Watched::Nobodys => false,
            Watched::Of(marks) => marks.binary_search(&mark(account)).is_ok(),
        }
    }

    fn key(&self) -> ControlKey {
        ControlKey::new(ADAPTERS, &self.id)
    }

    /// Writes it, over the one before.
    pub(super) async fn write(&self, control: &dyn Control) -> PortResult<()> {
        let Registration { url, expires, watched, .. } = self.clone();
        let value = codec::encode(&Stored { url, expires, watched });
        control.put_if(&self.key(), &value, Expected::Any).await.map(drop)
    }

    /// Removes it.
    pub(super) async fn remove(&self, control: &dyn Control) -> PortResult<()> {
        match control.get(&self.key(), Consistency::Strong).await? {
            Some(item) => control.delete_if(&self.key(), item.version).await.map(drop),
            None => Ok(()),
        }
    }
}

/// Every registration, expired ones included.
pub(super) async fn all(control: &dyn Control) -> PortResult<Vec<Registration>> {
    let mut all: Vec<Registration> = Vec::new();
    loop {
        let after = all.last().map(|last| last.id.clone());
        let page = control.query(ADAPTERS, "", after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        for (id, item) in page {
            let stored = codec::decode::<Stored>(&item.value);
            let Stored { url, expires, watched } =
                stored.map_err(|error| damaged(format!("adapter {id}: {error}")))?;
            all.push(Registration { id, url, expires, watched });
        }
        if is_last {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::{AccountId, TenantId};

    use super::*;

    fn account(number: u64) -> AccountKey {
        AccountKey {
            tenant: TenantId(number << 40),
            account: AccountId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    fn adapter(accounts: impl Iterator<Item = u64>) -> Registration {
        let accounts: Vec<AccountKey> = accounts.map(account).collect();
        let watched = Watched::of(&accounts);
        Registration { id: "a".to_owned(), url: String::new(), expires: Timestamp(0), watched }
    }

    #[test]
    fn an_adapter_hears_of_what_it_watches() {
        assert!(!adapter(0..0).watches(account(1)));
        let some = adapter(1..=1000);
        assert!((1..=1000).all(|number| some.watches(account(number))));
        let in_vain = (1001..=101_000).filter(|number| some.watches(account(*number))).count();
        assert!(in_vain < 20, "{in_vain}");
        assert!(adapter(1..=5000).watches(account(9_999_999)));
    }
}
