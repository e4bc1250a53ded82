//! Plans: seats that are counted while others race, die or are held up; VIP seats, business mailboxes, capacities, terms.
//!
//! Feature TEN-11: service ends when the term does
//! Feature TEN-15 (part): accounts up to a ceiling
//! Feature PLN-02: VIP seats, the capacity that comes with one, and of the functions for VIP members (PLN-10) secretaries and conversion; the others are not built

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use crate::memory::{Death, House, Memory, PASSWORD};
use async_trait::async_trait;
use pennypost_directory::{
    Account, AccountKind, Attempt, BUSINESS_QUOTA, BinCause, Capacities, DEFAULT_QUOTA, Directory,
    DirectoryError, Function, NewAccount, NewOwner, NoSeat, Page, Payment, Plan, Resolved, SeatUse,
    SignInError, SignInKind,
};
use pennypost_model::{AccountKey, TenantId, Timestamp};
use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, PortResult, Put};
use tokio::sync::Notify;

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY: i64 = 24 * 60 * 60 * 1000;
/// From when on what was cut off is settled by others.
const LATER: i64 = 61_000;

async fn plan(directory: &Directory, tenant: TenantId, plan: Plan) {
    let seen = directory.tenant(tenant).await.expect("tenant").expect("tenant").plan;
    assert_eq!(directory.set_plan(tenant, seen.as_ref(), &plan).await, Ok(true));
}

fn with_seats(seats: u32) -> Plan {
    Plan { seats: Some(seats), ..Plan::basic() }
}

async fn add(directory: &Directory, local: &str) -> Result<Account, DirectoryError> {
    directory.add_account(&format!("{local}@acme.example"), PASSWORD, "", None).await
}

/// Without a password, which costs its time.
async fn add_quickly(directory: &Directory, local: &str) -> Result<Account, DirectoryError> {
    let address = format!("{local}@acme.example");
    directory.add_account_with(&NewAccount { address: &address, ..NewAccount::default() }).await
}

async fn add_business(directory: &Directory, local: &str) -> Result<Account, DirectoryError> {
    let address = format!("{local}@acme.example");
    let new = NewAccount { address: &address, is_business: true, ..NewAccount::default() };
    directory.add_account_with(&new).await
}

async fn all(directory: &Directory, tenant: TenantId) -> Vec<Account> {
    directory.accounts(tenant, &Page::default()).await.expect("listed").items
}

/// What is held, counted anew.
async fn counted(directory: &Directory, tenant: TenantId) -> SeatUse {
    let mut held = SeatUse::default();
    for account in all(directory, tenant).await.iter().filter(|account| account.binned.is_none()) {
        match account.kind {
            AccountKind::Member => held.members += 1,
            AccountKind::Business => held.business += 1,
        }
        held.vip += u32::from(account.is_vip);
    }
    held
}

/// When all that was cut off has been settled, the book says what is there.
#[track_caller]
fn assert_same(book: &Result<Option<SeatUse>, DirectoryError>, counted: SeatUse, about: &str) {
    assert_eq!(*book, Ok(Some(counted)), "{about}");
}

const fn full(seats: u32) -> DirectoryError {
    DirectoryError::NoSeat(NoSeat::Members { seats })
}

async fn has_vip(directory: &Directory, key: AccountKey) -> bool {
    directory.account(key).await.expect("account").expect("account").is_vip
}

