//! The end of a schedule: is every invariant kept?

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use pennypost_fold::State;
use pennypost_mailstore::check::Depth;
use pennypost_mailstore::{names, pack};
use pennypost_model::codec;
use pennypost_model::journal::{Entry, Op};
use pennypost_model::message::BlobRef;
use pennypost_model::trace::{Outcome, TraceRecord, TraceStep};
use pennypost_model::{AccountKey, EventId, Seq, TenantId};
use pennypost_policy::SENT_REASON;
use pennypost_ports::{Consistency, LogKind, LogQuery, PortResult};

use crate::stage::{ACCOUNTS, Stage};

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
    for found in [deliveries(&stage).await, remains(&stage).await] {
        broken.extend(found.unwrap_or_else(|error| vec![format!("the stores can't be looked at: {error}")]));
    }
    stage.ledger.lock().broken.extend(broken);
}

/// More than any schedule writes of anything.
const ALL: usize = 100_000;

async fn journal(stage: &Stage, account: AccountKey) -> PortResult<Vec<Entry>> {
    let entries = stage.journal.since(account, Seq::ZERO, ALL, Consistency::Strong).await?;
    let holes = entries.iter().zip(1..).any(|(entry, seq)| entry.seq != Seq(seq));
    if holes {
        stage.broken(format!("the journal of {account} has holes"));
    }
    Ok(entries)
}

/// Every object whose name has `kind` in it.
async fn objects(stage: &Stage, kind: &str) -> PortResult<BTreeMap<String, Bytes>> {
    let mut found = BTreeMap::new();
    for tenant in tenants() {
        for info in stage.objects.list(&format!("{tenant}/"), None, ALL).await? {
            if info.name.contains(kind) {
                let (bytes, _) = stage.objects.get(&info.name).await?;
                found.insert(info.name, bytes);
            }
        }
    }
    Ok(found)
}

fn tenants() -> BTreeSet<TenantId> {
    ACCOUNTS.iter().map(|account| account.tenant).collect()
}

/// Every accepted message is with each of its recipients exactly once, nowhere else, and the trace says so. Of one that
/// may have been accepted it is with all of them or with none.
async fn deliveries(stage: &Stage) -> PortResult<Vec<String>> {
    let mut broken = Vec::new();
    let mut copies: BTreeMap<(EventId, AccountKey), Vec<Seq>> = BTreeMap::new();
    let mut traced: BTreeMap<(EventId, AccountKey), Seq> = BTreeMap::new();
    for account in ACCOUNTS {
        for entry in journal(stage, account).await? {
            for op in &entry.ops {
                if let Op::Add(add) = op {
                    copies.entry((add.event, account)).or_default().push(entry.seq);
                }
            }
        }
    }
    for tenant in tenants() {
        let (from, to) = (EventId::from_bytes([0; 16]), EventId::from_bytes([u8::MAX; 16]));
        let query = LogQuery { tenant, kind: LogKind::Trace, from, to, limit: ALL };
        for record in stage.log.query(&query).await? {
            let Ok(TraceRecord { message, step: TraceStep::Delivered { recipients, .. }, .. }) =
                codec::decode(&record.value)
            else {
                continue;
            };
            for recipient in recipients {
                let is_sent = recipient.reasons.iter().any(|reason| reason == SENT_REASON);
                let copy = if is_sent { message.sent_copy() } else { message };
                if let Outcome::Stored { seq, .. } = recipient.outcome {
                    traced.insert((copy, recipient.account), seq);
                }
            }
        }
    }
    let ledger = stage.ledger.lock();
    let of = |event: &EventId, account| copies.get(&(*event, account)).map(Vec::as_slice).unwrap_or_default();
    let came = |event: &EventId, accounts: &[AccountKey]| {
        accounts.iter().any(|account| !of(event, *account).is_empty())
    };
    let doubtful = ledger.doubtful.iter().filter(|(event, accounts)| came(event, accounts));
    for (event, accounts) in ledger.accepted.iter().chain(doubtful) {
        for account in ACCOUNTS {
            let found = of(event, account);
            let wanted = usize::from(accounts.contains(&account));
            if found.len() != wanted {
                broken.push(format!("{event} is {} times in {account}, not {wanted}", found.len()));
            }
            if traced.get(&(*event, account)) != found.first() {
                broken.push(format!("the trace of {event} in {account} is wrong"));
            }
        }
    }
    Ok(broken)
}

/// Hints alone, without the audit, find everything that a member has deleted: an entry that was once committed and
/// is referred to no more is gone. (Orphans of crashed deliveries and lost hints of crashed housekeeping are the
/// audit's; a schedule without crashes of housekeeping has neither.)
pub async fn judge_collection(stage: Stage) {
    if let Err(error) = dead_packs(&stage).await {
        stage.broken(format!("the stores can't be looked at: {error}"));
    }
}

async fn dead_packs(stage: &Stage) -> PortResult<()> {
    let store = stage.store();
    let mut committed = BTreeSet::new();
    let mut referred = BTreeSet::new();
    for account in ACCOUNTS {
        for op in journal(stage, account).await?.iter().flat_map(|entry| &entry.ops) {
            if let Op::Add(add) = op {
                committed.insert((account.tenant, add.blob.pack, add.blob.entry));
            }
        }
        let Ok(state) = store.replay(account).await else { continue };
        referred.extend(references(&state).map(|blob| (account.tenant, blob.pack, blob.entry)));
    }
    let hints_lost = stage.ledger.lock().housekeeping_died;
    for (name, bytes) in &objects(stage, "/pk/").await? {
        let (Some(id), Ok(toc)) = (names::id_of(name), pack::read_toc(bytes)) else { continue };
        let tenant = name.split('/').next().and_then(|tenant| tenant.parse().ok()).unwrap_or_default();
        let all_once_committed = toc.iter().all(|e| committed.contains(&(tenant, id, e.entry)));
        let any_referred = toc.iter().any(|e| referred.contains(&(tenant, id, e.entry)));
        if all_once_committed && !any_referred && !hints_lost {
            stage.broken(format!("{name} is dead, and its hints have not removed it"));
        }
    }
    Ok(())
}

fn references(state: &State) -> impl Iterator<Item = BlobRef> + '_ {
    let live = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter().map(|row| row.blob));
    live.chain(state.deleted().iter().map(|deleted| deleted.row.blob))
}

/// Unreferenced bytes are gone once they are old enough: each pack has a live or restorable reference, and what
/// is dead in it is not worth a rewrite.
async fn remains(stage: &Stage) -> PortResult<Vec<String>> {
    let store = stage.store();
    let mut broken = Vec::new();
    let mut referred = BTreeSet::new();
    for account in ACCOUNTS {
        let Ok(state) = store.replay(account).await else { continue };
        referred.extend(references(&state).map(|blob| (account.tenant, blob.pack, blob.entry)));
    }
    broken.extend(objects(stage, "/spool/").await?.keys().map(|name| format!("{name} is still spooled")));
    for (name, bytes) in &objects(stage, "/pk/").await? {
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
    Ok(broken)
}
