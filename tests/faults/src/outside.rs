//! Other servers, as a run has them: they put some off, take the others, and sometimes are not heard when they do.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_model::event::{
    Accepted, GroupElsewhere, MemberElsewhere, Recipient, SourceKind, ToGroups, Via,
};
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_outbound::Outbox;
use pennypost_send_remote::exchange::{Handed, Parcel};
use pennypost_send_remote::{Carrier, Ports, SendRemote, Settings};
use pennypost_simulation::executor::turn;
use pennypost_simulation::letter::Letter;
use pennypost_simulation::stage::{ACCOUNTS, Stage};
use rand::Rng;

/// Addresses of other servers.
const ADDRESSES: [&str; 3] = ["you@a.example", "others@a.example", "you@b.example"];
/// Members elsewhere of groups.
const FRIENDS: [&str; 3] = ["bea@a.example", "far@c.example", "bea@c.example"];
/// How often a recipient is put off at most.
const PATIENCE: u32 = 2;

/// What the other servers know of a recipient of a message.
#[derive(Debug, Default)]
struct Known {
    /// Its sender was told that it was taken.
    promised: bool,
    taken: u32,
    put_off: u32,
}

/// The other servers, and what they were promised.
#[derive(Clone, Default)]
pub struct Outside {
    known: Arc<Mutex<BTreeMap<(EventId, String), Known>>>,
}

/// Servers as one process reaches them.
struct Reached {
    outside: Outside,
    stage: Stage,
}

#[async_trait]
impl Carrier for Reached {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Handed {
        turn().await;
        let mut handed = Handed::open(parcel.recipients.len());
        let text = String::from_utf8_lossy(parcel.message);
        let id =
            text.split_once("Message-ID: <").and_then(|(_, rest)| rest.get(..26)?.parse::<EventId>().ok());
        let Some(id) = id else {
            self.stage.broken("a message has come to another server in pieces".to_owned());
            return handed;
        };
        if !text.contains(&format!("letter {id}")) {
            self.stage.broken(format!("{id} has come to another server without its end"));
        }
        for (index, recipient) in parcel.recipients.iter().enumerate() {
            let is_slow = self.stage.random(|random| random.random_range(0..3) == 0);
            let mut known = self.outside.known.lock();
            let known = known.entry((id, recipient.clone())).or_default();
            let (outcome, code) = if is_slow && known.put_off < PATIENCE {
                known.put_off += 1;
                (RemoteOutcome::Deferred, 451)
            } else {
                known.taken += 1;
                (RemoteOutcome::Sent, 250)
            };
            let answer = RemoteAnswer { code: Some(code), ..RemoteAnswer::default() };
            handed.settle(index, (outcome, answer));
        }
        // Whoever dies here has not heard it.
        turn().await;
        handed
    }
}

impl Outside {
    /// The handler and the worker of a process.
    #[must_use]
    pub fn sender(&self, stage: &Stage) -> SendRemote {
        let ports = Ports {
            control: Arc::clone(&stage.control),
            objects: Arc::clone(&stage.objects),
            queue: Arc::clone(&stage.queue),
            log: Arc::clone(&stage.log),
            clock: Arc::clone(&stage.clock),
            ids: Arc::clone(&stage.ids),
            secrets: None,
            carrier: Arc::new(Reached { outside: self.clone(), stage: stage.clone() }),
        };
        SendRemote::new(ports, Settings::default())
    }

    /// Some of what members hand in goes to other servers, too.
    pub fn address(&self, letter: &mut Letter, stage: &Stage) {
        let SourceKind::Submission(submission) = &letter.accepted.source.kind else { return };
        let account = submission.submitter.account;
        let count = stage.random(|random| random.random_range(0..=ADDRESSES.len()));
        let outside = ADDRESSES.into_iter().take(count);
        let recipients =
            outside.map(|address| Recipient { account, address: address.to_owned(), via: Via::Outside });
        letter.accepted.recipients.extend(recipients);
        let friends = stage.random(|random| random.random_range(0..=FRIENDS.len()));
        if friends == 0 {
            return;
        }
        let submission = (**submission).clone();
        let member = |address: &str| MemberElsewhere {
            address: address.to_owned(),
            reverse_path: format!("bounces+{}@t.example", address.replace('@', "=")),
            leave: String::new(),
        };
        // In two groups: one letter leads to both.
        let (one, other) = FRIENDS[..friends].split_at(1);
        let group = |name: &str, members: &[&str]| GroupElsewhere {
            address: format!("{name}@t.example"),
            members: members.iter().map(|address| member(address)).collect(),
        };
        let groups = vec![group("one", one), group("other", other)];
        letter.accepted.source.kind = SourceKind::ToGroups(Box::new(ToGroups { submission, groups }));
    }

    /// The sender was told that a message was taken.
    pub fn promise(&self, message: EventId, addresses: &[String]) {
        let mut known = self.known.lock();
        for address in addresses {
            known.entry((message, address.clone())).or_default().promised = true;
        }
    }

    /// The addresses elsewhere to which a message goes.
    #[must_use]
    pub fn addresses(accepted: &Accepted) -> Vec<String> {
        let direct = accepted.recipients.iter().filter(|recipient| recipient.via == Via::Outside);
        let members = accepted.source.kind.groups().iter().flat_map(|group| &group.members);
        let members = members.map(|member| member.address.clone());
        direct.map(|recipient| recipient.address.clone()).chain(members).collect()
    }

    /// So many items wait.
    pub async fn waiting(&self, stage: &Stage) -> u64 {
        let far = Timestamp(i64::MAX / 2);
        match Outbox::new(Arc::clone(&stage.control)).due(far, None, 10_000).await {
            Ok(rows) => rows.len() as u64,
            Err(error) => {
                stage.broken(format!("what waits for other servers is not told: {error}"));
                0
            }
        }
    }

    /// Everybody has got what was promised, and nobody twice but after an attempt of which nothing was heard.
    pub async fn judge(&self, stage: &Stage) {
        let outbox = Outbox::new(Arc::clone(&stage.control));
        let mut attempts: BTreeMap<(EventId, String), (u32, bool)> = BTreeMap::new();
        let messages: Vec<EventId> = self.known.lock().keys().map(|(message, _)| *message).collect();
        for message in messages {
            for tenant in ACCOUNTS.map(|account| account.tenant) {
                note(stage, &outbox, (tenant, message), &mut attempts).await;
            }
        }
        for ((message, address), known) in &*self.known.lock() {
            let found = attempts.get(&(*message, address.clone()));
            let (begun, is_over) = found.copied().unwrap_or_default();
            if known.promised && known.taken == 0 {
                stage.broken(format!("{message} has not come to {address}"));
            }
            if known.taken + known.put_off > begun {
                stage.broken(format!(
                    "{message} was tried for {address} by nobody who had it: {known:?}, {begun}"
                ));
            }
            if (known.promised || known.taken > 0) && !is_over {
                stage.broken(format!("{message} has no end for {address}"));
            }
        }
    }
}

async fn note(
    stage: &Stage,
    outbox: &Outbox,
    (tenant, message): (TenantId, EventId),
    attempts: &mut BTreeMap<(EventId, String), (u32, bool)>,
) {
    let items = match outbox.of_message(tenant, message).await {
        Ok(items) => items,
        Err(error) => return stage.broken(format!("items of {message} are not told: {error}")),
    };
    for item in items {
        for recipient in &item.recipients {
            let is_sent = recipient.outcome == RemoteOutcome::Sent;
            attempts.insert((message, recipient.address.clone()), (item.attempts, is_sent));
        }
    }
}