#[tokio::test]
async fn accounts_are_added_until_all_seats_are_taken() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let ann = add(directory, "ann").await.expect("without a plan").key;
    assert_eq!(directory.seat_use(acme).await, Ok(None));
    plan(directory, acme, with_seats(2)).await;
    // Who was there before counts.
    assert_eq!(directory.seat_use(acme).await.expect("book").expect("a plan").members, 1);
    add(directory, "bob").await.expect("the second");
    for _ in 0..2 {
        assert_eq!(add(directory, "eve").await, Err(full(2)));
        assert_eq!(directory.check_new_account("eve@acme.example", None, "").await, Err(full(2)));
    }
    // Nothing of the third is left.
    let resolved = directory.resolve("eve@acme.example").await;
    assert_eq!(resolved, Ok(Resolved::UnknownUser { tenant: acme }));
    for partition in ["accounts", "credentials"] {
        let is_in = |key: &ControlKey| key.partition == format!("{acme}/{partition}");
        assert_eq!(house.disk.keys().into_iter().filter(is_in).count(), 2, "{partition}");
    }
    // Whoever is in the bin takes no seat, and comes back if there is one.
    directory.bin_account(ann, BinCause::Deleted).await.expect("binned");
    add(directory, "eve").await.expect("the seat is free");
    assert_eq!(directory.restore_account(ann).await, Err(full(2)));
    assert_eq!(directory.assign_account(ann, &NewOwner::default()).await, Err(full(2)));
    assert!(directory.account(ann).await.expect("account").expect("account").binned.is_some());
    plan(directory, acme, with_seats(3)).await;
    directory.restore_account(ann).await.expect("restored");
    let signed_in = directory.authenticate("ann@acme.example", PASSWORD, CLIENT).await;
    signed_in.expect("the password was kept when there was no seat");
    // What is held stays where there may be less.
    plan(directory, acme, with_seats(1)).await;
    assert_eq!(add(directory, "fay").await, Err(full(1)));
    directory.set_display_name(ann, "Ann").await.expect("changed");
    directory.bin_account(ann, BinCause::Deleted).await.expect("binned");
    assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, "at the end");
    assert_eq!(directory.check_seats(acme).await, Ok(None));
    let nobody = TenantId(77);
    assert_eq!(
        directory.set_plan(nobody, None, &with_seats(1)).await,
        Err(DirectoryError::NoTenant(nobody.to_string()))
    );
    // Another plan was given meanwhile.
    assert_eq!(directory.set_plan(acme, None, &with_seats(9)).await, Ok(false));
    assert_eq!(add(directory, "fay").await, Err(full(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_racing_adds_so_many_win_as_there_are_seats() {
    for _ in 0..3 {
        let (house, acme) = House::with_acme().await;
        plan(&house.directory, acme, with_seats(5)).await;
        let processes: Vec<Directory> = (0..3).map(|_| house.process(Memory::new(&house.disk))).collect();
        let adds = (0..18).map(|number| {
            let directory = processes[number % 3].clone();
            tokio::spawn(async move { add(&directory, &format!("member{number}")).await })
        });
        let mut winners = 0;
        for add in adds.collect::<Vec<_>>() {
            match add.await.expect("task") {
                Ok(_) => winners += 1,
                Err(error) => assert_eq!(error, full(5)),
            }
        }
        assert_eq!(winners, 5);
        assert_eq!(all(&house.directory, acme).await.len(), 5);
        let book = house.directory.seat_use(acme).await;
        assert_same(&book, counted(&house.directory, acme).await, "after the race");
    }
}

#[tokio::test]
async fn a_seat_is_neither_lost_nor_doubled_when_processes_die() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..14 {
            let (house, acme) = House::with_acme().await;
            let directory = &house.directory;
            plan(directory, acme, with_seats(1)).await;
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            let first = add(&dying, "ann").await;
            died += u32::from(first.is_err());
            let about = format!("{death:?} {writes}");
            // Whatever became of it: there is one seat.
            let second = add(directory, "bob").await.map(drop);
            assert!(second.is_ok() || second == Err(full(1)), "{about}: {second:?}");
            assert!(all(directory, acme).await.len() <= 1, "{about}");
            house.clock.advance(LATER);
            let is_there = !all(directory, acme).await.is_empty();
            let third = add(directory, "carl").await.map(drop);
            assert_eq!(third, if is_there { Err(full(1)) } else { Ok(()) }, "{about}");
            assert_eq!(all(directory, acme).await.len(), 1, "{about}");
            assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &about);
            // Whoever did not get it gets the next one, and nothing is left of the first try.
            plan(directory, acme, with_seats(2)).await;
            let is_ann = |account: &Account| account.address.local() == "ann";
            if !all(directory, acme).await.iter().any(is_ann) {
                add(directory, "ann").await.expect("the next seat");
            }
            let there = all(directory, acme).await.len();
            for partition in ["accounts", "credentials"] {
                let is_in = |key: &ControlKey| key.partition == format!("{acme}/{partition}");
                let count = house.disk.keys().into_iter().filter(is_in).count();
                assert_eq!(count, there, "{partition} {about}");
            }
        }
    }
    assert!(died >= 12, "only {died} deaths");
}

