//! Members elsewhere of groups, and whether anything goes to them.

use crate::memory::{House, PASSWORD};
use pennypost_directory::{
    Account, Directory, DirectoryError, FriendStanding, MAX_OUTSIDE, MailAddress, Page, Plan, Reach, Resolved,
};
use pennypost_model::{EventId, TenantId, Timestamp};

const DAY: i64 = 24 * 60 * 60 * 1000;
const GROUP: &str = "all@acme.example";

fn address(text: &str) -> MailAddress {
    MailAddress::parse(text).expect("an address")
}

async fn account(directory: &Directory, address: &str) -> Account {
    directory.add_account(address, PASSWORD, "", None).await.expect(address)
}

/// Addresses elsewhere to which a group leads, and how many accounts.
async fn behind(directory: &Directory, group: &str) -> (Vec<String>, usize) {
    match directory.resolve(group).await.expect("resolved") {
        Resolved::Local { recipients, elsewhere, .. } => {
            let addresses = elsewhere.map(|elsewhere| elsewhere.addresses).unwrap_or_default();
            (addresses.iter().map(ToString::to_string).collect(), recipients.len())
        }
        other => panic!("{other:?}"),
    }
}

async fn befriend(directory: &Directory, tenant: TenantId, friend: &str) -> String {
    let invitation = directory.invite_friend(tenant, &address(friend)).await.expect("invited");
    let invitation = invitation.expect("not lately");
    directory.accept_friend(&invitation).await.expect("agreed");
    invitation
}

/// To whom a letter goes, or why to nobody.
async fn reach(directory: &Directory, author: &Account, addresses: &[&str]) -> String {
    let addresses: Vec<MailAddress> = addresses.iter().map(|one| address(one)).collect();
    match directory.reach(author, &addresses).await.expect("looked up") {
        Reach::Friends(friends) => {
            friends.iter().map(|friend| friend.address().to_string()).collect::<Vec<_>>().join(" ")
        }
        Reach::NoSeat => "no seat".to_owned(),
        Reach::Strangers(strangers) => format!("strangers: {}", strangers.len()),
    }
}

/// Feature GRP-03 (part): members of groups by any address elsewhere
#[tokio::test]
async fn groups_lead_elsewhere_too() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    account(directory, "ann@acme.example").await;
    let inner = ["bea@far.example", "Cy@Far.Example"];
    directory.add_group("inner@acme.example", "", &inner).await.expect("group");
    let outer = ["ann@acme.example", "inner@acme.example", "bea@far.example", "dan@other.example"];
    directory.add_group(GROUP, "", &outer).await.expect("group");
    let (elsewhere, here) = behind(directory, GROUP).await;
    assert_eq!((elsewhere.join(" ").as_str(), here), ("bea@far.example dan@other.example cy@far.example", 1));
    assert_eq!(behind(directory, "inner@acme.example").await.1, 0);
    let group = directory.group(GROUP).await.expect("read").expect("there");
    assert_eq!(directory.group_accounts(tenant, group).await.expect("expanded").len(), 1);

    // What lies in the tenant's own domain is what it is, or nothing; in another tenant's it is elsewhere.
    let unknown = directory.change_members(GROUP, &["nobody@acme.example"], &[]).await;
    assert_eq!(unknown.map(drop), Err(DirectoryError::NoAccount("nobody@acme.example".to_owned())));
    let other = directory.add_tenant("Other").await.expect("tenant").id;
    directory.add_domain(other, "other.test").await.expect("domain");
    directory.change_members(GROUP, &["zoe@other.test"], &[]).await.expect("as anywhere else");
    assert!(behind(directory, GROUP).await.0.contains(&"zoe@other.test".to_owned()));
    directory.change_members(GROUP, &[], &["zoe@other.test"]).await.expect("taken out");

    // As many as there may be, those of the groups in it counted.
    let many: Vec<String> = (3..MAX_OUTSIDE).map(|number| format!("m{number}@far.example")).collect();
    directory.change_members(GROUP, &many, &[]).await.expect("all of them");
    let more = directory.change_members("inner@acme.example", &["more@far.example"], &[]).await;
    assert!(more.is_ok(), "a group of its own has room: {more:?}");
    assert!(directory.resolve(GROUP).await.is_err(), "the one around it has not");
    directory.change_members("inner@acme.example", &[], &["more@far.example"]).await.expect("taken out");
    let more = directory.change_members(GROUP, &["more@far.example"], &[]).await;
    assert!(matches!(more, Err(DirectoryError::TooMany { limit: MAX_OUTSIDE, .. })), "{more:?}");
    directory.set_members(GROUP, &["ann@acme.example"]).await.expect("set");
    assert_eq!(behind(directory, GROUP).await, (Vec::new(), 1));
}

