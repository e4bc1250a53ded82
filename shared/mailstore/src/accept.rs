//! The durable form of an accepted letter: its event as it goes into the queue.
//!
//! Whoever accepts a letter, from wherever it came, makes it so: compressed inside its event up to
//! [`Body::INLINE_LIMIT`], in an object before it above that. If the process dies before the event is sent, the object is
//! an orphan that housekeeping removes.

use pennypost_model::event::{Accepted, Body, Event};
use pennypost_model::message::StoredMessage;
use pennypost_model::{EventId, codec};
use pennypost_ports::{Created, Objects, PortError, PortResult};

use crate::compress::compress;
use crate::{StoreError, names};

/// From so many bytes on, compression goes to another thread, so that others are not kept waiting.
const LARGE: usize = 128 * 1024;
/// An event with its message inside is no longer than this.
const MAX_EVENT: usize = 255 * 1024;

/// The message as it travels.
///
/// # Errors
/// [`StoreError::Damaged`] when compression fails, which no message should bring about.
pub async fn compressed(raw: Vec<u8>) -> Result<StoredMessage, StoreError> {
    Ok(compressed_beside(raw).await?.0)
}

/// As [`compressed`], and the message as it came.
///
/// # Errors
/// As [`compressed`].
pub async fn compressed_beside(raw: Vec<u8>) -> Result<(StoredMessage, Vec<u8>), StoreError> {
    if raw.len() < LARGE {
        return Ok((compress(&raw)?, raw));
    }
    let task = tokio::task::spawn_blocking(move || Ok((compress(&raw)?, raw)));
    task.await.unwrap_or_else(|error| Err(StoreError::Damaged(error.to_string())))
}

/// The encoded event of a letter. What is too large for that lies in an object before this returns, under the name that
/// `spool` gives it: an id of today that nobody else has.
///
/// # Errors
/// The port's.
pub async fn for_the_queue(objects: &dyn Objects, accepted: Accepted, spool: EventId) -> PortResult<Vec<u8>> {
    encoded(objects, accepted, (spool, false)).await
}

/// The same of a letter of our own whose id was fixed before: what an earlier try has put down under it is as good.
///
/// # Errors
/// The port's.
pub async fn again_for_the_queue(objects: &dyn Objects, accepted: Accepted) -> PortResult<Vec<u8>> {
    let spool = accepted.id;
    encoded(objects, accepted, (spool, true)).await
}

async fn encoded(
    objects: &dyn Objects,
    mut accepted: Accepted,
    spool: (EventId, bool),
) -> PortResult<Vec<u8>> {
    let is_large = matches!(&accepted.body, Body::Inline(stored) if stored.stored_len() > Body::INLINE_LIMIT);
    if is_large {
        put_aside(objects, &mut accepted, spool).await?;
    }
    let mut event = Event::Accepted(Box::new(accepted));
    let body = codec::encode(&event);
    if body.len() <= MAX_EVENT {
        return Ok(body);
    }
    // Many recipients beside a message that would have fitted alone.
    if let Event::Accepted(accepted) = &mut event {
        put_aside(objects, accepted, spool).await?;
    }
    Ok(codec::encode(&event))
}

async fn put_aside(
    objects: &dyn Objects,
    accepted: &mut Accepted,
    (spool, may_be_there): (EventId, bool),
) -> PortResult<()> {
    let Body::Inline(stored) = &accepted.body else { return Ok(()) };
    let object = names::spool(accepted.tenant, spool);
    let (size, bytes) = (stored.size, codec::encode(stored));
    match objects.put_unique(&object, bytes.into()).await? {
        Created::Exists if !may_be_there => {
            Err(PortError::Unavailable { port: "objects", cause: "a fresh id was taken".to_owned() })
        }
        Created::Stored | Created::Exists => {
            accepted.body = Body::Spooled { object, size };
            Ok(())
        }
    }
}
