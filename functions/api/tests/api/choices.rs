//! One person, several organisations.

use pennypost_directory::{AddressRule, MobileNumber, Verdict};
use pennypost_model::AccountKey;
use serde_json::{Value, json};

use crate::mobiles::{Bench, NUMBER, bench};
use crate::support::{Answer, OPERATOR, Tenant};

/// A member has proved the number.
async fn prove(it: &Bench, account: AccountKey) {
    let directory = it.office.administration.directory();
    let number = MobileNumber::parse(NUMBER).expect("a number");
    let code = directory.begin_mobile(account, &number).await.expect("begun");
    assert_eq!(directory.finish_mobile(account, &code).await, Ok(true));
}

async fn choose(it: &Bench, selection: &Value, tenant: &Tenant, factor: Option<&str>) -> Answer {
    let chosen = json!({ "selection": selection, "tenant": tenant.id.to_string(), "second_factor": factor });
    it.post("", "/chosen-sessions", chosen).await
}

/// What the session is told.
async fn told(it: &Bench, token: &str) -> Value {
    it.office.ask(token, "POST", "/me/organisations", None).await.json()
}

fn nothing() -> Value {
    json!({ "items": [], "selection": null })
}

async fn signed_in(it: &Bench) -> String {
    it.ask_code(NUMBER, "sign-in").await;
    let code = it.connector.code(NUMBER, "sign-in").await;
    let opened = it.sign_in(NUMBER, &code, None).await;
    opened.json()["token"].as_str().expect("a session").to_owned()
}

/// Feature TEN-16 (part): who has signed in by a mobile number is told in which organisations it is his, and chooses one by what is good once; not by a provider's identity
#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_between_organisations() {
    let it = bench().await;
    let (theirs, others) = (it.office.tenant("theirs").await, it.office.tenant("others").await);
    prove(&it, it.home.member).await;
    prove(&it, theirs.creator).await;
    let token = signed_in(&it).await;
    let list = async |token: &str| told(&it, token).await;
    let told = list(&token).await;
    let mut names: Vec<&str> =
        told["items"].as_array().expect("rows").iter().filter_map(|row| row["name"].as_str()).collect();
    names.sort_unstable();
    let mut expected = [it.home.name.as_str(), theirs.name.as_str()];
    expected.sort_unstable();
    assert_eq!(names, expected, "{told}");
    let selection = told["selection"].clone();
    // Of an organisation where it is nobody's it opens nothing; where it is one's own it opens once.
    choose(&it, &selection, &others, None).await.assert_problem(401, "sign-in-refused");
    let opened = choose(&it, &selection, &theirs, None).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let there = opened.json();
    assert_eq!((&there["tenant"], &there["signed_in_by"]), (&json!(theirs.id.to_string()), &json!("chosen")));
    let me = it.office.ask(there["token"].as_str().expect("a session"), "GET", "/me", None).await.json();
    assert_eq!(me["standing"], "creator", "{me}");
    // A choice leads to no further one: else five minutes could be prolonged for ever.
    let further = list(there["token"].as_str().expect("a session")).await;
    assert_eq!(further, nothing());
    choose(&it, &selection, &theirs, None).await.assert_problem(401, "sign-in-refused");
    choose(&it, &json!(format!("ppc_{}", "0".repeat(64))), &theirs, None)
        .await
        .assert_problem(401, "sign-in-refused");

    // With a second factor there, that is asked for, and the choice is not used up by asking.
    let session = it.office.session(theirs.creator).await;
    let path = format!("/tenants/{}/accounts/{}/second-factor", theirs.id, theirs.creator.account);
    let begun = it.office.ask(&session, "POST", &format!("{path}/authenticator"), None).await.json();
    let secret = begun["secret"].as_str().expect("a secret").to_owned();
    let first = json!({ "code": crate::sessions::code(&secret, 0) });
    let done = it.post(&session, &format!("{path}/authenticator/first-code"), first).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let selection = list(&token).await["selection"].clone();
    choose(&it, &selection, &theirs, None).await.assert_problem(401, "code-needed");
    let factor = crate::sessions::code(&secret, 1);
    let opened = choose(&it, &selection, &theirs, Some(&factor)).await;
    assert_eq!(opened.json()["signed_in_by"], "chosen-and-code", "{}", opened.text);

    // Whoever came otherwise is told of none; what was given ends with the number.
    let by_password = it.office.session(it.home.member).await;
    assert_eq!(list(&by_password).await, nothing());
    let selection = list(&token).await["selection"].clone();
    let own = it.at(it.home.member);
    assert_eq!(it.office.ask(&by_password, "DELETE", &own, None).await.status, 204);
    // Its code would be good.
    it.office.clock.put_forward(30_000);
    let late = crate::sessions::code(&secret, 2);
    choose(&it, &selection, &theirs, Some(&late)).await.assert_problem(401, "sign-in-refused");
    assert_eq!(list(&token).await, nothing());
}

