//! The contract of [`Queue`].
//!
//! Times: visibilities and delays are short so that the suite ends soon, but nothing here fails because a
//! machine is slow: what comes back is waited for, and what must *not* come is only asserted where its time
//! is minutes away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pennypost_model::event::Stage;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{DeadLetterId, Outgoing, Queue, Received};

use crate::{RACERS, assert_refused, ok, race, suite, tenant};

suite!(Queue:
    a_message_comes_once_and_goes_when_acknowledged,
    every_message_of_a_batch_has_its_own_result,
    stages_are_apart,
    racing_receivers_share_the_messages,
    an_unacknowledged_message_comes_back_and_counts,
    a_void_receipt_does_nothing,
    a_message_comes_back_after_retry_later,
    a_delayed_message_waits,
    a_waiting_receiver_is_woken,
    an_empty_queue_gives_nothing,
    no_tenant_delays_another,
    dead_letters_are_moved_whole,
    dead_letters_are_listed_in_order,
    a_dead_letter_can_be_replayed,
    a_dead_letter_can_be_discarded,
    depth_counts,
    large_messages,
    a_long_backlog_comes_out_completely,
);

const STAGE: Stage = Stage::InboundParse;
/// Nobody comes back before this.
const LONG: Duration = Duration::from_secs(600);
/// For what is to come back.
const SHORT: Duration = Duration::from_millis(300);
/// One wait; repeated until something comes.
const WAIT: Duration = Duration::from_secs(5);

fn message(tenant: TenantId, body: &str) -> Outgoing {
    Outgoing { tenant, body: body.as_bytes().to_vec(), delay: Duration::ZERO }
}

async fn send(queue: &Arc<dyn Queue>, stage: Stage, tenant: TenantId, bodies: &[&str]) {
    let batch: Vec<Outgoing> = bodies.iter().map(|body| message(tenant, body)).collect();
    for result in queue.send_batch(stage, batch).await {
        ok(result);
    }
}

/// Waits for one message, however long it takes.
async fn next(queue: &Arc<dyn Queue>, stage: Stage, visibility: Duration) -> Received {
    loop {
        let received = ok(queue.receive(stage, 1, visibility, WAIT).await);
        assert!(received.len() <= 1, "more than was asked for");
        if let Some(received) = received.into_iter().next() {
            return received;
        }
    }
}

/// There is nothing to receive.
async fn assert_empty(queue: &Arc<dyn Queue>, stage: Stage) {
    let received = ok(queue.receive(stage, 10, LONG, SHORT).await);
    assert!(received.is_empty(), "not empty: {received:?}");
}

fn text(received: &Received) -> String {
    String::from_utf8_lossy(&received.body).into_owned()
}

async fn a_message_comes_once_and_goes_when_acknowledged(queue: Arc<dyn Queue>) {
    send(&queue, STAGE, tenant(), &["letter"]).await;
    let received = next(&queue, STAGE, SHORT).await;
    assert_eq!((text(&received), received.tries), ("letter".to_owned(), 1));
    assert!(received.sent > Timestamp(1_600_000_000_000), "sent at {:?}", received.sent);
    ok(queue.ack(STAGE, std::slice::from_ref(&received.receipt)).await);
    // Well after its visibility it is still gone.
    tokio::time::sleep(SHORT * 2).await;
    assert_empty(&queue, STAGE).await;
    // Twice does not hurt.
    ok(queue.ack(STAGE, &[received.receipt]).await);
}

async fn every_message_of_a_batch_has_its_own_result(queue: Arc<dyn Queue>) {
    let tenant = tenant();
    let too_large = Outgoing { tenant, body: vec![0; 256 * 1024 + 1], delay: Duration::ZERO };
    let too_late = Outgoing { tenant, body: vec![1], delay: Duration::from_secs(15 * 60 + 1) };
    let batch = vec![message(tenant, "a"), too_large, message(tenant, "b"), too_late, message(tenant, "c")];
    let mut results = queue.send_batch(STAGE, batch).await;
    assert_eq!(results.len(), 5);
    assert_refused(&results.remove(3));
    assert_refused(&results.remove(1));
    results.into_iter().for_each(ok);
    let mut bodies = BTreeSet::new();
    for _ in 0..3 {
        bodies.insert(text(&next(&queue, STAGE, LONG).await));
    }
    assert_eq!(bodies, ["a", "b", "c"].map(str::to_owned).into());
    assert!(queue.send_batch(STAGE, Vec::new()).await.is_empty());
}

