//! The contract of the queue port on SQS: `tests/cloud/emulator run cargo test -p pennypost-backend-aws`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use aws_smithy_http_client::tls;
use pennypost_backend_aws::queue::Record;
use pennypost_backend_aws::{Aws, Settings};
use pennypost_contract::queue;
use pennypost_meter::{MILLI, Tally, Unit, metered};
use pennypost_model::event::Stage;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Ids, Outgoing, Queue, RandomIds, Received};

/// A fresh installation at the emulators; `None` where there are none.
async fn fresh() -> Option<Aws> {
    if std::env::var_os("PENNYPOST_TEST_AWS").is_none() {
        eprintln!("skipped: run it with tests/cloud/emulator run");
        return None;
    }
    let settings = Settings::of_stack(&format!("test-{:016x}", RandomIds.random()));
    let aws = Aws::connect(settings).await.expect("an environment");
    aws.create_missing().await.expect("created");
    Some(aws)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds() {
    if fresh().await.is_none() {
        return;
    }
    let left_out = [
        // How soon a quiet tenant's message is handed out is the service's own affair: the emulator keeps the order in
        // which messages came. That groups are named is tested below.
        "no_tenant_delays_another",
        // The emulator looks through the whole backlog for each message: it takes minutes for 9,000. Fewer below.
        "a_long_backlog_comes_out_completely",
    ];
    queue::all_but(&left_out, async || fresh().await.expect("emulators").queue() as Arc<dyn Queue>).await;
}

fn outgoing(tenant: TenantId, body: &str) -> Outgoing {
    Outgoing { tenant, body: body.as_bytes().to_vec(), delay: Duration::ZERO }
}

/// Everything that comes out of the queue until `count` messages have been seen, without acknowledgement.
async fn receive(queue: &dyn Queue, count: usize) -> Vec<Received> {
    let mut all = Vec::new();
    while all.len() < count {
        let wait = Duration::from_secs(5);
        all.extend(queue.receive(STAGE, count, Duration::from_secs(600), wait).await.expect("received"));
    }
    all
}

/// Somebody else at the same queues.
async fn client() -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https();
    let configuration = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    Client::new(&configuration)
}

