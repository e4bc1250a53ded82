//! The first page of administrators.

use pennypost_admin::Permissions;
use pennypost_directory::{
    DomainHealth, DomainName, NewSession, Plan, SessionLife, SignInKind, SignInOutcome, SignInRecord,
    SignedInBy,
};
use pennypost_model::trace::{Outcome, Submitter, TraceRecipient, TraceRecord, TraceStep};
use pennypost_model::{AccountKey, Timestamp, codec};
use pennypost_ports::{Consistency, ControlKey, Ids, LogKind, LogRecord, RandomIds};
use serde_json::{Value, json};

use crate::support::connector::Connector;
use crate::support::{OPERATOR, Office, Tenant, letter, permissions};

const DAY: i64 = 24 * 60 * 60 * 1000;

struct Bench {
    office: Office,
    home: Tenant,
}

impl Bench {
    async fn new() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        Bench { office, home }
    }

    async fn session_from(&self, account: AccountKey, address: [u8; 4]) -> String {
        self.keep(&NewSession { address: Some(address.into()), ..plain(account) }).await
    }

    async fn keep(&self, new: &NewSession<'_>) -> String {
        self.office.administration.directory().keep_session(new).await.expect("a session").1
    }

    /// A letter that came to a member then, one that he sent, and that he signed in, twice.
    async fn happened(&self, at: Timestamp) {
        let (member, tenant) = (self.home.member, self.home.id);
        let address = format!("member@{}", self.home.domain);
        let came = letter(tenant, at, &[(member, address.clone())]);
        let copy = letter(tenant, at, &[(member, address.clone())]);
        let mut record: TraceRecord = codec::decode(&copy.value).expect("a trace");
        let TraceStep::Delivered { reverse_path, recipients, .. } = &mut record.step else {
            panic!("{record:?}")
        };
        reverse_path.clone_from(&address);
        recipients[0].reasons = vec!["rule:sent".to_owned()];
        let outside = TraceRecipient {
            address: "you@elsewhere.example".to_owned(),
            account: member,
            reasons: vec!["rule:outside".to_owned()],
            outcome: Outcome::Outside,
        };
        recipients.push(outside);
        record.submitter = Some(Submitter { account: member, address, protocol: "ESMTPSA".to_owned() });
        let sent = LogRecord { value: codec::encode(&record), ..copy };
        let signed_in = SignInRecord {
            first: at,
            last: at,
            count: 2,
            login: "member".to_owned(),
            account: Some(member.account),
            client: [192, 0, 2, 7].into(),
            kind: SignInKind::Imap,
            mechanism: "PLAIN".to_owned(),
            program: None,
            token: None,
            outcome: SignInOutcome::Ok,
        };
        let wrong = SignInRecord {
            account: Some(self.home.chief.account),
            outcome: SignInOutcome::WrongPassword,
            ..signed_in.clone()
        };
        let noted = [signed_in.clone(), signed_in, wrong].map(|record| LogRecord {
            tenant,
            kind: LogKind::Login,
            id: RandomIds.event(at),
            time: at,
            value: codec::encode(&record),
        });
        let records: Vec<_> = [came, sent].into_iter().chain(noted).collect();
        for record in records {
            self.office.log.append(&[record]).await.expect("noted");
        }
    }

    async fn home(&self, key: &str) -> Value {
        let answer = self.office.ask(key, "GET", &format!("/tenants/{}/home", self.home.id), None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

fn plain(account: AccountKey) -> NewSession<'static> {
    NewSession {
        account,
        by: SignedInBy::Password,
        client: "test",
        address: None,
        life: SessionLife { idle: 3_600_000, whole: 3_600_000 },
        is_confirmed: false,
        lacks_factor: false,
        must_change: false,
    }
}

fn reminders(home: &Value) -> Vec<&str> {
    home["reminders"].as_array().expect("a list").iter().filter_map(|one| one["kind"].as_str()).collect()
}

/// Feature ADM-03: steps of a beginning with what is done, and figures of the last week: users, who signed in, letters received and sent; no page shows them yet
#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_tells_what_is_to_be_done_and_what_happened() {
    let it = Bench::new().await;
    let directory = it.office.administration.directory();
    let key = it.office.session(it.home.creator).await;
    // On the day before yesterday: of those days nothing was noted yet.
    it.happened(directory.now().plus_millis(-2 * DAY)).await;
    let home = it.home(&key).await;
    assert_eq!(home["organisation"], it.home.name);
    let steps = json!([
        { "step": "add-domain", "done": true },
        { "step": "point-domain", "done": false },
        { "step": "add-members", "done": true },
        { "step": "invite-members", "done": true },
        { "step": "fill-profile", "done": false },
    ]);
    assert_eq!(home["guide"], steps);
    let week = &home["last_week"];
    assert_eq!((&week["received"], &week["sent"]), (&json!(1), &json!(1)), "{week}");
    assert_eq!((&week["users"], &week["signed_in"]), (&json!(8), &json!(1)), "{week}");
    // It is made once a day.
    it.office.account(it.home.id, format!("another@{}", it.home.domain)).await;
    assert_eq!(it.home(&key).await["last_week"], *week);

    let name = DomainName::parse(&it.home.domain).expect("a name");
    let health = DomainHealth {
        time: directory.now(),
        takes_mail: Some(true),
        without_mail_since: None,
        needs_attention: false,
        is_protected: false,
    };
    directory.note_health(it.home.id, &name, health).await.expect("noted");
    let profile = format!("/tenants/{}/profile", it.home.id);
    let said = it.office.ask(&key, "PUT", &profile, Some(&json!({ "contact": "1 Mail Road" }))).await;
    assert_eq!(said.status, 200, "{}", said.text);
    let home = it.home(&key).await;
    let done = home["guide"].as_array().expect("steps").iter().filter(|step| step["done"] == true).count();
    assert_eq!(done, 5, "{home}");
}

