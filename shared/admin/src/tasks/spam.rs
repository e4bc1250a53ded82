//! Letters that members report as spam (RCV-10), and senders whom they refuse by a letter (RCV-19).
//!
//! A report is a task that moves the letter into Junk, since whoever answers the API may not change mail; it is remembered as
//! all tasks are, and that is the list of reports. The letter is known by an id that stays when it is moved: done again, the task
//! finds it in Junk. The sender is put into the blacklist before the report is ordered: of a report that failed it may be there.

use pennypost_directory::{AddressError, DirectoryError, Listed, MailAddress, Page, SenderPattern};
use pennypost_model::{AccountKey, TaskId, TenantId, Timestamp, Uid};
use pennypost_ports::PortError;
use serde_json::json;

use super::work::{StepDone, Worked};
use super::{DAY, Item, Task, TaskCounts, TaskKind, TaskProblem, TaskState, Wish};
use crate::action::Action;
use crate::authorise::{Actor, Scope};
use crate::call::{About, Call};
use crate::receiving::SeenRules;
use crate::{AdminError, Administration, FoundLetter, Invalid};

/// Reports of an account in a day.
const REPORTS_A_DAY: usize = 100;
/// Bytes from which on an address on a card may be the beginning of one.
const MAYBE_CUT: usize = 97;

/// A letter of a member, as programs see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedByUid {
    /// Whose.
    pub account: AccountKey,
    /// The full name of its folder.
    pub folder: String,
    /// Its UID there.
    pub uid: Uid,
}

/// Some reports of an account in a day.
pub(super) fn may_report(
    kind: &TaskKind,
    newest: &[(String, Item)],
    now: Timestamp,
) -> Result<(), AdminError> {
    let TaskKind::Spam { account, .. } = kind else { return Ok(()) };
    let is_own = |item: &Item| matches!(item.kind, TaskKind::Spam { account: of, .. } if of == *account);
    let is_recent = |item: &Item| now.0.saturating_sub(item.created.0) < DAY;
    let count = newest.iter().filter(|(_, item)| is_own(item) && is_recent(item)).count();
    if count >= REPORTS_A_DAY { Err(Invalid::TooMany { limit: REPORTS_A_DAY }.into()) } else { Ok(()) }
}

impl Administration {
    /// The letter that a member names.
    async fn named_letter(&self, named: &NamedByUid) -> Result<FoundLetter, AdminError> {
        let mail = self.mail.as_ref().ok_or(AdminError::NoMail)?;
        let found = mail.letter(named.account, &named.folder, named.uid).await?;
        found.ok_or_else(|| Invalid::NoLetter.into())
    }

    /// Reports a letter as spam: it is moved into Junk, and its author put into the member's blacklist, if that is wished. As
    /// [`Administration::order_import`].
    ///
    /// # Errors
    /// [`Invalid::NoLetter`] for one that is not there, [`Invalid::TooMany`]; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn report_spam(
        &self,
        call: &Call,
        named: &NamedByUid,
        refuse: bool,
        once: Option<[u8; 32]>,
    ) -> Result<Task, AdminError> {
        let key = named.account;
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::SpamReport, &object);
        let account = self.permitted(call, &about, key).await?;
        let found = self.named_letter(named).await?;
        if refuse {
            self.refuse_author(call, key, &found).await?;
        }
        let address = account.address.to_string();
        let about = About { object: &address, ..about }.to(json!({ "refuse": refuse }));
        let kind = TaskKind::Spam {
            account: key.account,
            address: address.clone(),
            rid: found.rid,
            from: found.card.from.address.clone(),
            subject: found.card.subject.clone(),
            refused: refuse,
        };
        self.order(call, key.tenant, Wish { kind, has_groups: false, bytes: None, once }, &about).await
    }

    /// Puts the author of a letter into the member's blacklist.
    ///
    /// # Errors
    /// [`Invalid::NoLetter`]; [`DirectoryError::Address`] for a letter without an author's address, and for one that is very long;
    /// [`DirectoryError::MemberRules`] for a list that is full; [`DirectoryError::Port`] if what the member has said can't be
    /// read; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn refuse_sender(&self, call: &Call, named: &NamedByUid) -> Result<SeenRules, AdminError> {
        let object = named.account.account.to_string();
        let about = About::new(Some(named.account.tenant), Action::SpamReport, &object);
        self.permitted(call, &about, named.account).await?;
        let found = self.named_letter(named).await?;
        self.refuse_author(call, named.account, &found).await
    }

    async fn refuse_author(
        &self,
        call: &Call,
        key: AccountKey,
        found: &FoundLetter,
    ) -> Result<SeenRules, AdminError> {
        let author = &found.card.from.address;
        if author.len() >= MAYBE_CUT {
            // The beginning of an address may be another one.
            let error = AddressError::Shape(author.chars().take(80).collect());
            return Err(DirectoryError::from(error).into());
        }
        let author = MailAddress::parse(author).map_err(DirectoryError::from)?;
        let pattern = SenderPattern::parse(&author.to_string()).map_err(DirectoryError::from)?;
        let seen = self.member_rules(call, key).await?;
        if seen.unreadable {
            // Who says rules anew writes over them knowingly; this would lose them.
            let cause = format!("rules of {key} can't be read: no sender is added to them");
            return Err(PortError::Damaged { port: "control", cause }.into());
        }
        let mut rules = seen.rules.clone();
        if rules.blacklist.contains(&pattern) {
            return Ok(seen);
        }
        rules.blacklist.push(pattern);
        self.change_member_rules(call, key, &seen, rules).await
    }

    /// Letters that a member has reported as spam, or all members have; the newest first. A page may hold few of them, even
    /// none, though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn spam_reports(
        &self,
        call: &Call,
        tenant: TenantId,
        account: Option<AccountKey>,
        page: &Page,
    ) -> Result<Listed<Task>, AdminError> {
        match account {
            Some(key) => drop(self.seen(call, Action::SpamReportRead, key).await?),
            None => call.may(Action::SpamReportList, &Scope::Tenant(tenant))?,
        }
        let Listed { items, next } = self.stored_tasks(tenant, page).await?;
        let is_meant = |item: &Item| match (&item.kind, account) {
            (TaskKind::Spam { account, .. }, Some(key)) => *account == key.account,
            (TaskKind::Spam { .. }, None) => true,
            _ => false,
        };
        let meant = items.into_iter().filter(|(_, item)| is_meant(item));
        let items = meant.filter_map(|(id, item)| Some(item.shown(id.parse().ok()?))).collect();
        Ok(Listed { items, next })
    }

    pub(super) async fn move_spam(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let TaskKind::Spam { account, rid, .. } = item.kind else { return Ok(Worked::Over) };
        let key = AccountKey { tenant, account };
        if self.clock.now() >= until {
            return Ok(Worked::More);
        }
        if self.directory.account(key).await?.is_none_or(|account| account.binned.is_some()) {
            return self.end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::NoAccount)).await;
        }
        let Some(claim) = self.claim_step(tenant, id, item, &[]).await? else { return Ok(Worked::Over) };
        let is_moved = self.mail()?.put_into_junk(key, rid).await?;
        let counts = TaskCounts { skipped: u64::from(!is_moved), ..TaskCounts::default() };
        let done = StepDone { rows: 1, total: Some(1), counts, is_last: true, ..StepDone::default() };
        self.finish_step(&claim, &done).await?;
        Ok(Worked::Over)
    }

    /// May whoever reported it still do so?
    pub(super) fn may_still_report(actor: &Actor, key: AccountKey) -> bool {
        matches!(actor, Actor::Person { account, .. } if *account == key)
    }
}
