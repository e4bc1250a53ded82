//! Sending: what several callers send at the same time shares requests.
//!
//! A request takes ten messages and costs as much as with one. A full one goes at once; one that is not full goes at
//! once too if no other is on its way, else what comes meanwhile joins it. Nobody waits for company: a letter that
//! comes alone is sent alone.
//!
//! Where more than ten wait, several of a tenant become one message, so that all of them go, come and are deleted with
//! calls of ten messages: what is billed are begun 64 KB of a call, and deletions whatever is in them.
//!
//! If the process dies, what was not answered may or may not be in the queue.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use parking_lot::Mutex;
use pennypost_meter::{MILLI, Unit, count};
use pennypost_model::TenantId;
use pennypost_ports::{PortError, PortResult};
use tokio::sync::oneshot;

use super::body::{encode_group, encoded_group_len, encoded_len};
use super::{PORT, requests, retry};
use crate::clients::timeouts;
use crate::failure::failure;

/// Messages in a request (SQS).
pub(crate) const BATCH: usize = 10;
/// Bytes in a request (SQS: 1 MiB with all attributes), with room for the groups' names.
const BATCH_BYTES: usize = 1024 * 1024 - BATCH * 128;
/// Requests on their way at once. Few, so that under load what comes meanwhile goes together.
const CONCURRENT: usize = 4;
/// Events in a message at most: so many come again if one of them ends the process.
pub(crate) const GROUP: usize = 8;
/// Bytes of several events in a message at most, before they are made a text.
const GROUP_BYTES: usize = 128 * 1024;

/// A message on its way into a queue.
pub(super) struct Parcel {
    pub tenant: TenantId,
    pub body: Vec<u8>,
    pub delay: Duration,
    /// It must not share a message.
    pub is_alone: bool,
}

/// What matters of a parcel for whether it goes with others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub tenant: TenantId,
    pub bytes: usize,
    pub is_alone: bool,
}

impl Parcel {
    fn size(&self) -> Size {
        Size { tenant: self.tenant, bytes: self.body.len(), is_alone: self.is_alone || !self.delay.is_zero() }
    }
}

/// The answer for one parcel, and its share of what the requests cost.
struct Answer {
    result: PortResult<()>,
    milli: u64,
}

/// What waits for one queue.
pub(super) struct Sending {
    client: Client,
    url: String,
    name: String,
    waiting: Mutex<Waiting>,
    /// Does the service take groups in this queue? Those that know no fair queues refuse them.
    grouped: AtomicBool,
}

/// A parcel, and who waits for the answer.
type Waiter = (Parcel, oneshot::Sender<Answer>);

/// What goes as one message.
struct Message {
    tenant: TenantId,
    text: String,
    delay: Duration,
}

impl Message {
    fn of(parcels: &[Waiter]) -> Message {
        let bodies: Vec<&[u8]> = parcels.iter().map(|(parcel, _)| parcel.body.as_slice()).collect();
        let text = encode_group(&bodies);
        let first = parcels.first().map(|(parcel, _)| (parcel.tenant, parcel.delay));
        let (tenant, delay) = first.unwrap_or_default();
        Message { tenant, text, delay }
    }
}

#[derive(Default)]
struct Waiting {
    parcels: VecDeque<Waiter>,
    on_their_way: usize,
}

/// How many of the first parcels go with one request, by its messages.
pub(crate) fn plan(parcels: &[Size]) -> Vec<usize> {
    if parcels.len() <= BATCH {
        let count = together(parcels.iter().map(|parcel| encoded_len(parcel.bytes)));
        return vec![1; count];
    }
    let most = parcels.len().div_ceil(BATCH).min(GROUP);
    let (mut messages, mut rest, mut sent) = (Vec::new(), parcels, 0);
    while let Some(first) = rest.first()
        && messages.len() < BATCH
    {
        let mut bytes = 0;
        let fits = |parcel: &&Size| {
            bytes += parcel.bytes;
            parcel.tenant == first.tenant && !parcel.is_alone && !first.is_alone && bytes <= GROUP_BYTES
        };
        let count = rest.iter().take(most).take_while(fits).count().max(1);
        let (message, behind) = rest.split_at(count);
        let sizes: Vec<usize> = message.iter().map(|parcel| parcel.bytes).collect();
        sent += encoded_group_len(&sizes);
        if sent > BATCH_BYTES && !messages.is_empty() {
            break;
        }
        messages.push(count);
        rest = behind;
    }
    messages
}

