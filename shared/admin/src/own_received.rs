//! The letters that came in for a member, and where they were put (DLV-05): from their traces.

use pennypost_journeys::{Backwards, Journey};
use pennypost_model::trace::Outcome;
use pennypost_model::{AccountKey, EventId, Timestamp};
use pennypost_policy::content::CONTENT_REASON;

use crate::action::Action;
use crate::call::Call;
use crate::own_letters::{MAX_READ, span};
use crate::{AdminError, Administration};

/// Where a letter that came in was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutAt {
    /// In this folder: the name of its use, or its number. It may lie elsewhere by now.
    Folder(String),
    /// In quarantine, and why.
    Quarantine(String),
    /// Nowhere, and why.
    Nowhere(String),
}

impl PutAt {
    /// Its name for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            PutAt::Folder(_) => "delivered",
            PutAt::Quarantine(_) => "quarantined",
            PutAt::Nowhere(_) => "refused",
        }
    }
}

/// A letter that came in for a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedLetter {
    /// Its id.
    pub id: EventId,
    /// When it was accepted.
    pub time: Timestamp,
    /// When it was put where it was put.
    pub put: Timestamp,
    /// The reverse-path: who has sent it; empty for a report.
    pub sender: String,
    /// The address to which it came.
    pub address: String,
    /// Its subject, cut.
    pub subject: String,
    /// Its Message-ID, cut.
    pub message_id: String,
    /// Its bytes.
    pub size: u64,
    /// Where it was put.
    pub at: PutAt,
    /// Why.
    pub reasons: Vec<String>,
}

/// What came for the member; his own copies in Sent did not come in, and stand nowhere among the recipients.
fn received(letter: &Journey, key: AccountKey) -> Option<ReceivedLetter> {
    let delivery = letter.delivery.as_ref()?;
    let recipient = letter.recipients().find(|one| one.account == key && one.outcome != Outcome::Outside)?;
    let at = match &recipient.outcome {
        Outcome::Stored { mailbox, .. } => PutAt::Folder(mailbox.clone()),
        Outcome::Quarantined { cause } => PutAt::Quarantine(cause.clone()),
        Outcome::Refused { cause } => PutAt::Nowhere(cause.clone()),
        Outcome::Outside => return None,
    };
    Some(ReceivedLetter {
        id: letter.id,
        time: delivery.accepted,
        put: delivery.time,
        sender: delivery.reverse_path.clone(),
        address: recipient.address.clone(),
        subject: delivery.subject.clone(),
        message_id: delivery.message_id.clone(),
        size: delivery.size,
        at,
        // Which rules about contents note a letter is its writer's organisation's matter.
        reasons: recipient
            .reasons
            .iter()
            .filter(|reason| !reason.starts_with(CONTENT_REASON))
            .cloned()
            .collect(),
    })
}

impl Administration {
    /// Letters that came in for a member within so many days, the newest first, below an id. At most `limit`, but perhaps fewer,
    /// even none, though there are more. With the id below which the next ones are.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn received_letters(
        &self,
        call: &Call,
        key: AccountKey,
        days: Option<u16>,
        below: Option<EventId>,
        limit: usize,
    ) -> Result<(Vec<ReceivedLetter>, Option<EventId>), AdminError> {
        self.seen(call, Action::OwnLetterRead, key).await?;
        let (begin, end) = span(self.clock.now(), self.shown_since(key.tenant).await?, days, below);
        let log = self.traces()?;
        let mut backwards = Backwards::new(&**log, key.tenant, begin, end);
        let (mut found, mut read) = (Vec::new(), 0);
        while let Some(window) = backwards.next().await? {
            read += window.len();
            for letter in window.iter().filter(|letter| below.is_none_or(|below| letter.id < below)) {
                found.extend(received(letter, key));
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
