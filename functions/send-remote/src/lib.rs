//! Handler: messages for other servers, until each recipient has its end.
//!
//! Owns what happens to them: it puts a message down as an item for each destination ([`pennypost_outbound`]), signs it,
//! tries the servers of the destination by a [`Carrier`], and tells the sender of what fails or takes long. Ports: control
//! (items, keys of domains), objects (bytes), queue (reports to senders are ordinary messages), log (traces), and the
//! carrier, which is DNS and SMTP outside of tests ([`exchange`]).
//!
//! Two parts, which share nothing but the items. The *handler* puts down: when it returns, items and bytes are durable, and
//! it has tried nothing. The *worker* ([`SendRemote::run`]) looks after what is due: it claims an item by a conditional
//! write that names the time when it is taken for dead, tries, writes what came of it with the time of the next attempt,
//! and then does what follows from that (trace, report, removal of the bytes), which is repeated until it is done.
//!
//! By which servers it goes is the installation's matter, or what the operator has said of the tenant ([`pennypost_outbound::Routes`]).
//!
//! Invariants: each recipient has one end, that it was sent or that it failed, and it stands in the trace; the sender is told
//! of a failure once, in his own mailbox, and never if the reverse-path is empty; of what an account forwards its owner is told
//! instead; the bytes lie where they lie until the
//! last destination is over. A message goes twice to a server only where its `250` did not come to be written here.
//!
//! If the process dies: before the items, the event comes again; with an attempt in hand, it is made again when the claim
//! is over; behind what came of it, the row is still there and leads to what has to follow.

mod conclude;
mod envelope;
pub mod exchange;
mod forward;
mod groups;
mod letter;
mod paces;
mod pauses;
mod report;
mod seal;
mod slots;
#[cfg(test)]
mod tests;
mod tlsrpt;
mod ways;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::StreamExt;
use parking_lot::Mutex;
use pennypost_directory::{Directory, ForwardKey};
use pennypost_mailstore::names;
use pennypost_model::codec;
use pennypost_model::event::{Accepted, Body, Event, Forward, Forwarding, SourceKind, Stage};
use pennypost_model::message::StoredMessage;
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome, TraceRecord, TraceStep};
use pennypost_model::{AccountKey, EventId, TenantId};
use pennypost_ports::{
    Clock, Control, Ids, Log, LogKind, LogQuery, Objects, PortError, Queue, Secrets, crash,
};
use pennypost_runtime::{Failure, Handler, Outcome};
use pennypost_signing::{KeyStore, Signer, SigningError};
use tokio::sync::{Notify, Semaphore, watch};

pub use exchange::{Carrier, Exchange, Home};
use forward::ToForward;
use groups::ToFriend;
use letter::Letters;
pub use letter::destination_of;
use paces::Paces;
pub use paces::{Pacing, Rate, WarmUp};
use pennypost_outbound::{Addressee, Asked, KEPT, Outbound, Outbox, OutboxError, Patience};
use seal::Sealers;
use slots::Slots;
pub use tlsrpt::{Tally, TlsReports};
use ways::Ways;

/// Trace records of a message that are read.
const RECORDS: usize = 10_000;
/// Milliseconds before an item is forgotten in which nobody trusts that it is still there.
const MARGIN: i64 = 24 * 3_600_000;
/// Milliseconds for which a name by the id of a message is one of today.
const RECENT: i64 = 24 * 3_600_000;
/// The part that the first member elsewhere of a group has, each one of his own; those of other recipients come before.
const FIRST_FRIEND: u16 = 10_000;
/// Parts of a letter that are signed without a thread of their own.
const SIGNED_AT_ONCE: usize = 8;
/// Messages of which it is remembered that they are not over.
const MAX_OPEN: usize = 1_000;
/// Messages that are put down at the same time: they wait for the same commits.
const AT_ONCE: usize = 16;
/// Recipients of an item: what is said to so many fits into it, whatever it is.
const PART: usize = 100;

