//! The book of seats and what may stand in it: decisions without effects.

use std::collections::HashMap;
use std::fmt;

use pennypost_model::codec::Versioned;
use pennypost_model::{AccountId, AccountKey, Timestamp};
use serde::{Deserialize, Serialize};

use crate::organisation::ABANDONED;
use crate::plan::Limits;
use crate::{Account, AccountKind, DirectoryError};

/// Moves that a book holds at most: 40 KB.
const MAX_MOVES: usize = 1_000;
/// Age of a move, in milliseconds, from which whoever wants to change the same account settles it, and whoever waits for
/// what it gives back.
const PATIENCE: i64 = 2_000;
/// Age of a move that only takes, in milliseconds, from which whoever would be refused for it settles it. Its maker looks at
/// its intent before that, so that none that lives is disturbed.
const TAKEN_IN_VAIN: i64 = 30_000;
/// The id of a move of which only the account is known.
pub(super) const UNKNOWN_MOVE: u64 = 0;

/// How many accounts of which kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatUse {
    /// Members' accounts outside the recycle bin.
    pub members: u32,
    /// How many of these have a VIP seat.
    pub vip: u32,
    /// Business mailboxes outside the recycle bin.
    pub business: u32,
}

impl SeatUse {
    pub(crate) const NONE: SeatUse = SeatUse { members: 0, vip: 0, business: 0 };
    /// What an account may come to hold of which that is not known; there are no VIP seats without a plan.
    pub(super) const UNKNOWN: SeatUse = SeatUse { members: 1, vip: 0, business: 1 };

    /// Of an account outside the recycle bin.
    pub(crate) fn of(kind: AccountKind, is_vip: bool) -> SeatUse {
        match kind {
            AccountKind::Member => SeatUse { members: 1, vip: u32::from(is_vip), business: 0 },
            AccountKind::Business => SeatUse { members: 0, vip: 0, business: 1 },
        }
    }

    fn each(self, other: SeatUse, join: impl Fn(u32, u32) -> u32) -> SeatUse {
        SeatUse {
            members: join(self.members, other.members),
            vip: join(self.vip, other.vip),
            business: join(self.business, other.business),
        }
    }

    pub(super) fn plus(self, other: SeatUse) -> SeatUse {
        self.each(other, u32::saturating_add)
    }

    pub(super) fn minus(self, other: SeatUse) -> SeatUse {
        self.each(other, u32::saturating_sub)
    }

    fn or(self, other: SeatUse) -> SeatUse {
        self.each(other, u32::max)
    }
}

impl fmt::Display for SeatUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SeatUse { members, vip, business } = self;
        write!(f, "{members} members, {vip} with a VIP seat, {business} business mailboxes")
    }
}

impl Account {
    /// What it takes of the tenant's seats.
    pub(crate) fn seat(&self) -> SeatUse {
        if self.binned.is_some() { SeatUse::NONE } else { SeatUse::of(self.kind, self.is_vip) }
    }
}

/// Why an account can't hold what it is to hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSeat {
    /// There are as many accounts as there may be.
    #[error("all {seats} seats of the plan are taken")]
    Members {
        /// How many there may be.
        seats: u32,
    },
    /// No VIP seat is free.
    #[error("all {seats} VIP seats of the plan are taken, {by_business} of them by business mailboxes")]
    Vip {
        /// How many there are.
        seats: u32,
        /// How many of them business mailboxes use.
        by_business: u32,
    },
    /// There are as many business mailboxes as there may be.
    #[error("the plan allows {allowed} business mailboxes at present")]
    Business {
        /// How many there may be: with one for each free VIP seat.
        allowed: u32,
    },
    /// Without a plan nobody is VIP.
    #[error("the tenant has no plan, and so no VIP seats")]
    NoPlan,
    /// Only a VIP member's mailbox is made a business mailbox (BIZ-03).
    #[error("{0} has no VIP seat: only a VIP member's mailbox is made a business mailbox")]
    NotVip(String),
    /// Only a VIP member has secretaries (PLN-10).
    #[error("{0} has no VIP seat: only a VIP member has secretaries")]
    NoSecretaries(String),
}

