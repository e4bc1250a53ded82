//! Long operations: import and export of the organisation, and tasks as such.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_admin::{Action, DepartmentId};
use pennypost_model::{TaskId, Timestamp};
use pennypost_organisation::Kind as TableKind;
use pennypost_text::Lang;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::page_of;
use crate::rest::ask::{Ask, cursor, rows};
use crate::rest::operation::{Good, Method, Operation, PAGE, Query, shape};
use crate::rest::problem::details::both;
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// A file to be imported.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewImport {
    /// What it is called, for people.
    file_name: String,
    /// CSV in UTF-8, UTF-16 or GB18030, or a workbook (XLSX), in base64; 4 MB at most before that. The first line of a table
    /// names its columns, in English or Chinese.
    content: String,
    /// Check every row, change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Leave out people and groups that are there already, instead of refusing their rows.
    #[serde(default)]
    skip_existing: bool,
    /// The number of the department into which people are put who have none.
    department: Option<u32>,
}

/// What a table is of.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Table {
    /// Departments.
    Departments,
    /// People.
    People,
    /// Groups.
    Groups,
}

/// The language in which columns are named.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
pub(crate) enum Columns {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Chinese.
    #[serde(rename = "zh-CN")]
    Chinese,
}

/// A table to be exported.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewExport {
    /// Of what.
    table: Table,
    /// Only of the department with this number and what is below it. For groups it means nothing.
    department: Option<u32>,
    /// In which language its columns are named.
    #[serde(default)]
    language: Columns,
}

/// How a task stands.
#[derive(Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TaskState {
    /// Nobody has begun with it.
    Queued,
    /// Somebody works on it.
    Running,
    /// It was carried out. Rows may have been refused: the result tells which.
    Done,
    /// It was given up.
    Failed,
    /// It was stopped. What it had done stays.
    Cancelled,
}

/// What has come of a task so far.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskCounts {
    /// Departments that were added, or could be; or exported.
    departments: u64,
    /// People.
    people: u64,
    /// Groups.
    groups: u64,
    /// Rows of what was there already; letters that rules have left as they were.
    skipped: u64,
    /// Rows that were refused; messages of a backup, or of a run of rules, that are damaged.
    refused: u64,
}

/// Why a task was given up.
#[derive(Serialize, JsonSchema)]
pub(crate) struct TaskProblem {
    /// In English.
    english: String,
    /// In Chinese.
    chinese: String,
}

/// A long operation.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Task {
    /// 16 hex digits.
    id: String,
    /// `import`, `export`, `backup`, `rules`, `spam-report`, `receipt`, or what the operator does: `letters-hidden`, `letters-shown`, `letters-deleted`.
    kind: String,
    /// The name of the file, what the table is of, or the address of the account.
    object: String,
    /// It changes nothing.
    dry_run: bool,
    /// Who ordered it.
    by: String,
    /// How it stands.
    state: TaskState,
    /// Somebody has stopped it: it ends before its next step.
    stopped: bool,
    /// Rows, messages of a backup, or letters that are hidden, shown or gone now.
    done: u64,
    /// Of how many; null as long as nobody knows.
    total: Option<u64>,
    /// What has come of them.
    counts: TaskCounts,
    /// Why it was given up, if it was.
    problem: Option<TaskProblem>,
    /// When it was ordered.
    ordered: String,
    /// When it was begun.
    begun: Option<String>,
    /// When it ended.
    ended: Option<String>,
    /// Until when its result can be read; null if there is none.
    result_until: Option<String>,
}

page_of!(Tasks, Task);

pub(super) const fn state_of(state: pennypost_admin::TaskState) -> TaskState {
    use pennypost_admin::TaskState as State;
    match state {
        State::Queued => TaskState::Queued,
        State::Running => TaskState::Running,
        State::Done => TaskState::Done,
        State::Failed => TaskState::Failed,
        State::Cancelled => TaskState::Cancelled,
    }
}

pub(super) fn problem_of(problem: &pennypost_admin::TaskProblem) -> TaskProblem {
    let [english, chinese] = problem.messages();
    TaskProblem { english, chinese }
}

fn show(task: pennypost_admin::Task) -> Task {
    use pennypost_admin::TaskKind;
    let pennypost_admin::TaskCounts { departments, people, groups, skipped, refused } = task.counts;
    Task {
        id: task.id.to_string(),
        kind: task.kind.name().to_owned(),
        object: task.kind.object().to_owned(),
        dry_run: matches!(task.kind, TaskKind::Import { dry_run: true, .. }),
        by: task.by.shown(),
        state: state_of(task.state),
        stopped: task.is_cancelled,
        done: task.done,
        total: task.total,
        counts: TaskCounts { departments, people, groups, skipped, refused },
        problem: task.problem.map(|problem| problem_of(&problem)),
        ordered: task.created.rfc3339(),
        begun: task.begun.map(Timestamp::rfc3339),
        ended: task.ended.map(Timestamp::rfc3339),
        result_until: task.result_until.map(Timestamp::rfc3339),
    }
}

