//! Process trees as /proc shows them: memory and CPU time of the server, seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::args::Watch;

/// How often memory is looked at for the peak.
const LOOK: Duration = Duration::from_millis(500);
const KIBIBYTE: u64 = 1024;

/// The roots of what is watched; none if nothing was named.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pids: Vec<u32>,
    names: Vec<String>,
}

struct Stat {
    name: String,
    parent: u32,
    /// User and system time, that of children already waited for included.
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold spaces and brackets itself.
    let (begin, end) = (text.find('(')?, text.rfind(')')?);
    let fields: Vec<&str> = text.get(end + 2..)?.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        name: text.get(begin + 1..end)?.to_owned(),
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
    })
}

fn processes() -> BTreeMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

impl Server {
    pub(crate) fn new(watch: &Watch) -> Server {
        Server { pids: watch.pid.clone(), names: watch.process.clone() }
    }

    pub(crate) const fn is_known(&self) -> bool {
        !self.pids.is_empty() || !self.names.is_empty()
    }

    /// The roots that live, and all that they started.
    fn tree(&self, all: &BTreeMap<u32, Stat>) -> BTreeSet<u32> {
        let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (pid, stat) in all {
            children.entry(stat.parent).or_default().push(*pid);
        }
        let named = all.iter().filter(|(_, stat)| self.names.contains(&stat.name)).map(|(pid, _)| *pid);
        let mut todo: Vec<u32> = self.pids.iter().copied().chain(named).collect();
        let mut tree = BTreeSet::new();
        while let Some(pid) = todo.pop() {
            if all.contains_key(&pid) && tree.insert(pid) {
                todo.extend(children.get(&pid).into_iter().flatten());
            }
        }
        tree
    }

    /// The processes of the tree.
    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        self.tree(&processes())
    }

    /// CPU seconds of the tree so far.
    pub(crate) fn cpu(&self) -> f64 {
        let all = processes();
        let ticks: u64 = self.tree(&all).iter().filter_map(|pid| all.get(pid)).map(|stat| stat.ticks).sum();
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }

    /// Proportional memory of the tree in octets: pages shared with others count in parts.
    pub(crate) fn memory(&self) -> u64 {
        let all = processes();
        self.tree(&all).into_iter().filter_map(proportional).sum()
    }

    /// Waits until the server has done what it put off: less than a twentieth of a second of CPU in a second, or
    /// `longest`. Gives its CPU seconds so far.
    pub(crate) async fn settled(&self, longest: Duration) -> f64 {
        let began = Instant::now();
        let mut before = self.cpu();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = self.cpu();
            if now - before < 0.05 || began.elapsed() > longest {
                return now;
            }
            before = now;
        }
    }

    /// Begins to look for the peak of memory.
    pub(crate) fn peak(&self) -> Peak {
        let peak = Peak { most: Arc::default(), ended: Arc::default() };
        if self.is_known() {
            let (server, most, ended) = (self.clone(), Arc::clone(&peak.most), Arc::clone(&peak.ended));
            std::thread::spawn(move || {
                while !ended.load(Ordering::Relaxed) {
                    most.fetch_max(server.memory(), Ordering::Relaxed);
                    std::thread::sleep(LOOK);
                }
            });
        }
        peak
    }
}

fn proportional(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * KIBIBYTE)
}

/// Looks at the memory of a server until it is dropped.
pub(crate) struct Peak {
    most: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Peak {
    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

/// CPU seconds of this process.
pub(crate) fn own_cpu() -> f64 {
    let ticks = stat(std::process::id()).map_or(0, |stat| stat.ticks);
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_holds_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let server = Server { pids: vec![std::process::id()], names: Vec::new() };
        let tree = server.tree(&processes());
        assert!(tree.contains(&child.id()) && tree.contains(&std::process::id()));
        assert!(server.memory() > KIBIBYTE);
        let named = Server { pids: Vec::new(), names: vec!["sleep".to_owned()] };
        assert!(named.tree(&processes()).contains(&child.id()));
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
}