/// May there be as many as `after`, where there were as many as `before`? What there is already is in nobody's way.
fn check(limits: &Limits, before: SeatUse, after: SeatUse) -> Result<(), NoSeat> {
    if let Some(seats) = limits.seats.filter(|seats| after.members > before.members && after.members > *seats)
    {
        return Err(NoSeat::Members { seats });
    }
    let by_business = limits.vip_by_business(after.business);
    let is_over = after.vip.saturating_add(by_business) > limits.vip_seats;
    if after.vip > before.vip && is_over {
        let by_business = limits.vip_by_business(before.business);
        return Err(NoSeat::Vip { seats: limits.vip_seats, by_business });
    }
    // The first ones are the tenant's own, whatever becomes of its VIP seats.
    if let Some(allowed) = limits.business_allowed(after.vip)
        && after.business > before.business
        && by_business > 0
        && is_over
    {
        return Err(NoSeat::Business { allowed });
    }
    Ok(())
}

/// The book.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SeatBook {
    /// What accounts hold; those of which a move stands held it when that was entered.
    pub(super) settled: SeatUse,
    pub(super) moves: Vec<Move>,
}

impl Versioned for SeatBook {
    const KIND: &'static str = "seats";
}

/// An account that is being changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    pub(super) id: u64,
    pub(super) account: AccountId,
    /// What it holds, as its maker has seen it.
    pub(super) from: SeatUse,
    /// What it is going to hold.
    pub(super) to: SeatUse,
    pub(super) since: Timestamp,
}

impl Move {
    fn age(&self, now: Timestamp) -> i64 {
        now.0.saturating_sub(self.since.0)
    }

    /// Is less taken when it has been made than while it stands?
    fn gives_back(&self) -> bool {
        self.from.or(self.to) != self.to
    }
}

/// What somebody wants of the book.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    /// To change an account.
    Take { seat: Seat, limits: Limits },
    /// To take a move out again: was the account changed?
    Leave { seat: Seat, is_changed: bool },
    /// To know whether an account could hold something else; `None`: one that is to be added.
    Ask { account: Option<AccountId>, from: SeatUse, to: SeatUse, limits: Limits },
    /// To know what became of an account that is going to be erased.
    Settle { account: AccountId },
    /// To know what is taken.
    Look,
}

impl Wish {
    /// Whose moves have to be over before.
    pub(super) const fn account(&self) -> Option<AccountId> {
        match self {
            Wish::Take { seat, .. } if !seat.is_new => Some(seat.key.account),
            Wish::Ask { account, .. } => *account,
            Wish::Settle { account } => Some(*account),
            Wish::Take { .. } | Wish::Leave { .. } | Wish::Look => None,
        }
    }
}

/// What becomes of a wish that is not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Met {
    /// Done; so much is taken, or may be.
    Done(SeatUse),
    /// Not yet, since somebody is changing that account, or is about to give back what is wanted. What is to be said to
    /// whoever does not wait any longer.
    Wait(DirectoryError),
}

/// A change of what an account holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    /// By it the account's item tells that the change was made.
    pub(crate) id: u64,
    pub(super) key: AccountKey,
    pub(super) from: SeatUse,
    pub(super) to: SeatUse,
    /// Nobody else knows of the account yet.
    pub(super) is_new: bool,
}

impl SeatBook {
    /// What is taken, or may be.
    fn taken(&self) -> SeatUse {
        let more = |sum: SeatUse, one: &Move| sum.plus(one.from.or(one.to)).minus(one.from);
        self.moves.iter().fold(self.settled, more)
    }

    /// What will be taken when all moves have been made.
    fn taken_then(&self) -> SeatUse {
        self.moves.iter().fold(self.settled, |sum, one| sum.plus(one.to).minus(one.from))
    }

