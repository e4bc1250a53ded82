//! Handler: MIME structure and facts of an accepted message.
//!
//! Owns nothing. Reads the spooled bytes of a large message, otherwise needs no port. Tolerant of anything:
//! every sequence of bytes has a structure. If the process dies, the event comes again.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_mailstore::compress::decompress;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, Body, Event, Parsed, Stage};
use pennypost_model::message::{Sidecar, StoredMessage};
use pennypost_ports::Objects;
use pennypost_runtime::{Failure, Handler, Outcome};

/// The handler.
pub struct InboundParse {
    objects: Arc<dyn Objects>,
}

impl InboundParse {
    /// A handler that finds spooled messages in `objects`.
    #[must_use]
    pub fn new(objects: Arc<dyn Objects>) -> InboundParse {
        InboundParse { objects }
    }

    /// Parses one accepted message.
    ///
    /// # Errors
    /// A [`Failure`]: temporary when the spool does not answer, permanent when the bytes are damaged.
    pub async fn parse(&self, accepted: Accepted) -> Result<Parsed, Failure> {
        let raw = match &accepted.body {
            Body::Inline(message) => decompress(message).map_err(|error| Failure::permanent(&error))?,
            Body::Spooled { object, .. } => self.spooled(object).await?,
        };
        let (structure, facts) = pennypost_mime::parse(&raw);
        let receipt = format!("Return-Path: <{}>\r\n{}", accepted.reverse_path, accepted.receipt);
        Ok(Parsed { accepted, sidecar: Sidecar { structure, facts, receipt } })
    }

    async fn spooled(&self, object: &str) -> Result<Vec<u8>, Failure> {
        let (bytes, _) = self.objects.get(object).await.map_err(|error| {
            if error.is_temporary() { Failure::temporary(&error) } else { Failure::permanent(&error) }
        })?;
        let message: StoredMessage = codec::decode(&bytes).map_err(|error| Failure::permanent(&error))?;
        decompress(&message).map_err(|error| Failure::permanent(&error))
    }
}

#[async_trait]
impl Handler for InboundParse {
    fn stage(&self) -> Stage {
        Stage::InboundParse
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            outcomes.push(match event {
                Event::Accepted(accepted) => {
                    self.parse(*accepted).await.map(|parsed| vec![Event::Parsed(Box::new(parsed))])
                }
                other => Err(Failure::misrouted(&other, Stage::InboundParse)),
            });
        }
        outcomes
    }
}
