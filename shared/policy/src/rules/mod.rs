//! What a member has said of the letters that he receives: rules (RUL-01), and lists of senders (RCV-07, RCV-08).
//!
//! Everything here is a value: what the rules are, whether they can be ([`MemberRules::check`]), and what they say of one
//! letter ([`MemberRules::apply`]). Words are kept as they were written, and compared folded: NFKC, lower case.

mod apply;
mod automatic;
mod limits;
pub mod sieve;
mod text;

use std::borrow::Cow;
use std::fmt;

use pennypost_model::codec::{CodecError, Versioned, decode_plain, decode_without_last};
use pennypost_model::{Keyword, MailboxId, Timestamp};
use serde::{Deserialize, Serialize};
use unicode_normalization::IsNormalized;

use crate::address::MailAddress;
use crate::tenant::SenderPattern;

pub use apply::{Applied, Letter, Put};
pub(crate) use automatic::Asking;
pub use automatic::{
    AutoForward, AutoReply, Automatic, Closed, ForwardTo, Inside, MAX_FORWARD_TARGETS, MAX_LETTER_FORWARDS,
    MAX_REPLY, MAX_REPLY_SUBJECT, Outlets, Period, Reply, Way, Ways, are_related, may_align,
};
pub use limits::{
    MAX_ALL_TARGETS, MAX_ALL_WORDS, MAX_CONDITIONS, MAX_LETTER_LABELS, MAX_REFUSAL, MAX_RULE_ACTIONS,
    MAX_RULE_NAME, MAX_RULE_WORD, MAX_RULE_WORDS, MAX_RULES, MAX_RULES_BYTES, MAX_SENDERS, MAX_TEXT_WORDS,
    RulesError, RulesFault,
};
pub use text::{FullText, MAX_TEXT};

/// All that a member has said of what he receives. Holds from the next letter on, up to some seconds late.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRules {
    /// Whose letters are not taken for spam (RCV-08).
    pub whitelist: Vec<SenderPattern>,
    /// Whose letters go to Junk (RCV-07), unless the whitelist names them, too.
    pub blacklist: Vec<SenderPattern>,
    /// Rules, in the order in which they are asked (RUL-05).
    pub rules: Vec<Rule>,
    /// How letters are answered and forwarded beside that (RUL-06, RUL-07).
    pub automatic: Option<Automatic>,
}

impl Versioned for MemberRules {
    const KIND: &'static str = "member rules";
    const VERSION: u8 = 4;

    /// Programs that read version 1 only find in it what they know: what is new stands behind all that they read.
    fn version(&self) -> u8 {
        let is_new = |action: &RuleAction| matches!(action, RuleAction::Forward(_) | RuleAction::Reply(_));
        let has_new =
            self.automatic.is_some() || self.rules.iter().any(|rule| rule.actions.iter().any(is_new));
        let is_refusal = |action: &RuleAction| matches!(action, RuleAction::Refuse(_));
        let has_refusal = self.rules.iter().any(|rule| rule.actions.iter().any(is_refusal));
        match (self.asks_for_text() || has_refusal, self.has_sending(), has_new) {
            (true, ..) => 4,
            (false, true, _) => 3,
            (false, false, true) => 2,
            (false, false, false) => 1,
        }
    }

    fn upgrade(found: u8, body: &[u8]) -> Result<MemberRules, CodecError> {
        match found {
            1 => decode_without_last(Self::KIND, body),
            2 | 3 => decode_plain(Self::KIND, body),
            _ => Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION }),
        }
    }
}

