//! Handler: the decision where each recipient's copy goes, and why.
//!
//! From a parsed message, the policy of its tenant and the rules of its recipients to a decision for each of them. The decision
//! itself is [`pennypost_policy::place`]; here stands only how policy and rules are come by. It uses one port: the control
//! port, through [`PolicySource`]. Rules are read only of those who may have some, which is read with the policy; of so many
//! members at once as are read at once, and between two of them others have their turn.
//!
//! Invariants: nothing is written, so an event may be handled any number of times; the reasons name the
//! version of the policy that decided. A policy, and rules, may be up to [`FRESH`] old. If they cannot be read, nothing is
//! decided: the event comes again, and no mail slips past a list because of a bad moment. Only rules of a member that are
//! damaged hold up nobody's mail, his own neither: it goes where it would without them, and its trace says so. If the process dies
//! at any line, the event is handled again from its beginning.

mod handler;

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, StreamExt};
use parking_lot::Mutex;
use pennypost_directory::{Directory, DirectoryError, WithRules};
use pennypost_model::event::{Decided, Parsed, Recipient, SourceKind, Via};
use pennypost_model::{AccountKey, TenantId, codec};
use pennypost_policy::{Personal, TenantPolicy, place};

/// How old a remembered policy may be.
pub const FRESH: Duration = Duration::from_secs(10);

/// Policies that are remembered at once.
const MAX_REMEMBERED: usize = 1_000;
/// Bytes of members' rules, as they are stored, that are remembered at once; in memory they are a few times that.
const MAX_RULES: usize = 8 << 20;
/// What a member counts for whose rules are short, or who has none.
const LEAST_RULES: usize = 1_024;
/// Members whose rules are read, and held, at once for a letter.
const AT_ONCE: usize = 16;

/// Where policies come from.
#[async_trait]
pub trait PolicySource: Send + Sync {
    /// The policy of a tenant with its version, the default for a tenant that has set none; and who of it may have rules.
    async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError>;

    /// The rules of a member.
    async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError>;
}

#[async_trait]
impl PolicySource for Directory {
    async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError> {
        Directory::policies(self, tenant).await
    }

    async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError> {
        Directory::personal(self, key).await
    }
}

/// Why no decision was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The tenant's policy cannot be read.
    #[error("the policy of tenant {tenant} cannot be read: {cause}")]
    Policy {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        cause: DirectoryError,
    },
    /// The rules of a recipient cannot be read.
    #[error("the rules of {account} cannot be read: {cause}")]
    Rules {
        /// Whose.
        account: AccountKey,
        /// Why.
        cause: DirectoryError,
    },
}

impl FilterError {
    /// Can the same event be handled later? Always: a policy that is damaged today is mended tomorrow, and
    /// mail has to wait for it.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            FilterError::Policy { .. } | FilterError::Rules { .. } => true,
        }
    }
}

/// A policy, and who may have rules beside it.
type Policies = (TenantPolicy, WithRules);

struct Remembered<T> {
    value: Arc<T>,
    weight: usize,
    read: Instant,
}

/// What was read of late, as much as there is room for.
struct Memory<K, T> {
    most: usize,
    weigh: fn(&T) -> usize,
    known: Mutex<Known<K, T>>,
}

struct Known<K, T> {
    by_key: HashMap<K, Remembered<T>>,
    weight: usize,
}

impl<K: std::hash::Hash + Eq, T> Memory<K, T> {
    fn of(most: usize, weigh: fn(&T) -> usize) -> Memory<K, T> {
        Memory { most, weigh, known: Mutex::new(Known { by_key: HashMap::new(), weight: 0 }) }
    }

    fn recall(&self, key: &K) -> Option<Arc<T>> {
        let known = self.known.lock();
        let known = known.by_key.get(key).filter(|known| known.read.elapsed() < FRESH)?;
        Some(Arc::clone(&known.value))
    }

    fn keep(&self, key: K, value: T, read: Instant) -> Arc<T> {
        let weight = (self.weigh)(&value);
        let value = Arc::new(value);
        let mut known = self.known.lock();
        let known = &mut *known;
        known.weight -= known.by_key.remove(&key).map_or(0, |before| before.weight);
        if known.weight + weight > self.most {
            known.by_key.retain(|_, known| known.read.elapsed() < FRESH);
            known.weight = known.by_key.values().map(|known| known.weight).sum();
        }
        if known.weight + weight <= self.most {
            known.by_key.insert(key, Remembered { value: Arc::clone(&value), weight, read });
            known.weight += weight;
        }
        value
    }
}

