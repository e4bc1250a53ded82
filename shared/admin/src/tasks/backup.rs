//! The mail of an account, copied into another one before it is erased (ORG-22, ORG-23).
//!
//! The first step looks whether there is room for all of it. The second puts the account into the recycle bin if that was
//! ordered: from then on nothing new comes into it; and it notes since when the account is there. Each further one copies some
//! messages, as long as the account is there since then: who takes it out ends the backup. Whoever keeps the mail knows which
//! are there already: a step that is done again adds nothing, nor does a second order.

use std::sync::Arc;

use pennypost_directory::{Account, AccountKind, BinCause, DirectoryError, Function, Listed, Page};
use pennypost_model::{AccountId, AccountKey, TaskId, TenantId, Timestamp};
use serde_json::json;

use super::work::{StepDone, Worked};
use super::{Item, Task, TaskCounts, TaskKind, TaskProblem, TaskState, Wish, partition};
use crate::action::Action;
use crate::authorise::{Decision, Scope, authorise};
use crate::call::{About, Call};
use crate::operations::{Entry, Outcome};
use crate::{AdminError, Administration, Copying, Invalid, Mail};

/// A backup that is wished for.
#[derive(Debug, Clone, Copy)]
pub struct NewBackup {
    /// Whose mail.
    pub from: AccountKey,
    /// Into which account of the same tenant.
    pub to: AccountId,
    /// Put it into the recycle bin before, unless it is there.
    pub delete: bool,
}

impl Administration {
    /// Orders a backup of an account's mail. Every message of its mailboxes comes into a folder of the other account that is
    /// named after its address; nothing is taken away from it. As [`Administration::order_import`].
    ///
    /// # Errors
    /// [`DirectoryError::NotInBin`] for an account that is in use and is not to be deleted, [`DirectoryError::BinOver`],
    /// [`Invalid::NoAccount`] for one that mail can't be copied into, [`crate::Conflict::NotInPlan`]; or others of
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn order_backup(
        &self,
        call: &Call,
        new: NewBackup,
        once: Option<[u8; 32]>,
    ) -> Result<Task, AdminError> {
        let NewBackup { from, to, delete } = new;
        let tenant = from.tenant;
        let target = AccountKey { tenant, account: to };
        let object = from.account.to_string();
        let about = About::new(Some(tenant), Action::AccountBackup, &object);
        let account = self.permitted(call, &about, from).await?;
        if delete {
            self.permitted(call, &About::new(Some(tenant), Action::AccountDelete, &object), from).await?;
        }
        let into = match self.permitted(call, &about, target).await {
            Err(AdminError::NotFound("account")) => return Err(Invalid::NoAccount.into()),
            other => other?,
        };
        let address = account.address.to_string();
        match account.binned {
            Some(binned) if binned.is_over(self.clock.now()) => {
                return Err(DirectoryError::BinOver(address).into());
            }
            None if !delete => return Err(DirectoryError::NotInBin(address).into()),
            _ => {}
        }
        self.needs_function(tenant, Function::Backup).await?;
        if !self.takes_mail(from, &into) {
            return Err(Invalid::NoAccount.into());
        }
        let after = json!({ "to": into.address.to_string(), "delete": delete });
        let about = About::new(Some(tenant), Action::AccountBackup, &address).to(after);
        let kind = TaskKind::Backup { from: from.account, address: address.clone(), to, delete };
        self.order(call, tenant, Wish { kind, has_groups: false, bytes: None, once }, &about).await
    }

    /// Can the mail of `from` be copied into this account?
    fn takes_mail(&self, from: AccountKey, into: &Account) -> bool {
        into.key != from && into.is_open(self.clock.now())
    }

    pub(super) fn mail(&self) -> Result<&Arc<dyn Mail>, AdminError> {
        self.mail.as_ref().ok_or(AdminError::NoTasks)
    }

    pub(super) async fn back_up(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let TaskKind::Backup { from, ref address, to, delete } = item.kind else { return Ok(Worked::Over) };
        let mail = self.mail()?;
        let to = AccountKey { tenant, account: to };
        let from = AccountKey { tenant, account: from };
        let into = self.directory.account(to).await?.filter(|into| self.takes_mail(from, into));
        let Some(into) = into else { return self.end_backup(tenant, id, &TaskProblem::NoTarget).await };
        let room = into.capacity(self.capacities(tenant).await?);
        let copying = Copying { from, to, folder: folder_of(address), room };
        let mut item = item.clone();
        loop {
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
            match self.needs_function(tenant, Function::Backup).await {
                Err(AdminError::Conflict(_)) => {
                    return self.end_backup(tenant, id, &TaskProblem::NotPermitted).await;
                }
                asked => asked?,
            }
            let place = item.after.as_deref().and_then(Place::read);
            if let Some(place) = place
                && !self.is_in_bin_since(from, place.since).await?
            {
                return self.end_backup(tenant, id, &TaskProblem::NoSource).await;
            }
            let Some(claim) = self.claim_step(tenant, id, &item, &[]).await? else {
                return Ok(Worked::Over);
            };
            let done = if claim.step == 0 {
                let found = mail.look(&copying).await?;
                let free = room.saturating_sub(found.used);
                if found.bytes > free {
                    let problem = TaskProblem::NoRoom { needed: found.bytes, free };
                    return self.end_backup(tenant, id, &problem).await;
                }
                StepDone { total: Some(found.messages), ..StepDone::default() }
            } else if let Some(place) = place {
                let copied = mail.copy_some(&copying, place.uid).await?;
                if copied.is_full {
                    let left = mail.look(&copying).await?;
                    let free = room.saturating_sub(left.used);
                    let problem = TaskProblem::NoRoom { needed: left.bytes, free };
                    return self.end_backup(tenant, id, &problem).await;
                }
                let counts = TaskCounts { refused: copied.damaged, ..TaskCounts::default() };
                // What is erased, or filed elsewhere by its owner, would look as if there were no more of it.
                if copied.is_last && !self.is_in_bin_since(from, place.since).await? {
                    return self.end_backup(tenant, id, &TaskProblem::NoSource).await;
                }
                let after = Place { uid: copied.after, ..place };
                let (after, is_last) = (Some(after.written()), copied.is_last);
                StepDone { rows: copied.messages, counts, after, is_last, ..StepDone::default() }
            } else {
                // Another attempt may have put it there, and somebody have taken it out again.
                if delete && claim.attempt == 1 {
                    self.delete_before_backup(&item, from).await?;
                }
                let Some(since) = self.in_bin_since(from).await? else {
                    return self.end_backup(tenant, id, &TaskProblem::NoSource).await;
                };
                StepDone { after: Some(Place { since, uid: 0 }.written()), ..StepDone::default() }
            };
            match self.finish_step(&claim, &done).await? {
                Some(advanced) if !advanced.state.is_over() => item = advanced,
                _ => return Ok(Worked::Over),
            }
        }
    }

