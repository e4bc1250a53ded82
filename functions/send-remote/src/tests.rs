//! The handler and the worker on the embedded backend, with a carrier that does as it is told.

mod bounds;
mod calls;
mod doubts;
mod forwards;
mod friends;
mod pauses;
mod private;
mod ways;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_mailstore::accept;
use pennypost_mailstore::compress::{compress, decompress};
use pennypost_model::event::{
    AuthResults, Recipient, Requested, Source, Submission, ToGroups, Verdict as Found, Via, Wish, Wishes,
};
use pennypost_model::trace::{Attempt, RemoteRecipient, Submitter, TlsDemand, TlsReason};
use pennypost_model::{AccountId, AccountKey, EventId, TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected, LogRecord, PortResult, RandomIds};
use pennypost_signing::{Algorithm, KeyState};

use super::*;
use crate::exchange::{Handed, Parcel, Verdict, WayOut};

const TENANT: TenantId = TenantId(7);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const LETTER: &str = "From: Ann <ann@t.example>\r\nTo: you@a.example\r\nSubject: hello\r\n\r\nhello\r\n";

struct TestClock(AtomicI64);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

/// What was handed over, and what is answered: to all recipients the same; `2.0.0`, if nothing else was said.
#[derive(Default)]
struct Town {
    handed: Mutex<Vec<(String, Vec<String>, String)>>,
    answers: Mutex<VecDeque<Verdict>>,
    /// By which ways.
    ways: Mutex<Vec<Option<WayOut>>>,
    /// Whether each is private, and whether it ignores policies for TLS.
    wanted: Mutex<Vec<(bool, bool)>>,
    /// The ids of what was handed over.
    ids: Mutex<Vec<EventId>>,
    /// Nothing is ever answered.
    is_deaf: bool,
    /// It has had the end of the message then.
    is_ending: bool,
    /// So often it closes behind the end of the message.
    swallows: Mutex<usize>,
    /// What was asked of the way.
    demand: Option<TlsDemand>,
    /// It tells nobody of what becomes of a message.
    is_silent: bool,
}

fn verdict(outcome: RemoteOutcome, code: u16, status: &str) -> Verdict {
    (outcome, RemoteAnswer { code: Some(code), status: status.to_owned(), text: "said".to_owned() })
}

