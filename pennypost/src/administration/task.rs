//! `pennypost task …`: long operations, how far they have come, and what came of them (LOG-08).

use clap::Subcommand;
use pennypost_admin::{Task, TaskState};
use pennypost_directory::Page;
use pennypost_model::{TaskId, Timestamp};
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, clean, fitting};
use crate::text::{Lang, Text};
use crate::{Failed, say};

/// Columns of an object.
const COLUMNS: usize = 40;

/// Subcommands of `task`.
#[derive(Debug, Subcommand)]
pub enum TaskCommand {
    /// List imports and exports that were ordered over the API, the newest first
    #[command(after_help = "Examples:\n  pennypost task list --tenant acme\n  pennypost task list --json")]
    List {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show how far a task has come, or what has come of it
    #[command(after_help = "Examples:
  pennypost task show fffe5e0c1a2b3c4d
  pennypost task show fffe5e0c1a2b3c4d --result > refused.csv")]
    Show {
        /// Its number, as listed
        id: TaskId,
        /// Print its result as CSV: the table, or the rows that were refused
        #[arg(long)]
        result: bool,
        /// Whose it is
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Stop a task before its next step; what it has done stays
    #[command(after_help = "Example:\n  pennypost task cancel fffe5e0c1a2b3c4d")]
    Cancel {
        /// Its number, as listed
        id: TaskId,
        /// Whose it is
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &TaskCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let administration = office.administration();
    match command {
        TaskCommand::List { tenant } => list(office, tenant.as_deref(), text, output).await,
        TaskCommand::Show { id, result: false, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let task = administration.task(&OPERATOR, tenant, *id).await;
            show(&task.map_err(|error| refused(error, text))?, text, output)
        }
        TaskCommand::Show { id, result: true, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let mut after = Some(0);
            while let Some(from) = after {
                let read = administration.task_result(&OPERATOR, tenant, *id, from).await;
                let (piece, next) = read.map_err(|error| refused(error, text))?;
                output.line(piece.trim_end_matches('\n'))?;
                after = next;
            }
            Ok(())
        }
        TaskCommand::Cancel { id, tenant: name } => {
            let tenant = tenant(office, name.as_deref(), text).await?.id;
            let task = administration.cancel_task(&OPERATOR, tenant, *id).await;
            let task = task.map_err(|error| refused(error, text))?;
            let sentence = say!(text, "task-cancelled", id = id.to_string());
            Ok(output.result(&sentence, &document(&task))?)
        }
    }
}

async fn list(
    office: &Office,
    name: Option<&str>,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let tenant = tenant(office, name, text).await?.id;
    let administration = office.administration();
    let (mut page, mut rows) = (Page::default(), Vec::new());
    loop {
        let listed = administration.tasks(&OPERATOR, tenant, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        for task in &listed.items {
            let cells = vec![
                task.id.to_string(),
                crate::print::time(task.created),
                clean(&task.by.shown()),
                task.kind.name().to_owned(),
                fitting(task.kind.object(), COLUMNS),
                state(task.state, text),
                progress(task),
            ];
            rows.push((cells, document(task)));
        }
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let heads = vec![
        say!(text, "word-number"),
        say!(text, "word-date"),
        say!(text, "word-by"),
        say!(text, "word-operation"),
        say!(text, "word-object"),
        say!(text, "word-state"),
        say!(text, "word-progress"),
    ];
    Ok(output.table(heads, rows, &say!(text, "tasks-none"))?)
}

fn show(task: &Task, text: &Text, output: &mut Output<'_>) -> Result<(), Failed> {
    if output.json {
        return Ok(output.line(&document(task).to_string())?);
    }
    let counts = &task.counts;
    let when = |time: Option<Timestamp>| time.map(crate::print::time).unwrap_or_default();
    let mut rows = vec![
        (say!(text, "word-operation"), task.kind.name().to_owned()),
        (say!(text, "word-object"), clean(task.kind.object())),
        (say!(text, "word-by"), clean(&task.by.shown())),
        (say!(text, "word-state"), state(task.state, text)),
        (say!(text, "word-progress"), progress(task)),
        (say!(text, "word-departments"), counts.departments.to_string()),
        (say!(text, "word-accounts"), counts.people.to_string()),
        (say!(text, "word-groups"), counts.groups.to_string()),
        (say!(text, "word-skipped"), counts.skipped.to_string()),
        (say!(text, "word-refused"), counts.refused.to_string()),
        (say!(text, "word-date"), crate::print::time(task.created)),
        (say!(text, "word-ended"), when(task.ended)),
        (say!(text, "word-until"), when(task.result_until)),
    ];
    if let Some(problem) = &task.problem {
        let [english, chinese] = problem.messages();
        let cause = if text.lang() == Lang::ZhCn { chinese } else { english };
        rows.push((say!(text, "word-cause"), clean(&cause)));
    }
    for (word, value) in rows {
        output.line(format!("{word}: {value}").trim_end())?;
    }
    Ok(())
}

fn state(state: TaskState, text: &Text) -> String {
    match state {
        TaskState::Queued => say!(text, "task-queued"),
        TaskState::Running => say!(text, "task-running"),
        TaskState::Done => say!(text, "task-done"),
        TaskState::Failed => say!(text, "task-failed"),
        TaskState::Cancelled => say!(text, "task-stopped"),
    }
}

fn progress(task: &Task) -> String {
    let total = task.total.map_or_else(|| "?".to_owned(), |total| total.to_string());
    format!("{}/{total}", task.done)
}

fn document(task: &Task) -> Value {
    let counts = &task.counts;
    let problem = task.problem.as_ref().map(|problem| {
        let [english, chinese] = problem.messages();
        json!({ "english": english, "chinese": chinese })
    });
    json!({
        "id": task.id.to_string(),
        "kind": task.kind.name(),
        "object": task.kind.object(),
        "by": task.by.shown(),
        "state": task.state.name(),
        "stopped": task.is_cancelled,
        "done": task.done,
        "total": task.total,
        "counts": {
            "departments": counts.departments, "people": counts.people, "groups": counts.groups,
            "skipped": counts.skipped, "refused": counts.refused,
        },
        "problem": problem,
        "ordered": task.created.rfc3339(),
        "begun": task.begun.map(Timestamp::rfc3339),
        "ended": task.ended.map(Timestamp::rfc3339),
        "result_until": task.result_until.map(Timestamp::rfc3339),
    })
}