    /// May an account hold something else? What is only in the way until moves are over is waited for.
    fn allow(&self, limits: &Limits, from: SeatUse, to: SeatUse) -> Result<Option<Met>, NoSeat> {
        let may = |taken: SeatUse| check(limits, taken, taken.minus(from).plus(to));
        match (may(self.taken()), may(self.taken_then())) {
            (Ok(()), _) => Ok(None),
            (Err(refused), Ok(())) => Ok(Some(Met::Wait(refused.into()))),
            (Err(refused), Err(_)) => Err(refused),
        }
    }

    pub(super) fn meet(&mut self, wish: &Wish, now: Timestamp) -> Result<Met, DirectoryError> {
        match wish {
            Wish::Take { seat, limits } => return self.take(seat, limits, now),
            Wish::Leave { seat, is_changed } => self.leave(seat, *is_changed),
            Wish::Ask { account, from, to, limits } => {
                if self.moves.iter().any(|one| Some(one.account) == *account) {
                    return Ok(Met::Wait(DirectoryError::Contended));
                }
                if let Some(wait) = self.allow(limits, *from, *to)? {
                    return Ok(wait);
                }
            }
            Wish::Settle { .. } | Wish::Look => {}
        }
        Ok(Met::Done(self.taken()))
    }

    fn take(&mut self, seat: &Seat, limits: &Limits, now: Timestamp) -> Result<Met, DirectoryError> {
        let Seat { id, key, from, to, is_new } = *seat;
        let place = self.moves.iter().position(|one| one.account == key.account);
        if place.is_some() && !is_new {
            return Ok(Met::Wait(DirectoryError::Contended));
        }
        if let Some(place) = place {
            // Whoever counted has found its intent; who has noted that knows more.
            self.moves.swap_remove(place);
        }
        if let Some(wait) = self.allow(limits, from, to)? {
            return Ok(wait);
        }
        if self.moves.len() >= MAX_MOVES {
            return Err(DirectoryError::Contended);
        }
        self.moves.push(Move { id, account: key.account, from, to, since: now });
        Ok(Met::Done(self.taken()))
    }

    fn leave(&mut self, seat: &Seat, is_changed: bool) {
        // Perhaps somebody has settled it.
        let Some(place) = self.moves.iter().position(|one| one.id == seat.id) else { return };
        self.moves.swap_remove(place);
        if is_changed {
            self.settled = self.settled.minus(seat.from).plus(seat.to);
        }
    }

    /// Takes moves out of which it has to be asked what became of them.
    pub(super) fn take_out_old(&mut self, wishes: &[Wish], now: Timestamp) -> Vec<Move> {
        self.take_out(|one| {
            let age = one.age(now);
            let is_late = |wish: &Wish| age >= PATIENCE || matches!(wish, Wish::Settle { .. });
            let is_in_the_way = |wish: &Wish| wish.account() == Some(one.account) && is_late(wish);
            age >= ABANDONED || wishes.iter().any(is_in_the_way)
        })
    }

    /// Takes out those for which nobody is refused, or waits, any longer, but those that could not be settled a moment ago.
    pub(super) fn take_out_stale(
        &mut self,
        now: Timestamp,
        failed: &HashMap<AccountId, DirectoryError>,
    ) -> Vec<Move> {
        self.take_out(|one| {
            let patience = if one.gives_back() { PATIENCE } else { TAKEN_IN_VAIN };
            one.age(now) >= patience && !failed.contains_key(&one.account)
        })
    }

    fn take_out(&mut self, is_meant: impl Fn(&Move) -> bool) -> Vec<Move> {
        let (out, standing) = std::mem::take(&mut self.moves).into_iter().partition(is_meant);
        self.moves = standing;
        out
    }
}

#[cfg(test)]
mod tests {
    use pennypost_model::TenantId;

    use super::*;

    const fn seats(members: u32, vip: u32, business: u32) -> SeatUse {
        SeatUse { members, vip, business }
    }

