//! The contract of [`Objects`].

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use pennypost_ports::{Created, Etag, Objects, Replaced};

use crate::{RACERS, assert_not_found, assert_refused, ok, race, suite, tenant};

suite!(Objects:
    what_is_put_comes_back,
    a_taken_name_stays_as_it_is,
    racing_writers_of_one_name_get_one_object,
    racing_writers_of_many_names_all_succeed,
    what_is_not_there_is_not_found,
    ranges_end_where_the_object_ends,
    an_object_is_replaced_only_in_its_version,
    racing_replacements_lose_nothing,
    a_reader_sees_the_old_bytes_or_the_new,
    deleting_is_repeatable,
    names_are_checked,
    listings_are_ordered_by_name,
    listings_page,
    a_prefix_ends_at_a_slash,
);

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

async fn put(objects: &Arc<dyn Objects>, name: &str, content: &Bytes) {
    assert_eq!(ok(objects.put_unique(name, content.clone()).await), Created::Stored, "{name}");
}

async fn content(objects: &Arc<dyn Objects>, name: &str) -> Bytes {
    ok(objects.get(name).await).0
}

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

async fn what_is_put_comes_back(objects: Arc<dyn Objects>) {
    let tenant = tenant();
    for len in [0, 1, 4096, 1_000_000, 9_000_001] {
        let name = format!("{tenant}/pack/{len}");
        put(&objects, &name, &pattern(len)).await;
        assert_eq!(content(&objects, &name).await, pattern(len), "{len} bytes");
    }
}

async fn a_taken_name_stays_as_it_is(objects: Arc<dyn Objects>) {
    let name = format!("{}/pack/a", tenant());
    put(&objects, &name, &bytes("first")).await;
    let (_, etag) = ok(objects.get(&name).await);
    for again in ["second", "first"] {
        assert_eq!(ok(objects.put_unique(&name, bytes(again)).await), Created::Exists);
    }
    assert_eq!(ok(objects.get(&name).await), (bytes("first"), etag));
}

async fn racing_writers_of_one_name_get_one_object(objects: Arc<dyn Objects>) {
    let tenant = tenant();
    for round in 0..10 {
        let name = format!("{tenant}/race/{round}/x");
        let results = race(&objects, RACERS, |objects, racer| {
            let name = name.clone();
            async move { ok(objects.put_unique(&name, bytes(&racer.to_string())).await) }
        })
        .await;
        let winners: Vec<usize> = (0..RACERS).filter(|racer| results[*racer] == Created::Stored).collect();
        assert_eq!(winners.len(), 1, "winners of {name}");
        assert_eq!(content(&objects, &name).await, bytes(&winners[0].to_string()));
    }
}

async fn racing_writers_of_many_names_all_succeed(objects: Arc<dyn Objects>) {
    let tenant = tenant();
    race(&objects, RACERS, |objects, racer| async move {
        for number in 0..10 {
            let name = format!("{tenant}/pack/day{number}/{racer}");
            put(&objects, &name, &bytes(&name)).await;
            assert_eq!(content(&objects, &name).await, bytes(&name));
        }
    })
    .await;
    let all = ok(objects.list(&format!("{tenant}/"), None, 1000).await);
    assert_eq!(all.len(), RACERS * 10);
}

async fn what_is_not_there_is_not_found(objects: Arc<dyn Objects>) {
    let name = format!("{}/pack/a", tenant());
    assert_not_found(&objects.get(&name).await);
    assert_not_found(&objects.get_range(&name, 0, 10).await);
    let replaced = objects.put_if_match(&name, bytes("x"), &Etag("any".to_owned())).await;
    assert_eq!(ok(replaced), Replaced::Mismatch);
    assert_not_found(&objects.get(&name).await);
    put(&objects, &name, &bytes("x")).await;
    // Neither what stands above it nor what would stand below it is an object.
    let (above, _) = name.rsplit_once('/').unwrap_or_default();
    assert_not_found(&objects.get(above).await);
    assert_not_found(&objects.get(&format!("{name}/b")).await);
}

