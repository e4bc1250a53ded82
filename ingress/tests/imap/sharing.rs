//! Mailboxes that are shared (RFC 4314): what each right allows, whom it reaches, and whom never.

use pennypost_directory::BinCause;

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, PASSWORD, Server};

/// The tagged answer.
async fn said(client: &mut Client, command: &str) -> String {
    client.command(command).await.1
}

async fn told(client: &mut Client, command: &str) -> Vec<String> {
    client.ok(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_allows_what_it_says() {
    let server = Server::start().await;
    let (mut alice, mut bob) =
        (Client::login(server.address, ALICE).await, Client::login(server.address, BOB).await);
    alice.ok("CREATE Team").await;
    alice.append("Team", b"Subject: 1\r\n\r\nx\r\n").await;
    let team = "\"Other Users/alice@example.test/Team\"";

    // Without rights it is not there.
    for command in [
        format!("SELECT {team}"),
        format!("STATUS {team} (MESSAGES)"),
        format!("MYRIGHTS {team}"),
        format!("GETACL {team}"),
        format!("DELETE {team}"),
        format!("SETACL {team} bob@example.test lr"),
        format!("GETMETADATA {team} /shared/comment"),
        format!("GETQUOTAROOT {team}"),
    ] {
        let answer = said(&mut bob, &command).await;
        assert!(answer.starts_with("NO [NONEXISTENT]"), "{command}: {answer}");
    }
    assert!(bob.append(team, b"x: y\r\n\r\n").await.starts_with("NO [TRYCREATE]"));
    assert!(said(&mut bob, "CREATE \"Other Users/alice@example.test/New\"").await.starts_with("NO [NOPERM]"));
    assert!(said(&mut bob, "CREATE \"Other Users\"").await.starts_with("NO [NOPERM]"));
    assert!(told(&mut bob, "LIST \"\" Other*").await.is_empty());

    // l: seen by LIST, and no more.
    alice.ok("SETACL Team bob@example.test l").await;
    assert_eq!(
        told(&mut bob, "LIST \"\" Other*").await,
        [
            "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\"",
            "* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users/alice@example.test\"",
            "* LIST (\\HasNoChildren) \"/\" \"Other Users/alice@example.test/Team\"",
        ]
    );
    assert!(said(&mut bob, &format!("SELECT {team}")).await.starts_with("NO [NOPERM]"));
    assert_eq!(
        told(&mut bob, &format!("MYRIGHTS {team}")).await,
        ["* MYRIGHTS \"Other Users/alice@example.test/Team\" l"]
    );

    // r: read, and nothing is changed by it.
    alice.ok("SETACL Team bob@example.test +r").await;
    let opened = said(&mut bob, &format!("SELECT {team}")).await;
    assert!(opened.starts_with("OK [READ-ONLY]"), "{opened}");
    assert_eq!(told(&mut bob, "FETCH 1 (FLAGS BODY[TEXT])").await.len(), 3);
    assert!(said(&mut bob, "STORE 1 +FLAGS (\\Seen)").await.starts_with("NO [NOPERM]"));
    assert!(said(&mut bob, "EXPUNGE").await.starts_with("NO [NOPERM]"));
    assert!(said(&mut bob, "MOVE 1 INBOX").await.starts_with("NO [NOPERM]"));
    assert!(bob.append(team, b"x: y\r\n\r\n").await.starts_with("NO [NOPERM]"));
    let copied = said(&mut bob, "COPY 1 INBOX").await;
    assert!(copied.starts_with("OK [COPYUID"), "{copied}");
    let status = told(&mut bob, "STATUS INBOX (MESSAGES UNSEEN)").await;
    assert_eq!(status, ["* STATUS INBOX (MESSAGES 1 UNSEEN 1)"]);

    // s, w, t: flags; those that may not be changed are left alone.
    alice.ok("SETACL Team bob@example.test +s").await;
    let selected = told(&mut bob, &format!("SELECT {team}")).await;
    assert!(selected.iter().any(|line| line.contains("[PERMANENTFLAGS (\\Seen)]")), "{selected:?}");
    let stored = told(&mut bob, "STORE 1 +FLAGS (\\Seen \\Flagged \\Deleted work)").await;
    assert_eq!(stored, ["* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))"]);
    assert!(said(&mut bob, "STORE 1 +FLAGS (\\Flagged)").await.starts_with("NO [NOPERM]"));
    alice.ok("SETACL Team bob@example.test +wt").await;
    let stored = told(&mut bob, "STORE 1 FLAGS (\\Flagged \\Deleted)").await;
    assert_eq!(stored, ["* 1 FETCH (UID 1 FLAGS (\\Flagged \\Deleted \\Recent))"]);
    assert!(said(&mut bob, "EXPUNGE").await.starts_with("NO [NOPERM]"));
    // CLOSE without e expunges nothing, and is no error.
    bob.ok("CLOSE").await;
    assert_eq!(told(&mut alice, "STATUS Team (MESSAGES)").await, ["* STATUS Team (MESSAGES 1)"]);

    // i: what is put there counts for the owner, not for Bob's 2,000 bytes.
    alice.ok("SETACL Team bob@example.test +i").await;
    let large = [b"Subject: large\r\n\r\n".as_slice(), &[b'x'; 5_000]].concat();
    let appended = bob.append(team, &large).await;
    assert!(appended.starts_with("OK [APPENDUID"), "{appended}");
    assert!(bob.append("INBOX", &large).await.starts_with("NO [OVERQUOTA]"));
    bob.ok("SELECT INBOX").await;
    assert!(said(&mut bob, &format!("COPY 1 {team}")).await.starts_with("OK [COPYUID"));

    // e: expunge.
    alice.ok("SETACL Team bob@example.test +e").await;
    bob.ok(&format!("SELECT {team}")).await;
    assert_eq!(told(&mut bob, "EXPUNGE").await, ["* 1 EXPUNGE"]);
    assert!(said(&mut bob, "MOVE 1 INBOX").await.starts_with("NO [OVERQUOTA]"));
    let moved = told(&mut bob, "MOVE 2 INBOX").await;
    assert!(moved.first().is_some_and(|line| line.starts_with("* OK [COPYUID")), "{moved:?}");
    assert!(moved.contains(&"* 2 EXPUNGE".to_owned()), "{moved:?}");

    // k, x: mailboxes below it, which are shared alike.
    let below = "\"Other Users/alice@example.test/Team/Plans\"";
    assert!(said(&mut bob, &format!("CREATE {below}")).await.starts_with("NO [NOPERM]"));
    alice.ok("SETACL Team bob@example.test +kx").await;
    bob.ok(&format!("CREATE {below}")).await;
    let rights = told(&mut bob, &format!("MYRIGHTS {below}")).await;
    assert_eq!(rights, ["* MYRIGHTS \"Other Users/alice@example.test/Team/Plans\" lrswikxtecd"]);
    let renamed = "\"Other Users/alice@example.test/Team/Done\"";
    bob.ok(&format!("RENAME {below} {renamed}")).await;
    assert!(said(&mut bob, &format!("RENAME {renamed} Mine")).await.starts_with("NO [CANNOT]"));
    bob.ok(&format!("DELETE {renamed}")).await;

    // a: the list itself.
    assert!(said(&mut bob, &format!("GETACL {team}")).await.starts_with("NO [NOPERM]"));
    alice.ok("SETACL Team bob@example.test +a").await;
    assert_eq!(
        told(&mut bob, &format!("GETACL {team}")).await,
        [
            "* ACL \"Other Users/alice@example.test/Team\" \"alice@example.test\" lrswipkxteacd \"bob@example.test\" lrswikxteacd"
        ]
    );
    assert!(said(&mut bob, &format!("SETACL {team} alice@example.test l")).await.starts_with("NO [CANNOT]"));
    bob.ok(&format!("SETACL {team} bob@example.test lr")).await;
    assert!(
        said(&mut bob, &format!("SETACL {team} bob@example.test lrswipkxtea"))
            .await
            .starts_with("NO [NOPERM]")
    );

    // Annotations: shared ones only, and none that the post office sets itself.
    let forged = said(&mut alice, "SETMETADATA Team (/Private/vendor/pennypost/mail-of/1 \"9\")").await;
    assert!(forged.starts_with("NO [CANNOT]"), "{forged}");
    alice.ok("SETMETADATA Team (/shared/comment \"ours\" /private/comment \"mine\")").await;
    assert_eq!(
        told(&mut bob, &format!("GETMETADATA {team} (/shared/comment /private/comment)")).await,
        [
            "* METADATA \"Other Users/alice@example.test/Team\" (/shared/comment \"ours\" /private/comment NIL)"
        ]
    );
    assert!(
        said(&mut bob, &format!("SETMETADATA {team} (/private/comment \"x\")"))
            .await
            .starts_with("NO [NOPERM]")
    );

    // Nobody files mail in an account that lies in the recycle bin.
    let directory = &server.adapter.directory;
    let owner = directory.account_at("alice@example.test").await.expect("looked").expect("there").key;
    bob.ok(&format!("STATUS {team} (MESSAGES)")).await;
    directory.bin_account(owner, BinCause::Deleted).await.expect("binned");
    assert!(said(&mut bob, &format!("STATUS {team} (MESSAGES)")).await.starts_with("NO [NONEXISTENT]"));
    assert!(told(&mut bob, "LIST \"\" Other*").await.is_empty());
    directory.restore_account(owner).await.expect("restored");

    // Taken away under a session that has it open.
    bob.ok(&format!("SELECT {team}")).await;
    alice.ok("DELETEACL Team bob@example.test").await;
    assert!(said(&mut bob, "FETCH 1 (FLAGS)").await.starts_with("BAD"));
    assert!(told(&mut bob, "LIST \"\" Other*").await.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_and_anyone_are_of_the_tenant() {
    let server = Server::start().await;
    let directory = &server.adapter.directory;
    let other = directory.add_tenant("another").await.expect("tenant");
    directory.add_domain(other.id, "other.test").await.expect("domain");
    directory.add_account("eve@other.test", PASSWORD, "Eve", None).await.expect("account");
    directory.add_group("team@example.test", "Team", &[BOB]).await.expect("group");
    let (mut alice, mut bob, mut eve) = (
        Client::login(server.address, ALICE).await,
        Client::login(server.address, BOB).await,
        Client::login(server.address, "eve@other.test").await,
    );
    for (name, whom) in [("Group", "team@example.test"), ("All", "anyone")] {
        alice.ok(&format!("CREATE {name}")).await;
        alice.ok(&format!("SETACL {name} {whom} lr")).await;
        let shared = format!("\"Other Users/alice@example.test/{name}\"");
        bob.ok(&format!("SELECT {shared}")).await;
        bob.ok("UNSELECT").await;
        assert_eq!(bob.ok(&format!("LIST \"\" {shared}")).await.len(), 1);
        // Nobody of another tenant, whatever the name.
        assert!(said(&mut eve, &format!("SELECT {shared}")).await.starts_with("NO [NONEXISTENT]"));
        assert!(eve.ok("LIST \"\" Other*").await.is_empty());
        assert!(
            said(&mut alice, &format!("SETACL {name} eve@other.test lr")).await.starts_with("NO [CANNOT]")
        );
    }
    assert_eq!(bob.ok("LIST \"\" \"Other Users/%/%\"").await.len(), 2);
    let listed = alice.ok("LISTRIGHTS All bob@example.test").await;
    assert_eq!(listed, ["* LISTRIGHTS All \"bob@example.test\" \"\" l r s w i p k x t e a c d"]);
    assert!(said(&mut alice, "LISTRIGHTS All nobody@example.test").await.starts_with("NO [CANNOT]"));
    assert!(said(&mut alice, "SETACL All anyone lq").await.starts_with("BAD"));

    // Subscribed and told by IDLE like any other.
    bob.ok("SUBSCRIBE \"Other Users/alice@example.test/All\"").await;
    let listed = bob.ok("LIST (SUBSCRIBED) \"\" Other*").await;
    assert_eq!(
        listed,
        ["* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Other Users/alice@example.test/All\""]
    );
    bob.ok("SELECT \"Other Users/alice@example.test/All\"").await;
    bob.send(b"i IDLE\r\n").await;
    assert_eq!(bob.line().await.as_deref(), Some("+ idling"));
    alice.append("All", b"Subject: 1\r\n\r\nx\r\n").await;
    assert_eq!(bob.line().await.as_deref(), Some("* 1 EXISTS"));
    assert_eq!(bob.line().await.as_deref(), Some("* 1 RECENT"));
    bob.send(b"DONE\r\n").await;
    assert_eq!(bob.line().await.as_deref(), Some("i OK no longer idle"));

    // Out of the group, out of the mailbox (after the time after which sessions are looked at again: a new one).
    directory.set_members("team@example.test", &[ALICE]).await.expect("members");
    let mut bob = Client::login(server.address, BOB).await;
    assert!(said(&mut bob, "SELECT \"Other Users/alice@example.test/Group\"").await.starts_with("NO"));
    server.stop().await;
}