#[async_trait]
impl Carrier for Town {
    async fn hand_over(&self, parcel: &Parcel<'_>) -> Handed {
        self.ids.lock().push(parcel.id);
        self.wanted.lock().push((parcel.is_private, parcel.ignores_policies));
        self.ways.lock().push(parcel.way_out.cloned());
        let message = String::from_utf8_lossy(&[parcel.head, parcel.message].concat()).into_owned();
        self.handed.lock().push((parcel.destination.to_owned(), parcel.recipients.to_vec(), message));
        if self.is_deaf {
            parcel.ending.store(self.is_ending, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        let answer = self.answers.lock().pop_front();
        let mut handed = Handed::open(parcel.recipients.len());
        handed.host = "mx.a.example [192.0.2.1]:25".to_owned();
        handed.demand = self.demand.clone();
        handed.relayed = if self.is_silent { (0..parcel.recipients.len()).collect() } else { Vec::new() };
        let left = *self.swallows.lock();
        if left > 0 {
            *self.swallows.lock() = left - 1;
            handed.unconfirmed = (0..parcel.recipients.len()).collect();
            let closed = RemoteAnswer { code: None, status: "4.4.2".to_owned(), text: "closed".to_owned() };
            handed.settle_open(&(RemoteOutcome::Deferred, closed));
        }
        handed.settle_open(&answer.unwrap_or_else(|| verdict(RemoteOutcome::Sent, 250, "2.0.0")));
        handed
    }
}

/// A log that fails as often as it is told.
struct ShakyLog(Arc<dyn Log>, Mutex<usize>);

#[async_trait]
impl Log for ShakyLog {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        let left = *self.1.lock();
        if left > 0 {
            *self.1.lock() = left - 1;
            return Err(PortError::Unavailable { port: "log", cause: "test".to_owned() });
        }
        self.0.append(records).await
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        self.0.query(query).await
    }

    async fn expire(&self, kind: LogKind, before: Timestamp) -> PortResult<u64> {
        self.0.expire(kind, before).await
    }
}

struct Fixture {
    backend: Embedded,
    clock: Arc<TestClock>,
    town: Arc<Town>,
    log: Arc<ShakyLog>,
    sender: SendRemote,
    _dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    with(Town::default(), None)
}

fn with(town: Town, secrets: Option<Arc<dyn Secrets>>) -> Fixture {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let backend = Embedded::open(dir.path(), &Options::server()).expect("opens");
    let clock = Arc::new(TestClock(AtomicI64::new(1_795_000_000_000)));
    let (town, log) = (Arc::new(town), Arc::new(ShakyLog(backend.log(), Mutex::default())));
    let ports = Ports {
        control: backend.control(),
        objects: backend.objects(),
        queue: backend.queue(),
        log: Arc::clone(&log) as _,
        clock: Arc::clone(&clock) as _,
        ids: Arc::new(RandomIds),
        secrets,
        carrier: Arc::clone(&town) as _,
    };
    let settings = Settings { hostname: "mx.t.example".to_owned(), ..Settings::default() };
    let sender = SendRemote::new(ports, settings);
    Fixture { backend, clock, town, log, sender, _dir: dir }
}

impl Fixture {
    fn letter(&self, recipients: &[&str]) -> Accepted {
        let account = AccountKey { tenant: TENANT, account: AccountId(1) };
        let address = "ann@t.example".to_owned();
        let submitter = Submitter { account, address, protocol: "ESMTPSA".to_owned() };
        let recipient =
            |address: &&str| Recipient { account, address: (*address).to_owned(), via: Via::Outside };
        Accepted {
            id: EventId::from_parts(self.clock.now(), 5),
            time: self.clock.now(),
            tenant: TENANT,
            source: Source {
                kind: SourceKind::Submission(Box::new(Submission { submitter, bcc: String::new() })),
                ip: None,
                helo: "laptop".to_owned(),
                tls: None,
            },
            auth: AuthResults::default(),
            reverse_path: "ann+news@t.example".to_owned(),
            recipients: recipients.iter().map(recipient).collect(),
            body: Body::Inline(compress(LETTER.as_bytes()).expect("compressed")),
            receipt: "Received: from laptop\r\n\tby mx.t.example\r\nAuthentication-Results: x; auth=pass\r\n"
                .to_owned(),
        }
    }

    async fn handle(&self, letter: &Accepted) {
        let event = Event::Outbound(Box::new(letter.clone()));
        assert_eq!(self.sender.handle(vec![event]).await, [Ok(Vec::new())]);
    }

    async fn work(&self) {
        self.sender.work_off().await.expect("works");
    }

