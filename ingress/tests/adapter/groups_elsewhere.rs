//! Groups with members elsewhere: who reaches them, what goes there, and what comes back (GRP-03, GRP-07).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_directory::{FriendStanding, MailAddress, MailPermission, MailReach, Plan};
use pennypost_model::event::{Accepted, Via};

use crate::office::{Office, PASSWORD, settings};
use crate::wire::{Client, stuffed};

const ADA: &str = "ada@acme.example";
const GROUP: &str = "partners@acme.example";
const BEA: &str = "bea@far.example";
const CY: &str = "cy@far.example";

async fn office() -> Office {
    let mut chosen = settings();
    chosen.is_sending = true;
    chosen.limits.recheck = std::time::Duration::ZERO;
    let office = Office::open(chosen).await;
    let members = ["ada@acme.example", "bob@acme.example", BEA, CY];
    office.adapter.directory.add_group(GROUP, "Partners", &members).await.expect("group");
    office
}

async fn befriend(office: &Office, friend: &str) {
    let directory = &office.adapter.directory;
    let address = MailAddress::parse(friend).expect("an address");
    let invitation = directory.invite_friend(office.tenant, &address).await.expect("invited");
    directory.accept_friend(&invitation.expect("not lately")).await.expect("agreed");
}

async fn member(office: &Office) -> Client {
    let mut client = Client::smtp(office.submission).await;
    let login = STANDARD.encode(format!("\0{ADA}\0{PASSWORD}"));
    client.command(&format!("AUTH PLAIN {login}"), "235 2.7.0").await;
    client
}

/// The reply to the last RCPT of an envelope, which stays open.
async fn envelope(client: &mut Client, sender: &str, recipients: &[&str]) -> String {
    client.command("RSET", "250").await;
    client.command(&format!("MAIL FROM:<{sender}>"), "250").await;
    let mut reply = String::new();
    for recipient in recipients {
        client.say(&format!("RCPT TO:<{recipient}>")).await;
        reply = client.line().await.expect("reply");
    }
    reply
}

async fn body(client: &mut Client, letter: &str) -> String {
    client.command("DATA", "354").await;
    client.send(&stuffed(letter.as_bytes())).await;
    client.line().await.expect("reply")
}

/// Groups with the addresses of their members elsewhere, and how many accounts get a copy.
fn shape(accepted: &Accepted) -> (Vec<(String, Vec<String>)>, usize) {
    let groups = accepted.source.kind.groups().iter().map(|group| {
        let members = group.members.iter().map(|member| member.address.clone());
        (group.address.clone(), members.collect())
    });
    let copies = accepted.recipients.iter().filter(|recipient| recipient.via == Via::Group);
    (groups.collect(), copies.count())
}

/// Feature GRP-03: members from the organisation and by any address elsewhere; what members write goes to both
/// Feature SND-25 (part): a group with strangers is refused when it is named, with the strangers' addresses; so is who may not send
#[tokio::test(flavor = "multi_thread")]
async fn a_members_letter_goes_to_all_of_a_group_or_to_nobody() {
    let office = office().await;
    let directory = &office.adapter.directory;
    let mut client = member(&office).await;
    let reply = envelope(&mut client, ADA, &[GROUP]).await;
    assert!(reply.starts_with("550 5.7.2") && reply.contains(BEA) && reply.contains(CY), "{reply}");
    befriend(&office, BEA).await;
    let reply = envelope(&mut client, ADA, &[GROUP]).await;
    assert!(reply.starts_with("550 5.7.2") && !reply.contains(BEA) && reply.contains(CY), "{reply}");
    befriend(&office, CY).await;

    // Whoever is in two of its groups, or is named himself, gets it once.
    directory.add_group("far@acme.example", "", &[CY, "bob@acme.example"]).await.expect("group");
    let reply = envelope(&mut client, ADA, &["far@acme.example", GROUP, BEA]).await;
    assert!(reply.starts_with("250"), "{reply}");
    let letter = "From: ada@acme.example\r\nSubject: hello\r\n\r\nhello\r\n";
    assert!(body(&mut client, letter).await.starts_with("250"));
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    let expected = vec![("far@acme.example".to_owned(), vec![CY.to_owned()])];
    assert_eq!(shape(&accepted), (expected, 2));
    assert!(accepted.leaves() && accepted.source.kind.submission().is_some());
    let directly = accepted.recipients.iter().filter(|recipient| recipient.via == Via::Outside);
    assert_eq!(directly.map(|recipient| recipient.address.as_str()).collect::<Vec<_>>(), [BEA]);

    // A group of nobody else, and one whose last member has left.
    directory.set_members("far@acme.example", &[CY]).await.expect("set");
    assert!(envelope(&mut client, ADA, &["far@acme.example"]).await.starts_with("250"));
    assert!(body(&mut client, letter).await.starts_with("250"));
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert_eq!(shape(&accepted).1, 0);
    let leave = &accepted.source.kind.groups()[0].members[0].leave;
    assert_eq!(directory.leave_as_friend(leave).await.expect("left").standing, FriendStanding::Left);
    assert!(envelope(&mut client, ADA, &["far@acme.example"]).await.starts_with("550 5.2.1"));
    assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("250"), "the others still get it");

    // What has been there, or answers by itself, does not go there again; nor does what is from nobody.
    for field in ["List-Id: <partners.acme.example>", "Auto-Submitted: auto-replied"] {
        assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("250"));
        let reply = body(&mut client, &format!("{field}\r\n{letter}")).await;
        assert!(reply.starts_with("554 5.4.6"), "{field}: {reply}");
    }
    assert!(envelope(&mut client, "", &[GROUP]).await.starts_with("550 5.7.2"));
}

