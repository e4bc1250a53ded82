//! Long operations as tasks with progress (LOG-08): ordered with a call that answers at once, carried out by housekeeping,
//! looked at, cancelled; what comes of them is kept for a while.
//!
//! A task is the item `T/tasks`/`ID`, whose ids ascend from the newest to the oldest; its files are the objects
//! `T/task/ID/…`. It is done in steps. Before a step it is claimed, with its number and the number of the attempt, by
//! compare-and-set; after it the item is advanced, if that claim still is the last one. So of several that work on one task
//! only the last to claim a step counts it, and what comes of a step lies under a name that holds its attempt. A step that
//! is done again finds what it had done: the claim holds which addresses were taken before the first attempt.
//!
//! If the process dies at any line: a file without a task goes with the sweep, as files do that belong to a task which has
//! ended; a task that nobody was told of is sent again by the sweep; a step that was begun is done again, [`MAX_TRIES`]
//! times at most. What can't be carried out is given up.

mod backup;
mod commands;
mod export;
mod import;
mod letters;
mod receipts;
mod rules;
mod spam;
mod work;

use std::sync::Arc;
use std::time::Duration;

use pennypost_directory::{DepartmentId, DirectoryError, Listed, MAX_PAGE, Page};
use pennypost_model::codec::{Versioned, decode, encode};
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::{AccountId, EventId, MailboxId, Rid, TaskId, TenantId, Timestamp};
use pennypost_organisation::{Kind, READING, Rows};
use pennypost_ports::{Consistency, ControlKey, Expected, Objects, Outgoing, PortError, Queue};
use pennypost_text::{Lang, Text, say};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::{Book, By, Origin};
use crate::{AdminError, Administration, Conflict, Invalid};

pub use backup::NewBackup;
pub use letters::{LetterDeed, MAX_LETTERS_AT_ONCE, NamedLetter, NewLetterDeed};
pub use receipts::{ReceiptRequest, ReceiptState};
pub use rules::NewRulesRun;
pub use spam::NamedByUid;
pub use work::Worked;

/// Bytes of a file that is imported.
const MAX_FILE: usize = 4_000_000;
/// Bytes of a file of a workbook, unpacked.
const MAX_UNPACKED: usize = 48_000_000;
/// Tasks of a tenant that wait or run at once; and as many that the operator has ordered about letters.
const MAX_OPEN: usize = 20;
/// Tasks that are read at once where those that wait or run, and one that was ordered before, are looked for: those of a day.
const LOOKED_AT: usize = 200;
/// Of how many of a day, at most.
const MAX_LOOKED_AT: usize = 5_000;
/// How long what comes of a task can be read.
const RESULT_KEPT: i64 = 7 * DAY;
/// How long a task is remembered (LOG-08).
const KEPT: i64 = 180 * DAY;
/// After which a task of which nothing was heard is sent again.
const IDLE: i64 = 60 * 60 * 1000;
/// After which a task that has not come to its end is given up.
const LASTS: i64 = 7 * DAY;
/// Attempts at one step after which it is, too.
const MAX_TRIES: u32 = 20;
/// After which an order with the same Idempotency-Key is another one.
const SAME_ORDER: i64 = DAY;
const DAY: i64 = 24 * 60 * 60 * 1000;
/// Bytes of a result that are read at once, and after which a piece of it ends.
const PIECE: usize = 1_000_000;
/// Objects that are listed at once.
const OBJECTS: usize = 500;
/// How long an order waits until its file can be read.
const PATIENCE: Duration = Duration::from_secs(10);
/// Files that are read at once.
pub(crate) const READ_AT_ONCE: usize = 2;
/// Bits of an id that are no time.
const RANDOM_BITS: u32 = 20;

