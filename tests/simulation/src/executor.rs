//! A scheduler that steps one task at a time, chosen at random. A process is a group of tasks; when it dies, its
//! tasks are dropped where they stand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;
use rand::Rng;
use rand::rngs::SmallRng;

struct Task {
    process: usize,
    woken: Arc<Woken>,
    waker: Waker,
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Whether a task can go on.
struct Woken {
    yes: AtomicBool,
    outside: Arc<AtomicWaker>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.yes.store(true, Ordering::Release);
        self.outside.wake();
    }
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A task has run up to its next pause.
    Ran,
    /// All tasks wait for something outside: a time, a thread.
    Waiting,
    /// There is no task.
    Idle,
}

/// The processes of a schedule.
#[derive(Default)]
pub struct Executor {
    tasks: Vec<Task>,
    outside: Arc<AtomicWaker>,
}

impl Executor {
    /// Adds a task to a process.
    pub fn spawn(&mut self, process: usize, task: impl Future<Output = ()> + Send + 'static) {
        let woken = Arc::new(Woken { yes: AtomicBool::new(true), outside: Arc::clone(&self.outside) });
        let waker = Waker::from(Arc::clone(&woken));
        self.tasks.push(Task { process, woken, waker, future: Box::pin(task) });
    }

    /// Lets one task run up to its next pause, any of those that can go on.
    pub fn step(&mut self, random: &mut SmallRng) -> Step {
        if self.tasks.is_empty() {
            return Step::Idle;
        }
        let ready = |task: &Task| task.woken.yes.load(Ordering::Acquire);
        let count = self.tasks.iter().filter(|task| ready(task)).count();
        if count == 0 {
            return Step::Waiting;
        }
        let nth = random.random_range(0..count);
        let chosen = self.tasks.iter().enumerate().filter(|(_, task)| ready(task)).nth(nth);
        let Some((chosen, _)) = chosen else { return Step::Waiting };
        let task = &mut self.tasks[chosen];
        task.woken.yes.store(false, Ordering::Release);
        if task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready() {
            drop(self.tasks.swap_remove(chosen));
        }
        Step::Ran
    }

    /// Returns when a task can go on.
    pub async fn wait(&self) {
        std::future::poll_fn(|context| {
            self.outside.register(context.waker());
            let ready = self.tasks.iter().any(|task| task.woken.yes.load(Ordering::Acquire));
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// The process dies.
    pub fn kill(&mut self, process: usize) {
        self.tasks.retain(|task| task.process != process);
    }

    /// Has this process anything to do?
    #[must_use]
    pub fn is_idle(&self, process: usize) -> bool {
        !self.tasks.iter().any(|task| task.process == process)
    }
}

/// Gives the turn to others once.
pub fn turn() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
