//! Holding the generator and the server on one processor.
//!
//! Where one side waits for the other at each step, the time is mostly that of waking a sleeping processor, and it
//! depends on whether the scheduler has put both sides on one or on two of them: a choice that holds for a whole run
//! and has nothing to do with the server. Held on one, runs can be compared.

use std::fs;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::process::Server;

/// The generator and the server are on one processor until it is dropped.
pub(crate) struct Held {
    server: Server,
    before: CpuSet,
}

impl Held {
    /// Holds them; `None` if the server's processes are not known or the system does not let us.
    pub(crate) fn new(server: &Server) -> Option<Held> {
        if !server.is_known() {
            return None;
        }
        let before = sched_getaffinity(None).ok()?;
        let first = (0..CpuSet::MAX_CPU).find(|processor| before.is_set(*processor))?;
        let mut one = CpuSet::new();
        one.set(first);
        let held = Held { server: server.clone(), before };
        held.put(&one).then_some(held)
    }

    /// Puts all threads of all processes on these processors; did it work with the generator and at least one more?
    fn put(&self, processors: &CpuSet) -> bool {
        let put = |pid: u32| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            let threads = tasks.filter_map(|task| task.file_name().to_str()?.parse().ok());
            let threads = threads.filter_map(|thread: i32| Pid::from_raw(thread));
            threads.filter(|thread| sched_setaffinity(Some(*thread), processors).is_ok()).count()
        };
        let servers: usize = self.server.processes().into_iter().map(put).sum();
        put(std::process::id()) > 0 && servers > 0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Threads that were born meanwhile have inherited the one processor: all are looked up again.
        self.put(&self.before);
    }
}
