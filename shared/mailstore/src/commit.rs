//! The commit rule (architecture section 4): decide on a state, append the next entry if nobody else has;
//! otherwise fold what came in between and decide again.

use std::future::{Future, poll_fn, ready};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use pennypost_fold::{Draft, State};
use pennypost_model::journal::Actor;
use pennypost_model::{AccountKey, Seq};
use pennypost_ports::{Appended, Consistency, NewObject};

use crate::{ChangeError, Mailstore, StoreError};

/// Lost races before a change gives up.
const MAX_TRIES: u32 = 40;

/// A change that stands.
#[derive(Debug, Clone)]
pub struct Committed<T> {
    /// The account after it.
    pub state: State,
    /// What the decision gave.
    pub value: T,
    /// The entry that was appended; `None` if there was nothing to change.
    pub entry: Option<Seq>,
}

impl Mailstore {
    /// Changes an account. `decide` is called on the newest state known, and again on a newer one whenever
    /// somebody else was faster; what it puts into the draft is committed as one entry.
    ///
    /// # Errors
    /// What `decide` returned, or [`StoreError`]. After a temporary error of the store the change may or may
    /// not stand.
    pub async fn commit<T, E>(
        &self,
        account: AccountKey,
        state: State,
        actor: &Actor,
        decide: impl FnMut(&mut Draft) -> Result<T, E>,
    ) -> Result<Committed<T>, ChangeError<E>> {
        self.commit_with(account, state, actor, None, ready(Ok(())), decide, |_, _| {}).await
    }

    /// As [`Mailstore::commit`]; `object`, which the journal takes, is put with the entry. Without an entry it is
    /// not put. `before` is what must be durable before the entry is appended: it goes on while the entry is made. `meanwhile` is called with the state after an entry and with what the decision gave, while the entry is
    /// on its way: it may be lost yet, and then `meanwhile` is called again with the next one.
    pub(crate) async fn commit_with<T, E>(
        &self,
        account: AccountKey,
        mut state: State,
        actor: &Actor,
        object: Option<NewObject>,
        before: impl Future<Output = Result<(), StoreError>>,
        mut decide: impl FnMut(&mut Draft) -> Result<T, E>,
        mut meanwhile: impl FnMut(&State, &T),
    ) -> Result<Committed<T>, ChangeError<E>> {
        let mut before = pin!(before);
        let mut is_ready = false;
        for attempt in 0..MAX_TRIES {
            if !is_ready {
                let begun = poll_fn(|context| Poll::Ready(before.as_mut().poll(context))).await;
                is_ready = begun.is_ready();
                if let Poll::Ready(failed @ Err(_)) = begun {
                    failed?;
                }
            }
            let mut draft = Draft::new(&state, actor.clone(), self.clock.now());
            let value = decide(&mut draft).map_err(ChangeError::Decided)?;
            let Some((entry, after)) = draft.finish() else {
                return Ok(Committed { state, value, entry: None });
            };
            if !is_ready {
                before.as_mut().await?;
                is_ready = true;
            }
            let mut appending = match &object {
                Some(object) => self.journal.append_with(account, &entry, object.clone()),
                None => self.journal.append(account, &entry),
            };
            let begun = poll_fn(|context| Poll::Ready(appending.as_mut().poll(context))).await;
            meanwhile(&after, &value);
            let appended = match begun {
                Poll::Ready(appended) => appended?,
                Poll::Pending => appending.await?,
            };
            match appended {
                Appended::Committed => {
                    return Ok(Committed { state: after, value, entry: Some(entry.seq) });
                }
                Appended::Lost(_) => {
                    self.pause(attempt).await;
                    self.advance(account, &mut state, Consistency::Strong).await?;
                }
            }
        }
        Err(StoreError::Busy.into())
    }

    /// Waits after a lost race: not at all at first, then up to 50 ms, at random.
    pub async fn pause(&self, attempt: u32) {
        if attempt >= 2 {
            let most = (2_u64 << attempt.min(5)).min(50);
            self.clock.sleep(Duration::from_millis(self.ids.random() % (most + 1))).await;
        }
    }
}
