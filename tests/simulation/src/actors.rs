//! What members and housekeeping do, on whatever ports.

use std::collections::BTreeMap;
use std::sync::Arc;

use pennypost_deliver::{Deliver, Memory};
use pennypost_fold::{DraftError, Mailbox, State, diff};
use pennypost_housekeep::{Housekeep, Index, Settings};
use pennypost_mailstore::{ChangeError, Incoming, LiveAccount, Mailroom, StoreError};
use pennypost_model::journal::{Actor, DeleteReason, Protocol};
use pennypost_model::{
    AccountId, AccountKey, EventId, FlagSet, Grantee, Keyword, MailboxId, Rights, SpecialUses, SystemFlags,
    TenantId, UidSet,
};
use pennypost_ports::{Consistency, PortError};
use rand::Rng;

use crate::stage::{ACCOUNTS, MIN_AGE_MINUTES, RESTORE_MINUTES, Stage};

/// A deliver handler, to be shared by the workers of a process. It remembers so little that every way of looking
/// back is taken.
pub fn deliverer(stage: &Stage) -> Arc<Deliver> {
    let memory = stage.random(|random| Memory {
        first: random.random_range(1..=3),
        page: random.random_range(1..=4),
        events: random.random_range(2..=8),
        seen: random.random_range(0..=20),
        millis: [1_000, 600_000, 3_600_000][random.random_range(0..3)],
        accounts: random.random_range(1..=3),
        copies_per_entry: random.random_range(1..=3),
    });
    Arc::new(Deliver::with_memory(stage.store(), Arc::clone(&stage.log), memory))
}

/// A member's session in a process whose sessions share live accounts: it shows a state and moves it forward, and
/// changes the account.
pub async fn member(stage: Stage, room: Mailroom, commands: usize) {
    let mut shown: BTreeMap<AccountKey, Arc<State>> = BTreeMap::new();
    for _ in 0..commands {
        let key = ACCOUNTS[stage.random(|random| random.random_range(0..ACCOUNTS.len()))];
        let Ok(live) = room.account(key).await else { continue };
        let Ok(state) = live.refresh().await else { continue };
        if let Some(before) = shown.insert(key, Arc::clone(&state)) {
            observe(&stage, &before, &state);
        }
        command(&stage, &live, &state).await;
    }
}

/// What a client sees between two looks must be explicable to it (invariants 3 and 5).
fn observe(stage: &Stage, before: &State, after: &State) {
    if after.seq < before.seq {
        return stage.broken("a session went back in time".to_owned());
    }
    for old in before.mailboxes() {
        let Some(new) = after.mailbox(old.id) else { continue };
        if new.uid_validity != old.uid_validity {
            stage.broken(format!("UIDVALIDITY of {:?} changed", old.id));
        }
        let difference = diff::difference(old, new);
        for (_, row) in &difference.new {
            if row.uid < old.uid_next() {
                stage.broken(format!("UID {} appeared below UIDNEXT {}", row.uid, old.uid_next()));
            }
        }
        if !explains(old, new, &difference) {
            stage.broken(format!("the difference of {:?} does not lead to its new state", old.id));
        }
    }
}

/// Does applying the difference to the old list give the new one?
fn explains(old: &Mailbox, new: &Mailbox, difference: &diff::Difference) -> bool {
    let mut list: Vec<_> = old.rows.iter().copied().collect();
    for (position, row) in difference.gone.iter().rev() {
        if list.get(*position).map(|there| there.uid) != Some(row.uid) {
            return false;
        }
        list.remove(*position);
    }
    list.extend(difference.new.iter().map(|(_, row)| *row));
    for (position, row) in &difference.changed {
        match list.get_mut(*position) {
            Some(there) if there.uid == row.uid => *there = *row,
            _ => return false,
        }
    }
    list.iter().eq(new.rows.iter())
}

