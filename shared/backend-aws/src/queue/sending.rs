//! Sending: what several callers send at the same time shares requests.
//!
//! A request takes ten messages and costs as much as with one. A full one goes at once; one that is not full goes at
//! once too if no other is on its way, else what comes meanwhile joins it. Nobody waits for company: a letter that
//! comes alone is sent alone.
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

use super::{PORT, requests, retry};
use crate::clients::timeouts;
use crate::failure::failure;

/// Messages in a request (SQS).
pub(crate) const BATCH: usize = 10;
/// Bytes in a request (SQS: 1 MiB with all attributes), with room for the groups' names.
const BATCH_BYTES: usize = 1024 * 1024 - BATCH * 128;
/// Requests on their way at once.
const CONCURRENT: usize = 16;

/// A message on its way into a queue.
pub(super) struct Parcel {
    pub tenant: TenantId,
    pub text: String,
    pub delay: Duration,
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

#[derive(Default)]
struct Waiting {
    parcels: VecDeque<(Parcel, oneshot::Sender<Answer>)>,
    on_their_way: usize,
}

/// How many of the first messages of these sizes go with one request. One more never makes each of them dearer: ten
/// letters that are billed as two requests cost more than nine that are billed as one.
pub(crate) fn together(sizes: impl Iterator<Item = usize>) -> usize {
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
    fn next(&mut self) -> Option<Vec<(Parcel, oneshot::Sender<Answer>)>> {
        let count = together(self.parcels.iter().map(|(parcel, _)| parcel.text.len()));
        let is_full = count == BATCH || count < self.parcels.len();
        let goes = count > 0 && (self.on_their_way == 0 || is_full && self.on_their_way < CONCURRENT);
        goes.then(|| {
            self.on_their_way += 1;
            self.parcels.drain(..count).collect()
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
                let (parcels, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                let answers = sending.request(parcels).await;
                sending.waiting.lock().on_their_way -= 1;
                sending.start();
                for (sender, answer) in senders.into_iter().zip(answers) {
                    if let Err(Answer { milli, .. }) = sender.send(answer) {
                        count(Unit::QueueRequest, milli);
                    }
                }
            });
        }
    }

    /// Sends one batch, and what failed of it again for as long as that may help.
    async fn request(&self, parcels: Vec<Parcel>) -> Vec<Answer> {
        let share = parcels.len() as u64;
        let mut results: Vec<Option<PortResult<()>>> = vec![None; parcels.len()];
        let (mut calls, mut billed) = (0, 0);
        loop {
            let open: Vec<usize> = (0..parcels.len()).filter(|at| results[*at].is_none()).collect();
            let grouped = self.grouped.load(Ordering::Relaxed);
            let (failed, milli) = self.call(&parcels, &open, grouped).await;
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
        let answer = |(at, result): (usize, Option<PortResult<()>>)| Answer {
            result: result.unwrap_or(Ok(())),
            // Whole thousandths: the first ones bear what cannot be shared out.
            milli: billed / share + u64::from((at as u64) < billed % share),
        };
        results.into_iter().enumerate().map(answer).collect()
    }

    /// One call for the parcels at `open`. Which of them failed and whether that may pass; and what is billed.
    #[allow(clippy::type_complexity)]
    async fn call(
        &self,
        parcels: &[Parcel],
        open: &[usize],
        grouped: bool,
    ) -> (PortResult<Vec<(usize, PortError, bool)>>, u64) {
        let bytes: usize = open.iter().map(|at| parcels[*at].text.len()).sum();
        let milli = requests(bytes) * MILLI;
        let mut call = self.client.send_message_batch().queue_url(&self.url);
        for at in open {
            let Parcel { tenant, text, delay } = &parcels[*at];
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

    fn waiting(sizes: &[usize], on_their_way: usize) -> Waiting {
        let parcel = |size: &usize| {
            let text = "P".repeat(*size);
            (Parcel { tenant: TenantId(1), text, delay: Duration::ZERO }, oneshot::channel().0)
        };
        Waiting { parcels: sizes.iter().map(parcel).collect(), on_their_way }
    }

    fn next(sizes: &[usize], on_their_way: usize) -> Option<usize> {
        waiting(sizes, on_their_way).next().map(|batch| batch.len())
    }

    #[test]
    fn full_requests_go_at_once_and_others_when_none_is_on_its_way() {
        assert_eq!(next(&[], 0), None);
        assert_eq!(next(&[5], 0), Some(1));
        assert_eq!(next(&[5; 9], 1), None);
        assert_eq!(next(&[5; 10], 1), Some(10));
        assert_eq!(next(&[5; 25], 1), Some(10));
        assert_eq!(next(&[5; 25], CONCURRENT), None);
    }

    #[test]
    fn a_request_has_a_megabyte_at_most() {
        let large = 300 * 1024;
        assert_eq!(next(&[large; 3], 1), None);
        assert_eq!(next(&[large; 4], 1), Some(3));
        assert_eq!(next(&[large; 4], 0), Some(3));
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
