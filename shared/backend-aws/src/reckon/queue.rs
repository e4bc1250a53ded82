//! Queues: calls of ten messages, billed by begun 64 KB of their texts.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_meter::{MILLI, Unit, count, rules};
use pennypost_model::event::Stage;
use pennypost_ports::{DeadLetter, DeadLetterId, Depth, Outgoing, PortResult, Queue, Receipt, Received};

use crate::queue::body::encoded_group_len;
use crate::queue::sending::{BATCH, GROUP, Size, plan};

/// Counts as if each caller's messages were sent and received by themselves.
pub(super) struct ReckonedQueue {
    queue: Arc<dyn Queue>,
    messages: Mutex<Messages>,
}

/// Which events share a message.
#[derive(Default)]
struct Messages {
    /// Messages made so far.
    made: u64,
    /// By the digest of the event: its message. One that is sent twice is in the later one.
    sent: HashMap<u64, u64>,
    received: HashMap<Receipt, u64>,
}

fn digest(body: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}

impl ReckonedQueue {
    pub(super) fn new(queue: Arc<dyn Queue>) -> ReckonedQueue {
        ReckonedQueue { queue, messages: Mutex::default() }
    }

    /// Calls that are made one by one with as many events as go together.
    fn count_sending(&self, events: &[(u64, Size)]) {
        let mut messages = self.messages.lock();
        let mut rest = events;
        while !rest.is_empty() {
            let sizes: Vec<Size> = rest.iter().take(BATCH * GROUP).map(|(_, size)| *size).collect();
            let mut bytes = 0;
            for count in plan(&sizes) {
                let (message, behind) = rest.split_at(count.max(1));
                bytes += text_len(message.iter().map(|(_, size)| size.bytes));
                messages.made += 1;
                let made = messages.made;
                messages.sent.extend(message.iter().map(|(event, _)| (*event, made)));
                rest = behind;
            }
            count(Unit::QueueRequest, rules::request(bytes));
        }
    }

    /// Calls that the service fills with ten messages, whatever their sizes. How many messages there were.
    fn count_receiving(&self, received: &[Received]) -> usize {
        let mut messages = self.messages.lock();
        let mut texts: Vec<(u64, Vec<usize>)> = Vec::new();
        for event in received {
            let message = messages.sent.get(&digest(&event.body)).copied().unwrap_or_default();
            messages.received.insert(event.receipt.clone(), message);
            match texts.last_mut() {
                Some((last, sizes)) if *last == message && message > 0 => sizes.push(event.body.len()),
                _ => texts.push((message, vec![event.body.len()])),
            }
        }
        for call in texts.chunks(BATCH) {
            let bytes = call.iter().map(|(_, sizes)| text_len(sizes.iter().copied())).sum();
            count(Unit::QueueRequest, rules::request(bytes));
        }
        texts.len()
    }

    fn count_deleting(&self, receipts: &[Receipt]) {
        let mut messages = self.messages.lock();
        let mut deleted = 0;
        let mut last = 0;
        for receipt in receipts {
            let message = messages.received.remove(receipt).unwrap_or_default();
            deleted += usize::from(message == 0 || message != last);
            last = message;
        }
        count(Unit::QueueRequest, deleted.div_ceil(BATCH) as u64 * MILLI);
    }
}

fn text_len(sizes: impl Iterator<Item = usize>) -> u64 {
    encoded_group_len(&sizes.collect::<Vec<_>>()) as u64
}

#[async_trait]
impl Queue for ReckonedQueue {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let events: Vec<(u64, Size)> = messages
            .iter()
            .map(|message| {
                let (tenant, bytes) = (message.tenant, message.body.len());
                (
                    digest(&message.body),
                    Size { tenant, bytes, is_alone: stage == Stage::Housekeep || !message.delay.is_zero() },
                )
            })
            .collect();
        let sent = self.queue.send_batch(stage, messages).await;
        self.count_sending(&events);
        sent
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        let received = self.queue.receive(stage, max, visibility, wait).await?;
        let messages = self.count_receiving(&received);
        // A full answer, and more wanted: there is another call, and it finds nothing.
        if received.len() < max && messages.is_multiple_of(BATCH) {
            count(Unit::QueueRequest, MILLI);
        }
        Ok(received)
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        self.count_deleting(receipts);
        self.queue.ack(stage, receipts).await
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        count(Unit::QueueRequest, MILLI);
        self.queue.retry_later(stage, receipt, delay).await
    }

    /// Two writes of the control table, for the letter and where it is found, and a deletion.
    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        count(Unit::QueueRequest, MILLI);
        count(Unit::ControlWrite, 2 * MILLI);
        self.queue.dead_letter(stage, receipt, cause).await
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        let letters = self.queue.dead_letters(after, limit).await?;
        let bytes: usize = letters.iter().map(|letter| letter.body.len()).sum();
        count(Unit::ControlRead, rules::read(bytes as u64, true));
        Ok(letters)
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        count(Unit::QueueRequest, MILLI);
        count(Unit::ControlWrite, MILLI);
        self.queue.replay_dead_letter(id).await
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        count(Unit::ControlWrite, MILLI);
        self.queue.discard_dead_letter(id).await
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        count(Unit::QueueRequest, MILLI);
        self.queue.depth(stage).await
    }
}