#[tokio::test]
async fn changes_that_are_cut_off_are_counted_as_what_they_came_to() {
    let mut died = 0;
    for (change, is_repeated) in (0..6).flat_map(|change| [(change, false), (change, true)]) {
        for death in [Death::BeforeWrite, Death::AfterWrite] {
            for writes in 0..12 {
                let (house, acme) = House::with_acme().await;
                let directory = &house.directory;
                let pro = Plan { vip_seats: 2, seats: Some(4), ..Plan::pro() };
                plan(directory, acme, pro).await;
                let ann = add_quickly(directory, "ann").await.expect("ann").key;
                let bob = add_quickly(directory, "bob").await.expect("bob").key;
                directory.set_vip(bob, true).await.expect("a seat");
                let carl = add_quickly(directory, "carl").await.expect("carl").key;
                directory.bin_account(carl, BinCause::Deleted).await.expect("binned");
                let dying = house.process(Memory::dying(&house.disk, writes, death));
                let by = async |directory: &Directory| match change {
                    0 => directory.set_vip(ann, true).await,
                    1 => directory.set_vip(bob, false).await,
                    2 => directory.bin_account(bob, BinCause::Unbound).await.map(drop),
                    3 => directory.restore_account(carl).await,
                    4 => directory.convert_to_business(bob, "sales").await,
                    _ => directory.assign_account(carl, &NewOwner::default()).await,
                };
                died += u32::from(by(&dying).await.is_err());
                let about = format!("{change} {is_repeated} {death:?} {writes}");
                if is_repeated {
                    // At once: it is done then, whether or not it was done before.
                    let again = by(directory).await;
                    let was_done = match change {
                        2 => Some(DirectoryError::InBin("bob@acme.example".to_owned())),
                        4 => Some(DirectoryError::WrongKind("bob@acme.example".to_owned())),
                        3 | 5 => Some(DirectoryError::NotInBin("carl@acme.example".to_owned())),
                        _ => None,
                    };
                    assert!(again.is_ok() || again.as_ref().err() == was_done.as_ref(), "{about}: {again:?}");
                    let now = async |key| directory.account(key).await.expect("looked").expect("an account");
                    let is_done = match change {
                        0 => now(ann).await.is_vip,
                        1 => !now(bob).await.is_vip,
                        2 => now(bob).await.binned.is_some_and(|binned| binned.cause == BinCause::Unbound),
                        4 => now(bob).await.kind == AccountKind::Business,
                        _ => now(carl).await.binned.is_none(),
                    };
                    assert!(is_done, "{about}");
                }
                house.clock.advance(LATER);
                assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &about);
                // All that have a seat are in the list.
                let vips = directory.vips(acme, &Page::default()).await.expect("listed").items.len();
                let held = counted(directory, acme).await.vip;
                assert_eq!(u32::try_from(vips), Ok(held), "{about}");
            }
        }
    }
    assert!(died >= 120, "only {died} deaths");
}

/// A process that is held up before one of its writes.
struct HeldUp {
    memory: Memory,
    left: AtomicI64,
    stands: Arc<Notify>,
    goes_on: Arc<Notify>,
}

#[async_trait]
impl Control for HeldUp {
    async fn get(&self, key: &ControlKey, consistency: Consistency) -> PortResult<Option<Item>> {
        self.memory.get(key, consistency).await
    }

    async fn put_if(&self, key: &ControlKey, value: &[u8], expected: Expected) -> PortResult<Put> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.stands.notify_one();
            self.goes_on.notified().await;
        }
        self.memory.put_if(key, value, expected).await
    }

    async fn delete_if(&self, key: &ControlKey, version: u64) -> PortResult<bool> {
        self.memory.delete_if(key, version).await
    }

    async fn query(
        &self,
        partition: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> PortResult<Vec<(String, Item)>> {
        self.memory.query(partition, prefix, after, limit).await
    }
}

