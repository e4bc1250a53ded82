//! Secretaries: their terms, circles, and what is left when processes die or race.

use std::collections::BTreeSet;

use crate::memory::{Death, House, Memory, PASSWORD};
use pennypost_directory::{
    Account, BinCause, Blockable, Directory, DirectoryError, MAX_APPLICATIONS, MailPermission, MailReach,
    NewAccount, NoSeat, Plan, SecretaryScope, SecretaryTerm, Voice,
};
use pennypost_model::{AccountKey, TenantId};

const DAY: i64 = 24 * 60 * 60 * 1000;
const FULL: (SecretaryScope, SecretaryTerm) = (SecretaryScope::Full, SecretaryTerm::Day);

async fn account(directory: &Directory, local: &str) -> Account {
    directory.add_account(&format!("{local}@acme.example"), PASSWORD, local, None).await.expect(local)
}

/// Feature PLN-10 (part): where the plan has VIP seats, only a VIP member has secretaries; who is one already stays it
#[tokio::test]
async fn under_a_plan_with_vip_seats_only_vip_members_have_secretaries() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, bob) = (account(directory, "ann").await, account(directory, "bob").await);
    let eve = account(directory, "eve").await.key.account;
    directory.grant_secretary(ann.key, bob.key.account, FULL).await.expect("without a plan");
    let pro = Plan { vip_seats: 1, ..Plan::pro() };
    assert_eq!(directory.set_plan(acme, None, &pro).await, Ok(true));
    let refused = |who: &Account| Err(DirectoryError::NoSeat(NoSeat::NoSecretaries(who.address.to_string())));
    assert_eq!(directory.grant_secretary(ann.key, eve, FULL).await, refused(&ann));
    assert_eq!(directory.apply_as_secretary(ann.key, eve, FULL).await, refused(&ann));
    directory.grant_secretary(ann.key, bob.key.account, FULL).await.expect("he is one already");
    assert_eq!(directory.is_full_secretary(bob.key, &ann).await, Ok(true));
    directory.set_vip(ann.key, true).await.expect("a seat");
    directory.grant_secretary(ann.key, eve, FULL).await.expect("of a VIP member");
    // An edition without VIP seats has secretaries for everybody.
    let seen = directory.tenant(acme).await.expect("tenant").expect("tenant").plan;
    assert_eq!(directory.set_plan(acme, seen.as_ref(), &Plan::basic()).await, Ok(true));
    directory.end_secretary(ann.key, bob.key.account).await.expect("ended");
    directory.grant_secretary(bob.key, ann.key.account, FULL).await.expect("of anybody");
}

/// Feature DLG-04: it ends by itself with its term
#[tokio::test]
async fn a_secretary_is_one_for_a_term_and_no_longer() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, bob) = (account(directory, "ann").await, account(directory, "bob").await);
    for term in SecretaryTerm::ALL {
        let what = (SecretaryScope::Full, term);
        directory.grant_secretary(ann.key, bob.key.account, what).await.expect("granted");
        house.clock.advance(term.days() * DAY - 1);
        assert_eq!(directory.is_full_secretary(bob.key, &ann).await, Ok(true), "{term:?}");
        assert_eq!(directory.stands_in_for(bob.key).await.expect("asked"), std::slice::from_ref(&ann));
        house.clock.advance(1);
        assert_eq!(directory.is_full_secretary(bob.key, &ann).await, Ok(false), "{term:?}");
        assert!(directory.stands_in_for(bob.key).await.expect("asked").is_empty());
        assert!(directory.secretaries(ann.key).await.expect("asked").is_empty());
    }
    // An application waits for 30 days.
    directory.apply_as_secretary(ann.key, bob.key.account, FULL).await.expect("applied");
    assert_eq!(directory.is_full_secretary(bob.key, &ann).await, Ok(false));
    house.clock.advance(30 * DAY - 1);
    assert_eq!(directory.secretary_of(bob.key).await.expect("asked").len(), 1);
    house.clock.advance(1);
    assert!(directory.secretary_of(bob.key).await.expect("asked").is_empty());
    // What is over makes room.
    for round in 0..2 {
        for number in 0..MAX_APPLICATIONS {
            let helper = account(directory, &format!("helper{round}-{number}")).await.key.account;
            directory.apply_as_secretary(ann.key, helper, FULL).await.expect("applied");
        }
        let more = directory.apply_as_secretary(ann.key, bob.key.account, FULL).await;
        assert!(matches!(more, Err(DirectoryError::TooMany { .. })), "{more:?}");
        house.clock.advance(30 * DAY);
    }
}

