//! Statistics of mail: counted once, however often, in whatever order, by however many, and wherever it is cut short.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::memory::{Death, House, Memory};
use async_trait::async_trait;
use parking_lot::Mutex;
use pennypost_admin::{Administration, Call, Counts, MailboxUse, MemberOrder, Period, UsedBytes, Worked};
use pennypost_directory::Plan;
use pennypost_model::event::Verdict;
use pennypost_model::trace::{Outcome, TraceRecipient, TraceRecord, TraceStep};
use pennypost_model::{AccountId, AccountKey, EventId, Rid, Seq, TenantId, Timestamp, Uid, codec};
use pennypost_ports::{Control, Log, LogKind, LogQuery, LogRecord, PortResult, RandomIds};

const OPERATOR: Call = Call::of_operator();
const DAY: i64 = 86_400_000;
const FOR_EVER: Timestamp = Timestamp(i64::MAX);

#[derive(Default)]
struct Traces(Mutex<Vec<LogRecord>>);

#[async_trait]
impl Log for Traces {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.0.lock().extend_from_slice(records);
        Ok(())
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        let is_wanted = |record: &&LogRecord| {
            record.tenant == query.tenant
                && record.kind == query.kind
                && (query.from..=query.to).contains(&record.id)
        };
        let mut found: Vec<LogRecord> = self.0.lock().iter().filter(is_wanted).cloned().collect();
        found.sort_by_key(|record| (record.id, record.time));
        found.truncate(query.limit);
        Ok(found)
    }

    async fn expire(&self, _: LogKind, before: Timestamp) -> PortResult<u64> {
        self.0.lock().retain(|record| record.time >= before);
        Ok(0)
    }
}

struct Bench {
    house: House,
    traces: Arc<Traces>,
    tenant: TenantId,
    it: Administration,
    /// The beginning of the day before this one.
    yesterday: i64,
}

impl Bench {
    async fn open() -> Bench {
        let (house, tenant) = House::with_acme().await;
        let traces: Arc<Traces> = Arc::default();
        let it = process(&house, &traces, Memory::new(&house.disk));
        let yesterday = house.clock_now().div_euclid(DAY) * DAY - DAY;
        Bench { house, traces, tenant, it, yesterday }
    }

    fn process(&self, memory: Memory) -> Administration {
        process(&self.house, &self.traces, memory)
    }

    /// A letter that was accepted at a time, for accounts; as many records of it as wished.
    async fn letter(&self, time: i64, number: u128, to: &[u64], records: usize) {
        let id = EventId::from_parts(Timestamp(time), number);
        let recipient = |account: &u64| TraceRecipient {
            account: AccountKey { tenant: self.tenant, account: AccountId(*account) },
            address: format!("a{account}@acme.example"),
            reasons: Vec::new(),
            outcome: Outcome::Stored { seq: Seq(1), uid: Uid(1), rid: Rid(1), mailbox: "inbox".to_owned() },
        };
        let step = TraceStep::Delivered {
            accepted: Timestamp(time),
            peer: String::new(),
            reverse_path: "x@elsewhere.example".to_owned(),
            subject: String::new(),
            message_id: String::new(),
            size: 100,
            auth: [Verdict::None; 3],
            recipients: to.iter().map(recipient).collect(),
        };
        let value = codec::encode(&TraceRecord::new(self.tenant, id, Timestamp(time), step));
        let record =
            LogRecord { tenant: self.tenant, kind: LogKind::Trace, id, time: Timestamp(time), value };
        self.traces.append(&vec![record; records]).await.expect("appends");
    }

    fn period(&self, days: i64) -> Period {
        let until = self.house.clock_now().div_euclid(DAY) * DAY + DAY;
        Period { from: Timestamp(until - days * DAY), until: Timestamp(until) }
    }

    /// Received on each day, the oldest first; `None`: not counted.
    async fn received(&self, days: i64) -> Vec<Option<u64>> {
        let counted = self.it.mail_statistics(&OPERATOR, self.tenant, &self.period(days), None).await;
        counted.expect("counted").iter().map(|day| day.counted.map(|_| day.counts.received)).collect()
    }

