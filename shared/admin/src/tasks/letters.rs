//! Letters of a member that the operator hides, shows again or deletes (TEN-10).
//!
//! Which copies are meant is looked up when it is ordered, in the traces of the letters; the order keeps their ids. The first
//! step does it, which changes nothing where it is done; the second tells administrators how many letters are so now. Under which
//! id is written down before: so whoever dies in between tells nobody twice. What was begun does not end untold, however it ends.
//!
//! The last word holds, however late and often a task is carried out: a letter that a later order names is left out. Orders have
//! their number in the log of operations. A task of a later order is there before it changes the account, and nothing is done
//! but upon the entry that the account had before later orders were looked for.

use std::collections::BTreeSet;

use pennypost_directory::{DirectoryError, Listed, Page};
use pennypost_journeys::journey;
use pennypost_model::trace::Outcome as TraceOutcome;
use pennypost_model::{AccountId, AccountKey, EventId, Rid, TaskId, TenantId, Timestamp};
use pennypost_text::{Lang, Text, say};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::work::{StepDone, Worked};
use super::{Item, Task, TaskKind, TaskProblem, TaskState, Wish, partition};
use crate::action::Action;
use crate::bulletins::{Bulletin, BulletinKind, BulletinText};
use crate::call::{About, Call};
use crate::ending::said_reason;
use crate::operations::{Entry, Outcome};
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration, Invalid, LettersDone};

/// Letters of an order.
pub const MAX_LETTERS_AT_ONCE: usize = 100;
/// By which clocks of processes may differ.
const SKEW: i64 = 10 * 60 * 1000;
/// After which the id of a bulletin that is not published yet is chosen anew: somebody may have read all up to a later one.
const CHOSEN_FOR: i64 = 60 * 1000;

/// A letter of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedLetter {
    /// As its trace calls it.
    pub id: EventId,
    /// The copies of it that came into the account.
    pub copies: Vec<Rid>,
}

/// What the operator does to letters of a member. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LetterDeed {
    /// The member does not see them any more; they can be shown again as long as what a member has deleted can be restored.
    Hide,
    /// What was hidden is there again.
    Show,
    /// They are gone for good.
    Delete,
}

impl LetterDeed {
    /// What it is in the log of operations.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            LetterDeed::Hide => Action::LetterHide,
            LetterDeed::Show => Action::LetterShow,
            LetterDeed::Delete => Action::LetterDelete,
        }
    }

    /// The title, and what is said of so many letters at an address.
    fn told(self, lang: Lang, address: &str, count: usize, reason: &str) -> BulletinText {
        let text = &Text::new(lang);
        let (title, text) = match self {
            LetterDeed::Hide => (
                say!(text, "letters-hidden-title"),
                say!(text, "letters-hidden-text", count = count, address = address, reason = reason),
            ),
            LetterDeed::Show => (
                say!(text, "letters-shown-title"),
                say!(text, "letters-shown-text", count = count, address = address, reason = reason),
            ),
            LetterDeed::Delete => (
                say!(text, "letters-deleted-title"),
                say!(text, "letters-deleted-text", count = count, address = address, reason = reason),
            ),
        };
        BulletinText { title, text }
    }
}

/// What is to be done to letters of a member.
#[derive(Debug, Clone)]
pub struct NewLetterDeed {
    /// Whose.
    pub account: AccountKey,
    /// What.
    pub deed: LetterDeed,
    /// To which: as their traces call them.
    pub letters: BTreeSet<EventId>,
    /// Why; administrators read it.
    pub reason: String,
}

