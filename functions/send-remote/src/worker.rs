//! What looks after what is due.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::{self, Either};
use pennypost_mailstore::accept;
use pennypost_model::event::{Stage, Wish};
use pennypost_model::message::StoredMessage;
use pennypost_model::trace::{Attempt, RemoteOutcome, TraceRecord, TraceStep};
use pennypost_model::{AccountId, EventId, TenantId, Timestamp, codec};
use pennypost_outbound::{Asked, Due, Outbound, OutboxError};
use pennypost_ports::{LogKind, LogRecord, Outgoing, PortError, crash};
use pennypost_runtime::{Failure, was_delivered};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, SemaphorePermit, watch};
use tokio::task::JoinSet;

use crate::exchange::{Handed, Parcel, Requests, Verdict, ours};
use crate::letter::{Letter, Shared};
use crate::slots::{Busy, InHand, Mood};
use crate::{MAX_OPEN, SendRemote, forward, letter, report, tlsrpt, ways};

/// For so many milliseconds an attempt is somebody's: longer than any takes, which has 20 minutes up to the end of the
/// message and 10 for the reply.
const CLAIM: i64 = 35 * 60_000;
/// Between two looks at what is due.
const PAUSE: Duration = Duration::from_secs(10);
/// Rows that are read at once.
const PAGE: usize = 200;
/// How long one look goes on; the next one begins where it ended.
const LOOK: Duration = Duration::from_secs(5);
/// Rows that are worked off one after the other.
const MOST: usize = 5_000;
/// Between two tries to write the end of an attempt, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How often that is tried at most. The pauses fill the claim.
const TRIES: usize = 40;
/// From so many bytes a message is read while no other such one is.
const LARGE: u64 = 1 << 20;
/// How long attempts in hand are waited for when the process stops.
const FAREWELL: Duration = Duration::from_secs(6);
/// How long those are waited for that are broken off then, until that is written.
const LAST_FAREWELL: Duration = Duration::from_secs(2);
/// Of an attempt whose claim is over.
const CUT_OFF: &str =
    "an attempt was cut off, and the other server may have the message already: it is sent twice at most";
/// Of an attempt that was broken off before the end of the message.
const LEFT: &str = "this server is about to stop";
/// Why a message can't be sent any more.
const LOST: &str = "the message's bytes are gone or damaged";

/// The id of what is handed over: of the message at this destination, with these recipients.
fn parcel_id(item: &Outbound, recipients: &[String]) -> EventId {
    let mut hash = Sha256::new();
    hash.update(item.message.to_bytes());
    hash.update(item.tenant.to_string());
    for name in std::iter::once(&item.destination).chain(recipients) {
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name);
    }
    let [a, b, c, d, e, f, g, h, i, j, ..] = <[u8; 32]>::from(hash.finalize());
    let random = u128::from_be_bytes([0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j]);
    EventId::from_parts(item.message.time(), random)
}

/// The room that attempts make when they end, for what has to wait for it.
#[derive(Default)]
pub(crate) struct Room {
    /// Something waits.
    is_wanted: AtomicBool,
    /// Attempts that have ended since a look began.
    made: AtomicUsize,
    bell: Notify,
}

impl Room {
    pub(crate) fn make(&self) {
        self.made.fetch_add(1, Ordering::SeqCst);
        self.tell();
    }

    /// Rings, where something waits for room that is there. Whoever waits says so first and calls this then, so that of a look and
    /// an attempt that ends meanwhile one rings.
    fn tell(&self) {
        if self.is_wanted.load(Ordering::SeqCst) && self.made.load(Ordering::SeqCst) > 0 {
            self.bell.notify_one();
        }
    }
}

