//! From an address to the accounts that get its mail.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use pennypost_model::event::{Recipient, Via};
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::Consistency;

use crate::address::Entry;
use crate::{
    Account, Blockable, Capacities, Directory, DirectoryError, DomainName, MailAddress, Page, TenantState,
};

/// Accounts that one address may lead to. An event with so many stays below what queues carry.
pub const MAX_RECIPIENTS: usize = 1_000;

/// Accounts that are looked up at once.
const LOOKUPS: usize = 16;

/// The local part that every domain that takes mail must know (RFC 5321 section 4.5.1).
const POSTMASTER: &str = "postmaster";
/// How long it is remembered which account of a tenant is the oldest.
const OLDEST_REMEMBERED: Duration = Duration::from_secs(300);
/// Tenants of which it is remembered.
const MAX_OLDEST: usize = 10_000;
/// Pages of accounts that are looked through for the oldest.
const MAX_PAGES: usize = 10;

/// Whose is the mail to `postmaster` where nobody has that address. Only spares look-ups.
pub(crate) type OldestAccounts = Mutex<HashMap<TenantId, (AccountId, Instant)>>;

/// What an address is to this post office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// It leads to these accounts, each once: none only where a group has members elsewhere alone.
    Local {
        /// The tenant.
        tenant: TenantId,
        /// Who gets a copy.
        recipients: Vec<Recipient>,
        /// Whom else it leads to, if it is a group that has members elsewhere.
        elsewhere: Option<Elsewhere>,
        /// What mailboxes may hold by the tenant's plan, if it has one.
        capacities: Option<Capacities>,
    },
    /// The domain is not ours: relaying denied (SMTP 550 5.7.1).
    UnknownDomain,
    /// Nobody has this address (SMTP 550 5.1.1).
    UnknownUser {
        /// The tenant of the domain.
        tenant: TenantId,
    },
    /// All accounts behind it are disabled, or take no mail of such senders (SMTP 550 5.2.1).
    Disabled {
        /// The tenant.
        tenant: TenantId,
    },
    /// The tenant or the domain is suspended, the operator keeps mail from outside away, or the term of its plan is over (SMTP 450 4.2.1: it may be let in again).
    Suspended {
        /// The tenant.
        tenant: TenantId,
    },
}

/// The members elsewhere of a group, with those of the groups in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The group's own address.
    pub group: MailAddress,
    /// Theirs, each once; at least one.
    pub addresses: Vec<MailAddress>,
}

impl Elsewhere {
    /// Is it the group of whoever answers for its domain? He is reached by everybody (RFC 5321 section 4.5.1).
    #[must_use]
    pub fn is_postmasters(&self) -> bool {
        self.group.local().eq_ignore_ascii_case(POSTMASTER)
    }
}

/// Whom an address names.
struct Behind {
    accounts: Vec<AccountId>,
    via: Via,
    elsewhere: Option<Elsewhere>,
}

/// From where mail comes.
#[derive(Clone, Copy)]
struct Incoming {
    /// Another service has taken it already.
    is_taken: bool,
    /// The tenant whose member hands it in.
    from: Option<TenantId>,
}

impl Incoming {
    const OUTSIDE: Incoming = Incoming { is_taken: false, from: None };
}

impl Directory {
    /// Whom an address of RCPT TO leads to: the account, alias or group of that address, else that of the
    /// address without `+tag`, else the domain's account for unknown addresses (RCV-17). `postmaster` is never
    /// unknown where there is an account at all: in the end its mail goes to the oldest active account of the
    /// tenant (RFC 5321 section 4.5.1), of the first 10,000.
    ///
    /// # Errors
    /// [`DirectoryError::TooMany`] for a group that grew too large by changes at once, or the port's. What is
    /// no address at all is no error: it is unknown.
    #[pennypost_ports::compiled_here]
    pub async fn resolve(&self, address: &str) -> Result<Resolved, DirectoryError> {
        self.resolve_mail(address, Incoming::OUTSIDE).await
    }

