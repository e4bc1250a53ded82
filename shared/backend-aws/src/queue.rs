//! The queues on SQS: standard queues, one per stage, each with a dead-letter queue `<queue>-dead`.
//!
//! Owns: the text form of events ([`body`]), requests shared by those who send at the same time ([`sending`]), what this
//! process was handed out ([`in_hand`]), dead letters in the control table ([`dead`]).
//!
//! What SQS documents and the port therefore can't promise here: visibility and delays are whole seconds, rounded up; a
//! message may be handed out twice although it is invisible (handlers are idempotent); a short poll may miss what is
//! there; depths are approximate, and what was put off by `retry_later` counts as in flight until it is back. Each
//! message's group is its tenant, which makes a standard queue a fair one: how soon a quiet tenant is served is up to
//! the service.
//!
//! Where many events wait to be sent, some of a tenant share a message ([`sending`]). Such a message is handed out once:
//! an event of it that is to come again is sent anew, by itself, with its tries counted from there (after 15 minutes at
//! most); if the message itself comes again, because the process died or an event could not be sent, all its events are
//! sent anew by themselves, also those that were done.
//!
//! If the process dies: what was sent and answered is in SQS; what was handed out comes back when its visibility ends,
//! with its tries counted by SQS.

pub mod body;
pub(crate) mod calls;
mod dead;
mod in_hand;
mod retry;
pub(crate) mod sending;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use parking_lot::Mutex;
use pennypost_meter::{MILLI, Unit, count};
use pennypost_model::event::Stage;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{
    Clock, Control, DeadLetter, DeadLetterId, Depth, Outgoing, PortError, PortResult, Queue, Receipt,
    Received, SystemClock,
};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use self::calls::AT_ONCE;
use self::in_hand::{HandOut, InHand, Known, Slip};
use self::sending::{Parcel, Sending};
use crate::Settings;
use crate::failure::failure;

pub(crate) const PORT: &str = "queue";
const MAX_BODY: usize = 256 * 1024;
const MAX_DELAY: Duration = Duration::from_secs(15 * 60);
/// The longest that a receiver waits at SQS in one call, and the shortest that is no short poll.
pub(crate) const LONG_POLL: Duration = Duration::from_secs(20);
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// The longest visibility, from the hand-out on.
const MAX_VISIBILITY: Duration = Duration::from_secs(12 * 3600);
/// No function runs longer.
const MAX_INVOCATION: Duration = Duration::from_secs(15 * 60);
/// While what SQS has buried is written down as dead letters, nobody else is to see it.
const BURIAL: Duration = Duration::from_secs(120);
/// What is billed as one request.
const REQUEST_BYTES: usize = 64 * 1024;

/// [`Queue`] on SQS.
pub struct SqsQueue {
    client: Client,
    control: Arc<dyn Control>,
    lanes: [Lane; Stage::ALL.len()],
}

/// What one stage's queue needs.
struct Lane {
    stage: Stage,
    /// The queue's name, for errors.
    name: String,
    given_url: Option<String>,
    url: OnceCell<String>,
    sending: OnceCell<Arc<Sending>>,
    in_hand: InHand,
    /// Events of messages that held more of them than were asked for, and until when they are ours.
    surplus: Mutex<VecDeque<(Received, Instant)>>,
}

/// A record that SQS handed to somebody else for us: to a function that it started.
#[derive(Debug, Clone)]
pub struct Record {
    /// `messageId`.
    pub message: String,
    /// `receiptHandle`.
    pub handle: String,
    /// `body`.
    pub text: String,
    /// `attributes.ApproximateReceiveCount`.
    pub tries: u32,
    /// `attributes.SentTimestamp`.
    pub sent: Timestamp,
    /// `attributes.MessageGroupId`.
    pub group: Option<String>,
}

/// Requests that are billed for a call that carries so many bytes.
fn requests(bytes: usize) -> u64 {
    bytes.div_ceil(REQUEST_BYTES).max(1) as u64
}

/// Whole seconds, not less than `duration`.
fn seconds(duration: Duration) -> i32 {
    let up = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(up).unwrap_or(i32::MAX)
}

fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(seconds(duration).unsigned_abs().into())
}

fn not_found(receipt: &Receipt) -> PortError {
    let shown: String = receipt.0.chars().take(64).collect();
    PortError::NotFound { port: PORT, what: format!("message handed out under receipt {shown:?}") }
}

