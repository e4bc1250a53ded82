//! Takes the bytes out of an event that has grown too large for its queue, into an object.

use std::sync::Arc;

use async_trait::async_trait;
use pennypost_mailstore::names;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, Body, Event};
use pennypost_ports::{Clock, Created, Ids, Objects};
use pennypost_runtime::{Failure, Lighten};

/// Spools what is inline.
pub(crate) struct Spool {
    pub objects: Arc<dyn Objects>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

fn accepted_of(event: &mut Event) -> Option<&mut Accepted> {
    match event {
        Event::Accepted(accepted) | Event::Outbound(accepted) => Some(accepted),
        Event::Forwarding(forwarding) => Some(&mut forwarding.accepted),
        Event::Parsed(parsed) => Some(&mut parsed.accepted),
        Event::Decided(decided) => Some(&mut decided.accepted),
        Event::Changed(_) | Event::House(_) | Event::Notified(_) => None,
    }
}

#[async_trait]
impl Lighten for Spool {
    /// The event comes again if the process dies here: then the object is one that nothing refers to, and housekeeping
    /// removes it.
    async fn lighten(&self, mut event: Event) -> Result<Event, Failure> {
        let Some(accepted) = accepted_of(&mut event) else { return Ok(event) };
        let Body::Inline(stored) = &accepted.body else { return Ok(event) };
        let (size, bytes) = (stored.size, codec::encode(stored));
        // Under a name of today: neither is it taken, nor does housekeeping remove it too soon.
        let object = names::spool(accepted.tenant, self.ids.event(self.clock.now()));
        match self.objects.put_unique(&object, bytes.into()).await {
            Ok(Created::Stored) => {}
            Ok(Created::Exists) => return Err(Failure::temporary("a fresh id was taken")),
            Err(error) if error.is_temporary() => return Err(Failure::temporary(&error)),
            Err(error) => return Err(Failure::permanent(&error)),
        }
        accepted.body = Body::Spooled { object, size };
        Ok(event)
    }
}