    /// The same for mail that a member of this tenant hands in: accounts that take none from outside take it.
    ///
    /// # Errors
    /// Those of [`Directory::resolve`].
    #[pennypost_ports::compiled_here]
    pub async fn resolve_from(&self, address: &str, from: TenantId) -> Result<Resolved, DirectoryError> {
        self.resolve_mail(address, Incoming { from: Some(from), ..Incoming::OUTSIDE }).await
    }

    /// The same for mail that another service has taken already. Nobody can be told to come again with it: a term that is
    /// over does not keep it out (PLN-07), only a suspended tenant does.
    ///
    /// # Errors
    /// Those of [`Directory::resolve`].
    #[pennypost_ports::compiled_here]
    pub async fn resolve_taken(&self, address: &str) -> Result<Resolved, DirectoryError> {
        self.resolve_mail(address, Incoming { is_taken: true, ..Incoming::OUTSIDE }).await
    }

    async fn resolve_mail(&self, address: &str, incoming: Incoming) -> Result<Resolved, DirectoryError> {
        let Ok(domain) = MailAddress::domain_of(address) else { return Ok(Resolved::UnknownDomain) };
        let quick = self.resolve_with(address, &domain, incoming, Consistency::Eventual).await?;
        // "No" is final to a sender, and the answer may have been old.
        if matches!(quick, Resolved::Local { .. }) {
            return Ok(quick);
        }
        self.resolve_with(address, &domain, incoming, Consistency::Strong).await
    }

    async fn resolve_with(
        &self,
        address: &str,
        domain: &DomainName,
        incoming: Incoming,
        consistency: Consistency,
    ) -> Result<Resolved, DirectoryError> {
        let Some(owner) = self.ownership(domain, consistency).await? else {
            return Ok(Resolved::UnknownDomain);
        };
        let tenant = owner.tenant;
        let is_inside = incoming.from == Some(tenant);
        if owner.is_closed {
            return Ok(Resolved::Suspended { tenant });
        }
        // The address as it was said stands in the envelope; it is looked up in the domain for which its own stands.
        let said = address;
        let (home, domain) = match owner.alias_of {
            Some(of) => {
                let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
                (format!("{local}@{of}"), of)
            }
            None => (address.to_owned(), domain.clone()),
        };
        let (address, domain) = (home.as_str(), &domain);
        let now = self.clock.now();
        let capacities = match self.tenant_with(tenant, consistency).await? {
            None => return Ok(Resolved::UnknownDomain),
            Some(found) => {
                let is_open = found.is_open(now) || incoming.is_taken && found.state == TenantState::Active;
                // What the operator has blocked he may open again: who sends tries again until then.
                let is_blocked = !is_inside && found.is_blocked(Blockable::ReceivingFromOutside);
                if !is_open || is_blocked {
                    return Ok(Resolved::Suspended { tenant });
                }
                found.capacities(now)
            }
        };
        let local = |accounts: Vec<AccountId>, via, elsewhere| {
            let to = |account| Recipient {
                account: AccountKey { tenant, account },
                address: said.to_owned(),
                via,
            };
            let recipients = accounts.into_iter().map(to).collect();
            Resolved::Local { tenant, recipients, elsewhere, capacities }
        };
        let is_postmaster =
            MailAddress::parse(address).is_ok_and(|address| address.local().eq_ignore_ascii_case(POSTMASTER));
        // Who answers for a domain can be reached by everybody (RFC 5321 section 4.5.1).
        let takes = move |account: &Account| is_postmaster || account.takes_mail(is_inside);
        let mut also = None;
        if let Some(behind) = self.accounts_behind(tenant, address, consistency).await? {
            let Behind { accounts, via, elsewhere } = behind;
            let live = self.live_accounts(tenant, accounts, consistency, takes).await?;
            if !live.is_empty() || elsewhere.is_some() && !is_postmaster {
                return Ok(local(live, via, elsewhere));
            }
            if !is_postmaster {
                return Ok(Resolved::Disabled { tenant });
            }
            // Members reach those elsewhere, too; whoever else writes reaches whom he would reach without the group.
            also = elsewhere.filter(|_| is_inside);
        }
        let Some(domain) = self.domain_of(tenant, domain, consistency).await? else {
            return Ok(Resolved::UnknownDomain);
        };
        if let Some(catch_all) = domain.catch_all {
            let live = self.live_accounts(tenant, vec![catch_all.account], consistency, takes).await?;
            if !live.is_empty() {
                return Ok(local(live, Via::CatchAll, also));
            }
        }
        if is_postmaster && let Some(oldest) = self.oldest_account(tenant, consistency).await? {
            return Ok(local(vec![oldest], Via::CatchAll, also));
        }
        Ok(Resolved::UnknownUser { tenant })
    }

