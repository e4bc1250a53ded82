//! Rules of signing in through the API, and what comes of them for whoever signs in.

use std::net::IpAddr;

use pennypost_admin::Permissions;
use pennypost_directory::{Attempt, SignInError, SignInKind};
use serde_json::{Value, json};

use crate::support::{Office, Tenant};

const PASSWORD: &str = "a long password";
/// From where the tests call.
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9));

struct Bench {
    office: Office,
    home: Tenant,
    key: String,
}

async fn bench() -> Bench {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    Bench { office, home, key }
}

impl Bench {
    async fn ask(&self, key: &str, method: &str, path: &str, body: Option<&Value>) -> crate::support::Answer {
        self.office.ask(key, method, &format!("/tenants/{}{path}", self.home.id), body).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(&self.key, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// Changes the tenant's rules.
    async fn say(&self, change: impl FnOnce(&mut Value)) -> crate::support::Answer {
        let mut rules = self.get("/sign-in-rules").await;
        change(&mut rules);
        self.ask(&self.key, "PUT", "/sign-in-rules", Some(&rules)).await
    }

    async fn imap(&self, client: IpAddr, password: &str) -> Result<(), SignInError> {
        let login = format!("member@{}", self.home.domain);
        let attempt = Attempt::new(SignInKind::Imap, "PLAIN", client);
        self.office.administration.directory().sign_in(&attempt, &login, password).await.map(drop)
    }
}

fn abroad(number: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, number])
}

