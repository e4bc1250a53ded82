//! Letters as an adapter accepts them.

use std::collections::BTreeMap;

use bytes::Bytes;
use pennypost_mailstore::compress::compress;
use pennypost_mailstore::names;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, AuthResults, Body, Recipient, Source, SourceKind, Submission, Via};
use pennypost_model::trace::Submitter;
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
    /// Whose copies it makes, by their event ids in the journal.
    #[must_use]
    pub fn copies(&self) -> Copies {
        let mut copies = Copies::new();
        // What goes to other servers makes none.
        for recipient in self.accepted.recipients.iter().filter(|recipient| recipient.via != Via::Outside) {
            copies.entry(self.accepted.copy_id(recipient)).or_default().push(recipient.account);
        }
        copies
    }
}

/// Who gets a copy under which event id.
pub type Copies = BTreeMap<EventId, Vec<AccountKey>>;

/// A letter to some accounts of a tenant, accepted about `now` by a clock that is up to a minute off; one in four is handed
/// in by a member, who may be a recipient, too, and gets a copy in Sent. `None` if it can't be compressed.
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
    let mut recipients: Vec<Recipient> = (0..count)
        .map(|n| ours[(first + n) % ours.len()])
        .map(|account| Recipient {
            account,
            address: format!("{}@sim.test", account.account),
            via: Via::Direct,
        })
        .collect();
    let mut kind = SourceKind::Smtp;
    if random.random_range(0..4) == 0 {
        let account = ours[random.random_range(0..ours.len())];
        let address = format!("{}@sim.test", account.account);
        let submitter = Submitter { account, address: address.clone(), protocol: "ESMTPSA".to_owned() };
        kind = SourceKind::Submission(Box::new(Submission { submitter, bcc: String::new() }));
        recipients.push(Recipient { account, address, via: Via::Sent });
    }
    let accepted = Accepted {
        id,
        time,
        tenant,
        source: Source { kind, ip: None, helo: String::new(), tls: None },
        auth: AuthResults::default(),
        reverse_path: String::new(),
        recipients,
        body,
        receipt: String::new(),
    };
    Some(Letter { accepted, spool })
}
