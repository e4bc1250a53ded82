//! Letters of members that go later (SND-08), and for how long all of a member's wait so that he can take them back.
//!
//! Of a letter is told what its writer has in Sent otherwise: subject and recipients, never what is in it. Who says another time,
//! or takes it back, races against its going: one conditional write decides, and whoever comes too late is told what became of it.

use std::sync::Arc;

use pennypost_directory::UndoWindow;
use pennypost_held::{Cause, Change, Changed, Held, HeldLetters, MAX_DAYS, MAX_HELD, MAX_HELD_BYTES, State};
use pennypost_model::{AccountKey, EventId, Timestamp};
use serde_json::json;

use crate::action::Action;
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict, Invalid};

/// Letters that are read at once.
const PAGE: usize = 200;
/// Milliseconds of a day.
const DAY: i64 = 24 * 3_600_000;

/// A letter that goes later, or was to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenHeld(pub Held);

impl SeenHeld {
    /// To whom it goes: each address once.
    #[must_use]
    pub fn recipients(&self) -> Vec<String> {
        use pennypost_model::event::Via;
        let accepted = &self.0.accepted;
        let meant = accepted.recipients.iter().filter(|one| one.via != Via::Sent).map(|one| &one.address);
        let groups = accepted.source.kind.groups().iter().map(|group| &group.address);
        let mut recipients: Vec<String> = Vec::new();
        for address in meant.chain(groups).chain(self.0.refused.iter().map(|(address, _)| address)) {
            if !recipients.contains(address) {
                recipients.push(address.clone());
            }
        }
        recipients
    }

    /// When it goes, or was to go, as a clock shows it where its writer thinks of it; `None` where he has not said where.
    #[must_use]
    pub fn local_time(&self) -> Option<String> {
        pennypost_held::shown_time(self.0.wanted, &self.0.zone)
    }

    /// When it ended.
    #[must_use]
    pub const fn ended(&self) -> Option<Timestamp> {
        self.0.state.ended()
    }
}

impl Administration {
    fn waiting_letters(&self) -> HeldLetters {
        HeldLetters::new(Arc::clone(&self.control))
    }

    /// Letters of a member that go later, and those that have ended of late; the oldest first, behind that one.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn held_letters(
        &self,
        call: &Call,
        key: AccountKey,
        after: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<SeenHeld>, Option<EventId>), AdminError> {
        self.seen(call, Action::HeldRead, key).await?;
        let (letters, next) = self.waiting_letters().of_account(key, after, limit).await?;
        Ok((letters.into_iter().map(SeenHeld).collect(), next))
    }

    /// The same, for whoever may see them.
    pub(crate) async fn held_letters_of(
        &self,
        key: AccountKey,
        after: Option<EventId>,
    ) -> Result<(Vec<SeenHeld>, Option<EventId>), AdminError> {
        let (letters, next) = self.waiting_letters().of_account(key, after, PAGE).await?;
        Ok((letters.into_iter().map(SeenHeld).collect(), next))
    }

    /// One of them.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn held_letter(
        &self,
        call: &Call,
        key: AccountKey,
        letter: EventId,
    ) -> Result<SeenHeld, AdminError> {
        self.seen(call, Action::HeldRead, key).await?;
        let found = self.waiting_letters().find(key, letter).await?;
        found.map(|(held, _)| SeenHeld(held)).ok_or(AdminError::NotFound("letter"))
    }

    /// Takes a letter back, or lets it go at another time, or now.
    ///
    /// # Errors
    /// [`Conflict::LetterGone`], [`Conflict::LetterBack`], [`Conflict::LetterUnsent`] for one that waits no more,
    /// [`Invalid::SendTime`]; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_held_letter(
        &self,
        call: &Call,
        key: AccountKey,
        letter: EventId,
        change: &Change,
    ) -> Result<SeenHeld, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::HeldChange, &object);
        let account = self.permitted(call, &about, key).await?;
        let held = self.waiting_letters();
        let (seen, _) = held.find(key, letter).await?.ok_or(AdminError::NotFound("letter"))?;
        over(&seen.state)?;
        let now = self.clock.now();
        let told = match change {
            Change::TakeBack => json!("taken-back"),
            Change::Now => json!(now.rfc3339()),
            Change::At(at, _) => {
                let latest = now.plus_millis(i64::from(MAX_DAYS) * DAY).max(seen.wanted);
                if *at <= now || *at > latest {
                    return Err(Invalid::SendTime { days: MAX_DAYS }.into());
                }
                // Of what can be taken back for a moment there may be any number.
                if seen.cause == Cause::Undo {
                    let (letters, bytes) = held.waiting(key).await?;
                    if letters >= MAX_HELD || bytes >= MAX_HELD_BYTES {
                        let megabytes = MAX_HELD_BYTES >> 20;
                        return Err(AdminError::Conflict(Conflict::LettersFull {
                            letters: MAX_HELD,
                            megabytes,
                        }));
                    }
                }
                json!(at.rfc3339())
            }
        };
        let address = account.address.to_string();
        let before = json!({ "letter": letter.to_string(), "time": seen.wanted.rfc3339() });
        let about = About { object: &address, ..about }.from(before).to(json!({ "time": told }));
        self.act(call, &about, async {
            match held.change(key, letter, change, now, &*self.ids).await? {
                Changed::Done(held) => Ok(SeenHeld(*held)),
                Changed::Missing => Err(AdminError::NotFound("letter")),
                Changed::Over(held) => over(&held.state).map(|()| SeenHeld(*held)),
            }
        })
        .await
    }

    /// For how long a member's letters wait, so that he can take them back.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn undo_window(&self, call: &Call, key: AccountKey) -> Result<Option<UndoWindow>, AdminError> {
        self.seen(call, Action::UndoRead, key).await?;
        Ok(self.directory.undo_window_now(key).await?)
    }

    /// Says for how many seconds they wait, or that they don't, if what holds is still as expected.
    ///
    /// # Errors
    /// [`Invalid::UndoWindow`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_undo_window(
        &self,
        call: &Call,
        key: AccountKey,
        expected: Option<UndoWindow>,
        seconds: Option<u16>,
    ) -> Result<Option<UndoWindow>, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::UndoChange, &object);
        let account = self.permitted(call, &about, key).await?;
        let (least, most) = UndoWindow::RANGE;
        let meant = |seconds| UndoWindow::new(seconds).ok_or(Invalid::UndoWindow { least, most });
        let window = seconds.map(meant).transpose()?;
        let address = account.address.to_string();
        let document = |window: Option<UndoWindow>| json!({ "seconds": window.map(UndoWindow::seconds) });
        let about = About { object: &address, ..about }.from(document(expected)).to(document(window));
        self.act(call, &about, async {
            match self.directory.change_undo_window(key, expected, window).await {
                Ok(true) => Ok(window),
                Ok(false) => Err(AdminError::Changed),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }
}

/// Why nothing can be done with a letter any more, if so.
fn over(state: &State) -> Result<(), AdminError> {
    match state {
        State::Waiting => Ok(()),
        State::Sent { .. } => Err(AdminError::Conflict(Conflict::LetterGone)),
        State::TakenBack { .. } => Err(AdminError::Conflict(Conflict::LetterBack)),
        State::Unsent { .. } => Err(AdminError::Conflict(Conflict::LetterUnsent)),
    }
}
