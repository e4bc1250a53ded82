//! What each function needs: its trigger, its ports with how far it uses them, its size.
//!
//! Owns the one list from which a function's `main` builds its ports, the template its functions, and their
//! permissions are generated. A stage has its needs; a function has those of all stages that run in it, which
//! follows from [`Fusing`].
//!
//! Every function that works a queue also gives up what it can't handle: it writes items into the partitions
//! [`DEAD_LETTERS`] and [`SUSPECTS`] of the control table, and notes in the log what died. Both stand in the
//! permissions of [`Trigger::Queue`] and in [`Needs::log`].

use pennypost_model::event::Stage;
use serde::Serialize;

use crate::Fusing;

/// Partition of the control table that holds what was given up.
pub const DEAD_LETTERS: &str = "dead-letters";
/// Partition of the control table that notes which event is in hand alone.
pub const SUSPECTS: &str = "suspects";
/// What the names of letters begin with that another service has received for us and put into the bucket of raw mail.
pub const RAW_MAIL: &str = "inbound/";

/// How far a function uses a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// Not at all.
    None,
    /// It reads.
    Read,
    /// It writes and never reads.
    Write,
    /// Both.
    ReadWrite,
}

impl Access {
    /// What both need together.
    #[must_use]
    pub const fn and(self, other: Access) -> Access {
        match (self.reads() || other.reads(), self.writes() || other.writes()) {
            (false, false) => Access::None,
            (true, false) => Access::Read,
            (false, true) => Access::Write,
            (true, true) => Access::ReadWrite,
        }
    }

    /// May it read?
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Access::Read | Access::ReadWrite)
    }

    /// May it write?
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Access::Write | Access::ReadWrite)
    }
}

/// A kind of object: the second component of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Packs of messages.
    Pack,
    /// Messages too large for their events.
    Spool,
    /// Bases of accounts.
    Base,
    /// Runs of list cards of older programs.
    Cards,
    /// Segments.
    Segment,
    /// Journal entries too large for their table: whoever reads journals reads them, whoever appends puts and deletes
    /// them.
    Entry,
    /// Files of long operations of administration: what they read, and what they leave to be read.
    Task,
    /// Letters in quarantine.
    Quarantine,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::Pack,
        Kind::Spool,
        Kind::Base,
        Kind::Cards,
        Kind::Segment,
        Kind::Entry,
        Kind::Task,
        Kind::Quarantine,
    ];

    /// The second component of the names of these objects, behind the tenant's id.
    #[must_use]
    pub const fn component(self) -> &'static str {
        match self {
            Kind::Pack => "pk",
            Kind::Spool => "spool",
            Kind::Base => "ix",
            Kind::Cards => "cd",
            Kind::Segment => "sg",
            Kind::Entry => "je",
            Kind::Task => "task",
            Kind::Quarantine => "qn",
        }
    }
}

/// A set of kinds of objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// None.
    pub const NONE: Kinds = Kinds(0);
    /// Every kind.
    pub const ALL: Kinds = Kinds::of(&Kind::ALL);

    /// These kinds.
    #[must_use]
    pub const fn of(kinds: &[Kind]) -> Kinds {
        let mut set = 0;
        let mut index = 0;
        while index < kinds.len() {
            set |= 1 << kinds[index] as u8;
            index += 1;
        }
        Kinds(set)
    }

    /// Is it one of them?
    #[must_use]
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    const fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }
}

impl Serialize for Kinds {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Kind::component))
    }
}

/// How far a function uses the objects. Who reads must be allowed to list the bucket, too: otherwise the service
/// answers for an object that is missing as for one that is forbidden.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ObjectAccess {
    /// It gets these.
    pub read: Kinds,
    /// It puts these.
    pub write: Kinds,
    /// It deletes these.
    pub delete: Kinds,
    /// It lists these.
    pub list: Kinds,
}

impl ObjectAccess {
    /// Not at all.
    pub const NONE: ObjectAccess =
        ObjectAccess { read: Kinds::NONE, write: Kinds::NONE, delete: Kinds::NONE, list: Kinds::NONE };
    /// In every way.
    pub const ALL: ObjectAccess =
        ObjectAccess { read: Kinds::ALL, write: Kinds::ALL, delete: Kinds::ALL, list: Kinds::ALL };

    const fn and(self, other: ObjectAccess) -> ObjectAccess {
        ObjectAccess {
            read: self.read.and(other.read),
            write: self.write.and(other.write),
            delete: self.delete.and(other.delete),
            list: self.list.and(other.list),
        }
    }
}

