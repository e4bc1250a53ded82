//! Adapters wake each other over SQS: `tests/cloud/emulator run cargo test -p pennypost-backend-aws`.

use pennypost_backend_aws::wakeups::{ADAPTERS, Bell};
use pennypost_backend_aws::{Aws, Settings};
use pennypost_model::{AccountId, AccountKey, Seq, TenantId};
use pennypost_ports::{Ids, RandomIds, Wakeups};

/// A fresh installation at the emulators; `None` where there are none.
async fn fresh() -> Option<Aws> {
    if std::env::var_os("PENNYPOST_TEST_AWS").is_none() {
        eprintln!("skipped: run it with tests/cloud/emulator run");
        return None;
    }
    let settings = Settings::of_stack(&format!("test-{:016x}", RandomIds.random()));
    let aws = Aws::connect(settings).await.expect("an environment");
    aws.create_missing().await.expect("created");
    Some(aws)
}

fn account() -> AccountKey {
    AccountKey { tenant: TenantId(RandomIds.random()), account: AccountId(RandomIds.random()) }
}

/// Waits until the adapter is told something, however long it takes.
async fn next(bell: &Bell) -> Vec<(AccountKey, Seq)> {
    loop {
        let news = bell.listen().await.expect("listened");
        if !news.is_empty() {
            return news;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_are_told_and_nobody_else() {
    let Some(aws) = fresh().await else { return };
    let (first, second) = (aws.bell().await.expect("hung"), aws.bell().await.expect("hung"));
    let (ann, bob, nobodys) = (account(), account(), account());
    first.announce(&[ann]).await.expect("announced");
    second.announce(&[ann, bob]).await.expect("announced");
    let news = [(ann, Seq(3)), (nobodys, Seq(9)), (bob, Seq(5)), (ann, Seq(4))];
    aws.wakeups().wake_many(&news).await.expect("told");
    assert_eq!(next(&first).await, [(ann, Seq(4))]);
    let mut told = next(&second).await;
    told.sort_unstable();
    let mut both = vec![(ann, Seq(4)), (bob, Seq(5))];
    both.sort_unstable();
    assert_eq!(told, both);
    // An adapter tells the others, not itself.
    first.others().await.wake(ann, Seq(6)).await.expect("told");
    assert_eq!(next(&second).await, [(ann, Seq(6))]);
    aws.wakeups().wake(ann, Seq(7)).await.expect("told");
    assert_eq!(next(&first).await, [(ann, Seq(7))]);
    // Whoever has gone is told nothing, and nothing of him is left.
    first.take_down().await.expect("taken down");
    aws.wakeups().wake(ann, Seq(8)).await.expect("told");
    let left = aws.control().query(ADAPTERS, "", None, 10).await.expect("read");
    assert_eq!(left.len(), 1);
    second.take_down().await.expect("taken down");
    // Nobody is there.
    aws.wakeups().wake(ann, Seq(9)).await.expect("told nobody");
}