/// Feature GRP-07 (part): only members with a VIP seat send to friends where there is a plan, and nobody from outside
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_reach_those_elsewhere_is_told_at_once() {
    let office = office().await;
    let directory = &office.adapter.directory;
    befriend(&office, BEA).await;
    befriend(&office, CY).await;
    // From outside it leads to those who are here, and where nobody is, nowhere.
    let mut stranger = Client::smtp(office.smtp).await;
    assert!(envelope(&mut stranger, BEA, &[GROUP]).await.starts_with("250"));
    assert!(body(&mut stranger, "From: bea@far.example\r\nSubject: x\r\n\r\nx\r\n").await.starts_with("250"));
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    assert_eq!((shape(&accepted), accepted.leaves()), ((Vec::new(), 2), false));
    directory.add_group("far@acme.example", "", &[CY]).await.expect("group");
    assert!(envelope(&mut stranger, BEA, &["far@acme.example"]).await.starts_with("550 5.7.2"));

    let ada = directory.account_at(ADA).await.expect("looked").expect("an account");
    let known = MailPermission::default();
    let inside = MailPermission { send: MailReach::Inside, ..known };
    assert_eq!(directory.change_mail_permission(ada.key, known, inside).await, Ok(true));
    let mut client = member(&office).await;
    assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("550 5.7.1"));
    assert_eq!(directory.change_mail_permission(ada.key, inside, known).await, Ok(true));
    assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("250"));
    let pro = Plan { vip_seats: 1, ..Plan::pro() };
    assert_eq!(directory.set_plan(office.tenant, None, &pro).await, Ok(true));
    assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("550 5.7.2"));
    directory.set_vip(ada.key, true).await.expect("a seat");
    assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("250"));

    // Where nothing is sent, nothing is promised.
    let silent = Office::open(settings()).await;
    silent.adapter.directory.add_group(GROUP, "", &["ada@acme.example", BEA]).await.expect("group");
    befriend(&silent, BEA).await;
    let mut client = member(&silent).await;
    assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("550 5.7.1"));
}

/// The Received field goes to everybody: it names a recipient only where there is no other one, elsewhere neither.
#[tokio::test(flavor = "multi_thread")]
async fn who_gets_a_blind_copy_is_told_to_nobody() {
    let office = office().await;
    befriend(&office, BEA).await;
    office.adapter.directory.add_group("far@acme.example", "", &[BEA]).await.expect("group");
    let mut client = member(&office).await;
    for (recipients, is_named) in [
        (vec!["far@acme.example", "secret@else.example"], false),
        (vec!["secret@else.example", "far@acme.example"], false),
        (vec!["bob@acme.example", "far@acme.example"], false),
        (vec!["bob@acme.example"], true),
        (vec!["secret@else.example"], true),
    ] {
        assert!(envelope(&mut client, ADA, &recipients).await.starts_with("250"));
        let letter = "From: ada@acme.example\r\nTo: far@acme.example\r\nSubject: x\r\n\r\nx\r\n";
        assert!(body(&mut client, letter).await.starts_with("250"));
        let (accepted, _) = office.accepted().await.pop().expect("accepted");
        assert_eq!(accepted.receipt.contains("for <"), is_named, "{recipients:?}: {}", accepted.receipt);
        let tells = recipients.iter().any(|recipient| accepted.receipt.contains(recipient));
        assert_eq!(tells, is_named, "{recipients:?}: {}", accepted.receipt);
    }
}