/// A set of stages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stages(u8);

impl Stages {
    /// No stage.
    pub const NONE: Stages = Stages(0);

    /// These stages.
    #[must_use]
    pub const fn of(stages: &[Stage]) -> Stages {
        let mut set = 0;
        let mut index = 0;
        while index < stages.len() {
            set |= 1 << stages[index] as u8;
            index += 1;
        }
        Stages(set)
    }

    /// Is it one of them?
    #[must_use]
    pub const fn has(self, stage: Stage) -> bool {
        self.0 & (1 << stage as u8) != 0
    }

    /// All of them, in the order of the pipeline.
    pub fn iter(self) -> impl Iterator<Item = Stage> {
        Stage::ALL.into_iter().filter(move |stage| self.has(*stage))
    }

    const fn and(self, other: Stages) -> Stages {
        Stages(self.0 | other.0)
    }

    const fn without(self, stage: Stage) -> Stages {
        Stages(self.0 & !(1 << stage as u8))
    }
}

impl Serialize for Stages {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Stage::queue))
    }
}

/// What starts a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Trigger {
    /// Messages of a queue, in batches with a partial response.
    Queue {
        /// The queue's stage.
        #[serde(serialize_with = "queue_name")]
        queue: Stage,
        /// Messages of a batch at most.
        batch: u16,
        /// Seconds that messages are gathered for a batch.
        window_seconds: u16,
        /// Seconds for which messages in hand are invisible to others: six times the function's time, so that
        /// a batch that was throttled on its way comes back later than its function gives up.
        visibility_seconds: u32,
        /// Invocations at once. None is reserved: an account that is new has ten in all.
        maximum_concurrency: u16,
        /// After so many hand-outs the queue itself gives a message up: its function never got to answer.
        maximum_receives: u16,
    },
    /// Requests over HTTP.
    Http,
    /// The clock.
    Schedule {
        /// Minutes between two ticks.
        minutes: u16,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn queue_name<S: serde::Serializer>(stage: &Stage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stage.queue())
}

/// What a function needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Its name: that of its queue, if it has one.
    pub name: &'static str,
    /// What starts it.
    pub trigger: Trigger,
    /// The stages that run in it.
    pub stages: Stages,
    /// The journal's table, and the objects in which entries lie that are too large for it.
    pub journal: Access,
    /// The control table, beyond the two partitions of every function with a queue.
    pub control: Access,
    /// The log's table.
    pub log: Access,
    /// The bucket of mail.
    pub objects: ObjectAccess,
    /// The bucket of raw mail, of which it reads and deletes what is below [`RAW_MAIL`].
    pub raw_mail: bool,
    /// Queues that it sends to.
    pub sends: Stages,
    /// Queues whose depth it asks for.
    pub measures: Stages,
    /// It reads dead letters, and empties the dead-letter queues into their partition of the control table.
    pub dead_letters: bool,
    /// It erases whole journals and records of the log, of tenants that have ended.
    pub erases: bool,
    /// It wakes adapters: it reads who watches in the control table, and sends to the adapters' queues.
    pub wakes: bool,
    /// Megabytes.
    pub memory_mb: u32,
    /// Seconds after which an invocation is ended.
    pub timeout_seconds: u32,
}

impl Needs {
    const fn new(name: &'static str, trigger: Trigger, memory_mb: u32, timeout_seconds: u32) -> Needs {
        Needs {
            name,
            trigger,
            stages: Stages::NONE,
            journal: Access::None,
            control: Access::None,
            log: Access::None,
            objects: ObjectAccess::NONE,
            raw_mail: false,
            sends: Stages::NONE,
            measures: Stages::NONE,
            dead_letters: false,
            erases: false,
            wakes: false,
            memory_mb,
            timeout_seconds,
        }
    }

    /// A function that handles one stage. What dies is noted in the log.
    const fn stage(stage: Stage, memory_mb: u32, timeout_seconds: u32, batch: Batch) -> Needs {
        let trigger = Trigger::Queue {
            queue: stage,
            batch: batch.size,
            window_seconds: batch.window_seconds,
            visibility_seconds: timeout_seconds * 6,
            maximum_concurrency: batch.maximum_concurrency,
            maximum_receives: MAXIMUM_RECEIVES,
        };
        let needs = Needs::new(stage.queue(), trigger, memory_mb, timeout_seconds);
        Needs { stages: Stages::of(&[stage]), log: Access::Write, ..needs }
    }

