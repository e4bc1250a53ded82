//! Seats: how many accounts of which kind a tenant may have, and how many it has (PLN-02, PLN-03, PLN-12, TEN-15).
//!
//! What an account holds follows from its item. That no more is held than the plan allows takes one place where it is
//! counted: the book, `T` / `seats`, one item, there from a tenant's first plan on. Whoever changes what an account holds
//!
//! 1. notes an intent, as for its cards,
//! 2. enters a move into the book by compare-and-set, unless that would be too many,
//! 3. changes the account by compare-and-set, unless the intent is older than 20 s by then; its item says by which move,
//! 4. takes the move out of the book, which from then on counts what the account holds now.
//!
//! As long as a move stands, the more of before and after is counted, and nobody else changes what the account holds: of
//! racing changes none goes over the limit. A move whose maker has died is settled by whoever writes the book a minute
//! later, or wants to change that account two seconds later: the account's item is written as it is (and the claim of an
//! address freed), so that a maker who was only held up finds another version and begins again; then the item tells
//! whether the change was made.
//!
//! The first plan: it is written before accounts are counted, and asked for after the intent is noted. So who has not seen
//! it has an intent, and accounts with an intent are entered as moves of which nothing more is known.
//!
//! Within a process, wishes that wait for the book are met together.

mod book;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_ports::{Consistency, ControlKey, Expected};
use tokio::sync::oneshot;

use crate::account::{AccountItem, account_item_key};
use crate::address::{Entry, address_key};
use crate::plan::Limits;
use crate::store::MAX_ATTEMPTS;
use crate::{Directory, DirectoryError, Page};

pub(crate) use book::Seat;
use book::{Met, Move, SeatBook, UNKNOWN_MOVE, Wish};
pub use book::{NoSeat, SeatUse};

/// Tenants whose desks a process remembers.
const MAX_DESKS: usize = 1_000;
/// How often, and at what distance, is looked whether somebody else's move is over.
const LOOKS: usize = 40;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Who waits for the book of a tenant, in this process.
#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    wish: Wish,
    answer: oneshot::Sender<Result<Met, DirectoryError>>,
}

/// The desks of tenants. Only spare writes: what counts is the book.
#[derive(Debug, Default)]
pub(crate) struct Desks(Mutex<HashMap<TenantId, Arc<Desk>>>);

impl Desks {
    fn of(&self, tenant: TenantId) -> Arc<Desk> {
        let mut desks = self.0.lock();
        if desks.len() >= MAX_DESKS {
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        Arc::clone(desks.entry(tenant).or_default())
    }
}

fn book_key(tenant: TenantId) -> ControlKey {
    ControlKey::new(tenant.to_string(), "seats")
}

impl Directory {
    /// What is taken of a tenant's seats; `None` if it has no plan, and so nobody counts. What is being changed at the
    /// moment, or was cut off less than a minute ago, counts as if it were done.
    ///
    /// # Errors
    /// The port's.
    pub async fn seat_use(&self, tenant: TenantId) -> Result<Option<SeatUse>, DirectoryError> {
        if self.limits(tenant).await?.is_none() {
            return Ok(None);
        }
        match self.at_desk(tenant, Wish::Look).await? {
            Met::Done(taken) => Ok(Some(taken)),
            Met::Wait => Err(DirectoryError::Contended),
        }
    }

    /// Could an account hold something else at the moment? Changes nothing.
    pub(crate) async fn check_seat(
        &self,
        tenant: TenantId,
        from: SeatUse,
        to: SeatUse,
    ) -> Result<(), DirectoryError> {
        match self.limits(tenant).await? {
            Some(limits) => self.at_desk(tenant, Wish::Ask { from, to, limits }).await.map(drop),
            None => Ok(()),
        }
    }

    /// An account is going to be erased: what it came to is counted before.
    pub(crate) async fn settle_seat(&self, key: AccountKey) -> Result<(), DirectoryError> {
        match self.limits(key.tenant).await? {
            Some(_) => self.at_desk(key.tenant, Wish::Settle { account: key.account }).await.map(drop),
            None => Ok(()),
        }
    }

    async fn limits(&self, tenant: TenantId) -> Result<Option<Limits>, DirectoryError> {
        let plan = self.tenant(tenant).await?.and_then(|tenant| tenant.plan);
        Ok(plan.map(|plan| plan.in_force(self.clock.now()).limits()))
    }

