//! Joining while the process dies at each write, and while others join.

use crate::memory::{Death, House, Memory, PASSWORD};
use pennypost_directory::{
    ApplicationState, DirectoryError, DomainName, Invitation, InvitationEnd, JoiningRules, NewApplication,
    NewInvitation, Page,
};
use pennypost_model::TenantId;

const MINUTE: i64 = 60 * 1000;

async fn open(approval: bool) -> (House, TenantId) {
    let (house, tenant) = House::with_acme().await;
    let domain = Some(DomainName::parse("acme.example").expect("a domain"));
    let before = JoiningRules::default();
    let rules = JoiningRules { open: true, approval, domain, ..before.clone() };
    assert_eq!(house.directory.set_joining_rules(tenant, &before, &rules).await, Ok(true));
    (house, tenant)
}

async fn invite(house: &House, tenant: TenantId, most: u32) -> (Invitation, String) {
    let until = house.directory.now().plus_millis(24 * 60 * MINUTE);
    let new = NewInvitation { most, until, ..NewInvitation::default() };
    house.directory.invite(tenant, &new).await.expect("invited")
}

const fn wish(local: &str, request: u8) -> NewApplication<'_> {
    NewApplication { local, name: "Ann", mobile: "", password: PASSWORD, request: Some([request; 32]) }
}

async fn accounts(house: &House, tenant: TenantId) -> Vec<String> {
    let listed = house.directory.accounts(tenant, &Page::default()).await.expect("listed").items;
    let mut addresses: Vec<String> = listed.into_iter().map(|account| account.address.to_string()).collect();
    addresses.sort();
    addresses
}

#[tokio::test]
async fn who_was_cut_off_goes_on_and_joins_once() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..20 {
            let (house, tenant) = open(false).await;
            let (invitation, text) = invite(&house, tenant, 1).await;
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            if dying.join(&text, &wish("ann", 1)).await.is_ok() {
                continue;
            }
            died += 1;
            let there = accounts(&house, tenant).await;
            // Nobody takes the place meanwhile.
            if !there.is_empty() {
                let other = house.directory.join(&text, &wish("bob", 2)).await;
                assert_eq!(other, Err(InvitationEnd::UsedUp.into()), "{death:?} {writes}");
            }
            house.clock.advance(2 * MINUTE);
            let again = house.directory.join(&text, &wish("ann", 1)).await.expect("goes on");
            assert!(matches!(again.application.state, ApplicationState::Joined(_)), "{death:?} {writes}");
            assert_eq!(accounts(&house, tenant).await, ["ann@acme.example"], "{death:?} {writes}");
            let ApplicationState::Joined(account) = again.application.state else { continue };
            assert_eq!(
                house
                    .directory
                    .account_at("ann@acme.example")
                    .await
                    .expect("read")
                    .map(|ann| ann.key.account),
                Some(account)
            );
            let used = house.directory.invitation(tenant, invitation.id).await.expect("read").expect("there");
            assert_eq!(used.used, 1, "{death:?} {writes}");
            let other = house.directory.join(&text, &wish("bob", 2)).await;
            assert_eq!(other, Err(InvitationEnd::UsedUp.into()), "{death:?} {writes}");
        }
    }
    assert!(died >= 16, "only {died} deaths: the test tests nothing");
}

#[tokio::test]
async fn whoever_is_dead_keeps_nobody_out() {
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..12 {
            let (house, tenant) = open(false).await;
            let (invitation, text) = invite(&house, tenant, 1).await;
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            if dying.join(&text, &wish("ann", 1)).await.is_ok() {
                continue;
            }
            house.clock.advance(2 * MINUTE);
            let is_there = !accounts(&house, tenant).await.is_empty();
            let other = house.directory.join(&text, &wish("bob", 2)).await;
            assert_eq!(other.is_ok(), !is_there, "{death:?} {writes} {other:?}");
            assert_eq!(accounts(&house, tenant).await.len(), 1, "{death:?} {writes}");
            let used = house.directory.invitation(tenant, invitation.id).await.expect("read").expect("there");
            assert_eq!(used.used, 1, "{death:?} {writes}");
            // And the address is free for somebody else.
            if !is_there {
                let (_, text) = invite(&house, tenant, 1).await;
                house.directory.join(&text, &wish("ann", 3)).await.expect("joins");
            }
        }
    }
}

