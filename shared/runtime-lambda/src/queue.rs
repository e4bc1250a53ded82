//! A queue's function: a batch comes in, what must come again goes out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use pennypost_model::Timestamp;
use pennypost_model::event::Stage;
use pennypost_ports::{PortResult, Receipt, Received};
use pennypost_runtime::batch::{Desk, Settled};
use pennypost_runtime::usage::polled;
use serde::Serialize;

use crate::InvocationError;
use crate::function::{Finished, Function, Invocation};
use crate::sqs::{BatchResponse, ItemFailure, SqsEvent, SqsRecord};

/// A message that the service has handed to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its id in the service.
    pub message: String,
    /// The handle of this hand-out.
    pub handle: String,
    /// Its body.
    pub text: String,
    /// Its group.
    pub group: Option<String>,
    /// How often it has been handed out.
    pub tries: u32,
    /// When it was sent.
    pub sent: Timestamp,
}

/// Takes over what was not received through the queue port, so that the port can delay it or give it up by its receipt.
#[async_trait]
pub trait Takeover: Send + Sync {
    /// The events of the message as if the port had received them. None: the port has put them back, one by one, and the
    /// message is done.
    ///
    /// # Errors
    /// The message must come again.
    async fn take_over(&self, stage: Stage, delivered: Delivered) -> PortResult<Vec<Received>>;

    /// Must the message come again because of this event, which is not done? Not if the event comes again by itself.
    fn must_return(&self, stage: Stage, receipt: &Receipt) -> bool;

    /// The invocation is over: these receipts are not used any more.
    fn let_go(&self, stage: Stage, receipts: &[Receipt]);
}

/// The function of a queue.
pub struct QueueFunction {
    stage: Stage,
    desk: Desk,
    takeover: Arc<dyn Takeover>,
}

/// What the line in the log tells of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Handled {
    /// Messages of the batch.
    pub records: usize,
    /// Those that are done.
    pub done: usize,
    /// Those that are tried again.
    pub retried: usize,
    /// Those that are dead letters now.
    pub dead: usize,
    /// Those that the service must not delete.
    pub open: usize,
    /// The time was over before all were handled: those that were not count as neither.
    pub time_over: bool,
}

impl QueueFunction {
    /// A function that handles the messages of a stage's queue.
    #[must_use]
    pub fn new(stage: Stage, desk: Desk, takeover: Arc<dyn Takeover>) -> QueueFunction {
        QueueFunction { stage, desk, takeover }
    }

    async fn received(&self, record: SqsRecord) -> PortResult<Vec<Received>> {
        let tries = record.number("ApproximateReceiveCount").unwrap_or(1);
        // Without a time it counts as sent now: it is given up later then, never sooner.
        let sent = record.number("SentTimestamp").map_or(self.desk.now(), Timestamp);
        let SqsRecord { message_id, receipt_handle, body, mut attributes, .. } = record;
        let group = attributes.remove("MessageGroupId");
        let delivered =
            Delivered { message: message_id, handle: receipt_handle, text: body, group, tries, sent };
        self.takeover.take_over(self.stage, delivered).await
    }
}

impl Function for QueueFunction {
    type Event = SqsEvent;
    type Answer = BatchResponse;
    type Done = Handled;

    async fn invoke(
        &self,
        event: SqsEvent,
        invocation: Invocation,
    ) -> Result<Finished<BatchResponse, Handled>, InvocationError> {
        let is_nameless =
            |record: &SqsRecord| record.message_id.is_empty() || record.receipt_handle.is_empty();
        if let Some(nameless) = event.records.iter().position(is_nameless) {
            return Err(InvocationError::Nameless(nameless));
        }
        let sizes: Vec<usize> = event.records.iter().map(|record| record.body.len()).collect();
        let mut names: HashMap<Receipt, String> = HashMap::with_capacity(sizes.len());
        let mut receipts = Vec::with_capacity(sizes.len());
        let mut messages = Vec::with_capacity(sizes.len());
        let mut returned = BTreeSet::new();
        for record in event.records {
            let name = record.message_id.clone();
            match self.received(record).await {
                Ok(events) => {
                    for received in events {
                        names.insert(received.receipt.clone(), name.clone());
                        receipts.push(received.receipt.clone());
                        messages.push(received);
                    }
                }
                Err(error) => {
                    tracing::error!(stage = self.stage.queue(), message = name, %error, "a message can't be taken over");
                    returned.insert(name);
                }
            }
        }
        let polled = polled(&sizes);
        let handling = self.desk.handle(self.stage, messages, &polled);
        let settled = match invocation.deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), handling).await.ok(),
            None => Some(handling.await),
        };
        let mut handled = Handled { records: sizes.len(), ..Handled::default() };
        let mut units = None;
        match settled {
            Some((Settled { done, retried, dead, open }, used)) => {
                units = Some(used);
                handled = Handled { done, retried, dead, ..handled };
                let open = open.iter().filter(|receipt| self.takeover.must_return(self.stage, receipt));
                returned.extend(open.filter_map(|receipt| names.remove(receipt)));
            }
            // Nobody knows how far it came: all of it comes again.
            None => {
                tracing::error!(stage = self.stage.queue(), "the time was over before the batch was handled");
                handled.time_over = true;
                returned.extend(names.into_values());
            }
        }
        self.takeover.let_go(self.stage, &receipts);
        handled.open = returned.len();
        let failures = returned.into_iter().map(|item_identifier| ItemFailure { item_identifier });
        let answer = BatchResponse { batch_item_failures: failures.collect() };
        Ok(Finished { answer, done: handled, units })
    }
}
