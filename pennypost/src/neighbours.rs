//! Sessions learn of what other processes have changed, and other processes of what was changed here.
//!
//! On the embedded backend that is a tick for every foreign commit. On the other each adapter has a bell (see
//! `pennypost_backend_aws::wakeups`): it says whose sessions wait here, is rung when those accounts change elsewhere, and
//! rings the bells of the others. What neither brings is found by a look at all who wait every few minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pennypost_backend_aws::wakeups::{Bell, FRESH};
use pennypost_mailstore::{Mailroom, Others};
use pennypost_model::{AccountKey, Seq};
use pennypost_ports::{PortResult, Wakeups};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

/// Between two looks at who waits for news here.
const LOOK: Duration = Duration::from_secs(5);
/// The others are told that this adapter lives at least so often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(60);
/// Whoever began to wait is looked after once when everybody must know of it.
const KNOWN_AFTER: Duration = FRESH.saturating_add(LOOK);
/// Between two looks for everybody who waits, in case that a wake-up was lost.
const IN_DOUBT: Duration = Duration::from_secs(300);
/// How long changes are gathered before others are told of them.
const GATHER: Duration = Duration::from_millis(50);
/// After an answer that failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Wakes the sessions of this process at once, and those of others by their bells.
pub(crate) struct HereAndThere {
    pub here: Mailroom,
    pub there: Others,
}

#[async_trait]
impl Wakeups for HereAndThere {
    async fn wake(&self, account: AccountKey, seq: Seq) -> PortResult<()> {
        // Nobody listens when the process is about to end.
        let _ = self.there.send((account, seq));
        self.here.wake(account, seq).await
    }
}

/// Wakes everybody for each foreign commit.
pub(crate) async fn of_a_directory(mut changes: watch::Receiver<u64>, room: Mailroom) {
    while changes.changed().await.is_ok() {
        room.wake_all();
    }
}

/// Wakes and is woken, until it is dropped.
pub(crate) async fn of_an_adapter(
    bell: Arc<Bell>,
    room: Mailroom,
    changed_here: mpsc::UnboundedReceiver<(AccountKey, Seq)>,
) {
    tokio::join!(listen(&bell, &room), announce(&bell, &room), tell(&bell, changed_here), doubt(&room));
}

/// The same without a bell, because it could not be made: all that is left are looks in doubt.
pub(crate) async fn of_a_deaf_adapter(
    room: Mailroom,
    mut changed_here: mpsc::UnboundedReceiver<(AccountKey, Seq)>,
) {
    changed_here.close();
    doubt(&room).await;
}

async fn listen(bell: &Bell, room: &Mailroom) {
    loop {
        match bell.listen().await {
            Ok(news) => {
                if let Err(error) = room.wake_many(&news).await {
                    tracing::debug!(%error, "not woken");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "sessions learn late of what others change");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Tells who waits here, when that changes, and that this adapter lives.
async fn announce(bell: &Bell, room: &Mailroom) {
    let mut told: Option<(Instant, BTreeSet<AccountKey>)> = None;
    let mut new: Vec<(Instant, AccountKey)> = Vec::new();
    loop {
        sleep(LOOK).await;
        let now = Instant::now();
        let is_known = |(since, _): &(Instant, AccountKey)| now.duration_since(*since) >= KNOWN_AFTER;
        for (_, account) in new.extract_if(.., |one| is_known(one)) {
            room.look_again(account);
        }
        let watched: BTreeSet<AccountKey> = room.watched().into_iter().collect();
        let (at, before) = match &told {
            Some((at, before)) => (Some(*at), before.clone()),
            None => (None, BTreeSet::new()),
        };
        let is_due = at.is_none_or(|at| now.duration_since(at) >= SIGN_OF_LIFE);
        // Whoever has gone may be told in vain until the next sign of life.
        if !is_due && watched.is_subset(&before) {
            continue;
        }
        let all: Vec<AccountKey> = watched.iter().copied().collect();
        match bell.announce(&all).await {
            Ok(()) => {
                new.extend(watched.difference(&before).map(|account| (now, *account)));
                told = Some((now, watched));
            }
            Err(error) => tracing::warn!(%error, "others do not know who waits here"),
        }
    }
}

/// Tells the others what was changed here.
async fn tell(bell: &Bell, mut changed_here: mpsc::UnboundedReceiver<(AccountKey, Seq)>) {
    let others = bell.others().await;
    while let Some((account, seq)) = changed_here.recv().await {
        let mut newest = BTreeMap::from([(account, seq)]);
        sleep(GATHER).await;
        while let Ok((account, seq)) = changed_here.try_recv() {
            let known = newest.entry(account).or_insert(seq);
            *known = seq.max(*known);
        }
        let news: Vec<(AccountKey, Seq)> = newest.into_iter().collect();
        if let Err(error) = others.wake_many(&news).await {
            tracing::warn!(%error, "sessions elsewhere learn late of changes");
        }
    }
}

async fn doubt(room: &Mailroom) {
    loop {
        sleep(IN_DOUBT).await;
        room.wake_all();
    }
}
