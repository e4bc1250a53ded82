//! The driver that runs handlers as functions of AWS Lambda, or of anything that speaks its runtime interface.
//!
//! Owns: how a batch of a queue becomes messages and its outcome a partial response ([`QueueFunction`]), the limit of
//! time of an invocation, and the lines of the log. What becomes of each message is decided by
//! [`pennypost_runtime::batch`], as everywhere.
//!
//! Invariants: only what is done or a dead letter is left out of the response, so the service deletes nothing else;
//! what the function can't answer for in time comes again. If the process dies, the whole batch comes again, except
//! what was acknowledged before an event was taken in hand alone. Ports are made once for a process, connect when they
//! are first used, and are kept for all its invocations, like everything that handlers remember.

mod function;
mod log;
mod queue;
mod sqs;

pub use function::{Finished, Function, Invocation, serve};
pub use log::start_logging;
pub use queue::{Delivered, Handled, QueueFunction, Takeover};
pub use sqs::{BatchResponse, ItemFailure, SqsEvent, SqsRecord};

/// Why an invocation failed as a whole: everything in it comes again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// A record has no id or no receipt handle: nobody could say what became of it.
    #[error("record {0} of the event has no messageId or no receiptHandle")]
    Nameless(usize),
    /// The work did not succeed.
    #[error("{0}")]
    Failed(String),
    /// The time of the invocation was over before the work was.
    #[error("the time was over before the work was")]
    TimeOver,
}

impl InvocationError {
    const fn kind(&self) -> &'static str {
        match self {
            InvocationError::Nameless(_) => "Pennypost.NamelessRecord",
            InvocationError::Failed(_) => "Pennypost.Failed",
            InvocationError::TimeOver => "Pennypost.TimeOver",
        }
    }
}

impl From<InvocationError> for lambda_runtime::Diagnostic {
    fn from(error: InvocationError) -> lambda_runtime::Diagnostic {
        lambda_runtime::Diagnostic { error_type: error.kind().to_owned(), error_message: error.to_string() }
    }
}
