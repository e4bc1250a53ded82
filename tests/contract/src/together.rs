//! The contract of objects that are put with a journal entry ([`Journal::append_with`]), for backends that take
//! any.

use std::sync::Arc;

use bytes::Bytes;
use pennypost_model::journal::{Actor, Entry, Usage};
use pennypost_model::{Seq, Timestamp};
use pennypost_ports::{Appended, Consistency, Created, Journal, NewObject, Objects, Replaced};

use crate::{RACERS, account, assert_not_found, assert_refused, ok};

/// A journal and the objects of the same store.
pub struct Store {
    /// Its journal.
    pub journal: Arc<dyn Journal>,
    /// Its objects.
    pub objects: Arc<dyn Objects>,
}

/// Runs every case, each on a store from `make`, whose journal takes objects.
pub async fn all(make: impl AsyncFn() -> Store) {
    Box::pin(an_object_comes_with_its_entry(make().await)).await;
    Box::pin(an_entry_that_is_lost_brings_nothing(make().await)).await;
    Box::pin(of_racing_appenders_one_object_is_there(make().await)).await;
    Box::pin(such_objects_are_as_all_others(make().await)).await;
    Box::pin(bad_names_are_refused(make().await)).await;
}

fn entry(seq: u64, who: u64) -> Entry {
    Entry {
        seq: Seq(seq),
        time: Timestamp(1_795_132_800_000),
        actor: Actor::System,
        next_uid: 1,
        used: Usage { bytes: who, messages: 0 },
        ops: Vec::new(),
    }
}

fn object(name: &str, len: usize) -> NewObject {
    let bytes: Bytes = (0..len).map(|at| (at * 31 % 251) as u8).collect();
    NewObject { name: name.to_owned(), bytes }
}

async fn an_object_comes_with_its_entry(store: Store) {
    let (account, largest) = (account(), store.journal.takes_objects());
    assert!(largest > 0, "this journal takes no objects");
    for (seq, len) in (1..).zip([0, 1, 10_000, largest]) {
        let object = object(&format!("{}/pack/{seq}", account.tenant), len);
        let entry = entry(seq, 1);
        let appended = ok(store.journal.append_with(account, &entry, object.clone()).await);
        assert_eq!(appended, Appended::Committed);
        assert_eq!(ok(store.objects.get(&object.name).await).0, object.bytes, "{len} bytes");
        let entries = ok(store.journal.since(account, Seq(seq - 1), 10, Consistency::Strong).await);
        assert_eq!(entries, [entry]);
    }
}

async fn an_entry_that_is_lost_brings_nothing(store: Store) {
    let account = account();
    assert_eq!(ok(store.journal.append(account, &entry(1, 1)).await), Appended::Committed);
    let late = object(&format!("{}/pack/late", account.tenant), 100);
    let appended = ok(store.journal.append_with(account, &entry(1, 2), late.clone()).await);
    assert_eq!(appended, Appended::Lost(Box::new(entry(1, 1))));
    assert_not_found(&store.objects.get(&late.name).await);
    // The same object goes with the next entry.
    let appended = ok(store.journal.append_with(account, &entry(2, 2), late.clone()).await);
    assert_eq!(appended, Appended::Committed);
    assert_eq!(ok(store.objects.get(&late.name).await).0, late.bytes);
}

async fn of_racing_appenders_one_object_is_there(store: Store) {
    let account = account();
    let name = |racer: usize| format!("{}/pack/{racer}", account.tenant);
    let race = (0..RACERS).map(|racer| {
        let (journal, object) = (Arc::clone(&store.journal), object(&name(racer), 100 + racer));
        tokio::spawn(async move { ok(journal.append_with(account, &entry(1, racer as u64), object).await) })
    });
    let tasks: Vec<_> = race.collect();
    let mut winners = Vec::new();
    for (racer, task) in tasks.into_iter().enumerate() {
        match task.await {
            Ok(Appended::Committed) => winners.push(racer),
            Ok(Appended::Lost(_)) => {}
            Err(error) => panic!("a racer died: {error}"),
        }
    }
    let listed = ok(store.objects.list(&format!("{}/", account.tenant), None, RACERS).await);
    let names: Vec<String> = listed.into_iter().map(|info| info.name).collect();
    assert_eq!(names, winners.iter().map(|racer| name(*racer)).collect::<Vec<_>>());
    assert_eq!(winners.len(), 1);
}

async fn such_objects_are_as_all_others(store: Store) {
    let (account, objects) = (account(), &store.objects);
    let tenant = account.tenant;
    let with_entry = object(&format!("{tenant}/pack/b"), 1_000);
    ok(store.journal.append_with(account, &entry(1, 0), with_entry.clone()).await);
    for name in ["a", "c"] {
        let alone = object(&format!("{tenant}/pack/{name}"), 500);
        assert_eq!(ok(objects.put_unique(&alone.name, alone.bytes).await), Created::Stored);
    }
    // Taken.
    let again = objects.put_unique(&with_entry.name, Bytes::from_static(b"other")).await;
    assert_eq!(ok(again), Created::Exists);
    // Ranges.
    for (start, len) in [(0_u64, 1_000_u64), (10, 20), (990, 50), (1_000, 1), (5_000, 5), (3, u64::MAX)] {
        let (from, to) = (start.min(1_000), start.saturating_add(len).min(1_000));
        let range = ok(objects.get_range(&with_entry.name, start, len).await);
        assert_eq!(range, with_entry.bytes[from as usize..to as usize], "{len} from {start}");
    }
    // Listed among the others, once, in pages.
    let prefix = format!("{tenant}/pack/");
    let mut seen = Vec::new();
    loop {
        let page = ok(objects.list(&prefix, seen.last().map(String::as_str), 2).await);
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|info| info.name));
    }
    assert_eq!(seen, ["a", "b", "c"].map(|name| format!("{prefix}{name}")));
    assert_eq!(ok(objects.list(&prefix, None, 10).await)[1].size, 1_000);
    let elsewhere = format!("{}/pack/", crate::tenant());
    assert_eq!(ok(objects.list(&elsewhere, None, 10).await), []);
    // Replaced in its version only, deleted repeatably.
    let (_, old) = ok(objects.get(&with_entry.name).await);
    let new = Bytes::from_static(b"new");
    assert_eq!(ok(objects.put_if_match(&with_entry.name, new.clone(), &old).await), Replaced::Stored);
    assert_eq!(ok(objects.put_if_match(&with_entry.name, with_entry.bytes, &old).await), Replaced::Mismatch);
    assert_eq!(ok(objects.get(&with_entry.name).await).0, new);
    for _ in 0..2 {
        ok(objects.delete(&with_entry.name).await);
        assert_not_found(&objects.get_range(&with_entry.name, 0, 10).await);
    }
}

async fn bad_names_are_refused(store: Store) {
    let account = account();
    for name in ["", "pack", "../pack/1", "a//b"] {
        assert_refused(&store.journal.append_with(account, &entry(1, 0), object(name, 10)).await);
    }
    let entries = ok(store.journal.since(account, Seq::ZERO, 10, Consistency::Strong).await);
    assert_eq!(entries, []);
}
