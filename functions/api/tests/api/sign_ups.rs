//! Organisations that somebody opens by himself.

use pennypost_admin::{NewSignUp, SignUpEdition, SignUpSettings, SignUpState, Visitor};
use pennypost_directory::DomainName;
use pennypost_model::{AccountKey, TenantId};
use pennypost_ports::DnsRecord;
use serde_json::{Value, json};

use crate::support::connector::Connector;
use crate::support::{Answer, OPERATOR, Office};

const NUMBER: &str = "+8613800000001";
const PASSWORD: &str = "a password of one's own";
pub const BASE: &str = "trial.example";

pub struct Bench {
    connector: Connector,
    pub office: Office,
}

pub async fn bench(base: Option<&str>, most_per_day: u32) -> Bench {
    let connector = Connector::open().await;
    let settings = SignUpSettings {
        mailbox: "welcome@provider.example".to_owned(),
        editions: vec![SignUpEdition::Basic, SignUpEdition::Pro],
        most_per_day,
    };
    let base = base.map(|base| DomainName::parse(base).expect("a domain"));
    let office = Office::letting_sign_up(&connector, settings, base).await;
    let it = &office.administration;
    let id = it.add_tenant(&OPERATOR, "provider").await.expect("tenant").id;
    it.add_domain(&OPERATOR, id, "provider.example").await.expect("domain");
    office.account(id, "welcome@provider.example".to_owned()).await;
    Bench { connector, office }
}

pub fn said() -> Value {
    json!({ "organisation": "金山 软件", "name": "张三", "edition": "basic", "mobile": NUMBER })
}

pub fn with(mut said: Value, more: &[(&str, Value)]) -> Value {
    for (name, value) in more {
        said[*name] = value.clone();
    }
    said
}

impl Bench {
    async fn post(&self, path: &str, body: Value) -> Answer {
        self.office.ask("", "POST", path, Some(&body)).await
    }

    /// Begins: the secret and the code.
    pub async fn begin(&self, said: Value) -> (String, String) {
        let number = said["mobile"].as_str().expect("a number").to_owned();
        let begun = self.post("/sign-ups", said).await;
        assert_eq!(begun.status, 200, "{}", begun.text);
        let secret = begun.json()["sign_up"].as_str().expect("a secret").to_owned();
        (secret, self.connector.code(&number, "sign-up").await)
    }

    pub async fn confirm(&self, secret: &str, code: &str) -> Answer {
        let shown = json!({ "sign_up": secret, "code": code, "password": PASSWORD });
        self.post("/sign-ups/confirmation", shown).await
    }

    /// Opens an organisation: its creator.
    pub async fn open(&self, said: Value) -> (AccountKey, String) {
        let (secret, code) = self.begin(said).await;
        let done = self.confirm(&secret, &code).await;
        assert_eq!(done.status, 200, "{}", done.text);
        let done = done.json();
        assert_eq!(done["state"], "open", "{done}");
        let id = |name: &str| done[name].as_str().expect("text").to_owned();
        let (tenant, account) = (id("tenant").parse().expect("an id"), id("account").parse().expect("an id"));
        (AccountKey { tenant, account }, id("address"))
    }

    pub async fn sign_in(&self, address: &str) -> Answer {
        self.post("/sessions", json!({ "address": address, "password": PASSWORD })).await
    }

    /// Who has an address, by the whole of what mail goes through.
    pub async fn gets(&self, address: &str) -> Option<AccountKey> {
        let found = self.office.administration.directory().resolve(address).await.expect("resolved");
        match found {
            pennypost_directory::Resolved::Local { recipients, .. } => {
                let [only] = &recipients[..] else { panic!("{recipients:?}") };
                Some(only.account)
            }
            _ => None,
        }
    }
}

fn wrong(code: &str) -> String {
    if code == "00000000" { "00000001".to_owned() } else { "00000000".to_owned() }
}

