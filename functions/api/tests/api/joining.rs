//! Joining through the API: links with and without approval, applications, members who have no password yet.

use std::collections::BTreeSet;

use pennypost_admin::{DepartmentId, Grant, Grants, Permissions, PersonChange, Reach};
use pennypost_directory::{BinCause, MobileNumber};
use pennypost_ports::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Answer, OPERATOR, Office, Tenant};

const PASSWORD: &str = "a password of one's own";

struct Bench {
    office: Office,
    home: Tenant,
    administrator: String,
}

async fn bench() -> Bench {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let administrator = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    Bench { office, home, administrator }
}

fn in_hours(hours: i64) -> String {
    SystemClock.now().plus_millis(hours * 60 * 60 * 1000).rfc3339()
}

impl Bench {
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let path = format!("/tenants/{}{path}", self.home.id);
        self.office.ask(&self.administrator, method, &path, body).await
    }

    async fn rules(&self, open: bool, approval: bool) {
        let rules = json!({
            "open": open, "approval": approval, "colleagues": open, "department": self.home.department, "domain": self.home.domain,
        });
        let said = self.ask("PUT", "/joining", Some(&rules)).await;
        assert_eq!((said.status.as_u16(), said.json()), (200, rules), "{}", said.text);
    }

    async fn invite(&self, uses: u32) -> (String, String) {
        let new = json!({ "name": "autumn", "uses": uses, "until": in_hours(1) });
        let made = self.ask("POST", "/invitations", Some(&new)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let (link, image) = (&made.json()["link"], &made.json()["qr_code"]);
        let invitation = made.json()["invitation"].as_str().expect("text").to_owned();
        assert_eq!(*link, json!(format!("https://mail.post.example/join#{invitation}")));
        assert!(image.as_str().expect("an image").starts_with("<svg "), "{image}");
        let text = |name: &str| made.json()[name].as_str().expect("text").to_owned();
        (text("id"), text("invitation"))
    }

    fn address(&self, local: &str) -> String {
        format!("{local}@{}", self.home.domain)
    }

    /// What the letters in the queue to an address say.
    async fn letters(&self, to: &str) -> Vec<String> {
        let letters = self.office.letters().await;
        letters.into_iter().filter(|(all, _)| all.iter().any(|one| one == to)).map(|(_, text)| text).collect()
    }

    async fn join(&self, invitation: &str, prefix: &str) -> Answer {
        self.join_once(invitation, prefix, &[]).await
    }

    async fn join_once(&self, invitation: &str, prefix: &str, headers: &[(&str, &str)]) -> Answer {
        self.join_by(invitation, (prefix, &number_of(prefix)), headers).await
    }

    async fn join_by(
        &self,
        invitation: &str,
        (prefix, mobile): (&str, &str),
        headers: &[(&str, &str)],
    ) -> Answer {
        let wish = json!({
            "invitation": invitation, "prefix": prefix, "name": "王小明", "mobile": mobile, "password": PASSWORD,
        });
        self.office.ask_with("", "POST", "/joining", headers, Some(&wish)).await
    }

    async fn signs_in(&self, local: &str) -> u16 {
        let body = json!({ "address": self.address(local), "password": PASSWORD });
        self.office.ask("", "POST", "/sessions", Some(&body)).await.status.as_u16()
    }

    /// How often it is recorded that an invitation was accepted for an address, or that this failed.
    async fn accepted(&self, local: &str) -> usize {
        let (log, object) = (self.log().await, self.address(local));
        log.iter().filter(|one| one["action"] == "invitation.accept" && one["object"] == object).count()
    }

    async fn log(&self) -> Vec<Value> {
        let log = self.ask("GET", "/operations?limit=500", None).await.json();
        log["items"].as_array().expect("records").clone()
    }
}

/// Everybody who joins has a number of his own.
fn number_of(prefix: &str) -> String {
    let number = prefix.bytes().fold(0_u32, |number, byte| (number * 31 + u32::from(byte)) % 10_000);
    format!("+86 138 0000 {number:04}")
}