/// What was given ends with the session in which it was asked for, and a number that was proved later than that opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_choice_ends_with_its_session_and_its_number() {
    const OTHER: &str = "+8613800000002";
    let it = bench().await;
    let theirs = it.office.tenant("theirs").await;
    prove(&it, it.home.member).await;
    prove(&it, theirs.creator).await;
    let token = signed_in(&it).await;
    let selection = told(&it, &token).await["selection"].clone();
    assert!(selection.is_string(), "{selection}");
    let directory = it.office.administration.directory();
    assert!(directory.end_sessions(it.home.member, None).await.expect("ended") > 0);
    choose(&it, &selection, &theirs, None).await.assert_problem(401, "sign-in-refused");

    // Who has signed in by one number and proves another one has shown by its code that it is to be bound, and no more.
    let token = signed_in(&it).await;
    let other = MobileNumber::parse(OTHER).expect("a number");
    for account in [it.home.member, theirs.creator] {
        let code = directory.begin_mobile(account, &other).await.expect("begun");
        assert_eq!(directory.finish_mobile(account, &code).await, Ok(true));
    }
    assert_eq!(told(&it, &token).await, nothing());
}

/// For five minutes after signing in somebody is told, and for five minutes after that he chooses.
#[tokio::test(flavor = "multi_thread")]
async fn choices_are_told_and_good_for_five_minutes() {
    const MINUTE: i64 = 60 * 1000;
    let it = bench().await;
    let theirs = it.office.tenant("theirs").await;
    prove(&it, it.home.member).await;
    prove(&it, theirs.creator).await;
    let token = signed_in(&it).await;
    it.office.clock.put_forward(4 * MINUTE);
    let (in_time, too_late) = (told(&it, &token).await, told(&it, &token).await);
    it.office.clock.put_forward(2 * MINUTE);
    assert_eq!(told(&it, &token).await, nothing());
    assert_eq!(choose(&it, &in_time["selection"], &theirs, None).await.status, 201, "{in_time}");
    it.office.clock.put_forward(4 * MINUTE);
    assert!(too_late["selection"].is_string(), "{too_late}");
    choose(&it, &too_late["selection"], &theirs, None).await.assert_problem(401, "sign-in-refused");
}

/// At the organisation that is chosen its own rules hold, as if somebody signed in there; what they refuse is not used up.
#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_the_chosen_organisation_hold() {
    let it = bench().await;
    let theirs = it.office.tenant("theirs").await;
    prove(&it, it.home.member).await;
    prove(&it, theirs.creator).await;
    let token = signed_in(&it).await;
    let selection = told(&it, &token).await["selection"].clone();
    let directory = it.office.administration.directory();
    let allow = vec!["198.51.100.0/24".parse().expect("a network")];
    let elsewhere = AddressRule { allow, deny: Vec::new(), others: Verdict::Deny };
    let say = async |addresses: AddressRule, secure: bool| {
        let mut rules = directory.sign_in_rules(theirs.id).await.expect("rules");
        (rules.addresses, rules.secure) = (addresses, secure);
        directory.set_sign_in_rules(theirs.id, &rules).await.expect("set").expect("as it was");
    };
    say(elsewhere, false).await;
    choose(&it, &selection, &theirs, None).await.assert_problem(403, "elsewhere");
    say(AddressRule::default(), true).await;
    choose(&it, &selection, &theirs, None).await.assert_problem(401, "sign-in-refused");
    say(AddressRule::default(), false).await;
    let administration = &it.office.administration;
    administration.suspend_account(&OPERATOR, theirs.creator, true).await.expect("suspended");
    choose(&it, &selection, &theirs, None).await.assert_problem(401, "sign-in-refused");
    administration.suspend_account(&OPERATOR, theirs.creator, false).await.expect("let in again");
    let opened = choose(&it, &selection, &theirs, None).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
}
