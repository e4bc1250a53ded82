//! Scanners are asked about a letter before it is placed anywhere.
//!
//! Only where the operator has named some: without any, nothing here is read, written or asked. A scanner that does not answer
//! is the tenant's matter ([`ScanPolicy`]): letters wait, and come again until it answers, or go on with a mark. What waits, or is looked at for
//! long, is noted once in the log as being processed (RCV-16), with who has sent it.
//!
//! One letter is in no other's way: only a scanner that can't be reached, or that has said nothing of [`IN_A_ROW`] letters one after the other, is
//! not asked for a moment. One of which it says nothing again and again while it answers about others goes on with a mark, as one that it never takes.
//! What a handler has in hand is begun within [`BEGIN_WITHIN`]; what is not by then comes again.
//!
//! What a scanner says is remembered by nobody: an event that comes again is looked at again, and a scanner may know more by then. That
//! doubles nothing and loses nothing: what was kept from a recipient stays kept, since that is asked first; what a recipient has
//! got already `deliver` finds in his journal, and keeps nothing from him; and what a member has sent, and somebody has got, is not refused then.

mod parts;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pennypost_model::event::{Accepted, Body, Parsed, SourceKind, Via};
use pennypost_model::message::cut;
use pennypost_model::scan::{Finding, HeldFor, ScanReport, Scanned};
use pennypost_model::trace::{Outcome, TraceRecord, TraceStep};
use pennypost_model::{AccountKey, EventId, TenantId, codec};
use pennypost_policy::scanning::VIRUS_NAME;
use pennypost_policy::{ScanPolicy, Screening, Unanswered};
use pennypost_ports::{
    Clock, Log, LogKind, LogQuery, LogRecord, Objects, ScanError, ScanLetter, Scanner, ScansFor,
};
use pennypost_quarantine::{Quarantine, Standing, Standings};
use tokio::sync::Semaphore;

use crate::text::bytes_of;
use crate::{FilterError, Memory, PolicySource};

/// Letters that are with scanners at once: as many as clamd looks at, if nothing is said to it.
pub(crate) const AT_ONCE: usize = 10;
/// Kilobytes of letters that are in memory for that at once; one that is larger is there alone.
const ROOM: usize = 64 * 1024;
/// For so long a scanner that does not answer is not asked: those that wait would take turns at waiting for it.
const DOWN: Duration = Duration::from_secs(5);
/// A scanner that has said nothing of so many letters, and nothing of any other in between, does not answer.
const IN_A_ROW: usize = 10;
/// A letter of which a scanner has said nothing so often, while it answered about others, is one that it does not look at.
const FAILS: u32 = 8;
/// Letters of which it is remembered how often a scanner has said nothing of them.
const FAILING: usize = 1_000;
/// After so long with a batch nothing more of it is begun: the longest wait of two scanners, and delivery, still end before the queue
/// hands it out again, or a function's time is over.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
/// What was not begun comes again then.
const NOT_BEGUN: Duration = Duration::from_secs(5);
/// A letter that waits for a scanner comes again after so long, the longer the longer it waits.
const AGAIN: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(300)];
/// The field that is added to a letter.
const FIELD: &str = "X-Pennypost-Scanned:";
/// After so long a letter is told to be with a scanner.
const LONG: Duration = Duration::from_secs(2);
/// Letters of which it is remembered that they were told.
const TOLD: usize = 1_000;
/// Recipients that a scanner, or a trace of a letter that waits, is told of.
const RECIPIENTS: usize = 100;
/// Policies that are remembered at once.
const MAX_REMEMBERED: usize = 1_000;

/// The scanners, and what is needed to ask them.
pub struct Screen {
    /// The scanners.
    scanners: Vec<Arc<dyn Scanner>>,
    quarantine: Quarantine,
    objects: Arc<dyn Objects>,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    policies: Memory<TenantId, ScanPolicy>,
    health: Mutex<HashMap<&'static str, Health>>,
    failing: Mutex<VecDeque<Failing>>,
    room: Semaphore,
    told: Mutex<VecDeque<EventId>>,
}

/// How a scanner is.
#[derive(Default)]
struct Health {
    /// Since when, and why, it is not asked.
    down: Option<(Instant, ScanError)>,
    /// Letters of which it has said nothing since it answered last; [`IN_A_ROW`] of them at most.
    in_a_row: HashSet<EventId>,
    /// When it answered last.
    answered: Option<Instant>,
}

/// A letter of which a scanner has said nothing.
struct Failing {
    scanner: &'static str,
    letter: EventId,
    times: u32,
    /// When it said nothing first.
    since: Instant,
}