/// Feature ORG-10: a mobile number that a colleague has, or with which somebody applies, joins no second time
#[tokio::test(flavor = "multi_thread")]
async fn a_mobile_number_joins_once() {
    let it = bench().await;
    it.rules(true, false).await;
    let (_, invitation) = it.invite(10).await;
    let number = "+86 138 0000 1234";
    let join = async |prefix: &str, number: &str| it.join_by(&invitation, (prefix, number), &[]).await;
    assert_eq!(join("first", number).await.json()["state"], "joined");
    for written in [number, "13800001234", "0086-138-0000-1234"] {
        join("second", written).await.assert_problem(409, "taken");
    }
    assert_eq!(join("second", "+86 138 0000 1235").await.json()["state"], "joined");
    // Whoever has left has it no more; of one who applies it is taken until that is refused.
    let directory = it.office.administration.directory();
    let first = directory.account_at(&it.address("first")).await.expect("read").expect("there").key;
    directory.bin_account(first, BinCause::Deleted).await.expect("in the bin");
    it.rules(true, true).await;
    let (_, invitation) = it.invite(10).await;
    let apply = async |prefix: &str| it.join_by(&invitation, (prefix, number), &[]).await;
    assert_eq!(apply("third").await.json()["state"], "waiting");
    apply("fourth").await.assert_problem(409, "taken");
    let refusal = format!("/applications/{}/refusal", it.address("third"));
    let refused = it.ask("POST", &refusal, Some(&json!({ "reason": "nobody knows you" }))).await;
    assert_eq!(refused.status, 200, "{}", refused.text);
    assert_eq!(apply("fourth").await.json()["state"], "waiting");
    // One that a member has proved is his, whatever his profile says.
    let number = MobileNumber::parse("+8613800009999").expect("a number");
    let code = directory.begin_mobile(it.home.member, &number).await.expect("begun");
    assert_eq!(directory.finish_mobile(it.home.member, &code).await, Ok(true));
    it.join_by(&invitation, ("fifth", number.as_str()), &[]).await.assert_problem(409, "taken");
}

/// Feature ORG-10: whoever holds a link, of a count and a term, gives prefix, name, mobile number and password and is a member, or applies; the address is looked at, also among those who apply; a link and a QR code
#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_an_invitation_joins() {
    let it = bench().await;
    it.rules(true, false).await;
    let (id, invitation) = it.invite(2).await;
    let shown = json!({ "invitation": invitation });
    let seen = it.office.ask("", "POST", "/joining/invitation", Some(&shown)).await;
    let expected = (&json!(it.home.domain), &json!(it.home.name), &json!(false));
    let seen = seen.json();
    assert_eq!((&seen["domain"], &seen["organisation"], &seen["approval"]), expected, "{seen}");

    let key = [("idempotency-key", "4b3f0f7e9c1d2a68")];
    let joined = it.join_once(&invitation, "xiaoming", &key).await;
    assert_eq!((joined.status.as_u16(), &joined.json()["state"]), (200, &json!("joined")), "{}", joined.text);
    assert_eq!(it.signs_in("xiaoming").await, 201);
    // The same again is the same; of somebody else the address is taken.
    let again = it.join_once(&invitation, "xiaoming", &key).await;
    assert_eq!(again.json()["state"], "joined", "{}", again.text);
    it.join(&invitation, "xiaoming").await.assert_problem(409, "taken");
    it.join_once(&invitation, "x", &[("idempotency-key", "short")])
        .await
        .assert_problem(400, "bad-parameter");
    // What is known of who joined.
    let people = it.ask("GET", &format!("/departments/{}/people", it.home.department), None).await.json();
    assert_eq!(people["items"][0]["display_name"], "王小明", "{people}");
    let read = it.ask("GET", &format!("/invitations/{id}"), None).await.json();
    assert_eq!((&read["used"], &read["state"]), (&json!(1), &json!("good")));
    let of_log: Vec<Value> =
        it.log().await.into_iter().filter(|one| one["object"] == it.address("xiaoming")).collect();
    assert_eq!(of_log.len(), 1, "{of_log:?}");
    assert_eq!(of_log[0]["action"], "invitation.accept");
    assert_eq!(of_log[0]["by"], format!("invitation {id}"));
    assert!(!Value::from(it.log().await).to_string().contains(&invitation[36..]));

    // What can't be is no operation and takes no place.
    for (prefix, name, password, problem) in [
        ("a b", "x", PASSWORD, "invalid"),
        ("new", "", PASSWORD, "invalid"),
        ("new", "x", "short", "invalid"),
    ] {
        let wish = json!({ "invitation": invitation, "prefix": prefix, "name": name, "password": password });
        let refused = it.office.ask("", "POST", "/joining", Some(&wish)).await;
        refused.assert_problem(422, problem);
    }
    it.join(&invitation, "group").await.assert_problem(409, "taken");
    assert_eq!(it.join(&invitation, "second").await.json()["state"], "joined");
    let over = it.join(&invitation, "third").await.assert_problem(409, "other-state");
    assert!(over["detail"].as_str().expect("why").contains("as often"), "{over}");
    it.office.ask("", "POST", "/joining/invitation", Some(&shown)).await.assert_problem(409, "other-state");

    // Renewed, it is another one; revoked, none.
    let term = json!({ "uses": 1, "until": in_hours(2) });
    let renewed = it.ask("POST", &format!("/invitations/{id}/renewal"), Some(&term)).await.json();
    let renewed = renewed["invitation"].as_str().expect("an invitation").to_owned();
    it.join(&invitation, "third").await.assert_problem(404, "not-found");
    assert_eq!(it.join(&renewed, "third").await.json()["state"], "joined");
    it.ask("POST", &format!("/invitations/{id}/renewal"), Some(&term)).await;
    let (other, revoked) = it.invite(1).await;
    assert_eq!(it.ask("DELETE", &format!("/invitations/{other}"), None).await.status, 204);
    let over = it.join(&revoked, "fourth").await.assert_problem(409, "other-state");
    assert!(over["detail"].as_str().expect("why").contains("revoked"), "{over}");
    let listed = it.ask("GET", "/invitations", None).await.json();
    let states: Vec<&Value> =
        listed["items"].as_array().expect("rows").iter().map(|one| &one["state"]).collect();
    assert!(states.contains(&&json!("revoked")) && states.contains(&&json!("good")), "{listed}");
    assert_eq!(it.signs_in("fourth").await, 401);
}

