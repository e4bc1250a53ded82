//! Carrying a task out, step by step.

use std::sync::Arc;

use pennypost_directory::{Account, AccountKind, DirectoryError, SessionId};
use pennypost_model::{AccountKey, TaskId, TenantId, Timestamp};
use pennypost_ports::{Expected, Objects};

use super::{
    Item, LASTS, MAX_TRIES, PIECE, Part, TaskCounts, TaskKind, TaskProblem, TaskState, input_name,
    piece_name, task_key,
};
use crate::authorise::{Actor, Decision, Means, Presence, Scope, authorise};
use crate::call::Call;
use crate::keys::NotAuthentic;
use crate::operations::{By, Entry, Outcome};
use crate::permission::Permissions;
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration};

/// What became of work on a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// Nothing is left to be done here: it has ended, or somebody else works on it.
    Over,
    /// There is more to do.
    More,
}

/// A step that was claimed.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) tenant: TenantId,
    pub(super) id: TaskId,
    pub(super) step: u32,
    /// Which attempt it is: 1 for the first.
    pub(super) attempt: u32,
    /// Rows whose addresses were taken before the first attempt.
    pub(super) taken: Vec<u32>,
}

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct StepDone {
    /// Rows that were done.
    pub(super) rows: u64,
    /// Of how many in all, if that became known.
    pub(super) total: Option<u64>,
    /// What came of them.
    pub(super) counts: TaskCounts,
    /// Lines of the result.
    pub(super) lines: Vec<String>,
    /// Behind what the next step of an export begins.
    pub(super) after: Option<String>,
    /// It was the last one.
    pub(super) is_last: bool,
}

impl TaskCounts {
    fn add(&mut self, other: TaskCounts) {
        self.departments += other.departments;
        self.people += other.people;
        self.groups += other.groups;
        self.skipped += other.skipped;
        self.refused += other.refused;
    }
}