    fn pass(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn tried(&self) -> usize {
        self.town.handed.lock().len()
    }

    async fn attempts(&self, letter: &Accepted) -> Vec<Attempt> {
        let query =
            LogQuery { tenant: TENANT, kind: LogKind::Trace, from: letter.id, to: letter.id, limit: 100 };
        let records = self.backend.log().query(&query).await.expect("reads");
        let attempts = records.iter().filter_map(|record| match codec::decode(&record.value) {
            Ok(TraceRecord { step: TraceStep::Attempted(attempt), .. }) => Some(attempt),
            _ => None,
        });
        attempts.collect()
    }

    /// The reports that were sent, with what is in them.
    async fn reports(&self) -> Vec<(Accepted, String)> {
        let queue = self.backend.queue();
        let received = queue
            .receive(Stage::InboundParse, 100, Duration::from_secs(60), Duration::ZERO)
            .await
            .expect("received");
        let mut reports = Vec::new();
        for message in received {
            let Ok(Event::Accepted(accepted)) = codec::decode(&message.body) else { panic!("no message") };
            let Body::Inline(stored) = &accepted.body else { panic!("too large") };
            let text = String::from_utf8(decompress(stored).expect("whole")).expect("text");
            reports.push((*accepted, text));
            queue.ack(Stage::InboundParse, &[message.receipt]).await.expect("acknowledged");
        }
        reports
    }

    async fn objects(&self) -> usize {
        self.backend.objects().list(&names::spools(TENANT), None, 10).await.expect("lists").len()
    }
}

/// Feature DLV-02 (part): a message to another server is handed over once, though its event comes again; members have no page for it yet
#[tokio::test]
async fn a_message_goes_once_to_each_destination_however_often_its_event_comes() {
    let it = fixture();
    let letter = it.letter(&["you@a.example", "b\u{fc}ro@b\u{fc}cher.example", "me@A.example"]);
    it.handle(&letter).await;
    it.handle(&letter).await;
    assert_eq!((it.tried(), it.objects().await), (0, 1));
    it.work().await;
    it.work().await;
    it.handle(&letter).await;
    it.work().await;
    let handed = it.town.handed.lock().clone();
    let to: Vec<_> = handed.iter().map(|(to, recipients, _)| (to.as_str(), recipients.join(" "))).collect();
    let ours = "b\u{fc}ro@xn--bcher-kva.example".to_owned();
    assert_eq!(to, [("a.example", "you@a.example me@A.example".to_owned()), ("xn--bcher-kva.example", ours)]);
    let message = format!("Received: from laptop\r\n\tby mx.t.example\r\n{LETTER}");
    assert!(handed.iter().all(|(_, _, sent)| *sent == message), "{}", handed[0].2);
    let attempts = it.attempts(&letter).await;
    assert_eq!(attempts.len(), 2);
    for attempt in attempts {
        assert!(attempt.recipients.iter().all(|one| one.outcome == RemoteOutcome::Sent));
        assert_eq!((attempt.number, attempt.next, attempt.reported), (1, None, None));
    }
    // Its bytes are gone, but for an event that comes late, which leaves them to housekeeping.
    assert_eq!(it.objects().await, 0);
    assert_eq!(it.reports().await.len(), 0);
}

#[tokio::test]
async fn what_was_put_off_is_tried_again_in_its_time_and_the_bytes_stay() {
    let it = fixture();
    let letter = it.letter(&["you@a.example", "you@b.example"]);
    it.handle(&letter).await;
    for _ in 0..2 {
        it.town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 451, "4.3.0"));
    }
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (2, 1));
    it.pass(MINUTE / 2);
    it.work().await;
    assert_eq!(it.tried(), 2);
    it.pass(MINUTE);
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 451, "4.3.0"));
    it.work().await;
    // One has it, the other one waits: the bytes are needed.
    assert_eq!((it.tried(), it.objects().await), (4, 1));
    it.pass(6 * MINUTE);
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (5, 0));
    it.pass(24 * HOUR);
    it.work().await;
    assert_eq!((it.tried(), it.reports().await.len()), (5, 0));
    // The second time that it was put off is no news.
    let mut told: Vec<u32> = it.attempts(&letter).await.into_iter().map(|one| one.number).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 1, 2, 3]);
}

