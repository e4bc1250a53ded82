//! The letters that a member has sent, and what became of them (DLV-01, DLV-02, DLV-04, DLV-05, DLV-08): from their traces, and
//! of those that go later from where they wait; who has read them (DLV-06) from the mailboxes of the recipients.

use std::collections::BTreeMap;

use pennypost_journeys::{Backwards, Journey, Remote};
use pennypost_model::trace::{
    FORWARD_REASON, Outcome, RemoteAnswer, RemoteOutcome, TraceRecipient, TraceStep,
};
use pennypost_model::{AccountId, AccountKey, EventId, Rid, Timestamp};

use crate::action::Action;
use crate::call::Call;
use crate::{AdminError, Administration, ReadState, SeenHeld};

/// Days of which members are told.
const MOST_DAYS: i64 = 90;
/// Milliseconds of a day.
const DAY: i64 = 24 * 3_600_000;
/// Letters that a page looks at, about.
pub(crate) const MAX_READ: usize = 10_000;
/// The clock of another machine may be ahead.
const AHEAD: i64 = 3_600_000;
/// Letters that wait that are shown before all others.
const MAX_WAITING: usize = 1_000;
/// For longer than this nothing waits that is known to wait: letters are tried for five days, and then told of.
const LOST_AFTER: i64 = 7 * DAY;

/// From when until when letters are looked for.
pub(crate) fn span(
    now: Timestamp,
    shown_since: Timestamp,
    days: Option<u16>,
    below: Option<EventId>,
) -> (Timestamp, Timestamp) {
    let since = now.plus_millis(-DAY * days.map_or(MOST_DAYS, |days| i64::from(days).min(MOST_DAYS)));
    let last = now.plus_millis(AHEAD);
    (shown_since.max(since), below.map_or(last, |below| last.min(below.time())))
}

/// What has become of a letter for a recipient (DLV-02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeliveryState {
    /// It goes later.
    Scheduled,
    /// It is being processed.
    Processing,
    /// Another server has not answered in time, or not taken it yet: it is tried again.
    Redelivering,
    /// It is in the mailbox, of the same organisation.
    Delivered,
    /// Another server has it.
    Reached,
    /// It was refused by the other server, at once or in a later report, or by the recipient's mailbox.
    Refused,
    /// It did not get there.
    Failed,
    /// For a week nothing was heard of it: its record is lost, or what was done was never confirmed.
    Unknown,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [DeliveryState; 8] = [
        DeliveryState::Scheduled,
        DeliveryState::Processing,
        DeliveryState::Redelivering,
        DeliveryState::Delivered,
        DeliveryState::Reached,
        DeliveryState::Refused,
        DeliveryState::Failed,
        DeliveryState::Unknown,
    ];

    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DeliveryState::Scheduled => "scheduled",
            DeliveryState::Processing => "processing",
            DeliveryState::Redelivering => "redelivering",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Reached => "reached-server",
            DeliveryState::Refused => "refused",
            DeliveryState::Failed => "failed",
            DeliveryState::Unknown => "unknown",
        }
    }

    /// Does the recipient have it, or his server?
    const fn is_there(self) -> bool {
        matches!(self, DeliveryState::Delivered | DeliveryState::Reached)
    }

    /// Of several recipients of a letter the state that its writer should know of first.
    const fn rank(self) -> u8 {
        match self {
            DeliveryState::Delivered => 0,
            DeliveryState::Reached => 1,
            DeliveryState::Processing => 2,
            DeliveryState::Scheduled => 3,
            DeliveryState::Redelivering => 4,
            DeliveryState::Unknown => 5,
            DeliveryState::Failed => 6,
            DeliveryState::Refused => 7,
        }
    }
}

/// What has become of a letter for one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientState {
    /// The address to which it was written.
    pub address: String,
    /// What has become of it.
    pub state: DeliveryState,
    /// Since when, if that is known.
    pub since: Option<Timestamp>,
    /// What another server said, or why it is so.
    pub cause: Option<String>,
    /// Who has reported that it came back, after another server had taken it.
    pub reporter: Option<String>,
    /// When it is tried again.
    pub next: Option<Timestamp>,
    /// Whether it was read, where that is told.
    pub read: Option<ReadState>,
    /// The copies in mailboxes of the organisation.
    pub(crate) copies: Vec<(AccountId, Rid)>,
}

impl RecipientState {
    /// One of whom nothing else is known.
    pub(crate) const fn new(state: DeliveryState) -> RecipientState {
        RecipientState {
            address: String::new(),
            state,
            since: None,
            cause: None,
            reporter: None,
            next: None,
            read: None,
            copies: Vec::new(),
        }
    }
}