/// Feature ORG-11: joining is on or off, with or without approval, into a default department and domain; applications are listed, approved, or refused with a reason that whoever applied reads
#[tokio::test(flavor = "multi_thread")]
async fn administrators_decide_about_applications() {
    let it = bench().await;
    let read = it.ask("GET", "/joining", None).await;
    assert_eq!(read.json()["open"], true);
    for bad in [
        json!({ "open": true, "approval": true, "department": 1, "domain": null }),
        json!({ "open": true, "approval": true, "department": 77, "domain": it.home.domain }),
        json!({ "open": true, "approval": true, "department": 1, "domain": "elsewhere.example" }),
        json!({ "open": true, "approval": true, "department": 1, "domain": format!("claimed.{}", it.home.domain) }),
    ] {
        let refused = it.ask("PUT", "/joining", Some(&bad)).await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text);
    }
    let path = format!("/tenants/{}/joining", it.home.id);
    let seen = [("if-match", "\"another\"")];
    let stale = it.office.ask_with(&it.administrator, "PUT", &path, &seen, Some(&read.json())).await;
    stale.assert_problem(412, "changed");

    it.rules(true, true).await;
    let (_, invitation) = it.invite(3).await;
    let applied = it.join(&invitation, "anna").await.json();
    assert_eq!(applied["state"], "waiting", "{applied}");
    assert_eq!(it.signs_in("anna").await, 401);
    it.join(&invitation, "anna").await.assert_problem(409, "taken");
    assert_eq!(it.accepted("anna").await, 1);
    let receipt = json!({ "address": applied["address"], "receipt": applied["receipt"] });
    let own = async || it.office.ask("", "POST", "/joining/application", Some(&receipt)).await;
    assert_eq!(own().await.json()["state"], "waiting");
    for bad in [
        json!({ "address": it.address("applicant"), "receipt": applied["receipt"] }),
        json!({ "address": applied["address"], "receipt": "ppa_" }),
    ] {
        it.office.ask("", "POST", "/joining/application", Some(&bad)).await.assert_problem(404, "not-found");
    }
    let listed = it.ask("GET", "/applications?limit=1", None).await.json();
    assert_eq!(listed["items"][0]["address"], it.address("anna"), "{listed}");
    let next = listed["next"].as_str().expect("more");
    let listed = it.ask("GET", &format!("/applications?after={next}"), None).await.json();
    assert_eq!(listed["items"].as_array().expect("rows").len(), 2, "{listed}");

    let place = |local: &str, what: &str| format!("/applications/{}/{what}", it.address(local));
    let approved = it.ask("POST", &place("anna", "approval"), None).await;
    assert_eq!(approved.json()["state"], "joined", "{}", approved.text);
    assert_eq!((it.signs_in("anna").await, &own().await.json()["state"]), (201, &json!("joined")));
    it.ask("POST", &place("anna", "approval"), None).await.assert_problem(409, "other-state");
    let why = json!({ "reason": "you are unknown here" });
    it.ask("POST", &place("anna", "refusal"), Some(&why)).await.assert_problem(409, "other-state");
    let applied = it.join(&invitation, "boris").await.json();
    it.ask("POST", &place("boris", "refusal"), Some(&json!({ "reason": " " })))
        .await
        .assert_problem(422, "invalid");
    assert_eq!(it.ask("POST", &place("boris", "refusal"), Some(&why)).await.json()["state"], "refused");
    let receipt = json!({ "address": applied["address"], "receipt": applied["receipt"] });
    let told = it.office.ask("", "POST", "/joining/application", Some(&receipt)).await.json();
    assert_eq!((&told["state"], &told["reason"]), (&json!("refused"), &why["reason"]));
    it.ask("POST", &place("nobody", "approval"), None).await.assert_problem(404, "not-found");

    // Where the address was given away meanwhile, or no seat is free, it waits on.
    it.join(&invitation, "clara").await;
    it.office.account(it.home.id, it.address("clara")).await;
    it.ask("POST", &place("clara", "approval"), None).await.assert_problem(409, "taken");
    let operator = it.office.key(None, None, Permissions::all()).await;
    let plan = json!({ "edition": "small", "functions": ["api"], "seats": 1 });
    let given = it.office.ask(&operator, "PUT", &format!("/tenants/{}/plan", it.home.id), Some(&plan)).await;
    assert_eq!(given.status, 200, "{}", given.text);
    it.ask("POST", &place("applicant", "approval"), None).await.assert_problem(409, "plan-limit");
    let listed = it.ask("GET", "/applications", None).await.json();
    let states: Vec<(&Value, &Value)> = listed["items"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|one| (&one["address"], &one["state"]))
        .collect();
    for local in ["applicant", "clara"] {
        assert!(states.contains(&(&json!(it.address(local)), &json!("waiting"))), "{states:?}");
    }

    // Off: no invitation is good, and none is made.
    it.rules(false, true).await;
    let closed = it.join(&invitation, "dora").await.assert_problem(409, "other-state");
    assert!(closed["detail"].as_str().expect("why").contains("does not let people join"), "{closed}");
    let new = json!({ "until": in_hours(1) });
    it.ask("POST", "/invitations", Some(&new)).await.assert_problem(409, "other-state");
    let actions: Vec<Value> = it.log().await.into_iter().map(|one| one["action"].clone()).collect();
    for action in ["joining.change", "invitation.add", "application.approve", "application.refuse"] {
        assert!(actions.contains(&json!(action)), "{action}");
    }
}

