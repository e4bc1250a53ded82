//! Queues: calls of ten messages, billed by begun 64 KB of their texts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pennypost_meter::{MILLI, Unit, count, rules};
use pennypost_model::event::Stage;
use pennypost_ports::{DeadLetter, DeadLetterId, Depth, Outgoing, PortResult, Queue, Receipt, Received};

use crate::queue::body::encoded_len;
use crate::queue::sending::{BATCH, together};

pub(super) struct ReckonedQueue(pub(super) Arc<dyn Queue>);

fn texts(sizes: impl Iterator<Item = usize>) -> Vec<usize> {
    sizes.map(encoded_len).collect()
}

/// Calls that are made one by one with as many messages as go together.
fn count_sending(texts: &[usize]) {
    let mut rest = texts;
    while !rest.is_empty() {
        let (call, behind) = rest.split_at(together(rest.iter().copied()).max(1));
        count(Unit::QueueRequest, rules::request(call.iter().sum::<usize>() as u64));
        rest = behind;
    }
}

/// Calls that the service fills with ten messages, whatever their sizes.
fn count_receiving(texts: &[usize]) {
    for call in texts.chunks(BATCH) {
        count(Unit::QueueRequest, rules::request(call.iter().sum::<usize>() as u64));
    }
}

#[async_trait]
impl Queue for ReckonedQueue {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let texts = texts(messages.iter().map(|message| message.body.len()));
        let sent = self.0.send_batch(stage, messages).await;
        count_sending(&texts);
        sent
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        let received = self.0.receive(stage, max, visibility, wait).await?;
        count_receiving(&texts(received.iter().map(|message| message.body.len())));
        // A full answer, and more wanted: there is another call, and it finds nothing.
        if received.len() < max && received.len().is_multiple_of(BATCH) {
            count(Unit::QueueRequest, MILLI);
        }
        Ok(received)
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        count(Unit::QueueRequest, receipts.len().div_ceil(BATCH) as u64 * MILLI);
        self.0.ack(stage, receipts).await
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        count(Unit::QueueRequest, MILLI);
        self.0.retry_later(stage, receipt, delay).await
    }

    /// Two writes of the control table, for the letter and where it is found, and a deletion.
    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        count(Unit::QueueRequest, MILLI);
        count(Unit::ControlWrite, 2 * MILLI);
        self.0.dead_letter(stage, receipt, cause).await
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        let letters = self.0.dead_letters(after, limit).await?;
        let bytes: usize = letters.iter().map(|letter| letter.body.len()).sum();
        count(Unit::ControlRead, rules::read(bytes as u64, true));
        Ok(letters)
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        count(Unit::QueueRequest, MILLI);
        count(Unit::ControlWrite, MILLI);
        self.0.replay_dead_letter(id).await
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        count(Unit::ControlWrite, MILLI);
        self.0.discard_dead_letter(id).await
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        count(Unit::QueueRequest, MILLI);
        self.0.depth(stage).await
    }
}
