//! What members say of the letters that they receive (RUL-01 … RUL-05, RCV-07, RCV-08), and what that would do.
//!
//! A folder is kept by its id, so that it may be renamed; people and programs say and see its name. Whoever administers members
//! may look at rules and change them, as with everything that members say; only their owner may try them, since what they
//! would do to his letters tells what is in these.

use std::collections::BTreeMap;

use pennypost_directory::rules::{Applied, Letter, Moment, Put, Rule, RulesError, RulesFault, sieve};
use pennypost_directory::{DirectoryError, MailAddress, MemberRules, SaidRules};
use pennypost_model::message::Facts;
use pennypost_model::{AccountKey, MailboxId, SystemFlags};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Actor;
use crate::call::{About, Call};
use crate::{AdminError, Administration, SeenLetter};

/// Letters that rules are tried on at once.
pub const MAX_TRIED: usize = 100;
/// Bytes of a subject from which on a card may have cut it: a character less than it keeps.
const CUT_SUBJECT: usize = 197;
/// What an account has with its first letter.
const FROM_THE_BEGINNING: [(MailboxId, &str); 6] = [
    (MailboxId::INBOX, "INBOX"),
    (MailboxId::JUNK, "Junk"),
    (MailboxId::TRASH, "Trash"),
    (MailboxId::SENT, "Sent"),
    (MailboxId::DRAFTS, "Drafts"),
    (MailboxId::ARCHIVE, "Archive"),
];

/// What a member has said, as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenRules {
    /// As it is stored.
    stored: MemberRules,
    /// The same, with folders as they are called now.
    pub rules: MemberRules,
    /// Folders that are named, and gone: their letters come to the Inbox.
    pub gone: Vec<MailboxId>,
    /// What is stored can't be read: letters go without it, until something else is said.
    pub unreadable: bool,
}

/// What rules would do to a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The letter.
    pub letter: SeenLetter,
    /// Which of the member's lists names its author: `whitelist` or `blacklist`. What is blacklisted goes to Junk, and rules
    /// are not asked.
    pub list: Option<&'static str>,
    /// The rules whose conditions hold.
    pub fired: Vec<String>,
    /// Into which folder; `None`: it stays in the Inbox.
    pub folder: Option<String>,
    /// With these labels.
    pub labels: Vec<String>,
    /// As read.
    pub read: bool,
    /// With a flag.
    pub flagged: bool,
    /// It goes nowhere, and its sender is told, if he has certainly sent it; otherwise into Trash.
    pub refused: bool,
    /// Only some of its recipients, or not all of its subject, or not its text, could be looked at; or a rule asks whether it was for the member,
    /// and it names none of his addresses: it may have come to another one of them, such as one of an alias domain.
    pub partly: bool,
}

/// How much was said, for the log of operations: not what.
fn counts(rules: &MemberRules) -> Value {
    let on = rules.rules.iter().filter(|rule| rule.enabled).count();
    json!({
        "rules": rules.rules.len(), "on": on, "whitelist": rules.whitelist.len(), "blacklist": rules.blacklist.len(),
    })
}