/// Feature AUT-16: wrong passwords lock an account; list of locked accounts, unlock one by one or those that are ticked; lock records in the log of sign-ins
/// Feature AUT-17: networks from which wrong passwords never lock, as a list to add to and remove from
/// Feature LOG-05: sign-ins by account, period, kind and result, with lock records, address, way and program; accounts that were not signed in to
/// Feature LOG-11: no page yet; a member's own sign-ins with time, address, way, result and error code
#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_locked_listed_unlocked_and_recorded() {
    let it = bench().await;
    let member = it.home.member.account.to_string();
    it.say(|rules| rules["lock"]["count"] = json!(3)).await;
    for _ in 0..3 {
        assert_eq!(it.imap(abroad(1), "wrong").await, Err(SignInError::Denied));
    }
    assert!(matches!(it.imap(abroad(2), PASSWORD).await, Err(SignInError::Locked { .. })));
    let locks = it.get("/locks").await;
    assert_eq!(locks["items"][0]["account"], json!(member), "{locks}");
    assert_eq!(locks["items"][0]["from"], json!("203.0.113.1"));
    let unlocked = it.ask(&it.key, "DELETE", &format!("/locks/{member}"), None).await;
    assert_eq!(unlocked.status, 204, "{}", unlocked.text);
    assert_eq!(it.get("/locks").await["items"], json!([]));
    it.imap(abroad(2), PASSWORD).await.expect("unlocked");
    // Those that are ticked: all or none.
    for (accounts, status) in [
        (json!([member, "00000000000000aa"]), 404),
        (json!([member, "x"]), 422),
        (json!([member, it.home.graded.account.to_string()]), 204),
    ] {
        let body = json!({ "accounts": accounts });
        let answer = it.ask(&it.key, "POST", "/locks/unlock", Some(&body)).await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    it.say(|rules| rules["lock"]["trusted"] = json!(["203.0.113.0/24"])).await;
    for _ in 0..4 {
        assert_eq!(it.imap(abroad(3), "wrong").await, Err(SignInError::Denied));
    }
    assert_eq!(it.get("/locks").await["items"], json!([]));

    it.office.administration.directory().sign_in_log().expect("recorded").finish().await;
    let outcomes = async |path: &str| -> Vec<String> {
        let items = it.get(path).await["items"].as_array().expect("a list").clone();
        items.iter().map(|item| item["outcome"].as_str().expect("a name").to_owned()).collect()
    };
    let all = outcomes("/sign-ins").await;
    for expected in ["ok", "wrong-password", "locked", "lock-began", "unlocked"] {
        assert!(all.iter().any(|outcome| outcome == expected), "{expected}: {all:?}");
    }
    assert_eq!(outcomes("/sign-ins?kind=lock").await, ["lock-began", "unlocked"]);
    assert_eq!(outcomes("/sign-ins?result=ok&kind=client").await, ["ok"]);
    assert_eq!(outcomes("/sign-ins?kind=web").await, [""; 0]);
    assert_eq!(outcomes("/sign-ins?to=2020-01-01").await, [""; 0]);
    let own = office_key_of_member(&it).await;
    let mine = it.ask(&own, "GET", &format!("/accounts/{member}/sign-ins?result=failed"), None).await;
    assert_eq!(mine.status, 200, "{}", mine.text);
    assert!(mine.json()["items"].as_array().is_some_and(|items| items.len() >= 3), "{}", mine.text);
    it.ask(&own, "GET", "/sign-ins", None).await.assert_problem(403, "no-permission");

    let days = it.get("/sign-in-statistics").await;
    let today = days["items"].as_array().and_then(|days| days.last()).expect("today").clone();
    assert_eq!((&today["imap"], &today["accounts"], &today["locked"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(today["failed"], json!(8), "{today}");
    let absent = it.get("/not-signed-in").await;
    let absent: Vec<&Value> =
        absent["items"].as_array().expect("a list").iter().map(|one| &one["account"]).collect();
    assert!(absent.len() >= 3 && !absent.contains(&&json!(member)), "{absent:?}");
    let csv = [("accept", "text/csv")];
    let path = format!("/tenants/{}/sign-ins?kind=lock", it.home.id);
    let answer = it.office.ask_with(&it.key, "GET", &path, &csv, None).await;
    assert!(
        answer.text.starts_with("first,last,count,login,") && answer.text.contains(",lock-began"),
        "{}",
        answer.text
    );
    let path = format!("/tenants/{}/sign-in-statistics", it.home.id);
    let answer = it.office.ask_with(&it.key, "GET", &path, &csv, None).await;
    assert!(answer.text.lines().count() == 31, "{}", answer.text);
}

/// A key with which the member acts, whatever he may.
async fn office_key_of_member(it: &Bench) -> String {
    it.office.key(Some(it.home.id), Some(it.home.member), Permissions::of_tenant()).await
}

/// Feature AUT-14: one list of addresses for all: single ones and ranges; departments and people who are not limited
/// Feature AUT-15: default rule for all and rules for single members: allow, deny, and all others; IPv4 and IPv6
#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_allowed_and_denied() {
    let it = bench().await;
    let member = it.home.member.account.to_string();
    let own = office_key_of_member(&it).await;
    let only = |network: &str| json!({ "allow": [network], "deny": [], "others": "deny" });
    // Nobody locks himself out without saying so.
    let excluded = it.say(|rules| rules["addresses"] = only("203.0.113.1-203.0.113.9")).await;
    excluded.assert_problem(409, "other-state");
    let mut rules = it.get("/sign-in-rules").await;
    rules["addresses"] = only("203.0.113.1-203.0.113.9");
    let forced = it.ask(&it.key, "PUT", "/sign-in-rules?force=true", Some(&rules)).await;
    assert_eq!(forced.status, 200, "{}", forced.text);
    assert_eq!(it.imap(HERE, PASSWORD).await, Err(SignInError::Elsewhere));
    it.imap(abroad(9), PASSWORD).await.expect("from there");
    assert_eq!(it.imap(abroad(10), PASSWORD).await, Err(SignInError::Elsewhere));
    // Keys of members as well; a program's key is not a member's sign-in.
    it.office.ask(&own, "GET", "/me", None).await.assert_problem(403, "elsewhere");
    it.get("/sign-in-rules").await;

    rules["exempt"]["accounts"] = json!([member]);
    it.ask(&it.key, "PUT", "/sign-in-rules?force=true", Some(&rules)).await;
    it.imap(HERE, PASSWORD).await.expect("exempt");
    let path = format!("/accounts/{member}/sign-in-rules");
    let single = json!({ "addresses": { "allow": [], "deny": ["192.0.2.0/24", "2001:db8::/32"], "others": "allow" }, "secure_forced": false });
    let set = it.ask(&it.key, "PUT", &path, Some(&single)).await;
    assert_eq!(set.status, 200, "{}", set.text);
    assert_eq!(it.imap(HERE, PASSWORD).await, Err(SignInError::Elsewhere));
    assert_eq!(
        it.imap("2001:db8::7".parse().expect("an address"), PASSWORD).await,
        Err(SignInError::Elsewhere)
    );
    it.imap("::ffff:198.51.100.1".parse().expect("an address"), PASSWORD).await.expect("all others");

    for (list, place) in
        [(json!(["x"]), 0), (json!(["192.0.2.1", "192.0.2.9/24"]), 1), (json!(["9.9.9.9-1.1.1.1"]), 0)]
    {
        let bad = it.say(|rules| rules["addresses"]["deny"] = list).await;
        bad.assert_problem(422, "invalid");
        assert!(bad.text.contains(&format!("/addresses/deny/{place}")), "{}", bad.text);
    }
    let nobody =
        it.say(|rules| rules["addresses"] = json!({ "allow": [], "deny": [], "others": "deny" })).await;
    nobody.assert_problem(422, "invalid");
}

/// Feature AUT-13: rules for passwords by tenant: length, kinds of characters, capitals, no sequences, no names, not one of the last ones; checked wherever one is set
/// Feature AUT-06: a password that an administrator gives is marked to be changed at the first sign-in; the sign-in page that asks for it is not built yet
/// Feature AUT-05: a member sets another password: the old one and the new one; no page yet
/// Feature LOG-07: what members did to their own accounts, such as another password, with details
#[tokio::test(flavor = "multi_thread")]
async fn passwords_follow_the_rules_of_the_tenant() {
    let it = bench().await;
    let member = it.home.member.account.to_string();
    let strict = it
        .say(|rules| {
            rules["passwords"]["classes"] = json!(3);
            rules["passwords"]["capital"] = json!(true);
            rules["passwords"]["no_sequences"] = json!(true);
            rules["passwords"]["no_account_name"] = json!(true);
            rules["passwords"]["history"] = json!(2);
        })
        .await;
    assert_eq!(strict.status, 200, "{}", strict.text);
    let path = format!("/accounts/{member}/password");
    let weak = it.ask(&it.key, "PUT", &path, Some(&json!({ "password": "member123" }))).await;
    weak.assert_problem(422, "invalid");
    for part in ["kinds", "capital letter", "in a row", "name of the account"] {
        assert!(weak.text.contains(part), "{part}: {}", weak.text);
    }
    let new = json!({ "address": format!("new@{}", it.home.domain), "password": "all small letters" });
    it.ask(&it.key, "POST", "/accounts", Some(&new)).await.assert_problem(422, "invalid");

    let given = json!({ "password": "Wc2!pVr4eB", "must_change": true });
    assert_eq!(it.ask(&it.key, "PUT", &path, Some(&given)).await.status, 204);
    it.say(|rules| rules["passwords"]["lifetime_days"] = json!(90)).await;
    let age = it.get(&path).await;
    assert_eq!((&age["is_set"], &age["must_change"]), (&json!(true), &json!(true)), "{age}");
    assert!(age["expires"].as_str() > age["since"].as_str(), "{age}");
    let given = json!({ "password": "Xd3!qWs5fC" });
    assert_eq!(it.ask(&it.key, "PUT", &path, Some(&given)).await.status, 204);
    assert_eq!(it.get(&path).await["must_change"], json!(false));

    let own = office_key_of_member(&it).await;
    let change = async |old: &str, new: &str| {
        it.ask(&own, "POST", &path, Some(&json!({ "old": old, "new": new }))).await
    };
    change("not it", "Rx7!kQm9zW").await.assert_problem(403, "wrong-password");
    let changed = change("Xd3!qWs5fC", "Rx7!kQm9zW").await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    assert_eq!(it.imap(HERE, PASSWORD).await, Err(SignInError::Denied));
    it.imap(HERE, "Rx7!kQm9zW").await.expect("the new one");
    change("Rx7!kQm9zW", "Rx7!kQm9zW").await.assert_problem(422, "invalid");
    change("Rx7!kQm9zW", "rx7").await.assert_problem(422, "invalid");
    let operations = it.get("/operations").await;
    let is_it = |one: &&Value| one["action"] == "account.own-password" && one["by"] == one["object"];
    assert!(operations["items"].as_array().expect("a list").iter().any(|one| is_it(&one)), "{operations}");
    assert!(!operations.to_string().contains("Rx7!"), "{operations}");
    let mine = it.get("/operations?own=true").await;
    let mine = mine["items"].as_array().expect("a list");
    assert!(!mine.is_empty() && mine.iter().all(|one| one["by"] == one["object"]), "{mine:?}");
}

/// Feature AUT-08: a member's secure sign-in: the password opens mail programs no more, tokens do; sign-in pages are not built yet
/// Feature AUT-09: secure sign-in forced by an administrator for all or for some; members cannot undo it
#[tokio::test(flavor = "multi_thread")]
async fn secure_sign_in_is_the_members_or_forced() {
    let it = bench().await;
    let member = it.home.member.account.to_string();
    let own = office_key_of_member(&it).await;
    let switch = async |secure: bool| {
        let path = format!("/accounts/{member}/secure-sign-in");
        it.ask(&own, "PUT", &path, Some(&json!({ "secure": secure }))).await
    };
    assert_eq!(switch(true).await.json()["secure"], json!(true));
    assert_eq!(it.imap(HERE, PASSWORD).await, Err(SignInError::Closed));
    let tokens = format!("/accounts/{member}/tokens");
    let token = it.ask(&own, "POST", &tokens, Some(&json!({ "name": "phone" }))).await.json();
    it.imap(HERE, token["token"].as_str().expect("a token")).await.expect("by token");
    let listed = it.ask(&own, "GET", &tokens, None).await.json();
    let phone = listed["items"].as_array().expect("a list").iter().find(|one| one["name"] == "phone");
    assert_eq!(phone.expect("listed")["used"]["address"], json!("192.0.2.9"), "{listed}");
    assert_eq!(switch(false).await.status, 200);
    it.imap(HERE, PASSWORD).await.expect("off again");

    let path = format!("/accounts/{member}/sign-in-rules");
    let forced = json!({ "addresses": null, "secure_forced": true });
    it.ask(&own, "PUT", &path, Some(&forced)).await.assert_problem(403, "no-permission");
    assert_eq!(it.ask(&it.key, "PUT", &path, Some(&forced)).await.status, 200);
    assert_eq!(it.imap(HERE, PASSWORD).await, Err(SignInError::Closed));
    switch(false).await.assert_problem(409, "other-state");
    assert_eq!(
        it.ask(&it.key, "PUT", &path, Some(&json!({ "addresses": null, "secure_forced": false })))
            .await
            .status,
        200
    );
    it.imap(HERE, PASSWORD).await.expect("no longer forced");
    it.say(|rules| rules["secure"] = json!(true)).await;
    assert_eq!(it.imap(HERE, PASSWORD).await, Err(SignInError::Closed));
    switch(false).await.assert_problem(409, "other-state");
}
