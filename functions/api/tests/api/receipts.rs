//! Letters whose senders ask for a read receipt.

use pennypost_admin::Permissions;
use pennypost_mailstore::{Incoming, Mailroom};
use pennypost_model::event::Verdict;
use pennypost_model::journal::{Actor, Protocol};
use pennypost_model::trace::{Outcome, TraceRecipient, TraceStep};
use pennypost_model::{AccountKey, EventId, FlagSet, MailboxId, Rid, Seq, Timestamp, Uid};
use pennypost_ports::{Clock, Consistency, Ids, RandomIds};
use serde_json::json;

use crate::support::{OPERATOR, Office, permissions, traced};

impl Office {
    /// A letter that came and asks, at that time.
    async fn ask_for_receipt(&self, member: AccountKey, address: &str, at: Timestamp) -> EventId {
        let raw = "From: bob@sender.example\r\nSubject: hello\r\nMessage-ID: <1@sender.example>\r\n\
                   Disposition-Notification-To: bob@sender.example\r\n\r\nhello\r\n";
        Mailroom::new(self.store.clone()).account(member).await.expect("journal");
        let id = RandomIds.event(at);
        let letter = Incoming::prepare(raw.as_bytes(), id, FlagSet::default(), at).expect("prepares");
        let state = self.store.load(member, Consistency::Strong).await.expect("state");
        let actor = Actor::Member(Protocol::Import);
        let letters = [letter];
        let storing = self.store.store(member, state, &actor, MailboxId::INBOX, &letters, |_| Ok(()));
        storing.await.expect("stores");
        let state = self.store.load(member, Consistency::Strong).await.expect("state");
        let rows = &state.mailbox(MailboxId::INBOX).expect("an inbox").rows;
        let rid: Rid = rows.iter().last().expect("a letter").rid;
        let recipient = TraceRecipient {
            account: member,
            address: address.to_owned(),
            reasons: vec!["inbox".to_owned(), "receipt-asked:bob@sender.example".to_owned()],
            outcome: Outcome::Stored { seq: Seq(1), uid: Uid(1), rid, mailbox: "INBOX".to_owned() },
        };
        let step = TraceStep::Delivered {
            accepted: at,
            peer: "192.0.2.1 mx.sender.example".to_owned(),
            reverse_path: "bob@sender.example".to_owned(),
            subject: "hello".to_owned(),
            message_id: "1@sender.example".to_owned(),
            size: 100,
            auth: [Verdict::Pass; 3],
            recipients: vec![recipient],
        };
        self.log.append(&[traced(member.tenant, id, at, step)]).await.expect("traced");
        id
    }
}

/// Feature SND-09 (part): letters that ask are listed page by page, looked at and answered over the API, by their reader alone
#[tokio::test(flavor = "multi_thread")]
async fn letters_that_ask_are_listed_and_answered() {
    let office = Office::sending_out().await;
    let home = office.tenant("home").await;
    let (session, now) = (office.session(home.member).await, office.clock.now());
    let address = format!("member@{}", home.domain);
    let mut letters = Vec::new();
    for minutes in [50, 30, 10] {
        let at = now.plus_millis(-60_000 * minutes);
        letters.push(office.ask_for_receipt(home.member, &address, at).await.to_string());
    }
    let path = format!("/tenants/{}/accounts/{}/receipt-requests", home.id, home.member.account);
    let mut found = Vec::new();
    let mut next = format!("{path}?limit=2");
    for _ in 0..10 {
        let page = office.ask(&session, "GET", &next, None).await.json();
        found.extend(page["items"].as_array().expect("a list").iter().map(|item| item["letter"].clone()));
        let Some(after) = page["next"].as_str() else { break };
        next = format!("{path}?limit=2&after={after}");
    }
    assert_eq!(found, [json!(letters[2]), json!(letters[1]), json!(letters[0])]);
    let one = office.ask(&session, "GET", &format!("{path}/{}", letters[0]), None).await.json();
    assert_eq!(
        (&one["asker"], &one["state"], &one["subject"]),
        (&json!("bob@sender.example"), &json!("open"), &json!("hello"))
    );
    office.ask(&session, "GET", &format!("{path}?days=91"), None).await.assert_problem(400, "bad-parameter");

    // Others look at most.
    let answer = format!("{path}/{}/answer", letters[0]);
    let reader = office.key(Some(home.id), None, permissions(&["log:read"])).await;
    assert_eq!(office.ask(&reader, "GET", &format!("{path}/{}", letters[0]), None).await.json(), one);
    let all = office.key(Some(home.id), None, Permissions::of_tenant()).await;
    let own_key = office.key(Some(home.id), Some(home.member), Permissions::of_tenant()).await;
    for key in [&reader, &all, &own_key] {
        let refused = office.ask(key, "POST", &answer, Some(&json!({ "give": true }))).await;
        refused.assert_problem(403, "no-permission");
    }
    let chief = office.session(home.chief).await;
    office
        .ask(&chief, "POST", &answer, Some(&json!({ "give": true })))
        .await
        .assert_problem(403, "no-permission");

    office.ask(&session, "POST", &answer, Some(&json!({}))).await.assert_problem(400, "bad-body");
    let said = office.ask(&session, "POST", &answer, Some(&json!({ "give": true }))).await;
    assert_eq!(said.status, 202, "{}", said.text);
    let told = said.json();
    assert_eq!(
        (&told["letter"], &told["asker"], &told["give"], &told["state"]),
        (&json!(letters[0]), &json!("bob@sender.example"), &json!(true), &json!("queued"))
    );
    assert!(said.header("location").ends_with(&format!("/receipt-requests/{}", letters[0])));
    let again = office.ask(&session, "POST", &answer, Some(&json!({ "give": false }))).await;
    let problem = again.assert_problem(409, "other-state");
    assert!(problem["detail"].as_str().expect("a detail").contains("receipt"), "{problem}");
    let tasks = office.administration.tasks(&OPERATOR, home.id, &Default::default()).await.expect("tasks");
    office.work_on(home.id, tasks.items[0].id).await;
    let one = office.ask(&session, "GET", &format!("{path}/{}", letters[0]), None).await.json();
    assert_eq!(one["state"], "answered");
    let tasks = format!("/tenants/{}/tasks", home.id);
    let shown = office.ask(&all, "GET", &tasks, None).await.json();
    assert_eq!(
        (&shown["items"][0]["kind"], &shown["items"][0]["state"]),
        (&json!("receipt"), &json!("done"))
    );

    let unknown = RandomIds.event(now).to_string();
    for letter in [unknown.as_str(), home.letter.as_str(), "x"] {
        let path = format!("{path}/{letter}");
        office.ask(&session, "GET", &path, None).await.assert_problem(404, "not-found");
    }
}