async fn command(stage: &Stage, live: &LiveAccount, state: &State) {
    let mailboxes: Vec<MailboxId> = state.mailboxes().map(|mailbox| mailbox.id).collect();
    let (kind, from, to, first, span, reads) = stage.random(|random| {
        let from = mailboxes[random.random_range(0..mailboxes.len())];
        let to = mailboxes[random.random_range(0..mailboxes.len())];
        let first = random.random_range(1..=state.next_uid);
        let (kind, span) = (random.random_range(0..18), random.random_range(0..4_u32));
        (kind, if random.random() { MailboxId::INBOX } else { from }, to, first, span, random.random::<u32>())
    });
    let uids = UidSet::from_ranges([(first, first.saturating_add(span))]);
    let actor = Actor::Member(Protocol::Imap);
    let outcome: Result<(), ChangeError> = match kind {
        0 | 1 => {
            let mut flags = FlagSet::system(if kind == 0 { SystemFlags::SEEN } else { SystemFlags::DELETED });
            flags.keywords.extend(Keyword::parse(&format!("k{}", first % 70)));
            let (add, remove) =
                if span == 0 { (FlagSet::default(), flags) } else { (flags, FlagSet::default()) };
            live.change(&actor, |draft| draft.flags(from, &uids, &add, &remove)).await.map(drop)
        }
        2 | 3 => live.change(&actor, |draft| draft.move_messages(from, &uids, to)).await.map(drop),
        4 => live.change(&actor, |draft| draft.copy_messages(from, &uids, to)).await.map(drop),
        5 | 6 => {
            let reason = DeleteReason::Expunge;
            live.change(&actor, |draft| draft.delete_messages(from, &uids, reason)).await.map(drop)
        }
        7 => live.change(&actor, |draft| draft.restore_messages(&uids, to)).await.map(drop),
        8 => {
            let name = format!("Folder {}", first % 4);
            live.change(&actor, |draft| draft.create_mailbox(&name, None)).await.map(drop)
        }
        9 => {
            let name = format!("Folder {}/x{}", first % 4, span);
            live.change(&actor, |draft| draft.rename_mailbox(from, &name)).await.map(drop)
        }
        10 => live.change(&actor, |draft| draft.delete_mailbox(from)).await.map(drop),
        11 => append(stage, live, from).await,
        12 => {
            let name = format!("Folder {}", first % 5);
            live.change(&actor, |draft| draft.subscribe_name(&name, span > 0)).await.map(drop)
        }
        13 => {
            let mailbox = (span > 0).then_some(from);
            let value = (span > 1).then(|| vec![first as u8; reads as usize % 100]);
            let entry = format!("/private/e{}", first % 3);
            live.change(&actor, |draft| draft.annotate(mailbox, &entry, value.clone())).await.map(drop)
        }
        14 => {
            let rights = Rights::parse(["", "l", "lr", "lrswite"][span as usize]);
            let grantee =
                [Grantee::Anyone, Grantee::Account(AccountId(2)), Grantee::Group("g@x.test".into())];
            let grantee = &grantee[first as usize % 3];
            let rights = rights.filter(|rights| !rights.is_none());
            live.change(&actor, |draft| draft.set_acl(from, grantee.clone(), rights)).await.map(drop)
        }
        15 => {
            let uses = SpecialUses::named(["\\Sent", "\\Junk", "\\Archive", "\\All"][span as usize]);
            live.change(&actor, |draft| draft.set_uses(from, uses.unwrap_or_default())).await.map(drop)
        }
        _ => {
            read_one(stage, live, state, reads).await;
            Ok(())
        }
    };
    if let Err(ChangeError::Store(error)) = outcome
        && !error.is_temporary()
    {
        stage.broken(format!("a command failed: {error}"));
    }
}

async fn append(stage: &Stage, live: &LiveAccount, mailbox: MailboxId) -> Result<(), ChangeError> {
    let noise = stage.random(|random| random.random::<u64>());
    let now = live.store().clock().now();
    let event = EventId::from_parts(now, u128::from(noise));
    let raw = format!("Subject: appended {event}\r\n\r\nappended\r\n");
    let incoming = Incoming::prepare(raw.as_bytes(), event, FlagSet::default(), now)?;
    let actor = Actor::Member(Protocol::Imap);
    live.store_messages(&actor, mailbox, &[incoming], |_| Ok::<(), DraftError>(())).await.map(drop)
}