/// How much a look at what is due begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// All for which there are slots.
    Whole,
    /// As many attempts as have ended. Whatever else is due was passed over by the whole look before, and is again by the next:
    /// to read all of it whenever one of many letters is over would grow with the square of their number.
    Room,
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// An attempt that came to no server: the same holds for all who wait.
fn nobody_reached(item: &Outbound, verdict: &Verdict) -> (Handed, Vec<Verdict>) {
    let mut handed = Handed::open(item.waiting().count());
    handed.settle_open(verdict);
    (handed.clone(), handed.verdicts())
}

/// What verdicts say of the destination: nothing, if it has put somebody off for a reason of its own.
fn mood(verdicts: &[Verdict]) -> Option<Mood> {
    let has_answered =
        |(outcome, answer): &Verdict| *outcome != RemoteOutcome::Deferred && answer.code.is_some();
    let is_unwell = |(outcome, answer): &Verdict| {
        *outcome == RemoteOutcome::Deferred && answer.code.is_none_or(|code| code == 421)
    };
    if verdicts.iter().any(has_answered) {
        Some(Mood::Well)
    } else if verdicts.iter().all(is_unwell) {
        Some(Mood::Unwell)
    } else {
        None
    }
}

/// Is it a report of ours? What others have written, and what comes back to them, names no account of ours.
fn is_tls_report(item: &Outbound, letter: &Letter) -> bool {
    item.reverse_path.is_empty()
        && item.sender.1.is_empty()
        && item.sender.0.account != AccountId::default()
        && tlsrpt::is_report(&letter.lines)
}

impl SendRemote {
    /// As long as that, or a part of it where there is haste.
    pub(crate) fn hurried(&self, duration: Duration) -> Duration {
        duration / self.0.settings.haste.get()
    }

    /// For so many milliseconds an attempt is somebody's.
    fn claim(&self) -> i64 {
        CLAIM / i64::from(self.0.settings.haste.get())
    }

