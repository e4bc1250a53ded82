//! The contract of [`Control`].

use std::sync::Arc;

use pennypost_ports::{Consistency, Control, ControlKey, Expected, Item, Put};

use crate::{RACERS, assert_refused, ok, race, suite, tenant};

suite!(Control:
    an_absent_item_is_none,
    versions_grow_from_one,
    a_conflict_shows_what_is_there_and_changes_nothing,
    any_writes_in_any_case,
    deleting_asks_for_the_version,
    racing_creators_get_one_item,
    racing_increments_lose_nothing,
    the_limits_hold,
    keys_that_cannot_be_are_refused_by_every_call,
    queries_are_ordered_by_bytes,
    queries_page,
    prefixes_are_literal,
    partitions_do_not_touch,
    a_write_is_seen_at_once,
);

fn key(partition: &str, sort: &str) -> ControlKey {
    ControlKey::new(partition, sort)
}

fn partition() -> String {
    format!("{}/accounts", tenant())
}

async fn strong(control: &Arc<dyn Control>, key: &ControlKey) -> Option<Item> {
    ok(control.get(key, Consistency::Strong).await)
}

async fn create(control: &Arc<dyn Control>, key: &ControlKey, value: &[u8]) {
    assert_eq!(ok(control.put_if(key, value, Expected::Absent).await), Put::Stored(1));
}

fn item(value: &[u8], version: u64) -> Item {
    Item { value: value.to_vec(), version }
}

async fn an_absent_item_is_none(control: Arc<dyn Control>) {
    let key = key(&partition(), "a");
    assert_eq!(ok(control.get(&key, Consistency::Eventual).await), None);
    assert_eq!(strong(&control, &key).await, None);
    assert_eq!(ok(control.query(&key.partition, "", None, 10).await), []);
    assert_eq!(ok(control.put_if(&key, b"x", Expected::Version(1)).await), Put::Conflict(None));
    assert!(!ok(control.delete_if(&key, 1).await));
    assert_eq!(strong(&control, &key).await, None);
}

async fn versions_grow_from_one(control: Arc<dyn Control>) {
    let key = key(&partition(), "a");
    create(&control, &key, b"one").await;
    assert_eq!(strong(&control, &key).await, Some(item(b"one", 1)));
    let mut version = 1;
    for value in [&b"two"[..], b"", b"two"] {
        let Put::Stored(next) = ok(control.put_if(&key, value, Expected::Version(version)).await) else {
            panic!("version {version} was not accepted");
        };
        assert!(next > version);
        assert_eq!(strong(&control, &key).await, Some(item(value, next)));
        version = next;
    }
}

async fn a_conflict_shows_what_is_there_and_changes_nothing(control: Arc<dyn Control>) {
    let key = key(&partition(), "a");
    create(&control, &key, b"one").await;
    let there = Put::Conflict(Some(item(b"one", 1)));
    for expected in
        [Expected::Absent, Expected::Version(0), Expected::Version(2), Expected::Version(u64::MAX)]
    {
        assert_eq!(ok(control.put_if(&key, b"two", expected).await), there);
    }
    assert_eq!(strong(&control, &key).await, Some(item(b"one", 1)));
}

async fn any_writes_in_any_case(control: Arc<dyn Control>) {
    let key = key(&partition(), "a");
    assert_eq!(ok(control.put_if(&key, b"one", Expected::Any).await), Put::Stored(1));
    let Put::Stored(version) = ok(control.put_if(&key, b"two", Expected::Any).await) else {
        panic!("not written");
    };
    assert!(version > 1);
    assert_eq!(strong(&control, &key).await, Some(item(b"two", version)));
}

async fn deleting_asks_for_the_version(control: Arc<dyn Control>) {
    let key = key(&partition(), "a");
    create(&control, &key, b"one").await;
    for wrong in [0, 2, u64::MAX] {
        assert!(!ok(control.delete_if(&key, wrong).await));
    }
    assert_eq!(strong(&control, &key).await, Some(item(b"one", 1)));
    assert!(ok(control.delete_if(&key, 1).await));
    assert!(!ok(control.delete_if(&key, 1).await));
    assert_eq!(strong(&control, &key).await, None);
    // A new item under an old key: its versions start at 1 again.
    create(&control, &key, b"new").await;
}

async fn racing_creators_get_one_item(control: Arc<dyn Control>) {
    let key = key(&partition(), "a");
    let results = race(&control, RACERS, |control, racer| {
        let key = key.clone();
        async move { ok(control.put_if(&key, &[racer as u8], Expected::Absent).await) }
    })
    .await;
    let winners: Vec<usize> = (0..RACERS).filter(|racer| results[*racer] == Put::Stored(1)).collect();
    assert_eq!(winners.len(), 1);
    let won = item(&[winners[0] as u8], 1);
    let lost = results.iter().filter(|result| **result == Put::Conflict(Some(won.clone()))).count();
    assert_eq!(lost, RACERS - 1);
    assert_eq!(strong(&control, &key).await, Some(won));
}

async fn racing_increments_lose_nothing(control: Arc<dyn Control>) {
    const EACH: u64 = 20;
    let key = key(&partition(), "counter");
    create(&control, &key, &0_u64.to_le_bytes()).await;
    race(&control, RACERS, |control, _| {
        let key = key.clone();
        async move {
            for _ in 0..EACH {
                let mut there = strong(&control, &key).await;
                loop {
                    let Some(item) = &there else { panic!("the counter is gone") };
                    let mut bytes = [0; 8];
                    bytes.copy_from_slice(&item.value);
                    let next = (u64::from_le_bytes(bytes) + 1).to_le_bytes();
                    match ok(control.put_if(&key, &next, Expected::Version(item.version)).await) {
                        Put::Stored(_) => break,
                        Put::Conflict(current) => there = current,
                    }
                }
            }
        }
    })
    .await;
    let end = strong(&control, &key).await.map(|item| item.value);
    assert_eq!(end, Some((RACERS as u64 * EACH).to_le_bytes().to_vec()));
}

