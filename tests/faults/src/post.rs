//! The processes of a post office: the adapter that accepts, and the drivers that work the queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_deliver::Deliver;
use pennypost_directory::Directory;
use pennypost_hooks::Hooks;
use pennypost_inbound_parse::InboundParse;
use pennypost_meter::Counts;
use pennypost_model::codec;
use pennypost_model::event::{Event, Stage as Step};
use pennypost_model::{AccountKey, Seq, TenantId};
use pennypost_notify::{Announcer, Notify};
use pennypost_policy_filter::PolicyFilter;
use pennypost_ports::{Outgoing, PortResult, Receipt, Received, Wakeups};
use pennypost_runtime::batch::{Acknowledgement, Desk, Patience};
use pennypost_runtime::{Fusing, Handler, Pipeline};
use pennypost_send_remote::SendRemote;
use pennypost_simulation::actors;
use pennypost_simulation::executor::turn;
use pennypost_simulation::letter::letter;
use pennypost_simulation::stage::Stage;
use rand::Rng;

use crate::hours::Hours;
use crate::outside::Outside;

/// What a poison message begins with: no event does.
pub const POISON: &[u8] = b"\xff poison ";
/// The longest that a message which nobody answers stays with nobody.
pub const VISIBILITY: Duration = Duration::from_secs(90);

/// The adapter accepts a letter, or tells the sender to come again.
pub async fn accept(stage: Stage, hours: Hours, outside: Outside) {
    let Some(mut letter) = stage.random(|random| letter(random, hours.now())) else { return };
    outside.address(&mut letter, &stage);
    let (id, addresses) = (letter.accepted.id, Outside::addresses(&letter.accepted));
    let copies = letter.copies();
    if let Some((name, bytes)) = letter.spool
        && stage.objects.put_unique(&name, bytes).await.is_err()
    {
        return;
    }
    let event = Event::Accepted(Box::new(letter.accepted));
    let message = Outgoing { tenant: event.tenant(), body: codec::encode(&event), delay: Duration::ZERO };
    // Should the adapter die before it is answered, the letter may be on its way all the same.
    stage.ledger.lock().doubtful.extend(copies.clone());
    let sent = stage.queue.send_batch(event.stage(), vec![message]).await;
    if sent == [Ok(())] {
        outside.promise(id, &addresses);
        stage.ledger.lock().accept(copies);
    }
}

/// The adapter accepts so many letters at once, and sends what is no event among them.
pub async fn accept_many(stage: Stage, hours: Hours, count: usize, sent: Poison) {
    let (mut letters, mut messages) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let Some(letter) = stage.random(|random| letter(random, hours.now())) else { continue };
        if let Some((name, bytes)) = &letter.spool
            && stage.objects.put_unique(name, bytes.clone()).await.is_err()
        {
            continue;
        }
        let copies = letter.copies();
        let event = Event::Accepted(Box::new(letter.accepted));
        let body = codec::encode(&event);
        messages.push(Outgoing { tenant: event.tenant(), body, delay: Duration::ZERO });
        stage.ledger.lock().doubtful.extend(copies.clone());
        letters.push(copies);
    }
    let number = note_poison(&sent);
    messages.push(Outgoing { tenant: TenantId(1), body: poison_body(number), delay: Duration::ZERO });
    let results = stage.queue.send_batch(Step::InboundParse, messages).await;
    sent.lock().insert(number, results.last() == Some(&Ok(())));
    let mut ledger = stage.ledger.lock();
    for (copies, result) in letters.into_iter().zip(results) {
        if result == Ok(()) {
            ledger.accept(copies);
        }
    }
}

/// What is no event and was sent nevertheless: each with whether it was certainly taken.
pub type Poison = Arc<Mutex<BTreeMap<u64, bool>>>;

/// Somebody sends what is no event.
pub async fn poison(stage: Stage, sent: Poison, step: Step) {
    let number = note_poison(&sent);
    let message = Outgoing { tenant: TenantId(1), body: poison_body(number), delay: Duration::ZERO };
    let result = stage.queue.send_batch(step, vec![message]).await;
    sent.lock().insert(number, result == [Ok(())]);
}