    async fn members(&self, days: i64) -> BTreeMap<u64, Counts> {
        let period = self.period(days);
        let order = MemberOrder::Received;
        let found = self.it.member_statistics(&OPERATOR, self.tenant, &period, order, (0, 1_000)).await;
        found.expect("counted").0.into_iter().map(|member| (member.id.0, member.counts)).collect()
    }

    /// Items of statistics, as they lie.
    fn items(&self, about: &str) -> Vec<String> {
        let keys = self.house.disk.keys();
        let prefix = format!("{}/{about}", self.tenant);
        keys.into_iter().filter(|key| key.partition == prefix).map(|key| key.sort).collect()
    }

    async fn roll_up(&self) {
        assert_eq!(self.it.roll_up(self.tenant, FOR_EVER).await, Ok(Worked::Over));
    }
}

fn process(house: &House, traces: &Arc<Traces>, memory: Memory) -> Administration {
    let control: Arc<dyn Control> = Arc::new(memory);
    let (clock, ids) = (Arc::clone(&house.clock), Arc::new(RandomIds));
    let directory = pennypost_directory::Directory::new(
        Arc::clone(&control),
        Arc::clone(&clock) as _,
        Arc::clone(&ids) as _,
    );
    Administration::new(directory, control, clock, ids).reading(Arc::clone(traces) as _)
}

fn received(letters: u64) -> Counts {
    Counts { received: letters, received_bytes: letters * 100, sent: 0, sent_bytes: 0 }
}

#[tokio::test]
async fn days_are_counted_once_and_again_for_what_comes_late() {
    let bench = Bench::open().await;
    bench.roll_up().await;
    assert_eq!(bench.items("mail-days"), [""; 0], "there is nothing to be counted");
    // Records stand twice and three times, and in no order.
    bench.letter(bench.yesterday + 5, 2, &[1, 2], 3).await;
    bench.letter(bench.yesterday + 4, 1, &[1], 1).await;
    bench.letter(bench.yesterday - 1, 3, &[2], 2).await;
    bench.letter(bench.yesterday + DAY, 4, &[3], 2).await;
    assert_eq!(bench.received(4).await, [None, Some(1), Some(3), Some(1)], "the last days at once");
    for _ in 0..3 {
        bench.roll_up().await;
        assert_eq!(bench.received(4).await, [None, Some(1), Some(3), Some(1)]);
        assert_eq!(bench.items("mail-days").len(), 2);
    }
    assert_eq!(bench.members(2).await, [(1, received(2)), (2, received(1)), (3, received(1))].into());

    // One that was delivered late is counted at the next turn, and not before.
    bench.letter(bench.yesterday + 6, 9, &[1], 2).await;
    bench.roll_up().await;
    assert_eq!(bench.received(2).await[0], Some(3));
    bench.house.clock.advance(DAY);
    bench.roll_up().await;
    assert_eq!(bench.received(3).await, [Some(4), Some(1), Some(0)]);
    assert_eq!(bench.members(3).await[&1], received(3));
    assert_eq!(bench.items("mail-day-members").len(), 3, "those that were replaced are gone");
    // Nothing is counted twice, and nothing is forgotten, after weeks of turns.
    for _ in 0..20 {
        bench.house.clock.advance(DAY);
        bench.roll_up().await;
    }
    let days = bench.received(24).await;
    assert_eq!(days.iter().flatten().sum::<u64>(), 6);
    assert_eq!(days.len(), 24);
    assert_eq!(bench.members(24).await, [(1, received(3)), (2, received(2)), (3, received(1))].into());
}

