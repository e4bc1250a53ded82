//! Domains through the API, with a zone that the test writes.

use pennypost_admin::Permissions;
use pennypost_ports::DnsRecord;
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant};

struct Bench {
    office: Office,
    home: Tenant,
    key: String,
    operator: String,
    /// A name that nobody else has.
    name: String,
}

async fn bench() -> Bench {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let operator = office.key(None, None, Permissions::all()).await;
    let name = format!("own{:016x}.example", rand::random::<u64>());
    Bench { office, home, key, operator, name }
}

impl Bench {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.office.ask(&self.key, method, &format!("/tenants/{}{path}", self.home.id), body.as_ref()).await
    }

    async fn by_operator(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let path = format!("/tenants/{}{path}", self.home.id);
        self.office.ask(&self.operator, method, &path, body.as_ref()).await
    }

    /// Sets what the API wants of a subject.
    fn set(&self, records: &Value, subject: &str) {
        let wanted = records["wanted"].as_array().expect("records");
        for record in wanted.iter().filter(|record| record["subject"] == subject) {
            let text = |field: &str| record[field].as_str().expect("text").to_owned();
            let record = match text("type").as_str() {
                "TXT" => DnsRecord::Txt(text("value")),
                "CNAME" => DnsRecord::Cname(text("value")),
                "MX" => {
                    let value = text("value");
                    let (preference, host) = value.split_once(' ').expect("two words");
                    let preference = preference.parse().expect("a number");
                    DnsRecord::Mx { preference, host: host.to_owned() }
                }
                other => panic!("what is {other}?"),
            };
            self.office.zone.set(&text("name"), record);
        }
    }

    fn found(records: &Value, subject: &str) -> (String, Value) {
        let found = records["found"].as_array().expect("found");
        let one = found.iter().find(|one| one["subject"] == subject).unwrap_or_else(|| panic!("{subject}"));
        (one["verdict"].as_str().expect("a verdict").to_owned(), one["faults"].clone())
    }
}