    /// What it needs when `other` runs in it, too.
    #[must_use]
    pub const fn joining(self, other: Needs) -> Needs {
        let stages = self.stages.and(other.stages);
        Needs {
            name: self.name,
            trigger: self.trigger,
            stages,
            journal: self.journal.and(other.journal),
            control: self.control.and(other.control),
            log: self.log.and(other.log),
            objects: self.objects.and(other.objects),
            raw_mail: self.raw_mail || other.raw_mail,
            sends: self.sends.and(other.sends),
            measures: self.measures.and(other.measures),
            dead_letters: self.dead_letters || other.dead_letters,
            erases: self.erases || other.erases,
            wakes: self.wakes || other.wakes,
            memory_mb: if self.memory_mb > other.memory_mb { self.memory_mb } else { other.memory_mb },
            timeout_seconds: if self.timeout_seconds > other.timeout_seconds {
                self.timeout_seconds
            } else {
                other.timeout_seconds
            },
        }
    }

    /// The stage whose queue starts it.
    #[must_use]
    pub const fn queue(&self) -> Option<Stage> {
        match self.trigger {
            Trigger::Queue { queue, .. } => Some(queue),
            Trigger::Schedule { .. } | Trigger::Http => None,
        }
    }
}

/// How a queue is cut into batches.
#[derive(Clone, Copy)]
struct Batch {
    size: u16,
    window_seconds: u16,
    maximum_concurrency: u16,
}

/// Letters are gathered for a second: thirty share a pack, an append for each account, and the requests.
const LETTERS: Batch = Batch { size: 30, window_seconds: 1, maximum_concurrency: 20 };

/// Far above the tries of the drivers, which give an event up by themselves after two days of failing for a reason
/// that passes, hourly in the end: what comes so often has never been answered for.
const MAXIMUM_RECEIVES: u16 = 100;

/// Time of the mail path: a batch of the largest letters, and the back-off of a table that is throttled.
const MAIL_SECONDS: u32 = 60;

const SPOOL: Kinds = Kinds::of(&[Kind::Spool]);
const ENTRY: Kinds = Kinds::of(&[Kind::Entry]);
const TASK: Kinds = Kinds::of(&[Kind::Task]);
const QUARANTINE: Kinds = Kinds::of(&[Kind::Quarantine]);

/// inbound-parse: reads spooled letters, and in the log whether one was delivered. Spools what grew too large for
/// the next queue.
pub const PARSE: Needs = Needs {
    log: Access::ReadWrite,
    objects: ObjectAccess { read: SPOOL, write: SPOOL, ..ObjectAccess::NONE },
    sends: Stages::of(&[Stage::PolicyFilter]),
    ..Needs::stage(Stage::InboundParse, 512, MAIL_SECONDS, LETTERS)
};

/// policy-filter: reads policies and rules, notes who is answered, and sends answers the way of all mail; where there are scanners reads what
/// was decided about letters in quarantine, and spooled letters, as it does where rules ask for their text, and notes in the log which letters wait for scanners. Spools what grew too
/// large for the next queue. What goes to other servers it sends to whoever brings it there.
pub const FILTER: Needs = Needs {
    control: Access::ReadWrite,
    log: Access::ReadWrite,
    objects: ObjectAccess { read: SPOOL, write: SPOOL, ..ObjectAccess::NONE },
    sends: Stages::of(&[Stage::InboundParse, Stage::Deliver, Stage::SendRemote]),
    ..Needs::stage(Stage::PolicyFilter, 512, MAIL_SECONDS, LETTERS)
};

/// deliver: packs, journals, traces; puts into quarantine what scanners speak against, and tells people of it; removes spooled letters; tells
/// senders that a letter was delivered, where they want to hear it. Spools what it tells if that is large: the rest of a letter with a virus.
pub const DELIVER: Needs = Needs {
    journal: Access::ReadWrite,
    control: Access::ReadWrite,
    log: Access::ReadWrite,
    objects: ObjectAccess {
        read: SPOOL.and(ENTRY),
        write: Kinds::of(&[Kind::Pack, Kind::Spool, Kind::Entry, Kind::Quarantine]),
        delete: SPOOL.and(ENTRY),
        ..ObjectAccess::NONE
    },
    sends: Stages::of(&[Stage::InboundParse, Stage::Notify, Stage::Housekeep]),
    ..Needs::stage(Stage::Deliver, 512, MAIL_SECONDS, LETTERS)
};