/// A day that is not counted yet is told as such: it is no day without letters.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_counted_yet_is_no_nought() {
    let it = Bench::new().await;
    let administration = &it.office.administration;
    let key = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    it.happened(administration.directory().now().plus_millis(-5 * DAY)).await;
    let week = it.home(&key).await["last_week"].clone();
    assert_eq!((&week["received"], &week["sent"]), (&Value::Null, &Value::Null), "{week}");
    assert_eq!((&week["users"], &week["signed_in"]), (&json!(8), &json!(1)), "the rest is told: {week}");
    administration.roll_up(it.home.id, Timestamp(i64::MAX)).await.expect("counted");
    // For a quarter of an hour it stands, then it is counted again.
    assert_eq!(it.home(&key).await["last_week"], week);
    let kept = ControlKey::new(it.home.id.to_string(), "last-week");
    let item = it.office.control.get(&kept, Consistency::Strong).await.expect("read").expect("it is kept");
    assert!(it.office.control.delete_if(&kept, item.version).await.expect("deleted"));
    let week = it.home(&key).await["last_week"].clone();
    assert_eq!((&week["received"], &week["sent"]), (&json!(1), &json!(1)), "{week}");

    // What can't be read takes no page along.
    let item = it.office.control.get(&kept, Consistency::Strong).await.expect("read").expect("it is kept");
    let broken = pennypost_ports::Expected::Version(item.version);
    it.office.control.put_if(&kept, b"no figures", broken).await.expect("written");
    let home = it.home(&key).await;
    assert_eq!((&home["last_week"], home["domains"].is_array()), (&Value::Null, true), "{home}");
}