    /// Since when an account is in the recycle bin; `None`: it is not there, or being erased.
    async fn in_bin_since(&self, key: AccountKey) -> Result<Option<Timestamp>, AdminError> {
        let binned = self.directory.account(key).await?.and_then(|account| account.binned);
        Ok(binned.filter(|binned| !binned.is_being_erased()).map(|binned| binned.since))
    }

    async fn is_in_bin_since(&self, key: AccountKey, since: Timestamp) -> Result<bool, AdminError> {
        Ok(self.in_bin_since(key).await? == Some(since))
    }

    async fn end_backup(
        &self,
        tenant: TenantId,
        id: TaskId,
        problem: &TaskProblem,
    ) -> Result<Worked, AdminError> {
        self.end_task(tenant, id, TaskState::Failed, Some(problem)).await
    }

    /// Puts the account into the recycle bin, unless it is there.
    async fn delete_before_backup(&self, item: &Item, key: AccountKey) -> Result<(), AdminError> {
        let Some(account) = self.directory.account(key).await?.filter(|account| account.binned.is_none())
        else {
            return Ok(());
        };
        let cause = match account.kind {
            AccountKind::Member => BinCause::Deleted,
            AccountKind::Business => BinCause::Withdrawn,
        };
        let entry = Entry {
            by: item.by.clone(),
            origin: item.origin,
            action: Action::AccountDelete.name().to_owned(),
            object: account.address.to_string(),
            before: None,
            after: Some(json!({ "days": cause.days() }).to_string()),
            outcome: Outcome::Ordered,
        };
        self.append(Some(key.tenant), entry).await?;
        match self.directory.bin_account(key, cause).await {
            Ok(_) | Err(DirectoryError::InBin(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// May whoever ordered a backup still do it, to both accounts?
    pub(super) async fn may_still_back_up(
        &self,
        call: &Call,
        (tenant, from, to): (TenantId, AccountId, AccountId),
        item: &Item,
    ) -> Result<bool, AdminError> {
        let places = self.places(call, tenant).await?;
        for (account, actions) in [(from, item.kind.actions(false)), (to, &[Action::AccountBackup][..])] {
            let key = AccountKey { tenant, account };
            // Without it the task ends, and says so.
            let Some(account) = self.directory.account(key).await? else { continue };
            let (authority, departments) = (self.authority(key).await?, places.of(&account.departments));
            let scope = Scope::Account { key, departments: &departments, authority: &authority };
            if actions.iter().any(|action| authorise(&call.actor, *action, &scope) != Decision::Allow) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Accounts of which a backup is still to be made: they are not erased before it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn waiting_for_backup(&self, tenant: TenantId) -> Result<Vec<AccountId>, AdminError> {
        let mut waiting = Vec::new();
        let mut page = Page::default();
        loop {
            let Listed { items, next } = self.list::<Item>(&partition(tenant), &page).await?;
            let open = items.into_iter().filter(|(_, item)| !item.state.is_over());
            waiting.extend(open.filter_map(|(_, item)| match item.kind {
                TaskKind::Backup { from, .. } => Some(from),
                TaskKind::Import { .. }
                | TaskKind::Export { .. }
                | TaskKind::Letters { .. }
                | TaskKind::Rules { .. }
                | TaskKind::Spam { .. }
                | TaskKind::Receipt { .. } => None,
            }));
            let Some(next) = next else { return Ok(waiting) };
            page.after = Some(next);
        }
    }
}

/// How far a backup has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Since when the account is in the recycle bin.
    since: Timestamp,
    /// Up to which of its messages.
    uid: u32,
}

impl Place {
    fn read(text: &str) -> Option<Place> {
        let (since, uid) = text.split_once('/')?;
        Some(Place { since: Timestamp(since.parse().ok()?), uid: uid.parse().ok()? })
    }

    fn written(self) -> String {
        format!("{}/{}", self.since.0, self.uid)
    }
}

/// The folder for the mail of an account: its address, without what no name of a mailbox has.
fn folder_of(address: &str) -> String {
    address.replace(['/', '*', '%'], "_")
}
