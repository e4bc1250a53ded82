//! Segments under housekeeping.

use pennypost_mailstore::check::Depth;
use pennypost_mailstore::segment::Segments;
use pennypost_mailstore::{Placed, names};
use pennypost_model::AccountKey;
use pennypost_ports::Consistency;

use crate::tests::{ANN, DAY, Fixture, fixture};
use crate::{Housekeep, Settings};

/// One that makes small segments.
fn house(fixture: &Fixture, quiet_seconds: u64) -> Housekeep {
    let settings = Settings {
        long_tail: u64::MAX,
        segment_tail: 10,
        segment_messages: 100,
        quiet_seconds,
        ..Settings::default()
    };
    Housekeep::new(fixture.store.clone(), fixture.backend.control(), fixture.backend.queue(), settings)
}

/// Does all that is to be done.
async fn keep(house: &Housekeep, account: AccountKey) {
    for _ in 0..50 {
        if house.keep_segments(account).await.unwrap().is_empty() {
            return;
        }
    }
    panic!("there is no end to it");
}

async fn listed(fixture: &Fixture) -> Vec<String> {
    let listed = fixture.store.objects().list(&names::segments(ANN), None, 100).await.unwrap();
    listed.into_iter().map(|object| object.name).collect()
}

fn has(segments: &Segments, placed: &Placed) -> bool {
    segments.place(placed.rid, None).is_some()
}

async fn violations(fixture: &Fixture) -> usize {
    fixture.store.check(ANN, Depth::Bytes).await.unwrap().violations.len()
}

#[tokio::test]
async fn segments_are_built_and_merged() {
    let fixture = fixture();
    let house = house(&fixture, 0);
    let mut all = Vec::new();
    fixture.arrive(ANN, &[100; 9]).await;
    keep(&house, ANN).await;
    assert_eq!(listed(&fixture).await, Vec::<String>::new(), "too few for a segment");
    for _ in 0..7 {
        all.extend(fixture.arrive(ANN, &[100; 12]).await.1);
        keep(&house, ANN).await;
    }
    let segments = fixture.store.segments(ANN).await.unwrap();
    assert!(all.iter().all(|placed| has(&segments, placed)));
    let names = listed(&fixture).await;
    assert!((1..=4).contains(&names.len()), "{names:?}");
    assert_eq!(violations(&fixture).await, 0);
    keep(&house, ANN).await;
    assert_eq!(listed(&fixture).await, names, "nothing was left to do");
}

#[tokio::test]
async fn what_is_forgotten_leaves_its_segment() {
    let fixture = fixture();
    let house = house(&fixture, 0);
    let (inbox, placed, _) = fixture.arrive(ANN, &[100; 20]).await;
    keep(&house, ANN).await;
    fixture.delete(ANN, inbox, placed[3]).await;
    keep(&house, ANN).await;
    let segments = fixture.store.segments(ANN).await.unwrap();
    assert!(has(&segments, &placed[3]), "it can be restored still");
    fixture.pass(15 * DAY);
    let state = house.keep_account(ANN).await.unwrap();
    assert_eq!(house.keep_segments_of(ANN, &state).await, Ok(Vec::new()));
    let segments = fixture.store.segments(ANN).await.unwrap();
    assert!(!has(&segments, &placed[3]), "its text has gone");
    assert!(placed.iter().filter(|other| other.rid != placed[3].rid).all(|other| has(&segments, other)));
    assert_eq!(listed(&fixture).await.len(), 1);
    assert_eq!(violations(&fixture).await, 0);
}

#[tokio::test]
async fn a_damaged_segment_is_told_of_and_made_anew() {
    let fixture = fixture();
    let house = house(&fixture, 0);
    let (_, placed, _) = fixture.arrive(ANN, &[100; 20]).await;
    keep(&house, ANN).await;
    let name = listed(&fixture).await.remove(0);
    fixture.damage(&name).await;
    // Another process, which has not read it before.
    let other = fixture.anew();
    assert_eq!(violations(&other).await, 1);
    assert!(!has(&other.store.segments(ANN).await.unwrap(), &placed[0]));
    keep(&self::house(&other, 0), ANN).await;
    assert_eq!(violations(&other).await, 0);
    assert!(has(&other.store.segments(ANN).await.unwrap(), &placed[0]));
    assert_ne!(listed(&other).await, [name]);
}

