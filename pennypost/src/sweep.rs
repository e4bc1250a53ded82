//! The sweeper: sends accounts to housekeeping when they have changed, and does the chores of the day.
//!
//! Owns the control item [`CHORES`]: when the daily chores were last sent off. What was seen of the accounts is
//! only remembered: after a start every account is looked at once. If the process dies in the middle of the chores
//! they are sent again; housekeeping can do everything twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pennypost_directory::Directory;
use pennypost_mailstore::Mailstore;
use pennypost_model::codec::{self, Versioned};
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{AccountKey, Seq, Timestamp};
use pennypost_ports::{Clock, Consistency, Control, ControlKey, Expected, Log, LogKind, PortError, Queue};
use pennypost_runtime::{Failure, Pipeline};
use pennypost_schedule::{DAY_MILLIS, OVERDUE_MILLIS, chores, is_past, tenants};
use serde::{Deserialize, Serialize};

use crate::Failed;
use crate::config::Retention;
use crate::office::Office;

/// Between two looks at all accounts.
const SWEEP: Duration = Duration::from_secs(15 * 60);
/// How long wishes for segments are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// Accounts that are taken at once.
const PAGE: usize = 500;
/// Partition and sort key of the time of the last daily chores. They are the installation's, no tenant's.
const CHORES: (&str, &str) = (pennypost_schedule::CHORES, "daily");

#[derive(Serialize, Deserialize)]
struct DailyChores {
    at: Timestamp,
}

impl Versioned for DailyChores {
    const KIND: &'static str = "daily chores";
}

/// An account when it was last sent to housekeeping.
struct Swept {
    seq: Seq,
    at: Timestamp,
}

/// The sweeper of one process.
pub(crate) struct Sweeper {
    directory: Directory,
    store: Mailstore,
    control: Arc<dyn Control>,
    queue: Arc<dyn Queue>,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    pipeline: Arc<Pipeline>,
    retention: Retention,
    /// One small record for each account.
    swept: HashMap<AccountKey, Swept>,
}

impl Sweeper {
    pub(crate) fn new(office: &Office, pipeline: Arc<Pipeline>, retention: Retention) -> Sweeper {
        Sweeper {
            directory: office.directory.clone(),
            store: office.store.clone(),
            control: office.control(),
            queue: office.queue(),
            log: office.log(),
            clock: Arc::clone(&office.clock),
            pipeline,
            retention,
            swept: HashMap::new(),
        }
    }

    /// Sweeps until it is dropped.
    pub(crate) async fn run(mut self) {
        // A machine that is off at night must not miss the chores. The accounts can wait until it has started.
        let started = self.chores_if_due().await;
        report(started);
        let wanted =
            index_what_is_wanted(self.store.clone(), Arc::clone(&self.pipeline), Arc::clone(&self.clock));
        let sweeping = async {
            loop {
                self.clock.sleep(SWEEP).await;
                let swept = self.round().await;
                report(swept);
            }
        };
        tokio::join!(wanted, sweeping);
    }

    /// Only sends the accounts whose segments somebody wants, until it is dropped.
    pub(crate) async fn send_what_is_wanted(self) {
        index_what_is_wanted(self.store.clone(), Arc::clone(&self.pipeline), Arc::clone(&self.clock)).await;
    }

    async fn round(&mut self) -> Result<(), Failed> {
        // What is still waiting would only be sent a second time. Asked before the chores, which fill the queue.
        if self.housekeeping_is_busy().await? {
            return self.chores_if_past(OVERDUE_MILLIS).await;
        }
        self.chores_if_due().await?;
        self.sweep_accounts().await
    }

    async fn housekeeping_is_busy(&self) -> Result<bool, Failed> {
        let depth = self.queue.depth(Stage::Housekeep).await?;
        Ok(depth.waiting + depth.in_flight > 0)
    }

