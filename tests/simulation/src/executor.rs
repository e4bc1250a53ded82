//! A scheduler that steps one task at a time, chosen at random. A process is a group of tasks; when it dies, its
//! tasks are dropped where they stand.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rand::Rng;
use rand::rngs::SmallRng;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The processes of a schedule.
#[derive(Default)]
pub struct Executor {
    tasks: Vec<(usize, Task)>,
}

impl Executor {
    /// Adds a task to a process.
    pub fn spawn(&mut self, process: usize, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push((process, Box::pin(task)));
    }

    /// Lets one task of a random process run up to its next port call. `false` when there is none.
    pub fn step(&mut self, random: &mut SmallRng) -> bool {
        if self.tasks.is_empty() {
            return false;
        }
        let chosen = random.random_range(0..self.tasks.len());
        let mut context = Context::from_waker(Waker::noop());
        if self.tasks[chosen].1.as_mut().poll(&mut context).is_ready() {
            drop(self.tasks.swap_remove(chosen));
        }
        true
    }

    /// The process dies.
    pub fn kill(&mut self, process: usize) {
        self.tasks.retain(|(owner, _)| *owner != process);
    }

    /// Has this process anything to do?
    pub fn is_idle(&self, process: usize) -> bool {
        !self.tasks.iter().any(|(owner, _)| *owner == process)
    }
}

/// Gives the turn to others once.
pub fn turn() -> impl Future<Output = ()> + Send {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        // Combinators poll only what has asked to be woken.
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