/// How many of the first messages of these sizes go with one request. One more never makes each of them dearer: ten
/// letters that are billed as two requests cost more than nine that are billed as one.
fn together(sizes: impl Iterator<Item = usize>) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for size in sizes.take(BATCH) {
        let (before, after) = (requests(bytes), requests(bytes + size));
        let is_dearer = after * count as u64 > before * (count as u64 + 1);
        if count > 0 && (is_dearer || bytes + size > BATCH_BYTES) {
            break;
        }
        count += 1;
        bytes += size;
    }
    count
}

impl Waiting {
    /// The next request, if it should go now.
    fn next(&mut self) -> Option<Vec<Vec<Waiter>>> {
        let sizes: Vec<Size> =
            self.parcels.iter().take(BATCH * GROUP).map(|(parcel, _)| parcel.size()).collect();
        let messages = plan(&sizes);
        let count: usize = messages.iter().sum();
        let is_full = count >= BATCH || count < self.parcels.len();
        let goes = count > 0 && (self.on_their_way == 0 || is_full && self.on_their_way < CONCURRENT);
        goes.then(|| {
            self.on_their_way += 1;
            messages.into_iter().map(|count| self.parcels.drain(..count).collect()).collect()
        })
    }
}

impl Sending {
    pub(super) fn new(client: Client, url: String, name: String) -> Sending {
        Sending { client, url, name, waiting: Mutex::default(), grouped: AtomicBool::new(true) }
    }