/// Does `first` in a process that is held up before its write number `writes`, and dies `more` writes later; and `then` while
/// it stands there. `false`: it did not come so far.
async fn overtaken(
    house: &House,
    (writes, more): (i64, i64),
    first: impl AsyncFnOnce(Directory),
    then: impl AsyncFnOnce(),
) -> bool {
    let (stands, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let control = HeldUp {
        memory: Memory::dying(&house.disk, writes.saturating_add(more), Death::AfterWrite),
        left: AtomicI64::new(writes),
        stands: Arc::clone(&stands),
        goes_on: Arc::clone(&goes_on),
    };
    let directory = house.process_on(Arc::new(control));
    let was_held_up = AtomicBool::new(false);
    let overtaking = async {
        stands.notified().await;
        was_held_up.store(true, Ordering::SeqCst);
        then().await;
        goes_on.notify_one();
    };
    let first = first(directory);
    tokio::pin!(first, overtaking);
    tokio::select! {
        () = &mut first => {}
        () = &mut overtaking => first.await,
    }
    was_held_up.load(Ordering::SeqCst)
}

/// Two VIP members, as many as there may be, become business mailboxes at once: each brings its own seat along.
#[tokio::test]
async fn conversions_at_once_wait_for_each_other() {
    let (mut held_up, mut died) = (0, 0);
    for (writes, more) in (0..16).flat_map(|writes| [0, 2, i64::MAX].map(|more| (writes, more))) {
        let (house, acme) = House::with_acme().await;
        let directory = &house.directory;
        let pro = Plan { seats: Some(2), vip_seats: 2, business_mailboxes: Some(0), ..Plan::pro() };
        plan(directory, acme, pro).await;
        let ann = add_quickly(directory, "ann").await.expect("ann").key;
        let bob = add_quickly(directory, "bob").await.expect("bob").key;
        for key in [ann, bob] {
            directory.set_vip(key, true).await.expect("a seat");
        }
        let (mut slow_done, mut done) = (Ok(()), Ok(()));
        let stood = overtaken(
            &house,
            (writes, more),
            async |slow| slow_done = slow.convert_to_business(ann, "sales").await,
            async || done = directory.convert_to_business(bob, "desk").await,
        );
        held_up += u32::from(stood.await);
        let about = format!("{writes} {more}");
        assert_eq!(done, Ok(()), "{about}");
        if more == i64::MAX {
            assert_eq!(slow_done, Ok(()), "{about}");
        }
        died += u32::from(slow_done.is_err());
        house.clock.advance(LATER);
        assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &about);
    }
    assert!(held_up >= 18 && died >= 12, "only {held_up} and {died}");
}

/// Whoever does the same as somebody else at once is not refused for what that one has taken.
#[tokio::test]
async fn the_same_change_twice_at_once_takes_one_seat() {
    let mut held_up = 0;
    for (writes, is_restored) in (0..12).flat_map(|writes| [(writes, false), (writes, true)]) {
        let (house, acme) = House::with_acme().await;
        let directory = &house.directory;
        plan(directory, acme, Plan { seats: Some(1), vip_seats: 1, ..Plan::pro() }).await;
        let ann = add_quickly(directory, "ann").await.expect("ann").key;
        if is_restored {
            directory.bin_account(ann, BinCause::Deleted).await.expect("binned");
        }
        let by = async |directory: &Directory| match is_restored {
            true => directory.restore_account(ann).await,
            false => directory.set_vip(ann, true).await,
        };
        let (mut slow_done, mut done) = (Ok(()), Ok(()));
        let stood = overtaken(
            &house,
            (writes, i64::MAX),
            async |slow| slow_done = by(&slow).await,
            async || done = by(directory).await,
        );
        held_up += u32::from(stood.await);
        let late = DirectoryError::NotInBin("ann@acme.example".to_owned());
        for done in [slow_done, done] {
            let is_late = is_restored && done.as_ref() == Err(&late);
            assert!(done.is_ok() || is_late, "{writes} {is_restored}: {done:?}");
        }
        house.clock.advance(LATER);
        let held = SeatUse { members: 1, vip: u32::from(!is_restored), business: 0 };
        assert_same(&directory.seat_use(acme).await, held, &format!("{writes} {is_restored}"));
    }
    assert!(held_up >= 6, "only {held_up}");
}

/// Whoever adds again what a dead process was about to add, half a minute later, with the last seat, is not refused.
#[tokio::test]
async fn what_a_dead_process_held_is_free_again_before_it_is_settled_by_itself() {
    let mut died = 0;
    for writes in 0..10 {
        let (house, acme) = House::with_acme().await;
        let directory = &house.directory;
        plan(directory, acme, with_seats(1)).await;
        let dying = house.process(Memory::dying(&house.disk, writes, Death::AfterWrite));
        died += u32::from(add_quickly(&dying, "ann").await.is_err());
        house.clock.advance(30_000);
        let again = add_quickly(directory, "ann").await.map(drop);
        let taken = DirectoryError::AddressTaken("ann@acme.example".to_owned());
        assert!(again.is_ok() || again == Err(taken), "{writes}: {again:?}");
        assert_eq!(all(directory, acme).await.len(), 1, "{writes}");
        assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &writes.to_string());
    }
    assert!(died >= 6, "only {died}");
}