    /// Looks after what is due until `stop` turns true. What is in hand then is waited for a moment; what is cut off is
    /// tried again when its claim is over.
    #[pennypost_ports::compiled_here]
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let reporting = async {
            if let Some(reports) = self.0.reports.get().cloned() {
                reports.run(stop.clone()).await;
            }
        };
        tokio::join!(self.clone().attend(stop.clone()), reporting);
    }

    async fn attend(self, mut stop: watch::Receiver<bool>) {
        let mut attempts = JoinSet::new();
        let room = Arc::<Room>::default();
        let (mut place, mut look) = (None, Look::Whole);
        let mut last = Instant::now();
        while !*stop.borrow() {
            if look == Look::Whole {
                last = Instant::now();
            }
            if let Err(error) = self.begin_due(&mut attempts, &room, &mut place, look).await {
                tracing::warn!(%error, "what is due for other servers can't be read");
            }
            room.tell();
            // Room that is made all the time does not put the next whole look off.
            let pause = self.hurried(PAUSE).saturating_sub(last.elapsed());
            look = tokio::select! {
                biased;
                changed = stop.changed() => if changed.is_err() { break } else { Look::Whole },
                () = tokio::time::sleep(pause) => Look::Whole,
                () = self.0.bell.notified() => Look::Whole,
                () = room.bell.notified() => Look::Room,
            };
            while attempts.try_join_next().is_some() {}
        }
        for farewell in [FAREWELL, LAST_FAREWELL] {
            let ending = async { while attempts.join_next().await.is_some() {} };
            if tokio::time::timeout(farewell, ending).await.is_ok() {
                return;
            }
            self.0.leaving.send_replace(true);
        }
    }

    /// Begins what is due, as far as there are slots: what has to wait for one holds up nothing behind it. Where a look ends
    /// before the rows do, the next one goes on at that `place`.
    pub(crate) async fn begin_due(
        &self,
        attempts: &mut JoinSet<()>,
        room: &Arc<Room>,
        place: &mut Option<Due>,
        look: Look,
    ) -> Result<(), OutboxError> {
        room.is_wanted.store(false, Ordering::SeqCst);
        let made = room.made.swap(0, Ordering::SeqCst);
        let (mut left, mut after) = match look {
            Look::Whole => (usize::MAX, place.take()),
            Look::Room => (made, None),
        };
        let (now, begun) = (self.0.ports.clock.now(), Instant::now());
        let mut asked = HashSet::new();
        loop {
            let page = self.0.outbox.due(now, after.as_ref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            if !page.is_empty() {
                self.learn_pauses(now).await;
            }
            for due in &page {
                if left == 0 {
                    room.is_wanted.store(true, Ordering::SeqCst);
                    return Ok(());
                }
                let lane = self.0.ways.lane(due.tenant, &due.destination);
                // What goes by a server of the tenant's own is that server's matter.
                let is_paced = lane.is_none();
                if !self.0.ways.is_own(due.tenant, &due.destination) && self.is_left_alone(due, now) {
                    self.learn_way_out(due, &mut asked, attempts);
                    continue;
                }
                let slot = match self.0.slots.take(InHand::of(due, lane)) {
                    Ok(slot) => slot,
                    Err(Busy::InHand) => continue,
                    Err(busy) => {
                        room.is_wanted.store(true, Ordering::SeqCst);
                        if busy == Busy::All {
                            return Ok(());
                        }
                        continue;
                    }
                };
                // Its row stays, for the next look: nothing that ends makes room for it.
                if is_paced && !self.0.paces.take(&due.destination, now) {
                    self.learn_way_out(due, &mut asked, attempts);
                    continue;
                }
                left -= 1;
                let (this, due, room) = (self.clone(), due.clone(), Arc::clone(room));
                attempts.spawn(async move {
                    let has_worked = this.look_after(&due).await;
                    if is_paced && !has_worked {
                        this.0.paces.give_back(&due.destination);
                    }
                    drop(slot);
                    // Who found nothing to do has made no room: whoever waits would look for nothing, again and again.
                    if has_worked {
                        room.make();
                    }
                });
            }
            after = page.into_iter().next_back();
            if is_last {
                return Ok(());
            }
            if begun.elapsed() >= LOOK {
                if look == Look::Whole {
                    *place = after;
                }
                return Ok(());
            }
        }
    }

    /// Perhaps what has to wait goes by a server of the tenant's own by now, which an attempt would learn, and there is none.
    fn learn_way_out(&self, due: &Due, asked: &mut HashSet<TenantId>, attempts: &mut JoinSet<()>) {
        if !self.remembers_way_out(due.tenant) && asked.insert(due.tenant) {
            let (this, tenant, destination) = (self.clone(), due.tenant, due.destination.clone());
            attempts.spawn(async move { drop(this.way_out(tenant, &destination).await) });
        }
    }

    /// Looks after all that is due now, one after the other. How many rows there were.
    ///
    /// # Errors
    /// [`OutboxError`], where the rows can't be read.
    #[pennypost_ports::compiled_here]
    pub async fn work_off(&self) -> Result<usize, OutboxError> {
        let due = self.0.outbox.due(self.0.ports.clock.now(), None, MOST).await?;
        for row in &due {
            self.look_after(row).await;
        }
        Ok(due.len())
    }

    /// Was there anything to do?
    pub(crate) async fn look_after(&self, due: &Due) -> bool {
        let error = match self.follow(due).await {
            Ok(has_worked) => return has_worked,
            Err(error) => error,
        };
        let Due { tenant, message, destination, .. } = due;
        tracing::warn!(%tenant, %message, destination, %error, "a message for another server waits");
        if !error.is_temporary() && !error.is_of_newer() {
            // Nobody can do anything with it: looking again would not help. Its item stays, and is told of every day.
            let _ = self.0.outbox.forget(due).await;
        }
        false
    }

    /// Follows a row to its item, and does what there is to do, if there is anything.
    async fn follow(&self, due: &Due) -> Result<bool, OutboxError> {
        let (outbox, clock) = (&self.0.outbox, &self.0.ports.clock);
        let Some((mut item, version)) = outbox.item(due).await? else {
            // The row is written first: whoever puts the item down may be about to.
            if due.is_orphan(clock.now()) {
                outbox.forget(due).await?;
            }
            return Ok(false);
        };
        if item.claimed && item.next > clock.now() {
            // It is somebody's, who may be dead: the row of the claim's end was written before the claim. What is later than
            // the claim's beginning may be the row of the next attempt, whose item is about to be written: it stays,
            // however far ahead this clock is.
            if due.at.plus_millis(self.claim()) <= item.next {
                outbox.forget(due).await?;
            }
            return Ok(false);
        }
        if item.is_over() || item.next > clock.now() {
            // What follows from the last attempt was not done, or its row not removed.
            self.settle(&item).await?;
            self.forget_claim(&item).await?;
            if due.at != item.next || item.is_over() {
                outbox.forget(due).await?;
            }
            return Ok(true);
        }
        // Whoever made the last attempt may have died before what follows from it: nobody would know of it any more.
        if item.is_news() && !item.claimed && outbox.row(&item, item.claim).await?.is_some() {
            self.settle(&item).await?;
            self.forget_claim(&item).await?;
        }
        let letter = self.letter(&item).await?;
        let was_cut_off = item.claimed;
        if was_cut_off {
            item.places().into_iter().for_each(|place| item.doubt(place));
        }
        (item.claimed, item.next) = (true, clock.now().plus_millis(self.claim()));
        item.claim = item.next;
        item.attempts = item.attempts.saturating_add(1);
        let claim = outbox.remind(&item, item.claim).await?;
        crash::point("send-remote.after-claim-row");
        // Another one that was faster may have written the same row: it stays.
        let Some(version) = outbox.save(&item, version).await? else { return Ok(false) };
        crash::point("send-remote.after-claim");
        if was_cut_off {
            let Outbound { tenant, message, destination, attempts, .. } = &item;
            tracing::warn!(%tenant, %message, destination, attempt = attempts - 1, "{CUT_OFF}");
        }
        // From here on the row of the claim's end leads to it. One too many says only where to look.
        let forget = async {
            let _ = outbox.forget(due).await;
            crash::point("send-remote.after-old-row");
        };
        let attempt = self.attempt_in_time(&item, letter.get().and_then(Option::as_ref));
        let ((), (handed, verdicts)) = tokio::join!(forget, attempt);
        crash::point("send-remote.after-attempt");
        let found = handed.mood.map(|mood| (mood, verdicts.clone()));
        self.conclude(&mut item, handed, verdicts);
        if !self.end(&item, version).await? {
            let Outbound { tenant, message, destination, .. } = &item;
            tracing::warn!(%tenant, %message, destination, "an attempt took so long that somebody else made another");
            return Ok(true);
        }
        crash::point("send-remote.after-end");
        // Behind the end: until that is written, who dies sends twice.
        if let Some((mood, verdicts)) = found {
            self.note_pause(&item.destination, mood, &verdicts).await;
        }
        if let Err(error) = self.settle(&item).await {
            if error.is_temporary() {
                outbox.remind(&item, clock.now()).await?;
            }
            return Err(error);
        }
        outbox.forget(&claim).await?;
        Ok(true)
    }

    /// Writes the end of an attempt. The other server may have the message: while the claim lasts it is tried again, since
    /// whoever comes after it would send the message a second time. `false` if somebody else has the item.
    async fn end(&self, item: &Outbound, version: u64) -> Result<bool, OutboxError> {
        let (outbox, clock) = (&self.0.outbox, &self.0.ports.clock);
        let (mut pause, longest) = (self.hurried(PAUSES.0), self.hurried(PAUSES.1));
        let mut tries = 1;
        loop {
            let ended = match outbox.end(item, version).await {
                // An earlier try may have been written though its answer was lost.
                Ok(false) => {
                    outbox.again(item).await.map(|found| found.is_some_and(|(found, _)| found == *item))
                }
                ended => ended,
            };
            let Err(error) = ended else { return ended };
            let is_in_time = clock.now().plus_millis(millis(pause)) < item.claim;
            if !error.is_temporary() || !is_in_time || tries >= TRIES {
                return Err(error);
            }
            tracing::warn!(message = %item.message, %error, "the end of an attempt was not written yet");
            clock.sleep(pause).await;
            pause = (2 * pause).min(longest);
            tries += 1;
        }
    }

    /// All that follows from the last attempt is done. The row at the item's own time is no claim's: before the first attempt
    /// both times may be the same.
    async fn forget_claim(&self, item: &Outbound) -> Result<(), OutboxError> {
        if item.claim == item.next && !item.is_over() {
            return Ok(());
        }
        match self.0.outbox.row(item, item.claim).await? {
            Some(row) => self.0.outbox.forget(&row).await,
            None => Ok(()),
        }
    }

    /// The message; nothing, if nobody has its bytes any more, or they are damaged. Whoever has it in hand shares it.
    async fn letter(&self, item: &Outbound) -> Result<Shared, OutboxError> {
        let shared = self.0.letters.of(&item.object);
        shared.get_or_try_init(|| self.read(item)).await?;
        Ok(shared)
    }

    /// The right to have a message of that size unpacked: large ones take turns.
    pub(crate) async fn alone(&self, size: u64) -> Option<SemaphorePermit<'_>> {
        if size < LARGE { None } else { self.0.reading.acquire().await.ok() }
    }

    async fn read(&self, item: &Outbound) -> Result<Option<Letter>, OutboxError> {
        let _alone = self.alone(item.size).await;
        let bytes = match self.0.ports.objects.get(&item.object).await {
            Ok((bytes, _)) => bytes,
            Err(PortError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stored = codec::decode::<StoredMessage>(&bytes).map_err(|error| error.to_string());
        drop(bytes);
        let opened = match stored {
            Ok(stored) => letter::opened(stored).await.map_err(|error| error.to_string()),
            Err(cause) => Err(cause),
        };
        match opened {
            Ok(lines) => Ok(Some(Letter::new(lines))),
            Err(cause) => {
                let Outbound { tenant, message, object, .. } = item;
                tracing::error!(%tenant, %message, object, cause, "a message for another server is damaged");
                Ok(None)
            }
        }
    }

    /// An attempt. When the process is about to stop it is broken off, unless the other server may have the message: that is waited for.
    async fn attempt_in_time(&self, item: &Outbound, letter: Option<&Letter>) -> (Handed, Vec<Verdict>) {
        let (ending, mut leaving) = (AtomicBool::new(false), self.0.leaving.subscribe());
        let attempt = pin!(self.attempt(item, letter, &ending));
        let leaves = pin!(async { drop(leaving.wait_for(|leaves| *leaves).await) });
        match future::select(attempt, leaves).await {
            Either::Left((done, _)) => done,
            Either::Right((_, attempt)) if ending.load(Ordering::SeqCst) => attempt.await,
            Either::Right(_) => nobody_reached(item, &ours(RemoteOutcome::Deferred, "4.3.2", LEFT)),
        }
    }

    async fn attempt(
        &self,
        item: &Outbound,
        letter: Option<&Letter>,
        ending: &AtomicBool,
    ) -> (Handed, Vec<Verdict>) {
        // Whoever may have it twice is not sent it again; the others have their turn the next time.
        if item.places().into_iter().any(|place| item.is_doubtful(place)) {
            return nobody_reached(item, &ours(RemoteOutcome::Deferred, "4.4.2", "the attempt was cut off"));
        }
        let recipients: Vec<String> = item.waiting().map(|one| letter::on_the_wire(&one.address)).collect();
        let Some(letter) = letter else {
            return nobody_reached(item, &ours(RemoteOutcome::Failed, "5.3.0", LOST));
        };
        if forward::is_in_loop(item, &letter.lines) {
            let (status, text) = forward::LOOP;
            return nobody_reached(item, &ours(RemoteOutcome::Failed, status, text));
        }
        let way_out = match self.way_out(item.tenant, &item.destination).await {
            Ok(way_out) => way_out,
            Err(verdict) => return nobody_reached(item, &verdict),
        };
        let reverse_path = letter::on_the_wire(&item.reverse_path);
        let each: Vec<Option<&Wish>> = item
            .waiting()
            .map(|one| item.asked.as_ref().and_then(|asked| asked.wishes.of(&one.address)))
            .collect();
        let wishes = item.asked.as_ref().map(|Asked { wishes, .. }| wishes);
        let envelope_id = self.envelope_id(item).await;
        let asked = (wishes.is_some() || envelope_id.is_some()).then(|| Requests {
            // The whole of what is private comes back to nobody (RFC 8689 section 5).
            full: wishes.and_then(|wishes| wishes.full).map(|full| full && !item.is_private),
            envelope_id: envelope_id.as_deref(),
            each: &each,
        });
        let parcel = Parcel {
            asked,
            ignores_policies: is_tls_report(item, letter)
                || !item.is_private && letter::needs_no_tls(&letter.lines),
            is_private: item.is_private,
            way_out: way_out.as_ref(),
            ending,
            id: parcel_id(item, &recipients),
            destination: &item.destination,
            reverse_path: &reverse_path,
            recipients: &recipients,
            head: &item.head,
            message: &letter.lines,
            is_eight_bit: !item.head.is_ascii() || !letter.is_ascii,
            is_utf8: !item.head.is_ascii()
                || !letter.has_ascii_header
                || !reverse_path.is_ascii()
                || recipients.iter().any(|recipient| !recipient.is_ascii()),
        };
        let mut handed = self.0.ports.carrier.hand_over(&parcel).await;
        self.0.paces.note(&item.destination, handed.host == self.0.settings.hostname);
        let verdicts = handed.clone().verdicts();
        if let Some(mood) = mood(&verdicts) {
            let lane = way_out.as_ref().and_then(ways::lane_of);
            let has_address = way_out.as_ref().is_some_and(|way_out| way_out.address.is_some());
            // What fails from an address of the tenant's own may be the address's fault: it says nothing of the destination.
            if mood != Mood::Unwell || lane.is_some() || !has_address {
                self.0.slots.note(lane.as_deref().unwrap_or(&item.destination), mood);
                if way_out.is_none() && handed.host != self.0.settings.hostname {
                    handed.mood = Some(mood);
                }
            }
        }
        (handed, verdicts)
    }

    /// Does what follows from the last attempt. Each part may be done twice: readers of traces merge, and a report has the
    /// id that the item names.
    async fn settle(&self, item: &Outbound) -> Result<(), OutboxError> {
        let Some((time, attempt)) = &item.last else { return Ok(()) };
        if item.is_news() {
            self.trace(item, *time, attempt).await?;
            crash::point("send-remote.after-trace");
        }
        if item.is_of_group() {
            self.note_failure(item, attempt).await?;
        }
        if attempt.reported.is_some() {
            self.report(item, *time, attempt).await?;
            crash::point("send-remote.after-report");
        }
        if item.is_over() {
            self.let_bytes_go(item).await?;
        }
        Ok(())
    }

    async fn trace(&self, item: &Outbound, time: Timestamp, attempt: &Attempt) -> Result<(), OutboxError> {
        let Outbound { tenant, message, .. } = *item;
        let step = TraceStep::Attempted(attempt.clone());
        let record =
            TraceRecord { demand: item.demand.clone(), ..TraceRecord::new(tenant, message, time, step) };
        let value = codec::encode(&record);
        let record = LogRecord { tenant, kind: LogKind::Trace, id: message, time, value };
        Ok(self.0.ports.log.append(&[record]).await?)
    }

    /// Tells the sender.
    async fn report(&self, item: &Outbound, time: Timestamp, attempt: &Attempt) -> Result<(), OutboxError> {
        let Some(id) = attempt.reported else { return Ok(()) };
        let (ports, settings) = (&self.0.ports, &self.0.settings);
        let letter = self.letter(item).await?;
        let letter = letter.get().and_then(Option::as_ref).map(|letter| &*letter.lines);
        let until = item.accepted.plus_millis(millis(settings.patience.give_up));
        let raw = report::report(item, (time, attempt), &settings.hostname, until, letter);
        let damaged = |cause: String| PortError::Damaged { port: "objects", cause };
        let message = accept::compressed(raw).await.map_err(|error| damaged(error.to_string()))?;
        let accepted = pennypost_reports::accepted(item.sender.clone(), id, &settings.hostname, message);
        let accepted = accepted.private(item.is_private);
        let body = accept::again_for_the_queue(&*ports.objects, accepted).await?;
        let outgoing = Outgoing { tenant: item.tenant, body, delay: Duration::ZERO };
        let sent = ports.queue.send_batch(Stage::InboundParse, vec![outgoing]).await;
        let unanswered = || PortError::Unavailable { port: "queue", cause: "it gave no answer".to_owned() };
        Ok(sent.into_iter().next().unwrap_or_else(|| Err(unanswered()))?)
    }

    /// Which item of a message is not over; none: no such one is known.
    fn remember_open(&self, message: (TenantId, EventId), open: Option<&Outbound>) {
        let mut remembered = self.0.open.lock();
        remembered.remove(&message);
        if let Some(open) = open {
            if remembered.len() >= MAX_OPEN {
                remembered.clear();
            }
            remembered.insert(message, (open.destination.clone(), open.part));
        }
    }

    /// Are all items of the message over? To read all of them at the end of each would grow with the square of their number:
    /// which one was found not to be over is remembered, and read first.
    async fn is_last(&self, item: &Outbound) -> Result<bool, OutboxError> {
        let message = (item.tenant, item.message);
        let open = self.0.open.lock().get(&message).cloned();
        if let Some((destination, part)) = open
            && let Some(open) = self.0.outbox.at(message, (&destination, part)).await?
            && !open.is_over()
            && open.object == item.object
        {
            return Ok(false);
        }
        let mut all = self.0.outbox.of_message(item.tenant, item.message).await?;
        // What is forwarded has bytes of its own.
        all.retain(|one| one.object == item.object);
        // They are tried in their order: the last one has the longest to go.
        let open = all.iter().rev().find(|one| !one.is_over());
        self.remember_open(message, open);
        if open.is_some() || all.len() < item.items as usize {
            return Ok(false);
        }
        // Whoever has made another one's last attempt may have died before he told its sender, who is shown the message's header: it is
        // told now, while there is one. Twice is once, since the report has its id.
        for other in
            all.iter().filter(|other| (&other.destination, other.part) != (&item.destination, item.part))
        {
            let Some((time, attempt)) = other.last.as_ref().filter(|(_, last)| last.reported.is_some())
            else {
                continue;
            };
            if self.0.outbox.row(other, other.claim).await?.is_some() {
                self.report(other, *time, attempt).await?;
            }
        }
        Ok(true)
    }

    /// Removes the bytes if no destination of the message needs them any more, nor delivery. Of several destinations that end
    /// at once the last one to be written sees all of them. What delivery has not done with is left to housekeeping.
    async fn let_bytes_go(&self, item: &Outbound) -> Result<(), OutboxError> {
        if item.items > 1 && !self.is_last(item).await? {
            return Ok(());
        }
        if item.is_shared {
            let delivered = was_delivered(&*self.0.ports.log, item.tenant, item.message).await;
            let unanswered = |failure: Failure| PortError::Unavailable { port: "log", cause: failure.cause };
            if !delivered.map_err(unanswered)? {
                return Ok(());
            }
        }
        self.0.ports.objects.delete(&item.object).await?;
        crash::point("send-remote.after-bytes-gone");
        Ok(())
    }
}
