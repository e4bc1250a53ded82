//! The contract of [`Journal`].

use std::sync::Arc;

use pennypost_model::journal::{Actor, Entry, MailboxOp, Op, Usage};
use pennypost_model::{AccountKey, MailboxId, Seq, TenantId, Timestamp, UidValidity};
use pennypost_ports::{Appended, Consistency, Head, Journal, Newest};

use crate::{RACERS, account, account_of, assert_refused, ok, race, suite, tenant};

suite!(Journal:
    an_empty_journal_has_nothing,
    entries_come_back_as_they_were_put,
    a_taken_number_gives_the_entry_that_has_it,
    entries_are_numbered_from_one,
    racing_appenders_get_one_commit_per_number,
    a_committed_entry_is_seen_by_strong_reads_at_once,
    ranges,
    the_newest_end_comes_with_the_head,
    the_head_only_moves_forward,
    racing_heads_end_at_the_furthest,
    accounts_are_listed_in_order,
    accounts_do_not_touch,
    large_entries_are_kept_whole,
    what_is_erased_is_gone_and_nothing_else,
);

fn entry(seq: u64, who: u64) -> Entry {
    Entry {
        seq: Seq(seq),
        time: Timestamp(1_795_132_800_000 + seq.cast_signed()),
        actor: Actor::System,
        next_uid: 1,
        used: Usage { bytes: who, messages: seq },
        ops: Vec::new(),
    }
}

async fn fill(journal: &Arc<dyn Journal>, account: AccountKey, count: u64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for seq in 1..=count {
        let entry = entry(seq, 0);
        assert_eq!(ok(journal.append(account, &entry).await), Appended::Committed);
        entries.push(entry);
    }
    entries
}

fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.seq.0).collect()
}

async fn an_empty_journal_has_nothing(journal: Arc<dyn Journal>) {
    let account = account();
    for consistency in [Consistency::Eventual, Consistency::Strong] {
        assert_eq!(ok(journal.since(account, Seq::ZERO, 10, consistency).await), []);
        assert_eq!(ok(journal.newest(account, 10, consistency).await), Newest::default());
    }
    assert_eq!(ok(journal.before(account, Seq(10), 10).await), []);
    assert_eq!(ok(journal.accounts(account.tenant, None, 10).await), []);
}

async fn entries_come_back_as_they_were_put(journal: Arc<dyn Journal>) {
    let account = account();
    let mut entry = entry(1, 7);
    entry.ops.push(Op::Mailbox(MailboxOp::Create {
        id: MailboxId(7),
        name: "Projekte/企业邮局".to_owned(),
        role: None,
        uid_validity: UidValidity(9),
    }));
    assert_eq!(ok(journal.append(account, &entry).await), Appended::Committed);
    assert_eq!(ok(journal.since(account, Seq::ZERO, 10, Consistency::Strong).await), [entry]);
}

async fn a_taken_number_gives_the_entry_that_has_it(journal: Arc<dyn Journal>) {
    let account = account();
    let (first, second) = (entry(1, 1), entry(1, 2));
    assert_eq!(ok(journal.append(account, &first).await), Appended::Committed);
    assert_eq!(ok(journal.append(account, &second).await), Appended::Lost(Box::new(first.clone())));
    // A repeated call, because its first answer was lost, is told of its own entry.
    assert_eq!(ok(journal.append(account, &first).await), Appended::Lost(Box::new(first.clone())));
    assert_eq!(ok(journal.since(account, Seq::ZERO, 10, Consistency::Strong).await), [first]);
}

async fn entries_are_numbered_from_one(journal: Arc<dyn Journal>) {
    assert_refused(&journal.append(account(), &entry(0, 0)).await);
}

async fn racing_appenders_get_one_commit_per_number(journal: Arc<dyn Journal>) {
    let account = account();
    for seq in 1..=10 {
        let results = race(&journal, RACERS, |journal, racer| async move {
            ok(journal.append(account, &entry(seq, racer as u64)).await)
        })
        .await;
        let winners: Vec<usize> =
            (0..RACERS).filter(|racer| results[*racer] == Appended::Committed).collect();
        assert_eq!(winners.len(), 1, "winners of entry {seq}");
        let won = entry(seq, winners[0] as u64);
        for result in &results {
            assert!(*result == Appended::Committed || *result == Appended::Lost(Box::new(won.clone())));
        }
        let end = ok(journal.newest(account, 1, Consistency::Strong).await);
        assert_eq!(end.entries, [won]);
    }
}