impl Administration {
    /// Works on a task until it has ended, or `until` has passed. Everything that it did is durable when it returns; called
    /// again, by whomever, it goes on.
    ///
    /// # Errors
    /// [`AdminError`]: temporary ones are for another try.
    #[pennypost_ports::compiled_here]
    pub async fn work_on(
        &self,
        tenant: TenantId,
        id: TaskId,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let (objects, _) = self.workshop()?;
        let Some((item, _)) = self.read::<Item>(&task_key(tenant, id)).await? else {
            return Ok(Worked::Over);
        };
        if item.state.is_over() {
            // Whoever ended it may have died before this.
            objects.delete(&input_name(tenant, id)).await?;
            return Ok(Worked::Over);
        }
        if item.cancel {
            return self.end_task(tenant, id, TaskState::Cancelled, None).await;
        }
        let age = self.clock.now().0.saturating_sub(item.created.0);
        if item.attempt >= MAX_TRIES || age > LASTS {
            return self.end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::GivenUp)).await;
        }
        if !self.is_still_permitted(tenant, &item).await? {
            let problem = TaskProblem::NotPermitted;
            return self.end_task(tenant, id, TaskState::Failed, Some(&problem)).await;
        }
        let worked = match &item.kind {
            TaskKind::Import { .. } => self.import(tenant, id, &item, until).await,
            TaskKind::Export { .. } => self.export(tenant, id, &item, until).await,
            TaskKind::Backup { .. } => self.back_up(tenant, id, &item, until).await,
            TaskKind::Letters { .. } => self.do_to_letters(tenant, id, &item, until).await,
            TaskKind::Rules { .. } => Box::pin(self.run_rules(tenant, id, &item, until)).await,
            TaskKind::Spam { .. } => Box::pin(self.move_spam(tenant, id, &item, until)).await,
            TaskKind::Receipt { .. } => Box::pin(self.say_receipt(tenant, id, &item, until)).await,
        };
        match worked {
            Err(AdminError::Directory(DirectoryError::NoDepartment(name))) => {
                let problem = TaskProblem::NoDepartment(name);
                self.end_task(tenant, id, TaskState::Failed, Some(&problem)).await
            }
            // It was forgotten meanwhile.
            Err(AdminError::NotFound(_)) => Ok(Worked::Over),
            Err(error) if !error.is_temporary() => {
                tracing::error!(%tenant, task = %id, %error, "a task can't be carried out");
                self.end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::Broken)).await
            }
            other => other,
        }
    }

    /// May whoever ordered it still do it? What was taken away from him is gone for what is under way, too.
    async fn is_still_permitted(&self, tenant: TenantId, item: &Item) -> Result<bool, AdminError> {
        let actor = match self.actor_behind(item).await {
            Ok(actor) => actor,
            Err(NotAuthentic::Unknown) => return Ok(false),
            Err(NotAuthentic::Failed(error)) => return Err(error),
        };
        if let TaskKind::Rules { account, .. } = item.kind {
            return Ok(Administration::may_still_run_rules(&actor, AccountKey { tenant, account }));
        }
        if let TaskKind::Spam { account, .. } | TaskKind::Receipt { account, .. } = item.kind {
            return Ok(Administration::may_still_report(&actor, AccountKey { tenant, account }));
        }
        if let TaskKind::Backup { from, to, .. } = item.kind {
            let call = Call { actor, origin: item.origin };
            return self.may_still_back_up(&call, (tenant, from, to), item).await;
        }
        let scope = match item.kind {
            TaskKind::Letters { .. } => Scope::SomeAccount(tenant),
            _ => Scope::Tenant(tenant),
        };
        let may = |action| authorise(&actor, action, &scope) == Decision::Allow;
        Ok(item.kind.actions(item.has_groups).iter().all(|action| may(*action)))
    }

    async fn actor_behind(&self, item: &Item) -> Result<Actor, NotAuthentic> {
        let (session, account) = match &item.by {
            By::Operator => return Ok(Actor::Operator),
            // Nothing that is due orders tasks.
            By::Schedule => return Err(NotAuthentic::Unknown),
            By::Service { key, .. } => return self.actor_of_key(item.book, *key).await,
            By::Person { key, account, .. } => return self.actor_of_key(Some(account.tenant), *key).await,
            By::Session { session, account, .. } => (*session, *account),
            // Whoever was only invited orders nothing.
            By::Invited { .. } | By::Recovering | By::Stranger | By::Founder { .. } => {
                return Err(NotAuthentic::Unknown);
            }
        };
        // The session may have ended: the person goes on being who he is.
        let tenant = self.directory.tenant(account.tenant).await.map_err(AdminError::from)?;
        let is_active = tenant.is_some_and(|tenant| tenant.is_open(self.clock.now()));
        let found = self.directory.account(account).await.map_err(AdminError::from)?;
        let may = |found: &Account| found.is_open(self.clock.now()) && found.kind == AccountKind::Member;
        let found = found.filter(|found| is_active && may(found));
        let address = found.ok_or(NotAuthentic::Unknown)?.address.to_string();
        let authority = self.authority(account).await?;
        let means = Means::Session(past_presence(session));
        Ok(Actor::Person { means, account, address, authority, limit: Permissions::of_tenant() })
    }

    /// Changes a task by compare-and-set; what it is then.
    pub(super) async fn change_task(
        &self,
        tenant: TenantId,
        id: TaskId,
        change: impl Fn(&mut Item, Timestamp) -> Result<(), AdminError>,
    ) -> Result<Item, AdminError> {
        let key = task_key(tenant, id);
        for _ in 0..MAX_ATTEMPTS {
            let (mut item, version) = self.stored_task(tenant, id).await?;
            let now = self.clock.now();
            change(&mut item, now)?;
            item.touched = now;
            if self.write(&key, &item, Expected::Version(version)).await? {
                return Ok(item);
            }
        }
        Err(DirectoryError::Contended.into())
    }

    /// Claims the step that `item` stands before, as it was read. `None` if somebody else has claimed it meanwhile, or if the
    /// task was cancelled, and now is.
    pub(super) async fn claim_step(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        taken: &[u32],
    ) -> Result<Option<Claim>, AdminError> {
        let (objects, _) = self.workshop()?;
        let (step, attempt) = (item.step, item.attempt);
        let claimed = self.change_task(tenant, id, |item, now| {
            if (item.step, item.attempt) != (step, attempt) || item.state.is_over() {
                return Err(AdminError::Changed);
            }
            if item.cancel && !item.has_touched_letters() {
                (item.state, item.ended) = (TaskState::Cancelled, Some(now));
                return Ok(());
            }
            item.state = TaskState::Running;
            item.begun = item.begun.or(Some(now));
            item.attempt += 1;
            if item.attempt == 1 {
                item.taken = taken.to_vec();
            }
            Ok(())
        });
        match claimed.await {
            Ok(item) if item.state.is_over() => {
                objects.delete(&input_name(tenant, id)).await?;
                Ok(None)
            }
            Ok(item) => Ok(Some(Claim { tenant, id, step, attempt: item.attempt, taken: item.taken })),
            Err(AdminError::Changed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes down what came of a step; the task as it is then. `None` if somebody else has claimed the step since.
    pub(super) async fn finish_step(
        &self,
        claim: &Claim,
        done: &StepDone,
    ) -> Result<Option<Item>, AdminError> {
        let (objects, _) = self.workshop()?;
        let part = self.put_lines(objects, claim, &done.lines).await?;
        let advanced = self.change_task(claim.tenant, claim.id, |item, now| {
            if (item.step, item.attempt) != (claim.step, claim.attempt) || item.state.is_over() {
                return Err(AdminError::Changed);
            }
            item.step += 1;
            (item.attempt, item.taken) = (0, Vec::new());
            item.done += done.rows;
            item.total = done.total.or(item.total);
            item.counts.add(done.counts);
            item.after.clone_from(&done.after);
            item.parts.extend(part);
            if done.is_last {
                (item.state, item.ended) = (TaskState::Done, Some(now));
                // Of letters some may be left out.
                if !item.kind.is_of_letters() {
                    item.total = Some(item.done);
                }
            } else if item.cancel && !item.has_touched_letters() {
                (item.state, item.ended) = (TaskState::Cancelled, Some(now));
            }
            Ok(())
        });
        let item = match advanced.await {
            Ok(item) => item,
            Err(AdminError::Changed) => return Ok(None),
            Err(error) => return Err(error),
        };
        if item.state.is_over() {
            objects.delete(&input_name(claim.tenant, claim.id)).await?;
        }
        Ok(Some(item))
    }

    /// Puts lines of a result into objects, under names that only this attempt uses.
    async fn put_lines(
        &self,
        objects: &Arc<dyn Objects>,
        claim: &Claim,
        lines: &[String],
    ) -> Result<Option<Part>, AdminError> {
        let mut pieces: Vec<String> = Vec::new();
        for line in lines {
            match pieces.last_mut() {
                Some(piece) if piece.len() + line.len() <= PIECE => piece.push_str(line),
                _ => pieces.push(line.clone()),
            }
        }
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let part = Part { step: claim.step, attempt: claim.attempt, pieces: count };
        for (number, piece) in (0..).zip(pieces) {
            let name = piece_name(claim.tenant, claim.id, part, number);
            objects.put_unique(&name, piece.into_bytes().into()).await?;
        }
        Ok((count > 0).then_some(part))
    }

    /// Ends a task before it was carried out; if it was given up, the log of operations tells why: first, so that it tells
    /// it twice rather than never.
    pub(super) async fn end_task(
        &self,
        tenant: TenantId,
        id: TaskId,
        state: TaskState,
        problem: Option<&TaskProblem>,
    ) -> Result<Worked, AdminError> {
        let (objects, _) = self.workshop()?;
        let Some((item, _)) = self.read::<Item>(&task_key(tenant, id)).await? else {
            return Ok(Worked::Over);
        };
        if item.state.is_over() {
            return Ok(Worked::Over);
        }
        match self.tell_before_the_end(tenant, id, &item).await {
            Err(error) if !error.is_temporary() => {
                tracing::error!(%tenant, task = %id, %error, "administrators are not told of letters");
            }
            told => told?,
        }
        if let Some(problem) = problem {
            let [cause, _] = problem.messages();
            let entry = Entry {
                by: item.by.clone(),
                origin: item.origin,
                action: item.kind.action().name().to_owned(),
                object: item.kind.object().to_owned(),
                before: None,
                after: None,
                outcome: Outcome::Failed { of: item.order, cause },
            };
            self.append(Some(tenant), entry).await?;
        }
        let ended = self.change_task(tenant, id, |item, now| {
            if item.state.is_over() {
                return Err(AdminError::Changed);
            }
            (item.state, item.ended) = (state, Some(now));
            item.problem = problem.cloned();
            Ok(())
        });
        match ended.await {
            Ok(_) => objects.delete(&input_name(tenant, id)).await?,
            Err(AdminError::Changed | AdminError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(Worked::Over)
    }
}

/// Somebody who was in a session.
const fn past_presence(session: SessionId) -> Presence {
    Presence {
        session,
        is_confirmed: false,
        is_fresh: false,
        lacks_factor: false,
        must_change: false,
        seconds: false,
        from: None,
    }
}