/// Whoever came by half a sign-in is told nothing, and whoever comes after him is told of the whole one before.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_sign_in_sees_nothing_and_hides_nothing() {
    let it = Bench::new().await;
    let member = it.home.member;
    it.session_from(member, [203, 0, 113, 5]).await;
    let here = Some([192, 0, 2, 9].into());
    let place = format!("/tenants/{}/home", it.home.id);
    let half = it.keep(&NewSession { must_change: true, address: here, ..plain(member) }).await;
    let answer = it.office.ask(&half, "GET", &place, None).await;
    answer.assert_problem(403, "password-change-needed");
    let half = it.keep(&NewSession { lacks_factor: true, address: here, ..plain(member) }).await;
    let answer = it.office.ask(&half, "GET", &place, None).await;
    answer.assert_problem(403, "second-factor-missing");
    let whole = it.session_from(member, [192, 0, 2, 9]).await;
    assert_eq!(it.home(&whole).await["signed_in_before"]["from"], "203.0.113.5");

    // One that has shown the factor is whole from then on.
    let directory = it.office.administration.directory();
    let new = NewSession { lacks_factor: true, address: Some([192, 0, 2, 40].into()), ..plain(member) };
    let (session, _) = directory.keep_session(&new).await.expect("a session");
    assert_eq!(directory.confirm_session(member, session.id).await, Ok(true));
    // Of a place that is not known nobody says that it is another one.
    let unknown = it.keep(&plain(member)).await;
    assert_eq!(it.home(&unknown).await["signed_in_before"]["from"], "192.0.2.40");
    let last = it.session_from(member, [192, 0, 2, 9]).await;
    let before = it.home(&last).await["signed_in_before"].clone();
    assert_eq!(before["from"], Value::Null);
    assert_eq!((&before["other_address"], &before["other_network"]), (&json!(false), &json!(false)));
}

/// Who can't prove a number is not reminded of it.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_asked_for_where_text_messages_are_sent() {
    let connector = Connector::open().await;
    let office = Office::texting(&connector, 100).await;
    let home = office.tenant("home").await;
    let it = Bench { office, home };
    let session = it.session_from(it.home.member, [192, 0, 2, 9]).await;
    assert!(reminders(&it.home(&session).await).contains(&"mobile-missing"));
}

/// Feature ADM-04: edition, beginning and end, members and their ceiling, VIP seats, capacities, verification and the functions that the edition lacks; no page shows them yet
#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_tells_what_the_organisation_has() {
    let it = Bench::new().await;
    let key = it.office.key(Some(it.home.id), None, Permissions::of_tenant()).await;
    let without = it.home(&key).await;
    assert_eq!((&without["edition"]["plan"], &without["reminders"]), (&Value::Null, &json!([])));
    assert!(without["functions"].as_array().expect("functions").iter().all(|one| one["available"] == true));
    let ends = it.office.administration.directory().now().plus_millis(20 * DAY);
    let plan = Plan { seats: Some(50), vip_seats: 3, ends: Some(ends), ..Plan::basic() };
    it.office.administration.change_plan(&OPERATOR, it.home.id, None, &plan).await.expect("given");
    let home = it.home(&key).await;
    let card = &home["edition"]["plan"];
    assert_eq!(
        (&card["edition"], &card["seats"], &card["members"]),
        (&json!("basic"), &json!(50), &json!(8))
    );
    assert_eq!((&card["vip_seats"], &card["vip_members"]), (&json!(3), &json!(0)));
    assert_eq!((&card["ends"], &card["ordinary_capacity"]), (&json!(ends.rfc3339()), &json!(1_000_000_000)));
    assert_eq!(reminders(&home), ["term-ends"]);
    let api = home["functions"].as_array().expect("functions").iter().find(|one| one["name"] == "api");
    assert_eq!(api.expect("it is there")["available"], false);
}

