//! What is done with what scanners find, and what lies in quarantine because of it.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use pennypost_admin::Permissions;
use pennypost_mailstore::compress::decompress;
use pennypost_mailstore::{Incoming, Mailroom};
use pennypost_model::event::{Body as Stored, Event, Stage};
use pennypost_model::journal::Actor;
use pennypost_model::scan::HeldFor;
use pennypost_model::{FlagSet, MailboxId, Timestamp, codec};
use pennypost_ports::{Clock, Consistency, Ids, RandomIds};
use serde_json::{Value, json};

use crate::support::{Answer, Office, Tenant, permissions};

/// Feature RCV-13: thresholds of a spam scanner are said over the admin API, with what is done without its word
/// Feature RCV-15 (part): what is done with a virus, and without a scanner, and whether recipients get the rest of the letter, is said over the admin API; what comes in is not refused
#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_with_what_scanners_find_is_said_over_the_api() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let key = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let path = format!("/tenants/{}/scan-policy", home.id);
    let first = office.ask(&key, "GET", &path, None).await;
    let default = json!({
        "virus": "quarantine", "without_virus_scanner": "hold", "without_spam_scanner": "pass",
        "junk": 6.0, "quarantine": null, "delete": null, "tell_recipients": true, "recipients_get": "notice",
    });
    assert_eq!(first.json(), default);
    let mut said = default.clone();
    (said["quarantine"], said["delete"], said["virus"]) = (json!(15.5), json!(100.0), json!("delete"));
    said["recipients_get"] = json!("rest");
    let etag = [("if-match", first.header("etag"))];
    let answer = office.ask_with(&key, "PUT", &path, &etag, Some(&said)).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, said.clone()));
    office.ask_with(&key, "PUT", &path, &etag, Some(&default)).await.assert_problem(412, "changed");
    office
        .ask_with(&key, "PUT", &path, &[], Some(&default))
        .await
        .assert_problem(428, "precondition-required");
    for (field, wrong, problem, pointer) in [
        ("junk", json!(0), (422, "invalid"), "/junk"),
        ("junk", json!(1000.01), (422, "invalid"), "/junk"),
        ("quarantine", json!(-5), (422, "invalid"), "/quarantine"),
        ("delete", json!(10), (422, "invalid"), ""),
        ("virus", json!("clean"), (400, "bad-body"), "/virus"),
        ("tell_recipients", json!("no"), (400, "bad-body"), "/tell_recipients"),
        ("recipients_get", json!("all"), (400, "bad-body"), "/recipients_get"),
        ("whatever", json!(1), (400, "bad-body"), ""),
    ] {
        let mut policy = said.clone();
        policy[field] = wrong;
        let refused = office.ask(&key, "PUT", &path, Some(&policy)).await;
        refused.assert_problem(problem.0, problem.1);
        assert!(refused.text.contains(pointer), "{pointer} {}", refused.text);
    }
    let mut unsaid = said.clone();
    unsaid.as_object_mut().expect("an object").remove("junk");
    office.ask(&key, "PUT", &path, Some(&unsaid)).await.assert_problem(400, "bad-body");
    assert_eq!(office.ask(&key, "GET", &path, None).await.json(), said);
    let log = office.ask(&key, "GET", &format!("/tenants/{}/operations", home.id), None).await.text;
    assert!(log.contains("scan-policy.change") && log.contains("recipients_get"), "{log}");
    // Who says nothing of what recipients get, as programs of before, wants what holds where nobody has said anything.
    let mut before = said.clone();
    before.as_object_mut().expect("an object").remove("recipients_get");
    let answer = office.ask(&key, "PUT", &path, Some(&before)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["recipients_get"]), (200, &json!("notice")));
}

/// The letters that are in the queue, as they are.
async fn queued(office: &Office) -> Vec<String> {
    let (minute, brief) = (Duration::from_secs(60), Duration::from_millis(1));
    let found = office.queue.receive(Stage::InboundParse, 10, minute, brief).await.expect("queue");
    let mut letters = Vec::new();
    for message in found {
        let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("a letter") };
        assert!(accepted.names_only_its_tenant());
        let Stored::Inline(stored) = &accepted.body else { panic!("it is short") };
        letters.push(String::from_utf8(decompress(stored).expect("whole")).expect("UTF-8"));
        office.queue.ack(Stage::InboundParse, &[message.receipt]).await.expect("done");
    }
    letters
}