/// Feature TEN-01: somebody opens an organisation by himself: edition, code to a mobile number or an address elsewhere, trial domain or one of his own
/// Feature TEN-08: the terms that hold are shown by a public call, have to be accepted when signing up, and are kept with who, when, from where and which text
#[tokio::test(flavor = "multi_thread")]
async fn somebody_opens_an_organisation_by_himself() {
    let it = bench(Some(BASE), 100).await;
    let administration = &it.office.administration;
    let terms = administration.publish_terms(&OPERATOR, "Terms", "Be good.").await.expect("published");
    let offer = it.post("/sign-up-offers", json!({})).await.json();
    assert_eq!(offer["editions"], json!(["basic", "pro"]), "{offer}");
    assert_eq!((&offer["trial_base"], &offer["mobile"]), (&json!(BASE), &json!(true)));
    assert_eq!((&offer["terms"]["number"], &offer["terms"]["text"]), (&json!(1), &json!("Be good.")));
    assert_eq!(offer["terms"]["sha256"], terms.digest());
    it.post("/sign-ups", said()).await.assert_problem(422, "invalid");
    let accepting = with(said(), &[("terms", json!(1))]);
    for bad in [
        with(accepting.clone(), &[("mail", json!("a@elsewhere.example"))]),
        with(accepting.clone(), &[("mobile", Value::Null)]),
        with(accepting.clone(), &[("organisation", json!(" "))]),
        with(accepting.clone(), &[("prefix", json!("a b"))]),
        with(accepting.clone(), &[("prefix", json!("\u{430}nn"))]),
        // It would be taken for the id of another one.
        with(accepting.clone(), &[("organisation", json!("00AB00ab00ab00ab"))]),
        with(accepting.clone(), &[("label", json!("www"))]),
    ] {
        it.post("/sign-ups", bad).await.assert_problem(422, "invalid");
    }
    assert_eq!(it.connector.sent(0).await, Vec::<Value>::new());

    let (secret, code) = it.begin(accepting).await;
    // Before the code was said there is nothing.
    assert_eq!(administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items.len(), 1);
    it.confirm(&secret, &wrong(&code)).await.assert_problem(422, "wrong-code");
    it.confirm(&format!("psu_{}", "0".repeat(64)), &code).await.assert_problem(404, "not-found");
    let weak = json!({ "sign_up": secret, "code": code, "password": "short" });
    assert_eq!(it.post("/sign-ups/confirmation", weak).await.status, 422);
    let done = it.confirm(&secret, &code).await.json();
    assert_eq!(
        (&done["state"], &done["address"]),
        (&json!("open"), &json!("zhangsan@jinshanruanjian.trial.example")),
        "{done}"
    );
    // Once more it is the same, and not a second one.
    assert_eq!(it.confirm(&secret, &code).await.json(), done);
    assert_eq!(administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items.len(), 2);

    let tenant: TenantId = done["tenant"].as_str().expect("text").parse().expect("an id");
    let plan = administration.plan(&OPERATOR, tenant).await.expect("read");
    assert_eq!(plan.map(|plan| plan.edition).as_deref(), Some("basic"));
    let creator = administration.creator(&OPERATOR, tenant).await.expect("read").expect("named");
    assert_eq!(creator.to_string(), done["account"].as_str().expect("text"));
    let opened = it.sign_in("zhangsan@jinshanruanjian.trial.example").await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let token = opened.json()["token"].as_str().expect("a session").to_owned();
    let domains = it.office.ask(&token, "GET", &format!("/tenants/{tenant}/domains"), None).await.json();
    assert_eq!(domains["items"][0]["name"], "jinshanruanjian.trial.example");
    let accepted = administration.accepted_terms(&OPERATOR, tenant, &Default::default()).await.expect("read");
    let [accepted] = &accepted.items[..] else { panic!("{accepted:?}") };
    assert_eq!((accepted.number, &accepted.sha256), (1, &terms.digest()));
    assert!(format!("{:?} {:?}", accepted.by, accepted.origin).contains("192.0.2.9"), "{accepted:?}");
    for (book, words) in
        [(None, ["sign-up.begin", "tenant.add"]), (Some(tenant), ["tenant.add", "zhangsan@"])]
    {
        let log = administration.operations(&OPERATOR, book, (None, None), 0, 500).await.expect("reads");
        let log = format!("{:?}", log.0);
        assert!(words.iter().all(|word| log.contains(word)), "{log}");
        assert!(!log.contains(&code) && !log.contains(&secret) && !log.contains("13800000001"), "{log}");
    }
}

