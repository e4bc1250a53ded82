//! The loop of a function: invocations one after another, each metered, limited in time, and told in one line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, LambdaEvent, service_fn};
use pennypost_meter::{Counts, Tally, metered};
use pennypost_model::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::InvocationError;
use crate::log::{self, Line};

/// This much of an invocation's time is kept for its answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(1_500);

/// What an invocation comes with besides its event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invocation {
    /// When the work must have come to an end.
    pub deadline: Option<Instant>,
}

/// What an invocation answers, and what its line in the log tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished<A, D> {
    /// The answer.
    pub answer: A,
    /// For the log.
    pub done: D,
    /// What it used, for the log, if the function has counted that itself.
    pub units: Option<Counts>,
}

/// Something that is invoked. The future may be dropped when the time is over.
pub trait Function: Send + Sync + 'static {
    /// What it is invoked with.
    type Event: DeserializeOwned + Send + 'static;
    /// What it answers.
    type Answer: Serialize + Send + 'static;
    /// What its line in the log tells.
    type Done: Serialize + Send;

    /// Handles one event.
    ///
    /// # Errors
    /// [`InvocationError`]: the service invokes it again with the same event.
    fn invoke(
        &self,
        event: Self::Event,
        invocation: Invocation,
    ) -> impl Future<Output = Result<Finished<Self::Answer, Self::Done>, InvocationError>> + Send;
}

/// Serves invocations until the service ends the process.
///
/// # Errors
/// What the runtime interface says when it can't be spoken to.
pub async fn serve<F: Function>(name: &'static str, function: F) -> Result<(), lambda_runtime::Error> {
    let function = Arc::new(function);
    let is_warm = Arc::new(AtomicBool::new(false));
    lambda_runtime::run(service_fn(move |event: LambdaEvent<F::Event>| {
        let function = Arc::clone(&function);
        let cold = !is_warm.swap(true, Ordering::Relaxed);
        async move { one(name, &*function, event, cold).await }
    }))
    .await
}

async fn one<F: Function>(
    name: &str,
    function: &F,
    event: LambdaEvent<F::Event>,
    cold: bool,
) -> Result<F::Answer, InvocationError> {
    let LambdaEvent { payload, context } = event;
    let begun = Instant::now();
    let tally = Arc::new(Tally::new());
    let invocation = Invocation { deadline: deadline(&context, begun) };
    let result = metered(Arc::clone(&tally), Box::pin(function.invoke(payload, invocation))).await;
    let line = |level, message| Line {
        timestamp: Timestamp(unix_millis(SystemTime::now())).rfc3339(),
        level,
        message,
        function: name,
        request_id: &context.request_id,
        cold,
        milliseconds: begun.elapsed().as_micros() as f64 / 1_000.0,
        done: (),
        units: log::units(&tally.counts()),
    };
    match result {
        Ok(Finished { answer, done, units: counted }) => {
            let Line { timestamp, level, message, function, request_id, cold, milliseconds, units, .. } =
                line("INFO", "done");
            let units = counted.map_or(units, |counted| log::units(&counted));
            log::write(&Line {
                timestamp,
                level,
                message,
                function,
                request_id,
                cold,
                milliseconds,
                done,
                units,
            });
            Ok(answer)
        }
        Err(error) => {
            tracing::error!(function = name, request_id = context.request_id, %error, "invocation failed");
            log::write(&line("ERROR", "failed"));
            Err(error)
        }
    }
}

fn unix_millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// When the work must be over, by the monotonic clock; the service tells it by the time of day.
fn deadline(context: &Context, begun: Instant) -> Option<Instant> {
    let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(context.deadline))?;
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    begun.checked_add(left.saturating_sub(FOR_THE_ANSWER))
}