async fn a_committed_entry_is_seen_by_strong_reads_at_once(journal: Arc<dyn Journal>) {
    let tenant = tenant();
    race(&journal, RACERS, |journal, _| async move {
        let account = account_of(tenant);
        for seq in 1..=20 {
            let put = entry(seq, 0);
            assert_eq!(ok(journal.append(account, &put).await), Appended::Committed);
            let end = ok(journal.newest(account, 1, Consistency::Strong).await);
            assert_eq!(end.entries, std::slice::from_ref(&put));
            let since = ok(journal.since(account, Seq(seq - 1), 5, Consistency::Strong).await);
            assert_eq!(since, [put]);
        }
    })
    .await;
}

async fn ranges(journal: Arc<dyn Journal>) {
    let account = account();
    let all = fill(&journal, account, 100).await;
    let since = async |after, limit| {
        let entries = ok(journal.since(account, Seq(after), limit, Consistency::Strong).await);
        assert!(entries.iter().all(|entry| *entry == all[entry.seq.0 as usize - 1]));
        numbers(&entries)
    };
    assert_eq!(since(0, 3).await, [1, 2, 3]);
    assert_eq!(since(97, 10).await, [98, 99, 100]);
    assert_eq!(since(0, 1000).await, (1..=100).collect::<Vec<_>>());
    assert_eq!(since(0, usize::MAX).await, (1..=100).collect::<Vec<_>>());
    assert_eq!(since(50, 0).await, [0; 0]);
    assert_eq!(since(100, 10).await, [0; 0]);
    assert_eq!(since(1 << 40, 10).await, [0; 0]);
    assert_eq!(since(u64::MAX, 10).await, [0; 0]);

    let before = async |upto, limit| {
        let entries = ok(journal.before(account, Seq(upto), limit).await);
        assert!(entries.iter().all(|entry| *entry == all[entry.seq.0 as usize - 1]));
        numbers(&entries)
    };
    assert_eq!(before(10, 3).await, [8, 9, 10]);
    assert_eq!(before(2, 10).await, [1, 2]);
    assert_eq!(before(0, 10).await, [0; 0]);
    assert_eq!(before(5, 0).await, [0; 0]);
    assert_eq!(before(u64::MAX, 2).await, [99, 100]);
    assert_eq!(before(u64::MAX, usize::MAX).await, (1..=100).collect::<Vec<_>>());

    // A stale read may end early, but it begins where it was asked to and has no hole.
    let stale = numbers(&ok(journal.since(account, Seq(40), 30, Consistency::Eventual).await));
    assert_eq!(stale, (41..=70).take(stale.len()).collect::<Vec<_>>());
}

async fn the_newest_end_comes_with_the_head(journal: Arc<dyn Journal>) {
    let account = account();
    fill(&journal, account, 5).await;
    let newest = ok(journal.newest(account, 2, Consistency::Strong).await);
    assert_eq!((numbers(&newest.entries), newest.head), (vec![4, 5], None));
    let head = Head { base_seq: Seq(3), base: "t/base/3".to_owned() };
    assert!(ok(journal.advance_head(account, &head).await));
    let newest = ok(journal.newest(account, 200, Consistency::Strong).await);
    assert_eq!((numbers(&newest.entries), newest.head), (vec![1, 2, 3, 4, 5], Some(head.clone())));
    let newest = ok(journal.newest(account, 0, Consistency::Strong).await);
    assert_eq!((numbers(&newest.entries), newest.head), (vec![], Some(head)));
}

async fn the_head_only_moves_forward(journal: Arc<dyn Journal>) {
    let account = account();
    let head = |seq, base: &str| Head { base_seq: Seq(seq), base: base.to_owned() };
    assert!(ok(journal.advance_head(account, &head(5, "a")).await));
    assert!(!ok(journal.advance_head(account, &head(5, "b")).await));
    assert!(!ok(journal.advance_head(account, &head(4, "c")).await));
    let newest = ok(journal.newest(account, 1, Consistency::Strong).await);
    assert_eq!(newest.head, Some(head(5, "a")));
    assert!(ok(journal.advance_head(account, &head(6, "d")).await));
    let newest = ok(journal.newest(account, 1, Consistency::Strong).await);
    assert_eq!(newest.head, Some(head(6, "d")));
}

async fn racing_heads_end_at_the_furthest(journal: Arc<dyn Journal>) {
    let account = account();
    race(&journal, RACERS, |journal, racer| async move {
        let head = Head { base_seq: Seq(racer as u64 + 1), base: format!("base-{racer}") };
        ok(journal.advance_head(account, &head).await)
    })
    .await;
    let newest = ok(journal.newest(account, 1, Consistency::Strong).await);
    let furthest = Head { base_seq: Seq(RACERS as u64), base: format!("base-{}", RACERS - 1) };
    assert_eq!(newest.head, Some(furthest));
}

