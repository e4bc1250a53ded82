//! What members send, and their rules on sending give to others.

use std::collections::BTreeSet;

use super::*;

const OFFER: &str =
    "From: Ann <ann@t.test>\r\nTo: bob@t.test\r\nSubject: offer\r\nMessage-ID: <7@t.test>\r\n\r\nhello";

/// Feature RUL-03 (part): on sending copies go to others too, each once: to colleagues, and to addresses elsewhere that have agreed
/// Feature RUL-06 (part): copies of what one sends, by a rule, under the same permission
#[tokio::test(flavor = "multi_thread")]
async fn copies_of_what_one_sends_go_to_others_once() {
    let it = Town::open().await;
    it.prove("ann", "ann@far.test").await;
    let ann = it.key("ann").await;
    let to = ["eve@t.test", "bob@t.test", "ann@far.test"].map(address).to_vec();
    let rule = Rule {
        name: "offers".to_owned(),
        enabled: true,
        moment: Moment::Send,
        join: Join::Any,
        conditions: vec![Condition::Subject(Words { join: Join::Any, words: vec!["offer".to_owned()] })],
        actions: vec![RuleAction::Forward(to), RuleAction::Flag],
        stop: false,
    };
    let rules = MemberRules { rules: vec![rule.clone()], ..MemberRules::default() };
    let said = it.office.directory.change_member_rules(ann, &MemberRules::default(), &rules).await;
    assert_eq!(said, Ok(true));
    // Whoever gets a copy may forward what he gets; to her it does not come back a second time.
    it.forward("eve", &["bob@t.test"], true).await;
    hand_in(&it.office, "ann@t.test", &["bob@t.test", "you@theirs.test"], OFFER).await;
    it.work().await;
    let (sent, flags) = it.office.mailbox("ann", "Sent").await;
    assert_eq!((sent, flags.contains("\\Flagged")), (1, true), "{flags}");
    assert_eq!((it.count("bob", "INBOX").await, it.count("eve", "INBOX").await), (1, 1));
    assert_eq!(it.count("ann", "INBOX").await, 0);
    let given = it.given();
    let outside: BTreeSet<&str> = given.iter().flat_map(|one| &one.to).map(String::as_str).collect();
    assert_eq!((given.len(), outside), (2, ["ann@far.test", "you@theirs.test"].into()));
    let copy = given.iter().find(|one| one.to == ["ann@far.test"]).expect("a copy");
    assert!(copy.text.contains("Delivered-To: ann@t.test\r\n"), "{}", copy.text);

    // A letter that stays here is not copied outside: nobody has asked what it may bring there.
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], OFFER).await;
    it.work().await;
    assert_eq!((it.count("eve", "INBOX").await, it.given().len()), (2, 0));

    // What is about something else, and what comes in, goes nowhere.
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], &OFFER.replace("offer", "hello")).await;
    let letter = LETTER.replace("bob@", "ann@").replace("Subject: hello", "Subject: offer");
    assert!(it.come_in("you@theirs.test", "ann@t.test", &letter).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert_eq!((it.count("eve", "INBOX").await, it.given().len()), (2, 0));

    // Nor anything where the organisation lets nobody forward; it is sent as it would be.
    let rules = it.office.directory.forwarding_rules(it.office.tenant).await.unwrap();
    let none = ForwardingRules::default();
    let said = it.office.directory.change_forwarding_rules(it.office.tenant, &rules, &none).await;
    assert_eq!(said, Ok(true));
    hand_in(&it.office, "ann@t.test", &["bob@t.test"], OFFER).await;
    it.work().await;
    assert_eq!((it.count("eve", "INBOX").await, it.given().len()), (2, 0));
    assert_eq!((it.count("ann", "Sent").await, it.count("bob", "INBOX").await), (4, 4));

    // An answer on sending would be to oneself.
    let answering = Rule { actions: vec![RuleAction::Reply("thanks".to_owned())], ..rule };
    let rules = MemberRules { rules: vec![answering], ..MemberRules::default() };
    assert!(rules.check().is_err_and(|error| error.to_string().contains("does not answer")));
}
