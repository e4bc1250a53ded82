//! Who sends nothing outside the organisation, and how often the others may.

use std::time::Duration;

use pennypost_directory::{
    DepartmentId, Directory, Frequency, MailAddress, Plan, SendingRules, SendingTarget,
};
use pennypost_model::TenantId;

use crate::office::{Office, settings};
use crate::reach::{ADA, BOB, envelope, member};
use crate::wire::{Client, stuffed};

const YOU: &str = "you@elsewhere.example";
const FORBIDDEN: &str = "550 5.7.1 your organisation does not let you send to anybody outside it";

async fn sending() -> Office {
    let mut chosen = settings();
    (chosen.is_sending, chosen.limits.recheck) = (true, Duration::ZERO);
    Office::open(chosen).await
}

async fn say(directory: &Directory, tenant: TenantId, rules: &SendingRules) {
    let seen = directory.sending_rules(tenant).await.expect("read");
    assert_eq!(directory.change_sending_rules(tenant, &seen, rules).await, Ok(true));
}

/// What a letter is answered with, at the first refusal or at its end.
async fn letter(client: &mut Client, sender: &str, author: &str, recipients: &[&str]) -> String {
    for (number, recipient) in recipients.iter().enumerate() {
        let reply = match number {
            0 => envelope(client, sender, recipient).await,
            _ => {
                client.say(&format!("RCPT TO:<{recipient}>")).await;
                client.line().await.expect("reply")
            }
        };
        if !reply.starts_with("250") {
            return reply;
        }
    }
    data(client, author).await
}

async fn data(client: &mut Client, author: &str) -> String {
    client.command("DATA", "354").await;
    client.send(&stuffed(format!("From: {author}\r\n\r\nhello\r\n").as_bytes())).await;
    client.line().await.expect("reply")
}

/// Feature SND-22: members, departments and tags that send nothing outside, from when it is said until it is lifted; among themselves and from outside mail goes as before
/// Feature ORG-25 (part): tags chosen in restrictions of sending; approval is not built
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_sends_nothing_outside() {
    let office = sending().await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    let sales =
        directory.add_department(office.tenant, DepartmentId::ROOT, "Sales", "").await.expect("added").id;
    let asia = directory.add_department(office.tenant, sales, "Asia", "").await.expect("added").id;
    directory.set_departments(ada, &[asia]).await.expect("said");
    let (drivers, asian) = (
        directory.add_tag(office.tenant, "drivers").await.expect("tag").id,
        directory.add_tag(office.tenant, "asian").await.expect("tag").id,
    );
    let mark = |departments: &mut std::collections::BTreeSet<DepartmentId>, _: &mut _| {
        departments.insert(sales);
    };
    directory.change_tag(office.tenant, "asian", mark).await.expect("marked");
    let mut of_ada = member(&office, ADA).await;
    let mut of_bob = member(&office, BOB).await;
    let mut outside = Client::smtp(office.smtp).await;
    for (target, is_held) in [
        (SendingTarget::Account(ada.account), true),
        (SendingTarget::Department(asia), true),
        (SendingTarget::Department(sales), true),
        (SendingTarget::Tag(asian), true),
        (SendingTarget::Tag(drivers), false),
    ] {
        let forbidden = SendingRules { forbidden: [target].into(), ..SendingRules::default() };
        say(directory, office.tenant, &forbidden).await;
        let reply = envelope(&mut of_ada, ADA, YOU).await;
        assert!(reply.starts_with(if is_held { FORBIDDEN } else { "250" }), "{target:?} {reply}");
        assert!(letter(&mut of_ada, ADA, ADA, &[BOB]).await.starts_with("250"), "{target:?}");
        assert!(envelope(&mut of_bob, BOB, YOU).await.starts_with("250"), "{target:?}");
        assert!(envelope(&mut outside, YOU, ADA).await.starts_with("250"), "{target:?}");
        say(directory, office.tenant, &SendingRules::default()).await;
        assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("250"), "{target:?}");
    }
    // What is said while a letter is on its way holds for it, too.
    assert!(envelope(&mut of_ada, ADA, YOU).await.starts_with("250"));
    let everybody = [SendingTarget::Department(DepartmentId::ROOT)].into();
    say(directory, office.tenant, &SendingRules { forbidden: everybody, ..SendingRules::default() }).await;
    let reply = data(&mut of_ada, ADA).await;
    assert!(reply.starts_with(FORBIDDEN), "{reply}");
    assert!(envelope(&mut of_bob, BOB, YOU).await.starts_with(FORBIDDEN));
}

