use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_model::event::Verdict;
use pennypost_model::trace::{
    Attempt, CameBack, Outcome, RemoteAnswer, RemoteOutcome, RemoteRecipient, Submitter, TraceRecipient,
    TraceRecord, TraceStep,
};
use pennypost_model::{AccountId, AccountKey, Rid, Seq, Uid, codec};
use proptest::prelude::*;

use super::*;
use crate::{Counted, Counts, count_day, day_of};

const TENANT: TenantId = TenantId(7);
const DAY: i64 = crate::DAY_MILLIS;

/// A log in memory that tells how much was read.
#[derive(Default)]
struct Memory {
    records: Mutex<Vec<LogRecord>>,
    read: Mutex<usize>,
}

#[async_trait]
impl Log for Memory {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.records.lock().extend_from_slice(records);
        Ok(())
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        let is_wanted = |record: &&LogRecord| {
            record.tenant == query.tenant
                && record.kind == query.kind
                && (query.from..=query.to).contains(&record.id)
        };
        let mut found: Vec<LogRecord> = self.records.lock().iter().filter(is_wanted).cloned().collect();
        found.sort_by_key(|record| (record.id, record.time));
        found.truncate(query.limit);
        *self.read.lock() += found.len();
        Ok(found)
    }

    async fn expire(&self, _: LogKind, _: Timestamp) -> PortResult<u64> {
        Ok(0)
    }
}

fn traced(id: EventId, time: i64, step: TraceStep) -> LogRecord {
    written(id, &TraceRecord::new(TENANT, id, Timestamp(time), step))
}

fn written(id: EventId, record: &TraceRecord) -> LogRecord {
    let time = record.time.0;
    let value = codec::encode(record);
    LogRecord { tenant: TENANT, kind: LogKind::Trace, id, time: Timestamp(time), value }
}

fn recipient(account: u64, is_stored: bool) -> TraceRecipient {
    let stored = Outcome::Stored { seq: Seq(1), uid: Uid(1), rid: Rid(1), mailbox: "inbox".to_owned() };
    let refused = Outcome::Refused { cause: "full".to_owned() };
    TraceRecipient {
        account: AccountKey { tenant: TENANT, account: AccountId(account) },
        address: format!("a{account}@D{}.example", account % 2),
        reasons: Vec::new(),
        outcome: if is_stored { stored } else { refused },
    }
}

fn delivered(size: u64, recipients: Vec<TraceRecipient>) -> TraceStep {
    TraceStep::Delivered {
        accepted: Timestamp(0),
        peer: String::new(),
        reverse_path: "x@elsewhere.example".to_owned(),
        subject: String::new(),
        message_id: String::new(),
        size,
        auth: [Verdict::None; 3],
        recipients,
    }
}

/// The same, handed in by a member, who has a copy in Sent.
fn submitted(id: EventId, time: i64, account: u64, mut step: TraceStep) -> LogRecord {
    let mut copy = recipient(account, true);
    copy.reasons.push(pennypost_policy::SENT_REASON.to_owned());
    let (account, address) = (copy.account, copy.address.clone());
    let TraceStep::Delivered { recipients, .. } = &mut step else { panic!("{step:?}") };
    recipients.push(copy);
    let submitter = Some(Submitter { account, address, protocol: "ESMTPSA".to_owned() });
    written(id, &TraceRecord { submitter, ..TraceRecord::new(TENANT, id, Timestamp(time), step) })
}

async fn ids_backwards(log: &Memory, begin: i64, end: i64) -> Vec<EventId> {
    let mut backwards = Backwards::new(log, TENANT, Timestamp(begin), Timestamp(end));
    let mut found = Vec::new();
    while let Some(window) = backwards.next().await.expect("reads") {
        found.extend(window.into_iter().map(|journey| journey.id));
        let below = backwards.position();
        assert!(below.is_none_or(|below| found.iter().all(|id| *id >= below)));
    }
    found
}

fn came_back(id: EventId, time: i64, address: &str) -> LogRecord {
    let answer = RemoteAnswer { text: format!("back at {time}"), ..RemoteAnswer::default() };
    let (address, reporter) = (address.to_owned(), "mx.other.example".to_owned());
    traced(id, time, TraceStep::CameBack(CameBack { address, answer, reporter, report: id }))
}

