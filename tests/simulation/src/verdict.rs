//! The end of a schedule: is every invariant kept?

use std::collections::{BTreeMap, BTreeSet};

use pennypost_fold::State;
use pennypost_mailstore::check::Depth;
use pennypost_mailstore::{names, pack};
use pennypost_model::codec;
use pennypost_model::journal::Op;
use pennypost_model::message::BlobRef;
use pennypost_model::trace::{Outcome, TraceRecord, TraceStep};
use pennypost_model::{AccountKey, EventId, Seq};
use pennypost_ports::Consistency;

use crate::actors::{ACCOUNTS, Stage};

/// Checks everything; violations go into the ledger.
pub async fn judge(stage: Stage) {
    let store = stage.store();
    let mut broken = Vec::new();
    for account in ACCOUNTS {
        match store.check(account, Depth::Bytes).await {
            Ok(report) => broken.extend(report.violations.into_iter().map(|v| format!("{v:?}"))),
            Err(error) => broken.push(format!("{account} can't be checked: {error}")),
        }
        let loaded = store.load(account, Consistency::Strong).await;
        let replayed = store.replay(account).await;
        if loaded != replayed {
            broken.push(format!("{account}: base and tail differ from the whole journal"));
        }
    }
    broken.extend(deliveries(&stage));
    broken.extend(remains(&stage).await);
    stage.ledger.lock().broken.extend(broken);
}

/// Every accepted message is with each of its recipients exactly once, nowhere else, and the trace says so.
fn deliveries(stage: &Stage) -> Vec<String> {
    let mut broken = Vec::new();
    let mut copies: BTreeMap<(EventId, AccountKey), Vec<Seq>> = BTreeMap::new();
    let mut traced: BTreeMap<(EventId, AccountKey), Seq> = BTreeMap::new();
    stage.ports.world().with(|durable| {
        for (account, journal) in &durable.journals {
            for entry in journal {
                for op in &entry.ops {
                    if let Op::Add(add) = op {
                        copies.entry((add.event, *account)).or_default().push(entry.seq);
                    }
                }
            }
        }
        for record in &durable.log {
            let Ok(TraceRecord { message, step: TraceStep::Delivered { recipients, .. }, .. }) =
                codec::decode(&record.value)
            else {
                continue;
            };
            for recipient in recipients {
                if let Outcome::Stored { seq, .. } = recipient.outcome {
                    traced.insert((message, recipient.account), seq);
                }
            }
        }
    });
    for (event, accounts) in &stage.ledger.lock().accepted {
        for account in ACCOUNTS {
            let found = copies.get(&(*event, account)).map(Vec::as_slice).unwrap_or_default();
            let wanted = usize::from(accounts.contains(&account));
            if found.len() != wanted {
                broken.push(format!("{event} is {} times in {account}, not {wanted}", found.len()));
            }
            if traced.get(&(*event, account)) != found.first() {
                broken.push(format!("the trace of {event} in {account} is wrong"));
            }
        }
    }
    broken
}

/// Hints alone, without the audit, find everything that a member has deleted: an entry that was once committed and
/// is referred to no more is gone. (Orphans of crashed deliveries and lost hints of crashed housekeeping are the
/// audit's; a schedule without crashes of housekeeping has neither.)
pub async fn judge_collection(stage: Stage) {
    let store = stage.store();
    let mut committed = BTreeSet::new();
    let mut referred = BTreeSet::new();
    for account in ACCOUNTS {
        let journal = stage.ports.world().with(|durable| durable.journals.get(&account).cloned());
        for op in journal.iter().flatten().flat_map(|entry| &entry.ops) {
            if let Op::Add(add) = op {
                committed.insert((account.tenant, add.blob.pack, add.blob.entry));
            }
        }
        let Ok(state) = store.replay(account).await else { continue };
        referred.extend(references(&state).map(|blob| (account.tenant, blob.pack, blob.entry)));
    }
    let hints_lost = stage.ports.world().with(|durable| durable.housekeeping_died);
    let packs = stage.ports.world().with(|durable| durable.objects.clone());
    for (name, (bytes, _)) in packs.iter().filter(|(name, _)| name.contains("/pk/")) {
        let (Some(id), Ok(toc)) = (names::id_of(name), pack::read_toc(bytes)) else { continue };
        let tenant = name.split('/').next().and_then(|tenant| tenant.parse().ok()).unwrap_or_default();
        let all_once_committed = toc.iter().all(|e| committed.contains(&(tenant, id, e.entry)));
        let any_referred = toc.iter().any(|e| referred.contains(&(tenant, id, e.entry)));
        if all_once_committed && !any_referred && !hints_lost {
            stage.ledger.lock().broken.push(format!("{name} is dead, and its hints have not removed it"));
        }
    }
}

fn references(state: &State) -> impl Iterator<Item = BlobRef> + '_ {
    let live = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter().map(|row| row.blob));
    live.chain(state.deleted().iter().map(|deleted| deleted.row.blob))
}

/// Unreferenced bytes are gone once they are old enough: each pack has a live or restorable reference, and what
/// is dead in it is not worth a rewrite.
async fn remains(stage: &Stage) -> Vec<String> {
    let store = stage.store();
    let mut broken = Vec::new();
    let mut referred = BTreeSet::new();
    for account in ACCOUNTS {
        let Ok(state) = store.replay(account).await else { continue };
        referred.extend(references(&state).map(|blob| (account.tenant, blob.pack, blob.entry)));
    }
    let packs = stage.ports.world().with(|durable| durable.objects.clone());
    if let Some(name) = packs.keys().find(|name| name.contains("/spool/")) {
        broken.push(format!("{name} is still spooled"));
    }
    for (name, (bytes, _)) in packs.iter().filter(|(name, _)| name.contains("/pk/")) {
        let (Some(id), Ok(toc)) = (names::id_of(name), pack::read_toc(bytes)) else {
            broken.push(format!("{name} is no pack"));
            continue;
        };
        let tenant = name.split('/').next().and_then(|tenant| tenant.parse().ok()).unwrap_or_default();
        let alive = toc.iter().filter(|e| referred.contains(&(tenant, id, e.entry))).count();
        let dead = toc.iter().filter(|e| !referred.contains(&(tenant, id, e.entry)));
        let dead_bytes: u64 = dead.map(|entry| u64::from(entry.len)).sum();
        if alive == 0 || dead_bytes >= 20 * 1024 {
            broken.push(format!("{name} still holds {dead_bytes} dead bytes ({alive} entries alive)"));
        }
    }
    broken
}