/// A message that an account refers to can be read (invariant 6).
async fn read_one(stage: &Stage, live: &LiveAccount, state: &State, choice: u32) {
    let rows: Vec<_> = state.mailboxes().flat_map(|mailbox| mailbox.rows.iter()).collect();
    if rows.is_empty() {
        return;
    }
    let blob = rows[choice as usize % rows.len()].blob;
    let tenant = live.key().tenant;
    let result = match live.store().open(tenant, blob).await {
        Ok(message) => message.whole().await.map(drop),
        Err(error) => Err(error),
    };
    let Err(error) = result else { return };
    if error.is_temporary() {
        return;
    }
    // It may have been deleted, forgotten and collected while this session looked away.
    let Ok(now) = live.store().load(live.key(), Consistency::Strong).await else { return };
    let live_still = now.mailboxes().any(|mailbox| mailbox.rows.iter().any(|row| row.blob == blob));
    let gone = matches!(error, StoreError::Port(PortError::NotFound { .. }));
    if live_still || !(gone || matches!(error, StoreError::Damaged(_))) {
        stage.broken(format!("bytes of {blob:?} are gone: {error}"));
    }
}

/// A process that keeps house.
pub async fn housekeep(stage: Stage, runs: usize) {
    let house = housekeeper(&stage, 3);
    for _ in 0..runs {
        let (kind, account) = stage.random(|random| (random.random_range(0..5), random.random_range(0..3)));
        let account = ACCOUNTS[account];
        let result = match kind {
            0 => house.collect_garbage(account.tenant).await.map(drop),
            1 => house.audit(account.tenant).await.map(drop),
            2 => house.keep_account(account).await.map(drop),
            3 => match house.keep_account(account).await {
                Ok(state) => house.keep_segments_of(account, &state).await.map(drop),
                Err(error) => Err(error),
            },
            _ => house.keep_segments(account).await.map(drop),
        };
        match result {
            Err(error) if !error.is_temporary() => stage.broken(format!("housekeeping failed: {error}")),
            _ => crate::executor::turn().await,
        }
    }
}

/// Looks after every account and collects what the hints name, until there is nothing more to do.
pub async fn collect_all(stage: Stage) {
    let house = housekeeper(&stage, 1);
    for _ in 0..2 {
        for account in ACCOUNTS {
            let state = match house.keep_account(account).await {
                Ok(state) => state,
                Err(error) => {
                    stage.broken(format!("housekeeping failed: {error}"));
                    continue;
                }
            };
            // Each piece of work asks for the next one; there is an end to it.
            let mut pieces = 0;
            while house.keep_segments_of(account, &state).await.is_ok_and(|following| !following.is_empty()) {
                pieces += 1;
                if pieces == 100 {
                    stage.broken("housekeeping finds no end with segments".to_owned());
                    break;
                }
            }
        }
        for tenant in [TenantId(1), TenantId(2)] {
            if let Err(error) = house.collect_garbage(tenant).await {
                stage.broken(format!("collecting garbage failed: {error}"));
            }
        }
    }
}

/// Audits every tenant.
pub async fn audit_all(stage: Stage) {
    let house = housekeeper(&stage, 1);
    for tenant in [TenantId(1), TenantId(2)] {
        if let Err(error) = house.audit(tenant).await {
            stage.broken(format!("the audit failed: {error}"));
        }
    }
}

/// The handler, in a hurry: what waits for days elsewhere waits for minutes.
#[must_use]
pub fn housekeeper(stage: &Stage, long_tail: u64) -> Housekeep {
    let minutes = |minutes: f64| minutes / 1440.0;
    let settings = Settings {
        restore_days: minutes(RESTORE_MINUTES),
        hidden_days: minutes(RESTORE_MINUTES),
        min_age_days: minutes(MIN_AGE_MINUTES),
        long_tail,
        // So small that there are several, and that they are merged.
        segment_tail: 2,
        segment_messages: 8,
        quiet_seconds: 0,
        index: Index::All,
    };
    Housekeep::new(stage.store(), Arc::clone(&stage.control), Arc::clone(&stage.queue), settings)
}
