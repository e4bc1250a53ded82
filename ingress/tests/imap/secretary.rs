//! Full secretaries in mail programs: in the owner's place, as long as they are it.

use pennypost_directory::{AccountState, SecretaryScope, SecretaryTerm};

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, Server};

async fn said(client: &mut Client, command: &str) -> String {
    client.command(command).await.1
}

/// Feature DLG-03 (part): a full secretary has the owner's rights in all his mailboxes but to share them, in his own mail program; calendar invitations not yet
#[tokio::test(flavor = "multi_thread")]
async fn a_full_secretary_stands_in_the_owners_place() {
    let server = Server::start().await;
    let directory = &server.adapter.directory;
    let account =
        async |address| directory.account_at(address).await.expect("directory").expect("an account").key;
    let (alice, bob) = (account(ALICE).await, account(BOB).await);
    let mut owner = Client::login(server.address, ALICE).await;
    let mut client = Client::login(server.address, BOB).await;
    owner.append("INBOX", b"Subject: 1\r\n\r\nx\r\n").await;
    let inbox = "\"Other Users/alice@example.test/INBOX\"";
    let grant = async |scope| {
        let granted = directory.grant_secretary(alice, bob.account, (scope, SecretaryTerm::Day)).await;
        granted.expect("granted");
    };
    // Who may only send opens no mailbox.
    for scope in [SecretaryScope::SendAs, SecretaryScope::SendOnBehalf] {
        grant(scope).await;
        assert!(client.ok("LIST \"\" Other*").await.is_empty());
        assert!(said(&mut client, &format!("SELECT {inbox}")).await.starts_with("NO [NONEXISTENT]"));
    }
    grant(SecretaryScope::Full).await;
    let names = client.ok("LIST \"\" \"Other Users/%/%\"").await;
    assert!(names.len() >= 4 && names.iter().all(|line| line.contains(ALICE)), "{names:?}");
    let rights = client.ok(&format!("MYRIGHTS {inbox}")).await;
    assert_eq!(rights, ["* MYRIGHTS \"Other Users/alice@example.test/INBOX\" lrswipkxtecd"]);
    client.ok("CREATE \"Other Users/alice@example.test/Filed\"").await;
    client.ok(&format!("SELECT {inbox}")).await;
    client.ok("MOVE 1 \"Other Users/alice@example.test/Filed\"").await;
    assert_eq!(owner.ok("STATUS Filed (MESSAGES)").await, ["* STATUS Filed (MESSAGES 1)"]);
    // Whom he let in would stay in when his term is over, himself among them: who else sees it the owner says.
    for command in
        ["SETACL {} anyone lr", "SETACL {} bob@example.test lr", "DELETEACL {} anyone", "GETACL {}"]
    {
        let command = command.replace("{}", "\"Other Users/alice@example.test/Filed\"");
        assert!(said(&mut client, &command).await.starts_with("NO [NOPERM]"), "{command}");
    }
    owner.ok("SETACL Filed anyone lr").await;

    // Ended, or the owner's account closed: out with the next command; what the owner shares by list stays so.
    assert!(directory.end_secretary(alice, bob.account).await.expect("ended"));
    assert!(said(&mut client, "FETCH 1:* (FLAGS)").await.starts_with("BAD"));
    assert!(said(&mut client, &format!("SELECT {inbox}")).await.starts_with("NO [NONEXISTENT]"));
    client.ok("EXAMINE \"Other Users/alice@example.test/Filed\"").await;
    client.ok("UNSELECT").await;
    grant(SecretaryScope::Full).await;
    client.ok(&format!("SELECT {inbox}")).await;
    directory.set_account_state(alice, AccountState::Disabled).await.expect("disabled");
    assert!(said(&mut client, "FETCH 1:* (FLAGS)").await.starts_with("BAD"));
    server.stop().await;
}