    /// Enters that an account is going to hold something else; `None` where nothing is counted. An intent must have been
    /// noted before, and be looked at again before the account is written.
    ///
    /// # Errors
    /// [`DirectoryError::NoSeat`], or the port's.
    pub(crate) async fn take_seat(
        &self,
        key: AccountKey,
        from: SeatUse,
        to: SeatUse,
    ) -> Result<Option<Seat>, DirectoryError> {
        if from == to {
            return Ok(None);
        }
        let seat = Seat { id: self.ids.random(), key, from, to, is_new: false };
        self.enter(seat).await
    }

    /// The same for an account that is being added; its item tells that id already.
    ///
    /// # Errors
    /// [`DirectoryError::NoSeat`], or the port's.
    pub(crate) async fn take_first_seat(
        &self,
        key: AccountKey,
        to: SeatUse,
        id: u64,
    ) -> Result<Option<Seat>, DirectoryError> {
        self.enter(Seat { id, key, from: SeatUse::NONE, to, is_new: true }).await
    }

    async fn enter(&self, seat: Seat) -> Result<Option<Seat>, DirectoryError> {
        let tenant = seat.key.tenant;
        let Some(limits) = self.limits(tenant).await? else { return Ok(None) };
        for _ in 0..LOOKS {
            match self.at_desk(tenant, Wish::Take { seat, limits }).await? {
                Met::Done(_) => return Ok(Some(seat)),
                Met::Wait => self.clock.sleep(BETWEEN_LOOKS).await,
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Takes a move out of the book: the account was changed, or certainly will not be by it. What can't be taken out now is
    /// settled by others.
    pub(crate) async fn leave_seat(&self, seat: Option<Seat>, is_changed: bool) {
        let Some(seat) = seat else { return };
        if let Err(error) = self.at_desk(seat.key.tenant, Wish::Leave { seat, is_changed }).await {
            tracing::debug!(tenant = %seat.key.tenant, %error, "a seat is left to be settled later");
        }
    }

    /// Waits for the turn at the desk, and writes for all who wait there.
    async fn at_desk(&self, tenant: TenantId, wish: Wish) -> Result<Met, DirectoryError> {
        let desk = self.desks.of(tenant);
        let (answer, answered) = oneshot::channel();
        desk.waiting.lock().push(Waiting { wish, answer });
        {
            let _turn = desk.turn.lock().await;
            let waiting = std::mem::take(&mut *desk.waiting.lock());
            // Somebody before may have written for this one.
            if !waiting.is_empty() {
                // On the heap: it is large, and a part of everything that changes accounts.
                Box::pin(self.meet_all(tenant, waiting)).await;
            }
        }
        // Who was to write may have been dropped meanwhile: nobody knows whether it was written.
        answered.await.unwrap_or(Err(DirectoryError::Contended))
    }

    async fn meet_all(&self, tenant: TenantId, waiting: Vec<Waiting>) {
        let wishes: Vec<Wish> = waiting.iter().map(|one| one.wish).collect();
        let met = self.write_book(tenant, &wishes).await;
        for (number, one) in waiting.into_iter().enumerate() {
            let outcome = match &met {
                Ok(outcomes) => outcomes.get(number).cloned().unwrap_or(Err(DirectoryError::Contended)),
                Err(error) => Err(error.clone()),
            };
            // Who does not wait any more has been dropped.
            one.answer.send(outcome).ok();
        }
    }

    async fn write_book(
        &self,
        tenant: TenantId,
        wishes: &[Wish],
    ) -> Result<Vec<Result<Met, DirectoryError>>, DirectoryError> {
        let key = book_key(tenant);
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.read::<SeatBook>(&key, Consistency::Strong).await? else {
                self.open_seat_book(tenant).await?;
                continue;
            };
            let now = self.clock.now();
            let mut book = held.value.clone();
            for old in book.take_out_old(wishes, now) {
                let (before, after) = self.came_to(tenant, &old).await?;
                book.settled = book.settled.minus(before).plus(after);
            }
            let outcomes = wishes.iter().map(|wish| book.meet(wish, now)).collect();
            let is_same = book == held.value;
            if is_same || self.write(&key, &book, Expected::Version(held.version)).await?.is_some() {
                return Ok(outcomes);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// What is to be counted no more, and what instead, after the maker of the move can't change the account any more.
    async fn came_to(&self, tenant: TenantId, old: &Move) -> Result<(SeatUse, SeatUse), DirectoryError> {
        let found = self.held_for_good(AccountKey { tenant, account: old.account }).await?;
        let held = found.as_ref().map_or(SeatUse::NONE, |item| item.account.seat());
        // As long as the move stood nobody else has changed what it holds.
        let is_made = found.is_some_and(|item| item.last_move == old.id);
        Ok(match old.id {
            UNKNOWN_MOVE => (SeatUse::NONE, held),
            _ if is_made => (old.from, old.to),
            _ => (SeatUse::NONE, SeatUse::NONE),
        })
    }

    /// The item of an account, after everybody who began to change it before can't do so any more without looking again;
    /// `None` if there is no such account, and will be none.
    async fn held_for_good(&self, key: AccountKey) -> Result<Option<AccountItem>, DirectoryError> {
        let item_key = account_item_key(key);
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.read::<AccountItem>(&item_key, Consistency::Strong).await? else {
                return Ok(None);
            };
            let item = held.value;
            if !item.complete {
                let entry = self.entry(key.tenant, &item.account.address, Consistency::Strong).await?;
                match entry.map(|entry| (entry.value, entry.version)) {
                    Some((Entry::Account(account), _)) if account == key.account => {}
                    Some((Entry::Claimed(account), version)) if account == key.account => {
                        let address_key = address_key(key.tenant, &item.account.address);
                        let freed =
                            self.write(&address_key, &Entry::Free, Expected::Version(version)).await?;
                        if freed.is_none() {
                            continue;
                        }
                        // Nothing leads to it any more.
                        self.erase_account_items(key.tenant, key.account).await?;
                        return Ok(None);
                    }
                    _ => return Ok(None),
                }
            }
            if self.write(&item_key, &item, Expected::Version(held.version)).await?.is_some() {
                return Ok(Some(item));
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Opens the book of a tenant that has a plan, if it is not open: counts its accounts.
    pub(crate) async fn open_seat_book(&self, tenant: TenantId) -> Result<(), DirectoryError> {
        let key = book_key(tenant);
        if self.read::<SeatBook>(&key, Consistency::Strong).await?.is_some() {
            return Ok(());
        }
        self.bring_cards_up_to_date(tenant).await?;
        let since = self.clock.now();
        // Before accounts are counted: who has not seen the plan, and is not counted then, stands here.
        let unsettled = self.unsettled(tenant).await?;
        let settled = self.count_seats(tenant, &unsettled).await?;
        let (id, from, to) = (UNKNOWN_MOVE, SeatUse::NONE, SeatUse::UNKNOWN);
        let moves = unsettled.into_iter().map(|account| Move { id, account, from, to, since }).collect();
        let book = SeatBook { settled, moves };
        // Somebody else may have opened it meanwhile, and gone on from there.
        self.write(&key, &book, Expected::Absent).await.map(drop)
    }

    /// What all accounts of a tenant hold but these.
    async fn count_seats(
        &self,
        tenant: TenantId,
        but: &BTreeSet<AccountId>,
    ) -> Result<SeatUse, DirectoryError> {
        let (mut sum, mut page) = (SeatUse::NONE, Page::default());
        loop {
            let listed = self.accounts(tenant, &page).await?;
            let counted = listed.items.iter().filter(|account| !but.contains(&account.key.account));
            sum = counted.fold(sum, |sum, account| sum.plus(account.seat()));
            let Some(next) = listed.next else { return Ok(sum) };
            page.after = Some(next);
        }
    }

    /// What is wrong about a tenant's book of seats, if it counts something else than there is. Reads only; as long as
    /// accounts are being changed nothing is known to be wrong.
    ///
    /// # Errors
    /// The port's.
    pub async fn check_seats(&self, tenant: TenantId) -> Result<Option<String>, DirectoryError> {
        let key = book_key(tenant);
        let Some(held) = self.read::<SeatBook>(&key, Consistency::Strong).await? else { return Ok(None) };
        let counted = self.count_seats(tenant, &BTreeSet::new()).await?;
        let again = self.read::<SeatBook>(&key, Consistency::Strong).await?;
        let is_still = again.is_some_and(|again| again.version == held.version);
        let book = held.value;
        if !is_still || !book.moves.is_empty() || book.settled == counted {
            return Ok(None);
        }
        Ok(Some(format!("the book of seats counts {}; there are {counted}", book.settled)))
    }
}
