//! What lets the letters of mailings go: a few at a time, while few wait before them.
//!
//! Letters of mailings wait here, in the table, and in no queue: what is in front of them there is single letters. A few of a
//! mailing are handed in, and more only when these have got through: inside, while the queue of what was accepted is short;
//! outside, when the letters before them have been tried once. So a single letter is never behind more than a few of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use parking_lot::Mutex;
use pennypost_directory::content::{ContentFilter, ContentVerdict};
use pennypost_directory::{DirectoryError, Dress, MailAddress, Reach, Resolved, content_letter, look_into};
use pennypost_held::{HeldError, Judgement, Releaser, Why};
use pennypost_mailstore::{StoreError, accept};
use pennypost_mime::header_end;
use pennypost_model::event::{
    Accepted, AuthResults, Body, GroupElsewhere, Recipient, Source, SourceKind, Stage, Via,
};
use pennypost_model::{AccountId, EventId, TenantId, Timestamp};
use pennypost_outbound::{Outbox, OutboxError};
use pennypost_policy::Acceptance;
use pennypost_ports::{Outgoing, PortError, crash};
use pennypost_reports::{About, Action, Report, Told};
use pennypost_text::{Lang, Text};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::content::Content;
use crate::item::{Fate, Mailing, State};
use crate::letter::{self, Wanted};
use crate::store::{Due, Mailings};

/// Letters of a mailing that are handed in one behind the other.
const SLICE: u32 = 8;
/// Letters to other servers that may be on their way untried.
const WINDOW: u32 = 16;
/// Messages in the queue of what was accepted, above which mailings wait.
const BUSY: u64 = 32;
/// Mailings at once, and of one organisation.
const AT_ONCE: (usize, usize) = (4, 3);
/// Rows that are read at once.
const PAGE: usize = 100;
/// Between two looks, if nobody rings and nothing is due before.
const PAUSE: Duration = Duration::from_secs(10);
/// The same while mailings wait for what is before them.
const SHORT: Duration = Duration::from_millis(500);
/// Milliseconds for which a mailing is in somebody's hands.
const LEASE: i64 = 60_000;
/// Milliseconds after which a letter holds up no other, tried or not.
const STUCK: i64 = 5 * 60_000;
/// Milliseconds after which a slice goes, however long the queue is: what is tried again for hours is in it, too.
const TRICKLE: i64 = 30_000;
/// Milliseconds for which a mailing is left alone that can't be looked after.
const PUT_OFF: i64 = 60 * 60_000;
/// Milliseconds behind which a letter's own id is no name for what is spooled: housekeeping takes it for old.
const DAY: i64 = 24 * 60 * 60_000;
/// Contents that are remembered, and bytes that each of them may have.
const REMEMBERED: (usize, u64) = (8, 4 << 20);
/// From so many bytes on mailings are in memory one after the other.
const LARGE: u64 = 1 << 20;

/// Lets letters of mailings go. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    mailings: Mailings,
    outbox: Outbox,
    releaser: Releaser,
    /// Letters go to other servers.
    sends_out: bool,
    /// What this process calls itself.
    me: u64,
    memory: Arc<Memory>,
}