/// Who may not send himself sends through nobody.
#[tokio::test]
async fn nobody_writes_in_the_name_of_who_may_not_send() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, bob) = (account(directory, "ann").await, account(directory, "bob").await);
    let what = (SecretaryScope::SendAs, SecretaryTerm::Day);
    directory.grant_secretary(ann.key, bob.key.account, what).await.expect("granted");
    let voice = async || directory.voice(&bob, "ann@acme.example").await.expect("asked");
    assert_eq!(voice().await, Some(Voice::InNameOf));
    let (any, closed) = (MailPermission::default(), MailPermission { send: MailReach::Nobody, ..ann.mail });
    assert_eq!(directory.change_mail_permission(ann.key, any, closed).await, Ok(true));
    assert_eq!(voice().await, None);
    assert_eq!(directory.change_mail_permission(ann.key, closed, any).await, Ok(true));
    let block = directory.block(BTreeSet::from([Blockable::Sending]), "spam").expect("a block");
    directory.set_account_block(ann.key, block).await.expect("blocked");
    assert_eq!(voice().await, None);
    directory.set_account_block(ann.key, None).await.expect("open");
    assert_eq!(voice().await, Some(Voice::InNameOf));
}

/// Keys of the index.
fn index(house: &House, tenant: TenantId) -> usize {
    let is_in = |key: &pennypost_ports::ControlKey| key.partition == format!("{tenant}/secretary-of");
    house.disk.keys().into_iter().filter(is_in).count()
}

/// Accounts into which nobody signs in.
async fn crowd(directory: &Directory, count: usize) -> Vec<AccountKey> {
    let mut crowd = Vec::new();
    for number in 0..count {
        let address = format!("owner{number}@acme.example");
        let new = NewAccount { address: &address, ..NewAccount::default() };
        crowd.push(directory.add_account_with(&new).await.expect("account").key);
    }
    crowd
}

#[tokio::test]
async fn however_many_owners_are_found_and_what_is_over_is_cleared() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let bob = account(directory, "bob").await;
    let owners = crowd(directory, 1_010).await;
    for round in 0..2 {
        for owner in &owners {
            directory.grant_secretary(*owner, bob.key.account, FULL).await.expect("granted");
        }
        assert_eq!(index(&house, tenant), owners.len());
        assert_eq!(directory.stands_in_for(bob.key).await.expect("asked").len(), owners.len(), "{round}");
        // Nothing has run, and nobody has changed the owners' lists: whoever looks clears what is over.
        house.clock.advance(DAY);
        assert!(directory.stands_in_for(bob.key).await.expect("asked").is_empty());
        assert_eq!(index(&house, tenant), 0);
    }
}

/// Nobody fills the lists of all his colleagues.
#[tokio::test]
async fn applications_of_one_member_are_few() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let bob = account(directory, "bob").await.key;
    let owners = crowd(directory, MAX_APPLICATIONS + 1).await;
    let apply = async |owner: AccountKey| directory.apply_as_secretary(owner, bob.account, FULL).await;
    for owner in &owners[1..] {
        apply(*owner).await.expect("applied");
    }
    assert!(matches!(apply(owners[0]).await, Err(DirectoryError::TooMany { .. })));
    apply(owners[1]).await.expect("anew");
    assert_eq!(directory.end_secretary(owners[2], bob.account).await, Ok(true));
    apply(owners[0]).await.expect("room again");
    assert_eq!(directory.secretary_of(bob).await.expect("asked").len(), MAX_APPLICATIONS);
}

#[tokio::test]
async fn nobody_is_behind_himself_and_not_too_many_behind_anybody() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let people = crowd(directory, 203).await;
    let grant = async |owner: usize, secretary: usize| {
        directory.grant_secretary(people[owner], people[secretary].account, FULL).await.map(drop)
    };
    let circle = |owner: usize| Err(DirectoryError::SecretaryCycle(format!("owner{owner}@acme.example")));
    assert_eq!(grant(0, 0).await, circle(0));
    // Ten behind each: with the first, 200.
    for number in (1..200).rev() {
        assert_eq!(grant((number - 1) / 10, number).await, Ok(()));
    }
    assert_eq!(grant(201, 0).await, Ok(()));
    assert_eq!(grant(19, 200).await, Ok(()));
    let many = grant(202, 0).await;
    assert!(matches!(many, Err(DirectoryError::TooMany { limit: 200, .. })), "{many:?}");
    // By however many others.
    assert_eq!(grant(150, 0).await, circle(150));
    // Who is one already keeps it where it is refused anew.
    assert!(grant(201, 0).await.is_err());
    assert_eq!(directory.stands_in_for(people[0]).await.expect("asked").len(), 1);
}

#[tokio::test]
async fn a_business_mailbox_has_no_secretary_and_is_none() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let ann = account(directory, "ann").await;
    let new = NewAccount { address: "sales@acme.example", is_business: true, ..NewAccount::default() };
    let mailbox = directory.add_account_with(&new).await.expect("mailbox").key;
    let wrong = Err(DirectoryError::WrongKind("sales@acme.example".to_owned()));
    for (owner, secretary) in [(ann.key, mailbox.account), (mailbox, ann.key.account)] {
        assert_eq!(directory.grant_secretary(owner, secretary, FULL).await, wrong);
        assert_eq!(directory.apply_as_secretary(owner, secretary, FULL).await, wrong);
        assert!(directory.secretaries(owner).await.expect("asked").is_empty());
    }
}

