//! Cards: what pages and searches read of an account, derived from its item.
//!
//! See the rules in [`super`]. The steps of a change are: note an intent; change the account's item, which names the cards
//! that are no longer wanted; [`Directory::settle`], which may be called by anybody at any time; take the intent back.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};

use super::people::Person;
use super::spelling;
use super::tree::DepartmentId;
use crate::account::{AccountItem, account_item_key};
use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Page};

/// Cards that are written at once.
const WRITES: usize = 16;
/// Age of an intent, in milliseconds, from which somebody else completes it: whoever noted it is most likely dead.
pub(crate) const ABANDONED: i64 = 60_000;
/// How old an intent may be when its account is changed: younger than what others complete, by far.
const MAX_HELD: i64 = 20_000;
/// Abandoned intents that one call completes.
const MAX_COMPLETED: usize = 64;
/// Accounts whose cards are written at once when all are.
const SETTLED_AT_ONCE: usize = 64;

/// A card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Card {
    /// Of which revision of the account's cards it is.
    revision: u32,
    /// `None`: the account is not to be found here any more.
    pub(crate) person: Option<Person>,
}

impl Versioned for Card {
    const KIND: &'static str = "card";
}

/// That cards of an account are being written.
#[derive(Debug, Serialize, Deserialize)]
struct IntentItem {
    noted: Timestamp,
}

impl Versioned for IntentItem {
    const KIND: &'static str = "intent";
}

/// An intent that was noted.
#[derive(Debug)]
pub(crate) struct Intent {
    key: ControlKey,
    noted: Timestamp,
}

/// That the cards of all accounts of a tenant have been written.
#[derive(Debug, Serialize, Deserialize)]
struct PeopleItem;

impl Versioned for PeopleItem {
    const KIND: &'static str = "people";
}

fn people_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "people")
}

fn intents_partition(tenant: TenantId) -> String {
    format!("{tenant}/intents")
}

pub(crate) fn members_partition(tenant: TenantId) -> String {
    format!("{tenant}/members")
}

pub(crate) fn names_partition(tenant: TenantId) -> String {
    format!("{tenant}/names")
}

pub(crate) fn members_prefix(department: DepartmentId) -> String {
    format!("{:08x}/", department.0)
}

/// Where the cards of a person lie: partition without the tenant, and sort key.
pub(crate) fn places_of(person: &Person) -> BTreeSet<CardPlace> {
    let account = person.account;
    let order = spelling::order(&person.display_name, &person.address);
    let root = [DepartmentId::ROOT];
    let departments = if person.departments.is_empty() { &root[..] } else { &person.departments };
    let members = departments.iter().map(|department| CardPlace {
        is_member: true,
        sort: format!("{}{order}/{account}", members_prefix(*department)),
    });
    let terms = spelling::terms(&person.display_name, &person.address);
    let names =
        terms.into_iter().map(|term| CardPlace { is_member: false, sort: format!("{term}/{account}") });
    members.chain(names).collect()
}

/// Where a card lies within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct CardPlace {
    /// Among the members of departments; else among the names.
    is_member: bool,
    sort: String,
}

impl CardPlace {
    fn key(&self, tenant: TenantId) -> ControlKey {
        let partition = if self.is_member { members_partition(tenant) } else { names_partition(tenant) };
        ControlKey::new(partition, self.sort.clone())
    }
}

impl Directory {
    /// Notes that cards of the account are going to be written.
    pub(crate) async fn intend(&self, account: AccountKey) -> Result<Intent, DirectoryError> {
        let noted = self.clock.now();
        let sort = format!("{}/{:016x}", account.account, self.ids.random());
        let key = ControlKey::new(intents_partition(account.tenant), sort);
        self.write(&key, &IntentItem { noted }, Expected::Any).await?;
        Ok(Intent { key, noted })
    }

    /// Is the intent still young enough to act on it? If it is not, others may have taken it for abandoned.
    pub(crate) fn check_intent(&self, intent: &Intent) -> Result<(), DirectoryError> {
        let age = self.clock.now().0.saturating_sub(intent.noted.0);
        if age < MAX_HELD { Ok(()) } else { Err(DirectoryError::Contended) }
    }

    /// Takes an intent back: all cards stand, or nothing was changed.
    pub(crate) async fn take_back(&self, intent: &Intent) -> Result<(), DirectoryError> {
        self.erase(&intent.key).await
    }