async fn accounts_are_listed_in_order(journal: Arc<dyn Journal>) {
    // Ids in the upper half must not sort as negative numbers, and neighbours' accounts are not ours.
    let middle = TenantId(tenant().0.clamp(2, u64::MAX - 2));
    let mut expected = Vec::new();
    for account in [3, u64::MAX, 1 << 63, 1, (1 << 63) - 1] {
        let account = AccountKey { tenant: middle, account: pennypost_model::AccountId(account) };
        fill(&journal, account, 3).await;
        expected.push(account);
    }
    expected.sort_unstable();
    for neighbour in [middle.0 - 1, middle.0 + 1] {
        fill(&journal, account_of(TenantId(neighbour)), 1).await;
    }
    assert_eq!(ok(journal.accounts(middle, None, 100).await), expected);
    let mut paged = Vec::new();
    while let page = ok(journal.accounts(middle, paged.last().copied(), 2).await)
        && !page.is_empty()
    {
        assert!(page.len() <= 2);
        paged.extend(page);
    }
    assert_eq!(paged, expected);
    assert_eq!(ok(journal.accounts(middle, None, 0).await), []);
}

async fn accounts_do_not_touch(journal: Arc<dyn Journal>) {
    let (one, other) = (account(), account());
    let same_account_elsewhere = AccountKey { tenant: other.tenant, account: one.account };
    fill(&journal, one, 3).await;
    assert_eq!(ok(journal.append(other, &entry(1, 1)).await), Appended::Committed);
    assert_eq!(ok(journal.append(same_account_elsewhere, &entry(1, 2)).await), Appended::Committed);
    let entries = ok(journal.since(one, Seq::ZERO, 10, Consistency::Strong).await);
    assert_eq!(numbers(&entries), [1, 2, 3]);
    let entries = ok(journal.since(same_account_elsewhere, Seq::ZERO, 10, Consistency::Strong).await);
    assert_eq!(entries, [entry(1, 2)]);
}

async fn what_is_erased_is_gone_and_nothing_else(journal: Arc<dyn Journal>) {
    let middle = TenantId(tenant().0.clamp(2, u64::MAX - 2));
    let of = |tenant, account| AccountKey { tenant, account: pennypost_model::AccountId(account) };
    let (one, other) = (of(middle, 7), of(middle, 8));
    let elsewhere = of(TenantId(middle.0 + 1), 7);
    let head = Head { base_seq: Seq(3), base: "a base".to_owned() };
    let mut kept = Vec::new();
    for account in [one, other, elsewhere] {
        let mut entries = fill(&journal, account, 59).await;
        let mut large = entry(60, 0);
        for id in 7..1007 {
            let name = format!("{id} {}", "名".repeat(80));
            large.ops.push(Op::Mailbox(MailboxOp::Rename { id: MailboxId(id), name }));
        }
        assert_eq!(ok(journal.append(account, &large).await), Appended::Committed);
        assert!(ok(journal.advance_head(account, &head).await));
        entries.push(large);
        kept = entries;
    }
    // In parts, from the newest entry on: what is left in between has no holes.
    assert!(ok(journal.erase(one, 20).await));
    let left = numbers(&ok(journal.since(one, Seq::ZERO, 100, Consistency::Strong).await));
    assert!(
        (40..60).contains(&left.len()) && left == (1..=left.len() as u64).collect::<Vec<_>>(),
        "{left:?}"
    );
    let mut calls = 0;
    while ok(journal.erase(one, 20).await) {
        calls += 1;
        assert!(calls < 10, "it comes to an end");
    }
    assert_eq!(ok(journal.newest(one, 10, Consistency::Strong).await), Newest::default());
    assert_eq!(ok(journal.accounts(middle, None, 10).await), [other]);
    assert!(!ok(journal.erase(one, 20).await));
    for account in [other, elsewhere] {
        assert_eq!(ok(journal.since(account, Seq::ZERO, 100, Consistency::Strong).await), kept);
        assert_eq!(ok(journal.newest(account, 1, Consistency::Strong).await).head.as_ref(), Some(&head));
    }
    // What somebody writes who had it open goes with the next call, also where no entry is.
    assert!(ok(journal.advance_head(one, &head).await));
    assert!(!ok(journal.erase(one, 20).await));
    assert_eq!(ok(journal.newest(one, 10, Consistency::Strong).await), Newest::default());
    assert_eq!(ok(journal.append(one, &entry(61, 0)).await), Appended::Committed);
    while ok(journal.erase(one, 20).await) {}
    assert_eq!(ok(journal.newest(one, 10, Consistency::Strong).await), Newest::default());
}

async fn large_entries_are_kept_whole(journal: Arc<dyn Journal>) {
    let account = account();
    let mut large = entry(1, 0);
    for id in 7..1007 {
        let name = format!("{id} {}", "名".repeat(80));
        large.ops.push(Op::Mailbox(MailboxOp::Rename { id: MailboxId(id), name }));
    }
    assert_eq!(ok(journal.append(account, &large).await), Appended::Committed);
    assert_eq!(ok(journal.newest(account, 1, Consistency::Strong).await).entries, [large]);
}
