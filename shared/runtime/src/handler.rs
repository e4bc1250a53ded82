//! What a handler is.

use std::time::Duration;

use async_trait::async_trait;
use pennypost_model::event::{Event, Stage};
use pennypost_model::trace::{TraceRecord, TraceStep};
use pennypost_model::{EventId, TenantId, codec};
use pennypost_ports::{Log, LogKind, LogQuery};

/// Why an event could not be handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened, for the dead letter and the log; no secrets, no address book data.
    pub cause: String,
    /// Can the same event succeed later?
    pub temporary: bool,
    /// When to try again, if the handler knows better than the driver.
    pub retry_after: Option<Duration>,
    /// The handler panicked. In a batch this may be another event's fault.
    pub panicked: bool,
}

impl Failure {
    /// Trying again may help.
    #[must_use]
    pub fn temporary(cause: &(impl ToString + ?Sized)) -> Failure {
        Failure { cause: cause.to_string(), temporary: true, retry_after: None, panicked: false }
    }

    /// Trying again will not help: the event goes to the dead letters at once.
    #[must_use]
    pub fn permanent(cause: &(impl ToString + ?Sized)) -> Failure {
        Failure { cause: cause.to_string(), temporary: false, retry_after: None, panicked: false }
    }

    /// `event` is not for `stage`.
    #[must_use]
    pub fn misrouted(event: &Event, stage: Stage) -> Failure {
        let (wrong, here) = (event.stage().queue(), stage.queue());
        Failure::permanent(&format!("an event for {wrong} came to {here}"))
    }
}

/// What came of one event: the events that follow, or why not.
pub type Outcome = Result<Vec<Event>, Failure>;

/// A stage of the pipeline. Idempotent by the event's id: the same event may come again, at any time, also
/// while it is being handled elsewhere.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Its stage.
    fn stage(&self) -> Stage;

    /// Handles events of its stage: one outcome for each, in order. When it returns `Ok`, all that the event
    /// meant here is durable. An event of another stage is a permanent failure.
    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome>;
}

/// Does the trace say that the message was delivered? Delivery removes a spooled message only after the trace has
/// been written, so a repetition that finds the bytes gone asks here.
///
/// # Errors
/// A temporary [`Failure`] when the log does not answer.
pub async fn was_delivered(log: &dyn Log, tenant: TenantId, id: EventId) -> Result<bool, Failure> {
    let query = LogQuery { tenant, kind: LogKind::Trace, from: id, to: id, limit: 100 };
    let records = log.query(&query).await.map_err(|error| Failure::temporary(&error))?;
    Ok(records.iter().any(|record| {
        let trace = codec::decode::<TraceRecord>(&record.value);
        trace.is_ok_and(|trace| matches!(trace.step, TraceStep::Delivered { .. }))
    }))
}