fn note_poison(sent: &Poison) -> u64 {
    let mut sent = sent.lock();
    let number = sent.len() as u64;
    sent.insert(number, false);
    number
}

/// The `number`th poison message.
#[must_use]
pub fn poison_body(number: u64) -> Vec<u8> {
    [POISON, number.to_string().as_bytes()].concat()
}

struct NobodyWatches;

#[async_trait]
impl Wakeups for NobodyWatches {
    async fn wake(&self, _account: AccountKey, _seq: Seq) -> PortResult<()> {
        Ok(())
    }
}

/// A queue, and how many of its messages to take.
pub fn some_queue(stage: &Stage) -> (Step, usize) {
    stage.random(|random| {
        // What there is most of.
        let all = [0, 0, 0, 1, 2, 2, 3, 4, 6];
        (Step::ALL[all[random.random_range(0..all.len())]], random.random_range(1..=6))
    })
}

/// A driver: a desk, and how it acknowledges.
#[derive(Clone)]
pub struct Driver {
    stage: Stage,
    desk: Desk,
    sender: SendRemote,
    acknowledgement: Acknowledgement,
}

impl Driver {
    /// A driver with fresh memories.
    #[must_use]
    pub fn new(stage: Stage, acknowledgement: Acknowledgement, fusing: Fusing, outside: &Outside) -> Driver {
        let sender = outside.sender(&stage);
        let control = || Arc::clone(&stage.control);
        let directory = Directory::new(control(), Arc::clone(&stage.clock), Arc::clone(&stage.ids));
        let deliver: Arc<Deliver> = actors::deliverer(&stage);
        let handlers: [Arc<dyn Handler>; 6] = [
            Arc::new(InboundParse::new(Arc::clone(&stage.objects), Arc::clone(&stage.log))),
            Arc::new(PolicyFilter::new(Arc::new(directory))),
            deliver,
            Arc::new(Notify::new(
                Arc::new(NobodyWatches),
                Announcer::new(Hooks::new(control()), Arc::clone(&stage.clock)),
            )),
            Arc::new(actors::housekeeper(&stage, 3)),
            Arc::new(sender.clone()),
        ];
        let pipeline = Arc::new(Pipeline::new(handlers, fusing, Arc::clone(&stage.queue)));
        // Processes die here by the dozen, and none of them because of what it had in hand.
        let patience = Patience { max_tries: 200, ..Patience::default() };
        let desk = Desk::new(
            pipeline,
            Arc::clone(&stage.queue),
            Arc::clone(&stage.log),
            control(),
            Arc::clone(&stage.clock),
            patience,
            acknowledgement,
        );
        Driver { stage, desk, sender, acknowledgement }
    }

    /// Takes some batches, from any queue.
    pub async fn work(self, batches: usize) {
        for _ in 0..batches {
            let (step, max) = some_queue(&self.stage);
            self.batch(step, max).await;
            turn().await;
            if self.stage.random(|random| random.random_range(0..4) == 0) {
                self.work_off().await;
            }
        }
    }

    /// Looks after what is due for other servers.
    pub async fn work_off(&self) {
        let _ = self.sender.work_off().await;
    }

    /// The desk.
    #[must_use]
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Takes one batch. How many messages it had.
    pub async fn batch(&self, step: Step, max: usize) -> usize {
        let received = self.stage.queue.receive(step, max, VISIBILITY, Duration::ZERO).await;
        let Ok(messages) = received else { return 0 };
        if messages.is_empty() {
            return 0;
        }
        let count = messages.len();
        let receipts: Vec<Receipt> =
            messages.iter().map(|Received { receipt, .. }| receipt.clone()).collect();
        let (settled, _) = self.desk.handle(step, messages, &Counts::default()).await;
        if self.acknowledgement == Acknowledgement::ByTheCaller {
            // As the service does that has started a function.
            let done: Vec<Receipt> =
                receipts.into_iter().filter(|receipt| !settled.open.contains(receipt)).collect();
            let _ = self.stage.queue.ack(step, &done).await;
        }
        count
    }
}