impl Administration {
    /// Orders that letters of a member are hidden, shown again or deleted: all copies of them in the account. Its administrators
    /// are told by a bulletin. As [`Administration::order_import`].
    ///
    /// # Errors
    /// [`Invalid::NoLetter`] for one of which no copy came into the account, [`Invalid::TooMany`], [`Invalid::Reason`]; or
    /// others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn order_letter_deed(
        &self,
        call: &Call,
        new: NewLetterDeed,
        once: Option<[u8; 32]>,
    ) -> Result<Task, AdminError> {
        let NewLetterDeed { account: key, deed, letters, reason } = new;
        let (tenant, object) = (key.tenant, key.account.to_string());
        let about = About::new(Some(tenant), deed.action(), &object);
        let account = self.permitted(call, &about, key).await?;
        let reason = said_reason(&reason)?;
        if letters.is_empty() {
            return Err(Invalid::NoLetter.into());
        }
        if letters.len() > MAX_LETTERS_AT_ONCE {
            return Err(Invalid::TooMany { limit: MAX_LETTERS_AT_ONCE }.into());
        }
        let (mut named, mut untraced) = (Vec::with_capacity(letters.len()), BTreeSet::new());
        for letter in &letters {
            let copies = self.copies_of(key, *letter).await?;
            if copies.is_empty() {
                untraced.insert(*letter);
            } else {
                named.push(NamedLetter { id: *letter, copies });
            }
        }
        if !untraced.is_empty() {
            named.extend(self.named_before(key, &mut untraced).await?);
        }
        if !untraced.is_empty() {
            return Err(Invalid::NoLetter.into());
        }
        let address = account.address.to_string();
        let ids: Vec<String> = letters.iter().map(ToString::to_string).collect();
        let about =
            About::new(Some(tenant), deed.action(), &address).to(json!({ "letters": ids, "reason": reason }));
        let kind = TaskKind::Letters {
            account: key.account,
            address: address.clone(),
            deed,
            letters: named,
            reason,
        };
        self.order(call, tenant, Wish { kind, has_groups: false, bytes: None, once }, &about).await
    }

    /// The ids that a letter got in an account: as a recipient's, and in Sent.
    async fn copies_of(&self, key: AccountKey, letter: EventId) -> Result<Vec<Rid>, AdminError> {
        let found = journey(&**self.traces()?, key.tenant, letter).await?;
        let recipients = found.and_then(|found| found.delivery).map(|delivery| delivery.recipients);
        let own = recipients.unwrap_or_default().into_iter().filter(|recipient| recipient.account == key);
        let rid = |outcome| if let TraceOutcome::Stored { rid, .. } = outcome { Some(rid) } else { None };
        Ok(own.filter_map(|recipient| rid(recipient.outcome)).collect())
    }

    /// Letters whose traces are gone, as an earlier order named them; these are taken out of those that are looked for.
    async fn named_before(
        &self,
        key: AccountKey,
        wanted: &mut BTreeSet<EventId>,
    ) -> Result<Vec<NamedLetter>, AdminError> {
        let (mut found, mut page) = (Vec::new(), Page::default());
        loop {
            let Listed { items, next } = self.list::<Item>(&partition(key.tenant), &page).await?;
            let earlier = items.iter().filter_map(|(_, item)| item.letters_in(key.account)).flatten();
            found.extend(earlier.filter(|letter| wanted.remove(&letter.id)).cloned());
            match next {
                Some(next) if !wanted.is_empty() => page.after = Some(next),
                _ => return Ok(found),
            }
        }
    }

    pub(super) async fn do_to_letters(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let TaskKind::Letters { account, deed, ref letters, .. } = item.kind else {
            return Ok(Worked::Over);
        };
        let (key, named) = (AccountKey { tenant, account }, letters.len() as u64);
        let mut item = item.clone();
        loop {
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
            if self.directory.account(key).await?.is_none() {
                return self.end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::NoAccount)).await;
            }
            let Some(claim) = self.claim_step(tenant, id, &item, &[]).await? else {
                return Ok(Worked::Over);
            };
            let done = if item.step == 0 {
                let own = self.do_unless_overtaken(key, &item, deed).await?;
                if own.is_empty() {
                    return self
                        .end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::NewerOrder))
                        .await;
                }
                let rows = self.mail()?.letters_after(key, &own, deed).await?;
                if rows == 0 {
                    return self.end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::NoLetters)).await;
                }
                StepDone { rows, total: Some(named), ..StepDone::default() }
            } else {
                let told = self.tell_of_letters(tenant, id, &item, item.done).await?;
                StepDone { after: Some(told.to_string()), is_last: true, ..StepDone::default() }
            };
            match self.finish_step(&claim, &done).await? {
                Some(advanced) if !advanced.state.is_over() => item = advanced,
                _ => return Ok(Worked::Over),
            }
        }
    }

    /// Does it to the letters that no later order names; which these are.
    async fn do_unless_overtaken(
        &self,
        key: AccountKey,
        item: &Item,
        deed: LetterDeed,
    ) -> Result<Vec<NamedLetter>, AdminError> {
        let (mail, mut attempts) = (self.mail()?, 0);
        while attempts < MAX_ATTEMPTS {
            let at = mail.newest(key).await?;
            let own = self.not_overtaken(key, item).await?;
            if own.is_empty() {
                return Ok(own);
            }
            match mail.do_to_letters(key, at, &own, deed).await? {
                LettersDone::All => return Ok(own),
                LettersDone::Some => {}
                LettersDone::Overtaken => attempts += 1,
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// The letters of a task that no later order names, unless that ended before it was begun.
    async fn not_overtaken(&self, key: AccountKey, item: &Item) -> Result<Vec<NamedLetter>, AdminError> {
        let mut own = item.letters_in(key.account).map(<[NamedLetter]>::to_vec).unwrap_or_default();
        let mut page = Page::default();
        loop {
            let Listed { items, next } = self.list::<Item>(&partition(key.tenant), &page).await?;
            let holds = |other: &Item| {
                let is_void = matches!(other.state, TaskState::Failed | TaskState::Cancelled);
                other.order > item.order && (!is_void || other.has_touched_letters())
            };
            let later = items.iter().filter(|(_, other)| holds(other));
            let later = later.filter_map(|(_, other)| other.letters_in(key.account)).flatten();
            let overtaken: BTreeSet<EventId> = later.map(|letter| letter.id).collect();
            own.retain(|letter| !overtaken.contains(&letter.id));
            // What follows was ordered before, whatever the clock of the process said that took the order.
            let is_past =
                items.last().is_some_and(|(_, last)| last.created < item.created.plus_millis(-SKEW));
            match next {
                Some(next) if !is_past => page.after = Some(next),
                _ => return Ok(own),
            }
        }
    }

    /// Tells administrators what a task has done to letters that ends before it told them.
    pub(super) async fn tell_before_the_end(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
    ) -> Result<(), AdminError> {
        let TaskKind::Letters { account, deed, .. } = item.kind else { return Ok(()) };
        let key = AccountKey { tenant, account };
        if !item.has_touched_letters() || self.directory.account(key).await?.is_none() {
            return Ok(());
        }
        let count = if item.step > 0 {
            item.done
        } else {
            let own = self.not_overtaken(key, item).await?;
            self.mail()?.letters_after(key, &own, deed).await?
        };
        if count > 0 {
            self.tell_of_letters(tenant, id, item, count).await?;
        }
        Ok(())
    }

    /// Tells the administrators of the tenant that it was done to so many letters, unless they have been told; under which id
    /// they are.
    async fn tell_of_letters(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        count: u64,
    ) -> Result<u64, AdminError> {
        let TaskKind::Letters { address, deed, reason, .. } = &item.kind else {
            return Err(AdminError::NotFound("task"));
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let told = |lang| deed.told(lang, address, count, reason);
        let kind = if *deed == LetterDeed::Show { BulletinKind::Notice } else { BulletinKind::Warning };
        let mut bulletin = Bulletin {
            id: 0,
            kind,
            english: told(Lang::En),
            chinese: told(Lang::ZhCn),
            from: item.created,
            until: None,
            tenants: BTreeSet::from([tenant]),
            published: item.created,
        };
        let mut after = item.after.clone();
        for _ in 0..MAX_ATTEMPTS {
            let now = self.clock.now();
            if let Some(chosen) = after.as_ref().and_then(|after| after.parse::<u64>().ok()) {
                let is_fresh = now < Administration::time_of(chosen).plus_millis(CHOSEN_FOR);
                match self.bulletin_of(chosen).await? {
                    Some(other)
                        if other.tenants == bulletin.tenants
                            && other.english.title == bulletin.english.title =>
                    {
                        return Ok(chosen);
                    }
                    None if is_fresh => {
                        (bulletin.id, bulletin.from, bulletin.published) = (chosen, now, now);
                        self.append(None, publishing(item, &bulletin)).await?;
                        if self.put_bulletin(&bulletin).await? {
                            return Ok(chosen);
                        }
                        continue;
                    }
                    // Another one got the id, or nobody has published it for long.
                    _ => {}
                }
            }
            let fresh = self.free_id(now).await?.to_string();
            // Whoever chose meanwhile has chosen for all.
            let chosen = self.change_task(tenant, id, |item, _| {
                if item.after == after {
                    item.after = Some(fresh.clone());
                }
                Ok(())
            });
            let item = chosen.await?;
            after = item.after;
        }
        Err(DirectoryError::Contended.into())
    }
}

impl Item {
    /// The letters that it names, if it is about letters of this account.
    fn letters_in(&self, account: AccountId) -> Option<&[NamedLetter]> {
        match &self.kind {
            TaskKind::Letters { account: of, letters, .. } if *of == account => Some(letters),
            _ => None,
        }
    }
}

/// What the log of operations has of it: the bulletin is the one's who ordered the task.
fn publishing(item: &Item, bulletin: &Bulletin) -> Entry {
    Entry {
        by: item.by.clone(),
        origin: item.origin,
        action: Action::BulletinPublish.name().to_owned(),
        object: format!("{:016x}", bulletin.id),
        before: None,
        after: Some(json!({ "kind": bulletin.kind.name(), "english": bulletin.english.title }).to_string()),
        outcome: Outcome::Ordered,
    }
}