/// An account whose item can't be read is in the way of nobody else, and counts again when it can be.
#[tokio::test]
async fn one_account_that_cannot_be_read_does_not_block_the_book() {
    let mut moving = 0;
    for writes in 0..6 {
        for is_first in [false, true] {
            let (house, acme) = House::with_acme().await;
            let directory = &house.directory;
            let ann = add_quickly(directory, "ann").await.expect("ann").key;
            if !is_first {
                plan(directory, acme, with_seats(3)).await;
            }
            let dying = house.process(Memory::dying(&house.disk, writes, Death::AfterWrite));
            dying.bin_account(ann, BinCause::Deleted).await.ok();
            let disk = Memory::new(&house.disk);
            let key = ControlKey::new(format!("{acme}/accounts"), ann.account.to_string());
            let whole = disk.get(&key, Consistency::Strong).await.expect("read").expect("an account");
            disk.put_if(&key, b"?", Expected::Any).await.expect("damaged");
            if is_first {
                plan(directory, acme, with_seats(3)).await;
            }
            house.clock.advance(LATER);
            let about = format!("{writes} {is_first}");
            add_quickly(directory, "bob").await.expect(&about);
            let book = directory.seat_use(acme).await.expect("a book").expect("a plan");
            assert!([1, 2].contains(&book.members), "{about}: {book}");
            moving += u32::from(book.members == 2);
            assert_eq!(directory.check_seats(acme).await, Ok(None), "{about}");
            disk.put_if(&key, &whole.value, Expected::Any).await.expect("mended");
            house.clock.advance(LATER);
            assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &about);
        }
    }
    assert!(moving >= 8, "only {moving}");
}

#[tokio::test]
async fn a_plan_that_is_stored_is_in_force_before_its_seats_are_counted() {
    for writes in 1..3 {
        let (house, acme) = House::with_acme().await;
        let directory = &house.directory;
        add_quickly(directory, "ann").await.expect("ann");
        let dying = house.process(Memory::dying(&house.disk, writes, Death::BeforeWrite));
        assert_eq!(dying.set_plan(acme, None, &with_seats(2)).await, Ok(true), "{writes}");
        add_quickly(directory, "bob").await.expect("the second");
        assert_eq!(add_quickly(directory, "carl").await.map(drop), Err(full(2)), "{writes}");
        assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, "in the end");
    }
}

#[tokio::test]
async fn who_is_held_up_for_long_does_not_take_a_seat_that_others_have_taken() {
    let mut held_up = 0;
    for writes in 0..12 {
        for pause in [0, LATER] {
            let (house, acme) = House::with_acme().await;
            let directory = &house.directory;
            plan(directory, acme, with_seats(1)).await;
            let stood = overtaken(
                &house,
                (writes, i64::MAX),
                async |slow| drop(add_quickly(&slow, "ann").await),
                async || {
                    house.clock.advance(pause);
                    add_quickly(directory, "bob").await.ok();
                },
            );
            held_up += u32::from(stood.await);
            let about = format!("{writes} {pause}");
            assert_eq!(all(directory, acme).await.len(), 1, "{about}");
            house.clock.advance(LATER);
            assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &about);
            assert_eq!(add_quickly(directory, "carl").await, Err(full(1)), "{about}");
        }
    }
    assert!(held_up >= 14, "only {held_up}");
}

#[tokio::test]
async fn changes_that_overtake_each_other_are_counted_as_what_they_came_to() {
    let mut held_up = 0;
    for (writes, more) in (0..8).flat_map(|writes| [0, 1, 2, 3, i64::MAX].map(|more| (writes, more))) {
        for pause in [0, 3_000, LATER] {
            for other in 0..3 {
                let (house, acme) = House::with_acme().await;
                let directory = &house.directory;
                plan(directory, acme, Plan { vip_seats: 2, ..Plan::pro() }).await;
                let ann = add_quickly(directory, "ann").await.expect("ann").key;
                let stood = overtaken(
                    &house,
                    (writes, more),
                    async |slow| drop(slow.bin_account(ann, BinCause::Deleted).await),
                    async || {
                        house.clock.advance(pause);
                        let done = match other {
                            0 => directory.bin_account(ann, BinCause::Deleted).await.map(drop),
                            1 => directory.set_vip(ann, true).await,
                            _ => directory.set_display_name(ann, "Ann").await,
                        };
                        // If it was not too late for that.
                        let is_late = matches!(done, Err(DirectoryError::InBin(_)));
                        assert!(done.is_ok() || is_late, "{done:?}");
                    },
                );
                held_up += u32::from(stood.await);
                house.clock.advance(LATER);
                let about = format!("{writes} {more} {pause} {other}");
                assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &about);
            }
        }
    }
    assert!(held_up >= 200, "only {held_up}");
}