async fn stages_are_apart(queue: Arc<dyn Queue>) {
    let tenant = tenant();
    for stage in Stage::ALL {
        send(&queue, stage, tenant, &[stage.queue()]).await;
    }
    for stage in Stage::ALL {
        assert_eq!(text(&next(&queue, stage, LONG).await), stage.queue());
        assert_empty(&queue, stage).await;
    }
}

async fn racing_receivers_share_the_messages(queue: Arc<dyn Queue>) {
    const MESSAGES: usize = 400;
    let tenant = tenant();
    let sent = Arc::new(AtomicUsize::new(0));
    let senders = race(&queue, RACERS, |queue, racer| {
        let sent = Arc::clone(&sent);
        async move {
            for number in 0..MESSAGES / RACERS {
                send(&queue, STAGE, tenant, &[&format!("{racer}/{number}")]).await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let receivers = race(&queue, 8, |queue, _| {
        let sent = Arc::clone(&sent);
        async move {
            let mut mine = Vec::new();
            loop {
                let is_all = sent.load(Ordering::Relaxed) == MESSAGES;
                let received = ok(queue.receive(STAGE, 7, LONG, WAIT).await);
                assert!(received.len() <= 7);
                if received.is_empty() && is_all {
                    return mine;
                }
                let receipts: Vec<_> = received.iter().map(|one| one.receipt.clone()).collect();
                mine.extend(received.iter().map(text));
                ok(queue.ack(STAGE, &receipts).await);
            }
        }
    });
    let (_, received) = tokio::join!(senders, receivers);
    let received: Vec<String> = received.into_iter().flatten().collect();
    let distinct: BTreeSet<&String> = received.iter().collect();
    assert_eq!(distinct.len(), MESSAGES);
    // While the visibility of each is ten minutes nobody else gets it. A client that sends once more because the answer
    // to its first request was lost (the SDK does, under load) may double a message, which at least once allows.
    let doubled = received.len() - distinct.len();
    assert!(doubled <= MESSAGES / 100, "{doubled} came twice");
}

async fn an_unacknowledged_message_comes_back_and_counts(queue: Arc<dyn Queue>) {
    send(&queue, STAGE, tenant(), &["again"]).await;
    let mut receipts = BTreeSet::new();
    for tries in 1..=4 {
        let received = next(&queue, STAGE, SHORT).await;
        assert_eq!((text(&received), received.tries), ("again".to_owned(), tries));
        assert!(receipts.insert(received.receipt.0), "each hand-out has a receipt of its own");
    }
}

async fn a_void_receipt_does_nothing(queue: Arc<dyn Queue>) {
    send(&queue, STAGE, tenant(), &["letter"]).await;
    let first = next(&queue, STAGE, SHORT).await;
    // Its time passes, and somebody else has it.
    let second = next(&queue, STAGE, SHORT).await;
    ok(queue.ack(STAGE, std::slice::from_ref(&first.receipt)).await);
    // Whether these say that the receipt is void is not laid down; that they change nothing is.
    let _ = queue.retry_later(STAGE, &first.receipt, LONG).await;
    let _ = queue.dead_letter(STAGE, &first.receipt, "too late").await;
    assert_eq!(ok(queue.dead_letters(None, 10).await), []);
    let third = next(&queue, STAGE, LONG).await;
    assert_eq!((second.tries, third.tries), (2, 3));
    // Nonsense is ignored as well.
    for nonsense in ["", "-", "1-1", "ffffffffffffffffffff-0", "信"] {
        ok(queue.ack(STAGE, &[pennypost_ports::Receipt(nonsense.to_owned())]).await);
    }
    ok(queue.ack(STAGE, &[]).await);
    ok(queue.ack(STAGE, &[third.receipt]).await);
}

async fn a_message_comes_back_after_retry_later(queue: Arc<dyn Queue>) {
    let tenant = tenant();
    send(&queue, STAGE, tenant, &["soon", "late"]).await;
    for _ in 0..2 {
        let received = next(&queue, STAGE, LONG).await;
        let delay = if text(&received) == "soon" { SHORT } else { LONG };
        ok(queue.retry_later(STAGE, &received.receipt, delay).await);
    }
    let received = next(&queue, STAGE, LONG).await;
    assert_eq!((text(&received), received.tries), ("soon".to_owned(), 2));
    assert_empty(&queue, STAGE).await;
    // Without a delay it comes at once.
    ok(queue.retry_later(STAGE, &received.receipt, Duration::ZERO).await);
    let received = next(&queue, STAGE, LONG).await;
    assert_eq!((text(&received), received.tries), ("soon".to_owned(), 3));
}

async fn a_delayed_message_waits(queue: Arc<dyn Queue>) {
    let tenant = tenant();
    let delayed = |body: &str, delay| Outgoing { delay, ..message(tenant, body) };
    let started = tokio::time::Instant::now();
    let batch = vec![delayed("late", LONG), delayed("soon", Duration::from_secs(1))];
    queue.send_batch(STAGE, batch).await.into_iter().for_each(ok);
    let received = next(&queue, STAGE, LONG).await;
    assert!(started.elapsed() >= Duration::from_secs(1), "too early");
    assert_eq!((text(&received), received.tries), ("soon".to_owned(), 1));
    assert_empty(&queue, STAGE).await;
}

async fn a_waiting_receiver_is_woken(queue: Arc<dyn Queue>) {
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { ok(queue.receive(STAGE, 10, LONG, LONG).await) }
    });
    tokio::time::sleep(SHORT).await;
    send(&queue, STAGE, tenant(), &["wake up"]).await;
    // It would return empty-handed only after ten minutes.
    let received = match waiting.await {
        Ok(received) => received,
        Err(error) => panic!("the receiver died: {error}"),
    };
    assert_eq!(received.iter().map(text).collect::<Vec<_>>(), ["wake up"]);
}

async fn an_empty_queue_gives_nothing(queue: Arc<dyn Queue>) {
    for wait in [Duration::ZERO, Duration::from_millis(50)] {
        assert!(ok(queue.receive(STAGE, 10, LONG, wait).await).is_empty());
    }
}

async fn no_tenant_delays_another(queue: Arc<dyn Queue>) {
    let (busy, quiet) = (tenant(), tenant());
    for batch in 0..40 {
        let bodies: Vec<String> = (0..100).map(|number| format!("busy {batch}/{number}")).collect();
        send(&queue, STAGE, busy, &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    send(&queue, STAGE, quiet, &["quiet"]).await;
    let mut before = 0;
    while text(&next(&queue, STAGE, LONG).await) != "quiet" {
        before += 1;
    }
    assert!(before < 400, "{before} of 4000 messages of another tenant came first");
}

async fn dead_letters_are_moved_whole(queue: Arc<dyn Queue>) {
    let tenant = tenant();
    send(&queue, STAGE, tenant, &["poison"]).await;
    let received = next(&queue, STAGE, SHORT).await;
    ok(queue.retry_later(STAGE, &received.receipt, Duration::ZERO).await);
    let received = next(&queue, STAGE, SHORT).await;
    ok(queue.dead_letter(STAGE, &received.receipt, "its header is a picture 图").await);
    let letters = ok(queue.dead_letters(None, 10).await);
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.stage, letter.tenant, letter.tries), (STAGE, tenant, 2));
    assert_eq!(
        (letter.cause.as_str(), letter.body.as_slice()),
        ("its header is a picture 图", &b"poison"[..])
    );
    assert!(letter.died >= received.sent);
    // In the dead letters and nowhere else.
    tokio::time::sleep(SHORT * 2).await;
    assert_empty(&queue, STAGE).await;
    // A depth may be a little old.
    while ok(queue.depth(STAGE).await) != pennypost_ports::Depth::default() {
        tokio::time::sleep(SHORT).await;
    }
}

async fn bury(queue: &Arc<dyn Queue>, count: usize) -> Vec<DeadLetterId> {
    let tenant = tenant();
    for number in 0..count {
        send(queue, STAGE, tenant, &[&format!("dead {number}")]).await;
        let received = next(queue, STAGE, LONG).await;
        ok(queue.dead_letter(STAGE, &received.receipt, "test").await);
    }
    let letters = ok(queue.dead_letters(None, 1000).await);
    letters.into_iter().map(|letter| letter.id).collect()
}

async fn dead_letters_are_listed_in_order(queue: Arc<dyn Queue>) {
    let all = bury(&queue, 7).await;
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted());
    let mut paged = Vec::new();
    while let page = ok(queue.dead_letters(paged.last().copied(), 3).await)
        && !page.is_empty()
    {
        assert!(page.len() <= 3);
        paged.extend(page.into_iter().map(|letter| letter.id));
    }
    assert_eq!(paged, all);
    assert_eq!(ok(queue.dead_letters(None, 0).await), []);
}

async fn a_dead_letter_can_be_replayed(queue: Arc<dyn Queue>) {
    let ids = bury(&queue, 2).await;
    let letter = ok(queue.dead_letters(None, 1).await).remove(0);
    assert_eq!(letter.id, ids[0]);
    assert!(ok(queue.replay_dead_letter(ids[0]).await));
    assert!(!ok(queue.replay_dead_letter(ids[0]).await), "it is not there any more");
    let received = next(&queue, STAGE, LONG).await;
    assert_eq!((&received.body, received.tries), (&letter.body, 1));
    ok(queue.ack(STAGE, &[received.receipt]).await);
    assert_empty(&queue, STAGE).await;
    let left = ok(queue.dead_letters(None, 10).await);
    assert_eq!(left.iter().map(|letter| letter.id).collect::<Vec<_>>(), [ids[1]]);
    // Of those who race to replay one letter, one does.
    let id = ids[1];
    let results =
        race(&queue, RACERS, |queue, _| async move { ok(queue.replay_dead_letter(id).await) }).await;
    assert_eq!(results.iter().filter(|replayed| **replayed).count(), 1);
    next(&queue, STAGE, LONG).await;
    assert_empty(&queue, STAGE).await;
}

async fn a_dead_letter_can_be_discarded(queue: Arc<dyn Queue>) {
    let ids = bury(&queue, 2).await;
    assert!(ok(queue.discard_dead_letter(ids[1]).await));
    assert!(!ok(queue.discard_dead_letter(ids[1]).await));
    assert!(!ok(queue.replay_dead_letter(ids[1]).await));
    let left = ok(queue.dead_letters(None, 10).await);
    assert_eq!(left.iter().map(|letter| letter.id).collect::<Vec<_>>(), [ids[0]]);
    assert_empty(&queue, STAGE).await;
}

async fn depth_counts(queue: Arc<dyn Queue>) {
    let tenant = tenant();
    // A depth may be a little old: wait until it is right.
    let settle = async |waiting, in_flight| loop {
        let depth = ok(queue.depth(STAGE).await);
        if (depth.waiting, depth.in_flight) == (waiting, in_flight) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    settle(0, 0).await;
    send(&queue, STAGE, tenant, &["a", "b", "c"]).await;
    let delayed = Outgoing { delay: LONG, ..message(tenant, "d") };
    queue.send_batch(STAGE, vec![delayed]).await.into_iter().for_each(ok);
    settle(4, 0).await;
    let received = next(&queue, STAGE, LONG).await;
    settle(3, 1).await;
    ok(queue.ack(STAGE, &[received.receipt]).await);
    settle(3, 0).await;
    let received = next(&queue, STAGE, LONG).await;
    ok(queue.dead_letter(STAGE, &received.receipt, "test").await);
    settle(2, 0).await;
    let received = next(&queue, STAGE, LONG).await;
    ok(queue.retry_later(STAGE, &received.receipt, LONG).await);
    // What was put off was handed out and is not back yet: it may be counted as either.
    loop {
        let depth = ok(queue.depth(STAGE).await);
        if depth.waiting + depth.in_flight == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn large_messages(queue: Arc<dyn Queue>) {
    let tenant = tenant();
    for len in [0, 1, 4096, 256 * 1024] {
        let body: Vec<u8> = (0..len).map(|at: u32| (at % 251) as u8).collect();
        let outgoing = Outgoing { tenant, body: body.clone(), delay: Duration::ZERO };
        queue.send_batch(STAGE, vec![outgoing]).await.into_iter().for_each(ok);
        let received = next(&queue, STAGE, LONG).await;
        assert_eq!(received.body, body);
        ok(queue.ack(STAGE, &[received.receipt]).await);
    }
}

async fn a_long_backlog_comes_out_completely(queue: Arc<dyn Queue>) {
    const EACH: usize = 3000;
    let tenants = [tenant(), tenant(), tenant()];
    for (index, tenant) in tenants.iter().enumerate() {
        for batch in 0..EACH / 100 {
            let bodies: Vec<String> =
                (0..100).map(|number| format!("{index} {}", batch * 100 + number)).collect();
            send(&queue, STAGE, *tenant, &bodies.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    while seen.len() < EACH * tenants.len() {
        let received = ok(queue.receive(STAGE, 50, LONG, WAIT).await);
        let receipts: Vec<_> = received.iter().map(|one| one.receipt.clone()).collect();
        for one in &received {
            assert_eq!(one.tries, 1, "{}", text(one));
            *seen.entry(text(one)).or_default() += 1;
        }
        ok(queue.ack(STAGE, &receipts).await);
    }
    assert!(seen.values().all(|times| *times == 1));
    assert_empty(&queue, STAGE).await;
}