/// Feature GRP-07 (part): strangers, friends by invitation, only VIP members send to friends; the pages of webmail not yet
/// Feature CON-06 (part): an address elsewhere is a friend after accepting an invitation; not yet shown in contacts
#[tokio::test]
async fn strangers_become_friends_who_may_leave() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let ann = account(directory, "ann@acme.example").await;
    let (bea, cy) = ("bea@far.example", "cy@far.example");
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, "strangers: 2");
    let first = directory.invite_friend(tenant, &address(bea)).await.expect("invited").expect("at first");
    assert_eq!(directory.invite_friend(tenant, &address(bea)).await.expect("asked"), None, "not every hour");
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, "strangers: 2", "invited is not agreed");
    house.clock.advance(DAY + 1);
    let second = directory.invite_friend(tenant, &address(bea)).await.expect("invited").expect("a day later");
    assert_eq!(directory.accept_friend(&first).await, Err(DirectoryError::NoInvitation));
    for bad in ["", "ppf_", &second[..second.len() - 1], &second.replace("ppf_", "ppl_")] {
        assert_eq!(directory.accept_friend(bad).await, Err(DirectoryError::NoInvitation), "{bad}");
    }
    let seen = directory.invited_friend(&second).await.expect("good");
    assert_eq!((seen.0, seen.1.standing), (tenant, FriendStanding::Stranger));
    for _ in 0..2 {
        let accepted = directory.accept_friend(&second).await.expect("agreed");
        assert_eq!((accepted.standing, accepted.address), (FriendStanding::Friend, address(bea)));
    }
    assert_eq!(reach(directory, &ann, &[bea]).await, bea);
    assert_eq!(
        reach(directory, &ann, &[bea, cy]).await,
        "strangers: 1",
        "nothing goes while one has not agreed"
    );
    befriend(directory, tenant, cy).await;
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, format!("{bea} {cy}"));

    // Where there is a plan, a seat is needed.
    let pro = Plan { vip_seats: 1, ..Plan::pro() };
    assert_eq!(directory.set_plan(tenant, None, &pro).await, Ok(true));
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, "no seat");
    directory.set_vip(ann.key, true).await.expect("a seat");
    let ann = directory.account(ann.key).await.expect("read").expect("there");
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, format!("{bea} {cy}"));

    // What stands in a letter is enough to leave, and nothing else is; the others still get theirs.
    let Ok(Reach::Friends(friends)) = directory.reach(&ann, &[address(bea)]).await else {
        panic!("a friend")
    };
    let message = EventId::from_parts(Timestamp(house.clock_now()), 1);
    let leave = friends[0].member(message, &address(GROUP)).leave;
    assert_eq!(directory.leave_as_friend(&second).await, Err(DirectoryError::NoInvitation));
    let last = if leave.ends_with('0') { '1' } else { '0' };
    let other = format!("{}{last}", &leave[..leave.len() - 1]);
    assert_eq!(directory.leave_as_friend(&other).await, Err(DirectoryError::NoInvitation));
    for _ in 0..2 {
        let left = directory.leave_as_friend(&leave).await.expect("left");
        assert_eq!(left.standing, FriendStanding::Left);
    }
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, cy);
    // By what has brought him in once, nobody brings him in again.
    assert_eq!(directory.accept_friend(&second).await, Err(DirectoryError::NoInvitation));
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, cy);
    // An invitation is good for a week.
    house.clock.advance(DAY + 1);
    let third = directory.invite_friend(tenant, &address(bea)).await.expect("invited").expect("a day later");
    house.clock.advance(7 * DAY + 1);
    assert!(matches!(directory.accept_friend(&third).await, Err(DirectoryError::InvitationOver(_))));
    assert!(directory.forget_friend(tenant, &address(cy)).await.expect("forgotten"));
    assert!(!directory.forget_friend(tenant, &address(cy)).await.expect("asked"));
    assert_eq!(reach(directory, &ann, &[bea, cy]).await, "strangers: 1");
    let listed = directory.friends(tenant, &Page::default()).await.expect("listed").items;
    assert_eq!(listed.iter().map(|one| one.standing).collect::<Vec<_>>(), [FriendStanding::Left]);
}