/// What a task does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskKind {
    /// Imports tables.
    Import {
        /// What the file is called.
        file: String,
        /// Check every row, change nothing.
        dry_run: bool,
        /// Leave out what is there already.
        skip_existing: bool,
        /// Where people without a department are put.
        department: Option<DepartmentId>,
    },
    /// Exports a table.
    Export {
        /// Which.
        table: Table,
        /// Only of that department and what is below it.
        department: Option<DepartmentId>,
        /// Are its columns named in Chinese?
        is_chinese: bool,
    },
    /// Copies an account's mail into another one (ORG-22, ORG-23).
    Backup {
        /// Whose mail.
        from: AccountId,
        /// Its address.
        address: String,
        /// Into which account.
        to: AccountId,
        /// Put it into the recycle bin before.
        delete: bool,
    },
    /// Hides letters of a member, shows them again or deletes them, upon the operator's word (TEN-10).
    Letters {
        /// Whose.
        account: AccountId,
        /// Its address.
        address: String,
        /// What.
        deed: LetterDeed,
        /// To which, with the copies that came into the account.
        letters: Vec<NamedLetter>,
        /// Why.
        reason: String,
    },
    /// Runs rules of a member on the mail in one of his folders (RUL-04).
    Rules {
        /// Whose.
        account: AccountId,
        /// Its address.
        address: String,
        /// The folder.
        folder: MailboxId,
        /// What it was called when it was ordered.
        name: String,
        /// The rules, by their names then.
        rules: Vec<String>,
    },
    /// Moves a letter into Junk that a member has reported as spam (RCV-10).
    Spam {
        /// Whose.
        account: AccountId,
        /// Its address.
        address: String,
        /// The letter.
        rid: Rid,
        /// Its author's address, as its card has it.
        from: String,
        /// Its subject likewise.
        subject: String,
        /// Its author was put into the blacklist.
        refused: bool,
    },
    /// Gives the sender of a letter the read receipt for which he asks, or says that he gets none (SND-09).
    Receipt {
        /// Who.
        account: AccountId,
        /// His address.
        address: String,
        /// The letter.
        letter: EventId,
        /// The same in the account.
        rid: Rid,
        /// Who asks.
        asker: String,
        /// The address at which the letter came, if it is the account's; else its own.
        at: String,
        /// He gets one.
        gives: bool,
    },
}

/// A kind of table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Table {
    /// Departments.
    Departments,
    /// People.
    People,
    /// Groups.
    Groups,
}

impl Table {
    const fn kind(self) -> Kind {
        match self {
            Table::Departments => Kind::Departments,
            Table::People => Kind::People,
            Table::Groups => Kind::Groups,
        }
    }

    const fn of(kind: Kind) -> Table {
        match kind {
            Kind::Departments => Table::Departments,
            Kind::People => Table::People,
            Kind::Groups => Table::Groups,
        }
    }
}

impl TaskKind {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            TaskKind::Import { .. } => "import",
            TaskKind::Export { .. } => "export",
            TaskKind::Backup { .. } => "backup",
            TaskKind::Letters { deed: LetterDeed::Hide, .. } => "letters-hidden",
            TaskKind::Letters { deed: LetterDeed::Show, .. } => "letters-shown",
            TaskKind::Letters { deed: LetterDeed::Delete, .. } => "letters-deleted",
            TaskKind::Rules { .. } => "rules",
            TaskKind::Spam { .. } => "spam-report",
            TaskKind::Receipt { .. } => "receipt",
        }
    }

    /// What it is about, for people.
    #[must_use]
    pub fn object(&self) -> &str {
        match self {
            TaskKind::Import { file, .. } => file,
            TaskKind::Export { table, .. } => match table {
                Table::Departments => "departments",
                Table::People => "people",
                Table::Groups => "groups",
            },
            TaskKind::Backup { address, .. }
            | TaskKind::Letters { address, .. }
            | TaskKind::Rules { address, .. }
            | TaskKind::Spam { address, .. }
            | TaskKind::Receipt { address, .. } => address,
        }
    }

    const fn is_of_letters(&self) -> bool {
        matches!(self, TaskKind::Letters { .. })
    }

    /// Do members order it of their own mail?
    const fn is_of_members(&self) -> bool {
        matches!(self, TaskKind::Rules { .. } | TaskKind::Spam { .. } | TaskKind::Receipt { .. })
    }

    /// What it is in the log of operations.
    const fn action(&self) -> Action {
        match self {
            TaskKind::Import { .. } => Action::OrganisationImport,
            TaskKind::Export { .. } => Action::OrganisationExport,
            TaskKind::Backup { .. } => Action::AccountBackup,
            TaskKind::Letters { deed, .. } => deed.action(),
            TaskKind::Rules { .. } => Action::RulesRun,
            TaskKind::Spam { .. } => Action::SpamReport,
            TaskKind::Receipt { .. } => Action::ReceiptAnswer,
        }
    }

    /// What whoever orders it has to be permitted.
    fn actions(&self, has_groups: bool) -> &'static [Action] {
        match (self, has_groups) {
            (TaskKind::Import { .. }, false) => &[Action::OrganisationImport],
            (TaskKind::Import { .. }, true) => &[Action::OrganisationImport, Action::GroupAdd],
            (TaskKind::Export { table: Table::Groups, .. }, _) => {
                &[Action::OrganisationExport, Action::GroupRead]
            }
            (TaskKind::Export { .. }, _) => &[Action::OrganisationExport],
            (TaskKind::Backup { delete: false, .. }, _) => &[Action::AccountBackup],
            (TaskKind::Backup { delete: true, .. }, _) => &[Action::AccountBackup, Action::AccountDelete],
            (TaskKind::Letters { deed: LetterDeed::Hide, .. }, _) => &[Action::LetterHide],
            (TaskKind::Letters { deed: LetterDeed::Show, .. }, _) => &[Action::LetterShow],
            (TaskKind::Letters { deed: LetterDeed::Delete, .. }, _) => &[Action::LetterDelete],
            (TaskKind::Rules { .. }, _) => &[Action::RulesRun],
            (TaskKind::Spam { .. }, _) => &[Action::SpamReport],
            (TaskKind::Receipt { .. }, _) => &[Action::ReceiptAnswer],
        }
    }
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// Nobody has begun with it.
    Queued,
    /// Somebody works on it.
    Running,
    /// It was carried out.
    Done,
    /// It was given up.
    Failed,
    /// It was stopped.
    Cancelled,
}