/// What is known of a letter by now.
#[derive(Default)]
pub(crate) struct Screened {
    scanned: Scanned,
    policy: Option<Arc<ScanPolicy>>,
    standings: Standings,
    /// It is a member's, and somebody has got it by an earlier try: it is too late to refuse it.
    is_out: bool,
}

impl Screened {
    /// The same as deciding takes it, for one recipient.
    pub(crate) fn of(&self, account: AccountKey, via: Via) -> Option<Screening<'_>> {
        let policy = self.policy.as_deref()?;
        let standing = self.standings.get(&account).filter(|_| via != Via::Outside);
        let kept: Option<(HeldFor, &[String])> = standing.and_then(|standing| match standing {
            Standing::Kept { held_for, reasons } => Some((*held_for, reasons.as_slice())),
            Standing::Released => None,
        });
        let released = self.is_out || standing == Some(&Standing::Released);
        Some(Screening { scanned: &self.scanned, policy, kept, released })
    }

    /// The header field that stands beside the letter (RCV-15, RCV-13): which scanners have looked at it, and what they said.
    fn field(&self) -> Option<String> {
        let said = self.scanned.reports.iter().map(|report| {
            let found = match &report.finding {
                Finding::Clean => "clean".to_owned(),
                Finding::Virus(name) => format!("virus {name}"),
                Finding::Spam(found) => format!("{} points", found.points),
                Finding::Unscanned(cause) => format!("not scanned, {cause}"),
            };
            let said = format!("{} {}: {found}", report.scanner, report.version);
            said.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(300).collect::<String>()
        });
        let said: Vec<String> = said.collect();
        (!said.is_empty()).then(|| format!("{FIELD} {}\r\n", said.join(";\r\n\t")))
    }
}

/// Fields without those that an earlier pass has added: what was replayed has them.
fn without_field(fields: &str) -> String {
    let mut kept = String::with_capacity(fields.len());
    let mut is_ours = false;
    for line in fields.split_inclusive('\n') {
        if !line.starts_with([' ', '\t']) {
            is_ours = line.get(..FIELD.len()).is_some_and(|name| name.eq_ignore_ascii_case(FIELD));
        }
        if !is_ours {
            kept.push_str(line);
        }
    }
    kept
}

pub(crate) fn broken(error: &(impl std::fmt::Display + ?Sized), temporary: bool) -> FilterError {
    FilterError::Unread { cause: error.to_string(), temporary }
}

impl Screen {
    /// Over these ports. `None` without a scanner: then nothing is to be done for any.
    #[must_use]
    pub fn new(
        scanners: Vec<Arc<dyn Scanner>>,
        quarantine: Quarantine,
        objects: Arc<dyn Objects>,
        log: Arc<dyn Log>,
        clock: Arc<dyn Clock>,
    ) -> Option<Screen> {
        (!scanners.is_empty()).then(|| Screen {
            scanners,
            quarantine,
            objects,
            log,
            clock,
            policies: Memory::of(MAX_REMEMBERED, |_| 1),
            health: Mutex::default(),
            failing: Mutex::default(),
            room: Semaphore::new(ROOM),
            told: Mutex::default(),
        })
    }

    /// What scanners and quarantine say of a letter. What was found stands in its header fields then, too.
    /// `begun`: when the batch was taken in hand.
    pub(crate) async fn look(
        &self,
        parsed: &mut Parsed,
        source: &dyn PolicySource,
        begun: Instant,
    ) -> Result<Screened, FilterError> {
        let accepted = &parsed.accepted;
        // What the post office writes itself holds nothing that anybody has sent.
        if matches!(accepted.source.kind.way(), SourceKind::System | SourceKind::Notice(_)) {
            return Ok(Screened::default());
        }
        let policy = self.policy(accepted.tenant, source).await?;
        let is_members = accepted.source.kind.submission().is_some();
        let accounts: Vec<AccountKey> =
            accepted.recipients.iter().filter(|one| one.via != Via::Outside).map(|one| one.account).collect();
        let mut screened = Screened { policy: Some(Arc::clone(&policy)), ..Screened::default() };
        // What a member sends lies in no quarantine.
        if !is_members {
            let standings = self.quarantine.standings(accepted.tenant, accepted.id, &accounts).await;
            // What a newer program has written, or is damaged, is read another day; and nobody's letter is a dead one for it.
            screened.standings = standings.map_err(|error| broken(&error, true))?;
            if accounts.iter().all(|account| screened.standings.contains_key(account)) {
                return Ok(screened);
            }
        }
        screened.scanned = self.scanned(parsed, &policy, is_members, begun).await?;
        if is_members && screened.scanned.virus().is_some() {
            screened.is_out = self.is_out(accepted).await?;
        }
        let field = screened.field();
        let receipt = &mut parsed.sidecar.receipt;
        if receipt.contains(FIELD) {
            *receipt = without_field(receipt);
        }
        receipt.extend(field);
        Ok(screened)
    }

