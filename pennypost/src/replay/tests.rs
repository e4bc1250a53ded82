use super::*;
use crate::test_office::{TestOffice, office};
use pennypost_model::Timestamp;
use pennypost_ports::Consistency;

const RAW: &[u8] = b"From: bob@sender.example\r\nSubject: once\r\n\r\nhi\r\n";

/// What is replayed by one that is one.
async fn replay_one(it: &TestOffice, what: &str) -> Result<Replayed, Failed> {
    let replayed = replay(&it.office, what, &it.text).await?;
    assert_eq!(replayed.len(), 1);
    Ok(replayed[0])
}

async fn messages(it: &TestOffice, account: AccountKey) -> u64 {
    it.office.store.load(account, Consistency::Strong).await.expect("state").used.messages
}

#[tokio::test]
async fn a_delivered_message_is_not_doubled_and_reaches_who_did_not_get_it() {
    let it = office().await;
    let ben = it.account("ben@acme.example").await;
    let accepted = it.accepted(RAW, &[&it.account]);
    let id = it.deliver(accepted.clone()).await;

    let done = replay_one(&it, &id.to_string()).await.expect("replays");
    assert_eq!((done.origin, done.stage, done.message), (Origin::Trace, Stage::InboundParse, Some(id)));
    assert_eq!(it.work(Stage::InboundParse).await, 1);
    assert_eq!(messages(&it, it.account.key).await, 1);

    // A recipient whom the trace names and who has no copy, as after a restored account.
    let log = it.office.log();
    let journey = trace::journey(&*log, accepted.tenant, id).await.expect("log").expect("traced");
    let mut delivery = journey.delivery.clone().expect("delivered");
    delivery.recipients.push(TraceRecipient {
        address: "ben@acme.example".to_owned(),
        account: ben.key,
        reasons: vec!["rule:catch-all".to_owned()],
        outcome: Outcome::Refused { cause: "not placed".to_owned() },
    });
    let rebuilt = rebuild(&it.office, &journey, &delivery).await.expect("reads").expect("a copy");
    assert_eq!((rebuilt.id, rebuilt.time, &rebuilt.body), (accepted.id, accepted.time, &accepted.body));
    assert_eq!(rebuilt.receipt, accepted.receipt);
    assert_eq!((&rebuilt.reverse_path, rebuilt.source.ip), (&accepted.reverse_path, accepted.source.ip));
    assert_eq!(rebuilt.source.helo, accepted.source.helo);
    assert_eq!((rebuilt.auth.spf, rebuilt.auth.dmarc), (Verdict::Pass, Verdict::Fail));
    assert_eq!(rebuilt.recipients[1].via, Via::CatchAll);
    it.deliver(rebuilt).await;
    assert_eq!((messages(&it, it.account.key).await, messages(&it, ben.key).await), (1, 1));

    let journey = trace::journey(&*log, accepted.tenant, id).await.expect("log").expect("traced");
    assert_eq!(journey.incidents.len(), 1);
    assert!(matches!(&journey.incidents[0].1, TraceStep::Replayed { queue } if queue == "inbound"));
}

#[tokio::test]
async fn an_event_from_a_file_goes_to_its_queue() {
    let it = office().await;
    let accepted = it.accepted(RAW, &[&it.account]);
    let path = it.dir.path().join("event.json");
    let event = Event::Accepted(Box::new(accepted));
    std::fs::write(&path, serde_json::to_vec(&event).expect("JSON")).expect("written");
    for _ in 0..2 {
        let done = replay_one(&it, &path.display().to_string()).await.expect("replays");
        assert_eq!(done.origin, Origin::File);
    }
    assert_eq!(it.work(Stage::InboundParse).await, 2);
    assert_eq!(messages(&it, it.account.key).await, 1);

    std::fs::write(&path, b"{}").expect("written");
    let error = replay(&it.office, &path.display().to_string(), &it.text).await.expect_err("no event");
    assert!(error.message(&it.text).contains("holds no event"));
}

#[tokio::test]
async fn a_large_message_is_spooled() {
    let it = office().await;
    let mut state = 1_u64;
    let noise = (0..400_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b'!' + (state >> 57) as u8 % 90
    });
    let raw: Vec<u8> = b"Subject: large\r\n\r\n".iter().copied().chain(noise).collect();
    let mut event = Event::Accepted(Box::new(it.accepted(&raw, &[&it.account])));
    send(&it.office, Stage::InboundParse, &mut event).await.expect("sent");
    let Event::Accepted(accepted) = &event else { panic!("still accepted") };
    assert!(matches!(&accepted.body, Body::Spooled { size, .. } if *size == raw.len() as u64));
    assert_eq!(it.work(Stage::InboundParse).await, 1);
    assert_eq!(messages(&it, it.account.key).await, 1);
}