#[tokio::test]
async fn wherever_a_count_is_cut_short_the_next_one_is_right() {
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..12 {
            let bench = Bench::open().await;
            for number in 0..30 {
                let day = bench.yesterday - i64::try_from(number % 3).expect("small") * DAY;
                bench.letter(day + 7, number, &[1, 2], 2).await;
            }
            let dying = bench.process(Memory::dying(&bench.house.disk, writes, death));
            let cut_short = dying.roll_up(bench.tenant, FOR_EVER).await;
            // Whatever is told of a day meanwhile is all of it.
            for counted in bench.received(4).await.into_iter().flatten() {
                assert!([0, 20].contains(&counted), "{counted}");
            }
            bench.roll_up().await;
            assert_eq!(
                bench.received(4).await,
                [Some(20), Some(20), Some(20), Some(0)],
                "{death:?} {writes}"
            );
            assert_eq!(bench.members(4).await, [(1, received(30)), (2, received(30))].into());
            // What the dead have left goes when the days are counted again.
            bench.letter(bench.yesterday, 99, &[1], 1).await;
            bench.letter(bench.yesterday - DAY, 99, &[1], 1).await;
            bench.letter(bench.yesterday - 2 * DAY, 99, &[1], 1).await;
            bench.house.clock.advance(4 * DAY);
            bench.roll_up().await;
            let sheets = bench.items("mail-day-members");
            let kept = sheets.iter().filter(|sort| !sort.is_empty()).count();
            assert_eq!(kept, 3, "{sheets:?} after {cut_short:?}");
            assert_eq!(bench.members(10).await, [(1, received(33)), (2, received(30))].into());
        }
    }
}

#[tokio::test]
async fn two_at_once_come_to_the_same() {
    for _ in 0..5 {
        let bench = Bench::open().await;
        for number in 0..50 {
            bench.letter(bench.yesterday + 7, number, &[1], 2).await;
        }
        let others: Vec<Administration> =
            (0..4).map(|_| bench.process(Memory::new(&bench.house.disk))).collect();
        let counts = others.iter().map(|other| other.roll_up(bench.tenant, FOR_EVER));
        for done in futures::future::join_all(counts).await {
            assert_eq!(done, Ok(Worked::Over));
        }
        assert_eq!(bench.received(2).await, [Some(50), Some(0)]);
        assert_eq!(bench.members(2).await, [(1, received(50))].into());
    }
}

#[tokio::test]
async fn what_was_counted_stays_when_traces_have_gone() {
    let bench = Bench::open().await;
    bench.letter(bench.yesterday, 1, &[1], 1).await;
    bench.letter(bench.yesterday - DAY, 1, &[1], 1).await;
    bench.roll_up().await;
    bench.house.clock.advance(3 * DAY);
    bench.traces.expire(LogKind::Trace, Timestamp(bench.house.clock_now())).await.expect("expires");
    // One that is older is still there: it is these days' turn.
    bench.letter(bench.yesterday - 3 * DAY, 2, &[1], 1).await;
    bench.roll_up().await;
    assert_eq!(bench.received(6).await[..2], [Some(1), Some(1)]);
}

#[tokio::test]
async fn days_whose_turns_are_over_are_counted_when_it_is_asked_for() {
    let bench = Bench::open().await;
    bench.letter(bench.yesterday, 1, &[1, 2], 1).await;
    bench.house.clock.advance(30 * DAY);
    bench.roll_up().await;
    bench.letter(bench.yesterday, 2, &[2], 1).await;
    bench.roll_up().await;
    assert_eq!(bench.members(40).await, [(1, received(1)), (2, received(1))].into());
    for _ in 0..2 {
        bench.it.count_again(bench.tenant, Timestamp(bench.yesterday)).await.expect("counted");
        assert_eq!(bench.members(40).await, [(1, received(1)), (2, received(2))].into());
        assert_eq!(bench.items("mail-day-members").len(), 1);
    }
}

#[tokio::test]
async fn each_step_ends_when_its_time_is_over() {
    let bench = Bench::open().await;
    for days in 0..3 {
        bench.letter(bench.yesterday - days * DAY, 1, &[1], 1).await;
    }
    let now = Timestamp(bench.house.clock_now());
    for left in [2, 1, 0] {
        assert_eq!(bench.it.roll_up(bench.tenant, now).await, Ok(Worked::More));
        assert_eq!(bench.items("mail-days").len(), 3 - left);
    }
    assert_eq!(bench.it.roll_up(bench.tenant, now).await, Ok(Worked::Over));
}