#[tokio::test]
async fn an_approval_that_was_cut_off_is_gone_on_with() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..12 {
            let (house, tenant) = open(true).await;
            let (_, text) = invite(&house, tenant, 1).await;
            let applied = house.directory.join(&text, &wish("ann", 1)).await.expect("applies");
            assert_eq!(applied.application.state, ApplicationState::Waiting);
            assert!(accounts(&house, tenant).await.is_empty());
            let address = "ann@acme.example";
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            if dying.approve_application(tenant, address).await.is_ok() {
                continue;
            }
            died += 1;
            house.clock.advance(MINUTE);
            let again = house.directory.approve_application(tenant, address).await;
            let is_decided = again == Err(DirectoryError::Decided(address.to_owned()));
            let is_joined = |state: &ApplicationState| matches!(state, ApplicationState::Joined(_));
            assert!(is_decided || again.as_ref().is_ok_and(|it| is_joined(&it.state)), "{again:?}");
            assert_eq!(accounts(&house, tenant).await, [address], "{death:?} {writes}");
            let own = house.directory.application_behind(address, &applied.receipt).await.expect("read");
            assert!(is_joined(&own.state), "{death:?} {writes}");
            let signed_in =
                house.directory.authenticate(address, PASSWORD, std::net::Ipv4Addr::LOCALHOST.into()).await;
            assert!(signed_in.is_ok(), "{death:?} {writes}");
        }
    }
    assert!(died >= 12, "only {died} deaths: the test tests nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_race_as_many_join_as_may() {
    for most in [1_u32, 2] {
        let (house, tenant) = open(false).await;
        let (invitation, text) = invite(&house, tenant, most).await;
        let joins: Vec<_> = (0..6_u8)
            .map(|number| {
                let (directory, text) = (house.process(Memory::new(&house.disk)), text.clone());
                // Two want each address.
                let local = format!("ann{}", number / 2);
                tokio::spawn(async move { directory.join(&text, &wish(&local, number)).await.is_ok() })
            })
            .collect();
        let mut joined = 0;
        for join in joins {
            joined += u32::from(join.await.expect("task"));
        }
        assert!((1..=most).contains(&joined), "{joined} of {most}");
        assert_eq!(accounts(&house, tenant).await.len(), joined as usize);
        let used = house.directory.invitation(tenant, invitation.id).await.expect("read").expect("there");
        assert_eq!(used.used, joined);
        house.clock.advance(2 * MINUTE);
        for number in 0..3 {
            let _ = house.directory.join(&text, &wish(&format!("late{number}"), 100 + number)).await;
        }
        assert_eq!(accounts(&house, tenant).await.len(), most as usize);
    }
}

