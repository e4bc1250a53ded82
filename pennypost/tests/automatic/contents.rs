//! Rules about what stands in letters: handed in by SMTP, for later, each alone, and as a mailing.

use pennypost_admin::Call;
use pennypost_directory::content::{ContentAction, ContentCondition, ContentPlace, ContentRule, Detector};
use pennypost_directory::rules::{Join, Words};
use pennypost_directory::{ContentRuleOf, ContentRules, ContentWhom};
use pennypost_held::{Change, State, Why};

use super::*;

const OPERATOR: Call = Call::of_operator();

fn rules(word: &str) -> ContentRules {
    let of = |name: &str, condition: ContentCondition, action: ContentAction| ContentRuleOf {
        whom: ContentWhom { everybody: true, ..ContentWhom::default() },
        rule: ContentRule {
            name: name.to_owned(),
            enabled: true,
            is_outside_only: true,
            join: Join::All,
            conditions: vec![condition],
            action,
        },
    };
    let words = Words { join: Join::Any, words: vec![word.to_owned()] };
    let mobile = ContentCondition::Detected { what: Detector::Mobile, least: 1 };
    ContentRules {
        rules: vec![
            of(
                "word",
                ContentCondition::Words(ContentPlace::Anywhere, words),
                ContentAction::Refuse("no".to_owned()),
            ),
            of("mobile", mobile, ContentAction::Note),
        ],
    }
}

impl Town {
    async fn rule(&self, rules: &ContentRules) {
        let seen = self.office.directory.content_rules(self.office.tenant).await.unwrap();
        let said = self.staff().change_content_rules(&OPERATOR, self.office.tenant, &seen, rules).await;
        said.unwrap();
    }

    async fn signed_in(&self) -> Client {
        let mut client = Client::connect(self.office.submission).await;
        client.say("EHLO laptop.t.test", "250 ").await;
        client.say(&format!("AUTH PLAIN {ANN}"), "235 ").await;
        client
    }
}

/// Feature APR-01 (part): conditions of letters: of those that go at once, later, each alone and as a mailing; the trace names a rule that notes one
#[tokio::test(flavor = "multi_thread")]
async fn rules_are_asked_of_all_that_members_send() {
    let it = Town::open().await;
    let ann = it.key("ann").await;
    let noted = "content:mobile".to_owned();
    let letter = |text: &str| format!("From: ann@t.test\r\nSubject: hello\r\n\r\n{text}");
    it.rule(&rules("secret")).await;
    // What stays inside is not meant.
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], &letter("secret 13812345678")).await;
    it.work().await;
    assert!(!it.reasons().await.contains(&noted));
    hand_in(&it.office, "ann@t.test", &["bob@t.test", "you@far.test"], &letter("call 13812345678")).await;
    it.work().await;
    assert!(it.reasons().await.contains(&noted), "{:?}", it.reasons().await);
    assert_eq!(it.given().len(), 1);

    // A letter for later is asked when it is handed in, and when it goes.
    let mut client = it.signed_in().await;
    for (text, reply) in [("secret", "550 5.7.1 no"), ("tomorrow", "250 2.0.0 queued as ")] {
        client.say("MAIL FROM:<ann@t.test> HOLDFOR=3600", "250 ").await;
        client.say("RCPT TO:<you@far.test>", "250 ").await;
        client.say("DATA", "354 ").await;
        client.say(&format!("{}\r\n.", letter(text)), reply).await;
    }
    it.rule(&rules("tomorrow")).await;
    let held = &it.office.adapter.held;
    let (letters, _) = held.of_account(ann, None, 10).await.unwrap();
    let (now, ids) = (it.office.adapter.clock.now(), &*it.office.adapter.ids);
    held.change(ann, letters[0].id(), &Change::Now, now, ids).await.unwrap();
    it.let_go().await;
    it.work().await;
    let (letters, _) = held.of_account(ann, None, 10).await.unwrap();
    assert!(matches!(letters[0].state, State::Unsent { why: Why::Content, .. }), "{:?}", letters[0].state);
    assert!(it.given().is_empty());
    let told = it.last("ann", "INBOX").await;
    // What IMAP says of it is no field of the message.
    let (_, told) = told.split_once("BODY[] ").unwrap();
    let (_, told) = told.split_once('\n').unwrap();
    let (structure, _) = pennypost_mime::parse(told.as_bytes());
    let told = pennypost_mime::decode_text(&structure, told.as_bytes(), 10_000);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("does not let out"), "{told}");

    // Of a mailing each letter by itself.
    let new = pennypost_admin::NewMailing {
        file: "pay.csv".to_owned(),
        table: "email,name\nyou@far.test,tomorrow\nthey@far.test,13912345678\n".into(),
        subject: "to you".to_owned(),
        body: Some(pennypost_admin::NewBody { html: Some("<p>{{name}}</p>".to_owned()), text: None }),
        ..pennypost_admin::NewMailing::default()
    };
    let staff = it.staff();
    let mailing = staff.add_mailing(&OPERATOR, ann, new).await.unwrap();
    staff.send_mailing(&OPERATOR, ann, mailing.id).await.unwrap();
    it.let_go().await;
    it.work().await;
    let given = it.given();
    let [given] = &given[..] else { panic!("{given:?}") };
    assert_eq!(given.to, ["they@far.test"]);

    // Each alone: asked when it is handed in, too. The session of before knows what held when it first asked.
    let mut client = it.signed_in().await;
    let alone = "From: ann@t.test\r\nX-Pennypost-Individual: yes\r\nSubject: alone\r\n\r\nfor tomorrow";
    client.say("MAIL FROM:<ann@t.test>", "250 ").await;
    client.say("RCPT TO:<you@far.test>", "250 ").await;
    client.say("DATA", "354 ").await;
    client.say(&format!("{alone}\r\n."), "550 5.7.1 no").await;
}