/// notify: wakes adapters; reads who has subscribed to notices of new mail, and puts these down. It tells nobody: receivers may
/// take long. A server does.
pub const NOTIFY: Needs = Needs {
    control: Access::ReadWrite,
    wakes: true,
    ..Needs::stage(Stage::Notify, 256, 30, Batch { size: 100, window_seconds: 1, maximum_concurrency: 5 })
};

/// housekeep: bases, segments, garbage collection, long operations of administration, and statistics, for which it reads
/// traces; letters to members whose passwords expire.
pub const HOUSE: Needs = Needs {
    journal: Access::ReadWrite,
    control: Access::ReadWrite,
    log: Access::ReadWrite,
    objects: ObjectAccess::ALL,
    sends: Stages::of(&[Stage::InboundParse, Stage::Housekeep]),
    dead_letters: true,
    erases: true,
    ..Needs::stage(Stage::Housekeep, 1024, 900, Batch { size: 10, window_seconds: 5, maximum_concurrency: 5 })
};

/// schedule: sends every account and every tenant to housekeeping once a day; lets letters of members go whose time has come,
/// up to eight at once, of which one is written anew; and letters of mailings, while few wait in front of them.
pub const SCHEDULE: Needs = Needs {
    journal: Access::Read,
    control: Access::ReadWrite,
    objects: ObjectAccess { read: ENTRY.and(SPOOL), write: SPOOL, delete: SPOOL, ..ObjectAccess::NONE },
    sends: Stages::of(&[Stage::InboundParse, Stage::Housekeep]),
    measures: Stages::of(&[Stage::InboundParse, Stage::Housekeep]),
    ..Needs::new("schedule", Trigger::Schedule { minutes: 15 }, 512, 300)
};

/// receive: mail that another service has received and put into the bucket of raw mail becomes accepted messages. In the
/// log it notes what it has done, and looks there whether it has done it before. Up to four of the largest letters are in
/// memory at once.
pub const RECEIVE: Needs = Needs {
    control: Access::Read,
    log: Access::ReadWrite,
    objects: ObjectAccess { write: SPOOL, ..ObjectAccess::NONE },
    raw_mail: true,
    sends: Stages::of(&[Stage::InboundParse]),
    ..Needs::stage(
        Stage::Receive,
        512,
        MAIL_SECONDS,
        Batch { size: 10, window_seconds: 1, maximum_concurrency: 10 },
    )
};

/// send-remote: items of what is on its way, signatures, the bytes until the last server has them; reports to senders. No
/// function does it: functions reach no port 25, and wait for other servers for minutes. A server does.
pub const REMOTE: Needs = Needs {
    control: Access::ReadWrite,
    log: Access::ReadWrite,
    objects: ObjectAccess { read: SPOOL, write: SPOOL, delete: SPOOL, ..ObjectAccess::NONE },
    sends: Stages::of(&[Stage::InboundParse]),
    ..Needs::stage(Stage::SendRemote, 512, 900, LETTERS)
};

/// api: the admin API, which reads and writes the directory and the log of operations, both in the control table, and the
/// record of sign-ins and the traces of letters in the log; puts the files of long operations down, sends these to housekeeping, reads what comes
/// of them, and removes the files of those that are stopped; shows and releases letters in quarantine; writes letters to members, which go the way of all mail; looks
/// into journals how many letters are unread; and what mail programs ask for when they set themselves up. A password is hashed
/// in 19 MB and needs some of a processor.
pub const API: Needs = Needs {
    journal: Access::Read,
    control: Access::ReadWrite,
    log: Access::ReadWrite,
    objects: ObjectAccess {
        read: TASK.and(ENTRY).and(QUARANTINE).and(SPOOL).and(Kinds::of(&[Kind::Base])),
        write: TASK.and(SPOOL),
        delete: TASK,
        ..ObjectAccess::NONE
    },
    sends: Stages::of(&[Stage::InboundParse, Stage::Housekeep]),
    ..Needs::new("api", Trigger::Http, 512, 20)
};

/// What a stage needs when it runs by itself.
#[must_use]
pub const fn of_stage(stage: Stage) -> Needs {
    match stage {
        Stage::InboundParse => PARSE,
        Stage::PolicyFilter => FILTER,
        Stage::Deliver => DELIVER,
        Stage::Notify => NOTIFY,
        Stage::Housekeep => HOUSE,
        Stage::Receive => RECEIVE,
        Stage::SendRemote => REMOTE,
    }
}

