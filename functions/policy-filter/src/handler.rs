//! The handler's face to the runtime.

use async_trait::async_trait;
use pennypost_model::event::{Decided, Event, Stage, Via};
use pennypost_runtime::{Failure, Handler, Outcome};

use crate::PolicyFilter;

/// The decided message, and the same for send-remote if it goes to other servers, too. Both stand behind the event that they
/// come from: it comes again until both are handled or sent.
fn following(decided: Decided) -> Vec<Event> {
    let outbound = decided.accepted.leaves().then(|| {
        let mut accepted = decided.accepted.clone();
        accepted.recipients.retain(|recipient| recipient.via == Via::Outside);
        Event::Outbound(Box::new(accepted))
    });
    outbound.into_iter().chain([Event::Decided(Box::new(decided))]).collect()
}

#[async_trait]
impl Handler for PolicyFilter {
    fn stage(&self) -> Stage {
        Stage::PolicyFilter
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            outcomes.push(match event {
                Event::Parsed(parsed) => match PolicyFilter::handle(self, *parsed).await {
                    Ok(decided) => Ok(following(decided)),
                    Err(error) => Err(Failure::temporary(&error)),
                },
                other => Err(Failure::misrouted(&other, Stage::PolicyFilter)),
            });
        }
        outcomes
    }
}
