//! Users of business mailboxes: what is left when processes die or race, and when accounts change hands.

#[allow(dead_code, clippy::allow_attributes, reason = "each test file uses its part of it")]
mod memory;

use std::collections::BTreeSet;

use memory::{Death, House, Memory, PASSWORD};
use pennypost_directory::{
    Account, BinCause, Directory, DirectoryError, MAX_MAILBOX_USERS, MailboxUsers, NewAccount, NewOwner,
    TokenScope,
};
use pennypost_model::{AccountId, AccountKey, TenantId};

async fn account(directory: &Directory, local: &str) -> Account {
    directory.add_account(&format!("{local}@acme.example"), PASSWORD, local, None).await.expect(local)
}

async fn mailbox(directory: &Directory) -> AccountKey {
    let new = NewAccount { address: "sales@acme.example", is_business: true, ..NewAccount::default() };
    directory.add_account_with(&new).await.expect("mailbox").key
}

async fn change(
    directory: &Directory,
    mailbox: AccountKey,
    change: impl Fn(&mut BTreeSet<AccountId>),
) -> Result<MailboxUsers, DirectoryError> {
    let changing = directory.change_mailbox_users(mailbox, |users| {
        change(&mut users.accounts);
        true
    });
    Ok(changing.await?.expect("not refused"))
}

async fn used(directory: &Directory, user: &Account) -> usize {
    directory.mailboxes_used(user).await.expect("asked").len()
}

/// Keys of the index.
fn index(house: &House, tenant: TenantId) -> usize {
    let is_in = |key: &pennypost_ports::ControlKey| key.partition == format!("{tenant}/mailboxes-used");
    house.disk.keys().into_iter().filter(is_in).count()
}

#[tokio::test]
async fn what_a_dying_process_leaves_is_completed() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..6 {
            let (house, tenant) = House::with_acme().await;
            let directory = &house.directory;
            let (ann, bob) = (account(directory, "ann").await, account(directory, "bob").await);
            let mailbox = mailbox(directory).await;
            let shown = format!("{death:?} {writes}");
            let both = [ann.key.account, bob.key.account];
            // Who is a user finds the mailbox, whatever has happened.
            let is_whole = async || {
                for user in [&ann, &bob] {
                    let is_user = directory.uses_mailbox(user.key, mailbox).await.expect("asked");
                    assert_eq!(used(directory, user).await, usize::from(is_user), "{shown}");
                }
            };
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            died += usize::from(change(&dying, mailbox, |users| users.extend(both)).await.is_err());
            is_whole().await;
            change(directory, mailbox, |users| users.extend(both)).await.expect("again");
            is_whole().await;
            assert_eq!(index(&house, tenant), 2, "{shown}");
            let pair = (bob.key.account, mailbox);
            directory.add_user_token(pair, "phone", TokenScope::ALL, None).await.expect("a token");
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            let removed = change(&dying, mailbox, |users| _ = users.remove(&bob.key.account)).await;
            died += usize::from(removed.is_err());
            is_whole().await;
            // Who comes back begins without tokens, whatever was left of them.
            change(directory, mailbox, |users| _ = users.remove(&bob.key.account)).await.expect("again");
            change(directory, mailbox, |users| _ = users.insert(bob.key.account)).await.expect("back");
            assert!(directory.tokens(mailbox).await.expect("asked").is_empty(), "{shown}");
            is_whole().await;
        }
    }
    assert!(died >= 8, "only {died} deaths: the test tests nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_changes_at_once_none_is_lost_and_the_index_follows() {
    for _ in 0..10 {
        let (house, tenant) = House::with_acme().await;
        let directory = &house.directory;
        let mailbox = mailbox(directory).await;
        let mut people = Vec::new();
        for number in 0..4 {
            people.push(account(directory, &format!("user{number}")).await);
        }
        // Each lets himself in, one of them in and out all the while.
        let changes = people.iter().enumerate().map(|(number, user)| {
            let (directory, id) = (house.process(Memory::new(&house.disk)), user.key.account);
            let flickering = people[0].key.account;
            tokio::spawn(async move {
                for round in 0..3 {
                    change(&directory, mailbox, |users| _ = users.insert(id)).await.expect("in");
                    change(&directory, mailbox, |users| match (number + round) % 2 {
                        0 => _ = users.insert(flickering),
                        _ => _ = users.remove(&flickering),
                    })
                    .await
                    .expect("changed");
                }
            })
        });
        for change in changes.collect::<Vec<_>>() {
            change.await.expect("task");
        }
        let users = directory.mailbox_users(mailbox).await.expect("asked");
        for (number, user) in people.iter().enumerate() {
            let is_user = users.accounts.contains(&user.key.account);
            assert!(is_user || number == 0, "a change was lost");
            assert_eq!(used(directory, user).await, usize::from(is_user));
        }
        assert_eq!(index(&house, tenant), users.len());
    }
}

#[tokio::test]
async fn whose_account_changes_hands_uses_nothing_any_more() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, bob) = (account(directory, "ann").await, account(directory, "bob").await);
    let mailbox = mailbox(directory).await;
    let both = [ann.key.account, bob.key.account];
    change(directory, mailbox, |users| users.extend(both)).await.expect("users");
    // Deleted and restored: as it was. Unbound and given to somebody else: not his.
    directory.bin_account(ann.key, BinCause::Deleted).await.expect("deleted");
    directory.restore_account(ann.key).await.expect("restored");
    assert_eq!(directory.uses_mailbox(ann.key, mailbox).await, Ok(true));
    directory.bin_account(ann.key, BinCause::Unbound).await.expect("unbound");
    let owner = NewOwner { display_name: "Carol", ..NewOwner::default() };
    directory.assign_account(ann.key, &owner).await.expect("assigned");
    assert_eq!(directory.uses_mailbox(ann.key, mailbox).await, Ok(false));
    assert_eq!(directory.uses_mailbox(bob.key, mailbox).await, Ok(true));
    // Of whom nobody has heard, and of more than there may be, none is let in.
    let strange = change(directory, mailbox, |users| _ = users.insert(AccountId(7))).await;
    assert_eq!(strange, Err(DirectoryError::NoAccount(AccountId(7).to_string())));
    let many = change(directory, mailbox, |users| users.extend((0..501).map(AccountId))).await;
    assert!(matches!(many, Err(DirectoryError::TooMany { limit: MAX_MAILBOX_USERS, .. })), "{many:?}");
    // Erased: nothing of it is left.
    directory.bin_account(mailbox, BinCause::Withdrawn).await.expect("withdrawn");
    directory.begin_erasing(mailbox).await.expect("over");
    directory.erase_account(mailbox).await.expect("erased");
    assert_eq!(index(&house, tenant), 0);
    assert!(!house.disk.keys().iter().any(|key| key.partition == format!("{tenant}/mailbox-users")));
}
