//! Another address for an account (ORG-03, DOM-01). The one before leads to it as an alias from then on.
//!
//! Three steps, after each of which mail to both addresses comes: the new address becomes an alias of the account; the account
//! says that it is its own; the two address items change places. Both addresses are noted under the account (`T/aliases`)
//! before, so that whoever repeats the call, or erases the account, finds what somebody who died has left.

use std::collections::BTreeMap;

use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};

use crate::address::{Entry, address_key, address_of_sort, addresses_partition};
use crate::alias::{Target, alias_key};
use crate::domain::domain_key;
use crate::store::MAX_ATTEMPTS;
use crate::{Account, Directory, DirectoryError, Domain, DomainName, MailAddress, Member, Page};

impl Directory {
    /// Gives an account another address of its own, in a domain of its tenant. Repeating an interrupted call completes it.
    ///
    /// # Errors
    /// [`DirectoryError::Address`], [`DirectoryError::UnsuitableAddress`], [`DirectoryError::NoDomain`],
    /// [`DirectoryError::OtherTenant`], [`DirectoryError::NoAccount`], [`DirectoryError::InBin`],
    /// [`DirectoryError::AddressTaken`], or the port's.
    #[pennypost_ports::compiled_here]
    pub async fn change_address(&self, key: AccountKey, to: &str) -> Result<Account, DirectoryError> {
        let (tenant, address) = self.place_for(to).await?;
        if tenant != key.tenant {
            return Err(DirectoryError::OtherTenant(address.to_string()));
        }
        let missing = || DirectoryError::NoAccount(key.to_string());
        let in_bin = |account: &Account| DirectoryError::InBin(account.address.to_string());
        let account = self.account(key).await?.ok_or_else(missing)?;
        if account.binned.is_some() {
            return Err(in_bin(&account));
        }
        if account.address != address {
            let targets = [Target { account: key.account, address: address.clone() }];
            self.lead_to(key, &address, &targets).await?;
            self.note_alias(tenant, &account.address, &targets).await?;
            self.try_change_account(key, |account| {
                if account.binned.is_some() {
                    return Err(in_bin(account));
                }
                account.address.clone_from(&address);
                Ok(())
            })
            .await?;
        }
        self.settle_addresses(key).await?;
        self.account(key).await?.ok_or_else(missing)
    }

    /// Makes an address lead to the account, as an alias, unless it does already.
    async fn lead_to(
        &self,
        key: AccountKey,
        address: &MailAddress,
        targets: &[Target; 1],
    ) -> Result<(), DirectoryError> {
        let entry = self.entry(key.tenant, address, Consistency::Strong).await?.map(|held| held.value);
        match entry {
            Some(entry) if entry.leads_only_to(key.account) => {
                return self.note_alias(key.tenant, address, targets).await;
            }
            None | Some(Entry::Claimed(_) | Entry::Free) => {}
            Some(Entry::Account(_) | Entry::Alias(_) | Entry::Group { .. }) => {
                return Err(DirectoryError::AddressTaken(address.to_string()));
            }
        }
        self.note_alias(key.tenant, address, targets).await?;
        let given = self.give_address(key.tenant, address, &Entry::Alias(targets.to_vec())).await;
        if matches!(given, Err(DirectoryError::AddressTaken(_))) {
            // Somebody else was faster: nothing of it is this account's.
            self.erase(&alias_key(key, address)).await?;
        }
        given
    }