/// A page, as a browser asks for it.
async fn page(office: &Office, method: &str, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
    office.send(request).await
}

struct Bench {
    office: Office,
    home: Tenant,
    session: String,
    admin: String,
    /// A letter with a virus.
    infected: String,
}

impl Bench {
    async fn open() -> Bench {
        let office = Office::open().await;
        let home = office.tenant("home").await;
        // What its members were told of business mailboxes.
        queued(&office).await;
        let session = office.session(home.member).await;
        let admin = office.key(Some(home.id), None, Permissions::of_tenant()).await;
        let infected = RandomIds.event(office.clock.now());
        office.quarantine(home.member, infected, HeldFor::Virus).await;
        Bench { office, home, session, admin, infected: infected.to_string() }
    }

    async fn ask(&self, key: &str, method: &str, below: &str) -> Answer {
        let path =
            format!("/tenants/{}/accounts/{}/quarantine{below}", self.home.id, self.home.member.account);
        self.office.ask(key, method, &path, None).await
    }
}

/// Feature RCV-11: a member sees what is kept from him, and releases or deletes it; an administrator releases viruses
#[tokio::test(flavor = "multi_thread")]
async fn members_release_spam_and_administrators_viruses() {
    let it = Bench::open().await;
    let (spam, infected) = (&it.home.letter, &it.infected);
    let listed = it.ask(&it.session, "GET", "").await.json();
    let of = |field: &str| {
        listed["items"].as_array().expect("rows").iter().map(|row| row[field].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(of("held_for"), ["spam", "virus"]);
    assert_eq!(of("state"), ["held", "held"]);
    let seen = it.ask(&it.session, "GET", &format!("/{spam}")).await.json();
    assert_eq!(seen["header"], "From: bob@sender.example\r\nSubject: Invoice 4711\r\n\r\n");
    assert_eq!(
        (&seen["id"], &seen["from"], &seen["size"].is_u64()),
        (&json!(spam), &json!("bob@sender.example"), &true)
    );

    let refused = it.ask(&it.session, "POST", &format!("/{infected}/release")).await;
    refused.assert_problem(403, "no-permission");
    for _ in 0..2 {
        let released = it.ask(&it.session, "POST", &format!("/{spam}/release")).await;
        assert_eq!((released.status.as_u16(), &released.json()["state"]), (200, &json!("released")));
    }
    let letters = queued(&it.office).await;
    assert_eq!(letters.len(), 1, "it is sent once");
    assert!(letters[0].contains("Subject: Invoice 4711"), "{letters:?}");
    let released = it.ask(&it.admin, "POST", &format!("/{infected}/release")).await;
    assert_eq!(released.json()["state"], "released");
    assert_eq!(queued(&it.office).await.len(), 1);
    let all = it.office.ask(&it.admin, "GET", &format!("/tenants/{}/quarantine", it.home.id), None).await;
    assert_eq!(all.json()["items"].as_array().map(Vec::len), Some(2));
    let log =
        it.office.ask(&it.admin, "GET", &format!("/tenants/{}/operations", it.home.id), None).await.text;
    for action in ["quarantine.release-virus", "quarantine.release"] {
        assert!(log.contains(action), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_and_others_see_nothing() {
    let it = Bench::open().await;
    let (spam, home) = (&it.home.letter, &it.home);
    let reader = it.office.key(Some(home.id), None, permissions(&["members:read"])).await;
    assert_eq!(it.ask(&reader, "GET", &format!("/{spam}")).await.status.as_u16(), 200);
    it.ask(&reader, "DELETE", &format!("/{spam}")).await.assert_problem(403, "no-permission");
    it.ask(&reader, "POST", &format!("/{spam}/release")).await.assert_problem(403, "no-permission");
    let another = it.office.session(home.graded).await;
    it.ask(&another, "GET", "").await.assert_problem(403, "no-permission");
    let theirs = it.office.tenant("theirs").await;
    queued(&it.office).await;
    let stranger = it.office.key(Some(theirs.id), None, Permissions::of_tenant()).await;
    it.ask(&stranger, "GET", "").await.assert_problem(404, "not-found");
    // A letter of another tenant below one's own account.
    it.ask(&it.admin, "GET", &format!("/{}", theirs.letter)).await.assert_problem(404, "not-found");
    for nothing in ["/x", "/01KAEV3Q8WJ7R9T2N5X4M6C0BD"] {
        for (method, below) in [("GET", ""), ("POST", "/release"), ("DELETE", "")] {
            let answer = it.ask(&it.session, method, &format!("{nothing}{below}")).await;
            answer.assert_problem(404, "not-found");
        }
    }
    for _ in 0..2 {
        assert_eq!(it.ask(&it.session, "DELETE", &format!("/{spam}")).await.status.as_u16(), 204);
    }
    it.ask(&it.session, "GET", &format!("/{spam}")).await.assert_problem(404, "not-found");
    it.ask(&it.session, "POST", &format!("/{spam}/release")).await.assert_problem(404, "not-found");
    assert!(queued(&it.office).await.is_empty());
    // What has lain there for seven days is not shown any more.
    it.office.clock.put_forward(8 * 86_400_000);
    let session = it.office.session(home.member).await;
    assert_eq!(it.ask(&session, "GET", "").await.json()["items"], json!([]));
}

/// Who died between saying of what he tells and telling it left letters of which nobody was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_was_begun_is_written_again_and_tells_of_the_same_time() {
    let it = Bench::open().await;
    let (home, office, administration) = (&it.home, &it.office, &it.office.administration);
    let path = format!("/tenants/{}/accounts/{}/quarantine-digest", home.id, home.member.account);
    let said = office.ask(&it.session, "PUT", &path, Some(&json!({ "enabled": true }))).await;
    assert_eq!(said.status.as_u16(), 200);
    let until = office.clock.now();
    let page = pennypost_directory::Page { after: None, limit: 10 };
    let wanted = administration.directory().quarantine_digests(home.id, &page).await.expect("listed");
    let [(key, _, told)] = wanted.items[..] else { panic!("one wants it") };
    let begun = administration.directory().begin_quarantine_digest(key, told, until).await;
    assert_eq!((key, begun), (home.member, Ok(true)));
    office.clock.put_forward(60_000);
    office.quarantine(home.member, RandomIds.event(office.clock.now()), HeldFor::Spam).await;
    office.clock.put_forward(600_000);
    let brief = Duration::from_millis(1);
    for is_begun in [true, false] {
        assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(1));
        let found = office.queue.receive(Stage::InboundParse, 10, Duration::from_secs(60), brief).await;
        let [message] = &found.expect("queue")[..] else { panic!("one summary") };
        let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("a letter") };
        assert_eq!(accepted.id.time() == until, is_begun, "it comes once, however often it is written");
        office.queue.ack(Stage::InboundParse, std::slice::from_ref(&message.receipt)).await.expect("done");
    }
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(0));
}

/// Feature RCV-11: a member switches a daily summary on, and releases by its links what it tells of; what is kept goes after seven days
#[tokio::test(flavor = "multi_thread")]
async fn a_summary_tells_once_of_each_letter_and_its_links_release() {
    let it = Bench::open().await;
    let (home, office) = (&it.home, &it.office);
    let path = format!("/tenants/{}/accounts/{}/quarantine-digest", home.id, home.member.account);
    let administration = &office.administration;
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(0));
    assert_eq!(
        office.ask(&it.session, "GET", &path, None).await.json(),
        json!({ "enabled": false, "junk": false })
    );
    let said = office.ask(&it.session, "PUT", &path, Some(&json!({ "enabled": true }))).await;
    assert_eq!((said.status.as_u16(), said.json()), (200, json!({ "enabled": true, "junk": false })));
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(0), "it has only just come");
    office.clock.put_forward(600_000);
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(1));
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(0), "each letter once");
    let summaries = office.letters().await;
    let [(to, body)] = &summaries[..] else { panic!("{summaries:?}") };
    assert_eq!(to, &[format!("member@{}", home.domain)]);
    assert!(
        body.contains("bob@sender.example") && body.contains("Invoice 4711") && body.contains("七天"),
        "{body}"
    );
    let links: Vec<&str> =
        body.lines().filter_map(|line| line.trim().strip_prefix("https://mail.post.example")).collect();
    let [link] = links[..] else { panic!("one link, and none to a virus: {body}") };

    // Looking does nothing, however often.
    for _ in 0..2 {
        let asked = page(office, "GET", link).await;
        assert!(asked.status.is_success() && asked.text.contains("<form method=\"post\">"), "{}", asked.text);
    }
    assert!(queued(office).await.is_empty());
    for _ in 0..2 {
        let done = page(office, "POST", link).await;
        assert!(done.status.is_success() && done.text.contains("Released"), "{}", done.text);
    }
    assert_eq!(queued(office).await.len(), 1, "it is sent once");
    let log = office.ask(&it.admin, "GET", &format!("/tenants/{}/operations", home.id), None).await.text;
    assert!(log.contains("quarantine.release") && log.contains("quarantine.digest"), "{log}");

    // What is none, or is over, opens nothing.
    let mut other = link.to_owned();
    other.pop();
    for wrong in ["/quarantine/x", "/quarantine/%20", &other] {
        for method in ["GET", "POST"] {
            assert_eq!(page(office, method, wrong).await.status.as_u16(), 404, "{wrong}");
        }
    }
    office.clock.put_forward(8 * 86_400_000);
    assert_eq!(page(office, "GET", link).await.status.as_u16(), 404);
    assert_eq!(administration.look_after_quarantine(home.id).await, Ok(2));
}

