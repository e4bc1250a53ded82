//! Business mailboxes in mail programs: whole for their users, and for nobody else.

use std::collections::BTreeSet;
use std::time::Duration;

use pennypost_directory::{
    Account, AccountState, BinCause, Directory, MailboxUsers, NewAccount, NewDepartment, TokenScope,
};
use pennypost_ingress::net::Limits;
use pennypost_model::AccountKey;

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, PASSWORD, Server};

const SALES: &str = "sales@example.test";

async fn said(client: &mut Client, command: &str) -> String {
    client.command(command).await.1
}

async fn member(directory: &Directory, address: &str) -> Account {
    directory.account_at(address).await.expect("directory").expect("an account")
}

/// A business mailbox that these use.
async fn sales(directory: &Directory, users: &[&Account]) -> AccountKey {
    let new = NewAccount { address: SALES, is_business: true, ..NewAccount::default() };
    let mailbox = directory.add_account_with(&new).await.expect("mailbox").key;
    let accounts: BTreeSet<_> = users.iter().map(|user| user.key.account).collect();
    change(directory, mailbox, |users| users.accounts.clone_from(&accounts)).await;
    mailbox
}

async fn change(directory: &Directory, mailbox: AccountKey, change: impl Fn(&mut MailboxUsers)) {
    let changing = directory.change_mailbox_users(mailbox, |users| {
        change(users);
        true
    });
    changing.await.expect("changed").expect("changed");
}

async fn names(client: &mut Client) -> Vec<String> {
    let listed = client.ok("LIST \"\" Other*").await;
    listed.into_iter().filter(|line| !line.contains("\\Noselect")).collect()
}

/// Feature BIZ-04: a user works in all of it, in folders made later, too, and is out at once when he is no user
#[tokio::test(flavor = "multi_thread")]
async fn users_work_in_the_whole_business_mailbox() {
    let server = Server::start().await;
    let directory = &server.adapter.directory;
    let (alice, bob) = (member(directory, ALICE).await, member(directory, BOB).await);
    let mailbox = sales(directory, &[&bob]).await;
    let (mut first, mut second) =
        (Client::login(server.address, BOB).await, Client::login(server.address, ALICE).await);
    let inbox = "\"Other Users/sales@example.test/INBOX\"";

    // All its folders to its user; to others it is not there.
    let seen = names(&mut first).await;
    assert!(seen.len() >= 4 && seen.iter().all(|line| line.contains(SALES)), "{seen:?}");
    assert!(seen.iter().any(|line| line.contains("/INBOX")), "{seen:?}");
    assert!(names(&mut second).await.is_empty());
    for command in [format!("SELECT {inbox}"), format!("STATUS {inbox} (MESSAGES)")] {
        assert!(said(&mut second, &command).await.starts_with("NO [NONEXISTENT]"), "{command}");
    }
    assert!(
        said(&mut second, "CREATE \"Other Users/sales@example.test/x\"").await.starts_with("NO [NOPERM]")
    );

    // Everything but to share it: that is the administrators'.
    let rights = first.ok(&format!("MYRIGHTS {inbox}")).await;
    assert_eq!(rights, ["* MYRIGHTS \"Other Users/sales@example.test/INBOX\" lrswipkxtecd"]);
    for command in [format!("SETACL {inbox} {ALICE} lr"), format!("GETACL {inbox}")] {
        assert!(said(&mut first, &command).await.starts_with("NO [NOPERM]"), "{command}");
    }
    // What is put there counts for the business mailbox, not for Bob's 2,000 bytes.
    let large = [b"Subject: large\r\n\r\n".as_slice(), &[b'x'; 5_000]].concat();
    assert!(first.append(inbox, &large).await.starts_with("OK [APPENDUID"));
    let root = first.ok(&format!("GETQUOTAROOT {inbox}")).await;
    assert!(root[1].starts_with("* QUOTA \"Other Users/sales@example.test\" (STORAGE "), "{root:?}");
    assert!(root[1].contains(" 976562 MESSAGE 1 "), "1 GB: {root:?}");

    // Folders at its top and below, moves within it, flags, expunge.
    let (orders, paid) =
        ("\"Other Users/sales@example.test/Orders\"", "\"Other Users/sales@example.test/Orders/Paid\"");
    first.ok(&format!("CREATE {orders}")).await;
    first.ok(&format!("CREATE {paid}")).await;
    first.ok(&format!("SELECT {inbox}")).await;
    first.ok("STORE 1 +FLAGS (\\Seen \\Flagged urgent)").await;
    let moved = first.ok(&format!("MOVE 1 {paid}")).await;
    assert!(moved[0].starts_with("* OK [COPYUID"), "{moved:?}");
    first.ok(&format!("SELECT {paid}")).await;
    let fetched = first.ok("FETCH 1 (FLAGS)").await;
    assert!(["\\Seen", "\\Flagged", "urgent"].iter().all(|flag| fetched[0].contains(flag)), "{fetched:?}");

    // A second user sees what the first has made, as soon as he is one.
    change(directory, mailbox, |users| _ = users.accounts.insert(alice.key.account)).await;
    assert!(names(&mut second).await.iter().any(|line| line.contains("Orders/Paid")));
    assert_eq!(
        second.ok(&format!("STATUS {paid} (MESSAGES UNSEEN)")).await,
        ["* STATUS \"Other Users/sales@example.test/Orders/Paid\" (MESSAGES 1 UNSEEN 0)"]
    );
    second.ok(&format!("RENAME {paid} \"Other Users/sales@example.test/Done\"")).await;

    // Out while he waits for news: he hears no more of it, and the mailbox is closed.
    first.ok(&format!("SELECT {inbox}")).await;
    first.send(b"i IDLE\r\n").await;
    assert_eq!(first.line().await.as_deref(), Some("+ idling"));
    change(directory, mailbox, |users| _ = users.accounts.remove(&bob.key.account)).await;
    assert!(second.append(inbox, b"Subject: 2\r\n\r\nx\r\n").await.starts_with("OK"));
    let closed = first.line().await.expect("a line");
    assert!(closed.starts_with("* OK [CLOSED]"), "{closed}");
    first.send(b"DONE\r\n").await;
    assert_eq!(first.line().await.as_deref(), Some("i OK no longer idle"));
    assert!(names(&mut first).await.is_empty());
    // Out between two commands, whichever the next one is.
    second.ok(&format!("SELECT {inbox}")).await;
    change(directory, mailbox, |users| users.accounts.clear()).await;
    let listed = second.ok("LIST \"\" INBOX").await;
    assert!(listed.iter().any(|line| line.starts_with("* OK [CLOSED]")), "{listed:?}");
    assert!(said(&mut second, "FETCH 1 (FLAGS)").await.starts_with("BAD"));
    server.stop().await;
}

