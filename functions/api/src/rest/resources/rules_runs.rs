//! Rules of a member, run on mail that lies in a folder (RUL-04), and as a script of Sieve.

use pennypost_admin::{Action, AdminError, Administration, NewRulesRun, SeenRules, Task as Stored};
use pennypost_directory::rules::sieve::{self, SieveError};
use pennypost_directory::{DirectoryError, MailAddress};
use pennypost_model::{AccountKey, TaskId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use super::receiving::refused;
use super::tasks::{TaskProblem, TaskState, problem_of, state_of};
use crate::rest::ask::{Ask, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, shape};
use crate::rest::problem::details::{both, not_text};
use crate::rest::problem::{Kind, Refusal, Wrong};
use crate::rest::reply::Reply;

/// Which rules are to be run on which mail.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesRunOrder {
    /// The full name of a folder, with `/` between levels; mail in folders below it is not looked at.
    folder: String,
    /// Names of rules, whether or not they are on; none: all that are on. They are asked in their own order.
    #[serde(default)]
    rules: Vec<String>,
}

/// A run of rules on mail that lies in a folder.
#[derive(Serialize, JsonSchema)]
pub(crate) struct RulesRun {
    /// 16 hex digits.
    id: String,
    /// The folder, as it was called when it was ordered.
    folder: String,
    /// The rules, by their names then. They are run as they were then.
    rules: Vec<String>,
    /// How it stands.
    state: TaskState,
    /// Somebody has stopped it: it ends before its next step.
    stopped: bool,
    /// Letters that were looked at.
    looked_at: u64,
    /// Of how many; null as long as nobody knows.
    total: Option<u64>,
    /// Letters that were moved, deleted, labelled or marked.
    changed: u64,
    /// Letters that are damaged, and were left as they are.
    damaged: u64,
    /// Why it was given up, if it was.
    problem: Option<TaskProblem>,
    /// When it was ordered.
    ordered: String,
    /// When it was begun.
    begun: Option<String>,
    /// When it ended.
    ended: Option<String>,
}

page_of!(RulesRuns, RulesRun);

fn show(task: Stored) -> RulesRun {
    let (folder, rules) = task.kind.rules_run().unwrap_or_default();
    let (folder, rules) = (folder.to_owned(), rules.to_vec());
    RulesRun {
        id: task.id.to_string(),
        folder,
        rules,
        state: state_of(task.state),
        stopped: task.is_cancelled,
        looked_at: task.done,
        total: task.total,
        changed: task.done.saturating_sub(task.counts.skipped + task.counts.refused),
        damaged: task.counts.refused,
        problem: task.problem.map(|problem| problem_of(&problem)),
        ordered: task.created.rfc3339(),
        begun: task.begun.map(Timestamp::rfc3339),
        ended: task.ended.map(Timestamp::rfc3339),
    }
}

/// The rules as a script.
async fn script_of(
    ask: &Ask,
    key: AccountKey,
    seen: &SeenRules,
) -> Result<(String, Vec<MailAddress>), Refusal> {
    let own = ask.directory().own_addresses(key).await?;
    Ok((ask.administration.rules_script(seen, &own), own))
}