    /// Has somebody got a member's letter by an earlier try of its event, at which nothing spoke against it?
    async fn is_out(&self, accepted: &Accepted) -> Result<bool, FilterError> {
        let (tenant, id) = (accepted.tenant, accepted.id);
        let query = LogQuery { tenant, kind: LogKind::Trace, from: id, to: id, limit: 100 };
        let records = self.log.query(&query).await.map_err(|error| broken(&error, true))?;
        Ok(records.iter().any(|record| {
            let trace = codec::decode::<TraceRecord>(&record.value);
            let Ok(TraceStep::Delivered { recipients, .. }) = trace.map(|trace| trace.step) else {
                return false;
            };
            recipients.iter().any(|one| matches!(one.outcome, Outcome::Stored { .. } | Outcome::Outside))
        }))
    }

    async fn policy(
        &self,
        tenant: TenantId,
        source: &dyn PolicySource,
    ) -> Result<Arc<ScanPolicy>, FilterError> {
        if let Some(known) = self.policies.recall(&tenant) {
            return Ok(known);
        }
        let read = Instant::now();
        let policy = source.scan_policy(tenant).await;
        let policy = policy.map_err(|cause| FilterError::Policy { tenant, cause })?;
        Ok(self.policies.keep(tenant, policy, read))
    }

    async fn scanned(
        &self,
        parsed: &Parsed,
        policy: &ScanPolicy,
        is_members: bool,
        begun: Instant,
    ) -> Result<Scanned, FilterError> {
        let accepted = &parsed.accepted;
        let asks = |scanner: &&Arc<dyn Scanner>| match scanner.scans_for() {
            ScansFor::Viruses => true,
            ScansFor::Spam => !is_members && !accepted.auth.trusted,
        };
        let scanners: Vec<&Arc<dyn Scanner>> = self.scanners.iter().filter(asks).collect();
        let mut scanned = Scanned::default();
        if scanners.is_empty() {
            return Ok(scanned);
        }
        let size = match &accepted.body {
            Body::Inline(message) => message.size,
            Body::Spooled { size, .. } => *size,
        };
        let kilobytes = u32::try_from(size / 1_024 + 1).unwrap_or(u32::MAX).min(ROOM as u32);
        let _room = self.room.acquire_many(kilobytes).await.map_err(|error| broken(&error, true))?;
        if begun.elapsed() > BEGIN_WITHIN {
            let cause = "others are with the scanners".to_owned();
            self.tell(parsed, &cause).await;
            return Err(FilterError::Waits { cause, again: NOT_BEGUN });
        }
        let Some(raw) = self.raw(accepted).await? else { return Ok(scanned) };
        let recipients: Vec<&str> =
            accepted.recipients.iter().take(RECIPIENTS).map(|one| one.address.as_str()).collect();
        let letter = ScanLetter {
            id: accepted.id,
            raw: &raw,
            reverse_path: &accepted.reverse_path,
            recipients: &recipients,
            ip: accepted.source.ip,
            helo: &accepted.source.helo,
        };
        for scanner in scanners {
            let report = match self.ask(&**scanner, &letter, parsed).await {
                Ok(report) => report,
                Err(error) => {
                    let said = match scanner.scans_for() {
                        ScansFor::Viruses => policy.without_virus_scanner,
                        ScansFor::Spam => policy.without_spam_scanner,
                    };
                    // One that will never look at it is not waited for.
                    if said == Unanswered::Hold && !matches!(error, ScanError::Refused { .. }) {
                        self.tell(parsed, &error.to_string()).await;
                        let again = self.again(accepted);
                        return Err(FilterError::Waits { cause: error.to_string(), again });
                    }
                    let finding = Finding::Unscanned(error.to_string());
                    ScanReport { scanner: scanner.name(), version: String::new(), finding }
                }
            };
            scanned.reports.push(report);
            let virus = scanned.virus().map(|virus| cut(virus, VIRUS_NAME).to_owned());
            if let Some(virus) = virus {
                if !is_members && policy.gives_rest() && scanner.scans_for() == ScansFor::Viruses {
                    scanned.infected = parts::infected(&**scanner, &letter, &virus).await;
                }
                break;
            }
        }
        Ok(scanned)
    }

    /// The bytes of a letter; `None` if they are gone because it has been delivered: then this is a late repetition.
    async fn raw(&self, accepted: &Accepted) -> Result<Option<Vec<u8>>, FilterError> {
        bytes_of(accepted, Some((&*self.objects, &*self.log))).await
    }

