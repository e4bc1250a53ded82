//! Rules that look into the text of letters, and rules that refuse: from SMTP in to IMAP, and to what senders are told.

use pennypost_admin::DeliveryState;

use super::*;

fn rule(name: &str, moment: Moment, condition: Condition, action: RuleAction) -> Rule {
    let (name, join) = (name.to_owned(), Join::All);
    Rule {
        name,
        enabled: true,
        moment,
        join,
        conditions: vec![condition],
        actions: vec![action],
        stop: false,
    }
}

fn words(word: &str) -> Words {
    Words { join: Join::Any, words: vec![word.to_owned()] }
}

impl Town {
    async fn rules(&self, name: &str, rules: Vec<Rule>) {
        let key = self.key(name).await;
        let before = self.office.directory.member_rules(key).await.unwrap().rules;
        let rules = MemberRules { rules, ..MemberRules::default() };
        assert_eq!(self.office.directory.change_member_rules(key, &before, &rules).await, Ok(true));
    }
}

/// Text that can't be made shorter.
fn noise(lines: usize) -> String {
    let mut state = 1_u64;
    let mut line = || {
        let letters = (0..70).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (state >> 59) as u8 % 26)
        });
        letters.collect::<String>()
    };
    (0..lines).map(|_| line()).collect::<Vec<_>>().join("\r\n")
}

/// Feature RUL-02: the full text, decoded, HTML as text, of small letters and large ones, on receiving and on sending
#[tokio::test(flavor = "multi_thread")]
async fn rules_look_into_texts() {
    let it = Town::open().await;
    let text = || Condition::FullText(words("Settlement report"));
    it.rules("bob", vec![rule("text", Moment::Receive, text(), RuleAction::Delete)]).await;
    it.rules("ann", vec![rule("sent", Moment::Send, text(), RuleAction::Delete)]).await;
    let head = "From: You <you@theirs.test>\r\nTo: bob@t.test\r\nSubject: hello\r\nMIME-Version: 1.0\r\n";
    let html = format!(
        "{head}Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         <p>The <b>SETT=\r\nLEMENT</b>\r\n  report</p>"
    );
    let other = format!("{head}\r\nThe settlement.\r\nA report.");
    let large = format!(
        "{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsettlement\r\nreport\r\n--b\r\n\
         Content-Type: application/x-noise\r\n\r\n{}\r\n--b--",
        noise(12_000)
    );
    for letter in [&html, &other, &large] {
        let reply = it.come_in("you@theirs.test", "bob@t.test", letter).await;
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    }
    it.work().await;
    assert_eq!((it.count("bob", "Trash").await, it.count("bob", "INBOX").await), (2, 1));
    let mine = "From: Ann <ann@t.test>\r\nTo: eve@t.test\r\nSubject: x\r\n\r\nThe settlement\r\nreport";
    hand_in(&it.office, "ann@t.test", &["eve@t.test"], mine).await;
    it.work().await;
    assert_eq!((it.count("ann", "Trash").await, it.count("ann", "Sent").await), (1, 0));
    assert_eq!(it.count("eve", "INBOX").await, 1);
}

/// Feature RUL-03 (part): refused: it lies nowhere, and whoever has certainly sent it is told once; otherwise it is deleted
/// Feature DLV-02 (part): refused by the recipient's rules
#[tokio::test(flavor = "multi_thread")]
async fn rules_refuse_letters() {
    let it = Town::open().await;
    let refuse = RuleAction::Refuse("No offers, please.\n不收广告".to_owned());
    let rules = vec![rule("offers", Moment::Receive, Condition::Subject(words("offer")), refuse)];
    it.rules("bob", rules).await;
    let offer = "From: Ann <ann@t.test>\r\nTo: bob@t.test, eve@t.test\r\nSubject: An offer\r\n\r\nhello";
    hand_in(&it.office, "ann@t.test", &["bob@t.test", "eve@t.test"], offer).await;
    it.work().await;
    for (name, mailbox, count) in [
        ("bob", "INBOX", 0),
        ("bob", "Trash", 0),
        ("bob", "Junk", 0),
        ("eve", "INBOX", 1),
        ("ann", "INBOX", 1),
    ] {
        assert_eq!(it.count(name, mailbox).await, count, "{name} {mailbox}");
    }
    let report = it.office.text("ann", "INBOX").await;
    for said in [
        "Final-Recipient: rfc822; bob@t.test",
        "Action: failed",
        "Status: 5.7.1",
        "bob@t.test: the recipient refuses it and says: No offers, please. 不收广告",
        "收件人拒收，并说明：No offers, please. 不收广告",
        "Subject: An offer",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
    assert!(!report.contains("eve@t.test: "), "{report}");
    let own = it.own().await;
    let states: Vec<(&str, DeliveryState)> =
        own[0].recipients.iter().map(|one| (one.address.as_str(), one.state)).collect();
    assert!(states.contains(&("bob@t.test", DeliveryState::Refused)), "{states:?}");
    assert!(states.contains(&("eve@t.test", DeliveryState::Delivered)), "{states:?}");

    // Another server's: a report to who has sent it.
    let letter = LETTER.replace("Subject: hello", "Subject: Our offer");
    assert!(it.come_in("you@theirs.test", "bob@t.test", &letter).await.starts_with("250 2.0.0 "));
    it.work().await;
    let given = it.given();
    let [told] = &given[..] else { panic!("{given:?}") };
    assert_eq!((&told.to[..], told.reverse_path.as_str()), (&["you@theirs.test".to_owned()][..], ""));
    let (structure, _) = pennypost_mime::parse(told.text.as_bytes());
    let text = pennypost_mime::decode_text(&structure, told.text.as_bytes(), 10_000);
    assert!(told.text.is_ascii(), "some servers take nothing else: {}", told.text);
    assert!(
        told.text.contains("Status: 5.7.1") && text.contains("No offers, please."),
        "{} {text}",
        told.text
    );
    assert_eq!((it.count("bob", "INBOX").await, it.count("bob", "Trash").await), (0, 0));

    // Nobody is told of what has no sender, goes to a group, or comes by a colleague's word: it is deleted.
    assert!(it.come_in("", "bob@t.test", &letter).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert!(it.reasons().await.contains(&"not-refused:no-sender".to_owned()));
    hand_in(&it.office, "ann@t.test", &["staff@t.test"], &offer.replace("bob@t.test, eve@", "staff@")).await;
    it.work().await;
    it.forward("eve", &["bob@t.test"], true).await;
    let to_eve = letter.replace("bob@", "eve@");
    assert!(it.come_in("you@theirs.test", "eve@t.test", &to_eve).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert_eq!((it.count("bob", "INBOX").await, it.count("bob", "Trash").await), (0, 3));
    assert!(it.given().is_empty());
    // Nothing is said of other letters.
    assert!(it.come_in("you@theirs.test", "bob@t.test", LETTER).await.starts_with("250 2.0.0 "));
    it.work().await;
    assert_eq!(it.count("bob", "INBOX").await, 1);
}