/// Feature DOM-02: a tenant's administrator adds own domains; no members under a domain before its state is active
/// Feature DOM-06: MX records to be set with exact values, others to be deleted
/// Feature DOM-07: check of resolution at once, lock until valid, marks in the list
/// Feature DOM-08: ownership by a text or an alias of 8 random hex digits
/// Feature DOM-09: SPF, soft or hard, evaluated as receivers do
/// Feature DOM-12: list and details with states and actions; no moving and renewing of bought ones, no home page yet
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_claimed_proved_and_checked() {
    let it = bench().await;
    let at = |rest: &str| format!("/domains/{}{rest}", it.name);
    let made = it.ask("POST", "/domains", Some(json!({ "name": it.name }))).await;
    assert_eq!((made.status.as_u16(), &made.json()["state"]), (201, &json!("pending")), "{}", made.text);
    // A claim is no domain: nothing is given in it, mail to it is not ours.
    let account = json!({ "address": format!("ann@{}", it.name), "password": "a long password" });
    it.ask("POST", "/accounts", Some(account.clone())).await.assert_problem(422, "unknown-reference");
    it.ask("PATCH", &at(""), Some(json!({ "catch_all": format!("member@{}", it.home.domain) })))
        .await
        .assert_problem(409, "other-state");
    let records = it.ask("GET", &at("/records"), None).await.json();
    let ownership = &records["wanted"][0];
    assert_eq!(ownership["name"], format!("_pennypost-challenge.{}", it.name));
    let line = ownership["line"].as_str().expect("a line");
    assert!(line.contains(" 3600 IN TXT \"pennypost-verification="), "{line}");
    let verified = it.ask("POST", &at("/verification"), None).await.json();
    assert_eq!(
        (&verified["domain"]["state"], &verified["found"]["verdict"]),
        (&json!("pending"), &json!("missing"))
    );
    assert_eq!(verified["found"]["faults"][0]["zh-CN"], "没有该记录");
    it.set(&records, "ownership");
    let verified = it.ask("POST", &at("/verification"), None).await.json();
    assert_eq!(verified["domain"]["state"], "proved", "{verified}");

    // Locked until mail is brought.
    let locked = it.ask("PUT", "/domain-rules", Some(json!({ "lock_until_active": true }))).await;
    assert_eq!(locked.status, 200, "{}", locked.text);
    let refused = it.ask("POST", "/accounts", Some(account.clone())).await;
    assert!(refused.assert_problem(409, "other-state")["detail"].as_str().expect("why").contains("MX"));
    let checked = it.ask("POST", &at("/check"), None).await.json();
    assert_eq!(Bench::found(&checked, "mx").0, "missing");
    assert_eq!(checked["domain"]["health"]["needs_attention"], true);
    assert!(checked["domain"]["health"]["without_mail_since"].is_string(), "{checked}");
    for subject in ["mx", "spf", "dmarc"] {
        it.set(&checked, subject);
    }
    it.office.zone.set("mx.post.example", DnsRecord::Address([192, 0, 2, 10].into()));
    let checked = it.ask("POST", &at("/check"), None).await.json();
    for subject in ["mx", "spf", "dmarc"] {
        assert_eq!(Bench::found(&checked, subject).0, "good", "{checked}");
    }
    assert_eq!(checked["domain"]["state"], "active");
    assert_eq!(checked["domain"]["health"]["is_protected"], true);
    let added = it.ask("POST", "/accounts", Some(account)).await;
    assert_eq!(added.status, 201, "{}", added.text);

    // What was found stays to be read; the list has its mark.
    let kept = it.ask("GET", &at("/records"), None).await.json();
    assert_eq!(kept["found"], checked["found"]);
    let list = it.ask("GET", "/domains", None).await.json();
    let listed = list["items"].as_array().expect("rows").iter().find(|row| row["name"] == it.name);
    assert_eq!(listed.expect("listed")["state"], "active");

    // Wrong again: told what, and no longer active.
    let elsewhere = DnsRecord::Mx { preference: 5, host: "mx.elsewhere.example".to_owned() };
    it.office.zone.set(&it.name, elsewhere);
    let spf = DnsRecord::Txt("v=spf1 include:nobody.example -all".to_owned());
    it.office.zone.set(&it.name, spf);
    let checked = it.ask("POST", &at("/check"), None).await.json();
    let (verdict, faults) = Bench::found(&checked, "mx");
    assert_eq!((verdict.as_str(), &checked["domain"]["state"]), ("wrong", &json!("proved")));
    assert!(faults[0]["en"].as_str().expect("why").contains("other servers"), "{faults}");
    let (verdict, faults) = Bench::found(&checked, "spf");
    assert_eq!(verdict, "wrong");
    assert!(faults[0]["zh-CN"].as_str().expect("why").contains("nobody.example"), "{faults}");
}