/// Feature DLV-02 (part): a message that another server refuses comes back to its sender, once, with the reason
#[tokio::test]
async fn whoever_sent_what_fails_is_told_once() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    it.work().await;
    it.work().await;
    let reports = it.reports().await;
    let [(accepted, text)] = &*reports else { panic!("{} reports", reports.len()) };
    // To the mailbox of whoever had signed in, though the reverse-path is another address.
    let [to] = &*accepted.recipients else { panic!("one recipient") };
    assert_eq!(
        (to.account.account, to.address.as_str(), to.via),
        (AccountId(1), "ann@t.example", Via::Direct)
    );
    assert_eq!((accepted.reverse_path.as_str(), &accepted.source.kind), ("", &SourceKind::System));
    for part in [
        "Content-Type: multipart/report; report-type=delivery-status",
        "Auto-Submitted: auto-replied",
        "Reporting-MTA: dns; mx.t.example",
        "Final-Recipient: rfc822; you@a.example",
        "Action: failed\r\nStatus: 5.1.1",
        "Remote-MTA: dns; mx.a.example",
        "Diagnostic-Code: smtp; 550 5.1.1 said",
        "Content-Type: text/rfc822-headers\r\n\r\nFrom: Ann <ann@t.example>\r\n",
        "\u{65e0}\u{6cd5}\u{9001}\u{8fbe}",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("\r\nhello\r\n"), "the body stays where it is");
    let (structure, _) = pennypost_mime::parse(text.as_bytes());
    assert_eq!(structure.parts.len(), 4, "{structure:?}");
    let [attempt] = &*it.attempts(&letter).await else { panic!("one attempt") };
    assert_eq!((attempt.reported, attempt.recipients[0].outcome), (Some(accepted.id), RemoteOutcome::Failed));
}

/// The post office's own letters to addresses elsewhere: handed over once, and traced; of one that fails nobody is told.
#[tokio::test]
async fn notices_go_to_other_servers_and_come_back_to_nobody() {
    let it = fixture();
    let about = AccountKey { tenant: TENANT, account: AccountId(1) };
    let mut notice = Accepted { reverse_path: String::new(), ..it.letter(&["you@a.example"]) };
    notice.source.kind = SourceKind::Notice(about);
    it.handle(&notice).await;
    it.handle(&notice).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    it.work().await;
    it.work().await;
    assert_eq!((it.tried(), it.objects().await, it.reports().await.len()), (1, 0, 0));
    let [attempt] = &*it.attempts(&notice).await else { panic!("one attempt") };
    assert_eq!((attempt.recipients[0].outcome, attempt.reported), (RemoteOutcome::Failed, None));
    // From somebody, or in another tenant's matter, it is none of ours.
    let from_somebody = Accepted { reverse_path: "ann@t.example".to_owned(), ..notice.clone() };
    let mut of_another = notice.clone();
    of_another.source.kind = SourceKind::Notice(AccountKey { tenant: TenantId(99), ..about });
    for bad in [from_somebody, of_another] {
        let id = EventId::from_parts(it.clock.now(), 77);
        let event = Event::Outbound(Box::new(Accepted { id, ..bad }));
        let outcome = it.sender.handle(vec![event]).await;
        assert!(matches!(&outcome[..], [Err(failure)] if !failure.temporary), "{outcome:?}");
    }
}

#[tokio::test]
async fn nobody_is_told_of_what_nobody_sent() {
    let it = fixture();
    let letter = Accepted { reverse_path: String::new(), ..it.letter(&["you@a.example"]) };
    it.handle(&letter).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    it.work().await;
    assert_eq!((it.reports().await.len(), it.attempts(&letter).await.len()), (0, 1));
}

/// Feature DLV-02 (part): what another server does not take for five days fails; its sender hears of it after four hours
#[tokio::test]
async fn what_nobody_takes_is_given_up_after_five_days() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    let mut told = Vec::new();
    for hour in 0..130 {
        for _ in 0..4 {
            it.town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 451, "4.3.0"));
            it.work().await;
            it.pass(HOUR / 4);
        }
        told.extend(it.reports().await.into_iter().map(|(_, text)| (hour, text)));
    }
    let [(delayed, delay), (failed, failure)] = &*told else { panic!("{} reports", told.len()) };
    assert!((4..7).contains(delayed) && (119..=120).contains(failed), "{delayed} {failed}");
    assert!(delay.contains("Action: delayed") && delay.contains("Will-Retry-Until: "), "{delay}");
    assert!(
        failure.contains("Action: failed\r\nStatus: 5.4.7") && failure.contains("given up after 5.0 days")
    );
    assert!((25..40).contains(&it.tried()), "{}", it.tried());
    assert_eq!(it.objects().await, 0);
    let attempts = it.attempts(&letter).await;
    let last = attempts.last().expect("attempts");
    assert_eq!((attempts.len(), last.recipients[0].outcome), (3, RemoteOutcome::Failed));
}

