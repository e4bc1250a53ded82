//! What members say of what they receive: who has rules, and what becomes of them.

use pennypost_directory::rules::{MAX_SENDERS, RulesFault};
use pennypost_directory::{DirectoryError, MemberRules};

use crate::memory::{House, PASSWORD};

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
    assert!(!policy.with_rules && !members.may_have(ann.account));
    assert_eq!(directory.personal(ann).await.expect("read").version, 0);
    assert_eq!(directory.change_member_rules(ann, &none, &none).await, Ok(true), "nothing is nothing new");
    assert!(!directory.policies(ann.tenant).await.expect("read").0.with_rules);

    assert_eq!(directory.change_member_rules(ann, &none, &some).await, Ok(true));
    assert_eq!(
        directory.change_member_rules(ann, &none, &some).await,
        Ok(false),
        "it is something else by now"
    );
    let (policy, members) = directory.policies(ann.tenant).await.expect("read");
    assert!(policy.with_rules && members.may_have(ann.account) && !members.may_have(bob.account));
    assert_eq!(directory.personal(ann).await.expect("read").rules, some);
    // Administrators change the policy without knowing of it.
    let changed = directory.update_policy(ann.tenant, |policy| {
        *policy = pennypost_directory::TenantPolicy::default();
        policy.add_to_blacklist("bad.example")
    });
    assert!(changed.await.expect("changed").1.with_rules);
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
    assert_eq!(directory.member_rules(ann).await, Ok(none), "what was the person's is gone");
}
