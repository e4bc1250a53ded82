//! An account as stored, in every version of its item.

use std::collections::BTreeSet;

use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{AccountKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clients::ClientSettingsV1;
use crate::organisation::{CardPlace, places_of};
use crate::{
    Account, AccountKind, AccountState, Binned, Block, ClientSettings, DepartmentId, DirectoryError,
    MailAddress, MailPermission, Profile,
};

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
    /// The move by which what it holds of the tenant's seats was changed last ([`crate::seats`]).
    pub(crate) last_move: u64,
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
    const VERSION: u8 = 7;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<AccountItem, CodecError> {
        let (account, complete) = match found {
            6 => {
                let AccountItemV6 { account, complete, revision, stale, last_move } =
                    decode_plain(Self::KIND, bytes)?;
                let account = account.upgraded();
                return Ok(AccountItem { account, complete, revision, stale, last_move });
            }
            5 => {
                let AccountItemV5 { account, complete, revision, stale, last_move } =
                    decode_plain(Self::KIND, bytes)?;
                let account = account.upgraded().upgraded();
                return Ok(AccountItem { account, complete, revision, stale, last_move });
            }
            4 => {
                let AccountItemV4 { account, complete, revision, stale, last_move } =
                    decode_plain(Self::KIND, bytes)?;
                let account = account.upgraded().upgraded().upgraded();
                return Ok(AccountItem { account, complete, revision, stale, last_move });
            }
            3 => {
                let AccountItemV3 { account, complete, revision, stale } = decode_plain(Self::KIND, bytes)?;
                let account = account.upgraded().upgraded().upgraded().upgraded();
                return Ok(AccountItem { account, complete, revision, stale, last_move: 0 });
            }
            1 => {
                let AccountItemV1 { account, complete } = decode_plain(Self::KIND, bytes)?;
                let AccountV1 { key, address, state, quota_bytes, created, display_name } = account;
                let clients = ClientSettingsV1::default();
                (AccountV2 { key, address, state, quota_bytes, created, display_name, clients }, complete)
            }
            2 => {
                let AccountItemV2 { account, complete } = decode_plain(Self::KIND, bytes)?;
                (account, complete)
            }
            _ => return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        };
        let AccountV2 { key, address, state, quota_bytes, created, display_name, clients } = account;
        let account = AccountV3 {
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
        let (account, stale) = (account.upgraded().upgraded().upgraded().upgraded(), BTreeSet::new());
        Ok(AccountItem { account, complete, revision: 0, stale, last_move: 0 })
    }
}

/// As stored before members chose what they are called.
#[derive(Serialize, Deserialize)]
struct AccountItemV6 {
    account: AccountV6,
    complete: bool,
    revision: u32,
    stale: BTreeSet<CardPlace>,
    last_move: u64,
}

#[derive(Serialize, Deserialize)]
struct AccountV6 {
    key: AccountKey,
    address: MailAddress,
    state: AccountState,
    quota_bytes: Option<u64>,
    created: Timestamp,
    display_name: String,
    clients: ClientSettings,
    profile: Profile,
    departments: Vec<DepartmentId>,
    kind: AccountKind,
    suspended: bool,
    expires: Option<Timestamp>,
    binned: Option<Binned>,
    is_vip: bool,
    mail: MailPermission,
    block: Option<Block>,
}

impl AccountV6 {
    fn upgraded(self) -> Account {
        Account {
            key: self.key,
            address: self.address,
            state: self.state,
            quota_bytes: self.quota_bytes,
            created: self.created,
            display_name: self.display_name,
            clients: self.clients,
            profile: self.profile,
            departments: self.departments,
            kind: self.kind,
            suspended: self.suspended,
            expires: self.expires,
            binned: self.binned,
            is_vip: self.is_vip,
            mail: self.mail,
            block: self.block,
            nickname: String::new(),
        }
    }
}

/// As stored before it was said with whom accounts exchange mail.
#[derive(Serialize, Deserialize)]
struct AccountItemV5 {
    account: AccountV5,
    complete: bool,
    revision: u32,
    stale: BTreeSet<CardPlace>,
    last_move: u64,
}

#[derive(Serialize, Deserialize)]
struct AccountV5 {
    key: AccountKey,
    address: MailAddress,
    state: AccountState,
    quota_bytes: Option<u64>,
    created: Timestamp,
    display_name: String,
    clients: ClientSettings,
    profile: Profile,
    departments: Vec<DepartmentId>,
    kind: AccountKind,
    suspended: bool,
    expires: Option<Timestamp>,
    binned: Option<Binned>,
    is_vip: bool,
}

impl AccountV5 {
    fn upgraded(self) -> AccountV6 {
        AccountV6 {
            key: self.key,
            address: self.address,
            state: self.state,
            quota_bytes: self.quota_bytes,
            created: self.created,
            display_name: self.display_name,
            clients: self.clients,
            profile: self.profile,
            departments: self.departments,
            kind: self.kind,
            suspended: self.suspended,
            expires: self.expires,
            binned: self.binned,
            is_vip: self.is_vip,
            mail: MailPermission::default(),
            block: None,
        }
    }
}

/// As stored before mail programs could send.
#[derive(Serialize, Deserialize)]
struct AccountItemV4 {
    account: AccountV4,
    complete: bool,
    revision: u32,
    stale: BTreeSet<CardPlace>,
    last_move: u64,
}

#[derive(Serialize, Deserialize)]
struct AccountV4 {
    key: AccountKey,
    address: MailAddress,
    state: AccountState,
    quota_bytes: Option<u64>,
    created: Timestamp,
    display_name: String,
    clients: ClientSettingsV1,
    profile: Profile,
    departments: Vec<DepartmentId>,
    kind: AccountKind,
    suspended: bool,
    expires: Option<Timestamp>,
    binned: Option<Binned>,
    is_vip: bool,
}

impl AccountV4 {
    fn upgraded(self) -> AccountV5 {
        AccountV5 {
            key: self.key,
            address: self.address,
            state: self.state,
            quota_bytes: self.quota_bytes,
            created: self.created,
            display_name: self.display_name,
            clients: self.clients.upgraded(),
            profile: self.profile,
            departments: self.departments,
            kind: self.kind,
            suspended: self.suspended,
            expires: self.expires,
            binned: self.binned,
            is_vip: self.is_vip,
        }
    }
}

/// As stored before there were plans.
#[derive(Serialize, Deserialize)]
struct AccountItemV3 {
    account: AccountV3,
    complete: bool,
    revision: u32,
    stale: BTreeSet<CardPlace>,
}

#[derive(Serialize, Deserialize)]
struct AccountV3 {
    key: AccountKey,
    address: MailAddress,
    state: AccountState,
    quota_bytes: u64,
    created: Timestamp,
    display_name: String,
    clients: ClientSettingsV1,
    profile: Profile,
    departments: Vec<DepartmentId>,
    kind: AccountKind,
    suspended: bool,
    expires: Option<Timestamp>,
    binned: Option<Binned>,
}

impl AccountV3 {
    fn upgraded(self) -> AccountV4 {
        AccountV4 {
            key: self.key,
            address: self.address,
            state: self.state,
            // What was written when nobody had said anything. Business mailboxes of before they had a number of their own,
            // and converted ones, keep what they have.
            quota_bytes: (self.quota_bytes != self.kind.quota()).then_some(self.quota_bytes),
            created: self.created,
            display_name: self.display_name,
            clients: self.clients,
            profile: self.profile,
            departments: self.departments,
            kind: self.kind,
            suspended: self.suspended,
            expires: self.expires,
            binned: self.binned,
            is_vip: false,
        }
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
    clients: ClientSettingsV1,
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode_plain};
    use pennypost_model::{AccountId, TenantId};

    use super::*;
    use crate::{BUSINESS_QUOTA, BinCause, DEFAULT_QUOTA};

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
        let clients = ClientSettingsV1 { passwords: Some(false), ..ClientSettingsV1::default() };
        let account = AccountV2 { key, address, state, quota_bytes, created, display_name, clients };
        let second = encode_plain(&AccountItemV2 { account, complete: true }, 2);
        for (bytes, expected) in [(first, ClientSettings::default()), (second, clients.upgraded())] {
            let item: AccountItem = decode(&bytes).expect("read");
            assert!(item.complete && item.revision == 0 && item.stale.is_empty());
            let account = item.account;
            assert_eq!((account.state, account.quota_bytes), (AccountState::Disabled, Some(7)));
            assert_eq!((account.display_name.as_str(), account.clients), ("Ann", expected));
            assert!(account.departments.is_empty() && account.binned.is_none() && !account.suspended);
            assert_eq!((account.kind, account.is_vip), (AccountKind::Member, false));
        }
    }

    #[test]
    fn a_quota_of_before_there_were_plans_is_somebody_s_word_unless_it_was_nobody_s() {
        use AccountKind::{Business, Member};
        for (kind, stored, expected) in [
            (Business, 7, Some(7)),
            (Business, BUSINESS_QUOTA, None),
            (Business, DEFAULT_QUOTA, Some(DEFAULT_QUOTA)),
            (Member, 7, Some(7)),
            (Member, BUSINESS_QUOTA, Some(BUSINESS_QUOTA)),
            (Member, DEFAULT_QUOTA, None),
        ] {
            let AccountV1 { key, address, state, created, display_name, .. } = old();
            let account = AccountV3 {
                key,
                address,
                state,
                quota_bytes: stored,
                created,
                display_name,
                clients: ClientSettingsV1::default(),
                profile: Profile::default(),
                departments: vec![DepartmentId(3)],
                kind,
                suspended: true,
                expires: Some(Timestamp(9)),
                binned: None,
            };
            let third = AccountItemV3 { account, complete: false, revision: 5, stale: BTreeSet::new() };
            let item: AccountItem = decode(&encode_plain(&third, 3)).expect("read");
            assert!(!item.complete && item.revision == 5 && item.account.suspended);
            assert_eq!((item.account.quota_bytes, item.account.kind), (expected, kind));
            assert_eq!(item.account.capacity(None), stored);
            assert_eq!(item.account.departments, [DepartmentId(3)]);
            assert_eq!(item.account.expires, Some(Timestamp(9)));
        }
    }

    #[test]
    fn an_account_of_before_programs_could_send_is_read_whole() {
        let first = encode_plain(&AccountItemV1 { account: old(), complete: true }, 1);
        let item: AccountItem = decode(&first).expect("read");
        let Account { key, address, state, created, display_name, profile, kind, .. } = item.account;
        let fourth = AccountV4 {
            key,
            address,
            state,
            quota_bytes: Some(7),
            created,
            display_name,
            clients: ClientSettingsV1 { passwords: Some(false), ..ClientSettingsV1::default() },
            profile,
            departments: vec![DepartmentId(3)],
            kind,
            suspended: true,
            expires: Some(Timestamp(9)),
            binned: None,
            is_vip: true,
        };
        let fourth = AccountItemV4 {
            account: fourth,
            complete: true,
            revision: 5,
            stale: BTreeSet::new(),
            last_move: 6,
        };
        let item: AccountItem = decode(&encode_plain(&fourth, 4)).expect("read");
        assert!(item.complete && item.revision == 5 && item.last_move == 6);
        let Account { clients, departments, is_vip, expires, quota_bytes, suspended, .. } = item.account;
        assert_eq!((clients.passwords, clients.sent_copies), (Some(false), None));
        assert_eq!((departments.as_slice(), is_vip, suspended), (&[DepartmentId(3)][..], true, true));
        assert_eq!((expires, quota_bytes), (Some(Timestamp(9)), Some(7)));
    }

    #[test]
    fn an_account_of_before_it_was_said_with_whom_it_exchanges_mail_is_read_whole() {
        let first = encode_plain(&AccountItemV1 { account: old(), complete: true }, 1);
        let whole: AccountItem = decode(&first).expect("read");
        let account = Account { is_vip: true, expires: Some(Timestamp(9)), ..whole.account };
        let Account { key, address, state, quota_bytes, created, display_name, clients, .. } =
            account.clone();
        let Account { profile, departments, kind, suspended, expires, binned, is_vip, .. } = account.clone();
        let fifth = AccountV5 {
            key,
            address,
            state,
            quota_bytes,
            created,
            display_name,
            clients,
            profile,
            departments,
            kind,
            suspended,
            expires,
            binned,
            is_vip,
        };
        let (stale, last_move) = (BTreeSet::new(), 6);
        let fifth = AccountItemV5 { account: fifth, complete: true, revision: 5, stale, last_move };
        let item: AccountItem = decode(&encode_plain(&fifth, 5)).expect("read");
        assert_eq!((item.account, item.complete, item.revision, item.last_move), (account, true, 5, 6));
    }

    #[test]
    fn an_account_of_before_members_had_nicknames_is_read_whole() {
        use crate::{Blockable, MailReach};
        let first = encode_plain(&AccountItemV1 { account: old(), complete: true }, 1);
        let whole: AccountItem = decode(&first).expect("read");
        let block =
            Block { functions: [Blockable::Sending].into(), reason: "spam".to_owned(), since: Timestamp(9) };
        let mail = MailPermission { send: MailReach::Inside, ..MailPermission::default() };
        let account = Account { mail, block: Some(block), is_vip: true, ..whole.account };
        let Account { key, address, state, quota_bytes, created, display_name, clients, profile, .. } =
            account.clone();
        let Account { departments, kind, suspended, expires, binned, is_vip, mail, block, .. } =
            account.clone();
        let sixth = AccountV6 {
            key,
            address,
            state,
            quota_bytes,
            created,
            display_name,
            clients,
            profile,
            departments,
            kind,
            suspended,
            expires,
            binned,
            is_vip,
            mail,
            block,
        };
        let (stale, last_move) = (BTreeSet::new(), 6);
        let sixth = AccountItemV6 { account: sixth, complete: true, revision: 5, stale, last_move };
        let item: AccountItem = decode(&encode_plain(&sixth, 6)).expect("read");
        assert_eq!((item.account, item.complete, item.revision, item.last_move), (account, true, 5, 6));
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
