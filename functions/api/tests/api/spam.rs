//! Letters that members report as spam, and senders whom they refuse by a letter.

use pennypost_admin::Permissions;
use pennypost_mailstore::{Incoming, Mailroom};
use pennypost_model::journal::{Actor, Protocol};
use pennypost_model::{FlagSet, MailboxId, TaskId, Timestamp};
use pennypost_ports::{Clock, Consistency, Ids, RandomIds};
use serde_json::json;

use crate::support::{Office, permissions};

/// Feature RCV-10: a member reports a letter, which goes into Junk, and refuses its sender in the same step; reports are listed for him and for administrators, over the API; no page shows it yet
/// Feature RCV-19 (part): a sender is refused by his letter, over the API; contacts are missing
/// Feature RCV-07 (part): also from reporting spam and by a letter, over the API
#[tokio::test(flavor = "multi_thread")]
async fn letters_are_reported_and_senders_refused() {
    let office = Office::open().await;
    let home = office.tenant("home").await;
    let member = home.member;
    let session = office.session(member).await;
    let path = format!("/tenants/{}/accounts/{}", home.id, member.account);
    Mailroom::new(office.store.clone()).account(member).await.expect("journal");
    let state = async || office.store.load(member, Consistency::Strong).await.expect("state");
    for (from, subject) in [("foe@spam.example", "Win"), ("Other@Ads.example", "Buy"), ("", "Nobody")] {
        let raw = format!("From: {from}\r\nSubject: {subject}\r\n\r\nhello\r\n");
        let event = RandomIds.event(office.clock.now());
        let letter = Incoming::prepare(raw.as_bytes(), event, FlagSet::default(), Timestamp(77_000));
        let (actor, letters) = (Actor::Member(Protocol::Import), [letter.expect("prepares")]);
        let storing =
            office.store.store(member, state().await, &actor, MailboxId::INBOX, &letters, |_| Ok(()));
        storing.await.expect("stores");
    }
    let uids: Vec<u32> = {
        let state = state().await;
        state.mailbox(MailboxId::INBOX).expect("an inbox").rows.iter().map(|row| row.uid.0).collect()
    };
    let ask = async |method: &str, place: &str, body: Option<serde_json::Value>| {
        office.ask(&session, method, &format!("{path}{place}"), body.as_ref()).await
    };
    let report = json!({ "folder": "inbox", "uid": uids[0], "refuse": true });
    let ordered = ask("POST", "/spam-reports", Some(report.clone())).await;
    assert_eq!(ordered.status, 202, "{}", ordered.text);
    let told = ordered.json();
    assert_eq!(
        (&told["from"], &told["subject"], &told["refused"], &told["state"]),
        (&json!("foe@spam.example"), &json!("Win"), &json!(true), &json!("queued"))
    );
    let task: TaskId = told["id"].as_str().expect("an id").parse().expect("an id");
    office.work_on(home.id, task).await;
    let count = async |id| state().await.mailbox(id).expect("a folder").rows.len();
    assert_eq!((count(MailboxId::INBOX).await, count(MailboxId::JUNK).await), (2, 1));
    let rules = ask("GET", "/rules", None).await.json();
    assert_eq!(rules["blacklist"], json!(["foe@spam.example"]));
    ask("POST", "/spam-reports", Some(report)).await.assert_problem(422, "unknown-reference");
    // One that lies there stays.
    let junk = state().await.mailbox(MailboxId::JUNK).expect("junk").rows.iter().next().expect("a row").uid.0;
    let again = ask("POST", "/spam-reports", Some(json!({ "folder": "Junk", "uid": junk }))).await.json();
    office.work_on(home.id, again["id"].as_str().expect("an id").parse().expect("an id")).await;
    assert_eq!((count(MailboxId::INBOX).await, count(MailboxId::JUNK).await), (2, 1));

    let refused = ask("POST", "/refused-senders", Some(json!({ "folder": "INBOX", "uid": uids[1] }))).await;
    assert_eq!(refused.json()["blacklist"], json!(["foe@spam.example", "other@ads.example"]));
    let nobody = ask("POST", "/refused-senders", Some(json!({ "folder": "INBOX", "uid": uids[2] }))).await;
    assert_eq!(nobody.status, 422, "{}", nobody.text);

    let own = ask("GET", "/spam-reports", None).await.json();
    assert_eq!(own["items"].as_array().map(Vec::len), Some(2));
    assert_eq!((&own["items"][1]["state"], &own["items"][1]["id"]), (&json!("done"), &told["id"]));
    let list = format!("/tenants/{}/spam-reports", home.id);
    let reader = office.key(Some(home.id), None, permissions(&["log:read"])).await;
    assert_eq!(office.ask(&reader, "GET", &list, None).await.json()["items"], own["items"]);
    office.ask(&session, "GET", &list, None).await.assert_problem(403, "no-permission");
    // They tell of letters: who may read the log looks at them, not who manages members.
    let of_member = format!("{path}/spam-reports");
    assert_eq!(office.ask(&reader, "GET", &of_member, None).await.json()["items"], own["items"]);
    let manager = office.key(Some(home.id), None, permissions(&["members:write"])).await;
    office.ask(&manager, "GET", &of_member, None).await.assert_problem(403, "no-permission");
    let admin = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let body = json!({ "folder": "INBOX", "uid": uids[1] });
    let by_other = office.ask(&admin, "POST", &format!("{path}/spam-reports"), Some(&body)).await;
    by_other.assert_problem(403, "no-permission");
}
