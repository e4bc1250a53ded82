//! Rules of a member, run on mail that lies in one of his folders (RUL-04).
//!
//! The order keeps the rules as they are then, as the file of the task, so that all letters of the folder are asked by the same
//! ones. Each step looks at some letters, in the order of their UIDs, up to the last that was there at the first step: what comes
//! meanwhile was asked when it came. A step that is done again finds no more to do: what it has moved is gone from the folder, and flags
//! are there. Nothing is forwarded, answered or refused: whoever wrote the letter long ago expects nothing of it any more.

use pennypost_directory::rules::{MAX_RULES, Moment, Rule, RuleAction, RulesError, RulesFault};
use pennypost_directory::{DirectoryError, Listed, MemberRules, Page};
use pennypost_model::codec::{decode, encode};
use pennypost_model::{AccountId, AccountKey, TaskId, TenantId, Timestamp};
use pennypost_ports::PortError;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::work::{StepDone, Worked};
use super::{DAY, Item, Task, TaskCounts, TaskKind, TaskProblem, TaskState, Wish, input_name};
use crate::action::Action;
use crate::authorise::{Actor, Decision, Scope, authorise};
use crate::call::{About, Call};
use crate::{AdminError, Administration, Conflict, Invalid, RulesRun, RunPlace};

/// Runs of an account that are ordered in a day.
const RUNS_A_DAY: usize = 20;

/// Rules that are to be run on mail.
#[derive(Debug, Clone)]
pub struct NewRulesRun {
    /// Whose.
    pub account: AccountKey,
    /// On the mail in which of his folders: its full name.
    pub folder: String,
    /// Which rules, by their names, in the order in which they are asked anyway, whether or not they are on. Empty: all on receiving that are.
    pub rules: Vec<String>,
}

/// Does it do something with mail that lies there?
const fn is_for_old(action: &RuleAction) -> bool {
    !matches!(action, RuleAction::Forward(_) | RuleAction::Reply(_) | RuleAction::Refuse(_))
}

fn wrong(fault: RulesFault, at: &str) -> AdminError {
    DirectoryError::from(RulesError { at: at.to_owned(), fault }).into()
}

/// The rules that are meant, of those that there are.
fn chosen(said: &[Rule], names: &[String]) -> Result<Vec<Rule>, AdminError> {
    if names.len() > MAX_RULES {
        return Err(wrong(RulesFault::Rules, "/rules"));
    }
    let is_called = |rule: &Rule, name: &str| rule.name.trim().to_lowercase() == name.trim().to_lowercase();
    for (number, name) in names.iter().enumerate() {
        if !said.iter().any(|rule| is_called(rule, name)) {
            return Err(wrong(RulesFault::NoRule, &format!("/rules/{number}")));
        }
    }
    let is_meant = |rule: &&Rule| match names {
        [] => rule.enabled && rule.moment == Moment::Receive,
        names => names.iter().any(|name| is_called(rule, name)),
    };
    let at_once = |rule: &Rule| {
        let mut rule = Rule { enabled: true, moment: Moment::Receive, ..rule.clone() };
        // What it forwards it deletes since it lies elsewhere then. Old mail does not.
        if rule.actions.iter().any(|action| matches!(action, RuleAction::Forward(_))) {
            rule.actions.retain(|action| *action != RuleAction::Delete);
        }
        // What was taken long ago is not refused: a rule below may say where it goes.
        rule.actions.retain(|action| !matches!(action, RuleAction::Refuse(_)));
        rule
    };
    let rules: Vec<Rule> = said.iter().filter(is_meant).map(at_once).collect();
    if !rules.iter().flat_map(|rule| &rule.actions).any(is_for_old) {
        return Err(wrong(RulesFault::NothingForOld, "/rules"));
    }
    Ok(rules)
}

/// One run of an account at a time, and some in a day.
pub(super) fn may_run(kind: &TaskKind, newest: &[(String, Item)], now: Timestamp) -> Result<(), AdminError> {
    let TaskKind::Rules { account, .. } = kind else { return Ok(()) };
    let account = *account;
    let own = || newest.iter().map(|(_, item)| item).filter(move |item| item.runs_rules_of(account));
    if own().any(|item| !item.state.is_over()) {
        return Err(AdminError::Conflict(Conflict::RulesRunning));
    }
    if own().filter(|item| now.0.saturating_sub(item.created.0) < DAY).count() >= RUNS_A_DAY {
        return Err(Invalid::TooMany { limit: RUNS_A_DAY }.into());
    }
    Ok(())
}

