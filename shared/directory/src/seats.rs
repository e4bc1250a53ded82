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
//! racing changes none goes over the limit. Who would be refused only until moves are over waits for them. A move whose
//! maker has died is settled by whoever writes the book a minute later, wants to change that account or what the move gives
//! back two seconds later, or would be refused half a minute later: the account's item is written as it is (and the claim of
//! an address freed), so that a maker who was only held up finds another version and begins again; then the item tells
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
use pennypost_model::codec::decode;
use pennypost_model::{AccountId, AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use tokio::sync::oneshot;

use crate::account::{AccountItem, account_item_key, accounts_partition};
use crate::address::{Entry, address_key};
use crate::plan::Limits;
use crate::store::MAX_ATTEMPTS;
use crate::{Account, Directory, DirectoryError, MAX_PAGE};

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
    answer: oneshot::Sender<Outcome>,
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

type Outcome = Result<Met, DirectoryError>;

/// Meets wishes one after the other, but those about accounts of which it is not known what became of them.
fn meet(
    settled: &SeatBook,
    wishes: &[Wish],
    failed: &HashMap<AccountId, DirectoryError>,
    now: Timestamp,
) -> (SeatBook, Vec<Outcome>) {
    let mut book = settled.clone();
    let met = wishes.iter().map(|wish| match wish.account().and_then(|account| failed.get(&account)) {
        Some(error) => Err(error.clone()),
        None => book.meet(wish, now),
    });
    let met = met.collect();
    (book, met)
}

/// Is, or may be, too much taken?
const fn is_full(outcome: &Outcome) -> bool {
    matches!(outcome, Err(DirectoryError::NoSeat(_)) | Ok(Met::Wait(DirectoryError::NoSeat(_))))
}

impl Directory {
    /// What is taken of a tenant's seats; `None` if it has no plan, and so nobody counts. What is being changed at the
    /// moment, or was cut off less than a minute ago, counts as if it were done.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn seat_use(&self, tenant: TenantId) -> Result<Option<SeatUse>, DirectoryError> {
        if self.limits(tenant).await?.is_none() {
            return Ok(None);
        }
        match self.at_desk(tenant, Wish::Look).await? {
            Met::Done(taken) => Ok(Some(taken)),
            Met::Wait(error) => Err(error),
        }
    }

    /// Could an account that is to be added hold this at the moment? Changes nothing.
    pub(crate) async fn check_first_seat(&self, tenant: TenantId, to: SeatUse) -> Result<(), DirectoryError> {
        let Some(limits) = self.limits(tenant).await? else { return Ok(()) };
        let wish = Wish::Ask { account: None, from: SeatUse::NONE, to, limits };
        self.at_desk_until_over(tenant, wish).await
    }

    /// Could an account that was seen, and that `check` let pass, hold this at the moment? Changes nothing.
    pub(crate) async fn check_seat(
        &self,
        seen: &Account,
        to: SeatUse,
        check: impl Fn(&Account) -> Result<(), DirectoryError>,
    ) -> Result<(), DirectoryError> {
        let (key, mut from) = (seen.key, seen.seat());
        let Some(limits) = self.limits(key.tenant).await? else { return Ok(()) };
        for _ in 0..MAX_ATTEMPTS {
            let wish = Wish::Ask { account: Some(key.account), from, to, limits };
            let asked = self.at_desk_until_over(key.tenant, wish).await;
            if !matches!(asked, Err(DirectoryError::NoSeat(_))) {
                return asked;
            }
            // Whoever was waited for may have changed this one.
            let again = self.account(key).await?;
            let again = again.ok_or_else(|| DirectoryError::NoAccount(key.to_string()))?;
            check(&again)?;
            if again.seat() == from {
                return asked;
            }
            from = again.seat();
        }
        Err(DirectoryError::Contended)
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
        self.at_desk_until_over(tenant, Wish::Take { seat, limits }).await.map(|()| Some(seat))
    }

    /// Waits as long as others are about to make room.
    async fn at_desk_until_over(&self, tenant: TenantId, wish: Wish) -> Result<(), DirectoryError> {
        let mut waited_for = DirectoryError::Contended;
        for _ in 0..LOOKS {
            match self.at_desk(tenant, wish).await? {
                Met::Done(_) => return Ok(()),
                Met::Wait(error) => waited_for = error,
            }
            self.clock.sleep(BETWEEN_LOOKS).await;
        }
        Err(waited_for)
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
    async fn at_desk(&self, tenant: TenantId, wish: Wish) -> Outcome {
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

    async fn write_book(&self, tenant: TenantId, wishes: &[Wish]) -> Result<Vec<Outcome>, DirectoryError> {
        let key = book_key(tenant);
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.read::<SeatBook>(&key, Consistency::Strong).await? else {
                self.open_seat_book(tenant).await?;
                continue;
            };
            let now = self.clock.now();
            let mut settled = held.value.clone();
            let old = settled.take_out_old(wishes, now);
            let mut failed = self.settle_moves(tenant, &mut settled, old).await;
            let (mut book, mut outcomes) = meet(&settled, wishes, &failed, now);
            if outcomes.iter().any(is_full) {
                let stale = settled.take_out_stale(now, &failed);
                if !stale.is_empty() {
                    failed.extend(self.settle_moves(tenant, &mut settled, stale).await);
                    (book, outcomes) = meet(&settled, wishes, &failed, now);
                }
            }
            let is_same = book == held.value;
            if is_same || self.write(&key, &book, Expected::Version(held.version)).await?.is_some() {
                return Ok(outcomes);
            }
        }
        Err(DirectoryError::Contended)
    }

    /// Counts what became of moves that were taken out of the book. Those of which that can't be known now stand in it again,
    /// and go on counting as the more of both: one account that can't be read is in nobody else's way.
    async fn settle_moves(
        &self,
        tenant: TenantId,
        book: &mut SeatBook,
        old: Vec<Move>,
    ) -> HashMap<AccountId, DirectoryError> {
        let mut failed = HashMap::new();
        let mut old = old.into_iter();
        while let Some(one) = old.next() {
            match self.came_to(tenant, &one).await {
                Ok((before, after)) => book.settled = book.settled.minus(before).plus(after),
                Err(error) => {
                    tracing::warn!(%tenant, account = %one.account, %error, "what became of a seat is not known");
                    if error.is_temporary() {
                        // So might be each of the others; they come first the next time.
                        failed.extend(old.as_slice().iter().map(|other| (other.account, error.clone())));
                        book.moves.extend(old.by_ref());
                    }
                    book.moves.push(one);
                    failed.insert(one.account, error);
                }
            }
        }
        failed
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
        if let Err(error) = self.bring_cards_up_to_date(tenant).await {
            // It only spares moves of which nothing is known.
            tracing::warn!(%tenant, %error, "accounts that were being changed are counted as the more of both");
        }
        let since = self.clock.now();
        // Before accounts are counted: who has not seen the plan, and is not counted then, stands here.
        let unsettled = self.unsettled(tenant).await?;
        let (settled, unreadable) = self.count_seats(tenant, &unsettled).await?;
        let (id, from, to) = (UNKNOWN_MOVE, SeatUse::NONE, SeatUse::UNKNOWN);
        let moves = unsettled
            .union(&unreadable)
            .copied()
            .map(|account| Move { id, account, from, to, since })
            .collect();
        let book = SeatBook { settled, moves };
        // Somebody else may have opened it meanwhile, and gone on from there.
        self.write(&key, &book, Expected::Absent).await.map(drop)
    }

    /// What all accounts of a tenant hold but these, and those whose items can't be read.
    async fn count_seats(
        &self,
        tenant: TenantId,
        but: &BTreeSet<AccountId>,
    ) -> Result<(SeatUse, BTreeSet<AccountId>), DirectoryError> {
        let (mut sum, mut unreadable, mut after) = (SeatUse::NONE, BTreeSet::new(), None::<String>);
        let partition = accounts_partition(tenant);
        loop {
            let rows = self.control.query(&partition, "", after.as_deref(), MAX_PAGE).await?;
            let is_last = rows.len() < MAX_PAGE;
            after = rows.last().map(|(sort, _)| sort.clone());
            for (sort, row) in rows {
                let Some(account) = sort.parse().ok().filter(|account| !but.contains(account)) else {
                    continue;
                };
                match decode::<AccountItem>(&row.value) {
                    Ok(item) => {
                        let held =
                            self.if_complete(item).await?.map_or(SeatUse::NONE, |account| account.seat());
                        sum = sum.plus(held);
                    }
                    Err(error) => {
                        tracing::warn!(%tenant, %account, %error, "the seat of an account can't be counted");
                        unreadable.insert(account);
                    }
                }
            }
            if is_last {
                return Ok((sum, unreadable));
            }
        }
    }

    /// Makes the book count what there is, whatever it counted: before and now; `None` if there is no book, or nothing was
    /// wrong.
    ///
    /// # Errors
    /// [`DirectoryError::Contended`] while accounts are being changed, what was said of an account that can't be read, or
    /// the port's.
    #[pennypost_ports::compiled_here]
    pub async fn recount_seats(
        &self,
        tenant: TenantId,
    ) -> Result<Option<(SeatUse, SeatUse)>, DirectoryError> {
        let key = book_key(tenant);
        if self.read::<SeatBook>(&key, Consistency::Strong).await?.is_none() {
            return Ok(None);
        }
        // What was cut off is settled first.
        self.at_desk(tenant, Wish::Look).await?;
        for _ in 0..MAX_ATTEMPTS {
            let Some(held) = self.read::<SeatBook>(&key, Consistency::Strong).await? else { return Ok(None) };
            if !held.value.moves.is_empty() {
                break;
            }
            let (settled, unreadable) = self.count_seats(tenant, &BTreeSet::new()).await?;
            if let Some(account) = unreadable.first() {
                // To say what is wrong with it.
                self.account(AccountKey { tenant, account: *account }).await?;
                continue;
            }
            if held.value.settled == settled {
                return Ok(None);
            }
            let book = SeatBook { settled, moves: Vec::new() };
            // Whoever changes what an account holds has written the book before.
            if self.write(&key, &book, Expected::Version(held.version)).await?.is_some() {
                return Ok(Some((held.value.settled, settled)));
            }
        }
        Err(DirectoryError::Contended)
    }

    /// What is wrong about a tenant's book of seats, if it counts something else than there is. Reads only; as long as
    /// accounts are being changed, or can't be read, nothing is known to be wrong.
    ///
    /// # Errors
    /// The port's.
    #[pennypost_ports::compiled_here]
    pub async fn check_seats(&self, tenant: TenantId) -> Result<Option<String>, DirectoryError> {
        let key = book_key(tenant);
        let Some(held) = self.read::<SeatBook>(&key, Consistency::Strong).await? else { return Ok(None) };
        let (counted, unreadable) = self.count_seats(tenant, &BTreeSet::new()).await?;
        let again = self.read::<SeatBook>(&key, Consistency::Strong).await?;
        let is_still = again.is_some_and(|again| again.version == held.version);
        let book = held.value;
        let is_known = is_still && book.moves.is_empty() && unreadable.is_empty();
        if !is_known || book.settled == counted {
            return Ok(None);
        }
        Ok(Some(format!("the book of seats counts {}; there are {counted}", book.settled)))
    }
}