#[tokio::test]
async fn days_are_shown_as_long_as_the_plan_says_and_kept_for_180() {
    let bench = Bench::open().await;
    for days in 0..200 {
        bench.letter(bench.yesterday - days * DAY, 1, &[1], 1).await;
    }
    bench.roll_up().await;
    assert_eq!(bench.items("mail-days").len(), 180);
    let of = async |from: i64, until: i64| {
        let today = bench.house.clock_now().div_euclid(DAY) * DAY;
        let period = Period { from: Timestamp(today - from * DAY), until: Timestamp(today - until * DAY) };
        bench.it.mail_statistics(&OPERATOR, bench.tenant, &period, None).await.expect("counted").len()
    };
    assert_eq!((of(182, 92).await, of(91, 0).await, of(300, 250).await), (87, 91, 0));
    let basic = Plan::basic();
    bench.it.change_plan(&OPERATOR, bench.tenant, None, &basic).await.expect("given");
    assert_eq!((of(182, 92).await, of(91, 0).await), (0, 89));
    bench.it.change_plan(&OPERATOR, bench.tenant, Some(&basic), &Plan::pro()).await.expect("given");
    assert_eq!(of(182, 92).await, 87, "it was kept");
    bench.it.mail_statistics(&OPERATOR, bench.tenant, &bench.period(93), None).await.expect_err("too many");

    bench.house.clock.advance(100 * DAY);
    bench.roll_up().await;
    let days = bench.items("mail-days");
    assert!(days.len() <= 181, "{}", days.len());
    assert!(bench.items("mail-day-members").iter().all(|sort| days.contains(&sort[..8].to_owned())));
}

#[tokio::test]
async fn mailboxes_are_told_as_they_were_seen_last() {
    let bench = Bench::open().await;
    let shown = async |bench: &Bench| -> Vec<(u64, u64)> {
        let (mailboxes, _) = bench.it.mailbox_use(&OPERATOR, bench.tenant, (0, 100)).await.expect("told");
        mailboxes.into_iter().map(|MailboxUse { id, used, .. }| (id.0, used.bytes)).collect()
    };
    assert_eq!(shown(&bench).await, []);
    let used = |bytes: u64| UsedBytes { bytes, messages: bytes / 10 };
    let keep = async |rows: &[(u64, u64)], at: i64| {
        let rows: Vec<_> = rows.iter().map(|(id, bytes)| (AccountId(*id), used(*bytes))).collect();
        bench.it.keep_mailbox_use(bench.tenant, Timestamp(at), &rows).await.expect("kept");
    };
    let now = bench.house.clock_now();
    let many: Vec<(u64, u64)> = (1..=12_000).map(|id| (id, id * 10)).collect();
    keep(&many, now).await;
    assert_eq!(bench.items("mailbox-use").len(), 3);
    keep(&[(1, 1)], now - 1).await;
    assert_eq!(
        shown(&bench).await[..2],
        [(12_000, 120_000), (11_999, 119_990)],
        "an older look changes nothing"
    );
    let (page, next) = bench.it.mailbox_use(&OPERATOR, bench.tenant, (2, 2)).await.expect("told");
    assert_eq!((page[0].id, page.len(), next), (AccountId(11_998), 2, Some(4)));
    keep(&[(1, 10), (2, 30), (3, 30)], now + 5).await;
    assert_eq!(shown(&bench).await, [(2, 30), (3, 30), (1, 10)]);
    keep(&[(1, 50)], now + DAY).await;
    assert_eq!(shown(&bench).await, [(1, 50)]);
    assert_eq!((bench.items("mailbox-use").len(), bench.items("mailbox-use-days").len()), (1, 2));

    // Cut short wherever it may be: either what was there or what came, all of it.
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..6 {
            let before = shown(&bench).await;
            let dying = bench.process(Memory::dying(&bench.house.disk, writes, death));
            bench.house.clock.advance(60_000);
            let now = bench.house.clock_now() + DAY;
            let _ = dying.keep_mailbox_use(bench.tenant, Timestamp(now), &[(AccountId(9), used(7))]).await;
            let after = shown(&bench).await;
            assert!(after == before || after == [(9, 7)], "{before:?} {after:?}");
            keep(&[(1, 50)], now + 1).await;
            assert_eq!(shown(&bench).await, [(1, 50)]);
        }
    }
}