impl Item {
    pub(super) fn runs_rules_of(&self, account: AccountId) -> bool {
        matches!(self.kind, TaskKind::Rules { account: of, .. } if of == account)
    }
}

impl Administration {
    /// Orders that rules of a member are run on the mail in one of his folders: they move, delete, label and mark it, and neither
    /// forward nor answer. Only its owner does that, and whoever runs the program on the machine. As
    /// [`Administration::order_import`].
    ///
    /// # Errors
    /// [`DirectoryError::MemberRules`] for a rule or folder that is not there, and for rules that would do nothing;
    /// [`Conflict::RulesRunning`], [`Invalid::TooMany`]; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn order_rules_run(
        &self,
        call: &Call,
        new: NewRulesRun,
        once: Option<[u8; 32]>,
    ) -> Result<Task, AdminError> {
        let NewRulesRun { account: key, folder, rules: names } = new;
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::RulesRun, &object);
        let account = match call.actor {
            Actor::Operator => self.stored_account(key).await?,
            _ => self.permitted(call, &about, key).await?,
        };
        let address = account.address.to_string();
        if account.binned.is_some() {
            return Err(DirectoryError::InBin(address).into());
        }
        let seen = self.member_rules(&Call::of_operator(), key).await?;
        let rules = chosen(&seen.rules.rules, &names)?;
        let folders = self.all_folders(key).await?;
        let is_called = |name: &str| name == folder || name == "INBOX" && folder.eq_ignore_ascii_case(name);
        let found = folders.into_iter().find(|(_, name)| is_called(name));
        let (folder, name) = found.ok_or_else(|| wrong(RulesFault::Folder, "/folder"))?;
        let names = rules.iter().map(|rule| rule.name.clone()).collect();
        // Neither names of folders nor of rules: administrators read it.
        let about = About { object: &address, ..about }.to(json!({ "rules": rules.len() }));
        let bytes = encode(&MemberRules { rules, ..MemberRules::default() });
        let kind =
            TaskKind::Rules { account: key.account, address: address.clone(), folder, name, rules: names };
        let wish = Wish { kind, has_groups: false, bytes: Some(bytes), once };
        self.order(call, key.tenant, wish, &about).await
    }

    /// Runs of one's own rules, the newest first. A page may hold few of them, even none, though more follow.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn rules_runs(
        &self,
        call: &Call,
        key: AccountKey,
        page: &Page,
    ) -> Result<Listed<Task>, AdminError> {
        self.seen(call, Action::RulesRun, key).await?;
        let Listed { items, next } = self.stored_tasks(key.tenant, page).await?;
        let own = items.into_iter().filter(|(_, item)| item.runs_rules_of(key.account));
        let items = own.filter_map(|(id, item)| Some(item.shown(id.parse().ok()?))).collect();
        Ok(Listed { items, next })
    }

    /// A run of one's own rules.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn rules_run(&self, call: &Call, key: AccountKey, id: TaskId) -> Result<Task, AdminError> {
        self.seen(call, Action::RulesRun, key).await?;
        Ok(self.stored_run(key, id).await?.shown(id))
    }

    async fn stored_run(&self, key: AccountKey, id: TaskId) -> Result<Item, AdminError> {
        let (item, _) = self.stored_task(key.tenant, id).await?;
        if item.runs_rules_of(key.account) { Ok(item) } else { Err(AdminError::NotFound("task")) }
    }

    /// Stops a run of one's own rules before its next step. What it has done stays.
    ///
    /// # Errors
    /// [`Conflict::TaskOver`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn cancel_rules_run(
        &self,
        call: &Call,
        key: AccountKey,
        id: TaskId,
    ) -> Result<Task, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::RulesRun, &object);
        let address = self.permitted(call, &about, key).await?.address.to_string();
        let item = self.stored_run(key, id).await?;
        let about = About { object: &address, ..about }.to(json!({ "stopped": id.to_string() }));
        self.stop_task(call, key.tenant, id, &item, &about).await
    }

    /// May whoever ordered it still do it?
    pub(super) fn may_still_run_rules(actor: &Actor, key: AccountKey) -> bool {
        match actor {
            Actor::Operator => true,
            Actor::Person { account, .. } if *account == key => {
                authorise(actor, Action::RulesRun, &Scope::SomeAccount(key.tenant)) == Decision::Allow
            }
            _ => false,
        }
    }

    pub(super) async fn run_rules(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let TaskKind::Rules { account, folder, .. } = item.kind else { return Ok(Worked::Over) };
        let key = AccountKey { tenant, account };
        let Some(rules) = self.rules_of_run(tenant, id, &item.file).await? else {
            return self.give_up_run(tenant, id, &TaskProblem::NoFile).await;
        };
        let mut run = RulesRun { account: key, folder, rules, own: Vec::new() };
        run.rules.fold_words();
        if run.rules.asks_for_own_addresses() {
            run.own = self.directory.own_addresses(key).await?;
        }
        let mail = self.mail()?;
        let mut item = item.clone();
        loop {
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
            // In the bin nothing of it is changed.
            if self.directory.account(key).await?.is_none_or(|account| account.binned.is_some()) {
                return self.give_up_run(tenant, id, &TaskProblem::NoAccount).await;
            }
            let Some(claim) = self.claim_step(tenant, id, &item, &[]).await? else {
                return Ok(Worked::Over);
            };
            let place = item.after.as_deref().and_then(read_place);
            let Some(ran) = mail.run_rules(&run, place).await? else {
                return self.give_up_run(tenant, id, &TaskProblem::NoFolder).await;
            };
            let counts = TaskCounts { skipped: ran.unchanged, refused: ran.damaged, ..TaskCounts::default() };
            let done = StepDone {
                rows: ran.looked_at,
                total: ran.total,
                counts,
                after: Some(written(ran.place)),
                is_last: ran.is_last,
                ..StepDone::default()
            };
            match self.finish_step(&claim, &done).await? {
                Some(advanced) if !advanced.state.is_over() => item = advanced,
                _ => return Ok(Worked::Over),
            }
        }
    }

    async fn give_up_run(
        &self,
        tenant: TenantId,
        id: TaskId,
        problem: &TaskProblem,
    ) -> Result<Worked, AdminError> {
        self.end_task(tenant, id, TaskState::Failed, Some(problem)).await
    }

    /// The rules as they were when it was ordered; `None` if they are gone.
    async fn rules_of_run(
        &self,
        tenant: TenantId,
        id: TaskId,
        digest: &[u8; 32],
    ) -> Result<Option<MemberRules>, AdminError> {
        let (objects, _) = self.workshop()?;
        let bytes = match objects.get(&input_name(tenant, id)).await {
            Err(PortError::NotFound { .. }) => return Ok(None),
            other => other?.0,
        };
        if <[u8; 32]>::from(Sha256::digest(&bytes)) != *digest {
            return Ok(None);
        }
        Ok(Some(decode(&bytes)?))
    }
}

