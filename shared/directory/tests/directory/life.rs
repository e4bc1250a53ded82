//! The recycle bin and its times, erasing when processes die, aliases of accounts, and who may send to groups.
//!
//! Feature ORG-08: aliases, up to 50 an account, listed with it; the notice of NTF-07 not yet
//! Feature ORG-18: an account ends at a time; the frozen state is the recycle bin
//! Feature ORG-23 (part): recycle bin with its times: list, restore, assign, erase, convert; rows of what was erased stay for a while; contacts to back up not yet
//! Feature BIZ-05: withdrawn: 60 days in the recycle bin
//! Feature GRP-06: a department’s group with a pinyin address, which follows it

use std::net::{IpAddr, Ipv4Addr};

use crate::memory::{Death, House, Memory, PASSWORD};
use pennypost_directory::{
    Account, Admission, BinCause, DepartmentId, Directory, DirectoryError, GroupRules, MAX_ALIASES,
    MailAddress, NewOwner, NewSession, Page, Resolved, Senders, SessionLife, SignedInBy,
};
use pennypost_model::{TenantId, Timestamp};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY: i64 = 24 * 60 * 60 * 1000;

async fn account(directory: &Directory, local: &str) -> Account {
    directory.add_account(&format!("{local}@acme.example"), PASSWORD, local, None).await.expect(local)
}

async fn binned(directory: &Directory, tenant: TenantId) -> usize {
    directory.binned(tenant, &Page::default()).await.expect("bin").items.len()
}

#[tokio::test]
async fn the_bin_keeps_what_it_has_to_and_no_longer() {
    for (cause, days) in [(BinCause::Deleted, 30), (BinCause::Unbound, 60)] {
        let (house, acme) = House::with_acme().await;
        let directory = &house.directory;
        let ann = account(directory, "ann").await;
        let ann_over = Err(DirectoryError::BinOver("ann@acme.example".to_owned()));
        assert!(directory.bin_account(ann.key, BinCause::Withdrawn).await.is_err());
        assert_eq!(binned(directory, acme).await, 0);
        let not_there = directory.restore_account(ann.key).await;
        assert_eq!(not_there, Err(DirectoryError::NotInBin("ann@acme.example".to_owned())));
        assert!(
            directory.begin_erasing(ann.key).await.is_err()
                && directory.erase_account(ann.key).await.is_err()
        );

        let until = directory.bin_account(ann.key, cause).await.expect("binned").until;
        assert_eq!(until.0, house.clock_now() + days * DAY);
        assert_eq!(binned(directory, acme).await, 1);
        assert!(directory.erase_account(ann.key).await.is_err(), "erased before its time");
        house.clock.advance(days * DAY - 1);
        let owner = NewOwner { display_name: "Carol", ..NewOwner::default() };
        match cause {
            BinCause::Unbound => directory.assign_account(ann.key, &owner).await.expect("assigned"),
            _ => directory.restore_account(ann.key).await.expect("restored"),
        }
        assert_eq!(binned(directory, acme).await, 0);
        let opens = directory.authenticate("ann@acme.example", PASSWORD, CLIENT).await.is_ok();
        assert_eq!(opens, cause == BinCause::Deleted);

        directory.bin_account(ann.key, cause).await.expect("binned");
        house.clock.advance(days * DAY);
        assert_eq!(directory.restore_account(ann.key).await, ann_over);
        assert_eq!(directory.assign_account(ann.key, &owner).await, ann_over);
        assert_eq!(binned(directory, acme).await, 1, "it is shown until it is erased");
        directory.erase_account(ann.key).await.expect("erased");
        assert_eq!(binned(directory, acme).await, 0);
        assert_eq!(directory.account(ann.key).await, Ok(None));
    }
}

/// What its owner was called, and from where he came, is nothing for who has the account after him.
#[tokio::test]
async fn the_next_owner_inherits_neither_nickname_nor_beginnings() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, bob) = (account(directory, "ann").await.key, account(directory, "bob").await.key);
    let open = async |account| {
        let life = SessionLife { idle: DAY, whole: DAY };
        let new = NewSession {
            account,
            by: SignedInBy::Password,
            client: "test",
            address: Some(CLIENT),
            life,
            is_confirmed: false,
            lacks_factor: false,
            must_change: false,
        };
        directory.keep_session(&new).await.expect("a session").0.id
    };
    for key in [ann, bob] {
        assert_eq!(directory.set_nickname(key, "", "Nick").await, Ok(true));
        open(key).await;
        let second = open(key).await;
        assert!(directory.session_before(key, second).await.expect("read").is_some());
    }
    directory.bin_account(ann, BinCause::Unbound).await.expect("binned");
    let owner = NewOwner { display_name: "Carol", ..NewOwner::default() };
    directory.assign_account(ann, &owner).await.expect("assigned");
    directory.convert_to_business(bob, "sales").await.expect("converted");
    for key in [ann, bob] {
        let account = directory.account(key).await.expect("read").expect("it is there");
        assert_eq!(account.nickname, "");
        let first = open(key).await;
        assert_eq!(directory.session_before(key, first).await, Ok(None));
    }
}