    #[test]
    fn what_may_be_added() {
        let limits = Limits { seats: Some(3), vip_seats: 2, business_mailboxes: Some(3) };
        let full = NoSeat::Members { seats: 3 };
        for (before, after, expected) in [
            (seats(2, 0, 0), seats(3, 0, 0), Ok(())),
            (seats(3, 0, 0), seats(4, 0, 0), Err(full.clone())),
            // More than there may be since there may be less: what there is may change, and become less.
            (seats(9, 0, 0), seats(8, 0, 0), Ok(())),
            (seats(9, 1, 0), seats(9, 2, 0), Ok(())),
            (seats(9, 9, 0), seats(9, 8, 0), Ok(())),
            (seats(9, 0, 0), seats(10, 0, 0), Err(full)),
            (seats(3, 2, 0), seats(3, 3, 0), Err(NoSeat::Vip { seats: 2, by_business: 0 })),
            // Free VIP seats are business mailboxes', and the other way about.
            (seats(3, 1, 3), seats(3, 1, 4), Ok(())),
            (seats(3, 1, 4), seats(3, 1, 5), Err(NoSeat::Business { allowed: 4 })),
            (seats(3, 2, 3), seats(3, 2, 4), Err(NoSeat::Business { allowed: 3 })),
            (seats(3, 1, 4), seats(3, 2, 4), Err(NoSeat::Vip { seats: 2, by_business: 1 })),
            // The first three are there whatever is withdrawn.
            (seats(3, 9, 2), seats(3, 9, 3), Ok(())),
        ] {
            assert_eq!(check(&limits, before, after), expected, "{before:?} {after:?}");
        }
        let none = Limits { seats: None, vip_seats: 0, business_mailboxes: None };
        assert_eq!(check(&none, seats(9, 0, 9), seats(10, 0, 10)), Ok(()));
    }

    const NONE: SeatUse = SeatUse::NONE;
    const ONE: SeatUse = seats(1, 0, 0);
    const NOW: Timestamp = Timestamp(100_000);

    const fn seat(id: u64, account: u64, from: SeatUse, to: SeatUse) -> Seat {
        let key = AccountKey { tenant: TenantId(1), account: AccountId(account) };
        Seat { id, key, from, to, is_new: false }
    }

    fn one_seat() -> Limits {
        Limits { seats: Some(1), vip_seats: 0, business_mailboxes: Some(0) }
    }

    fn take(seat: Seat) -> Wish {
        Wish::Take { seat, limits: one_seat() }
    }

    #[test]
    fn a_move_counts_as_the_more_of_both_until_it_is_over() {
        let done = |taken| Ok(Met::Done(taken));
        let full: Result<Met, _> = Err(DirectoryError::NoSeat(NoSeat::Members { seats: 1 }));
        let mut book = SeatBook::default();
        let (first, second) = (seat(1, 10, NONE, ONE), seat(2, 20, NONE, ONE));
        assert_eq!(book.meet(&take(first), NOW), done(ONE));
        assert_eq!(book.meet(&take(second), NOW), full.clone());
        assert_eq!(book.meet(&Wish::Leave { seat: first, is_changed: false }, NOW), done(NONE));
        assert_eq!(book.meet(&take(second), NOW), done(ONE));
        assert_eq!(book.meet(&Wish::Leave { seat: second, is_changed: true }, NOW), done(ONE));
        // Going away, it is there until it is gone.
        let going = seat(3, 20, ONE, NONE);
        assert_eq!(book.meet(&take(going), NOW), done(ONE));
        let wait = Ok(Met::Wait(full.clone().expect_err("refused")));
        assert_eq!(book.meet(&take(first), NOW), wait);
        // What is only asked for waits, too.
        let ask = |account| Wish::Ask { account, from: NONE, to: ONE, limits: one_seat() };
        assert_eq!(book.meet(&ask(None), NOW), wait);
        assert_eq!(book.meet(&Wish::Leave { seat: going, is_changed: true }, NOW), done(NONE));
        // Twice is as once.
        assert_eq!(book.meet(&Wish::Leave { seat: going, is_changed: true }, NOW), done(NONE));
        assert_eq!(book.settled, NONE);
    }

