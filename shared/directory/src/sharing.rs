//! Who shares mailboxes with whom within a tenant (RFC 4314; feature BIZ-01: a mailbox of a function that several
//! members use).
//!
//! What is shared stands in the journal of the account that owns the mailbox, and only that counts. Here is only an
//! index, so that a list of what is shared *with* somebody asks for a few keys:
//!
//! | partition | sort | holds |
//! | --- | --- | --- |
//! | `T/shares` | `*/OWNER` | somebody shares with everybody |
//! | `T/shares` | `a/ACCOUNT/OWNER` | … with this account |
//! | `T/shares` | `g/ADDRESS/OWNER` | … with this group |
//!
//! It is written after the journal, and each write can be repeated. An item too many does no harm: whoever reads it
//! looks into the owner's mailboxes. One that is missing, since the process died in between, comes with the owner's
//! next look at an access control list.
//!
//! Every key begins with the tenant, and accounts are given back by their id within it: nothing here can name an
//! account of another tenant (architecture, invariant 7).

use std::collections::BTreeSet;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, Grantee, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use crate::address::Entry;
use crate::group::Expansion;
use crate::{Account, Directory, DirectoryError, MailAddress};

/// Accounts of which one account sees shared mailboxes.
pub const MAX_SHARERS: usize = 500;
/// Items of the index that one look reads: of each kind.
const MAX_ITEMS: usize = 1_000;

/// An item of the index. Its key says it all.
#[derive(Debug, Serialize, Deserialize)]
struct Share;

impl Versioned for Share {
    const KIND: &'static str = "share";
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/shares")
}

fn prefix(grantee: &Grantee) -> String {
    match grantee {
        Grantee::Anyone => "*/".to_owned(),
        Grantee::Account(account) => format!("a/{account}/"),
        Grantee::Group(address) => format!("g/{address}/"),
    }
}

impl Directory {
    /// The account of this tenant with that address; what is another tenant's is not there.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn colleague(
        &self,
        tenant: TenantId,
        address: &str,
    ) -> Result<Option<Account>, DirectoryError> {
        match self.account_of_tenant(tenant, address).await {
            Ok(account) => Ok(Some(account)),
            Err(
                DirectoryError::NoAccount(_)
                | DirectoryError::OtherTenant(_)
                | DirectoryError::Address { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whom an identifier of an access control list names: `anyone`, the address of an account of the tenant, or
    /// that of a group of it. `None`: nobody here.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn grantee(
        &self,
        tenant: TenantId,
        identifier: &str,
    ) -> Result<Option<Grantee>, DirectoryError> {
        if identifier.eq_ignore_ascii_case("anyone") {
            return Ok(Some(Grantee::Anyone));
        }
        let Ok(address) = MailAddress::parse(identifier) else { return Ok(None) };
        if self.owner(address.domain(), Consistency::Strong).await? != Some(tenant) {
            return Ok(None);
        }
        Ok(match self.entry(tenant, &address, Consistency::Strong).await?.map(|held| held.value) {
            Some(Entry::Account(account)) => Some(Grantee::Account(account)),
            Some(Entry::Group { .. }) => Some(Grantee::Group(address.to_string())),
            _ => None,
        })
    }

    /// The identifier of somebody on an access control list. An account that is gone is shown by its id, so that
    /// the entry can be seen; it lets nobody in.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn identifier(&self, tenant: TenantId, grantee: &Grantee) -> Result<String, DirectoryError> {
        Ok(match grantee {
            Grantee::Anyone => "anyone".to_owned(),
            Grantee::Group(address) => address.clone(),
            Grantee::Account(account) => {
                match self.account(AccountKey { tenant, account: *account }).await? {
                    Some(account) => account.address.to_string(),
                    None => account.to_string(),
                }
            }
        })
    }

    /// Is the account in that group of its tenant, or in a group in it?
    ///
    /// # Errors
    /// The port's, and [`DirectoryError::TooMany`] for a group that has grown too large.
    #[pennypost_ports::compiled_here]
    pub async fn is_in_group(&self, account: AccountKey, group: &str) -> Result<bool, DirectoryError> {
        let tenant = account.tenant;
        let Ok(address) = MailAddress::parse(group) else { return Ok(false) };
        if self.owner(address.domain(), Consistency::Eventual).await? != Some(tenant) {
            return Ok(false);
        }
        let entry = self.entry(tenant, &address, Consistency::Eventual).await?.map(|held| held.value);
        let Some(Entry::Group { members, .. }) = entry else { return Ok(false) };
        let mut expansion = Expansion::default();
        let rules = self.rules_of(tenant, &address, Consistency::Eventual).await?;
        self.expand_rules(tenant, &rules, &mut expansion).await?;
        self.expand_into(tenant, members, Consistency::Eventual, &mut expansion).await?;
        Ok(expansion.accounts.contains(&account.account))
    }

    /// Makes the index say that `owner` shares with these and, of `before`, with nobody else.
    ///
    /// # Errors
    /// The port's; the call can be repeated.
    #[pennypost_ports::compiled_here]
    pub async fn index_shares(
        &self,
        owner: AccountKey,
        before: &BTreeSet<Grantee>,
        now: &BTreeSet<Grantee>,
    ) -> Result<(), DirectoryError> {
        let key = |grantee: &Grantee| {
            ControlKey::new(partition(owner.tenant), format!("{}{}", prefix(grantee), owner.account))
        };
        for grantee in now {
            let key = key(grantee);
            if self.read::<Share>(&key, Consistency::Strong).await?.is_none() {
                self.write(&key, &Share, Expected::Any).await?;
            }
        }
        for grantee in before.difference(now) {
            self.erase(&key(grantee)).await?;
        }
        Ok(())
    }

    /// Accounts of the tenant that share, or have shared, something with this account; at most [`MAX_SHARERS`].
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn sharers(&self, account: AccountKey) -> Result<BTreeSet<AccountId>, DirectoryError> {
        let partition = partition(account.tenant);
        let mut owners = BTreeSet::new();
        let mut groups: Vec<(String, bool)> = Vec::new();
        for prefix in [prefix(&Grantee::Account(account.account)), prefix(&Grantee::Anyone), "g/".to_owned()]
        {
            for (sort, _) in self.control.query(&partition, &prefix, None, MAX_ITEMS).await? {
                let Some((grantee, owner)) = sort.rsplit_once('/') else { continue };
                let Ok(owner) = owner.parse::<AccountId>() else { continue };
                if let Some(group) = grantee.strip_prefix("g/") {
                    let known = groups.iter().find(|(known, _)| known == group).map(|(_, member)| *member);
                    let is_member = match known {
                        Some(is_member) => is_member,
                        None => {
                            let is_member = self.is_in_group(account, group).await?;
                            groups.push((group.to_owned(), is_member));
                            is_member
                        }
                    };
                    if !is_member {
                        continue;
                    }
                }
                if owner != account.account && owners.len() < MAX_SHARERS {
                    owners.insert(owner);
                }
            }
        }
        Ok(owners)
    }
}