fn read_place(text: &str) -> Option<RunPlace> {
    let (uid, upto) = text.split_once('/')?;
    Some(RunPlace { uid: uid.parse().ok()?, upto: upto.parse().ok()? })
}

fn written(RunPlace { uid, upto }: RunPlace) -> String {
    format!("{uid}/{upto}")
}

impl TaskKind {
    /// The folder on whose mail rules are run, and the rules, by their names when it was ordered.
    #[must_use]
    pub fn rules_run(&self) -> Option<(&str, &[String])> {
        match self {
            TaskKind::Rules { name, rules, .. } => Some((name, rules)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use pennypost_directory::MailAddress;
    use pennypost_directory::rules::Join;

    use super::*;

    fn rule(name: &str, actions: Vec<RuleAction>) -> Rule {
        let (name, moment, join) = (name.to_owned(), Moment::Receive, Join::All);
        Rule { name, enabled: true, moment, join, conditions: Vec::new(), actions, stop: false }
    }

    #[test]
    fn what_is_not_forwarded_is_not_deleted() {
        let away = RuleAction::Forward(vec![MailAddress::parse("ann@far.example").expect("an address")]);
        let said = [
            rule("away", vec![away.clone(), RuleAction::Delete]),
            rule("read", vec![away.clone(), RuleAction::MarkRead, RuleAction::Delete]),
            rule("gone", vec![RuleAction::Delete]),
        ];
        let named = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let rules = chosen(&said, &names);
            rules.map(|rules| rules.into_iter().map(|rule| rule.actions).collect::<Vec<_>>())
        };
        let read = vec![away, RuleAction::MarkRead];
        assert_eq!(named(&["read", "gone"]), Ok(vec![read, vec![RuleAction::Delete]]));
        assert_eq!(named(&["Away"]), Err(wrong(RulesFault::NothingForOld, "/rules")));
        assert_eq!(named(&["gone"; MAX_RULES + 1]), Err(wrong(RulesFault::Rules, "/rules")));
    }
}