struct Memory {
    contents: Mutex<Vec<(EventId, Arc<Content>)>>,
    looks: AtomicUsize,
    /// Looks in which something moved.
    turns: AtomicUsize,
    passed: Mutex<Timestamp>,
    alone: Semaphore,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looked {
    /// Mailings that have moved.
    pub moved: usize,
    /// Mailings that wait for what is before them.
    pub waiting: usize,
    /// When the next one is due, if that is known.
    pub next: Option<Timestamp>,
}

/// Leave to be the only one that has something large in memory; none for what is small.
type Alone<'a> = Option<SemaphorePermit<'a>>;

/// What came of looking at one.
enum Step {
    Moved,
    Waits,
    Nothing,
}

/// What becomes of one letter now.
enum Decided {
    Fate {
        fate: Fate,
        /// Whether its writer's organisation may have texts for it, if that is known.
        has_footers: Option<bool>,
        /// The rules about contents that note it.
        noted: Vec<String>,
    },
    Wait(Timestamp),
    Gone,
}

impl Decided {
    fn known(fate: Fate) -> Decided {
        Decided::Fate { fate, has_footers: None, noted: Vec::new() }
    }
}

/// What rules say of a letter.
async fn asked(
    tenant: TenantId,
    filter: Arc<ContentFilter>,
    raw: Vec<u8>,
    outside: usize,
) -> Result<ContentVerdict, HeldError> {
    if filter.is_nothing_for(outside > 0) {
        return Ok(ContentVerdict::default());
    }
    let asked = look_into(tenant, move || filter.judge(&content_letter(&raw, outside))).await;
    Ok(asked.map_err(|error| StoreError::Damaged(error.to_string()))?)
}

fn of_outbox(error: OutboxError) -> HeldError {
    match error {
        OutboxError::Port(error) => error.into(),
        OutboxError::Item(error) => error.into(),
    }
}

impl Runner {
    /// What lets these go, by the rules and ports of `releaser`.
    #[must_use]
    pub fn new(mailings: Mailings, outbox: Outbox, releaser: Releaser, sends_out: bool) -> Runner {
        let now = releaser.ports().clock.now();
        let [.., a, b, c, d, e, f, g, h] = releaser.ports().ids.event(now).to_bytes();
        let me = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let memory = Memory {
            contents: Mutex::default(),
            looks: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
            passed: Mutex::new(now),
            alone: Semaphore::new(1),
        };
        Runner { mailings, outbox, releaser, sends_out, me, memory: Arc::new(memory) }
    }

    /// Looks after what is due until `stop` turns true. What is in hand then is done again by whoever looks next.
    #[pennypost_ports::compiled_here]
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let looked = match self.look().await {
                Ok(looked) => looked,
                Err(error) => {
                    tracing::warn!(%error, "mailings that are due can't be read");
                    Looked::default()
                }
            };
            let until = looked.next.map(|next| next.0.saturating_sub(self.now().0));
            let until = until.and_then(|millis| u64::try_from(millis).ok()).map(Duration::from_millis);
            let pause = match looked {
                Looked { moved: 1.., .. } => Duration::ZERO,
                Looked { waiting: 1.., .. } => SHORT,
                Looked { .. } => until.unwrap_or(PAUSE).clamp(SHORT, PAUSE),
            };
            tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() { break },
                () = self.mailings.bell().notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Looks until nothing moves any more, and begins no look behind the deadline: how many times a mailing moved.
    ///
    /// # Errors
    /// [`HeldError`], where the rows can't be read.
    #[pennypost_ports::compiled_here]
    pub async fn work(&self, deadline: Option<Instant>) -> Result<usize, HeldError> {
        let mut moved = 0;
        while deadline.is_none_or(|deadline| Instant::now() < deadline) {
            let looked = self.look().await?;
            moved += looked.moved;
            if looked.moved == 0 {
                break;
            }
        }
        Ok(moved)
    }