#[tokio::test]
async fn a_first_plan_counts_who_is_being_added() {
    let mut held_up = 0;
    for writes in 0..10 {
        let (house, acme) = House::with_acme().await;
        let directory = &house.directory;
        let stood = overtaken(
            &house,
            (writes, i64::MAX),
            async |slow| drop(add_quickly(&slow, "ann").await),
            async || {
                plan(directory, acme, with_seats(1)).await;
                add_quickly(directory, "bob").await.ok();
            },
        );
        held_up += u32::from(stood.await);
        let about = format!("{writes}");
        assert!(all(directory, acme).await.len() <= 1, "{about}");
        let has_plan = directory.tenant(acme).await.expect("tenant").expect("tenant").plan.is_some();
        if !has_plan {
            continue;
        }
        house.clock.advance(LATER);
        assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, &about);
        add_quickly(directory, "carl").await.ok();
        assert_eq!(add_quickly(directory, "dan").await, Err(full(1)), "{about}");
        assert_eq!(all(directory, acme).await.len(), 1, "{about}");
    }
    assert!(held_up >= 5, "only {held_up}");
}

/// Feature PLN-03: VIP seats given and withdrawn at any time, listed with the use of seats; who goes to the recycle bin frees the seat and comes back ordinary
#[tokio::test]
async fn vip_seats_are_given_and_withdrawn() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let ann = add(directory, "ann").await.expect("ann").key;
    let no_plan = Err(DirectoryError::NoSeat(NoSeat::NoPlan));
    assert_eq!(directory.set_vip(ann, true).await, no_plan);
    assert_eq!(directory.set_vip(ann, false).await, Ok(()));
    plan(directory, acme, Plan { vip_seats: 1, ..Plan::pro() }).await;
    let bob = add(directory, "bob").await.expect("bob").key;
    for _ in 0..2 {
        directory.set_vip(ann, true).await.expect("a seat");
    }
    let none_free = Err(DirectoryError::NoSeat(NoSeat::Vip { seats: 1, by_business: 0 }));
    assert_eq!(directory.set_vip(bob, true).await, none_free);
    let listed = async || {
        let listed = directory.vips(acme, &Page::default()).await.expect("listed");
        listed.items.iter().map(|account| account.key).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [ann]);
    // The bin frees it.
    directory.bin_account(ann, BinCause::Deleted).await.expect("binned");
    directory.set_vip(bob, true).await.expect("free again");
    assert_eq!(directory.set_vip(ann, true).await, Err(DirectoryError::InBin("ann@acme.example".to_owned())));
    directory.restore_account(ann).await.expect("restored");
    assert!(!has_vip(directory, ann).await);
    assert_eq!(listed().await, [bob]);
    directory.set_vip(bob, false).await.expect("withdrawn");
    assert!(listed().await.is_empty());
    directory.set_vip(ann, true).await.expect("free again");
    assert_same(&directory.seat_use(acme).await, SeatUse { members: 2, vip: 1, business: 0 }, "two");
    // A business mailbox has none.
    let carl = add_business(directory, "carl").await.expect("carl").key;
    let business = Err(DirectoryError::WrongKind("carl@acme.example".to_owned()));
    assert_eq!(directory.set_vip(carl, true).await, business);
    // Less than there are: nobody loses a seat, nobody gets one.
    plan(directory, acme, Plan { vip_seats: 0, ..Plan::pro() }).await;
    assert!(has_vip(directory, ann).await);
    assert!(directory.set_vip(bob, true).await.is_err());
    directory.set_vip(ann, false).await.expect("withdrawn");
}

/// Feature PLN-12: business mailboxes: 3, and one for each VIP seat that is free; none goes beyond that
/// Feature PLN-10 (part): unlimited capacity, secretaries and conversion of one’s own mailbox ask for the seat; not built: confidential mail, rights to announce, reviewers, auditors, archiving of own mail, public contacts in groups, the longer window of recall
#[tokio::test]
async fn business_mailboxes_use_free_vip_seats() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    plan(directory, acme, Plan::basic()).await;
    for number in 0..3 {
        add_business(directory, &format!("office{number}")).await.expect("one of three");
    }
    let refused = |allowed| DirectoryError::NoSeat(NoSeat::Business { allowed });
    assert_eq!(add_business(directory, "fourth").await, Err(refused(3)));
    // 5 bought, 3 assigned: 3 and 2.
    plan(directory, acme, Plan { vip_seats: 5, ..Plan::pro() }).await;
    let mut members = Vec::new();
    for number in 0..5 {
        members.push(add(directory, &format!("member{number}")).await.expect("member").key);
    }
    for member in &members[..3] {
        directory.set_vip(*member, true).await.expect("a seat");
    }
    let fourth = add_business(directory, "fourth").await.expect("a free VIP seat").key;
    add_business(directory, "fifth").await.expect("the other free VIP seat");
    assert_eq!(add_business(directory, "sixth").await, Err(refused(5)));
    let used = Err(DirectoryError::NoSeat(NoSeat::Vip { seats: 5, by_business: 2 }));
    assert_eq!(directory.set_vip(members[3], true).await, used);
    // A VIP member's mailbox brings its own seat along; an ordinary one's does not.
    let not_vip = NoSeat::NotVip("member4@acme.example".to_owned());
    assert_eq!(
        directory.convert_to_business(members[4], "sales").await,
        Err(DirectoryError::NoSeat(not_vip))
    );
    let signed_in = directory.authenticate("member4@acme.example", PASSWORD, CLIENT).await;
    signed_in.expect("the password was kept");
    directory.convert_to_business(members[0], "sales").await.expect("converted");
    assert_same(&directory.seat_use(acme).await, SeatUse { members: 4, vip: 2, business: 6 }, "converted");
    // One that is withdrawn frees a seat for a member, and comes back if that is free then.
    directory.bin_account(fourth, BinCause::Withdrawn).await.expect("withdrawn");
    directory.set_vip(members[3], true).await.expect("a seat");
    assert_eq!(directory.restore_account(fourth).await, Err(refused(5)));
    assert_same(&directory.seat_use(acme).await, counted(directory, acme).await, "at the end");
}