const STAGE: Stage = Stage::InboundParse;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_together_shares_requests_and_all_of_it_comes_out() {
    const MESSAGES: usize = 500;
    let Some(aws) = fresh().await else { return };
    let queue = aws.queue();
    let tally = Arc::new(Tally::new());
    let tenant = TenantId(7);
    // Each sender sends one message, as an SMTP session does.
    let senders = (0..MESSAGES).map(|number| {
        let queue = Arc::clone(&queue);
        let work = async move { queue.send_batch(STAGE, vec![outgoing(tenant, &format!("{number}"))]).await };
        tokio::spawn(metered(Arc::clone(&tally), work))
    });
    for sent in futures::future::join_all(senders).await {
        sent.expect("alive").into_iter().for_each(|result| result.expect("sent"));
    }
    let requests = tally.counts().milli(Unit::QueueRequest);
    // The address of the queue is asked for once; the first request has one message, the last has few.
    assert!(requests <= (MESSAGES as u64 / 10 + 5) * MILLI, "{requests} thousandths");
    assert!(requests >= (MESSAGES as u64 / 80) * MILLI, "{requests} thousandths");
    let mut seen = BTreeSet::new();
    let before = tally.counts();
    let draining = async {
        while seen.len() < MESSAGES {
            let received = receive(&*queue, 1).await;
            let receipts: Vec<_> = received.iter().map(|one| one.receipt.clone()).collect();
            seen.extend(received.into_iter().map(|one| one.body));
            queue.ack(STAGE, &receipts).await.expect("acknowledged");
        }
    };
    metered(Arc::clone(&tally), draining).await;
    assert_eq!(queue.depth(STAGE).await.expect("depth").waiting, 0);
    let requests = tally.counts().since(&before).milli(Unit::QueueRequest);
    // A receive and a deletion for each message, and most messages hold several events.
    assert!(requests <= MESSAGES as u64 * MILLI, "{requests} thousandths");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_hand_takes_few_requests() {
    let Some(aws) = fresh().await else { return };
    let queue = aws.queue();
    let batch: Vec<Outgoing> = (0..30).map(|number| outgoing(TenantId(7), &format!("{number}"))).collect();
    queue.send_batch(STAGE, batch).await.into_iter().for_each(|result| result.expect("sent"));
    let tally = Arc::new(Tally::new());
    let work = async {
        let received = receive(&*queue, 30).await;
        assert_eq!(received.len(), 30);
        let receipts: Vec<_> = received.into_iter().map(|one| one.receipt).collect();
        queue.ack(STAGE, &receipts).await.expect("acknowledged");
    };
    metered(Arc::clone(&tally), work).await;
    assert_eq!(tally.counts().milli(Unit::QueueRequest), 2 * MILLI, "one to receive, one to delete");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_group_is_the_tenant_and_survives_the_functions_way() {
    let Some(aws) = fresh().await else { return };
    let queue = aws.queue();
    let tenant = TenantId(0xabcd);
    queue.send_batch(STAGE, vec![outgoing(tenant, "poison")]).await.remove(0).expect("sent");
    // As a function is handed it: by SQS's own message, which this process has not received.
    let client = client().await;
    let url = client.get_queue_url().queue_name(aws.settings().queue_name(STAGE)).send().await;
    let url = url.expect("found").queue_url.expect("a URL");
    let answer = client
        .receive_message()
        .queue_url(&url)
        .wait_time_seconds(5)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .expect("received");
    let message = answer.messages().first().expect("one message");
    let attribute = |name| message.attributes().and_then(|all| all.get(&name)).cloned();
    let group = attribute(MessageSystemAttributeName::MessageGroupId);
    assert_eq!(group.as_deref(), Some("000000000000abcd"));
    let record = Record {
        message: message.message_id().expect("an id").to_owned(),
        handle: message.receipt_handle().expect("a handle").to_owned(),
        text: message.body().expect("a body").to_owned(),
        tries: 1,
        sent: Timestamp(1_790_000_000_000),
        group,
    };
    let received = queue.take_over(STAGE, &record).await.expect("taken over").remove(0);
    assert_eq!(received.body, b"poison");
    queue.dead_letter(STAGE, &received.receipt, "test").await.expect("buried");
    let letters = queue.dead_letters(None, 10).await.expect("listed");
    assert_eq!(
        letters.iter().map(|one| (one.tenant, one.body.as_slice())).collect::<Vec<_>>(),
        [(tenant, &b"poison"[..])]
    );
    assert_eq!(queue.depth(STAGE).await.expect("depth"), pennypost_ports::Depth::default());
}

/// Events by their bodies.
fn bodies(received: &[Received]) -> BTreeSet<String> {
    received.iter().map(|one| String::from_utf8(one.body.clone()).expect("text")).collect()
}

async fn send(queue: &dyn Queue, tenant: TenantId, count: usize) -> BTreeSet<String> {
    let names: BTreeSet<String> = (0..count).map(|number| format!("event {number:03}")).collect();
    let sent = queue.send_batch(STAGE, names.iter().map(|name| outgoing(tenant, name)).collect()).await;
    assert!(sent.iter().all(Result::is_ok));
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn many_events_share_messages_and_each_has_its_own_end() {
    let Some(aws) = fresh().await else { return };
    let queue = aws.queue();
    let tenant = TenantId(0x17);
    let tally = Arc::new(Tally::new());
    let names = metered(Arc::clone(&tally), send(&*queue, tenant, 24)).await;
    assert_eq!(queue.depth(STAGE).await.expect("depth").waiting, 8, "three events in each");
    // What is asked for comes, and not more: the rest of a message is left over for the next who asks.
    let mut all = receive(&*queue, 10).await;
    assert_eq!(all.len(), 10);
    let wait = Duration::from_secs(5);
    while all.len() < names.len() {
        let asked = names.len() - all.len();
        all.extend(queue.receive(STAGE, asked, Duration::from_secs(600), wait).await.expect("received"));
    }
    assert_eq!(bodies(&all), names);
    let late = all.remove(3);
    let bad = all.remove(11);
    queue.retry_later(STAGE, &late.receipt, Duration::from_secs(1)).await.expect("put off");
    queue.dead_letter(STAGE, &bad.receipt, "bad").await.expect("buried");
    assert!(queue.dead_letter(STAGE, &bad.receipt, "bad").await.is_err(), "once");
    assert!(queue.retry_later(STAGE, &late.receipt, Duration::ZERO).await.is_err(), "once");
    let receipts: Vec<_> = all.into_iter().map(|one| one.receipt).collect();
    let deleting = Arc::new(Tally::new());
    metered(Arc::clone(&deleting), queue.ack(STAGE, &receipts)).await.expect("done");
    assert_eq!(deleting.counts().milli(Unit::QueueRequest), MILLI, "eight messages, one call");
    let again = receive(&*queue, 1).await;
    assert_eq!((bodies(&again), again[0].tries), (bodies(std::slice::from_ref(&late)), 1));
    queue.ack(STAGE, &[again[0].receipt.clone()]).await.expect("done");
    let letters = queue.dead_letters(None, 10).await.expect("listed");
    let letters: Vec<_> = letters.iter().map(|letter| (letter.tenant, letter.body.clone())).collect();
    assert_eq!(letters, [(tenant, bad.body)]);
    assert_eq!(queue.depth(STAGE).await.expect("depth"), pennypost_ports::Depth::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_message_that_comes_again_is_taken_apart() {
    let Some(aws) = fresh().await else { return };
    let queue = aws.queue();
    let names = send(&*queue, TenantId(0x17), 12).await;
    // A process that dies with all of them, after it has told of some.
    let second = Duration::from_secs(1);
    let taken = queue.receive(STAGE, 12, second, Duration::from_secs(5)).await.expect("received");
    assert_eq!(bodies(&taken), names);
    queue.ack(STAGE, &[taken[0].receipt.clone()]).await.expect("told");
    tokio::time::sleep(2 * second).await;
    let others = Aws::connect(aws.settings().clone()).await.expect("an environment").queue();
    let again = receive(&*others, 12).await;
    assert_eq!(bodies(&again), names, "also the one that was done: nobody could say so of its message");
    assert_eq!(others.depth(STAGE).await.expect("depth").in_flight, 12, "each in a message of its own");
    let receipts: Vec<_> = again.into_iter().map(|one| one.receipt).collect();
    others.ack(STAGE, &receipts).await.expect("done");
    assert_eq!(others.depth(STAGE).await.expect("depth"), pennypost_ports::Depth::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_return_shared_messages_only_for_what_does_not_come_by_itself() {
    let Some(aws) = fresh().await else { return };
    let queue = aws.queue();
    let text = pennypost_backend_aws::queue::body::encode_group(&[b"one", b"two", b"three"]);
    let record = |tries| Record {
        message: "an-id".to_owned(),
        handle: "a-handle".to_owned(),
        text: text.clone(),
        tries,
        sent: Timestamp(1_790_000_000_000),
        group: Some(TenantId(0x17).to_string()),
    };
    let taken = queue.take_over(STAGE, &record(1)).await.expect("taken over");
    assert_eq!(bodies(&taken), ["one", "three", "two"].map(str::to_owned).into());
    queue.retry_later(STAGE, &taken[0].receipt, Duration::ZERO).await.expect("put off");
    let open = taken.iter().map(|one| queue.must_return(STAGE, &one.receipt)).collect::<Vec<_>>();
    assert_eq!(open, [false, true, true]);
    queue.let_go(STAGE, taken.iter().map(|one| &one.receipt));
    assert!(queue.must_return(STAGE, &taken[0].receipt), "nobody knows any more");
    assert_eq!(bodies(&receive(&*queue, 1).await), ["one".to_owned()].into());
    // It came again: its events are put back one by one, and it is done.
    assert_eq!(queue.take_over(STAGE, &record(2)).await, Ok(Vec::new()));
    assert_eq!(bodies(&receive(&*queue, 3).await), bodies(&taken));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqs_has_buried_becomes_a_dead_letter_once() {
    let Some(aws) = fresh().await else { return };
    let queue = aws.queue();
    // What lies in the dead-letter queue came there by SQS; by hand it is the same.
    let client = client().await;
    let name = aws.settings().dead_queue_name(Stage::Deliver);
    let url = client.get_queue_url().queue_name(name).send().await.expect("found");
    let url = url.queue_url.expect("a URL");
    let body = pennypost_backend_aws::queue::body::encode(b"it was fatal");
    let tenant = TenantId(0x17);
    let send = client.send_message().queue_url(&url).message_body(body).message_group_id(tenant.to_string());
    send.send().await.expect("sent");
    for _ in 0..2 {
        let letters = queue.dead_letters(None, 10).await.expect("listed");
        assert_eq!(letters.len(), 1);
        let letter = &letters[0];
        assert_eq!((letter.stage, letter.tenant), (Stage::Deliver, tenant));
        assert_eq!(letter.body, b"it was fatal");
    }
    let id = queue.dead_letters(None, 1).await.expect("listed")[0].id;
    assert!(queue.replay_dead_letter(id).await.expect("replayed"));
    assert_eq!(queue.dead_letters(None, 10).await.expect("listed"), []);
    let wait = Duration::from_secs(5);
    let again = queue.receive(Stage::Deliver, 1, wait, wait).await.expect("received");
    assert_eq!(again[0].body, b"it was fatal");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_put_into_a_queue_is_handed_out_as_it_is() {
    let Some(aws) = fresh().await else { return };
    let client = client().await;
    let url = client.get_queue_url().queue_name(aws.settings().queue_name(STAGE)).send().await;
    let url = url.expect("found").queue_url.expect("a URL");
    client.send_message().queue_url(url).message_body("{\"Records\": []}").send().await.expect("sent");
    let received = receive(&*aws.queue(), 1).await.remove(0);
    assert_eq!(received.body, b"{\"Records\": []}");
}
