//! Group commit: one thread per database takes all jobs that wait, runs each in its own savepoint, commits
//! once (one fsync) and then answers them all.
//!
//! Invariants: a job is answered with success only after its commit is durable; a job that fails leaves no
//! trace and does not disturb the others of its batch; a commit that fails fails every job of its batch and
//! the thread goes on. There is no linger: a lone job is committed at once, and what arrives meanwhile forms
//! the next batch. Only jobs without haste are kept back to join another commit: for [`LAZY`] if nobody waits for them,
//! otherwise for [`SHARED`], or until a second one waits.
//! Memory is bounded by permits: a job holds permits by its size until it is answered.
//!
//! If the process dies: before the commit no job of the batch happened; after it all did.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pennypost_ports::crash;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::checkpoint::{self, CHECKPOINT_FRAMES, Checkpointer, LONGEST_WAL_FRAMES};
use crate::failure::Failure;
use crate::heads;
use crate::wal_room::WalRoom;

/// Jobs in a batch at most.
const BATCH_JOBS: usize = 512;
/// Permits: one per KB of all jobs that wait or run.
const PERMITS: usize = 64 * 1024;
/// How long a lazy job may wait for company.
const LAZY: Duration = Duration::from_millis(20);
/// The same for one whose caller waits.
const SHARED: Duration = Duration::from_millis(5);
/// How often an idle writer looks for commits of other processes.
const POLL: Duration = Duration::from_millis(50);
/// The same when nothing has happened for [`CALM`]: looking should not keep a processor awake through the night.
const CALM_POLL: Duration = Duration::from_millis(500);
const CALM: Duration = Duration::from_secs(10);

/// What a job does, for its crash points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    QueueSend,
    QueueAck,
    JournalAppend,
    HeadAdvance,
    ControlPut,
    LogAppend,
    Other,
}

impl Kind {
    const COUNT: usize = 7;

    const fn points(self) -> Option<(&'static str, &'static str)> {
        match self {
            Kind::QueueSend => Some(("queue-send.before-commit", "queue-send.after-commit")),
            Kind::QueueAck => Some(("queue-ack.before-commit", "queue-ack.after-commit")),
            Kind::JournalAppend => Some(("journal-append.before-commit", "journal-append.after-commit")),
            Kind::HeadAdvance => Some(("head-advance.before-commit", "head-advance.after-commit")),
            Kind::ControlPut => Some(("control-put.before-commit", "control-put.after-commit")),
            Kind::LogAppend => Some(("log-append.before-commit", "log-append.after-commit")),
            Kind::Other => None,
        }
    }
}

type Answer = Box<dyn FnOnce(Result<(), Failure>) + Send>;
/// Gets the connection within a transaction, or the reason why there is none.
type Work = Box<dyn FnOnce(Result<&Connection, Failure>) -> Done + Send>;

/// A job that was run and waits for its commit.
struct Done {
    failed: bool,
    answer: Answer,
}

/// When a job is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Haste {
    /// With the next commit.
    AtOnce,
    /// With a commit that somebody else wants, or after [`SHARED`]; two of them are company to each other.
    InCompany,
    /// With a commit that somebody else wants, or after [`LAZY`].
    Lazily,
}

/// Jobs that are kept back.
#[derive(Default)]
struct Held {
    jobs: Vec<Job>,
    in_company: usize,
    /// When the first of them is committed at the latest.
    due: Option<Instant>,
}

impl Held {
    fn push(&mut self, job: Job) {
        let patience = match job.haste {
            Haste::AtOnce => Duration::ZERO,
            Haste::InCompany => SHARED,
            Haste::Lazily => LAZY,
        };
        let due = Instant::now() + patience;
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
        self.in_company += usize::from(job.haste == Haste::InCompany);
        self.jobs.push(job);
    }

    fn is_due(&self) -> bool {
        self.jobs.len() >= BATCH_JOBS
            || self.in_company > 1
            || self.due.is_some_and(|due| due <= Instant::now())
    }
}

struct Job {
    kind: Kind,
    haste: Haste,
    work: Work,
    _permit: OwnedSemaphorePermit,
}