    /// Sends the accounts that have changed since they were last sent, and after a day the others too: deleted mail
    /// may be due.
    async fn sweep_accounts(&mut self) -> Result<(), Failed> {
        let now = self.clock.now();
        for tenant in tenants(&self.directory).await? {
            let mut after = None;
            loop {
                let accounts = self.store.journal().accounts(tenant, after, PAGE).await?;
                self.send_changed(&accounts, now).await?;
                after = accounts.last().copied();
                if accounts.len() < PAGE {
                    break;
                }
            }
        }
        // Accounts that are there are sent every day; the others are gone.
        self.swept.retain(|_, swept| !is_past(swept.at, now, 2 * DAY_MILLIS));
        Ok(())
    }

    async fn send_changed(&mut self, accounts: &[AccountKey], now: Timestamp) -> Result<(), Failed> {
        let mut due = Vec::new();
        for account in accounts {
            let newest = self.store.journal().newest(*account, 1, Consistency::Eventual).await?;
            let seq = newest.entries.last().map_or(Seq::ZERO, |entry| entry.seq);
            let known = self.swept.get(account);
            if known.is_none_or(|swept| swept.seq != seq || is_past(swept.at, now, DAY_MILLIS)) {
                due.push((*account, seq));
            }
        }
        let events = due.iter().map(|(account, _)| Event::House(House::Account(*account))).collect();
        let sent = self.pipeline.send(Stage::Housekeep, events).await;
        for ((account, seq), sent) in due.into_iter().zip(sent) {
            sent.map_err(not_sent)?;
            self.swept.insert(account, Swept { seq, at: now });
        }
        Ok(())
    }

    /// Once a day: garbage collection and audit of every tenant, a look at its domains, and old log records go (LOG-04, LOG-05). Records of
    /// administrators' operations are kept.
    async fn chores_if_due(&self) -> Result<(), Failed> {
        self.chores_if_past(DAY_MILLIS).await
    }

    /// The same, if they were not sent for so long.
    async fn chores_if_past(&self, millis: i64) -> Result<(), Failed> {
        let key = ControlKey::new(CHORES.0, CHORES.1);
        let now = self.clock.now();
        let item = self.control.get(&key, Consistency::Strong).await?;
        let last = item.as_ref().and_then(|item| codec::decode::<DailyChores>(&item.value).ok());
        if last.is_some_and(|last| !is_past(last.at, now, millis)) {
            return Ok(());
        }
        for tenant in tenants(&self.directory).await? {
            for sent in self.pipeline.send(Stage::Housekeep, chores(tenant)).await {
                sent.map_err(not_sent)?;
            }
        }
        let (traces, logins) = (self.retention.trace_days, self.retention.login_days);
        // What is billed is rolled up from traces and usage records together: they go together.
        let kinds = [LogKind::Trace, LogKind::Usage, LogKind::Heard].map(|kind| (kind, traces));
        for (kind, days) in kinds.into_iter().chain([(LogKind::Login, logins)]) {
            let before = now.plus_millis(-i64::from(days.get()) * DAY_MILLIS);
            match self.log.expire(kind, before).await {
                Ok(removed) => tracing::info!(kind = kind.name(), removed, "old log records removed"),
                // Tomorrow is another day; the other chores are on their way.
                Err(error) => tracing::warn!(kind = kind.name(), %error, "old log records are still there"),
            }
        }
        let expected = item.map_or(Expected::Absent, |item| Expected::Version(item.version));
        self.control.put_if(&key, &codec::encode(&DailyChores { at: now }), expected).await?;
        Ok(())
    }
}

/// Sends accounts to housekeeping whose segments somebody wants.
async fn index_what_is_wanted(store: Mailstore, pipeline: Arc<Pipeline>, clock: Arc<dyn Clock>) {
    loop {
        store.index_wanted().await;
        clock.sleep(GATHER).await;
        let accounts = match store.take_wanted().await {
            Ok(accounts) => accounts,
            Err(error) => {
                tracing::warn!(%error, "segments have to wait");
                continue;
            }
        };
        let events = accounts.into_iter().map(|account| Event::House(House::Segments(account))).collect();
        for sent in pipeline.send(Stage::Housekeep, events).await {
            report(sent.map_err(|failure| Failed::from(not_sent(failure))));
        }
    }
}

