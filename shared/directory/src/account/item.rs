//! An account as stored, in every version of its item.

use std::collections::BTreeSet;

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::organisation::{CardPlace, places_of};
use crate::{Account, AccountKind, AccountState, ClientSettings, DirectoryError, MailAddress, Profile};

/// An account as stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountItem {
    pub(crate) account: Account,
    /// The address item is known to have become this account's; if `false` it has to be asked.
    pub(crate) complete: bool,
    /// Counts changes of what cards tell.
    pub(crate) revision: u32,
    /// Where cards may lie that are no longer wanted.
    pub(crate) stale: BTreeSet<CardPlace>,
}

impl AccountItem {
    /// Changes the account; `true` if its cards have to follow.
    pub(crate) fn try_change<R>(
        &mut self,
        change: impl FnOnce(&mut Account) -> Result<R, DirectoryError>,
    ) -> Result<(bool, R), DirectoryError> {
        let before = self.account.person();
        let result = change(&mut self.account)?;
        let after = self.account.person();
        let follows = before != after;
        if follows {
            self.revision = self.revision.saturating_add(1);
            self.stale.extend(before.as_ref().map(places_of).unwrap_or_default());
            for place in after.as_ref().map(places_of).unwrap_or_default() {
                self.stale.remove(&place);
            }
        }
        Ok((follows, result))
    }
}

impl Versioned for AccountItem {
    const KIND: &'static str = "account";
    const VERSION: u8 = 3;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<AccountItem, CodecError> {
        let (account, complete) = match found {
            1 => {
                let AccountItemV1 { account, complete } = decode_plain(Self::KIND, bytes)?;
                let AccountV1 { key, address, state, quota_bytes, created, display_name } = account;
                let clients = ClientSettings::default();
                (AccountV2 { key, address, state, quota_bytes, created, display_name, clients }, complete)
            }
            2 => {
                let AccountItemV2 { account, complete } = decode_plain(Self::KIND, bytes)?;
                (account, complete)
            }
            _ => return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        };
        let AccountV2 { key, address, state, quota_bytes, created, display_name, clients } = account;
        let account = Account {
            key,
            address,
            state,
            quota_bytes,
            created,
            display_name,
            clients,
            profile: Profile::default(),
            departments: Vec::new(),
            kind: AccountKind::Member,
            suspended: false,
            expires: None,
            binned: None,
        };
        Ok(AccountItem { account, complete, revision: 0, stale: BTreeSet::new() })
    }
}

/// As stored before there was a word about mail programs.
#[derive(Serialize, Deserialize)]
struct AccountItemV1 {
    account: AccountV1,
    complete: bool,
}

#[derive(Serialize, Deserialize)]
struct AccountV1 {
    key: AccountKey,
    address: MailAddress,
    state: AccountState,
    quota_bytes: u64,
    created: Timestamp,
    display_name: String,
}

/// As stored before there was an organisation.
#[derive(Serialize, Deserialize)]
struct AccountItemV2 {
    account: AccountV2,
    complete: bool,
}

#[derive(Serialize, Deserialize)]
struct AccountV2 {
    key: AccountKey,
    address: MailAddress,
    state: AccountState,
    quota_bytes: u64,
    created: Timestamp,
    display_name: String,
    clients: ClientSettings,
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode_plain};
    use pennypost_model::{AccountId, TenantId};

    use super::*;
    use crate::{BinCause, Binned};

    fn old() -> AccountV1 {
        AccountV1 {
            key: AccountKey { tenant: TenantId(1), account: AccountId(2) },
            address: MailAddress::parse("ann@acme.example").expect("an address"),
            state: AccountState::Disabled,
            quota_bytes: 7,
            created: Timestamp(8),
            display_name: "Ann".to_owned(),
        }
    }

    #[test]
    fn accounts_of_every_earlier_version_are_read() {
        let first = encode_plain(&AccountItemV1 { account: old(), complete: true }, 1);
        let AccountV1 { key, address, state, quota_bytes, created, display_name } = old();
        let mut clients = ClientSettings::default();
        clients.change(|settings| settings.passwords = Some(false));
        let account = AccountV2 { key, address, state, quota_bytes, created, display_name, clients };
        let second = encode_plain(&AccountItemV2 { account, complete: true }, 2);
        for (bytes, expected) in [(first, ClientSettings::default()), (second, clients)] {
            let item: AccountItem = decode(&bytes).expect("read");
            assert!(item.complete && item.revision == 0 && item.stale.is_empty());
            let account = item.account;
            assert_eq!((account.state, account.quota_bytes), (AccountState::Disabled, 7));
            assert_eq!((account.display_name.as_str(), account.clients), ("Ann", expected));
            assert!(account.departments.is_empty() && account.binned.is_none() && !account.suspended);
            assert_eq!(account.kind, AccountKind::Member);
        }
    }

    #[test]
    fn what_closes_an_account() {
        let upgraded: AccountItem =
            decode(&encode_plain(&AccountItemV1 { account: old(), complete: true }, 1)).expect("read");
        let open = Account { state: AccountState::Active, ..upgraded.account };
        let (before, at) = (Timestamp(99), Timestamp(100));
        let bin = Binned { cause: BinCause::Deleted, since: before, until: at };
        assert!(open.is_open(at));
        assert!(Account { expires: Some(at), ..open.clone() }.is_open(before));
        for closed in [
            Account { expires: Some(at), ..open.clone() },
            Account { state: AccountState::Disabled, ..open.clone() },
            Account { suspended: true, ..open.clone() },
            Account { binned: Some(bin), ..open },
        ] {
            assert!(!closed.is_open(at), "{closed:?}");
        }
    }
}