/// An account ends by itself at its time, and mail and sign-in know at once.
#[tokio::test]
async fn an_account_ends_at_its_time() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let ann = account(directory, "ann").await;
    let end = Timestamp(house.clock_now() + DAY);
    directory.set_expiry(ann.key, Some(end)).await.expect("set");
    assert!(directory.authenticate("ann@acme.example", PASSWORD, CLIENT).await.is_ok());
    house.clock.advance(DAY);
    assert!(directory.authenticate("ann@acme.example", PASSWORD, CLIENT).await.is_err());
    assert!(matches!(directory.resolve("ann@acme.example").await, Ok(Resolved::Disabled { .. })));
}

/// Whatever write erasing dies at: the account is not open again, and repeating it completes it.
#[tokio::test]
async fn erasing_is_completed_by_repeating() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..16 {
            let (house, acme) = House::with_acme().await;
            let directory = &house.directory;
            let ann = account(directory, "ann").await;
            directory.add_alias("a@acme.example", &["ann@acme.example"]).await.expect("alias");
            directory.bin_account(ann.key, BinCause::Deleted).await.expect("binned");
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            let begun = dying.begin_erasing(ann.key).await;
            if begun.is_ok() && dying.erase_account(ann.key).await.is_ok() {
                continue;
            }
            died += 1;
            let resolved = directory.resolve("ann@acme.example").await.expect("resolved");
            assert!(!matches!(resolved, Resolved::Local { .. }), "{death:?} {writes}");
            // It is still found in the bin, unless nothing but its row there is left.
            let is_there = directory.account(ann.key).await.expect("looked").is_some();
            assert_eq!(binned(directory, acme).await, usize::from(is_there), "{death:?} {writes}");
            if is_there {
                directory.begin_erasing(ann.key).await.expect("begun");
            }
            directory.erase_account(ann.key).await.expect("completed");
            for address in ["ann@acme.example", "a@acme.example"] {
                assert!(
                    matches!(directory.resolve(address).await, Ok(Resolved::UnknownUser { .. })),
                    "{address}"
                );
            }
            let left = |partition: &str| {
                house.disk.keys().iter().any(|key| key.partition == format!("{acme}/{partition}"))
            };
            for partition in ["accounts", "credentials", "bin", "aliases"] {
                assert!(!left(partition), "{partition} {death:?} {writes}");
            }
            account(directory, "ann").await;
        }
    }
    assert!(died > 10, "only {died} deaths: the test tests nothing");
}

#[tokio::test]
async fn aliases_are_listed_by_account_and_bounded() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, bob) = (account(directory, "ann").await, account(directory, "bob").await);
    let both = ["ann@acme.example", "bob@acme.example"];
    directory.add_alias("both@acme.example", &both).await.expect("alias");
    for number in 1..MAX_ALIASES {
        directory.add_alias(&format!("a{number}@acme.example"), &both[..1]).await.expect("alias");
    }
    let full = directory.add_alias("more@acme.example", &both[..1]).await;
    assert!(matches!(full, Err(DirectoryError::TooMany { limit: MAX_ALIASES, .. })));
    assert_eq!(directory.aliases_of(ann.key).await.expect("aliases").len(), MAX_ALIASES);
    assert_eq!(directory.aliases_of(bob.key).await.expect("aliases").len(), 1);
    directory.remove_alias("a1@acme.example").await.expect("removed");
    assert_eq!(directory.aliases_of(ann.key).await.expect("aliases").len(), MAX_ALIASES - 1);
    // Erased, it leaves the alias to the other.
    directory.bin_account(bob.key, BinCause::Deleted).await.expect("binned");
    directory.begin_erasing(bob.key).await.expect("begun");
    directory.erase_account(bob.key).await.expect("erased");
    let Ok(Resolved::Local { recipients, .. }) = directory.resolve("both@acme.example").await else {
        panic!("the alias is gone")
    };
    assert_eq!(recipients.len(), 1);
}