/// Feature DOM-13: a removal tells its counts, is confirmed, and puts the accounts into the recycle bin; one tenant only
#[tokio::test(flavor = "multi_thread")]
async fn claims_block_nobody_and_removals_are_confirmed() {
    let it = bench().await;
    let other = it.office.tenant("other").await;
    let key = it.office.key(Some(other.id), None, Permissions::of_tenant()).await;
    let claim = json!({ "name": it.name });
    let at = |rest: &str| format!("/tenants/{}/domains/{}{rest}", other.id, it.name);
    // Somebody claims it before its owner does.
    let squatter = it.office.ask(&key, "POST", &format!("/tenants/{}/domains", other.id), Some(&claim)).await;
    assert_eq!(squatter.status, 201);
    assert_eq!(it.ask("POST", "/domains", Some(claim.clone())).await.status, 201);
    it.ask("POST", "/domains", Some(claim)).await.assert_problem(409, "taken");
    let ours = format!("/domains/{}", it.name);
    let records = it.ask("GET", &format!("{ours}/records"), None).await.json();
    it.set(&records, "ownership");
    let verified = it.ask("POST", &format!("{ours}/verification"), None).await.json();
    assert_eq!(verified["domain"]["state"], "proved");
    // The squatter shows nothing; with the zone's word it is told that another one has it.
    let refused = it.office.ask(&key, "POST", &at("/verification"), None).await.json();
    assert_eq!(
        (&refused["domain"]["state"], &refused["found"]["verdict"]),
        (&json!("pending"), &json!("wrong"))
    );
    let records = it.office.ask(&key, "GET", &at("/records"), None).await.json();
    it.set(&records, "ownership");
    let conflict = it.office.ask(&key, "POST", &at("/verification"), None).await.json();
    assert_eq!(conflict["domain"]["state"], "conflict");

    // An operator closes it, and opens it again.
    let suspension = format!("{ours}/suspension");
    let closed = it.by_operator("PUT", &suspension, Some(json!({ "suspended": true }))).await.json();
    assert_eq!(closed["state"], "suspended");
    let resolved = it.office.administration.directory().resolve(&format!("x@{}", it.name)).await;
    assert!(matches!(resolved, Ok(pennypost_directory::Resolved::Suspended { .. })), "{resolved:?}");
    it.by_operator("PUT", &suspension, Some(json!({ "suspended": false }))).await;

    // What goes with it is told, and confirmed as it was told.
    let ann = json!({ "address": format!("ann@{}", it.name), "password": "a long password" });
    let ann = it.ask("POST", "/accounts", Some(ann)).await.json();
    let group = json!({ "address": format!("all@{}", it.name), "members": [format!("ann@{}", it.name)] });
    assert_eq!(it.ask("POST", "/groups", Some(group)).await.status, 201);
    let removal = it.ask("GET", &format!("{ours}/removal"), None).await.json();
    assert_eq!((&removal["accounts"], &removal["groups"]), (&json!(1), &json!(1)));
    let code = removal["confirmation"].as_str().expect("a code");
    it.ask("DELETE", &ours, None).await.assert_problem(400, "bad-parameter");
    it.ask("DELETE", &format!("{ours}?confirmation=yes"), None).await.assert_problem(409, "other-state");
    let gone = it.ask("DELETE", &format!("{ours}?confirmation={code}"), None).await;
    assert_eq!((gone.status.as_u16(), &gone.json()["gone"]), (200, &json!(true)), "{}", gone.text);
    it.ask("GET", &ours, None).await.assert_problem(404, "not-found");
    let directory = it.office.administration.directory();
    let binned = directory.binned(it.home.id, &Default::default()).await.expect("the bin").items;
    let id = ann["id"].as_str().expect("an id");
    assert!(binned.iter().any(|one| one.key.account.to_string() == id), "{binned:?}");
    let resolved = directory.resolve(&format!("ann@{}", it.name)).await;
    assert_eq!(resolved, Ok(pennypost_directory::Resolved::UnknownDomain));
    // Now it can be the other tenant's.
    let proved = it.office.ask(&key, "POST", &at("/verification"), None).await.json();
    assert_eq!(proved["domain"]["state"], "proved");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_for_signatures_wait_for_their_records_and_take_over() {
    let it = bench().await;
    it.by_operator("POST", "/domains", Some(json!({ "name": it.name }))).await;
    let at = |rest: &str| format!("/domains/{}{rest}", it.name);
    let keys = at("/dkim/keys");
    let bad = it.ask("POST", &keys, Some(json!({ "algorithm": "rsa-1024" }))).await;
    bad.assert_problem(400, "bad-body");
    let made = it.ask("POST", &keys, Some(json!({ "algorithm": "ed25519" }))).await;
    assert_eq!((made.status.as_u16(), &made.json()["state"]), (201, &json!("waiting")), "{}", made.text);
    let first = made.json()["selector"].as_str().expect("a selector").to_owned();
    assert!(made.header("location").ends_with(&format!("/dkim/keys/{first}")));
    let again = it.ask("POST", &keys, Some(json!({ "algorithm": "ed25519" }))).await;
    again.assert_problem(409, "other-state");

    // Told among the records of the domain, and found there.
    let checked = it.ask("POST", &at("/check"), None).await.json();
    assert_eq!(Bench::found(&checked, "dkim").0, "missing");
    it.set(&checked, "dkim");
    let checked = it.ask("POST", &at("/check"), None).await.json();
    assert_eq!(Bench::found(&checked, "dkim").0, "good", "{checked}");
    let listed = it.ask("GET", &keys, None).await.json();
    assert_eq!((&listed["items"][0]["state"], &listed["next"]), (&json!("active"), &Value::Null));

    // Another record in its place is no reason to change anything, and told.
    let name = format!("{first}._domainkey.{}", it.name);
    it.office.zone.set(&name, DnsRecord::Txt("v=DKIM1; k=ed25519; p=AAAA".to_owned()));
    let checked = it.ask("POST", &at("/check"), None).await.json();
    let (verdict, faults) = Bench::found(&checked, "dkim");
    assert_eq!(verdict, "wrong");
    assert!(faults[0]["zh-CN"].as_str().expect("why").contains("密钥"), "{faults}");
    it.set(&checked, "dkim");

    // The next one takes over when it is published.
    let made = it.ask("POST", &keys, Some(json!({ "algorithm": "ed25519" }))).await.json();
    let second = made["selector"].as_str().expect("a selector").to_owned();
    assert_eq!(second, format!("{first}-2"));
    let states = async || {
        let listed = it.ask("GET", &keys, None).await.json();
        let items = listed["items"].as_array().expect("rows").iter();
        items.map(|key| key["state"].as_str().expect("a state").to_owned()).collect::<Vec<_>>()
    };
    let checked = it.ask("POST", &at("/check"), None).await.json();
    assert_eq!(states().await, ["active", "waiting"]);
    it.set(&checked, "dkim");
    it.ask("POST", &at("/check"), None).await;
    assert_eq!(states().await, ["retiring", "active"]);
    let gone = it.ask("DELETE", &format!("{keys}/{second}"), None).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    it.ask("DELETE", &format!("{keys}/{second}"), None).await.assert_problem(404, "not-found");
    assert_eq!(states().await, ["retiring", "removed"]);

    let rotation = at("/dkim/rotation");
    let read = it.ask("GET", &rotation, None).await;
    assert_eq!(read.json(), json!({ "after_days": 180, "publish_days": 7 }));
    let (path, tag) = (format!("/tenants/{}{rotation}", it.home.id), read.header("etag").to_owned());
    let change = async |days: u16| {
        let body = json!({ "after_days": days, "publish_days": 7 });
        it.office.ask_with(&it.key, "PUT", &path, &[("if-match", &tag)], Some(&body)).await
    };
    change(3).await.assert_problem(422, "invalid");
    assert_eq!(change(365).await.json()["after_days"], 365);
    change(90).await.assert_problem(412, "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_for_tls_are_published_for_whom_they_were_said() {
    let it = bench().await;
    it.by_operator("POST", "/domains", Some(json!({ "name": it.name }))).await;
    let at = |rest: &str| format!("/domains/{}{rest}", it.name);
    let host = format!("mta-sts.{}", it.name);
    let served = async |host: &str| it.office.get_at(host, "/.well-known/mta-sts.txt").await;
    served(&host).await.assert_problem(404, "not-found");
    let none = it.ask("GET", &at("/mta-sts"), None).await.json();
    assert_eq!((&none["mode"], &none["text"]), (&Value::Null, &Value::Null));
    let wanted = |records: &Value| {
        let wanted = records["wanted"].as_array().expect("records").clone();
        wanted.into_iter().find(|record| record["subject"] == "mta-sts")
    };
    assert_eq!(wanted(&it.ask("GET", &at("/records"), None).await.json()), None);
    let short = it.ask("PUT", &at("/mta-sts"), Some(json!({ "mode": "enforce", "max_age": 60 }))).await;
    short.assert_problem(422, "invalid");
    let said = it.ask("PUT", &at("/mta-sts"), Some(json!({ "mode": "testing" }))).await;
    assert_eq!((said.status.as_u16(), &said.json()["max_age"]), (200, &json!(604_800)), "{}", said.text);

    // By its name only, in whatever letters and on whatever port.
    let policy = "version: STSv1\r\nmode: testing\r\nmx: mx.post.example\r\nmax_age: 604800\r\n";
    for host in [host.clone(), format!("{host}:443"), host.to_uppercase()] {
        let answer = served(&host).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, policy), "{host}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let long = format!("mta-sts.{}", "a".repeat(8_000));
    for host in
        [it.name.as_str(), "mta-sts.nobody.example", "mta-sts.", "mta-sts", "mta-sts..", "[::1]:8", "", &long]
    {
        served(host).await.assert_problem(404, "not-found");
    }
    let other = it.home.domain.clone();
    served(&format!("mta-sts.{other}")).await.assert_problem(404, "not-found");

    // The record follows the policy.
    let records = it.ask("GET", &at("/records"), None).await.json();
    let before = wanted(&records).expect("wanted");
    assert_eq!(before["value"], format!("v=STSv1; id={}", said.json()["id"].as_str().expect("an id")));
    let tag = said.header("etag").to_owned();
    let path = format!("/tenants/{}{}", it.home.id, at("/mta-sts"));
    let put = async |mode: &str| {
        let body = json!({ "mode": mode });
        it.office.ask_with(&it.key, "PUT", &path, &[("if-match", &tag)], Some(&body)).await
    };
    assert_eq!(put("enforce").await.json()["mode"], "enforce");
    put("none").await.assert_problem(412, "changed");
    let after = wanted(&it.ask("GET", &at("/records"), None).await.json()).expect("wanted");
    assert_ne!(before["value"], after["value"]);
    assert!(served(&host).await.text.contains("mode: enforce"));
    let ended = it.ask("PUT", &at("/mta-sts"), Some(json!({ "mode": "none", "max_age": 86_400 }))).await;
    assert_eq!(ended.json()["text"], "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n");

    // With the domain goes its policy.
    let removal = it.ask("GET", &at("/removal"), None).await.json();
    let code = removal["confirmation"].as_str().expect("a code");
    it.ask("DELETE", &at(&format!("?confirmation={code}")), None).await;
    served(&host).await.assert_problem(404, "not-found");
    it.by_operator("POST", "/domains", Some(json!({ "name": it.name }))).await;
    served(&host).await.assert_problem(404, "not-found");
}

/// Feature DOM-12: alias domains; no bought and gifted domains
#[tokio::test(flavor = "multi_thread")]
async fn an_alias_domain_stands_for_another() {
    let it = bench().await;
    it.by_operator("POST", "/domains", Some(json!({ "name": it.name }))).await;
    let alias = format!("/domains/{}/alias", it.name);
    let set = it.ask("PUT", &alias, Some(json!({ "of": it.home.domain }))).await;
    assert_eq!(set.json()["alias_of"], json!(it.home.domain), "{}", set.text);
    let directory = it.office.administration.directory();
    let (said, own) = (format!("Member+x@{}", it.name), format!("member@{}", it.home.domain));
    let pennypost_directory::Resolved::Local { recipients, .. } =
        directory.resolve(&said).await.expect("resolves")
    else {
        panic!("nobody")
    };
    assert_eq!((recipients[0].account, recipients[0].address.as_str()), (it.home.member, said.as_str()));
    let login = format!("member@{}", it.name);
    let client = [192, 0, 2, 1].into();
    let signed = directory.authenticate(&login, "a long password", client).await.expect("signs in");
    assert_eq!(signed.address.to_string(), own);
    let unknown = directory.resolve(&format!("nobody@{}", it.name)).await;
    assert!(matches!(unknown, Ok(pennypost_directory::Resolved::UnknownUser { .. })), "{unknown:?}");
    let account = json!({ "address": format!("ann@{}", it.name), "password": "a long password" });
    it.ask("POST", "/accounts", Some(account)).await.assert_problem(422, "invalid");
    // Neither chains nor domains with addresses of their own.
    let chained =
        it.ask("PUT", &format!("/domains/{}/alias", it.home.domain), Some(json!({ "of": it.name }))).await;
    chained.assert_problem(422, "invalid");
    let third = format!("third.{}", it.name);
    it.by_operator("POST", "/domains", Some(json!({ "name": third }))).await;
    let full =
        it.ask("PUT", &format!("/domains/{}/alias", it.home.domain), Some(json!({ "of": third }))).await;
    full.assert_problem(409, "other-state");
    let removal = it.ask("GET", &format!("/domains/{}/removal", it.home.domain), None).await.json();
    let code = removal["confirmation"].as_str().expect("a code");
    let held = it.ask("DELETE", &format!("/domains/{}?confirmation={code}", it.home.domain), None).await;
    held.assert_problem(409, "other-state");
    it.ask("PUT", &alias, Some(json!({ "of": null }))).await;
    assert_eq!(
        directory
            .resolve(&said)
            .await
            .map(|found| matches!(found, pennypost_directory::Resolved::UnknownUser { .. })),
        Ok(true)
    );
}