/// A code goes to an address elsewhere just as well, in a letter in the name of the operator's mailbox.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_goes_to_an_address_elsewhere() {
    let it = bench(Some(BASE), 100).await;
    let elsewhere = json!({
        "organisation": "Acme", "name": "Ann Lee", "edition": "pro", "mail": "ann@elsewhere.example", "prefix": "ann",
    });
    let begun = it.post("/sign-ups", elsewhere.clone()).await.json();
    let letters = it.office.letters().await;
    let (_, text) = letters.iter().find(|(to, _)| to[0] == "ann@elsewhere.example").expect("a letter");
    let is_code = |word: &&str| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit());
    let code = text.split(|c: char| !c.is_ascii_alphanumeric()).find(is_code).expect("a code").to_owned();
    let done = it.confirm(begun["sign_up"].as_str().expect("a secret"), &code).await.json();
    assert_eq!(done["address"], "ann@acme.trial.example", "{done}");
    let tenant: TenantId = done["tenant"].as_str().expect("text").parse().expect("an id");
    let plan = it.office.administration.plan(&OPERATOR, tenant).await.expect("read").expect("a plan");
    assert_eq!((plan.edition.as_str(), plan.payment.name(), plan.vip_seats), ("pro", "unpaid", 1));
    let log =
        it.office.administration.operations(&OPERATOR, None, (None, None), 0, 500).await.expect("reads");
    let log = format!("{:?}", log.0);
    assert!(log.contains("a***@elsewhere.example") && !log.contains("ann@elsewhere.example"), "{log}");
    // To no address here: that is somebody's, or nobody's, which is told alike.
    for here in ["welcome@provider.example", "nobody@provider.example"] {
        let other = with(elsewhere.clone(), &[("mail", json!(here))]);
        it.post("/sign-ups", other).await.assert_problem(409, "other-state");
    }
    // Three letters in ten minutes for one mailbox, whatever tags are written.
    for n in 0..3 {
        let mail = json!(format!("ann+{n}@elsewhere.example"));
        let again = with(elsewhere.clone(), &[("organisation", json!(format!("Acme {n}"))), ("mail", mail)]);
        let answer = it.post("/sign-ups", again).await;
        assert_eq!(answer.status.as_u16(), if n < 2 { 200 } else { 429 }, "{}", answer.text);
    }
}

/// Codes are looked at five times; numbers, networks and days have their limits.
#[tokio::test(flavor = "multi_thread")]
async fn sign_ups_are_bounded() {
    let it = bench(Some(BASE), 5).await;
    let (secret, code) = it.begin(said()).await;
    for _ in 0..5 {
        it.confirm(&secret, &wrong(&code)).await.assert_problem(422, "wrong-code");
    }
    it.confirm(&secret, &code).await.assert_problem(422, "wrong-code");
    for _ in 0..2 {
        it.begin(said()).await;
    }
    it.post("/sign-ups", said()).await.assert_problem(429, "too-many-requests");
    let other = with(said(), &[("mobile", json!("+8613800000002"))]);
    it.begin(other.clone()).await;
    it.post("/sign-ups", other).await.assert_problem(429, "too-many-requests");
    assert_eq!(
        it.office.administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items.len(),
        1
    );
    // Where the operator has not said so, nobody signs up.
    let closed = Office::open().await;
    for (path, body) in [("/sign-up-offers", json!({})), ("/sign-ups", said())] {
        closed.ask("", "POST", path, Some(&body)).await.assert_problem(409, "other-state");
    }
    let shown = json!({ "sign_up": secret, "code": code, "password": PASSWORD });
    closed.ask("", "POST", "/sign-ups/confirmation", Some(&shown)).await.assert_problem(409, "other-state");
}

/// A name or a label that is taken costs nobody what he has begun; what was cut off is gone on with.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_cut_off_is_completed_by_the_same_call() {
    let it = bench(Some(BASE), 100).await;
    let (first, address) = it.open(said()).await;
    assert_eq!(address, "zhangsan@jinshanruanjian.trial.example");
    let again = with(said(), &[("mobile", json!("+8613800000002"))]);
    let (secret, code) = it.begin(again).await;
    it.confirm(&secret, &code).await.assert_problem(409, "taken");
    assert_eq!(
        it.office.administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items.len(),
        2
    );
    // Whoever has said the right code loses nothing by slips.
    for _ in 0..5 {
        it.confirm(&secret, &wrong(&code)).await.assert_problem(422, "wrong-code");
    }
    // The process loses hold of the store after some writes, each time after one more; the same call goes on.
    let mut deaths = 0;
    let done = loop {
        it.office.dying.after(deaths);
        let shown = (secret.as_str(), code.as_str());
        let others = (Some("另一家"), None);
        let confirmed = it.office.administration.finish_sign_up(shown, PASSWORD, others).await;
        it.office.dying.after(i64::MAX);
        if let Ok(SignUpState::Open(done)) = confirmed {
            break done;
        }
        deaths += 1;
        assert!(deaths < 100, "{confirmed:?}");
    };
    assert!(deaths > 4, "{deaths}");
    assert_eq!(done.address, "zhangsan@jinshanruanjian2.trial.example", "{done:?}");
    let tenants =
        it.office.administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items;
    assert_eq!(tenants.len(), 3);
    let tenant = done.account.tenant;
    assert_ne!(tenant, first.tenant);
    let directory = it.office.administration.directory();
    assert_eq!(directory.accounts(tenant, &Default::default()).await.expect("listed").items.len(), 1);
    assert_eq!(directory.domains(tenant, &Default::default()).await.expect("listed").items.len(), 1);
    assert_eq!(it.sign_in(&done.address).await.status, 201);
}