#[tokio::test]
async fn what_is_unknown_is_said() {
    let it = office().await;
    let id = EventId::from_parts(Timestamp(1_795_076_130_000), 1).to_string();
    let error = replay(&it.office, &id, &it.text).await.expect_err("unknown").message(&it.text);
    assert!(error.contains(&id), "{error}");
    replay(&it.office, "no such file", &it.text).await.expect_err("no file");
}

fn sample(path: &str) -> String {
    format!("{}/../events/{path}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn samples_of_functions_go_to_those_who_have_their_addresses_here() {
    let it = office().await;
    let missing = replay(&it.office, &sample("inbound/letters.json"), &it.text).await;
    let missing = missing.expect_err("nobody has the addresses").message(&it.text);
    assert!(missing.contains("alice@demo.test"), "{missing}");

    it.office.directory.add_domain(it.account.key.tenant, "demo.test").await.expect("domain");
    let (alice, bob) = (it.account("alice@demo.test").await, it.account("bob@demo.test").await);
    let replayed = replay(&it.office, &sample("inbound/letters.json"), &it.text).await.expect("replays");
    assert_eq!(replayed.len(), 3);
    assert_eq!(it.work(Stage::InboundParse).await, 3);
    assert_eq!((messages(&it, alice.key).await, messages(&it, bob.key).await), (2, 2));

    let stranger =
        replay(&it.office, &sample("house/chores.json"), &it.text).await.expect_err("no addresses");
    assert!(stranger.message(&it.text).contains("tenant"));
    // What nobody can read goes to its queue nevertheless.
    let replayed = replay(&it.office, &sample("inbound/malformed.json"), &it.text).await.expect("replays");
    assert!(replayed.iter().all(|one| one.stage == Stage::InboundParse && one.message.is_none()));
    let depth = it.office.queue().depth(Stage::InboundParse).await.expect("depth");
    assert_eq!(depth.waiting, 3);
}

#[tokio::test]
async fn samples_of_received_mail_bring_their_letters() {
    let it = office().await;
    it.office.directory.add_domain(it.account.key.tenant, "demo.test").await.expect("domain");
    let (alice, bob) = (it.account("alice@demo.test").await, it.account("bob@demo.test").await);
    for _ in 0..2 {
        let replayed = replay(&it.office, &sample("receive/letters.json"), &it.text).await.expect("replays");
        assert!(replayed.iter().all(|one| one.stage == Stage::Receive && one.message.is_none()));
        assert_eq!((replayed.len(), it.work(Stage::Receive).await), (3, 3));
        assert_eq!(it.work(Stage::InboundParse).await, 3);
        assert_eq!((messages(&it, alice.key).await, messages(&it, bob.key).await), (2, 2));
    }
    let log = it.office.log();
    let journeys = trace::journeys::newest(
        &*log,
        it.account.key.tenant,
        Timestamp(0),
        it.office.clock.now(),
        &|journey| journey.matches("sample0000000000000000000000000000000001"),
        10,
    );
    let journeys = journeys.await.expect("log");
    let [journey] = &*journeys.into_values().collect::<Vec<_>>() else { panic!("one message") };
    assert!(
        matches!(&*journey.incidents, [(_, TraceStep::Received { by, .. })] if by == "ses"),
        "{journey:?}"
    );
    let delivery = journey.delivery.as_ref().expect("delivered");
    assert_eq!((&*delivery.subject, &*delivery.peer), ("Penny post", "192.0.2.25 mx.hill.example"));

    // One whose letter is nowhere is a dead letter that says whom it was for.
    let mut said: serde_json::Value =
        serde_json::from_slice(&std::fs::read(sample("receive/letters.json")).expect("there")).expect("JSON");
    said["Records"].as_array_mut().expect("records").truncate(1);
    let path = it.dir.path().join("alone.json");
    std::fs::write(&path, said.to_string()).expect("written");
    replay(&it.office, &path.display().to_string(), &it.text).await.expect("replays");
    let body = said["Records"][0]["body"].as_str().expect("text");
    let envelope = dead_letters::Envelope::of(body.as_bytes()).expect("an envelope");
    assert_eq!(
        (envelope.reverse_path.as_str(), &*envelope.recipients),
        ("rowland@hill.example", &["alice@demo.test".to_owned()][..])
    );
}