impl SqsQueue {
    /// The queues of an installation; dead letters lie in `control`.
    pub(crate) fn new(client: Client, settings: &Settings, control: Arc<dyn Control>) -> SqsQueue {
        let lanes = Stage::ALL.map(|stage| Lane {
            stage,
            name: format!("queue {}", settings.queue_name(stage)),
            given_url: settings.queue_url(stage).map(str::to_owned),
            url: OnceCell::new(),
            sending: OnceCell::new(),
            in_hand: InHand::default(),
            surplus: Mutex::default(),
        });
        SqsQueue { client, control, lanes }
    }

    /// As if this process had received it: the receipts of its events are good for the other calls, until
    /// [`SqsQueue::let_go`]. No events: they are in the queue again, one by one, and the record is gone.
    ///
    /// # Errors
    /// What sending says: then the record must come again.
    #[pennypost_ports::compiled_here]
    pub async fn take_over(&self, stage: Stage, record: &Record) -> PortResult<Vec<Received>> {
        let (lane, now) = (self.lane(stage), Instant::now());
        lane.in_hand.forget_expired(now);
        let events = body::events(&record.text);
        if is_doubtful(record, &events) {
            self.send_apart(lane, record, events).await?;
            return Ok(Vec::new());
        }
        Ok(lane.hand_out(record, events, now, MAX_INVOCATION))
    }

    /// Must the record come again because of this event of it, which was not done?
    #[must_use]
    pub fn must_return(&self, stage: Stage, receipt: &Receipt) -> bool {
        in_hand::read(receipt).is_none_or(|slip| self.lane(stage).in_hand.is_open(slip))
    }

    /// Forgets messages that were taken over: whoever handed them over deletes them, or hands them out again.
    pub fn let_go<'a>(&self, stage: Stage, receipts: impl IntoIterator<Item = &'a Receipt>) {
        let lane = self.lane(stage);
        for slip in receipts.into_iter().filter_map(in_hand::read) {
            lane.in_hand.release(slip.message, slip.handle);
        }
    }

    /// Puts the events of a message back, each in one of its own, so that it has tries of its own; then the message goes.
    async fn send_apart(&self, lane: &Lane, record: &Record, events: Vec<Vec<u8>>) -> PortResult<()> {
        let alone = |body: Vec<u8>| {
            let tenant = tenant(record, &body);
            Parcel { tenant, body, delay: Duration::ZERO, is_alone: true }
        };
        let sent = self.sending(lane).await?.send(events.into_iter().map(alone).collect()).await;
        sent.into_iter().collect::<PortResult<()>>()?;
        self.delete(lane, &self.url(lane).await?, &[&record.handle]).await
    }

    /// Sends an event that shares its message with no other.
    async fn send_alone(
        &self,
        lane: &Lane,
        tenant: TenantId,
        body: Vec<u8>,
        delay: Duration,
    ) -> PortResult<()> {
        let sent = self.sending(lane).await?.send(vec![Parcel { tenant, body, delay, is_alone: true }]).await;
        sent.into_iter().collect()
    }

    async fn sending(&self, lane: &Lane) -> PortResult<Arc<Sending>> {
        let sending = lane.sending.get_or_try_init(|| async {
            let url = self.url(lane).await?;
            Ok(Arc::new(Sending::new(self.client.clone(), url, lane.name.clone())))
        });
        sending.await.cloned()
    }

    /// Deletes the message of an event that is settled, if all its events are.
    async fn settle(&self, lane: &Lane, slip: Slip<'_>) -> PortResult<()> {
        if !lane.in_hand.settle(slip) {
            return Ok(());
        }
        self.delete(lane, &self.url(lane).await?, &[slip.handle]).await?;
        lane.in_hand.release(slip.message, slip.handle);
        Ok(())
    }

    fn lane(&self, stage: Stage) -> &Lane {
        &self.lanes[stage as usize]
    }

    /// May there be a queue of that stage? Where the environment names queues there are no others.
    #[must_use]
    pub fn may_have(&self, stage: Stage) -> bool {
        let are_named = self.lanes.iter().any(|lane| lane.given_url.is_some());
        !are_named || self.lane(stage).given_url.is_some()
    }

    async fn url(&self, lane: &Lane) -> PortResult<String> {
        let url = lane.url.get_or_try_init(|| async {
            if let Some(url) = &lane.given_url {
                return Ok(url.clone());
            }
            let name = lane.name.trim_start_matches("queue ");
            let answer = self.client.get_queue_url().queue_name(name).send().await;
            count(Unit::QueueRequest, MILLI);
            let answer = answer.map_err(|error| failure(PORT, &lane.name, &error))?;
            answer.queue_url.ok_or_else(|| PortError::Unavailable {
                port: PORT,
                cause: format!("the service gave no address of {}", lane.name),
            })
        });
        url.await.cloned()
    }

    async fn poll(
        &self,
        lane: &Lane,
        url: &str,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Record>> {
        calls::receive(&self.client, &lane.name, url, max, visibility, wait).await
    }

    async fn delete(&self, lane: &Lane, url: &str, handles: &[&str]) -> PortResult<()> {
        calls::delete(&self.client, &lane.name, url, handles).await
    }

    async fn make_invisible(
        &self,
        lane: &Lane,
        receipt: &Receipt,
        handle: &str,
        time: Duration,
    ) -> PortResult<()> {
        let url = self.url(lane).await?;
        let call = self.client.change_message_visibility().queue_url(url).receipt_handle(handle);
        let answer = call.visibility_timeout(seconds(time)).send().await;
        count(Unit::QueueRequest, MILLI);
        match answer {
            Ok(_) => Ok(()),
            Err(error) => match failure(PORT, &lane.name, &error) {
                // Only the receipt can be wrong: it is nobody's, or its time is over.
                PortError::Refused { .. } => Err(not_found(receipt)),
                _ if error.code().is_some_and(retry::is_of_receipt) => Err(not_found(receipt)),
                other => Err(other),
            },
        }
    }

    /// Makes dead letters of what SQS took out of a queue by itself.
    async fn collect_buried(&self, stage: Stage) -> PortResult<()> {
        let lane = self.lane(stage);
        let url = format!("{}-dead", self.url(lane).await?);
        loop {
            let buried = self.poll(lane, &url, AT_ONCE, BURIAL, SHORTEST_POLL).await?;
            if buried.is_empty() {
                return Ok(());
            }
            for record in &buried {
                let events = body::events(&record.text);
                let is_one = events.len() == 1;
                for (number, body) in events.into_iter().enumerate() {
                    let burial = dead::Burial {
                        stage,
                        message: &record.message,
                        event: (!is_one).then_some(number),
                        sent: record.sent,
                        tenant: tenant(record, &body),
                        // This hand-out was no try.
                        tries: record.tries.saturating_sub(1).max(1),
                        cause: "its handler never came to an end",
                        body,
                    };
                    dead::bury(&*self.control, burial, SystemClock.now()).await?;
                }
            }
            let handles: Vec<&str> = buried.iter().map(|record| record.handle.as_str()).collect();
            self.delete(lane, &url, &handles).await?;
        }
    }
}