/// A letter that a member has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnLetter {
    /// Its id.
    pub id: EventId,
    /// When it was handed in, or has gone.
    pub time: Timestamp,
    /// When it goes, if it waits for that.
    pub goes: Option<Timestamp>,
    /// Its subject, cut.
    pub subject: String,
    /// Its Message-ID, cut.
    pub message_id: String,
    /// Its bytes.
    pub size: u64,
    /// The worst of what has become of it.
    pub state: DeliveryState,
    /// What has become of it for each address.
    pub recipients: Vec<RecipientState>,
}

fn worst(recipients: &[RecipientState]) -> DeliveryState {
    let states = recipients.iter().map(|one| one.state);
    states.max_by_key(|state| state.rank()).unwrap_or(DeliveryState::Processing)
}

fn of_remote(remote: Option<Remote<'_>>, now: Timestamp) -> RecipientState {
    let Some(remote) = remote else {
        return RecipientState::new(DeliveryState::Processing);
    };
    let RemoteAnswer { code, status, text } = remote.answer;
    let state = match (remote.outcome, code) {
        // Whoever reports may tell no code: it was a server behind the first that did not take it.
        _ if remote.came_back.is_some() => DeliveryState::Refused,
        (RemoteOutcome::Sent, _) => DeliveryState::Reached,
        (RemoteOutcome::Deferred, _) => DeliveryState::Redelivering,
        (RemoteOutcome::Failed, Some(_)) => DeliveryState::Refused,
        (RemoteOutcome::Failed, None) => DeliveryState::Failed,
    };
    let code = code.map(|code| format!("{code} ")).unwrap_or_default();
    let is_waiting = remote.outcome == RemoteOutcome::Deferred;
    RecipientState {
        since: Some(remote.time),
        cause: Some(format!("{code}{status} {text}").trim().to_owned()).filter(|cause| !cause.is_empty()),
        reporter: remote.came_back.map(|back| back.reporter.clone()),
        next: remote.attempt.next.filter(|next| is_waiting && *next > now),
        ..RecipientState::new(state)
    }
}

fn of_recipient(recipient: &TraceRecipient, letter: &Journey, now: Timestamp) -> RecipientState {
    let address = recipient.address.clone();
    let since = letter.delivery.as_ref().map(|delivery| delivery.time);
    let refused = |cause: &str| RecipientState {
        since,
        cause: Some(cause.to_owned()),
        ..RecipientState::new(DeliveryState::Refused)
    };
    let state = match &recipient.outcome {
        // Which of his folders it is in is the recipient's.
        Outcome::Stored { rid, .. } => {
            // To whom somebody forwards what he gets the member has not written.
            let is_forward = |reason: &String| reason.starts_with(FORWARD_REASON);
            let is_written_to =
                recipient.account.tenant == letter.tenant && !recipient.reasons.iter().any(is_forward);
            let copies = is_written_to.then_some((recipient.account.account, *rid)).into_iter().collect();
            RecipientState { since, copies, ..RecipientState::new(DeliveryState::Delivered) }
        }
        Outcome::Refused { cause } => refused(cause),
        // It may still be released, and is told then as any that was delivered.
        Outcome::Quarantined { .. } => refused("5.7.1 quarantined"),
        Outcome::Outside => of_remote(letter.remote(&recipient.address), now),
    };
    let is_read = letter.receipt(&recipient.address).is_some() && state.state.is_there();
    RecipientState { address, read: is_read.then_some(ReadState::Read), ..state }
}