#[tokio::test]
async fn an_attempt_that_was_cut_off_is_made_again_when_its_claim_is_over() {
    let it = with(Town { is_deaf: true, ..Town::default() }, None);
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    // The process dies with it.
    assert!(tokio::time::timeout(Duration::from_millis(200), it.sender.work_off()).await.is_err());
    assert_eq!(it.tried(), 1);
    // Another one sees that it is somebody's.
    let town = Arc::<Town>::default();
    let carrier: Arc<dyn Carrier> = Arc::clone(&town) as _;
    let other = SendRemote::new(Ports { carrier, ..it.sender.0.ports.clone() }, Settings::default());
    it.pass(34 * MINUTE);
    other.work_off().await.expect("works");
    assert_eq!(it.attempts(&letter).await, []);
    it.pass(2 * MINUTE);
    other.work_off().await.expect("works");
    let [attempt] = &*it.attempts(&letter).await else { panic!("one attempt is told of") };
    assert_eq!((attempt.number, attempt.recipients[0].outcome), (2, RemoteOutcome::Sent));
    assert_eq!(it.objects().await, 0);
    // Who keeps what it had in hand may have taken it already.
    assert_eq!(*it.town.ids.lock(), *town.ids.lock());
}

#[tokio::test]
async fn in_haste_pauses_and_claims_are_shorter() {
    let it = fixture();
    let haste = NonZeroU32::new(60).expect("a number");
    let settings = Settings { haste, ..Settings::default() };
    let hurried = SendRemote::new(it.sender.0.ports.clone(), settings);
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Deferred, 451, "4.7.1"));
    hurried.work_off().await.expect("works");
    // A minute, up to a tenth shorter or longer.
    it.pass(800);
    hurried.work_off().await.expect("works");
    assert_eq!(it.tried(), 1);
    it.pass(400);
    hurried.work_off().await.expect("works");
    assert_eq!(it.tried(), 2);

    let deaf = Arc::new(Town { is_deaf: true, ..Town::default() });
    let carrier: Arc<dyn Carrier> = Arc::clone(&deaf) as _;
    let ports = Ports { carrier, ..it.sender.0.ports.clone() };
    let dying = SendRemote::new(ports, Settings { haste, ..Settings::default() });
    it.pass(MINUTE);
    it.handle(&it.letter(&["you@b.example"])).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), dying.work_off()).await.is_err());
    it.pass(34_000);
    hurried.work_off().await.expect("works");
    assert_eq!((deaf.handed.lock().len(), it.tried()), (1, 2));
    it.pass(2_000);
    hurried.work_off().await.expect("works");
    assert_eq!(it.tried(), 3);
}

#[tokio::test]
async fn each_parcel_has_an_id_of_its_own() {
    let it = fixture();
    let letter = it.letter(&["you@a.example", "he@a.example", "you@b.example"]);
    it.handle(&letter).await;
    let first = verdict(RemoteOutcome::Deferred, 451, "4.3.0");
    it.town.answers.lock().push_back(first);
    it.work().await;
    it.pass(2 * MINUTE);
    it.work().await;
    let ids = it.town.ids.lock().clone();
    assert_eq!((ids.len(), ids[0] == ids[1], ids[0] == ids[2]), (3, false, true));
    assert!(ids.iter().all(|id| *id != letter.id && id.time() == letter.id.time()));
}

