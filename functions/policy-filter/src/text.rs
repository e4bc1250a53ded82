//! The text of a letter, for rules that look for words in it (RUL-02).

use std::sync::Arc;

use pennypost_mailstore::compress::decompress;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, Body, Parsed};
use pennypost_model::message::StoredMessage;
use pennypost_policy::rules::{FullText, MAX_TEXT};
use pennypost_ports::{Log, Objects, PortError};
use pennypost_runtime::was_delivered;
use tokio::sync::Semaphore;

use crate::FilterError;
use crate::screen::broken;

/// Where letters lie that are too large for their events.
pub(crate) struct Spool {
    objects: Arc<dyn Objects>,
    log: Arc<dyn Log>,
    /// One at a time is in memory for this: each may be as large as a letter can be.
    room: Semaphore,
}

impl Spool {
    pub(crate) fn new(objects: Arc<dyn Objects>, log: Arc<dyn Log>) -> Spool {
        Spool { objects, log, room: Semaphore::new(1) }
    }
}

/// The bytes of a letter; `None` if they are gone because it has been delivered: then this is a late repetition.
pub(crate) async fn bytes_of(
    accepted: &Accepted,
    spool: Option<(&dyn Objects, &dyn Log)>,
) -> Result<Option<Vec<u8>>, FilterError> {
    let unpacked = |message: &StoredMessage| decompress(message).map_err(|error| broken(&error, false));
    let object = match &accepted.body {
        Body::Inline(message) => return unpacked(message).map(Some),
        Body::Spooled { object, .. } => object,
    };
    let Some((objects, log)) = spool else { return Err(broken("large letters can't be read here", true)) };
    let bytes = match objects.get(object).await {
        Ok((bytes, _)) => bytes,
        Err(PortError::NotFound { .. }) => {
            let delivered = was_delivered(log, accepted.tenant, accepted.id).await;
            return match delivered.map_err(|failure| broken(&failure.cause, failure.temporary))? {
                true => Ok(None),
                false => Err(broken("its bytes are gone", false)),
            };
        }
        Err(error) => return Err(broken(&error, error.is_temporary())),
    };
    let message: StoredMessage = codec::decode(&bytes).map_err(|error| broken(&error, false))?;
    drop(bytes);
    unpacked(&message).map(Some)
}

/// The text of a letter, as search takes it out.
pub(crate) async fn text_of(parsed: &Parsed, spool: Option<&Spool>) -> Result<FullText, FilterError> {
    let is_large = matches!(parsed.accepted.body, Body::Spooled { .. });
    let _room = match spool.filter(|_| is_large) {
        Some(spool) => Some(spool.room.acquire().await.map_err(|error| broken(&error, true))?),
        None => None,
    };
    let ports = spool.map(|spool| (&*spool.objects, &*spool.log));
    let raw = bytes_of(&parsed.accepted, ports).await?.ok_or(FilterError::Delivered)?;
    Ok(FullText::of(&pennypost_mime::decode_text(&parsed.sidecar.structure, &raw, MAX_TEXT)))
}