#[tokio::test]
async fn whose_account_changes_hands_acts_for_nobody() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, bob, cat) =
        (account(directory, "ann").await, account(directory, "bob").await, account(directory, "cat").await);
    directory.grant_secretary(ann.key, bob.key.account, FULL).await.expect("granted");
    directory.grant_secretary(bob.key, cat.key.account, FULL).await.expect("granted");
    directory.bin_account(bob.key, BinCause::Unbound).await.expect("unbound");
    assert!(directory.secretaries(ann.key).await.expect("asked").is_empty());
    assert!(directory.secretaries(bob.key).await.expect("asked").is_empty());
    assert!(directory.stands_in_for(cat.key).await.expect("asked").is_empty());
    let gone = directory.grant_secretary(ann.key, bob.key.account, FULL).await;
    assert_eq!(gone, Err(DirectoryError::InBin("bob@acme.example".to_owned())));
    // Nobody's place is taken while his account is closed.
    directory.grant_secretary(ann.key, cat.key.account, FULL).await.expect("granted");
    directory.set_suspended(ann.key, true).await.expect("suspended");
    let closed = directory.account(ann.key).await.expect("asked").expect("there");
    assert_eq!(directory.is_full_secretary(cat.key, &closed).await, Ok(false));
    assert!(directory.stands_in_for(cat.key).await.expect("asked").is_empty());
}

/// Does the index tell of each secretary, so that nobody is missing?
async fn nobody_is_missing(directory: &Directory, owner: AccountKey, shown: &str) {
    for secretary in directory.secretaries(owner).await.expect("asked") {
        let key = AccountKey { account: secretary.account, ..owner };
        let of = directory.secretary_of(key).await.expect("asked");
        assert!(of.iter().any(|(found, _)| found.key == owner), "{shown}");
    }
}

#[tokio::test]
async fn what_a_dying_process_leaves_is_completed() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..5 {
            let (house, tenant) = House::with_acme().await;
            let directory = &house.directory;
            let (ann, bob) = (account(directory, "ann").await, account(directory, "bob").await);
            let shown = format!("{death:?} {writes}");
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            died += usize::from(dying.grant_secretary(ann.key, bob.key.account, FULL).await.is_err());
            nobody_is_missing(directory, ann.key, &shown).await;
            directory.grant_secretary(ann.key, bob.key.account, FULL).await.expect("again");
            nobody_is_missing(directory, ann.key, &shown).await;
            assert_eq!(directory.stands_in_for(bob.key).await.expect("asked").len(), 1, "{shown}");
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            died += usize::from(dying.end_secretary(ann.key, bob.key.account).await.is_err());
            nobody_is_missing(directory, ann.key, &shown).await;
            directory.end_secretary(ann.key, bob.key.account).await.expect("again");
            assert!(directory.stands_in_for(bob.key).await.expect("asked").is_empty(), "{shown}");
            assert_eq!(index(&house, tenant), 0, "{shown}");
        }
    }
    assert!(died >= 6, "only {died} deaths: the test tests nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_grants_that_race_to_a_circle_none_closes_it() {
    let mut remained = 0;
    for _ in 0..20 {
        let (house, _) = House::with_acme().await;
        let directory = &house.directory;
        let mut people = Vec::new();
        for local in ["ann", "bob", "cat"] {
            people.push(account(directory, local).await.key);
        }
        for index in 0..3 {
            let secretary = people[(index + 1) % 3].account;
            directory.apply_as_secretary(people[index], secretary, FULL).await.expect("applied");
        }
        let grants = (0..3).map(|index| {
            let (directory, owner, secretary) =
                (house.process(Memory::new(&house.disk)), people[index], people[(index + 1) % 3]);
            tokio::spawn(
                async move { directory.grant_secretary(owner, secretary.account, FULL).await.is_ok() },
            )
        });
        for grant in grants.collect::<Vec<_>>() {
            grant.await.expect("task");
        }
        let mut owners = BTreeSet::new();
        for owner in &people {
            // Whoever was not granted it, or not for good, applies still.
            let theirs = directory.secretaries(*owner).await.expect("asked");
            assert_eq!(theirs.len(), 1, "an application is lost");
            if theirs[0].granted.is_some() {
                owners.insert(owner.account);
            }
            nobody_is_missing(directory, *owner, "after the race").await;
        }
        assert!(owners.len() < 3, "a circle");
        remained += owners.len();
    }
    assert!(remained > 0, "all were taken back, each time");
}