/// Feature ORG-12: members who have no password yet are listed and invited one by one, and set it themselves, once; the invitation is handed over, or sent by mail
#[tokio::test(flavor = "multi_thread")]
async fn members_who_have_not_joined_set_their_password() {
    let it = bench().await;
    let listed = it.ask("GET", "/not-joined", None).await.json();
    let newcomer = it.home.newcomer.account.to_string();
    let ids: Vec<&Value> =
        listed["items"].as_array().expect("rows").iter().map(|one| &one["account"]).collect();
    assert_eq!(ids, [&json!(newcomer)]);
    let place = format!("/accounts/{newcomer}/invitation");
    let term = json!({ "until": in_hours(1) });
    for bad in [in_hours(-1), in_hours(91 * 24)] {
        it.ask("POST", &place, Some(&json!({ "until": bad }))).await.assert_problem(422, "invalid");
    }
    let made = async || it.ask("POST", &place, Some(&term)).await;
    let first = made().await.json()["invitation"].as_str().expect("an invitation").to_owned();
    let second = made().await.json()["invitation"].as_str().expect("an invitation").to_owned();
    let seen = it.office.ask("", "POST", "/joining/invitation", Some(&json!({ "invitation": second }))).await;
    assert_eq!(seen.json()["address"], it.address("newcomer"), "{}", seen.text);
    let join = async |invitation: &str, password: &str| {
        let wish = json!({ "invitation": invitation, "password": password });
        it.office.ask("", "POST", "/joining", Some(&wish)).await
    };
    join(&first, PASSWORD).await.assert_problem(404, "not-found");
    join(&second, "short").await.assert_problem(422, "invalid");
    assert_eq!(it.accepted("newcomer").await, 0);
    let joined = join(&second, PASSWORD).await;
    assert_eq!((joined.status.as_u16(), &joined.json()["state"]), (200, &json!("joined")), "{}", joined.text);
    assert_eq!(it.signs_in("newcomer").await, 201);
    join(&second, "another long password").await.assert_problem(404, "not-found");
    made().await.assert_problem(409, "other-state");
    assert!(it.ask("GET", "/not-joined", None).await.json()["items"].as_array().expect("rows").is_empty());
    let member = format!("/accounts/{}/invitation", it.home.member.account);
    it.ask("POST", &member, Some(&term)).await.assert_problem(409, "other-state");
}