impl MemberRules {
    /// Has the member said anything?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_automatic =
            self.automatic.as_ref().is_some_and(|automatic| *automatic != Automatic::default());
        self.whitelist.is_empty() && self.blacklist.is_empty() && self.rules.is_empty() && !has_automatic
    }

    /// Is there a rule about what the member sends?
    #[must_use]
    pub fn has_sending(&self) -> bool {
        self.rules.iter().any(|rule| rule.moment == Moment::Send)
    }

    /// Does a rule ask for the text of letters, on or off?
    #[must_use]
    pub fn asks_for_text(&self) -> bool {
        self.rules.iter().flat_map(|rule| &rule.conditions).any(Condition::asks_for_text)
    }

    /// Are letters refused?
    #[must_use]
    pub fn has_refusals(&self) -> bool {
        let is_refusal = |action: &RuleAction| matches!(action, RuleAction::Refuse(_));
        self.rules.iter().any(|rule| rule.enabled && rule.actions.iter().any(is_refusal))
    }

    /// Must it be known which addresses are the member's own?
    #[must_use]
    pub fn asks_for_own_addresses(&self) -> bool {
        let is_about_me = |condition: &Condition| matches!(condition, Condition::OnlyToMe | Condition::ToMe);
        let asks = self.rules.iter().any(|rule| rule.enabled && rule.conditions.iter().any(is_about_me));
        asks || self.has_replies()
    }

    /// Has the words as they are compared, so that this needs not be done for each letter. What they say stays the same.
    pub fn fold_words(&mut self) {
        let conditions = self.rules.iter_mut().flat_map(|rule| &mut rule.conditions);
        for word in conditions.filter_map(Condition::words_mut).flat_map(|words| &mut words.words) {
            *word = fold(word.trim()).into_owned();
        }
    }

    /// The folders that are named, with where they stand.
    pub fn folders(&self) -> impl Iterator<Item = (String, &Folder)> {
        self.rules.iter().enumerate().flat_map(|(rule, Rule { actions, .. })| {
            actions.iter().enumerate().filter_map(move |(number, action)| match action {
                RuleAction::Move(folder) => Some((format!("/rules/{rule}/actions/{number}/move"), folder)),
                _ => None,
            })
        })
    }

    /// The same, to be changed.
    pub fn folders_mut(&mut self) -> impl Iterator<Item = (String, &mut Folder)> {
        self.rules.iter_mut().enumerate().flat_map(|(rule, Rule { actions, .. })| {
            actions.iter_mut().enumerate().filter_map(move |(number, action)| match action {
                RuleAction::Move(folder) => Some((format!("/rules/{rule}/actions/{number}/move"), folder)),
                _ => None,
            })
        })
    }

    /// Is one of these senders in the whitelist?
    #[must_use]
    pub fn whitelists(&self, senders: &[MailAddress]) -> bool {
        is_listed(&self.whitelist, senders)
    }

    /// Is one of them in the blacklist, and none in the whitelist?
    #[must_use]
    pub fn blacklists(&self, senders: &[MailAddress]) -> bool {
        is_listed(&self.blacklist, senders) && !self.whitelists(senders)
    }
}

fn is_listed(list: &[SenderPattern], senders: &[MailAddress]) -> bool {
    senders.iter().any(|sender| list.iter().any(|pattern| pattern.matches(sender)))
}

/// The rules of a member as they hold for his letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Personal {
    /// Version of the stored item; 0 if he has said nothing.
    pub version: u64,
    /// What he has said, with its words folded.
    pub rules: MemberRules,
    /// His addresses, where a rule asks for them, or letters are answered.
    pub own: Vec<MailAddress>,
    /// The account's own address, and its name for people, where letters are answered or forwarded.
    pub from: Option<(MailAddress, String)>,
    /// Where targets of forwarding lead.
    pub ways: Ways,
    /// Answers, and what is said of letters that are refused, may go outside the organisation.
    pub answers_outside: bool,
    /// What he has said can't be read: his letters go where they would without it, and their traces say so.
    pub unreadable: bool,
}

/// A rule: what it is about, and what is done then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What the member calls it; no other rule of his is called so.
    pub name: String,
    /// It is asked.
    pub enabled: bool,
    /// When it is asked (RUL-01).
    pub moment: Moment,
    /// Whether one of the conditions is enough.
    pub join: Join,
    /// When something is done: one condition at least.
    pub conditions: Vec<Condition>,
    /// What is done.
    pub actions: Vec<RuleAction>,
    /// The rules below are not asked for the same letter.
    pub stop: bool,
}

/// When a rule is asked. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// When a letter comes in.
    #[default]
    Receive,
    /// When the member has sent a letter: about his copy of it.
    Send,
}

/// How conditions, or words of one condition, are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Join {
    /// One is enough.
    #[default]
    Any,
    /// It takes all of them.
    All,
}

impl Join {
    fn holds<T>(self, items: &[T], is_true: impl FnMut(&T) -> bool) -> bool {
        match self {
            Join::Any => items.iter().any(is_true),
            Join::All => items.iter().all(is_true),
        }
    }
}

/// Words that are looked for, whatever their case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// Whether one of them is enough.
    pub join: Join,
    /// The words, as they were written.
    pub words: Vec<String>,
}

/// What a rule asks of a letter (RUL-02). Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Condition {
    /// Name or address of an author has the words in it.
    Sender(Words),
    /// Name or address of somebody in To or Cc has the words in it.
    Recipient(Words),
    /// An author's address is in one of these domains, or in one below.
    SenderDomain(Words),
    /// To and Cc name the member and nobody else.
    OnlyToMe,
    /// To or Cc names the member.
    ToMe,
    /// The subject has the words in it.
    Subject(Words),
    /// Bytes of the letter as it came in.
    Size {
        /// So many at least.
        least: Option<u64>,
        /// Fewer than so many.
        below: Option<u64>,
    },
    /// When it was accepted.
    Time {
        /// Then or later.
        from: Option<Timestamp>,
        /// Before that.
        until: Option<Timestamp>,
    },
    /// At which time of the day it was accepted.
    Hours {
        /// Minutes after midnight: then or later.
        from: u16,
        /// Minutes after midnight: before that. If that is earlier than `from`, the night lies between.
        until: u16,
        /// The name of a time zone of the IANA.
        zone: String,
    },
    /// Subject, text, or names of attached files have the words in them.
    FullText(Words),
}

impl Condition {
    /// Does it look into more than the header?
    #[must_use]
    pub const fn asks_for_text(&self) -> bool {
        matches!(self, Condition::FullText(_))
    }

