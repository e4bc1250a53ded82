use super::*;
use crate::test_office::{TestOffice, documents, office, printed};
use pennypost_model::{MailboxId, Uid};

const RAW: &[u8] =
    b"From: bob@sender.example\r\nSubject: Invoice 4711\r\nMessage-ID: <x1@Sender.example>\r\n\r\nhi\r\n";

fn args(query: &str) -> TraceArgs {
    TraceArgs { query: query.to_owned(), tenant: None, since: 30, limit: 50 }
}

async fn traced(it: &TestOffice, args: &TraceArgs) -> Vec<Value> {
    let shown = async |output: &mut Output<'_>| {
        show(&it.office, args, &it.text, output).await.expect("traces");
    };
    documents(&printed(true, shown).await)
}

#[tokio::test]
async fn a_delivered_message_is_found_by_all_that_is_known_of_it() {
    let it = office().await;
    let id = it.deliver(it.accepted(RAW, &[&it.account])).await;
    it.deliver(it.accepted(b"Subject: other\r\n\r\n", &[&it.account])).await;
    for query in [&id.to_string(), "invoice 47", "<x1@sender.EXAMPLE>", "4711"] {
        let found = traced(&it, &args(query)).await;
        assert_eq!(found.len(), 1, "{query}");
        assert_eq!(found[0]["id"], id.to_string());
        assert_eq!(found[0]["auth"], json!({ "spf": "pass", "dkim": "none", "dmarc": "fail" }));
        assert_eq!(found[0]["recipients"][0]["outcome"], "stored");
        assert_eq!(found[0]["recipients"][0]["now"]["state"], "there");
    }
    for query in ["ann@acme.example", "bob@SENDER.example"] {
        assert_eq!(traced(&it, &args(query)).await.len(), 2, "{query}");
    }
    assert_eq!(traced(&it, &args("carol")).await.len(), 0);
    let one = TraceArgs { limit: 1, ..args("ann@") };
    let newest = traced(&it, &one).await;
    assert_eq!((newest.len(), &newest[0]["subject"]), (1, &json!("other")));
    let elsewhere = TraceArgs { tenant: Some("nobody".to_owned()), ..args("ann@") };
    let mut nowhere = Vec::new();
    let result = show(&it.office, &elsewhere, &it.text, &mut Output::new(&mut nowhere, true)).await;
    result.expect_err("no such tenant");
}

#[tokio::test]
async fn the_trace_follows_a_copy_to_where_it_is_now() {
    let it = office().await;
    let id = it.deliver(it.accepted(RAW, &[&it.account])).await;
    let found = traced(&it, &args(&id.to_string())).await;
    let uid = found[0]["recipients"][0]["now"]["uid"].as_u64().expect("a UID");
    let place = found[0]["recipients"][0]["now"]["mailbox"].as_str().expect("a mailbox").to_owned();

    let room = pennypost_mailstore::Mailroom::new(it.office.store.clone());
    let live = room.account(it.account.key).await.expect("account");
    let from = live.state().mailbox_named(&place).expect("mailbox").id;
    let uids = [Uid(uid as u32)].into_iter().collect();
    let actor = pennypost_model::journal::Actor::Admin;
    let moved = live.change(&actor, |draft| draft.move_messages(from, &uids, MailboxId::ARCHIVE)).await;
    moved.expect("moves");
    let now = &traced(&it, &args(&id.to_string())).await[0]["recipients"][0]["now"];
    assert_eq!((&now["mailbox"], &now["flags"]), (&json!("Archive"), &json!([])));
    let placed =
        pennypost_mailstore::Placed { uid: Uid(now["uid"].as_u64().expect("a UID") as u32), rid: Rid(0) };
    it.delete(MailboxId::ARCHIVE, placed).await;
    let now = &traced(&it, &args(&id.to_string())).await[0]["recipients"][0]["now"];
    assert_eq!((&now["state"], &now["reason"]), (&json!("deleted"), &json!("expunge")));
}

#[tokio::test]
async fn records_that_stand_twice_are_one_journey() {
    let it = office().await;
    let id = it.deliver(it.accepted(RAW, &[&it.account])).await;
    let (log, tenant) = (it.office.log(), it.account.key.tenant);
    let query = pennypost_ports::LogQuery { tenant, kind: LogKind::Trace, from: id, to: id, limit: 10 };
    let records = log.query(&query).await.expect("records");
    // More than a page holds, so that the records of one message go over its end.
    for _ in 0..600 {
        log.append(&records).await.expect("appended");
    }
    note(&it.office, tenant, id, TraceStep::Replayed { queue: "inbound".to_owned() }).await.expect("noted");
    let later = it.deliver(it.accepted(b"Subject: later\r\n\r\n", &[&it.account])).await;
    let found = traced(&it, &args("ann@acme.example")).await;
    let ids: Vec<_> = found.iter().map(|journey| journey["id"].clone()).collect();
    assert_eq!(ids, [later.to_string(), id.to_string()]);
    assert_eq!(found[1]["recipients"].as_array().map(Vec::len), Some(1));
    assert_eq!(found[1]["incidents"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_message_that_died_is_found_by_its_envelope() {
    let it = office().await;
    let id = it.kill(it.accepted(RAW, &[&it.account]), "the handler is broken").await;
    for query in ["ann@acme.example", "bob@sender", &id.to_string()] {
        let found = traced(&it, &args(query)).await;
        assert_eq!(found.len(), 1, "{query}");
        assert_eq!(found[0]["incidents"][0]["step"], "dead-lettered");
        assert_eq!(found[0]["incidents"][0]["cause"], "the handler is broken");
    }
}

#[tokio::test]
async fn people_read_a_timeline() {
    let it = office().await;
    let raw = b"Subject: \x1b[2J\r\n\r\nhi\r\n";
    let id = it.deliver(it.accepted(raw, &[&it.account])).await;
    let lines = printed(false, async |output| {
        show(&it.office, &args(&id.to_string()), &it.text, output).await.expect("traces");
    })
    .await;
    let said = lines.join("\n");
    assert!(!said.contains('\x1b'), "{said}");
    for part in ["192.0.2.1 mx.sender.example", "SPF pass, DKIM none, DMARC fail", "as UID 1", "not seen yet"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
}
