//! What members say of what they receive: who has rules, and what becomes of them.

use pennypost_directory::rules::{MAX_SENDERS, RulesFault};
use pennypost_directory::{BinCause, DirectoryError, MemberRules, SaidRules};
use pennypost_ports::{Control, ControlKey, Expected};

use crate::memory::{House, Memory, PASSWORD};

fn refusing(senders: &[&str]) -> MemberRules {
    let blacklist = senders.iter().map(|sender| sender.parse().expect("a sender")).collect();
    MemberRules { blacklist, ..MemberRules::default() }
}

#[tokio::test]
async fn rules_are_said_upon_what_was_seen_and_noted_before() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let ann = directory.add_account("ann@acme.example", PASSWORD, "", None).await.expect("ann").key;
    let bob = directory.add_account("bob@acme.example", PASSWORD, "", None).await.expect("bob").key;
    let (none, some) = (MemberRules::default(), refusing(&["spam.example"]));
    let (policy, members) = directory.policies(ann.tenant).await.expect("read");
    assert!(!members.may_have(ann.account));
    assert_eq!(directory.personal(ann).await.expect("read").version, 0);
    assert_eq!(directory.change_member_rules(ann, &none, &none).await, Ok(true), "nothing is nothing new");
    let key = ControlKey::new(ann.tenant.to_string(), "members-with-rules");
    assert!(!house.disk.keys().contains(&key));

    assert_eq!(directory.change_member_rules(ann, &none, &some).await, Ok(true));
    assert_eq!(
        directory.change_member_rules(ann, &none, &some).await,
        Ok(false),
        "it is something else by now"
    );
    let (same, members) = directory.policies(ann.tenant).await.expect("read");
    assert!(members.may_have(ann.account) && !members.may_have(bob.account));
    assert_eq!(same, policy, "programs that know nothing of rules read it as before");
    assert_eq!(directory.personal(ann).await.expect("read").rules, some);
    let other = refusing(&["other.example"]);
    assert_eq!(directory.change_member_rules(ann, &some, &other).await, Ok(true));
    assert_eq!(directory.change_member_rules(ann, &other, &none).await, Ok(true));
    assert_eq!(
        directory.personal(ann).await.expect("read").version,
        0,
        "who says nothing any more has no item"
    );

    let names: Vec<String> = (0..=MAX_SENDERS).map(|number| format!("{number}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let error = directory.change_member_rules(ann, &none, &refusing(&names)).await;
    let Err(DirectoryError::MemberRules(error)) = error else { panic!("{error:?}") };
    assert_eq!((error.at.as_str(), error.fault), ("/blacklist", RulesFault::Senders));
    let nobody = pennypost_model::AccountKey { account: pennypost_model::AccountId(7), ..ann };
    let error = directory.change_member_rules(nobody, &none, &some).await;
    assert!(matches!(error, Err(DirectoryError::NoAccount(_))), "{error:?}");
}

#[tokio::test]
async fn rules_about_me_know_my_aliases_and_go_with_their_owner() {
    use pennypost_directory::rules::{Condition, Join, Moment, Rule, RuleAction};
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let ann = directory.add_account("ann@acme.example", PASSWORD, "", None).await.expect("ann").key;
    directory.add_alias("info@acme.example", &["ann@acme.example"]).await.expect("alias");
    let rule = Rule {
        name: "mine".to_owned(),
        enabled: true,
        moment: Moment::Receive,
        join: Join::All,
        conditions: vec![Condition::OnlyToMe],
        actions: vec![RuleAction::Flag],
        stop: false,
    };
    let rules = MemberRules { rules: vec![rule], ..MemberRules::default() };
    let none = MemberRules::default();
    assert_eq!(directory.change_member_rules(ann, &none, &rules).await, Ok(true));
    let mut own: Vec<String> =
        directory.personal(ann).await.expect("read").own.iter().map(ToString::to_string).collect();
    own.sort();
    assert_eq!(own, ["ann@acme.example", "info@acme.example"]);
    directory.convert_to_business(ann, "Info").await.expect("converted");
    assert_eq!(directory.member_rules(ann).await, Ok(SaidRules::default()), "what was the person's is gone");
}

#[tokio::test]
async fn nobody_in_the_bin_says_rules() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let ann = directory.add_account("ann@acme.example", PASSWORD, "", None).await.expect("ann").key;
    let (none, some) = (MemberRules::default(), refusing(&["spam.example"]));
    assert_eq!(directory.change_member_rules(ann, &none, &some).await, Ok(true));
    let far = pennypost_directory::MailAddress::parse("me@far.example").expect("an address");
    let code = directory.begin_forward_target(ann, &far).await.expect("written").expect("a code");
    directory.bin_account(ann, BinCause::Deleted).await.expect("in the bin");
    let error = directory.finish_forward_target(ann, &code).await;
    assert!(matches!(error, Err(DirectoryError::InBin(_))), "{error:?}");
    let error = directory.change_member_rules(ann, &some, &none).await;
    assert!(matches!(error, Err(DirectoryError::InBin(_))), "{error:?}");
    assert_eq!(directory.member_rules(ann).await.expect("read").rules, some, "restored with the account");
}

/// What is damaged holds up nobody's mail, and is said anew like what never was.
#[tokio::test]
async fn damaged_rules_are_said_anew() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let ann = directory.add_account("ann@acme.example", PASSWORD, "", None).await.expect("ann").key;
    let bob = directory.add_account("bob@acme.example", PASSWORD, "", None).await.expect("bob").key;
    let (none, some) = (MemberRules::default(), refusing(&["spam.example"]));
    let of_ann = ControlKey::new(format!("{}/rules", ann.tenant), ann.account.to_string());
    let members = ControlKey::new(ann.tenant.to_string(), "members-with-rules");
    for garbage in [&[][..], &[99, 1, 2]] {
        for key in [&of_ann, &members] {
            let said = directory.change_member_rules(ann, &none, &some).await;
            assert_eq!(said, Ok(true), "it is there, or said anew");
            Memory::new(&house.disk).put_if(key, garbage, Expected::Any).await.expect("written");
            assert_eq!(directory.change_member_rules(bob, &none, &some).await, Ok(true), "bob's are his");
            assert_eq!(directory.change_member_rules(bob, &some, &none).await, Ok(true));
            let (_, may) = directory.policies(ann.tenant).await.expect("mail goes on");
            assert!(may.may_have(ann.account), "whoever may have rules is asked");
            let personal = directory.personal(ann).await.expect("mail goes on");
            let said = directory.member_rules(ann).await.expect("shown");
            assert_eq!((personal.unreadable, said.unreadable), (key == &of_ann, key == &of_ann));
            let seen = if key == &of_ann { &none } else { &some };
            assert_eq!(said.rules, *seen);
            assert_eq!(directory.change_member_rules(ann, seen, &none).await, Ok(true));
            assert_eq!(directory.member_rules(ann).await, Ok(SaidRules::default()));
            assert!(!house.disk.keys().contains(&of_ann), "nothing is left of it");
        }
    }
}
