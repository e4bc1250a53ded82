use std::time::Duration;

use async_trait::async_trait;
use pennypost_model::event::Stage;
use pennypost_ports::{DeadLetter, DeadLetterId, Depth, Outgoing, PortResult, Queue, Receipt, Received};
use pennypost_simulation::executor::turn;
use rand::Rng;
use rand::seq::SliceRandom;

use super::Faulty;
use crate::source::{Fate, fault};

const PORT: &str = "queue";
/// Messages that may be handed out once more: enough for the second round to see those of the first, hours later and in
/// other processes.
const REMEMBERED: usize = 128;

#[async_trait]
impl<P: Queue + ?Sized> Queue for Faulty<P> {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        turn().await;
        let source = &self.trouble.source;
        let fates: Vec<Fate> = messages.iter().map(|_| source.fate(self.trouble.per_mille, true)).collect();
        let going = messages.into_iter().zip(&fates).filter(|(_, fate)| **fate != Fate::Before);
        let going: Vec<Outgoing> = going.map(|(message, _)| message).collect();
        let mut sent = if going.is_empty() {
            Vec::new().into_iter()
        } else {
            self.trouble.hours.run(self.inner.send_batch(stage, going)).await.into_iter()
        };
        turn().await;
        let result = |fate: Fate| match fate {
            Fate::Before => Err(fault(PORT)),
            Fate::After => sent.next().unwrap_or(Ok(())).and(Err(fault(PORT))),
            Fate::Good | Fate::Slow(_) => sent.next().unwrap_or_else(|| Err(fault(PORT))),
        };
        fates.into_iter().map(result).collect()
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        // What was handed out and not answered is with nobody until its time is over.
        let mut received = self.trouble.write(PORT, self.inner.receive(stage, max, visibility, wait)).await?;
        let source = &self.trouble.source;
        let mut memory = self.trouble.memory.lock();
        if received.len() < max && source.chance(150) {
            let again: Vec<&Received> = memory
                .handed_out
                .iter()
                .filter(|(of, _)| *of == stage)
                .map(|(_, received)| received)
                .collect();
            if !again.is_empty() {
                received.push(again[source.random(|random| random.random_range(0..again.len()))].clone());
            }
        }
        memory.handed_out.extend(received.iter().map(|received| (stage, received.clone())));
        let old = memory.handed_out.len().saturating_sub(REMEMBERED);
        memory.handed_out.drain(..old);
        source.random(|random| received.shuffle(random));
        Ok(received)
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        if receipts.len() > 1 && self.trouble.source.chance(self.trouble.per_mille) {
            let some = self.trouble.source.random(|random| random.random_range(1..receipts.len()));
            self.trouble.write(PORT, self.inner.ack(stage, &receipts[..some])).await?;
            return Err(fault(PORT));
        }
        self.trouble.write(PORT, self.inner.ack(stage, receipts)).await
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        self.trouble.write(PORT, self.inner.retry_later(stage, receipt, delay)).await
    }

    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        self.trouble.write(PORT, self.inner.dead_letter(stage, receipt, cause)).await
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        self.trouble.read(PORT, self.inner.dead_letters(after, limit)).await
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.trouble.write(PORT, self.inner.replay_dead_letter(id)).await
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.trouble.write(PORT, self.inner.discard_dead_letter(id)).await
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        self.trouble.read(PORT, self.inner.depth(stage)).await
    }
}