fn weight_of(personal: &Personal) -> usize {
    codec::encode(&personal.rules).len().max(LEAST_RULES)
}

/// Lets others have their turn: whoever asks many rules would hold them up.
async fn give_way() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The handler of stage `filter`.
pub struct PolicyFilter {
    source: Arc<dyn PolicySource>,
    policies: Memory<TenantId, Policies>,
    members: Memory<AccountKey, Personal>,
}

impl PolicyFilter {
    /// A filter that asks `source` for policies.
    #[must_use]
    pub fn new(source: Arc<dyn PolicySource>) -> PolicyFilter {
        let policies = Memory::of(MAX_REMEMBERED, |_| 1);
        PolicyFilter { source, policies, members: Memory::of(MAX_RULES, weight_of) }
    }

    /// Decides for each recipient, in their order.
    ///
    /// # Errors
    /// [`FilterError::Policy`], [`FilterError::Rules`], temporary.
    pub async fn handle(&self, parsed: Parsed) -> Result<Decided, FilterError> {
        let policies = self.policies(parsed.accepted.tenant).await?;
        let (policy, with_rules) = &*policies;
        let is_system = parsed.accepted.source.kind == SourceKind::System;
        let recipients = &parsed.accepted.recipients;
        let may_have = |recipient: &&Recipient| {
            !is_system && is_asked(recipient) && with_rules.may_have(recipient.account.account)
        };
        let reads: Vec<_> =
            recipients.iter().filter(may_have).map(|one| self.rules_of(one.account)).collect();
        let mut rules = stream::iter(reads).buffered(AT_ONCE);
        let mut decisions = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let personal = match may_have(&recipient) {
                true => rules.next().await.transpose()?,
                false => None,
            };
            let personal = personal.filter(|personal| personal.unreadable || personal.version > 0);
            decisions.push(place(policy, &parsed, recipient, personal.as_deref()));
            if personal.is_some() {
                give_way().await;
            }
        }
        Ok(Decided { decisions, accepted: parsed.accepted, sidecar: parsed.sidecar })
    }

    async fn policies(&self, tenant: TenantId) -> Result<Arc<Policies>, FilterError> {
        if let Some(known) = self.policies.recall(&tenant) {
            return Ok(known);
        }
        let read = Instant::now();
        let policies = self.source.policies(tenant).await;
        let policies = policies.map_err(|cause| FilterError::Policy { tenant, cause })?;
        Ok(self.policies.keep(tenant, policies, read))
    }

    async fn rules_of(&self, account: AccountKey) -> Result<Arc<Personal>, FilterError> {
        if let Some(known) = self.members.recall(&account) {
            return Ok(known);
        }
        let read = Instant::now();
        let personal = self.source.personal(account).await;
        let personal = personal.map_err(|cause| FilterError::Rules { account, cause })?;
        Ok(self.members.keep(account, personal, read))
    }
}