    /// Looks at what is due once: a slice of one mailing of each of some accounts of each organisation.
    ///
    /// # Errors
    /// [`HeldError`], where the rows can't be read.
    #[pennypost_ports::compiled_here]
    pub async fn look(&self) -> Result<Looked, HeldError> {
        let mut of_tenants: BTreeMap<TenantId, BTreeMap<AccountId, Due>> = BTreeMap::new();
        let (mut after, mut next) = (None, None);
        loop {
            let (page, first_later) = self.mailings.due(self.now(), after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE || first_later.is_some();
            next = first_later.or(next);
            for due in &page {
                let of_tenant = of_tenants.entry(due.account.tenant).or_default();
                of_tenant.entry(due.account.account).or_insert_with(|| due.clone());
            }
            after = page.into_iter().next_back();
            if is_last {
                break;
            }
        }
        // Who comes first is another one each time.
        let turn = self.memory.looks.fetch_add(1, Ordering::Relaxed);
        let mut chosen = Vec::new();
        let mut of_tenants: Vec<_> = of_tenants.into_values().collect();
        // While little gets through, it is the first one's: who that is changes whenever something has.
        let first = self.memory.turns.load(Ordering::Relaxed) % of_tenants.len().max(1);
        of_tenants.rotate_left(first);
        for of_tenant in of_tenants {
            let count = of_tenant.len();
            let rows = of_tenant.into_values().collect::<Vec<_>>().into_iter();
            chosen.extend(rows.cycle().skip(turn % count.max(1)).take(count.min(AT_ONCE.1)));
        }
        let steps = stream::iter(chosen).map(|due| {
            let this = self.clone();
            async move { this.look_after(&due).await }
        });
        let steps = steps.buffer_unordered(AT_ONCE.0);
        let steps: Vec<Step> = steps.collect().await;
        let mut looked = Looked { next, ..Looked::default() };
        for step in steps {
            match step {
                Step::Moved => looked.moved += 1,
                Step::Waits => looked.waiting += 1,
                Step::Nothing => {}
            }
        }
        if looked.moved > 0 {
            self.memory.turns.fetch_add(1, Ordering::Relaxed);
        }
        Ok(looked)
    }

    fn now(&self) -> Timestamp {
        self.releaser.ports().clock.now()
    }

    async fn look_after(&self, due: &Due) -> Step {
        match self.follow(due).await {
            Ok(step) => step,
            Err(error) => {
                let Due { account, mailing, .. } = due;
                tracing::warn!(%account, %mailing, %error, "a mailing waits");
                if error.is_temporary() || error.is_of_newer() {
                    return Step::Waits;
                }
                // It would fail again, and those behind it would wait for it.
                match self.mailings.put_off(due, self.now().plus_millis(PUT_OFF)).await {
                    Ok(()) => Step::Moved,
                    Err(_) => Step::Waits,
                }
            }
        }
    }

    /// Follows a row to its mailing, and does what there is to do.
    #[pennypost_ports::compiled_here]
    async fn follow(&self, due: &Due) -> Result<Step, HeldError> {
        let now = self.now();
        let Some((mailing, version)) = self.mailings.find(due.account, due.mailing).await? else {
            // The row is written first: whoever puts the mailing down may be about to.
            if due.is_orphan(now) {
                self.mailings.forget(due).await?;
            }
            return Ok(Step::Nothing);
        };
        let is_others = mailing.busy.1 != self.me && mailing.busy.0 > now;
        match mailing.state {
            State::Draft if !due.is_orphan(now) => Ok(Step::Nothing),
            State::Draft | State::Done | State::Stopped | State::Failed => {
                self.mailings.forget(due).await?;
                Ok(Step::Nothing)
            }
            State::Stopping => self.stop(mailing, version, due).await,
            State::Going if mailing.due > now => {
                // Somebody may be about to say this time.
                if due.is_orphan(now) {
                    self.mailings.remind(&mailing, mailing.due).await?;
                    self.mailings.forget(due).await?;
                }
                Ok(Step::Nothing)
            }
            State::Going if is_others => Ok(Step::Nothing),
            State::Going => self.go_on(mailing, version, due).await,
        }
    }

    /// Hands the next letters in.
    async fn go_on(&self, mut mailing: Mailing, version: u64, due: &Due) -> Result<Step, HeldError> {
        let now = self.now();
        if !self.has_way(&mailing, now).await? {
            return Ok(Step::Waits);
        }
        let mut version = version;
        if mailing.busy.1 != self.me || mailing.busy.0 <= now.plus_millis(LEASE / 2) {
            mailing.busy = (now.plus_millis(LEASE), self.me);
            let Some(saved) = self.mailings.save(&mailing, version).await? else { return Ok(Step::Nothing) };
            version = saved;
        }
        let Some((content, _alone)) = self.content(&mailing).await? else {
            (mailing.state, mailing.ended) = (State::Failed, Some(now));
            let open = mailing.rows - mailing.next;
            mailing.counts.refused += open;
            self.mailings.save(&mailing, version).await?;
            self.mailings.forget(due).await?;
            return Ok(Step::Moved);
        };
        let mut bodies = Vec::new();
        let known = self.mailings.fates(&mailing, mailing.next, SLICE as usize).await?;
        let known: BTreeMap<u32, Fate> = known.into_iter().collect();
        let end = mailing.rows.min(mailing.next.saturating_add(SLICE));
        let open: Vec<String> = (mailing.next..end)
            .filter(|row| !known.contains_key(row))
            .map(|row| content.address(usize::try_from(row).unwrap_or(usize::MAX)).to_owned())
            .collect();
        let suppressed = self.suppressed(&mailing, &open).await?;
        let (mut next, mut counts, mut wait, mut has_moved) = (mailing.next, mailing.counts, None, false);
        let (mut first, mut dress, none) = (None, None, Dress::default());
        let mut filter = None;
        while next < end {
            let decided = match known.get(&next) {
                Some(fate) => Decided::known(fate.clone()),
                None => self.decide((&mailing, &content), next, &suppressed, &mut filter).await?,
            };
            match decided {
                Decided::Wait(until) => {
                    wait = Some(until);
                    break;
                }
                Decided::Gone => {
                    self.mailings.remove(&mailing, version).await?;
                    self.mailings.forget(due).await?;
                    return Ok(Step::Moved);
                }
                Decided::Fate { fate, has_footers, noted } => {
                    count(&mut counts, &fate);
                    if let Fate::Sent { recipients, groups, .. } = &fate {
                        // What is refused moves nothing: after two days in which none could go the others can't, either.
                        has_moved = true;
                        first = first.or(Some(letter::reach(recipients, groups)));
                        if dress.is_none() {
                            dress = Some(self.releaser.footers_of(mailing.sender.0, has_footers).await?);
                        }
                    }
                    let dress = dress.as_ref().unwrap_or(&none);
                    bodies.extend(self.made(&mailing, &content, (next, fate), (dress, noted)).await?);
                }
            }
            next += 1;
        }
        if mailing.keeps_copy && mailing.counts.sent == 0 && counts.sent > 0 {
            let with = (dress.as_ref().unwrap_or(&none), self.releaser.hostname());
            let copy = letter::copy(&mailing, &content, first.unwrap_or_default(), with).await?;
            bodies.extend(self.body(copy).await?);
        }
        crash::point("mailing.after-fates");
        self.send(&mailing, bodies).await?;
        crash::point("mailing.after-send");
        (mailing.next, mailing.counts) = (next, counts);
        mailing.busy = (now.plus_millis(LEASE), self.me);
        mailing.waits = None;
        if has_moved {
            mailing.moved = now;
        }
        if let Some(until) = wait {
            (mailing.due, mailing.waits) = (until, Some(Why::Frequency));
            self.mailings.remind(&mailing, until).await?;
        } else if next >= mailing.rows {
            self.tell(&mailing, &content).await?;
            (mailing.state, mailing.ended) = (State::Done, Some(now));
        }
        // Whoever has written it meanwhile has stopped it, or done the same: it is looked at again.
        if self.mailings.save(&mailing, version).await?.is_some()
            && (wait.is_some() || mailing.state.is_over())
        {
            self.mailings.forget(due).await?;
        }
        crash::point("mailing.after-slice");
        Ok(Step::Moved)
    }

    /// Ends a mailing that its writer has stopped. Whoever has letters of it in hand decides of each by a conditional write, as is
    /// done here: what he has decided goes, and nothing else.
    async fn stop(&self, mut mailing: Mailing, version: u64, due: &Due) -> Result<Step, HeldError> {
        let now = self.now();
        let (content, _alone) = self.content(&mailing).await?.unzip();
        let had_sent = mailing.counts.sent > 0;
        let end = mailing.rows.min(mailing.next.saturating_add(SLICE));
        let mut bodies = Vec::new();
        let (mut first, mut dress, none) = (None, None, Dress::default());
        for row in mailing.next..end {
            let fate = self.mailings.decide(&mailing, row, &Fate::Stopped).await?;
            if fate != Fate::Stopped {
                count(&mut mailing.counts, &fate);
            }
            if let Fate::Sent { recipients, groups, .. } = &fate {
                first = first.or(Some(letter::reach(recipients, groups)));
                if dress.is_none() {
                    dress = Some(self.releaser.footers_of(mailing.sender.0, None).await?);
                }
            }
            if let Some(content) = &content {
                let dress = dress.as_ref().unwrap_or(&none);
                bodies.extend(self.made(&mailing, content, (row, fate), (dress, Vec::new())).await?);
            }
        }
        let begins = mailing.keeps_copy && !had_sent && mailing.counts.sent > 0;
        if let Some(content) = content.as_ref().filter(|_| begins) {
            let with = (dress.as_ref().unwrap_or(&none), self.releaser.hostname());
            let copy = letter::copy(&mailing, content, first.unwrap_or_default(), with).await?;
            bodies.extend(self.body(copy).await?);
        }
        if let Some(content) = content.as_ref().filter(|_| mailing.counts.sent == 0) {
            let draft = letter::draft(&mailing, content, mailing.due).await?;
            bodies.extend(self.body(draft).await?);
        }
        self.send(&mailing, bodies).await?;
        if let Some(content) = &content {
            self.tell(&mailing, content).await?;
        }
        mailing.counts.stopped = mailing.rows - mailing.counts.sent - mailing.counts.refused;
        (mailing.state, mailing.ended) = (State::Stopped, Some(now));
        if self.mailings.save(&mailing, version).await?.is_some() {
            self.mailings.forget(due).await?;
        }
        Ok(Step::Moved)
    }

    /// Have the letters before got through?
    async fn has_way(&self, mailing: &Mailing, now: Timestamp) -> Result<bool, HeldError> {
        let depth = self.releaser.ports().queue.depth(Stage::InboundParse).await?;
        let is_busy = depth.waiting + depth.in_flight > BUSY;
        let is_early = |passed: Timestamp| is_busy && now.0 < passed.plus_millis(TRICKLE).0;
        if !is_busy {
            *self.memory.passed.lock() = now;
        }
        let passed = *self.memory.passed.lock();
        // The slice that may go all the same is for one that can go.
        if is_early(passed) || !self.has_window(mailing, now).await? {
            return Ok(false);
        }
        let mut passed = self.memory.passed.lock();
        if is_early(*passed) {
            return Ok(false);
        }
        *passed = now;
        Ok(true)
    }

    /// Have the letters to other servers been tried that went some places before?
    async fn has_window(&self, mailing: &Mailing, now: Timestamp) -> Result<bool, HeldError> {
        let Some(row) = mailing.next.checked_sub(WINDOW) else { return Ok(true) };
        let fates = self.mailings.fates(mailing, row, 1).await?;
        let Some((_, fate @ Fate::Sent { at, .. })) = fates.first() else { return Ok(true) };
        if !fate.leaves() || at.plus_millis(STUCK) < now {
            return Ok(true);
        }
        let items = self.outbox.of_message(mailing.sender.0.tenant, mailing.letter(row)).await;
        let items = items.map_err(of_outbox)?;
        Ok(!items.is_empty() && items.iter().all(|item| item.ended > 0 || item.is_over()))
    }

    /// What it says, from memory if it is there.
    async fn content(&self, mailing: &Mailing) -> Result<Option<(Arc<Content>, Alone<'_>)>, HeldError> {
        let known = self.memory.contents.lock().iter().find(|(id, _)| *id == mailing.id).cloned();
        if let Some((_, content)) = known {
            let is_large = content.bytes() >= LARGE;
            let alone = if is_large { self.memory.alone.acquire().await.ok() } else { None };
            return Ok(Some((content, alone)));
        }
        // How large it is shows when it is there.
        let alone = self.memory.alone.acquire().await.ok();
        let Some(content) = self.mailings.content(mailing).await? else { return Ok(None) };
        let alone = alone.filter(|_| content.bytes() >= LARGE);
        let content = Arc::new(content);
        if content.bytes() <= REMEMBERED.1 {
            let mut contents = self.memory.contents.lock();
            if contents.len() >= REMEMBERED.0 {
                contents.remove(0);
            }
            contents.push((mailing.id, Arc::clone(&content)));
        }
        Ok(Some((content, alone)))
    }

    /// To which of these addresses the organisation sends no mailings. One read for a slice.
    async fn suppressed(&self, mailing: &Mailing, open: &[String]) -> Result<BTreeSet<String>, HeldError> {
        if open.is_empty() || !self.sends_out {
            return Ok(BTreeSet::new());
        }
        Ok(self.releaser.ports().directory.suppressed_among(mailing.sender.0.tenant, open).await?)
    }

    /// Decides what becomes of a letter of which nobody has decided yet.
    async fn decide(
        &self,
        (mailing, content): (&Mailing, &Content),
        row: u32,
        suppressed: &BTreeSet<String>,
        filter: &mut Option<Arc<ContentFilter>>,
    ) -> Result<Decided, HeldError> {
        let (ports, now) = (self.releaser.ports(), self.now());
        let directory = &ports.directory;
        let key = mailing.sender.0;
        let id = mailing.letter(row);
        let wanted = Wanted { row, id, time: now };
        let refused = async |why: Why| -> Result<Decided, HeldError> {
            let fate = Fate::Refused { at: now, why };
            Ok(Decided::known(self.mailings.decide(mailing, row, &fate).await?))
        };
        let Some(raw) = letter::bytes(mailing, content, &wanted) else { return refused(Why::Lost).await };
        let subject = letter::subject(content, row);
        let policy = directory.policy(key.tenant).await?;
        if pennypost_policy::submit(&policy, &subject) != Acceptance::Accept {
            return refused(Why::Subject).await;
        }
        let address = content.address(usize::try_from(row).unwrap_or(usize::MAX));
        let (recipient, groups) = match self.recipient(mailing, address, id).await? {
            Ok(found) => found,
            Err(why) => return refused(why).await,
        };
        if recipient.via == Via::Outside && suppressed.contains(address) {
            return refused(Why::Suppressed).await;
        }
        let header = raw.get(..header_end(&raw)).unwrap_or_default();
        let accepted = Accepted {
            id,
            time: now,
            tenant: key.tenant,
            source: Source { kind: SourceKind::System, ip: None, helo: String::new(), tls: None },
            auth: AuthResults::default(),
            reverse_path: letter::reverse_path(mailing, content).to_owned(),
            recipients: vec![recipient],
            body: Body::Spooled { object: mailing.object.clone(), size: raw.len() as u64 },
            receipt: String::new(),
        };
        let accepted = letter::with_groups(mailing, accepted, groups);
        let mut held = letter::waiting(mailing, accepted, subject, now);
        match self.releaser.judge(&mut held, header, now).await? {
            Judgement::Gone => Ok(Decided::Gone),
            Judgement::Wait { until } => Ok(Decided::Wait(until)),
            Judgement::Stay(why) => refused(why).await,
            Judgement::Go { is_counted, has_footers, has_content_rules } => {
                let groups = held.accepted.source.kind.groups().to_vec();
                let mut noted = Vec::new();
                if has_content_rules {
                    let known = match filter.take() {
                        Some(known) => known,
                        None => self.releaser.content_filter(key, mailing.user).await?,
                    };
                    let known = filter.insert(known);
                    let direct =
                        held.accepted.recipients.iter().filter(|one| one.via == Via::Outside).count();
                    let outside = direct + groups.iter().map(|group| group.members.len()).sum::<usize>();
                    match asked(key.tenant, Arc::clone(known), raw, outside).await? {
                        ContentVerdict::Goes { noted: rules } => noted = rules,
                        ContentVerdict::Refused { rule, .. } => {
                            tracing::info!(letter = %id, account = %key, rule, "a rule about contents refuses a letter");
                            let decided = refused(Why::Content).await?;
                            let has_gone = matches!(&decided, Decided::Fate { fate: Fate::Sent { .. }, .. });
                            if is_counted && !has_gone {
                                self.releaser.take_back_count(key, id).await?;
                            }
                            return Ok(decided);
                        }
                    }
                }
                let partly = held.refused.first().map(|(_, why)| *why);
                let fate = Fate::Sent { at: now, recipients: held.accepted.recipients, groups, partly };
                let holds = self.mailings.decide(mailing, row, &fate).await?;
                if is_counted && !matches!(holds, Fate::Sent { .. }) {
                    self.releaser.take_back_count(key, id).await?;
                }
                Ok(Decided::Fate { fate: holds, has_footers: Some(has_footers), noted })
            }
        }
    }

    /// To whom a letter goes, as far as its address says: whom that leads to here is looked up when all else is asked.
    async fn recipient(
        &self,
        mailing: &Mailing,
        address: &str,
        id: EventId,
    ) -> Result<Result<(Recipient, Vec<GroupElsewhere>), Why>, HeldError> {
        let directory = &self.releaser.ports().directory;
        let account = mailing.sender.0;
        let here = |via| Recipient { account, address: address.to_owned(), via };
        let tenant = match directory.resolve_from(address, account.tenant).await {
            Ok(Resolved::Local { tenant, elsewhere: Some(elsewhere), .. }) if tenant == account.tenant => {
                let Some(author) = directory.account(account).await? else { return Ok(Err(Why::Closed)) };
                let members = match directory.reach(&author, &elsewhere.addresses).await? {
                    Reach::Friends(friends) => {
                        friends.iter().map(|friend| friend.member(id, &elsewhere.group)).collect()
                    }
                    Reach::NoSeat | Reach::Strangers(_) => return Ok(Err(Why::Group)),
                };
                let group = GroupElsewhere { address: address.to_owned(), members };
                return Ok(Ok((here(Via::Direct), vec![group])));
            }
            Ok(
                Resolved::Local { tenant, .. }
                | Resolved::UnknownUser { tenant }
                | Resolved::Disabled { tenant }
                | Resolved::Suspended { tenant },
            ) => Some(tenant),
            Ok(Resolved::UnknownDomain) => None,
            Err(DirectoryError::TooMany { .. }) => return Ok(Err(Why::Group)),
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(_) => return Ok(Err(Why::Unknown)),
        };
        if tenant == Some(account.tenant) {
            return Ok(Ok((here(Via::Direct), Vec::new())));
        }
        if !self.sends_out || MailAddress::domain_of(address).is_err() {
            return Ok(Err(Why::Outside));
        }
        Ok(Ok((here(Via::Outside), Vec::new())))
    }

    /// The event of a letter, if it goes, for the queue.
    async fn made(
        &self,
        mailing: &Mailing,
        content: &Content,
        (row, fate): (u32, Fate),
        (dress, noted): (&Dress, Vec<String>),
    ) -> Result<Option<Vec<u8>>, HeldError> {
        let Fate::Sent { at, recipients, groups, .. } = fate else { return Ok(None) };
        let wanted = Wanted { row, id: mailing.letter(row), time: at };
        let with = (dress, self.releaser.hostname());
        let made = letter::accepted(mailing, content, &wanted, (recipients, groups), with, noted).await?;
        self.body(made).await
    }

    async fn body(&self, accepted: Option<Accepted>) -> Result<Option<Vec<u8>>, HeldError> {
        let Some(accepted) = accepted else { return Ok(None) };
        let (ports, now) = (self.releaser.ports(), self.now());
        let objects = &*ports.objects;
        if accepted.id.time().plus_millis(DAY) < now {
            // Under a name of today: neither is it taken, nor does housekeeping remove it too soon.
            return Ok(Some(accept::for_the_queue(objects, accepted, ports.ids.event(now)).await?));
        }
        Ok(Some(accept::again_for_the_queue(objects, accepted).await?))
    }

    async fn send(&self, mailing: &Mailing, bodies: Vec<Vec<u8>>) -> Result<(), HeldError> {
        if bodies.is_empty() {
            return Ok(());
        }
        let tenant = mailing.sender.0.tenant;
        let outgoing: Vec<Outgoing> =
            bodies.into_iter().map(|body| Outgoing { tenant, body, delay: Duration::ZERO }).collect();
        let count = outgoing.len();
        let sent = self.releaser.ports().queue.send_batch(Stage::InboundParse, outgoing).await;
        if sent.len() != count {
            let cause = "it gave no answer".to_owned();
            return Err(PortError::Unavailable { port: "queue", cause }.into());
        }
        for result in sent {
            result?;
        }
        Ok(())
    }

    /// Tells its writer once, by one report, who did not get it. Made again it is the same.
    async fn tell(&self, mailing: &Mailing, content: &Content) -> Result<(), HeldError> {
        let path = letter::reverse_path(mailing, content);
        if path.is_empty() {
            return Ok(());
        }
        let wishes = match content {
            Content::Individual(individual) => Some(&individual.wishes),
            Content::Personal(_) => None,
        };
        let texts = [Text::new(Lang::En), Text::new(Lang::ZhCn)];
        let (mut told, mut known) = (Vec::new(), BTreeSet::new());
        for (row, fate) in self.mailings.fates(mailing, 0, mailing.rows as usize).await? {
            let (at, why) = match fate {
                Fate::Refused { at, why } => (at, why),
                Fate::Sent { at, partly: Some(why), .. } => (at, why),
                Fate::Sent { partly: None, .. } | Fate::Stopped => continue,
            };
            let address = content.address(usize::try_from(row).unwrap_or(usize::MAX));
            let is_wanted = wishes.is_none_or(|wishes| wishes.notify(address).failure);
            if !is_wanted || !known.insert(address.to_owned()) {
                continue;
            }
            told.push(Told {
                address: address.to_owned(),
                original: wishes.and_then(|wishes| wishes.of(address)?.original.clone()),
                action: Action::Failed,
                status: why.status().to_owned(),
                cause: texts.each_ref().map(|text| why.say(text)),
                server: None,
                tried: Some(at),
            });
        }
        if told.is_empty() {
            return Ok(());
        }
        let id = mailing.report();
        let copy = letter::copy_bytes(mailing, content);
        let hostname = self.releaser.hostname();
        let arrived = match content {
            Content::Individual(_) => mailing.created,
            Content::Personal(_) => mailing.ordered.unwrap_or(mailing.created),
        };
        let report = Report {
            id,
            time: id.time(),
            hostname,
            to: &mailing.sender.1,
            arrived,
            envelope_id: wishes.and_then(|wishes| wishes.envelope_id.as_deref()),
            about: About::Failure,
            told,
            letter: copy.as_deref().and_then(|raw| raw.get(..header_end(raw))),
            is_whole: false,
        };
        let message = accept::compressed(report.message()).await?;
        let accepted = pennypost_reports::accepted(mailing.sender.clone(), id, hostname, message);
        let accepted = accepted.private(content.is_private());
        let body = self.body(Some(accepted)).await?;
        self.send(mailing, body.into_iter().collect()).await
    }
}

fn count(counts: &mut crate::item::Counts, fate: &Fate) {
    match fate {
        Fate::Sent { .. } => counts.sent += 1,
        Fate::Refused { .. } => counts.refused += 1,
        Fate::Stopped => counts.stopped += 1,
    }
}