/// Feature BIZ-05: its users lose it at once, and have it back as it was if it is restored
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_business_mailbox_is_closed_to_all_its_users() {
    let server = Server::start().await;
    let directory = &server.adapter.directory;
    let bob = member(directory, BOB).await;
    let mailbox = sales(directory, &[&bob]).await;
    let mut client = Client::login(server.address, BOB).await;
    let inbox = "\"Other Users/sales@example.test/INBOX\"";
    let state = async |state| directory.set_account_state(mailbox, state).await.expect("state");
    for withdrawn in [true, false] {
        client.ok(&format!("SELECT {inbox}")).await;
        if withdrawn {
            let binned = directory.bin_account(mailbox, BinCause::Withdrawn).await.expect("withdrawn");
            assert_eq!(binned.until.0 - binned.since.0, 60 * 24 * 60 * 60 * 1000);
        } else {
            state(AccountState::Disabled).await;
        }
        assert!(said(&mut client, "FETCH 1:* (FLAGS)").await.starts_with("BAD"));
        assert!(said(&mut client, &format!("SELECT {inbox}")).await.starts_with("NO [NONEXISTENT]"));
        assert!(names(&mut client).await.is_empty());
        if withdrawn {
            directory.restore_account(mailbox).await.expect("restored");
        } else {
            state(AccountState::Active).await;
        }
        assert!(!names(&mut client).await.is_empty());
    }
    server.stop().await;
}

/// Feature BIZ-02: added with name, address and users: members, and departments with those below
#[tokio::test(flavor = "multi_thread")]
async fn departments_use_a_business_mailbox() {
    let server = Server::start().await;
    let directory = &server.adapter.directory;
    let bob = member(directory, BOB).await;
    let tenant = bob.key.tenant;
    let paths = ["Sales/North", "Research"]
        .map(|path| NewDepartment { path: path.to_owned(), description: String::new() });
    let tree = directory.ensure_departments(tenant, &paths, false).await.expect("departments").tree;
    let [top, north, research] =
        ["Sales", "Sales/North", "Research"].map(|path| tree.find(path).expect("there"));
    let mailbox = sales(directory, &[]).await;
    change(directory, mailbox, |users| _ = users.departments.insert(top)).await;
    let mut client = Client::login(server.address, BOB).await;
    assert!(names(&mut client).await.is_empty());
    // In a department below it; he is out with the department, in an open session, too.
    let inbox = "\"Other Users/sales@example.test/INBOX\"";
    for departments in [vec![north], vec![research, top]] {
        directory.set_departments(bob.key, &departments).await.expect("moved");
        assert!(!names(&mut client).await.is_empty(), "{departments:?}");
        client.ok(&format!("SELECT {inbox}")).await;
        directory.set_departments(bob.key, &[research]).await.expect("moved");
        assert!(said(&mut client, "FETCH 1:* (FLAGS)").await.starts_with("BAD"));
        assert!(names(&mut client).await.is_empty());
    }
    // Everybody of the organisation, whoever is in no department among them; nobody of another tenant.
    change(directory, mailbox, |users| {
        users.departments = BTreeSet::from([pennypost_directory::DepartmentId::ROOT]);
    })
    .await;
    directory.set_departments(bob.key, &[]).await.expect("moved");
    assert!(!names(&mut client).await.is_empty());
    let other = directory.add_tenant("another").await.expect("tenant").id;
    directory.add_domain(other, "other.test").await.expect("domain");
    directory.add_account("eve@other.test", PASSWORD, "Eve", None).await.expect("account");
    let mut eve = Client::login(server.address, "eve@other.test").await;
    assert!(names(&mut eve).await.is_empty());
    assert!(said(&mut eve, &format!("SELECT {inbox}")).await.starts_with("NO [NONEXISTENT]"));
    server.stop().await;
}

