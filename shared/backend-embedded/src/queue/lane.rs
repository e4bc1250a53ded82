//! The dispatch state of one stage in the serving process: who waits, who is out, who is next.
//!
//! A waiting message is *marked* when its row already counts the hand-out that is to come, so that it can be
//! handed out at once; the others wait as bare ids in the *backlog* and are marked in blocks (one commit for
//! many). This way `tries` never misses a hand-out, whatever dies; a crash at most counts one that did not
//! happen, for the messages that were marked.
//!
//! Tenants take turns: `ready` and `behind` hold each tenant with marked or backlogged messages once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use pennypost_model::{TenantId, Timestamp};
use tokio::time::Instant;

use crate::failure::Failure;

/// Marked messages of one tenant at most.
const TENANT_WINDOW: usize = 1024;
/// Marked messages of all tenants at most.
const WINDOW: usize = 8192;
/// Messages that are marked in one go.
const BLOCK: usize = 512;

/// Id of a message: its row.
pub(super) type Id = i64;

/// A message that is marked, handed out, or was handed out and not acknowledged in time.
#[derive(Debug)]
struct Held {
    tenant: TenantId,
    sent: Timestamp,
    tries: u32,
    /// The encoded event, while the cache has room for it.
    body: Option<Vec<u8>>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Marked,
    /// Handed out under this number.
    Out(u64),
    /// Its visibility has passed; it waits in the backlog, and the receipt still counts.
    Expired(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// A delayed message is due.
    Due(TenantId),
    /// The visibility of this hand-out has passed.
    Visible(u64),
}

#[derive(Debug, Default)]
struct Group {
    marked: VecDeque<Id>,
    backlog: VecDeque<Id>,
}

/// A message that has been marked: its row counts the coming hand-out.
#[derive(Debug)]
pub(super) struct Marked {
    pub(super) id: Id,
    pub(super) tenant: TenantId,
    pub(super) sent: Timestamp,
    pub(super) tries: u32,
    pub(super) body: Option<Vec<u8>>,
}

/// A message on its way out.
#[derive(Debug)]
pub(super) struct HandOut {
    pub(super) id: Id,
    pub(super) number: u64,
    pub(super) sent: Timestamp,
    pub(super) tries: u32,
    /// Missing when it has to be read from the table.
    pub(super) body: Option<Vec<u8>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lane {
    groups: HashMap<TenantId, Group>,
    ready: VecDeque<TenantId>,
    behind: VecDeque<TenantId>,
    held: HashMap<Id, Held>,
    timers: BinaryHeap<Reverse<(Instant, Id, Timer)>>,
    marked: usize,
    backlog: usize,
    delayed: usize,
    out: usize,
    /// A block is being marked.
    pub(super) marking: bool,
    /// Why the last block could not be marked; for whoever waits.
    pub(super) failed: Option<Failure>,
}

impl Lane {
    /// Waiting and handed-out messages.
    pub(super) fn depth(&self) -> (usize, usize) {
        (self.marked + self.backlog + self.delayed, self.out)
    }

    /// Can a new message of this tenant be marked as it is written? Not when others wait before it.
    pub(super) fn has_room(&self, tenant: TenantId) -> bool {
        self.marked < WINDOW
            && self
                .groups
                .get(&tenant)
                .is_none_or(|group| group.backlog.is_empty() && group.marked.len() < TENANT_WINDOW)
    }

    /// A message that can be handed out at once.
    pub(super) fn add_marked(&mut self, message: Marked) {
        let Marked { id, tenant, sent, tries, body } = message;
        self.held.insert(id, Held { tenant, sent, tries, body, state: State::Marked });
        let group = self.groups.entry(tenant).or_default();
        if group.marked.is_empty() {
            self.ready.push_back(tenant);
        }
        group.marked.push_back(id);
        self.marked += 1;
    }

    /// A message that waits, from `due` on if that is to come.
    pub(super) fn add_waiting(&mut self, id: Id, tenant: TenantId, delay: Duration, now: Instant) {
        // Beyond what the clock can express there is no difference.
        let due = now.checked_add(delay);
        match due {
            Some(due) if due > now => {
                self.timers.push(Reverse((due, id, Timer::Due(tenant))));
                self.delayed += 1;
            }
            Some(_) => self.add_backlog(id, tenant),
            None => {
                let far = now + Duration::from_secs(365 * 86_400);
                self.timers.push(Reverse((far, id, Timer::Due(tenant))));
                self.delayed += 1;
            }
        }
    }

    fn add_backlog(&mut self, id: Id, tenant: TenantId) {
        let group = self.groups.entry(tenant).or_default();
        if group.backlog.is_empty() {
            self.behind.push_back(tenant);
        }
        group.backlog.push_back(id);
        self.backlog += 1;
    }

    /// Brings everything up to the time.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(Reverse((time, id, timer))) = self.timers.peek().copied()
            && time <= now
        {
            self.timers.pop();
            match timer {
                Timer::Due(tenant) => {
                    self.delayed -= 1;
                    self.add_backlog(id, tenant);
                }
                Timer::Visible(number) => {
                    if let Some(held) = self.held.get_mut(&id)
                        && held.state == State::Out(number)
                    {
                        held.state = State::Expired(number);
                        let tenant = held.tenant;
                        self.out -= 1;
                        self.add_backlog(id, tenant);
                    }
                }
            }
        }
    }

