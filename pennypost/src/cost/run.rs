//! `cost run`: letters through the real handlers, every call counted, priced by line item.
//!
//! Each batch is handled as a function handles it that has just been started: it knows no account and no policy. Time is
//! measured in a run before it whose calls are not reckoned; waiting for the services, which are not there, is assumed
//! ([`Stage`] by stage) and said so.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use pennypost_bench::corpus::Size;
use pennypost_directory::Account;
use pennypost_housekeep::Index;
use pennypost_meter::{Bill, Counts, Item, MILLI, PriceTable, Unit, total};
use pennypost_model::Seq;
use pennypost_model::codec;
use pennypost_model::event::{Event, House, Stage};
use pennypost_ports::{Consistency, Outgoing};
use pennypost_runtime::Fusing;
use rustix::time::{ClockId, clock_gettime};

use super::letters::Letters;
use super::scene::Scene;
use crate::Failed;
use crate::backend::Kind;

/// Letters of the run that measures time.
const TIMED: u64 = 1_500;
/// A function with so many megabytes has one virtual processor.
const PROCESSOR_MEGABYTES: u64 = 1_769;
/// Housekeeping events of a batch.
const HOUSE_BATCH: usize = 10;
/// Deliveries to an account after which it is sent to housekeeping, in the steady state.
const TAIL: u64 = 128;
/// Bytes of a function's line in the log, with what the service writes around an invocation.
const LOG_LINES: u64 = 520;

/// What `cost run` takes.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  pennypost cost run                                    10,000 letters of 10 KB, fused, batches of 30
  pennypost cost run --recipients 3 --batch 2 --unfused
Needs no data directory: everything happens in a temporary one.")]
pub struct RunArgs {
    /// Letters.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub letters: u64,
    /// Accounts that each letter goes to.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub recipients: u64,
    /// Bytes of a letter: 1k to 65536k, or mix.
    #[arg(long, default_value = "10k")]
    pub size: Size,
    /// Letters that a function gets at once.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub batch: u64,
    /// Letters that the adapter has to send at the same time [default: as many as a batch has, but 1 for batches below
    /// 10].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub sent_together: Option<u64>,
    /// A queue in front of every stage.
    #[arg(long)]
    pub unfused: bool,
    /// Somebody opens or searches each account: its segments are counted, too.
    #[arg(long)]
    pub opened: bool,
    /// Minutes between two letters to the same account.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1_440))]
    pub minutes_between: u64,
}

/// What a run counted.
pub(super) struct Measured {
    pub(super) args: RunArgs,
    pub(super) deliveries: u64,
    /// By the adapter, for accepting.
    pub(super) accepting: Counts,
    /// By the functions of the mail path.
    pub(super) delivering: Counts,
    /// By housekeeping.
    pub(super) keeping: Counts,
    /// What stays, in bytes.
    pub(super) stays: Stays,
    /// Bytes of the letters as they came.
    pub(super) raw: u64,
    /// Bytes of their events.
    pub(super) events: u64,
    /// Processor time of the functions of the mail path, for each letter.
    pub(super) processor: Duration,
    /// Invocations of functions.
    pub(super) invocations: u64,
}

/// Bytes that stay after the run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stays {
    pub(super) journal: u64,
    pub(super) log: u64,
    pub(super) objects: u64,
}

/// Milliseconds that a batch waits for services, one call after the other: assumed, since nothing is there to wait for.
/// Tables answer in 5, objects in 30; accounts are read and written at the same time.
const fn waiting(stage: Stage, is_fused: bool) -> u64 {
    match (stage, is_fused) {
        (Stage::InboundParse, true) => 5 + 5 + 30 + 10 + 5,
        (Stage::InboundParse | Stage::Notify | Stage::Receive, _) => 10,
        (Stage::PolicyFilter | Stage::SendRemote, _) => 15,
        (Stage::Deliver, _) => 5 + 30 + 10 + 5,
        (Stage::Housekeep, _) => 200,
    }
}

