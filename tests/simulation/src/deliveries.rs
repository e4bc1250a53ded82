//! Acceptance and delivery in schedules that are their own queue, and know how to hand events out in the worst order.

use std::sync::Arc;

use pennypost_deliver::Deliver;
use pennypost_model::event::{Decided, Decision, Event, Target, Via};
use pennypost_model::message::{Facts, Sidecar};
use pennypost_model::structure::Structure;
use pennypost_model::{EventId, FlagSet, MailboxRole, Timestamp};
use pennypost_policy::SENT_REASON;
use pennypost_runtime::Handler;
use rand::Rng;

use crate::actors::deliverer;
use crate::letter::letter;
use crate::ports::World;
use crate::stage::Stage;

/// A stage in a simulated world.
#[derive(Clone)]
pub struct Simulated {
    pub stage: Stage,
    pub world: Arc<World>,
}

/// A letter is accepted: from here on it must arrive.
pub fn accept(Simulated { stage, world }: &Simulated) {
    let now = Timestamp(world.with(|durable| durable.now));
    let Some(letter) = stage.random(|random| letter(random, now)) else { return };
    let copies = letter.copies();
    if let Some((name, bytes)) = letter.spool {
        world.with(|durable| durable.objects.insert(name, (bytes, 0)));
    }
    let noise = stage.random(|random| random.random::<u64>());
    let role = |n: u64| match n % 16 {
        0 => MailboxRole::Transfer,
        1 | 2 => MailboxRole::Junk,
        _ => MailboxRole::Inbox,
    };
    let decisions = (0..).zip(&letter.accepted.recipients).map(|(n, recipient)| {
        let is_sent = recipient.via == Via::Sent;
        let role = if is_sent { MailboxRole::Sent } else { role(noise.rotate_left(n)) };
        let reasons = if is_sent { vec![SENT_REASON.to_owned()] } else { Vec::new() };
        Decision { target: Target::Role(role), flags: FlagSet::default(), reasons }
    });
    let decided = Decided {
        decisions: decisions.collect(),
        accepted: letter.accepted,
        sidecar: Sidecar { structure: Structure::default(), facts: Facts::default(), receipt: String::new() },
    };
    let mut ledger = stage.ledger.lock();
    ledger.accepted.extend(copies);
    ledger.queued.insert(decided.accepted.id, decided);
}

/// A worker of the deliver handler: takes events at random, some of which others have too, and loses some
/// acknowledgements.
pub async fn deliver(simulated: Simulated, handler: Arc<Deliver>, batches: usize) {
    for _ in 0..batches {
        let size = simulated.stage.random(|random| random.random_range(1..=5));
        deliver_some(&simulated, &handler, size).await;
        crate::executor::turn().await;
    }
}

/// Delivers until nothing is left.
pub async fn deliver_all(simulated: Simulated) {
    let handler = deliverer(&simulated.stage);
    while !simulated.stage.ledger.lock().queued.is_empty() {
        deliver_some(&simulated, &handler, 7).await;
    }
}

async fn deliver_some(Simulated { stage, world }: &Simulated, handler: &Deliver, size: usize) {
    let mut batch: Vec<Decided> = Vec::new();
    {
        let ledger = stage.ledger.lock();
        let queued: Vec<&Decided> = ledger.queued.values().collect();
        for _ in 0..size.min(queued.len()) {
            let chosen = stage.random(|random| random.random_range(0..queued.len()));
            batch.push(queued[chosen].clone());
        }
    }
    if batch.is_empty() {
        return;
    }
    let ids: Vec<EventId> = batch.iter().map(|decided| decided.accepted.id).collect();
    let events = batch.into_iter().map(|decided| Event::Decided(Box::new(decided))).collect();
    let outcomes = handler.handle(events).await;
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        let acknowledged = world.with(|d| !d.harsh || d.random.random_range(0..10) > 0);
        match outcome {
            Ok(_) if acknowledged => drop(stage.ledger.lock().queued.remove(&id)),
            Ok(_) => {}
            Err(failure) if !failure.temporary => stage.broken(format!("{id} failed: {}", failure.cause)),
            Err(_) => {}
        }
    }
}
