//! Users of business mailboxes: what is left when processes die or race, and when accounts change hands.

use std::collections::BTreeSet;

use crate::memory::{Death, House, Memory, PASSWORD};
use pennypost_directory::{
    Account, Attempt, BinCause, Blockable, DepartmentId, Directory, DirectoryError, Frequency,
    MAX_MAILBOX_USERS, MAX_USER_TOKENS, MailPermission, MailReach, MailboxUsers, NewAccount, NewDepartment,
    NewOwner, Outward, Page, SendingRules, SendingTarget, SignInKind, TokenScope,
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
    directory.mailboxes_used(user, &Page::default()).await.expect("asked").items.len()
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

/// A password that somebody made for a mailbox does not open it for whoever has his account after him.
#[tokio::test]
async fn tokens_of_a_former_owner_open_nothing() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let (ann, mailbox) = (account(directory, "ann").await, mailbox(directory).await);
    let support = [NewDepartment { path: "Support".to_owned(), description: String::new() }];
    let tree = directory.ensure_departments(tenant, &support, false).await.expect("departments").tree;
    let support = tree.find("Support").expect("there");
    let changing = directory.change_mailbox_users(mailbox, |users| users.departments.insert(support));
    changing.await.expect("changed");
    directory.set_departments(ann.key, &[support]).await.expect("moved");
    let pair = (ann.key.account, mailbox);
    let token = directory.add_user_token(pair, "phone", TokenScope::ALL, None).await.expect("a token").1;
    let attempt = Attempt::new(SignInKind::Imap, "LOGIN", [192, 0, 2, 1].into());
    let opens = async || directory.sign_in_with_token(&attempt, None, &token).await.is_ok();
    assert!(opens().await);
    // What is said about him holds for what he does with the mailbox, at sign-in and later.
    let standing = directory.sign_in_with_token(&attempt, None, &token).await.expect("opens");
    let closed = MailPermission { send: MailReach::Inside, ..ann.mail };
    assert_eq!(directory.change_mail_permission(ann.key, ann.mail, closed).await, Ok(true));
    let again = directory.sign_in_with_token(&attempt, None, &token).await.expect("opens");
    assert_eq!((standing.rules.send, again.rules.send), (MailReach::Anyone, MailReach::Inside));
    let block = async |function| {
        let block = directory.block(BTreeSet::from([function]), "spam").expect("a block");
        directory.set_account_block(ann.key, block).await.expect("blocked");
    };
    block(Blockable::Sending).await;
    let now = directory.still_stands(&standing).await.expect("asked").expect("it stands");
    assert_eq!(now.rules.send, MailReach::Nobody);
    // Nor does he send outside from it, if he may not.
    let forbidden = SendingRules {
        forbidden: [SendingTarget::Account(ann.key.account)].into(),
        everybody: Frequency::new(2, 60).ok(),
        ..SendingRules::default()
    };
    assert_eq!(directory.outward_of(&now).await, Ok(Outward::Open(None)));
    let said = directory.change_sending_rules(tenant, &SendingRules::default(), &forbidden).await;
    assert_eq!(said, Ok(true));
    assert_eq!(directory.outward_of(&now).await, Ok(Outward::Forbidden));
    assert_eq!(directory.outward(&now.account).await, Ok(Outward::Open(forbidden.everybody)));
    let late = directory.change_sending_rules(tenant, &SendingRules::default(), &forbidden).await;
    assert_eq!(late, Ok(false));
    block(Blockable::MailPrograms).await;
    assert!(!opens().await);
    directory.set_account_block(ann.key, None).await.expect("open");
    // By his department: the token sleeps while he is in none, and is his when he is let in by himself, too.
    directory.set_departments(ann.key, &[]).await.expect("moved");
    assert!(!opens().await);
    directory.set_departments(ann.key, &[support]).await.expect("moved");
    change(directory, mailbox, |users| _ = users.insert(ann.key.account)).await.expect("in");
    change(directory, mailbox, |users| _ = users.remove(&ann.key.account)).await.expect("out");
    assert!(opens().await);
    directory.bin_account(ann.key, BinCause::Unbound).await.expect("unbound");
    let owner = NewOwner { display_name: "Carol", departments: &[support], ..NewOwner::default() };
    directory.assign_account(ann.key, &owner).await.expect("assigned");
    let carols = directory.account(ann.key).await.expect("looked").expect("there");
    assert_eq!(carols.mail, MailPermission::default(), "what was said about him is not said about her");
    assert_eq!(directory.uses_mailbox(ann.key, mailbox).await, Ok(true));
    assert!(!opens().await);
    assert!(directory.tokens(mailbox).await.expect("asked").is_empty());
    assert!(!house.disk.keys().iter().any(|key| key.partition == format!("{tenant}/user-tokens")));
}