/// What it works with.
#[derive(Clone)]
pub struct Ports {
    /// Items, and keys of domains.
    pub control: Arc<dyn Control>,
    /// Bytes.
    pub objects: Arc<dyn Objects>,
    /// Where reports go.
    pub queue: Arc<dyn Queue>,
    /// Traces.
    pub log: Arc<dyn Log>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// What opens private keys; without it letters of domains with active keys wait.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// What hands messages over.
    pub carrier: Arc<dyn Carrier>,
}

/// How it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name under which it speaks and writes reports.
    pub hostname: String,
    /// How long a message is tried.
    pub patience: Patience,
    /// Attempts at once.
    pub attempts: usize,
    /// Attempts at once for one destination that answers; it begins with five.
    pub attempts_each: usize,
    /// How fast destinations are written to.
    pub pacing: Pacing,
    /// Pauses and claims are divided by it; 1 but in tests.
    pub haste: NonZeroU32,
}

impl Default for Settings {
    fn default() -> Settings {
        let hostname = "localhost".to_owned();
        Settings {
            hostname,
            patience: Patience::default(),
            attempts: 50,
            attempts_each: 20,
            pacing: Pacing::default(),
            haste: NonZeroU32::MIN,
        }
    }
}

/// Recipients of one item.
struct Part {
    addresses: Vec<String>,
    /// What is its own of it, beside what all of the message have.
    own: Option<Own>,
}

/// What a part has of its own.
enum Own {
    /// It is for one member elsewhere of a group.
    Friend(ToFriend),
    /// An account forwards it there.
    Forward(ToForward),
}

/// By destination and part.
type Parts = BTreeMap<(String, u16), Part>;

/// The handler and the worker. Cheap to clone.
#[derive(Clone)]
pub struct SendRemote(Arc<Inner>);

struct Inner {
    ports: Ports,
    settings: Settings,
    outbox: Outbox,
    keys: KeyStore,
    /// Whose letters come back.
    directory: Directory,
    slots: Slots,
    paces: Paces,
    /// Which destinations are left alone.
    pauses: pauses::Known,
    letters: Letters,
    /// Of messages with several items one that was not over. Only spares reading.
    open: Mutex<HashMap<(TenantId, EventId), (String, u16)>>,
    /// Large messages are read one after the other: while it is unpacked, one takes more memory than its slot says.
    reading: Semaphore,
    /// Rung when something is due.
    bell: Notify,
    /// What marks reverse-paths of what tenants forward: it never changes.
    forward_keys: Mutex<HashMap<TenantId, ForwardKey>>,
    /// By which ways tenants' letters go.
    ways: Ways,
    /// What tells other domains what becomes of TLS with their servers.
    reports: OnceLock<TlsReports>,
    /// True, when attempts that have not come to the end of their messages are to be broken off.
    leaving: watch::Sender<bool>,
}

impl SendRemote {
    /// Over these ports.
    #[must_use]
    pub fn new(ports: Ports, settings: Settings) -> SendRemote {
        let outbox = Outbox::new(Arc::clone(&ports.control));
        let keys = KeyStore::new(Arc::clone(&ports.control));
        let slots = Slots::new(settings.attempts, settings.attempts_each);
        let paces = Paces::new(settings.pacing.clone());
        let Ports { control, clock, ids, .. } = &ports;
        let directory = Directory::new(Arc::clone(control), Arc::clone(clock), Arc::clone(ids));
        let (letters, reading, bell) = (Letters::default(), Semaphore::new(1), Notify::new());
        SendRemote(Arc::new(Inner {
            ports,
            settings,
            outbox,
            keys,
            directory,
            slots,
            paces,
            pauses: pauses::Known::default(),
            letters,
            open: Mutex::default(),
            reading,
            bell,
            forward_keys: Mutex::default(),
            ways: Ways::default(),
            reports: OnceLock::new(),
            leaving: watch::Sender::new(false),
        }))
    }

