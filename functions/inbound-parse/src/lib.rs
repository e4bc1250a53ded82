//! Handler: MIME structure and facts of an accepted message.
//!
//! Owns nothing. Reads the spooled bytes of a large message, otherwise needs no port. Tolerant of anything:
//! every sequence of bytes has a structure. If the process dies, the event comes again.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_mailstore::compress::decompress;
use pennypost_mailstore::fresh::Fresh;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, Body, Event, Parsed, Stage};
use pennypost_model::message::{Sidecar, StoredMessage};
use pennypost_ports::{Log, Objects, PortError};
use pennypost_runtime::{Failure, Handler, Outcome, was_delivered};

/// The handler.
pub struct InboundParse {
    objects: Arc<dyn Objects>,
    log: Arc<dyn Log>,
    fresh: Fresh,
}

impl InboundParse {
    /// A handler that finds spooled messages in `objects`, and in `log` whether one was delivered already.
    #[must_use]
    pub fn new(objects: Arc<dyn Objects>, log: Arc<dyn Log>) -> InboundParse {
        InboundParse { objects, log, fresh: Fresh::default() }
    }

    /// One that takes messages from those that were accepted in this process, instead of reading and decompressing them.
    #[must_use]
    pub fn taking(self, fresh: Fresh) -> InboundParse {
        InboundParse { fresh, ..self }
    }

    /// Parses one accepted message. `None` for a late repetition of one whose spooled bytes are gone because it
    /// has been delivered.
    ///
    /// # Errors
    /// A [`Failure`]: temporary when the spool does not answer, permanent when the bytes are damaged.
    pub async fn parse(&self, accepted: Accepted) -> Result<Option<Parsed>, Failure> {
        if !accepted.names_only_its_tenant() {
            return Err(Failure::permanent("the event names something of another tenant"));
        }
        let raw = match (self.fresh.take(accepted.id), &accepted.body) {
            (Some(raw), _) => raw,
            (None, Body::Inline(message)) => {
                decompress(message).map_err(|error| Failure::permanent(&error))?
            }
            (None, Body::Spooled { object, .. }) => match self.spooled(object, &accepted).await? {
                Some(raw) => raw,
                None => return Ok(None),
            },
        };
        let (structure, facts) = pennypost_mime::parse(&raw);
        let receipt = format!("Return-Path: <{}>\r\n{}", accepted.reverse_path, accepted.receipt);
        Ok(Some(Parsed { accepted, sidecar: Sidecar { structure, facts, receipt } }))
    }

    async fn spooled(&self, object: &str, accepted: &Accepted) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = match self.objects.get(object).await {
            Ok((bytes, _)) => bytes,
            Err(PortError::NotFound { .. })
                if was_delivered(&*self.log, accepted.tenant, accepted.id).await? =>
            {
                return Ok(None);
            }
            Err(error) if error.is_temporary() => return Err(Failure::temporary(&error)),
            Err(error) => return Err(Failure::permanent(&error)),
        };
        let message: StoredMessage = codec::decode(&bytes).map_err(|error| Failure::permanent(&error))?;
        decompress(&message).map(Some).map_err(|error| Failure::permanent(&error))
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
                    let parsed = self.parse(*accepted).await;
                    parsed.map(|parsed| parsed.into_iter().map(|p| Event::Parsed(Box::new(p))).collect())
                }
                other => Err(Failure::misrouted(&other, Stage::InboundParse)),
            });
        }
        outcomes
    }
}