/// Megabytes of the function that works a queue, as the template gives it.
const fn megabytes(stage: Stage) -> u64 {
    match stage {
        Stage::Housekeep => 1024,
        _ => 512,
    }
}

/// Runs, and counts.
pub(super) async fn measure(args: &RunArgs, kind: Kind) -> Result<Measured, Failed> {
    let processor = processor_time(args).await?;
    let index = if args.opened { Index::All } else { Index::Opened };
    let scene = Scene::new(kind, false).await?.indexing(index);
    let deliveries = args.letters * args.recipients;
    let people = (deliveries / TAIL).clamp(args.recipients.max(args.batch), 100_000);
    let accounts = scene.people(usize::try_from(people).unwrap_or(usize::MAX)).await?;
    let letters = Letters::of(args.size);
    let mut run = Run::new(&scene, args, &accounts, &letters);
    let mut number = 0;
    while number < args.letters {
        let count = args.batch.min(args.letters - number);
        run.batch(number, count).await?;
        number += count;
    }
    let measured = run.finish(processor).await?;
    scene.close().await;
    Ok(measured)
}

/// One run.
struct Run<'a> {
    scene: &'a Scene,
    args: &'a RunArgs,
    accounts: &'a [Account],
    letters: &'a Letters,
    accepting: Counts,
    delivering: Counts,
    keeping: Counts,
    raw: u64,
    events: u64,
    invocations: u64,
}

