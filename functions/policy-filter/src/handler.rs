//! The handler's face to the runtime.

use async_trait::async_trait;
use pennypost_model::event::{Event, Stage};
use pennypost_runtime::{Failure, Handler, Outcome};

use crate::PolicyFilter;

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
                    Ok(decided) => Ok(vec![Event::Decided(Box::new(decided))]),
                    Err(error) => Err(Failure::temporary(&error)),
                },
                other => Err(Failure::misrouted(&other, Stage::PolicyFilter)),
            });
        }
        outcomes
    }
}