#[tokio::test]
async fn a_busy_account_waits_unless_somebody_reads() {
    let fixture = fixture();
    let house = house(&fixture, 60);
    fixture.arrive(ANN, &[100; 20]).await;
    keep(&house, ANN).await;
    assert!(listed(&fixture).await.is_empty(), "it is busy");
    assert_eq!(fixture.store.take_wanted().await, Ok(vec![ANN]), "and comes again");
    fixture.store.want_index_now(ANN);
    keep(&house, ANN).await;
    assert_eq!(listed(&fixture).await.len(), 1);
    fixture.arrive(ANN, &[100; 20]).await;
    fixture.pass(61_000);
    keep(&house, ANN).await;
    assert_eq!(listed(&fixture).await.len(), 2);
    let state = fixture.store.load(ANN, Consistency::Strong).await.unwrap();
    assert_eq!(fixture.store.indexed_up_to(ANN).await.unwrap(), state.seq);
}

/// Bytes of the objects with that prefix.
async fn stored(fixture: &Fixture, prefix: &str) -> u64 {
    let listed = fixture.store.objects().list(prefix, None, 1_000).await.unwrap();
    listed.iter().map(|object| object.size).sum()
}

#[tokio::test]
async fn work_grows_with_what_comes_and_nothing_is_done_twice() {
    let fixture = fixture();
    let house = house(&fixture, 0);
    for _ in 0..60 {
        fixture.arrive(ANN, &[1_000; 12]).await;
        keep(&house, ANN).await;
    }
    let (_, read, written) = fixture.work();
    let packs = stored(&fixture, &names::packs(ANN.tenant)).await;
    assert!(read <= packs, "each message is read once: {read} of {packs} bytes");
    let segments = stored(&fixture, &names::segments(ANN)).await;
    assert!(written <= 6 * segments, "merged a few times: {written} for {segments} bytes");

    fixture.store.build_base(ANN).await.unwrap();
    fixture.arrive(ANN, &[1_000; 9]).await;
    fixture.work();
    for _ in 0..20 {
        fixture.store.want_index_now(ANN);
        keep(&house, ANN).await;
    }
    assert_eq!(fixture.work(), (0, 0, 0), "for a few messages the account is not even loaded");
}

#[tokio::test]
async fn a_large_account_gets_fewer_segments() {
    let fixture = fixture();
    let house = house(&fixture, 0);
    // A 256th of these are 12.
    fixture.arrive(ANN, &[8; 3_100]).await;
    keep(&house, ANN).await;
    let names = listed(&fixture).await;
    fixture.arrive(ANN, &[8; 11]).await;
    keep(&house, ANN).await;
    assert_eq!(listed(&fixture).await, names);
    fixture.arrive(ANN, &[8; 1]).await;
    keep(&house, ANN).await;
    assert_ne!(listed(&fixture).await, names);
}

#[tokio::test]
async fn many_messages_in_few_entries_get_a_base() {
    let fixture = fixture();
    let house = house(&fixture, 0);
    for _ in 0..3 {
        fixture.arrive(ANN, &[8; 2_000]).await;
    }
    assert_eq!(stored(&fixture, &names::bases(ANN)).await, 0);
    house.keep_account(ANN).await.unwrap();
    let bases = fixture.store.objects().list(&names::bases(ANN), None, 10).await.unwrap();
    assert_eq!(bases.len(), 1);
    fixture.arrive(ANN, &[8; 2_000]).await;
    house.keep_account(ANN).await.unwrap();
    assert_eq!(
        fixture.store.objects().list(&names::bases(ANN), None, 10).await.unwrap(),
        bases,
        "a few more"
    );
}