impl<'a> Run<'a> {
    fn new(scene: &'a Scene, args: &'a RunArgs, accounts: &'a [Account], letters: &'a Letters) -> Run<'a> {
        let (accepting, delivering, keeping) = Default::default();
        Run {
            scene,
            args,
            accounts,
            letters,
            accepting,
            delivering,
            keeping,
            raw: 0,
            events: 0,
            invocations: 0,
        }
    }

    fn fusing(&self) -> Fusing {
        if self.args.unfused { Fusing::unfused() } else { Fusing::fused() }
    }

    /// Letters from `first` on are accepted, and all that follows from them is done.
    async fn batch(&mut self, first: u64, count: u64) -> Result<(), Failed> {
        let mut events = Vec::new();
        for number in first..first + count {
            let at = |index: u64| {
                let place = (number * self.args.recipients + index) % self.accounts.len() as u64;
                &self.accounts[place as usize]
            };
            let to: Vec<&Account> = (0..self.args.recipients).map(at).collect();
            let (event, raw) = self.letters.accepted(self.scene, number, &to)?;
            self.raw += raw as u64;
            self.events += codec::encode(&event).len() as u64;
            events.push(event);
        }
        let before = total();
        let together =
            self.args.sent_together.unwrap_or(if self.args.batch < 10 { 1 } else { self.args.batch });
        for some in events.chunks(usize::try_from(together).unwrap_or(1)) {
            let send = |event: &Event| Outgoing {
                tenant: event.tenant(),
                body: codec::encode(event),
                delay: Duration::ZERO,
            };
            for sent in
                self.scene.queue.send_batch(Stage::InboundParse, some.iter().map(send).collect()).await
            {
                sent?;
            }
        }
        self.accepting = self.accepting.plus(&total().since(&before));
        let stages: &[Stage] = if self.args.unfused {
            &[Stage::InboundParse, Stage::PolicyFilter, Stage::Deliver, Stage::Notify]
        } else {
            &[Stage::InboundParse]
        };
        for stage in stages {
            let max = if *stage == Stage::Notify { 100 } else { self.args.batch };
            let wanted = if *stage == Stage::Notify { count * self.args.recipients } else { count };
            let before = total();
            self.invocations += work(self.scene, *stage, &self.fusing(), max, wanted).await?;
            self.delivering = self.delivering.plus(&total().since(&before));
        }
        self.keep_house(HOUSE_BATCH).await?;
        let share = count * self.args.recipients;
        let pause = Duration::from_secs(60 * self.args.minutes_between) * u32::try_from(share).unwrap_or(1);
        self.scene.pass(pause / u32::try_from(self.accounts.len()).unwrap_or(1).max(1));
        Ok(())
    }

    /// What the clock sends to housekeeping once an account is quiet: with each base, segments for what has none.
    async fn index(&mut self) -> Result<(), Failed> {
        self.scene.pass(Duration::from_secs(10));
        let before = total();
        for account in self.accounts {
            let pipeline = self.scene.pipeline(self.fusing());
            let event = Event::House(House::Segments(account.key));
            for result in pipeline.run(Stage::Housekeep, vec![event]).await {
                result.map_err(|failure| Failed::Said(failure.cause))?;
            }
        }
        self.keeping = self.keeping.plus(&total().since(&before));
        Ok(())
    }

    /// Housekeeping, when so much of it waits as a batch takes.
    async fn keep_house(&mut self, from: usize) -> Result<(), Failed> {
        let waiting = self.scene.house_waits();
        if waiting < from as u64 || waiting == 0 {
            return Ok(());
        }
        let before = total();
        self.invocations +=
            work(self.scene, Stage::Housekeep, &self.fusing(), HOUSE_BATCH as u64, waiting).await?;
        self.keeping = self.keeping.plus(&total().since(&before));
        Ok(())
    }

    async fn finish(mut self, processor: Duration) -> Result<Measured, Failed> {
        self.keep_house(1).await?;
        if self.args.opened {
            self.index().await?;
        }
        let mut stays = Stays {
            objects: (self.delivering.milli(Unit::ObjectBytesWritten)
                + self.keeping.milli(Unit::ObjectBytesWritten))
                / MILLI,
            log: self.scene.logged(),
            ..Stays::default()
        };
        for account in self.accounts {
            let mut after = Seq::ZERO;
            loop {
                let entries =
                    self.scene.journal.since(account.key, after, 500, Consistency::Eventual).await?;
                let Some(last) = entries.last() else { break };
                after = last.seq;
                stays.journal += entries
                    .iter()
                    .map(|entry| pennypost_backend_aws::reckon::entry_bytes(entry) as u64)
                    .sum::<u64>();
            }
        }
        Ok(Measured {
            args: self.args.clone(),
            deliveries: self.args.letters * self.args.recipients,
            accepting: self.accepting,
            delivering: self.delivering,
            keeping: self.keeping,
            stays,
            raw: self.raw,
            events: self.events,
            processor,
            invocations: self.invocations,
        })
    }
}

/// Works a queue until `wanted` events are done, in batches of at most `max`; how many batches there were.
async fn work(scene: &Scene, stage: Stage, fusing: &Fusing, max: u64, wanted: u64) -> Result<u64, Failed> {
    let (mut done, mut batches) = (0, 0);
    while done < wanted {
        let pipeline = scene.pipeline(fusing.clone());
        let max = usize::try_from(max.min(wanted - done)).unwrap_or(usize::MAX);
        let minute = Duration::from_secs(60);
        let received = scene.queue.receive(stage, max, minute, minute).await?;
        done += received.len() as u64;
        batches += 1;
        let mut events = Vec::with_capacity(received.len());
        for message in &received {
            let event = codec::decode::<Event>(&message.body);
            events.push(event.map_err(|error| Failed::Said(error.to_string()))?);
        }
        for result in pipeline.run(stage, events).await {
            result.map_err(|failure| Failed::Said(failure.cause))?;
        }
        let receipts: Vec<_> = received.into_iter().map(|message| message.receipt).collect();
        scene.queue.ack(stage, &receipts).await?;
    }
    Ok(batches)
}