    /// Sends all; one result for each, in order.
    pub(super) async fn send(self: &Arc<Self>, parcels: Vec<Parcel>) -> Vec<PortResult<()>> {
        let mut answers = Vec::with_capacity(parcels.len());
        {
            let mut waiting = self.waiting.lock();
            for parcel in parcels {
                let (sender, answer) = oneshot::channel();
                waiting.parcels.push_back((parcel, sender));
                answers.push(answer);
            }
        }
        self.start();
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            results.push(match answer.await {
                Ok(Answer { result, milli }) => {
                    // Here and not where the request is made: the caller's scope pays.
                    count(Unit::QueueRequest, milli);
                    result
                }
                Err(_) => {
                    let cause = format!("the request to {} was given up", self.name);
                    Err(PortError::Unavailable { port: PORT, cause })
                }
            });
        }
        results
    }

    /// Sends what can go now.
    fn start(self: &Arc<Self>) {
        while let Some(batch) = self.waiting.lock().next() {
            let sending = Arc::clone(self);
            // A task of its own, so that a caller who goes away takes no other's message with it.
            tokio::spawn(async move {
                let messages = batch.iter().map(|parcels| Message::of(parcels)).collect();
                let (results, billed) = sending.request(messages).await;
                sending.waiting.lock().on_their_way -= 1;
                sending.start();
                let share = batch.iter().map(Vec::len).sum::<usize>() as u64;
                let answered = batch.into_iter().zip(results);
                let answered = answered.flat_map(|(parcels, result)| {
                    parcels.into_iter().map(move |(_, sender)| (sender, result.clone()))
                });
                for (at, (sender, result)) in (0..).zip(answered) {
                    // Whole thousandths: the first ones bear what cannot be shared out.
                    let milli = billed / share + u64::from(at < billed % share);
                    if let Err(Answer { milli, .. }) = sender.send(Answer { result, milli }) {
                        count(Unit::QueueRequest, milli);
                    }
                }
            });
        }
    }

    /// Sends one batch, and what failed of it again for as long as that may help. The result for each message, and what
    /// is billed for all.
    async fn request(&self, messages: Vec<Message>) -> (Vec<PortResult<()>>, u64) {
        let mut results: Vec<Option<PortResult<()>>> = vec![None; messages.len()];
        let (mut calls, mut billed) = (0, 0);
        loop {
            let open: Vec<usize> = (0..messages.len()).filter(|at| results[*at].is_none()).collect();
            let grouped = self.grouped.load(Ordering::Relaxed);
            let (failed, milli) = self.call(&messages, &open, grouped).await;
            calls += 1;
            billed += milli;
            let failed = match failed {
                Ok(failed) => failed,
                Err(error) if grouped && !error.is_temporary() && calls < retry::CALLS => {
                    self.without_groups(&error);
                    continue;
                }
                Err(error) => {
                    open.iter().for_each(|at| results[*at] = Some(Err(error.clone())));
                    break;
                }
            };
            for at in open {
                let error = failed.iter().find(|(failed, ..)| *failed == at);
                match error {
                    None => results[at] = Some(Ok(())),
                    Some((_, error, passing)) => {
                        let again = calls < retry::CALLS && (*passing || grouped && !error.is_temporary());
                        if !passing && again {
                            self.without_groups(error);
                        }
                        results[at] = (!again).then(|| Err(error.clone()));
                    }
                }
            }
            if results.iter().all(Option::is_some) {
                break;
            }
            tokio::time::sleep(retry::pause(calls)).await;
        }
        (results.into_iter().map(|result| result.unwrap_or(Ok(()))).collect(), billed)
    }

    /// One call for the messages at `open`. Which of them failed and whether that may pass; and what is billed.
    #[allow(clippy::type_complexity)]
    async fn call(
        &self,
        messages: &[Message],
        open: &[usize],
        grouped: bool,
    ) -> (PortResult<Vec<(usize, PortError, bool)>>, u64) {
        let bytes: usize = open.iter().map(|at| messages[*at].text.len()).sum();
        let milli = requests(bytes) * MILLI;
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for at in open {
            let Message { tenant, text, delay } = &messages[*at];
            let entry = SendMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .message_body(text)
                .set_message_group_id(grouped.then(|| tenant.to_string()))
                .delay_seconds(super::seconds(*delay))
                .build();
            call = match entry {
                Ok(entry) => call.entries(entry),
                Err(error) => {
                    return (Err(PortError::Refused { port: PORT, cause: error.to_string() }), 0);
                }
            };
        }
        let configuration = aws_sdk_sqs::config::Builder::new().timeout_config(timeouts(bytes as u64));
        match call.customize().config_override(configuration).send().await {
            Ok(answer) => {
                let failed = answer.failed().iter().filter_map(|entry| {
                    let at = entry.id().parse().ok()?;
                    Some((at, retry::of_entry(&self.name, entry), retry::is_passing(entry)))
                });
                (Ok(failed.collect()), milli)
            }
            Err(error) => (Err(failure(PORT, &self.name, &error)), milli),
        }
    }

    fn without_groups(&self, error: &PortError) {
        if self.grouped.swap(false, Ordering::Relaxed) {
            tracing::warn!(queue = self.name, %error, "tenants may delay each other: groups are refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(tenant: u64, bytes: usize) -> Waiter {
        (
            Parcel { tenant: TenantId(tenant), body: vec![7; bytes], delay: Duration::ZERO, is_alone: false },
            oneshot::channel().0,
        )
    }

    /// The parcels of each message of the next request.
    fn next(sizes: &[usize], on_their_way: usize) -> Option<Vec<usize>> {
        let parcels = sizes.iter().map(|bytes| parcel(1, *bytes)).collect();
        let mut waiting = Waiting { parcels, on_their_way };
        waiting.next().map(|messages| messages.iter().map(Vec::len).collect())
    }

    #[test]
    fn full_requests_go_at_once_and_others_when_none_is_on_its_way() {
        assert_eq!(next(&[], 0), None);
        assert_eq!(next(&[5], 0), Some(vec![1]));
        assert_eq!(next(&[5; 9], 1), None);
        assert_eq!(next(&[5; 10], 1), Some(vec![1; 10]));
        assert_eq!(next(&[5; 25], 1), Some([vec![3; 8], vec![1]].concat()));
        assert_eq!(next(&[5; 500], 1), Some(vec![GROUP; 10]));
        assert_eq!(next(&[5; 25], CONCURRENT), None);
    }

    #[test]
    fn a_request_has_a_megabyte_at_most() {
        let large = 250 * 1024;
        assert_eq!(next(&[large; 3], 1), None);
        assert_eq!(next(&[large; 4], 1), Some(vec![1; 3]));
        assert_eq!(next(&[large; 4], 0), Some(vec![1; 3]));
        assert_eq!(next(&[large; 20], 0), Some(vec![1; 3]));
    }

    #[test]
    fn only_events_of_one_tenant_that_may_go_at_once_share_a_message() {
        let mut parcels: Vec<Waiter> = (0..24).map(|at| parcel(at / 10, 100)).collect();
        parcels[4].0.delay = Duration::from_secs(1);
        parcels[9].0.is_alone = true;
        let sizes: Vec<Size> = parcels.iter().map(|(parcel, _)| parcel.size()).collect();
        assert_eq!(plan(&sizes), [3, 1, 1, 3, 1, 1, 3, 3, 3, 1]);
        let large: Vec<Size> = (0..30).map(|_| parcel(1, 60 * 1024).0.size()).collect();
        assert_eq!(plan(&large), [2; 6]);
    }

    #[test]
    fn no_message_makes_the_others_dearer() {
        let count = |sizes: &[usize]| together(sizes.iter().copied());
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[100; 30]), 10);
        // Nine of these are one request, ten would be two.
        assert_eq!(count(&[7_000; 30]), 9);
        // Each is billed by itself anyway.
        assert_eq!(count(&[64 * 1024; 30]), 10);
        assert_eq!(count(&[250_000; 30]), 4);
        assert_eq!(count(&[2 * 1024 * 1024]), 1);
    }
}