/// What the function of a queue needs, with all stages that are joined to it.
#[must_use]
pub fn of_queue(stage: Stage, fusing: &Fusing) -> Needs {
    let mut needs = of_stage(stage);
    loop {
        let next = needs.sends.iter().find(|next| fusing.joins(*next) && !needs.stages.has(*next));
        let Some(next) = next else { break };
        needs = needs.joining(of_stage(next));
    }
    // What is joined is handed on in memory.
    for joined in Stage::ALL.into_iter().filter(|joined| fusing.joins(*joined)) {
        needs.sends = needs.sends.without(joined);
    }
    needs
}

/// The functions that `fusing` leaves: one for each queue that something is sent to, then the others.
#[must_use]
pub fn functions(fusing: &Fusing) -> Vec<Needs> {
    let has_function = |stage: &Stage| *stage != Stage::SendRemote && !fusing.joins(*stage);
    let queues = Stage::ALL.into_iter().filter(has_function);
    let mut functions: Vec<Needs> = queues.map(|stage| of_queue(stage, fusing)).collect();
    functions.extend([SCHEDULE, API]);
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(functions: &[Needs]) -> Vec<&str> {
        functions.iter().map(|function| function.name).collect()
    }

    #[test]
    fn a_fused_function_has_the_needs_of_its_stages() {
        let fused = functions(&Fusing::fused());
        assert_eq!(names(&fused), ["inbound", "house", "receive", "schedule", "api"]);
        let inbound = &fused[0];
        assert_eq!(
            inbound.stages,
            Stages::of(&[Stage::InboundParse, Stage::PolicyFilter, Stage::Deliver, Stage::Notify])
        );
        assert_eq!((inbound.journal, inbound.control), (Access::ReadWrite, Access::ReadWrite));
        assert_eq!(inbound.sends, Stages::of(&[Stage::InboundParse, Stage::Housekeep, Stage::SendRemote]));
        assert!(inbound.wakes && !inbound.dead_letters && inbound.objects.list == Kinds::NONE);
        assert!(inbound.objects.write.has(Kind::Pack) && !inbound.objects.read.has(Kind::Pack));
    }

    #[test]
    fn who_uses_journals_uses_their_large_entries() {
        for function in functions(&Fusing::fused()).into_iter().chain(functions(&Fusing::unfused())) {
            let objects = function.objects;
            assert_eq!(objects.read.has(Kind::Entry), function.journal.reads(), "{}", function.name);
            assert_eq!(objects.write.has(Kind::Entry), function.journal.writes(), "{}", function.name);
            assert_eq!(objects.delete.has(Kind::Entry), function.journal.writes(), "{}", function.name);
        }
    }

    #[test]
    fn an_unfused_function_has_only_its_own() {
        let unfused = functions(&Fusing::unfused());
        assert_eq!(
            names(&unfused),
            ["inbound", "filter", "deliver", "notify", "house", "receive", "schedule", "api"]
        );
        assert_eq!(
            (unfused[0].journal, unfused[0].sends),
            (Access::None, Stages::of(&[Stage::PolicyFilter]))
        );
        assert_eq!(unfused[1].journal, Access::None);
        let partly = of_queue(Stage::InboundParse, &Fusing::of([Stage::PolicyFilter]));
        assert_eq!(partly.sends, Stages::of(&[Stage::InboundParse, Stage::Deliver, Stage::SendRemote]));
        assert_eq!((partly.control, partly.journal), (Access::ReadWrite, Access::None));
    }

    #[test]
    fn every_queue_that_is_sent_to_has_a_function() {
        for fusing in [Fusing::fused(), Fusing::unfused(), Fusing::of([Stage::Deliver])] {
            let functions = functions(&fusing);
            let mut worked: Vec<Stage> = functions.iter().filter_map(Needs::queue).collect();
            // A server does.
            worked.push(Stage::SendRemote);
            for function in &functions {
                for stage in function.sends.iter() {
                    assert!(worked.contains(&stage), "{}: {}", function.name, stage.queue());
                }
                if let Trigger::Queue { visibility_seconds, .. } = function.trigger {
                    assert!(visibility_seconds >= function.timeout_seconds && visibility_seconds <= 43_200);
                }
            }
        }
    }
}