/// Processor time of the handlers for each letter, without anything reckoned.
async fn processor_time(args: &RunArgs) -> Result<Duration, Failed> {
    let scene = Scene::new(Kind::Embedded, true).await?;
    let count = args.letters.min(TIMED);
    let accounts = scene.people((args.batch * args.recipients).clamp(1, 2_000) as usize).await?;
    let letters = Letters::of(args.size);
    let mut spent = Duration::ZERO;
    let mut number = 0;
    while number < count {
        let batch = args.batch.min(count - number);
        let mut events = Vec::new();
        for number in number..number + batch {
            let at =
                |index: u64| &accounts[((number * args.recipients + index) % accounts.len() as u64) as usize];
            let to: Vec<&Account> = (0..args.recipients).map(at).collect();
            events.push(letters.accepted(&scene, number, &to)?.0);
        }
        let pipeline = scene.pipeline(Fusing::fused());
        let before = thread_time();
        for result in pipeline.run(Stage::InboundParse, events).await {
            result.map_err(|failure| Failed::Said(failure.cause))?;
        }
        spent += thread_time().saturating_sub(before);
        number += batch;
    }
    scene.close().await;
    Ok(spent / u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl Measured {
    /// All that was counted by ports.
    pub(super) fn counted(&self) -> Counts {
        self.accepting.plus(&self.delivering).plus(&self.keeping)
    }

    /// With the functions themselves: invocations as they were, and their time.
    pub(super) fn used(&self) -> Counts {
        let mut used = self.counted();
        used.add(Unit::Invocation, self.invocations * MILLI);
        let stages: &[Stage] = if self.args.unfused {
            &[Stage::InboundParse, Stage::PolicyFilter, Stage::Deliver, Stage::Notify]
        } else {
            &[Stage::InboundParse]
        };
        let batches = self.args.letters.div_ceil(self.args.batch);
        let processor = u64::try_from(self.processor.as_micros()).unwrap_or(u64::MAX);
        // Thousandths of a megabyte-millisecond.
        let mut time = processor * PROCESSOR_MEGABYTES * self.args.letters;
        for stage in stages {
            time += waiting(*stage, !self.args.unfused) * megabytes(*stage) * MILLI * batches;
        }
        let kept = (self.deliveries / TAIL).div_ceil(HOUSE_BATCH as u64);
        time += kept
            * HOUSE_BATCH as u64
            * waiting(Stage::Housekeep, false)
            * megabytes(Stage::Housekeep)
            * MILLI;
        used.add(Unit::MegabyteMillis, time);
        used
    }

    /// The bill: what was used, what stays for its first month, the lines in the log, the letters through the balancer.
    pub(super) fn bill(&self, prices: &PriceTable) -> Bill {
        let used = self.used();
        let mut items: Vec<(Item, u128)> =
            used.used().map(|(unit, milli)| (Item::Used(unit), u128::from(milli))).collect();
        items.push((Item::QueueGroup, u128::from(used.milli(Unit::QueueRequest))));
        let bytes = |bytes: u64| u128::from(bytes) * u128::from(MILLI);
        items.push((Item::ObjectStorage, bytes(self.stays.objects)));
        items.push((Item::TableStorage, bytes(self.stays.journal + self.stays.log)));
        items.push((Item::TableBackup, bytes(self.stays.journal)));
        items.push((Item::LogLines, bytes(self.invocations * LOG_LINES)));
        items.push((Item::BalancerTraffic, bytes(self.raw)));
        Bill::of_items(items, prices)
    }

    /// Units for each delivery, in thousandths of thousandths.
    pub(super) fn per_delivery(&self, unit: Unit) -> u128 {
        u128::from(self.counted().milli(unit)) * u128::from(MILLI) / u128::from(self.deliveries.max(1))
    }

    /// Units by kind of work.
    pub(super) fn by_work(&self) -> BTreeMap<&'static str, Counts> {
        BTreeMap::from([
            ("accepting", self.accepting),
            ("delivering", self.delivering),
            ("housekeeping", self.keeping),
        ])
    }
}
