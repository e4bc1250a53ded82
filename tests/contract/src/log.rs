//! The contract of [`Log`].

use std::sync::Arc;

use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::{Log, LogKind, LogQuery, LogRecord};

use crate::{RACERS, event, ok, race, suite, tenant};

suite!(Log:
    an_empty_log_has_nothing,
    records_come_in_order_of_id_and_time_and_writing,
    bounds_are_inclusive,
    limits_cut_the_end_off,
    tenants_and_kinds_do_not_touch,
    racing_appenders_lose_nothing,
    what_is_appended_unhurried_is_there_when_it_returns,
    expiry_spares_what_is_younger_and_other_kinds,
    what_is_erased_is_gone_and_nothing_else,
);

const KINDS: [LogKind; 3] = [LogKind::Trace, LogKind::Login, LogKind::Audit];
/// Milliseconds: the first moment of the cases.
const START: i64 = 1_795_132_800_000;
const FIRST: EventId = EventId::from_parts(Timestamp(0), 0);
const LAST: EventId = EventId::from_parts(Timestamp((1 << 48) - 1), u128::MAX >> 48);

fn record(tenant: TenantId, kind: LogKind, id: EventId, time: i64, value: &str) -> LogRecord {
    LogRecord { tenant, kind, id, time: Timestamp(time), value: value.as_bytes().to_vec() }
}

async fn everything(log: &Arc<dyn Log>, tenant: TenantId, kind: LogKind) -> Vec<LogRecord> {
    ok(log.query(&LogQuery { tenant, kind, from: FIRST, to: LAST, limit: 100_000 }).await)
}

async fn an_empty_log_has_nothing(log: Arc<dyn Log>) {
    for kind in KINDS {
        assert_eq!(everything(&log, tenant(), kind).await, []);
        ok(log.expire(kind, Timestamp(START)).await);
    }
    ok(log.append(&[]).await);
}

async fn records_come_in_order_of_id_and_time_and_writing(log: Arc<dyn Log>) {
    let tenant = tenant();
    let (first, second) = (event(START), event(START + 1));
    let sent = [
        record(tenant, LogKind::Trace, second, START + 2, "5"),
        record(tenant, LogKind::Trace, first, START + 9, "4"),
        record(tenant, LogKind::Trace, first, START + 3, "1"),
        record(tenant, LogKind::Trace, first, START + 3, "2"),
        record(tenant, LogKind::Trace, second, START + 7, "6"),
    ];
    ok(log.append(&sent).await);
    ok(log.append(&[record(tenant, LogKind::Trace, first, START + 3, "3")]).await);
    let found = everything(&log, tenant, LogKind::Trace).await;
    let values: Vec<&[u8]> = found.iter().map(|record| record.value.as_slice()).collect();
    assert_eq!(values, [b"1", b"2", b"3", b"4", b"5", b"6"]);
    assert_eq!(found[4], sent[0]);
}

async fn what_is_erased_is_gone_and_nothing_else(log: Arc<dyn Log>) {
    let (one, other) = (tenant(), tenant());
    let mut sent = Vec::new();
    for number in 0..120 {
        for (tenant, kind) in [(one, LogKind::Trace), (one, LogKind::Login), (other, LogKind::Trace)] {
            sent.push(record(tenant, kind, event(START + number), START + number, "a record"));
        }
    }
    for part in sent.chunks(30) {
        ok(log.append(part).await);
    }
    let mut erased = 0;
    while let some = ok(log.erase(one, LogKind::Trace, 3).await)
        && some > 0
    {
        erased += some;
        assert!(some <= 3 && erased <= 120, "{some} of {erased}");
    }
    assert!(erased > 0);
    assert_eq!(everything(&log, one, LogKind::Trace).await, []);
    assert_eq!(everything(&log, one, LogKind::Login).await.len(), 120);
    assert_eq!(everything(&log, other, LogKind::Trace).await.len(), 120);
}

async fn bounds_are_inclusive(log: Arc<dyn Log>) {
    let tenant = tenant();
    let ids: Vec<EventId> = (0..5).map(|number| event(START + number)).collect();
    for id in &ids {
        ok(log.append(&[record(tenant, LogKind::Login, *id, START, "x")]).await);
    }
    for from in 0..5 {
        for to in 0..5 {
            let query = LogQuery { tenant, kind: LogKind::Login, from: ids[from], to: ids[to], limit: 10 };
            let found: Vec<EventId> = ok(log.query(&query).await).iter().map(|record| record.id).collect();
            assert_eq!(found, ids.get(from..=to).unwrap_or_default());
        }
    }
}