async fn the_limits_hold(control: Arc<dyn Control>) {
    let (long, longer) = ("k".repeat(512), "k".repeat(513));
    let largest = vec![7; 350 * 1024];
    create(&control, &key(&long, &long), &largest).await;
    assert_eq!(strong(&control, &key(&long, &long)).await, Some(item(&largest, 1)));
    assert_refused(&control.put_if(&key(&longer, "a"), b"", Expected::Any).await);
    assert_refused(&control.put_if(&key("a", &longer), b"", Expected::Any).await);
    let too_large = vec![7; 350 * 1024 + 1];
    assert_refused(&control.put_if(&key(&partition(), "a"), &too_large, Expected::Any).await);
}

async fn keys_that_cannot_be_are_refused_by_every_call(control: Arc<dyn Control>) {
    let longer = "k".repeat(513);
    for (half, other) in [("", "a"), ("a", ""), ("", ""), (&longer, "a"), ("a", &longer)] {
        let key = key(half, other);
        for expected in [Expected::Absent, Expected::Version(1), Expected::Any] {
            assert_refused(&control.put_if(&key, b"x", expected).await);
        }
        assert_refused(&control.delete_if(&key, 1).await);
        for consistency in [Consistency::Eventual, Consistency::Strong] {
            assert_refused(&control.get(&key, consistency).await);
        }
    }
    for partition in ["", &longer] {
        assert_refused(&control.query(partition, "", None, 10).await);
    }
    // A whole partition is asked for without a prefix, and from its beginning: that is no key.
    assert_eq!(ok(control.query(&partition(), "", Some(""), 10).await), []);
}

async fn queries_are_ordered_by_bytes(control: Arc<dyn Control>) {
    let partition = partition();
    let mut sorts = ["b", "a", "Z", "a/", "a-b", "ä", "é", "邮", "a\u{7f}", "~", "10", "9", "aa", "A", " "];
    for sort in sorts {
        create(&control, &key(&partition, sort), sort.as_bytes()).await;
    }
    sorts.sort_unstable();
    let found = ok(control.query(&partition, "", None, 100).await);
    let expected: Vec<(String, Item)> =
        sorts.iter().map(|sort| ((*sort).to_owned(), item(sort.as_bytes(), 1))).collect();
    assert_eq!(found, expected);
}

async fn queries_page(control: Arc<dyn Control>) {
    let partition = partition();
    for prefix in ["member/", "alias/", "zone/"] {
        for number in 0..25 {
            create(&control, &key(&partition, &format!("{prefix}{number:03}")), b"x").await;
        }
    }
    let mut paged: Vec<String> = Vec::new();
    while let page = ok(control.query(&partition, "member/", paged.last().map(String::as_str), 7).await)
        && !page.is_empty()
    {
        assert!(page.len() <= 7);
        paged.extend(page.into_iter().map(|(sort, _)| sort));
    }
    let expected: Vec<String> = (0..25).map(|number| format!("member/{number:03}")).collect();
    assert_eq!(paged, expected);
    let sorts = async |prefix, after, limit| -> Vec<String> {
        let found = ok(control.query(&partition, prefix, after, limit).await);
        found.into_iter().map(|(sort, _)| sort).collect()
    };
    // `after` need not exist nor have the prefix.
    assert_eq!(sorts("member/", Some("member/0115"), 1).await, ["member/012"]);
    assert_eq!(sorts("member/", Some("a"), 1).await, ["member/000"]);
    assert_eq!(sorts("member/", Some("n"), 1).await, [""; 0]);
    assert_eq!(sorts("member/02", None, 100).await.len(), 5);
    assert_eq!(sorts("", None, 100).await.len(), 75);
    assert_eq!(sorts("", None, 0).await, [""; 0]);
}

async fn prefixes_are_literal(control: Arc<dyn Control>) {
    let partition = partition();
    for sort in ["a%b", "a_b", "axb", "a*b", "a\\b", "a"] {
        create(&control, &key(&partition, sort), b"x").await;
    }
    for prefix in ["a%", "a_", "a*", "a\\"] {
        let found = ok(control.query(&partition, prefix, None, 10).await);
        let found: Vec<String> = found.into_iter().map(|(sort, _)| sort).collect();
        assert_eq!(found, [format!("{prefix}b")]);
    }
}

async fn partitions_do_not_touch(control: Arc<dyn Control>) {
    let one = partition();
    let other = format!("{one}/more");
    create(&control, &key(&one, "a"), b"one").await;
    create(&control, &key(&other, "a"), b"other").await;
    assert_eq!(ok(control.query(&one, "", None, 10).await), [("a".to_owned(), item(b"one", 1))]);
    assert!(ok(control.delete_if(&key(&one, "a"), 1).await));
    assert_eq!(strong(&control, &key(&other, "a")).await, Some(item(b"other", 1)));
}

async fn a_write_is_seen_at_once(control: Arc<dyn Control>) {
    let partition = partition();
    race(&control, RACERS, |control, racer| {
        let key = key(&partition, &racer.to_string());
        async move {
            for version in 1..=20 {
                assert_eq!(ok(control.put_if(&key, b"x", Expected::Any).await), Put::Stored(version));
                assert_eq!(strong(&control, &key).await, Some(item(b"x", version)));
            }
        }
    })
    .await;
}