    /// The same; while it runs, reports of TLS are sent.
    #[must_use]
    pub fn reporting(self, reports: TlsReports) -> SendRemote {
        let _ = self.0.reports.set(reports);
        self
    }

    /// Puts a message down: its bytes, then an item for each part of each destination that has none yet.
    async fn put_down(&self, accepted: Accepted, forwards: &[Forward]) -> Result<(), Failure> {
        let sender = match (accepted.source.kind.submission(), accepted.source.kind.way()) {
            (Some(submission), _) => (submission.submitter.account, submission.submitter.address.clone()),
            // From nobody: there is no address at which anybody would be told.
            (None, SourceKind::Notice(about)) if accepted.reverse_path.is_empty() => (*about, String::new()),
            (None, SourceKind::Returned) if accepted.reverse_path.is_empty() => {
                (AccountKey { tenant: accepted.tenant, ..AccountKey::default() }, String::new())
            }
            // Whoever forwards it answers for each of its parts.
            (None, _) if accepted.recipients.is_empty() && !forwards.is_empty() => {
                (AccountKey { tenant: accepted.tenant, ..AccountKey::default() }, String::new())
            }
            (None, _) => {
                let cause =
                    "only what members hand in or forward, and what comes from nobody, goes to other servers";
                return Err(Failure::permanent(cause));
            }
        };
        let is_ours = accepted.names_only_its_tenant()
            && forwards.iter().all(|forward| forward.account.tenant == accepted.tenant);
        if sender.0.tenant != accepted.tenant || !is_ours {
            return Err(Failure::permanent("the event names something of another tenant"));
        }
        let nowhere = || Failure::permanent("a recipient has no domain that mail could go to");
        let mut destinations: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for recipient in &accepted.recipients {
            let destination = destination_of(&recipient.address).ok_or_else(nowhere)?;
            destinations.entry(destination).or_default().push(recipient.address.clone());
        }
        let outbox = &self.0.outbox;
        let known = outbox.of_message(accepted.tenant, accepted.id).await.map_err(|error| failure(&error))?;
        let mut parts: Parts = BTreeMap::new();
        for (destination, addresses) in destinations {
            for (part, addresses) in (0..).zip(addresses.chunks(PART)) {
                let part_of = Part { addresses: addresses.to_vec(), own: None };
                parts.insert((destination.clone(), part), part_of);
            }
        }
        for (part, friend) in (FIRST_FRIEND..).zip(ToFriend::all(accepted.source.kind.groups())) {
            let destination = destination_of(&friend.address).ok_or_else(nowhere)?;
            let addresses = vec![friend.address.clone()];
            parts.insert((destination, part), Part { addresses, own: Some(Own::Friend(friend)) });
        }
        let is_known = |(destination, part): &(String, u16)| {
            known.iter().any(|item| item.destination == *destination && item.part == *part)
        };
        parts.retain(|key, _| !is_known(key));
        let fresh = self.forwarded(&accepted, forwards, &known).await?;
        let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let own_known = known.iter().filter(|item| !item.is_forwarded()).count();
        let items = counted(own_known + parts.len());
        for (number, forward) in fresh {
            // The letter's own recipients get it, whatever becomes of what is forwarded.
            let Some(destination) = destination_of(&forward.to) else {
                tracing::error!(account = %forward.account, message = %accepted.id, "a target of forwarding has no domain");
                continue;
            };
            let addresses = vec![forward.to.clone()];
            parts.insert((destination, number), Part { addresses, own: Some(Own::Forward(forward)) });
        }
        self.leave_out_ended(&accepted, &mut parts).await?;
        if parts.is_empty() {
            return Ok(());
        }
        let _alone = match accepted.body {
            Body::Spooled { size, .. } => self.alone(size).await,
            Body::Inline(_) => None,
        };
        let is_forward = |part: &&Part| matches!(part.own, Some(Own::Forward(_)));
        let forwarded = counted(parts.values().filter(is_forward).count());
        let (object, letter) = self.keep_bytes(&accepted, parts.len() > forwarded as usize).await?;
        // Whether it is forwarded may be decided otherwise when the event comes again, and what is its own may end before: what is
        // forwarded has bytes of its own.
        let forward_object = match forwarded {
            0 => String::new(),
            _ => self.keep_more_bytes(&accepted).await?,
        };
        crash::point("send-remote.after-bytes");
        let size = letter.len() as u64;
        let has_friends = parts.values().any(|part| matches!(part.own, Some(Own::Friend(_))));
        let pages = if has_friends { self.pages().await? } else { None };
        let fields = |part: &Part| match &part.own {
            None => None,
            Some(Own::Friend(friend)) => Some(friend.fields(pages.as_deref())),
            Some(Own::Forward(forward)) => Some(forward.fields()),
        };
        let fields: Vec<Option<Vec<u8>>> = parts.values().map(fields).collect();
        let forwarding = parts.values().map(|part| match &part.own {
            Some(Own::Forward(forward)) => Some(forward.from.clone()),
            _ => None,
        });
        let sealers = self.sealers(&accepted, forwarding.collect()).await?;
        let heads = self.heads(&accepted, letter, (fields, sealers)).await?;
        for (((destination, part), Part { addresses, own }), head) in parts.into_iter().zip(heads) {
            let asked = accepted.source.kind.wishes().filter(|_| own.is_none()).map(|wishes| {
                let mut wishes = wishes.clone();
                wishes.recipients.retain(|wish| addresses.contains(&wish.address));
                Asked { wishes, relayed: Vec::new() }
            });
            let (object, items, is_shared) = match &own {
                Some(Own::Forward(_)) => (forward_object.clone(), forwarded, false),
                _ => (object.clone(), items, matches!(accepted.body, Body::Spooled { .. })),
            };
            let (reverse_path, sender) = match own {
                // Reports come to the group, and the author is not told: whose address has failed is the group's matter.
                Some(Own::Friend(friend)) => (friend.reverse_path, (sender.0, String::new())),
                Some(Own::Forward(forward)) => (forward.reverse_path, (forward.account, forward.from)),
                None => (accepted.reverse_path.clone(), sender.clone()),
            };
            let addressee = |address| Addressee {
                address,
                outcome: RemoteOutcome::Deferred,
                answer: RemoteAnswer::default(),
                said: None,
            };
            let now = self.0.ports.clock.now();
            let item = Outbound {
                tenant: accepted.tenant,
                message: accepted.id,
                destination,
                part,
                items,
                size,
                accepted: accepted.time,
                reverse_path,
                sender,
                object,
                is_shared,
                head: head.to_vec(),
                recipients: addresses.into_iter().map(addressee).collect(),
                attempts: 0,
                claimed: false,
                next: now,
                claim: now,
                ended: 0,
                delay_told: false,
                last: None,
                demand: None,
                asked,
                is_private: accepted.source.kind.is_private(),
                doubts: Vec::new(),
            };
            let clock = &self.0.ports.clock;
            outbox.add(&item, || clock.now()).await.map_err(|error| failure(&error))?;
            crash::point("send-remote.after-item");
        }
        Ok(())
    }