#[tokio::test]
async fn the_newest_come_first_however_dense_they_are() {
    let log = Memory::default();
    let mut ids = BTreeSet::new();
    // Sparse for months, then thousands in a minute, of which many in one millisecond, then nothing for a week.
    let times = (0..100).map(|n| n * DAY).chain((0..6_000).map(|n| 100 * DAY + n / 100)).chain([107 * DAY]);
    for (number, time) in times.enumerate() {
        let id = EventId::from_parts(Timestamp(time), number as u128);
        ids.insert(id);
        log.append(&[traced(id, time, delivered(1, Vec::new()))]).await.expect("appends");
    }
    let all: Vec<EventId> = ids.iter().rev().copied().collect();
    assert_eq!(ids_backwards(&log, 0, 200 * DAY).await, all);
    let within: Vec<EventId> =
        all.iter().copied().filter(|id| (50 * DAY..=100 * DAY + 7).contains(&id.time().0)).collect();
    assert_eq!(ids_backwards(&log, 50 * DAY, 100 * DAY + 7).await, within);
    assert_eq!(ids_backwards(&log, 1, 0).await, []);
    // The newest page is had without reading everything.
    *log.read.lock() = 0;
    let mut backwards = Backwards::new(&log, TENANT, Timestamp(0), Timestamp(107 * DAY));
    while backwards.next().await.expect("reads").is_some_and(|window| window.is_empty()) {}
    assert!(*log.read.lock() < 10, "{}", log.read.lock());
    // Forwards all of them, each once, too: pages end between letters.
    let mut forwards = Vec::new();
    read(&log, TENANT, all[all.len() - 1], all[0], &mut |journey| {
        forwards.push(journey.id);
        ControlFlow::Continue(())
    })
    .await
    .expect("reads");
    assert_eq!(forwards, ids.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_letter_with_more_records_than_a_page_is_one_letter() {
    let log = Memory::default();
    let id = EventId::from_parts(Timestamp(5), 5);
    for time in 0..(PAGE as i64 + 7) {
        let step = delivered(10, vec![recipient(1, time == 9)]);
        log.append(&[traced(id, time, step)]).await.expect("appends");
    }
    let counted = count_day(&log, TENANT, 0, 1).await.expect("counts").expect("one letter");
    assert_eq!((counted.letters, counted.total.received, counted.total.received_bytes), (1, 1, 10));
    let found = journey(&log, TENANT, id).await.expect("reads").expect("there");
    assert!(matches!(found.delivery.expect("delivered").recipients[..], [TraceRecipient { .. }]));
    assert_eq!(journey(&log, TENANT, EventId::from_parts(Timestamp(5), 6)).await, Ok(None));
    log.append(&[traced(EventId::from_parts(Timestamp(6), 0), 0, delivered(1, Vec::new()))])
        .await
        .expect("appends");
    assert_eq!(count_day(&log, TENANT, 0, 1).await, Ok(None), "more than it was to count");
}

/// A letter: when it was accepted, its bytes, who got it (and who was refused at first), who sent it.
type Letter = (i64, u64, Vec<(u64, bool)>, Option<u64>);

fn letters() -> impl Strategy<Value = Vec<Letter>> {
    let recipients = prop::collection::btree_map(1..6_u64, any::<bool>(), 0..4);
    let recipients = recipients.prop_map(|some| some.into_iter().collect::<Vec<_>>());
    prop::collection::vec((0..3 * DAY, 1..1_000_u64, recipients, prop::option::of(1..6_u64)), 0..30)
}

proptest! {
    /// Whatever stands twice, comes late or in another order: the counts are those of a recount of the letters.
    #[test]
    fn counts_are_those_of_the_letters(letters in letters(), seed in any::<u64>()) {
        let log = Memory::default();
        let (mut records, mut expected) = (Vec::new(), BTreeMap::<i64, Counted>::new());
        for (number, (time, size, recipients, sender)) in letters.iter().enumerate() {
            let id = EventId::from_parts(Timestamp(*time), number as u128);
            let counted = expected.entry(day_of(Timestamp(*time))).or_default();
            counted.letters += u64::from(!recipients.is_empty() || sender.is_some());
            let mut count = |account: u64, counts: Counts| {
                counted.total += counts;
                *counted.domains.entry(format!("d{}.example", account % 2)).or_default() += counts;
                *counted.members.entry(AccountId(account)).or_default() += counts;
            };
            for (account, _) in recipients {
                count(*account, Counts { received: 1, received_bytes: *size, ..Counts::default() });
            }
            // What nobody got was not sent.
            if let (Some(sender), false) = (sender, recipients.is_empty()) {
                count(*sender, Counts { sent: 1, sent_bytes: *size, ..Counts::default() });
            }
            if !recipients.is_empty() || sender.is_some() {
                let first = recipients.iter().map(|(account, at_once)| recipient(*account, *at_once)).collect();
                let last = recipients.iter().map(|(account, _)| recipient(*account, true)).collect();
                for (time, recipients) in [(*time, first), (*time + 40 * DAY, last)] {
                    let step = delivered(*size, recipients);
                    records.push(match sender {
                        Some(sender) => submitted(id, time, *sender, step),
                        None => traced(id, time, step),
                    });
                }
            }
        }
        let mut random = seed;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 33
        };
        let repeated: Vec<LogRecord> = records.iter().filter(|_| next() % 3 == 0).cloned().collect();
        records.extend(repeated);
        records.sort_by_cached_key(|_| next());
        log.records.lock().extend(records);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for day in 0..4 {
            let counted = runtime.block_on(count_day(&log, TENANT, day, u64::MAX)).expect("counts");
            prop_assert_eq!(counted, Some(expected.remove(&day).unwrap_or_default()));
        }
    }
}

#[test]
fn recipients_elsewhere_have_the_end_that_they_came_to_in_whatever_order_it_is_read() {
    let id = EventId::from_parts(Timestamp(5), 1);
    let attempt = |number: u32, outcomes: &[(&str, RemoteOutcome)]| {
        let recipient = |(address, outcome): &(&str, RemoteOutcome)| RemoteRecipient {
            address: (*address).to_owned(),
            outcome: *outcome,
            answer: RemoteAnswer { text: format!("answer {number}"), ..RemoteAnswer::default() },
        };
        let attempt = Attempt {
            destination: "other.example".to_owned(),
            number,
            host: String::new(),
            tls: None,
            recipients: outcomes.iter().map(recipient).collect(),
            next: None,
            reported: None,
        };
        traced(id, i64::from(number), TraceStep::Attempted(attempt))
    };
    let outside = TraceRecipient {
        address: "a@other.example".to_owned(),
        outcome: Outcome::Outside,
        ..recipient(1, true)
    };
    let mut records = vec![
        submitted(id, 0, 1, delivered(10, vec![outside])),
        attempt(
            1,
            &[("a@other.example", RemoteOutcome::Deferred), ("b@other.example", RemoteOutcome::Failed)],
        ),
        attempt(3, &[("a@other.example", RemoteOutcome::Sent)]),
        attempt(3, &[("a@other.example", RemoteOutcome::Sent)]),
        attempt(2, &[("c@other.example", RemoteOutcome::Deferred)]),
        attempt(4, &[("e@other.example", RemoteOutcome::Sent)]),
        // Reported twice, and of whom it means nothing.
        came_back(id, 9, "e@other.example"),
        came_back(id, 8, "e@other.example"),
        came_back(id, 8, "b@other.example"),
        came_back(id, 8, "c@other.example"),
        came_back(id, 8, "d@other.example"),
    ];
    for turn in 0..records.len() {
        records.rotate_left(1);
        let journey = Journey::of(TENANT, id, &records);
        assert_eq!(journey.attempts.len(), 4, "{turn}");
        let found =
            |address| journey.remote(address).map(|remote| (remote.outcome, remote.answer.text.as_str()));
        assert_eq!(found("a@other.example"), Some((RemoteOutcome::Sent, "answer 3")));
        assert_eq!(found("b@other.example"), Some((RemoteOutcome::Failed, "answer 1")));
        assert_eq!(found("c@other.example"), Some((RemoteOutcome::Deferred, "answer 2")));
        assert_eq!(found("d@other.example"), None);
        assert_eq!(found("e@other.example"), Some((RemoteOutcome::Failed, "back at 8")));
        let remote = journey.remote("e@other.example").expect("tried");
        assert_eq!((remote.time, remote.attempt.number), (Timestamp(8), 4));
        assert_eq!(remote.came_back.map(|back| back.reporter.as_str()), Some("mx.other.example"));
        // It was sent once, and nobody here has received it.
        let mut counted = Counted::default();
        counted.take(&journey);
        assert_eq!((counted.total.sent, counted.total.received), (1, 0));
    }
}