/// Feature ADM-05: the session before with time and address and whether it was elsewhere, domains with MX warnings, reminders, whom to turn to, bulletins, functions that are opened or not; no page shows them yet
#[tokio::test(flavor = "multi_thread")]
async fn the_first_page_tells_what_concerns_whoever_looks() {
    let it = Bench::new().await;
    let (directory, creator) = (it.office.administration.directory(), it.home.creator);
    // Requests come from 192.0.2.9.
    let first = it.session_from(creator, [192, 0, 2, 77]).await;
    assert_eq!(it.home(&first).await["signed_in_before"], Value::Null);
    let second = it.session_from(creator, [198, 51, 100, 3]).await;
    let before = it.home(&second).await["signed_in_before"].clone();
    assert_eq!((&before["from"], &before["by"]), (&json!("192.0.2.77"), &json!("password")));
    assert_eq!((&before["other_address"], &before["other_network"]), (&json!(true), &json!(false)));
    let third = it.session_from(creator, [192, 0, 2, 9]).await;
    let before = it.home(&third).await["signed_in_before"].clone();
    assert_eq!((&before["from"], &before["other_network"]), (&json!("198.51.100.3"), &json!(true)));
    assert_eq!(it.home(&first).await["signed_in_before"], Value::Null, "what came later was not before");

    let home = it.home(&third).await;
    assert_eq!(reminders(&home), ["second-factor-missing", "recovery-missing"]);
    let life = async |days: u16| {
        let seen = directory.sign_in_rules(it.home.id).await.expect("rules");
        let mut rules = seen.clone();
        rules.passwords.lifetime_days = days;
        let administration = &it.office.administration;
        administration
            .change_sign_in_rules(&OPERATOR, it.home.id, &seen, &rules, false)
            .await
            .expect("changed");
    };
    // Of five days the last one is told.
    life(5).await;
    assert!(!reminders(&it.home(&third).await).contains(&"password-ends"));
    life(1).await;
    assert!(reminders(&it.home(&third).await).contains(&"password-ends"));

    let name = DomainName::parse(&it.home.domain).expect("a name");
    let health = DomainHealth {
        time: directory.now(),
        takes_mail: Some(false),
        without_mail_since: Some(directory.now()),
        needs_attention: true,
        is_protected: false,
    };
    directory.note_health(it.home.id, &name, health).await.expect("noted");
    let home = it.home(&third).await;
    let domain =
        home["domains"].as_array().expect("domains").iter().find(|one| one["name"] == it.home.domain);
    assert_eq!(domain.expect("it is there")["mx_warning"], true);

    // The operator is named for all, the reseller for its own.
    assert_eq!(home["contact"], Value::Null);
    let operator = it.office.key(None, None, Permissions::all()).await;
    let post = json!({ "name": "The Post", "phone": "+86 10 1", "mail": "help@post.example" });
    assert_eq!(it.office.ask(&operator, "PUT", "/contact", Some(&post)).await.status, 200);
    assert_eq!(it.home(&third).await["contact"], post);
    let own = format!("/tenants/{}/contact", it.home.id);
    let reseller = json!({ "name": "A reseller", "phone": "", "mail": "" });
    it.office.ask(&third, "PUT", &own, Some(&reseller)).await.assert_problem(403, "no-permission");
    assert_eq!(it.office.ask(&operator, "PUT", &own, Some(&reseller)).await.status, 200);
    assert_eq!(it.home(&third).await["contact"], reseller);
    let long = json!({ "name": "x".repeat(201) });
    it.office.ask(&operator, "PUT", &own, Some(&long)).await.assert_problem(422, "invalid");
    it.office
        .ask_with(&operator, "PUT", &own, &[("if-match", "\"old\"")], Some(&post))
        .await
        .assert_problem(412, "changed");

    it.office.bulletin([it.home.id].into()).await;
    let bulletins = it.home(&third).await["bulletins"].clone();
    assert_eq!(
        (&bulletins["unread"], &bulletins["shown"][0]["zh"]["title"]),
        (&json!(1), &json!("周日维护"))
    );
    let all = format!("/tenants/{}/bulletins-read", it.home.id);
    let newest = json!({ "newest": bulletins["shown"][0]["id"] });
    assert_eq!(it.office.ask(&third, "POST", &all, Some(&newest)).await.status, 204);
    assert_eq!(it.home(&third).await["bulletins"], json!({ "shown": [], "unread": 0 }));

    // Who may look at nothing sees what is his own.
    let member = it.home(&it.session_from(it.home.member, [192, 0, 2, 9]).await).await;
    for part in ["guide", "last_week", "edition", "functions", "domains", "bulletins"] {
        assert_eq!(member[part], Value::Null, "{part}");
    }
    assert_eq!(reminders(&member)[0], "second-factor-missing");
    let groups = it.office.key(Some(it.home.id), None, permissions(&["domains:read"])).await;
    let seen = it.home(&groups).await;
    assert!(
        seen["domains"].is_array() && seen["edition"].is_null() && seen["reminders"] == json!([]),
        "{seen}"
    );
}

