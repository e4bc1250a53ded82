//! Rules about what stands in messages that members hand in.

use std::time::Duration;

use pennypost_directory::content::{ContentAction, ContentCondition, ContentPlace, ContentRule, Detector};
use pennypost_directory::rules::{Join, Words};
use pennypost_directory::{ContentRuleOf, ContentRules, ContentWhom, DepartmentId, SendingTarget};

use crate::office::{Office, settings};
use crate::reach::{ADA, member};
use crate::wire::{Client, stuffed};

fn rule(name: &str, whom: ContentWhom, condition: ContentCondition, action: ContentAction) -> ContentRuleOf {
    let rule = ContentRule {
        name: name.to_owned(),
        enabled: true,
        is_outside_only: false,
        join: Join::All,
        conditions: vec![condition],
        action,
    };
    ContentRuleOf { whom, rule }
}

async fn hand_in(client: &mut Client, parameters: &str, text: &str, reply: &str) {
    client.command(&format!("MAIL FROM:<ada@acme.example>{parameters}"), "250").await;
    client.command("RCPT TO:<bob@acme.example>", "250").await;
    client.command("DATA", "354").await;
    let letter = format!("From: ada@acme.example\r\nSubject: x\r\n\r\n{text}\r\n");
    client.send(&stuffed(letter.as_bytes())).await;
    client.expect(reply).await;
}

/// Feature APR-01 (part): conditions of letters: asked when a member hands one in, by department, tag or account; refused or noted, not yet held for review
#[tokio::test(flavor = "multi_thread")]
async fn rules_refuse_or_note_messages_of_whom_they_name() {
    let mut chosen = settings();
    chosen.limits.recheck = Duration::ZERO;
    let office = Office::open(chosen).await;
    let directory = &office.adapter.directory;
    let ada = directory.account_at(ADA).await.expect("looked").expect("an account").key;
    let sales =
        directory.add_department(office.tenant, DepartmentId::ROOT, "Sales", "").await.expect("added");
    let mut client = member(&office, ADA).await;
    let card = "card 4111 1111 1111 1111";
    hand_in(&mut client, "", card, "250").await;
    assert!(office.accepted().await.pop().expect("a letter").0.source.kind.noted().is_empty());

    let everybody = || ContentWhom { everybody: true, ..ContentWhom::default() };
    let words = |word: &str| {
        let words = Words { join: Join::Any, words: vec![word.to_owned()] };
        ContentCondition::Words(ContentPlace::Text, words)
    };
    let found = ContentCondition::Detected { what: Detector::BankCard, least: 1 };
    let of_sales =
        ContentWhom { named: [SendingTarget::Department(sales.id)].into(), ..ContentWhom::default() };
    let not_ada = ContentWhom { except: [SendingTarget::Account(ada.account)].into(), ..everybody() };
    let refuse = |text: &str| ContentAction::Refuse(text.to_owned());
    let rules = ContentRules {
        rules: vec![
            rule("seen", everybody(), words("plan"), ContentAction::Note),
            rule("cards", of_sales, found, refuse("cards go by the portal only")),
            rule("内部", everybody(), words("内部"), refuse("请勿外发")),
            rule("others", not_ada, words("hello"), refuse("no")),
        ],
    };
    let said = directory.change_content_rules(office.tenant, &ContentRules::default(), &rules).await;
    assert_eq!(said, Ok(true));
    let noted = async |office: &Office| {
        office.accepted().await.pop().map(|(accepted, _)| accepted.source.kind.noted().to_vec())
    };
    // She is in no department yet.
    for (text, rules) in [(card, vec![]), ("hello, the PLAN", vec!["seen".to_owned()])] {
        hand_in(&mut client, "", text, "250").await;
        assert_eq!(noted(&office).await, Some(rules), "{text}");
    }
    directory.set_departments(ada, &[sales.id]).await.expect("said");
    hand_in(&mut client, "", &format!("plan, {card}"), "550 5.7.1 cards go by the portal only").await;
    hand_in(&mut client, "", "内部资料", "550 5.7.1 a rule of your organisation").await;
    hand_in(&mut client, " SMTPUTF8", "内部资料", "550 5.7.1 请勿外发").await;
    assert_eq!(noted(&office).await, None);
    assert_eq!(office.adapter.metrics.refused.with_label_values(&["content"]).get(), 3);
    // What its sender says of reports, and what the organisation puts in, stands beside it.
    hand_in(&mut client, " ENVID=x", "plan", "250").await;
    let (accepted, _) = office.accepted().await.pop().expect("a letter");
    assert!(accepted.source.kind.wishes().is_some() && accepted.source.kind.noted() == ["seen"]);

    // Nothing is said any more.
    let said = directory.change_content_rules(office.tenant, &rules, &ContentRules::default()).await;
    assert_eq!(said, Ok(true));
    hand_in(&mut client, "", &format!("plan, {card}"), "250").await;
    assert_eq!(noted(&office).await, Some(vec![]));
}