#[tokio::test]
async fn what_follows_from_an_attempt_is_done_though_it_failed_at_first() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    *it.log.1.lock() = 2;
    it.work().await;
    it.work().await;
    assert_eq!((it.tried(), it.attempts(&letter).await.len(), it.reports().await.len()), (1, 0, 0));
    it.pass(MINUTE);
    it.work().await;
    assert_eq!((it.tried(), it.attempts(&letter).await.len(), it.reports().await.len()), (1, 1, 1));
    assert_eq!(it.objects().await, 0);
    it.work().await;
    assert_eq!((it.attempts(&letter).await.len(), it.reports().await.len()), (1, 0));
}

#[tokio::test]
async fn what_was_asked_of_the_way_is_traced_whoever_writes_it() {
    let failure = Some("the server offers no TLS".to_owned());
    let demand = Some(TlsDemand { reason: TlsReason::MtaSts, is_enforced: true, failure });
    let it = with(Town { demand: demand.clone(), ..Town::default() }, None);
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.town.answers.lock().push_back(verdict(RemoteOutcome::Failed, 550, "5.1.1"));
    // What followed from the attempt failed; somebody else reads it from the item.
    *it.log.1.lock() = 1;
    it.work().await;
    it.pass(MINUTE);
    it.work().await;
    let query = LogQuery { tenant: TENANT, kind: LogKind::Trace, from: letter.id, to: letter.id, limit: 9 };
    let records = it.backend.log().query(&query).await.expect("reads");
    let told: Vec<_> = records
        .iter()
        .map(|record| codec::decode::<TraceRecord>(&record.value).expect("whole").demand)
        .collect();
    assert_eq!((told, it.tried()), (vec![demand], 1));
}

#[tokio::test]
async fn what_a_newer_program_has_written_is_left_to_it() {
    let it = fixture();
    it.handle(&it.letter(&["you@a.example"])).await;
    let (control, partition) = (it.backend.control(), format!("{TENANT}/outbound"));
    let (sort, item) = control.query(&partition, "", None, 9).await.expect("read").remove(0);
    let key = ControlKey::new(partition, sort);
    let write = |value: Vec<u8>| {
        let (control, key) = (Arc::clone(&control), key.clone());
        async move { control.put_if(&key, &value, Expected::Any).await.expect("written") }
    };
    let mut newer = item.value.to_vec();
    newer[0] = 99;
    write(newer).await;
    it.work().await;
    it.work().await;
    assert_eq!(it.tried(), 0);
    // As if that program had done something with it.
    write(item.value.to_vec()).await;
    it.work().await;
    assert_eq!(it.tried(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_cut() {
    let failure = Some("\u{fc}".repeat(20_000));
    let demand = Some(TlsDemand { reason: TlsReason::MtaSts, is_enforced: true, failure });
    let it = with(Town { demand, ..Town::default() }, None);
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.work().await;
    let query = LogQuery { tenant: TENANT, kind: LogKind::Trace, from: letter.id, to: letter.id, limit: 9 };
    let records = it.backend.log().query(&query).await.expect("reads");
    let record = codec::decode::<TraceRecord>(&records[0].value).expect("whole");
    assert_eq!(record.demand.and_then(|demand| demand.failure).map(|failure| failure.len()), Some(500));
}

#[tokio::test]
async fn an_event_that_comes_after_its_items_were_forgotten_brings_nothing_a_second_time() {
    let it = fixture();
    let letter = it.letter(&["you@a.example", "you@b.example"]);
    it.handle(&letter).await;
    it.work().await;
    it.pass(9 * 24 * HOUR);
    let removed = it.sender.0.outbox.sweep(TENANT, it.clock.now(), |_| {}).await;
    assert_eq!(removed, Ok(2));
    it.handle(&letter).await;
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (2, 0));
}

#[tokio::test]
async fn what_a_domain_has_keys_for_is_signed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let secrets: Arc<dyn Secrets> = Arc::new(pennypost_sealing::KeyFile::at(dir.path().join("keys")));
    let it = with(Town::default(), Some(Arc::clone(&secrets)));
    let keys = KeyStore::new(it.backend.control());
    let now = it.clock.now();
    let made = keys.add(&*secrets, (TENANT, "t.example"), Algorithm::Ed25519, now).await.expect("a key");
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.work().await;
    let activated = keys.change(TENANT, "t.example", |keys| {
        keys.keys.iter_mut().for_each(|key| key.state = KeyState::Active);
        Ok::<_, SigningError>(())
    });
    activated.await.expect("active");
    let letter = Accepted { id: EventId::from_parts(now, 6), ..letter };
    it.handle(&letter).await;
    it.work().await;
    let handed = it.town.handed.lock().clone();
    assert!(!handed[0].2.contains("DKIM-Signature"), "a key that DNS has not shown signs nothing");
    let selector = format!("s={};", made.selector);
    let signed = &handed[1].2;
    assert!(signed.contains("DKIM-Signature: ") && signed.contains(&selector), "{signed}");
    assert!(signed.contains("d=t.example;") && signed.ends_with(LETTER), "{signed}");
}

#[tokio::test]
async fn bytes_that_delivery_needs_stay_until_it_is_done() {
    let it = fixture();
    let mut letter = it.letter(&["you@a.example"]);
    let Body::Inline(stored) = &letter.body else { panic!("inline") };
    let object = names::spool(TENANT, letter.id);
    it.backend.objects().put_unique(&object, codec::encode(stored).into()).await.expect("put");
    letter.body = Body::Spooled { object, size: stored.size };
    it.handle(&letter).await;
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (1, 1));
    let another = Accepted { id: EventId::from_parts(letter.time, 6), ..letter };
    it.handle(&another).await;
    let step = TraceStep::Delivered {
        accepted: another.time,
        peer: String::new(),
        reverse_path: String::new(),
        subject: String::new(),
        message_id: String::new(),
        size: 1,
        auth: Default::default(),
        recipients: Vec::new(),
    };
    let value = codec::encode(&TraceRecord::new(TENANT, another.id, another.time, step));
    let record =
        LogRecord { tenant: TENANT, kind: LogKind::Trace, id: another.id, time: another.time, value };
    it.backend.log().append(&[record]).await.expect("appended");
    it.work().await;
    assert_eq!((it.tried(), it.objects().await), (2, 0));
}