    /// An event that comes so late that its items may be forgotten: what has its end by the trace has it.
    async fn leave_out_ended(&self, accepted: &Accepted, parts: &mut Parts) -> Result<(), Failure> {
        let ports = &self.0.ports;
        if accepted.time.plus_millis(KEPT - MARGIN) > ports.clock.now() {
            return Ok(());
        }
        let (tenant, id) = (accepted.tenant, accepted.id);
        let query = LogQuery { tenant, kind: LogKind::Trace, from: id, to: id, limit: RECORDS };
        let records = ports.log.query(&query).await.map_err(|error| Failure::temporary(&error))?;
        for record in records {
            let Ok(TraceRecord { step: TraceStep::Attempted(attempt), .. }) = codec::decode(&record.value)
            else {
                continue;
            };
            for ended in attempt.recipients.iter().filter(|one| one.outcome != RemoteOutcome::Deferred) {
                for part in parts.values_mut() {
                    part.addresses.retain(|one| *one != ended.address);
                }
            }
        }
        parts.retain(|_, part| !part.addresses.is_empty());
        Ok(())
    }

    /// Where the bytes lie until the last of its own destinations is over, if it has any, and the message as it goes out.
    async fn keep_bytes(&self, accepted: &Accepted, has_own: bool) -> Result<(String, Vec<u8>), Failure> {
        let ports = &self.0.ports;
        let (object, stored) = match &accepted.body {
            Body::Spooled { object, .. } => (object.clone(), self.stored(object).await?),
            Body::Inline(stored) if !has_own => (String::new(), stored.clone()),
            Body::Inline(stored) => {
                // A dead letter comes again years later: housekeeping would take a name of its day for a forgotten one.
                let is_recent = ports.clock.now() < accepted.time.plus_millis(RECENT);
                let id = if is_recent { accepted.id } else { ports.ids.event(ports.clock.now()) };
                let object = names::spool(accepted.tenant, id);
                // If it is there already, it is the same.
                let put = ports.objects.put_unique(&object, codec::encode(stored).into()).await;
                put.map_err(|error| port_failure(&error))?;
                (object, stored.clone())
            }
        };
        let letter = letter::opened(stored).await.map_err(|error| Failure::permanent(&error))?;
        Ok((object, letter))
    }

