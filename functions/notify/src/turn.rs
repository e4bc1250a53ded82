//! A turn of a subscription: its receiver is told what waits.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use pennypost_hooks::{Attempted, Hooks, Notice, Progress, Subscription, Waiting, post};
use pennypost_model::{TenantId, Timestamp};
use pennypost_outbound::retry_after;

use crate::letters::Letters;
use crate::messenger::{Messenger, MessengerError};

/// How long somebody goes on with one subscription; then others have their turn.
const TURN: Duration = Duration::from_secs(60);
/// Nothing more is begun so long after the turn began: what is begun then ends before the claim does.
const LATEST: Duration = Duration::from_secs(240);
/// Notices of each kind that are looked at once.
const NOTICES: usize = 50;
/// Notices that one receiver is told at once.
const AT_ONCE: usize = 5;
/// How long as many take at least: no receiver is told more than 20 in a second by one of us.
const PACE: Duration = Duration::from_millis(250);
/// So many refusals, and nothing taken: it is the receiver, not what it is told.
const REFUSALS: u32 = 10;
/// As many of the letters of one entry.
const REFUSALS_OF_ENTRY: u32 = 3;

/// How a turn ended.
pub(crate) enum Turn {
    /// All was told that may be told now; some of what was refused may be told again then.
    Over(Option<Timestamp>),
    /// There is more.
    More,
    /// The receiver takes nothing now.
    Failed(Attempted),
}

/// What has come of a turn so far.
#[derive(Default)]
pub(crate) struct Tally {
    /// Notices that were taken.
    pub taken: u64,
    /// What was answered last when one was taken.
    pub last: Option<Attempted>,
    /// Notices that were refused, though the receiver answers.
    refusals: u32,
    /// What was answered to the last one of them.
    pub refused: Option<Attempted>,
    /// Notices that nobody wants to know of any more were dropped.
    pub has_dropped: bool,
}

/// What came of something that waits.
struct Told<'a> {
    waiting: &'a Waiting,
    progress: Progress,
    taken: u64,
    last: Option<Attempted>,
    refusals: u32,
    refused: Option<Attempted>,
    /// The receiver takes nothing now.
    stopped: Option<Attempted>,
    /// The time was over.
    is_cut: bool,
}

impl Messenger {
    /// Tells what waits, until all is told, the time is over, or the receiver takes nothing.
    pub(crate) async fn turn(
        &self,
        tenant: TenantId,
        subscription: &Subscription,
        tally: &mut Tally,
    ) -> Result<Turn, MessengerError> {
        let ports = &self.ports;
        let place = Hooks::place_of_secret(tenant, subscription.id);
        let secret = match ports.secrets.open(&place, &subscription.secret).await {
            Ok(secret) => secret,
            Err(error) => {
                tracing::error!(%tenant, subscription = %subscription.id, %error, "a secret can't be opened");
                return Ok(Turn::Failed(Attempted::Unreachable("its secret can't be opened".to_owned())));
            }
        };
        let begun = Instant::now();
        while begun.elapsed() < TURN {
            let now = ports.clock.now();
            let look = ports.hooks.waiting(tenant, subscription.id, now, NOTICES).await?;
            let is_old = |one: &Waiting| {
                one.progress.since.is_some_and(|since| now >= since.plus_millis(self.settings.patience))
            };
            let (old, mut waiting): (Vec<Waiting>, Vec<Waiting>) = look.waiting.into_iter().partition(is_old);
            // What was refused before comes behind what nobody has seen yet.
            waiting.sort_by_key(|one| one.progress.tries);
            if !old.is_empty() {
                let (count, id) = (old.len(), subscription.id);
                tracing::warn!(%tenant, subscription = %id, count, "notices that were not taken for long are dropped");
                ports.hooks.all_done(tenant, &old).await?;
                tally.has_dropped = true;
            } else if waiting.is_empty() {
                return Ok(
                    match tally.refused.take_if(|refused| tally.taken == 0 && !refused.is_of_notice()) {
                        Some(refused) => Turn::Failed(refused),
                        None => Turn::Over(look.next),
                    },
                );
            }
            let mut letters = Letters::of(&ports.directory, &ports.store, &self.loading, tenant);
            for some in waiting.chunks(AT_ONCE) {
                let mut told = Vec::with_capacity(some.len());
                for waiting in some {
                    let notices = match letters.notices(subscription, waiting).await {
                        // Whose mail is damaged holds up nobody else.
                        Err(MessengerError::Store(error)) if !error.is_temporary() => {
                            let account = waiting.account;
                            tracing::error!(%tenant, %account, %error, "nothing is told of damaged mail");
                            Vec::new()
                        }
                        notices => notices?,
                    };
                    told.push((waiting, notices));
                }
                if begun.elapsed() >= LATEST {
                    return Ok(Turn::More);
                }
                let started = Instant::now();
                if let Some(stopped) = self.tell(tenant, subscription, &secret, told, begun, tally).await? {
                    return Ok(Turn::Failed(stopped));
                }
                if begun.elapsed() >= TURN {
                    return Ok(Turn::More);
                }
                tokio::time::sleep(PACE.saturating_sub(started.elapsed())).await;
            }
        }
        Ok(Turn::More)
    }