    /// Makes the cards of an account what its item says, and takes it out of departments that are gone. Any number of
    /// processes may do this at once.
    pub(crate) async fn settle(&self, key: AccountKey) -> Result<(), DirectoryError> {
        let item_key = account_item_key(key);
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.read::<AccountItem>(&item_key, Consistency::Strong).await? else {
                return Ok(());
            };
            let mut item = held.value;
            if !item.complete && self.if_complete(item.clone()).await?.is_none() {
                return Ok(());
            }
            self.write_cards(key.tenant, &item).await?;
            // After the cards: a department that was found empty was closed before.
            let lost = self.departments_lost(&item).await?;
            if lost.is_empty() && item.stale.is_empty() {
                return Ok(());
            }
            item.complete = true;
            if lost.is_empty() {
                item.stale.clear();
            } else {
                item.try_change(|account| {
                    account.departments.retain(|department| !lost.contains(department));
                    Ok(())
                })?;
            }
            let is_written = self.write(&item_key, &item, Expected::Version(held.version)).await?.is_some();
            if is_written && lost.is_empty() {
                return Ok(());
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Departments of an account that are gone or going.
    async fn departments_lost(&self, item: &AccountItem) -> Result<Vec<DepartmentId>, DirectoryError> {
        if item.account.departments.is_empty() {
            return Ok(Vec::new());
        }
        let tree = self.departments(item.account.key.tenant).await?;
        let departments = item.account.departments.iter().copied();
        Ok(departments.filter(|department| !tree.is_open(*department)).collect())
    }

    async fn write_cards(&self, tenant: TenantId, item: &AccountItem) -> Result<(), DirectoryError> {
        let revision = item.revision;
        let person = item.account.person();
        let wanted = person.as_ref().map(places_of).unwrap_or_default();
        let filled = wanted.iter().map(|place| (place.key(tenant), person.clone()));
        let empty = item.stale.iter().filter(|place| !wanted.contains(place));
        let empty = empty.map(|place| (place.key(tenant), None));
        let writes = filled.chain(empty).map(|(key, person)| async move {
            let card = Card { revision, person };
            self.write_card(&key, &card).await
        });
        let writes: Vec<_> = writes.collect();
        stream::iter(writes).buffer_unordered(WRITES).try_collect::<()>().await
    }

    /// Writes a card unless there is one of the same revision or a newer one.
    async fn write_card(&self, key: &ControlKey, card: &Card) -> Result<(), DirectoryError> {
        let mut expected = Expected::Absent;
        for _ in 0..MAX_ATTEMPTS {
            if self.write(key, card, expected).await?.is_some() {
                return Ok(());
            }
            expected = match self.read::<Card>(key, Consistency::Strong).await? {
                Some(held) if held.value.revision >= card.revision => return Ok(()),
                Some(held) => Expected::Version(held.version),
                None => Expected::Absent,
            };
        }
        Err(DirectoryError::Contended)
    }

    /// People on cards, a page of them.
    pub(crate) async fn people_of(
        &self,
        partition: &str,
        prefix: &str,
        page: &Page,
    ) -> Result<crate::Listed<(String, Person)>, DirectoryError> {
        let listed = self.list::<Card>(partition, prefix, page).await?;
        let items = listed.items.into_iter().filter_map(|(sort, card)| Some((sort, card.person?))).collect();
        Ok(crate::Listed { items, next: listed.next })
    }

    /// Completes what processes that have died left behind, and writes all cards of a tenant that has none yet because
    /// it is older than cards. Costs two small reads if there is nothing to do.
    pub(crate) async fn bring_cards_up_to_date(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        let marker = people_key(tenant);
        let partition = intents_partition(tenant);
        let known = self.read::<PeopleItem>(&marker, Consistency::Eventual);
        let intents = self.control.query(&partition, "", None, MAX_COMPLETED);
        let (known, intents) = futures::join!(known, intents);
        if known?.is_none() {
            self.write_all_cards(tenant).await?;
            self.write(&marker, &PeopleItem, Expected::Any).await?;
        }
        let now = self.clock.now();
        for (sort, item) in intents? {
            let intent: IntentItem = pennypost_model::codec::decode(&item.value)?;
            if now.0.saturating_sub(intent.noted.0) < ABANDONED {
                continue;
            }
            let account = sort.split('/').next().and_then(|account| account.parse::<AccountId>().ok());
            if let Some(account) = account {
                self.settle(AccountKey { tenant, account }).await?;
            }
            self.control.delete_if(&ControlKey::new(partition.clone(), sort), item.version).await?;
        }
        Ok(())
    }

    /// Accounts whose cards may be behind their items.
    pub(crate) async fn unsettled(&self, tenant: TenantId) -> Result<BTreeSet<AccountId>, DirectoryError> {
        let mut accounts = BTreeSet::new();
        let mut after: Option<String> = None;
        loop {
            let partition = intents_partition(tenant);
            let intents = self.control.query(&partition, "", after.as_deref(), crate::MAX_PAGE).await?;
            let is_last = intents.len() < crate::MAX_PAGE;
            after = intents.last().map(|(sort, _)| sort.clone());
            let named =
                intents.iter().filter_map(|(sort, _)| sort.split('/').next()?.parse::<AccountId>().ok());
            accounts.extend(named);
            if is_last {
                return Ok(accounts);
            }
        }
    }

    async fn write_all_cards(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        let mut page = Page::default();
        loop {
            let listed = self.accounts(tenant, &page).await?;
            let settled = listed.items.iter().map(|account| self.settle(account.key));
            let settled: Vec<_> = settled.collect();
            stream::iter(settled).buffer_unordered(SETTLED_AT_ONCE).try_collect::<()>().await?;
            let Some(next) = listed.next else { break };
            page.after = Some(next);
        }
        let mut page = Page::default();
        loop {
            let listed = self.aliases(tenant, &page).await?;
            for alias in &listed.items {
                self.note_alias(tenant, &alias.address, &alias.targets).await?;
            }
            let Some(next) = listed.next else { return Ok(()) };
            page.after = Some(next);
        }
    }

    /// Says of a new tenant that the cards of all its accounts stand: it has none.
    pub(crate) async fn mark_cards_written(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        self.write(&people_key(tenant), &PeopleItem, Expected::Any).await.map(drop)
    }

    /// Of a tenant that is not to be nothing is said.
    pub(crate) async fn unmark_cards(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        self.erase(&people_key(tenant)).await
    }
}
