//! The handler's face to the runtime.

use async_trait::async_trait;
use pennypost_model::event::{Event, Forwarding, Stage, Via};
use pennypost_runtime::{Failure, Handler, Outcome};

use crate::{Filtered, PolicyFilter};

/// The decided message, the same for send-remote if it goes to other servers, too, and answers to it. All stand behind the event
/// that they come from: it comes again until all are handled or sent.
fn following(filtered: Filtered) -> Vec<Event> {
    let Filtered { decided, own, forwards, answers } = filtered;
    let outbound = decided.accepted.leaves().then(|| {
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

#[async_trait]
impl Handler for PolicyFilter {
    fn stage(&self) -> Stage {
        Stage::PolicyFilter
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            outcomes.push(match event {
                Event::Parsed(parsed) => match self.filter(*parsed).await {
                    Ok(filtered) => Ok(following(filtered)),
                    Err(error) => Err(Failure::temporary(&error)),
                },
                other => Err(Failure::misrouted(&other, Stage::PolicyFilter)),
            });
        }
        outcomes
    }
}