/// Feature ADM-01: administrators sign in at the same door as members, by address and password, by passkey or by provider (the open way in place of a scan); what they administer is told; no page yet
/// Feature ADM-02: one session is for the mailbox and for what its owner administers, so nothing is switched; no page yet
/// Feature ADM-14: an administrator sets another password for himself, the old one and the new one; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn administrators_come_by_the_door_of_members() {
    let it = Bench::new().await;
    let (office, home) = (&it.office, &it.home);
    let sign_in = async |local: &str, password: &str| {
        let said = json!({ "address": format!("{local}@{}", home.domain), "password": password });
        office.ask("", "POST", "/sessions", Some(&said)).await
    };
    let token = async |local: &str, password: &str| {
        let opened = sign_in(local, password).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        opened.json()["token"].as_str().expect("a token").to_owned()
    };
    let groups = format!("/tenants/{}/groups", home.id);
    let inbox = |account: AccountKey| format!("/tenants/{}/accounts/{}/unread", home.id, account.account);
    for (local, account, standing, grants) in [
        ("creator", home.creator, "creator", json!([])),
        ("chief", home.chief, "super", json!([])),
        ("graded", home.graded, "member", json!([{ "permissions": ["groups:write"], "departments": null }])),
    ] {
        let session = token(local, "a long password").await;
        let me = office.ask(&session, "GET", "/me", None).await.json();
        assert_eq!((&me["standing"], &me["administrator"]), (&json!(standing), &json!(true)), "{me}");
        assert_eq!(me["grants"], grants, "{local}");
        // Into the console and into the mailbox by the same session.
        assert_eq!(office.ask(&session, "GET", &groups, None).await.status, 200, "{local}");
        let unread = office.ask(&session, "GET", &inbox(account), None).await;
        assert_eq!(unread.status, 200, "{local}: {}", unread.text);
    }
    let member = token("member", "a long password").await;
    let me = office.ask(&member, "GET", "/me", None).await.json();
    assert_eq!((&me["administrator"], &me["grants"]), (&json!(false), &json!([])));
    office.ask(&member, "GET", &groups, None).await.assert_problem(403, "no-permission");
    assert_eq!(office.ask(&member, "GET", &inbox(home.member), None).await.status, 200);

    let graded = token("graded", "a long password").await;
    let own = format!("/tenants/{}/accounts/{}/password", home.id, home.graded.account);
    let change = json!({ "old": "a long password", "new": "another long one" });
    let changed = office.ask(&graded, "POST", &own, Some(&change)).await;
    assert_eq!(changed.status, 204, "{}", changed.text);
    assert_eq!(
        office.ask(&graded, "GET", &groups, None).await.status,
        401,
        "it stood on the password before"
    );
    sign_in("graded", "a long password").await.assert_problem(401, "sign-in-refused");
    let again = token("graded", "another long one").await;
    assert_eq!(office.ask(&again, "GET", &groups, None).await.status, 200);
}
