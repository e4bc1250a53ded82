//! The handler's face to the runtime.

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream;
use pennypost_model::event::{Event, Stage, Via};
use pennypost_runtime::{Failure, Handler, Outcome};

use crate::{FilterError, Filtered, PolicyFilter, notice, screen};

/// A letter that waits for a scanner is tried again so often: soon after that answers again it comes.
const SCANNER_AGAIN: Duration = Duration::from_secs(30);

/// The decided message, the same for send-remote if it goes to other servers, too, and what people are told of it. All stand
/// behind the event that they come from: it comes again until they are handled or sent.
fn following(filtered: Filtered) -> Outcome {
    let Filtered { decided, tells_recipients } = filtered;
    let outbound = decided.leaves().then(|| {
        let mut accepted = decided.accepted.clone();
        accepted.recipients.retain(|recipient| recipient.via == Via::Outside);
        Event::Outbound(Box::new(accepted))
    });
    let told = notice::of(&decided, tells_recipients).map_err(|error| Failure::permanent(&error))?;
    let told = told.map(|accepted| Event::Accepted(Box::new(accepted)));
    Ok(told.into_iter().chain(outbound).chain([Event::Decided(Box::new(decided))]).collect())
}

fn failure(error: &FilterError) -> Failure {
    match error {
        FilterError::Waits { .. } => {
            Failure { retry_after: Some(SCANNER_AGAIN), ..Failure::temporary(error) }
        }
        _ if error.is_temporary() => Failure::temporary(error),
        _ => Failure::permanent(error),
    }
}

impl PolicyFilter {
    async fn handle_one(&self, event: Event) -> Outcome {
        match event {
            Event::Parsed(parsed) => match self.filtered(*parsed).await {
                Ok(filtered) => following(filtered),
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
        let handled: Vec<_> = events.into_iter().map(|event| self.handle_one(event)).collect();
        stream::iter(handled).buffered(at_once).collect().await
    }
}