impl Administration {
    /// What a member has said of the letters that he receives.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn member_rules(&self, call: &Call, key: AccountKey) -> Result<SeenRules, AdminError> {
        self.seen(call, Action::RulesRead, key).await?;
        let SaidRules { rules: stored, unreadable } = self.directory.member_rules(key).await?;
        let mut seen = SeenRules { rules: stored.clone(), stored, gone: Vec::new(), unreadable };
        let folders = self.folders(key, &seen.rules).await?;
        for (_, folder) in seen.rules.folders_mut() {
            match folders.as_ref().map(|folders| folders.get(&folder.id)) {
                Some(Some(name)) => folder.name.clone_from(name),
                Some(None) => seen.gone.push(folder.id),
                None => {}
            }
        }
        Ok(seen)
    }

    /// The folders that there are, if some are named and mail can be looked at here.
    async fn folders(
        &self,
        key: AccountKey,
        rules: &MemberRules,
    ) -> Result<Option<BTreeMap<MailboxId, String>>, AdminError> {
        if self.mail.is_none() || rules.folders().next().is_none() {
            return Ok(None);
        }
        self.all_folders(key).await.map(Some)
    }

    /// The folders that there are.
    pub(crate) async fn all_folders(
        &self,
        key: AccountKey,
    ) -> Result<BTreeMap<MailboxId, String>, AdminError> {
        let mail = self.mail.as_ref().ok_or(AdminError::NoMail)?;
        let folders = mail.counts(key).await?.into_iter().map(|mailbox| (mailbox.id, mailbox.name));
        let mut folders: BTreeMap<MailboxId, String> = folders.collect();
        for (id, name) in FROM_THE_BEGINNING {
            folders.entry(id).or_insert_with(|| name.to_owned());
        }
        Ok(folders)
    }

    /// Finds the folders that are named. One that is gone may stay in a rule in which it was.
    async fn find_folders(
        &self,
        key: AccountKey,
        seen: &SeenRules,
        rules: &mut MemberRules,
    ) -> Result<(), AdminError> {
        if rules.folders().next().is_none() {
            return Ok(());
        }
        let folders = self.folders(key, rules).await?.ok_or(AdminError::NoMail)?;
        for (at, folder) in rules.folders_mut() {
            let is_called = |name: &str| {
                let is_inbox = name == "INBOX" && folder.name.eq_ignore_ascii_case(name);
                is_inbox || name == folder.name
            };
            let there = folders.iter().find(|(_, name)| is_called(name));
            let gone = || {
                let known = seen.rules.folders().map(|(_, folder)| folder);
                let mut gone = known.filter(|folder| seen.gone.contains(&folder.id));
                gone.find(|known| is_called(&known.name)).map(|known| (known.id, known.name.clone()))
            };
            match there.map(|(id, name)| (*id, name.clone())).or_else(gone) {
                Some((id, name)) => (folder.id, folder.name) = (id, name),
                None => return Err(no_folder(&at).into()),
            }
        }
        Ok(())
    }

    /// Says something else of the letters that a member receives, if what he has said is still what was seen. The ids of
    /// folders in `rules` count for nothing: they are found by their names. Gives what he has said now.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn change_member_rules(
        &self,
        call: &Call,
        key: AccountKey,
        seen: &SeenRules,
        mut rules: MemberRules,
    ) -> Result<SeenRules, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::RulesChange, &object);
        let account = self.permitted(call, &about, key).await?;
        // That is said apart.
        rules.automatic.clone_from(&seen.stored.automatic);
        rules.check().map_err(DirectoryError::from)?;
        self.find_folders(key, seen, &mut rules).await?;
        self.check_forwards(key, &seen.stored, &rules).await?;
        let address = account.address.to_string();
        let fresh = self.said_by(call, &about, (key, &seen.stored, &rules)).await?;
        let mut after = counts(&rules);
        if !fresh.is_empty() {
            after["to"] = fresh.clone().into();
        }
        let about = About { object: &address, ..about }.from(counts(&seen.stored)).to(after);
        self.act(call, &about, async {
            match self.directory.change_member_rules(key, &seen.stored, &rules).await {
                Ok(true) => Ok(()),
                Ok(false) => Err(AdminError::Changed),
                Err(error) => Err(error.into()),
            }
        })
        .await?;
        self.tell_forwards(key, &address, &fresh).await;
        let named: Vec<MailboxId> = rules.folders().map(|(_, folder)| folder.id).collect();
        let gone = seen.gone.iter().copied().filter(|id| named.contains(id)).collect();
        Ok(SeenRules { stored: rules.clone(), rules, gone, unreadable: false })
    }

    /// The rules as a script of Sieve; `own` are the member's addresses.
    #[must_use]
    pub fn rules_script(&self, seen: &SeenRules, own: &[MailAddress]) -> String {
        sieve::write(&seen.rules.rules, own, self.clock.now())
    }

    /// What is said if a script says the rules on receiving: those on sending stay, behind them, and so do lists.
    #[must_use]
    pub fn by_script(seen: &SeenRules, rules: Vec<Rule>) -> MemberRules {
        let sending = seen.rules.rules.iter().filter(|rule| rule.moment == Moment::Send);
        let rules = rules.into_iter().chain(sending.cloned()).collect();
        MemberRules { rules, ..seen.rules.clone() }
    }

    /// What rules would do to the member's newest letters, if these came now as they came then: the member's own, or others.
    /// Nothing is changed.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn try_member_rules(
        &self,
        call: &Call,
        key: AccountKey,
        rules: Option<MemberRules>,
        limit: usize,
    ) -> Result<Vec<Tried>, AdminError> {
        // Whoever runs the program on the machine exports mail as well.
        if !matches!(call.actor, Actor::Operator) {
            self.seen(call, Action::RulesTry, key).await?;
        }
        let mut seen = self.member_rules(&Call::of_operator(), key).await?;
        if let Some(mut rules) = rules {
            rules.check().map_err(DirectoryError::from)?;
            self.find_folders(key, &seen, &mut rules).await?;
            seen.rules = rules;
        }
        let mail = self.mail.as_ref().ok_or(AdminError::NoMail)?;
        let own = self.directory.own_addresses(key).await?;
        let letters = mail.newest_letters(key, limit.min(MAX_TRIED)).await?;
        Ok(letters.into_iter().map(|letter| tried(&seen, letter, &own)).collect())
    }
}

