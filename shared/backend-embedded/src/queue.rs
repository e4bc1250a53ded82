//! The queues in `queue.db`.
//!
//! The table is the truth about which messages exist and how often they were tried; who may have which
//! message when is decided in memory, by the one serving process ([`lane`]). What this process sends is
//! handed out from memory; what others send (the command line, while the server runs) is found within about
//! 50 ms, because the writer looks for foreign commits.
//!
//! If the process dies: every message whose send was answered and whose acknowledgement was not committed is
//! in the table and comes again, with its tries counted (see [`lane`] for how).

mod lane;
mod serving;
mod table;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use pennypost_model::TenantId;
use pennypost_model::Timestamp;
use pennypost_model::event::Stage;
use pennypost_ports::{
    Clock, DeadLetter, DeadLetterId, Depth, Ids, Outgoing, PortError, PortResult, Queue, RandomIds, Receipt,
    Received, SystemClock,
};
use tokio::time::Instant;

use self::lane::{HandOut, Id};
pub(crate) use self::serving::Serving;
pub(crate) use self::table::CREATE;
use self::table::Waiting;
use crate::database::Readers;
use crate::failure::Failure;
use crate::seal::{seal, unseal};
use crate::writer::{Kind, Writer};

const PORT: &str = "queue";
const MAX_BODY: usize = 256 * 1024;
const MAX_DELAY: Duration = Duration::from_secs(15 * 60);
/// Bytes of a dead letter's cause that are kept.
const MAX_CAUSE: usize = 4096;
/// When a message comes back whose body could not be read.
const UNREADABLE_DELAY: Duration = Duration::from_secs(1);

/// How long a receiver without patience waits, again and again, for the block that is being marked.
const MARKING: Duration = Duration::from_millis(20);

/// [`Queue`] on SQLite.
pub(crate) struct EmbeddedQueue {
    pub(crate) writer: Arc<Writer>,
    pub(crate) readers: Arc<Readers>,
    /// Only in the server.
    pub(crate) serving: Option<Arc<Serving>>,
}

/// A message that may be sent.
struct Accepted {
    tenant: TenantId,
    due: Timestamp,
    delayed: bool,
    sealed: Vec<u8>,
}

fn accept(message: Outgoing, now: Timestamp) -> Result<Accepted, Failure> {
    if message.body.len() > MAX_BODY {
        return Err(Failure::Refused(format!("a message of {} bytes is too large", message.body.len())));
    }
    if message.delay > MAX_DELAY {
        return Err(Failure::Refused("a delay of more than 15 minutes".to_owned()));
    }
    Ok(Accepted {
        tenant: message.tenant,
        due: later(now, message.delay),
        delayed: !message.delay.is_zero(),
        sealed: seal(message.body),
    })
}