/// Wherever the process dies, the next call completes it, or another name opens another one: there is one tenant, with one account.
#[tokio::test(flavor = "multi_thread")]
async fn each_death_on_the_way_is_survived() {
    let it = bench(Some(BASE), 100).await;
    let administration = &it.office.administration;
    let directory = administration.directory();
    let tenants =
        async || administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items.len();
    for deaths in 0..100_i64 {
        let before = tenants().await;
        let number = format!("+861390000{deaths:04}");
        let new = NewSignUp {
            organisation: format!("Company {deaths}"),
            name: "Ann Lee".to_owned(),
            edition: SignUpEdition::Basic,
            prefix: None,
            mail: None,
            mobile: Some(number.clone()),
            label: Some(format!("company{deaths}")),
            domain: None,
            terms: None,
        };
        let address = std::net::IpAddr::from([198, 51, 100, u8::try_from(deaths).expect("small")]);
        let visitor = Visitor { client: "test", address: Some(address) };
        let (secret, _) = administration.begin_sign_up(&new, visitor).await.expect("begun");
        let code = it.connector.code(&number, "sign-up").await;
        let shown = (secret.as_str(), code.as_str());
        it.office.dying.after(deaths);
        let first = administration.finish_sign_up(shown, PASSWORD, (None, None)).await;
        it.office.dying.after(i64::MAX);
        // Every second one says another name, too.
        let other = format!("Other {deaths}");
        let others = (Some(other.as_str()).filter(|_| deaths % 2 == 1), None);
        let second = administration.finish_sign_up(shown, PASSWORD, others).await;
        let Ok(SignUpState::Open(done)) = second else { panic!("{deaths}: {second:?}") };
        assert_eq!(tenants().await, before + 1, "{deaths}");
        let tenant = done.account.tenant;
        assert_eq!(directory.accounts(tenant, &Default::default()).await.expect("listed").items.len(), 1);
        assert_eq!(directory.domains(tenant, &Default::default()).await.expect("listed").items.len(), 1);
        let creator = administration.creator(&OPERATOR, tenant).await.expect("read");
        assert_eq!(creator, Some(done.account.account), "{deaths}");
        if first.is_ok() {
            assert!(deaths > 10, "{deaths}");
            return;
        }
    }
    panic!("it is never done");
}

/// One code opens one tenant, with one account, however often and under however many names it is said at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_said_many_times_at_once_opens_one_organisation() {
    let it = bench(Some(BASE), 100).await;
    let administration = &it.office.administration;
    let (secret, code) = it.begin(said()).await;
    let shown = (secret.as_str(), code.as_str());
    let names: Vec<String> = (0..6).map(|n| format!("Company {n}")).collect();
    let calls = names.iter().enumerate().map(|(n, name)| {
        let others = (Some(name.as_str()).filter(|_| n % 2 == 0), None);
        administration.finish_sign_up(shown, PASSWORD, others)
    });
    let mut opened = Vec::new();
    for reached in futures::future::join_all(calls).await {
        if let Ok(SignUpState::Open(done)) = reached {
            opened.push(done);
        }
    }
    let reached = administration.finish_sign_up(shown, PASSWORD, (None, None)).await;
    let Ok(SignUpState::Open(last)) = reached else { panic!("{reached:?}") };
    assert!(opened.iter().all(|done| *done == last), "{opened:?} {last:?}");
    let listed = administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items;
    assert_eq!(listed.len(), 2, "{listed:?}");
    let accounts = administration.directory().accounts(last.account.tenant, &Default::default()).await;
    assert_eq!(accounts.expect("listed").items.len(), 1);
    let creator = administration.creator(&OPERATOR, last.account.tenant).await.expect("read");
    assert_eq!(creator, Some(last.account.account));
}