    /// When something next comes back by itself.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((time, ..))| *time)
    }

    /// Is there something to hand out at once?
    pub(super) fn is_ready(&self) -> bool {
        self.marked > 0
    }

    /// Up to `max` messages, the tenants in turn. `number` gives each hand-out its number.
    pub(super) fn hand_out(
        &mut self,
        max: usize,
        visibility: Duration,
        now: Instant,
        mut number: impl FnMut() -> u64,
    ) -> Vec<HandOut> {
        let mut batch = Vec::new();
        while batch.len() < max
            && let Some(tenant) = self.ready.pop_front()
        {
            let Some(group) = self.groups.get_mut(&tenant) else { continue };
            let Some(id) = group.marked.pop_front() else { continue };
            self.marked -= 1;
            let (more, gone) =
                (!group.marked.is_empty(), group.marked.is_empty() && group.backlog.is_empty());
            if more {
                self.ready.push_back(tenant);
            }
            if gone {
                self.groups.remove(&tenant);
            }
            let Some(held) = self.held.get_mut(&id) else { continue };
            let number = number();
            held.state = State::Out(number);
            self.out += 1;
            if let Some(until) = now.checked_add(visibility) {
                self.timers.push(Reverse((until, id, Timer::Visible(number))));
            }
            let (sent, tries, body) = (held.sent, held.tries, held.body.take());
            batch.push(HandOut { id, number, sent, tries, body });
        }
        batch
    }

    /// The next block to mark, if it is time for one; it leaves the backlog. Whoever gets a block reports it
    /// with [`Lane::block_marked`] or [`Lane::block_failed`].
    pub(super) fn take_block(&mut self) -> Option<Vec<(Id, TenantId)>> {
        if self.marking || self.backlog == 0 || self.marked >= WINDOW / 2 {
            return None;
        }
        let mut block = Vec::new();
        let mut full = VecDeque::new();
        while block.len() < BLOCK
            && let Some(tenant) = self.behind.pop_front()
        {
            let Some(group) = self.groups.get_mut(&tenant) else { continue };
            if group.marked.len() >= TENANT_WINDOW / 2 {
                full.push_back(tenant);
                continue;
            }
            let Some(id) = group.backlog.pop_front() else { continue };
            self.backlog -= 1;
            block.push((id, tenant));
            if !group.backlog.is_empty() {
                self.behind.push_back(tenant);
            } else if group.marked.is_empty() {
                self.groups.remove(&tenant);
            }
        }
        self.behind.append(&mut full);
        if block.is_empty() {
            return None;
        }
        self.marking = true;
        Some(block)
    }

    /// The block is marked; those of its messages that are not among `marked` have gone meanwhile.
    pub(super) fn block_marked(&mut self, block: &[(Id, TenantId)], marked: Vec<Marked>) {
        self.marking = false;
        for (id, _) in block {
            self.held.remove(id);
        }
        for message in marked {
            self.add_marked(message);
        }
    }

    /// The block could not be marked; it goes back.
    pub(super) fn block_failed(&mut self, block: &[(Id, TenantId)], failure: Failure) {
        self.marking = false;
        self.failed = Some(failure);
        for (id, tenant) in block {
            self.add_backlog(*id, *tenant);
        }
    }

    /// Does this hand-out still count?
    pub(super) fn is_held(&self, id: Id, number: u64) -> bool {
        self.held
            .get(&id)
            .is_some_and(|held| matches!(held.state, State::Out(n) | State::Expired(n) if n == number))
    }

    /// The hand-out is over; its tenant, if it still counted. The row is gone or about to go.
    pub(super) fn release(&mut self, id: Id, number: u64) -> Option<TenantId> {
        if !self.is_held(id, number) {
            return None;
        }
        let held = self.held.remove(&id)?;
        if matches!(held.state, State::Out(_)) {
            self.out -= 1;
        }
        self.prune();
        Some(held.tenant)
    }

    /// The hand-out is over and the message comes back after `delay`.
    pub(super) fn retry(&mut self, id: Id, number: u64, delay: Duration, now: Instant) {
        let expired = self.held.get(&id).is_some_and(|held| held.state == State::Expired(number));
        // What has expired waits in the backlog already.
        if let Some(tenant) = self.release(id, number)
            && !expired
        {
            self.add_waiting(id, tenant, delay, now);
        }
    }

    /// Timers of messages that are done would pile up until their visibility has passed.
    fn prune(&mut self) {
        if self.timers.len() > 2 * (self.out + self.delayed) + 4096 {
            let held = &self.held;
            self.timers.retain(|Reverse((_, id, timer))| match timer {
                Timer::Due(_) => true,
                Timer::Visible(number) => held.get(id).is_some_and(|held| held.state == State::Out(*number)),
            });
        }
    }

    /// Messages that are marked and were not handed out, when the process ends in peace.
    pub(super) fn unused_marks(&self) -> Vec<Id> {
        let marked = self.held.iter().filter(|(_, held)| held.state == State::Marked);
        marked.map(|(id, _)| *id).collect()
    }
}