impl TaskState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TaskState::Queued => "queued",
            TaskState::Running => "running",
            TaskState::Done => "done",
            TaskState::Failed => "failed",
            TaskState::Cancelled => "cancelled",
        }
    }

    /// Does nothing more come of it?
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, TaskState::Queued | TaskState::Running)
    }
}

/// Why a task was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskProblem {
    /// Whoever ordered it may not do it any more.
    NotPermitted,
    /// A department that it is to use is not there any more.
    NoDepartment(String),
    /// Its file is not there any more, or damaged.
    NoFile,
    /// It was tried again and again, and did not come to its end.
    GivenUp,
    /// It can't be carried out, however often it is tried.
    Broken,
    /// The program that goes on with it reads tables in another way than the one that began.
    Replaced,
    /// The account that mail is copied into is not there any more, or closed.
    NoTarget,
    /// It has no room for that much.
    NoRoom {
        /// Bytes that are to be copied.
        needed: u64,
        /// Bytes that it may still hold.
        free: u64,
    },
    /// The account whose mail is to be copied has left the recycle bin, or is being erased.
    NoSource,
    /// The account is not there any more.
    NoAccount,
    /// A later order about all of its letters was carried out before, or waits.
    NewerOrder,
    /// None of its letters can be brought into that state.
    NoLetters,
    /// The folder is not there any more.
    NoFolder,
    /// No receipt goes to whoever asks for one.
    NoReceipt,
}

impl TaskProblem {
    /// For people: English and Chinese.
    #[must_use]
    pub fn messages(&self) -> [String; 2] {
        [Lang::En, Lang::ZhCn].map(|lang| self.message(&Text::new(lang)))
    }

    fn message(&self, text: &Text) -> String {
        match self {
            TaskProblem::NotPermitted => say!(text, "task-not-permitted"),
            TaskProblem::NoDepartment(name) => say!(text, "error-no-department", name = name),
            TaskProblem::NoFile => say!(text, "task-no-file"),
            TaskProblem::GivenUp => say!(text, "task-given-up"),
            TaskProblem::Broken => say!(text, "task-broken"),
            TaskProblem::Replaced => say!(text, "task-replaced"),
            TaskProblem::NoTarget => say!(text, "task-no-target"),
            TaskProblem::NoSource => say!(text, "task-no-source"),
            TaskProblem::NoAccount => say!(text, "task-no-account"),
            TaskProblem::NewerOrder => say!(text, "task-newer-order"),
            TaskProblem::NoLetters => say!(text, "task-no-letters"),
            TaskProblem::NoFolder => say!(text, "task-no-folder"),
            TaskProblem::NoReceipt => say!(text, "task-no-receipt"),
            TaskProblem::NoRoom { needed, free } => {
                say!(text, "task-no-room", needed = needed.to_string(), free = free.to_string())
            }
        }
    }
}

/// What has come of a task so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCounts {
    /// Departments that were added, or could be; or exported.
    pub departments: u64,
    /// People.
    pub people: u64,
    /// Groups.
    pub groups: u64,
    /// Rows of what was there already; letters that rules have left as they were.
    pub skipped: u64,
    /// Rows that were refused; of a backup, and of a run of rules, messages that are damaged.
    pub refused: u64,
}

/// A long operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Which.
    pub id: TaskId,
    /// What it does.
    pub kind: TaskKind,
    /// Who ordered it.
    pub by: By,
    /// How it stands.
    pub state: TaskState,
    /// It is to stop before its next step.
    pub is_cancelled: bool,
    /// Rows, or messages, that are done.
    pub done: u64,
    /// Of how many, where that is known before.
    pub total: Option<u64>,
    /// What has come of them.
    pub counts: TaskCounts,
    /// Why it was given up.
    pub problem: Option<TaskProblem>,
    /// When it was ordered.
    pub created: Timestamp,
    /// When it was begun.
    pub begun: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Until when what has come of it can be read, if there is anything.
    pub result_until: Option<Timestamp>,
}