    /// Makes the address items of an account say what the account does: the own address is its own, and what was is an alias.
    pub(crate) async fn settle_addresses(&self, key: AccountKey) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(account) = self.account(key).await? else { return Ok(()) };
            let own = account.address;
            let is_lost = |entry: &Entry| {
                let is_alias = matches!(entry, Entry::Alias(_)) && entry.leads_only_to(key.account);
                is_alias || *entry == Entry::Free
            };
            self.change_entry(key.tenant, &own, |entry| {
                is_lost(entry).then_some(Entry::Account(key.account))
            })
            .await?;
            let target = Target { account: key.account, address: own.clone() };
            for alias in self.aliases_noted(key).await? {
                if alias != own {
                    let is_former = |entry: &Entry| *entry == Entry::Account(key.account);
                    let aside = |entry: &Entry| is_former(entry).then(|| Entry::Alias(vec![target.clone()]));
                    self.change_entry(key.tenant, &alias, aside).await?;
                }
            }
            self.erase(&alias_key(key, &own)).await?;
            // Who has given it another one meanwhile may have looked before.
            if self.account(key).await?.is_none_or(|account| account.address == own) {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    async fn change_entry(
        &self,
        tenant: TenantId,
        address: &MailAddress,
        next: impl Fn(&Entry) -> Option<Entry>,
    ) -> Result<(), DirectoryError> {
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.entry(tenant, address, Consistency::Strong).await? else { return Ok(()) };
            let Some(entry) = next(&held.value) else { return Ok(()) };
            let key = address_key(tenant, address);
            if self.write(&key, &entry, Expected::Version(held.version)).await?.is_some() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Gives the accounts of a domain the same addresses in another one of the tenant, so many at once; how many it were. Those
    /// whose address somebody has there stay, and so do those in the recycle bin. What a call that was cut off has left unsaid of
    /// addresses is said by [`Directory::refresh_addresses`].
    ///
    /// # Errors
    /// The port's. To be repeated.
    #[pennypost_ports::compiled_here]
    pub async fn move_accounts(
        &self,
        tenant: TenantId,
        from: &DomainName,
        to: &DomainName,
        limit: usize,
    ) -> Result<usize, DirectoryError> {
        let (mut moved, mut page) = (0, Page::default());
        let prefix = format!("{from}/");
        'all: loop {
            let listed = self.list::<Entry>(&addresses_partition(tenant), &prefix, &page).await?;
            for (sort, entry) in listed.items {
                let Entry::Account(account) = entry else { continue };
                let Some(address) = address_of_sort(&format!("{prefix}{sort}")) else { continue };
                if moved >= limit {
                    break 'all;
                }
                let wanted = address.in_domain(to).to_string();
                match self.change_address(AccountKey { tenant, account }, &wanted).await {
                    Ok(_) => moved += 1,
                    Err(error) if error.is_temporary() => return Err(error),
                    Err(error) => tracing::warn!(%tenant, %error, "an account keeps its address"),
                }
            }
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
        if moved > 0 {
            self.refresh_addresses(tenant, |address| address.domain() == from).await?;
        }
        Ok(moved)
    }

    /// Tells aliases, groups and domains, which name accounts, the addresses that these have now in the place of such as are
    /// `old`. Mail goes by account: nothing but what is shown depends on it.
    ///
    /// # Errors
    /// The port's.
    pub async fn refresh_addresses(
        &self,
        tenant: TenantId,
        is_old: impl Fn(&MailAddress) -> bool,
    ) -> Result<(), DirectoryError> {
        let partition = addresses_partition(tenant);
        let mut known: BTreeMap<AccountId, MailAddress> = BTreeMap::new();
        for (sort, entry) in self.list_all::<Entry>(&partition, "").await? {
            let named = entry.named_accounts();
            let stale: Vec<AccountId> =
                named.filter(|(_, address)| is_old(address)).map(|(account, _)| account).collect();
            if stale.is_empty() {
                continue;
            }
            for account in stale {
                self.learn_address(AccountKey { tenant, account }, &mut known).await?;
            }
            self.change(&ControlKey::new(&partition, sort), |entry: &mut Entry| {
                entry.rename_accounts(&known);
                Ok(())
            })
            .await?;
        }
        for domain in self.domains(tenant, &Page::default()).await?.items {
            let Some(catch_all) = domain.catch_all.filter(|catch_all| is_old(&catch_all.address)) else {
                continue;
            };
            self.learn_address(AccountKey { tenant, account: catch_all.account }, &mut known).await?;
            self.change(&domain_key(tenant, &domain.name), |domain: &mut Domain| {
                if let Some(catch_all) = &mut domain.catch_all
                    && let Some(address) = known.get(&catch_all.account)
                {
                    catch_all.address.clone_from(address);
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    async fn learn_address(
        &self,
        key: AccountKey,
        known: &mut BTreeMap<AccountId, MailAddress>,
    ) -> Result<(), DirectoryError> {
        if !known.contains_key(&key.account)
            && let Some(account) = self.account(key).await?
        {
            known.insert(key.account, account.address);
        }
        Ok(())
    }
}

impl Entry {
    /// Is it this account's own address, or an alias of it alone?
    fn leads_only_to(&self, account: AccountId) -> bool {
        match self {
            Entry::Account(own) => *own == account,
            Entry::Alias(targets) => targets.iter().all(|target| target.account == account),
            Entry::Claimed(_) | Entry::Group { .. } | Entry::Free => false,
        }
    }

    /// The accounts that it names with their addresses.
    fn named_accounts(&self) -> Box<dyn Iterator<Item = (AccountId, &MailAddress)> + Send + '_> {
        match self {
            Entry::Alias(targets) => Box::new(targets.iter().map(|target| (target.account, &target.address))),
            Entry::Group { members, .. } => Box::new(members.iter().filter_map(|member| match member {
                Member::Account { account, address } => Some((*account, address)),
                Member::Group { .. } | Member::Outside { .. } => None,
            })),
            Entry::Claimed(_) | Entry::Account(_) | Entry::Free => Box::new(std::iter::empty()),
        }
    }

    fn rename_accounts(&mut self, known: &BTreeMap<AccountId, MailAddress>) {
        let rename = |account: &AccountId, address: &mut MailAddress| {
            if let Some(now) = known.get(account) {
                address.clone_from(now);
            }
        };
        match self {
            Entry::Alias(targets) => {
                targets.iter_mut().for_each(|target| rename(&target.account, &mut target.address));
            }
            Entry::Group { members, .. } => {
                for member in members {
                    if let Member::Account { account, address } = member {
                        rename(account, address);
                    }
                }
            }
            Entry::Claimed(_) | Entry::Account(_) | Entry::Free => {}
        }
    }
}