#[tokio::test]
async fn a_book_that_counts_something_else_than_there_is_is_found() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let ann = add_quickly(directory, "ann").await.expect("ann").key;
    assert_eq!(directory.check_seats(acme).await, Ok(None));
    plan(directory, acme, with_seats(5)).await;
    add_quickly(directory, "bob").await.expect("bob");
    assert_eq!(directory.check_seats(acme).await, Ok(None));
    let disk = Memory::new(&house.disk);
    let key = ControlKey::new(format!("{acme}/accounts"), ann.account.to_string());
    let item = disk.get(&key, Consistency::Strong).await.expect("read").expect("an account");
    assert_eq!(disk.delete_if(&key, item.version).await, Ok(true));
    let wrong = directory.check_seats(acme).await.expect("checked").expect("wrong");
    assert!(wrong.contains("counts 2 members") && wrong.contains("there are 1 members"), "{wrong}");
    // It is counted anew.
    let held = |members| SeatUse { members, vip: 0, business: 0 };
    assert_eq!(directory.recount_seats(acme).await, Ok(Some((held(2), held(1)))));
    assert_eq!(directory.check_seats(acme).await, Ok(None));
    assert_eq!(directory.recount_seats(acme).await, Ok(None));
    assert_eq!(directory.seat_use(acme).await, Ok(Some(held(1))));
    // No sooner than what is being changed is over.
    let mut waits = 0;
    for writes in 0..6 {
        let dying = house.process(Memory::dying(&house.disk, writes, Death::AfterWrite));
        add_quickly(&dying, "carl").await.ok();
        let recounted = directory.recount_seats(acme).await;
        assert!([Ok(None), Err(DirectoryError::Contended)].contains(&recounted), "{writes}: {recounted:?}");
        waits += u32::from(recounted.is_err());
        house.clock.advance(LATER);
        assert_eq!(directory.recount_seats(acme).await, Ok(None), "{writes}");
    }
    assert!(waits >= 1);
}

/// What decision 0027 says that it costs.
#[tokio::test]
async fn what_counting_costs() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let mut reads = Vec::new();
    for name in ["ann", "bob"] {
        house.disk.take_reads();
        add_quickly(directory, name).await.expect(name);
        let read = house.disk.take_reads();
        let tenant = read.iter().filter(|key| key.sort == "tenant").count();
        assert_eq!(tenant, 1, "{read:?}");
        reads.push(read.len());
        plan(directory, acme, Plan { vip_seats: 1, ..Plan::pro() }).await;
    }
    assert_eq!(reads[1], reads[0] + 2);
    let bob = directory.account_at("bob@acme.example").await.expect("looked").expect("bob").key;
    for (is_vip, expected) in [(true, 7), (false, 6)] {
        house.disk.take_reads();
        directory.set_vip(bob, is_vip).await.expect("set");
        let read = house.disk.take_reads();
        assert_eq!(read.len(), expected, "{read:?}");
    }
}