    /// The active account of a tenant that was added first.
    async fn oldest_account(
        &self,
        tenant: TenantId,
        consistency: Consistency,
    ) -> Result<Option<AccountId>, DirectoryError> {
        let known = self.oldest.lock().get(&tenant).copied();
        if let Some((oldest, until)) = known
            && until > Instant::now()
        {
            let live = self.live_accounts(tenant, vec![oldest], consistency, |_| true).await?;
            if !live.is_empty() {
                return Ok(Some(oldest));
            }
        }
        let mut oldest = None;
        let mut page = Page::default();
        for _ in 0..MAX_PAGES {
            let listed = self.accounts(tenant, &page).await?;
            let now = self.clock.now();
            let active = listed.items.iter().filter(|account| account.is_open(now));
            let first = active.map(|account| (account.created, account.key.account)).min();
            oldest = oldest.into_iter().chain(first).min();
            if listed.next.is_none() {
                break;
            }
            page.after = listed.next;
        }
        // That there is none is not remembered: the first account may be added any moment.
        let Some((_, oldest)) = oldest else { return Ok(None) };
        let mut remembered = self.oldest.lock();
        if remembered.len() >= MAX_OLDEST {
            remembered.clear();
        }
        remembered.insert(tenant, (oldest, Instant::now() + OLDEST_REMEMBERED));
        Ok(Some(oldest))
    }

    /// Whom an address names, `None` if it names nothing.
    async fn accounts_behind(
        &self,
        tenant: TenantId,
        address: &str,
        consistency: Consistency,
    ) -> Result<Option<Behind>, DirectoryError> {
        let Ok(address) = MailAddress::parse(address) else { return Ok(None) };
        for candidate in std::iter::once(address.clone()).chain(address.without_tag()) {
            let entry = self.entry(tenant, &candidate, consistency).await?;
            match entry.map(|held| held.value) {
                None | Some(Entry::Claimed(_) | Entry::Free) => {}
                Some(Entry::Account(account)) => {
                    return Ok(Some(Behind { accounts: vec![account], via: Via::Direct, elsewhere: None }));
                }
                Some(Entry::Alias(targets)) => {
                    let accounts = targets.into_iter().map(|target| target.account).collect();
                    return Ok(Some(Behind { accounts, via: Via::Alias, elsewhere: None }));
                }
                Some(Entry::Group { members, .. }) => {
                    let expansion = self.expand_group(tenant, &candidate, members, consistency).await?;
                    let (accounts, addresses) = (expansion.accounts, expansion.outside);
                    let elsewhere =
                        (!addresses.is_empty()).then_some(Elsewhere { group: candidate, addresses });
                    return Ok(Some(Behind { accounts, via: Via::Group, elsewhere }));
                }
            }
        }
        Ok(None)
    }

    /// Those of the accounts that take mail, in the same order.
    async fn live_accounts(
        &self,
        tenant: TenantId,
        accounts: Vec<AccountId>,
        consistency: Consistency,
        takes: impl Fn(&Account) -> bool + Copy,
    ) -> Result<Vec<AccountId>, DirectoryError> {
        let lookups = accounts.into_iter().map(|account| async move {
            let key = AccountKey { tenant, account };
            let found = self.account_behind(key, consistency).await?;
            let is_live = found.is_some_and(|found| found.is_open(self.clock.now()) && takes(&found));
            Ok::<_, DirectoryError>(is_live.then_some(account))
        });
        let found: Vec<Option<AccountId>> = stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }
}
