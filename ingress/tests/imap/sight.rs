//! What the member wants mail programs to see (CLI-04, CLI-05): whatever is asked for, the answers are about the same
//! messages, and what is not seen is not touched.
//!
//! Feature CLI-04 (part): range of time for IMAP and POP3: all, 2 years, 1 year, 3 months, 30 days, 7 days; set by the operator's command, members have no page yet
//! Feature CLI-05 (part): own folders and junk for IMAP and POP3; set likewise

use std::time::Duration;

use pennypost_directory::{ClientRange, ClientSettings};
use pennypost_ingress::net::Limits;

use crate::dialogue::Client;
use crate::server::{ALICE, BOB, Server};

/// Sessions go on as they began, however long a test takes.
pub async fn steady() -> Server {
    Server::with_limits(Limits { recheck: Duration::from_secs(86_400), ..Limits::default() }).await
}

const LONG_AGO: &str = "01-Jan-2001 00:00:00 +0000";
const GOODBYE: &str = "* BYE [UNAVAILABLE] what mail programs see has changed, sign in again";

pub async fn set(server: &Server, change: impl Fn(&mut ClientSettings)) {
    let directory = &server.adapter.directory;
    let key = directory.account_at(ALICE).await.expect("directory").expect("alice").key;
    directory.change_client_settings(key, change).await.expect("set");
}

async fn ranged(server: &Server) -> Client {
    set(server, |settings| settings.imap.range = Some(ClientRange::Month)).await;
    Client::login(server.address, ALICE).await
}

/// Appends a message of long ago; the answer is the tagged line.
async fn append_old(client: &mut Client, mailbox: &str, raw: &str) -> String {
    let command = format!("t APPEND {mailbox} \"{LONG_AGO}\" {{{}+}}\r\n{raw}\r\n", raw.len());
    client.send(command.as_bytes()).await;
    loop {
        let line = client.line().await.expect("an answer");
        if let Some(tagged) = line.strip_prefix("t ") {
            return tagged.to_owned();
        }
    }
}

/// Old and new messages by turns: the odd UIDs are old.
pub async fn fill(client: &mut Client, mailbox: &str, pairs: usize) {
    for n in 0..pairs {
        assert!(
            append_old(client, mailbox, &format!("Subject: old {n}\r\n\r\nold\r\n")).await.starts_with("OK")
        );
        let new = format!("Subject: new {n}\r\n\r\nnew {}\r\n", "x".repeat(n));
        assert!(client.append(mailbox, new.as_bytes()).await.starts_with("OK"));
    }
}

/// The number behind a word in the first line that has it.
fn number(lines: &[String], word: &str) -> u64 {
    let find = |line: &String| Some(line.split_once(word)?.1.trim_start().to_owned());
    let rest = lines.iter().find_map(find).unwrap_or_else(|| panic!("no {word} in {lines:?}"));
    rest.split(|c: char| !c.is_ascii_digit()).next().expect("digits").parse().expect("a number")
}