/// Feature ORG-12: an administrator chooses members who have no password yet, and each gets the invitation by mail, at an address elsewhere or another member's; what became of each is said
#[tokio::test(flavor = "multi_thread")]
async fn members_who_have_not_joined_are_invited_by_mail() {
    let office = Office::sending_out().await;
    let home = office.tenant("home").await;
    let administrator = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let it = Bench { office, home, administrator };
    let newcomer = it.home.newcomer.account.to_string();
    let (member, nobody) = (it.home.member.account.to_string(), "00000000000000ff");
    let to = |account: &str, mail: &str| json!({ "account": account, "mail": mail });
    let sent = json!({
        "until": in_hours(1),
        "members": [
            to(&newcomer, "new@elsewhere.example"), to(&member, "m@elsewhere.example"),
            to(nobody, "n@elsewhere.example"),
        ],
    });
    for bad in ["nowhere", &it.address("newcomer")] {
        let wanted = json!({ "until": in_hours(1), "members": [to(&newcomer, bad)] });
        let items = it.ask("POST", "/member-invitations", Some(&wanted)).await.json();
        assert_eq!(items["items"][0]["problem"], "urn:pennypost:problem:invalid", "{items}");
    }
    let twice = [to(&newcomer, "new@elsewhere.example"), to(&newcomer, "new@elsewhere.example")];
    let twice = json!({ "until": in_hours(1), "members": twice });
    it.ask("POST", "/member-invitations", Some(&twice)).await.assert_problem(422, "invalid");
    let answer = it.ask("POST", "/member-invitations", Some(&sent)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!answer.text.contains("ppm_"), "{}", answer.text);
    let items = answer.json()["items"].as_array().expect("items").clone();
    let told: Vec<(bool, &str)> = items
        .iter()
        .map(|item| {
            let kind = item["problem"].as_str().unwrap_or_default();
            (item["sent"] == true, kind.rsplit(':').next().unwrap_or_default())
        })
        .collect();
    let expected = [(true, ""), (false, "other-state"), (false, "not-found")];
    assert_eq!(told, expected, "{}", answer.text);
    assert!(items[1]["detail"]["zh-CN"].is_string() && items[1]["detail"]["en"].is_string());

    // For one member three letters go in an hour, so that nobody is flooded.
    let again = json!({ "until": in_hours(1), "members": [to(&newcomer, "other@elsewhere.example")] });
    for expected in [true, true, false] {
        let items = it.ask("POST", "/member-invitations", Some(&again)).await.json();
        assert_eq!(items["items"][0]["sent"], expected, "{items}");
    }
    let letters = it.office.letters().await;
    let to = |to: &str| -> Vec<&str> {
        letters.iter().filter(|(all, _)| all.iter().any(|one| one == to)).map(|(_, text)| &text[..]).collect()
    };
    assert_eq!(to("new@elsewhere.example").len(), 1);

    // The last letter, whose invitation sets the password, once; a link where the pages are.
    let [_, text] = to("other@elsewhere.example")[..] else { panic!("two letters") };
    assert!(text.contains(&it.home.name) && text.contains(&it.address("newcomer")), "{text}");
    assert!(text.contains("https://mail.post.example/join#ppm_"), "{text}");
    let invitation = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let invitation = invitation.clone().find(|word| word.starts_with("ppm_")).expect("an invitation");
    let wish = json!({ "invitation": invitation, "password": PASSWORD });
    let joined = it.office.ask("", "POST", "/joining", Some(&wish)).await;
    assert_eq!(joined.json()["state"], "joined", "{}", joined.text);
    assert_eq!(it.signs_in("newcomer").await, 201);
    let log = it.ask("GET", "/operations?limit=500", None).await;
    assert!(log.text.contains("new@elsewhere.example") && !log.text.contains("ppm_"), "{}", log.text);

    let none = json!({ "until": in_hours(1), "members": [] });
    it.ask("POST", "/member-invitations", Some(&none)).await.assert_problem(422, "invalid");
}