enum Message {
    Run(Job),
    /// Commit what is there, and stop.
    Stop(Option<oneshot::Sender<()>>),
}

/// Called on the writer's thread when another process has committed, before any job of the next batch.
/// After a commit that failed it is called too: such a commit may have taken effect.
pub(crate) type OnForeign = Box<dyn FnMut(&Connection) -> Result<(), Failure> + Send>;

/// What a server has ready before its first job.
pub(crate) struct Ready {
    /// Made at the start, and again when it is gone.
    pub room: WalRoom,
    /// Prepared at the start.
    pub statements: &'static [&'static str],
}

/// The handle of the thread.
pub(crate) struct Writer {
    jobs: Mutex<Option<Sender<Message>>>,
    permits: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// There has never been a thread.
    read_only: bool,
}

impl Writer {
    /// A writer that refuses every job: the directory can't be written.
    pub(crate) fn read_only() -> Writer {
        Writer {
            jobs: Mutex::new(None),
            permits: Arc::new(Semaphore::new(PERMITS)),
            thread: Mutex::new(None),
            read_only: true,
        }
    }

    /// Starts the thread; it owns the connection from now on. With `rescan` it begins by calling `on_foreign`:
    /// something may have been committed since the caller has looked. A process that does not serve `tells` the
    /// server of each commit ([`crate::heads`]). With `ready` the first
    /// job takes no longer than those after it.
    pub(crate) fn start(
        mut connection: Connection,
        path: &Path,
        name: &'static str,
        on_foreign: OnForeign,
        rescan: bool,
        tells: Option<File>,
        ready: Option<Ready>,
    ) -> Result<Writer, Failure> {
        let frames = Arc::new(AtomicI32::new(0));
        let counted = Arc::clone(&frames);
        connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let checkpointer = Checkpointer::start(path.to_owned(), name)?;
        let seen = data_version(&connection)?;
        let (sender, receiver) = mpsc::channel();
        let (room, statements) = ready.map(|ready| (ready.room, ready.statements)).unzip();
        let thread = Thread { connection, name, frames, checkpointer, on_foreign, seen, rescan, tells, room };
        let thread = std::thread::Builder::new()
            .name(format!("write {name}"))
            .spawn(move || thread.run(&receiver, statements))?;
        Ok(Writer {
            jobs: Mutex::new(Some(sender)),
            permits: Arc::new(Semaphore::new(PERMITS)),
            thread: Mutex::new(Some(thread)),
            read_only: false,
        })
    }

