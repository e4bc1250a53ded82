//! A mailing, and what became of each of its letters.

use pennypost_held::Why;
use pennypost_model::codec::Versioned;
use pennypost_model::event::{GroupElsewhere, Recipient, Via};
use pennypost_model::{AccountId, AccountKey, EventId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The number that stands for the copy in Sent.
const COPY: u32 = u32::MAX;
/// The number that stands for the report of what did not go.
const REPORT: u32 = u32::MAX - 1;
/// The number that stands for the copy in Drafts of what was stopped before it went.
const DRAFT: u32 = u32::MAX - 2;

/// What kind of mailing it is. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Each gets the headings and his row (PMG-02).
    Table,
    /// Each gets a text with what his row says (PMG-03).
    Template,
    /// Each gets the same letter alone (SND-04).
    Individual,
}

impl Kind {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Template => "template",
            Kind::Individual => "individual",
        }
    }
}

/// How it stands. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Its writer looks at it.
    Draft,
    /// Its letters go.
    Going,
    /// Its writer has stopped it; what is in hand is decided.
    Stopping,
    /// All its letters have gone, or can't go.
    Done,
    /// It was stopped.
    Stopped,
    /// Its bytes are gone or damaged: what had not gone does not.
    Failed,
}

impl State {
    /// Its name for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            State::Draft => "draft",
            State::Going => "going",
            State::Stopping => "stopping",
            State::Done => "done",
            State::Stopped => "stopped",
            State::Failed => "failed",
        }
    }

    /// Is all decided?
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, State::Done | State::Stopped | State::Failed)
    }
}

/// How many letters of a mailing have come to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Handed in.
    pub sent: u32,
    /// They can't go.
    pub refused: u32,
    /// They were stopped.
    pub stopped: u32,
}

/// A mailing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailing {
    /// Its id; of letters to each alone that of the `250`.
    pub id: EventId,
    /// Whose it is, with the own address.
    pub sender: (AccountKey, String),
    /// Who wrote it in a business mailbox; what is forbidden to him is forbidden there, too.
    pub user: Option<AccountId>,
    /// What kind.
    pub kind: Kind,
    /// Its subject, cut, with variables.
    pub subject: String,
    /// The object in which its content lies.
    pub object: String,
    /// How it stands.
    pub state: State,
    /// To how many it goes.
    pub rows: u32,
    /// All before this one are decided.
    pub next: u32,
    /// What became of those.
    pub counts: Counts,
    /// A copy is put into Sent.
    pub keeps_copy: bool,
    /// When it was made.
    pub created: Timestamp,
    /// When its writer let it go; of letters to each alone when they go.
    pub ordered: Option<Timestamp>,
    /// When it is looked at next.
    pub due: Timestamp,
    /// Why it waits though it is due.
    pub waits: Option<Why>,
    /// When the last letter went.
    pub moved: Timestamp,
    /// Until then it is in these hands.
    pub busy: (Timestamp, u64),
    /// When it ended.
    pub ended: Option<Timestamp>,
}

impl Versioned for Mailing {
    const KIND: &'static str = "mailing";
}

impl Mailing {
    /// The id of a letter: of this mailing and this place in it, whoever makes it and however often.
    #[must_use]
    pub fn letter(&self, row: u32) -> EventId {
        self.id_of(row, self.ordered.unwrap_or(self.created))
    }

    fn id_of(&self, row: u32, time: Timestamp) -> EventId {
        let mut hash = Sha256::new();
        hash.update(self.id.to_bytes());
        hash.update(self.sender.0.tenant.to_string());
        hash.update(row.to_be_bytes());
        let [a, b, c, d, e, f, g, h, i, j, ..] = <[u8; 32]>::from(hash.finalize());
        let random = u128::from_be_bytes([0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j]);
        EventId::from_parts(time, random)
    }

    /// The id of the copy in Sent.
    #[must_use]
    pub fn copy(&self) -> EventId {
        match self.kind {
            Kind::Individual => self.id,
            Kind::Table | Kind::Template => self.letter(COPY),
        }
    }

    /// The id of the copy in Drafts, if it was stopped before any of it went: it is due since then.
    #[must_use]
    pub fn draft(&self) -> EventId {
        self.id_of(DRAFT, self.due)
    }

    /// The id of the report of what did not go.
    #[must_use]
    pub fn report(&self) -> EventId {
        self.letter(REPORT)
    }
}

/// What became of a letter: written once, before it goes. Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It goes, as the message of [`Mailing::letter`].
    Sent {
        /// Its time.
        at: Timestamp,
        /// Who gets it: what is sent again is the same.
        recipients: Vec<Recipient>,
        /// The group that it is for, with its members elsewhere.
        groups: Vec<GroupElsewhere>,
        /// It led to a group, of which some do not get it.
        partly: Option<Why>,
    },
    /// It can't go.
    Refused {
        /// When that was found.
        at: Timestamp,
        /// Why.
        why: Why,
    },
    /// Its writer stopped the mailing before.
    Stopped,
}

impl Versioned for Fate {
    const KIND: &'static str = "letter of a mailing";
}

impl Fate {
    /// Does it go to other servers?
    #[must_use]
    pub fn leaves(&self) -> bool {
        match self {
            Fate::Sent { recipients, groups, .. } => {
                !groups.is_empty() || recipients.iter().any(|one| one.via == Via::Outside)
            }
            Fate::Refused { .. } | Fate::Stopped => false,
        }
    }
}

/// A body that its writer keeps for other mailings (PMG-07).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Its id.
    pub id: EventId,
    /// What its writer calls it.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// As HTML.
    pub html: Option<String>,
    /// As text.
    pub text: Option<String>,
    /// When it was saved.
    pub saved: Timestamp,
}

impl Versioned for Saved {
    const KIND: &'static str = "template of a mailing";
}

/// What an organisation says of mailings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailingRules {
    /// Recipients that a mailing has at most.
    pub recipients: u32,
}

impl Versioned for MailingRules {
    const KIND: &'static str = "rules of mailings";
}

#[cfg(test)]
mod tests {
    use super::*;
    use pennypost_model::codec;

    #[test]
    fn a_letters_id_is_its_mailings_and_its_places() {
        let mailing = |random| Mailing {
            id: EventId::from_parts(Timestamp(5), random),
            sender: (AccountKey::default(), String::new()),
            user: None,
            kind: Kind::Table,
            subject: String::new(),
            object: String::new(),
            state: State::Going,
            rows: 2,
            next: 0,
            counts: Counts::default(),
            keeps_copy: true,
            created: Timestamp(5),
            ordered: Some(Timestamp(9)),
            due: Timestamp(9),
            waits: None,
            moved: Timestamp(9),
            busy: (Timestamp(0), 0),
            ended: None,
        };
        let (one, other) = (mailing(1), mailing(2));
        assert_eq!(one.letter(0), codec::decode::<Mailing>(&codec::encode(&one)).expect("read").letter(0));
        let ids = [one.letter(0), one.letter(1), other.letter(0), one.copy(), one.report(), one.draft()];
        let known: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(known.len(), ids.len());
        assert!(ids.iter().all(|id| id.time() == Timestamp(9)));
    }
}
