//! Letters as an adapter accepts them.

use bytes::Bytes;
use pennypost_mailstore::compress::compress;
use pennypost_mailstore::names;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, AuthResults, Body, Recipient, Source, SourceKind, Via};
use pennypost_model::{AccountKey, EventId, Timestamp};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::stage::ACCOUNTS;

/// A letter with its event.
pub struct Letter {
    /// The event.
    pub accepted: Accepted,
    /// The object that has to be there before the event is sent, if the letter is a large one.
    pub spool: Option<(String, Bytes)>,
}

impl Letter {
    /// Whose it is.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountKey> {
        self.accepted.recipients.iter().map(|recipient| recipient.account).collect()
    }
}

/// A letter to some accounts of a tenant, accepted about `now` by a clock that is up to a minute off. `None` if it can't be
/// compressed.
pub fn letter(random: &mut SmallRng, now: Timestamp) -> Option<Letter> {
    let tenant = ACCOUNTS[random.random_range(0..ACCOUNTS.len())].tenant;
    let ours: Vec<AccountKey> = ACCOUNTS.iter().copied().filter(|key| key.tenant == tenant).collect();
    let count = random.random_range(1..=ours.len());
    let first = random.random_range(0..ours.len());
    let time = now.plus_millis(random.random_range(-60_000..=60_000));
    let large = random.random_range(0..8) == 0;
    let id = EventId::from_parts(time, u128::from(random.random::<u64>()));
    let filler = if large { "x".repeat(30_000) } else { String::new() };
    let raw = format!("Subject: {id}\r\nMessage-ID: <{id}@sim.test>\r\n\r\nletter {id}{filler}\r\n");
    let message = compress(raw.as_bytes()).ok()?;
    let (body, spool) = if large {
        let (object, size) = (names::spool(tenant, id), message.size);
        let spool = (object.clone(), Bytes::from(codec::encode(&message)));
        (Body::Spooled { object, size }, Some(spool))
    } else {
        (Body::Inline(message), None)
    };
    let recipients = (0..count).map(|n| ours[(first + n) % ours.len()]).map(|account| Recipient {
        account,
        address: format!("{}@sim.test", account.account),
        via: Via::Direct,
    });
    let accepted = Accepted {
        id,
        time,
        tenant,
        source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients: recipients.collect(),
        body,
        receipt: String::new(),
    };
    Some(Letter { accepted, spool })
}