/// What a script can't say, all of it.
fn sieve_refusal(errors: &[SieveError]) -> Refusal {
    let told = |error: &SieveError| {
        let english: String = error.to_string().chars().take(400).collect();
        both(english, error.chinese())
    };
    let mut refusal = match errors.first() {
        Some(first) => Refusal::new(Kind::Invalid, told(first)),
        None => Kind::Invalid.into(),
    };
    let wrong = errors.iter().map(|error| Wrong { pointer: String::new(), detail: told(error) });
    refusal.wrong = wrong.collect();
    refusal
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Post, "/tenants/{tenant}/accounts/{account}/rules/runs", "run-member-rules"),
        Action::RulesRun,
        "Run one's own rules on the mail that lies in a folder, as a task: it is moved, deleted, labelled and marked; it is neither \
         forwarded nor answered. Run again, it changes nothing more",
        Good::accepted(shape::<RulesRun>),
        |ask| {
            Box::pin(async move {
                let (account, order): (_, RulesRunOrder) = (ask.account()?, ask.body()?);
                let new = NewRulesRun { account, folder: order.folder, rules: order.rules };
                let ordered = ask.administration.order_rules_run(&ask.call, new, ask.once).await;
                let task = ordered.map_err(|error| refused(error, ""))?;
                let (tenant, account) = (account.tenant, account.account);
                let location = format!("/api/v1/tenants/{tenant}/accounts/{account}/rules/runs/{}", task.id);
                Ok(Reply::accepted(&show(task), location))
            })
        },
    )
    .with(shape::<RulesRunOrder>)
    .refusing(&[Kind::Invalid, Kind::Unknown]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/rules/runs", "list-rules-runs"),
        Action::RulesRun,
        "Runs of one's own rules on mail that lay in a folder, of the last 180 days, the newest first",
        Good::list(shape::<RulesRuns>),
        |ask| {
            Box::pin(async move {
                let listed =
                    ask.administration.rules_runs(&ask.call, ask.account()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    )
    .asking(PAGE),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/rules/runs/{task}", "read-rules-run"),
        Action::RulesRun,
        "A run of one's own rules, and how far it has come",
        Good::told(shape::<RulesRun>),
        |ask| {
            Box::pin(async move {
                let (key, id): (_, TaskId) = (ask.account()?, ask.id("task")?);
                Ok(Reply::document(&show(ask.administration.rules_run(&ask.call, key, id).await?)))
            })
        },
    ),
    Operation::new(
        (
            Method::Post,
            "/tenants/{tenant}/accounts/{account}/rules/runs/{task}/cancellation",
            "cancel-rules-run",
        ),
        Action::RulesRun,
        "Stop a run of one's own rules before its next step; what it has done stays",
        Good::told(shape::<RulesRun>),
        |ask| {
            Box::pin(async move {
                let (key, id): (_, TaskId) = (ask.account()?, ask.id("task")?);
                let task = ask.administration.cancel_rules_run(&ask.call, key, id).await?;
                Ok(Reply::document(&show(task)))
            })
        },
    ),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/rules.sieve", "read-member-rules-script"),
        Action::RulesRead,
        "A member's rules as a script of Sieve (RFC 5228), without lists of senders",
        Good { status: 200, shape: None, is_tagged: true, has_csv: false },
        |ask| {
            Box::pin(async move {
                let key = ask.account()?;
                let seen = ask.administration.member_rules(&ask.call, key).await?;
                Ok(Reply::script(script_of(ask, key, &seen).await?.0))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/rules.sieve", "change-member-rules-script"),
        Action::RulesChange,
        "Say a member's rules anew by a script of Sieve; lists of senders stay. What rules can't say of it is named by line and \
         column, and then nothing is taken",
        Good { status: 200, shape: None, is_tagged: true, has_csv: false },
        |ask| {
            Box::pin(async move {
                let key = ask.account()?;
                let script = str::from_utf8(&ask.body).map_err(|_| Refusal::new(Kind::BadBody, not_text()))?;
                let seen = ask.administration.member_rules(&ask.call, key).await?;
                let (now, own) = script_of(ask, key, &seen).await?;
                ask.must_match(&now)?;
                let read = sieve::read(script, &own).map_err(|errors| sieve_refusal(&errors))?;
                let rules = Administration::by_script(&seen, read.rules.clone());
                let changing = ask.administration.change_member_rules(&ask.call, key, &seen, rules).await;
                let seen = changing.map_err(|error| match error {
                    AdminError::Directory(DirectoryError::MemberRules(error)) => {
                        sieve_refusal(&[read.error(error)])
                    }
                    other => other.into(),
                })?;
                Ok(Reply::script(script_of(ask, key, &seen).await?.0))
            })
        },
    )
    .with(shape::<String>)
    .update()
    .refusing(&[Kind::Invalid]),
];