pub fn numbers(lines: &[String]) -> Vec<u32> {
    let found = lines.iter().find_map(|line| line.strip_prefix("* SEARCH")).unwrap_or_default();
    found.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

/// The UIDs of the selected mailbox, which everything that can be asked agrees on.
async fn agreed(client: &mut Client, mailbox: &str) -> Vec<u32> {
    let selected = client.ok(&format!("SELECT {mailbox}")).await;
    let exists = selected.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    let exists: usize = exists.expect("EXISTS").parse().expect("a number");
    let items = "MESSAGES UNSEEN SIZE DELETED UIDNEXT UIDVALIDITY";
    let status = client.ok(&format!("STATUS {mailbox} ({items})")).await;
    let uids = numbers(&client.ok("UID SEARCH ALL").await);
    assert_eq!(uids.len(), exists);
    assert_eq!(number(&status, "MESSAGES ") as usize, exists);
    assert_eq!(number(&status, "UIDVALIDITY "), number(&selected, "[UIDVALIDITY "));
    assert_eq!(number(&status, "UIDNEXT "), number(&selected, "[UIDNEXT "));
    assert_eq!(number(&status, "UNSEEN ") as usize, numbers(&client.ok("SEARCH UNSEEN").await).len());
    assert_eq!(number(&status, "DELETED ") as usize, numbers(&client.ok("SEARCH DELETED").await).len());
    assert_eq!(numbers(&client.ok("SEARCH ALL").await), (1..=exists as u32).collect::<Vec<_>>());
    assert_eq!(numbers(&client.ok("UID SEARCH SUBJECT old").await), [] as [u32; 0], "{mailbox}");
    assert_eq!(numbers(&client.ok("UID SEARCH BODY new").await), uids);
    let mut size = 0;
    if exists > 0 {
        let rows = client.ok("FETCH 1:* (UID RFC822.SIZE)").await;
        assert_eq!(rows.len(), exists);
        for (index, row) in rows.iter().enumerate() {
            assert!(row.starts_with(&format!("* {} FETCH (UID {} ", index + 1, uids[index])), "{row}");
            size += number(std::slice::from_ref(row), "RFC822.SIZE ");
        }
        // A copy keeps its date, so that the order is not that of UIDs.
        let rows = client.ok("UID SORT (ARRIVAL) UTF-8 ALL").await;
        let sorted = rows.iter().find_map(|row| row.strip_prefix("* SORT ")).unwrap_or_default();
        let mut sorted: Vec<u32> = sorted.split(' ').map(|uid| uid.parse().expect("a UID")).collect();
        sorted.sort_unstable();
        assert_eq!(sorted, uids);
    }
    assert_eq!(number(&status, "SIZE "), size);
    uids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_time_is_a_mailbox_without_the_rest() {
    let server = steady().await;
    let mut whole = Client::login(server.address, ALICE).await;
    fill(&mut whole, "INBOX", 4).await;
    let before = number(&whole.ok("SELECT INBOX").await, "[UIDVALIDITY ");
    let mut client = ranged(&server).await;
    assert_eq!(agreed(&mut client, "INBOX").await, [2, 4, 6, 8]);
    let selected = client.ok("SELECT INBOX").await;
    assert_eq!(number(&selected, "[UIDVALIDITY "), before + 1);
    let status = client.ok("LIST \"\" INBOX RETURN (STATUS (MESSAGES UNSEEN))").await;
    assert_eq!((number(&status, "MESSAGES "), number(&status, "UNSEEN ")), (4, 4));

    // What the client does not see, it can't name.
    assert_eq!(client.ok("UID FETCH 1,3 FLAGS").await, [] as [&str; 0]);
    assert_eq!(client.ok("UID STORE 1:3 +FLAGS (\\Flagged)").await, ["* 1 FETCH (UID 2 FLAGS (\\Flagged))"]);
    assert_eq!(numbers(&whole.ok("UID SEARCH FLAGGED").await), [2]);
    let (_, answer) = client.command("FETCH 5 FLAGS").await;
    assert!(answer.starts_with("BAD"), "{answer}");
    client.ok("UID COPY 1:4 Archive").await;
    assert_eq!(number(&whole.ok("STATUS Archive (MESSAGES)").await, "MESSAGES "), 2);

    // News of others: what is old is no news.
    append_old(&mut whole, "INBOX", "Subject: old\r\n\r\n").await;
    whole.ok("UID STORE 3 +FLAGS (\\Deleted)").await;
    assert_eq!(client.ok("NOOP").await, [] as [&str; 0]);
    assert!(whole.append("INBOX", b"Subject: new\r\n\r\nnew\r\n").await.starts_with("OK"));
    let news = client.ok("NOOP").await;
    assert!(news.contains(&"* 5 EXISTS".to_owned()) && news.len() <= 2, "{news:?}");
    whole.ok("UID STORE 4 +FLAGS (\\Deleted)").await;
    whole.ok("UID EXPUNGE 3:4").await;
    assert_eq!(client.ok("NOOP").await, ["* 2 EXPUNGE"]);

    // IDLE hears the same.
    client.send(b"i IDLE\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("+ idling"));
    append_old(&mut whole, "INBOX", "Subject: old\r\n\r\n").await;
    whole.ok("UID STORE 8 +FLAGS (\\Answered)").await;
    assert_eq!(client.line().await.as_deref(), Some("* 3 FETCH (UID 8 FLAGS (\\Answered))"));
    client.send(b"DONE\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("i OK no longer idle"));
    assert_eq!(agreed(&mut client, "INBOX").await.len(), 4);
    server.stop().await;
}

/// The UIDs of the selected mailbox as it is now.
async fn uids(client: &mut Client) -> Vec<u32> {
    client.ok("NOOP").await;
    numbers(&client.ok("UID SEARCH ALL").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_seen_is_not_expunged() {
    let server = steady().await;
    let mut whole = Client::login(server.address, ALICE).await;
    whole.ok("CREATE Mine").await;
    fill(&mut whole, "Mine", 3).await;
    whole.ok("SELECT Mine").await;
    let all = uids(&mut whole).await;
    let old: Vec<u32> = all.iter().copied().step_by(2).collect();
    let new: Vec<u32> = all.iter().copied().skip(1).step_by(2).collect();
    whole.ok("STORE 1:* +FLAGS (\\Deleted)").await;
    let mut client = ranged(&server).await;
    assert_eq!(agreed(&mut client, "Mine").await, new);
    let (_, answer) = client.command("DELETE Mine").await;
    assert!(answer.starts_with("NO [CANNOT]"), "{answer}");
    client.ok(&format!("UID EXPUNGE {},{}", old[0], new[0])).await;
    assert_eq!(uids(&mut whole).await, [&old[..1], &old[1..2], &new[1..2], &old[2..], &new[2..]].concat());
    client.ok("EXPUNGE").await;
    assert_eq!(uids(&mut whole).await, old);
    assert!(client.append("Mine", b"Subject: new\r\n\r\nnew\r\n").await.starts_with("OK"));
    client.ok("STORE 1:* +FLAGS (\\Deleted)").await;
    client.ok("CLOSE").await;
    assert_eq!(uids(&mut whole).await, old);
    assert_eq!(agreed(&mut client, "Mine").await, [] as [u32; 0]);
    // With nothing left that is not seen it may go.
    whole.ok("EXPUNGE").await;
    client.ok("DELETE Mine").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn uids_are_valid_for_what_is_seen() {
    let server = steady().await;
    let mut whole = Client::login(server.address, ALICE).await;
    fill(&mut whole, "INBOX", 2).await;
    let mut client = ranged(&server).await;
    let selected = client.ok("SELECT INBOX").await;
    let validity = number(&selected, "[UIDVALIDITY ");
    let appended = client.append("INBOX", b"Subject: new\r\n\r\nnew\r\n").await;
    assert_eq!(number(&[appended], "[APPENDUID "), validity);
    let (_, copied) = client.command("UID COPY 2 INBOX").await;
    assert_eq!(number(&[copied], "[COPYUID "), validity);
    let moved = client.ok("UID MOVE 4 INBOX").await;
    assert_eq!(number(&moved, "[COPYUID "), validity);
    assert_eq!(agreed(&mut client, "INBOX").await, [2, 5, 6, 7]);

    // Wider again: messages lie below those that were seen, and so their UIDs are not the same to clients.
    set(&server, |settings| settings.imap.range = Some(ClientRange::All)).await;
    let mut client = Client::login(server.address, ALICE).await;
    let selected = client.ok("SELECT INBOX").await;
    assert_eq!(number(&selected, "[UIDVALIDITY "), validity + 1);
    assert_eq!(numbers(&client.ok("UID SEARCH ALL").await), [1, 2, 3, 5, 6, 7]);

    // QRESYNC tells what changed, and what is not seen is vanished.
    let mut client = ranged(&server).await;
    client.ok("ENABLE QRESYNC").await;
    let selected = client.ok(&format!("SELECT INBOX (QRESYNC ({} 1))", validity + 2)).await;
    assert!(selected.contains(&"* VANISHED (EARLIER) 1,3:4".to_owned()), "{selected:?}");
    let told = selected.iter().filter(|line| line.contains("FETCH (UID"));
    assert_eq!(told.count(), 4, "{selected:?}");
    server.stop().await;
}

fn names(lines: &[String]) -> Vec<&str> {
    let name = |line: &'_ String| line.rsplit_once(' ').map(|(head, _)| head.len() + 1);
    let mut names: Vec<&str> =
        lines.iter().filter_map(|line| Some(line[name(line)?..].trim_matches('"'))).collect();
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_are_not_seen_are_not_there() {
    let server = Server::with_limits(Limits { recheck: Duration::ZERO, ..Limits::default() }).await;
    let mut whole = Client::login(server.address, ALICE).await;
    for command in
        ["CREATE Mine/Deep", "SUBSCRIBE Mine", "SUBSCRIBE INBOX", "SETACL Mine bob@example.test lr"]
    {
        whole.ok(command).await;
    }
    whole.ok("SETACL INBOX bob@example.test lr").await;
    let standard = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"];
    assert_eq!(whole.ok("LIST \"\" *").await.len(), 8);
    set(&server, |settings| settings.imap.folders = Some(false)).await;
    // Who is there is told that it is another post office now.
    whole.send(b"t NOOP\r\n").await;
    assert_eq!(whole.line().await.as_deref(), Some(GOODBYE));

    let mut client = Client::login(server.address, ALICE).await;
    assert_eq!(names(&client.ok("LIST \"\" *").await), standard);
    assert_eq!(names(&client.ok("LSUB \"\" *").await), standard);
    assert_eq!(names(&client.ok("LIST (SUBSCRIBED) \"\" *").await), standard);
    for (command, expected) in [
        ("SELECT Mine", "NO [NONEXISTENT]"),
        ("STATUS Mine/Deep (MESSAGES)", "NO [NONEXISTENT]"),
        ("DELETE Mine", "NO [NONEXISTENT]"),
        ("GETACL Mine", "NO [NONEXISTENT]"),
        ("CREATE Other", "NO [NOPERM]"),
        ("RENAME Mine Other", "NO [NOPERM]"),
        ("RENAME INBOX Other", "NO [NOPERM]"),
    ] {
        let (_, answer) = client.command(command).await;
        assert!(answer.starts_with(expected), "{command}: {answer}");
    }
    assert!(client.append("Mine", b"Subject: x\r\n\r\n").await.starts_with("NO [TRYCREATE]"));
    // What others share is theirs, and what is shared stays so.
    client.ok("DELETEACL INBOX bob@example.test").await;
    let mut bob = Client::login(server.address, BOB).await;
    let shared = bob.ok("LIST \"\" \"Other Users/*\"").await;
    assert!(names(&shared).iter().any(|name| name.ends_with("Mine")), "{shared:?}");

    set(&server, |settings| (settings.imap.folders, settings.imap.junk) = (None, Some(false))).await;
    let mut client = Client::login(server.address, ALICE).await;
    let listed = client.ok("LIST \"\" *").await;
    assert_eq!(
        names(&listed),
        ["Archive", "Drafts", "INBOX", "Mine", "Deep", "Sent", "Trash"]
            .map(|name| { if name == "Deep" { "Mine/Deep" } else { name } })
    );
    for command in ["SELECT Junk", "RENAME Junk Other"] {
        let (_, answer) = client.command(command).await;
        assert!(answer.starts_with("NO [NONEXISTENT]"), "{command}: {answer}");
    }
    client.ok("RENAME Mine Ours").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_an_account_may_see_differently() {
    let server = steady().await;
    let mut whole = Client::login(server.address, ALICE).await;
    fill(&mut whole, "INBOX", 2).await;
    let mut first = ranged(&server).await;
    let mut second = Client::login(server.address, ALICE).await;
    set(&server, |settings| settings.imap = Default::default()).await;
    for client in [&mut first, &mut second] {
        client.ok("SELECT INBOX").await;
    }
    // Everybody expunges everybody's, and each is told by its own numbers.
    whole.ok("SELECT INBOX").await;
    first.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    first.ok("EXPUNGE").await;
    assert_eq!(whole.ok("NOOP").await, ["* 2 EXPUNGE"]);
    assert_eq!(second.ok("NOOP").await, ["* 1 EXPUNGE"]);
    whole.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
    whole.ok("EXPUNGE").await;
    for client in [&mut first, &mut second] {
        assert_eq!(client.ok("NOOP").await, ["* 1 EXPUNGE"]);
    }
    server.stop().await;
}