#[tokio::test]
async fn what_comes_back_on_five_days_goes_there_no_more() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let ann = account(directory, "ann@acme.example").await;
    let bea = "bea@far.example";
    let before = Timestamp(house.clock_now());
    house.clock.advance(DAY);
    let invitation = befriend(directory, tenant, bea).await;
    let now = || Timestamp(house.clock_now());
    let Ok(Reach::Friends(friends)) = directory.reach(&ann, &[address(bea)]).await else {
        panic!("a friend")
    };
    let message = EventId::from_parts(now(), 1);
    let path = friends[0].member(message, &address(GROUP)).reverse_path;
    let report = directory.report_of(&path.to_uppercase()).await.expect("looked up").expect("a report");
    assert_eq!((report.tenant, report.message, report.address), (tenant, message, address(bea)));
    // Of another letter, with another mark, at another domain: nobody's.
    let another = EventId::from_parts(now(), 2).to_string().to_lowercase();
    let wrong = path.replace(&message.to_string().to_lowercase(), &another);
    for bad in
        [wrong, path.replace("acme.example", "far.example"), format!("x{path}"), path.replace('+', "-")]
    {
        assert_eq!(directory.report_of(&bad).await, Ok(None), "{bad}");
    }

    // What was written before he agreed counts for nothing.
    for day in 0..5 {
        let written = before.plus_millis(-day * DAY);
        assert_eq!(directory.friend_failed(tenant, &address(bea), written).await, Ok(false));
    }
    // Several on one day are one; four long ago are none.
    for _ in 0..4 {
        for _ in 0..3 {
            assert_eq!(directory.friend_failed(tenant, &address(bea), now()).await, Ok(false));
        }
        house.clock.advance(DAY);
    }
    house.clock.advance(30 * DAY);
    assert_eq!(directory.report_of(&path).await, Ok(None), "the letter is old");
    for day in 1..=5 {
        let is_over = directory.friend_failed(tenant, &address(bea), now()).await;
        assert_eq!(is_over, Ok(day == 5), "{day}");
        house.clock.advance(DAY);
    }
    assert_eq!(reach(directory, &ann, &[bea]).await, "");
    assert_eq!(directory.accept_friend(&invitation).await, Err(DirectoryError::NoInvitation), "an old one");
    let friend = directory.friend(tenant, &address(bea)).await.expect("read").expect("there");
    assert_eq!(friend.standing, FriendStanding::Suspended);
    // Who agrees anew begins anew.
    befriend(directory, tenant, bea).await;
    assert_eq!(directory.friend_failed(tenant, &address(bea), now()).await, Ok(false));
    assert_eq!(reach(directory, &ann, &[bea]).await, bea);
}