impl Lane {
    fn hand_out(
        &self,
        record: &Record,
        events: Vec<Vec<u8>>,
        now: Instant,
        visibility: Duration,
    ) -> Vec<Received> {
        let Record { message, handle, tries, sent, .. } = record;
        let is_one = events.len() == 1;
        let hand_out = HandOut {
            handle: handle.clone(),
            tenant: events.first().map(|event| tenant(record, event)).unwrap_or_default(),
            events: events.iter().cloned().map(Some).collect(),
            tries: *tries,
            sent: *sent,
            from: now,
            until: now + whole_seconds(visibility),
        };
        self.in_hand.take(message, hand_out);
        let received = events.into_iter().enumerate().map(|(number, body)| {
            let event = (!is_one).then_some(number);
            let receipt = in_hand::receipt(Slip { message, handle, event });
            Received { receipt, body, tries: *tries, sent: *sent }
        });
        received.collect()
    }

    /// The hand-out that a receipt names, and its event, if that is not settled.
    fn held(&self, slip: Slip<'_>, event: usize) -> Option<(HandOut, Vec<u8>)> {
        let Known::Held(mut held) = self.in_hand.known(slip.message, slip.handle) else { return None };
        let body = held.events.get_mut(event)?.take()?;
        Some((*held, body))
    }

    /// Events that were left over a moment ago. Of those whose time is half over the messages come again by themselves.
    fn left_over(&self, max: usize, now: Instant, visibility: Duration) -> Vec<Received> {
        let mut surplus = self.surplus.lock();
        surplus.retain(|(_, until)| *until > now + visibility / 2);
        let count = surplus.len().min(max);
        surplus.drain(..count).map(|(received, _)| received).collect()
    }
}

/// Has a message of several events been handed out before? One of them may have ended the process.
fn is_doubtful(record: &Record, events: &[Vec<u8>]) -> bool {
    events.len() > 1 && record.tries > 1
}

