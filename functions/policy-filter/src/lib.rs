//! Handler: the decision where each recipient's copy goes, and why.
//!
//! From a parsed message, the policy of its tenant and the rules of its recipients to a decision for each of them. The decision
//! itself is [`pennypost_policy::place`]; here stands only how policy and rules are come by. It uses one port: the control
//! port, through [`PolicySource`]. Rules are read only of those who may have some, which is read with the policy.
//!
//! Invariants: nothing is written, so an event may be handled any number of times; the reasons name the
//! version of the policy that decided. A policy, and rules, may be up to [`FRESH`] old. If they cannot be read, nothing is
//! decided: the event comes again, and no mail slips past a list because of a bad moment. Only rules of a member that are
//! damaged hold up nobody's mail, his own neither: it goes where it would without them, and its trace says so. If the process dies
//! at any line, the event is handled again from its beginning.

mod handler;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use pennypost_directory::{Directory, DirectoryError, WithRules};
use pennypost_model::event::{Decided, Parsed, Recipient, SourceKind, Via};
use pennypost_model::{AccountKey, TenantId};
use pennypost_policy::{Personal, TenantPolicy, place};

/// How old a remembered policy may be.
pub const FRESH: Duration = Duration::from_secs(10);

/// Policies that are remembered at once.
const MAX_REMEMBERED: usize = 1_000;
/// Members whose rules are remembered at once.
const MAX_MEMBERS: usize = 2_000;
/// Rules that are read at once.
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
    read: Instant,
}

/// What was read of late.
struct Memory<K, T> {
    most: usize,
    known: Mutex<HashMap<K, Remembered<T>>>,
}

impl<K: std::hash::Hash + Eq, T> Memory<K, T> {
    fn of(most: usize) -> Memory<K, T> {
        Memory { most, known: Mutex::default() }
    }

    fn recall(&self, key: &K) -> Option<Arc<T>> {
        let known = self.known.lock();
        let known = known.get(key).filter(|known| known.read.elapsed() < FRESH)?;
        Some(Arc::clone(&known.value))
    }

    fn keep(&self, key: K, value: T, read: Instant) -> Arc<T> {
        let value = Arc::new(value);
        let mut known = self.known.lock();
        if known.len() >= self.most {
            known.retain(|_, known| known.read.elapsed() < FRESH);
        }
        if known.len() < self.most {
            known.insert(key, Remembered { value: Arc::clone(&value), read });
        }
        value
    }
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
        PolicyFilter { source, policies: Memory::of(MAX_REMEMBERED), members: Memory::of(MAX_MEMBERS) }
    }

    /// Decides for each recipient, in their order.
    ///
    /// # Errors
    /// [`FilterError::Policy`], [`FilterError::Rules`], temporary.
    pub async fn handle(&self, parsed: Parsed) -> Result<Decided, FilterError> {
        let policies = self.policies(parsed.accepted.tenant).await?;
        let (policy, with_rules) = &*policies;
        let personal = self.personal(&parsed, with_rules).await?;
        let recipients = parsed.accepted.recipients.iter();
        let decide = |recipient: &Recipient| {
            let personal = personal.get(&recipient.account).filter(|_| is_asked(recipient));
            place(policy, &parsed, recipient, personal.map(|personal| &**personal))
        };
        let decisions = recipients.map(decide).collect();
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

    /// The rules of those recipients who have some.
    async fn personal(
        &self,
        parsed: &Parsed,
        with_rules: &WithRules,
    ) -> Result<HashMap<AccountKey, Arc<Personal>>, FilterError> {
        if parsed.accepted.source.kind == SourceKind::System {
            return Ok(HashMap::new());
        }
        let asked = parsed.accepted.recipients.iter().filter(|recipient| is_asked(recipient));
        let accounts: BTreeSet<AccountKey> = asked.map(|recipient| recipient.account).collect();
        let ruled = accounts.into_iter().filter(|key| with_rules.may_have(key.account));
        let reads: Vec<_> = ruled.map(|key| self.rules_of(key)).collect();
        let found: Vec<_> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().filter(|(_, personal)| personal.unreadable || personal.version > 0).collect())
    }

    async fn rules_of(&self, account: AccountKey) -> Result<(AccountKey, Arc<Personal>), FilterError> {
        if let Some(known) = self.members.recall(&account) {
            return Ok((account, known));
        }
        let read = Instant::now();
        let personal = self.source.personal(account).await;
        let personal = personal.map_err(|cause| FilterError::Rules { account, cause })?;
        Ok((account, self.members.keep(account, personal, read)))
    }
}

/// Are the recipient's rules asked? Not about what he sends, what others get, and what nobody was meant to get.
fn is_asked(recipient: &Recipient) -> bool {
    match recipient.via {
        Via::Direct | Via::Alias | Via::Group => true,
        Via::Sent | Via::Outside | Via::CatchAll => false,
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
