//! The handler's face to the runtime.

use std::time::Instant;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use pennypost_model::event::{Event, Forwarding, Stage, Via};
use pennypost_runtime::{Failure, Handler, Outcome};

use crate::{FilterError, Filtered, PolicyFilter, screen};

/// The decided message, the same for send-remote if it goes to other servers, too, and answers to it. All stand behind the event
/// that they come from: it comes again until all are handled or sent.
fn following(filtered: Filtered) -> Vec<Event> {
    let Filtered { decided, own, forwards, answers } = filtered;
    let outbound = decided.leaves().then(|| {
        let mut accepted = decided.accepted.clone();
        // Where it is forwarded stands beside its own recipients.
        accepted.recipients.truncate(own);
        accepted.recipients.retain(|recipient| recipient.via == Via::Outside);
        match forwards.is_empty() {
            true => Event::Outbound(Box::new(accepted)),
            false => Event::Forwarding(Box::new(Forwarding { accepted, forwards })),
        }
    });
    let answers = answers.into_iter().map(|answer| Event::Accepted(Box::new(answer)));
    outbound.into_iter().chain([Event::Decided(Box::new(decided))]).chain(answers).collect()
}

fn failure(error: &FilterError) -> Failure {
    match error {
        FilterError::Waits { again, .. } => {
            Failure { retry_after: Some(*again), ..Failure::temporary(error) }
        }
        _ if error.is_temporary() => Failure::temporary(error),
        _ => Failure::permanent(error),
    }
}

impl PolicyFilter {
    async fn handle_one(&self, event: Event, begun: Instant) -> Outcome {
        match event {
            Event::Parsed(parsed) => match self.filtered(*parsed, begun).await {
                Ok(filtered) => Ok(following(filtered)),
                // What followed from it has followed.
                Err(FilterError::Delivered) => Ok(Vec::new()),
                Err(error) => Err(failure(&error)),
            },
            other => Err(Failure::misrouted(&other, Stage::PolicyFilter)),
        }
    }
}

#[async_trait]
impl Handler for PolicyFilter {
    fn stage(&self) -> Stage {
        Stage::PolicyFilter
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        // Where scanners are waited for, some are asked about at once.
        let at_once = if self.screens() { screen::AT_ONCE } else { 1 };
        let begun = Instant::now();
        let handled: Vec<_> = events.into_iter().map(|event| self.handle_one(event, begun)).collect();
        stream::iter(handled).buffered(at_once).collect().await
    }
}