    /// The words that it looks for, if it looks for words.
    pub(crate) const fn words(&self) -> Option<&Words> {
        match self {
            Condition::Sender(words)
            | Condition::Recipient(words)
            | Condition::SenderDomain(words)
            | Condition::Subject(words)
            | Condition::FullText(words) => Some(words),
            _ => None,
        }
    }

    /// Those that are compared as words, to be changed.
    const fn words_mut(&mut self) -> Option<&mut Words> {
        match self {
            Condition::Sender(words)
            | Condition::Recipient(words)
            | Condition::Subject(words)
            | Condition::FullText(words) => Some(words),
            _ => None,
        }
    }
}

/// A folder of the member. Its id stays what it is when the folder is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Which.
    pub id: MailboxId,
    /// What it was called when it was named, for when it is gone.
    pub name: String,
}

/// What a rule does with a letter (RUL-03). Stored: new ones at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RuleAction {
    /// Into that folder; into the Inbox if it is gone.
    Move(Folder),
    /// Into Trash.
    Delete,
    /// With that keyword.
    Label(Keyword),
    /// It counts as read.
    MarkRead,
    /// With a flag.
    Flag,
    /// Forwarded to these addresses (RUL-06).
    Forward(Vec<MailAddress>),
    /// Answered with that (RUL-07).
    Reply(String),
    /// Refused: it goes into no folder, and its sender is told, with this text, if he can be. Else it is deleted.
    Refuse(String),
}

impl RuleAction {
    /// Does it say where the letter goes?
    #[must_use]
    pub const fn is_place(&self) -> bool {
        matches!(self, RuleAction::Move(_) | RuleAction::Delete | RuleAction::Refuse(_))
    }
}

/// A time of the day as `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay(pub u16);

impl TimeOfDay {
    /// Minutes of a day.
    pub const DAY: u16 = 24 * 60;

    /// From `00:00` to `23:59`.
    #[must_use]
    pub fn parse(text: &str) -> Option<TimeOfDay> {
        let (hours, minutes) = text.split_once(':')?;
        let two = |text: &str| {
            let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { text.parse::<u16>().ok() } else { None }
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (hours < 24 && minutes < 60).then_some(TimeOfDay(hours * 60 + minutes))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A text as it is compared.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    use unicode_normalization::{UnicodeNormalization, is_nfkc_quick};
    let is_lower = |c: char| !c.is_uppercase() && c.to_lowercase().eq([c]);
    if text.chars().all(|c| if c.is_ascii() { !c.is_ascii_uppercase() } else { is_lower(c) })
        && (text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes)
    {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfkc().flat_map(char::to_lowercase).collect())
}

#[cfg(test)]
mod tests {
    use pennypost_model::codec::{decode, encode, encode_plain};

    use super::*;

    /// As programs of before read and write it.
    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Rules1 {
        whitelist: Vec<SenderPattern>,
        blacklist: Vec<SenderPattern>,
        rules: Vec<Rule>,
    }

    #[test]
    fn rules_of_before_are_read_and_those_without_anything_new_are_read_by_them() {
        let blacklist: Vec<SenderPattern> = vec!["spam.example".parse().expect("a domain")];
        let before = || Rules1 { whitelist: Vec::new(), blacklist: blacklist.clone(), rules: Vec::new() };
        let mut rules = MemberRules { blacklist: blacklist.clone(), ..MemberRules::default() };
        assert_eq!(decode::<MemberRules>(&encode_plain(&before(), 1)), Ok(rules.clone()));
        let written = encode(&rules);
        assert_eq!(written[0], 1);
        assert_eq!(decode_plain::<Rules1>("rules", &written[1..]), Ok(before()));
        assert_eq!(decode::<MemberRules>(&written), Ok(rules.clone()));
        rules.automatic = Some(Automatic::default());
        assert!(encode(&rules)[0] == 2 && decode(&encode(&rules)) == Ok(rules.clone()));
        let rule = Rule {
            name: "sent".to_owned(),
            enabled: true,
            moment: Moment::Send,
            join: Join::All,
            conditions: vec![Condition::ToMe],
            actions: vec![RuleAction::Flag],
            stop: false,
        };
        rules.rules.push(rule);
        assert!(encode(&rules)[0] == 3 && decode(&encode(&rules)) == Ok(rules.clone()));
        // Where nothing newer is said programs of before read it.
        let refuse = vec![RuleAction::Refuse("No.".to_owned())];
        let text = vec![Condition::FullText(Words::default())];
        for (conditions, actions) in
            [(rules.rules[0].conditions.clone(), refuse), (text, vec![RuleAction::Flag])]
        {
            let rule = Rule { conditions, actions, ..rules.rules[0].clone() };
            let newer = MemberRules { rules: vec![rule], ..rules.clone() };
            assert!(encode(&newer)[0] == 4 && decode(&encode(&newer)) == Ok(newer));
        }
        assert!(decode::<MemberRules>(&[5]).is_err());
    }
}