/// Pieces of a result that one attempt at a step has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    step: u32,
    attempt: u32,
    pieces: u32,
}

/// A task as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    kind: TaskKind,
    has_groups: bool,
    by: By,
    origin: Origin,
    /// Whose the caller is: a tenant's, or an operator.
    book: Book,
    /// The number of the record that it was ordered.
    order: u64,
    /// Names the order among others of the caller, if he has an Idempotency-Key.
    once: Option<[u8; 32]>,
    /// SHA-256 of the file, if there is one.
    file: [u8; 32],
    /// The [`READING`] of whoever ordered it.
    reading: u32,
    state: TaskState,
    cancel: bool,
    done: u64,
    total: Option<u64>,
    counts: TaskCounts,
    problem: Option<TaskProblem>,
    created: Timestamp,
    begun: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// When it was last written.
    touched: Timestamp,
    /// The next step.
    step: u32,
    /// Attempts at it.
    attempt: u32,
    /// Rows of the step whose addresses were taken before the first attempt.
    taken: Vec<u32>,
    /// Behind what the step begins, in an export.
    after: Option<String>,
    parts: Vec<Part>,
    /// Its files were removed, some time after it ended.
    is_swept: bool,
}

impl Versioned for Item {
    const KIND: &'static str = "task";
}

impl Item {
    /// May it have done something to letters, of which administrators are to be told? Then it does not end without that.
    const fn has_touched_letters(&self) -> bool {
        self.kind.is_of_letters() && (self.step > 0 || self.attempt > 0)
    }

    /// Until when its files are kept.
    fn kept_until(&self) -> Timestamp {
        self.ended.unwrap_or(self.touched).plus_millis(RESULT_KEPT)
    }

    fn result_until(&self) -> Option<Timestamp> {
        (!self.parts.is_empty()).then(|| self.kept_until())
    }

    fn shown(self, id: TaskId) -> Task {
        let result_until = self.result_until();
        let Item { kind, by, state, cancel, done, total, counts, problem, created, begun, ended, .. } = self;
        Task {
            id,
            kind,
            by,
            state,
            is_cancelled: cancel,
            done,
            total,
            counts,
            problem,
            created,
            begun,
            ended,
            result_until,
        }
    }

    /// The names of the pieces of its result, in order.
    fn pieces(&self, tenant: TenantId, id: TaskId) -> impl Iterator<Item = String> {
        let parts = self.parts.iter().copied();
        parts.flat_map(move |part| (0..part.pieces).map(move |piece| piece_name(tenant, id, part, piece)))
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/tasks")
}

fn task_key(tenant: TenantId, id: TaskId) -> ControlKey {
    ControlKey::new(partition(tenant), id.to_string())
}

fn folder(tenant: TenantId, id: TaskId) -> String {
    format!("{tenant}/task/{id}/")
}

fn input_name(tenant: TenantId, id: TaskId) -> String {
    format!("{}input", folder(tenant, id))
}

fn piece_name(tenant: TenantId, id: TaskId, part: Part, piece: u32) -> String {
    let Part { step, attempt, .. } = part;
    format!("{}{step:06}-{attempt}-{piece}", folder(tenant, id))
}

/// Ids ascend from the newest to the oldest.
fn fresh_id(now: Timestamp, random: u64) -> TaskId {
    let millis = u64::try_from(now.0).unwrap_or_default();
    let back = (u64::MAX >> RANDOM_BITS).saturating_sub(millis);
    TaskId((back << RANDOM_BITS) | (random & ((1 << RANDOM_BITS) - 1)))
}

/// An import that is wished for.
#[derive(Debug, Clone, Default)]
pub struct NewImport {
    /// What the file is called.
    pub file: String,
    /// CSV or XLSX.
    pub bytes: Vec<u8>,
    /// Check every row, change nothing.
    pub dry_run: bool,
    /// Leave out people and groups that are there already, instead of refusing their rows.
    pub skip_existing: bool,
    /// People without a department are put into this one.
    pub department: Option<DepartmentId>,
}

/// An export that is wished for.
#[derive(Debug, Clone, Copy)]
pub struct NewExport {
    /// Of what.
    pub table: Kind,
    /// Only of this department and what is below it. For groups it means nothing.
    pub department: Option<DepartmentId>,
    /// In which language the columns are named.
    pub lang: Lang,
}

/// Where files lie, and the queue of housekeeping.
pub(crate) type Workshop = (Arc<dyn Objects>, Arc<dyn Queue>);

/// What somebody wishes for, and may have.
struct Wish {
    kind: TaskKind,
    has_groups: bool,
    /// The file that is read.
    bytes: Option<Vec<u8>>,
    once: Option<[u8; 32]>,
}

/// What a sweep of a tenant's tasks did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tasks of which nothing was heard: to be sent again.
    pub idle: Vec<TaskId>,
    /// Tasks that were forgotten.
    pub forgotten: u64,
    /// Files that were removed.
    pub files: u64,
}