/// Feature BIZ-07: a user makes himself a password for mail programs, which opens the mailbox as long as he uses it; over the API, no page yet
#[tokio::test(flavor = "multi_thread")]
async fn a_users_token_opens_the_mailbox_as_long_as_he_uses_it() {
    let server = Server::with_limits(Limits { recheck: Duration::ZERO, ..Limits::default() }).await;
    let directory = &server.adapter.directory;
    let bob = member(directory, BOB).await;
    let mailbox = sales(directory, &[&bob]).await;
    let token = async || {
        let pair = (bob.key.account, mailbox);
        directory.add_user_token(pair, "phone", TokenScope::ALL, None).await.expect("a token").1
    };
    let secret = token().await;
    let login = format!("LOGIN {SALES} {secret}");
    let mut client = Client::connect(server.address).await;
    assert!(said(&mut client, &format!("LOGIN {SALES} \"{PASSWORD}\"")).await.starts_with("NO"));
    client.ok(&login).await;
    client.ok("SELECT INBOX").await;
    // Also there nobody says who else uses it.
    assert!(said(&mut client, &format!("SETACL INBOX {ALICE} lr")).await.starts_with("NO [CANNOT]"));
    change(directory, mailbox, |users| users.accounts.clear()).await;
    client.send(b"t NOOP\r\n").await;
    let ended = client.line().await.expect("a line");
    assert!(ended.starts_with("* BYE"), "{ended}");
    let mut client = Client::connect(server.address).await;
    assert!(said(&mut client, &login).await.starts_with("NO"));
    // Who comes back begins anew.
    change(directory, mailbox, |users| _ = users.accounts.insert(bob.key.account)).await;
    assert!(said(&mut client, &login).await.starts_with("NO"));
    // Nor does it outlive its maker's account.
    let again = format!("LOGIN {SALES} {}", token().await);
    directory.set_account_state(bob.key, AccountState::Disabled).await.expect("disabled");
    assert!(said(&mut client, &again).await.starts_with("NO"));
    directory.set_account_state(bob.key, AccountState::Active).await.expect("enabled");
    client.ok(&again).await;
    server.stop().await;
}

/// Feature BIZ-03: what the member shared, and what was shared with him, is closed
///
/// What was shared out of a member's mailbox is not shared out of the business mailbox that it becomes; and whoever loses
/// his account loses the mailboxes that he used.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_person_opens_a_converted_mailbox() {
    let server = Server::with_limits(Limits { recheck: Duration::ZERO, ..Limits::default() }).await;
    let directory = &server.adapter.directory;
    let (alice, bob) = (member(directory, ALICE).await, member(directory, BOB).await);
    let mailbox = sales(directory, &[&alice]).await;
    let mut client = Client::login(server.address, ALICE).await;
    client.ok("CREATE Team").await;
    client.ok(&format!("SETACL Team {BOB} lrs")).await;
    let mut reader = Client::login(server.address, BOB).await;
    let team = "\"Other Users/alice@example.test/Team\"";
    reader.ok(&format!("SELECT {team}")).await;
    let mut colleague = Client::login(server.address, BOB).await;
    colleague.ok("CREATE Notes").await;
    colleague.ok(&format!("SETACL Notes {ALICE} lrs")).await;
    assert!(names(&mut client).await.iter().any(|line| line.contains("Notes")));

    directory.convert_to_business(alice.key, "Alice’s desk").await.expect("converted");
    assert!(said(&mut reader, "FETCH 1:* (FLAGS)").await.starts_with("BAD"));
    assert!(said(&mut reader, &format!("SELECT {team}")).await.starts_with("NO [NONEXISTENT]"));
    assert!(names(&mut reader).await.is_empty());
    assert!(directory.mailbox_users(mailbox).await.expect("users").is_empty(), "she used it");
    change(directory, alice.key, |users| _ = users.accounts.insert(bob.key.account)).await;
    assert!(names(&mut reader).await.iter().any(|line| line.contains("Team")));
    // Nor do its users see what colleagues have shared with her.
    let pair = (bob.key.account, alice.key);
    let token = directory.add_user_token(pair, "desk", TokenScope::ALL, None).await.expect("a token").1;
    let mut desk = Client::connect(server.address).await;
    desk.ok(&format!("LOGIN {ALICE} {token}")).await;
    assert!(names(&mut desk).await.is_empty());
    let notes = said(&mut desk, "SELECT \"Other Users/bob@example.test/Notes\"").await;
    assert!(notes.starts_with("NO [NONEXISTENT]"), "{notes}");
    // A business mailbox is no user of another one.
    let nested =
        directory.change_mailbox_users(mailbox, |users| users.accounts.insert(alice.key.account)).await;
    assert!(nested.is_err(), "{nested:?}");
    server.stop().await;
}