/// Fields of other lists do not stand beside those of the group: a program could take either.
#[tokio::test(flavor = "multi_thread")]
async fn fields_of_other_lists_do_not_go_to_a_group() {
    let office = office().await;
    befriend(&office, BEA).await;
    befriend(&office, CY).await;
    let mut client = member(&office).await;
    let letter = "List-Unsubscribe: <https://evil.example/u>\r\nPrecedence: bulk\r\nFrom: ada@acme.example\r\nSubject: x\r\n\r\nx\r\n";
    for (to, is_kept) in [(GROUP, false), ("bob@acme.example", true)] {
        assert!(envelope(&mut client, ADA, &[to]).await.starts_with("250"));
        assert!(body(&mut client, letter).await.starts_with("250"));
        let (_, raw) = office.accepted().await.pop().expect("accepted");
        let text = String::from_utf8_lossy(&raw).into_owned();
        assert_eq!(text.contains("evil.example"), is_kept, "{text}");
        assert_eq!(text.contains("Precedence"), is_kept, "{text}");
    }
}

/// Whoever answers for a domain is reached by everybody, whoever stands behind the address (RFC 5321 section 4.5.1).
#[tokio::test(flavor = "multi_thread")]
async fn a_postmaster_elsewhere_closes_the_address_to_nobody() {
    let office = office().await;
    let postmaster = "postmaster@acme.example";
    office.adapter.directory.add_group(postmaster, "", &[BEA]).await.expect("group");
    let mut stranger = Client::smtp(office.smtp).await;
    assert!(envelope(&mut stranger, BEA, &[postmaster]).await.starts_with("250"));
    let mut client = member(&office).await;
    let letter = "From: ada@acme.example\r\nSubject: x\r\n\r\nx\r\n";
    for friends in [0, 1] {
        assert!(envelope(&mut client, ADA, &[postmaster]).await.starts_with("250"));
        assert!(body(&mut client, letter).await.starts_with("250"));
        let (accepted, _) = office.accepted().await.pop().expect("accepted");
        let here = accepted.recipients.iter().filter(|recipient| recipient.via == Via::CatchAll).count();
        let elsewhere: usize = accepted.source.kind.groups().iter().map(|group| group.members.len()).sum();
        assert_eq!((here, elsewhere), (1, friends));
        if friends == 0 {
            befriend(&office, BEA).await;
        }
    }
}

/// Reports about letters to members elsewhere come to nobody, and count only where they are real.
#[tokio::test(flavor = "multi_thread")]
async fn reports_about_letters_of_groups_come_alone_and_to_nobody() {
    let office = office().await;
    let directory = &office.adapter.directory;
    befriend(&office, BEA).await;
    befriend(&office, CY).await;
    let mut client = member(&office).await;
    assert!(envelope(&mut client, ADA, &[GROUP]).await.starts_with("250"));
    assert!(body(&mut client, "From: ada@acme.example\r\nSubject: x\r\n\r\nx\r\n").await.starts_with("250"));
    let (accepted, _) = office.accepted().await.pop().expect("accepted");
    let member = accepted.source.kind.groups()[0].members[0].clone();
    let to = member.reverse_path.as_str();

    let mut far = Client::smtp(office.smtp).await;
    for (sender, recipients, expected) in [
        (BEA, vec![to], "550 5.7.1"),
        ("", vec![to, "ada@acme.example"], "452 4.5.3"),
        ("", vec!["ada@acme.example", to], "452 4.5.3"),
        ("", vec!["bounces+nobody@acme.example"], "550 5.1.1"),
        ("", vec![to], "250 2.1.5"),
    ] {
        let reply = envelope(&mut far, sender, &recipients).await;
        assert!(reply.starts_with(expected), "{sender} {recipients:?}: {reply}");
    }
    let report = "From: mailer-daemon@far.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\
                  \r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.far.example\r\n\r\n\
                  Final-Recipient: rfc822; bea@far.example\r\nAction: failed\r\nStatus: 5.1.1\r\n--b--\r\n";
    assert!(body(&mut far, report).await.starts_with("250"));
    // The same letter counts once, however often and whenever somebody says so.
    assert!(envelope(&mut far, "", &[to]).await.starts_with("250"));
    assert!(body(&mut far, report).await.starts_with("250"));
    let holiday = "From: bea@far.example\r\nSubject: I am away\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n";
    assert!(envelope(&mut far, "", &[to]).await.starts_with("250"));
    assert!(body(&mut far, holiday).await.starts_with("250"));
    assert_eq!(office.accepted().await.len(), 0, "nobody gets it");
    // It has counted: four days more, and he is left alone.
    let address = MailAddress::parse(&member.address).expect("an address");
    for day in 1..=4_i64 {
        let written = office.now().plus_millis(day * 24 * 60 * 60 * 1000);
        let is_over = directory.friend_failed(office.tenant, &address, written).await;
        assert_eq!(is_over, Ok(day == 4), "{day}");
    }
}