async fn ranges_end_where_the_object_ends(objects: Arc<dyn Objects>) {
    let name = format!("{}/pack/a", tenant());
    let whole = pattern(10_000);
    put(&objects, &name, &whole).await;
    let ranges = [
        (0, 10),
        (0, 10_000),
        (0, 10_001),
        (9_999, 1),
        (9_999, 2),
        (5_000, 0),
        (10_000, 1),
        (10_001, 1),
        (0, u64::MAX),
        (1, u64::MAX),
        (u64::MAX, 1),
        (u64::MAX, u64::MAX),
    ];
    for (start, len) in ranges {
        let from = usize::try_from(start).unwrap_or(usize::MAX).min(whole.len());
        let to = usize::try_from(start.saturating_add(len)).unwrap_or(usize::MAX).min(whole.len());
        assert_eq!(ok(objects.get_range(&name, start, len).await), whole[from..to], "{len} from {start}");
    }
    let empty = format!("{name}-empty");
    put(&objects, &empty, &Bytes::new()).await;
    assert_eq!(ok(objects.get_range(&empty, 0, 10).await), Bytes::new());
}

async fn an_object_is_replaced_only_in_its_version(objects: Arc<dyn Objects>) {
    let name = format!("{}/state/a", tenant());
    put(&objects, &name, &bytes("one")).await;
    let (_, first) = ok(objects.get(&name).await);
    assert_eq!(ok(objects.put_if_match(&name, bytes("two"), &first).await), Replaced::Stored);
    let (now, second) = ok(objects.get(&name).await);
    assert_eq!(now, bytes("two"));
    assert_ne!(first, second);
    assert_eq!(ok(objects.put_if_match(&name, bytes("three"), &first).await), Replaced::Mismatch);
    assert_eq!(ok(objects.get(&name).await), (bytes("two"), second.clone()));
    ok(objects.delete(&name).await);
    assert_eq!(ok(objects.put_if_match(&name, bytes("three"), &second).await), Replaced::Mismatch);
    assert_not_found(&objects.get(&name).await);
}

async fn racing_replacements_lose_nothing(objects: Arc<dyn Objects>) {
    const EACH: usize = 5;
    let name = format!("{}/state/counter", tenant());
    put(&objects, &name, &bytes("0")).await;
    race(&objects, RACERS, |objects, _| {
        let name = name.clone();
        async move {
            for _ in 0..EACH {
                loop {
                    let (now, etag) = ok(objects.get(&name).await);
                    let count: usize =
                        String::from_utf8_lossy(&now).parse().unwrap_or_else(|_| panic!("{now:?}"));
                    let next = bytes(&(count + 1).to_string());
                    if ok(objects.put_if_match(&name, next, &etag).await) == Replaced::Stored {
                        break;
                    }
                }
            }
        }
    })
    .await;
    assert_eq!(content(&objects, &name).await, bytes(&(RACERS * EACH).to_string()));
}

async fn a_reader_sees_the_old_bytes_or_the_new(objects: Arc<dyn Objects>) {
    let name = format!("{}/state/a", tenant());
    let version = |digit: u8| Bytes::from(vec![digit; 200_000]);
    put(&objects, &name, &version(0)).await;
    let readers = race(&objects, 4, |objects, _| {
        let name = name.clone();
        async move {
            let mut newest = 0;
            while newest < 20 {
                let now = content(&objects, &name).await;
                assert_eq!(now.len(), 200_000);
                assert!(now.iter().all(|byte| *byte == now[0]), "a mixture");
                assert!(now[0] >= newest, "older than what was seen before");
                newest = now[0];
            }
        }
    });
    let writer = async {
        for digit in 1..=20 {
            let (_, etag) = ok(objects.get(&name).await);
            assert_eq!(ok(objects.put_if_match(&name, version(digit), &etag).await), Replaced::Stored);
        }
    };
    tokio::join!(readers, writer);
}

async fn deleting_is_repeatable(objects: Arc<dyn Objects>) {
    let name = format!("{}/pack/a", tenant());
    ok(objects.delete(&name).await);
    put(&objects, &name, &bytes("x")).await;
    ok(objects.delete(&name).await);
    assert_not_found(&objects.get(&name).await);
    ok(objects.delete(&name).await);
    assert_eq!(ok(objects.list("", None, 10).await), []);
    // The name is free again.
    put(&objects, &name, &bytes("y")).await;
    assert_eq!(content(&objects, &name).await, bytes("y"));
}