#[tokio::test]
async fn a_message_whose_bytes_are_gone_fails_and_is_told_of() {
    let it = fixture();
    let letter = it.letter(&["you@a.example"]);
    it.handle(&letter).await;
    it.backend.objects().delete(&names::spool(TENANT, letter.id)).await.expect("deleted");
    it.work().await;
    assert_eq!((it.tried(), it.reports().await.len()), (0, 1));
    assert_eq!(it.attempts(&letter).await[0].recipients[0].answer.status, "5.3.0");
}

#[tokio::test]
async fn addresses_of_any_script_are_reported_as_they_are() {
    let it = fixture();
    let letter = it.letter(&["b\u{fc}ro@a.example"]);
    it.handle(&letter).await;
    let said = "nobody\u{fc}".to_owned();
    let answer = RemoteAnswer { code: Some(550), status: "5.1.1".to_owned(), text: said };
    it.town.answers.lock().push_back((RemoteOutcome::Failed, answer));
    it.work().await;
    let (_, text) = it.reports().await.remove(0);
    for part in [
        "Content-Type: message/global-delivery-status\r\n",
        "Final-Recipient: utf-8; b\u{fc}ro@a.example\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 nobody?\r\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

/// The letter with what its sender wants to hear of.
fn asking(letter: Accepted, wishes: Wishes) -> Accepted {
    let submission = letter.source.kind.submission().expect("a member's").clone();
    let to = ToGroups { submission, groups: Vec::new() };
    let kind = SourceKind::Requested(Box::new(Requested { to, wishes }));
    Accepted { source: Source { kind, ..letter.source.clone() }, ..letter }
}

fn wish(address: &str, (success, failure, delay): (bool, bool, bool)) -> Wish {
    let notify = Some(pennypost_model::event::Notify { success, failure, delay });
    Wish { address: address.to_owned(), notify, original: Some(format!("rfc822;first+{address}")) }
}

#[tokio::test]
async fn senders_hear_of_what_they_asked_for_and_of_nothing_else() {
    let all = ["no@a.example", "yes@a.example", "usual@a.example"];
    let wishes = |full| Wishes {
        full,
        envelope_id: Some("QQ 1".to_owned()),
        recipients: vec![
            wish("no@a.example", (false, false, false)),
            wish("yes@a.example", (true, true, false)),
        ],
    };
    // Of failures those hear who want to; the message comes back as they said.
    for (full, has_body) in [(Some(true), true), (Some(false), false), (None, false)] {
        let answers = Mutex::new([verdict(RemoteOutcome::Failed, 550, "5.1.1")].into());
        let town = Town { answers, ..Town::default() };
        let it = with(town, None);
        it.handle(&asking(it.letter(&all), wishes(full))).await;
        it.work().await;
        let [(_, text)] = &it.reports().await[..] else { panic!("one report") };
        for part in [
            "Original-Envelope-Id: QQ 1\r\nReporting-MTA",
            "Original-Recipient: rfc822; first+yes@a.example\r\nFinal-Recipient: rfc822; yes@a.example\r\nAction: failed",
            "Final-Recipient: rfc822; usual@a.example",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("rfc822; no@a.example"), "{text}");
        assert_eq!(text.contains("Subject: hello\r\n\r\nhello"), has_body, "{text}");
    }
    // A server that tells nothing has it: that is told, once.
    let it = with(Town { is_silent: true, ..Town::default() }, None);
    it.handle(&asking(it.letter(&all), wishes(None))).await;
    it.work().await;
    it.work().await;
    let [(_, text)] = &it.reports().await[..] else { panic!("one report") };
    assert!(text.contains("rfc822; yes@a.example\r\nAction: relayed\r\nStatus: 2.6.0"), "{text}");
    assert!(!text.contains("usual@a.example") && !text.contains("rfc822; no@a.example"), "{text}");
    // One that tells itself: nothing.
    let it = fixture();
    it.handle(&asking(it.letter(&all), wishes(None))).await;
    it.work().await;
    assert_eq!(it.reports().await.len(), 0);
    // Who wants to hear of no delay hears of none.
    let later = || verdict(RemoteOutcome::Deferred, 450, "4.2.0");
    for (delay, reports) in [(false, 0), (true, 1)] {
        let answers = Mutex::new((0..40).map(|_| later()).collect());
        let it = with(Town { answers, ..Town::default() }, None);
        let wishes =
            Wishes { recipients: vec![wish("yes@a.example", (true, true, delay))], ..Wishes::default() };
        it.handle(&asking(it.letter(&["yes@a.example"]), wishes)).await;
        for _ in 0..12 {
            it.work().await;
            it.pass(3_600_000);
        }
        assert_eq!(it.reports().await.len(), reports);
    }
}

#[tokio::test]
async fn a_large_report_that_is_made_again_finds_what_it_has_put_down() {
    let it = fixture();
    let objects = it.backend.objects();
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(b'!'..)).take(400_000).collect();
    let stored = compress(&[b"Subject: hello\r\n\r\n", &noise[..]].concat()).expect("packed");
    let report = Accepted { body: Body::Inline(stored), ..it.letter(&["you@a.example"]) };
    let first = accept::again_for_the_queue(&*objects, report.clone()).await.expect("put down");
    assert!(first.len() < 10_000, "it lies aside");
    assert_eq!(accept::again_for_the_queue(&*objects, report.clone()).await, Ok(first));
    // Of anything else an id that was taken is somebody's.
    let id = report.id;
    let taken = accept::for_the_queue(&*objects, report, id).await;
    assert!(taken.is_err_and(|error| error.is_temporary()));
}