/// An administrator of a department names one of another: that is this one's answer, and the others' letters go once.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_out_of_reach_keeps_nobody_else_waiting() {
    let office = Office::sending_out().await;
    let home = office.tenant("home").await;
    let administrator = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let it = Bench { office, home, administrator };
    let (administration, id) = (&it.office.administration, it.home.id);
    let department = DepartmentId(it.home.department);
    let newcomer = administration.account(&OPERATOR, it.home.newcomer).await.expect("account");
    let change = PersonChange { departments: Some(vec![department]), ..PersonChange::default() };
    administration.change_person(&OPERATOR, &newcomer, &change).await.expect("moved");
    let permissions = Permissions::of_tenant();
    let role = administration.add_role(&OPERATOR, id, "head", permissions.clone()).await.expect("role").id;
    let reach = Reach::Departments(BTreeSet::from([department]));
    let grants = Grants { is_super: false, roles: vec![Grant { role, reach }] };
    let head = it.home.leavers[0];
    administration.change_grants(&OPERATOR, head, &Grants::default(), grants).await.expect("granted");
    let head = it.office.key(Some(id), Some(head), permissions).await;

    let to = |account: pennypost_model::AccountKey, mail: &str| json!({ "account": account.account.to_string(), "mail": mail });
    let members =
        [to(it.home.newcomer, "new@elsewhere.example"), to(it.home.leavers[1], "other@elsewhere.example")];
    let wanted = json!({ "until": in_hours(1), "members": members });
    let answer =
        it.office.ask(&head, "POST", &format!("/tenants/{id}/member-invitations"), Some(&wanted)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let items = answer.json();
    assert_eq!(items["items"][0]["sent"], true, "{items}");
    assert_eq!(items["items"][1]["problem"], "urn:pennypost:problem:out-of-reach", "{items}");
    assert_eq!(it.letters("new@elsewhere.example").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_sent_it_is_said() {
    let it = bench().await;
    let newcomer =
        json!({ "account": it.home.newcomer.account.to_string(), "mail": "new@elsewhere.example" });
    let wanted = json!({ "until": in_hours(1), "members": [newcomer] });
    let answer = it.ask("POST", "/member-invitations", Some(&wanted)).await.json();
    assert_eq!(answer["items"][0]["sent"], false);
    let detail = answer["items"][0]["detail"]["en"].as_str().expect("why");
    assert!(detail.contains("no letter goes to that address"), "{detail}");
    assert_eq!(it.letters("new@elsewhere.example").await, [""; 0]);
}

/// Feature ORG-14: a member has one link for colleagues, with a QR code, as long as the switches are on, and an administrator approves whoever comes by it; no page yet
#[tokio::test(flavor = "multi_thread")]
async fn members_invite_colleagues() {
    let it = bench().await;
    it.rules(true, false).await;
    let member = it.office.session(it.home.member).await;
    let place = format!("/tenants/{}/accounts/{}/colleague-invitation", it.home.id, it.home.member.account);
    let invite = async || it.office.ask(&member, "POST", &place, None).await;
    let first = invite().await.json();
    let second = invite().await.json();
    assert!(second["qr_code"].as_str().expect("an image").starts_with("<svg "), "{second}");
    assert_eq!((&first["id"], &second["by"]), (&second["id"], &json!(it.home.member.account.to_string())));
    it.join(first["invitation"].as_str().expect("text"), "new").await.assert_problem(404, "not-found");
    let text = second["invitation"].as_str().expect("text").to_owned();
    assert_eq!(it.join(&text, "new").await.json()["state"], "waiting");
    let rules = json!({
        "open": true, "approval": false, "colleagues": false, "department": 1, "domain": it.home.domain,
    });
    assert_eq!(it.ask("PUT", "/joining", Some(&rules)).await.status, 200);
    it.join(&text, "other").await.assert_problem(409, "other-state");
    invite().await.assert_problem(409, "other-state");
}

/// Feature ORG-24: a member gives up the own account, which lies in the recycle bin; only an administrator brings it back
/// Feature ORG-19: an administrator gives a password that is to be changed at once, and takes the second factor and locks away
#[tokio::test(flavor = "multi_thread")]
async fn members_leave_and_come_in_again() {
    let it = bench().await;
    let leaver = it.home.leavers[0];
    let place = format!("/accounts/{}/membership", leaver.account);
    it.ask("DELETE", &place, None).await.assert_problem(403, "no-permission");
    let path = format!("/tenants/{}{place}", it.home.id);
    let session = it.office.session(leaver).await;
    assert_eq!(it.office.ask(&session, "DELETE", &path, None).await.status, 204);
    it.office.ask(&session, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    assert_eq!(it.ask("POST", &format!("/accounts/{}/restore", leaver.account), None).await.status, 200);
    let creator = it.office.session(it.home.creator).await;
    let own = format!("/tenants/{}/accounts/{}/membership", it.home.id, it.home.creator.account);
    it.office.ask(&creator, "DELETE", &own, None).await.assert_problem(409, "other-state");

    // Who has lost everything.
    let session = it.office.session(leaver).await;
    let factor = format!("/tenants/{}/accounts/{}/second-factor", it.home.id, leaver.account);
    let begun = it.office.ask(&session, "POST", &format!("{factor}/authenticator"), None).await;
    assert_eq!(begun.status, 200, "{}", begun.text);
    let place = format!("/accounts/{}/recovery", leaver.account);
    let given = it.ask("POST", &place, None).await;
    assert_eq!(given.status, 200, "{}", given.text);
    let password = given.json()["password"].clone();
    it.office.ask(&session, "GET", "/me", None).await.assert_problem(401, "unauthorised");
    let body = json!({ "address": it.address("leaver1"), "password": password });
    let opened = it.office.ask("", "POST", "/sessions", Some(&body)).await.json();
    assert_eq!(opened["password_change_needed"], true, "{opened}");
    // Nobody gets above himself by it.
    let reader = it
        .office
        .key(Some(it.home.id), None, crate::support::permissions(&["members:write", "dangerous:write"]))
        .await;
    let path = format!("/tenants/{}/accounts/{}/recovery", it.home.id, it.home.chief.account);
    it.office.ask(&reader, "POST", &path, None).await.assert_problem(403, "above-actor");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_elsewhere_or_without_end() {
    let it = bench().await;
    let other = it.office.tenant("other").await;
    it.rules(true, false).await;
    let (_, invitation) = it.invite(1).await;
    // With another tenant's number in it, or another secret, it is nothing at all.
    let foreign = invitation.replace(&it.home.id.to_string(), &other.id.to_string());
    let last = if invitation.ends_with('0') { "1" } else { "0" };
    let altered = format!("{}{last}", &invitation[..invitation.len() - 1]);
    let mut told = Vec::new();
    for bad in [foreign.as_str(), altered.as_str(), "ppi_", "ppm_", "x"] {
        let refused = it.join(bad, "new").await;
        refused.assert_problem(404, "not-found");
        told.push(refused.text);
    }
    assert!(told.iter().all(|text| *text == told[0]), "{told:?}");
    // A suspended organisation lets nobody in.
    let administration = &it.office.administration;
    let stored = administration.tenant(&crate::support::OPERATOR, it.home.id).await.expect("there");
    let suspended = pennypost_directory::TenantState::Suspended;
    administration.directory().set_tenant_state(stored.id, suspended).await.expect("suspended");
    it.join(&invitation, "new").await.assert_problem(409, "other-state");
    // And nobody asks without end.
    let mut statuses = Vec::new();
    for _ in 0..70 {
        statuses.push(it.join("ppi_", "new").await.status.as_u16());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let slowed = it.join("ppi_", "new").await;
    assert!(!slowed.header("retry-after").is_empty());
}