/// Feature RCV-12: a member who fetches by POP3 is told once a day by a letter what went to Junk, if he wants it; by commands, too
#[tokio::test(flavor = "multi_thread")]
async fn who_fetches_by_pop3_is_told_what_went_to_junk() {
    let it = Bench::open().await;
    let (home, office, administration) = (&it.home, &it.office, &it.office.administration);
    Mailroom::new(office.store.clone()).account(home.member).await.expect("a journal");
    let put = async |subject: &str, time: Timestamp| {
        let raw = format!("From: Foe <foe@spam.example>\r\nSubject: {subject}\r\n\r\nhello\r\n");
        let letter = Incoming::prepare(raw.as_bytes(), RandomIds.event(time), FlagSet::default(), time)
            .expect("prepares");
        let state = office.store.load(home.member, Consistency::Strong).await.expect("state");
        let (junk, letters) = (MailboxId::JUNK, [letter]);
        let storing = office.store.store(home.member, state, &Actor::Delivery, junk, &letters, |_| Ok(()));
        storing.await.expect("stores");
    };
    let path = format!("/tenants/{}/accounts/{}/quarantine-digest", home.id, home.member.account);
    put("Long ago", office.clock.now().plus_millis(-2 * 86_400_000)).await;
    for number in 0..101 {
        put(&format!("Win {number}."), office.clock.now()).await;
    }
    let said = json!({ "enabled": false, "junk": true });
    assert_eq!(office.ask(&it.session, "PUT", &path, Some(&said)).await.json(), said);
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(0), "they have only just come");
    office.clock.put_forward(600_000);
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(1));
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(0), "each letter once");
    let summaries = office.letters().await;
    let [(to, body)] = &summaries[..] else { panic!("{summaries:?}") };
    assert_eq!(to, &[format!("member@{}", home.domain)]);
    assert!(body.contains("Win 100.") && body.contains("foe@spam.example"), "{body}");
    assert!(body.contains("And 1 more.") && !body.contains("Win 0."), "{body}");
    assert!(!body.contains("Long ago") && !body.contains("Invoice 4711") && body.contains("POP3"), "{body}");
    // Both in one letter, for who wants both.
    let said = json!({ "enabled": true, "junk": true });
    assert_eq!(office.ask(&it.session, "PUT", &path, Some(&said)).await.status, 200);
    put("One more", office.clock.now()).await;
    office.quarantine(home.member, RandomIds.event(office.clock.now()), HeldFor::Spam).await;
    office.clock.put_forward(600_000);
    assert_eq!(administration.send_quarantine_digests(home.id).await, Ok(1));
    let summaries = office.letters().await;
    let [(_, body)] = &summaries[..] else { panic!("{summaries:?}") };
    assert!(body.contains("One more") && body.contains("Invoice 4711") && !body.contains("Win"), "{body}");
}