fn not_sent(failure: Failure) -> PortError {
    PortError::Unavailable { port: "queue", cause: failure.cause }
}

fn report(result: Result<(), Failed>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the sweep was cut short");
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicI64, Ordering};

    use async_trait::async_trait;
    use pennypost_backend_embedded::Options;
    use pennypost_mailstore::Mailroom;
    use pennypost_model::journal::{Actor, Protocol};
    use pennypost_model::{EventId, TenantId};
    use pennypost_ports::{LogQuery, LogRecord};
    use pennypost_runtime::Fusing;

    use super::*;

    const HOUR: i64 = 3_600_000;

    struct TestClock(AtomicI64);

    #[async_trait]
    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.load(Ordering::SeqCst))
        }

        async fn sleep(&self, duration: Duration) {
            self.0.fetch_add(i64::try_from(duration.as_millis()).expect("short"), Ordering::SeqCst);
        }
    }

    struct Fixture {
        office: Office,
        clock: Arc<TestClock>,
        sweeper: Sweeper,
        tenant: TenantId,
        _dir: tempfile::TempDir,
    }

    async fn fixture() -> Fixture {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let office = Office::open(&dir.path().join("data"), &Options::server()).expect("opens");
        let tenant = office.directory.add_tenant("acme").await.expect("tenant").id;
        let pipeline = Arc::new(Pipeline::new([], Fusing::fused(), office.queue()));
        let clock = Arc::new(TestClock(AtomicI64::new(1_795_076_130_000)));
        let mut sweeper = Sweeper::new(&office, pipeline, Retention::default());
        sweeper.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        Fixture { office, clock, sweeper, tenant, _dir: dir }
    }

    impl Fixture {
        async fn account(&self, number: u64) -> AccountKey {
            let key = AccountKey { tenant: self.tenant, account: pennypost_model::AccountId(number) };
            Mailroom::new(self.office.store.clone()).account(key).await.expect("journal");
            key
        }

        async fn change(&self, account: AccountKey, mailbox: &str) {
            let room = Mailroom::new(self.office.store.clone());
            let live = room.account(account).await.expect("account");
            let actor = Actor::Member(Protocol::Imap);
            live.change(&actor, |draft| draft.create_mailbox(mailbox, None)).await.expect("changes");
        }

        fn pass(&self, millis: i64) {
            self.clock.0.fetch_add(millis, Ordering::SeqCst);
        }

        /// What was sent to housekeeping, acknowledged.
        async fn sent(&self) -> Vec<House> {
            let queue = self.office.queue();
            let received =
                queue.receive(Stage::Housekeep, 100, Duration::from_secs(60), Duration::ZERO).await;
            let mut houses = Vec::new();
            for message in received.expect("receives") {
                if let Ok(Event::House(house)) = codec::decode::<Event>(&message.body) {
                    houses.push(house);
                }
                queue.ack(Stage::Housekeep, &[message.receipt]).await.expect("acknowledges");
            }
            houses
        }

        async fn sent_accounts(&self) -> Vec<AccountKey> {
            let accounts = self.sent().await.into_iter().filter_map(|house| match house {
                House::Account(account) => Some(account),
                House::Segments(_)
                | House::CollectGarbage(_)
                | House::Audit(_)
                | House::Task(..)
                | House::Domains(_)
                | House::Statistics(_)
                | House::RecycleBin(_)
                | House::Erase(_) => None,
            });
            let mut accounts: Vec<_> = accounts.collect();
            accounts.sort_unstable();
            accounts
        }
    }

    #[tokio::test]
    async fn only_changed_accounts_are_sent_and_the_others_once_a_day() {
        let mut fixture = fixture().await;
        let (ann, bob) = (fixture.account(1).await, fixture.account(2).await);
        fixture.sweeper.round().await.expect("sweeps");
        assert_eq!(fixture.sent_accounts().await, [ann, bob]);

        fixture.pass(HOUR);
        fixture.sweeper.round().await.expect("sweeps");
        assert_eq!(fixture.sent_accounts().await, []);

        fixture.change(bob, "Projects").await;
        fixture.sweeper.round().await.expect("sweeps");
        assert_eq!(fixture.sent_accounts().await, [bob]);

        fixture.pass(23 * HOUR);
        fixture.sweeper.round().await.expect("sweeps");
        assert_eq!(fixture.sent_accounts().await, [ann]);
    }

    #[tokio::test]
    async fn rounds_do_not_pile_up() {
        let mut fixture = fixture().await;
        let ann = fixture.account(1).await;
        fixture.sweeper.round().await.expect("sweeps");
        fixture.change(ann, "Projects").await;
        fixture.pass(25 * HOUR);
        fixture.sweeper.round().await.expect("skips");
        assert_eq!(
            fixture.sent().await.len(),
            5,
            "garbage collection, audit, domains, statistics and Ann, once"
        );
        fixture.sweeper.round().await.expect("sweeps");
        // Something in the queue that goes on for hours holds no chores up for longer than that.
        fixture.pass(29 * HOUR);
        fixture.sweeper.round().await.expect("skips");
        fixture.pass(HOUR);
        fixture.sweeper.round().await.expect("sends the chores");
        assert_eq!(fixture.sent().await.len(), 9);
    }

    #[tokio::test]
    async fn chores_are_done_once_a_day_across_starts() {
        let fixture = fixture().await;
        let tenant = fixture.tenant;
        let chores = [
            House::CollectGarbage(tenant),
            House::Audit(tenant),
            House::Domains(tenant),
            House::Statistics(tenant),
        ];
        let sorted = |mut houses: Vec<House>| {
            houses.sort_by_key(|house| chores.iter().position(|chore| chore == house));
            houses
        };
        fixture.sweeper.chores_if_due().await.expect("chores");
        assert_eq!(sorted(fixture.sent().await), chores);

        let pipeline = Arc::clone(&fixture.sweeper.pipeline);
        let mut restarted = Sweeper::new(&fixture.office, pipeline, Retention::default());
        restarted.clock = Arc::clone(&fixture.clock) as Arc<dyn Clock>;
        fixture.pass(23 * HOUR);
        restarted.chores_if_due().await.expect("not yet");
        assert_eq!(fixture.sent().await, []);
        fixture.pass(HOUR);
        restarted.chores_if_due().await.expect("chores");
        assert_eq!(sorted(fixture.sent().await), chores);
    }

    #[tokio::test]
    async fn old_traces_and_logins_go_and_operations_of_administrators_stay() {
        let mut fixture = fixture().await;
        fixture.sweeper.retention.login_days = NonZeroU32::new(30).expect("not zero");
        let log = fixture.office.log();
        let days_ago = |days: i64| Timestamp(fixture.clock.now().0 - days * DAY_MILLIS);
        for kind in [LogKind::Trace, LogKind::Login, LogKind::Audit] {
            for days in [200, 100] {
                let time = days_ago(days);
                let id = EventId::from_parts(time, 1);
                let record = LogRecord { tenant: fixture.tenant, kind, id, time, value: vec![1] };
                log.append(&[record]).await.expect("appends");
            }
        }
        fixture.sweeper.chores_if_due().await.expect("chores");
        for (kind, left) in [(LogKind::Trace, 1), (LogKind::Login, 0), (LogKind::Audit, 2)] {
            let (from, to) = (EventId::from_parts(Timestamp(0), 0), EventId::from_parts(days_ago(0), 0));
            let query = LogQuery { tenant: fixture.tenant, kind, from, to, limit: 10 };
            assert_eq!(log.query(&query).await.expect("finds").len(), left, "{kind:?}");
        }
    }
}
