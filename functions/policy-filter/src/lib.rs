//! Handler: the decision where each recipient's copy goes, and why.
//!
//! From a parsed message and the policy of its tenant to a decision for each recipient. The decision itself
//! is [`pennypost_policy::place`]; here stands only how the policy is come by. It uses one port: the control
//! port, through [`PolicySource`].
//!
//! Invariants: nothing is written, so an event may be handled any number of times; the reasons name the
//! version of the policy that decided. A policy may be up to [`FRESH`] old. If it cannot be read, nothing is
//! decided: the event comes again, and no mail slips past a list because of a bad moment. If the process dies
//! at any line, the event is handled again from its beginning.

mod handler;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_directory::{Directory, DirectoryError};
use pennypost_model::TenantId;
use pennypost_model::event::{Decided, Parsed};
use pennypost_policy::{TenantPolicy, place};

/// How old a remembered policy may be.
pub const FRESH: Duration = Duration::from_secs(10);

/// Policies that are remembered at once.
const MAX_REMEMBERED: usize = 1_000;

/// Where policies come from.
#[async_trait]
pub trait PolicySource: Send + Sync {
    /// The policy of a tenant with its version; the default for a tenant that has set none.
    async fn policy(&self, tenant: TenantId) -> Result<TenantPolicy, DirectoryError>;
}

#[async_trait]
impl PolicySource for Directory {
    async fn policy(&self, tenant: TenantId) -> Result<TenantPolicy, DirectoryError> {
        Directory::policy(self, tenant).await
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
}

impl FilterError {
    /// Can the same event be handled later? Always: a policy that is damaged today is mended tomorrow, and
    /// mail has to wait for it.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            FilterError::Policy { .. } => true,
        }
    }
}

struct Remembered {
    policy: Arc<TenantPolicy>,
    read: Instant,
}

/// The handler of stage `filter`.
pub struct PolicyFilter {
    source: Arc<dyn PolicySource>,
    remembered: Mutex<HashMap<TenantId, Remembered>>,
}

impl PolicyFilter {
    /// A filter that asks `source` for policies.
    #[must_use]
    pub fn new(source: Arc<dyn PolicySource>) -> PolicyFilter {
        PolicyFilter { source, remembered: Mutex::default() }
    }

    /// Decides for each recipient, in their order.
    ///
    /// # Errors
    /// [`FilterError::Policy`], temporary.
    pub async fn handle(&self, parsed: Parsed) -> Result<Decided, FilterError> {
        let policy = self.policy(parsed.accepted.tenant).await?;
        let recipients = &parsed.accepted.recipients;
        let decisions = recipients.iter().map(|recipient| place(&policy, &parsed, recipient)).collect();
        Ok(Decided { decisions, accepted: parsed.accepted, sidecar: parsed.sidecar })
    }

    async fn policy(&self, tenant: TenantId) -> Result<Arc<TenantPolicy>, FilterError> {
        if let Some(known) = self.remembered.lock().get(&tenant)
            && known.read.elapsed() < FRESH
        {
            return Ok(Arc::clone(&known.policy));
        }
        let read = Instant::now();
        let policy = self.source.policy(tenant).await;
        let policy = Arc::new(policy.map_err(|cause| FilterError::Policy { tenant, cause })?);
        let mut remembered = self.remembered.lock();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, known| known.read.elapsed() < FRESH);
        }
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(tenant, Remembered { policy: Arc::clone(&policy), read });
        }
        Ok(policy)
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

    /// Versions count the reads; the first `failing` reads fail.
    #[derive(Default)]
    struct Policies {
        reads: AtomicU64,
        failing: u64,
    }

    #[async_trait]
    impl PolicySource for Policies {
        async fn policy(&self, tenant: TenantId) -> Result<TenantPolicy, DirectoryError> {
            let version = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
            if version <= self.failing {
                return Err(PortError::Unavailable { port: "control", cause: "test".to_owned() }.into());
            }
            let mut policy = TenantPolicy { version, ..TenantPolicy::default() };
            if tenant == TenantId(2) {
                policy.add_to_whitelist("any.example")?;
            }
            Ok(policy)
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
        let filter = PolicyFilter::new(Arc::new(Policies::default()));
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

    #[tokio::test]
    async fn without_a_policy_nothing_is_decided() {
        let filter = PolicyFilter::new(Arc::new(Policies { failing: 1, ..Policies::default() }));
        let error = filter.handle(parsed(TenantId(1))).await.expect_err("no policy");
        assert!(error.is_temporary());
        assert!(filter.handle(parsed(TenantId(1))).await.is_ok());
    }

    #[tokio::test]
    async fn what_goes_to_other_servers_follows_beside_what_stays() {
        use pennypost_model::event::Event;
        use pennypost_runtime::Handler;
        let filter = PolicyFilter::new(Arc::new(Policies::default()));
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