/// However many mailboxes departments use: who is in one finds his, and asks for no other.
#[tokio::test]
async fn of_many_mailboxes_the_own_are_found() {
    let (house, tenant) = House::with_acme().await;
    let directory = &house.directory;
    let ann = account(directory, "ann").await;
    // Hers stand behind all others.
    let paths: Vec<NewDepartment> = (0..1_050)
        .map(|number| format!("Law/{number}"))
        .chain(["Sales/North/Coast/Harbour".to_owned()])
        .map(|path| NewDepartment { path, description: String::new() })
        .collect();
    let tree = directory.ensure_departments(tenant, &paths, false).await.expect("departments").tree;
    let at = |path: &str| tree.find(path).expect("there");
    directory.set_departments(ann.key, &[at("Sales/North/Coast/Harbour")]).await.expect("moved");
    let ann = directory.account(ann.key).await.expect("asked").expect("there");
    let add = async |address: &str, departments: &[DepartmentId]| {
        let new = NewAccount { address, is_business: true, ..NewAccount::default() };
        let mailbox = directory.add_account_with(&new).await.expect("mailbox").key;
        let changing = directory.change_mailbox_users(mailbox, |users| {
            users.departments.extend(departments);
            true
        });
        changing.await.expect("changed").expect("not refused");
        mailbox
    };
    let strange = tree.within(at("Law"));
    assert!(strange.len() > 1_050);
    let mut others = BTreeSet::new();
    for (number, departments) in strange.chunks(400).enumerate() {
        others.insert(add(&format!("law{number}@acme.example"), departments).await.account.to_string());
    }
    let mut expected = BTreeSet::new();
    let above = ["", "Sales", "Sales/North/Coast", "Sales/North/Coast/Harbour"];
    for (number, path) in above.into_iter().enumerate() {
        expected.insert(add(&format!("used{number}@acme.example"), &[at(path)]).await);
    }
    house.disk.take_reads();
    let found = directory.mailboxes_used(&ann, &Page::default()).await.expect("asked").items;
    assert_eq!(found.iter().map(|found| found.key).collect::<BTreeSet<_>>(), expected);
    let reads = house.disk.take_reads();
    assert!(!reads.iter().any(|key| others.contains(&key.sort)), "{reads:?}");
    // In no department she is in the organisation still.
    directory.set_departments(ann.key, &[]).await.expect("moved");
    let ann = directory.account(ann.key).await.expect("asked").expect("there");
    assert_eq!(used(directory, &ann).await, 1);
}

/// What one user has leaves room for the others; and what somebody uses is found to its end.
#[tokio::test]
async fn each_user_has_tokens_of_his_own_and_finds_all_his_mailboxes() {
    let (house, _) = House::with_acme().await;
    let directory = &house.directory;
    let mailbox = mailbox(directory).await;
    let add = async |address: &str, is_business| {
        let new = NewAccount { address, is_business, ..NewAccount::default() };
        directory.add_account_with(&new).await.expect("account")
    };
    let mut users = Vec::new();
    for number in 0..11 {
        users.push(add(&format!("user{number}@acme.example"), false).await);
    }
    let all: BTreeSet<AccountId> = users.iter().map(|user| user.key.account).collect();
    change(directory, mailbox, |stored| stored.extend(&all)).await.expect("users");
    for user in &users {
        let token = async || {
            directory.add_user_token((user.key.account, mailbox), "phone", TokenScope::ALL, None).await
        };
        for _ in 0..MAX_USER_TOKENS {
            token().await.expect("a token");
        }
        assert!(matches!(token().await, Err(DirectoryError::TooMany { limit: MAX_USER_TOKENS, .. })));
    }
    assert_eq!(directory.tokens(mailbox).await.expect("asked").len(), 110);
    change(directory, mailbox, |stored| _ = stored.remove(&users[0].key.account)).await.expect("out");
    assert_eq!(directory.tokens(mailbox).await.expect("asked").len(), 100);

    let user = &users[1];
    for number in 0..4 {
        let more = add(&format!("desk{number}@acme.example"), true).await.key;
        change(directory, more, |stored| _ = stored.insert(user.key.account)).await.expect("users");
    }
    let (mut page, mut found) = (Page { after: None, limit: 2 }, BTreeSet::new());
    for expected in [2, 2, 1] {
        let listed = directory.mailboxes_used(user, &page).await.expect("asked");
        assert_eq!(listed.items.len(), expected);
        found.extend(listed.items.iter().map(|mailbox| mailbox.key));
        page.after = listed.next;
    }
    assert_eq!((found.len(), page.after), (5, None));
}

/// A mailbox is never there without the users with whom it was made, whatever write its making dies at.
#[tokio::test]
async fn a_mailbox_is_made_with_its_users_or_not_at_all() {
    let mut died = 0;
    for death in [Death::BeforeWrite, Death::AfterWrite] {
        for writes in 0..12 {
            let (house, _) = House::with_acme().await;
            let directory = &house.directory;
            let ann = account(directory, "ann").await;
            let users =
                MailboxUsers { accounts: BTreeSet::from([ann.key.account]), departments: BTreeSet::new() };
            let new = NewAccount { address: "sales@acme.example", ..NewAccount::default() };
            let dying = house.process(Memory::dying(&house.disk, writes, death));
            died += usize::from(dying.add_business_mailbox(&new, &users).await.is_err());
            let shown = format!("{death:?} {writes}");
            if let Some(made) = directory.account_at("sales@acme.example").await.expect("looked") {
                assert_eq!(directory.mailbox_users(made.key).await.as_ref(), Ok(&users), "{shown}");
                assert_eq!(used(directory, &ann).await, 1, "{shown}");
                continue;
            }
            assert_eq!(used(directory, &ann).await, 0, "{shown}");
            let made = directory.add_business_mailbox(&new, &users).await.expect("again");
            assert_eq!(made.kind, pennypost_directory::AccountKind::Business, "{shown}");
            assert_eq!(used(directory, &ann).await, 1, "{shown}");
            // What is refused leaves nothing.
            let again = directory.add_business_mailbox(&new, &users).await;
            assert!(matches!(again, Err(DirectoryError::AddressTaken(_))), "{shown}");
            assert_eq!(used(directory, &ann).await, 1, "{shown}");
        }
    }
    assert!(died > 8, "only {died} deaths: the test tests nothing");
}