fn no_folder(at: &str) -> DirectoryError {
    RulesError { at: format!("{at}/folder"), fault: RulesFault::Folder }.into()
}

fn tried(seen: &SeenRules, letter: SeenLetter, own: &[MailAddress]) -> Tried {
    let card = &letter.card;
    let facts = Facts {
        subject: card.subject.clone(),
        from: vec![card.from.clone()],
        to: card.to.clone(),
        ..Facts::default()
    };
    let author: Vec<MailAddress> = card.from.address.parse().into_iter().collect();
    let rules = &seen.rules;
    let (list, applied) = if rules.whitelists(&author) {
        (Some("whitelist"), None)
    } else if rules.blacklists(&author) {
        (Some("blacklist"), Some(Applied::default()))
    } else {
        (None, None)
    };
    let asked = Letter { time: letter.time, size: letter.size, facts: &facts, own, text: None };
    let applied = applied.unwrap_or_else(|| rules.apply(&asked));
    let folder = match (&applied.put, list) {
        (_, Some("blacklist")) => Some("Junk".to_owned()),
        (Some(Put::Folder(folder)), _) if seen.gone.contains(&folder.id) => None,
        (Some(Put::Folder(folder)), _) => Some(folder.name.clone()),
        (Some(Put::Trash), _) => Some("Trash".to_owned()),
        (Some(Put::Refused(_)) | None, _) => None,
    };
    let is_own = |address: &MailAddress| {
        own.contains(address) || own.iter().any(|one| address.without_tag().as_ref() == Some(one))
    };
    let for_own = card.to.iter().filter_map(|to| MailAddress::parse(&to.address).ok()).any(|to| is_own(&to));
    let partly = card.to_count as usize > card.to.len()
        || card.subject.len() >= CUT_SUBJECT
        || applied.wants_text
        || (!for_own && rules.asks_for_own_addresses());
    Tried {
        list,
        fired: applied.fired.iter().map(|number| rules.rules[*number].name.clone()).collect(),
        folder,
        labels: applied.flags.keywords.iter().map(|label| label.as_str().to_owned()).collect(),
        read: applied.flags.system.contains(SystemFlags::SEEN),
        flagged: applied.flags.system.contains(SystemFlags::FLAGGED),
        refused: matches!(applied.put, Some(Put::Refused(_))),
        partly,
        letter,
    }
}