    /// The bytes once more, for what is forwarded: nobody else knows their name, and the last that is forwarded takes them along.
    /// If the process dies before its items, housekeeping does.
    async fn keep_more_bytes(&self, accepted: &Accepted) -> Result<String, Failure> {
        let ports = &self.0.ports;
        let object = names::spool(accepted.tenant, ports.ids.event(ports.clock.now()));
        let bytes = match &accepted.body {
            Body::Inline(stored) => codec::encode(stored).into(),
            Body::Spooled { object, .. } => {
                let found = ports.objects.get(object).await;
                found.map_err(|error| port_failure(&error))?.0
            }
        };
        ports.objects.put_unique(&object, bytes).await.map_err(|error| port_failure(&error))?;
        Ok(object)
    }

    async fn stored(&self, object: &str) -> Result<StoredMessage, Failure> {
        let (bytes, _) = self.0.ports.objects.get(object).await.map_err(|error| port_failure(&error))?;
        codec::decode(&bytes).map_err(|error| Failure::permanent(&error))
    }

    /// What goes in front of the message for each part: the seal of whoever forwards it, how it came, the signatures of its domain,
    /// and a friend's fields, which are signed, too (RFC 8058 section 4). Parts without fields have the same.
    async fn heads(
        &self,
        accepted: &Accepted,
        letter: Vec<u8>,
        (fields, sealers): (Vec<Option<Vec<u8>>>, Option<Sealers>),
    ) -> Result<Vec<Arc<[u8]>>, Failure> {
        let now = self.0.ports.clock.now();
        let received = letter::received(accepted);
        let signer = self.signer(accepted, &letter).await?;
        // Reading a long letter takes a while, and so do two signatures for each of a hundred.
        let is_long = letter.len() as u64 >= letter::LARGE || fields.len() > SIGNED_AT_ONCE;
        let make = move || {
            let heads = heads(signer.as_ref(), (&received, &letter), &fields)?;
            let Some(sealers) = sealers else { return Ok(heads) };
            let sealed = sealers.seals(&letter, now).into_iter().zip(heads);
            let before = |(seal, head): (Vec<u8>, Arc<[u8]>)| match seal.is_empty() {
                true => head,
                false => Arc::from([&*seal, &*head].concat()),
            };
            Ok::<_, SigningError>(sealed.map(before).collect())
        };
        let made = if is_long {
            tokio::task::spawn_blocking(make).await.map_err(|error| Failure::temporary(&error))?
        } else {
            make()
        };
        made.map_err(|error| Failure::temporary(&error))
    }