    /// Runs `job` and commits it. `bytes` is about what it holds in memory.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        kind: Kind,
        bytes: usize,
        job: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.run_with(kind, bytes, Haste::AtOnce, job).await
    }

    /// The same, as soon as `haste` says.
    pub(crate) async fn run_with<T: Send + 'static>(
        &self,
        kind: Kind,
        bytes: usize,
        haste: Haste,
        job: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        self.answered(kind, bytes, haste, job, |value| value).await
    }

    /// Like [`Writer::run`]; `then` is called on the writer's thread right after the commit, also when the
    /// caller has gone away meanwhile.
    pub(crate) async fn run_then<T: Send + 'static, R: Send + 'static>(
        &self,
        kind: Kind,
        bytes: usize,
        job: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        then: impl FnOnce(T) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        self.answered(kind, bytes, Haste::AtOnce, job, then).await
    }

    async fn answered<T: Send + 'static, R: Send + 'static>(
        &self,
        kind: Kind,
        bytes: usize,
        haste: Haste,
        job: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
        then: impl FnOnce(T) -> R + Send + 'static,
    ) -> Result<R, Failure> {
        let (reply, answer) = oneshot::channel();
        let work = move |connection: Result<&Connection, Failure>| match connection.and_then(job) {
            Ok(value) => Done {
                failed: false,
                answer: Box::new(move |committed| {
                    // Nobody may be waiting any more.
                    let _ = reply.send(committed.map(|()| then(value)));
                }),
            },
            Err(failure) => Done {
                failed: true,
                answer: Box::new(move |_| {
                    let _ = reply.send(Err(failure));
                }),
            },
        };
        self.submit(kind, bytes, haste, Box::new(work)).await?;
        answer.await.map_err(|_| Failure::closed())?
    }

    /// Lets `job` join a coming commit and does not wait for it; `then` learns how it ended.
    pub(crate) async fn run_lazily(
        &self,
        kind: Kind,
        bytes: usize,
        job: impl FnOnce(&Connection) -> Result<(), Failure> + Send + 'static,
        then: impl FnOnce(Result<(), Failure>) + Send + 'static,
    ) -> Result<(), Failure> {
        let work = move |connection: Result<&Connection, Failure>| match connection.and_then(job) {
            Ok(()) => Done { failed: false, answer: Box::new(then) },
            Err(failure) => Done { failed: true, answer: Box::new(move |_| then(Err(failure))) },
        };
        self.submit(kind, bytes, Haste::Lazily, Box::new(work)).await
    }

    async fn submit(&self, kind: Kind, bytes: usize, haste: Haste, work: Work) -> Result<(), Failure> {
        let weight = u32::try_from((bytes / 1024 + 1).min(PERMITS)).unwrap_or(1);
        let permit =
            Arc::clone(&self.permits).acquire_many_owned(weight).await.map_err(|_| Failure::closed())?;
        let job = Job { kind, haste, work, _permit: permit };
        if self.read_only {
            return Err(Failure::Unavailable("the data directory is read-only".to_owned()));
        }
        let jobs = self.jobs.lock();
        let jobs = jobs.as_ref().ok_or_else(Failure::closed)?;
        jobs.send(Message::Run(job)).map_err(|_| Failure::closed())
    }

    /// Commits everything that was submitted, moves the WAL into the database and ends the thread. Later jobs
    /// are refused.
    pub(crate) async fn stop(&self) {
        let Some(jobs) = self.jobs.lock().take() else { return };
        let (reply, stopped) = oneshot::channel();
        if jobs.send(Message::Stop(Some(reply))).is_ok() {
            let _ = stopped.await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(jobs) = self.jobs.lock().take() {
            let _ = jobs.send(Message::Stop(None));
        }
        // Whoever opens the directory next finds nobody in it. The thread itself never waits for itself.
        if let Some(thread) = self.thread.lock().take()
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

struct Thread {
    connection: Connection,
    name: &'static str,
    frames: Arc<AtomicI32>,
    checkpointer: Checkpointer,
    on_foreign: OnForeign,
    /// `data_version` when `on_foreign` was last up to date.
    seen: i64,
    rescan: bool,
    tells: Option<File>,
    room: Option<WalRoom>,
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Message>, statements: Option<&[&str]>) {
        self.make_room();
        if let Some(statements) = statements {
            self.warm_up(statements);
        }
        let mut waiting = Held::default();
        let mut last_event = Instant::now();
        let stopping = loop {
            let patience = match waiting.due {
                Some(due) => due.saturating_duration_since(Instant::now()),
                None if last_event.elapsed() < CALM => POLL,
                None => CALM_POLL,
            };
            let mut stop = None;
            match jobs.recv_timeout(patience) {
                Ok(Message::Run(job)) => waiting.push(job),
                Ok(Message::Stop(reply)) => stop = Some(reply),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stop = Some(None),
            }
            while stop.is_none() && waiting.jobs.len() < BATCH_JOBS {
                match jobs.try_recv() {
                    Ok(Message::Run(job)) => waiting.push(job),
                    Ok(Message::Stop(reply)) => stop = Some(reply),
                    Err(_) => break,
                }
            }
            if waiting.jobs.is_empty() {
                if stop.is_none() && self.look_around() {
                    last_event = Instant::now();
                }
            } else {
                last_event = Instant::now();
                if stop.is_some() || waiting.is_due() {
                    self.commit_all(std::mem::take(&mut waiting).jobs);
                }
            }
            if let Some(reply) = stop {
                break reply;
            }
        };
        // What was sent between the last look and the end of the channel.
        let rest = jobs.try_iter().filter_map(|message| match message {
            Message::Run(job) => Some(job),
            Message::Stop(_) => None,
        });
        let rest: Vec<Job> = rest.collect();
        self.commit_all(rest);
        if let Err(error) = checkpoint::truncate(&self.connection) {
            tracing::debug!(database = self.name, %error, "last checkpoint left to the next start");
        }
        let Thread { connection, checkpointer, .. } = self;
        drop(checkpointer);
        drop(connection);
        if let Some(reply) = stopping {
            let _ = reply.send(());
        }
    }

    /// What the first job would take longer for than those after it.
    fn warm_up(&self, statements: &[&str]) {
        let prepared = statements.iter().try_for_each(|sql| self.connection.prepare_cached(sql).map(drop));
        if let Err(error) = prepared.and_then(|()| self.begin_wal()) {
            // The first job finds out, too, and says so to whoever waits for it.
            tracing::debug!(database = self.name, %error, "not warm");
        }
    }

    /// A commit that changes nothing. The first one of a round of the WAL writes and syncs its head, too; and the first
    /// one of this thread prepares what each takes.
    fn begin_wal(&self) -> rusqlite::Result<()> {
        let version: i64 = self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        let nothing = execute(&self.connection, "SAVEPOINT job")
            .and_then(|()| self.connection.pragma_update(None, "user_version", version))
            .and_then(|()| execute(&self.connection, "RELEASE job"))
            .and_then(|()| execute(&self.connection, "COMMIT"));
        if nothing.is_err() && !self.connection.is_autocommit() {
            execute(&self.connection, "ROLLBACK")?;
        }
        nothing
    }

    /// Nothing to do: has another process committed? Can the WAL start over before somebody waits for it? `true` if there
    /// was something to do after all.
    fn look_around(&mut self) -> bool {
        let version = match data_version(&self.connection) {
            Ok(version) => version,
            Err(error) => {
                tracing::warn!(database = self.name, %error, "cannot look for changes");
                return true;
            }
        };
        let is_changed = version != self.seen || self.rescan;
        if is_changed {
            self.note_foreign(version);
        }
        if self.checkpointer.take_swept() {
            let begun = checkpoint::passive(&self.connection).and_then(|()| self.begin_wal());
            if let Err(error) = begun {
                tracing::warn!(database = self.name, %error, "checkpoint failed");
            }
        }
        self.make_room();
        is_changed
    }

    fn make_room(&mut self) {
        let made = self.room.as_ref().map_or(Ok(()), |room| room.make(&self.connection));
        if let Err(failure) = made {
            tracing::warn!(database = self.name, ?failure, "no room is made in the WAL");
            self.room = None;
        }
    }

    fn note_foreign(&mut self, version: i64) {
        match (self.on_foreign)(&self.connection) {
            Ok(()) => {
                self.seen = version;
                self.rescan = false;
            }
            Err(failure) => {
                self.rescan = true;
                tracing::warn!(database = self.name, ?failure, "cannot read changes of another process");
            }
        }
    }

    fn commit_all(&mut self, jobs: Vec<Job>) {
        let checkpointed = if self.frames.load(Ordering::Relaxed) >= LONGEST_WAL_FRAMES {
            // The thread can't keep up: whoever writes waits, so that the disk does not fill.
            checkpoint::full(&self.connection)
        } else if self.checkpointer.take_swept() {
            checkpoint::passive(&self.connection)
        } else {
            Ok(())
        };
        if let Err(error) = checkpointed {
            tracing::warn!(database = self.name, %error, "checkpoint failed");
        }
        let mut jobs = jobs.into_iter().peekable();
        while jobs.peek().is_some() {
            self.commit_some(&mut jobs);
        }
        if self.frames.load(Ordering::Relaxed) >= CHECKPOINT_FRAMES {
            self.checkpointer.request();
        }
    }

    /// Commits the jobs up to the first one at which SQLite gave up the transaction (a full disk).
    fn commit_some(&mut self, jobs: &mut impl Iterator<Item = Job>) {
        if let Err(error) = execute(&self.connection, "BEGIN IMMEDIATE") {
            let failure = Failure::from(error);
            for job in jobs {
                let done = (job.work)(Err(failure.clone()));
                (done.answer)(Err(failure.clone()));
            }
            return;
        }
        match data_version(&self.connection) {
            Ok(version) if version == self.seen && !self.rescan => {}
            Ok(version) => self.note_foreign(version),
            Err(error) => tracing::warn!(database = self.name, %error, "cannot look for changes"),
        }
        let mut kinds = [None; Kind::COUNT];
        let mut answers: Vec<(Answer, OwnedSemaphorePermit)> = Vec::new();
        let mut outcome = Ok(());
        for job in jobs {
            let Job { kind, work, _permit: permit, .. } = job;
            kinds[kind as usize] = Some(kind);
            match self.run_one(work) {
                Ok(answer) => answers.push((answer, permit)),
                Err(failure) => {
                    outcome = Err(failure);
                    break;
                }
            }
            if self.connection.is_autocommit() {
                outcome = Err(Failure::Unavailable("the transaction was given up".to_owned()));
                break;
            }
        }
        let kinds = || kinds.iter().flatten().filter_map(|kind| kind.points());
        if outcome.is_ok() {
            kinds().for_each(|(before, _)| crash::point(before));
            outcome = execute(&self.connection, "COMMIT").map_err(Failure::from);
        }
        match &outcome {
            Ok(()) => kinds().for_each(|(_, after)| crash::point(after)),
            Err(failure) => {
                tracing::error!(database = self.name, ?failure, "commit failed");
                self.rescan = true;
                if !self.connection.is_autocommit()
                    && let Err(error) = execute(&self.connection, "ROLLBACK")
                {
                    tracing::error!(database = self.name, %error, "rollback failed");
                }
            }
        }
        // Also after a commit that failed: it may have taken effect.
        if let Some(others) = &self.tells
            && let Err(error) = heads::tell(others)
        {
            // The server finds the commit by looking, a moment later.
            tracing::warn!(database = self.name, %error, "the server can't be told of a commit");
        }
        for (answer, permit) in answers {
            answer(outcome.clone());
            drop(permit);
        }
    }

    /// Runs one job in its savepoint. `Err` means that the transaction as a whole can't go on.
    fn run_one(&self, work: Work) -> Result<Answer, Failure> {
        execute(&self.connection, "SAVEPOINT job")?;
        // A defect in one job must not end the thread that all others depend on.
        let done = catch_unwind(AssertUnwindSafe(|| work(Ok(&self.connection))));
        let Ok(done) = done else {
            tracing::error!(database = self.name, "a job panicked");
            execute(&self.connection, "ROLLBACK TO job")?;
            execute(&self.connection, "RELEASE job")?;
            return Ok(Box::new(|_| ()));
        };
        if !self.connection.is_autocommit() {
            let ended = if done.failed {
                execute(&self.connection, "ROLLBACK TO job")
                    .and_then(|()| execute(&self.connection, "RELEASE job"))
            } else {
                execute(&self.connection, "RELEASE job")
            };
            if let Err(error) = ended {
                let failure = Failure::from(error);
                (done.answer)(Err(failure.clone()));
                return Err(failure);
            }
        }
        Ok(done.answer)
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer(pages: i64) -> (tempfile::TempDir, Writer) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)").unwrap();
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let writer =
            Writer::start(connection, &path, "test", Box::new(|_| Ok(())), false, None, None).unwrap();
        (directory, writer)
    }

    fn insert(connection: &Connection, id: i64, bytes: usize) -> Result<(), Failure> {
        connection.execute("INSERT INTO t VALUES (?1, zeroblob(?2))", (id, bytes.cast_signed()))?;
        Ok(())
    }

    async fn ids(writer: &Writer) -> Vec<i64> {
        let read = |connection: &Connection| -> Result<Vec<i64>, Failure> {
            let mut statement = connection.prepare("SELECT a FROM t ORDER BY a")?;
            let ids = statement.query_map([], |row| row.get(0))?;
            Ok(ids.collect::<Result<_, _>>()?)
        };
        writer.run(Kind::Other, 0, read).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_full_disk_fails_its_jobs_and_nothing_else() {
        let (_directory, writer) = writer(40);
        writer.run(Kind::Other, 0, |c| insert(c, 1, 10)).await.unwrap();
        for round in 0..5 {
            // One job of the batch needs more room than there is: SQLite may give up all of it.
            let large = writer.run(Kind::Other, 0, |c| insert(c, 2, 10_000_000));
            let small: Vec<_> = (0..8)
                .map(|n| writer.run(Kind::Other, 0, move |c| insert(c, 10 + round * 8 + n, 10)))
                .collect();
            let (large, small) = tokio::join!(large, async {
                let mut results = Vec::new();
                for job in small {
                    results.push(job.await);
                }
                results
            });
            assert!(matches!(large, Err(Failure::Unavailable(_))), "{large:?}");
            let there = ids(&writer).await;
            assert!(there.contains(&1) && !there.contains(&2));
            for (n, result) in (0..).zip(small) {
                assert_eq!(result.is_ok(), there.contains(&(10 + round * 8 + n)), "{result:?}");
            }
        }
        // With room again everything goes on.
        let more =
            |c: &Connection| Ok(c.pragma_update_and_check(None, "max_page_count", 10_000, |_| Ok(()))?);
        writer.run(Kind::Other, 0, more).await.unwrap();
        writer.run(Kind::Other, 0, |c| insert(c, 2, 10_000_000)).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_that_fails_or_panics_leaves_no_trace_and_spares_the_others() {
        let (_directory, writer) = writer(10_000);
        let half = |c: &Connection| {
            insert(c, 1, 1)?;
            Err::<(), _>(Failure::Refused("second thoughts".to_owned()))
        };
        let panicking = |c: &Connection| -> Result<(), Failure> {
            insert(c, 2, 1)?;
            panic!("a defect");
        };
        for _ in 0..20 {
            let (failed, panicked, good) = tokio::join!(
                writer.run(Kind::Other, 0, half),
                writer.run(Kind::Other, 0, panicking),
                writer.run(Kind::Other, 0, |c| {
                    c.execute("INSERT OR REPLACE INTO t VALUES (3, x'')", [])?;
                    Ok(())
                })
            );
            assert_eq!(failed, Err(Failure::Refused("second thoughts".to_owned())));
            assert!(panicked.is_err());
            assert_eq!(good, Ok(()));
            assert_eq!(ids(&writer).await, [3]);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_busy_database_is_unavailable_and_then_works() {
        let (directory, writer) = writer(10_000);
        let other = Connection::open(directory.path().join("test.db")).unwrap();
        writer.run(Kind::Other, 0, |c| Ok(c.busy_timeout(Duration::from_millis(10))?)).await.unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let refused = writer.run(Kind::Other, 0, |c| insert(c, 1, 1)).await;
        assert!(matches!(refused, Err(Failure::Unavailable(_))), "{refused:?}");
        other.execute_batch("ROLLBACK").unwrap();
        writer.run(Kind::Other, 0, |c| insert(c, 1, 1)).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn lazy_jobs_are_committed_without_company_and_at_the_end() {
        let (directory, writer) = writer(10_000);
        let (reply, committed) = oneshot::channel();
        let then = move |outcome| drop(reply.send(outcome));
        writer.run_lazily(Kind::Other, 0, |c| insert(c, 1, 1), then).await.unwrap();
        assert_eq!(committed.await, Ok(Ok(())));
        writer.run_lazily(Kind::Other, 0, |c| insert(c, 2, 1), |_| ()).await.unwrap();
        writer.stop().await;
        let late = writer.run(Kind::Other, 0, |c| insert(c, 3, 1)).await;
        assert_eq!(late, Err(Failure::closed()));
        let other = Connection::open(directory.path().join("test.db")).unwrap();
        let count: i64 = other.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 2);
    }

    /// Beside a writer that never rests the WAL starts over again and again.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_wal_stays_short() {
        let (directory, writer) = writer(1_000_000);
        let mut longest = 0;
        for round in 0..600_i64 {
            // 100 pages of 4 KB each time: 60,000 in all.
            let replace = move |c: &Connection| {
                let sql = "INSERT OR REPLACE INTO t VALUES (?1, zeroblob(400000))";
                c.execute(sql, [round % 10])?;
                Ok(())
            };
            writer.run(Kind::Other, 0, replace).await.unwrap();
            let wal = std::fs::metadata(directory.path().join("test.db-wal")).unwrap().len();
            longest = longest.max(wal);
        }
        assert!(longest < 60_000 * 4096 / 2, "the WAL grew to {longest} bytes");
    }
}
