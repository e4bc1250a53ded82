//! The newest journeys of a tenant that match.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use pennypost_journeys::{Journey, read};
use pennypost_model::{EventId, TenantId, Timestamp};
use pennypost_ports::Log;

use crate::Failed;

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

/// The newest `limit` journeys of a tenant that match and were accepted between `since` and `until`, by id.
/// Goes back day by day, so that a question for the newest does not read everything.
pub(crate) async fn newest(
    log: &dyn Log,
    tenant: TenantId,
    since: Timestamp,
    until: Timestamp,
    matches: &(dyn Fn(&Journey) -> bool + Sync),
    limit: usize,
) -> Result<BTreeMap<EventId, Journey>, Failed> {
    let mut found = BTreeMap::new();
    let mut end = until;
    while end >= since && found.len() < limit {
        let begin = since.max(end.plus_millis(1 - DAY));
        let (from, to) = (EventId::from_parts(begin, 0), EventId::from_parts(end, u128::MAX));
        read(log, tenant, from, to, &mut |journey| {
            if matches(&journey) {
                found.insert(journey.id, journey);
                while found.len() > limit {
                    found.pop_first();
                }
            }
            ControlFlow::Continue(())
        })
        .await?;
        end = begin.plus_millis(-1);
    }
    Ok(found)
}