impl Administration {
    pub(crate) fn workshop(&self) -> Result<&Workshop, AdminError> {
        self.workshop.as_ref().ok_or(AdminError::NoTasks)
    }

    /// Orders an import. `once` names the order among all others of this caller: ordered again within a day, it is the one
    /// that it was.
    ///
    /// # Errors
    /// [`AdminError::File`] for what is no table, [`Invalid::NoRows`], [`Invalid::TooMany`] while too many tasks of the
    /// tenant wait or run, [`DirectoryError::Busy`] while others read theirs; or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn order_import(
        &self,
        call: &Call,
        tenant: TenantId,
        new: NewImport,
        once: Option<[u8; 32]>,
    ) -> Result<Task, AdminError> {
        let NewImport { file, bytes, dry_run, skip_existing, department } = new;
        let file: String = file.chars().filter(|c| !c.is_control()).take(200).collect();
        let after = json!({
            "dry_run": dry_run, "skip_existing": skip_existing, "department": department.map(|id| id.0),
            "sha256": Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        });
        let about = About::new(Some(tenant), Action::OrganisationImport, &file).to(after);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let (bytes, rows) = self.rows_of(file.clone(), bytes).await?;
        let has_groups = rows.counts()[2] > 0;
        if has_groups {
            let about = About::new(Some(tenant), Action::GroupAdd, &file);
            self.permit(call, &Scope::Tenant(tenant), &about).await?;
        }
        if let Some(id) = department {
            self.must_hold(tenant, id).await?;
        }
        let kind = TaskKind::Import { file: file.clone(), dry_run, skip_existing, department };
        self.order(call, tenant, Wish { kind, has_groups, bytes: Some(bytes), once }, &about).await
    }

    /// The rows of a file. Reading it may keep a processor for a second: that is done beside what answers requests, and for
    /// a few files at a time, since tables take memory.
    async fn rows_of(&self, name: String, bytes: Vec<u8>) -> Result<(Vec<u8>, Rows), AdminError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.reading).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(DirectoryError::Busy.into()) };
        let reading = tokio::task::spawn_blocking(move || {
            let rows = import::rows_of(&name, &bytes);
            // Held to the end of the reading, also where nobody waits for it any more.
            drop(turn);
            (bytes, rows)
        });
        let (bytes, rows) = reading.await.map_err(|_| DirectoryError::Busy)?;
        Ok((bytes, rows?))
    }

    /// Orders an export. As [`Administration::order_import`].
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn order_export(
        &self,
        call: &Call,
        tenant: TenantId,
        new: NewExport,
        once: Option<[u8; 32]>,
    ) -> Result<Task, AdminError> {
        let NewExport { table, department, lang } = new;
        let is_chinese = lang == Lang::ZhCn;
        let kind = TaskKind::Export { table: Table::of(table), department, is_chinese };
        let object = kind.object().to_owned();
        for action in kind.actions(false) {
            let about = About::new(Some(tenant), *action, &object);
            self.permit(call, &Scope::Tenant(tenant), &about).await?;
        }
        if let Some(id) = department {
            self.must_hold(tenant, id).await?;
        }
        let about = About::new(Some(tenant), Action::OrganisationExport, &object)
            .to(json!({ "department": department.map(|id| id.0) }));
        self.order(call, tenant, Wish { kind, has_groups: false, bytes: None, once }, &about).await
    }

    async fn must_hold(&self, tenant: TenantId, id: DepartmentId) -> Result<(), AdminError> {
        let is_there = self.directory.departments(tenant).await?.holds(id);
        let missing = || DirectoryError::NoDepartment(format!("#{id}"));
        if is_there { Ok(()) } else { Err(missing().into()) }
    }

    /// Puts a task down with its file and tells housekeeping of it.
    async fn order(
        &self,
        call: &Call,
        tenant: TenantId,
        wish: Wish,
        about: &About<'_>,
    ) -> Result<Task, AdminError> {
        let (objects, _) = self.workshop()?;
        let Wish { kind, has_groups, bytes, once } = wish;
        let file: [u8; 32] = bytes.as_ref().map(|bytes| Sha256::digest(bytes).into()).unwrap_or_default();
        let now = self.clock.now();
        let newest = self.newest_tasks(tenant, now).await?;
        let is_same = |item: &Item| {
            let is_recent = now.0.saturating_sub(item.created.0) < SAME_ORDER;
            once.is_some() && item.once == once && is_recent && item.kind == kind && item.file == file
        };
        if let Some((id, item)) = newest.iter().find(|(_, item)| is_same(item)) {
            let id: TaskId = id.parse().map_err(|_| AdminError::NotFound("task"))?;
            self.tell(tenant, id).await?;
            return Ok(item.clone().shown(id));
        }
        rules::may_run(&kind, &newest, now)?;
        spam::may_report(&kind, &newest, now)?;
        receipts::may_answer(&kind, &newest, now)?;
        // What the operator does to letters neither waits for the tenant's own tasks, nor keeps these waiting; nor do members.
        let is_like = |item: &Item| {
            item.kind.is_of_letters() == kind.is_of_letters()
                && !item.kind.is_of_members()
                && !kind.is_of_members()
        };
        if newest.iter().filter(|(_, item)| !item.state.is_over() && is_like(item)).count() >= MAX_OPEN {
            return Err(Invalid::TooMany { limit: MAX_OPEN }.into());
        }
        let id = fresh_id(now, self.ids.random());
        let order = self.record_order(call, about).await?;
        // It never has files.
        let is_swept = bytes.is_none() && matches!(kind, TaskKind::Spam { .. } | TaskKind::Receipt { .. });
        let item = Item {
            kind,
            has_groups,
            by: By::of(&call.actor),
            origin: call.origin,
            book: call.actor.tenant(),
            order,
            once,
            file,
            reading: READING,
            state: TaskState::Queued,
            cancel: false,
            done: 0,
            total: None,
            counts: TaskCounts::default(),
            problem: None,
            created: now,
            begun: None,
            ended: None,
            touched: now,
            step: 0,
            attempt: 0,
            taken: Vec::new(),
            after: None,
            parts: Vec::new(),
            is_swept,
        };
        let put_down = async {
            if let Some(bytes) = bytes {
                // Nobody else has that name: what is there is of this very call.
                objects.put_unique(&input_name(tenant, id), bytes.into()).await?;
            }
            if !self.write(&task_key(tenant, id), &item, Expected::Absent).await? {
                return Err(AdminError::Changed);
            }
            match self.tell(tenant, id).await {
                Ok(()) => Ok(item),
                Err(error) => self.take_back(tenant, id, error).await,
            }
        };
        match put_down.await {
            Ok(item) => Ok(item.shown(id)),
            Err(error) => {
                self.record_failure(call, about, order, &error).await?;
                Err(error)
            }
        }
    }

    /// Takes an order back of which housekeeping could not be told: whoever hears that it failed orders it again. If
    /// housekeeping has heard of it after all, the task as it is by then.
    async fn take_back(&self, tenant: TenantId, id: TaskId, error: AdminError) -> Result<Item, AdminError> {
        let taking = self.change_task(tenant, id, |item, now| {
            if item.state != TaskState::Queued {
                return Err(AdminError::Changed);
            }
            (item.state, item.ended, item.once) = (TaskState::Cancelled, Some(now), None);
            Ok(())
        });
        match taking.await {
            Ok(_) => {
                self.remove_input(tenant, id).await;
                Err(error)
            }
            Err(AdminError::Changed) => Ok(self.stored_task(tenant, id).await?.0),
            Err(_) => Err(error),
        }
    }

    /// Removes the file of a task that has ended. What fails of it, the sweep does.
    async fn remove_input(&self, tenant: TenantId, id: TaskId) {
        let Ok((objects, _)) = self.workshop() else { return };
        if let Err(error) = objects.delete(&input_name(tenant, id)).await {
            tracing::warn!(%tenant, task = %id, %error, "the file of a task is not removed yet");
        }
    }

    /// Tells housekeeping of a task.
    async fn tell(&self, tenant: TenantId, id: TaskId) -> Result<(), AdminError> {
        let (_, queue) = self.workshop()?;
        let body = encode(&Event::House(House::Task(tenant, id)));
        let message = Outgoing { tenant, body, delay: Duration::ZERO };
        for sent in queue.send_batch(Stage::Housekeep, vec![message]).await {
            sent?;
        }
        Ok(())
    }

    /// Tasks of a tenant, the newest first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn tasks(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Task>, AdminError> {
        call.may(Action::TaskRead, &Scope::Tenant(tenant))?;
        let Listed { items, next } = self.stored_tasks(tenant, page).await?;
        let items = items.into_iter().filter_map(|(id, item)| Some(item.shown(id.parse().ok()?))).collect();
        Ok(Listed { items, next })
    }

    /// A page of a tenant's tasks, the newest first. What can't be read is left out: most likely it is of a newer program.
    async fn stored_tasks(
        &self,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<(String, Item)>, AdminError> {
        let limit = page.limit.clamp(1, MAX_PAGE);
        let rows = self.control.query(&partition(tenant), "", page.after.as_deref(), limit).await?;
        let next = if rows.len() >= limit { rows.last().map(|(sort, _)| sort.clone()) } else { None };
        let mut items = Vec::with_capacity(rows.len());
        for (id, row) in rows {
            match decode::<Item>(&row.value) {
                Ok(item) => items.push((id, item)),
                Err(error) => tracing::warn!(%tenant, task = %id, %error, "a task can't be read"),
            }
        }
        Ok(Listed { items, next })
    }

    /// A tenant's tasks of the last day, the newest first, and some before them; of very many not all.
    async fn newest_tasks(
        &self,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Vec<(String, Item)>, AdminError> {
        let mut page = Page { after: None, limit: LOOKED_AT };
        let (mut newest, mut looked_at) = (Vec::new(), 0);
        loop {
            let Listed { items, next } = self.stored_tasks(tenant, &page).await?;
            looked_at += LOOKED_AT;
            newest.extend(items);
            let is_old = |(_, item): &(String, Item)| now.0.saturating_sub(item.created.0) >= DAY;
            match next {
                Some(next) if looked_at < MAX_LOOKED_AT && !newest.last().is_some_and(is_old) => {
                    page.after = Some(next);
                }
                _ => return Ok(newest),
            }
        }
    }

    /// A task.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn task(&self, call: &Call, tenant: TenantId, id: TaskId) -> Result<Task, AdminError> {
        call.may(Action::TaskRead, &Scope::Tenant(tenant))?;
        Ok(self.stored_task(tenant, id).await?.0.shown(id))
    }

    async fn stored_task(&self, tenant: TenantId, id: TaskId) -> Result<(Item, u64), AdminError> {
        let stored = self.read::<Item>(&task_key(tenant, id)).await?;
        stored.ok_or(AdminError::NotFound("task"))
    }

    /// Stops a task before its next step. What it has done stays.
    ///
    /// # Errors
    /// [`Conflict::TaskOver`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn cancel_task(&self, call: &Call, tenant: TenantId, id: TaskId) -> Result<Task, AdminError> {
        let number = id.to_string();
        let about = About::new(Some(tenant), Action::TaskCancel, &number);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let (item, _) = self.stored_task(tenant, id).await?;
        if let TaskKind::Letters { deed, .. } = &item.kind {
            // What the operator has ordered no administrator of the tenant stops.
            call.may(deed.action(), &Scope::SomeAccount(tenant))?;
        }
        let about = about.from(json!({ "kind": item.kind.name(), "object": item.kind.object() }));
        self.stop_task(call, tenant, id, &item, &about).await
    }

    /// Stops a task whose caller may do so, as `item` has it.
    async fn stop_task(
        &self,
        call: &Call,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        about: &About<'_>,
    ) -> Result<Task, AdminError> {
        if item.state.is_over() {
            return Err(AdminError::Conflict(Conflict::TaskOver));
        }
        let cancelling = self.change_task(tenant, id, |item, now| {
            if item.state.is_over() {
                return Err(AdminError::Conflict(Conflict::TaskOver));
            }
            item.cancel = true;
            if item.state == TaskState::Queued {
                (item.state, item.ended) = (TaskState::Cancelled, Some(now));
            }
            Ok(())
        });
        let item = self.act(call, about, cancelling).await?;
        if item.state.is_over() {
            self.remove_input(tenant, id).await;
        } else if let Err(error) = self.tell(tenant, id).await {
            // Nobody may be working on it: then the next audit ends it.
            tracing::warn!(%tenant, task = %id, %error, "a task that was stopped is not told of");
        }
        Ok(item.shown(id))
    }

    /// Text of a task's result from the piece `after` on, and the number behind which there is more.
    ///
    /// # Errors
    /// [`Conflict::NoResult`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn task_result(
        &self,
        call: &Call,
        tenant: TenantId,
        id: TaskId,
        after: u64,
    ) -> Result<(String, Option<u64>), AdminError> {
        call.may(Action::TaskRead, &Scope::Tenant(tenant))?;
        let (item, _) = self.stored_task(tenant, id).await?;
        if item.has_groups || matches!(item.kind, TaskKind::Export { table: Table::Groups, .. }) {
            call.may(Action::GroupRead, &Scope::Tenant(tenant))?;
        }
        let missing = AdminError::Conflict(Conflict::NoResult);
        let is_kept = item.result_until().is_some_and(|until| until > self.clock.now());
        if !item.state.is_over() || !is_kept {
            return Err(missing);
        }
        let (objects, _) = self.workshop()?;
        let (mut text, mut number) = (String::new(), after);
        let mut pieces =
            item.pieces(tenant, id).skip(usize::try_from(after).unwrap_or(usize::MAX)).peekable();
        while let Some(name) = pieces.next() {
            let (bytes, _) = match objects.get(&name).await {
                Err(PortError::NotFound { .. }) => return Err(missing),
                other => other?,
            };
            text.push_str(&String::from_utf8_lossy(&bytes));
            number += 1;
            if text.len() >= PIECE && pieces.peek().is_some() {
                return Ok((text, Some(number)));
            }
        }
        Ok((text, None))
    }

    /// Forgets what is old of a tenant's tasks, with their files, and finds tasks of which nothing was heard.
    ///
    /// # Errors
    /// The ports'; what was removed before is removed.
    #[pennypost_ports::compiled_here]
    pub async fn sweep_tasks(&self, tenant: TenantId) -> Result<Swept, AdminError> {
        let (objects, _) = self.workshop()?;
        let mut swept = Swept::default();
        let now = self.clock.now();
        let is_past = |time: Timestamp, span: i64| now.0.saturating_sub(time.0) > span;
        let mut page = Page::default();
        loop {
            let Listed { items, next } = self.stored_tasks(tenant, &page).await?;
            for (id, item) in items {
                let Ok(id) = id.parse::<TaskId>() else { continue };
                if !item.state.is_over() {
                    if is_past(item.touched, IDLE) {
                        swept.idle.push(id);
                    }
                } else if is_past(item.created, KEPT) {
                    swept.files += self.remove_files(tenant, id).await?;
                    self.erase(&task_key(tenant, id)).await?;
                    swept.forgotten += 1;
                } else if !item.is_swept && item.kept_until() <= now {
                    swept.files += self.remove_files(tenant, id).await?;
                    self.change_task(tenant, id, |item, _| {
                        item.parts.clear();
                        item.is_swept = true;
                        Ok(())
                    })
                    .await?;
                } else if !item.is_swept {
                    // Passwords may stand in it, and whoever ended the task may have died before it was gone.
                    objects.delete(&input_name(tenant, id)).await?;
                }
            }
            let Some(next) = next else { break };
            page.after = Some(next);
        }
        swept.files += self.remove_strays(tenant, now).await?;
        Ok(swept)
    }

    async fn remove_files(&self, tenant: TenantId, id: TaskId) -> Result<u64, AdminError> {
        let (objects, _) = self.workshop()?;
        let mut removed = 0;
        loop {
            let listed = objects.list(&folder(tenant, id), None, OBJECTS).await?;
            for object in &listed {
                objects.delete(&object.name).await?;
                removed += 1;
            }
            if listed.len() < OBJECTS {
                return Ok(removed);
            }
        }
    }

    /// Removes files whose task never came to be: the process died between the two.
    async fn remove_strays(&self, tenant: TenantId, now: Timestamp) -> Result<u64, AdminError> {
        let (objects, _) = self.workshop()?;
        let prefix = format!("{tenant}/task/");
        let (mut removed, mut after) = (0, None::<String>);
        // Files of one task lie together.
        let mut last: Option<(TaskId, bool)> = None;
        loop {
            let listed = objects.list(&prefix, after.as_deref(), OBJECTS).await?;
            for object in &listed {
                let id: Option<TaskId> =
                    object.name.strip_prefix(&prefix).and_then(|rest| rest.split('/').next()?.parse().ok());
                let Some(id) = id else { continue };
                if now.0.saturating_sub(object.modified.0) <= DAY {
                    continue;
                }
                let is_known = match last {
                    Some((last, is_known)) if last == id => is_known,
                    // Also one that can't be read keeps its files.
                    _ => self.control.get(&task_key(tenant, id), Consistency::Strong).await?.is_some(),
                };
                last = Some((id, is_known));
                if !is_known {
                    objects.delete(&object.name).await?;
                    removed += 1;
                }
            }
            match listed.last() {
                Some(last) if listed.len() == OBJECTS => after = Some(last.name.clone()),
                _ => return Ok(removed),
            }
        }
    }
}

/// The rows of a file, those that can't be among them counted, too.
fn checked(rows: &Rows, refused: usize) -> Result<(), Invalid> {
    let found = rows.counts().iter().sum::<usize>() + refused;
    if found == 0 { Err(Invalid::NoRows) } else { Ok(()) }
}