    /// Tells some at once; what was taken waits no more, what was refused is put behind the others. Why the receiver takes
    /// nothing now, if so.
    async fn tell(
        &self,
        tenant: TenantId,
        subscription: &Subscription,
        secret: &[u8],
        told: Vec<(&Waiting, Vec<Notice>)>,
        begun: Instant,
        tally: &mut Tally,
    ) -> Result<Option<Attempted>, MessengerError> {
        let hooks = &self.ports.hooks;
        let mut telling: Vec<BoxFuture<'_, Told<'_>>> = Vec::with_capacity(told.len());
        for (waiting, notices) in told {
            telling.push(self.tell_entry(subscription, secret, waiting, notices, begun).boxed());
        }
        let mut telling = futures::stream::iter(telling).buffer_unordered(AT_ONCE);
        let mut stopped = None;
        while let Some(told) = telling.next().await {
            let Told { waiting, mut progress, .. } = told;
            tally.taken = tally.taken.saturating_add(told.taken);
            tally.refusals = tally.refusals.saturating_add(told.refusals);
            tally.last = told.last.or(tally.last.take());
            let is_refused = told.refused.is_some();
            tally.refused = told.refused.or(tally.refused.take());
            if is_refused {
                let now = self.ports.clock.now();
                let since = *progress.since.get_or_insert(now);
                progress.tries = progress.tries.saturating_add(1);
                let pause =
                    i64::try_from(retry_after(progress.tries, fastrand::f64()).as_millis()).unwrap_or(0);
                // Looked at again when it has waited long enough, too: it is dropped then.
                progress.until = now.plus_millis(pause).min(since.plus_millis(self.settings.patience));
                hooks.keep(tenant, subscription.id, waiting, &progress).await?;
            } else if told.stopped.is_none() && !told.is_cut {
                hooks.done(tenant, waiting).await?;
            } else if told.taken > 0 {
                hooks.keep(tenant, subscription.id, waiting, &progress).await?;
            }
            stopped = told.stopped.or(stopped);
        }
        let is_all_refused = tally.taken == 0 && tally.refusals >= REFUSALS;
        Ok(stopped.or_else(|| tally.refused.clone().filter(|_| is_all_refused)))
    }

    /// Tells the letters of an entry that were not told before, one after the other.
    async fn tell_entry<'a>(
        &self,
        subscription: &Subscription,
        secret: &[u8],
        waiting: &'a Waiting,
        notices: Vec<Notice>,
        begun: Instant,
    ) -> Told<'a> {
        let (https, clock) = (&*self.ports.https, &*self.ports.clock);
        let mut told = Told {
            waiting,
            progress: waiting.progress.clone(),
            taken: 0,
            last: None,
            refusals: 0,
            refused: None,
            stopped: None,
            is_cut: false,
        };
        let mut started: Option<Instant> = None;
        for (index, notice) in (0_u32..).zip(&notices) {
            if told.progress.told.contains(&index) {
                continue;
            }
            if let Some(started) = started {
                if begun.elapsed() >= TURN {
                    told.is_cut = true;
                    break;
                }
                tokio::time::sleep(PACE.saturating_sub(started.elapsed())).await;
            }
            started = Some(Instant::now());
            let attempted = post(https, &subscription.place, secret, notice, clock.now()).await;
            if attempted.is_taken() {
                told.progress.told.insert(index);
                told.taken += 1;
                told.last = Some(attempted);
            } else if attempted.is_of_receiver() {
                told.stopped = Some(attempted);
                break;
            } else {
                told.refusals += 1;
                told.refused = Some(attempted);
                if told.taken == 0 && told.refusals >= REFUSALS_OF_ENTRY {
                    break;
                }
            }
        }
        told
    }
}