pub(super) fn accepted(ask: &Ask, task: pennypost_admin::Task) -> Result<Reply, Refusal> {
    let location = format!("/api/v1/tenants/{}/tasks/{}", ask.tenant()?, task.id);
    Ok(Reply::accepted(&show(task), location))
}

const AFTER: &[Query] = &[Query {
    name: "after",
    about: "Where the answer before has ended: what its Link header says.",
    is_number: false,
}];

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "import-organisation",
        method: Method::Post,
        path: "/tenants/{tenant}/imports",
        action: Some(Action::OrganisationImport),
        summary: "Import departments, people and groups from tables, as a task; rows that are refused are its result",
        query: &[],
        body: Some(shape::<NewImport>),
        is_update: false,
        good: Good::accepted(shape::<Task>),
        problems: &[Kind::Invalid, Kind::Unknown],
        handler: |ask| {
            Box::pin(async move {
                let new: NewImport = ask.body()?;
                let bytes = BASE64_STANDARD.decode(&new.content).map_err(|_| {
                    let detail = both("this is not base64", "不是有效的 base64");
                    Refusal::new(Kind::BadBody, detail.clone()).at("/content".to_owned(), detail)
                })?;
                let new = pennypost_admin::NewImport {
                    file: new.file_name,
                    bytes,
                    dry_run: new.dry_run,
                    skip_existing: new.skip_existing,
                    department: new.department.map(DepartmentId),
                };
                let ordered = ask.administration.order_import(&ask.call, ask.tenant()?, new, ask.once);
                accepted(ask, ordered.await?)
            })
        },
    },
    Operation {
        name: "export-organisation",
        method: Method::Post,
        path: "/tenants/{tenant}/exports",
        action: Some(Action::OrganisationExport),
        summary: "Export departments, people or groups into a table, as a task; the table is its result",
        query: &[],
        body: Some(shape::<NewExport>),
        is_update: false,
        good: Good::accepted(shape::<Task>),
        problems: &[Kind::Invalid, Kind::Unknown],
        handler: |ask| {
            Box::pin(async move {
                let NewExport { table, department, language } = ask.body()?;
                let new = pennypost_admin::NewExport {
                    table: match table {
                        Table::Departments => TableKind::Departments,
                        Table::People => TableKind::People,
                        Table::Groups => TableKind::Groups,
                    },
                    department: department.map(DepartmentId),
                    lang: match language {
                        Columns::English => Lang::En,
                        Columns::Chinese => Lang::ZhCn,
                    },
                };
                let ordered = ask.administration.order_export(&ask.call, ask.tenant()?, new, ask.once);
                accepted(ask, ordered.await?)
            })
        },
    },
    Operation {
        name: "list-tasks",
        method: Method::Get,
        path: "/tenants/{tenant}/tasks",
        action: Some(Action::TaskRead),
        summary: "List long operations of the last 180 days, the newest first",
        query: PAGE,
        body: None,
        is_update: false,
        good: Good::list(shape::<Tasks>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let listed = ask.administration.tasks(&ask.call, ask.tenant()?, &ask.page()?).await?;
                Ok(Reply::document(&rows(listed, show)))
            })
        },
    },
    Operation {
        name: "read-task",
        method: Method::Get,
        path: "/tenants/{tenant}/tasks/{task}",
        action: Some(Action::TaskRead),
        summary: "A long operation, and how far it has come",
        query: &[],
        body: None,
        is_update: false,
        good: Good::told(shape::<Task>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let id: TaskId = ask.id("task")?;
                let task = ask.administration.task(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::document(&show(task)))
            })
        },
    },
    Operation {
        name: "read-task-result",
        method: Method::Get,
        path: "/tenants/{tenant}/tasks/{task}/result",
        action: Some(Action::TaskRead),
        summary: "What has come of a long operation that has ended: the table, or the rows that were refused, each with the \
                  reason in English and Chinese. Parts of it, one behind the other, are the whole",
        query: AFTER,
        body: None,
        is_update: false,
        good: Good { status: 200, shape: None, is_tagged: false, has_csv: true },
        problems: &[Kind::OtherState],
        handler: |ask| {
            Box::pin(async move {
                let (id, (after, _)): (TaskId, _) = (ask.id("task")?, ask.numbered_page()?);
                let (text, next) =
                    ask.administration.task_result(&ask.call, ask.tenant()?, id, after).await?;
                Ok(Reply::csv(text, next.map(cursor)))
            })
        },
    },
    Operation {
        name: "cancel-task",
        method: Method::Post,
        path: "/tenants/{tenant}/tasks/{task}/cancellation",
        action: Some(Action::TaskCancel),
        summary: "Stop a long operation before its next step; what it has done stays",
        query: &[],
        body: None,
        is_update: false,
        good: Good::told(shape::<Task>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let id: TaskId = ask.id("task")?;
                let task = ask.administration.cancel_task(&ask.call, ask.tenant()?, id).await?;
                Ok(Reply::document(&show(task)))
            })
        },
    },
];