/// Feature SND-21: a member sends outside as often as the organisation says, within a time; accounts are excepted, and mail within the organisation is not meant
#[tokio::test(flavor = "multi_thread")]
async fn members_send_outside_as_often_as_they_may() {
    let office = sending().await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    let bob = directory.account_at(BOB).await.expect("looked").expect("an account").key;
    let limit = Frequency::new(3, 60).expect("a limit");
    let rules = SendingRules {
        everybody: Some(limit),
        limits: [(SendingTarget::Account(bob.account), None)].into(),
        ..SendingRules::default()
    };
    say(directory, office.tenant, &rules).await;
    let mut of_ada = member(&office, ADA).await;
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU, "they@elsewhere.example", BOB]).await.starts_with("250"));
    // What is refused, and what stays inside, does not count.
    assert!(letter(&mut of_ada, ADA, BOB, &[YOU]).await.starts_with("550 5.7.1"));
    assert!(letter(&mut of_ada, ADA, ADA, &[BOB]).await.starts_with("250"));
    assert_eq!(directory.sent_outside(ada, limit).await.expect("read").messages, 1);
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("250"));
    // Of two that are under way for the last place one gets it.
    let mut again = member(&office, ADA).await;
    for client in [&mut of_ada, &mut again] {
        assert!(envelope(client, ADA, YOU).await.starts_with("250"));
    }
    assert!(data(&mut again, ADA).await.starts_with("250"));
    let (late, spoken) = (data(&mut of_ada, ADA).await, "450 4.7.1 you have sent 3 messages outside");
    assert!(late.starts_with(spoken) && late.contains("within 60 minutes"), "{late}");
    // From then on it is said of the recipient; whoever is inside gets the letter.
    let reply = envelope(&mut of_ada, ADA, YOU).await;
    assert!(reply.starts_with(spoken) && reply.contains("try again in 60 minutes"), "{reply}");
    assert!(letter(&mut of_ada, ADA, ADA, &[BOB]).await.starts_with("250"));
    let used = directory.sent_outside(ada, limit).await.expect("read");
    let begun = used.until.expect("counted").0 - office.now().0;
    assert!(used.messages == 3 && (58 * 60_000..=60 * 60_000).contains(&begun), "{used:?}");
    let mut of_bob = member(&office, BOB).await;
    for _ in 0..4 {
        assert!(letter(&mut of_bob, BOB, BOB, &[YOU]).await.starts_with("250"));
    }
    // More is said: it holds at once.
    let more = SendingRules { everybody: Frequency::new(4, 60).ok(), ..rules.clone() };
    say(directory, office.tenant, &more).await;
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("250"));
    assert!(
        letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("450 4.7.1 you have sent 4 messages outside")
    );

    // Both counts are taken in one, or none: what the day refuses is no letter outside.
    say(directory, office.tenant, &SendingRules { everybody: Frequency::new(9, 60).ok(), ..rules }).await;
    let plan = Plan { account_daily_messages: Some(1), ..Plan::pro() };
    assert_eq!(directory.set_plan(office.tenant, None, &plan).await, Ok(true));
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("250"));
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("452 4.7.1 you have sent as many"));
    assert_eq!(directory.sent_outside(ada, limit).await.expect("read").messages, 5);
    assert_eq!(directory.account_allowance(ada).await.expect("read").sent, 1);
}

/// As the settings are: what was found at the first recipient outside holds for the message, and counts.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_at_the_recipient_holds_for_its_message() {
    let mut chosen = settings();
    chosen.is_sending = true;
    assert!(chosen.limits.recheck >= Duration::from_secs(30));
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    let limit = Frequency::new(2, 60).expect("a limit");
    let rules = SendingRules { everybody: Some(limit), ..SendingRules::default() };
    say(directory, office.tenant, &rules).await;
    let mut of_ada = member(&office, ADA).await;
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("250"));
    assert_eq!(directory.sent_outside(ada, limit).await.expect("read").messages, 1);
    assert!(envelope(&mut of_ada, ADA, YOU).await.starts_with("250"));
    let forbidden = [SendingTarget::Account(ada.account)].into();
    say(directory, office.tenant, &SendingRules { forbidden, ..rules.clone() }).await;
    assert!(data(&mut of_ada, ADA).await.starts_with("250"), "said after the recipient was taken");
    assert_eq!(directory.sent_outside(ada, limit).await.expect("read").messages, 2);
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with(FORBIDDEN));
    say(directory, office.tenant, &rules).await;
    assert!(letter(&mut of_ada, ADA, ADA, &[YOU]).await.starts_with("450 4.7.1"));
}

/// A recipient outside who is refused after he was found to be permitted leaves the message inside: it does not count.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_recipients_outside_were_all_refused_does_not_count() {
    let office = sending().await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    let bob = directory.account_at(BOB).await.expect("looked").expect("an account").key;
    let limit = Frequency::new(5, 60).expect("a limit");
    say(directory, office.tenant, &SendingRules { everybody: Some(limit), ..SendingRules::default() }).await;
    // Of the group one is outside, and the one inside has no room.
    directory.add_group("partners@acme.example", "", &[BOB, YOU]).await.expect("group");
    let friend = MailAddress::parse(YOU).expect("an address");
    let invitation = directory.invite_friend(office.tenant, &friend).await.expect("invited");
    directory.accept_friend(&invitation.expect("not lately")).await.expect("agreed");
    directory.set_quota(bob, 1).await.expect("a quota");
    let mut of_ada = member(&office, ADA).await;
    of_ada.command(&format!("MAIL FROM:<{ADA}> SIZE=1000"), "250").await;
    of_ada.command("RCPT TO:<partners@acme.example>", "452 4.2.2").await;
    of_ada.command(&format!("RCPT TO:<{ADA}>"), "250").await;
    assert!(data(&mut of_ada, ADA).await.starts_with("250"));
    assert_eq!(directory.sent_outside(ada, limit).await.expect("read").messages, 0);
    // To a group in which somebody has room it goes, and counts.
    directory.add_group("others@acme.example", "", &[ADA, YOU]).await.expect("group");
    assert!(letter(&mut of_ada, ADA, ADA, &["others@acme.example"]).await.starts_with("250"));
    assert_eq!(directory.sent_outside(ada, limit).await.expect("read").messages, 1);
}