async fn names_are_checked(objects: Arc<dyn Objects>) {
    let tenant = tenant();
    let longest = format!("{tenant}/{}/{}/{}", "x".repeat(200), "y".repeat(200), "z".repeat(93));
    assert_eq!(longest.len(), 512);
    for good in [longest.as_str(), &format!("{tenant}/A-z_0.9/..x/...")] {
        put(&objects, good, &bytes("x")).await;
        assert_eq!(content(&objects, good).await, bytes("x"));
    }
    let mut bad = vec![String::new(), "/".to_owned(), "..".to_owned(), format!("/{tenant}/a")];
    bad.push(format!("{longest}z"));
    for component in ["", ".", "..", "a b", "ä", "a\0b", "a\\b", "a:b", "~", "a\nb", "../../../../etc/passwd"]
    {
        bad.push(format!("{tenant}/pack/{component}"));
        bad.push(format!("{tenant}/{component}/a"));
    }
    for name in &bad {
        assert_refused(&objects.put_unique(name, bytes("x")).await);
        assert_refused(&objects.get(name).await);
        assert_refused(&objects.get_range(name, 0, 1).await);
        assert_refused(&objects.put_if_match(name, bytes("x"), &Etag(String::new())).await);
        assert_refused(&objects.delete(name).await);
    }
}

async fn listings_are_ordered_by_name(objects: Arc<dyn Objects>) {
    let tenant = tenant();
    // `-` and `.` come before `/`, digits and letters after it: the order of a directory is another one.
    let names = [
        "b/x", "a-b/x", "a/x", "a.b/x", "a0/x", "a/y/z", "a/y-z", "a/y.z", "a/y0", "Z/x", "a/B", "a/b",
        "a_b/x",
    ];
    let mut expected: Vec<String> = names.iter().map(|name| format!("{tenant}/{name}")).collect();
    for name in &expected {
        put(&objects, name, &bytes(name)).await;
    }
    expected.sort_unstable();
    let found = ok(objects.list(&format!("{tenant}/"), None, 100).await);
    assert_eq!(found.iter().map(|info| &info.name).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
    for info in &found {
        assert_eq!(info.size, info.name.len() as u64);
        assert!(info.modified.0 > 1_600_000_000_000);
    }
    // After each possible place, those that follow.
    for (index, after) in expected.iter().enumerate() {
        let found = ok(objects.list("", Some(after), 100).await);
        let found: Vec<String> = found.into_iter().map(|info| info.name).collect();
        assert_eq!(found, expected[index + 1..], "after {after}");
    }
}

async fn listings_page(objects: Arc<dyn Objects>) {
    let tenant = tenant();
    let mut expected = BTreeSet::new();
    for number in 0..60 {
        let name = format!("{tenant}/pack/{:02}/{number:02}", number % 7);
        put(&objects, &name, &bytes("x")).await;
        expected.insert(name);
    }
    let prefix = format!("{tenant}/pack/");
    for limit in [1, 7, 59, 60, 61] {
        let mut paged: Vec<String> = Vec::new();
        while let page = ok(objects.list(&prefix, paged.last().map(String::as_str), limit).await)
            && !page.is_empty()
        {
            assert!(page.len() <= limit);
            paged.extend(page.into_iter().map(|info| info.name));
        }
        assert!(paged.iter().eq(&expected), "in pages of {limit}");
    }
    assert_eq!(ok(objects.list(&prefix, None, 0).await), []);
    assert_eq!(ok(objects.list(&format!("{tenant}/none/"), None, 10).await), []);
    // `after` need not be there, nor have the prefix.
    let first = expected.first().cloned();
    let found = ok(objects.list(&prefix, Some("0"), 1).await);
    assert_eq!(found.into_iter().next().map(|info| info.name), first);
    assert_eq!(ok(objects.list(&prefix, Some("~"), 10).await), []);
}

async fn a_prefix_ends_at_a_slash(objects: Arc<dyn Objects>) {
    let tenant = tenant();
    for name in ["pack/a", "pack2/a", "pac/a"] {
        put(&objects, &format!("{tenant}/{name}"), &bytes("x")).await;
    }
    let found = ok(objects.list(&format!("{tenant}/pack/"), None, 10).await);
    assert_eq!(found.into_iter().map(|info| info.name).collect::<Vec<_>>(), [format!("{tenant}/pack/a")]);
    assert_refused(&objects.list("../", None, 10).await);
    assert_refused(&objects.list(&format!("{tenant}/../"), None, 10).await);
}
