//! The roll-up is what was counted, and what a recount of the journals finds.

use std::sync::Arc;

use pennypost_bench::corpus::Size;
use pennypost_model::Seq;
use pennypost_model::event::{Event, House, Stage};
use pennypost_model::journal::Op;
use pennypost_ports::{Consistency, PortError, PortResult};
use pennypost_runtime::Fusing;

use super::super::letters::Letters;
use super::super::scene::Scene;
use super::*;
use crate::backend::Kind;

/// Appends everything twice, as if the first answer had been lost.
struct Stammering(Arc<dyn Log>);

#[async_trait::async_trait]
impl Log for Stammering {
    async fn append(&self, records: &[LogRecord]) -> PortResult<()> {
        self.0.append(records).await?;
        self.0.append(records).await
    }

    async fn query(&self, query: &LogQuery) -> PortResult<Vec<LogRecord>> {
        self.0.query(query).await
    }

    async fn expire(&self, _kind: LogKind, _before: Timestamp) -> PortResult<u64> {
        Err(PortError::Refused { port: "log", cause: "not here".to_owned() })
    }
}

async fn all(scene: &Scene, tenant: TenantId) -> Meter {
    let now = scene.clock.now();
    let today = Timestamp(now.0.div_euclid(DAY_MILLIS) * DAY_MILLIS);
    let days =
        roll_up(&*scene.log, tenant, today.plus_millis(-2 * DAY_MILLIS), today.plus_millis(2 * DAY_MILLIS));
    let mut meter = Meter::default();
    days.await.expect("rolled up").values().for_each(|day| meter.add(day));
    meter
}

#[tokio::test]
async fn the_roll_up_is_what_was_counted_and_what_a_recount_finds() {
    for stammers in [false, true] {
        let mut scene = Scene::new(Kind::Embedded, false).await.expect("a post office");
        if stammers {
            scene.log = Arc::new(Stammering(Arc::clone(&scene.log)));
        }
        let accounts = scene.people(7).await.expect("people");
        let tenant = accounts[0].key.tenant;
        let letters = Letters::of(Size::Octets(4_096));
        let pipeline = scene.pipeline(Fusing::fused());
        let mut counted = Counts::default();
        let mut messages = 0;
        let mut batches: Vec<(Stage, Vec<Event>)> = Vec::new();
        for batch in 0..6_u64 {
            let mut events = Vec::new();
            for number in 0..=batch {
                let to: Vec<_> =
                    accounts.iter().skip((number % 3) as usize).step_by(1 + number as usize).collect();
                events.push(letters.accepted(&scene, batch * 10 + number, &to).expect("letter").0);
                messages += 1;
            }
            // The same events once more: their acknowledgement was lost.
            let again = (batch % 2 == 0).then(|| (Stage::InboundParse, events.clone()));
            batches.push((Stage::InboundParse, events));
            batches.extend(again);
            let house = House::Account(accounts[batch as usize].key);
            batches.push((Stage::Housekeep, vec![Event::House(house)]));
        }
        for (stage, events) in batches {
            let work = pipeline.run(stage, events);
            let before = usage::polled(&[1_000]);
            let (results, used) =
                pipeline.usages().batch(stage, &*scene.log, &*scene.clock, &before, work).await;
            assert!(results.iter().all(Result::is_ok), "{results:?}");
            counted = counted.plus(&used);
        }

        let meter = all(&scene, tenant).await;
        assert_eq!(all(&scene, tenant).await, meter, "twice the same");
        let told = meter.used.plus(&pipeline.usages().carried());
        // What usage records cost themselves is counted with the next ones.
        let own = told.since(&counted);
        assert_eq!(own.used().map(|(unit, _)| unit).collect::<Vec<_>>(), [Unit::LogWrite]);
        assert!(own.milli(Unit::LogWrite) >= 6_000);
        assert_eq!(counted.since(&told), Counts::default(), "nothing is missing");
        assert!(
            meter.used.milli(Unit::JournalWrite) > 20_000 && meter.used.milli(Unit::ObjectWrite) >= 6_000
        );

        let (mut copies, mut bytes) = (0, BTreeMap::new());
        for account in &accounts {
            let entries =
                scene.journal.since(account.key, Seq::ZERO, 1_000, Consistency::Strong).await.expect("read");
            let adds = entries.iter().flat_map(|entry| &entry.ops);
            for add in adds.filter_map(|op| if let Op::Add(add) = op { Some(add) } else { None }) {
                copies += 1;
                bytes.insert(add.event, add.size);
            }
        }
        assert_eq!((meter.messages, meter.deliveries), (messages, copies));
        assert_eq!(meter.bytes, bytes.values().sum::<u64>());
    }
}

#[test]
fn days_are_civil() {
    for good in ["1970-01-01", "2024-02-29", "2026-11-21", "2000-12-31"] {
        assert_eq!(day(good).map(date), Ok(good.to_owned()));
    }
    for wrong in
        ["2026-02-29", "2026-13-01", "2026-1-1", "26-11-21", "2026-11-21T00:00:00Z", "", "+026-11-21"]
    {
        assert!(day(wrong).is_err(), "{wrong}");
    }
}