    /// What signs for the message's domain; none, where nothing does. One read for a letter.
    async fn signer(&self, accepted: &Accepted, letter: &[u8]) -> Result<Option<Signer>, Failure> {
        // What anybody has written who did not sign in says of itself from whom it is: nobody here vouches for that, though it
        // be forwarded. Its own signatures stay good, since its bytes stay what they are.
        let is_ours = matches!(accepted.source.kind.way(), SourceKind::Notice(_));
        if accepted.source.kind.submission().is_none() && !is_ours {
            return Ok(None);
        }
        let Some(domain) = letter::signing_domain(letter) else { return Ok(None) };
        // Without the signature that its domain promises it would be taken for forged: it waits until that can be made.
        let later = |error: SigningError| Failure::temporary(&error);
        let Some(secrets) = &self.0.ports.secrets else {
            let keys = self.0.keys.keys(accepted.tenant, &domain).await.map_err(later)?;
            return match keys.active().next() {
                Some(_) => Err(Failure::temporary(&format!(
                    "{domain} has active keys, and this process has nothing that opens them"
                ))),
                None => Ok(None),
            };
        };
        let signer = self.0.keys.signer(&**secrets, accepted.tenant, &domain).await.map_err(later)?;
        Ok(Some(signer).filter(|signer| !signer.is_empty()))
    }
}

/// [`SendRemote::heads`], for a while on a thread of its own.
fn heads(
    signer: Option<&Signer>,
    (received, letter): (&[u8], &[u8]),
    fields: &[Option<Vec<u8>>],
) -> Result<Vec<Arc<[u8]>>, SigningError> {
    let copies = signer.map(|signer| signer.copies_of(letter));
    let head = |fields: &[u8]| {
        let signatures = copies.as_ref().map(|copies| copies.sign(fields)).transpose()?.unwrap_or_default();
        Ok::<Arc<[u8]>, SigningError>(Arc::from([received, &signatures, fields].concat()))
    };
    let mut direct: Option<Arc<[u8]>> = None;
    let mut made = Vec::with_capacity(fields.len());
    for fields in fields {
        made.push(match (fields, &direct) {
            (Some(fields), _) => head(fields)?,
            (None, Some(direct)) => Arc::clone(direct),
            (None, None) => Arc::clone(direct.insert(head(b"")?)),
        });
    }
    Ok(made)
}

fn failure(error: &OutboxError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}

fn port_failure(error: &PortError) -> Failure {
    if error.is_temporary() { Failure::temporary(error) } else { Failure::permanent(error) }
}

#[async_trait]
impl Handler for SendRemote {
    fn stage(&self) -> Stage {
        Stage::SendRemote
    }

    async fn handle(&self, events: Vec<Event>) -> Vec<Outcome> {
        let put_down = async |event| match event {
            Event::Outbound(accepted) => self.put_down(*accepted, &[]).await.map(|()| Vec::new()),
            Event::Forwarding(forwarding) => {
                let Forwarding { accepted, forwards } = *forwarding;
                self.put_down(accepted, &forwards).await.map(|()| Vec::new())
            }
            other => Err(Failure::misrouted(&other, Stage::SendRemote)),
        };
        let outcomes = futures::stream::iter(events).map(put_down).buffered(AT_ONCE).collect().await;
        // Once for all: each look passes over whatever waits for a slot.
        self.0.bell.notify_one();
        outcomes
    }
}