/// Without trial domains nothing is opened before the zone of the domain shows whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_own_domain_is_proved_before_anything_is_opened() {
    let it = bench(None, 100).await;
    it.post("/sign-ups", said()).await.assert_problem(422, "invalid");
    let (secret, code) = it.begin(with(said(), &[("domain", json!("jinshan.example"))])).await;
    let waiting = it.confirm(&secret, &code).await.json();
    assert_eq!((&waiting["state"], &waiting["tenant"]), (&json!("awaits-domain"), &Value::Null), "{waiting}");
    assert_eq!(
        it.office.administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items.len(),
        1
    );
    let record = &waiting["records"][0];
    assert_eq!(record["kind"], "TXT", "{waiting}");
    let text = |name: &str| record[name].as_str().expect("text").to_owned();
    it.office.zone.set(&text("name"), DnsRecord::Txt(text("value")));
    let done = it.confirm(&secret, &code).await.json();
    assert_eq!(done["address"], "zhangsan@jinshan.example", "{done}");
    // Somebody else who shows it, too, is told that it is taken.
    let other = with(
        said(),
        &[
            ("domain", json!("jinshan.example")),
            ("organisation", json!("Other")),
            ("mobile", json!("+8613800000002")),
        ],
    );
    let (secret, code) = it.begin(other).await;
    let waiting = it.confirm(&secret, &code).await.json();
    assert_eq!(waiting["state"], "awaits-domain", "{waiting}");
    let record = &waiting["records"][0];
    let text = |name: &str| record[name].as_str().expect("text").to_owned();
    it.office.zone.set(&text("name"), DnsRecord::Txt(text("value")));
    it.confirm(&secret, &code).await.assert_problem(409, "taken");
    assert_eq!(
        it.office.administration.tenants(&OPERATOR, &Default::default()).await.expect("listed").items.len(),
        2
    );
}

/// Feature ORG-03: the creator's mailbox is made with the organisation, its prefix the name in pinyin, and he changes it once
#[tokio::test(flavor = "multi_thread")]
async fn the_creator_changes_the_own_prefix_once() {
    let it = bench(Some(BASE), 100).await;
    let (key, before) = it.open(said()).await;
    let token = it.sign_in(&before).await.json()["token"].as_str().expect("a session").to_owned();
    let home = format!("/tenants/{}", key.tenant);
    let directory = it.office.administration.directory();
    directory
        .add_group(&format!("all@{}", before.split('@').nth(1).expect("a domain")), "", &[&before])
        .await
        .expect("a group");
    let path = format!("{home}/accounts/{}/own-prefix", key.account);
    let change =
        async |prefix: &str| it.office.ask(&token, "POST", &path, Some(&json!({ "prefix": prefix }))).await;
    change("a b").await.assert_problem(422, "invalid");
    change("all").await.assert_problem(409, "taken");
    let changed = change("san.zhang").await;
    let after = "san.zhang@jinshanruanjian.trial.example";
    assert_eq!(changed.json()["address"], after, "{}", changed.text);
    for address in [&before, after] {
        assert_eq!(it.gets(address).await, Some(key), "{address}");
        assert_eq!(it.sign_in(address).await.status, 201, "{address}");
    }
    assert_eq!(directory.account_at(after).await.expect("read").map(|account| account.key), Some(key));
    let aliases = directory.aliases_of(key).await.expect("read");
    let aliases: Vec<String> = aliases.iter().map(ToString::to_string).collect();
    assert_eq!((aliases.len(), aliases.first()), (1, Some(&before)));
    let group = directory.group("all@jinshanruanjian.trial.example").await.expect("read").expect("a group");
    assert_eq!(group.members[0].address().to_string(), after);
    change("third").await.assert_problem(409, "other-state");
    // Nobody else does it for him, nor for himself.
    let member = it
        .office
        .account(key.tenant, format!("member@{}", before.split('@').nth(1).expect("a domain")))
        .await;
    let session = it.office.session(member).await;
    let own = format!("{home}/accounts/{}/own-prefix", member.account);
    let wish = json!({ "prefix": "other" });
    it.office.ask(&session, "POST", &own, Some(&wish)).await.assert_problem(409, "other-state");
    it.office.ask(&session, "POST", &path, Some(&wish)).await.assert_problem(403, "no-permission");
}