/// Whose a message is.
fn tenant(record: &Record, body: &[u8]) -> TenantId {
    let group = record.group.as_deref().and_then(|group| group.parse().ok());
    group.unwrap_or_else(|| dead::tenant_of(body))
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send_batch(&self, stage: Stage, messages: Vec<Outgoing>) -> Vec<PortResult<()>> {
        let mut results = Vec::with_capacity(messages.len());
        let mut parcels = Vec::with_capacity(messages.len());
        for message in messages {
            let refused = |cause: String| Err(PortError::Refused { port: PORT, cause });
            results.push(if message.body.len() > MAX_BODY {
                refused(format!("a message of {} bytes is too large", message.body.len()))
            } else if message.delay > MAX_DELAY {
                refused("a delay of more than 15 minutes".to_owned())
            } else {
                let Outgoing { tenant, body, delay } = message;
                // A chore may take as long as an invocation lasts: several in one message would end it.
                parcels.push(Parcel { tenant, body, delay, is_alone: stage == Stage::Housekeep });
                Ok(())
            });
        }
        if parcels.is_empty() {
            return results;
        }
        let lane = self.lane(stage);
        let sent = match self.sending(lane).await {
            Ok(sending) => sending.send(parcels).await,
            Err(error) => vec![Err(error); parcels.len()],
        };
        for (result, sent) in results.iter_mut().filter(|result| result.is_ok()).zip(sent) {
            *result = sent;
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
        if max == 0 {
            return Ok(Vec::new());
        }
        let lane = self.lane(stage);
        let url = self.url(lane).await?;
        let deadline = Instant::now().checked_add(wait);
        let visibility = visibility.min(MAX_VISIBILITY);
        let mut received = lane.left_over(max, Instant::now(), visibility);
        if received.len() == max {
            return Ok(received);
        }
        loop {
            let asked = Instant::now();
            lane.in_hand.forget_expired(asked);
            let left = deadline.map_or(LONG_POLL, |deadline| deadline.saturating_duration_since(asked));
            let wait = match (received.is_empty(), left) {
                (false, _) | (_, Duration::ZERO) => Duration::ZERO,
                (true, left) => left.clamp(SHORTEST_POLL, LONG_POLL),
            };
            let records = match self.poll(lane, &url, max - received.len(), visibility, wait).await {
                Ok(records) => records,
                Err(error) if received.is_empty() => return Err(error),
                // What is in hand already is not left lying.
                Err(_) => return Ok(received),
            };
            let answered = Instant::now();
            let count = records.len();
            for record in &records {
                let events = body::events(&record.text);
                if is_doubtful(record, &events) {
                    // If that fails, the message comes again; the others are not left lying for it.
                    if let Err(error) = self.send_apart(lane, record, events).await {
                        tracing::warn!(queue = lane.name, %error, "a message of several events is not taken apart yet");
                    }
                } else {
                    received.extend(lane.hand_out(record, events, answered, visibility));
                }
            }
            if received.len() > max {
                let until = answered + visibility;
                let surplus = received.split_off(max).into_iter().map(|received| (received, until));
                lane.surplus.lock().extend(surplus);
            }
            let has_time = deadline.is_none_or(|deadline| answered < deadline);
            // An answer that is not full was all there is, as far as one can tell without paying for another.
            let goes_on =
                if received.is_empty() { has_time } else { count == AT_ONCE && received.len() < max };
            if !goes_on {
                return Ok(received);
            }
        }
    }

    async fn ack(&self, stage: Stage, receipts: &[Receipt]) -> PortResult<()> {
        let lane = self.lane(stage);
        let slips = receipts.iter().filter_map(in_hand::read);
        // Once for each message: with the last of its events.
        let whole: Vec<Slip<'_>> = slips.filter(|slip| lane.in_hand.settle(*slip)).collect();
        let handles: BTreeSet<&str> = whole.iter().map(|slip| slip.handle).collect();
        if handles.is_empty() {
            return Ok(());
        }
        let handles: Vec<&str> = handles.into_iter().collect();
        self.delete(lane, &self.url(lane).await?, &handles).await?;
        whole.into_iter().for_each(|slip| lane.in_hand.release(slip.message, slip.handle));
        Ok(())
    }

    async fn retry_later(&self, stage: Stage, receipt: &Receipt, delay: Duration) -> PortResult<()> {
        let lane = self.lane(stage);
        let slip = in_hand::read(receipt).ok_or_else(|| not_found(receipt))?;
        let Slip { message, handle, event } = slip;
        if lane.in_hand.is_void(message, handle) {
            return Err(not_found(receipt));
        }
        if let Some(event) = event {
            let (held, body) = lane.held(slip, event).ok_or_else(|| not_found(receipt))?;
            self.send_alone(lane, held.tenant, body, delay.min(MAX_DELAY)).await?;
            return self.settle(lane, slip).await;
        }
        // The limit is for the whole time since the hand-out.
        let spent = lane.in_hand.held_for(message, Instant::now()) + SHORTEST_POLL;
        let delay = delay.min(MAX_VISIBILITY.saturating_sub(spent));
        self.make_invisible(lane, receipt, handle, delay).await?;
        lane.in_hand.release(message, handle);
        Ok(())
    }

    async fn dead_letter(&self, stage: Stage, receipt: &Receipt, cause: &str) -> PortResult<()> {
        let lane = self.lane(stage);
        let slip = in_hand::read(receipt).ok_or_else(|| not_found(receipt))?;
        let Slip { message, event, .. } = slip;
        let (held, body) = lane.held(slip, event.unwrap_or(0)).ok_or_else(|| not_found(receipt))?;
        let HandOut { tenant, tries, sent, .. } = held;
        let burial = dead::Burial { stage, message, event, sent, tenant, tries, cause, body };
        dead::bury(&*self.control, burial, SystemClock.now()).await?;
        self.settle(lane, slip).await
    }

    async fn dead_letters(&self, after: Option<DeadLetterId>, limit: usize) -> PortResult<Vec<DeadLetter>> {
        if after.is_none() && limit > 0 {
            // The queue to other servers is missing where nothing is sent there.
            let is_needed = |lane: &Lane| lane.stage != Stage::SendRemote;
            let lanes = self.lanes.iter().filter(|lane| is_needed(lane) || self.may_have(lane.stage));
            let lanes: Vec<&Lane> = lanes.collect();
            let all = lanes.iter().map(|lane| self.collect_buried(lane.stage));
            for (lane, collected) in lanes.iter().zip(futures::future::join_all(all).await) {
                // What can't be collected now must not hide the others; it lies there for two weeks.
                if let Err(error) = collected
                    && is_needed(lane)
                {
                    tracing::warn!(%error, "dead letters may be missing from the list");
                }
            }
        }
        dead::list(&*self.control, after, limit).await
    }

    async fn replay_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        let Some(claim) = dead::claim(&*self.control, id, SystemClock.now()).await? else { return Ok(false) };
        let message = Outgoing { tenant: claim.tenant, body: claim.body.clone(), delay: Duration::ZERO };
        if let Some(Err(error)) = self.send_batch(claim.stage, vec![message]).await.pop() {
            dead::give_back(&*self.control, &claim).await;
            return Err(error);
        }
        dead::end_claim(&*self.control, &claim).await?;
        Ok(true)
    }

    async fn discard_dead_letter(&self, id: DeadLetterId) -> PortResult<bool> {
        dead::discard(&*self.control, id, SystemClock.now()).await
    }

    async fn depth(&self, stage: Stage) -> PortResult<Depth> {
        use QueueAttributeName as Attribute;
        let lane = self.lane(stage);
        let call = self.client.get_queue_attributes().queue_url(self.url(lane).await?);
        let answer = call
            .attribute_names(Attribute::ApproximateNumberOfMessages)
            .attribute_names(Attribute::ApproximateNumberOfMessagesDelayed)
            .attribute_names(Attribute::ApproximateNumberOfMessagesNotVisible)
            .send()
            .await;
        count(Unit::QueueRequest, MILLI);
        let answer = answer.map_err(|error| failure(PORT, &lane.name, &error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        Ok(Depth {
            waiting: number(Attribute::ApproximateNumberOfMessages)
                + number(Attribute::ApproximateNumberOfMessagesDelayed),
            in_flight: number(Attribute::ApproximateNumberOfMessagesNotVisible),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_begun_64_kilobytes() {
        assert_eq!([0, 1, 65_536, 65_537, 262_144].map(requests), [1, 1, 1, 2, 4]);
    }

    #[test]
    fn times_are_rounded_up_to_seconds() {
        let millis = [0, 1, 300, 1000, 1001].map(Duration::from_millis);
        assert_eq!(millis.map(seconds), [0, 1, 1, 1, 2]);
    }
}