#[tokio::test]
async fn nothing_that_is_given_out_is_stored() {
    let (house, tenant) = open(true).await;
    let (_, text) = invite(&house, tenant, 1).await;
    let applied = house.directory.join(&text, &wish("ann", 1)).await.expect("applies");
    let new = pennypost_directory::NewAccount { address: "bob@acme.example", ..Default::default() };
    let bob = house.directory.add_account_with(&new).await.expect("added").key;
    let until = house.directory.now().plus_millis(MINUTE);
    let invited = house.directory.invite_member(bob, until).await.expect("invited");
    let stored = house.disk.bytes();
    for secret in [&text[36..], &applied.receipt[36..], &invited.text[36..], PASSWORD] {
        assert!(!stored.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
    }
    // Its time is over; and for another owner it was never meant.
    house.clock.advance(MINUTE);
    let late = house.directory.join_as_member(&invited.text, PASSWORD).await;
    assert_eq!(late, Err(InvitationEnd::Past.into()));
    let until = house.directory.now().plus_millis(MINUTE);
    let invited = house.directory.invite_member(bob, until).await.expect("invited");
    house.directory.bin_account(bob, pennypost_directory::BinCause::Unbound).await.expect("unbound");
    let owner = pennypost_directory::NewOwner { display_name: "Carl", ..Default::default() };
    house.directory.assign_account(bob, &owner).await.expect("assigned");
    assert_eq!(
        house.directory.join_as_member(&invited.text, PASSWORD).await,
        Err(DirectoryError::NoInvitation)
    );
}

#[tokio::test]
async fn what_was_cut_off_is_no_pass() {
    for writes in 0..12 {
        let (house, tenant) = open(false).await;
        let (invitation, text) = invite(&house, tenant, 1).await;
        let dying = house.process(Memory::dying(&house.disk, writes, Death::BeforeWrite));
        if dying.join(&text, &wish("ann", 1)).await.is_ok() {
            continue;
        }
        let is_there = !accounts(&house, tenant).await.is_empty();
        house.directory.revoke_invitation(tenant, invitation.id).await.expect("revoked");
        house.clock.advance(2 * MINUTE);
        let again = house.directory.join(&text, &wish("ann", 1)).await;
        match again {
            Ok(applied) => {
                assert!(is_there, "{writes}");
                assert!(matches!(applied.application.state, ApplicationState::Joined(_)), "{writes}");
            }
            Err(error) => {
                assert!(!is_there, "{writes}");
                assert_eq!(error, DirectoryError::InvitationOver(InvitationEnd::Revoked), "{writes}");
                let address = "ann@acme.example";
                let read = house.directory.application(tenant, address).await;
                assert_eq!(read, Err(DirectoryError::NoApplication(address.to_owned())), "{writes}");
            }
        }
        assert_eq!(!accounts(&house, tenant).await.is_empty(), is_there, "{writes}");
    }
}

#[tokio::test]
async fn what_was_cut_off_is_approved_where_that_is_asked_for_since_then() {
    for writes in 0..12 {
        let (house, tenant) = open(false).await;
        let (_, text) = invite(&house, tenant, 1).await;
        let dying = house.process(Memory::dying(&house.disk, writes, Death::BeforeWrite));
        if dying.join(&text, &wish("ann", 1)).await.is_ok() {
            continue;
        }
        let is_there = !accounts(&house, tenant).await.is_empty();
        let before = house.directory.joining_rules(tenant).await.expect("read");
        let rules = JoiningRules { approval: true, ..before.clone() };
        assert_eq!(house.directory.set_joining_rules(tenant, &before, &rules).await, Ok(true));
        house.clock.advance(2 * MINUTE);
        let again = house.directory.join(&text, &wish("ann", 1)).await.expect("told");
        let is_waiting = again.application.state == ApplicationState::Waiting;
        assert_eq!(is_waiting, !is_there, "{writes}");
        assert_eq!(!accounts(&house, tenant).await.is_empty(), is_there, "{writes}");
    }
}

#[tokio::test]
async fn what_was_cut_off_gets_into_no_other_organisation() {
    let name = DomainName::parse("acme.example").expect("a domain");
    for writes in 0..12 {
        let (house, tenant) = open(false).await;
        let (_, text) = invite(&house, tenant, 1).await;
        let dying = house.process(Memory::dying(&house.disk, writes, Death::BeforeWrite));
        if dying.join(&text, &wish("ann", 1)).await.is_ok() || !accounts(&house, tenant).await.is_empty() {
            continue;
        }
        assert_eq!(house.directory.remove_domain(tenant, &name, 100).await, Ok(true), "{writes}");
        let other = house.directory.add_tenant("Other").await.expect("tenant").id;
        house.directory.add_domain(other, "acme.example").await.expect("domain");
        house.clock.advance(2 * MINUTE);
        let again = house.directory.join(&text, &wish("ann", 1)).await;
        assert_eq!(again, Err(DirectoryError::OtherTenant("ann@acme.example".to_owned())), "{writes}");
        for tenant in [tenant, other] {
            assert!(accounts(&house, tenant).await.is_empty(), "{writes}");
        }
    }
}

#[tokio::test]
async fn what_was_cut_off_is_refused() {
    let address = "ann@acme.example";
    let mut refused = 0;
    for writes in 0..12 {
        let (house, tenant) = open(false).await;
        let (invitation, text) = invite(&house, tenant, 1).await;
        let dying = house.process(Memory::dying(&house.disk, writes, Death::BeforeWrite));
        if dying.join(&text, &wish("ann", 1)).await.is_ok() || !accounts(&house, tenant).await.is_empty() {
            continue;
        }
        if house.directory.application(tenant, address).await.is_err() {
            continue;
        }
        let early = house.directory.refuse_application(tenant, address, "unknown").await;
        assert_eq!(early, Err(DirectoryError::Contended), "{writes}");
        house.clock.advance(2 * MINUTE);
        house.directory.refuse_application(tenant, address, "unknown").await.expect("refused");
        refused += 1;
        let again = house.directory.join(&text, &wish("ann", 1)).await.expect("told");
        assert_eq!(again.application.state, ApplicationState::Refused("unknown".to_owned()), "{writes}");
        assert!(accounts(&house, tenant).await.is_empty(), "{writes}");
        let used = house.directory.invitation(tenant, invitation.id).await.expect("read").expect("there");
        assert_eq!(used.used, 0, "{writes}");
    }
    assert!(refused > 0, "nothing was cut off: the test tests nothing");
}

#[tokio::test]
async fn nobody_takes_what_speaks_for_the_organisation() {
    let (house, tenant) = open(false).await;
    let (_, text) = invite(&house, tenant, 1).await;
    for local in ["postmaster", "Admin", "no-reply"] {
        let refused = house.directory.join(&text, &wish(local, 1)).await;
        assert!(matches!(refused, Err(DirectoryError::UnsuitableAddress { .. })), "{local} {refused:?}");
    }
    let new = pennypost_directory::NewAccount { address: "postmaster@acme.example", ..Default::default() };
    house.directory.add_account_with(&new).await.expect("an administrator gives it");
    assert_eq!(accounts(&house, tenant).await, ["postmaster@acme.example"]);
}