/// Are the recipient's rules asked? Not about what he sends, what others get, and what nobody was meant to get.
fn is_asked(recipient: &Recipient) -> bool {
    match recipient.via {
        Via::Direct | Via::Alias | Via::Group => true,
        Via::Sent | Via::Outside | Via::CatchAll | Via::Drafts => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::event::{
        Accepted, AuthResults, Body, Recipient, Source, SourceKind, Target, Verdict, Via,
    };
    use pennypost_model::message::{Facts, Sidecar};
    use pennypost_model::structure::Structure;
    use pennypost_model::{AccountId, AccountKey, EventId, MailboxRole, Timestamp};
    use pennypost_ports::PortError;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// Versions count the reads; the first `failing` reads fail. Rules are given to all, or to none.
    #[derive(Default)]
    struct Told {
        reads: AtomicU64,
        failing: u64,
        rules: Option<Personal>,
        asked: Mutex<Vec<AccountKey>>,
    }

    #[async_trait]
    impl PolicySource for Told {
        async fn policies(&self, tenant: TenantId) -> Result<(TenantPolicy, WithRules), DirectoryError> {
            let version = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
            if version <= self.failing {
                return Err(PortError::Unavailable { port: "control", cause: "test".to_owned() }.into());
            }
            let mut policy = TenantPolicy { version, ..TenantPolicy::default() };
            if tenant == TenantId(2) {
                policy.add_to_whitelist("any.example")?;
            }
            let with_rules = self.rules.as_ref().map(|_| WithRules::everybody());
            Ok((policy, with_rules.unwrap_or_default()))
        }

        async fn personal(&self, key: AccountKey) -> Result<Personal, DirectoryError> {
            self.asked.lock().push(key);
            let unavailable = PortError::Unavailable { port: "control", cause: "test".to_owned() };
            self.rules.clone().filter(|rules| rules.version != 13).ok_or(unavailable.into())
        }
    }

    fn parsed(tenant: TenantId) -> Parsed {
        let recipient = |number, via| Recipient {
            account: AccountKey { tenant, account: AccountId(number) },
            address: "me@example.com".to_owned(),
            via,
        };
        let accepted = Accepted {
            id: EventId::from_parts(Timestamp(1), 1),
            time: Timestamp(1),
            tenant,
            source: Source { kind: SourceKind::Smtp, ip: None, helo: String::new(), tls: None },
            auth: AuthResults { spf: Verdict::Fail, dkim: Verdict::Fail, ..AuthResults::default() },
            reverse_path: "a@any.example".to_owned(),
            recipients: vec![recipient(1, Via::Direct), recipient(2, Via::CatchAll)],
            body: Body::Spooled { object: String::new(), size: 0 },
            receipt: String::new(),
        };
        let sidecar =
            Sidecar { structure: Structure::default(), facts: Facts::default(), receipt: String::new() };
        Parsed { accepted, sidecar }
    }

    fn targets(decided: &Decided) -> Vec<Target> {
        decided.decisions.iter().map(|decision| decision.target).collect()
    }

    #[tokio::test]
    async fn each_recipient_is_decided_by_its_tenants_policy() {
        let filter = PolicyFilter::new(Arc::new(Told::default()));
        let decided = filter.handle(parsed(TenantId(1))).await.expect("decided");
        assert_eq!(targets(&decided), [Target::Role(MailboxRole::Junk), Target::Role(MailboxRole::Transfer)]);
        assert_eq!(decided.accepted, parsed(TenantId(1)).accepted);
        let decided = filter.handle(parsed(TenantId(2))).await.expect("decided");
        assert_eq!(
            targets(&decided),
            [Target::Role(MailboxRole::Inbox), Target::Role(MailboxRole::Transfer)]
        );
        // Remembered, by tenant.
        let again = filter.handle(parsed(TenantId(1))).await.expect("decided");
        assert_eq!(again.decisions[0].reasons[0], "policy-version:1");
        let again = filter.handle(parsed(TenantId(2))).await.expect("decided");
        assert_eq!(again.decisions[0].reasons[0], "policy-version:2");
    }

    fn blacklisting(version: u64) -> Personal {
        let mut personal = Personal { version, ..Personal::default() };
        personal.rules.blacklist.push("any.example".parse().expect("a domain"));
        personal
    }

    #[tokio::test]
    async fn rules_are_read_of_those_who_have_some_and_remembered() {
        let fine = |tenant| {
            let mut parsed = parsed(tenant);
            parsed.accepted.auth = AuthResults { spf: Verdict::Pass, ..AuthResults::default() };
            let direct = Recipient {
                account: AccountKey { tenant, account: AccountId(3) },
                ..parsed.accepted.recipients[0].clone()
            };
            parsed.accepted.recipients.push(direct);
            parsed
        };
        let source = Arc::new(Told { rules: Some(blacklisting(5)), ..Told::default() });
        let filter = PolicyFilter::new(Arc::clone(&source) as Arc<dyn PolicySource>);
        for _ in 0..2 {
            let decided = filter.handle(fine(TenantId(1))).await.expect("decided");
            let (junk, transfer) = (Target::Role(MailboxRole::Junk), Target::Role(MailboxRole::Transfer));
            assert_eq!(targets(&decided), [junk, transfer, junk]);
        }
        let mut asked = std::mem::take(&mut *source.asked.lock());
        asked.sort_unstable();
        let key = |account| AccountKey { tenant: TenantId(1), account: AccountId(account) };
        assert_eq!(asked, [key(1), key(3)], "each once; nothing for what came by the catch-all");
        let mut system = fine(TenantId(3));
        system.accepted.source.kind = SourceKind::System;
        filter.handle(system).await.expect("decided");
        assert!(source.asked.lock().is_empty(), "nobody's rules are asked about the system's own letters");
        let nobody = Arc::new(Told::default());
        let filter = PolicyFilter::new(Arc::clone(&nobody) as Arc<dyn PolicySource>);
        filter.handle(fine(TenantId(1))).await.expect("decided");
        assert!(nobody.asked.lock().is_empty(), "who has none costs nothing");
    }

    #[tokio::test]
    async fn without_rules_that_there_are_nothing_is_decided() {
        let source = Told { rules: Some(blacklisting(13)), ..Told::default() };
        let error =
            PolicyFilter::new(Arc::new(source)).handle(parsed(TenantId(1))).await.expect_err("no rules");
        assert!(error.is_temporary());
        let rules = Some(Personal { unreadable: true, ..Personal::default() });
        let filter = PolicyFilter::new(Arc::new(Told { rules, ..Told::default() }));
        let decided = filter.handle(parsed(TenantId(2))).await.expect("decided");
        assert_eq!(targets(&decided)[0], Target::Role(MailboxRole::Inbox));
        assert_eq!(decided.decisions[0].reasons.last().map(String::as_str), Some("member-rules:unreadable"));
    }

    /// However much members say, what is remembered of it is bounded; and what is read anew weighs once.
    #[test]
    fn rules_are_remembered_by_their_weight() {
        let memory: Memory<u64, Personal> = Memory::of(5 * LEAST_RULES, weight_of);
        let held = || {
            let known = memory.known.lock();
            (known.by_key.len(), known.weight)
        };
        for key in [1, 1, 2, 3] {
            memory.keep(key, Personal::default(), Instant::now());
        }
        assert_eq!(held(), (3, 3 * LEAST_RULES));
        let mut much = blacklisting(1);
        let sender = much.rules.blacklist.remove(0);
        much.rules.blacklist = vec![sender; 1_000];
        let weight = weight_of(&much);
        assert!(weight > 2 * LEAST_RULES);
        memory.keep(4, much.clone(), Instant::now());
        assert_eq!(held(), (3, 3 * LEAST_RULES), "no room");
        let Some(long_ago) = Instant::now().checked_sub(FRESH) else { return };
        memory.keep(5, Personal::default(), long_ago);
        memory.keep(6, Personal::default(), long_ago);
        memory.keep(7, Personal::default(), Instant::now());
        assert_eq!(held(), (4, 4 * LEAST_RULES), "what is old makes room");
    }

    #[tokio::test]
    async fn without_a_policy_nothing_is_decided() {
        let filter = PolicyFilter::new(Arc::new(Told { failing: 1, ..Told::default() }));
        let error = filter.handle(parsed(TenantId(1))).await.expect_err("no policy");
        assert!(error.is_temporary());
        assert!(filter.handle(parsed(TenantId(1))).await.is_ok());
    }

    #[tokio::test]
    async fn what_goes_to_other_servers_follows_beside_what_stays() {
        use pennypost_model::event::Event;
        use pennypost_runtime::Handler;
        let filter = PolicyFilter::new(Arc::new(Told::default()));
        let mut leaving = parsed(TenantId(1));
        let outside = Recipient {
            address: "you@other.example".to_owned(),
            via: Via::Outside,
            ..leaving.accepted.recipients[0].clone()
        };
        leaving.accepted.recipients.push(outside.clone());
        let event = Event::Parsed(Box::new(leaving.clone()));
        let followed = Handler::handle(&filter, vec![event]).await.remove(0).expect("handled");
        let [Event::Outbound(outbound), Event::Decided(decided)] = &*followed else { panic!("{followed:?}") };
        assert_eq!(outbound.recipients, [outside]);
        assert_eq!((outbound.id, &outbound.body), (leaving.accepted.id, &leaving.accepted.body));
        assert_eq!(decided.accepted, leaving.accepted);
        assert_eq!(targets(decided)[2], Target::Outside);
        let staying = Event::Parsed(Box::new(parsed(TenantId(1))));
        assert_eq!(Handler::handle(&filter, vec![staying]).await[0].as_ref().map(Vec::len), Ok(1));
    }
}