    async fn ask(
        &self,
        scanner: &dyn Scanner,
        letter: &ScanLetter<'_>,
        parsed: &Parsed,
    ) -> Result<ScanReport, ScanError> {
        let (name, id) = (scanner.name(), parsed.accepted.id);
        if let Some(error) = self.is_hopeless(name, id) {
            return Err(error);
        }
        let mut scanning = std::pin::pin!(scanner.scan(letter));
        let scanned = match tokio::time::timeout(LONG, &mut scanning).await {
            Ok(scanned) => scanned,
            Err(_) => {
                self.tell(parsed, &format!("{name} looks at it")).await;
                scanning.await
            }
        };
        if let Err(error @ (ScanError::Unavailable { .. } | ScanError::Failed { .. })) = &scanned {
            tracing::warn!(scanner = name, message = %id, %error, "a scanner does not answer");
        }
        self.note(name, id, &scanned);
        scanned
    }

    /// What is said of a letter without asking: as long as the scanner does not answer, or if it never says anything of this letter.
    fn is_hopeless(&self, name: &'static str, id: EventId) -> Option<ScanError> {
        let answered = {
            let health = self.health.lock();
            let health = health.get(name)?;
            if let Some((_, error)) = health.down.as_ref().filter(|(since, _)| since.elapsed() < DOWN) {
                return Some(error.clone());
            }
            health.answered?
        };
        let failing = self.failing.lock();
        let failing = failing.iter().find(|one| one.letter == id && one.scanner == name)?;
        (failing.times >= FAILS && answered > failing.since).then(|| ScanError::Refused {
            scanner: name,
            cause: format!("it has said nothing of it {} times", failing.times),
        })
    }

    /// What is to be remembered of an answer, or of none.
    fn note(&self, name: &'static str, id: EventId, scanned: &Result<ScanReport, ScanError>) {
        let now = Instant::now();
        let mut health = self.health.lock();
        let health = health.entry(name).or_default();
        let mut failing = self.failing.lock();
        match scanned {
            Ok(_) | Err(ScanError::Refused { .. }) => {
                *health = Health { answered: Some(now), ..Health::default() };
                failing.retain(|one| one.letter != id || one.scanner != name);
            }
            Err(error @ ScanError::Unavailable { .. }) => health.down = Some((now, error.clone())),
            Err(error @ ScanError::Failed { .. }) => {
                if health.in_a_row.len() < IN_A_ROW {
                    health.in_a_row.insert(id);
                }
                if health.in_a_row.len() >= IN_A_ROW {
                    health.down = Some((now, error.clone()));
                }
                if let Some(known) = failing.iter_mut().find(|one| one.letter == id && one.scanner == name) {
                    known.times += 1;
                    return;
                }
                if failing.len() >= FAILING {
                    failing.pop_front();
                }
                failing.push_back(Failing { scanner: name, letter: id, times: 1, since: now });
            }
        }
    }

    /// When a letter that waits is tried again: a quarter of its age, within bounds.
    fn again(&self, accepted: &Accepted) -> Duration {
        let age = self.clock.now().0.saturating_sub(accepted.time.0);
        let [least, most] = AGAIN;
        Duration::from_millis(u64::try_from(age / 4).unwrap_or_default()).clamp(least, most)
    }

    /// Notes in the log, once in this process, that a letter is being processed. That it can't be noted stands in no letter's way.
    async fn tell(&self, parsed: &Parsed, cause: &str) {
        let accepted = &parsed.accepted;
        {
            let mut told = self.told.lock();
            if told.contains(&accepted.id) {
                return;
            }
            if told.len() >= TOLD {
                told.pop_front();
            }
            told.push_back(accepted.id);
        }
        let facts = &parsed.sidecar.facts;
        let recipients = accepted.recipients.iter().filter(|one| one.via != Via::Sent).take(RECIPIENTS);
        let step = TraceStep::BeingProcessed {
            reverse_path: accepted.reverse_path.clone(),
            subject: cut(&facts.subject, 100).to_owned(),
            message_id: cut(facts.message_id.as_deref().unwrap_or_default(), 200).to_owned(),
            size: match &accepted.body {
                Body::Inline(message) => message.size,
                Body::Spooled { size, .. } => *size,
            },
            recipients: recipients.map(|one| (one.address.clone(), one.account)).collect(),
            cause: cut(cause, 200).to_owned(),
        };
        let (tenant, id, time) = (accepted.tenant, accepted.id, self.clock.now());
        let submitter = accepted.source.kind.submission().map(|submission| submission.submitter.clone());
        let record = TraceRecord { submitter, ..TraceRecord::new(tenant, id, time, step) };
        let record = LogRecord { tenant, kind: LogKind::Trace, id, time, value: codec::encode(&record) };
        if let Err(error) = self.log.append(&[record]).await {
            tracing::warn!(%tenant, message = %id, %error, "that a letter is being processed was not noted");
        }
    }
}

#[cfg(test)]
mod tests;