fn later(now: Timestamp, delay: Duration) -> Timestamp {
    now.plus_millis(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}

fn receipt(id: Id, number: u64) -> Receipt {
    Receipt(format!("{id:x}-{number:x}"))
}

fn read_receipt(receipt: &Receipt) -> Option<(Id, u64)> {
    let (id, number) = receipt.0.split_once('-')?;
    Some((Id::from_str_radix(id, 16).ok()?, u64::from_str_radix(number, 16).ok()?))
}

fn void(receipt: &Receipt) -> Failure {
    let shown: String = receipt.0.chars().take(64).collect();
    Failure::NotFound(format!("message handed out under receipt {shown:?}"))
}

fn shorten(cause: &str) -> String {
    cause[..cause.floor_char_boundary(MAX_CAUSE)].to_owned()
}

impl EmbeddedQueue {
    async fn send(&self, stage: Stage, messages: Vec<Accepted>, now: Timestamp) -> Result<(), Failure> {
        if let Some(serving) = &self.serving
            && serving.lane(stage).depth().0 + messages.len() > serving.max_waiting
        {
            return Err(Failure::Unavailable(format!("queue {} is full", stage.queue())));
        }
        let (before, after) = (self.serving.clone(), self.serving.clone());
        let bytes = messages.iter().map(|message| message.sealed.len()).sum();
        self.writer
            .run_then(
                Kind::QueueSend,
                bytes,
                move |connection| {
                    let mut sent = Vec::with_capacity(messages.len());
                    for message in messages {
                        let marked = before.as_ref().is_some_and(|serving| {
                            !message.delayed && serving.lane(stage).has_room(message.tenant)
                        });
                        let Accepted { tenant, due, sealed, .. } = &message;
                        let tries = u32::from(marked);
                        let id = table::insert(connection, stage, *tenant, now, *due, tries, sealed)?;
                        sent.push((id, marked, message));
                    }
                    Ok(sent)
                },
                move |sent| {
                    let Some(serving) = after else { return };
                    for (id, marked, Accepted { tenant, due, mut sealed, .. }) in sent {
                        if marked {
                            sealed.truncate(sealed.len() - 4);
                            serving.committed_marked(stage, id, tenant, now, sealed);
                        } else {
                            serving.committed(&Waiting { id, stage, tenant, due });
                        }
                    }
                },
            )
            .await
    }

    /// Counts a hand-out for the next block of the backlog, beside whoever is receiving.
    fn mark(&self, serving: &Arc<Serving>, stage: Stage, block: Vec<(Id, TenantId)>) {
        let (writer, serving) = (Arc::clone(&self.writer), Arc::clone(serving));
        tokio::spawn(async move {
            let block = Arc::new(block);
            let (ids, then_serving, then_block) =
                (Arc::clone(&block), Arc::clone(&serving), Arc::clone(&block));
            let marked = writer
                .run_then(
                    Kind::Other,
                    0,
                    move |connection| table::mark(connection, &ids),
                    move |marked| {
                        let count = marked.len();
                        then_serving.lane(stage).block_marked(&then_block, marked);
                        then_serving.wake(stage, count.max(1));
                    },
                )
                .await;
            if let Err(failure) = marked {
                serving.lane(stage).block_failed(&block, failure);
                serving.wake(stage, 1);
            }
        });
    }

    /// The messages of these hand-outs, with bodies from the table where the cache has none.
    async fn fill(
        &self,
        serving: &Serving,
        stage: Stage,
        batch: Vec<HandOut>,
    ) -> Result<Vec<Received>, Failure> {
        let missing: Vec<Id> = batch.iter().filter(|out| out.body.is_none()).map(|out| out.id).collect();
        let read = if missing.is_empty() {
            Ok(Vec::new())
        } else {
            self.readers
                .inline(|connection| missing.iter().map(|id| table::body(connection, *id)).collect())
                .await
        };
        let read: Vec<Option<Vec<u8>>> = match read {
            Ok(read) => read,
            Err(failure) => {
                let mut lane = serving.lane(stage);
                for out in batch {
                    lane.retry(out.id, out.number, UNREADABLE_DELAY, Instant::now());
                }
                return Err(failure);
            }
        };
        let mut read = read.into_iter();
        let mut received = Vec::with_capacity(batch.len());
        for out in batch {
            let body = match out.body {
                Some(body) => Ok(body),
                None => match read.next().flatten() {
                    Some(sealed) => unseal(sealed, || "the queued message".to_owned()),
                    None => Err(Failure::Damaged("the queued message has no body".to_owned())),
                },
            };
            match body {
                Ok(body) => received.push(Received {
                    receipt: receipt(out.id, out.number),
                    body,
                    tries: out.tries,
                    sent: out.sent,
                }),
                // No handler can do anything with it, and it must not come again for ever.
                Err(failure) => {
                    let cause = failure.at(PORT).to_string();
                    tracing::error!(stage = stage.queue(), id = out.id, cause, "damaged message");
                    self.bury(serving, stage, out.id, out.number, cause).await?;
                }
            }
        }
        Ok(received)
    }

    async fn bury(
        &self,
        serving: &Serving,
        stage: Stage,
        id: Id,
        number: u64,
        cause: String,
    ) -> Result<(), Failure> {
        let died = SystemClock.now();
        let letter = DeadLetterId(RandomIds.event(died));
        self.writer
            .run(Kind::QueueAck, cause.len(), move |connection| {
                table::bury(connection, id, letter, died, &cause)
            })
            .await?;
        serving.lane(stage).release(id, number);
        Ok(())
    }

    /// Takes back what was counted in vain, and commits what is left.
    pub(crate) async fn close(&self) {
        if let Some(serving) = &self.serving {
            serving.closed.store(true, Ordering::Release);
            let mut unused = Vec::new();
            for stage in Stage::ALL {
                serving.arrival(stage).notify_waiters();
                unused.extend(serving.lane(stage).unused_marks());
            }
            let gone = std::mem::take(&mut *serving.unacknowledged.lock());
            let last = self.writer.run(Kind::QueueAck, 0, move |connection| {
                gone.iter().try_for_each(|id| table::delete(connection, *id))?;
                table::unmark(connection, &unused)
            });
            if let Err(failure) = last.await {
                tracing::warn!(?failure, "queue was not closed cleanly");
            }
        }
        self.writer.stop().await;
    }

    fn serving(&self) -> Result<&Arc<Serving>, PortError> {
        self.serving.as_ref().ok_or_else(|| {
            Failure::Refused("only the server receives; this process is not it".to_owned()).at(PORT)
        })
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let now = SystemClock.now();
        let mut accepted = Vec::with_capacity(messages.len());
        let mut results: Vec<PortResult<()>> = Vec::with_capacity(messages.len());
        for message in messages {
            results.push(match accept(message, now) {
                Ok(message) => {
                    accepted.push(message);
                    Ok(())
                }
                Err(failure) => Err(failure.at(PORT)),
            });
        }
        if !accepted.is_empty()
            && let Err(failure) = self.send(stage, accepted, now).await
        {
            // One commit for all that were good enough for it.
            for result in results.iter_mut().filter(|result| result.is_ok()) {
                *result = Err(failure.clone().at(PORT));
            }
        }
        results
    }

    async fn receive(
        &self,
        stage: Stage,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Received>> {
        let serving = self.serving()?;
        let started = Instant::now();
        let deadline = started.checked_add(wait);
        loop {
            let arrival = serving.arrival(stage).notified();
            if serving.closed.load(Ordering::Acquire) {
                return Err(Failure::closed().at(PORT));
            }
            let now = Instant::now();
            let (batch, block, next_timer, failed) = {
                let mut lane = serving.lane(stage);
                lane.tick(now);
                let batch = lane.hand_out(max, visibility, now, || serving.number());
                if lane.is_ready() {
                    serving.wake(stage, 1);
                }
                let block = lane.take_block();
                let failed = if batch.is_empty() { lane.failed.take() } else { None };
                (batch, block, lane.next_timer(), failed)
            };
            if let Some(block) = block {
                self.mark(serving, stage, block);
            }
            if let Some(failure) = failed {
                return Err(failure.at(PORT));
            }
            if !batch.is_empty() {
                batch.iter().filter_map(|out| out.body.as_deref()).for_each(|body| serving.uncached(body));
                let received = self.fill(serving, stage, batch).await;
                let received = received.map_err(|failure| failure.at(PORT))?;
                if !received.is_empty() {
                    return Ok(received);
                }
                continue;
            }
            let marking = serving.lane(stage).marking;
            if deadline.is_some_and(|deadline| now >= deadline) && !marking || max == 0 {
                return Ok(Vec::new());
            }
            // A block that is being marked is worth the moment until its commit even without patience.
            let patience = if marking { deadline.map(|at| at.max(now + MARKING)) } else { deadline };
            let until = match (patience, next_timer) {
                (Some(deadline), Some(timer)) => Some(deadline.min(timer)),
                (one, other) => one.or(other),
            };
            match until {
                Some(until) => tokio::select! {
                    () = arrival => {}
                    () = tokio::time::sleep_until(until) => {}
                },
                None => arrival.await,
            }
        }
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        let Some(serving) = &self.serving else { return Ok(()) };
        let mut gone: Vec<Id> = {
            let mut lane = serving.lane(stage);
            let receipts = receipts.iter().filter_map(read_receipt);
            receipts.filter(|(id, number)| lane.release(*id, *number).is_some()).map(|(id, _)| id).collect()
        };
        if gone.is_empty() {
            return Ok(());
        }
        gone.append(&mut serving.unacknowledged.lock());
        let (rows, serving) = (gone.clone(), Arc::clone(serving));
        self.writer
            .run_lazily(
                Kind::QueueAck,
                0,
                move |connection| rows.iter().try_for_each(|id| table::delete(connection, *id)),
                move |committed| {
                    if committed.is_err() {
                        serving.unacknowledged.lock().append(&mut gone);
                    }
                },
            )
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        let serving = self.serving()?;
        let held = read_receipt(receipt).filter(|(id, number)| serving.lane(stage).is_held(*id, *number));
        let (id, number) = held.ok_or_else(|| void(receipt).at(PORT))?;
        let due = later(SystemClock.now(), delay);
        let then = Arc::clone(serving);
        self.writer
            .run_then(
                Kind::Other,
                0,
                move |connection| table::set_due(connection, id, due),
                move |()| {
                    then.lane(stage).retry(id, number, delay, Instant::now());
                    then.wake(stage, 1);
                },
            )
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        let serving = self.serving()?;
        let held = read_receipt(receipt).filter(|(id, number)| serving.lane(stage).is_held(*id, *number));
        let (id, number) = held.ok_or_else(|| void(receipt).at(PORT))?;
        self.bury(serving, stage, id, number, shorten(cause)).await.map_err(|failure| failure.at(PORT))
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        self.readers
            .blocking(move |connection| table::dead_letters(connection, after, limit))
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        let now = SystemClock.now();
        let serving = self.serving.clone();
        self.writer
            .run_then(
                Kind::QueueSend,
                0,
                move |connection| table::replay(connection, id, now),
                move |replayed| match (replayed, serving) {
                    (None, _) => false,
                    (Some(_), None) => true,
                    (Some(waiting), Some(serving)) => {
                        serving.committed(&waiting);
                        true
                    }
                },
            )
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        self.writer
            .run(Kind::Other, 0, move |connection| table::discard(connection, id))
            .await
            .map_err(|failure| failure.at(PORT))
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        if let Some(serving) = &self.serving {
            let mut lane = serving.lane(stage);
            lane.tick(Instant::now());
            let (waiting, in_flight) = lane.depth();
            return Ok(Depth { waiting: waiting as u64, in_flight: in_flight as u64 });
        }
        let waiting = self.readers.blocking(move |connection| table::count(connection, stage)).await;
        Ok(Depth { waiting: waiting.map_err(|failure| failure.at(PORT))?, in_flight: 0 })
    }
}
