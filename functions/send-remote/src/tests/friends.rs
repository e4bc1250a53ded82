//! What goes to members elsewhere of groups.

use pennypost_directory::{Directory, FriendStanding, MailAddress};
use pennypost_domains::Service;
use pennypost_model::event::{GroupElsewhere, MemberElsewhere, ToGroups};
use pennypost_ports::Expected;

use super::*;

fn member(address: &str) -> MemberElsewhere {
    let reverse_path = format!("bounces+{}@t.example", address.replace('@', "="));
    MemberElsewhere { address: address.to_owned(), reverse_path, leave: format!("ppl_{}", address.len()) }
}

fn to_groups(it: &Fixture, direct: &[&str], groups: &[(&str, &[&str])]) -> Accepted {
    let mut letter = it.letter(direct);
    let submission = letter.source.kind.submission().expect("handed in").clone();
    let groups = groups.iter().map(|(group, members)| GroupElsewhere {
        address: (*group).to_owned(),
        members: members.iter().map(|address| member(address)).collect(),
    });
    letter.source.kind = SourceKind::ToGroups(Box::new(ToGroups { submission, groups: groups.collect() }));
    letter
}

/// The operator has said where the pages for people are.
async fn has_pages(it: &Fixture) {
    let service = Service { web: Some("mail.t.example".to_owned()), ..Service::at("mx.t.example") };
    let put = it.backend.control().put_if(&Service::key(), &codec::encode(&service), Expected::Absent).await;
    put.expect("put");
}

/// Feature GRP-03 (part): each member elsewhere of a group gets what was written to it once, as from a list, and how to leave
#[tokio::test]
async fn each_member_elsewhere_gets_it_once_and_as_from_a_list() {
    let it = fixture();
    has_pages(&it).await;
    let groups: &[(&str, &[&str])] =
        &[("all@t.example", &["bea@a.example", "cy@a.example"]), ("far@t.example", &["dan@b.example"])];
    let letter = to_groups(&it, &["you@a.example"], groups);
    for _ in 0..2 {
        it.handle(&letter).await;
    }
    it.work().await;
    it.handle(&letter).await;
    it.work().await;
    let mut handed = it.town.handed.lock().clone();
    handed.sort_by_key(|(_, recipients, _)| recipients.join(" "));
    let to: Vec<String> = handed.iter().map(|(_, recipients, _)| recipients.join(" ")).collect();
    assert_eq!(to, ["bea@a.example", "cy@a.example", "dan@b.example", "you@a.example"]);
    for (index, group) in [(0, "all"), (1, "all"), (2, "far")] {
        let (_, recipients, text) = &handed[index];
        let leave = format!("<https://mail.t.example/friends/ppl_{}>", recipients[0].len());
        for field in [
            format!("List-Id: <{group}.t.example>\r\n"),
            format!("List-Post: <mailto:{group}@t.example>\r\n"),
            format!("List-Unsubscribe: {leave}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"),
            "Precedence: list\r\n".to_owned(),
        ] {
            assert!(text.contains(&field), "{field}\n{text}");
        }
        assert!(text.starts_with("Received: ") && text.ends_with(LETTER), "{text}");
    }
    assert!(!handed[3].2.contains("List-"), "whoever is written to himself gets it as it is");
    // All of them are over: nobody needs the bytes.
    assert_eq!((it.objects().await, it.attempts(&letter).await.len()), (0, 4));
}

#[tokio::test]
async fn fields_of_a_list_are_signed_too() {
    let secrets: Arc<dyn Secrets> = Arc::new(
        pennypost_sealing::Keyring::parse(&pennypost_sealing::Keyring::fresh().expect("a key"))
            .expect("a ring"),
    );
    let it = with(Town::default(), Some(Arc::clone(&secrets)));
    let keys = KeyStore::new(it.backend.control());
    let now = it.clock.now();
    keys.add(&*secrets, (TENANT, "t.example"), Algorithm::Ed25519, now).await.expect("a key");
    let activated = keys.change(TENANT, "t.example", |keys| {
        keys.keys.iter_mut().for_each(|key| key.state = KeyState::Active);
        Ok::<_, SigningError>(())
    });
    activated.await.expect("active");
    has_pages(&it).await;
    it.handle(&to_groups(&it, &["you@a.example"], &[("all@t.example", &["bea@a.example", "cy@a.example"])]))
        .await;
    it.work().await;
    let handed = it.town.handed.lock().clone();
    assert_eq!(handed.len(), 3);
    let mut marks = Vec::new();
    for (_, recipients, text) in &handed {
        let signature = text.split_once("DKIM-Signature: ").expect("a signature").1;
        let signed = signature.split_once("h=").expect("fields").1.split_once(';').expect("signed").0;
        let signed: String = signed.to_ascii_lowercase().split_ascii_whitespace().collect();
        let signed: Vec<&str> = signed.split(':').collect();
        // Both of the last two: else no program offers to leave by one click (RFC 8058 section 4).
        for field in ["list-id", "list-post", "list-unsubscribe", "list-unsubscribe-post"] {
            assert_eq!(signed.contains(&field), recipients[0] != "you@a.example", "{field}: {text}");
        }
        let hash = signature.split_once("bh=").expect("a hash").1.split_once(';').expect("its end").0;
        marks.push(hash.split_ascii_whitespace().collect::<String>());
    }
    // It is one letter.
    assert!(marks.iter().all(|mark| *mark == marks[0]), "{marks:?}");
}

/// Who handed it in is not told of what a group has sent on; an address that fails for good on five days is left alone.
#[tokio::test]
async fn what_fails_counts_for_the_friend_and_is_told_to_nobody() {
    let it = fixture();
    let (control, clock) = (it.backend.control(), Arc::clone(&it.clock) as Arc<dyn Clock>);
    let directory = Directory::new(control, clock, Arc::new(RandomIds));
    let bea = MailAddress::parse("bea@a.example").expect("an address");
    let invitation = directory.invite_friend(TENANT, &bea).await.expect("invited").expect("at first");
    directory.accept_friend(&invitation).await.expect("agreed");
    // What a server has against us says nothing of the address.
    for day in 101..=106_u8 {
        let mut letter = to_groups(&it, &[], &[("all@t.example", &["bea@a.example"])]);
        letter.id = EventId::from_parts(it.clock.now(), u128::from(day));
        it.handle(&letter).await;
        it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.7.1"));
        it.work().await;
        it.work().await;
        it.pass(24 * HOUR);
    }
    assert_eq!(
        directory.friend(TENANT, &bea).await.expect("read").expect("there").standing,
        FriendStanding::Friend
    );
    for day in 1..=5_u8 {
        let mut letter = to_groups(&it, &[], &[("all@t.example", &["bea@a.example"])]);
        letter.id = EventId::from_parts(it.clock.now(), u128::from(day));
        it.handle(&letter).await;
        it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
        it.work().await;
        it.work().await;
        let standing = directory.friend(TENANT, &bea).await.expect("read").expect("there").standing;
        assert_eq!(standing == FriendStanding::Suspended, day == 5, "{day}");
        let attempts = it.attempts(&letter).await;
        assert_eq!(attempts[0].recipients[0].outcome, RemoteOutcome::Failed);
        it.pass(24 * HOUR);
    }
    assert_eq!(it.reports().await.len(), 0);
}