async fn limits_cut_the_end_off(log: Arc<dyn Log>) {
    let tenant = tenant();
    let records: Vec<LogRecord> = (0..200)
        .map(|number| record(tenant, LogKind::Audit, event(START + number), START, &number.to_string()))
        .collect();
    ok(log.append(&records).await);
    for limit in [0, 1, 31, 100, 200, 201, usize::MAX] {
        let query = LogQuery { tenant, kind: LogKind::Audit, from: FIRST, to: LAST, limit };
        assert_eq!(ok(log.query(&query).await), records[..limit.min(200)]);
    }
}

async fn tenants_and_kinds_do_not_touch(log: Arc<dyn Log>) {
    let (one, other) = (tenant(), tenant());
    let id = event(START);
    let sent = [
        record(one, LogKind::Trace, id, START, "trace"),
        record(one, LogKind::Login, id, START, "login"),
        record(other, LogKind::Trace, id, START, "other"),
    ];
    ok(log.append(&sent).await);
    assert_eq!(everything(&log, one, LogKind::Trace).await, sent[..1]);
    assert_eq!(everything(&log, one, LogKind::Login).await, sent[1..2]);
    assert_eq!(everything(&log, one, LogKind::Audit).await, []);
    assert_eq!(everything(&log, other, LogKind::Trace).await, sent[2..]);
}

async fn racing_appenders_lose_nothing(log: Arc<dyn Log>) {
    let tenant = tenant();
    let id = event(START);
    race(&log, RACERS, |log, racer| async move {
        for number in 0..20 {
            let value = format!("{racer}/{number}");
            ok(log.append(&[record(tenant, LogKind::Trace, id, START, &value)]).await);
        }
    })
    .await;
    let found = everything(&log, tenant, LogKind::Trace).await;
    // A record may be found twice, and none may be missing.
    let mut values: Vec<&[u8]> = found.iter().map(|record| record.value.as_slice()).collect();
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), RACERS * 20);
    for racer in 0..RACERS {
        let prefix = format!("{racer}/");
        let mine: Vec<&LogRecord> =
            found.iter().filter(|record| record.value.starts_with(prefix.as_bytes())).collect();
        let number = |record: &LogRecord| -> Option<u32> {
            std::str::from_utf8(&record.value[prefix.len()..]).ok()?.parse().ok()
        };
        assert!(mine.is_sorted_by_key(|record| number(record)), "order of writing");
    }
}

async fn what_is_appended_unhurried_is_there_when_it_returns(log: Arc<dyn Log>) {
    let tenant = tenant();
    ok(log.append_unhurried(&[]).await);
    let alone = [record(tenant, LogKind::Trace, event(START), START, "alone")];
    ok(log.append_unhurried(&alone).await);
    assert_eq!(everything(&log, tenant, LogKind::Trace).await, alone);
    race(&log, RACERS, |log, racer| async move {
        let time = START + racer as i64;
        let own = [record(tenant, LogKind::Login, event(time), time, "x")];
        // Beside some that are in haste.
        if racer % 2 == 0 {
            ok(log.append_unhurried(&own).await);
        } else {
            ok(log.append(&own).await);
        }
        assert!(everything(&log, tenant, LogKind::Login).await.contains(&own[0]));
    })
    .await;
}

async fn expiry_spares_what_is_younger_and_other_kinds(log: Arc<dyn Log>) {
    let tenants = [tenant(), tenant()];
    let mut young = Vec::new();
    for tenant in tenants {
        for number in 0..1200 {
            let time = START + number;
            for kind in [LogKind::Trace, LogKind::Login] {
                let one = record(tenant, kind, event(time), time, &number.to_string());
                ok(log.append(std::slice::from_ref(&one)).await);
                if kind == LogKind::Login || number >= 1100 {
                    young.push(one);
                }
            }
        }
        // An old message of which something was noted lately.
        let late = record(tenant, LogKind::Trace, event(START), START + 5000, "late");
        ok(log.append(std::slice::from_ref(&late)).await);
        young.push(late);
    }
    ok(log.expire(LogKind::Trace, Timestamp(START + 1100)).await);
    for tenant in tenants {
        let mut found = everything(&log, tenant, LogKind::Trace).await;
        found.extend(everything(&log, tenant, LogKind::Login).await);
        for one in young.iter().filter(|one| one.tenant == tenant) {
            assert!(found.contains(one), "{one:?} is gone");
        }
    }
}