    #[test]
    fn one_account_is_changed_by_one_at_a_time() {
        let mut book = SeatBook::default();
        let (first, other) = (seat(1, 10, NONE, ONE), seat(2, 10, NONE, ONE));
        assert_eq!(book.meet(&take(first), NOW), Ok(Met::Done(ONE)));
        let wait = Ok(Met::Wait(DirectoryError::Contended));
        assert_eq!(book.meet(&take(other), NOW), wait);
        let ask = Wish::Ask { account: Some(AccountId(10)), from: NONE, to: ONE, limits: one_seat() };
        assert_eq!(book.meet(&ask, NOW), wait);
        // Who waits for long does not wait for ever; who wants something else waits longer.
        let at = |age: i64| Timestamp(NOW.0 + age);
        for (wish, age, is_old) in [
            (take(other), PATIENCE - 1, false),
            (take(other), PATIENCE, true),
            (ask, PATIENCE - 1, false),
            (ask, PATIENCE, true),
            (take(seat(3, 30, NONE, ONE)), PATIENCE, false),
            (Wish::Look, ABANDONED - 1, false),
            (Wish::Look, ABANDONED, true),
            (Wish::Settle { account: AccountId(10) }, 0, true),
            (Wish::Settle { account: AccountId(30) }, 0, false),
        ] {
            let taken_out = book.clone().take_out_old(&[wish], at(age));
            assert_eq!(taken_out.len(), usize::from(is_old), "{wish:?} {age}");
        }
        // Whoever adds the account knows more of it than whoever found its intent.
        let unknown =
            Move { id: UNKNOWN_MOVE, account: AccountId(20), from: NONE, to: SeatUse::UNKNOWN, since: NOW };
        let mut book = SeatBook { settled: NONE, moves: vec![unknown] };
        let adding = Seat { is_new: true, ..seat(4, 20, NONE, ONE) };
        assert_eq!(book.meet(&take(adding), NOW), Ok(Met::Done(ONE)));
        assert_eq!(book.meet(&Wish::Leave { seat: adding, is_changed: true }, NOW), Ok(Met::Done(ONE)));
        assert_eq!((book.settled, book.moves.len()), (ONE, 0));
    }

    #[test]
    fn what_a_move_gives_back_is_waited_for() {
        // Two VIP members, as many as there may be; each is to become a business mailbox, which brings its seat along.
        let (vip, business) = (seats(1, 1, 0), seats(0, 0, 1));
        let limits = Limits { seats: Some(2), vip_seats: 2, business_mailboxes: Some(0) };
        let mut book = SeatBook { settled: seats(2, 2, 0), moves: Vec::new() };
        let converted = |id, account| Wish::Take { seat: seat(id, account, vip, business), limits };
        assert_eq!(book.meet(&converted(1, 10), NOW), Ok(Met::Done(seats(2, 2, 1))));
        let refused = NoSeat::Business { allowed: 1 };
        assert_eq!(book.meet(&converted(2, 20), NOW), Ok(Met::Wait(refused.into())));
        let first = seat(1, 10, vip, business);
        assert_eq!(
            book.meet(&Wish::Leave { seat: first, is_changed: true }, NOW),
            Ok(Met::Done(seats(1, 1, 1)))
        );
        assert_eq!(book.meet(&converted(2, 20), NOW), Ok(Met::Done(seats(1, 1, 2))));
    }

    #[test]
    fn moves_in_the_way_are_settled_before_others() {
        let a_move = |from, to| Move { id: 1, account: AccountId(10), from, to, since: NOW };
        for (from, to, patience) in [
            (NONE, ONE, TAKEN_IN_VAIN),
            (ONE, seats(1, 1, 0), TAKEN_IN_VAIN),
            (ONE, NONE, PATIENCE),
            (seats(1, 1, 0), seats(0, 0, 1), PATIENCE),
        ] {
            for (age, expected) in [(patience - 1, 0), (patience, 1)] {
                let mut book = SeatBook { settled: from, moves: vec![a_move(from, to)] };
                let later = Timestamp(NOW.0 + age);
                assert_eq!(book.take_out_stale(later, &HashMap::new()).len(), expected, "{from} {to} {age}");
                assert_eq!(book.moves.len(), 1 - expected);
            }
        }
    }
}