/// What became of a letter that the member has sent; `None` if it is somebody else's.
pub(crate) fn own(letter: &Journey, key: AccountKey, now: Timestamp) -> Option<OwnLetter> {
    let delivery = letter.delivery.as_ref()?;
    if letter.submitter()?.account != key {
        return None;
    }
    // Of several accounts behind an address, those of a group, the worst is told.
    let mut by_address: BTreeMap<&str, RecipientState> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for recipient in letter.recipients() {
        let found = of_recipient(recipient, letter, now);
        match by_address.get_mut(recipient.address.as_str()) {
            Some(known) => {
                let mut copies = std::mem::take(&mut known.copies);
                copies.extend(&found.copies);
                if known.state.rank() < found.state.rank() {
                    *known = found;
                }
                known.copies = copies;
            }
            None => {
                order.push(&recipient.address);
                by_address.insert(&recipient.address, found);
            }
        }
    }
    let mut recipients: Vec<RecipientState> =
        order.into_iter().filter_map(|address| by_address.remove(address)).collect();
    // The copy in Sent of a mailing is none of its letters.
    if recipients.is_empty() {
        return None;
    }
    let given_up = letter.incidents.iter().find_map(|(time, step)| match step {
        TraceStep::Refused { cause } => Some((*time, cause)),
        _ => None,
    });
    if let Some((time, cause)) = given_up {
        for one in recipients.iter_mut().filter(|one| one.state == DeliveryState::Processing) {
            (one.state, one.since, one.cause) = (DeliveryState::Failed, Some(time), Some(cause.clone()));
        }
    }
    if delivery.accepted.plus_millis(LOST_AFTER) < now {
        for one in recipients.iter_mut().filter(|one| one.state == DeliveryState::Processing) {
            one.state = DeliveryState::Unknown;
        }
    }
    Some(OwnLetter {
        id: letter.id,
        time: delivery.accepted,
        goes: None,
        subject: delivery.subject.clone(),
        message_id: delivery.message_id.clone(),
        size: delivery.size,
        state: worst(&recipients),
        recipients,
    })
}

fn waiting(held: &SeenHeld) -> OwnLetter {
    let recipients = held.recipients().into_iter().map(|address| RecipientState {
        address,
        since: Some(held.0.accepted.time),
        next: Some(held.0.due),
        ..RecipientState::new(DeliveryState::Scheduled)
    });
    OwnLetter {
        id: held.0.id(),
        time: held.0.accepted.time,
        goes: Some(held.0.wanted),
        subject: held.0.subject.clone(),
        message_id: String::new(),
        size: held.0.size(),
        state: DeliveryState::Scheduled,
        recipients: recipients.collect(),
    }
}

impl Administration {
    /// Letters that a member has sent within so many days, the newest first, below an id; on the first page those that wait for
    /// their time stand before them. At most `limit` beside these, but perhaps fewer, even none, though there are more. With the
    /// id below which the next ones are.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn own_letters(
        &self,
        call: &Call,
        key: AccountKey,
        days: Option<u16>,
        below: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<OwnLetter>, Option<EventId>), AdminError> {
        self.seen(call, Action::OwnLetterRead, key).await?;
        let (mut letters, next) = self.find_own_letters(key, days, below, limit).await?;
        self.tell_reads(key.tenant, &mut letters).await?;
        Ok((letters, next))
    }

    async fn find_own_letters(
        &self,
        key: AccountKey,
        days: Option<u16>,
        below: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<OwnLetter>, Option<EventId>), AdminError> {
        let now = self.clock.now();
        let (begin, end) = span(now, self.shown_since(key.tenant).await?, days, below);
        let mut found = Vec::new();
        if below.is_none() {
            let (mut after, mut shown) = (None, 0);
            while shown < MAX_WAITING {
                let (letters, next) = self.held_letters_of(key, after).await?;
                shown += letters.len();
                found.extend(letters.iter().filter(|held| held.0.is_waiting()).map(waiting));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            found.reverse();
        }
        let limit = limit + found.len();
        let log = self.traces()?;
        let mut backwards = Backwards::new(&**log, key.tenant, begin, end);
        let mut read = 0;
        while let Some(window) = backwards.next().await? {
            read += window.len();
            for letter in window.iter().filter(|letter| below.is_none_or(|below| letter.id < below)) {
                let Some(own) = own(letter, key, now) else { continue };
                found.push(own);
                if found.len() >= limit {
                    return Ok((found, Some(letter.id)));
                }
            }
            if read >= MAX_READ {
                break;
            }
        }
        Ok((found, backwards.position()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_recipients_the_one_counts_that_should_be_known() {
        let of = RecipientState::new;
        for (states, expected) in [
            (&[DeliveryState::Delivered, DeliveryState::Reached][..], DeliveryState::Reached),
            (&[DeliveryState::Refused, DeliveryState::Delivered], DeliveryState::Refused),
            (&[DeliveryState::Redelivering, DeliveryState::Processing], DeliveryState::Redelivering),
            (&[], DeliveryState::Processing),
        ] {
            let recipients: Vec<RecipientState> = states.iter().map(|state| of(*state)).collect();
            assert_eq!(worst(&recipients), expected);
        }
        let mut ranks: Vec<u8> = DeliveryState::ALL.iter().map(|state| state.rank()).collect();
        ranks.sort_unstable();
        ranks.dedup();
        assert_eq!(ranks.len(), DeliveryState::ALL.len());
    }
}