#[tokio::test]
async fn mailboxes_hold_what_the_plan_gives_them() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let ann = add(directory, "ann").await.expect("ann").key;
    let capacity = async || {
        let attempt = Attempt::new(SignInKind::Imap, "PLAIN", CLIENT);
        let standing = directory.sign_in(&attempt, "ann@acme.example", PASSWORD).await.expect("signs in");
        let again = directory.still_stands(&standing).await.expect("stands").expect("stands");
        assert_eq!(again.capacity(), standing.capacity());
        // At RCPT it is known without reading more.
        let resolved = directory.resolve("ann@acme.example").await.expect("resolved");
        let Resolved::Local { capacities, .. } = resolved else { panic!("{resolved:?}") };
        assert_eq!(standing.account.capacity(capacities), standing.capacity());
        standing.capacity()
    };
    assert_eq!(capacity().await, DEFAULT_QUOTA);
    let capacities = Capacities { ordinary: Some(1_000), vip: None, business: Some(7) };
    let pro = Plan { vip_seats: 1, capacities, ..Plan::pro() };
    plan(directory, acme, pro.clone()).await;
    assert_eq!(capacity().await, 1_000);
    // An administrator gives out less, never more.
    for (said, expected) in [(10, 10), (5_000, 1_000)] {
        directory.set_quota(ann, said).await.expect("said");
        assert_eq!(capacity().await, expected);
    }
    directory.set_vip(ann, true).await.expect("a seat");
    assert_eq!(capacity().await, 5_000);
    let bob = add(directory, "bob").await.expect("bob");
    let shared = add_business(directory, "shared").await.expect("shared");
    assert_eq!((bob.capacity(Some(capacities)), shared.capacity(Some(capacities))), (1_000, 7));
    assert_eq!(bob.capacity(None), DEFAULT_QUOTA);
    // Ordered, and not paid in time: no more than basic.
    plan(directory, acme, Plan { payment: Payment::Unpaid, ..pro }).await;
    directory.set_quota(ann, u64::MAX).await.expect("said");
    assert_eq!(capacity().await, u64::MAX);
    house.clock.advance(7 * DAY);
    assert_eq!(capacity().await, 1_000_000_000);
}

#[tokio::test]
async fn business_mailboxes_without_a_plan_hold_1_gb_and_converted_ones_what_they_held() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let sales = add_business(directory, "sales").await.expect("sales");
    assert_eq!((sales.quota_bytes, sales.capacity(None)), (None, BUSINESS_QUOTA));
    let ann = add_quickly(directory, "ann").await.expect("ann").key;
    directory.convert_to_business(ann, "desk").await.expect("converted");
    let desk = directory.account(ann).await.expect("looked").expect("a mailbox");
    assert_eq!((desk.kind, desk.capacity(None)), (AccountKind::Business, DEFAULT_QUOTA));
    let basic = Some(Plan::basic().capacities);
    assert_eq!((desk.capacity(basic), sales.capacity(basic)), (1_000_000_000, 1_000_000_000));
}

/// Feature TEN-05: what is on trial, or not paid in 7 days, is no more than basic
#[tokio::test]
async fn what_is_not_paid_is_lowered_and_what_is_over_is_closed() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let ann = add(directory, "ann").await.expect("ann").key;
    let trial = Plan { payment: Payment::Trial, vip_seats: 2, ..Plan::pro() };
    plan(directory, acme, trial).await;
    let has = async |function| {
        let tenant = directory.tenant(acme).await.expect("tenant").expect("tenant");
        tenant.has(function, directory.now())
    };
    directory.set_vip(ann, true).await.expect("a seat");
    assert!(has(Function::Api).await);
    house.clock.advance(15 * DAY);
    assert!(!has(Function::Api).await);
    let bob = add(directory, "bob").await.expect("a seat of 200").key;
    assert!(directory.set_vip(bob, true).await.is_err());
    // It is paid, for a while.
    let now = directory.now().0;
    let ends = Some(Timestamp(now + DAY));
    plan(directory, acme, Plan { payment: Payment::Paid, vip_seats: 2, ends, ..Plan::pro() }).await;
    assert!(has(Function::Api).await && has_vip(directory, ann).await);
    directory.set_vip(bob, true).await.expect("a seat");
    directory.authenticate("ann@acme.example", PASSWORD, CLIENT).await.expect("signs in");
    house.clock.advance(DAY);
    let signed_in = directory.authenticate("ann@acme.example", PASSWORD, CLIENT).await;
    assert_eq!(signed_in, Err(SignInError::Denied));
    let resolved = directory.resolve("ann@acme.example").await;
    assert_eq!(resolved, Ok(Resolved::Suspended { tenant: acme }));
    // It is prolonged.
    plan(directory, acme, Plan { vip_seats: 2, ..Plan::pro() }).await;
    directory.authenticate("ann@acme.example", PASSWORD, CLIENT).await.expect("signs in");
}
