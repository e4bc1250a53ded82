use super::*;
use crate::test_office::{TestOffice, documents, office, printed};
use pennypost_model::event::Stage;
use pennypost_ports::Consistency;

const RAW: &[u8] = b"From: bob@sender.example\r\nSubject: hello\r\n\r\nbody\r\n";

async fn said(it: &TestOffice, command: DeadLettersCommand, json: bool) -> Vec<String> {
    printed(json, async |output| act(&it.office, &command, &it.text, output).await.expect("acts")).await
}

async fn refused(it: &TestOffice, command: DeadLettersCommand) -> String {
    let result = act(&it.office, &command, &it.text, &mut Output::new(&mut Vec::new(), false)).await;
    result.expect_err("nothing to act on").message(&it.text)
}

async fn messages(it: &TestOffice) -> u64 {
    it.office.store.load(it.account.key, Consistency::Strong).await.expect("state").used.messages
}

#[tokio::test]
async fn letters_are_listed_shown_and_replayed() {
    let it = office().await;
    assert_eq!(said(&it, DeadLettersCommand::List, false).await, ["there are no dead letters"]);
    let message = it.kill(it.accepted(RAW, &[&it.account]), "no luck\x1b[2J").await;
    let listed = documents(&said(&it, DeadLettersCommand::List, true).await);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["message"], message.to_string());
    assert_eq!(listed[0]["recipients"], json!(["ann@acme.example"]));
    assert_eq!(listed[0]["tries"], 1);
    let id: EventId = listed[0]["id"].as_str().expect("an id").parse().expect("an id");
    assert_eq!(said(&it, DeadLettersCommand::List, false).await.len(), 2);

    for id in [id, message] {
        let lines = said(&it, DeadLettersCommand::Show { id }, false).await.join("\n");
        for part in ["no luck", "Subject: hello", "ann@acme.example", "<Bob@sender.example>"] {
            assert!(lines.contains(part), "{part} in {lines}");
        }
        assert!(!lines.contains("body") && !lines.contains('\x1b'), "{lines}");
    }
    let replay = || DeadLettersCommand::Replay { id: Some(message), all: false, cause: None };
    said(&it, replay(), true).await;
    assert_eq!(said(&it, DeadLettersCommand::List, true).await.len(), 0);
    assert!(refused(&it, replay()).await.contains(&message.to_string()));
    assert_eq!(it.work(Stage::InboundParse).await, 1);
    assert_eq!(messages(&it).await, 1);
}

#[tokio::test]
async fn all_letters_with_a_cause_are_replayed() {
    let it = office().await;
    let disk = it.kill(it.accepted(RAW, &[&it.account]), "Disk full").await;
    let other = it.kill(it.accepted(RAW, &[&it.account]), "damaged").await;
    let all = DeadLettersCommand::Replay { id: None, all: true, cause: Some("disk".to_owned()) };
    let done = documents(&said(&it, all, true).await);
    assert_eq!(done[0]["replayed"], 1);
    let left = documents(&said(&it, DeadLettersCommand::List, true).await);
    assert_eq!((left.len(), &left[0]["message"]), (1, &json!(other.to_string())));
    let log = it.office.log();
    let journey = trace::journey(&*log, it.account.key.tenant, disk).await.expect("log").expect("noted");
    assert!(matches!(journey.incidents[0].1, TraceStep::Replayed { .. }));
}

#[tokio::test]
async fn a_refused_letter_is_gone_and_the_trace_says_why() {
    let it = office().await;
    let message = it.kill(it.accepted(RAW, &[&it.account]), "damaged").await;
    let refuse = || DeadLettersCommand::Refuse { id: message, reason: "spam".to_owned() };
    said(&it, refuse(), true).await;
    refused(&it, refuse()).await;
    let log = it.office.log();
    let journey = trace::journey(&*log, it.account.key.tenant, message).await.expect("log").expect("noted");
    assert_eq!(journey.incidents.len(), 1);
    assert!(matches!(&journey.incidents[0].1, TraceStep::Refused { cause } if cause == "spam"));
    assert_eq!(messages(&it).await, 0);
}

/// Housekeeping takes spooled messages that are old and in no dead letter.
#[tokio::test]
async fn a_replayed_letter_has_its_spooled_message_under_a_fresh_name() {
    let it = office().await;
    let mut accepted = it.accepted(RAW, &[&it.account]);
    let Body::Inline(stored) = &accepted.body else { panic!("inline") };
    let old = EventId::from_parts(Timestamp(1_600_000_000_000), 7);
    let object = pennypost_mailstore::names::spool(accepted.tenant, old);
    let bytes = codec::encode(stored);
    it.office.objects().put_unique(&object, bytes.into()).await.expect("spooled");
    accepted.body = Body::Spooled { object: object.clone(), size: stored.size };
    let message = it.kill(accepted, "damaged").await;
    let lines = said(&it, DeadLettersCommand::Show { id: message }, false).await.join("\n");
    assert!(lines.contains("Subject: hello"), "{lines}");
    said(&it, DeadLettersCommand::Replay { id: Some(message), all: false, cause: None }, true).await;
    it.office.objects().delete(&object).await.expect("swept");
    assert_eq!(it.work(Stage::InboundParse).await, 1);
    assert_eq!(messages(&it).await, 1);
    assert_eq!(said(&it, DeadLettersCommand::List, true).await.len(), 0);
}