/// GRP-04: every scope, for everybody who could ask.
#[tokio::test]
async fn groups_admit_whom_they_should() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let other = directory.add_tenant("Other").await.expect("tenant").id;
    directory.add_domain(other, "other.example").await.expect("domain");
    directory.add_account("olga@other.example", PASSWORD, "", None).await.expect("account");
    let sales = directory.add_department(acme, DepartmentId::ROOT, "Sales", "").await.expect("department").id;
    let deeper = directory.add_department(acme, sales, "East", "").await.expect("department").id;
    for local in ["member", "colleague", "named", "seller", "speaker", "inner"] {
        account(directory, local).await;
    }
    let key = async |local: &str| {
        directory.account_at(&format!("{local}@acme.example")).await.expect("looked").expect("account").key
    };
    directory.set_departments(key("seller").await, &[deeper]).await.expect("moved");
    directory.add_alias("alias@acme.example", &["member@acme.example"]).await.expect("alias");
    directory.add_group("inner-team@acme.example", "", &["inner@acme.example"]).await.expect("group");
    directory.add_group("team@acme.example", "", &["member@acme.example"]).await.expect("group");
    let speaker = key("speaker").await.account;
    let address = |text: &str| MailAddress::parse(text).expect("address");
    let change = |senders: Senders| {
        move |rules: &mut GroupRules| {
            rules.senders = senders;
            rules.named =
                ["named@acme.example", "x@partner.example", "inner-team@acme.example"].map(address).into();
            rules.named_departments = [sales].into();
            rules.representatives = [speaker].into();
        }
    };
    // Everyone, Inside, Members, Named.
    for (sender, admitted) in [
        ("member@acme.example", [true, true, true, false]),
        ("Member+tag@ACME.example", [true, true, true, false]),
        ("alias@acme.example", [true, true, true, false]),
        ("colleague@acme.example", [true, true, false, false]),
        ("named@acme.example", [true, true, true, true]),
        ("seller@acme.example", [true, true, true, true]),
        ("speaker@acme.example", [true, true, true, true]),
        ("inner@acme.example", [true, true, true, true]),
        ("x@partner.example", [true, false, true, true]),
        ("y@partner.example", [true, false, false, false]),
        ("olga@other.example", [true, false, false, false]),
        ("nobody@acme.example", [true, false, false, false]),
        ("", [true, false, false, false]),
        ("no address", [true, false, false, false]),
    ] {
        let scopes = [Senders::Everyone, Senders::Inside, Senders::Members, Senders::Named];
        for (senders, admitted) in scopes.into_iter().zip(admitted) {
            directory.change_group_rules("team@acme.example", change(senders)).await.expect("changed");
            for group in ["team@acme.example", "TEAM+x@acme.example"] {
                let admission = directory.admission(acme, group, sender).await.expect("asked");
                let expected = match (senders, admitted) {
                    (Senders::Everyone, _) => Admission::Open,
                    (_, true) => Admission::Known,
                    (_, false) => Admission::Refused,
                };
                assert_eq!(admission, expected, "{sender} {senders:?} {group}");
            }
        }
    }
    for no_group in ["member@acme.example", "alias@acme.example", "nobody@acme.example", "nonsense"] {
        assert_eq!(directory.admission(acme, no_group, "").await, Ok(Admission::Open), "{no_group}");
    }
    let foreign = directory.change_group_rules("olga@other.example", |_| {}).await;
    assert!(matches!(foreign, Err(DirectoryError::NoGroup(_))));
}

/// A group of a department has who is in it at any time, also while cards are behind.
#[tokio::test]
async fn the_group_of_a_department_follows_it() {
    let (house, acme) = House::with_acme().await;
    let directory = &house.directory;
    let sales = directory.add_department(acme, DepartmentId::ROOT, "销售", "").await.expect("department").id;
    let ann = account(directory, "ann").await;
    let group = directory.add_department_group(acme, sales, "acme.example").await.expect("group");
    assert_eq!(group.address.to_string(), "xiaoshou@acme.example");
    let mut died = 0;
    for writes in 0..12 {
        for (departments, leads) in [(vec![sales], true), (vec![], false)] {
            let dying = house.process(Memory::dying(&house.disk, writes, Death::AfterWrite));
            died += usize::from(dying.set_departments(ann.key, &departments).await.is_err());
            let stands = directory.account(ann.key).await.expect("account").expect("account");
            let resolved = directory.resolve("xiaoshou@acme.example").await.expect("resolved");
            let is_led_to = matches!(resolved, Resolved::Local { .. });
            assert_eq!(is_led_to, stands.departments == [sales], "{writes} {leads}");
        }
    }
    assert!(died > 4, "only {died} deaths: the test tests nothing");
    let follows = directory.set_members("xiaoshou@acme.example", &["ann@acme.example"]).await;
    assert_eq!(follows, Err(DirectoryError::GroupFollows));
    let taken = directory.add_group_with::<&str>("ann@acme.example", "", &[], &GroupRules::default()).await;
    assert!(matches!(taken, Err(DirectoryError::AddressTaken(_))));
}
